"""The clinical course of one subject: what happened, before anybody wrote a record of it.

Days count from enrolment (day 0). Sizes are tenths of a millimetre as integers, already
rounded as the reader wrote them, so that a response derived here and a response derived
from the records start from the same digits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from math import exp
from typing import Literal, NamedTuple

from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.codes import Organ
from fhir2cdisc.simulate.dice import Dice

FIRST_ENROLMENT = date(2024, 1, 8).toordinal()
LAST_FOLLOW_UP = date(2025, 6, 30).toordinal()
UNTREATED_EVERY = 41  # one subject in 41 is enrolled and never treated

Role = Literal["TARGET", "NON-TARGET", "NEW"]
ResponseClass = Literal["CR", "PR", "SD", "PD"]
Given = Literal["completed", "stopped", "not-done"]

# Share of subjects; weekly shrinkage and growth of a lesion outside the radiation field;
# hazard of a new lesion and of non-target progression per visit; median survival in days.
BIOLOGY: dict[ResponseClass, tuple[float, float, float, float, float, float]] = {
    "CR": (0.06, 0.330, 0.000, 0.01, 0.000, 2400.0),
    "PR": (0.21, 0.075, 0.001, 0.03, 0.005, 1300.0),
    "SD": (0.36, 0.014, 0.006, 0.07, 0.030, 760.0),
    "PD": (0.37, 0.002, 0.034, 0.30, 0.120, 290.0),
}

# How the record says which lesion a course treated; the rarest is a mere location.
EVIDENCE = (
    *("uid", "uid", "target", "uid", "uid", "location", "same", "uid", "uid"),
    *("target", "uid", "location", "uid", "same", "uid", "target", "uid"),
)


@dataclass(slots=True)
class Lesion:
    """One lesion; `found` is the day it was first seen, `rate` its own pace."""

    label: str
    role: Role
    organ: Organ
    side: str
    size: float = 0.0  # mm at baseline: longest diameter, short axis of a node
    rate: float = 1.0
    found: int = 0
    irradiated: bool = False
    irradiated_before: bool = False
    resistant: bool = False  # radiation has no effect on it
    ratio: float = 1.0  # other axis / this axis
    pathological: bool = True


class Reading(NamedTuple):
    """What one scan says of one lesion: a size in 0.1 mm, or a state, or why there is none."""

    lesion: Lesion
    day: int
    tenths: int | None = None
    too_small: bool = False
    state: str | None = None
    absent: str | None = None


@dataclass(slots=True)
class Visit:
    """One tumour assessment; its lesions may be scanned on different days."""

    label: str
    day: int
    readings: list[Reading]
    target: str = ""
    non_target: str = ""
    new: str = ""
    overall: str = ""


class Fractionation(NamedTuple):
    """How the dose of a course was planned and given."""

    dose: int  # cGy per fraction
    planned: int
    delivered: int
    every: int  # days between fractions


class Irradiation(NamedTuple):
    """One radiotherapy course and the lesions in its field."""

    lesions: tuple[Lesion, ...]
    start: int
    end: int
    fractions: Fractionation


class Infusion(NamedTuple):
    """One administration of the antibody, planned or given; `minute` counts from midnight."""

    day: int
    minute: int
    status: Given


class Toxicity(NamedTuple):
    """One adverse event; dates are shown as far as `precision` (4, 7 or 10 characters)."""

    term: str
    cause: str
    day: int
    end: int | None
    grade: int | None
    precision: int
    outcome: str
    action: str
    serious: str


@dataclass(slots=True)
class Course:
    """One subject."""

    number: int
    seed: int
    uid: str
    site: str
    subjid: str
    sex: Literal["female", "male"]
    age: int
    response_class: ResponseClass
    enrolled: int  # proleptic ordinal of day 0
    consent: int
    unit: Literal["mm", "cm"]
    coarse: bool  # the reader writes whole millimetres
    evidence: str
    treated: bool
    limit: int = 0  # last day on which anything is recorded
    death: int | None = None
    reason: str | None = None  # why the subject left the study
    lesions: list[Lesion] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    irradiations: list[Irradiation] = field(default_factory=list)
    infusions: list[Infusion] = field(default_factory=list)
    toxicities: list[Toxicity] = field(default_factory=list)
    later_drug: tuple[int, tuple[str, str]] | None = None
    later_radiation: Irradiation | None = None
    contacts: list[int] = field(default_factory=list)
    progression: int | None = None

    @property
    def first_treatment(self) -> int:
        days = [course.start for course in self.irradiations]
        days += [dose.day for dose in self.infusions[:1]]
        return min(days, default=0)


def simulate_course(seed: int, number: int) -> tuple[Course, Dice]:
    """Draw the course of subject `number`; the dice go on to the writing of the records."""
    dice = Dice(seed, number)
    site = f"0{number % 4 + 1}"
    course = Course(
        number=number,
        seed=seed,
        uid=hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=5).hexdigest(),
        site=site,
        subjid=f"{site}-{number // 4 + 1:03d}",
        sex="female" if dice.chance(0.45) else "male",
        age=min(max(round(dice.normal(62, 10)), 30), 85),
        response_class=dice.weighted(tuple(BIOLOGY), [row[0] for row in BIOLOGY.values()]),
        enrolled=FIRST_ENROLMENT + dice.between(0, 357),
        consent=-dice.between(7, 21),
        unit="cm" if site == "02" or dice.chance(0.1) else "mm",
        coarse=dice.chance(0.25),
        evidence=EVIDENCE[number % len(EVIDENCE)],
        treated=number % UNTREATED_EVERY != UNTREATED_EVERY - 1,
    )
    course.lesions = _baseline_lesions(dice)
    _draw_end(course, dice)
    _treat_with_radiation(course, dice)
    _assess(course, dice)
    if course.treated:
        _infuse(course, dice)
        _fall_ill(course, dice)
        _treat_later(course, dice)
        _contact(course, dice)
    return course, dice


def _baseline_lesions(dice: Dice) -> list[Lesion]:
    targets = dice.weighted((1, 2, 3, 4, 5), (0.10, 0.22, 0.30, 0.23, 0.15))
    lesions: list[Lesion] = []
    counts: dict[str, int] = {}
    while len(lesions) < targets:
        organ = dice.weighted(codes.ORGANS, codes.ORGAN_WEIGHTS)
        if counts.get(organ.group, 0) == 2:
            continue
        counts[organ.group] = counts.get(organ.group, 0) + 1
        low, typical = (15.0, 21.0) if organ.node else (10.0, 29.0)
        lesions.append(
            Lesion(
                label=f"T{len(lesions) + 1:02d}",
                role="TARGET",
                organ=organ,
                side=_side(organ, dice),
                size=low + abs(dice.normal(0, typical - low)) + 0.4,
                rate=max(dice.normal(1, 0.3), 0.2),
                ratio=1.3 + 0.4 * dice.normal(0.5, 0.2) if organ.node else 0.75,
                irradiated_before=dice.chance(0.06),
                resistant=dice.chance(0.08),
            )
        )
    for number in range(1, dice.weighted((0, 1, 2, 3), (0.20, 0.32, 0.28, 0.20)) + 1):
        organ = dice.pick(codes.DIFFUSE + codes.ORGANS)
        lesions.append(
            Lesion(
                label=f"NT{number:02d}",
                role="NON-TARGET",
                organ=organ,
                side=_side(organ, dice),
                irradiated_before=dice.chance(0.12),
            )
        )
    _aim(lesions, targets, dice)
    return lesions


def _side(organ: Organ, dice: Dice) -> str:
    return dice.pick(("left", "right")) if organ.paired else ""


def _aim(lesions: list[Lesion], targets: int, dice: Dice) -> None:
    """Choose what is irradiated: leave a target outside the field wherever there are two."""
    wanted = 2 if dice.chance(0.35) else 1
    within = min(wanted, max(targets - 1, 1))
    first = dice.between(0, targets - within)
    for lesion in lesions[first : first + within]:
        lesion.irradiated = True
    others = lesions[targets:]
    if within < wanted and others and dice.chance(0.5):
        others[0].irradiated = True


def _draw_end(course: Course, dice: Dice) -> None:
    """Draw when the record ends, and why."""
    cut = LAST_FOLLOW_UP - course.enrolled
    study_end = 365 + dice.between(-5, 10)
    median = BIOLOGY[course.response_class][5]
    death = 32 + int(dice.exponential(median / 0.6931))
    leaves = dice.between(40, 300)
    lost = dice.chance(0.035)
    withdraws = dice.chance(0.04)
    last = min(cut, study_end)
    if not course.treated:
        course.limit, course.reason = 4, "WITHDRAWAL BY SUBJECT"
    elif death <= last and not (leaves < death and (lost or withdraws)):
        course.limit, course.death, course.reason = death, death, "DEATH"
    elif (lost or withdraws) and leaves < last:
        course.limit = leaves
        course.reason = "LOST TO FOLLOW-UP" if lost else "WITHDRAWAL BY SUBJECT"
    else:
        course.limit = last
        course.reason = "COMPLETED" if study_end <= cut else None


def _treat_with_radiation(course: Course, dice: Dice) -> None:
    if not course.treated:
        return
    start = dice.between(0, 5)
    # The antibody comes first in one subject of five.
    if dice.chance(0.2):
        course.infusions.append(_infusion(start, dice, "completed"))
        start += dice.between(1, 7)
    field_lesions = tuple(lesion for lesion in course.lesions if lesion.irradiated)
    groups = [field_lesions]
    if len(field_lesions) == 2 and dice.chance(0.5):
        groups = [(lesion,) for lesion in field_lesions]
    for group in groups:
        course.irradiations.append(_irradiate(group, start, dice))
        start += dice.between(0, 3)


def _irradiate(lesions: tuple[Lesion, ...], start: int, dice: Dice) -> Irradiation:
    dose, planned, every = dice.weighted(
        ((800, 3, 2), (800, 5, 2), (800, 4, 2), (300, 10, 1)), (0.4, 0.2, 0.1, 0.3)
    )
    delivered = planned - dice.between(1, 2) if dice.chance(0.05) else planned
    span = (delivered - 1) * every
    if every == 1:
        span += 2 * ((delivered - 1) // 5)  # no fractions at weekends
    return Irradiation(lesions, start, start + span, Fractionation(dose, planned, delivered, every))


def _assess(course: Course, dice: Dice) -> None:
    """Scan at baseline and every six weeks past month 6; after progression up to two more."""
    begin = course.first_treatment if course.treated else 3
    low = max(begin - 14, course.consent)
    _visit(course, "BASELINE", dice.between(low, min(begin - 1, 0)), begin, dice)
    plan: list[tuple[str, int]] = []
    for week in (6, 12, 18, 24, 30):
        day = 7 * week + dice.between(-5, 5)
        if not dice.chance(0.06):
            plan.append((f"WEEK {week}", day))
        if dice.chance(0.05):
            plan.append((f"UNSCHEDULED {week}.1", day + dice.between(14, 30)))
    after_progression = 0
    for label, day in plan:
        if day >= course.limit or after_progression > 1:
            break
        if after_progression and not dice.chance(0.6):
            break
        _visit(course, label, day, begin, dice)
        after_progression += course.progression is not None
    if course.progression is not None and course.death is None and dice.chance(0.08):
        # The site ends participation instead of following survival.
        course.reason = "PROGRESSIVE DISEASE"
        course.limit = min(course.limit, course.visits[-1].day + 30)


def _visit(course: Course, label: str, day: int, begin: int, dice: Dice) -> None:
    second_day = min(day + dice.between(1, 4), course.limit - 1)
    if label == "BASELINE":
        second_day = max(min(second_day, begin - 1, 0), day)
    split = dice.chance(0.12)
    visit = Visit(label, day, [])
    for index, lesion in enumerate(course.lesions):
        lesion_day = second_day if split and index % 3 == 1 else day
        if lesion.role == "TARGET":
            visit.readings.append(_measure(course, lesion, lesion_day, begin, dice))
        elif lesion.role == "NON-TARGET":
            visit.readings.append(_look(course, lesion, lesion_day, dice))
        else:
            visit.readings.append(_look_again(course, lesion, lesion_day, dice))
    if label != "BASELINE":
        _find_new(course, visit, dice)
    _respond(course, visit)
    course.visits.append(visit)


def _measure(course: Course, lesion: Lesion, day: int, begin: int, dice: Dice) -> Reading:
    baseline = not course.visits
    if not baseline and dice.chance(0.025):
        return Reading(lesion, day, absent=dice.pick(("not-performed", "unknown")))
    weeks = 0.0 if baseline else max(day - begin, 0) / 7
    _, shrink, growth, *_ = BIOLOGY[course.response_class]
    shrink *= lesion.rate
    growth *= 2 - min(lesion.rate, 1.5)
    if lesion.irradiated and not lesion.resistant:
        # Local effect on top of the systemic one; a field rarely fails early.
        shrink, growth = shrink + 0.035 * lesion.rate, growth * 0.35
    relative = exp(-shrink * weeks) + growth * weeks
    size = lesion.size * relative
    if not baseline:
        size *= 1 + dice.normal(0, 0.03)
    if lesion.organ.node:
        size = max(size, 4.0 + lesion.rate)
    elif size < 2.5:
        return Reading(lesion, day, tenths=0)
    elif size < 5 and dice.chance(0.7):
        return Reading(lesion, day, tenths=50, too_small=True)
    tenths = round(size) * 10 if course.coarse else round(size * 10)
    return Reading(lesion, day, tenths=tenths)


def _look(course: Course, lesion: Lesion, day: int, dice: Dice) -> Reading:
    if not course.visits:
        state = "PATHOLOGICAL" if lesion.organ.node else "PRESENT"
        return Reading(lesion, day, state=state)
    if dice.chance(0.02):
        return Reading(lesion, day, absent="not-performed")
    response, hazard = course.response_class, BIOLOGY[course.response_class][4]
    if dice.chance(hazard):
        return Reading(lesion, day, state="UNEQUIVOCAL")
    if lesion.pathological:
        vanish = {"CR": 0.75, "PR": 0.25, "SD": 0.03, "PD": 0.0}[response]
        lesion.pathological = not dice.chance(vanish)
    if lesion.organ.node:
        state = "PATHOLOGICAL" if lesion.pathological else "NON-PATHOLOGICAL"
    elif not lesion.pathological:
        state = "ABSENT"
    else:
        worse = response == "PD" and dice.chance(0.12)
        state = "ENLARGEMENT FROM NADIR" if worse else "PRESENT"
    return Reading(lesion, day, state=state)


def _find_new(course: Course, visit: Visit, dice: Dice) -> None:
    hazard = BIOLOGY[course.response_class][3]
    while dice.chance(hazard):
        count = sum(lesion.role == "NEW" for lesion in course.lesions)
        organ = dice.weighted(codes.ORGANS, codes.ORGAN_WEIGHTS)
        lesion = Lesion(
            label=f"NEW{count + 1:02d}",
            role="NEW",
            organ=organ,
            side=_side(organ, dice),
            found=visit.day,
        )
        course.lesions.append(lesion)
        state = dice.weighted(("UNEQUIVOCAL", "EQUIVOCAL", "PRESENT"), (0.7, 0.2, 0.1))
        visit.readings.append(Reading(lesion, visit.day, state=state))
        hazard /= 3


def _look_again(course: Course, lesion: Lesion, day: int, dice: Dice) -> Reading:
    earlier = next(
        reading.state
        for visit in course.visits
        for reading in visit.readings
        if reading.lesion is lesion
    )
    if earlier == "EQUIVOCAL":
        return Reading(lesion, day, state="UNEQUIVOCAL" if dice.chance(0.7) else "ABSENT")
    return Reading(lesion, day, state=earlier)


def _respond(course: Course, visit: Visit) -> None:
    """Judge the visit as a reader would (RECIST 1.1), and note the first progression."""
    if visit.label == "BASELINE":
        return
    visit.target = _target_response(course, visit)
    states = [r.state for r in visit.readings if r.lesion.role == "NON-TARGET"]
    if "UNEQUIVOCAL" in states:
        visit.non_target = "PD"
    elif None in states:
        visit.non_target = "NE"
    elif states:
        gone = all(state in ("ABSENT", "NON-PATHOLOGICAL") for state in states)
        visit.non_target = "CR" if gone else "NON-CR/NON-PD"
    found = [r.state for r in visit.readings if r.lesion.role == "NEW"]
    if any(state in ("UNEQUIVOCAL", "PRESENT") for state in found):
        visit.new = "UNEQUIVOCAL"
    elif "EQUIVOCAL" in found:
        visit.new = "EQUIVOCAL"
    if visit.new == "UNEQUIVOCAL" or "PD" in (visit.target, visit.non_target):
        visit.overall = "PD"
        if course.progression is None:
            course.progression = visit.day
    elif visit.target == "CR" and visit.non_target not in ("", "CR"):
        visit.overall = "PR"
    else:
        visit.overall = visit.target


def _target_response(course: Course, visit: Visit) -> str:
    sums = [total for total in map(_sum, course.visits) if total is not None]
    baseline, nadir = sums[0], min(sums)
    readings = [r for r in visit.readings if r.lesion.role == "TARGET"]
    sizes = [r.tenths for r in readings]
    assessed = [size for size in sizes if size is not None]
    grown = sum(assessed) - nadir
    progressed = grown >= 50 and (nadir == 0 or 5 * grown >= nadir)
    if not assessed or (len(assessed) < len(sizes) and not progressed):
        return "NE"
    if len(assessed) == len(sizes) and all(
        size < 100 if r.lesion.organ.node else size == 0
        for r, size in zip(readings, assessed, strict=True)
    ):
        return "CR"
    if progressed:
        return "PD"
    return "PR" if 10 * sum(assessed) <= 7 * baseline else "SD"


def _sum(visit: Visit) -> int | None:
    total = 0
    for reading in visit.readings:
        if reading.lesion.role == "TARGET":
            if reading.tenths is None:
                return None
            total += reading.tenths
    return total


def _infusion(day: int, dice: Dice, status: Given) -> Infusion:
    return Infusion(day, 8 * 60 + 15 * dice.between(0, 28), status)


def _infuse(course: Course, dice: Dice) -> None:
    """Day 1 of every 21-day cycle until progression, toxicity or six months."""
    day = course.infusions[0].day + 21 if course.infusions else course.first_treatment
    if not course.infusions and dice.chance(0.4):
        day += dice.between(0, 2)
    stop = min(182, course.limit)
    if course.progression is not None:
        stop = min(stop, course.progression + (42 if dice.chance(0.12) else 1))
    if dice.chance(0.07):  # toxicity
        stop = min(stop, day + 1 + 21 * dice.between(1, 5))
        course.toxicities.append(
            Toxicity(
                *dice.pick((("Pneumonitis", "drug"), ("Immune-mediated hepatitis", "drug"))),
                day=stop - 1,
                end=min(stop + dice.between(20, 60), course.limit),
                grade=dice.pick((3, 3, 4)),
                precision=10,
                outcome="resolved",
                action="withdrawn",
                serious="hospital",
            )
        )
    while day < stop:
        if course.infusions and dice.chance(0.03):
            course.infusions.append(_infusion(day, dice, "not-done"))
        else:
            status: Given = "stopped" if dice.chance(0.015) else "completed"
            course.infusions.append(_infusion(day, dice, status))
        day += 21 + dice.weighted((0, 1, -1, 2, 7), (0.7, 0.1, 0.08, 0.08, 0.04))


def _fall_ill(course: Course, dice: Dice) -> None:
    count = dice.weighted(range(7), (0.12, 0.2, 0.22, 0.19, 0.13, 0.08, 0.06))
    last = min(course.infusions[-1].day + 60, course.limit - 2)
    for _ in range(max(count - len(course.toxicities), 0)):
        term, cause = dice.pick(codes.EVENTS)
        before = dice.chance(0.08)
        low, high = (course.consent, -1) if before else (course.first_treatment, last)
        day = dice.between(low, high)
        grade = dice.weighted((1, 2, 3, 4, None), (0.44, 0.32, 0.17, 0.05, 0.02))
        resolved = dice.chance(0.75)
        end = min(day + 3 + int(dice.exponential(25)), course.limit)
        outcome = dice.weighted(
            ("resolved", "sequelae") if resolved else ("ongoing", "resolving"), (0.9, 0.1)
        )
        severe = grade is not None and grade >= 3
        course.toxicities.append(
            Toxicity(
                term,
                cause,
                day,
                end if resolved else None,
                grade,
                dice.weighted((10, 7, 4), (0.92, 0.07, 0.01)),
                outcome,
                "interrupted" if severe and dice.chance(0.3) else "none",
                "life-threatening"
                if grade == 4
                else ("hospital" if severe and dice.chance(0.5) else ""),
            )
        )
    if course.death is not None and dice.chance(0.12):
        term, cause = dice.pick(codes.FATAL_EVENTS)
        day = course.death - dice.between(1, 10)
        fatal = Toxicity(term, cause, day, None, 5, 10, "fatal", "none", "death")
        course.toxicities = [*course.toxicities[:5], fatal]


def _treat_later(course: Course, dice: Dice) -> None:
    """Anticancer therapy outside the protocol: usually after progression, rarely before."""
    progressed = course.progression is not None
    day = dice.between(60, 150)
    if course.progression is not None:
        day = course.progression + dice.between(10, 40)
    if day >= course.limit:
        return
    if dice.chance(0.42 if progressed else 0.04):
        course.later_drug = (day, dice.pick(codes.LATER_DRUGS))
    if dice.chance(0.13 if progressed else 0.03):
        candidates = [
            lesion for lesion in course.lesions if not lesion.irradiated and lesion.found <= day
        ]
        if candidates:
            later = _irradiate((candidates[-1],), day + dice.between(0, 9), dice)
            if later.end < course.limit:
                course.later_radiation = later


def _contact(course: Course, dice: Dice) -> None:
    """Telephone about every eight weeks once the scans have ended."""
    day = max(course.visits[-1].day, course.infusions[-1].day) + 56 + dice.between(-7, 7)
    while day < course.limit:
        course.contacts.append(day)
        day += 56 + dice.between(-7, 7)
