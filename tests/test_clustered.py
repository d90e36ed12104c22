"""Clustered lesions: worked data, statsmodels, and their own laws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_estimating_equations import GEE

from fhir2cdisc.results.clustered import (
    Clusters,
    bootstrap_interval,
    clustered_proportion,
    clusters_of,
    equation_estimate,
    intraclass_correlation,
    mean_of_rates,
)
from fhir2cdisc.results.statistics import proportion

# Controlled (best) / non-irradiated targets of the worked patients P1-P7 (13 lesions).
WORKED = {"P1": "YY", "P2": "YY", "P3": "Y", "P4": "NY", "P5": "YYY", "P6": "N", "P7": "YY"}


def lesions(patients: dict[str, str]) -> tuple[pd.Series, pd.Series]:
    pairs = [(p, c == "Y") for p, controls in patients.items() for c in controls]
    return pd.Series([c for _, c in pairs]), pd.Series([p for p, _ in pairs])


def test_lesions_clustered_in_patients_give_the_worked_interval() -> None:
    ratio = clustered_proportion(clusters_of(*lesions(WORKED)))
    assert (ratio.clusters, ratio.units, ratio.rule) == (7, 13, "logit-t")
    rounded = [round(x or 0, 4) for x in ratio.estimate]
    assert rounded == [0.8462, 0.4155, 0.9770]
    assert round(ratio.se or 0, 6) == 0.108839
    assert round(ratio.deff or 0, 3) == 1.183


def test_all_lesions_controlled_is_the_exact_interval() -> None:
    ratio = clustered_proportion(clusters_of(*lesions({"P1": "YY", "P2": "Y"})))
    assert ratio.rule == "exact"
    assert ratio.estimate == proportion(3, 3)


def test_one_patient_gives_no_interval() -> None:
    ratio = clustered_proportion(clusters_of(*lesions({"P1": "YN"})))
    assert ratio.estimate == (0.5, None, None)


def test_lesions_that_disagree_within_patients_do_not_narrow_the_interval() -> None:
    ratio = clustered_proportion(clusters_of(*lesions(dict.fromkeys("ABCD", "YN"))))
    assert ratio.deff == 0
    naive = math.sqrt(0.25 / 8) / 0.25
    assert ratio.estimate.upper == pytest.approx(1 / (1 + math.exp(-3.182446305284263 * naive)))


def rounded(estimate: tuple[float | None, ...]) -> list[float]:
    return [round(x or 0, 4) for x in estimate]


def test_the_normal_quantile_gives_the_narrower_worked_interval() -> None:
    ratio = clustered_proportion(clusters_of(*lesions(WORKED)), normal=True)
    assert rounded(ratio.estimate) == [0.8462, 0.5165, 0.9659]
    assert ratio.rule == "logit-z"


def test_worked_correlation_and_mean_of_patients() -> None:
    found = clusters_of(*lesions(WORKED))
    assert round(intraclass_correlation(found) or 0, 3) == 0.432
    assert rounded(mean_of_rates(found))[0] == 0.7857


def test_the_correlation_may_be_negative() -> None:
    found = clusters_of(*lesions(dict.fromkeys("ABCD", "YN")))
    assert intraclass_correlation(found) == pytest.approx(-1)


def test_estimating_equations_give_the_worked_interval() -> None:
    estimate = equation_estimate(clusters_of(*lesions(WORKED)))
    assert estimate == pytest.approx((0.844758, 0.4856, 0.9691), abs=5e-5)
    assert estimate.value == pytest.approx(0.844758, abs=5e-7)


patients = st.dictionaries(
    st.integers(0, 14), st.text("YN", min_size=1, max_size=4), min_size=3, max_size=15
)


@given(patients)
@settings(max_examples=25, deadline=None)
def test_estimating_equations_agree_with_statsmodels(given_: dict[int, str]) -> None:
    success, patient = lesions({str(k): v for k, v in given_.items()})
    ours = equation_estimate(clusters_of(success, patient))
    pairs = sum(len(v) * (len(v) - 1) / 2 for v in given_.values())
    # Without pairs statsmodels divides by zero; without variation there is nothing to compare.
    assume(pairs > 1 and ours.value is not None)
    model = GEE(
        success.to_numpy(float), np.ones((len(success), 1)), patient.to_numpy(),
        family=Binomial(), cov_struct=Exchangeable(),
    )  # fmt: skip
    theirs = model.fit(cov_type="bias_reduced", maxiter=200, ctol=1e-10)
    assume(theirs.converged)
    low, high = theirs.conf_int()[0]
    expected = [1 / (1 + math.exp(-x)) for x in (theirs.params[0], low, high)]
    assert list(ours) == pytest.approx(expected, rel=1e-6)


def test_resampled_limits_are_the_same_for_the_same_seed_and_any_order() -> None:
    success, patient = lesions(WORKED)
    first = bootstrap_interval(clusters_of(success, patient), 2000, 1)
    again = bootstrap_interval(clusters_of(success[::-1], patient[::-1]), 2000, 1)
    assert first == again
    assert first.value == pytest.approx(11 / 13)
    many = Clusters(np.arange(1.0, 21.0), np.arange(1.0, 41.0, 2.0))
    assert bootstrap_interval(many, 2000, 1) != bootstrap_interval(many, 2000, 2)


def test_resampled_limits_are_near_those_of_drawing_clusters_one_by_one() -> None:
    random = np.random.default_rng(5)
    m = random.integers(1, 5, 60).astype(float)
    y = random.binomial(m.astype(int), 0.7).astype(float)
    drawn = random.integers(0, 60, (4000, 60))
    shares = y[drawn].sum(axis=1) / m[drawn].sum(axis=1)
    ours = bootstrap_interval(Clusters(y, m), 4000, 1)
    assert ours[1:] == pytest.approx(np.quantile(shares, [0.025, 0.975]), abs=0.01)


@pytest.mark.parametrize(
    "given_", [{}, {"P1": "YN"}, {"P1": "YY", "P2": "Y"}, {"P1": "N", "P2": "NN"}],
    ids=["nobody", "one patient", "all controlled", "none controlled"],
)  # fmt: skip
def test_without_variation_between_patients_the_models_say_nothing(given_: dict[str, str]) -> None:
    found = clusters_of(*lesions(given_))
    assert equation_estimate(found) == (None, None, None)
    assert bootstrap_interval(found, 100, 1) == (None, None, None)
    assert intraclass_correlation(found) is None


def test_the_mean_of_patients_at_its_edges() -> None:
    def mean(given_: dict[str, str]) -> tuple[float | None, ...]:
        return mean_of_rates(clusters_of(*lesions(given_)))

    assert mean({}) == (None, None, None)
    assert mean({"P1": "YY", "P2": "Y"}) == proportion(2, 2)
    assert mean({"P1": "YN", "P2": "NY"}) == (0.5, None, None)
    assert mean({"P1": "YN"}) == (0.5, None, None)


def test_no_lesion_at_all() -> None:
    assert clustered_proportion(clusters_of(*lesions({}))).rule == "none"


@given(st.dictionaries(st.integers(0, 9), st.text("YN", min_size=1, max_size=5), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_clustered_share_lies_within_its_limits_and_between_0_and_1(
    patients: dict[int, str],
) -> None:
    ratio = clustered_proportion(clusters_of(*lesions({str(k): v for k, v in patients.items()})))
    value, lower, upper = ratio.estimate
    assert value is not None
    if lower is not None and upper is not None:
        assert 0 <= lower <= value <= upper <= 1
