"""What the lesions of each subject show compared with an earlier assessment, for iRECIST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from fhir2cdisc.adam import response, sums, verbs
from fhir2cdisc.adam.evaluation import Evaluation
from fhir2cdisc.adam.lesion import ABSENT, ENLARGED, PRESENT, UNEQUIVOCAL
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.sdtm.tumours import organ
from fhir2cdisc.study import Study

MOST_NEW_TARGETS, MOST_OF_AN_ORGAN = 5, 2


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed since the earlier assessment, an element a subject.

    `target` and `new` are the rise of the sum of the targets, and of the new lesions that are
    measured (thousandths of mm), over the lesions measured then; one that is not measured now
    counts as 0, since what it has grown is not known. `new_complete`: none of them is missing.
    `new_worse` and `nontarget`: a new lesion that is not measured, or a non-target lesion, has
    grown; `increased`: the state of a non-target lesion says so of itself. `further`: a new lesion
    is there that was not.
    """

    target: Floats
    new: Floats
    new_complete: Bools
    new_worse: Bools
    further: Bools
    nontarget: Bools
    increased: Bools

    def of(self, subjects: Ints) -> Change:
        """The same of some subjects, in their order."""
        return Change(*(getattr(self, f.name)[subjects] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Course:
    """Lesions at every assessment of their subjects, sorted by lesion and assessment.

    `value` in thousandths of mm, of targets and of new lesions that are measured; `whole`: it can
    be compared with a later one. `grade` orders the states of the other lesions. `there`: a new
    lesion is present, or was when last recorded; `recorded`: it is told at this assessment.
    `steps` has, for the first, second ... post-baseline assessment of each subject, the rows.
    """

    visit: Ints
    lesion: Ints
    subject: Ints
    target: Bools
    nontarget: Bools
    value: Floats
    whole: Bools
    grade: Floats
    increased: Bools
    there: Bools
    recorded: Bools
    steps: Sequence[Ints]

    def change(self, step: int, earlier: Ints) -> Change:
        """The assessments of a step compared with an earlier one of each subject (-1: none)."""
        now = self.steps[step]
        who, count = self.subject[now], len(earlier)
        known = earlier[who] >= 0
        then = now + np.where(known, earlier[who] - self.visit[now], 0)
        target, nontarget = self.target[now], self.nontarget[now]
        new = ~target & ~nontarget
        before = np.where(known & self.whole[then], self.value[then], np.nan)
        size = self.value[now]
        rise = np.nan_to_num(size) - np.nan_to_num(before)
        compared = ~np.isnan(before)
        was_there = known & self.there[then]
        grown = known & ((self.grade[now] > self.grade[then]) | self.increased[now])
        unmeasured = new & compared & np.isnan(size)

        def total(mine: Bools) -> Floats:
            weights = np.where(mine & compared, rise, 0.0)
            return np.bincount(who, weights=weights, minlength=count).astype(np.float64)

        def anyone(mine: Bools) -> Bools:
            return np.bincount(who[mine], minlength=count) > 0

        return Change(
            target=total(target),
            new=total(new),
            new_complete=~anyone(unmeasured),
            new_worse=anyone(grown & was_there & ~compared),
            further=anyone(self.there[now] & ~was_there),
            nontarget=anyone(grown & nontarget),
            increased=anyone(known & nontarget & self.increased[now]),
        )


def course(found: Evaluation, subjects: Bools, step: Ints, study: Study) -> Course:
    """The lesions of the wanted subjects at all their assessments.

    `subjects` is by ``visits.subject``; `step` numbers the post-baseline assessments of each
    subject (others: -1).
    """
    visits, measured = found.assessed.visits, found.assessed.measured
    owner = visits["subject"].to_numpy(dtype=np.int64)
    names = pd.Index(visits["USUBJID"][verbs.segment_starts(owner)])
    of_lesion = names.get_indexer(pd.Index(found.found["USUBJID"])).astype(np.int64)
    wanted = verbs.take(subjects, of_lesion, missing=False)
    visit, lesion, at = sums.at_every_visit(found.found, found.assessed, wanted)

    def taken(name: str, missing: object) -> verbs.Array:
        return verbs.take(measured[name].to_numpy(), at, missing)

    role = found.found["ROLE"].to_numpy()[lesion]
    target, nontarget, new = (role == r for r in ("TARGET", "NON-TARGET", "NEW"))
    state, value = taken("state", np.nan), taken("value", np.nan)
    post = step[visit] >= 0
    there, recorded = _presence(np.where(new & post, state, np.nan), lesion, new, study)
    in_sum = new & _is_measured(found.found, measured)[lesion]
    value = np.where(target | (in_sum & there), value, np.nan)
    value = np.where(in_sum & recorded & ~there, 0.0, value)
    told = np.where(taken("worse", missing=False).astype(bool), UNEQUIVOCAL, state)
    order = np.argsort(step[visit], kind="stable")
    bounds = np.searchsorted(step[visit][order], np.arange(int(step.max(initial=-1)) + 2))
    return Course(
        visit=visit,
        lesion=lesion,
        subject=owner[visit],
        target=target,
        nontarget=nontarget,
        value=value,
        whole=~np.isnan(value) & ~taken("partial", missing=False).astype(bool),
        grade=np.where(new, np.where(state == ENLARGED, ENLARGED, PRESENT), told),
        increased=taken("increased", missing=False).astype(bool),
        there=there,
        recorded=recorded,
        steps=np.split(order, bounds)[1:-1],
    )


def _presence(state: Floats, lesion: Ints, new: Bools, study: Study) -> tuple[Bools, Bools]:
    """Where a new lesion is there, and where that is told; between, what was told last holds."""
    sure, turns = response.is_sure(state, lesion)
    if study.response.equivocal_backdate:
        sure = sure | turns
    verdict = pd.Series(np.select([sure, state == ABSENT], [1.0, 0.0], np.nan))
    held = verdict.groupby(lesion).ffill().to_numpy()
    return new & (held == 1), verdict.notna().to_numpy(dtype=bool)


def _is_measured(lesions: pd.DataFrame, measured: pd.DataFrame) -> Bools:
    """Which lesions are measured as new targets: those called so, else those with a diameter."""
    with_value = np.zeros(len(lesions), dtype=bool)
    with_value[measured.loc[measured["value"].notna(), "lesion"]] = True
    plain = (lesions["TUSTRESC"] == "NEW").to_numpy(dtype=bool)
    return np.asarray((lesions["TUSTRESC"] == "NEW TARGET").to_numpy(bool) | (plain & with_value))


def check_new_lesions(found: Evaluation, lesions: Course, evaluated: Bools, issues: Issues) -> None:
    """New lesions that a later assessment does not tell of, and more new targets than allowed.

    `evaluated` is by visit: something was assessed there.
    """
    lost = lesions.there & ~lesions.recorded & evaluated[lesions.visit]
    verbs.report(
        issues, "RS0020", "TR: new lesion is not recorded at a later assessment",
        found.found, np.isin(found.found.index, lesions.lesion[lost]), "USUBJID", "LESID",
    )  # fmt: skip
    measured = _is_measured(found.found, found.assessed.measured)
    table = found.found[measured & (found.found["ROLE"] == "NEW")]
    of_subject = table.groupby("USUBJID")["LESID"].transform("size")
    of_organ = table.groupby(["USUBJID", organ(table["TULOC"])])["LESID"].transform("size")
    many = (of_subject > MOST_NEW_TARGETS) | (of_organ > MOST_OF_AN_ORGAN)
    verbs.report(
        issues, "RS0022", "TU: more new targets than five, or than two of an organ",
        table, many, "USUBJID", "LESID",
    )  # fmt: skip
