"""Make the pages of docs/ that say what the code already says.

    python tools/make_docs.py [--check]

``docs/study.md`` comes from the models of `study.py`, ``docs/issues.md`` from the catalogue of
`core/issue.py`, ``docs/adam.md`` from the declarations in `adam/datasets/`. With `--check` nothing
is written: the exit code is 1 if a page is out of date. Nobody edits these pages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fhir2cdisc.adam import DERIVATIONS
from fhir2cdisc.adam.datasets import adex, adtr
from fhir2cdisc.adam.lesion_records import PARAMETERS as LESIONS
from fhir2cdisc.adam.parameters import PARAMETERS as TIMED
from fhir2cdisc.adam.response_records import PARAMETERS as RESPONSES
from fhir2cdisc.adam.rules import RULES
from fhir2cdisc.conformance import CHECKS
from fhir2cdisc.core.derivation import Derivation
from fhir2cdisc.core.issue import CATALOGUE, RETIRED
from fhir2cdisc.study import Study

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "fhir2cdisc"
MADE = "<!-- Made by tools/make_docs.py; do not edit. -->"

STUDY = """\
# study.toml

What a study says differently from the defaults, and nothing else. Every key has a default; without
a file the defaults alone are in force. An unknown key or a wrong value ends the run with exit code
2 and one sentence that names the file and the key. All settings in force are in `run.json`.

```
fhir2cdisc convert FOLDER --study study.toml --out OUT
```

```toml
[study]
id = "RTPD1-001"

[treatment]
drugs = ["Pembrolizumab"]

[response]
confirm_days = 28

[visits]                      # replaces the whole default table
"BASELINE" = 0
"WEEK 6" = 6

[aliases.LOC]                 # a codelist: source text or system|code -> CDISC term
"li. lunge" = "LUNG"

[aliases.tumor-size]          # a value set: system|code = any text; the code joins the set
"http://hospital.example/codes|SIZE" = "tumour size"
```

A variable that the study says elsewhere is given with the verbs of a mapping module; its paths
begin at what is a row of the domain ([input.md](input.md)):

```toml
[mapping.TU.columns]
TULOC  = { recode = "LOC", from = { path = "bodySite.text" } }
TUEVAL = { const = "INDEPENDENT ASSESSOR", comment = "Central review only." }
TUNAM  = { first_of = [ { path = "performer.first().display" }, { const = "CENTRAL" } ] }
```

What the program checks in its own mappings holds for these, too: a `--DTC` is a date, a number is a
number, a variable of a codelist that is not extensible has one of its terms. A constant that the
variable cannot have ends the run, as a wrong value of any key does.

Beside `study.toml` may stand `conceptmaps/<codelist>.json` and `valuesets/<name>.json`; see
[input.md](input.md#local-codes-and-words).
"""
ISSUES = """\
# Issues

What is wrong with the data, as data: wrong data never stop a run. Each issue is one line of
`issues.csv` for one code and message, with the number of records and at most 20 of them by id.
Messages hold ids, codes and counts, never values of a person.

| severity | meaning | effect |
|---|---|---|
| error | something is not in a dataset, or not as it should be | exit code 1 with `--strict` |
| warning | a value was left out, replaced or assumed; look at it | none |
| note | a choice was made that the study should know of | none |

The first two letters say where: FH source, CT terminology, SD SDTM, AD ADaM, RS response, QC the
conformance rules of [checks.md](checks.md).
"""

CHECKS_HEAD = """\
# Conformance rules

What is checked in the datasets, after everything is derived. Each record that breaks a rule is a
line of `results/findings.csv`; of each rule and message there is an issue with the code of the
rule. A rule says nothing where a dataset that it needs is not there. Limits are settings, see
[study.md](study.md#checks).
"""

ADAM = """\
# Analysis datasets

Every variable with its rule, as it stands in the declaration. The datasets are derived in this
order, each from SDTM and those before it. *From* means: taken over unchanged.

Conventions: dates (`*DT`) are numeric SAS dates in XPT; flags are `Y` or missing, population flags
`Y` or `N`; sums and percentages are not rounded. Imputation changes `*DT` variables only, with a
flag (`*DTF`: `D` day, `M` month and day assumed); collected `--DTC` never change. Numbers in a rule
are the defaults of [study.md](study.md).
"""


# -- study.toml -------------------------------------------------------------------------------


def study_page() -> str:
    """docs/study.md: every key with type, default and meaning."""
    schema = Study.model_json_schema()
    parts = [MADE, STUDY]
    for name, field in schema["properties"].items():
        if name == "file":  # where the file is, not a key in it
            continue
        target = field.get("$ref") or next((r["$ref"] for r in field.get("allOf", ())), None)
        if target is None:
            parts.append(_free_section(name, field))
        else:
            parts.append(_section(name, schema["$defs"][target.rpartition("/")[2]]))
    return "\n".join(parts)


def _section(name: str, model: Mapping[str, Any]) -> str:
    remark = model["description"].partition("]")[2].strip(" .()")
    rows = [
        (f"`{key}`", _type(field), _default(field["default"]), _line(field["description"]))
        for key, field in model["properties"].items()
    ]
    head = f"## [{name}]\n" + (f"\n{remark}.\n" if remark else "")
    return f"{head}\n{table(('key', 'type', 'default', 'meaning'), rows)}"


def _free_section(name: str, field: Mapping[str, Any]) -> str:
    default = getattr(Study(), name)
    given = ", ".join(f"`{key}` {value:g}" for key, value in default.items()) or "none"
    return f"## [{name}]\n\n{_line(field['description'])}\n\nDefault: {given}.\n"


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:  # a value, or none
        field = next(part for part in field["anyOf"] if part["type"] != "null")
    if field.get("format") == "date":
        return "date"
    if "enum" in field:
        return " or ".join(_default(value) for value in field["enum"])
    if field["type"] == "array":
        return "list of texts"
    name = {"string": "text", "number": "number", "integer": "whole number"}.get(
        field["type"], "true or false"
    )
    limits = {
        "minimum": "from {:g}", "exclusiveMinimum": "above {:g}",
        "maximum": "to {:g}", "exclusiveMaximum": "below {:g}", "maxLength": "at most {:g} long",
    }  # fmt: skip
    said = [text.format(field[key]) for key, text in limits.items() if key in field]
    return ", ".join([name, *said])


def _line(text: str) -> str:
    return " ".join(text.split())


def _default(value: object) -> str:
    return "none" if value is None else f"`{json.dumps(value)}`"


# -- issues -----------------------------------------------------------------------------------


def issues_page() -> str:
    """docs/issues.md: the catalogue, and which module reports each code."""
    found = reporters()
    rows = [
        (f"`{code}`", kind.severity.value, kind.title, kind.hint,
         ", ".join(f"`{module}`" for module in found[code]) or "nowhere yet")
        for code, kind in CATALOGUE.items()
    ]  # fmt: skip
    names = ("code", "severity", "title", "what to do", "reported by")
    gone = [(f"`{code}`", f"`{now}`") for code, now in RETIRED.items()]
    retired = "## Retired codes\n\n" + table(("code", "told by"), gone)
    return f"{MADE}\n{ISSUES}\n{table(names, rows)}\n{retired}"


def reporters() -> dict[str, list[str]]:
    """Issue code -> the modules that report it."""
    found: dict[str, list[str]] = {code: [] for code in CATALOGUE}
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name != "issue.py":
            text = file.read_text(encoding="utf-8")
            for code, modules in found.items():
                if f'"{code}"' in text:
                    modules.append(file.relative_to(PACKAGE).as_posix())
    return found


# -- ADaM -------------------------------------------------------------------------------------


def adam_page() -> str:
    """docs/adam.md: variables with their rules, and parameters, by dataset."""
    return "\n".join([MADE, ADAM, *(_dataset(derivation) for derivation in DERIVATIONS)])


def _dataset(derivation: Derivation) -> str:
    rows = [
        (f"`{name}`", derivation.labels[name], _rule(column.origin == "Predecessor", column))
        for name, column in derivation.columns.items()
    ]
    text = (
        f"## {derivation.name}: {derivation.label}\n\nKeys: {', '.join(derivation.keys)}. Needs "
        f"{', '.join(derivation.needs)}; without them the dataset is left out (AD0001).\n\n"
    )
    parameters = list(_parameters(derivation.name))
    if parameters:
        third = "rule" if derivation.name == "ADEX" else "lesions"
        text += f"{table(('PARAMCD', 'PARAM', third), parameters)}\n"
    return text + table(("variable", "label", "rule"), rows)


def _rule(taken_over: bool, column: Any) -> str:  # noqa: FBT001
    return f"From {column.describe()}" if taken_over else column.describe()


def _parameters(dataset: str) -> Iterator[tuple[str, str, str]]:
    if dataset == "ADTR":
        for code, (param, group, _) in adtr.PARAMETERS.items():
            yield f"`{code}`", param, group
    elif dataset == "ADLES":
        for code, param in LESIONS.items():
            yield f"`{code}`", param, "each target lesion"
    elif dataset == "ADRS":
        for code, parameter in RESPONSES.items():
            yield f"`{code}`", parameter.param, parameter.group
    elif dataset == "ADTTE":
        for timed in TIMED:
            yield f"`{timed.paramcd}`", timed.param, timed.lesions
    elif dataset == "ADEX":
        for code, given in adex.PARAMETERS.items():
            yield f"`{code}`", given.param, RULES["ADEX"][code].of(Study())


# -- conformance rules ------------------------------------------------------------------------


def checks_page() -> str:
    """docs/checks.md: every rule with its source and what it needs."""
    rows = [
        (check.id, f"`{check.code}`", CATALOGUE[check.code].severity.value, check.rule,
         check.source, " ".join(check.needs))
        for check in CHECKS
    ]  # fmt: skip
    names = ("rule", "issue", "severity", "how it should be", "source", "needs")
    return f"{MADE}\n{CHECKS_HEAD}\n{table(names, rows)}"


# -- pages ------------------------------------------------------------------------------------


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; line breaks within a cell become ``<br>``."""
    lines = [names, ["---"] * len(names), *rows]
    cells = ("| " + " | ".join(map(_cell, line)) + " |" for line in lines)
    return "\n".join(cells) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")


def pages() -> dict[str, str]:
    """Name of the page in docs/ -> its text."""
    return {
        "study.md": study_page(),
        "issues.md": issues_page(),
        "adam.md": adam_page(),
        "checks.md": checks_page(),
    }


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a page is out of date.")
def main(check: bool) -> None:  # noqa: FBT001
    """Write the pages of docs/ that are made from the code."""
    stale = []
    for name, text in pages().items():
        file = ROOT / "docs" / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                file.write_text(text, encoding="utf-8", newline="\n")
    click.echo(", ".join(stale) or "nothing to change", err=True)
    if check and stale:
        sys.exit(1)


if __name__ == "__main__":
    main()
