"""ADSL: small SDTM tables in, the variables expected out; and the imputation of dates."""

from __future__ import annotations

from io import StringIO

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc.adam.datasets.adsl import ADSL
from fhir2cdisc.adam.imputation import add_months, impute_death, impute_end, impute_start
from fhir2cdisc.converters.sdtm_to_adam import derive_datasets
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study
from lesion_data import NoTerms

NUMBERS = ("SEQ", "NUM", "DOSE", "STRESN", "AGE", "VISITNUM")


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith(NUMBERS) and name != "IDVARVAL":
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame


def adsl_of(data: dict[str, str], study: Study | None = None) -> tuple[pd.DataFrame, Issues]:
    """ADSL of SDTM tables; DM gets what every subject has."""
    frames = {name: table(text) for name, text in data.items()}
    frames["DM"] = frames["DM"].assign(STUDYID="S", SUBJID=frames["DM"]["USUBJID"])
    issues = Issues()
    made = derive_datasets([ADSL], frames, study or Study(), NoTerms(), issues)
    return made["ADSL"].frame.set_index("USUBJID"), issues


def dates(values: list[str | None]) -> pd.Series:
    return pd.to_datetime(pd.Series(values, dtype="str")).astype("datetime64[s]")


PARTIAL = [
    # DTC, not before, not after -> start, flag; why
    ("2021-03-05", "2021-03-10", None, "2021-03-05", None, "complete: as it is"),
    ("2021-03-05T23:50", None, None, "2021-03-05", None, "the time is no part of the date"),
    ("2021-03", None, None, "2021-03-01", "D", "first of the month"),
    ("2021", None, None, "2021-01-01", "M", "first of January"),
    ("2021---05", None, None, "2021-01-01", "M", "a day without a month says nothing"),
    ("2021-03", "2021-03-10", None, "2021-03-10", "D", "same month: not before treatment"),
    ("2021", "2021-03-10", None, "2021-03-10", "M", "same year: not before treatment"),
    ("2021-02", "2021-03-10", None, "2021-02-01", "D", "the month before: it was before treatment"),
    ("2021-03", "2021-03-10", "2021-03-04", "2021-03-04", "D", "it ended before treatment"),
    ("2021-03", None, "2021-02-04", "2021-03-01", "D", "a contradiction: the known month stands"),
    ("2021-13", None, None, None, None, "no date of the calendar"),
    ("--12-15", None, None, None, None, "without a year nothing is assumed"),
    (None, "2021-03-10", None, None, None, "nothing is known"),
]


@pytest.mark.parametrize(("dtc", "after", "before", "date", "flag", "why"), PARTIAL)
def test_partial_start(
    dtc: str | None, after: str | None, before: str | None, date: str, flag: str, why: str
) -> None:
    made = impute_start(pd.Series([dtc], dtype="str"), dates([after]), dates([before]))
    assert made.date.equals(dates([date])), why
    assert made.flag.equals(pd.Series([flag], dtype="str")), why


@pytest.mark.parametrize(
    ("dtc", "death", "date", "flag", "why"),
    [
        ("2021-02", None, "2021-02-28", "D", "last of the month"),
        ("2020-02", None, "2020-02-29", "D", "leap year"),
        ("2021", None, "2021-12-31", "M", "last of the year"),
        ("2021-03", "2021-03-10", "2021-03-10", "D", "not after death"),
        ("2021-03-12", "2021-03-10", "2021-03-12", None, "a complete date is never changed"),
    ],
)
def test_partial_end(dtc: str, death: str | None, date: str, flag: str, why: str) -> None:
    made = impute_end(pd.Series([dtc], dtype="str"), dates([death]))
    assert made.date.equals(dates([date])), why
    assert made.flag.equals(pd.Series([flag], dtype="str")), why


@pytest.mark.parametrize(
    ("dtc", "alive", "day", "date", "why"),
    [
        ("2021-03", None, 1, "2021-03-01", "first of the month"),
        ("2021-03", None, 15, "2021-03-15", "the setting"),
        ("2021-03", "2021-03-20", 1, "2021-03-21", "the day after the last contact"),
        ("2021-03", "2021-03-31", 1, "2021-03-31", "but within the known month"),
        ("2021-03", "2021-05-01", 1, "2021-03-31", "a later contact is wrong, not the month"),
        ("2021", "2021-03-31", 1, "2021-04-01", "a known year: after the last contact"),
        ("2021-03-04", "2021-03-20", 1, "2021-03-04", "complete: as it is"),
    ],
)
def test_partial_death(dtc: str, alive: str | None, day: int, date: str, why: str) -> None:
    made = impute_death(pd.Series([dtc], dtype="str"), dates([alive]), day)
    assert made.date.equals(dates([date])), why


@pytest.mark.parametrize(
    ("start", "end"),
    [("2021-01-15", "2021-07-15"), ("2021-08-31", "2022-02-28"), ("2019-08-30", "2020-02-29")],
)
def test_six_calendar_months_are_clipped_to_the_end_of_the_month(start: str, end: str) -> None:
    assert add_months(dates([start]), 6).equals(dates([end]))


def test_enrolment_falls_back_and_says_so() -> None:
    adsl, issues = adsl_of(
        {
            "DM": """
USUBJID | RFICDTC    | ARMNRS         | ARM | ACTARM
01      | 2021-01-01 |                | A   | A
02      | 2021-01-01 |                | A   | A
03      | 2021-01-01 |                | A   | A
04      | 2021-01-01 | SCREEN FAILURE |     |
05      |            |                | A   | A
06      |            |                |     |
""",
            "DS": """
USUBJID | DSSEQ | DSDECOD                  | DSCAT              | DSSTDTC
01      | 1     | ELIGIBILITY CRITERIA MET | PROTOCOL MILESTONE | 2021-01-05
01      | 2     | ENTERED INTO TRIAL       | PROTOCOL MILESTONE | 2021-01-08
02      | 1     | ELIGIBILITY CRITERIA MET | PROTOCOL MILESTONE | 2021-01-05
02      | 2     | ENTERED INTO TRIAL       | PROTOCOL MILESTONE | 2021-01
""",
            "EX": """
USUBJID | EXSEQ | EXTRT | EXDOSE | EXSTDTC
01      | 1     | DRUG  | 200    | 2021-01-10
05      | 1     | DRUG  | 200    | 2021-02-10
""",
        }
    )
    expected = pd.DataFrame(
        {
            "ENRLFL": ["Y", "Y", "Y", "N", "Y", "N"],
            "FASFL": ["Y", "N", "N", "N", "Y", "N"],
            "ENRLSRC": [
                "ENTERED INTO TRIAL", "ELIGIBILITY CRITERIA MET", "INFORMED CONSENT OBTAINED",
                None, None, None,
            ],
            "STARTSRC": ["ENRLDT", "ENRLDT", "ENRLDT", None, "TRTSDT", None],
            "STARTDT0": list(
                dates(["2021-01-08", "2021-01-05", "2021-01-01", None, "2021-02-10", None])
            ),
        },
        index=pd.Index(["01", "02", "03", "04", "05", "06"], name="USUBJID", dtype="str"),
    )  # fmt: skip
    assert_frame_equal(adsl[expected.columns], expected, check_dtype=False)
    found = {(i.code, i.count) for i in issues if i.code == "AD0005"}
    assert found == {("AD0005", 2), ("AD0005", 1)}


def test_treatment_starts_with_radiotherapy_that_is_only_in_pr() -> None:
    adsl, _ = adsl_of(
        {
            "DM": "USUBJID | RFICDTC | ARM\n01 | 2021-01-01 | A\n02 | 2021-01-01 | A",
            "EX": """
USUBJID | EXSEQ | EXTRT | EXCAT | EXDOSE | EXDOSU | EXSTDTC    | EXENDTC
01      | 1     | DRUG  |       | 200    | mg     | 2021-01-20 | 2021-01-20
01      | 2     | DRUG  |       | 0      | mg     | 2021-02-10 | 2021-02-10
01      | 3     | DRUG  |       | 200    | mg     | 2021-03-03 |
""",
            "PR": """
USUBJID | PRSEQ | PRCAT             | PRDOSE | PRDOSU | PRLOC | PRSTDTC    | PRENDTC
01      | 1     | RADIATION THERAPY | 2400   | cGy    | LUNG  | 2021-01-12 | 2021-01-16
01      | 2     | RADIATION THERAPY | 8      | Gy     | BONE  | 2021-05-01 | 2021-05-01
""",
            "SUPPPR": """
USUBJID | IDVAR | IDVARVAL | QNAM     | QVAL
01      | PRSEQ | 1        | PRPROTFL | Y
""",
        }
    )
    got = adsl.loc["01"]
    days = ["TRTSDT", "TRTEDT", "RTSDT", "RTEDT", "PD1SDT", "PD1EDT", "NACTDT"]
    expected = ["2021-01-12", "2021-03-03", "2021-01-12", "2021-01-16", "2021-01-20"]
    expected += ["2021-03-03", "2021-05-01"]
    assert list(got[days].astype("str").str.slice(0, 10)) == expected
    assert (got["NRTSITE"], got["RTDOSTOT"], got["TRTSEQA"]) == (1, 24, "RT + PD-1")
    assert list(adsl["SAFFL"]) == ["Y", "N"]


@pytest.mark.parametrize(
    ("ex", "pr", "start", "safety", "why"),
    [
        ("200 | 2021-01-20 |", "", "2021-01-20", "Y", "a dose"),
        (" | 2021-01-20 |", "", "2021-01-20", "Y", "a dose that is not stated was given"),
        ("112.5 | 2021-01-20 |", "", "2021-01-20", "Y", "an infusion that was stopped"),
        ("0 | 2021-01-20 |", "", None, "N", "a dose of 0 only, whatever RFXSTDTC says"),
        ("200 | 2021-01 |", "", "2021-02-02", "Y", "a partial date: RFXSTDTC stands in"),
        ("", "8 | 1 | | 2021-01-21", "2021-01-21", "Y", "one fraction"),
        ("", "0 | | | 2021-01-21", None, "N", "no dose in PR, nothing in EX"),
        ("", "", "2021-02-02", "Y", "no record at all: RFXSTDTC stands in"),
        ("0 | 2021-01-20 |", "0 | | | 2021-01-21", None, "N", "nothing given in either"),
        ("0 | 2021-01-20 |", " | 0 | | 2021-01-21", None, "N", "no fraction"),
        ("0 | 2021-01-20 |", "8 | 1 | N | 2021-01-21", None, "N", "it did not occur"),
        ("0 | 2021-01-20 |", "8 | 1 | | 2021-01-21", "2021-01-21", "Y", "radiotherapy alone"),
    ],
)
def test_who_was_treated(ex: str, pr: str, start: str | None, safety: str, why: str) -> None:
    data = {
        "DM": "USUBJID | RFICDTC | RFXSTDTC | ARM\n01 | 2021-01-01 | 2021-02-02 | A",
        "EX": "USUBJID | EXSEQ | EXTRT | EXDOSE | EXSTDTC | EXDOSU\n"
        + (f"01 | 1 | DRUG | {ex}" if ex else ""),
        "PR": "USUBJID | PRSEQ | PRCAT | PRDOSE | PRFRNUM | PROCCUR | PRSTDTC\n"
        + (f"01 | 1 | RADIATION THERAPY | {pr}" if pr else ""),
    }
    frames = {name: table(text) for name, text in data.items()}
    fractions = frames["PR"].pop("PRFRNUM").dropna()
    frames["SUPPPR"] = pd.DataFrame(
        {"USUBJID": "01", "IDVAR": "PRSEQ", "IDVARVAL": "1", "QNAM": "PRFRNUM",
         "QVAL": fractions.map("{:g}".format)}
    )  # fmt: skip
    derived = ADSL.derive(frames, Study(), Issues()).frame
    assert derived["SAFFL"].tolist() == [safety], why
    assert derived["TRTSDT"].equals(dates([start])), why


def test_a_treated_subject_without_a_date_is_told() -> None:
    data = {"DM": "USUBJID | RFICDTC\n01 | 2021-01-01",
            "EX": "USUBJID | EXSEQ | EXTRT | EXSTDTC\n01 | 1 | DRUG | 2021-02"}  # fmt: skip
    adsl, issues = adsl_of(data)
    assert adsl["SAFFL"].tolist() == ["Y"]
    assert adsl["TRTSDT"].isna().all()
    assert "AD0021" in {issue.code for issue in issues}


COURSES = """
USUBJID | PRSEQ | PRCAT             | PRLNKID | PRLOC | PRLAT | PRDOSE | PRDOSU | PRSTDTC
01      | 1     | RADIATION THERAPY | T01     | LIVER |       | 24     | Gy     | 2021-01-12
01      | 2     | RADIATION THERAPY | T01     | LIVER |       | 600    | cGy    | 2021-02-12
02      | 1     | RADIATION THERAPY | RT1     | LIVER |       | 24     | Gy     | 2021-01-12
02      | 2     | RADIATION THERAPY | RT2     | LIVER |       | 24     | Gy     | 2021-01-12
02      | 3     | RADIATION THERAPY | RT3     | LIVER |       | 6      | Gy     | 2021-02-12
03      | 1     | RADIATION THERAPY | RT1     | LUNG  | LEFT  | 24     | Gy     | 2021-01-12
03      | 2     | RADIATION THERAPY | RT2     | LUNG  | LEFT  | 8      | Gy     | 2021-02-12
03      | 3     | RADIATION THERAPY | RT3     | LUNG  | RIGHT | 8      | Gy     | 2021-01-12
04      | 1     | RADIATION THERAPY | RT1     |       |       | 24     | Gy     | 2021-01-12
04      | 2     | RADIATION THERAPY | RT2     |       |       |        |        | 2021-01-12
"""


@pytest.mark.parametrize(
    ("subject", "sites", "dose", "why"),
    [
        ("01", 1, 30, "two courses of one lesion; cGy is Gy / 100"),
        ("02", 2, 54, "two lesions of one organ; the boost treats one of them again"),
        ("03", 2, 40, "no lesion: location and side; two courses of one place"),
        ("04", 2, None, "no lesion and no place: each link is a site; one dose is not known"),
        ("05", 1, 24, "only in EX, a record a fraction"),
    ],
)
def test_sites_and_dose_of_several_courses(
    subject: str, sites: int, dose: float | None, why: str
) -> None:
    data = {
        "DM": "\n".join(["USUBJID | RFICDTC"] + [f"0{n} | 2021-01-01" for n in range(1, 6)]),
        "PR": COURSES,
        "TU": """
USUBJID | TUSEQ | TULNKID | TUTESTCD | TUSTRESC | TULOC | TUDTC
01      | 1     | T01     | TUMIDENT | TARGET   | LIVER | 2021-01-02
02      | 1     | T01     | TUMIDENT | TARGET   | LIVER | 2021-01-02
02      | 2     | T02     | TUMIDENT | TARGET   | LIVER | 2021-01-02
""",
        "RELREC": """
USUBJID | RDOMAIN | IDVAR   | IDVARVAL | RELID
02      | PR      | PRSEQ   | 1        | R1
02      | TU      | TULNKID | T01      | R1
02      | PR      | PRSEQ   | 2        | R2
02      | TU      | TULNKID | T02      | R2
02      | PR      | PRSEQ   | 3        | R3
02      | TU      | TUSEQ   | 1        | R3
""",
        "EX": """
USUBJID | EXSEQ | EXTRT        | EXCAT             | EXLOC | EXDOSE | EXDOSU | EXSTDTC
05      | 1     | RADIOTHERAPY | RADIATION THERAPY | LIVER | 8      | Gy     | 2021-01-12
05      | 2     | RADIOTHERAPY | RADIATION THERAPY | LIVER | 8      | Gy     | 2021-01-13
05      | 3     | RADIOTHERAPY | RADIATION THERAPY | LIVER | 8      | Gy     | 2021-01-14
""",
    }
    adsl, _ = adsl_of(data)
    assert adsl.loc[subject, "NRTSITE"] == sites, why
    total = adsl.loc[subject, "RTDOSTOT"]
    assert (total == dose) if dose is not None else pd.isna(total), why


def test_without_marks_the_link_to_ex_tells_protocol_radiotherapy() -> None:
    data = {
        "DM": "USUBJID | RFICDTC\n01 | 2021-01-01",
        "PR": """
USUBJID | PRSEQ | PRCAT             | PRLNKID | PRDOSE | PRDOSU | PRSTDTC
01      | 1     | RADIATION THERAPY | RT1     | 24     | Gy     | 2021-01-12
01      | 2     | RADIATION THERAPY |         | 8      | Gy     | 2021-05-01
""",
    }
    everything, _ = adsl_of(data)
    data["EX"] = """
USUBJID | EXSEQ | EXTRT        | EXCAT             | EXLNKID | EXDOSE | EXDOSU | EXSTDTC
01      | 1     | RADIOTHERAPY | RADIATION THERAPY | RT1     | 24     | Gy     | 2021-01-12
"""
    linked, _ = adsl_of(data)
    assert everything["RTDOSTOT"].tolist() == [32]
    assert linked["RTDOSTOT"].tolist() == [24]
    assert everything["NACTDT"].isna().all()
    assert linked["NACTDT"].equals(dates(["2021-05-01"]).set_axis(linked.index))


def test_what_did_not_take_place_proves_nothing() -> None:
    adsl, _ = adsl_of(
        {
            "DM": "USUBJID | RFICDTC\n01 | 2021-01-01",
            "SV": "USUBJID | SVSEQ | SVOCCUR | SVSTDTC\n01 | 1 | N | 2021-06-01",
            "LB": "USUBJID | LBSEQ | LBSTAT | LBDTC\n01 | 1 | NOT DONE | 2021-05-01",
            "EX": "USUBJID | EXSEQ | EXTRT | EXDOSE | EXSTDTC\n01 | 1 | DRUG | 0 | 2021-04-01",
            "CM": "USUBJID | CMSEQ | CMOCCUR | CMCAT | CMSTDTC\n"
            "01 | 1 | N | ON-STUDY ANTICANCER | 2021-03-01",
            "VS": "USUBJID | VSSEQ | VSSTAT | VSDTC\n01 | 1 |  | 2021-02-01",
        }
    )
    assert adsl["LSTALVDT"].equals(dates(["2021-02-01"]).set_axis(adsl.index))
    assert adsl["NACTDT"].isna().all()


@pytest.mark.parametrize(
    ("subject", "cause", "group", "why"),
    [
        ("01", "Sepsis", "OTHER", "a fatal event that is not related"),
        ("02", "Pneumonitis", "TREATMENT-RELATED", "related to the drug; AEDECOD is empty"),
        ("03", "DISEASE PROGRESSION", "PROGRESSIVE DISEASE", "the primary cause before an event"),
        ("04", None, "UNKNOWN", "nothing is known"),
        ("05", "UNKNOWN", "UNKNOWN", "the cause is called unknown"),
        ("06", "Oesophageal fistula", "TREATMENT-RELATED", "related to radiotherapy; grade 5"),
        ("07", "Drug related toxicity", "TREATMENT-RELATED", "the words of the primary cause"),
        ("08", None, None, "alive"),
    ],
)
def test_cause_of_death(subject: str, cause: str | None, group: str | None, why: str) -> None:
    adsl, _ = adsl_of(
        {
            "DM": "\n".join(
                ["USUBJID | RFICDTC | DTHFL"]
                + [f"0{n} | 2021-01-01 | {'Y' if n < 8 else ''}" for n in range(1, 9)]
            ),
            "AE": """
USUBJID | AESEQ | AETERM              | AEDECOD | AEOUT | AESDTH | AETOXGR | AEREL
01      | 1     | Blood poisoning     | Sepsis  |       | Y      |         | NOT RELATED
02      | 1     | Pneumonitis         |         | FATAL |        |         | RELATED
03      | 1     | Sepsis              |         | FATAL |        |         | RELATED
06      | 1     | Oesophageal fistula |         |       |        | 5       | NOT RELATED
08      | 1     | Pain                |         |       |        | 2       | RELATED
""",
            "SUPPAE": """
USUBJID | IDVAR | IDVARVAL | QNAM    | QVAL
06      | AESEQ | 1        | AERELRT | RELATED
""",
            "DD": """
USUBJID | DDSEQ | DDTESTCD | DDSTRESC
03      | 1     | PRCDTH   | DISEASE PROGRESSION
05      | 1     | PRCDTH   | UNKNOWN
07      | 1     | PRCDTH   | Drug related toxicity
""",
        }
    )
    found = adsl.loc[subject, ["DTHCAUS", "DTHCGR1"]].astype("object")
    assert found.where(found.notna(), None).tolist() == [cause, group], why


def test_new_therapy_before_the_start_is_none_and_a_missing_day_is_the_first() -> None:
    adsl, issues = adsl_of(
        {
            "DM": "USUBJID | RFICDTC\n01 | 2021-01-10\n02 | 2021-01-10\n03 | 2021-01-10",
            "CM": """
USUBJID | CMSEQ | CMCAT              | CMSTDTC
01      | 1     | ON-STUDY ANTICANCER | 2020-12-01
01      | 2     | ON-STUDY ANTICANCER | 2021-06
01      | 3     | ON-STUDY ANTICANCER | 2021-07-01
02      | 1     | PRIOR ANTICANCER    | 2021-02-01
03      | 1     | ON-STUDY ANTICANCER | 2021
""",
        }
    )
    assert adsl["NACTDT"].equals(dates(["2021-06-01", None, None]).set_axis(adsl.index))
    assert adsl["NACTDTF"].fillna("").tolist() == ["D", "", ""]
    assert {i.count for i in issues if i.code == "AD0003"} == {1}


def test_the_last_contact_is_never_after_death() -> None:
    adsl, issues = adsl_of(
        {
            "DM": """
USUBJID | RFICDTC    | DTHFL | DTHDTC
01      | 2021-01-01 | Y     | 2021-03-01
02      | 2021-01-01 | Y     | 2021-03
03      | 2021-01-01 | Y     |
04      | 2021-01-01 |       |
""",
            "SS": """
USUBJID | SSSEQ | SSTESTCD | SSSTRESC | SSDTC
01      | 1     | SURVSTAT | ALIVE    | 2021-02-01
01      | 2     | SURVSTAT | DEAD     | 2021-04-01
02      | 1     | SURVSTAT | ALIVE    | 2021-03-05
04      | 1     | SURVSTAT | UNKNOWN  | 2021-06-01
""",
            "VS": """
USUBJID | VSSEQ | VSDTC
01      | 1     | 2021-03-02
04      | 1     | 2021-05-01
""",
            "DS": """
USUBJID | DSSEQ | DSDECOD           | DSCAT             | DSSCAT              | DSSTDTC
01      | 1     | DEATH             | DISPOSITION EVENT | STUDY PARTICIPATION | 2021-03-01
04      | 1     | LOST TO FOLLOW-UP | DISPOSITION EVENT | STUDY PARTICIPATION | 2021-09-01
""",
        }
    )
    assert adsl["DTHDT"].equals(
        dates(["2021-03-01", "2021-03-06", None, None]).set_axis(adsl.index)
    )
    assert adsl["LSTALVDT"].equals(
        dates(["2021-02-01", "2021-03-05", "2021-01-01", "2021-05-01"]).set_axis(adsl.index)
    )
    assert adsl["DTHFL"].fillna("").tolist() == ["Y", "Y", "Y", ""]
    assert adsl["EOSSTT"].tolist() == ["DISCONTINUED", "ONGOING", "ONGOING", "DISCONTINUED"]
    assert {i.code: i.count for i in issues} == {"AD0003": 1, "AD0004": 1, "AD0005": 4}


LESIONS = {
    "DM": "\n".join(["USUBJID | RFICDTC"] + [f"{i:02d} | 2021-01-01" for i in range(1, 6)]),
    "EX": "\n".join(
        ["USUBJID | EXSEQ | EXTRT | EXDOSE | EXSTDTC"]
        + [f"{i:02d} | 1 | DRUG | 200 | 2021-01-10" for i in range(1, 6)]
    ),
    "TU": """
USUBJID | TUSEQ | TULNKID | TUTESTCD | TUSTRESC   | TULOC | TUDTC
01      | 1     | T01     | TUMIDENT | TARGET     | LUNG  | 2021-01-02
01      | 2     | T02     | TUMIDENT | TARGET     | LIVER | 2021-01-02
02      | 1     | T01     | TUMIDENT | TARGET     | LUNG  | 2021-01-02
03      | 1     | T01     | TUMIDENT | TARGET     | LUNG  | 2021-01-02
04      | 1     | NT01    | TUMIDENT | NON-TARGET | LUNG  | 2021-01-02
""",
    "SUPPTU": """
USUBJID | IDVAR   | IDVARVAL | QNAM    | QVAL
01      | TULNKID | T01      | TUIRRAD | Y
01      | TULNKID | T02      | TUIRRAD | N
02      | TULNKID | T01      | TUIRRAD | N
""",
    "TR": """
USUBJID | TRSEQ | TRLNKID | TRLNKGRP | TRTESTCD | TRSTRESC | TRSTRESN | TRDTC
01      | 1     | T01     | A1       | LDIAM    | 20       | 20       | 2021-01-02
01      | 2     | T02     | A1       | LDIAM    | 30       | 30       | 2021-01-02
01      | 3     | T01     | A2       | LDIAM    | 18       | 18       | 2021-02-20
02      | 1     | T01     | A1       | LDIAM    | 20       | 20       | 2021-01-02
03      | 1     | T01     | A1       | LDIAM    | 20       | 20       | 2021-01-12
03      | 2     | T01     | A2       | LDIAM    | 20       | 20       | 2021-02-20
04      | 1     | NT01    | A1       | TUMSTATE | PRESENT  |          | 2021-01-02
""",
}


@pytest.mark.parametrize(
    ("subject", "values", "why"),
    [
        ("01", "Y Y Y Y 2 1 1", "measured at baseline and later"),
        ("02", "Y N N Y 1 1 0", "no later assessment, alive"),
        ("03", "N N N N 1 0 0", "measured after the first dose only: that is no baseline"),
        ("04", "Y N N N 0 0 0", "non-target lesions only"),
        ("05", "N N N N 0 0 0", "no lesion"),
    ],
)
def test_populations_that_need_lesions(subject: str, values: str, why: str) -> None:
    adsl, _ = adsl_of(LESIONS)
    names = ["BLADEQFL", "EVLFL", "NIEVLFL", "MDISFL", "NTRGB", "NTRGNI", "NTRGIR"]
    got = [f"{v:g}" if isinstance(v, float) else v for v in adsl.loc[subject, names]]
    assert " ".join(got) == values, why


def test_responses_without_measurements_make_subjects_evaluable() -> None:
    data = {
        "DM": """
USUBJID | RFICDTC
01      | 2021-01-01
02      | 2021-01-01
03      | 2021-01-01
04      | 2021-01-01
""",
        "EX": """
USUBJID | EXSEQ | EXTRT | EXSTDTC
01      | 1     | DRUG  | 2021-01-10
02      | 1     | DRUG  | 2021-01-10
03      | 1     | DRUG  | 2021-01-10
""",
        "RS": """
USUBJID | RSSEQ | RSTESTCD | RSSTRESC | RSEVAL               | RSDTC
01      | 1     | OVRLRESP | SD       | INVESTIGATOR         | 2021-02-20
02      | 1     | OVRLRESP | SD       | INDEPENDENT ASSESSOR | 2021-02-20
03      | 1     | OVRLRESP | SD       | INVESTIGATOR         | 2021-01-05
04      | 1     | OVRLRESP | SD       | INVESTIGATOR         | 2021-02-20
""",
    }
    adsl, _ = adsl_of(data)
    assert adsl["EVLFL"].tolist() == ["Y", "N", "N", "N"]
    assert adsl["NIEVLFL"].eq("N").all()
    del data["RS"]
    assert adsl_of(data)[0]["EVLFL"].eq("N").all()


def test_the_start_of_treatment_can_be_the_clock_start() -> None:
    adsl, _ = adsl_of(LESIONS, Study(endpoints={"start": "treatment", "months": 3}))  # type: ignore[arg-type]
    assert adsl["STARTSRC"].eq("TRTSDT").all()
    assert adsl["CUT6DT"].eq(pd.Timestamp("2021-04-10")).all()


def test_every_label_fits_into_forty_ascii_bytes() -> None:
    for name, label in ADSL.labels.items():
        assert label.isascii(), name
        assert 0 < len(label) <= 40, name


def test_every_row_has_a_parent() -> None:
    frames = {name: table(text) for name, text in LESIONS.items()}
    derived = ADSL.derive(frames, Study(), Issues())
    assert set(derived.parents["row"]) == set(range(5))
    assert set(derived.parents["parent"]) <= {"DM", "EX", "TR", "TU", "DS"}


@given(seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_the_order_of_records_does_not_matter(seed: int) -> None:
    frames = {name: table(text) for name, text in LESIONS.items()}
    mixed = {n: f.sample(frac=1, random_state=seed) for n, f in frames.items()}
    first = ADSL.derive(frames, Study(), Issues()).frame
    second = ADSL.derive(mixed, Study(), Issues()).frame
    assert_frame_equal(first, second)


def test_a_death_that_only_a_disposition_dates_is_told_and_a_fatal_event_alone_is_none() -> None:
    adsl, issues = adsl_of(
        {
            "DM": """
USUBJID | RFICDTC    | DTHFL
01      | 2021-01-01 | Y
02      | 2021-01-01 |
""",
            "DS": """
USUBJID | DSSEQ | DSDECOD | DSCAT             | DSSCAT              | DSSTDTC
01      | 1     | DEATH   | DISPOSITION EVENT | STUDY PARTICIPATION | 2021-03-01
""",
            "AE": """
USUBJID | AESEQ | AETERM | AEOUT | AESTDTC
02      | 1     | SEPSIS | FATAL | 2021-02-01
""",
        }
    )
    assert adsl["DTHDT"].notna().tolist() == [True, False]
    assert adsl["DTHFL"].fillna("").tolist() == ["Y", ""]
    assert "AD0010" in {issue.code for issue in issues}
