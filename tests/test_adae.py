"""ADAE: what is treatment-emergent, severe, related and first."""

from __future__ import annotations

from datetime import date
from io import StringIO

import pandas as pd
import pytest

from fhir2cdisc.adam.datasets.adae import ADAE
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

ADSL_DATES = ("TRTSDT", "TRTEDT", "STARTDT0", "CUT6DT", "DTHDT", "NACTDT")


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith("SEQ"):
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame


def adae_of(
    ae: str, supp: str | None = None, study: Study | None = None, **dates: str | None
) -> tuple[pd.DataFrame, Issues]:
    """ADAE of 01, treated from 2021-01-10 to 2021-03-10, and of 02, not treated."""
    adsl = pd.DataFrame({"USUBJID": ["01", "02"], "SAFFL": ["Y", "N"]}, dtype="str")
    values = ("2021-01-10", "2021-03-10", "2021-01-05", "2021-07-05", "2021-12-24", "2021-03-15")
    for name, value in (dict(zip(ADSL_DATES, values, strict=True)) | dates).items():
        adsl[name] = pd.to_datetime(pd.Series([value, None])).astype("datetime64[s]")
    for name in ("STUDYID", "SUBJID", "SITEID", "SEX", "TRT01P", "TRT01A"):
        adsl[name] = pd.Series("X", index=adsl.index, dtype="str")
    adsl["AGE"] = 60.0
    data = {"ADSL": adsl, "AE": table(ae)}
    if supp is not None:
        data["SUPPAE"] = table(supp)
    issues = Issues()
    return ADAE.derive(data, study or Study(), issues).frame, issues


@pytest.mark.parametrize(
    ("start", "end", "flag", "why"),
    [
        ("2021-01-09", None, None, "the day before treatment"),
        ("2021-01-10", None, "Y", "the first day"),
        ("2021-04-09", None, "Y", "30 days after the last treatment"),
        ("2021-04-10", None, None, "31 days after"),
        ("2021-01", None, "Y", "may have been after the first dose: assumed on it"),
        ("2021-01", "2021-01-09", None, "ended before the first dose"),
        ("2021-04", None, "Y", "first of the month, within the window"),
        ("2020-12", None, None, "the month before"),
        ("2021", None, "Y", "the year of treatment"),
        (None, None, None, "no date: not counted, and reported"),
    ],
)
def test_window_of_treatment_emergence(start: str, end: str, flag: str | None, why: str) -> None:
    row = f"01 | 1 | PAIN | {start or ''} | {end or ''} | 3"
    adae, issues = adae_of(f"USUBJID | AESEQ | AETERM | AESTDTC | AEENDTC | AETOXGR\n{row}")
    assert adae["TRTEMFL"].equals(pd.Series([flag], dtype="str")), why
    assert adae["AE3FL"].equals(pd.Series([flag], dtype="str")), why
    assert any(i.code == "AD0006" for i in issues) == (start is None)


def test_the_window_is_a_setting() -> None:
    ae = "USUBJID | AESEQ | AETERM | AESTDTC\n01 | 1 | PAIN | 2021-05-01"
    assert adae_of(ae)[0]["TRTEMFL"].isna().all()
    study = Study(treatment={"teae_days": 90})  # type: ignore[arg-type]
    assert adae_of(ae, study=study)[0]["TRTEMFL"].eq("Y").all()


@pytest.mark.parametrize(
    ("start", "flag", "until_new_therapy", "why"),
    [
        ("2021-03-14", "Y", "Y", "the day before the new therapy"),
        ("2021-03-15", "Y", None, "the day of the new therapy"),
        ("2021-04-09", "Y", None, "30 days after the last treatment"),
    ],
)
def test_a_new_therapy_may_end_the_window(
    start: str, flag: str | None, until_new_therapy: str | None, why: str
) -> None:
    ae = f"USUBJID | AESEQ | AETERM | AESTDTC\n01 | 1 | PAIN | {start}"
    strict = Study(treatment={"teae_until_new_therapy": True})  # type: ignore[arg-type]
    for study, expected in ((Study(), flag), (strict, until_new_therapy)):
        adae, _ = adae_of(ae, study=study)
        assert adae["TRTEMFL"].equals(pd.Series([expected], dtype="str")), why
        nobody, _ = adae_of(ae, study=study, NACTDT=None)
        assert nobody["TRTEMFL"].tolist() == ["Y"]


def test_treatment_without_a_last_day_has_a_window_without_one() -> None:
    ae = "USUBJID | AESEQ | AETERM | AESTDTC\n01 | 1 | PAIN | 2024-01-01"
    assert adae_of(ae, TRTEDT=None)[0]["TRTEMFL"].tolist() == ["Y"]


def test_serious_and_immune_related_events_count_longer_in_a_sensitivity_analysis() -> None:
    adae, _ = adae_of(
        """
USUBJID | AESEQ | AETERM | AESTDTC    | AETOXGR | AESER
01      | 1     | A      | 2021-04-10 | 3       | N
01      | 2     | B      | 2021-04-10 | 3       | Y
01      | 3     | C      | 2021-06-08 | 3       |
01      | 4     | D      | 2021-06-09 | 3       | Y
01      | 5     | E      | 2021-02-01 | 3       | N
01      | 6     | F      | 2021-05-01 | 2       | Y
""",
        "USUBJID | IDVAR | IDVARVAL | QNAM | QVAL\n01 | AESEQ | 3 | AEIRFL | Y",
        CUT6DT="2021-05-31",
    )
    assert adae["TRTEMFL"].fillna("").tolist() == ["", "", "", "", "Y", ""]
    assert adae["TRTEMXFL"].fillna("").tolist() == ["", "Y", "Y", "", "Y", "Y"]
    assert adae["AE3XFL"].fillna("").tolist() == ["", "Y", "Y", "", "Y", ""]
    assert adae["ANL02FL"].fillna("").tolist() == ["", "Y", "", "", "Y", "Y"]


def test_an_open_end_is_not_assumed_after_the_data_cutoff() -> None:
    study = Study(study={"data_cutoff": date(2021, 3, 20)})  # type: ignore[arg-type]
    ae = "USUBJID | AESEQ | AETERM | AESTDTC | AEENDTC\n01 | 1 | PAIN | 2021-02-01 | 2021-03"
    for death in (None, "2021-04-01"):
        adae, _ = adae_of(ae, study=study, DTHDT=death)
        assert adae["AENDT"].tolist() == [pd.Timestamp("2021-03-20")]
    adae, _ = adae_of(ae, study=study, DTHDT="2021-03-18")
    assert adae["AENDT"].tolist() == [pd.Timestamp("2021-03-18")]


@pytest.mark.parametrize(
    ("grade", "flag", "why"),
    [
        ("2", None, "grade 2"),
        ("3", "Y", "grade 3"),
        ("5", "Y", "fatal"),
        ("", None, "a missing grade is not 3 or more"),
        ("SEVERE", None, "a word is no grade"),
    ],
)
def test_grade_3_or_more(grade: str, flag: str | None, why: str) -> None:
    adae, issues = adae_of(
        f"USUBJID | AESEQ | AETERM | AESTDTC | AETOXGR\n01 | 1 | PAIN | 2021-02-01 | {grade}"
    )
    assert adae["AE3FL"].equals(pd.Series([flag], dtype="str")), why
    missing = grade in ("", "SEVERE")
    assert any(i.code == "AD0007" for i in issues) == missing
    assert adae["AE3WCFL"].notna().tolist() == [missing or flag == "Y"], "the worst case"


def test_related_to_the_drug_or_to_radiotherapy() -> None:
    adae, _ = adae_of(
        """
USUBJID | AESEQ | AETERM | AESTDTC    | AETOXGR | AEREL
01      | 1     | A      | 2021-02-01 | 3       | POSSIBLY RELATED
01      | 2     | B      | 2021-02-01 | 3       | NOT RELATED
01      | 3     | C      | 2021-02-01 | 3       | UNLIKELY RELATED
01      | 4     | D      | 2021-02-01 | 2       | RELATED
01      | 5     | E      | 2021-02-01 | 3       |
""",
        """
USUBJID | IDVAR | IDVARVAL | QNAM    | QVAL
01      | AESEQ | 2        | AERELRT | RELATED
01      | AESEQ | 4        | AEIRFL  | Y
""",
    )
    assert adae["TRAE3FL"].fillna("").tolist() == ["Y", "Y", "", "", ""]
    assert adae["AERELIO"].fillna("").tolist() == ["Y", "", "", "Y", ""]
    assert adae["AERELRAD"].fillna("").tolist() == ["", "Y", "", "", ""]
    assert adae["AERELANY"].fillna("").tolist() == ["Y", "Y", "", "Y", ""]
    assert adae["IRAEFL"].fillna("").tolist() == ["", "", "", "Y", ""]
    assert adae["IRAE3FL"].isna().all(), "of grade 2"


def test_first_and_worst_occurrences() -> None:
    adae, _ = adae_of(
        """
USUBJID | AESEQ | AETERM | AEBODSYS | AEDECOD | AESTDTC    | AETOXGR
01      | 1     | A      | SKIN     | RASH    | 2021-02-03 | 3
01      | 2     | B      | SKIN     | RASH    | 2021-02-02 | 1
01      | 3     | C      | SKIN     | ITCH    | 2021-02-02 | 3
01      | 4     | D      | GUT      | NAUSEA  | 2021-02-09 |
01      | 5     | E      |          |         | 2021-02-09 | 4
01      | 6     | F      | SKIN     | RASH    | 2020-01-01 | 4
02      | 1     | G      | SKIN     | RASH    | 2021-02-02 | 3
"""
    )
    expected = {
        "AOCCFL": [2], "AOCCSFL": [2, 4], "AOCCPFL": [2, 3, 4],
        "AOCCIFL": [5], "AOCCSIFL": [3, 4], "AOCCPIFL": [1, 3, 4], "AOCC01FL": [3],
    }  # fmt: skip
    for name, sequences in expected.items():
        flagged = adae.loc[adae[name].eq("Y"), ["USUBJID", "AESEQ"]]
        assert flagged["AESEQ"].tolist() == sequences, name
        assert flagged["USUBJID"].eq("01").all(), name


def test_duration_and_days() -> None:
    adae, _ = adae_of(
        """
USUBJID | AESEQ | AETERM | AESTDTC    | AEENDTC
01      | 1     | A      | 2021-01-09 | 2021-01-10
01      | 2     | B      | 2021-02-01 | 2021-12
01      | 3     | C      | 2021-02-01 |
"""
    )
    assert adae["ASTDY"].tolist() == [-1, 23, 23]
    assert adae["ADURN"].tolist()[:2] == [2, 327]
    assert adae["AENDTF"].fillna("").tolist() == ["", "D", ""]
    assert adae["AENDT"].iloc[1] == pd.Timestamp("2021-12-24")  # the day of death
    assert adae["ADURU"].fillna("").tolist() == ["DAYS", "DAYS", ""]


def test_every_label_fits_into_forty_ascii_bytes() -> None:
    assert all(label.isascii() and 0 < len(label) <= 40 for label in ADAE.labels.values())
