"""Conformance rules: each with records that break it and records that do not."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from fhir2cdisc import pipeline
from fhir2cdisc.cli import main
from fhir2cdisc.conformance import CHECKS
from fhir2cdisc.conformance.check import COLUMNS, run_checks
from fhir2cdisc.core.issue import CATALOGUE, RETIRED, Issues
from fhir2cdisc.sdtm.tumours import organ
from fhir2cdisc.study import Study

START = pd.Timestamp("2021-03-01")
CASES = tomllib.loads(
    (Path(__file__).parent / "cases" / "checks_tumours.toml").read_text(encoding="utf-8")
)["case"]
QUALIFIERS = {"TU": ("TUIRRAD", "TUIRRLVL", "TUPRVIR", "TUPRVIRP", "TUPREVIR"), "PR": ("PRPROTFL",),
              "RS": ("RSREASNE",)}  # fmt: skip
NUMBERS = ("SEQ", "STRESN", "NUM", "DOSE")


def dates(days: pd.Series) -> pd.Series:
    at = START + pd.to_timedelta(pd.to_numeric(days), unit="D")
    return at.dt.strftime("%Y-%m-%d").astype("str")


def dataset(domain: str, text: str) -> dict[str, pd.DataFrame]:
    """A dataset of a case and its supplemental qualifiers."""
    frame = pd.read_csv(
        StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str",
        keep_default_na=False,
    )  # fmt: skip
    frame = frame.mask(frame == "").astype("str")
    if "USUBJID" not in frame:
        frame.insert(0, "USUBJID", "01")
    if domain == "RELREC":
        return {domain: frame}
    frame.insert(1, f"{domain}SEQ", (frame.groupby("USUBJID").cumcount() + 1).astype("str"))
    events = domain in ("AE", "CM", "DS", "EX", "PR")
    if "DAY" in frame:
        frame[f"{domain}STDTC" if events else f"{domain}DTC"] = dates(frame.pop("DAY"))
    for name in frame:
        if name.endswith(NUMBERS):
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    out = {domain: frame}
    parts = [
        pd.DataFrame(
            {"USUBJID": frame["USUBJID"], "RDOMAIN": domain, "IDVAR": f"{domain}SEQ",
             "IDVARVAL": frame[f"{domain}SEQ"].astype(int).astype(str), "QNAM": name,
             "QVAL": frame.pop(name)}
        ).dropna()
        for name in QUALIFIERS.get(domain, ())
        if name in frame
    ]  # fmt: skip
    if parts:
        out[f"SUPP{domain}"] = pd.concat(parts, ignore_index=True).astype("str")
    return out


def given(case: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """SDTM of a case; every subject was enrolled and treated with the drug on day 0."""
    data: dict[str, pd.DataFrame] = {}
    for name, text in case.items():
        if name.isupper():
            data |= dataset(name, text)
    subjects = sorted(set().union(*(frame["USUBJID"] for frame in data.values())))
    dm = data.get("DM", pd.DataFrame({"USUBJID": subjects}, dtype="str"))
    if "DTHDAY" in dm:
        dm["DTHDTC"] = dates(dm.pop("DTHDAY"))
    dm = dm.assign(STUDYID="S", SUBJID=dm["USUBJID"], RFICDTC="2021-02-01")
    drug = pd.DataFrame(
        {"USUBJID": subjects, "EXSEQ": 91.0, "EXTRT": "DRUG", "EXDOSE": 1.0,
         "EXSTDTC": "2021-03-01"}
    )  # fmt: skip
    return {**data, "DM": dm, "EX": pd.concat([data.get("EX"), drug], ignore_index=True)}


def checked(case: Mapping[str, Any]) -> tuple[pd.DataFrame, Issues]:
    study = Study(checks=case.get("checks", {}), study=case.get("study", {}))
    issues = Issues()
    _, _, listings = pipeline.derive(given(case), study, pipeline.terminology(study), issues)
    return listings["findings"], issues


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['rule']} {c['title']}")
def test_a_rule_finds_the_records_that_break_it_and_no_others(case: dict[str, Any]) -> None:
    findings, issues = checked(case)
    mine = findings[findings["rule"] == case["rule"]]
    told = mine["dataset"] + " " + mine["USUBJID"] + " " + mine["record"] + ": " + mine["message"]
    assert sorted(told) == sorted(case["finds"])
    assert not set(findings["rule"]) & set(case.get("silent", []))
    counts = mine.groupby("message").size().to_dict()
    code = next(check.code for check in CHECKS if check.id == case["rule"])
    assert {i.message: i.count for i in issues if i.code == code} == counts


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {case["rule"] for case in CASES if case["finds"]} == {check.id for check in CHECKS}


def test_every_rule_says_what_it_is() -> None:
    ids = [check.id for check in CHECKS]
    assert ids == sorted(set(ids))
    for check in CHECKS:
        assert check.code in CATALOGUE
        assert check.rule[0].isupper()
        assert check.rule.endswith(".")
        assert check.source
    assert len({check.code for check in CHECKS}) == len(CHECKS)


def test_without_a_dataset_a_rule_finds_nothing_and_nothing_fails() -> None:
    issues = Issues()
    findings = run_checks(CHECKS, {}, Study(), issues)
    assert list(findings.columns) == list(COLUMNS)
    assert findings.empty
    assert not len(issues)


def test_datasets_without_records_or_optional_variables_break_no_rule() -> None:
    names = ("ADSL", "ADTR", "ADRS", "CONCORDANCE", "DM", "TU", "TR", "RS", "AE", "PR", "EX", "SS")
    empty = pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    assert run_checks(CHECKS, dict.fromkeys(names, empty), Study(), Issues()).empty


def test_findings_do_not_depend_on_the_order_of_records() -> None:
    case = next(case for case in CASES if case["rule"] == "Q15")
    data = given(case)
    mixed = {
        name: frame.sample(frac=1, random_state=3).reset_index(drop=True)
        for name, frame in data.items()
    }
    study = Study()
    terms = pipeline.terminology(study)
    one, other = (
        pipeline.derive(frames, study, terms, Issues())[2]["findings"] for frames in (data, mixed)
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_retired_code_is_given_by_nothing_and_has_a_successor() -> None:
    assert not RETIRED.keys() & CATALOGUE.keys()
    assert set(RETIRED.values()) <= CATALOGUE.keys()


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("LUNG", "LUNG"),
        ("LUNG, LEFT UPPER LOBE", "LUNG"),
        ("Left kidney", "KIDNEY"),
        ("PARATRACHEAL LYMPH NODE, UPPER", "LYMPH NODE"),
        ("T5 VERTEBRA", "BONE"),
        ("RIB 3", "BONE"),
        ("BONE MARROW", "BONE MARROW"),
        ("SKIN OF THE NECK", "SKIN"),
        ("CEREBELLUM", "BRAIN"),
        ("UNCINATE PROCESS OF PANCREAS", "PANCREAS"),
        ("GALLBLADDER", "GALLBLADDER"),
        ("BLADDER, DOME", "BLADDER"),
        ("LEFT OVARY", "OVARY"),
        ("LEFT", "LEFT"),
    ],
)
def test_organ(location: str, expected: str) -> None:
    assert organ(pd.Series([None, location], dtype="str")).fillna("-").tolist() == ["-", expected]


# -- the example study ------------------------------------------------------------------------


def test_findings_of_the_example_study(example: Path) -> None:
    """Two courses name no lesion. One subject has a doubtful new lesion that proves real: the
    derivation dates PD back to the doubt, the reader does not, and calls the rest a response."""
    found = pd.read_csv(example / "results/findings.csv", dtype="str")
    told = found["rule"] + " " + found["USUBJID"].str.slice(-6) + " " + found["record"]
    assert told.tolist() == [
        "Q10 03-005 RSSEQ 1",
        "Q12 03-005 RSSEQ 13",
        "Q16 02-002 PRSEQ 1",
        "Q16 03-006 PRSEQ 1",
    ]


# -- bad input, end to end --------------------------------------------------------------------

SDTM = {
    "dm": """
STUDYID,DOMAIN,USUBJID,SUBJID,RFICDTC,DTHDTC
S,DM,01,01,2021-02-01,2021-05-01
""",
    "ex": """
STUDYID,DOMAIN,USUBJID,EXSEQ,EXTRT,EXDOSE,EXSTDTC
S,EX,01,1,DRUG,200,2021-03-01
""",
    "tu": """
STUDYID,DOMAIN,USUBJID,TUSEQ,TULNKID,TUTESTCD,TUSTRESC,TULOC,TUEVAL,TUDTC
S,TU,01,1,T01,TUMIDENT,TARGET,LIVER,INVESTIGATOR,2021-02-20
S,TU,01,2,T02,TUMIDENT,TARGET,LUNG,INVESTIGATOR,2021-02-20
S,TU,01,3,R1-T01,TUMIDENT,TARGET,LIVER,INDEPENDENT ASSESSOR,2021-02-20
""",
    "tr": """
STUDYID,DOMAIN,USUBJID,TRSEQ,TRLNKID,TRLNKGRP,TRTESTCD,TRORRES,TRSTRESC,TRSTRESN,TREVAL,TRDTC
S,TR,01,1,T01,A1,LDIAM,20,20,20,INVESTIGATOR,2021-02-20
S,TR,01,2,T02,A1,LDIAM,20,20,20,INVESTIGATOR,2021-02-20
S,TR,01,3,T01,A2,LDIAM,18,18,18,INVESTIGATOR,2021-04-12
S,TR,01,4,T01,A2,LDIAM,22,22,22,INVESTIGATOR,2021-04-12
S,TR,01,5,T02,A2,LDIAM,-14,-14,-14,INVESTIGATOR,2021-04-12
S,TR,01,6,T09,A2,LDIAM,30,30,30,INVESTIGATOR,2021-04-12
S,TR,01,7,T01,A3,LDIAM,18,18,18,INVESTIGATOR,2021-05-24
S,TR,01,8,R1-T01,A2,LDIAM,19,19,19,INDEPENDENT ASSESSOR,2021-04-12
""",
}
BAD = {
    "a lesion measured twice on one date": ("RS0003", "01 TRSEQ 4"),
    "a negative diameter": ("RS0002", "01 TRSEQ 5"),
    "a date after death": ("QC0018", "01 TRSEQ 7"),
    "TR without TU": ("QC0006", "01 TRSEQ 6"),
    "two evaluators": ("RS0008", "01 TRSEQ 8"),
}


@pytest.fixture(scope="module")
def bad_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "sdtm").mkdir()
    for name, text in SDTM.items():
        (folder / "sdtm" / f"{name}.csv").write_text(text.lstrip(), encoding="utf-8")
    args = ["adam", str(folder / "sdtm"), "--out", str(folder / "out"), "--format", "csv"]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    return folder / "out"


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_an_issue_with_subject_record_and_rule(what: str, bad_input: Path) -> None:
    code, sample = BAD[what]
    issues = pd.read_csv(bad_input / "issues.csv", dtype="str", keep_default_na=False)
    mine = issues[issues["code"] == code]
    assert sample in "; ".join(mine["samples"]).split("; ")
    assert (mine["title"] != "").all()
    assert (mine["hint"] != "").all()


def test_bad_measurements_are_not_guessed(bad_input: Path) -> None:
    sums = pd.read_csv(bad_input / "adam/adtr.csv")
    week6 = sums[(sums["PARAMCD"] == "SDIAM") & (sums["TRLNKGRP"] == "A2")]
    assert week6["LSASS"].tolist() == ["T01"], "the negative diameter is no measurement"
    assert week6["AVAL"].tolist() == [22], "the last of two records of a day, told by RS0003"
    assert week6["ANL01FL"].isna().all()
