"""Shares of units that belong to clusters: lesions of subjects.

Everything is computed from two numbers a cluster, its successes and its size; nothing grows with
the number of clusters but two arrays. Checked against statsmodels and worked data in
tests/test_clustered.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from fhir2cdisc.results.statistics import (
    NOT_ESTIMABLE,
    Estimate,
    Floats,
    normal_quantile,
    on_logit_scale,
    proportion,
)


class Clusters(NamedTuple):
    """Clusters of units: the number of successes in each, and its size (at least 1)."""

    successes: Floats
    sizes: Floats

    @property
    def units(self) -> int:
        return int(self.sizes.sum())

    @property
    def share(self) -> float:
        """The share of units with success, whatever cluster they are in."""
        return float(self.successes.sum() / self.sizes.sum())

    @property
    def varies(self) -> bool:
        """Whether there is variation between at least two clusters to be seen."""
        return len(self.sizes) > 1 and 0 < self.successes.sum() < self.sizes.sum()


def clusters_of(success: pd.Series, cluster: pd.Series) -> Clusters:
    """The clusters of units, each with its success and the name of its cluster."""
    counted = pd.DataFrame({"y": success.to_numpy(dtype=np.float64), "g": cluster.to_numpy()})
    sums = counted.groupby("g")["y"].agg(["sum", "size"])
    return Clusters(sums["sum"].to_numpy(np.float64), sums["size"].to_numpy(np.float64))


class Ratio(NamedTuple):
    """A share of units clustered in subjects.

    `deff` is the design effect as estimated; `se` the linearised standard error; None is not
    estimable. `rule` says how the interval was made: ``logit-t``, ``logit-z``, ``exact`` or
    ``none``.
    """

    estimate: Estimate
    se: float | None
    deff: float | None
    clusters: int
    units: int
    rule: str


def clustered_proportion(found: Clusters, level: float = 0.95, *, normal: bool = False) -> Ratio:
    """The share of units with success, with an interval that knows of their clusters.

    The ratio estimator sum(y) / sum(m) with its linearised variance over K clusters, and a logit
    interval with Student's t of K - 1 degrees of freedom, or the normal quantile. The design
    effect of the interval is at least 1: units that seem to disagree within clusters do not make
    it narrower than independent ones. A share of 0 or 1 has no variance to see: the exact
    interval at the effective number of units, which is then all of them. One cluster, and no
    interval.

    References:
        Cochran WG. Sampling Techniques, 3rd ed., 6.3 and 9A; Rao JNK, Scott AJ. Biometrics
        1992;48:577 (design effect).
    """
    y, m = found
    count, units = len(m), found.units
    if units == 0:
        return Ratio(NOT_ESTIMABLE, None, None, 0, 0, "none")
    p = found.share
    if p in (0.0, 1.0):
        return Ratio(proportion(int(y.sum()), units, level), None, None, count, units, "exact")
    if count == 1:
        return Ratio(Estimate(p, None, None), None, None, count, units, "none")
    variance = count / (count - 1) * float(((y - p * m) ** 2).sum()) / units**2
    independent = p * (1 - p) / units
    quantile = normal_quantile(level) if normal else _t_quantile(level, count - 1)
    return Ratio(
        on_logit_scale(p, math.sqrt(max(variance, independent)), quantile),
        math.sqrt(variance),
        variance / independent,
        count,
        units,
        "logit-z" if normal else "logit-t",
    )


def equation_estimate(found: Clusters, level: float = 0.95) -> Estimate:
    """The share by generalised estimating equations, with a bias-reduced interval.

    Logit link, exchangeable correlation estimated by moments, robust standard error corrected
    for few clusters, normal limits on the logit scale. With an intercept alone every step is a
    sum over clusters: a cluster of size m has the weight 1 / (1 + (m - 1) alpha). Not estimable
    without variation, with one cluster, or where the correlation is no correlation for the
    largest cluster.

    References:
        Liang KY, Zeger SL. Biometrika 1986;73:13; Mancl LA, DeRouen TA. Biometrics 2001;57:126.
    """
    if not found.varies:
        return NOT_ESTIMABLE
    y, m = found
    weight = _exchangeable_weights(found)
    if weight is None:
        return NOT_ESTIMABLE
    total = float((weight * m).sum())
    p = float((weight * y).sum()) / total
    leverage = weight * m / total
    corrected = weight * (y - m * p) / (1 - leverage)
    # The standard error of p itself; on the logit scale it is divided by p (1 - p).
    return on_logit_scale(p, math.sqrt(float((corrected**2).sum())) / total, normal_quantile(level))


def _exchangeable_weights(found: Clusters) -> Floats | None:
    """The weight of each cluster at the solution of the equations; None if there is none."""
    y, m = found
    pairs = float((m * (m - 1) / 2).sum())
    weight: Floats = np.ones_like(m)
    if pairs <= 1:  # nothing to estimate a correlation from: independence
        return weight
    p, units = found.share, m.sum()
    for _ in range(200):
        left = y - m * p
        squares = y * (1 - p) ** 2 + (m - y) * p**2
        scale = squares.sum() / (units - 1)
        alpha = float(((left**2 - squares) / 2).sum() / scale / (pairs - 1))
        if alpha * (m.max() - 1) <= -1 or alpha >= 1:
            return None
        weight = 1 / (1 + (m - 1) * alpha)
        before, p = p, float((weight * y).sum() / (weight * m).sum())
        if abs(p - before) < 1e-13:
            return weight
    return None


def bootstrap_interval(
    found: Clusters, replicates: int, seed: int, level: float = 0.95
) -> Estimate:
    """The share with percentile limits from resampling whole clusters.

    Clusters with the same successes and size are alike, so a replicate draws how often each kind
    is taken: the cost does not grow with the number of clusters, nor does their order matter.

    References:
        Davison AC, Hinkley DV. Bootstrap Methods and their Application, 3.8 and 5.3.
    """
    if not found.varies:
        return NOT_ESTIMABLE
    kinds, count = np.unique(np.column_stack(found), axis=0, return_counts=True)
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = random.multinomial(len(found.sizes), count / count.sum(), size=replicates)
    successes, sizes = drawn @ kinds[:, 0], drawn @ kinds[:, 1]
    tail = (1 - level) / 2
    lower, upper = np.quantile(successes / sizes, [tail, 1 - tail])
    return Estimate(found.share, float(lower), float(upper))


def mean_of_rates(found: Clusters, level: float = 0.95) -> Estimate:
    """The mean of the shares within clusters: every cluster counts alike, whatever its size.

    Logit limits with Student's t of K - 1 degrees of freedom; exact ones where every cluster has
    only successes, or none; no limits where the shares do not vary, or with one cluster.
    """
    count = len(found.sizes)
    if count == 0:
        return NOT_ESTIMABLE
    rates = found.successes / found.sizes
    mean = float(rates.mean())
    if mean in (0.0, 1.0):
        return proportion(int(mean) * count, count, level)
    se = float(rates.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    if se == 0:
        return Estimate(mean, None, None)
    return on_logit_scale(mean, se, _t_quantile(level, count - 1))


def intraclass_correlation(found: Clusters) -> float | None:
    """The correlation of two units of one cluster, by analysis of variance; it may be negative.

    None without variation, with one cluster, or where every cluster is a single unit.

    References:
        Ridout MS, Demétrio CGB, Firth D. Biometrics 1999;55:137 (analysis of variance estimator).
    """
    y, m = found
    count, units = len(m), found.units
    if not found.varies or units == count:
        return None
    rate = y / m
    between = float((m * (rate - found.share) ** 2).sum()) / (count - 1)
    within = float((m * rate * (1 - rate)).sum()) / (units - count)
    size = (units - float((m**2).sum()) / units) / (count - 1)
    return (between - within) / (between + (size - 1) * within)


def _t_quantile(level: float, freedom: int) -> float:
    return float(stats.t.ppf((1 + level) / 2, freedom))
