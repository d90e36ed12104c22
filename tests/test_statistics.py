"""Proportions: against published trials, R, and the definition of the exact interval."""

from __future__ import annotations

import pytest
from scipy import stats

from fhir2cdisc.results.statistics import exceeds, on_logit_scale, proportion


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


@pytest.mark.parametrize(("count", "total"), [(0, 7), (1, 7), (12, 40), (40, 40)])
def test_exact_limits_are_quantiles_of_the_beta_distribution(count: int, total: int) -> None:
    estimate = proportion(count, total)
    failed = total - count
    lower = stats.beta.ppf(0.025, count, failed + 1) if count else 0.0
    upper = stats.beta.ppf(0.975, count + 1, failed) if failed else 1.0
    assert estimate[1:] == pytest.approx((lower, upper))


@pytest.mark.parametrize(
    ("count", "total", "lower", "upper"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_score_intervals_of_newcombe(
    count: int, total: int, lower: float, upper: float
) -> None:
    """Newcombe RG. Stat Med 1998;17:857, Table I, method 3."""
    estimate = proportion(count, total, method="wilson")
    assert [round(x or 0, 4) for x in estimate[1:]] == [lower, upper]
    assert proportion(0, 0, method="wilson") == (None, None, None)


def test_the_exact_one_sided_test_of_a_null_rate() -> None:
    # R: binom.test(12, 40, 0.2, alternative = "greater")$p.value
    assert exceeds(12, 40, 0.20) == pytest.approx(0.087505, abs=5e-7)
    assert exceeds(0, 40, 0.20) == 1
    assert exceeds(0, 0, 0.20) is None


def test_limits_made_on_the_logit_scale_stay_within_0_and_1() -> None:
    wide = on_logit_scale(0.5, 1000.0, 1.96)
    assert wide == pytest.approx((0.5, 0.0, 1.0))
