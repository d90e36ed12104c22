"""The statistics against R (survival 3.5-3), published trials, and their own laws."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir2cdisc.results.statistics import (
    Survival,
    clustered_proportion,
    follow_up,
    kaplan_meier,
    proportion,
)

ROOT = Path(__file__).parents[1]
REFERENCE = Path(os.environ.get("FHIR2CDISC_REFERENCE", ROOT.parent / "shared")) / "cases"
HERE = (REFERENCE / "stats_reference.csv").exists()
needs_reference = pytest.mark.skipif(
    not HERE, reason="stats_reference.csv and the lung and ovarian data are not here"
)


def curve(dataset: str, group: str) -> Survival:
    time, event = times(dataset, group)
    return kaplan_meier(time, event)


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


def references(method: str) -> list[object]:
    if not HERE:
        return []
    with (REFERENCE / "stats_reference.csv").open(encoding="utf-8", newline="") as lines:
        return [
            pytest.param(
                r["DATASET"], r["GROUP"], r["QUANTITY"], r["VALUE"],
                id=f"{r['DATASET']} {r['GROUP']} {r['QUANTITY']}",
            )
            for r in csv.DictReader(lines)
            if r["METHOD"] == method and not r["QUANTITY"].startswith("rmst")
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
    if name == "nrisk":
        return km.at_risk_at(float(rest))
    if name == "SE":
        return float(km.se[np.searchsorted(km.times, float(rest), side="right") - 1])
    return getattr(km.at(float(rest)), {"S": "value", **part}[name])


@needs_reference
@pytest.mark.parametrize(("dataset", "group", "quantity", "expected"), references("log-log"))
def test_kaplan_meier_agrees_with_r(dataset: str, group: str, quantity: str, expected: str) -> None:
    actual = value_of(curve(dataset, group), quantity)
    if expected == "NA":
        assert actual is None
    else:
        assert actual == pytest.approx(float(expected), rel=1e-6)


@needs_reference
@pytest.mark.parametrize(
    ("dataset", "group", "quantity", "expected"), references("reverse KM log-log")
)
def test_follow_up_agrees_with_r(dataset: str, group: str, quantity: str, expected: str) -> None:
    estimate = follow_up(*times(dataset, group))
    parts = {"lcl": estimate.lower, "ucl": estimate.upper}
    assert parts.get(quantity.rpartition("_")[2], estimate.value) == float(expected)


@pytest.mark.parametrize(
    ("count", "total", "lower", "upper", "source"),
    [
        (16, 94, 0.1005, 0.2616, "INSPIRE, pembrolizumab"),
        (11, 41, 0.142, 0.429, "Golden 2015, RT + GM-CSF"),
        (11, 13, 0.5455, 0.9808, "worked lesions, naive"),
    ],
)
def test_published_exact_intervals(
    count: int, total: int, lower: float, upper: float, source: str
) -> None:
    digits = 3 if total == 41 else 4
    estimate = proportion(count, total)
    assert (round(estimate.lower or 0, digits), round(estimate.upper or 0, digits)) == (
        lower,
        upper,
    )


def test_the_median_is_the_midpoint_where_the_curve_is_exactly_a_half() -> None:
    # R: survfit(Surv(c(1, 2, 3, 4), rep(1, 4)) ~ 1) has median 2.5.
    km = kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4, dtype=bool))
    assert km.quantile().value == 2.5
    # Nothing happens afterwards: the time itself.
    km = kaplan_meier(np.array([1.0, 2.0, 5.0, 6.0]), np.array([True, True, False, False]))
    assert km.quantile().value == 2.0


def test_what_cannot_be_estimated_is_none() -> None:
    nobody = kaplan_meier(np.array([]), np.array([], dtype=bool))
    assert nobody.quantile() == nobody.at(100) == proportion(0, 0) == (None, None, None)
    alive = kaplan_meier(np.array([10.0, 20.0]), np.array([False, False]))
    assert alive.quantile() == (None, None, None)
    assert alive.at(15) == (1.0, 1.0, 1.0)
    assert not alive.ends_before(20)
    assert alive.ends_before(21)
    dead = kaplan_meier(np.array([10.0, 20.0]), np.array([True, True]))
    assert dead.at(21) == (0.0, None, None)
    assert not dead.ends_before(21)
    assert clustered_proportion(pd.Series([], dtype=float), pd.Series([], dtype=str)).rule == "none"


# Controlled (best) / non-irradiated targets of the worked patients P1-P7 (13 lesions).
WORKED = {"P1": "YY", "P2": "YY", "P3": "Y", "P4": "NY", "P5": "YYY", "P6": "N", "P7": "YY"}


def lesions(patients: dict[str, str]) -> tuple[pd.Series, pd.Series]:
    pairs = [(p, c == "Y") for p, controls in patients.items() for c in controls]
    return pd.Series([c for _, c in pairs]), pd.Series([p for p, _ in pairs])


def test_lesions_clustered_in_patients_give_the_worked_interval() -> None:
    ratio = clustered_proportion(*lesions(WORKED))
    assert (ratio.clusters, ratio.units, ratio.rule) == (7, 13, "logit-t")
    rounded = [round(x or 0, 4) for x in ratio.estimate]
    assert rounded == [0.8462, 0.4155, 0.9770]
    assert round(ratio.se or 0, 6) == 0.108839
    assert round(ratio.deff or 0, 3) == 1.183


def test_all_lesions_controlled_is_the_exact_interval() -> None:
    ratio = clustered_proportion(*lesions({"P1": "YY", "P2": "Y"}))
    assert ratio.rule == "exact"
    assert ratio.estimate == proportion(3, 3)


def test_one_patient_gives_no_interval() -> None:
    ratio = clustered_proportion(*lesions({"P1": "YN"}))
    assert ratio.estimate == (0.5, None, None)


def test_lesions_that_disagree_within_patients_do_not_narrow_the_interval() -> None:
    ratio = clustered_proportion(*lesions(dict.fromkeys("ABCD", "YN")))
    assert ratio.deff == 0
    naive = math.sqrt(0.25 / 8) / 0.25
    assert ratio.estimate.upper == pytest.approx(1 / (1 + math.exp(-3.182446305284263 * naive)))


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


@given(st.dictionaries(st.integers(0, 9), st.text("YN", min_size=1, max_size=5), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_clustered_share_lies_within_its_limits_and_between_0_and_1(
    patients: dict[int, str],
) -> None:
    ratio = clustered_proportion(*lesions({str(k): v for k, v in patients.items()}))
    value, lower, upper = ratio.estimate
    assert value is not None
    if lower is not None and upper is not None:
        assert 0 <= lower <= value <= upper <= 1
