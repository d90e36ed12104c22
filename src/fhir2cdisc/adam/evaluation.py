"""From TU and TR to the responses of every subject, lesion group and lesion: the steps in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir2cdisc.adam import lesion, response, sums, verbs
from fhir2cdisc.adam.lesion import Assessed
from fhir2cdisc.adam.response import CR, NA, NE, NO_NEW, PD, PR, SD
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

# What is evaluated: lesion group and measure.
ALL, NONIRRAD = ("ALL", "value"), ("NONIRRAD", "value")
IRRAD, LOWDOSE = ("IRRAD", "value"), ("LOWDOSE", "value")
VOLUME, NONIRRAD_VOLUME = ("ALL", "volume"), ("NONIRRAD", "volume")
IRRAD_VOLUME, LOWDOSE_VOLUME = ("IRRAD", "volume"), ("LOWDOSE", "volume")
SUMS = (
    ALL, NONIRRAD, IRRAD, LOWDOSE, VOLUME, NONIRRAD_VOLUME, IRRAD_VOLUME, LOWDOSE_VOLUME,
)  # fmt: skip
# Further responses to a sum: volume by the decrease that RECIST means, and non-irradiated
# targets together with non-target and new lesions.
RECIST_VOLUME, NONIRRAD_OVERALL = ("ALL", "recist_volume"), ("NONIRRAD", "overall")
RESPONSES = {
    **{key: key for key in SUMS}, RECIST_VOLUME: VOLUME, NONIRRAD_OVERALL: NONIRRAD,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timing:
    """The dates of each ADSL record that bound the analysis, in days; NaN if there is none."""

    subjects: pd.Index
    start: Floats
    new_therapy: Floats
    cut: Floats
    death: Floats


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that ADTR, ADLES and ADRS are made of.

    `sums` are those of `SUMS`, with the columns of `sums.sums` and ``nadir``; `responses` those of
    `RESPONSES`. `responses` has one row per post-baseline visit of subjects with lesions of the
    group: ``visit``, ``subject`` (ADSL row, -1 if none), ``target``, ``nontarget``, ``new``,
    ``assigned`` (the overall response as the visit shows it, see `response.carried_forward`),
    ``assigned_day``, ``response`` and ``day`` (as it was measured, but PD at the equivocal scan of
    a lesion that proves unequivocal later), ``no_target``, and the columns of `with_candidates`.
    """

    found: pd.DataFrame
    assessed: Assessed
    grid: pd.DataFrame
    sums: Mapping[tuple[str, str], pd.DataFrame]
    responses: Mapping[tuple[str, str], pd.DataFrame]
    timing: Timing


def timing(adsl: pd.DataFrame) -> Timing:
    """The bounds of each subject's analysis."""
    return Timing(
        subjects=pd.Index(adsl["USUBJID"].astype("str")),
        start=days_of(adsl, "STARTDT0"),
        new_therapy=days_of(adsl, "NACTDT"),
        cut=days_of(adsl, "CUT6DT"),
        death=days_of(adsl, "DTHDT"),
    )


def days_of(frame: pd.DataFrame, name: str) -> Floats:
    """A date variable in days since 1970-01-01, NaN where missing."""
    return _days(verbs.days_of(verbs.date(frame, name)))


def evaluate(
    data: Mapping[str, pd.DataFrame],
    study: Study,
    issues: Issues,
) -> Evaluation:
    """Lesions, assessments, sums and responses of all subjects, for ADTR, ADLES and ADRS."""
    adsl = data["ADSL"]
    found = lesion.lesions(data, study, issues)
    assessed = lesion.assessments(data, found, study, issues, lesion.baseline_limit(adsl))
    grid = sums.target_grid(found, assessed, study)
    others = response.nontarget_response(found, assessed, study.response).join(
        response.new_lesions(found, assessed)
    )
    bounds = timing(adsl)
    all_sums, responses = {}, {}
    for group, measure in SUMS:
        total = sums.sums(found, assessed, grid, group, measure)
        segment = total["subject"].to_numpy(dtype=np.int64)
        total["nadir"] = response.nadir(total, segment)
        all_sums[group, measure] = total
    for key, of_sum in RESPONSES.items():
        responses[key] = _responses(
            assessed.visits, all_sums[of_sum], others, bounds, key=key, study=study
        )
    return Evaluation(found, assessed, grid, all_sums, responses, bounds)


def _responses(
    visits: pd.DataFrame,
    total: pd.DataFrame,
    others: pd.DataFrame,
    bounds: Timing,
    *,
    key: tuple[str, str],
    study: Study,
) -> pd.DataFrame:
    """The responses of a lesion group; of a part, non-target and new lesions do not count."""
    settings = study.response
    group, measure = key
    count = len(visits)
    if group != "ALL" and key != NONIRRAD_OVERALL:
        others = others.assign(nontarget=NA, nontarget_day=verbs.NO_DAY, new=NO_NEW)
        others = others.assign(new_day=verbs.NO_DAY, turns=False)
    other, fresh = others["nontarget"].to_numpy(), others["new"].to_numpy()
    at = total["visit"].to_numpy()
    rule = response.thresholds(settings, "value" if key == NONIRRAD_OVERALL else measure)
    lowest = total["nadir"].to_numpy()
    cr = response.is_target_cr(total)
    alone = response.overall_response(np.full(len(at), CR), other[at], fresh[at])
    overall_cr = cr & (alone == CR)
    basis = {"after_overall_cr": overall_cr, "after_target_cr": cr, "off": np.zeros_like(cr)}
    before = verbs.ever_before(basis[settings.cr_reappear], total["subject"].to_numpy())
    again = before & total["diseased"].to_numpy(dtype=bool)
    target, shown = np.zeros(count, dtype=np.int64), np.full(count, verbs.NO_DAY)
    target[at] = response.target_response(total, lowest, again, rule)
    grown = rule.has_increased(total["sum"].to_numpy(), lowest)
    shown[at] = _first_day(
        np.where(grown, total["last"], verbs.NO_DAY),
        np.where(again, total["sick_scan"], verbs.NO_DAY),
    )
    shown[target != PD] = verbs.NO_DAY
    shown = _first_day(shown, others["nontarget_day"].to_numpy(), others["new_day"].to_numpy())
    overall = response.overall_response(target, other, fresh)
    scanned = verbs.days_of(visits["LSCDT"])
    day = np.where((overall == PD) & (shown != verbs.NO_DAY), shown, scanned)
    turns = others["turns"].to_numpy(dtype=bool) & settings.equivocal_backdate
    turned = _first_day(others["turn_day"].to_numpy(), np.where(overall == PD, day, verbs.NO_DAY))
    mine = visits["post"].to_numpy(dtype=bool)
    if group != "ALL":
        mine = mine & np.isin(np.arange(count), at)
    rows = np.flatnonzero(mine)
    of_subject = visits["subject"].to_numpy()[rows]
    as_shown = response.carried_forward(overall[rows], _days(day[rows]), of_subject, settings)
    out = pd.DataFrame(
        {
            "visit": rows,
            "subject": bounds.subjects.get_indexer(pd.Index(visits["USUBJID"]))[rows],
            "target": target[rows],
            "nontarget": other[rows],
            "new": fresh[rows],
            "assigned": as_shown,
            "assigned_day": _days(day[rows]),
            "response": np.where(turns, PD, overall)[rows],
            "day": _days(np.where(turns & (turned != verbs.NO_DAY), turned, day)[rows]),
            "no_target": ~np.isin(of_subject, total["subject"].to_numpy()),
        }
    )
    return with_candidates(out, visits["order"].to_numpy()[rows], bounds)


def with_candidates(rows: pd.DataFrame, order: Floats, bounds: Timing) -> pd.DataFrame:
    """Responses with ``since``, ``within``, ``up_to_pd`` and ``candidate`` (both).

    What counts is from the start, not after new anticancer therapy, and up to and including the
    first PD. `order` stands in for a date that is missing.

    References:
        RECIST 1.1, section 4.4.3.
    """
    subject = rows["subject"].to_numpy(dtype=np.int64)
    start = verbs.take(bounds.start, subject, np.nan)
    day = rows["day"].to_numpy(dtype=np.float64)
    at = np.where(np.isnan(day), order, day)
    within = (subject >= 0) & ~(at < start)
    within &= ~(at > verbs.take(bounds.new_therapy, subject, np.nan))
    progressed = (rows["response"] == PD).to_numpy(dtype=bool)
    up_to_pd = ~verbs.ever_before(progressed, subject)
    return rows.assign(
        since=day - start, within=within, up_to_pd=up_to_pd, candidate=within & up_to_pd
    )


def _days(days: Ints) -> Floats:
    return np.where(days == verbs.NO_DAY, np.nan, days.astype(np.float64))


def _first_day(*days: Ints) -> Ints:
    """The earliest known of several days."""
    far = np.iinfo(np.int64).max
    first = np.minimum.reduce([np.where(d == verbs.NO_DAY, far, d) for d in days])
    return np.asarray(np.where(first == far, verbs.NO_DAY, first))


# -- single lesions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LesionResponses:
    """Each target lesion at each visit, and each target lesion as a whole.

    `visits`, sorted by lesion and time: the columns of `sums.sums` with ``lesion``, ``nadir``,
    ``response``, ``day``, ``pchg`` (percent), ``shrunk`` (PR threshold reached), ``observed`` (from
    the start, not after new therapy), ``within`` (and up to the month-6 cut: analysed) and
    ``candidate`` (and not after the first PD of the lesion). `lesions`: ``lesion``, ``best``,
    ``best_row``, ``last``, ``last_row``, ``landmark``, ``landmark_row``, ``progressed``,
    ``change`` (best, percent), ``change_row``, ``shrunk`` (once), ``evaluable`` (it has a baseline,
    and the best response is not NE).
    """

    visits: pd.DataFrame
    lesions: pd.DataFrame


def evaluate_lesions(evaluation: Evaluation, study: Study) -> LesionResponses:
    """The target rules applied to every target lesion alone, without the overall response.

    What has merged with another lesion, or was irradiated against its group, is NE alone. The
    landmark is the last planned assessment up to the cut, half an interval to either side.
    """
    grid, visits, bounds = evaluation.grid, evaluation.assessed.visits, evaluation.timing
    rows = _lesion_sums(grid, visits)
    segment = rows["segment"].to_numpy()
    count = int(segment.max()) + 1 if len(segment) else 0
    rule = response.thresholds(study.response, "value")
    lowest = response.nadir(rows, segment)
    on = study.response.cr_reappear != "off"
    again = verbs.ever_before(response.is_target_cr(rows), segment) & rows["diseased"] & on
    code = response.target_response(rows, lowest, again.to_numpy(dtype=bool), rule)
    subject = bounds.subjects.get_indexer(pd.Index(visits["USUBJID"]))[rows["visit"]]
    start = verbs.take(bounds.start, subject, np.nan)
    cut = verbs.take(bounds.cut, subject, np.nan)
    day = rows["day"].to_numpy()
    at = np.where(np.isnan(day), visits["order"].to_numpy()[rows["visit"]], day)
    observed = rows["post"].to_numpy(dtype=bool) & (subject >= 0) & ~(at < start)
    observed &= ~(at > verbs.take(bounds.new_therapy, subject, np.nan))
    within = observed & ~(at > cut + study.endpoints.cut_window_days)
    candidate = within & ~verbs.ever_before((code == PD) & within, segment)
    size, base = rows["sum"].to_numpy(), rows["base"].to_numpy()
    comparable = rows["post"].to_numpy(dtype=bool) & rows["complete"].to_numpy(dtype=bool)
    pchg = np.where(comparable, 100 * (size - base) / base, np.nan)
    rows = rows.assign(
        nadir=lowest, response=code, pchg=pchg, observed=observed, within=within,
        candidate=candidate,
        shrunk=comparable & rule.has_decreased(size, base),
        subject=subject, since=day - start, no_target=False,
    )  # fmt: skip
    best = response.best_response(
        rows.assign(subject=segment), count, study.response, confirmed=False
    )
    evaluable = within & (code != NE)
    # As for the best response: SD that is too early is not stable disease yet.
    early = (code == SD) & ~(rows["since"].to_numpy() >= study.response.sd_min_days)
    interval = study.endpoints.visit_interval_days
    landmark = start + interval * np.floor((cut - start) / interval)
    near = evaluable & (np.abs(day - landmark) <= interval / 2)
    lowest_change = pd.Series(np.where(candidate, pchg, np.nan)).groupby(segment).transform("min")
    change = verbs.first_row(candidate & (pchg == lowest_change.to_numpy()), segment, count)
    whole = pd.DataFrame({"lesion": rows["lesion"].to_numpy()[verbs.segment_starts(segment)]})
    for name, chosen in (("last", evaluable), ("landmark", near)):
        row = verbs.last_row(chosen, segment, count)
        whole[name] = verbs.take(np.where(early, NE, code), row, NE)
        whole[f"{name}_row"] = row
    whole["best"] = np.where(best.response == response.MISSING, NE, best.response)
    whole["best_row"] = best.row
    whole["progressed"] = verbs.first_row(within & (code == PD), segment, count) >= 0
    whole["change"], whole["change_row"] = verbs.take(pchg, change, np.nan), change
    whole["shrunk"] = verbs.first_row(candidate & rows["shrunk"], segment, count) >= 0
    # What has no baseline can only fail: it is not evaluable even where it progressed.
    based = verbs.first_row(~np.isnan(base), segment, count) >= 0
    whole["evaluable"] = based & (whole["best"] != NE)
    return LesionResponses(rows, _with_unassessed(whole, evaluation.found))


def _lesion_sums(grid: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """The grid in the form of sums, each lesion its own segment."""
    alone = ~grid["merged"] & ~grid["across"]
    value = grid["value"].where(alone)
    scan = grid["scan"].to_numpy()
    scan = np.where(scan == verbs.NO_DAY, verbs.days_of(visits["LSCDT"])[grid["visit"]], scan)
    segment = np.cumsum(verbs.segment_starts(grid["lesion"].to_numpy())) - 1
    rows = pd.DataFrame(
        {
            "visit": grid["visit"],
            "lesion": grid["lesion"],
            "segment": segment,
            "post": grid["post"],
            "sum": value,
            "volume": grid["volume"].where(alone),
            "kind": grid["kind"],
            "complete": value.notna() & ~grid["partial"],
            "diseased": grid["diseased"] & value.notna(),
            "day": _days(scan),
        }
    )
    return sums.with_base(rows, segment)


def _with_unassessed(whole: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Target lesions of subjects without any assessment are NE, not absent."""
    targets = found.index[found["ROLE"] == "TARGET"]
    others = targets.difference(pd.Index(whole["lesion"]))
    if others.empty:
        return whole
    added = pd.DataFrame({"lesion": others, "change": np.nan})
    for name in ("best", "last", "landmark"):
        added[name], added[f"{name}_row"] = NE, -1
    added = added.assign(change_row=-1, progressed=False, shrunk=False, evaluable=False)
    added = added[list(whole)]
    return pd.concat([whole, added.astype(whole.dtypes)], ignore_index=True).sort_values(
        "lesion", ignore_index=True
    )


def is_controlled(whole: pd.DataFrame, rule: str) -> Bools:
    """True where a lesion is controlled by a rule: best, sustained, last or landmark."""
    good = [CR, PR, SD]
    if rule in ("last", "landmark"):
        return whole[rule].isin(good).to_numpy(dtype=bool)
    best = whole["best"].isin(good)
    if rule == "sustained":
        best &= ~whole["progressed"]
    return best.to_numpy(dtype=bool)
