"""Make the standards tables that the package ships from the published spreadsheets.

    python tools/make_standards.py FOLDER

FOLDER holds the CSV exports: ``sdtmig34_datasets.csv``, ``sdtmig34_variables.csv``,
``adamig13_variables.csv``, ``adam_specs_pharmaverse.csv`` and one ``ct_<NAME>.csv`` a codelist.
Written are ``sdtm/data/sdtmig34.json``, ``adam/data/adamig13.json`` and
``terminology/codelists/*.json``. Only names, labels, types, roles, core, order, codes and
submission values are taken: the explanatory texts of CDISC and the definitions stay where they
are. The same input gives the same bytes; nobody edits the output.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "fhir2cdisc"
IG = "sdtmig34_variables.csv"

NCI = "NCI Enterprise Vocabulary Services, https://evs.nci.nih.gov/"
CDISC = "CDISC, https://www.cdisc.org/"
STAMPS = {
    "sdtm": {
        "source": "CDISC Library, SDTMIG v3.4",
        "edition": "3.4",
        "date": "2021-11-29",
        "attribution": f"{CDISC}; codelist codes: {NCI}",
    },
    "adam": {
        "source": "CDISC Library, ADaMIG v1.3; `other`: pharmaverseadam (Apache-2.0)",
        "edition": "1.3",
        "date": "2021-11-29",
        "attribution": f"{CDISC}; pharmaverse, https://pharmaverse.github.io/pharmaverseadam/",
    },
}
PACKAGES = {
    "sdtmct": "SDTM Controlled Terminology",
    "adamct": "ADaM Controlled Terminology",
    "define-xmlct": "Define-XML Controlled Terminology",
}

# Test names of laboratory, genomics, vital signs and pharmacokinetics: large, and used by no
# domain whose tests the package maps.
LEFT_OUT = frozenset(
    {"GFTEST", "GFTESTCD", "LBTEST", "LBTESTCD", "PKUNIT", "VSTEST", "VSTESTCD"},
)
# ADaM datasets whose variables have labels that neither ADaMIG nor SDTMIG gives.
OTHER_DATASETS = ("ADSL", "ADAE", "ADCM", "ADMH", "ADRS_O", "ADTR_O", "ADTTE_O")
STRUCTURES = {"Subject-Level Analysis Dataset": "ADSL", "Basic Data Structure": "BDS"}


def rows(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV as text."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def codes(text: str) -> list[str]:
    """``C66727; C114118`` -> two codes."""
    return [code.strip() for code in text.split(";") if code.strip()]


def one_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_json(head: Mapping[str, object], key: str, body: Iterable[str], *, ordered: bool) -> str:
    """A JSON object: the head one item a line, then `key` with one entry of the body a line."""
    lines = [f" {one_line(name)}: {one_line(value)},\n" for name, value in head.items()]
    entries = ",\n".join(f"  {entry}" for entry in body)
    opening, closing = ("[", "]") if ordered else ("{", "}")
    return "{\n" + "".join(lines) + f' "{key}": {opening}\n{entries}\n {closing}\n}}\n'


def sdtm_variables(variables: Iterable[Mapping[str, str]]) -> list[str]:
    return [
        one_line(
            {
                "name": row["variable"],
                "label": row["label"],
                "type": row["type"],
                "role": row["role"],
                "core": row["core"],
                "codelists": codes(row["codelist_codes"]),
            },
        )
        for row in variables
    ]


def sdtmig(folder: Path) -> str:
    """The datasets of the SDTMIG with their variables in IG order."""
    by_domain: dict[str, list[dict[str, str]]] = {}
    for row in rows(folder / IG):
        by_domain.setdefault(row["domain"], []).append(row)
    datasets = []
    for row in sorted(rows(folder / "sdtmig34_datasets.csv"), key=lambda row: row["domain"]):
        variables = sorted(by_domain[row["domain"]], key=lambda row: int(row["order"]))
        info = {"label": row["label"], "class": row["class"], "structure": row["structure"]}
        body = ",\n".join(f"    {line}" for line in sdtm_variables(variables))
        head = one_line(info).removesuffix("}")
        datasets.append(f'{one_line(row["domain"])}: {head}, "variables": [\n{body}\n  ]}}')
    return as_json(STAMPS["sdtm"], "datasets", datasets, ordered=False)


def adamig(folder: Path) -> str:
    """ADSL and BDS (with time-to-event) of the ADaMIG, and what a public ADaM adds to them.

    Variables of the IG whose label is only a pattern (``*DT``, ``{Date}``) are left out: their
    label is the study's.
    """
    entries = []
    known = {row["variable"] for row in rows(folder / IG)}
    for row in rows(folder / "adamig13_variables.csv"):
        known.add(row["variable"])
        if row["variable"].startswith("*"):
            continue
        entries.append(
            {
                "structure": STRUCTURES[row["data_structure"]],
                "name": row["variable"],
                "label": row["label"],
                "type": row["type"],
                "core": row["core"],
                "codelists": codes(row["codelist_codes"]),
            },
        )
    patterns = [re.compile(pattern(name)) for name in known]
    others: dict[str, dict[str, Any]] = {}
    for row in rows(folder / "adam_specs_pharmaverse.csv"):
        name, label = row["variable"], row["label"]
        if row["dataset"] not in OTHER_DATASETS or not 0 < len(label) <= 40:
            continue
        if any(regex.fullmatch(name) for regex in patterns):
            continue
        kind = "Char" if row["data_type"] == "text" or name.endswith("DTC") else "Num"
        entry = {"structure": "other", "name": name, "label": label, "type": kind}
        others.setdefault(name, {**entry, "core": "Perm", "codelists": []})
    lines = [one_line(entry) for entry in [*entries, *(others[name] for name in sorted(others))]]
    return as_json(STAMPS["adam"], "variables", lines, ordered=True)


def pattern(name: str) -> str:
    """The names that a name of the ADaMIG with a lower-case index stands for."""
    if name.startswith("*"):
        return re.escape(name)
    return re.sub("xx|zz|y|w", lambda found: r"\d\d" if len(found[0]) == 2 else r"\d\d?", name)


def codelists(folder: Path) -> dict[str, str]:
    """One JSON text a codelist, by its short name."""
    texts: dict[str, str] = {}
    files = [file for file in sorted(folder.glob("ct_*.csv")) if "__index" not in file.name]
    # SDTM first: where two packages publish one codelist, the package's edition is SDTM's.
    files.sort(key=lambda file: bool(re.search(r"\d{4}-\d\d-\d\d", file.name)))
    for file in files:
        by_name: dict[str, list[dict[str, str]]] = {}
        for row in rows(file):
            by_name.setdefault(row["codelist_short_name"], []).append(row)
        for name, terms in by_name.items():
            if name not in LEFT_OUT:
                texts.setdefault(name, codelist(name, terms))
    return texts


def codelist(name: str, terms: list[dict[str, str]]) -> str:
    first = terms[0]
    package, _, edition = first["ct_package"].partition("-20")
    head = {
        "source": PACKAGES[package],
        "edition": f"20{edition}",
        "attribution": NCI,
        "code": first["codelist_code"],
        "name": name,
        "label": first["codelist_name"],
        "extensible": first["extensible"] == "Yes",
    }
    entries = (
        f"{one_line(row['submission_value'])}: {one_line([row['nci_code'], *synonyms(row)])}"
        for row in sorted(terms, key=lambda row: row["submission_value"])
    )
    return as_json(head, "terms", entries, ordered=False)


def synonyms(row: Mapping[str, str]) -> list[str]:
    found = (part.strip() for part in row["synonyms"].split(";"))
    return list(dict.fromkeys(part for part in found if part and part != row["submission_value"]))


def tables(folder: Path) -> dict[str, str]:
    """Every file that the package ships, by its path inside the package."""
    lists = codelists(folder)
    index = {name: json.loads(text)["code"] for name, text in sorted(lists.items())}
    body = (f"{one_line(name)}: {one_line(code)}" for name, code in index.items())
    result = {
        "sdtm/data/sdtmig34.json": sdtmig(folder),
        "adam/data/adamig13.json": adamig(folder),
        "terminology/codelists/_index.json": as_json(
            {"attribution": NCI}, "codes", body, ordered=False
        ),
    }
    result |= {f"terminology/codelists/{name}.json": text for name, text in lists.items()}
    for path, text in result.items():
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            sys.exit(f"{path} would not be JSON: {error}")
    return result


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the standards tables of the package from the CSV files in FOLDER."""
    made = tables(folder)
    stale = {
        file
        for part in ("sdtm/data", "adam/data", "terminology/codelists")
        for file in (PACKAGE / part).glob("*.json")
    }
    for path, text in made.items():
        file = PACKAGE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        stale.discard(file)
    for file in stale:
        file.unlink()
    size = sum(len(text.encode()) for text in made.values())
    click.echo(f"{len(made)} files, {size:,} bytes", err=True)


if __name__ == "__main__":
    main()
