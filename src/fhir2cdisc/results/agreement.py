"""Agreement of two raters beyond chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from fhir2cdisc.results.statistics import NOT_ESTIMABLE, Estimate


def kappa(one: pd.Series, other: pd.Series, cluster: pd.Series, level: float = 0.95) -> Estimate:
    """Cohen's kappa of two ratings of the same units, with limits that know of their clusters.

    The variance is linearised and summed over clusters, with Student's t of one degree of freedom
    less than there are clusters; where every unit is a cluster it is the large-sample variance of
    Fleiss, Cohen and Everitt times n / (n - 1). Not estimable where chance alone agrees: both
    raters use one and the same category throughout. One cluster, or ratings without variance to
    see (perfect agreement, or a rater who uses one category only), give no limits.

    References:
        Cohen J. Educ Psychol Meas 1960;20:37. Fleiss JL, Cohen J, Everitt BS. Psychol Bull
        1969;72:323 (variance). Cochran WG. Sampling Techniques, 3rd ed., 6.3 and 9A (clusters).
    """
    count = len(one)
    if not count:
        return NOT_ESTIMABLE
    codes, categories = pd.factorize(pd.concat([one, other], ignore_index=True))
    first, second = codes[:count], codes[count:]
    row = np.bincount(first, minlength=len(categories)) / count
    column = np.bincount(second, minlength=len(categories)) / count
    agree = first == second
    observed, by_chance = float(agree.mean()), float(row @ column)
    if by_chance == 1:
        return NOT_ESTIMABLE
    value = (observed - by_chance) / (1 - by_chance)
    chance = column[first] + row[second] - 2 * by_chance
    part = (agree - observed) / (1 - by_chance) - (1 - observed) / (1 - by_chance) ** 2 * chance
    of_cluster = np.bincount(pd.factorize(cluster)[0], weights=part)
    clusters = len(of_cluster)
    spread = float((of_cluster**2).sum()) / count**2
    if clusters == 1 or spread < np.finfo(np.float64).eps:
        return Estimate(value, None, None)
    variance = clusters / (clusters - 1) * spread
    half = float(stats.t.ppf((1 + level) / 2, clusters - 1)) * variance**0.5
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))
