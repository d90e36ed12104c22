"""Lesions and their radiotherapy courses; lesions that only TU, or another reader, knows."""

from __future__ import annotations

import pandas as pd

from fhir2cdisc.core.issue import Issues
from lesion_data import TR, adsl_of, derive, dtc, text_frame, tr_row, tu_of

PR = ["USUBJID", "PRSEQ", "PRCAT", "PRLNKID", "PRDOSE", "PRDOSU", "PRSTDTC"]
SUPP = ["USUBJID", "IDVAR", "IDVARVAL", "QNAM", "QVAL"]


def study() -> dict[str, pd.DataFrame]:
    """Two targets that stay at 20 mm."""
    rows = [
        tr_row("01", n * 2 + k, f"T0{k}", f"A{n}", "LDIAM", "20", day)
        for n, day in enumerate((-1, 42, 84))
        for k in (1, 2)
    ]
    lesions = [("01", "T01", "TARGET", "LIVER", "Y"), ("01", "T02", "TARGET", "LUNG", "N")]
    return {"ADSL": adsl_of(["01"]), "TR": text_frame(rows, TR), **tu_of(lesions)}


def overall(data: dict[str, pd.DataFrame], issues: Issues | None = None) -> list[str]:
    adrs = derive(data, issues=issues)["ADRS"].frame
    return adrs["AVALC"][adrs["PARAMCD"] == "OVR"].tolist()


def test_dose_fractions_and_biological_dose_of_an_irradiated_lesion() -> None:
    data = study()
    courses = [
        ("01", 1, "RADIATION THERAPY", "T01", 2400.0, "cGy", dtc(0)),
        ("01", 2, "RADIATION THERAPY", "T01", 6.0, "Gy", dtc(9)),
    ]
    data["PR"] = text_frame(courses, PR).astype({"PRDOSE": "float64"})
    data["SUPPPR"] = text_frame(
        [("01", "PRSEQ", "1", "PRFRNUM", "3"), ("01", "PRSEQ", "2", "PRFRNUM", "3")], SUPP
    )
    lesion = derive(data)["ADLES"].frame.drop_duplicates("LESID").set_index("LESID")
    assert lesion.loc["T01", ["RTDOSE", "RTFRAC"]].tolist() == [30.0, 6.0]
    # 3 fractions of 8 Gy and 3 of 2 Gy: 24 * 1.8 + 6 * 1.2
    assert round(lesion.loc["T01", "BED10"], 6) == 50.4
    assert lesion.loc["T01", "RTSTDT"] == pd.Timestamp(str(dtc(0)))
    assert lesion.loc["T02", ["RTDOSE", "RTFRAC", "BED10", "RTSTDT"]].isna().all()


def test_a_course_of_several_lesions_is_linked_by_relrec() -> None:
    data = study()
    data["PR"] = text_frame([("01", 1, "RADIATION THERAPY", None, 30.0, "Gy", dtc(0))], PR)
    data["PR"]["PRDOSE"] = data["PR"]["PRDOSE"].astype("float64")
    related = [
        ("01", "PR", "PRSEQ", "1", "R1"),
        ("01", "TU", "TULNKID", "T01", "R1"),
        ("01", "TU", "TUSEQ", "2", "R1"),
    ]
    data["RELREC"] = text_frame(related, ["USUBJID", "RDOMAIN", "IDVAR", "IDVARVAL", "RELID"])
    lesion = derive(data)["ADLES"].frame.drop_duplicates("LESID")
    assert lesion["RTDOSE"].tolist() == [30.0, 30.0]


def test_the_dose_may_stand_in_ex() -> None:
    data = study()
    data["PR"] = text_frame([("01", 1, "RADIATION THERAPY", "T01", None, None, dtc(0))], PR)
    data["EX"] = pd.DataFrame(
        {"USUBJID": "01", "EXLNKID": "T01", "EXCAT": "RADIATION THERAPY", "EXDOSE": [24.0]}
    )
    lesion = derive(data)["ADLES"].frame.drop_duplicates("LESID")
    assert lesion["RTDOSE"].tolist()[0] == 24.0


def of_parameter(data: dict[str, pd.DataFrame], dataset: str, paramcd: str) -> list[str]:
    frame = derive(data)[dataset].frame
    return frame["AVALC"][frame["PARAMCD"] == paramcd].tolist()


def test_a_spared_lesion_that_the_protocol_irradiates_later_counts_in_all_only() -> None:
    data = study()
    courses = [
        ("01", 1, "RADIATION THERAPY", "T01", 30.0, "Gy", dtc(0)),
        ("01", 2, "RADIATION THERAPY", "T02", 20.0, "Gy", dtc(42)),
    ]
    data["PR"] = text_frame(courses, PR).astype({"PRDOSE": "float64"})
    issues = Issues()
    assert overall(data, issues) == ["SD", "SD"]
    assert not len(issues), "rule Q15 tells it"
    assert of_parameter(data, "ADRS", "OVRNI") == ["SD", "NE"]
    assert of_parameter(data, "ADRS", "OVRIR") == ["SD", "SD"]
    assert of_parameter(data, "ADLES", "LSRSP") == ["SD", "SD", "SD", "NE"]


def test_a_lesion_comes_from_its_identification_its_courses_and_their_doses() -> None:
    data = study()
    courses = [
        ("01", 1, "RADIATION THERAPY", "T01", 24.0, "Gy", dtc(0)),
        ("01", 2, "RADIATION THERAPY", "T01", None, None, dtc(9)),
    ]
    data["PR"] = text_frame(courses, PR)
    data["PR"]["PRDOSE"] = data["PR"]["PRDOSE"].astype("float64")
    data["EX"] = pd.DataFrame(
        {"USUBJID": "01", "EXSEQ": [7.0], "EXLNKID": "T01", "EXCAT": "RADIATION THERAPY",
         "EXDOSE": [6.0]}
    )  # fmt: skip
    adles = derive(data)["ADLES"]
    lines = adles.trace.merge(adles.frame[["LESID", "PARAMCD"]], left_on="row", right_index=True)
    for code in ("LSBRSP", "LSCTRL", "LSCTRLS", "LSPCHGB", "LTTP"):
        mine = lines[(lines["PARAMCD"] == code) & (lines["parent"] != "ADLES")]
        named = (mine["LESID"] + " " + mine["parent"] + " " + mine["parent_key"]).tolist()
        assert named == ["T01 EX 01|7", "T01 PR 01|1", "T01 PR 01|2", "T01 TU 01|1", "T02 TU 01|2"]


def test_a_lesion_irradiated_off_protocol_is_not_evaluable_on_later_scans() -> None:
    data = study()
    courses = [
        ("01", 1, "RADIATION THERAPY", "T01", 30.0, "Gy", dtc(0)),
        ("01", 2, "RADIATION THERAPY", "T02", 20.0, "Gy", dtc(42)),
    ]
    data["PR"] = text_frame(courses, PR).astype({"PRDOSE": "float64"})
    data["SUPPPR"] = text_frame([("01", "PRSEQ", "1", "PRPROTFL", "Y")], SUPP)
    issues = Issues()
    assert overall(data, issues) == ["SD", "NE"]
    assert [issue.code for issue in issues] == ["RS0012"]


def test_a_new_lesion_that_only_tu_knows_is_progression_on_its_date() -> None:
    data = study()
    new = text_frame(
        [("01", 3, "TUMIDENT", "NEW01", "NEW", "BONE", dtc(63))], list(data["TU"].columns)
    )
    data["TU"] = pd.concat([data["TU"], new], ignore_index=True)
    issues = Issues()
    assert overall(data, issues) == ["SD", "PD", "SD"]
    assert [issue.code for issue in issues] == ["RS0011", "RS0020"]


def test_other_evaluators_are_told_and_not_used() -> None:
    data = study()
    other = data["TR"].assign(TREVAL="INDEPENDENT ASSESSOR", TRSTRESN=50.0)
    other["TRSEQ"] += 6
    data["TR"] = pd.concat([data["TR"].assign(TREVAL="INVESTIGATOR"), other], ignore_index=True)
    issues = Issues()
    assert overall(data, issues) == ["SD", "SD"]
    assert [(issue.code, issue.count) for issue in issues] == [("RS0008", 6)]


def test_collected_and_derived_responses_stand_side_by_side() -> None:
    data = study()
    said = [("01", 1, "OVRLRESP", "PR", dtc(42)), ("01", 2, "OVRLRESP", "PR", dtc(84)),
            ("01", 3, "BESTRESP", "PR", dtc(84))]  # fmt: skip
    data["RS"] = text_frame(said, ["USUBJID", "RSSEQ", "RSTESTCD", "RSSTRESC", "RSDTC"])
    adrs = derive(data)["ADRS"].frame.drop_duplicates("PARAMCD").set_index("PARAMCD")
    shown = adrs.loc[["CBOR", "CBORINV", "BESTINV"], ["AVALC", "PARCAT2"]].to_numpy().tolist()
    assert shown == [["SD", "DERIVED"], ["PR", "INVESTIGATOR"], ["PR", "INVESTIGATOR"]]


def test_assessments_without_date_and_visit_number_keep_their_place_by_name() -> None:
    names = {
        "BASELINE": (100, -1),
        "WEEK 6": (60, 42),
        "WEEK 12": ("", None),
        "WEEK 18": ("", None),
    }
    rows = [
        tr_row("01", n, "T01", name, "LDIAM", str(size), day)
        for n, (name, (size, day)) in enumerate({**names, "WEEK 24": (60, 168)}.items(), 1)
    ]
    tu = tu_of([("01", "T01", "TARGET", "LIVER", "N")])
    data = {"ADSL": adsl_of(["01"]), "TR": text_frame(rows, TR), **tu}
    assert sorted(overall(data)) == ["NE", "NE", "PR", "PR"]
    adrs = derive(data)["ADRS"].frame.set_index("PARAMCD")["AVALC"]
    assert adrs["CBOR"] == "SD"  # two NE between: not confirmed
