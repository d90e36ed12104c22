"""iRECIST: whether progression is confirmed, not confirmed, or overtaken by a response.

Of the responses of RECIST 1.1 iRECIST changes only what follows a progression: it is unconfirmed
(iUPD) until a later assessment shows more of it (iCPD), or that it is gone, and then counts for
nothing. A response is a number here, the AVAL of ADRS, the smaller the better; `RESPONSES` has
its name.

References:
    iRECIST (Seymour 2017, Lancet Oncol 18:e143), Tables 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, irecist_lesions, response, verbs
from fhir2cdisc.adam.evaluation import ALL, Evaluation, Timing
from fhir2cdisc.adam.irecist_lesions import Change, Course
from fhir2cdisc.adam.lesion import MICRONS
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Irecist, Study

ICR, IPR, ISD, NON_ICR_NON_IUPD, NED, ICPD, IUPD, NE, MISSING = range(1, 10)
RESPONSES = (
    "NA", "iCR", "iPR", "iSD", "NON-iCR/NON-iUPD", "NED", "iCPD", "iUPD", "NE", "MISSING",
)  # fmt: skip
CRITERIA = "iRECIST"

# RECIST 1.1 -> iRECIST, by number, and what stands for a response of iRECIST among those.
_OF_RECIST = np.array([0, ICR, IPR, ISD, NON_ICR_NON_IUPD, IUPD, NE, MISSING, NED])
AS_RECIST = np.array(
    [
        response.NA, response.CR, response.PR, response.SD, response.NON_CR_NON_PD, response.NED,
        response.PD, response.PD, response.NE, response.MISSING,
    ]
)  # fmt: skip
# Every name, also those of RECIST 1.1, which a reader by iRECIST may have used.
NUMBERS = {
    **dict(zip(response.RESPONSES[1:], map(int, _OF_RECIST[1:]), strict=True)),
    **{name: number for number, name in enumerate(RESPONSES) if number},
}
_FREE, _PENDING, _CONFIRMED = range(3)


def names(codes: Ints) -> pd.Series:
    """The responses as text; 0 is missing."""
    return verbs.texts([None, *RESPONSES[1:]], codes)


# -- at assessments ---------------------------------------------------------------------------


def evaluate(
    found: Evaluation, worsening: pd.DataFrame, study: Study, issues: Issues
) -> pd.DataFrame:
    """The responses by iRECIST at each post-baseline assessment.

    `worsening` has a row for every visit: ``ntl`` and ``newl``, whether a reader says that
    non-target (new) lesions have worsened (1) or not (0), or nothing (NaN). Returns the rows of
    ``found.responses[ALL]`` with ``visit``, ``subject`` (ADSL row), ``assigned`` (response),
    ``day`` (of iUPD and iCPD that of the progression shown, else the last scan) and the columns
    of `with_candidates`. Subjects without progression by RECIST 1.1 have its responses.
    """
    table, visits = found.responses[ALL], found.assessed.visits
    visit = table["visit"].to_numpy(dtype=np.int64)
    owner = visits["subject"].to_numpy(dtype=np.int64)
    progressed = np.zeros(int(owner.max(initial=-1)) + 1, dtype=bool)
    progressed[owner[visit[(table["response"] == response.PD).to_numpy(dtype=bool)]]] = True
    code = _OF_RECIST[table["assigned"].to_numpy(dtype=np.int64)]
    if progressed.any():
        of_progressed = _of_progressed(found, progressed, worsening, study, issues)
        code[progressed[owner[visit]]] = of_progressed
    scanned = verbs.days_of(visits["LSCDT"])[visit]
    last = np.where(scanned == verbs.NO_DAY, np.nan, scanned)
    shows = np.isin(code, (IUPD, ICPD))
    out = pd.DataFrame(
        {
            "visit": visit,
            "subject": table["subject"].to_numpy(dtype=np.int64),
            "assigned": code,
            "day": np.where(shows, table["day"].to_numpy(dtype=np.float64), last),
        }
    )
    return with_candidates(out, visits["order"].to_numpy()[visit], found.timing)


def with_candidates(rows: pd.DataFrame, order: Floats, bounds: Timing) -> pd.DataFrame:
    """Responses with ``since``, ``within``, ``up_to_pd`` (the first iCPD) and ``candidate``."""
    ends = np.where(rows["assigned"] == ICPD, response.PD, response.NE)
    return evaluation.with_candidates(rows.assign(response=ends), order, bounds)


def _of_progressed(
    found: Evaluation,
    progressed: Bools,
    worsening: pd.DataFrame,
    study: Study,
    issues: Issues,
) -> Ints:
    """The responses of the subjects that progress; what is doubtful about them is told."""
    table, visits = found.responses[ALL], found.assessed.visits
    owner = visits["subject"].to_numpy(dtype=np.int64)
    table = table[progressed[owner[table["visit"]]]]
    visit = table["visit"].to_numpy(dtype=np.int64)
    owner = owner[visit]
    starts = np.flatnonzero(verbs.segment_starts(owner))
    step = np.full(len(visits), -1, dtype=np.int64)
    step[visit] = np.arange(len(visit)) - np.repeat(starts, np.diff(np.append(starts, len(visit))))
    lesions = irecist_lesions.course(found, progressed, step, study)
    there, seen = (
        np.bincount(lesions.visit[mine], minlength=len(visits))[visit] > 0
        for mine in (lesions.there, lesions.there & lesions.recorded)
    )
    target, nontarget = (table[n].to_numpy(dtype=np.int64) for n in ("target", "nontarget"))
    calm = response.overall_response(target, nontarget, np.full(len(visit), response.NO_NEW))
    # With a new lesion left nothing is complete.
    lesser = np.where(target == response.NA, response.NON_CR_NON_PD, response.PR)
    calm = np.where(there & (calm == response.CR), lesser, calm)
    given = _Visits(
        visit=visit,
        subject=owner,
        day=table["day"].to_numpy(dtype=np.float64),
        target=target,
        nontarget=nontarget,
        calm=_OF_RECIST[calm],
        there=there,
        nothing=~seen & ((calm == response.NE) | ((calm == response.NED) & there)),
        ntl=worsening["ntl"].to_numpy(dtype=np.float64)[visit],
        newl=worsening["newl"].to_numpy(dtype=np.float64)[visit],
    )
    code, again = _sequence(given, lesions, step[visit], study.irecist)
    verbs.report(
        issues, "RS0021", "TR: unequivocal progression of non-target lesions is stated again",
        visits.iloc[visit], again, "USUBJID", "TRLNKGRP",
    )  # fmt: skip
    evaluated = np.zeros(len(visits), dtype=bool)
    evaluated[visit] = (calm != response.NE) & (calm != response.NED)
    irecist_lesions.check_new_lesions(found, lesions, evaluated, issues)
    return code


@dataclass(frozen=True, slots=True)
class _Visits:
    """What decides at each assessment, by subject and time.

    `calm` is the response but for any progression; `there`: a new lesion is present; `nothing`
    can be evaluated. Each subject has at most one assessment of a step.
    """

    visit: Ints
    subject: Ints
    day: Floats
    target: Ints
    nontarget: Ints
    calm: Ints
    there: Bools
    nothing: Bools
    ntl: Floats
    newl: Floats


def _sequence(given: _Visits, lesions: Course, step: Ints, settings: Irecist) -> tuple[Ints, Bools]:
    """The response of each assessment, and where a non-target PD is only stated again.

    Goes through the first assessments of all subjects, then the second ones, and so on. A subject
    is free, then pending from an iUPD on, and from there free again or confirmed for good. Until
    then its assessments are compared with the one of the iUPD, so that growth adds up; after a
    return to free with new lesions left, with the one when these were smallest.
    """
    subjects = int(given.subject.max()) + 1
    state = np.full(subjects, _FREE)
    reference = np.full(subjects, -1)
    code = given.calm.copy()
    again = np.zeros(len(code), dtype=bool)
    of_new = np.zeros(len(code), dtype=bool)
    for number in range(len(lesions.steps)):
        row = np.flatnonzero(step == number)
        who = given.subject[row]
        since = reference[who]
        change = lesions.change(number, verbs.take(given.visit, reference, -1)).of(who)
        signs = _signs(given, row, since, change, settings)
        fresh = change.further | signs.new_worse
        progresses = signs.target | signs.nontarget | fresh
        early = given.day[row] - given.day[since] < (
            settings.confirm_min_days - settings.confirm_tolerance_days
        )
        confirms = np.where(early, change.further & settings.early_new_lesion, signs.confirms)
        settles = ~early & _is_settled(given, row, since, of_new)
        free, pending = state[who] == _FREE, state[who] == _PENDING
        code[row] = np.select(
            [
                free & progresses,
                free,
                pending & confirms,
                given.nothing[row],
                pending & settles,
                pending,
            ],
            [IUPD, given.calm[row], ICPD, NE, given.calm[row], IUPD],
            ICPD,
        )
        again[row] = pending & ~early & ~confirms & signs.stated_again
        of_new[row] = fresh
        begins, ends = free & progresses, pending & ~confirms & settles & ~given.nothing[row]
        smaller = free & (since >= 0) & (change.new <= 0) & change.new_complete
        state[who[begins]] = _PENDING
        state[who[ends]] = _FREE
        state[who[pending & confirms]] = _CONFIRMED
        moves = begins | ends | (smaller & ~progresses)
        reference[who[moves]] = row[moves]
    return code, again


@dataclass(frozen=True, slots=True)
class _Signs:
    """The signs of progression at assessments, and what they prove after an iUPD."""

    target: Bools
    nontarget: Bools
    new_worse: Bools
    confirms: Bools
    stated_again: Bools


def _signs(given: _Visits, row: Ints, since: Ints, change: Change, settings: Irecist) -> _Signs:
    """The signs at `row`, compared with `since`, the assessment of the iUPD (-1: none).

    Confirmed is growth of what has progressed, or progression of something else. What the reader
    says of worsening counts in place of the states of the lesions.

    References:
        iRECIST, Table 2.
    """
    target, nontarget = (x[row] == response.PD for x in (given.target, given.nontarget))
    target_then, nontarget_then = (
        (since >= 0) & (x[since] == response.PD) for x in (given.target, given.nontarget)
    )
    ntl, newl = given.ntl[row], given.newl[row]
    new_there = (since >= 0) & given.there[since]
    enough, enough_new = (
        np.rint(mm * MICRONS) for mm in (settings.confirm_abs_mm, settings.new_abs_mm)
    )
    not_measured = np.where(np.isnan(newl), change.new_worse, new_there & (newl == 1))
    new_worse = not_measured | (new_there & (change.new >= enough_new))
    # A lesion that is there again is no growth of a progression that is no longer there.
    grown = change.increased | (change.nontarget & nontarget)
    worse = np.where(np.isnan(ntl), grown, ntl == 1)
    confirms = target & (~target_then | (change.target >= enough))
    confirms |= np.where(nontarget_then, worse, nontarget)
    return _Signs(
        target=target,
        nontarget=nontarget,
        new_worse=new_worse,
        confirms=confirms | new_worse | change.further,
        stated_again=nontarget & nontarget_then & np.isnan(ntl),
    )


def _is_settled(given: _Visits, row: Ints, since: Ints, of_new: Bools) -> Bools:
    """True where the progression at `since` is overtaken: its criteria are no longer met.

    New lesions are gone then, or the targets respond better. A category that progressed and is
    not evaluated is not settled.
    """
    target, target_then = given.target[row], given.target[since]
    compared = np.isin(target_then, (response.PR, response.SD, response.PD))
    better = compared & (target >= response.CR) & (target < target_then)
    unknown = (given.nontarget[since] == response.PD) & (given.nontarget[row] == response.NE)
    evaluated = (given.calm[row] != IUPD) & (given.calm[row] != NE)
    return np.asarray(evaluated & ~unknown & (~of_new[since] | ~given.there[row] | better))


# -- once for a subject -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Best:
    """For each subject the best response, and the rows (-1: none) of what it is made of.

    `row` supplies the best response; `first` is the first iUPD; `since` the first iUPD of the
    progression that is confirmed or stays unresolved, `confirmed` the iCPD. `late`: it comes
    after the window.
    """

    response: Ints
    row: Ints
    first: Ints
    since: Ints
    confirmed: Ints
    late: Bools

    def of(self, subjects: Ints) -> Best:
        """The same of some subjects."""
        return Best(*(getattr(self, f.name)[subjects] for f in fields(self)))


def best_response(rows: pd.DataFrame, subjects: int, study: Study) -> Best:
    """What the responses of each subject, sorted by subject and time, come to.

    iCR, iPR and iSD are better than iCPD, and that than iUPD; iSD counts from ``sd_min_days``
    after the start, before it is NE. A progression reaches from its first iUPD to the next
    response or stable disease; the last one that meets none, or iCPD first, is the progression
    of the subject. Nothing counts after iCPD or new anticancer therapy.

    References:
        iRECIST, Table 3.
    """
    at = np.flatnonzero(rows["candidate"].to_numpy(dtype=bool))
    code = rows["assigned"].to_numpy(dtype=np.int64)[at]
    subject = rows["subject"].to_numpy(dtype=np.int64)[at]
    day = rows["day"].to_numpy(dtype=np.float64)[at]
    lasting = rows["since"].to_numpy(dtype=np.float64)[at] >= study.response.sd_min_days
    counted = np.where(np.isin(code, (ISD, NON_ICR_NON_IUPD)) & ~lasting, NE, code)
    best = np.full(subjects, MISSING)
    np.minimum.at(best, subject, counted)
    row = verbs.first_row(counted == best[subject], subject, subjects)
    resolved = np.isin(code, (ICR, IPR, ISD, NON_ICR_NON_IUPD, NED))
    last = verbs.last_row(resolved, subject, subjects)
    progressing = np.isin(code, (IUPD, ICPD)) & (np.arange(len(code)) > last[subject])
    since = verbs.first_row(progressing, subject, subjects)
    confirmed = verbs.first_row(code == ICPD, subject, subjects)
    row = np.where(best == ICPD, since, row)
    waited = verbs.take(day, confirmed, np.nan) - verbs.take(day, since, np.nan)
    latest = study.irecist.confirm_max_days + study.irecist.confirm_tolerance_days
    first = verbs.first_row(code == IUPD, subject, subjects)
    row, first, since, confirmed = (verbs.take(at, x, -1) for x in (row, first, since, confirmed))
    return Best(best, row, first, since, confirmed, late=waited > latest)
