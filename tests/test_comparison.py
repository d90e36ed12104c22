"""Comparisons against R (survival 3.5-3) and published tables."""

from __future__ import annotations

import numpy as np
import pytest

from fhir2cdisc.results.comparison import hazard_ratio, logrank, stratified_odds_ratio
from test_survival import NAMES, PLACEBO, TREATED, needs_reference, references, remissions, times


def two_groups(dataset: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    variable = {"lung": "sex", "ovarian": "rx"}[dataset]
    first, second = (times(dataset, f"{variable}={value}") for value in (1, 2))
    return (*joined(first, second),)


def joined(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    group = np.repeat([1, 2], [len(first[0]), len(second[0])])
    return np.append(first[0], second[0]), np.append(first[1], second[1]), group


@needs_reference
@pytest.mark.parametrize(NAMES, references("logrank", "cox efron"))
def test_comparisons_agree_with_r(
    dataset: str, group: str, method: str, quantity: str, expected: str
) -> None:
    time, event, which = two_groups(dataset)
    if method == "logrank":
        tested = logrank(time, event, which)
        assert tested is not None
        actual = {"chisq": tested.chisq, "p": tested.p}[quantity]
    else:
        found = hazard_ratio(time, event, which == 2)
        part = {"HR": found.value, "HR_lcl": found.lower, "HR_ucl": found.upper}[quantity]
        assert part is not None
        actual = part
    assert actual == pytest.approx(float(expected), rel=5e-7)


def test_the_published_comparison_of_remissions() -> None:
    """Log-rank 16.79 (Kleinbaum and Klein, chapter 2); R: coxph, coefficient 1.5721 (0.4124)."""
    time, event, group = joined(remissions(TREATED), remissions(PLACEBO))
    tested = logrank(time, event, group)
    assert tested is not None
    assert (round(tested.chisq, 2), tested.freedom) == (16.79, 1)
    ratio = hazard_ratio(time, event, group == 2)
    assert ratio == pytest.approx((np.exp(1.5721), 2.147, 10.81), rel=5e-4)
    turned = hazard_ratio(time, event, group == 1)
    assert turned.value == pytest.approx(1 / (ratio.value or 0))


def test_groups_that_cannot_be_compared() -> None:
    time = np.array([1.0, 2.0, 3.0, 4.0])
    event = np.array([True, True, False, True])
    one = np.array([True, True, False, False])
    assert logrank(time, event, np.ones(4)) is None
    assert logrank(time, ~event & False, one) is None
    assert logrank(np.ones(4), np.ones(4, dtype=bool), one) is None
    assert hazard_ratio(time, event, one) == (None, None, None), "the first all die before"
    assert hazard_ratio(time, event, np.ones(4, dtype=bool)) == (None, None, None)


def test_a_third_group_that_leaves_before_any_event_does_not_count() -> None:
    time, event, group = joined(remissions(TREATED), remissions(PLACEBO))
    more = logrank(np.append(time, 0.5), np.append(event, False), np.append(group, 3))
    assert more == logrank(time, event, group)


def test_the_odds_ratio_within_patients() -> None:
    # Matched pairs: the ratio of the discordant ones, here 6 to 2.
    pairs = [(True, False)] * 6 + [(False, True)] * 2 + [(True, True)] * 3 + [(False, False)]
    success = np.array(pairs).ravel()
    exposed = np.tile([True, False], len(pairs))
    patient = np.repeat(np.arange(len(pairs)), 2)
    found = stratified_odds_ratio(success, exposed, patient)
    assert (found.strata, found.informative) == (12, 8)
    assert found.estimate.value == pytest.approx(3)
    half = 1.959964 * np.sqrt(1 / 6 + 1 / 2)
    assert found.estimate[1:] == pytest.approx((3 * np.exp(-half), 3 * np.exp(half)), rel=1e-6)


def test_patients_with_lesions_of_one_group_say_nothing_of_the_other() -> None:
    success, exposed = np.array([True, False, True]), np.array([True, True, False])
    found = stratified_odds_ratio(success, exposed, np.array(["A", "A", "B"]))
    assert found == ((None, None, None), 0, 0)
    nobody = np.array([], dtype=bool)
    assert stratified_odds_ratio(nobody, nobody, np.array([], dtype=str)).strata == 0


def test_patients_who_all_say_the_same_give_no_odds_ratio() -> None:
    success, exposed = np.array([True, False] * 2), np.array([True, False] * 2)
    found = stratified_odds_ratio(success, exposed, np.array([1, 1, 2, 2]))
    assert (found.estimate, found.informative) == ((None, None, None), 2)
