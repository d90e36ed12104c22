"""Responses: what holds for every study, and the rules once more, spelled out visit by visit."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study
from lesion_data import TR, adsl_of, derive, shuffled, text_frame, tr_row, tu_of

# Few studies of several subjects: what costs is the study, not the subject.
few = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
thorough = settings(few, max_examples=12)
DAYS = (-7, 20, 42, 69, 70, 98, 126, 168, 200)


class Lesion(NamedTuple):
    name: str
    role: str
    nodal: bool
    irradiated: str  # Y, N or empty
    found: tuple[str, ...]  # at each of DAYS; empty: not done


class Subject(NamedTuple):
    name: str
    lesions: tuple[Lesion, ...]
    new_therapy: int | None


tenths = st.integers(0, 600).map(lambda n: f"{n / 10:g}")
near = st.sampled_from(["0", "4", "5", "TSTM", "9.5", "9.9", "10", "14", "15", "20", "24", "25"])
sizes = st.one_of(near, near, tenths, st.just(""))


@st.composite
def targets(draw: st.DrawFn, number: int) -> Lesion:
    base = draw(st.integers(100, 400).map(lambda n: f"{n / 10:g}"))
    later = tuple(draw(sizes) for _ in DAYS[1:])
    irradiated = draw(st.sampled_from(["Y", "N", "N", ""]))
    return Lesion(f"T{number:02}", "TARGET", draw(st.booleans()), irradiated, (base, *later))


@st.composite
def subjects(draw: st.DrawFn, name: str) -> Subject:
    lesions = [draw(targets(n + 1)) for n in range(draw(st.integers(0, 3)))]
    if not lesions or draw(st.booleans()):
        states = st.sampled_from(["PRESENT", "PRESENT", "ABSENT", "ABSENT", "UNEQUIVOCAL", ""])
        found = ("PRESENT", *(draw(states) for _ in DAYS[1:]))
        lesions.append(Lesion("NT01", "NON-TARGET", nodal=False, irradiated="N", found=found))
    if draw(st.integers(0, 3)) == 0:
        states = st.sampled_from(["", "", "EQUIVOCAL", "UNEQUIVOCAL", "ABSENT"])
        found = ("", *(draw(states) for _ in DAYS[1:]))
        lesions.append(Lesion("NEW01", "NEW", nodal=False, irradiated="N", found=found))
    therapy = draw(st.sampled_from([None, None, None, 60, 70, 100]))
    return Subject(name, tuple(lesions), therapy)


@st.composite
def studies(draw: st.DrawFn) -> list[Subject]:
    return [draw(subjects(f"{n:02}")) for n in range(draw(st.integers(6, 12)))]


def sdtm(study: list[Subject], *, scale: int = 1) -> dict[str, pd.DataFrame]:
    rows = []
    for subject in study:
        for lesion in subject.lesions:
            for visit, (day, result) in enumerate(zip(DAYS, lesion.found, strict=True)):
                if lesion.role == "NEW" and not result:
                    continue
                test = "LPERP" if lesion.nodal else "LDIAM"
                test = test if lesion.role == "TARGET" else "TUMSTATE"
                if lesion.role == "TARGET" and scale != 1 and result:
                    size = Fraction("5" if result == "TSTM" else result)
                    shown = f"{float(size * scale):g}"
                else:
                    shown = result
                rows.append(
                    tr_row(subject.name, len(rows) + 1, lesion.name, f"A{visit}", test, shown, day)
                )
    lesions = [
        (s.name, x.name, x.role, "LYMPH NODE" if x.nodal else "LIVER", x.irradiated)
        for s in study
        for x in s.lesions
    ]
    therapy = {s.name: s.new_therapy for s in study if s.new_therapy is not None}
    adsl = adsl_of([s.name for s in study], therapy)
    return {"ADSL": adsl, "TR": text_frame(rows, TR), **tu_of(lesions)}


def values(frame: pd.DataFrame, paramcd: str) -> dict[str, str]:
    mine = frame[frame["PARAMCD"] == paramcd]
    return dict(zip(mine["USUBJID"], mine["AVALC"], strict=True))


# -- the rules, one visit after the other -----------------------------------------------------


def size_of(result: str) -> Fraction | None:
    return None if result == "" else Fraction("5" if result == "TSTM" else result)


def target_by_hand(
    lesions: list[Lesion], earlier_cr: list[bool]
) -> list[str]:  # oncology text, section by section
    """TRG at each visit after baseline; `earlier_cr` says whether an overall CR came before."""
    baseline = sum((Fraction(x.found[0]) for x in lesions), Fraction(0))
    nadir, out = baseline, []
    for visit in range(1, len(DAYS)):
        sizes_ = [size_of(x.found[visit]) for x in lesions]
        assessed = [s for s in sizes_ if s is not None]
        total = sum(assessed, Fraction(0))
        sick = [
            s >= 10 if x.nodal else s > 0
            for x, s in zip(lesions, sizes_, strict=True)
            if s is not None
        ]
        growth = total - nadir
        grown = growth >= 5 and (nadir == 0 or growth * 100 >= 20 * nadir)
        again = earlier_cr[visit - 1] and any(sick)
        if not assessed:
            out.append("NE")
        elif len(assessed) < len(lesions):
            out.append("PD" if (grown or again) and any(sick) else "NE")
        elif not any(sick):
            out.append("CR")
        elif grown or again:
            out.append("PD")
        elif (baseline - total) * 100 >= 30 * baseline:
            out.append("PR")
        else:
            out.append("SD")
        if len(assessed) == len(lesions):
            nadir = min(nadir, total)
    return out


def nontarget_by_hand(states: list[str]) -> str:
    if not states:
        return "NA"
    if "UNEQUIVOCAL" in states:
        return "PD"
    if "" in states:
        return "NE"
    return "CR" if set(states) == {"ABSENT"} else "NON-CR/NON-PD"


def overall_by_hand(subject: Subject) -> list[str]:
    measured = [x for x in subject.lesions if x.role == "TARGET"]
    others = [x for x in subject.lesions if x.role == "NON-TARGET"]
    fresh = [x for x in subject.lesions if x.role == "NEW"]
    earlier, out = [False], []
    for visit in range(1, len(DAYS)):
        if measured:
            flags = [*earlier, *[False] * len(DAYS)][: len(DAYS) - 1]
            target = target_by_hand(measured, flags)[visit - 1]
        else:
            target = "NA"
        nontarget = nontarget_by_hand([x.found[visit] for x in others])
        new = any(x.found[visit] == "UNEQUIVOCAL" for x in fresh)
        if new or "PD" in (target, nontarget):
            overall = "PD"
        elif target == "CR":
            overall = "CR" if nontarget in ("CR", "NA") else "PR"
        elif target != "NA":
            overall = target
        else:
            overall = nontarget
        out.append(overall)
        earlier.append(earlier[-1] or (overall == "CR" and target == "CR"))
    return out


def dated_back(subject: Subject, overall: list[str]) -> list[str]:
    """PD where an equivocal new lesion is unequivocal later, not having been absent between."""
    out = list(overall)
    for lesion in (x for x in subject.lesions if x.role == "NEW"):
        for visit in range(1, len(DAYS)):
            verdicts = [s for s in lesion.found[visit + 1 :] if s in ("UNEQUIVOCAL", "ABSENT")]
            if lesion.found[visit] == "EQUIVOCAL" and verdicts[:1] == ["UNEQUIVOCAL"]:
                out[visit - 1] = "PD"
    return out


def best_by_hand(subject: Subject) -> tuple[str, str]:
    """BOR and CBOR."""
    said = dated_back(subject, overall_by_hand(subject))
    visits = list(zip(DAYS[1:], said, strict=True))
    if "PD" in said:
        visits = visits[: said.index("PD") + 1]
    if subject.new_therapy is not None:
        visits = [(d, r) for d, r in visits if d <= subject.new_therapy]
    if not visits:
        return "MISSING", "MISSING"

    def best(pairs: list[tuple[int, str]]) -> str:
        counted = {r for d, r in pairs if r not in ("SD", "NON-CR/NON-PD") or d >= 42}
        order = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD")
        return next((r for r in order if r in counted), "NE")

    plain = best(visits)
    codes = [r for _, r in visits]
    if "CR" in codes:  # what is less than CR after a CR is PD, and the end
        first = codes.index("CR")
        lesser = [n for n in range(first, len(codes)) if codes[n] in ("PR", "SD", "NON-CR/NON-PD")]
        if lesser:
            visits = [*visits[: lesser[0]], (visits[lesser[0]][0], "PD")]

    def confirmed(i: int) -> bool:
        for j in range(i + 1, len(visits)):
            between = [r for _, r in visits[i + 1 : j]]
            good = ("CR",) if visits[i][1] == "CR" else ("PR", "CR")
            if (
                visits[j][1] in good
                and visits[j][0] - visits[i][0] >= 28
                and set(between) <= {*good, "NE"}
                and between.count("NE") <= 1
            ):
                return True
        return False

    stable = "SD" if any(x.role == "TARGET" for x in subject.lesions) else "NON-CR/NON-PD"
    lowered = [
        (d, stable if r in ("CR", "PR") and not confirmed(i) else r)
        for i, (d, r) in enumerate(visits)
    ]
    return plain, best(lowered)


# -- properties -------------------------------------------------------------------------------


@thorough
@given(studies())
def test_responses_are_those_of_the_rules_read_visit_by_visit(study: list[Subject]) -> None:
    adrs = derive(sdtm(study))["ADRS"].frame
    overall = adrs[adrs["PARAMCD"] == "OVR"].sort_values(["USUBJID", "LSCDT"])
    found = {name: rows["AVALC"].tolist() for name, rows in overall.groupby("USUBJID")}
    assert found == {s.name: overall_by_hand(s) for s in study}
    best = zip(values(adrs, "BOR").values(), values(adrs, "CBOR").values(), strict=True)
    assert list(best) == [best_by_hand(s) for s in study]


@few
@given(studies(), st.integers(0, 99))
def test_the_order_of_records_does_not_matter(study: list[Subject], seed: int) -> None:
    data = sdtm(study)
    one, other = derive(data), derive(shuffled(data, seed))
    for name, dataset in one.items():
        if name != "ADSL":
            assert_frame_equal(dataset.frame, other[name].frame)


@few
@given(studies())
def test_the_lesion_groups_and_what_is_in_none_add_up_to_all(study: list[Subject]) -> None:
    data = sdtm(study)
    nodes = data["TU"]["TULOC"].eq("LYMPH NODE") & data["TU"]["TUSTRESC"].eq("TARGET")
    low = data["TU"][nodes].rename(columns={"TULNKID": "IDVARVAL"})
    low = low.assign(IDVAR="TULNKID", QNAM="TUIRRLVL", QVAL="LOW-DOSE")[list(data["SUPPTU"])]
    data["SUPPTU"] = pd.concat([data["SUPPTU"], low], ignore_index=True)
    made = derive(data)
    keys, adles = ["USUBJID", "TRLNKGRP"], made["ADLES"].frame
    wide = made["ADTR"].frame.pivot_table(index=keys, columns="PARAMCD", values="AVAL")
    alone = adles[adles["LESGRP"].isna()].pivot_table(
        index=keys, columns="PARAMCD", values="AVAL", aggfunc="sum"
    )
    for code, single in (("SDIAM", "LSDIAM"), ("SVOL", "LSVOL")):
        if code in wide:
            groups = [f"{code}NI", f"{code}IR", f"{code}LD"]
            parts = wide.reindex(columns=groups).fillna(0).sum(axis=1)
            rest = alone.reindex(index=wide.index, columns=[single])[single].fillna(0)
            assert (parts + rest).tolist() == pytest.approx(wide[code].fillna(0).tolist())


@few
@given(studies(), st.sampled_from(["after_confirmed", "after_first"]))
def test_what_is_carried_forward_changes_no_best_response(study: list[Subject], rule: str) -> None:
    data = sdtm(study)
    carried = Study(response={"pr_carry_forward": rule})  # type: ignore[arg-type]
    plain, other = (derive(data, s)["ADRS"].frame for s in (Study(), carried))
    once = plain["VISITNUM"].isna() & plain["RSLNKGRP"].isna()
    assert_frame_equal(plain[once], other[once])
    changed = plain["AVALC"].ne(other["AVALC"]) & plain["AVALC"].notna()
    assert set(plain["AVALC"][changed]) <= {"SD"}
    assert set(other["AVALC"][changed]) <= {"PR"}


@few
@given(studies())
def test_a_stricter_definition_never_has_more_responders(study: list[Subject]) -> None:
    adrs = derive(sdtm(study))["ADRS"].frame
    for strict, mild in (("CRSPV2", "CRSPV"), ("ARRNL", "ARR"), ("ACRNL", "ACR"), ("ARR", "ACR")):
        have = {s for s, v in values(adrs, strict).items() if v == "Y"}
        assert have <= {s for s, v in values(adrs, mild).items() if v == "Y"}, strict


@few
@given(studies(), st.sampled_from([2, 3, 7]))
def test_percentages_do_not_depend_on_the_unit(study: list[Subject], scale: int) -> None:
    one, other = (derive(sdtm(study, scale=n))["ADTR"].frame for n in (1, scale))
    diameters = one["PARAMCD"].str.startswith("SDIAM")
    for name in ("PCHG", "PCHGNAD"):
        assert one[name][diameters].to_numpy() == pytest.approx(
            other[name][diameters].to_numpy(), nan_ok=True
        )


@few
@given(studies(), st.data())
def test_progression_with_a_lesion_missing_stays_whatever_that_lesion_is(
    study: list[Subject], data: st.DataObject
) -> None:
    filled = [
        s._replace(
            lesions=tuple(
                x._replace(found=(*x.found[:-1], x.found[-1] or data.draw(near)))
                if x.role == "TARGET"
                else x
                for x in s.lesions
            )
        )
        for s in study
    ]
    before, after = (last_target_response(s) for s in (study, filled))
    assert {s for s, r in before.items() if r == "PD"} <= {s for s, r in after.items() if r == "PD"}


def last_target_response(study: list[Subject]) -> dict[str, str]:
    adrs = derive(sdtm(study))["ADRS"].frame
    last = adrs[(adrs["PARAMCD"] == "TRG") & (adrs["RSLNKGRP"] == f"A{len(DAYS) - 1}")]
    return dict(zip(last["USUBJID"], last["AVALC"], strict=True))


@few
@given(studies())
def test_confirmed_responders_are_responders(study: list[Subject]) -> None:
    adrs = derive(sdtm(study))["ADRS"].frame
    for confirmed, plain in (("CRSP", "RSP"), ("CBCP", "BCP"), ("CCB", "CB")):
        have = {s for s, v in values(adrs, confirmed).items() if v == "Y"}
        assert have <= {s for s, v in values(adrs, plain).items() if v == "Y"}
    rank = ["CR", "PR", "SD", "NON-CR/NON-PD", "NED", "PD", "NE", "MISSING"]
    for subject, value in values(adrs, "CBOR").items():
        plain_rank = rank.index(values(adrs, "BOR")[subject])
        # PD can be the confirmed best response where CR was followed by less, else it is no better.
        assert rank.index(value) >= plain_rank or value in ("SD", "PD")


@few
@given(studies(), st.sampled_from(["best", "sustained", "last", "landmark"]))
def test_every_rule_of_control_stands_beside_the_one_in_force(
    study: list[Subject], rule: str
) -> None:
    adles = derive(sdtm(study), Study(endpoints={"nrcr_rule": rule}))["ADLES"].frame  # type: ignore[arg-type]
    controlled = {
        code: set(mine["USUBJID"] + mine["LESID"])
        for code, mine in adles[adles["AVALC"].eq("Y")].groupby("PARAMCD")
    }
    code = {"best": "B", "sustained": "S", "last": "L", "landmark": "M"}[rule]
    assert controlled.get("LSCTRL", set()) == controlled.get(f"LSCTRL{code}", set())
    assert controlled.get("LSCTRLS", set()) <= controlled.get("LSCTRLB", set())
    evaluable = adles[adles["EVALFL"].eq("Y")]
    named = set(evaluable["USUBJID"] + evaluable["LESID"])
    assert set().union(*(v for k, v in controlled.items() if k.startswith("LSCTRL"))) <= named


@few
@given(studies())
def test_every_record_has_a_parent_and_a_number_of_its_own(study: list[Subject]) -> None:
    for dataset in derive(sdtm(study)).values():
        frame = dataset.frame
        assert not frame.duplicated(["USUBJID", "ASEQ"]).any()
        assert not frame.duplicated(list(dataset.keys)).any()
        assert sorted(set(dataset.trace["row"])) == list(range(len(frame)))


@few
@given(studies(), st.randoms(use_true_random=False))
def test_no_gap_in_the_data_stops_the_derivation(study: list[Subject], random: object) -> None:
    data = sdtm(study)
    tr = data["TR"]
    for name in ("TRDTC", "TRLNKGRP", "TRTESTCD", "TRLNKID", "VISITNUM", "TRSTRESN", "TRSTRESC"):
        keep = [random.random() > 0.2 for _ in range(len(tr))]  # type: ignore[attr-defined]
        tr[name] = tr[name].where(pd.Series(keep, index=tr.index))
    data["TU"] = data["TU"][[random.random() > 0.2 for _ in range(len(data["TU"]))]]  # type: ignore[attr-defined]
    data["ADSL"]["STARTDT0"] = data["ADSL"]["STARTDT0"].where(
        pd.Series([random.random() > 0.3 for _ in range(len(data["ADSL"]))])  # type: ignore[attr-defined]
    )
    made = derive(data, issues=Issues())
    assert set(values(made["ADRS"].frame, "BOR")) == {s.name for s in study}


def test_optional_variables_may_be_absent_and_datasets_empty() -> None:
    lesion = Lesion("T01", "TARGET", nodal=False, irradiated="", found=("20", *["12"] * 8))
    data = sdtm([Subject("01", (lesion,), None)])
    data["TR"] = data["TR"][["USUBJID", "TRLNKID", "TRTESTCD", "TRSTRESN", "TRDTC"]]
    data["TU"] = data["TU"][["USUBJID", "TULNKID", "TUSTRESC"]]
    del data["SUPPTU"]
    assert values(derive(data)["ADRS"].frame, "CBOR") == {"01": "PR"}
    empty = {name: frame[:0] for name, frame in data.items()}
    for made in (derive(empty), derive({**empty, "ADSL": data["ADSL"]})):
        assert set(made) == {"ADTR", "ADLES", "ADRS"}
    assert values(derive({"ADSL": data["ADSL"]})["ADRS"].frame, "BOR") == {"01": "MISSING"}
