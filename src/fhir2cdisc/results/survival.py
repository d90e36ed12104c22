"""Survival curves: Kaplan-Meier, its quantiles, follow-up and restricted means.

Checked against R (survival) in tests/test_survival.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fhir2cdisc.results.statistics import (
    NOT_ESTIMABLE,
    Bools,
    Estimate,
    Floats,
    normal_quantile,
)

Scale = Literal["log-log", "log", "plain"]
"""On which scale the limits of a curve are made, by the names of R (`conf.type`)."""

# R's tolerance for "the curve is exactly at 0.5": the square root of the machine precision.
_AT = math.sqrt(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Survival:
    """A Kaplan-Meier curve at 0 and its distinct times (events and censorings), ascending.

    `died` are the events at each time and `at_risk` those under observation just before it. `se`
    is Greenwood's standard error of `probability`; `lower` and `upper` are pointwise limits: 1
    before the first event, NaN where the curve is 0 (as in R).
    """

    subjects: int
    events: int
    times: Floats
    died: Floats
    at_risk: Floats
    probability: Floats
    se: Floats
    lower: Floats
    upper: Floats

    def quantile(self, p: float = 0.5) -> Estimate:
        """The time by which a share `p` has had the event, with Brookmeyer-Crowley limits.

        Where the curve is exactly at 1 - p, the midpoint to the next event, as R and SAS do.

        References:
            Brookmeyer R, Crowley J. Biometrics 1982;38:29 (on the scale of the limits).
        """
        return Estimate(
            *(self._falls_to(curve, 1 - p) for curve in (self.probability, self.lower, self.upper))
        )

    def at(self, time: float) -> Estimate:
        """The share without event at a time, with limits.

        Beyond the last observation its value is carried forward (see `ends_before`).
        """
        if not self.subjects:
            return NOT_ESTIMABLE
        step = int(np.searchsorted(self.times, time, side="right")) - 1
        return Estimate(
            float(self.probability[step]), _number(self.lower[step]), _number(self.upper[step])
        )

    def restricted_mean(self, until: float, level: float = 0.95) -> tuple[Estimate, float | None]:
        """The mean time without event up to a time, with normal limits, and its standard error.

        The area under the curve; the variance sums, over the events, the squared area that is
        left times Greenwood's term. Beyond the last observation the value of the curve is carried
        forward. A variance of 0 (no event before `until`) gives no limits.

        References:
            Klein JP, Moeschberger ML. Survival Analysis, 2nd ed., 4.5 (mean survival time).
        """
        if not self.subjects:
            return NOT_ESTIMABLE, None
        before = self.times < until
        widths = np.diff(np.append(self.times[before], until))
        areas = self.probability[before] * widths
        left = np.cumsum(areas[::-1])[::-1]
        died, at_risk = self.died[before], self.at_risk[before]
        # Where the last subject at risk has the event no area is left: the term is 0.
        open_ = (died > 0) & (at_risk > died)
        terms = died[open_] / (at_risk[open_] * (at_risk[open_] - died[open_]))
        se = math.sqrt(float((left[open_] ** 2 * terms).sum()))
        mean, half = float(areas.sum()), normal_quantile(level) * se
        if se == 0:
            return Estimate(mean, None, None), se
        return Estimate(mean, max(mean - half, 0.0), min(mean + half, until)), se

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


def kaplan_meier(
    time: Floats, event: Bools, level: float = 0.95, scale: Scale = "log-log"
) -> Survival:
    """The Kaplan-Meier estimate of times with an event (True) or a censoring (False).

    At a time with both, events come first.

    References:
        Kaplan EL, Meier P. JASA 1958;53:457; Greenwood's variance; scales of the limits as in
        Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 1.4.
    """
    from_0: Floats = np.append(0.0, time)
    times, index = np.unique(from_0, return_inverse=True)
    died = np.bincount(index[1:], weights=event, minlength=len(times)).astype(np.float64)
    left = np.bincount(index[1:], minlength=len(times)).astype(np.float64)
    at_risk: Floats = np.cumsum(left[::-1])[::-1]
    survivors = at_risk - died
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.where(died > 0, survivors / at_risk, 1.0)
        surviving = np.asarray(np.cumprod(free), dtype=np.float64)
        greenwood = np.cumsum(np.where(died > 0, died / (at_risk * survivors), 0.0))
        relative = np.sqrt(greenwood)
        se = np.where(surviving > 0, surviving * relative, np.nan)
    lower, upper = _limits(surviving, relative, normal_quantile(level), scale)
    return Survival(len(time), int(event.sum()), times, died, at_risk, surviving, se, lower, upper)


def _limits(surviving: Floats, relative: Floats, z: float, scale: Scale) -> tuple[Floats, Floats]:
    """Pointwise limits of a curve with its relative standard error; as R, within 0 and 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(surviving > 0, surviving, np.nan)
        if scale == "log-log":
            log = np.log(np.where(surviving < 1, known, np.nan))
            # A positive width / log is negative: the smaller limit has the larger exponent.
            width = z * relative / log
            lower, upper = np.exp(log * np.exp(-width)), np.exp(log * np.exp(width))
        elif scale == "log":
            lower, upper = known * np.exp(-z * relative), known * np.exp(z * relative)
        else:
            lower, upper = known * (1 - z * relative), known * (1 + z * relative)
        whole = surviving == 1
        lower = np.where(whole, 1.0, np.maximum(lower, 0.0))
        upper = np.where(whole, 1.0, np.minimum(upper, 1.0))
    return lower, upper


def follow_up(
    time: Floats, event: Bools, level: float = 0.95, scale: Scale = "log-log"
) -> Estimate:
    """The median follow-up by the reverse Kaplan-Meier method: censoring is the event.

    References:
        Schemper M, Smith TL. Control Clin Trials 1996;17:343.
    """
    return kaplan_meier(time, ~event, level, scale).quantile()


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
