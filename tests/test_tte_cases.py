"""Time to event: the decision cases, our own cases, and what holds for every study."""

from __future__ import annotations

import csv
import os
import tomllib
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc.adam.parameters.os import OS
from fhir2cdisc.adam.parameters.pfs import PFS
from fhir2cdisc.adam.tte import COLUMNS, derive_time_to_event
from fhir2cdisc.study import Study

ROOT = Path(__file__).parents[1]
REFERENCE = Path(os.environ.get("FHIR2CDISC_REFERENCE", ROOT.parent / "shared")) / "cases"
PARAMETERS = {p.paramcd: p for p in (PFS, OS)}
START = pd.Timestamp("2021-03-01")


def day(number: object) -> pd.Timestamp:
    return pd.NaT if number in ("", None) else START + pd.Timedelta(days=int(str(number)))


def adsl_of(**columns: list[object]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    for name in ("ENRLFL", "BLADEQFL", "DTHFL", "DTHDTF"):
        if name in frame:
            frame[name] = frame[name].astype("str")
        else:
            frame[name] = pd.Series("Y" if name != "DTHDTF" else None, frame.index, dtype="str")
    for name in ("STARTDT0", "DTHDT", "NACTDT", "LSTALVDT"):
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


def subject_of(case: dict[str, str]) -> dict[str, pd.DataFrame]:
    """The subject of one decision case, as ADSL and ADRS."""
    scans = [s.split(":") for s in case["SCANS"].split("; ") if s]
    records = [("01", "OVR", response, day(number)) for number, response in scans]
    records += [("01", "PD", "Y", date) for _, _, r, date in records if r == "PD"][:1]
    adsl = adsl_of(
        USUBJID=["01"],
        BLADEQFL=[case["BASELINE_OK"]],
        STARTDT0=[START],
        DTHDT=[day(case["DEATH_DAY"])],
        NACTDT=[day(case["NACT_DAY"])],
        LSTALVDT=[day(case["LAST_ALIVE_DAY"])],
    )
    return {"ADSL": adsl, "ADRS": adrs_of(records)}


@pytest.mark.skipif(not reference_cases(), reason="tte_cases.csv of the reference is not here")
@pytest.mark.parametrize("case", reference_cases(), ids=lambda c: f"{c['CASE']} {c['TITLE']}")
def test_decision_case(case: dict[str, str]) -> None:
    data = subject_of(case)
    pfs = derive_time_to_event(PFS, data, Study()).iloc[0]
    os_ = derive_time_to_event(OS, data, Study()).iloc[0]
    assert pfs["ADT"] == day(case["PFS_FDA_DAY"])
    assert pfs["AVAL"] == int(case["PFS_FDA_DAY"]) + 1
    assert (pfs["CNSR"] > 0) == (case["PFS_FDA_CNSR"] == "1")
    assert pfs["EVNTDESC"] == case["PFS_FDA_DESC"]
    assert os_["ADT"] == day(case["OS_DAY"])
    assert (os_["CNSR"] > 0) == (case["OS_CNSR"] == "1")


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith("DT") or name == "STARTDT0":
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
        elif name in ("AVAL", "CNSR", "SRCSEQ"):
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
    given_ = {name: table(text) for name, text in case["given"].items()}  # type: ignore[attr-defined]
    adsl = adsl_of(**{n: list(c) for n, c in given_["ADSL"].items()})
    rows = given_["ADRS"][["USUBJID", "PARAMCD", "AVALC", "ADT"]]
    adrs = adrs_of([tuple(row) for row in rows.to_numpy().tolist()])
    study = Study(endpoints=case.get("endpoints", {}))  # type: ignore[arg-type]
    parameter = PARAMETERS[str(case["parameter"])]
    actual = derive_time_to_event(parameter, {"ADSL": adsl, "ADRS": adrs}, study)
    expected = table(str(case["expect"]))
    assert_frame_equal(actual[expected.columns], expected)


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
    kinds = st.sampled_from(["SD", "PR", "NE", "PD"])
    scans = draw(st.lists(st.tuples(st.integers(0, n - 1), kinds, days), max_size=15))
    records = [(f"{i:02d}", "OVR", kind, day(d)) for i, kind, d in scans]
    first = {u: d for u, _, k, d in sorted(records, key=lambda r: r[3], reverse=True) if k == "PD"}
    records += [(subject, "PD", "Y", date) for subject, date in first.items()]
    return {"ADSL": adsl, "ADRS": adrs_of(records)}


@settings(max_examples=25, deadline=None)
@given(studies())
def test_every_enrolled_subject_is_counted_once(data: dict[str, pd.DataFrame]) -> None:
    adsl = data["ADSL"]
    enrolled = sorted(adsl.loc[adsl["ENRLFL"].eq("Y"), "USUBJID"])
    for parameter in (PFS, OS):
        assert list(derive_time_to_event(parameter, data, Study())["USUBJID"]) == enrolled


@settings(max_examples=25, deadline=None)
@given(studies())
def test_nobody_progresses_before_enrolment(data: dict[str, pd.DataFrame]) -> None:
    for parameter in (PFS, OS):
        out = derive_time_to_event(parameter, data, Study())
        assert (out["AVAL"] >= 1).all()
        assert (out["ADT"] >= out["STARTDT"]).all()


@settings(max_examples=25, deadline=None)
@given(studies())
def test_progression_free_survival_is_never_longer_than_survival_when_both_end_in_an_event(
    data: dict[str, pd.DataFrame],
) -> None:
    pfs = derive_time_to_event(PFS, data, Study()).set_index("USUBJID")
    os_ = derive_time_to_event(OS, data, Study()).set_index("USUBJID")
    died = pfs["CNSR"].eq(0) & os_["CNSR"].eq(0)
    assert (pfs.loc[died, "AVAL"] <= os_.loc[died, "AVAL"]).all()


@settings(max_examples=25, deadline=None)
@given(studies())
def test_everyone_without_event_has_a_reason_and_a_dated_source(
    data: dict[str, pd.DataFrame],
) -> None:
    for parameter in (PFS, OS):
        out = derive_time_to_event(parameter, data, Study())
        assert list(out.columns) == list(COLUMNS)
        assert out[["EVNTDESC", "SRCDOM", "SRCVAR", "CNSR"]].notna().all(axis=None)
        assert out["CNSDTDSC"].notna().eq(out["CNSR"] > 0).all()
        assert out["SRCSEQ"].notna().eq(out["SRCDOM"].eq("ADRS")).all()


@settings(max_examples=25, deadline=None)
@given(studies(), st.integers(0, 99))
def test_the_order_of_records_does_not_matter(data: dict[str, pd.DataFrame], seed: int) -> None:
    shuffled = {name: frame.sample(frac=1, random_state=seed) for name, frame in data.items()}
    for parameter in (PFS, OS):
        assert_frame_equal(
            derive_time_to_event(parameter, data, Study()),
            derive_time_to_event(parameter, shuffled, Study()),
        )


def test_a_parameter_tells_its_rules_with_the_days_in_force() -> None:
    assert "98 days" in PFS.describe(Study())
    assert "NACTDT" in PFS.describe()
    assert "Last date known alive: LSTALVDT of ADSL" in OS.describe()
