"""Estimates and proportions: what all statistics of the endpoints share.

Small, closed formulas, owned here so that every number can be followed; checked against R in
tests/test_statistics.py. What cannot be estimated is None, never infinite and never NaN.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Estimate(NamedTuple):
    """An estimate with its confidence limits; None is not estimable."""

    value: float | None
    lower: float | None
    upper: float | None


NOT_ESTIMABLE = Estimate(None, None, None)


INTERVALS = {"exact": "Clopper-Pearson exact", "wilson": "Wilson score"}
"""The intervals of a proportion by name."""


def proportion(
    count: int, total: int, level: float = 0.95, method: Literal["exact", "wilson"] = "exact"
) -> Estimate:
    """A proportion with its confidence interval; nothing to estimate in an empty set.

    References:
        Clopper CJ, Pearson ES. Biometrika 1934;26:404 (exact); Wilson EB. JASA 1927;22:209.
    """
    if total == 0:
        return NOT_ESTIMABLE
    interval = stats.binomtest(count, total).proportion_ci(confidence_level=level, method=method)
    return Estimate(count / total, float(interval.low), float(interval.high))


def exceeds(count: int, total: int, rate: float) -> float | None:
    """The exact one-sided p value of as many successes or more, if their rate were `rate`."""
    if total == 0:
        return None
    return float(stats.binomtest(count, total, rate, alternative="greater").pvalue)


def normal_quantile(level: float) -> float:
    """The standard normal quantile of a two-sided interval: 1.96 for 0.95."""
    return float(stats.norm.ppf((1 + level) / 2))


def on_logit_scale(p: float, se: float, quantile: float) -> Estimate:
    """A proportion strictly between 0 and 1 with limits made on the logit scale.

    `se` is the standard error of p itself (delta method).
    """
    half = quantile * se / (p * (1 - p))
    logit = math.log(p / (1 - p))
    return Estimate(p, inverse_logit(logit - half), inverse_logit(logit + half))


def inverse_logit(x: float) -> float:
    # Written for either sign, so that a wide interval does not overflow.
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
