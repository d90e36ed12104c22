"""iRECIST: the decision cases, our own, and what holds whatever the measurements are."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study
from lesion_data import TR, adsl_of, derive, dtc, shuffled, text_frame, tr_row, tu_of
from test_response_cases import ROOT, day_of, needs_reference, read, table
from test_response_properties import (
    DAYS,
    Lesion,
    Subject,
    few,
    nontarget_by_hand,
    sdtm,
    studies,
    target_by_hand,
    thorough,
    values,
)

CASES = tomllib.loads((ROOT / "tests" / "cases" / "irecist.toml").read_text(encoding="utf-8"))
ROLES = {
    "T": "TARGET", "NT": "NON-TARGET", "NEW": "NEW", "NEWT": "NEW TARGET", "NEWN": "NEW NON-TARGET",
}  # fmt: skip
RS = ("USUBJID", "RSSEQ", "RSCAT", "RSTESTCD", "RSSTRESC", "RSEVAL", "RSDTC", "RSLNKGRP")
INDICATORS = ("NTLWIND", "NEWLWIND")

Visit = Mapping[str, str]


def data_of(
    courses: Mapping[str, Sequence[Visit]], adsl: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, pd.DataFrame]:
    """SDTM and ADSL of subjects whose visits are DAY, lesions and indicators."""
    tr: list[tuple[object, ...]] = []
    rs: list[tuple[object, ...]] = []
    lesions = {}
    for subject, visits in courses.items():
        for visit in visits:
            day, group = float(visit["DAY"]), f"A{int(visit['DAY']) + 100:04}"
            for name, result in visit.items():
                if name in INDICATORS:
                    said = ("iRECIST", name, result, None, dtc(day), group)
                    rs.append((subject, len(rs) + 1, *said))
                elif name.rstrip("0123456789") in ROLES:
                    lesions[subject, name] = ROLES[name.rstrip("0123456789")]
                    test = "TUMSTATE" if result.isupper() and result != "ND" else "LDIAM"
                    shown = "" if result == "ND" else result
                    tr.append(tr_row(subject, len(tr) + 1, name, group, test, shown, day))
    days = dict(adsl or {})
    found = {
        "ADSL": adsl_of(courses, days.pop("NACTDT", {}), **days),
        "TR": text_frame(tr, TR),
        **tu_of((s, name, role, "LIVER", "N") for (s, name), role in lesions.items()),
    }
    return {**found, "RS": text_frame(rs, RS)} if rs else found


def course_of(text: str) -> list[dict[str, str]]:
    """The visits of a course, without what is empty."""
    rows = table(text).to_dict("records")
    return [{str(k): v for k, v in row.items() if not pd.isna(v)} for row in rows]


def responses(adrs: pd.DataFrame, subject: str) -> dict[int | None, str]:
    mine = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == "IOVR")]
    return {
        int(name[1:]) - 100: value
        for name, value in zip(mine["RSLNKGRP"], mine["AVALC"], strict=True)
    }


def summary(adrs: pd.DataFrame, subject: str, paramcd: str) -> str:
    """Value and day of the one record of a parameter."""
    mine = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == paramcd)]
    (record,) = mine.to_dict("records")
    day = day_of(record["ADT"])
    return record["AVALC"] if day is None else f"{record['AVALC']} {day}"


# -- the decision cases -----------------------------------------------------------------------


def decision_cases() -> dict[str, list[dict[str, str]]]:
    rows = read("irecist_cases.csv")
    return {case: list(visits) for case, visits in groupby(rows, lambda r: r["CASE"])}


def visits_of(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """A decision case by lesions: the first new one is measured, further ones are not."""
    has_nontarget = any(r["NT_STATUS"] != "NA" for r in rows)
    first = {"DAY": "-7", "T01": rows[0]["BASE_SUM"]}
    out = [{**first, "NT01": "PRESENT"} if has_nontarget else first]
    for row in rows:
        target = row["TARGET_SUM"]
        visit = {"DAY": row["DAY"], "T01": "ND" if target == "NE" else target}
        if has_nontarget:
            visit["NT01"] = "PRESENT" if row["NT_STATUS"] == "NA" else "UNEQUIVOCAL"
            visit["NTLWIND"] = "Y" if row["NT_STATUS"] == "INC" else "N"
        count = int(row["NEW_LESIONS"])
        if count:
            visit["NEWT01"] = row["NEW_TARGET_SUM"]
        for number in range(2, count + 1):
            visit[f"NEWN{number:02}"] = "PRESENT"
        out.append(visit)
    return out


@needs_reference
@pytest.mark.parametrize("rows", decision_cases().values(), ids=lambda r: r[0]["TITLE"])
def test_decision_case(rows: list[dict[str, str]]) -> None:
    adrs = derive(data_of({"01": visits_of(rows)}))["ADRS"].frame
    assert responses(adrs, "01") == {int(r["DAY"]): r["EXP_IRESP"] for r in rows}
    assert summary(adrs, "01", "IBOR").split()[0] == rows[0]["EXP_IBOR"]
    day = rows[0]["EXP_IPD_DAY"]
    assert summary(adrs, "01", "IPD") == (f"Y {day}" if day else "N")


# -- our own cases ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES["case"], ids=lambda c: c["title"])
def test_case(case: dict[str, Any]) -> None:
    visits, issues = course_of(case["course"]), Issues()
    expected = {int(v["DAY"]): v["IOVR"] for v in visits if "IOVR" in v}
    data = data_of({"01": visits}, case.get("adsl"))
    made = derive(shuffled(data, 5), Study(**case.get("study", {})), issues)
    adrs = made["ADRS"].frame
    assert responses(adrs, "01") == expected
    for paramcd, value in case["expect"].items():
        if paramcd == "CRIT1FL":
            assert adrs["CRIT1FL"][adrs["PARAMCD"] == "ICPD"].fillna("").tolist() == [value]
        else:
            assert summary(adrs, "01", paramcd) == value
    if "SDIAM" in case:
        adtr = made["ADTR"].frame
        assert adtr["AVAL"][adtr["PARAMCD"] == "SDIAM"].tolist() == case["SDIAM"]
    codes = {issue.code for issue in issues} - {"RS0006"}
    assert sorted(codes) == case.get("issues", [])


@pytest.mark.parametrize("case", CASES["collected"], ids=lambda c: c["title"])
def test_collected(case: dict[str, Any]) -> None:
    rows = [
        ("01", n, r["RSCAT"], r["RSTESTCD"], r["RSSTRESC"], r["RSEVAL"], dtc(int(r["DAY"])), None)
        for n, r in enumerate(table(case["given"]).to_dict("records"), 1)
    ]
    issues = Issues()
    data = {"ADSL": adsl_of(["01"]), "RS": text_frame(rows, RS)}
    adrs = derive(shuffled(data, 3), issues=issues)["ADRS"].frame
    expected = table(case["ADRS"])
    adrs["ADT"] = adrs["ADT"].map(day_of).map(lambda d: None if pd.isna(d) else f"{d:g}")
    adrs["ADT"] = adrs["ADT"].astype("str")
    found = adrs.loc[adrs["PARAMCD"].isin(expected["PARAMCD"]), list(expected)]
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected)
    assert {issue.code for issue in issues} == {"AD0001"}  # no TU, no TR


def test_an_indicator_without_a_time_point_belongs_to_the_scans_of_its_date() -> None:
    visits = [
        {"DAY": "-7", "T01": "100", "NT01": "PRESENT"},
        {"DAY": "42", "T01": "95", "NT01": "UNEQUIVOCAL"},
        {"DAY": "84", "T01": "95", "NT01": "UNEQUIVOCAL", "NTLWIND": "Y"},
    ]
    data = data_of({"01": visits})
    data["RS"] = data["RS"].drop(columns="RSLNKGRP")
    assert responses(derive(data)["ADRS"].frame, "01") == {42: "iUPD", 84: "iCPD"}


def test_every_response_by_irecist_says_where_it_comes_from() -> None:
    visits = [{"DAY": d, "T01": t} for d, t in (("-7", "100"), ("42", "125"), ("84", "131"))]
    adrs = derive(data_of({"01": visits}))["ADRS"].frame
    mine = adrs[adrs["PARCAT3"] == "iRECIST"].set_index("PARAMCD")
    first = mine.loc["IOVR"].iloc[0]
    assert set(mine["PARCAT2"]) == {"DERIVED"}
    for paramcd in ("IBOR", "ICPD", "IPD", "IUPD"):
        assert mine.loc[paramcd, ["SRCDOM", "SRCVAR", "SRCSEQ"]].tolist() == [
            "ADRS", "AVALC", first["ASEQ"],
        ]  # fmt: skip


# -- properties -------------------------------------------------------------------------------

RECIST_TERMS = {"CR": "iCR", "PR": "iPR", "SD": "iSD", "NON-CR/NON-PD": "NON-iCR/NON-iUPD"}


@st.composite
def with_progression(draw: st.DrawFn) -> list[Subject]:
    """Studies in which much grows, and comes and goes."""
    sizes = st.sampled_from(["", "0", "12", "20", "22", "26", "31", "33", "40", "46"])
    states = st.sampled_from(["PRESENT", "PRESENT", "ABSENT", "UNEQUIVOCAL", "INCREASED", ""])
    new = st.sampled_from(["", "", "10", "12", "16", "0"])
    out = []
    for number in range(draw(st.integers(6, 12))):
        lesions = [
            Lesion(
                name, role, nodal=False, irradiated="N",
                found=(start, *(draw(later) for _ in DAYS[1:])),
            )
            for name, role, start, later in (
                ("T01", "TARGET", "22", sizes), ("T02", "TARGET", "20", sizes),
                ("NT01", "NON-TARGET", "PRESENT", states), ("NEW01", "NEW", "", new),
            )
            if role in ("TARGET", draw(st.sampled_from(["NON-TARGET", "NEW"])))
        ]  # fmt: skip
        therapy = draw(st.sampled_from([None, None, 70, 100]))
        out.append(Subject(f"{number:02}", tuple(lesions), therapy))
    return out


def measured(study: list[Subject]) -> dict[str, pd.DataFrame]:
    """The same as SDTM: diameters of new lesions are no states."""
    data = sdtm(study)
    numeric = data["TR"]["TRSTRESC"].str.fullmatch(r"[\d.]+").eq(other=True)
    data["TR"]["TRTESTCD"] = data["TR"]["TRTESTCD"].mask(numeric, "LDIAM")
    data["TR"]["TRSTRESN"] = pd.to_numeric(data["TR"]["TRSTRESC"], errors="coerce")
    return data


# The rules read visit by visit, for subjects with at most one non-target and one new lesion.


def categories_by_hand(subject: Subject) -> tuple[list[str], list[str]]:
    """Target and non-target response at each visit after baseline."""
    targets = [x for x in subject.lesions if x.role == "TARGET"]
    others = [x for x in subject.lesions if x.role == "NON-TARGET"]
    fresh = [x for x in subject.lesions if x.role == "NEW"]
    nontarget = [nontarget_by_hand([x.found[v] for x in others]) for v in range(1, len(DAYS))]
    target: list[str] = []
    reappear = [False] * (len(DAYS) - 1)
    for visit in range(len(DAYS) - 1):
        target = target_by_hand(targets, reappear)
        new = any(float(x.found[visit + 1] or 0) > 0 for x in fresh)
        if target[visit] == "CR" and nontarget[visit] in ("CR", "NA") and not new:
            reappear[visit + 1 :] = [True] * (len(DAYS) - 2 - visit)
    return target, nontarget


def irecist_by_hand(subject: Subject) -> list[str]:
    target, nontarget = categories_by_hand(subject)
    sizes = [x.found for x in subject.lesions if x.role == "TARGET"]
    state = next((x.found for x in subject.lesions if x.role == "NON-TARGET"), ("",) * len(DAYS))
    new = next((x.found for x in subject.lesions if x.role == "NEW"), ("",) * len(DAYS))
    there, last = [], False
    for found in new:
        last = float(found) > 0 if found else last
        there.append(last)

    def target_rise(now: int, then: int) -> float:
        return sum(float(x[now] or 0) - float(x[then]) for x in sizes if x[then])

    def calm(visit: int) -> str:
        t, n = target[visit - 1], nontarget[visit - 1]
        complete = t == "CR" and n in ("CR", "NA") and not there[visit]
        return "iCR" if complete else {"CR": "iPR", "PR": "iPR", "SD": "iSD", "NE": "NE"}.get(t, "")

    grade = ["ABSENT", "PRESENT", "UNEQUIVOCAL"]
    out: list[str] = []
    since, progress_of_new = 0, False
    known, smallest = False, None  # a new lesion left at a reset, and its smallest size since
    for visit in range(1, len(DAYS)):
        t, n = target[visit - 1] == "PD", nontarget[visit - 1] == "PD"
        size = float(new[visit]) if new[visit] else None
        if "iCPD" in out:
            nothing = calm(visit) == "NE" and not n and not size
            out.append("NE" if nothing else "iCPD")
            continue
        if not since:
            further = there[visit] and not known
            grown = smallest is not None and size is not None and size - smallest >= 5
            if t or n or further or grown:
                since, progress_of_new = visit, further or grown
                out.append("iUPD")
                continue
            out.append(calm(visit))
            known = known and there[visit]
            if size is not None:
                smallest = size if smallest is None else min(smallest, size)
            continue
        then = {"t": target[since - 1] == "PD", "n": nontarget[since - 1] == "PD"}
        further = there[visit] and not there[since]
        growth = (size or 0) - float(new[since]) if there[since] and new[since] else 0
        higher = (
            state[visit] in grade
            and state[since] in grade
            and grade.index(state[visit]) > grade.index(state[since])
        )
        worse = state[visit] == "INCREASED" or higher
        confirmed = further or growth >= 5
        confirmed |= t and (not then["t"] or target_rise(visit, since) >= 5)
        confirmed |= worse if then["n"] else n
        early = DAYS[visit] - DAYS[since] < 26
        if (further and early) or (confirmed and not early):
            out.append("iCPD")
            continue
        if calm(visit) == "NE" and not n and not size:
            out.append("NE")
            continue
        order = ["CR", "PR", "SD", "PD"]
        better = target[visit - 1] in order and target[since - 1] in order
        better = better and order.index(target[visit - 1]) < order.index(target[since - 1])
        evaluated = calm(visit) != "NE" and not (then["n"] and nontarget[visit - 1] == "NE")
        settled = not t and not n and evaluated
        if settled and not early and (not progress_of_new or not there[visit] or better):
            out.append(calm(visit))
            since, known, smallest = 0, there[visit], size
        else:
            out.append("iUPD")
    return out


@thorough
@given(with_progression())
def test_responses_are_those_of_the_rules_read_visit_by_visit(study: list[Subject]) -> None:
    adrs = derive(measured(study))["ADRS"].frame
    found = {s.name: list(responses_in_order(adrs, s.name)) for s in study}
    assert found == {s.name: irecist_by_hand(s) for s in study}


def responses_in_order(adrs: pd.DataFrame, subject: str) -> list[str]:
    mine = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == "IOVR")]
    return mine.sort_values("RSLNKGRP")["AVALC"].tolist()


@thorough
@given(st.one_of(studies(), with_progression()))
def test_without_progression_the_responses_are_those_of_recist(study: list[Subject]) -> None:
    adrs = derive(measured(study))["ADRS"].frame
    progressed = {s for s, v in values(adrs, "PD").items() if v == "Y"}
    by_visit = adrs.pivot_table(
        index=["USUBJID", "RSLNKGRP"], columns="PARAMCD", values="AVALC", aggfunc="first"
    )
    calm = by_visit[~by_visit.index.get_level_values(0).isin(progressed)]
    assert calm["IOVR"].tolist() == calm["OVR"].replace(RECIST_TERMS).tolist()
    for subject, progression in values(adrs, "IPD").items():
        assert progression == "N" or subject in progressed


@thorough
@given(with_progression())
def test_what_follows_from_the_responses_at_assessments(study: list[Subject]) -> None:
    adrs = derive(measured(study))["ADRS"].frame
    once = {code: summaries(adrs, code) for code in ("IBOR", "IUPD", "ICPD", "IPD", "PD")}
    for subject in once["IBOR"].index:
        mine = adrs[(adrs["USUBJID"] == subject) & (adrs["PARAMCD"] == "IOVR")]
        counted = mine[(mine["ANL01FL"] == "Y") & (mine["ANL02FL"] == "Y")]
        said = counted["AVALC"].tolist()
        best, progression = once["IBOR"].loc[subject], once["IPD"].loc[subject]
        # iCPD is the end: nothing after it counts, and nothing but better before it does.
        assert "iCPD" not in said[:-1]
        confirmed = once["ICPD"].loc[subject]
        assert (confirmed["AVALC"] == "Y") == ("iCPD" in said)
        if best["AVALC"] == "iCPD":
            assert set(said) <= {"iCPD", "iUPD", "NE", "iSD"}
        if "iCPD" in said:
            assert best["AVALC"] in ("iCR", "iPR", "iSD", "NON-iCR/NON-iUPD", "iCPD")
            assert said[said.index("iCPD") - 1] in ("iUPD", "NE")
            assert confirmed["ADT"] == progression["ADT"]
        if progression["AVALC"] == "Y":
            unconfirmed = counted[counted["AVALC"] == "iUPD"]["ADT"].tolist()
            assert progression["ADT"] in unconfirmed
            assert progression["ADT"] >= once["IUPD"].loc[subject, "ADT"]
        if once["IUPD"].loc[subject, "AVALC"] == "Y":
            assert once["IUPD"].loc[subject, "ADT"] == once["PD"].loc[subject, "ADT"]


def summaries(adrs: pd.DataFrame, paramcd: str) -> pd.DataFrame:
    return adrs[adrs["PARAMCD"] == paramcd].set_index("USUBJID")[["AVALC", "ADT"]]


@few
@given(with_progression(), st.integers(0, 99))
def test_neither_the_order_of_records_nor_other_subjects_matter(
    study: list[Subject], seed: int
) -> None:
    data = measured(study)
    whole = derive(shuffled(data, seed))["ADRS"].frame
    for subject in study[:2]:
        alone = derive(measured([subject]))["ADRS"].frame
        mine = whole[whole["USUBJID"] == subject.name].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone)
