"""The endpoints of the study, computed from the analysis datasets.

Response (all definitions side by side), control of non-irradiated lesions, progression-free and
overall survival, severe adverse events; then every subject and lesion that one of them leaves out,
with the reason, so that no denominator is silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.results.analysis import Analysis
from fhir2cdisc.results.clustered import Ratio, clustered_proportion, clusters_of
from fhir2cdisc.results.concordance import count_agreement
from fhir2cdisc.results.definitions import (
    LESIONS,
    Rate,
    abscopal_rates,
    controlled,
    irecist_rate,
    other_lesion_rates,
    response_rates,
)
from fhir2cdisc.results.endpoint_table import (
    Endpoint,
    EndpointTable,
    Scope,
    counted,
    estimated,
    plain,
)
from fhir2cdisc.results.exposure import exposure
from fhir2cdisc.results.groups import compare_groups, group_subjects
from fhir2cdisc.results.left_out import count_left_out
from fhir2cdisc.results.sensitivity import compare_lesions, lesion_sensitivity
from fhir2cdisc.results.statistics import (
    INTERVALS,
    NOT_ESTIMABLE,
    Estimate,
    exceeds,
    proportion,
)
from fhir2cdisc.results.survival import Survival, follow_up, kaplan_meier
from fhir2cdisc.study import Study

DAYS_PER_MONTH = 30.4375


def compute_endpoints(
    adam: Mapping[str, pd.DataFrame],
    study: Study,
    issues: Issues,
    definitions: Mapping[str, str] | None = None,
) -> EndpointTable:
    """The endpoints from ADSL and what there is of the other datasets, and of concordance.

    `definitions` has the rule of each parameter of ADTTE in sentences, by PARAMCD. An endpoint
    whose dataset is not there is not estimable, and an issue says so.
    """
    for dataset in ("ADSL", "ADRS", "ADLES", "ADTTE", "ADAE"):
        if dataset not in adam:
            issues.add("AD0001", f"endpoints need {dataset}")
    if "ADSL" not in adam:
        return EndpointTable(())
    analysis = Analysis(
        adam, study, issues, definitions or {}, groups=group_subjects(adam, study, issues)
    )
    rows = [
        *_responses(analysis),
        *_responses_by_irecist(analysis),
        *_lesion_control(analysis),
        *_other_lesion_rates(analysis),
        *(_rate(analysis, rate, analysis.population) for rate in abscopal_rates(analysis)),
        *_times_to_event(analysis),
        *_adverse_events(analysis),
        *exposure(analysis),
        *count_agreement(analysis),
        *count_left_out(analysis),
    ]
    return EndpointTable(tuple(rows))


# -- response ---------------------------------------------------------------------------------


NOT_EVALUABLE = "; subjects without evaluable response count as not responding"


def _responses(analysis: Analysis) -> list[Endpoint]:
    """ORR by all definitions, on the population of the study and on the evaluable subjects."""
    rows = []
    for flag in dict.fromkeys((analysis.population, "EVLFL")):
        for rate in response_rates(analysis):
            rows.append(_rate(analysis, rate, flag, NOT_EVALUABLE))
            if analysis.study.endpoints.null_rate and flag == analysis.population:
                rows.append(_null_test(analysis, rows[-1]))
    return rows


def _responses_by_irecist(analysis: Analysis) -> list[Endpoint]:
    """The same by iRECIST; a study without it has nothing to say about it."""
    rate, flag = irecist_rate(), analysis.population
    found = analysis.records("ADRS", flag, PARAMCD=rate.paramcd)
    if found is None or found.empty:
        return []
    return [
        replace(_rate(analysis, rate, flag, NOT_EVALUABLE), role="supplementary")
        for flag in dict.fromkeys((flag, "EVLFL"))
    ]


def _rate(analysis: Analysis, rate: Rate, flag: str, note: str = "") -> Endpoint:
    """A share of the subjects, or of those who have targets of the lesion group."""
    where = {"PARAMCD": rate.paramcd}
    found = analysis.records("ADRS", flag, **where)
    subjects = found["USUBJID"] if rate.group and found is not None else None
    if found is not None and len(analysis.subjects(flag)) and _is_of_nobody(analysis, found):
        found = None  # not derived, or nobody was ever assessed: not a rate of 0 %
    suffix = "" if flag == analysis.population else "-EVALUABLE"
    of = "; of subjects with such lesions" if rate.group else ""
    return _share(
        analysis, rate.id + suffix, rate.label,
        None if found is None else found[found["AVALC"].isin(rate.values)], flag,
        method=f"Share of subjects {rate.which}{note}{of}.",
        scope=analysis.scope("ADRS", flag, **where, AVALC=" or ".join(rate.values)),
        subjects=subjects,
    )  # fmt: skip


def _is_of_nobody(analysis: Analysis, found: pd.DataFrame) -> bool:
    """Whether the records say nothing of anybody: no lesion and no response was recorded."""
    sums = analysis.adam.get("ADTR")
    return bool(found["AVALC"].eq("MISSING").all()) and (sums is None or sums.empty)


def _null_test(analysis: Analysis, rate: Endpoint) -> Endpoint:
    """The exact test that a response rate is not above that of the null hypothesis."""
    null, count, total = analysis.study.endpoints.null_rate, rate.numerator, rate.denominator
    return plain(
        f"{rate.id}-P", f"{rate.endpoint}: test against {null * 100:g} %",
        Scope(rate.analysis_set, rate.dataset, rate.where), (count, total),
        statistic="p value",
        value=None if count is None or total is None else exceeds(count, total, null),
        method=f"Exact one-sided binomial test that the rate of {rate.id} is {null * 100:g} % or "
        "less.",
    )  # fmt: skip


def _share(
    analysis: Analysis,
    id_: str,
    label: str,
    found: pd.DataFrame | None,
    flag: str,
    *,
    method: str,
    scope: Scope,
    subjects: pd.Series | None = None,
) -> Endpoint:
    """The share of subjects with any of the records; not estimable where these are None.

    Of the subjects of the analysis set, or of those given.
    """
    total = len(analysis.subjects(flag)) if subjects is None else subjects.nunique()
    count = None if found is None else int(found["USUBJID"].nunique())
    interval = analysis.study.endpoints.proportion_interval
    estimate = NOT_ESTIMABLE
    if count is not None:
        estimate = proportion(count, total, analysis.level, interval)
    name = INTERVALS[interval]
    return estimated(
        id_, label, scope, (count, total),
        statistic="proportion", unit="%", scale=100, estimate=estimate,
        method=f"{method} {name} {analysis.percent} interval.",
    )  # fmt: skip


# -- non-irradiated lesions -------------------------------------------------------------------


def _lesion_control(analysis: Analysis) -> list[Endpoint]:
    """NRCR over all non-irradiated target lesions and the evaluable ones, and irradiated ones."""
    flag = analysis.population
    rule = controlled(analysis, analysis.study.endpoints.nrcr_rule)
    everything = (
        "Share of all non-irradiated target lesions that are controlled; a lesion that cannot be "
        f"evaluated counts as not controlled; {rule}."
    )
    evaluable = (
        "Share of the non-irradiated target lesions with an evaluable response that are "
        f"controlled; {rule}."
    )
    name = "Non-irradiated lesion control rate"
    local = "Irradiated lesion control rate (local control)"
    treated = {**LESIONS, "LESGRP": "IRRAD"}
    rows = []
    for id_, label, where, method in (
        ("NRCR", f"{name}, all lesions", LESIONS, everything),
        ("NRCR-EVALUABLE", f"{name}, evaluable lesions", {**LESIONS, "EVALFL": "Y"}, evaluable),
        ("IRCR", f"{local}, all lesions", treated,
         everything.replace("non-irradiated", "irradiated")),
        ("IRCR-EVALUABLE", f"{local}, evaluable lesions", {**treated, "EVALFL": "Y"},
         evaluable.replace("non-irradiated", "irradiated")),
    ):  # fmt: skip
        found = analysis.records("ADLES", flag, **where)
        scope = analysis.scope("ADLES", flag, **where)
        rows += _clustered(analysis, id_, label, found, method=method, scope=scope)
        if id_ == "NRCR" and found is not None:
            rows += lesion_sensitivity(analysis, found, name, scope)
    return [*rows, compare_lesions(analysis)]


def _other_lesion_rates(analysis: Analysis) -> list[Endpoint]:
    """Further shares of target lesions, over all and over the evaluable ones."""
    rows = []
    for rate in other_lesion_rates(analysis):
        for kind, ending, more in (("all", "", {}), ("evaluable", "-EVALUABLE", {"EVALFL": "Y"})):
            found = analysis.records("ADLES", analysis.population, **rate.where, **more)
            if found is not None:
                good = found["AVALC"].isin(rate.values)
                found = found.assign(AVALC=good.map({True: "Y", False: "N"}))
            row, _ = _clustered(
                analysis,
                rate.id + ending,
                f"{rate.label}, {kind} lesions",
                found,
                method=f"Share of {kind} {rate.which}.",
                scope=analysis.scope("ADLES", analysis.population, **rate.where, **more),
            )
            rows.append(replace(row, role="supplementary") if rate.other_rule else row)
    return rows


def _clustered(
    analysis: Analysis,
    id_: str,
    label: str,
    lesions: pd.DataFrame | None,
    *,
    method: str,
    scope: Scope,
) -> list[Endpoint]:
    """The interval that knows of the subjects, and as a footnote the one that does not."""
    if lesions is None:
        lesions = pd.DataFrame({"USUBJID": [], "AVALC": []}, dtype="str")
    success = lesions["AVALC"].eq("Y")
    counts = (int(success.sum()), len(lesions))
    ratio = clustered_proportion(clusters_of(success, lesions["USUBJID"]), analysis.level)
    return [
        estimated(
            id_, label, scope, counts,
            statistic="proportion", unit="%", scale=100, estimate=ratio.estimate,
            method=f"{method} {_interval(analysis, ratio)}",
        ),
        estimated(
            f"{id_}-NAIVE", f"{label} (footnote: lesions taken as independent)", scope, counts,
            statistic="proportion", unit="%", scale=100,
            estimate=proportion(*counts, analysis.level),
            method=f"{method} Clopper-Pearson exact {analysis.percent} interval that ignores "
            "that lesions belong to subjects: for comparison only.",
            role="supplementary",
        ),
    ]  # fmt: skip


def _interval(analysis: Analysis, ratio: Ratio) -> str:
    if not ratio.clusters:
        return (
            "Ratio estimator with a linearised variance over subjects and a logit interval with "
            "Student's t; there is no lesion to estimate it from."
        )
    size = f"{ratio.units} lesions in {ratio.clusters} subjects"
    if ratio.rule == "logit-t":
        return (
            f"Ratio estimator over {size}, linearised variance (design effect {ratio.deff:.3f}, "
            f"in the interval at least 1), logit {analysis.percent} interval with Student's t of "
            f"{ratio.clusters - 1} degrees of freedom."
        )
    if ratio.rule == "exact":
        return (
            f"{size}; at 0 or 100 % there is no variance between subjects to see: exact "
            f"{analysis.percent} interval of all lesions."
        )
    return f"{size}: too few for an interval."


# -- time to event ----------------------------------------------------------------------------

_PFS = "Progression-free survival"
_OS = "Overall survival"
# PARAMCD -> label, of the parameters with a curve.
CURVES = {
    "PFS": _PFS,
    "PFSEMA": f"{_PFS}, EMA rules",
    "PFSVIS": f"{_PFS}, progression dated at planned visits",
    "PFSNI": f"{_PFS} of non-irradiated target lesions",
    "PFSIR": f"{_PFS} of irradiated target lesions",
    "IPFS": f"{_PFS} by iRECIST",
    "TTP": "Time to progression",
    "DOR": "Duration of confirmed response",
    "OS": _OS,
}
# The others are read beside these.
MAIN_CURVES = ("PFS", "OS")


def _times_to_event(analysis: Analysis) -> list[Endpoint]:
    """The curves, what happened up to the cut, and when responders responded."""
    curves = {code: _survival(analysis, code, label) for code, label in CURVES.items()}
    if _times(analysis, "IPFS").empty:
        del curves["IPFS"]  # a study without iRECIST has nothing to say about it
    months = analysis.study.endpoints.months
    until = f"up to {months} months"
    last = curves.pop("OS")
    return [
        *chain.from_iterable(curves.values()),
        *_up_to_cut(analysis, "PFS6M", f"{_PFS}, {until}"),
        _late_events(analysis),
        _time_to_response(analysis),
        *last,
        *_up_to_cut(analysis, "OS6M", f"{_OS}, {until}"),
        _follow_up(analysis),
    ]


def _survival(analysis: Analysis, paramcd: str, label: str) -> list[Endpoint]:
    """Events, median and landmark rate of a parameter of ADTTE, and why subjects are censored."""
    found, rule = _times(analysis, paramcd), analysis.definition(paramcd)
    time, event = found["AVAL"].to_numpy(np.float64), found["CNSR"].eq(0).to_numpy(dtype=bool)
    curve = kaplan_meier(time, event, analysis.level, analysis.scale)
    months = analysis.study.endpoints.months
    landmark = months * DAYS_PER_MONTH
    early = int((event & (time <= landmark)).sum())
    scope = analysis.scope("ADTTE", analysis.population, PARAMCD=paramcd)
    total = len(found)
    carried = ""
    if total and curve.ends_before(landmark):
        carried = (
            f" Nobody was under observation on that day: the value of day {curve.times[-1]:g}, "
            "the last one, is carried forward."
        )
    main = paramcd in MAIN_CURVES
    rows = [
        counted(
            f"{paramcd}-EVENTS", f"{label}: events", scope, (curve.events, total),
            statistic="events", unit="subjects", method=rule,
        ),
        estimated(
            f"{paramcd}-MEDIAN", f"{label}: median", scope, (curve.events, total),
            statistic="median", unit="months", scale=1 / DAYS_PER_MONTH,
            estimate=curve.quantile(),
            method=f"{rule} Kaplan-Meier median (midpoint where the curve is exactly at "
            f"50 %), Brookmeyer-Crowley {analysis.percent} interval on the {analysis.scale} scale; "
            f"a month has {DAYS_PER_MONTH} days.",
        ),
        estimated(
            f"{paramcd}-{months}M", f"{label}: rate at {months} months", scope, (early, total),
            statistic="survival rate", unit="%", scale=100, estimate=curve.at(landmark),
            method=f"{rule} Kaplan-Meier estimate at day {landmark:g} with "
            f"{analysis.percent} interval on the {analysis.scale} scale (Greenwood); the numerator "
            f"counts events until then, {curve.at_risk_at(landmark)} subject(s) are at risk."
            f"{carried}",
        ),
        *(_more_of_curve(analysis, curve, paramcd, label, carried) if main else ()),
        *(compare_groups(analysis, found, paramcd, label, landmark) if main else ()),
        *_censorings(analysis, found, paramcd, label),
    ]  # fmt: skip
    return rows if main else [replace(row, role="supplementary") for row in rows]


def _more_of_curve(
    analysis: Analysis, curve: Survival, paramcd: str, label: str, carried: str
) -> list[Endpoint]:
    """The quartiles beside the median, and the restricted mean up to the landmark."""
    scope = analysis.scope("ADTTE", analysis.population, PARAMCD=paramcd)
    months, counts = analysis.study.endpoints.months, (curve.events, curve.subjects)
    mean, _ = curve.restricted_mean(months * DAYS_PER_MONTH, analysis.level)
    quartiles = [
        estimated(
            f"{paramcd}-Q{percent}", f"{label}: {percent} % have had the event", scope, counts,
            statistic="quantile", unit="months", scale=1 / DAYS_PER_MONTH,
            estimate=curve.quantile(percent / 100), role="supplementary",
            method=f"As {paramcd}-MEDIAN, the time by which {percent} % have had the event.",
        )
        for percent in (25, 75)
    ]  # fmt: skip
    return [
        *quartiles,
        estimated(
            f"{paramcd}-RMST", f"{label}: mean within {months} months", scope, counts,
            statistic="restricted mean", unit="months", scale=1 / DAYS_PER_MONTH, estimate=mean,
            method=f"Area under the curve of {paramcd}-MEDIAN up to {months} months of "
            f"{DAYS_PER_MONTH} days; {analysis.percent} normal interval with Greenwood's "
            f"variance.{carried}",
            role="supplementary",
        ),
    ]  # fmt: skip


def _up_to_cut(analysis: Analysis, paramcd: str, label: str) -> list[Endpoint]:
    """How many had the event by the cut, and why the others are censored."""
    found = _times(analysis, paramcd)
    return [
        counted(
            f"{paramcd}-EVENTS", f"{label}: events",
            analysis.scope("ADTTE", analysis.population, PARAMCD=paramcd),
            (int(found["CNSR"].eq(0).sum()), len(found)),
            statistic="events", unit="subjects", method=analysis.definition(paramcd),
        ),
        *_censorings(analysis, found, paramcd, label),
    ]  # fmt: skip


def _late_events(analysis: Analysis) -> Endpoint:
    """What a window after the cut would add to the events up to it, whatever window is set."""
    window = analysis.study.endpoints.visit_window_days
    found = _times(analysis, "PFS")
    cut = analysis.adam["ADSL"].set_index("USUBJID")["CUT6DT"].reindex(found["USUBJID"])
    after = (found["ADT"] - cut.set_axis(found.index)).dt.days
    late = found["CNSR"].eq(0) & after.between(1, window)
    return counted(
        "PFS6M-LATE", f"{_PFS}: events within {window} days after the cut",
        analysis.scope("ADTTE", analysis.population, PARAMCD="PFS", CNSR="0",
                       ADT=f"CUT6DT + 1 to CUT6DT + {window}"),
        (int(late.sum()), len(found)), unit="subjects",
        method=f"Events of PFS dated after CUT6DT and not more than the visit window of {window} "
        "days later: what cut_window_days of that size brings into PFS6M.",
    )  # fmt: skip


def _time_to_response(analysis: Analysis) -> Endpoint:
    """The median of the responders: a description, without an interval."""
    found = _times(analysis, "TTR")
    days = found["AVAL"].to_numpy(np.float64)
    median = float(np.median(days)) if len(days) else None
    return replace(
        estimated(
            "TTR-MEDIAN", "Time to confirmed response: median of the responders",
            analysis.scope("ADTTE", analysis.population, PARAMCD="TTR"), (len(days), len(days)),
            statistic="median", unit="months", scale=1 / DAYS_PER_MONTH,
            estimate=Estimate(median, None, None),
            method=f"{analysis.definition('TTR')} Median of the responders, who were chosen by "
            f"their response: it has no interval; a month has {DAYS_PER_MONTH} days.",
        ),
        lower=None, upper=None,
    )  # fmt: skip


def _times(analysis: Analysis, paramcd: str) -> pd.DataFrame:
    found = analysis.records("ADTTE", analysis.population, PARAMCD=paramcd)
    if found is None:
        adsl = analysis.adam["ADSL"]
        days = adsl.loc[adsl.index[:0], ["USUBJID", "CUT6DT"]].rename(columns={"CUT6DT": "ADT"})
        return days.assign(AVAL=0.0, CNSR=0.0, EVNTDESC="")
    return found


def _censorings(
    analysis: Analysis, found: pd.DataFrame, paramcd: str, label: str
) -> list[Endpoint]:
    """How many are censored, by reason."""
    censored = found[found["CNSR"] > 0]
    counts = censored.groupby(["CNSR", "EVNTDESC"], as_index=False).size()
    return [
        counted(
            f"{paramcd}-CENSORED-{cnsr:g}", f"{label}: censored, {reason}",
            analysis.scope("ADTTE", analysis.population, PARAMCD=paramcd, CNSR=f"{cnsr:g}"),
            (int(number), len(found)), unit="subjects",
            method=f"Subjects censored with the reason: {reason}.",
        )
        for cnsr, reason, number in counts.to_numpy().tolist()
    ]  # fmt: skip


def _follow_up(analysis: Analysis) -> Endpoint:
    found = _times(analysis, "OS")
    event = found["CNSR"].eq(0).to_numpy(dtype=bool)
    return estimated(
        "FOLLOW-UP", "Median follow-up",
        analysis.scope("ADTTE", analysis.population, PARAMCD="OS"),
        (int((~event).sum()), len(found)),
        statistic="median", unit="months", scale=1 / DAYS_PER_MONTH,
        estimate=follow_up(
            found["AVAL"].to_numpy(np.float64), event, analysis.level, analysis.scale
        ),
        method="Reverse Kaplan-Meier of overall survival: censoring is the event; "
        f"{analysis.percent} interval on the {analysis.scale} scale.",
    )  # fmt: skip


# -- adverse events ---------------------------------------------------------------------------


_SENSITIVITY = ("AE3-WORST-CASE", "AE3-EXTENDED")


def _adverse_events(analysis: Analysis) -> list[Endpoint]:
    """Subjects with severe events: up to the landmark or at any time, by cause, and how sure."""
    treatment, months = analysis.study.treatment, analysis.study.endpoints.months
    window = f"onset from the first treatment to {treatment.teae_days} days after the last"
    if treatment.teae_until_new_therapy:
        window += ", before a new anticancer therapy"
    limit = f", and within {months} months of the study clock start"
    longer = f"{window}; serious and immune-related events to {treatment.teae_days_extended} days"
    related = " that is related to the PD-1 antibody or to radiotherapy"
    immune = " that is called immune-related"
    name = "adverse event of grade 3 or more"
    ungraded, as_grade_3 = "do not count", "count as grade 3 or more"
    early, late = {"ANL01FL": "Y"}, {"ANL02FL": "Y"}
    rows = []
    for id_, event, where, when, cause, missing in (
        ("AE3", f"Treatment-emergent {name}", {"AE3FL": "Y", **early},
         window, "", ungraded),
        ("AE3-ANY-TIME", f"Treatment-emergent {name}", {"AE3FL": "Y"}, window, "", ungraded),
        ("AE3-WORST-CASE", f"Treatment-emergent {name} or without grade",
         {"AE3WCFL": "Y", **early}, window, "", as_grade_3),
        ("AE3-EXTENDED", f"Treatment-emergent {name}, longer window",
         {"AE3XFL": "Y", **late}, longer, "", ungraded),
        ("TRAE3", f"Treatment-related {name}", {"TRAE3FL": "Y", **early},
         window, related, ungraded),
        ("TRAE3-ANY-TIME", f"Treatment-related {name}", {"TRAE3FL": "Y"},
         window, related, ungraded),
        ("IRAE3", f"Immune-related {name}", {"IRAE3FL": "Y", **early},
         window, immune, ungraded),
        ("IRAE3-ANY-TIME", f"Immune-related {name}", {"IRAE3FL": "Y"},
         window, immune, ungraded),
    ):  # fmt: skip
        cut = len(where) > 1
        label = f"{event}, up to {months} months" if cut else event
        method = (
            f"Share of subjects of the safety set with at least one treatment-emergent adverse "
            f"event of CTCAE grade 3 or more ({when}{limit if cut else ''}){cause}; events without "
            f"a grade {missing}."
        )
        found = analysis.records("ADAE", "SAFFL", **where)
        if cause == immune and found is not None and analysis.adam["ADAE"]["AEIRFL"].isna().all():
            found = None  # nobody judged it: not a rate of 0 %
        scope = analysis.scope("ADAE", "SAFFL", **where)
        row = _share(analysis, id_, label, found, "SAFFL", method=method, scope=scope)
        rows.append(replace(row, role="supplementary") if id_ in _SENSITIVITY else row)
    return rows
