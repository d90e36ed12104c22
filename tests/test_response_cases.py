"""Responses: the decision cases, and our own cases, which stand without them."""

from __future__ import annotations

import ast
import csv
import functools
import os
import tomllib
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fhir2cdisc.adam import evaluation, response
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study
from lesion_data import START, TR, adsl_of, derive, dtc, shuffled, text_frame, tr_row, tu_of

ROOT = Path(__file__).parents[1]
REFERENCE = Path(os.environ.get("FHIR2CDISC_REFERENCE", ROOT.parent / "shared")) / "cases"

Frames = Mapping[str, pd.DataFrame]


def read(name: str) -> list[dict[str, str]]:
    file = REFERENCE / name
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


needs_reference = pytest.mark.skipif(
    not read("recist_cases.csv"),
    reason="the decision cases are not here: name their folder in FHIR2CDISC_REFERENCE",
)


def day_of(date: object) -> int | None:
    return None if pd.isna(date) else int((pd.Timestamp(str(date)) - START).days)


# -- RECIST -----------------------------------------------------------------------------------


def lesion_of(case: str, name: str, place: str) -> tuple[str, str, str, str, str]:
    role = {"T": "TARGET", "N": "NON-TARGET"}.get(name[0], "TARGET")
    role = "NEW" if name.startswith("NEW") else role
    irradiated = "Y" if "#" in place else "N"
    return case, name, role, "LYMPH NODE" if "*" in place else "LIVER", irradiated


def recist_data(only: str = "") -> dict[str, pd.DataFrame]:
    """All decision cases (or one) as one study: a case is a subject."""
    visits, records = read("recist_cases.csv"), read("recist_cases_tr.csv")
    cases = {v["CASE"]: v for v in visits if not only or v["CASE"] == only}
    lesions = [
        lesion_of(case, item.rstrip("*#"), item)
        for case, v in cases.items()
        for item in v["LESIONS"].split()
    ]
    measured = [r for r in records if r["DOMAIN"] == "TR" and r["CASE"] in cases]
    new = {(r["CASE"], r["LNKID"]) for r in measured if r["GRPID"] == "NEW"}
    lesions += [lesion_of(case, name, "") for case, name in sorted(new)]
    tr = [
        tr_row(
            r["CASE"], n, r["LNKID"], f"A{int(r['DAY']) + 100:04}", r["TESTCD"],
            "TSTM" if r["ORRES"] == "TOO SMALL TO MEASURE" else r["ORRES"], int(r["DAY"]),
        )
        for n, r in enumerate(measured, 1)
    ]  # fmt: skip
    rs = [
        (r["CASE"], n, r["TESTCD"], r["ORRES"], dtc(int(r["DAY"])))
        for n, r in enumerate(records, 1)
        if r["DOMAIN"] == "RS" and r["CASE"] in cases
    ]
    therapy = {c: int(v["NACT_DAY"]) for c, v in cases.items() if v["NACT_DAY"]}
    data = {
        "ADSL": adsl_of(cases, therapy),
        "TR": text_frame(tr, TR),
        **tu_of(lesions),
    }
    if rs:
        data["RS"] = text_frame(rs, ["USUBJID", "RSSEQ", "RSTESTCD", "RSSTRESC", "RSDTC"])
    if not tr:
        del data["TR"], data["TU"]
    return data


@functools.cache
def recist() -> dict[str, pd.DataFrame]:
    """All cases with lesions in one study, in disorder; those with responses only on their own."""
    made = derive(shuffled({n: f for n, f in recist_data().items() if n != "RS"}, 7))
    frames = {name: dataset.frame for name, dataset in made.items()}
    told = [v["CASE"] for v in read("recist_cases.csv") if not v["LESIONS"]]
    for case in sorted(set(told)):
        alone = derive(recist_data(case))["ADRS"].frame
        rest = frames["ADRS"][frames["ADRS"]["USUBJID"] != case]
        frames["ADRS"] = pd.concat([rest, alone], ignore_index=True)
    return frames


def at_day(frame: pd.DataFrame, subject: str, paramcd: str, group: str, day: int) -> pd.DataFrame:
    """The record of the assessment of a day."""
    mine = (frame["USUBJID"] == subject) & (frame["PARAMCD"] == paramcd)
    return frame[mine & (frame[group] == f"A{day + 100:04}")]


def once(frame: pd.DataFrame, subject: str, paramcd: str) -> pd.Series:
    found = frame[(frame["USUBJID"] == subject) & (frame["PARAMCD"] == paramcd)]
    assert len(found) == 1, f"{subject} has {len(found)} records of {paramcd}"
    return found.iloc[0]


ENDING = {"ALL": "", "IRRAD": "IR", "NONIRRAD": "NI"}


@needs_reference
@pytest.mark.parametrize(
    "case", read("recist_cases.csv"), ids=lambda c: f"{c['CASE']} day {c['DAY']} {c['TITLE']}"
)
def test_assessment(case: dict[str, str]) -> None:
    adrs, subject, day = recist()["ADRS"], case["CASE"], int(case["DAY"])
    ending = ENDING[case["LESION_GROUP"]]
    if not case["LESIONS"]:
        overall = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == "OVR")]
        assert case["EXP_OVRLRESP"] in overall["AVALC"][overall["ADT"].map(day_of) == day].tolist()
        return
    for paramcd, name in (
        (f"OVR{ending}", "EXP_OVRLRESP"),
        ("TRG" if not ending else f"OVR{ending}", "EXP_TRGRESP"),
        ("NTRG", "EXP_NTRGRESP"),
    ):
        found = at_day(adrs, subject, paramcd, "RSLNKGRP", day)["AVALC"].tolist()
        assert found == [case[name]] * (case[name] != "NA"), name
    total = at_day(recist()["ADTR"], subject, f"SDIAM{ending}", "TRLNKGRP", day)
    assert len(total) == (1 if case["BASE_SUM"] else 0)
    if len(total):
        record = total.iloc[0]
        assert record["BASE"] == float(case["BASE_SUM"])
        assert record["NADIR"] == float(case["EXP_NADIR"])
        assert (record["ANL01FL"] == "Y") == bool(case["EXP_SUM"])
    if case["EXP_SUM"]:
        assert record["AVAL"] == float(case["EXP_SUM"])
        for name in ("PCHG", "CHGNAD", "PCHGNAD"):
            if case[f"EXP_{name}"]:
                assert round(record[name], 2) == pytest.approx(float(case[f"EXP_{name}"]), abs=5e-3)
            else:
                assert np.isnan(record[name]), name


@needs_reference
@pytest.mark.parametrize(
    "case", read("recist_cases_subject.csv"), ids=lambda c: f"{c['CASE']} {c['TITLE']}"
)
def test_best_response(case: dict[str, str]) -> None:
    adrs, subject = recist()["ADRS"], case["CASE"]
    ending = ENDING[case["LESION_GROUP"]]
    for paramcd in ("BOR", "CBOR"):
        record = once(adrs, subject, paramcd + ending)
        assert record["AVALC"] == case[f"EXP_{paramcd}"]
        assert str(day_of(record["ADT"])) == case[f"EXP_{paramcd}_DAY"]
    progression = once(adrs, subject, f"PD{ending}")
    assert progression["AVALC"] == ("Y" if case["EXP_PD_DAY"] else "N")
    assert day_of(progression["ADT"]) == (int(case["EXP_PD_DAY"]) if case["EXP_PD_DAY"] else None)
    if not ending:
        assert once(adrs, subject, "RSP")["AVALC"] == case["EXP_ORR_UNCONF"]
        assert once(adrs, subject, "CRSP")["AVALC"] == case["EXP_ORR_CONF"]
        assert once(adrs, subject, "CCB")["AVALC"] == case["EXP_DCR"]


@needs_reference
@pytest.mark.parametrize(
    ("case", "settings", "expected"),
    [
        ("C16", {"cr_reappear": "off"}, {"OVR": "PR", "PD": None}),
        ("C28", {"equivocal_backdate": False}, {"BOR": "PR", "CBOR": "SD", "PD": 84}),
        ("C41", {"max_ne_between": 2}, {"CBOR": "PR"}),
        ("C55", {"accept_sd_between": True}, {"CBOR": "PR"}),
        ("C73", {"cr_reappear": "after_target_cr"}, {"PD": 84}),
    ],
)
def test_other_settings_named_in_the_notes(
    case: str, settings: dict[str, object], expected: dict[str, object]
) -> None:
    study = Study(response=settings)  # type: ignore[arg-type]
    adrs = derive(recist_data(case), study)["ADRS"].frame
    for paramcd, value in expected.items():
        if paramcd == "PD":
            assert day_of(once(adrs, case, "PD")["ADT"]) == value
        elif paramcd == "OVR":
            assert adrs["AVALC"][adrs["PARAMCD"] == "OVR"].tolist()[-1] == value
        else:
            assert once(adrs, case, paramcd)["AVALC"] == value


# Rows: target; columns: CR, NON-CR/NON-PD, PD, NE and none of the non-target lesions.
OVERALL = """
CR | CR PR            PD PR CR
PR | PR PR            PD PR PR
SD | SD SD            PD SD SD
PD | PD PD            PD PD PD
NE | NE NE            PD NE NE
NA | CR NON-CR/NON-PD PD NE NED
"""


@pytest.mark.parametrize("line", OVERALL.strip().splitlines())
def test_overall_response_is_that_of_tables_1_and_2(line: str) -> None:
    target, expected = line.split(" | ")
    codes = [response.RESPONSES.index(n) for n in ("CR", "NON-CR/NON-PD", "PD", "NE", "NA")]
    of_target = np.full(5, response.RESPONSES.index(target))
    for new in (response.NO_NEW, response.NEW_EQUIVOCAL, response.NEW_UNEQUIVOCAL):
        overall = response.overall_response(of_target, np.array(codes), np.full(5, new))
        named = [response.RESPONSES[code] for code in overall]
        assert named == (["PD"] * 5 if new == response.NEW_UNEQUIVOCAL else expected.split())


# First and second response; BOR and CBOR if the first is late enough for SD, and if it is not.
PAIRS = """
CR CR | CR CR | CR CR
CR PR | CR SD | CR PD
CR SD | CR SD | CR PD
CR PD | CR SD | CR PD
CR NE | CR SD | CR NE
PR CR | CR PR | CR PR
PR PR | PR PR | PR PR
PR SD | PR SD | PR SD
PR PD | PR SD | PR PD
PR NE | PR SD | PR NE
SD CR | CR SD | CR SD
SD PR | PR SD | PR SD
SD SD | SD SD | SD SD
SD PD | SD SD | PD PD
SD NE | SD SD | NE NE
PD CR | PD PD | PD PD
PD PR | PD PD | PD PD
PD SD | PD PD | PD PD
PD PD | PD PD | PD PD
PD NE | PD PD | PD PD
NE CR | CR SD | CR SD
NE PR | PR SD | PR SD
NE SD | SD SD | SD SD
NE PD | PD PD | PD PD
NE NE | NE NE | NE NE
"""


def test_two_collected_responses_give_the_best_response_of_table_3() -> None:
    rs, expected = [], {}
    for n, line in enumerate(PAIRS.strip().splitlines()):
        pair, late, early = line.split(" | ")
        for name, days, best in ((f"{n:02}L", (42, 84), late), (f"{n:02}S", (28, 70), early)):
            rs += [
                (name, seq, "OVRLRESP", said_, dtc(day))
                for seq, (said_, day) in enumerate(zip(pair.split(), days, strict=True), 1)
            ]
            expected[name] = best.split()
    data = {
        "ADSL": adsl_of(expected),
        "RS": text_frame(rs, ["USUBJID", "RSSEQ", "RSTESTCD", "RSSTRESC", "RSDTC"]),
    }
    adrs = derive(data)["ADRS"].frame
    found = {name: [once(adrs, name, code)["AVALC"] for code in ("BOR", "CBOR")]
             for name in expected}  # fmt: skip
    assert found == expected


@needs_reference
def test_every_combination_of_target_nontarget_and_new_lesion() -> None:
    rows = read("overall_response_table.csv")
    assert len(rows) == 90
    target, nontarget = (
        np.array([response.RESPONSES.index(r[name]) for r in rows])
        for name in ("TRGRESP", "NTRGRESP")
    )
    new = np.array([response.NEW_LESION.index(r["NEWLESION"]) for r in rows])
    overall = response.overall_response(target, nontarget, new)
    assert [response.RESPONSES[code] for code in overall] == [r["OVRLRESP"] for r in rows]


@needs_reference
def test_every_sequence_of_two_collected_responses() -> None:
    rows = read("bor_two_visit_table.csv")
    assert len(rows) == 50
    rs = [
        (f"{n:02}", seq, "OVRLRESP", r[name], dtc(int(r[f"{name}_DAY"])))
        for n, r in enumerate(rows)
        for seq, name in ((1, "FIRST"), (2, "SECOND"))
    ]
    data = {
        "ADSL": adsl_of([f"{n:02}" for n in range(len(rows))]),
        "RS": text_frame(rs, ["USUBJID", "RSSEQ", "RSTESTCD", "RSSTRESC", "RSDTC"]),
    }
    adrs = derive(shuffled(data, 3))["ADRS"].frame
    found = [
        (once(adrs, f"{n:02}", "BOR")["AVALC"], once(adrs, f"{n:02}", "CBOR")["AVALC"])
        for n in range(len(rows))
    ]
    assert found == [(r["BOR"], r["CBOR"]) for r in rows]


# -- single lesions ---------------------------------------------------------------------------

DAYS = (42, 84, 126, 168)


def nrcr_data() -> dict[str, pd.DataFrame]:
    """The lesions of the NRCR example; what was not done has a visit, but no scan date."""
    rows = read("nrcr_cases.csv")
    lesions = [
        (r["PATIENT"], r["LESION"], "TARGET", "LYMPH NODE" if r["NODAL"] == "Y" else "LUNG",
         "Y" if r["GROUP"] == "IRRAD" else "N")
        for r in rows
    ]  # fmt: skip
    tr = []
    for r in rows:
        test = "LPERP" if r["NODAL"] == "Y" else "LDIAM"
        values = [(-7, r["BASE"]), *((d, r[f"D{d}"]) for d in DAYS)]
        for visit, (day, value) in enumerate(values):
            done = value not in (".", "NE")
            tr.append(
                tr_row(
                    r["PATIENT"], len(tr) + 1, r["LESION"], f"A{visit + 1}", test,
                    value if done else "", None if value == "." else day, visit,
                )
            )  # fmt: skip
    data = {"ADSL": adsl_of({r["PATIENT"] for r in rows}), "TR": text_frame(tr, TR)}
    return {**data, **tu_of(lesions)}


@functools.cache
def nrcr(rule: str = "best") -> dict[str, pd.DataFrame]:
    study = Study(endpoints={"nrcr_rule": rule})  # type: ignore[arg-type]
    made = derive(shuffled(nrcr_data(), 11), study)
    return {name: dataset.frame for name, dataset in made.items()}


@needs_reference
@pytest.mark.parametrize(
    "case", read("nrcr_cases.csv"), ids=lambda c: f"{c['PATIENT']} {c['LESION']}"
)
def test_lesion(case: dict[str, str]) -> None:
    adles = nrcr()["ADLES"]
    mine = adles[(adles["USUBJID"] == case["PATIENT"]) & (adles["LESID"] == case["LESION"])]
    by_visit = mine[mine["PARAMCD"] == "LSRSP"].sort_values("VISITNUM")["AVALC"].tolist()
    assert by_visit == [case[f"R{d}"].replace("ND", "NE") for d in DAYS]
    best = mine[mine["PARAMCD"] == "LSBRSP"]
    assert best["AVALC"].tolist() == [case["EXP_BEST"]]
    assert best["EVALFL"].tolist() == [case["EXP_EVALUABLE"]]
    for rule, name in (
        ("best", "BEST"), ("last", "LAST"), ("landmark", "6M"), ("sustained", "SUSTAINED"),
    ):  # fmt: skip
        every = nrcr(rule)["ADLES"]
        found = every[
            (every["USUBJID"] == case["PATIENT"])
            & (every["LESID"] == case["LESION"])
            & (every["PARAMCD"] == "LSCTRL")
        ]
        assert found["AVALC"].tolist() == [case[f"EXP_CONTROL_{name}"]], rule


@needs_reference
def test_last_and_landmark_response_of_each_lesion() -> None:
    data = nrcr_data()
    found = evaluation.evaluate(data, Study(), Issues())
    whole = evaluation.evaluate_lesions(found, Study()).lesions
    keys = found.found.loc[whole["lesion"], ["USUBJID", "LESID"]].agg(" ".join, axis=1).tolist()
    rows = {f"{r['PATIENT']} {r['LESION']}": r for r in read("nrcr_cases.csv")}
    for column, name in (("last", "EXP_LAST"), ("landmark", "EXP_6M"), ("best", "EXP_BEST")):
        named = [response.RESPONSES[code] for code in whole[column]]
        assert dict(zip(keys, named, strict=True)) == {k: r[name] for k, r in rows.items()}
    ever = dict(zip(keys, whole["progressed"], strict=True))
    assert ever == {k: r["EXP_EVER_PD"] == "Y" for k, r in rows.items()}


@needs_reference
@pytest.mark.parametrize("case", read("nrcr_patients.csv"), ids=lambda c: c["PATIENT"])
def test_patient_by_lesion_group(case: dict[str, str]) -> None:
    adrs, subject = nrcr()["ADRS"], case["PATIENT"]
    for group, ending in ENDING.items():
        mine = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == f"OVR{ending}")]
        sequence = " ".join(mine.sort_values("VISITNUM")["AVALC"])
        assert sequence == case[f"SEQ_{group}"]
        for paramcd in ("BOR", "CBOR"):
            found = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == paramcd + ending)]
            expected = case[f"{paramcd}_{group}"]
            assert found["AVALC"].tolist() == [expected] * (expected != "NA")
    for paramcd, name in (
        ("ABSANY", "ANY_NI_LESION_30PCT"),
        ("NRCPT", "ALL_NI_LESIONS_CONTROLLED"),
    ):
        found = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == paramcd)]
        assert found["AVALC"].tolist() == [case[name]] * (case[name] != "NA")


# -- volumes ----------------------------------------------------------------------------------


@needs_reference
@pytest.mark.parametrize(
    "case", read("volume_cases.csv"), ids=lambda c: f"{c['CASE']} {c['TITLE']}"
)
def test_volume(case: dict[str, str]) -> None:
    tr, lesions = [], []
    for group, day, column in (("A1", -7, "BASE"), ("A2", 42, "CUR")):
        for n, diameters in enumerate(ast.literal_eval(case[f"{column}_DIAMS"]), 1):
            tests = dict(zip(("LDIAM", "LPERP"), diameters, strict=False))
            if len(diameters) == 3:  # no SDTM test has the third diameter: the volume is collected
                tests["VOLUME"] = case[f"{column}_VOL_MM3"]
            for test, value in tests.items():
                tr.append(tr_row("01", len(tr) + 1, f"T0{n}", group, test, str(value), day))
            lesions.append(("01", f"T0{n}", "TARGET", "LIVER", "N"))
    data = {"ADSL": adsl_of(["01"]), "TR": text_frame(tr, TR), **tu_of(dict.fromkeys(lesions))}
    adtr = derive(data)["ADTR"].frame
    record = at_group(adtr, "SVOL")
    assert record["BASE"] == pytest.approx(float(case["BASE_VOL_MM3"]), abs=1e-3)
    assert record["AVAL"] == pytest.approx(float(case["CUR_VOL_MM3"]), abs=1e-3)
    assert record["PCHG"] == pytest.approx(float(case["VOL_PCHG"]), abs=1e-3)
    assert record["CRIT1FL"] == case["VOL30_RESPONSE"]
    assert at_group(adtr, "SDIAM")["PCHG"] == pytest.approx(float(case["DIAM_PCHG"]), abs=1e-3)
    assert at_group(adtr, "SDIAM")["CRIT1FL"] == case["DIAM30_RESPONSE"]
    assert record["CRIT3FL"] == case["VOL657_RESPONSE"]


def at_group(adtr: pd.DataFrame, paramcd: str) -> pd.Series:
    return adtr[(adtr["PARAMCD"] == paramcd) & (adtr["TRLNKGRP"] == "A2")].iloc[0]


# -- our own cases ----------------------------------------------------------------------------


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    return frame.astype("str")


def said(case: Mapping[str, object]) -> dict[str, pd.DataFrame]:
    """What readers said on which day, as RS."""
    rows = [
        (r["USUBJID"], n, r["RSTESTCD"], r["RSSTRESC"], r.get("RSEVAL"), dtc(float(r["DAY"])))
        for n, r in enumerate(table(str(case["said"])).to_dict("records"), 1)
    ]
    names = ["USUBJID", "RSSEQ", "RSTESTCD", "RSSTRESC", "RSEVAL", "RSDTC"]
    return {"RS": text_frame(rows, names)}


def given(case: Mapping[str, object]) -> dict[str, pd.DataFrame]:
    """Lesions, what was found of each on which day, and what readers said, as SDTM and ADSL."""
    collected = said(case) if "said" in case else {}
    if "lesions" not in case:
        return {"ADSL": adsl_of(set(collected["RS"]["USUBJID"])), **collected}
    lesions = table(str(case["lesions"]))
    tu = tu_of(
        (r["USUBJID"], r["TULNKID"], r["ROLE"], r["TULOC"], r["TUIRRAD"])
        for r in lesions.fillna({"TUIRRAD": ""}).to_dict("records")
    )
    if "TUIRRLVL" in lesions:
        level = lesions[lesions["TUIRRLVL"].notna()]
        level = level.assign(IDVAR="TULNKID", QNAM="TUIRRLVL", IDVARVAL=level["TULNKID"])
        level = level.rename(columns={"TUIRRLVL": "QVAL"})[list(tu["SUPPTU"])]
        tu["SUPPTU"] = pd.concat([tu["SUPPTU"], level], ignore_index=True)
    found = table(str(case["found"])).to_dict("records")
    rows = [
        tr_row(
            r["USUBJID"], n, r["TRLNKID"], None if pd.isna(r.get("TRLNKGRP")) else r["TRLNKGRP"],
            r["TRTESTCD"], "" if pd.isna(r["RESULT"]) else r["RESULT"],
            None if pd.isna(r["DAY"]) else float(r["DAY"]),
            float(r.get("VISITNUM", "nan")),
        )
        for n, r in enumerate(found, 1)
    ]  # fmt: skip
    days = {
        name: {k: int(v) for k, v in value.items()}
        for name, value in dict(case.get("adsl", {})).items()  # type: ignore[call-overload]
    }
    subjects = set(lesions["USUBJID"])
    adsl = adsl_of(subjects, days.pop("NACTDT", {}), **days)
    return {"ADSL": adsl, "TR": text_frame(rows, TR), **tu, **collected}


def own_cases() -> list[object]:
    return [
        pytest.param(case, id=f"{file.stem}: {case['title']}")
        for file in sorted((ROOT / "tests" / "cases").glob("response_*.toml"))
        for case in tomllib.loads(file.read_text(encoding="utf-8"))["case"]
    ]


@pytest.mark.parametrize("case", own_cases())
def test_case(case: dict[str, object]) -> None:
    study = Study(response=case.get("response", {}), endpoints=case.get("endpoints", {}))  # type: ignore[arg-type]
    issues = Issues()
    made = derive(shuffled(given(case), 5), study, issues)
    for name, text in dict(case["expect"]).items():  # type: ignore[call-overload]
        expected = table(text)
        frame = made[name].frame.copy()
        for column in expected:
            if column.endswith("DT"):
                frame[column] = frame[column].map(day_of).astype("object")
            shown = frame[column].map(
                lambda v: None if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v)
            )
            frame[column] = shown.astype("str")
        where = frame["PARAMCD"].isin(expected["PARAMCD"])
        actual = frame.loc[where, list(expected)].reset_index(drop=True)
        pd.testing.assert_frame_equal(actual, expected)
    assert sorted({issue.code for issue in issues}) == case.get("issues", [])
