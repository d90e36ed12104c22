"""Proportions, survival and clustered lesions: the statistics of the endpoints.

Small, closed formulas, owned here so that every number can be followed; checked against R in
tests/test_statistics.py. What cannot be estimated is None, never infinite and never NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Floats = npt.NDArray[np.float64]

# R's tolerance for "the curve is exactly at 0.5": the square root of the machine precision.
_AT = math.sqrt(np.finfo(np.float64).eps)


class Estimate(NamedTuple):
    """An estimate with its confidence limits; None is not estimable."""

    value: float | None
    lower: float | None
    upper: float | None


NOT_ESTIMABLE = Estimate(None, None, None)


def proportion(count: int, total: int, level: float = 0.95) -> Estimate:
    """A proportion with its exact confidence interval; nothing to estimate in an empty set.

    References:
        Clopper CJ, Pearson ES. Biometrika 1934;26:404.
    """
    if total == 0:
        return NOT_ESTIMABLE
    exact = stats.binomtest(count, total).proportion_ci(confidence_level=level, method="exact")
    return Estimate(count / total, float(exact.low), float(exact.high))


@dataclass(frozen=True, slots=True)
class Survival:
    """A Kaplan-Meier curve at 0 and its distinct times (events and censorings), ascending.

    `se` is Greenwood's standard error of `probability`; `lower` and `upper` are pointwise limits
    on the log-log scale: 1 before the first event, NaN where the curve is 0 (as in R).
    """

    subjects: int
    events: int
    times: Floats
    at_risk: Floats
    probability: Floats
    se: Floats
    lower: Floats
    upper: Floats

    def quantile(self, p: float = 0.5) -> Estimate:
        """The time by which a share `p` has had the event, with Brookmeyer-Crowley limits.

        Where the curve is exactly at 1 - p, the midpoint to the next event, as R and SAS do.

        References:
            Brookmeyer R, Crowley J. Biometrics 1982;38:29 (on the log-log scale).
        """
        return Estimate(
            *(self._falls_to(curve, 1 - p) for curve in (self.probability, self.lower, self.upper))
        )

    def at(self, time: float) -> Estimate:
        """The share without event at a time, with log-log limits.

        Beyond the last observation its value is carried forward (see `ends_before`).
        """
        if not self.subjects:
            return NOT_ESTIMABLE
        step = int(np.searchsorted(self.times, time, side="right")) - 1
        return Estimate(
            float(self.probability[step]), _number(self.lower[step]), _number(self.upper[step])
        )

    def ends_before(self, time: float) -> bool:
        """True if nobody is under observation at a time and not everybody had the event."""
        return bool(self.times[-1] < time and self.probability[-1] > 0)

    def at_risk_at(self, time: float) -> int:
        """The number of subjects under observation just before a time."""
        step = int(np.searchsorted(self.times, time, side="left"))
        return int(self.at_risk[step]) if step < len(self.times) else 0

    def _falls_to(self, curve: Floats, level: float) -> float | None:
        below = ~np.isnan(curve) & (curve < level + _AT)
        if not below.any():
            return None
        times, values = self.times[below], curve[below]
        lower = values < values[0]
        if abs(values[0] - level) < _AT and lower.any():
            return float((times[0] + times[int(np.argmax(lower))]) / 2)
        return float(times[0])


def kaplan_meier(time: Floats, event: npt.NDArray[np.bool_], level: float = 0.95) -> Survival:
    """The Kaplan-Meier estimate of times with an event (True) or a censoring (False).

    At a time with both, events come first.

    References:
        Kaplan EL, Meier P. JASA 1958;53:457; Greenwood's variance; log-log limits as in
        Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 1.4.
    """
    from_0: Floats = np.append(0.0, time)
    times, index = np.unique(from_0, return_inverse=True)
    died = np.bincount(index[1:], weights=event, minlength=len(times))
    left = np.bincount(index[1:], minlength=len(times)).astype(np.float64)
    at_risk: Floats = np.cumsum(left[::-1])[::-1]
    survivors = at_risk - died
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.where(died > 0, survivors / at_risk, 1.0)
        surviving = np.asarray(np.cumprod(free), dtype=np.float64)
        greenwood = np.cumsum(np.where(died > 0, died / (at_risk * survivors), 0.0))
        se = np.where(surviving > 0, surviving * np.sqrt(greenwood), np.nan)
        log = np.log(np.where((surviving > 0) & (surviving < 1), surviving, np.nan))
        width = stats.norm.ppf((1 + level) / 2) * np.sqrt(greenwood) / log
        # A positive width / log is negative: the smaller limit has the larger exponent.
        lower = np.where(surviving == 1, 1.0, np.exp(log * np.exp(-width)))
        upper = np.where(surviving == 1, 1.0, np.exp(log * np.exp(width)))
    return Survival(len(time), int(event.sum()), times, at_risk, surviving, se, lower, upper)


def follow_up(time: Floats, event: npt.NDArray[np.bool_], level: float = 0.95) -> Estimate:
    """The median follow-up by the reverse Kaplan-Meier method: censoring is the event.

    References:
        Schemper M, Smith TL. Control Clin Trials 1996;17:343.
    """
    return kaplan_meier(time, ~event, level).quantile()


class Ratio(NamedTuple):
    """A share of units clustered in subjects.

    `deff` is the design effect as estimated; `se` the linearised standard error; None is not
    estimable. `rule` says how the interval was made: ``logit-t``, ``exact`` or ``none``.
    """

    estimate: Estimate
    se: float | None
    deff: float | None
    clusters: int
    units: int
    rule: str


def clustered_proportion(success: pd.Series, cluster: pd.Series, level: float = 0.95) -> Ratio:
    """The share of units with success, with an interval that knows of their clusters.

    The ratio estimator sum(y) / sum(m) with its linearised variance over K clusters, and a logit
    interval with Student's t of K - 1 degrees of freedom. The design effect of the interval is
    at least 1: units that seem to disagree within clusters do not make it narrower than
    independent ones. A share of 0 or 1 has no variance to see: the exact interval at the
    effective number of units, which is then all of them. One cluster, and no interval.

    References:
        Cochran WG. Sampling Techniques, 3rd ed., 6.3 and 9A; Rao JNK, Scott AJ. Biometrics
        1992;48:577 (design effect).
    """
    counted = pd.DataFrame({"y": success.to_numpy(dtype=np.float64), "g": cluster.to_numpy()})
    by_cluster = counted.groupby("g")["y"].agg(["sum", "size"])
    y, m = by_cluster["sum"].to_numpy(dtype=np.float64), by_cluster["size"].to_numpy(np.float64)
    clusters, units = len(m), int(m.sum())
    if units == 0:
        return Ratio(NOT_ESTIMABLE, None, None, 0, 0, "none")
    p = float(y.sum() / units)
    if p in (0.0, 1.0):
        return Ratio(proportion(int(y.sum()), units, level), None, None, clusters, units, "exact")
    if clusters == 1:
        return Ratio(Estimate(p, None, None), None, None, clusters, units, "none")
    variance = clusters / (clusters - 1) * float(((y - p * m) ** 2).sum()) / units**2
    independent = p * (1 - p) / units
    deff = variance / independent
    se_logit = math.sqrt(max(variance, independent)) / (p * (1 - p))
    half = float(stats.t.ppf((1 + level) / 2, clusters - 1)) * se_logit
    logit = math.log(p / (1 - p))
    interval = Estimate(p, _inverse_logit(logit - half), _inverse_logit(logit + half))
    return Ratio(interval, math.sqrt(variance), deff, clusters, units, "logit-t")


def _inverse_logit(x: float) -> float:
    # Written for either sign, so that a wide interval does not overflow.
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
