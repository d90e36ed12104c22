"""What other methods say of the lesion control rate, and what is behind its number.

The headline stays the ratio estimator with its clustered interval (`endpoints`); nothing here is
meant to be quoted without it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fhir2cdisc.results.analysis import Analysis
from fhir2cdisc.results.clustered import (
    Clusters,
    bootstrap_interval,
    clustered_proportion,
    clusters_of,
    equation_estimate,
    intraclass_correlation,
    mean_of_rates,
)
from fhir2cdisc.results.comparison import stratified_odds_ratio
from fhir2cdisc.results.endpoint_table import Endpoint, Scope, counted, estimated, plain
from fhir2cdisc.results.statistics import Estimate

FEW = 10
"""Below so many clusters the asymptotics of estimating equations are not to be relied upon."""


def lesion_sensitivity(
    analysis: Analysis, lesions: pd.DataFrame, label: str, scope: Scope
) -> list[Endpoint]:
    """Other intervals, the correlation within subjects, and how many lesions subjects have.

    `lesions` are the records of the lesion control rate: USUBJID, AVALC of Y or N.
    """
    success = lesions["AVALC"].eq("Y")
    found = clusters_of(success, lesions["USUBJID"])
    counts = (int(success.sum()), len(lesions))
    rows = [
        estimated(
            f"NRCR-{id_}", f"{label} (sensitivity: {name})", scope, counts,
            statistic="proportion", unit="%", scale=100, estimate=estimate, method=method,
            role="supplementary",
        )
        for id_, name, estimate, method in _estimates(analysis, found)
    ]  # fmt: skip
    ratio = clustered_proportion(found, analysis.level)
    size = f"{len(found.sizes)} subjects with {found.units} lesions"
    rows += [
        plain(
            "NRCR-ICC", f"{label}: correlation of lesions within subjects", scope, counts,
            statistic="intraclass correlation", value=intraclass_correlation(found),
            method=f"Analysis of variance estimator over {size}; below 0 lesions of one subject "
            "agree less than those of different ones.",
        ),
        plain(
            "NRCR-DEFF", f"{label}: design effect", scope, counts,
            statistic="design effect", value=ratio.deff,
            method="Linearised variance of the ratio estimator over that of independent lesions, "
            f"as estimated over {size}; in the interval it is at least 1.",
        ),
    ]  # fmt: skip
    return rows + _distribution(found, scope)


def _estimates(analysis: Analysis, found: Clusters) -> list[tuple[str, str, Estimate, str]]:
    """Id, name, estimate and method of each."""
    level, percent, e = analysis.level, analysis.percent, analysis.study.endpoints
    few = (
        f" Fewer than {FEW} subjects: not to be quoted as the result."
        if len(found.sizes) < FEW
        else ""
    )
    normal = clustered_proportion(found, level, normal=True).estimate
    resampled = bootstrap_interval(found, e.bootstrap_replicates, e.bootstrap_seed, level)
    return [
        ("NORMAL", "normal quantile", normal, _NORMAL.format(percent)),
        ("GEE", "estimating equations", equation_estimate(found, level),
         _GEE.format(percent) + few),
        ("BOOTSTRAP", "resampled subjects", resampled,
         _BOOTSTRAP.format(percent, e.bootstrap_replicates, e.bootstrap_seed)),
        ("SUBJECT", "mean of subjects", mean_of_rates(found, level), _SUBJECT.format(percent)),
    ]  # fmt: skip


_NORMAL = "As NRCR, the logit {} interval with the normal quantile instead of Student's t."
_GEE = (
    "Generalised estimating equations, logit link, exchangeable correlation within subjects, {} "
    "interval by bias-reduced robust standard error (Mancl and DeRouen); the equations weigh "
    "subjects, so the point estimate differs from NRCR."
)
_BOOTSTRAP = (
    "The rate of NRCR; {} percentile interval of {} replicates that draw whole subjects (seed {})."
)
_SUBJECT = (
    "Mean over subjects of the share of their lesions that are controlled, so that every subject "
    "counts alike; logit {} interval with Student's t."
)


def _distribution(found: Clusters, scope: Scope) -> list[Endpoint]:
    """How many subjects have one lesion, two, ...: subjects with many of them weigh most."""
    sizes, subjects = np.unique(found.sizes.astype(np.int64), return_counts=True)
    return [
        counted(
            f"NRCR-LESIONS-{size}", f"Subjects with {size} non-irradiated target lesion(s)", scope,
            (number, len(found.sizes)), unit="subjects", role="supplementary",
            method=f"They have {size * number} of the {found.units} lesions of NRCR.",
        )
        for size, number in zip(sizes.tolist(), subjects.tolist(), strict=True)
    ]  # fmt: skip


def compare_lesions(analysis: Analysis) -> Endpoint:
    """Irradiated against non-irradiated target lesions of the same subject."""
    where = {"PARAMCD": "LSCTRL", "LESTYP": "TARGET"}
    scope = analysis.scope("ADLES", analysis.population, **where, LESGRP="IRRAD or NONIRRAD")
    found = analysis.records("ADLES", analysis.population, **where)
    if found is None:
        found = pd.DataFrame({"USUBJID": [], "AVALC": [], "LESGRP": []}, dtype="str")
    found = found[found["LESGRP"].isin(["IRRAD", "NONIRRAD"])]
    paired = stratified_odds_ratio(
        found["AVALC"].eq("Y").to_numpy(dtype=bool),
        found["LESGRP"].eq("IRRAD").to_numpy(dtype=bool),
        found["USUBJID"].to_numpy(),
        analysis.level,
    )
    return estimated(
        "LESION-OR", "Control of irradiated against non-irradiated target lesions: odds ratio",
        scope, (paired.informative, paired.strata), statistic="odds ratio", unit="", scale=1,
        estimate=paired.estimate, role="supplementary",
        method="Odds ratio within subjects (Mantel and Haenszel, stratified by subject) with "
        f"{analysis.percent} interval of Robins, Breslow and Greenland; above 1 irradiated lesions "
        f"are more often controlled. {paired.strata} subject(s) have lesions of both kinds; in "
        f"{paired.informative} of them some lesions are controlled and some are not, and only "
        "these say anything.",
    )  # fmt: skip
