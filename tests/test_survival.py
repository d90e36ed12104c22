"""Survival curves against R (survival 3.5-3), published tables, and their own laws."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir2cdisc.results.statistics import Estimate
from fhir2cdisc.results.survival import Scale, Survival, follow_up, kaplan_meier

ROOT = Path(__file__).parents[1]
REFERENCE = Path(os.environ.get("FHIR2CDISC_REFERENCE", ROOT.parent / "shared")) / "cases"
HERE = (REFERENCE / "stats_reference.csv").exists()
needs_reference = pytest.mark.skipif(
    not HERE, reason="stats_reference.csv and the lung and ovarian data are not here"
)

NAMES = ("dataset", "group", "method", "quantity", "expected")


def curve(dataset: str, group: str, scale: Scale = "log-log") -> Survival:
    time, event = times(dataset, group)
    return kaplan_meier(time, event, scale=scale)


def times(dataset: str, group: str) -> tuple[np.ndarray, np.ndarray]:
    name, time, status, dead = {
        "lung": ("survival_lung.csv", "time", "status", 2),
        "ovarian": ("survival_ovarian.csv", "futime", "fustat", 1),
    }[dataset]
    frame = pd.read_csv(REFERENCE / name)
    if group != "all":
        variable, value = group.split("=")
        frame = frame[frame[variable] == int(value)]
    return frame[time].to_numpy(dtype=float), (frame[status] == dead).to_numpy()


def references(*methods: str) -> list[object]:
    if not HERE:
        return []
    with (REFERENCE / "stats_reference.csv").open(encoding="utf-8", newline="") as lines:
        return [
            pytest.param(
                r["DATASET"], r["GROUP"], r["METHOD"], r["QUANTITY"], r["VALUE"],
                id=" ".join((r["DATASET"], r["GROUP"], r["METHOD"], r["QUANTITY"])),
            )
            for r in csv.DictReader(lines)
            if r["METHOD"] in methods
        ]  # fmt: skip


def value_of(km: Survival, quantity: str) -> float | None:
    """A quantity by the name the reference gives it."""
    part = {"lcl": "lower", "ucl": "upper"}
    name, _, rest = quantity.partition("_")
    if name in ("n", "events"):
        return km.subjects if name == "n" else km.events
    if name in ("q25", "median", "q75"):
        estimate = km.quantile({"q25": 0.25, "median": 0.5, "q75": 0.75}[name])
        return getattr(estimate, part.get(rest, "value"))
    if name == "rmst":
        estimate, se = km.restricted_mean(float(rest.rpartition("_")[2]))
        return se if rest.startswith("se_") else estimate.value
    if name == "nrisk":
        return km.at_risk_at(float(rest))
    if name == "SE":
        return float(km.se[np.searchsorted(km.times, float(rest), side="right") - 1])
    return getattr(km.at(float(rest)), {"S": "value", **part}[name])


@needs_reference
@pytest.mark.parametrize(NAMES, references("log-log", "log", "plain"))
def test_kaplan_meier_agrees_with_r(
    dataset: str, group: str, method: Scale, quantity: str, expected: str
) -> None:
    actual = value_of(curve(dataset, group, method), quantity)
    if expected == "NA":
        assert actual is None
    else:
        assert actual == pytest.approx(float(expected), rel=1e-6)


@needs_reference
@pytest.mark.parametrize(NAMES, references("reverse KM log-log"))
def test_follow_up_agrees_with_r(
    dataset: str, group: str, method: str, quantity: str, expected: str
) -> None:
    estimate = follow_up(*times(dataset, group))
    parts = {"lcl": estimate.lower, "ucl": estimate.upper}
    assert parts.get(quantity.rpartition("_")[2], estimate.value) == float(expected)


# Weeks in remission, leukaemia (Freireich 1963; Gehan 1965): + is still in remission.
TREATED = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def remissions(text: str) -> tuple[np.ndarray, np.ndarray]:
    weeks = text.split()
    return (
        np.array([float(w.rstrip("+")) for w in weeks]),
        np.array([not w.endswith("+") for w in weeks]),
    )


def test_a_published_curve() -> None:
    """Kleinbaum DG, Klein M. Survival Analysis, chapter 2: estimates and Greenwood's errors."""
    km = kaplan_meier(*remissions(TREATED))
    shown = {6: (0.8571, 0.0764), 7: (0.8067, 0.0869), 10: (0.7529, 0.0963), 13: (0.6902, 0.1068),
             16: (0.6275, 0.1141), 22: (0.5378, 0.1282), 23: (0.4482, 0.1346)}  # fmt: skip
    for week, (share, se) in shown.items():
        step = int(np.searchsorted(km.times, week))
        assert (round(float(km.probability[step]), 4), round(float(km.se[step]), 4)) == (share, se)
    assert km.quantile().value == 23
    assert kaplan_meier(*remissions(PLACEBO)).quantile().value == 8


@pytest.mark.parametrize("scale", ["log-log", "log", "plain"])
def test_limits_of_every_scale_lie_within_0_and_1_and_hold_the_curve(scale: Scale) -> None:
    km = kaplan_meier(*remissions(TREATED), scale=scale)
    assert (km.lower >= 0).all()
    assert (km.upper <= 1).all()
    assert ((km.lower <= km.probability) & (km.probability <= km.upper)).all()


def test_the_restricted_mean_of_a_curve_that_nobody_leaves_is_the_time_itself() -> None:
    alive = kaplan_meier(np.array([10.0, 20.0]), np.array([False, False]))
    assert alive.restricted_mean(8) == (Estimate(8, None, None), 0)
    nobody = kaplan_meier(np.array([]), np.array([], dtype=bool))
    assert nobody.restricted_mean(8) == ((None, None, None), None)


def test_the_median_is_the_midpoint_where_the_curve_is_exactly_a_half() -> None:
    # R: survfit(Surv(c(1, 2, 3, 4), rep(1, 4)) ~ 1) has median 2.5.
    km = kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4, dtype=bool))
    assert km.quantile().value == 2.5
    # Nothing happens afterwards: the time itself.
    km = kaplan_meier(np.array([1.0, 2.0, 5.0, 6.0]), np.array([True, True, False, False]))
    assert km.quantile().value == 2.0


def test_what_cannot_be_estimated_is_none() -> None:
    nobody = kaplan_meier(np.array([]), np.array([], dtype=bool))
    assert nobody.quantile() == nobody.at(100) == (None, None, None)
    alive = kaplan_meier(np.array([10.0, 20.0]), np.array([False, False]))
    assert alive.quantile() == (None, None, None)
    assert alive.at(15) == (1.0, 1.0, 1.0)
    assert not alive.ends_before(20)
    assert alive.ends_before(21)
    dead = kaplan_meier(np.array([10.0, 20.0]), np.array([True, True]))
    assert dead.at(21) == (0.0, None, None)
    assert not dead.ends_before(21)


observations = st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=40)


@given(observations)
@settings(max_examples=50, deadline=None)
def test_curves_fall_and_lie_between_their_limits(pairs: list[tuple[int, bool]]) -> None:
    km = kaplan_meier(np.array([float(t) for t, _ in pairs]), np.array([e for _, e in pairs]))
    assert (np.diff(km.probability) <= 0).all()
    inside = ~np.isnan(km.lower)
    assert (km.lower[inside] <= km.probability[inside]).all()
    assert (km.probability[inside] <= km.upper[inside]).all()


@given(observations)
@settings(max_examples=50, deadline=None)
def test_without_censoring_the_curve_is_the_share_still_free(
    pairs: list[tuple[int, bool]],
) -> None:
    time = np.array([float(t) for t, _ in pairs])
    km = kaplan_meier(time, np.ones(len(time), dtype=bool))
    assert km.probability == pytest.approx([(time > t).mean() for t in km.times])


@given(st.lists(st.integers(1, 50), min_size=2, max_size=40), st.integers(51, 60))
@settings(max_examples=50, deadline=None)
def test_without_censoring_the_restricted_mean_is_the_mean(days: list[int], until: int) -> None:
    time = np.array(days, dtype=float)
    mean, se = kaplan_meier(time, np.ones(len(time), dtype=bool)).restricted_mean(until)
    assert mean.value == pytest.approx(time.mean())
    assert se == pytest.approx(time.std() / np.sqrt(len(time)), abs=1e-9)
