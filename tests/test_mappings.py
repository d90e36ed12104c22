"""Every case of tests/cases/sdtm_*.toml: given these FHIR resources, expect these records.

The cases are the specification of the SDTM mappings, a file a domain. A file begins with what
its cases have in `common`. A case has

* `given`   FHIR resources, one a line, that add to the common ones or replace them;
  ``$SCT`` and the like stand for long names (`NAMES`)
* `study`   settings of study.toml, if they matter
* `expect`  all records of the case in a domain, by --SEQ; supplemental qualifiers stand among
  the variables of the parent; an empty text: no record at all
* `ledger`  what became of some of its resources
* `issues`  the codes of all issues on its resources; none, if it is not given. That a term has
  not been coded yet, or no site named, is so common that it is not listed (see the last test)
* `alone`   true if it says something about the whole input
* `gap`     why the case does not hold yet

All cases that have the same settings are converted together, each as a patient of its own: so it
is tested, too, that patients do not influence one another.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from fhir2cdisc.study import Study

NAMES = {
    "$SCT": "http://snomed.info/sct",
    "$LOINC": "http://loinc.org",
    "$NCIT": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    "$DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "$UCUM": "http://unitsofmeasure.org",
    "$RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "$RACE": "urn:oid:2.16.840.1.113883.6.238",
    "$HL7": "http://terminology.hl7.org/CodeSystem",
    "$CORE": "http://hl7.org/fhir/StructureDefinition",
    "$USCORE": "http://hl7.org/fhir/us/core/StructureDefinition",
    "$MCODE": "http://hl7.org/fhir/us/mcode/StructureDefinition",
    "$CODEX": "http://hl7.org/fhir/us/codex-radiation-therapy/StructureDefinition",
    "$BACKPORT": "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition",
    "$RESEARCH": "http://hl7.org/fhir/uv/ae-research-ig/StructureDefinition",
    "$ONCONOVA": "http://onconova.github.io/fhir/StructureDefinition",
    "$ICARE": "http://hl7.org/fhir/us/ctcae/StructureDefinition",
    "$KENYA": "https://nshr-uat.sha.go.ke/fhir/StructureDefinition",
    "$KCORE": "https://fhir.dha.go.ke/core/StructureDefinition",
    "$OWN": "urn:fhir2cdisc:StructureDefinition",
}
NOT_CODED = "AE.AEDECOD"
NO_SITE = "DM.SITEID"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode  # 7.00 stays 7.00
_encode = msgspec.json.Encoder(decimal_format="number").encode
_NAME = re.compile("|".join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True)))
_REFERENCE = re.compile(r"^([A-Z]\w+/)([^/]+)$")


def cases() -> Iterator[Any]:
    for file in sorted((Path(__file__).parent / "cases").glob("sdtm_*.toml")):
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        for number, case in enumerate(content["case"]):
            case["common"] = content.get("common", "")
            case["prefix"] = f"{file.stem}-{number:02d}-".replace("_", "-")
            case["batch"] = str(case.get("study")) + (case["prefix"] if case.get("alone") else "")
            gap = case.get("gap")
            marks = [pytest.mark.xfail(reason=gap, strict=True)] if gap else []
            yield pytest.param(case, id=f"{file.stem}: {case['title']}", marks=marks)


CASES = list(cases())


def given(case: dict[str, Any]) -> list[str]:
    """The resources of a case, told apart from those of other cases by their ids."""
    found: dict[str, Any] = {}
    for line in (case["common"] + case["given"]).splitlines():
        if line.strip():
            resource = _decode(_NAME.sub(lambda name: NAMES[name[0]], line))
            found[f"{resource['resourceType']}/{resource['id']}"] = resource
    return [_encode(_set_apart(r, case["prefix"])).decode() for r in found.values()]


def _set_apart(resource: dict[str, Any], prefix: str) -> Any:
    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {k: _prefixed(v) if k == "reference" else walk(v) for k, v in node.items()}
        return [walk(item) for item in node] if isinstance(node, list) else node

    def _prefixed(value: Any) -> Any:
        return _REFERENCE.sub(rf"\g<1>{prefix}\2", value) if isinstance(value, str) else walk(value)

    return walk(resource) | {"id": prefix + resource["id"]}


def table(text: str) -> pd.DataFrame:
    lines = [line for line in text.strip().splitlines() if line]
    return pd.read_csv(
        StringIO("\n".join(lines)), sep=r"\s*\|\s*", engine="python", dtype=str
    ).fillna("")


def shown(values: pd.Series, prefix: str) -> pd.Series:
    """Values as a case writes them: numbers short, missing empty, ids without the prefix."""
    if values.dtype == "float64":
        return values.map("{:g}".format).where(values.notna(), "")
    return values.fillna("").str.replace(prefix, "", regex=False)


@pytest.fixture(scope="module")
def batches(convert):
    """The conversion of all cases of a batch, made when the first of them is asked for."""
    done: dict[str, Any] = {}

    def of(case: dict[str, Any]) -> Any:
        if case["batch"] not in done:
            together = [c for (c,) in (p.values for p in CASES) if c["batch"] == case["batch"]]
            resources = [resource for c in together for resource in given(c)]
            done[case["batch"]] = convert(resources, Study(**case.get("study", {})))
        return done[case["batch"]]

    return of


def records(converted: Any, domain: str, case: dict[str, Any]) -> pd.DataFrame:
    """The records of a case's patients, with their supplemental qualifiers as columns."""
    dm, prefix = converted.sdtm["DM"], case["prefix"]
    own = dm.trace[dm.trace["parent"].eq("Patient") & dm.trace["parent_key"].str.startswith(prefix)]
    usubjid = dm.frame["USUBJID"].iloc[own["row"].unique()]
    if domain not in converted.sdtm:
        return pd.DataFrame({"USUBJID": []})
    frame = converted.sdtm[domain].frame
    if supp := converted.sdtm.get(f"SUPP{domain}"):
        wide = supp.frame.pivot_table(
            index=["USUBJID", "IDVARVAL"], columns="QNAM", values="QVAL", aggfunc="first"
        )
        keys = pd.MultiIndex.from_arrays(
            [frame["USUBJID"], frame[f"{domain}SEQ"].astype(int).astype(str)]
        )
        frame = frame.assign(**{name: wide[name].reindex(keys).to_numpy() for name in wide})
    return frame if case.get("alone") else frame[frame["USUBJID"].isin(usubjid)]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any], batches) -> None:
    converted, prefix = batches(case), case["prefix"]
    for domain, text in case.get("expect", {}).items():
        found = records(converted, domain, case)
        if not text.strip():
            assert found.empty, found.to_string()
            continue
        expected = table(text)
        empty = pd.Series("", index=found.index)
        columns = {
            name: shown(found[name], prefix) if name in found else empty for name in expected
        }
        actual = pd.DataFrame(columns).reset_index(drop=True)
        assert actual.to_dict("records") == expected.to_dict("records"), (
            f"{domain}\n{actual.to_string()}"
        )
    ledger = converted.ledger.assign(id=converted.ledger["id"].str.replace(prefix, "", 1))
    ledger = ledger[converted.ledger["id"].str.startswith(prefix)].fillna("")
    for expected in table(case.get("ledger", "id")).to_dict("records"):
        lines = ledger.loc[ledger["id"] == expected["id"], list(expected)]
        assert expected in lines.to_dict("records"), lines.to_string()
    codes = {
        issue.code
        for issue in converted.issues
        if case.get("alone") or any(f"/{prefix}" in name for name in issue.samples)
        if issue.message not in {NOT_CODED, NO_SITE}
    }
    assert codes == set(case.get("issues", [])), [
        (issue.code, issue.message, issue.samples) for issue in converted.issues
    ]


def test_every_domain_has_cases() -> None:
    files = {case.id.partition(":")[0] for case in CASES}
    domains = {"dm", "tu", "tr", "rs", "ae", "ex", "pr", "ds", "cm", "ss", "relrec"}
    assert {f"sdtm_{domain}" for domain in domains} <= files


def test_an_event_without_a_dictionary_term_is_reported(convert) -> None:
    patient = {"resourceType": "Patient", "id": "p1"}
    subject = {"reference": "Patient/p1"}
    event = {"resourceType": "AdverseEvent", "id": "a1", "subject": subject}
    issues = convert([patient, event | {"event": {"text": "Fatigue"}}]).issues
    assert ("SD0001", NOT_CODED, 1) in [(i.code, i.message, i.count) for i in issues]


def test_entries_of_a_transaction_need_no_id(convert, tmp_path: Path) -> None:
    coding = [{"system": NAMES["$LOINC"], "code": "67162-8"}]
    alive = {"coding": [{"system": NAMES["$SCT"], "code": "438949009"}]}
    contact = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": coding},
        "valueCodeableConcept": alive,
        "subject": {"reference": "urn:uuid:0a1b"},
    }
    entries = [
        {"fullUrl": "urn:uuid:0a1b", "resource": {"resourceType": "Patient"}},
        {"fullUrl": "urn:uuid:0a1c", "resource": contact},
    ]
    file = tmp_path / "bundle.json"
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    file.write_bytes(msgspec.json.encode(bundle))
    converted = convert(file)
    assert converted.sdtm["DM"].frame["SUBJID"].tolist() == ["0a1b"]
    assert converted.sdtm["SS"].frame["USUBJID"].tolist() == ["UNSPECIFIED-0a1b"]


def test_a_second_participation_is_told_once(convert) -> None:
    patient = {"resourceType": "Patient", "id": "p1"}
    in_study = {"resourceType": "ResearchSubject", "individual": {"reference": "Patient/p1"}}
    several = [in_study | {"id": n, "identifier": [{"value": f"01-{n}"}]} for n in "ab"]
    found = [i for i in convert([patient, *several]).issues if i.code == "FH0007"]
    assert [(i.message, i.count) for i in found] == [
        ("DM: several ResearchSubject resources differ", 1)
    ]


def test_a_patient_without_an_id_is_no_subject_whatever_the_order(convert) -> None:
    patients = [{"resourceType": "Patient", "id": "p1"}, {"resourceType": "Patient"}]
    for given in (patients, patients[::-1]):
        converted = convert(given)
        assert converted.sdtm["DM"].frame["SUBJID"].tolist() == ["p1"]
        assert "FH0017" in converted.codes()
        ledger = converted.ledger.set_index("id")["reason"]
        assert sorted(ledger.fillna("")) == ["", "no id"]
