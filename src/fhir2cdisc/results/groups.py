"""Times to events by group of subjects: a curve for each, the log-rank test, hazard ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
import pandas as pd

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.results.analysis import Analysis
from fhir2cdisc.results.comparison import hazard_ratio, logrank
from fhir2cdisc.results.endpoint_table import Endpoint, Scope, estimated, plain
from fhir2cdisc.results.statistics import Bools, Floats
from fhir2cdisc.results.survival import kaplan_meier
from fhir2cdisc.study import Study

MOST = 10
"""More values than this are no groups."""


def group_subjects(
    adam: Mapping[str, pd.DataFrame], study: Study, issues: Issues
) -> pd.Series | None:
    """The group of each subject of the analysis set, as text; None if nothing is to be compared.

    Subjects without a value are in no group (AD0019); a variable that is not there, or that does
    not make 2 to 10 groups, is AD0018.
    """
    name, flag, adsl = study.endpoints.group, study.endpoints.population, adam["ADSL"]
    if not name:
        return None
    if name not in adsl:
        issues.add("AD0018", f"ADSL has no variable {name}")
        return None
    within = adsl[name].set_axis(adsl["USUBJID"])[adsl[flag].eq("Y").to_numpy()]
    known = within.dropna()
    if pd.api.types.is_numeric_dtype(known):
        known = known.map("{:g}".format)
    levels = known.nunique()
    if not 2 <= levels <= MOST:
        issues.add("AD0018", f"{name} has {levels} value(s) in the analysis set ({flag})")
        return None
    missing = within.index[within.isna()]
    if len(missing):
        issues.add("AD0019", f"{name} is missing", missing[:200].tolist(), len(missing))
    return known.astype("str")


@dataclass(frozen=True, slots=True)
class _Times:
    """Time, event and group of the subjects who are in a group, for one parameter."""

    analysis: Analysis
    paramcd: str
    label: str
    time: Floats
    event: Bools
    group: np.ndarray

    @property
    def name(self) -> str:
        """The variable that makes the groups."""
        return self.analysis.study.endpoints.group

    def of(self, *levels: str) -> _Times:
        """The same of some groups only."""
        mine = np.isin(self.group, levels)
        return replace(self, time=self.time[mine], event=self.event[mine], group=self.group[mine])

    def scope(self, condition: str) -> Scope:
        scope = self.analysis.scope("ADTTE", self.analysis.population, PARAMCD=self.paramcd)
        return replace(scope, where=f"{scope.where}; {condition}")


def compare_groups(
    analysis: Analysis, found: pd.DataFrame, paramcd: str, label: str, landmark: float
) -> list[Endpoint]:
    """Median and rate of each group, and the tests between them; nothing without groups.

    `found` are the records of one parameter of ADTTE, `landmark` is the day of the rate. The
    first group in alphabetical order is the reference of the hazard ratios.
    """
    if analysis.groups is None:
        return []
    group = analysis.groups.reindex(found["USUBJID"].to_numpy()).to_numpy(dtype=object)
    known = ~pd.isna(group)
    times = _Times(
        analysis,
        paramcd,
        label,
        found["AVAL"].to_numpy(np.float64)[known],
        found["CNSR"].eq(0).to_numpy(dtype=bool)[known],
        group[known].astype(str),
    )
    reference, *others = sorted(set(analysis.groups))
    return [
        *(row for level in (reference, *others) for row in _curve(times, level, landmark)),
        *_test(times),
        *(_ratio(times, level, reference) for level in others),
    ]


def _curve(times: _Times, level: str, landmark: float) -> list[Endpoint]:
    analysis, mine, group = times.analysis, times.of(level), f"{times.name} {level}"
    months, label, id_ = analysis.study.endpoints.months, times.label, times.paramcd
    curve = kaplan_meier(mine.time, mine.event, analysis.level, analysis.scale)
    scope = times.scope(f"ADSL.{times.name} = {level}")
    early = int((mine.event & (mine.time <= landmark)).sum())
    limits = f"{analysis.percent} interval on the {analysis.scale} scale"
    return [
        estimated(
            f"{id_}-MEDIAN:{times.name}={level}", f"{label}, {group}: median", scope,
            (curve.events, curve.subjects), statistic="median", unit="months",
            scale=months / landmark, estimate=curve.quantile(), role="supplementary",
            method=f"As {id_}-MEDIAN, of the subjects with {group}; {limits}.",
        ),
        estimated(
            f"{id_}-{months}M:{times.name}={level}", f"{label}, {group}: rate at {months} months",
            scope, (early, curve.subjects), statistic="survival rate", unit="%", scale=100,
            estimate=curve.at(landmark), role="supplementary",
            method=f"As {id_}-{months}M, of the subjects with {group}; {limits}.",
        ),
    ]  # fmt: skip


def _test(times: _Times) -> list[Endpoint]:
    tested = logrank(times.time, times.event, times.group)
    scope, counts = times.scope(f"by ADSL.{times.name}"), (int(times.event.sum()), len(times.time))
    method = f"Log-rank test of {times.label} between the groups of {times.name}, "
    if tested is None:
        method += "which cannot be made: no two groups are under observation when an event happens."
    else:
        method += f"with {tested.freedom} degree(s) of freedom, two-sided, not stratified."
    return [
        plain(
            f"{times.paramcd}-LOGRANK-{part}:{times.name}",
            f"{times.label} by {times.name}: log-rank {statistic}", scope, counts,
            statistic=statistic, value=None if tested is None else value(tested), method=method,
        )
        for part, statistic, value in (
            ("CHISQ", "chi-squared", attrgetter("chisq")), ("P", "p value", attrgetter("p")),
        )
    ]  # fmt: skip


def _ratio(times: _Times, level: str, reference: str) -> Endpoint:
    name, pair, analysis = times.name, times.of(level, reference), times.analysis
    return estimated(
        f"{times.paramcd}-HR:{name}={level}",
        f"{times.label}: hazard ratio of {name} {level} to {reference}",
        times.scope(f"ADSL.{name} = {level} or {reference}"),
        (int(pair.event.sum()), len(pair.time)), statistic="hazard ratio", unit="", scale=1,
        estimate=hazard_ratio(pair.time, pair.event, pair.group == level, analysis.level),
        method=f"Cox regression of the subjects with {name} {level} or {reference} on the group "
        f"alone, ties by Efron, {analysis.percent} Wald interval; below 1 the hazard is lower "
        f"with {level}. Not estimable unless each group has an event while the other is under "
        "observation.",
    )  # fmt: skip
