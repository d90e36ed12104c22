"""Comparisons: survival between groups of subjects, and lesions within subjects.

The models come from statsmodels, which is imported when one is asked for; checked against R in
tests/test_comparison.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fhir2cdisc.results.statistics import (
    NOT_ESTIMABLE,
    Bools,
    Estimate,
    Floats,
    normal_quantile,
)


class Tested(NamedTuple):
    """A chi-squared statistic with its degrees of freedom and p value."""

    chisq: float
    freedom: int
    p: float


def logrank(time: Floats, event: Bools, group: np.ndarray) -> Tested | None:
    """The log-rank test that the groups have one survival curve; None if it cannot be made.

    Subjects who leave before the first event say nothing. It takes two groups of others, not all
    of whom have the event at that time.

    References:
        Peto R, Peto J. J R Stat Soc A 1972;135:185.
    """
    if not event.any():
        return None
    under = time >= time[event].min()
    time, event = time[under], event[under]
    names, code = np.unique(group[under], return_inverse=True)
    if len(names) < 2 or (event & (time == time.min())).all():
        return None
    from statsmodels.duration.survfunc import survdiff  # noqa: PLC0415

    chisq, p = survdiff(time, event.astype(np.int64), code)
    return Tested(float(chisq), len(names) - 1, float(p))


def hazard_ratio(time: Floats, event: Bools, treated: Bools, level: float = 0.95) -> Estimate:
    """The hazard of one group (True) against the other by Cox regression, ties by Efron.

    Wald limits. Not estimable unless each group has an event while the other is under
    observation: the likelihood has no maximum otherwise.

    References:
        Cox DR. J R Stat Soc B 1972;34:187; Efron B. JASA 1977;72:557.
    """
    if not (_event_beside(time, event, treated) and _event_beside(time, event, ~treated)):
        return NOT_ESTIMABLE
    from statsmodels.duration.hazard_regression import PHReg  # noqa: PLC0415

    model = PHReg(time, treated.astype(np.float64)[:, None], status=event, ties="efron")
    fitted = model.fit()
    log, half = float(fitted.params[0]), normal_quantile(level) * float(fitted.bse[0])
    return Estimate(math.exp(log), math.exp(log - half), math.exp(log + half))


def _event_beside(time: Floats, event: Bools, mine: Bools) -> bool:
    """Whether a group has an event while the other is under observation."""
    own, others = time[mine & event], time[~mine]
    return bool(len(own) and len(others) and own.min() <= others.max())


class PairedOdds(NamedTuple):
    """An odds ratio within strata, and how many strata say anything about it."""

    estimate: Estimate
    strata: int
    informative: int


def stratified_odds_ratio(
    success: Bools, exposed: Bools, stratum: np.ndarray, level: float = 0.95
) -> PairedOdds:
    """The odds of success of exposed against other units of the same stratum.

    Mantel and Haenszel's estimator with limits by Robins, Breslow and Greenland. Strata with
    units of one kind only, or in which all succeed or none, say nothing. Not estimable where all
    strata that say something say the same.

    References:
        Mantel N, Haenszel W. JNCI 1959;22:719; Robins J, Breslow N, Greenland S. Biometrics
        1986;42:311.
    """
    names, at = np.unique(stratum, return_inverse=True)
    cell = 2 * (~exposed).astype(np.int64) + ~success
    counts = np.bincount(4 * at + cell, minlength=4 * len(names)).reshape(-1, 2, 2)
    paired = counts[(counts.sum(axis=2) > 0).all(axis=1)]
    told = paired[(paired.sum(axis=1) > 0).all(axis=1)]
    sizes = told.sum(axis=(1, 2))
    for_, against = (told[:, 0, i] * told[:, 1, 1 - i] / sizes for i in (0, 1))
    if not for_.sum() or not against.sum():
        return PairedOdds(NOT_ESTIMABLE, len(paired), len(told))
    from statsmodels.stats.contingency_tables import StratifiedTable  # noqa: PLC0415

    table = StratifiedTable(told.transpose(1, 2, 0).astype(np.float64))
    lower, upper = table.oddsratio_pooled_confint(alpha=1 - level)
    estimate = Estimate(float(table.oddsratio_pooled), float(lower), float(upper))
    return PairedOdds(estimate, len(paired), len(told))
