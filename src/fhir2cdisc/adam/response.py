"""RECIST 1.1 responses: at each assessment, and the best of a subject, for each lesion group.

A response is a number here, the AVAL of the analysis datasets; `RESPONSES` has its name. All
functions take whole columns, sorted by subject (or lesion) and time.

References:
    RECIST 1.1 (Eisenhauer 2009, Eur J Cancer 45:228), sections 4.3 to 4.6, Tables 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.lesion import (
    ABSENT,
    ENLARGED,
    EQUIVOCAL,
    MICRONS,
    PRESENT,
    UNEQUIVOCAL,
    Assessed,
)
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.study import Response

NA, CR, PR, SD, NON_CR_NON_PD, PD, NE, MISSING, NED = range(9)
RESPONSES = ("NA", "CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE", "MISSING", "NED")
NO_NEW, NEW_EQUIVOCAL, NEW_UNEQUIVOCAL = range(3)
NEW_LESION = ("N", "EQUIVOCAL", "UNEQUIVOCAL")

# From best to worst; CR and PR stand for what they count as, see `best_response`.
_RANK = np.array([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 4.5])


def names(codes: Ints) -> pd.Series:
    """The responses as text; NA is missing."""
    terms = pd.Series([None, *RESPONSES[1:]], dtype="str")
    return terms.take(codes).reset_index(drop=True)


# -- one assessment ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a sum has decreased or increased enough.

    Percentages are thousandths of a percent. `slack` is relative: 0 for diameters, whose products
    are exact; for volumes, which come from pi, far below what can be measured.
    """

    decrease: float
    increase: float
    absolute: float
    slack: float = 0.0

    def has_decreased(self, size: Floats, base: Floats) -> Bools:
        """True where `size` is at least the given percentage below `base`."""
        return self._reaches((base - size) * 100_000, self.decrease * base)

    def has_increased(self, size: Floats, nadir: Floats) -> Bools:
        """True where `size` is above `nadir` by at least the percentage and the absolute value."""
        rise = size - nadir
        percent = (nadir == 0) | self._reaches(rise * 100_000, self.increase * nadir)
        enough = self._reaches(rise, np.full_like(rise, self.absolute))
        return np.asarray((rise > 0) & percent & enough)

    def _reaches(self, left: Floats, right: Floats) -> Bools:
        return np.asarray(left >= right - self.slack * np.abs(right))


def thresholds(settings: Response, measure: str) -> Thresholds:
    """The thresholds of a study for a sum.

    `measure` is ``value`` (diameters), ``volume`` (the decrease as the registry words it) or
    ``recist_volume`` (the decrease that 30 % in diameter are).
    """
    if measure == "value":
        return Thresholds(
            decrease=float(np.rint(settings.pr_pct * 1000)),
            increase=float(np.rint(settings.pd_pct * 1000)),
            absolute=float(np.rint(settings.pd_abs_mm * MICRONS)),
        )
    percent = settings.vol_pr_pct if measure == "volume" else settings.vol_pr_pct_recist
    return Thresholds(
        decrease=float(np.rint(percent * 1000)),
        increase=float(np.rint(settings.vol_pd_pct * 1000)),
        absolute=settings.vol_pd_abs_mm3,
        slack=1e-9,
    )


def nadir(sums: pd.DataFrame, segment: Ints) -> Floats:
    """The smallest complete sum at baseline or at an earlier post-baseline assessment."""
    counts = sums["complete"] & (sums["post"] | sums["baseline"])
    return verbs.smallest_before(sums["sum"].where(counts).to_numpy("float64"), segment)


def is_target_cr(sums: pd.DataFrame) -> Bools:
    """True where all targets were assessed and none is more than a normal node."""
    cr = sums["complete"] & sums["post"] & ~sums["diseased"] & sums["base"].notna()
    return cr.to_numpy(dtype=bool)


def target_response(
    sums: pd.DataFrame, lowest: Floats, reappeared: Bools, rule: Thresholds
) -> Ints:
    """The target response of each post-baseline sum (`sums.sums`); NA before.

    `lowest` is the nadir. `reappeared` marks sums after a CR with a lesion that is there again:
    progression, however small. With lesions missing PD is what the others prove whatever the
    missing ones are; nodes of normal size prove nothing, since with all else gone they are CR.
    Otherwise it is NE. Without a baseline sum nothing but PD over an earlier complete sum can be
    said.

    References:
        RECIST 1.1, sections 4.3.1, 4.3.2 and 4.4.2; Table 3, note a.
    """
    size = sums["sum"].to_numpy(dtype=np.float64)
    base = sums["base"].to_numpy(dtype=np.float64)
    complete = sums["complete"].to_numpy(dtype=bool)
    progressed = rule.has_increased(size, lowest) | reappeared
    no_base = np.isnan(base)
    proven = progressed & sums["diseased"].to_numpy(dtype=bool)
    return np.asarray(
        np.select(
            [
                ~sums["post"].to_numpy(dtype=bool),
                np.isnan(size),
                (~complete | no_base) & proven,
                ~complete | no_base,
                is_target_cr(sums),
                progressed,
                rule.has_decreased(size, base),
            ],
            [NA, NE, PD, NE, CR, PD, PR],
            SD,
        ),
        dtype=np.int64,
    )


def nontarget_response(found: pd.DataFrame, assessed: Assessed, settings: Response) -> pd.DataFrame:
    """For each visit ``nontarget``, and ``nontarget_day``, the first scan that shows progression.

    PD is what the reader calls unequivocal progression (``nt_pd_states``). All lesions are to be
    assessed: if one is not, and none is PD, the response is NE, or what ``nontarget_partial``
    says as long as one was.

    References:
        RECIST 1.1, sections 4.3.3 and 4.3.4; Table 2.
    """
    count = len(assessed.visits)
    of_subject = found.loc[found["ROLE"] == "NON-TARGET", "USUBJID"].value_counts()
    expected = assessed.visits["USUBJID"].map(of_subject).fillna(0).to_numpy(dtype=np.int64)
    measured = assessed.measured
    measured = measured[(found["ROLE"] == "NON-TARGET").to_numpy()[measured["lesion"]]]
    visit = measured["visit"].to_numpy()
    worse = measured["worse"].to_numpy(dtype=bool)
    evaluated = np.bincount(visit[measured["state"].notna() | worse], minlength=count)
    absent = np.bincount(visit[(measured["state"] == ABSENT) & ~worse], minlength=count)
    progressed = np.bincount(visit[worse], minlength=count)
    response = np.select(
        [
            ~assessed.visits["post"].to_numpy(dtype=bool) | (expected == 0),
            progressed > 0,
            absent == expected,
            (evaluated == 0) | ((evaluated < expected) & (settings.nontarget_partial == "NE")),
        ],
        [NA, PD, CR, NE],
        NON_CR_NON_PD,
    )
    day = earliest(visit[worse], measured["scan"].to_numpy()[worse], count)
    return pd.DataFrame({"nontarget": response, "nontarget_day": day})


def new_lesions(found: pd.DataFrame, assessed: Assessed) -> pd.DataFrame:
    """For each visit whether there is a new lesion, since when, and whether doubt proved right.

    ``new`` is one of `NEW_LESION`; a new lesion without any doubt recorded is unequivocal.
    ``new_day`` is the first scan with an unequivocal one. ``turns`` marks visits with an equivocal
    lesion that a later visit calls unequivocal without it having been absent in between;
    ``turn_day`` is its scan.

    References:
        RECIST 1.1, section 4.3.5.
    """
    count = len(assessed.visits)
    post = assessed.visits["post"].to_numpy(dtype=bool)
    table = assessed.measured
    mine = (found["ROLE"] == "NEW").to_numpy()[table["lesion"]] & post[table["visit"]]
    table = table[mine].sort_values(["lesion", "visit"])
    visit, scan = table["visit"].to_numpy(), table["scan"].to_numpy()
    state = table["state"].to_numpy(dtype=np.float64)
    sure, turns = is_sure(state, table["lesion"].to_numpy())
    doubt = state == EQUIVOCAL
    out = np.zeros(count, dtype=np.int64)
    out[visit[doubt]] = NEW_EQUIVOCAL
    out[visit[sure]] = NEW_UNEQUIVOCAL
    turned = np.zeros(count, dtype=bool)
    turned[visit[turns]] = True
    return pd.DataFrame(
        {
            "new": out,
            "new_day": earliest(visit[sure], scan[sure], count),
            "turns": turned,
            "turn_day": earliest(visit[turns], scan[turns], count),
        }
    )


def is_sure(state: Floats, lesion: Ints) -> tuple[Bools, Bools]:
    """Where a new lesion is without doubt, and where a doubt about it proves right later.

    The rows are sorted by lesion and time; a lesion that was absent in between proves nothing.
    """
    sure = np.isin(state, (PRESENT, ENLARGED, UNEQUIVOCAL))
    verdict = pd.Series(np.select([sure, state == ABSENT], [1.0, 0.0], np.nan))
    later = verdict.groupby(lesion).bfill().to_numpy()
    return sure, (state == EQUIVOCAL) & (later == 1)


def overall_response(target: Ints, nontarget: Ints, new: Ints) -> Ints:
    """The overall response of each combination.

    References:
        RECIST 1.1, Tables 1 and 2.
    """
    return np.asarray(
        np.select(
            [
                (new == NEW_UNEQUIVOCAL) | (target == PD) | (nontarget == PD),
                (target == CR) & ((nontarget == CR) | (nontarget == NA)),
                target == CR,
                target != NA,
                nontarget != NA,
            ],
            [PD, CR, PR, target, nontarget],
            NED,
        ),
        dtype=np.int64,
    )


# From worst to best, NE last: which record of a date, or of an analysis visit, counts.
_WORST = np.array([9.0, 4.0, 3.0, 2.0, 1.0, 0.0, 6.0, 7.0, 5.0])


def is_worst(response: Ints, day: Floats, subject: Ints) -> Bools:
    """True for the first worst response of each subject and date; what has no date stands alone."""
    order = np.lexsort([day, subject])
    starts = verbs.segment_starts(subject[order])
    starts[1:] |= day[order][1:] != day[order][:-1]
    out = np.zeros(len(response), dtype=bool)
    out[order] = is_worst_of_run(response[order], starts)
    return out


def is_worst_of_run(response: Ints, starts: Bools) -> Bools:
    """True for the first worst response of each run of rows; `starts` is True where one begins."""
    rank = _WORST[response]
    run = np.cumsum(starts) - 1
    worst = np.minimum.reduceat(rank, np.flatnonzero(starts)) if len(rank) else rank
    at = verbs.first_row(rank == worst[run], run, len(worst))
    out = np.zeros(len(response), dtype=bool)
    out[at] = True
    return out


def earliest(at: Ints, days: Ints, count: int) -> Ints:
    """For each of so many places the earliest known day, `NO_DAY` if there is none."""
    none = np.iinfo(np.int64).max
    out = np.full(count, none, dtype=np.int64)
    known = days != verbs.NO_DAY
    np.minimum.at(out, at[known], days[known])
    out[out == none] = verbs.NO_DAY
    return out


def carried_forward(code: Ints, day: Floats, subject: Ints, settings: Response) -> Ints:
    """The responses as they are shown: SD in an ongoing response is PR if the study says so.

    A response goes on until progression. Which one does - any, or one that a second assessment
    has confirmed by then - is ``pr_carry_forward``.

    References:
        EORTC, RECIST 1.1 questions and answers: a confirmed PR continues until progression.
    """
    if settings.pr_carry_forward == "none":
        return code
    responded = np.isin(code, (CR, PR))
    if settings.pr_carry_forward == "after_confirmed":
        by = _confirmed_by(code, day, subject, settings)
        responded = np.isin(np.arange(len(code)), by[by >= 0])
    stretch = np.cumsum(verbs.segment_starts(subject) | (code == PD))
    return np.where((code == SD) & verbs.ever_before(responded, stretch), PR, code)


def followed_by_less(code: Ints, subject: Ints) -> Bools:
    """True for a CR with a PR, SD or NON-CR/NON-PD further down.

    References:
        RECIST 1.1, Table 3, note a.
    """
    lesser = np.isin(code, (PR, SD, NON_CR_NON_PD))
    return np.asarray((code == CR) & verbs.ever_before(lesser[::-1], subject[::-1])[::-1])


def without_wrong_cr(
    code: Ints, day: Floats, subject: Ints, no_target: Bools, settings: Response
) -> Ints:
    """The responses with a CR as PR where it is followed by less, unless two CR confirm each other.

    (As NON-CR/NON-PD for subjects without target lesions, who cannot have PR.)
    """
    by = _confirmed_by(code, day, subject, settings)
    confirmed = (by >= 0) | np.isin(np.arange(len(code)), by[(code == CR) & (by >= 0)])
    wrong = followed_by_less(code, subject) & ~confirmed
    return np.where(wrong, np.where(no_target, NON_CR_NON_PD, PR), code)


# -- the best response ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Best:
    """For each subject the best response, and the rows (-1: none) that supply it.

    `row` is the assessment of the best response, `first` that of the first CR or PR that counts.
    """

    response: Ints
    row: Ints
    first: Ints


def best_response(
    visits: pd.DataFrame, subjects: int, settings: Response, *, confirmed: bool
) -> Best:
    """The best overall response of each subject.

    `visits` has, sorted by subject and time: ``subject`` (below `subjects`), ``response``, ``day``
    (its date), ``since`` (days from the start to it), ``candidate`` and ``no_target`` (subject
    without target lesions). Unconfirmed: the first of CR, PR, SD, NON-CR/NON-PD, PD, NE; SD and
    NON-CR/NON-PD count from ``sd_min_days`` after the start, before they are NE. Confirmed: CR and
    PR need a second one, and without it count as SD (NON-CR/NON-PD for subjects without target
    lesions); what is less than CR after a CR is progression. Subjects without candidates have
    MISSING.

    References:
        RECIST 1.1, sections 4.4.3, 4.4.4, 4.6 and Table 3.
    """
    rows = np.flatnonzero(visits["candidate"].to_numpy(dtype=bool))
    code = visits["response"].to_numpy(dtype=np.int64)[rows]
    subject = visits["subject"].to_numpy(dtype=np.int64)[rows]
    day = visits["day"].to_numpy(dtype=np.float64)[rows]
    lasting = visits["since"].to_numpy(dtype=np.float64)[rows] >= settings.sd_min_days
    if confirmed:
        lesser = np.isin(code, (PR, SD, NON_CR_NON_PD)) & verbs.ever_before(code == CR, subject)
        code = np.where(lesser, PD, code)
        kept = ~verbs.ever_before(code == PD, subject)
        rows, code, subject, day = rows[kept], code[kept], subject[kept], day[kept]
        lasting = lasting[kept]
        proven = _confirmed_by(code, day, subject, settings) >= 0
        unproven = np.isin(code, (CR, PR)) & ~proven
        stable = np.where(visits["no_target"].to_numpy(dtype=bool)[rows], NON_CR_NON_PD, SD)
        code = np.where(unproven, stable, code)
    responded = np.isin(code, (CR, PR))
    code = np.where(np.isin(code, (SD, NON_CR_NON_PD)) & ~lasting, NE, code)
    rank = _RANK[code]
    best = np.full(subjects, np.inf)
    np.minimum.at(best, subject, rank)
    at = verbs.first_row(rank == best[subject], subject, subjects)
    return Best(
        response=verbs.take(code, at, MISSING),
        row=verbs.take(rows, at, -1),
        first=verbs.take(rows, verbs.first_row(responded, subject, subjects), -1),
    )


def _confirmed_by(code: Ints, day: Floats, subject: Ints, settings: Response) -> Ints:
    """For each row that is a CR or PR the row of the one that confirms it, else -1.

    CR is confirmed by CR with nothing but CR and NE between, PR by PR or CR with nothing but PR,
    CR and NE (and SD if accepted) between, ``confirm_days`` later at least, and at most
    ``max_ne_between`` NE between. Goes step by step to the later assessments of all responses
    that are still open at once.
    """
    needed = settings.confirm_days - settings.confirm_tolerance_days
    out = np.full(len(code), -1, dtype=np.int64)
    at = np.flatnonzero(np.isin(code, (CR, PR)))
    missed = np.zeros(len(at), dtype=np.int64)
    step = 1
    while len(at):
        later = at + step
        inside = later < len(code)
        at, later, missed = at[inside], later[inside], missed[inside]
        same = subject[later] == subject[at]
        at, later, missed = at[same], later[same], missed[same]
        same_or_better = (code[later] == CR) | ((code[later] == PR) & (code[at] == PR))
        proves = same_or_better & (day[later] - day[at] >= needed)
        out[at[proves]] = later[proves]
        missed = missed + (code[later] == NE)
        goes_on = same_or_better | ((code[later] == NE) & (missed <= settings.max_ne_between))
        if settings.accept_sd_between:
            goes_on |= (code[later] == SD) & (code[at] == PR)
        open_ = goes_on & ~proves
        at, missed = at[open_], missed[open_]
        step += 1
    return out
