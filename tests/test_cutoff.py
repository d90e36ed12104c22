"""The data cut-off: ADaM is derived as though nothing had been collected after that day."""

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc import pipeline
from fhir2cdisc.adam.cutoff import records_until
from fhir2cdisc.adam.datasets.adae import ADAE
from fhir2cdisc.adam.datasets.adsl import ADSL
from fhir2cdisc.converters.sdtm_to_adam import derive_datasets
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study, read_study
from lesion_data import NoTerms


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith(("SEQ", "DOSE")):
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame


CUTOFF = date(2021, 6, 30)
DATA = {
    "DM": """
USUBJID | STUDYID | RFICDTC    | RFXENDTC   | DTHDTC     | DTHFL
01      | S       | 2021-01-01 | 2021-08-01 | 2021-09-01 | Y
02      | S       | 2021-01-01 | 2021-06-01 | 2021-06-20 | Y
03      | S       | 2021-01-01 |            |            | Y
04      | S       | 2021-07-10 |            |            |
""",
    "DS": """
USUBJID | DSSEQ | DSDECOD            | DSCAT              | DSSTDTC
01      | 1     | ENTERED INTO TRIAL | PROTOCOL MILESTONE | 2021-01-05
03      | 1     | DEATH              | DISPOSITION EVENT  | 2021-07-04
04      | 1     | ENTERED INTO TRIAL | PROTOCOL MILESTONE | 2021-07-12
""",
    "EX": """
USUBJID | EXSEQ | EXTRT | EXDOSE | EXSTDTC          | EXENDTC
01      | 1     | DRUG  | 200    | 2021-06-30T23:50 | 2021-07-01T00:20
01      | 2     | DRUG  | 200    | 2021-08-01       | 2021-08-01
02      | 1     | DRUG  | 200    | 2021-06-01       | 2021-06-01
""",
    "CM": """
USUBJID | CMSEQ | CMCAT              | CMSTDTC
01      | 1     | ON-STUDY ANTICANCER | 2021-07
02      | 1     | ON-STUDY ANTICANCER | 2021-06
""",
    "AE": """
USUBJID | AESEQ | AETERM | AESTDTC    | AEENDTC    | AEOUT              | AESDTH | AETOXGR
01      | 1     | A      | 2021-06-30 | 2021-07-01 | RECOVERED/RESOLVED |        | 2
01      | 2     | B      | 2021-06-30 |            | FATAL              | Y      | 5
01      | 3     | C      | 2021-07-01 |            | FATAL              | Y      | 5
02      | 1     | D      | 2021-06-10 | 2021-06-20 | FATAL              | Y      | 5
02      | 2     | E      | 2021       |            |                    |        | 2
""",
}


def cut(day: date | None = CUTOFF) -> tuple[dict[str, pd.DataFrame], Issues]:
    issues = Issues()
    return records_until({name: table(text) for name, text in DATA.items()}, day, issues), issues


@pytest.mark.parametrize(
    ("domain", "kept", "why"),
    [
        ("DM", ["01", "02", "03", "04"], "every subject stays"),
        ("DS", ["01 1"], "a milestone and a death beyond the day"),
        ("EX", ["01 1", "02 1"], "the day itself counts to its last minute"),
        ("CM", ["02 1"], "a known month may be within, or is beyond"),
        ("AE", ["01 1", "01 2", "02 1", "02 2"], "a known year may be within"),
    ],
)
def test_records_that_begin_after_the_day_are_left_out(
    domain: str, kept: list[str], why: str
) -> None:
    frame = cut()[0][domain]
    names = frame["USUBJID"]
    if domain != "DM":
        names = names + frame[f"{domain}SEQ"].map(" {:g}".format)
    assert names.tolist() == kept, why


def test_what_ends_after_the_day_has_no_end_yet() -> None:
    data, _ = cut()
    assert data["EX"]["EXENDTC"].fillna("").tolist() == ["", "2021-06-01"]
    assert data["AE"]["AEENDTC"].fillna("").tolist() == ["", "", "2021-06-20", ""]
    assert data["AE"]["AEOUT"].fillna("").tolist() == ["", "", "FATAL", ""]
    assert data["AE"]["AESDTH"].fillna("").tolist() == ["", "", "Y", ""]


def test_a_later_death_has_not_happened_yet() -> None:
    data, _ = cut()
    assert data["DM"]["DTHFL"].fillna("").tolist() == ["", "Y", "", ""]
    assert data["DM"]["DTHDTC"].fillna("").tolist() == ["", "2021-06-20", "", ""]
    assert data["DM"]["RFICDTC"].isna().tolist() == [False, False, False, True]


def test_analysis_ends_at_the_cutoff_and_says_what_it_leaves_out() -> None:
    data, issues = cut()
    study = Study(study={"data_cutoff": CUTOFF})  # type: ignore[arg-type]
    made = derive_datasets([ADSL, ADAE], data, study, NoTerms(), issues)
    adsl = made["ADSL"].frame.set_index("USUBJID")
    assert adsl["LSTALVDT"].max() <= pd.Timestamp(CUTOFF)
    assert adsl["TRTEDT"].astype("str").tolist()[:2] == ["2021-06-30", "2021-06-01"]
    assert adsl["DTHFL"].fillna("").tolist() == ["", "Y", "", ""]
    assert adsl["ENRLFL"].tolist() == ["Y", "Y", "Y", "N"]
    assert len(made["ADAE"].frame) == 4
    assert "AD0011" not in {issue.code for issue in issues}, "the fatal event ended later"
    told = {issue.message: issue.count for issue in issues if issue.code == "AD0020"}
    assert told == {
        "AE: after 2021-06-30": 1,
        "CM: after 2021-06-30": 1,
        "DS: after 2021-06-30": 2,
        "EX: after 2021-06-30": 1,
    }


def test_an_assumed_date_of_death_is_not_after_the_cutoff() -> None:
    data = {"DM": "USUBJID | RFICDTC | DTHDTC\n01 | 2021-06-30 | 2021-06"}
    study = Study(study={"data_cutoff": CUTOFF})  # type: ignore[arg-type]
    frames = records_until({"DM": table(data["DM"])}, date(2021, 6, 29), Issues())
    assert frames["DM"]["DTHDTC"].tolist() == ["2021-06"], "it may have been before"
    frames = records_until({"DM": table(data["DM"])}, CUTOFF, Issues())
    early = Study(study={"data_cutoff": date(2021, 6, 10)})  # type: ignore[arg-type]
    for one, day in ((study, "2021-06-30"), (early, "2021-06-10")):
        adsl = derive_datasets([ADSL], frames, one, NoTerms(), Issues())["ADSL"].frame
        assert adsl["DTHDT"].tolist() == [pd.Timestamp(day)]


def test_the_study_says_the_day_and_sdtm_keeps_everything(
    example_study: Path, tmp_path: Path
) -> None:
    file = tmp_path / "study.toml"
    text = example_study.read_text(encoding="utf-8")
    file.write_text(text.replace("[study]", "[study]\ndata_cutoff = 2024-09-30"), encoding="utf-8")
    package = pipeline.convert([example_study.parent], read_study(file))
    last = pd.Timestamp("2024-09-30")
    assert package.sdtm["EX"].frame["EXSTDTC"].max() > "2024-10"
    adsl = package.adam["ADSL"].frame
    assert adsl[["LSTALVDT", "TRTEDT", "DTHDT", "NACTDT", "EOSDT"]].max().max() <= last
    assert package.adam["ADTTE"].frame["ADT"].max() <= last
    assert package.adam["ADAE"].frame[["ASTDT", "AENDT"]].max().max() <= last
    assert package.run["settings"]["study"]["data_cutoff"] == "2024-09-30"
    assert "AD0020" in {issue.code for issue in package.issues}


def test_without_a_cutoff_nothing_changes() -> None:
    data, issues = cut(None)
    for name, text in DATA.items():
        assert_frame_equal(data[name], table(text))
    assert not len(issues)


@given(day=st.dates(date(2020, 12, 1), date(2021, 12, 1)), later=st.integers(0, 200))
def test_an_earlier_cutoff_sees_no_more_than_a_later_one(day: date, later: int) -> None:
    early, _ = cut(day)
    late, _ = cut(day + timedelta(days=later))
    again = records_until(late, day, Issues())
    for name, frame in early.items():
        assert len(frame) <= len(late[name])
        if name != "DM":  # an undated death of DM is told by a disposition that the first cut drops
            assert_frame_equal(again[name], frame)
