"""Time to event: the decision cases, our own cases, and what holds for every study."""

from __future__ import annotations

import csv
import os
import tomllib
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc.adam.datasets import adtte
from fhir2cdisc.adam.parameters import PARAMETERS, RULED, definitions, parameters_of
from fhir2cdisc.adam.parameters.os import DEATH
from fhir2cdisc.adam.parameters.pfs import PFS
from fhir2cdisc.adam.tte import TimeToEvent
from fhir2cdisc.adam.tte_records import COLUMNS, derive_time_to_event
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.study import Study

ROOT = Path(__file__).parents[1]
REFERENCE = Path(os.environ.get("FHIR2CDISC_REFERENCE", ROOT.parent / "shared")) / "cases"
START = pd.Timestamp("2021-06-01")  # six months are 183 days, as in the decision cases


def day(number: object) -> pd.Timestamp:
    return pd.NaT if number in ("", None) else START + pd.Timedelta(days=int(str(number)))


def adsl_of(**columns: list[object]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    for name in ("ENRLFL", "BLADEQFL", "DTHFL", "DTHDTF"):
        if name in frame:
            frame[name] = frame[name].astype("str")
        else:
            frame[name] = pd.Series("Y" if name != "DTHDTF" else None, frame.index, dtype="str")
    for name in ("STARTDT0", "DTHDT", "NACTDT", "LSTALVDT", "CUT6DT"):
        dates = frame[name] if name in frame else pd.Series(pd.NaT, frame.index)
        frame[name] = pd.to_datetime(dates).astype("datetime64[s]")
    frame["DTHFL"] = frame["DTHDT"].notna().map({True: "Y"}).astype("str")
    return frame


def adrs_of(records: list[tuple[str, str, str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(records, columns=["USUBJID", "PARAMCD", "AVALC", "ADT"])
    for name in ("USUBJID", "PARAMCD", "AVALC"):
        frame[name] = frame[name].astype("str")
    frame["ADT"] = pd.to_datetime(frame["ADT"]).astype("datetime64[s]")
    frame["ASEQ"] = frame.groupby("USUBJID").cumcount() + 1.0
    return frame


def reference_cases() -> list[dict[str, str]]:
    file = REFERENCE / "tte_cases.csv"
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def confirmed(scans: list[tuple[int, str]]) -> int | None:
    """The day of the first CR or PR that another one follows 28 days later."""
    responses = [number for number, response in scans if response in ("CR", "PR")]
    kept = [n for n in responses if any(later - n >= 28 for later in responses)]
    return kept[0] if kept else None


def reference_columns() -> tuple[str, ...]:
    """The columns of a decision case that say what happened."""
    return ("SCANS", "DEATH_DAY", "NACT_DAY", "CLIN_PD_DAY", "LAST_ALIVE_DAY", "BASELINE_OK")


def subject_of(case: dict[str, str]) -> dict[str, pd.DataFrame]:
    """The subject of one decision case, as ADSL, ADRS and RS."""
    scans = [(int(n), r) for n, r in (s.split(":") for s in case["SCANS"].split("; ") if s)]
    records: list[tuple[str, str, str, object]] = [("01", "OVR", r, day(n)) for n, r in scans]
    records += [("01", "PD", "Y", date) for _, _, r, date in records if r == "PD"][:1]
    response = confirmed(scans)
    records.append(("01", "CRSP", "N" if response is None else "Y", day(response)))
    adsl = adsl_of(
        USUBJID=["01"],
        BLADEQFL=[case["BASELINE_OK"]],
        STARTDT0=[START],
        DTHDT=[day(case["DEATH_DAY"])],
        NACTDT=[day(case["NACT_DAY"])],
        LSTALVDT=[day(case["LAST_ALIVE_DAY"])],
        CUT6DT=[START + pd.DateOffset(months=6)],
    )
    clinical = day(case["CLIN_PD_DAY"])
    rs = pd.DataFrame({"USUBJID": ["01"], "RSTESTCD": "SYMPTDTR", "RSSTRESC": "PD", "RSSEQ": 1.0})
    rs["RSDTC"] = pd.Series([None if pd.isna(clinical) else str(clinical.date())], dtype="str")
    return {"ADSL": adsl, "ADRS": adrs_of(records), "RS": rs}


RESULTS = {"PFS_FDA": "PFS", "PFS_EMA": "PFSEMA", "PFS_FDA6M": "PFS6M", "OS": "OS", "OS6M": "OS6M"}


@pytest.mark.skipif(not reference_cases(), reason="tte_cases.csv of the reference is not here")
@pytest.mark.parametrize("case", reference_cases(), ids=lambda c: f"{c['CASE']} {c['TITLE']}")
def test_decision_case(case: dict[str, str]) -> None:
    data = subject_of(case)
    for name, paramcd in RESULTS.items():
        row = derive(paramcd, data).iloc[0]
        assert row["ADT"] == day(case[f"{name}_DAY"]), name
        assert row["AVAL"] == int(case[f"{name}_DAY"]) + 1, name
        assert (row["CNSR"] > 0) == (case[f"{name}_CNSR"] == "1"), name
        assert row["EVNTDESC"] == case.get(f"{name}_DESC", row["EVNTDESC"]), name
    response = derive("DOR", data)
    assert len(response) == (case["DOR_AVAL"] != "")
    if case["DOR_AVAL"]:
        row = response.iloc[0]
        assert (row["STARTDT"], row["ADT"]) == (
            day(case["DOR_START_DAY"]),
            day(case["DOR_END_DAY"]),
        )
        assert (row["AVAL"], row["CNSR"]) == (int(case["DOR_AVAL"]), int(case["DOR_CNSR"]))


def derive(paramcd: str, data: dict[str, pd.DataFrame], study: Study | None = None) -> pd.DataFrame:
    """The records of a parameter under the rules of a study."""
    study = study or Study()
    parameter = next(p for p in parameters_of(study) if p.paramcd == paramcd)
    return derive_time_to_event(parameter, data, study)


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith("DT") or name == "STARTDT0":
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
        elif name in ("AVAL", "CNSR", "SRCSEQ", "RSSEQ"):
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame


def own_cases() -> list[object]:
    return [
        pytest.param(case, id=f"{file.stem}: {case['title']}")
        for file in sorted((ROOT / "tests" / "cases").glob("tte_*.toml"))
        for case in tomllib.loads(file.read_text(encoding="utf-8"))["case"]
    ]


@pytest.mark.parametrize("case", own_cases())
def test_case(case: dict[str, object]) -> None:
    """`expect` has the records of `parameter`, or with a column PARAMCD those of several."""
    data = {name: table(text) for name, text in case["given"].items()}  # type: ignore[attr-defined]
    data["ADSL"] = adsl_of(**{n: list(c) for n, c in data["ADSL"].items()})
    if "ADRS" in data:
        rows = data["ADRS"][["USUBJID", "PARAMCD", "AVALC", "ADT"]]
        data["ADRS"] = adrs_of([tuple(row) for row in rows.to_numpy().tolist()])
    study = Study(endpoints=case.get("endpoints", {}))  # type: ignore[arg-type]
    expected = table(str(case["expect"]))
    codes = [case["parameter"]] if "parameter" in case else expected["PARAMCD"].unique().tolist()
    actual = pd.concat([derive(str(code), data, study) for code in codes], ignore_index=True)
    assert_frame_equal(actual[expected.columns], expected)


def test_every_parameter_has_a_case() -> None:
    cases = [case.values[0] for case in own_cases()]  # type: ignore[attr-defined]
    seen = {case.get("parameter") for case in cases}
    seen |= {code for case in cases for code in table(case["expect"]).get("PARAMCD", [])}
    assert {p.paramcd for p in PARAMETERS} <= seen


days = st.integers(-30, 400)


@st.composite
def studies(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    n = draw(st.integers(1, 6))
    maybe = st.none() | days
    adsl = adsl_of(
        USUBJID=[f"{i:02d}" for i in range(n)],
        ENRLFL=[draw(st.sampled_from("YYYN")) for _ in range(n)],
        BLADEQFL=[draw(st.sampled_from("YYYN")) for _ in range(n)],
        STARTDT0=[START + pd.Timedelta(days=draw(st.integers(0, 60))) for _ in range(n)],
        DTHDT=[day(draw(maybe)) for _ in range(n)],
        NACTDT=[day(draw(maybe)) for _ in range(n)],
        LSTALVDT=[day(draw(days)) for _ in range(n)],
    )
    adsl["CUT6DT"] = adsl["STARTDT0"] + pd.DateOffset(months=6)
    records: list[tuple[str, str, str, object]] = []
    for overall, progression, kinds in (
        ("OVR", "PD", ("SD", "PR", "NE", "PD")),
        ("OVRNI", "PDNI", ("SD", "NE", "PD")),
        ("OVRIR", "PDIR", ("SD", "NE", "PD")),
        ("IOVR", "IPD", ("iSD", "NE", "iCPD")),
    ):
        scan = st.tuples(st.integers(0, n - 1), st.sampled_from(kinds), days)
        scans = sorted(draw(st.lists(scan, max_size=15)), key=lambda s: s[2], reverse=True)
        records += [(f"{i:02d}", overall, kind, day(d)) for i, kind, d in scans]
        first = {i: d for i, kind, d in scans if kind == kinds[-1]}
        records += [(f"{i:02d}", progression, "Y", day(d)) for i, d in first.items()]
        if overall == "OVR":
            answer = {i: d for i, kind, d in scans if kind == "PR" and d < first.get(i, 999)}
            records += [(f"{i:02d}", "CRSP", "Y", day(d)) for i, d in answer.items()]
    return {"ADSL": adsl, "ADRS": adrs_of(records)}


def times(data: dict[str, pd.DataFrame], *codes: str) -> list[pd.DataFrame]:
    return [derive(code, data).set_index("USUBJID") for code in codes]


RESPONDERS_ONLY = {"DOR", "TTR"}
PROPERTY = settings(max_examples=25, deadline=None)


@PROPERTY
@given(studies())
def test_every_enrolled_subject_is_counted_once(data: dict[str, pd.DataFrame]) -> None:
    adsl, adrs = data["ADSL"], data["ADRS"]
    enrolled = sorted(adsl.loc[adsl["ENRLFL"].eq("Y"), "USUBJID"])
    responders = set(adrs.loc[adrs["PARAMCD"].eq("CRSP"), "USUBJID"])
    for parameter in PARAMETERS:
        who = [u for u in enrolled if parameter.paramcd not in RESPONDERS_ONLY or u in responders]
        if parameter.among is not None:
            wanted = dict(parameter.among.where)["PARAMCD"]
            assessed = set(adrs.loc[adrs["PARAMCD"].isin(wanted), "USUBJID"])
            who = [u for u in who if u in assessed]
        assert list(derive(parameter.paramcd, data)["USUBJID"]) == who


@PROPERTY
@given(studies())
def test_nobody_progresses_before_enrolment(data: dict[str, pd.DataFrame]) -> None:
    for parameter in PARAMETERS:
        out = derive(parameter.paramcd, data)
        assert (out["AVAL"] >= 1).all()
        assert (out["ADT"] >= out["STARTDT"]).all()


@PROPERTY
@given(studies())
def test_progression_free_survival_is_never_longer_than_survival_when_both_end_in_an_event(
    data: dict[str, pd.DataFrame],
) -> None:
    pfs, os_ = times(data, "PFS", "OS")
    died = pfs["CNSR"].eq(0) & os_["CNSR"].eq(0)
    assert (pfs.loc[died, "AVAL"] <= os_.loc[died, "AVAL"]).all()


@PROPERTY
@given(studies())
def test_an_event_up_to_the_cut_is_the_same_event_without_the_cut(
    data: dict[str, pd.DataFrame],
) -> None:
    for whole, cut in (("PFS", "PFS6M"), ("OS", "OS6M")):
        all_, early = times(data, whole, cut)
        event = early["CNSR"].eq(0)
        same = ["ADT", "AVAL", "CNSR", "EVNTDESC", "SRCDOM", "SRCVAR", "SRCSEQ"]
        assert_frame_equal(early.loc[event, same], all_.loc[event, same])
        assert (early["AVAL"] <= all_["AVAL"]).all()
        limit = data["ADSL"].set_index("USUBJID")["CUT6DT"].reindex(early.index)
        assert (early["ADT"] <= limit).all()
        assert event.eq(all_["CNSR"].eq(0) & (all_["ADT"] <= limit)).all()


@PROPERTY
@given(studies())
def test_the_rules_of_the_fda_never_observe_longer_than_those_of_the_ema(
    data: dict[str, pd.DataFrame],
) -> None:
    fda, ema = times(data, "PFS", "PFSEMA")
    assert (fda["AVAL"] <= ema["AVAL"]).all()
    event = fda["CNSR"].eq(0)
    assert_frame_equal(fda.loc[event, ["ADT", "CNSR"]], ema.loc[event, ["ADT", "CNSR"]])


@PROPERTY
@given(studies())
def test_time_to_progression_is_progression_free_survival_with_death_as_a_competing_event(
    data: dict[str, pd.DataFrame],
) -> None:
    pfs, ttp = times(data, "PFS", "TTP")
    assert_frame_equal(pfs[["ADT", "AVAL", "SRCVAR"]], ttp[["ADT", "AVAL", "SRCVAR"]])
    died = pfs["EVNTDESC"].eq("Death")
    assert ttp["CNSR"].eq(pfs["CNSR"].mask(died, 7)).all()


@PROPERTY
@given(studies())
def test_a_date_at_a_planned_visit_is_later_and_the_event_the_same(
    data: dict[str, pd.DataFrame],
) -> None:
    scan, visit = times(data, "PFS", "PFSVIS")
    assert_frame_equal(scan[["CNSR", "EVNTDESC", "SRCSEQ"]], visit[["CNSR", "EVNTDESC", "SRCSEQ"]])
    late = visit["AVAL"] - scan["AVAL"]
    assert late.between(0, 42).all()
    assert late.eq(0)[visit["EVNTDESC"].ne("Disease Progression")].all()


@PROPERTY
@given(studies())
def test_a_response_lasts_to_the_end_of_progression_free_survival(
    data: dict[str, pd.DataFrame],
) -> None:
    pfs, ttr, dor = times(data, "PFS", "TTR", "DOR")
    pfs = pfs.reindex(dor.index)
    both = dor["CNSR"].eq(0) & pfs["CNSR"].eq(0) & (pfs["ADT"] >= dor["STARTDT"])
    both &= dor["STARTDT"] > pfs["STARTDT"]
    assert (ttr["AVAL"] + dor["AVAL"] - 1)[both].eq(pfs["AVAL"][both]).all()


@PROPERTY
@given(studies())
def test_everyone_without_event_has_a_reason_and_a_dated_source(
    data: dict[str, pd.DataFrame],
) -> None:
    for parameter in PARAMETERS:
        out = derive(parameter.paramcd, data)
        assert list(out.columns) == list(COLUMNS)
        assert out[["EVNTDESC", "SRCDOM", "SRCVAR", "CNSR"]].notna().all(axis=None)
        assert out["CNSDTDSC"].notna().eq(out["CNSR"] > 0).all()
        assert out["SRCSEQ"].notna().eq(out["SRCDOM"].eq("ADRS")).all()
        found = set(zip(out["CNSR"], out["EVNTDESC"], strict=True))
        own = {(float(code), reason) for code, reason in parameter.codes()}
        assert found <= own | {(0.0, e.description) for e in parameter.events if not e.cnsr}


@PROPERTY
@given(studies(), st.integers(0, 99))
def test_the_order_of_records_does_not_matter(data: dict[str, pd.DataFrame], seed: int) -> None:
    shuffled = {name: frame.sample(frac=1, random_state=seed) for name, frame in data.items()}
    for parameter in PARAMETERS:
        assert_frame_equal(derive(parameter.paramcd, data), derive(parameter.paramcd, shuffled))


# -- declarations -----------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: p.paramcd)
def test_a_parameter_tells_its_whole_rule(parameter: TimeToEvent) -> None:
    text = parameter.describe(Study())
    assert text.startswith(f"{parameter.param}: from STARTDT, the ")
    assert parameter.param.endswith("(days)"), "PARAM names the unit"
    for event in parameter.events:
        assert f"{event.description} ({event.date} of {event.records.describe()})" in text
    for cnsr, reason in parameter.codes():
        assert f"CNSR {cnsr}" in text
        assert reason in text
    assert all(line.endswith(".") for line in text.split("\n"))
    assert parameter.cites


def test_the_rules_have_the_days_in_force() -> None:
    study = Study(endpoints={"visit_interval_days": 56, "cut_window_days": 7})  # type: ignore[arg-type]
    rules = definitions(study)
    assert "more than 126 days after" in rules["PFS"]
    assert "more than 2 visit intervals and 2 visit windows after" in PFS.describe()
    assert "dated after ADSL.CUT6DT plus 7 days are not used" in rules["PFS6M"]
    assert "dated after ADSL.CUT6DT are not used" in definitions(Study())["PFS6M"]
    assert "the last date known alive (LSTALVDT of ADSL; CNSR 1" in rules["OS"]


def test_a_code_of_censoring_means_one_thing_in_a_parameter() -> None:
    for parameter in PARAMETERS:
        codes = [cnsr for cnsr, _ in parameter.codes()]
        assert len(codes) == len(set(codes)), parameter.paramcd


def test_under_the_rules_of_the_ema_pfs_is_pfsema_and_what_is_built_on_pfs_follows() -> None:
    study = Study(endpoints={"pfs_rule": "EMA"})  # type: ignore[arg-type]
    now = {p.paramcd: p for p in parameters_of(study)}
    own = {"paramcd": "PFS", "param": PFS.param, "cites": PFS.cites}
    assert now["PFS"] == replace(now["PFSEMA"], **own)
    assert {p.paramcd for p in RULED} == {c for c, p in now.items() if p not in PARAMETERS}
    assert all(now[p.paramcd].gap is None for p in RULED)


def test_clinical_progression_is_never_an_event_under_the_rules_of_the_fda() -> None:
    for rule, expected in (("FDA", {"PFSEMA"}), ("EMA", {"PFS", "PFSEMA", "PFS6M", "TTP", "DOR"})):
        settings_ = {"pfs_rule": rule, "clinical_progression": True}
        study = Study(endpoints=settings_)  # type: ignore[arg-type]
        found = {c for c, text in definitions(study).items() if "Clinical Progression" in text}
        assert found == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paramcd": "PFSLONGER"}, "more than 8 characters"),
        ({"events": ()}, "needs an event"),
        ({"nothing": None}, "needs a reason"),
        ({"events": (replace(DEATH, cnsr=7),)}, "competing event"),
    ],
)
def test_a_declaration_that_says_too_little_is_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        replace(PFS, **change)


# -- the dataset ------------------------------------------------------------------------------


def derived(data: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame, Issues]:
    issues = Issues()
    frame, parents = adtte.derive(data, Study(), issues)
    return frame, parents, issues


def test_a_record_is_traced_to_its_subject_its_start_and_its_date() -> None:
    scans = "42:PR; 84:PR; 126:PD"
    case = dict.fromkeys(reference_columns(), "") | {"SCANS": scans, "BASELINE_OK": "Y"}
    frame, parents, _ = derived(subject_of(case | {"LAST_ALIVE_DAY": "130"}))
    row = int(frame.index[frame["PARAMCD"].eq("DOR")][0])
    keys = set(parents.loc[parents["row"].eq(row), "parent_key"])
    assert keys == {"01", "01|4", "01|5"}  # the subject, PD (ASEQ 4) and CRSP (ASEQ 5)
    assert list(frame["PARAMCD"]) == sorted(frame["PARAMCD"])


def test_a_study_without_responders_and_without_irecist_has_no_records_of_them() -> None:
    case = dict.fromkeys(reference_columns(), "") | {"SCANS": "42:SD", "BASELINE_OK": "Y"}
    frame, _, _ = derived(subject_of(case))
    assert set(frame["PARAMCD"]) == {p.paramcd for p in PARAMETERS} - {"DOR", "TTR", "IPFS"}


def test_an_event_without_a_date_or_before_the_start_is_told() -> None:
    case = dict.fromkeys(reference_columns(), "") | {"SCANS": "42:SD", "BASELINE_OK": "Y"}
    data = subject_of(case)
    data["ADRS"] = adrs_of([("01", "PD", "Y", pd.NaT), ("01", "CRSP", "Y", day(-3))])
    _, _, issues = derived(data)
    assert [(i.code, i.message, i.samples) for i in issues] == [
        ("AD0008", "Response before STARTDT0", ("01",)),
        ("AD0015", "Disease Progression without a complete date", ("01",)),
    ]


def test_nobody_at_all_has_no_record() -> None:
    data = subject_of(dict.fromkeys(reference_columns(), "") | {"BASELINE_OK": "Y"})
    frame, parents, _ = derived({name: frame[:0] for name, frame in data.items()})
    assert len(frame) == len(parents) == 0
