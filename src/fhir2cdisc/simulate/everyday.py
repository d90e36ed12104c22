"""What any hospital records about a patient, trial or not, and the calls that follow survival."""

from __future__ import annotations

from collections.abc import Iterator

from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.dice import Dice
from fhir2cdisc.simulate.elements import Chart, Json, coded, quantity, reference

_EVERYDAY_PROFILE = {"laboratory": "observation-lab", "survey": "observation-screening-assessment"}


def survival_contacts(chart: Chart, dice: Dice) -> Iterator[Json]:
    """Alive at every contact after the scans; most deaths are recorded as a contact too."""
    course = chart.course
    days = [(day, "438949009") for day in course.contacts]
    if course.death is not None and dice.chance(0.8):
        days.append((course.death, "419099009"))
    for number, (day, status) in enumerate(days, start=1):
        contact = chart.start("Observation", f"vital-{number}", day)
        contact["status"] = "final"
        contact["code"] = coded(codes.LOINC, "67162-8")
        contact["subject"] = chart.subject
        contact["effectiveDateTime"] = chart.date(day)
        contact["valueCodeableConcept"] = coded(codes.SCT, status)
        yield contact


def everyday_resources(chart: Chart, dice: Dice) -> Iterator[Json]:
    """What any hospital system sends along: visits, laboratory, other illness and medicines."""
    course = chart.course
    days = [infusion.day for infusion in course.infusions] or [course.visits[0].day]
    for number, day in enumerate(days, start=1):
        encounter = chart.start("Encounter", f"enc-{number}", day, codes.US_CORE + "encounter")
        encounter["status"] = "finished"
        encounter["class"] = {"system": codes.HL7 + "v3-ActCode", "code": "AMB"}
        encounter["subject"] = chart.subject
        encounter["period"] = {
            "start": chart.time(day, 7 * 60 + 30),
            "end": chart.time(day, 16 * 60),
        }
        encounter["serviceProvider"] = reference("Organization", f"site-{course.site}")
        yield encounter
        for loinc, unit, mean, sd, decimals in codes.LABS[: 5 if number % 2 else 3]:
            lab = _everyday_observation(chart, f"lab-{number}-{loinc}", day, loinc, "laboratory")
            value = abs(dice.normal(mean, sd))
            lab["valueQuantity"] = quantity(f"{value:.{decimals}f}", unit)
            yield lab
        if number % 3 == 1:
            ecog = _everyday_observation(chart, f"ecog-{number}", day, "89247-1", "survey")
            ecog["valueInteger"] = dice.weighted((0, 1, 2), (0.4, 0.5, 0.1))
            yield ecog
    for number in range(1, dice.between(0, 3) + 1):
        yield _illness(chart, number, dice)
    for number in range(1, dice.between(1, 6) + 1):
        day = dice.between(course.consent, max(days[-1], 0))
        drug = dice.pick(codes.OTHER_DRUGS)
        yield statement(chart, f"other-{number}", drug, day, "CONCOMITANT")


def _everyday_observation(chart: Chart, identity: str, day: int, loinc: str, category: str) -> Json:
    observation = chart.start(
        "Observation", identity, day, codes.US_CORE + _EVERYDAY_PROFILE[category]
    )
    observation["status"] = "final"
    observation["category"] = [coded(codes.HL7 + "observation-category", category)]
    observation["code"] = coded(codes.LOINC, loinc)
    observation["subject"] = chart.subject
    observation["effectiveDateTime"] = chart.time(day, 7 * 60 + 45)
    return observation


def _illness(chart: Chart, number: int, dice: Dice) -> Json:
    condition = chart.start(
        "Condition",
        f"illness-{number}",
        chart.course.consent,
        codes.US_CORE + "condition-problems-health-concerns",
    )
    condition["clinicalStatus"] = coded(codes.HL7 + "condition-clinical", "active")
    condition["verificationStatus"] = coded(codes.HL7 + "condition-ver-status", "confirmed")
    condition["category"] = [coded(codes.HL7 + "condition-category", "problem-list-item")]
    condition["code"] = coded(codes.SCT, *dice.pick(codes.ILLNESSES))
    condition["subject"] = chart.subject
    condition["onsetDateTime"] = chart.date(-dice.between(400, 6000))[: dice.pick((4, 7, 10))]
    return condition


def statement(chart: Chart, identity: str, drug: tuple[str, str], day: int, why: str) -> Json:
    """A medicine that is not protocol treatment; `why` is the text of its category."""
    statement = chart.start("MedicationStatement", identity, day)
    statement["status"] = "active"
    statement["category"] = {"text": why}
    statement["medicationCodeableConcept"] = coded(codes.RXNORM, *drug)
    statement["subject"] = chart.subject
    statement["effectivePeriod"] = {"start": chart.date(day)}
    return statement
