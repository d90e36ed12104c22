"""The bad input of the real world, one kind per subject.

Subject k carries the kind in row `k % len(DEFECTS)` of the table, so 24 subjects carry each
kind at least once; a subject who was never treated carries none. What a defect adds has
`defect` in its id, unless the defect forbids it.

| k | kind | what is in the folder |
|---|---|---|
| 0 | malformed-json | an Observation line cut in the middle |
| 1 | no-resource-type | an object without resourceType |
| 2 | no-subject | a TumorSize without subject |
| 3 | dangling-subject | a TumorSize of a Patient who is not in the folder |
| 4 | dangling-focus | a TumorSize whose focus is not in the folder |
| 5 | unknown-body-site | a lesion at SNOMED 999000001, a code nobody knows |
| 6 | unknown-method | a TumorSize by method SNOMED 999000002 |
| 7 | unknown-response | an overall response NCIT C999999 |
| 8 | impossible-date | a TumorSize on 2024-02-30, an AdverseEvent on 2024-13-01 |
| 9 | no-birth-date | a Patient without birthDate |
| 10 | no-baseline | a target lesion whose baseline TumorSize is missing |
| 11 | older-version | the same TumorSize id again, versionId 1, other size, after version 2 |
| 12 | entered-in-error | an Observation, a course, an infusion and an AdverseEvent, all in error |
| 13 | not-done-procedure | a radiotherapy course that was not done, with a dose all the same |
| 14 | negative-diameter | a TumorSize of -12.0 mm |
| 15 | measured-twice | one lesion measured twice on one date, with two results |
| 16 | after-death | seen alive three weeks after deceasedDateTime |
| 17 | one-identifier-two-courses | two completed courses with one official identifier |
| 18 | blank-line | blank lines between Observations |
| 19 | very-long-text | an AdverseEvent whose term has 20,000 characters |
| 20 | unknown-modifier | an Observation with a modifierExtension nobody knows |
| 21 | potential-event | an AdverseEvent with actuality `potential` |
| 22 | unknown-unit | a TumorSize in `[in_i]`, and one without any unit |
| 23 | two-participations | a second ResearchSubject with another subject identifier |
| – | truncated-gzip | `Observation.2.ndjson.gz`, broken off (once per folder) |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import msgspec

from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.course import Course
from fhir2cdisc.simulate.elements import Chart, Json, coded, quantity

Line = tuple[str, Any]  # the file's resource type; a resource, or bytes written as they are


class Case(NamedTuple):
    """One subject's records before they are written, and what they were made from."""

    chart: Chart
    records: list[Line]


def add_defects(course: Course, records: list[Line]) -> None:
    """Put the subject's defect into its records, in place."""
    if not course.treated:
        return
    kinds = tuple(DEFECTS.values())
    kinds[course.number % len(kinds)](Case(Chart(course), records))


def extra_file(course: Course) -> Iterator[Json]:
    """The resources of the file whose transfer breaks off."""
    chart = Chart(course)
    for number in range(40):
        weight = chart.start("Observation", f"defect-weight-{number}", number)
        weight["status"] = "final"
        weight["code"] = coded(codes.LOINC, "29463-7")
        weight["subject"] = chart.subject
        weight["effectiveDateTime"] = chart.time(number, 7 * 60)
        weight["valueQuantity"] = quantity(f"{70 + number * 37 % 11 / 10:.1f}", "kg")
        yield weight


def _first(case: Case, kind: str, ending: str) -> Json:
    """The first resource of a kind whose id ends with `ending`."""
    resource: Json = next(
        line for name, line in case.records if name == kind and line["id"].endswith(ending)
    )
    return resource


def _copy(case: Case, kind: str, ending: str, name: str) -> Json:
    """A copy of a resource, appended with an id of its own."""
    resource = deepcopy(_first(case, kind, ending))
    resource["id"] = f"{resource['id']}-defect-{name}"
    case.records.append((kind, resource))
    return resource


def _size(case: Case, name: str) -> Json:
    return _copy(case, "Observation", "-size-t01-0", name)


def _malformed_json(case: Case) -> None:
    whole = msgspec.json.encode(_size(case, "malformed"))
    case.records[-1] = ("Observation", whole[: len(whole) // 2])


def _no_resource_type(case: Case) -> None:
    del _size(case, "untyped")["resourceType"]


def _no_subject(case: Case) -> None:
    del _size(case, "nobody")["subject"]


def _dangling_subject(case: Case) -> None:
    _size(case, "stranger")["subject"] = {"reference": "Patient/defect-not-here"}


def _dangling_focus(case: Case) -> None:
    _size(case, "no-lesion")["focus"] = [{"reference": "BodyStructure/defect-not-here"}]


def _unknown_body_site(case: Case) -> None:
    unknown = coded(codes.SCT, "999000001", "somewhere odd")
    lesion = _first(case, "BodyStructure", "-tumor-t01")
    lesion["location"] = unknown
    _first(case, "Observation", "-role-t01")["bodySite"] = unknown


def _unknown_method(case: Case) -> None:
    _first(case, "Observation", "-size-t01-0")["method"] = coded(codes.SCT, "999000002")


def _unknown_response(case: Case) -> None:
    response = _copy(case, "Observation", "-role-t01", "response")
    for name in ("focus", "method", "bodySite", "component"):
        response.pop(name, None)
    response["meta"]["profile"] = [codes.OWN + "response"]
    response["code"] = coded(codes.NCIT, codes.RESPONSE_TEST["OVRLRESP"])
    response["valueCodeableConcept"] = coded(codes.NCIT, "C999999", "MUCH BETTER")


def _impossible_date(case: Case) -> None:
    _size(case, "february")["effectiveDateTime"] = "2024-02-30"
    _event(case, "month-13")["date"] = "2024-13-01"


def _event(case: Case, name: str) -> Json:
    """A plain adverse event: not every subject has one to copy."""
    event = case.chart.start(
        "AdverseEvent",
        f"ae-defect-{name}",
        20,
        codes.BACKPORT + "AdverseEvent-clinical-research",
    )
    event["modifierExtension"] = [{"url": codes.BACKPORT + "status", "valueCode": "completed"}]
    event["actuality"] = "actual"
    event["event"] = {"text": "Headache"}
    event["subject"] = case.chart.subject
    event["date"] = case.chart.date(20)
    event["seriousness"] = coded(codes.HL7 + "adverse-event-seriousness", "non-serious")
    event["outcome"] = coded(codes.NCIT, codes.OUTCOME["resolved"])
    case.records.append(("AdverseEvent", event))
    return event


def _no_birth_date(case: Case) -> None:
    del _first(case, "Patient", "")["birthDate"]


def _no_baseline(case: Case) -> None:
    case.records.remove(("Observation", _first(case, "Observation", "-size-t01-0")))


def _older_version(case: Case) -> None:
    current = _first(case, "Observation", "-size-t01-0")
    current["meta"]["versionId"] = "2"
    older = deepcopy(current)
    older["meta"] |= {"versionId": "1", "lastUpdated": f"{case.chart.date(-30)}T21:00:00Z"}
    older["component"][0]["valueQuantity"] = quantity("99.9", "mm")
    case.records.append(("Observation", older))


def _entered_in_error(case: Case) -> None:
    _size(case, "error")["status"] = "entered-in-error"
    _copy(case, "MedicationAdministration", "-pd1-1", "error")["status"] = "entered-in-error"
    course = _copy(case, "Procedure", "-rt1", "error")
    course["status"] = "entered-in-error"
    course["identifier"][0]["value"] += ".99"
    event = _event(case, "error")
    event["modifierExtension"][0]["valueCode"] = "entered-in-error"


def _not_done_procedure(case: Case) -> None:
    course = _copy(case, "Procedure", "-rt1", "not-done")
    course["status"] = "not-done"
    course["identifier"][0]["value"] += ".98"


def _negative_diameter(case: Case) -> None:
    size = _size(case, "negative")
    size["effectiveDateTime"] = case.chart.date(21)
    size["component"][0]["valueQuantity"] = quantity("-12.0", "mm")


def _measured_twice(case: Case) -> None:
    _size(case, "again")["component"][0]["valueQuantity"] = quantity("18.5", "mm")


def _after_death(case: Case) -> None:
    course = case.chart.course
    death = course.death
    if death is None:
        death = course.limit - 21
        patient = _first(case, "Patient", "")
        patient.pop("deceasedBoolean", None)
        patient["deceasedDateTime"] = case.chart.date(death)
    alive = case.chart.start("Observation", "vital-defect-after-death", death + 21)
    alive["status"] = "final"
    alive["code"] = coded(codes.LOINC, "67162-8")
    alive["subject"] = case.chart.subject
    alive["effectiveDateTime"] = case.chart.date(death + 21)
    alive["valueCodeableConcept"] = coded(codes.SCT, "438949009")
    case.records.append(("Observation", alive))


def _one_identifier_two_courses(case: Case) -> None:
    course = _copy(case, "Procedure", "-rt1", "second-course")
    course["performedPeriod"] = {"start": case.chart.date(40), "end": case.chart.date(44)}
    course["bodySite"] = [coded(codes.SCT, "12738006")]


def _blank_line(case: Case) -> None:
    middle = len(case.records) // 2
    case.records[middle:middle] = [
        ("Observation", b""),
        ("Observation", b" "),
    ]


def _very_long_text(case: Case) -> None:
    _event(case, "long")["event"] = {"text": ("Headache and then some. " * 834)[:20000]}


def _unknown_modifier(case: Case) -> None:
    _size(case, "modified")["modifierExtension"] = [
        {"url": "http://example.org/fhir/StructureDefinition/negated", "valueBoolean": True}
    ]


def _potential_event(case: Case) -> None:
    _event(case, "potential")["actuality"] = "potential"


def _unknown_unit(case: Case) -> None:
    inches, bare = _size(case, "inches"), _size(case, "no-unit")
    inches["effectiveDateTime"], bare["effectiveDateTime"] = (
        case.chart.date(22),
        case.chart.date(23),
    )
    inches["component"][0]["valueQuantity"] = quantity("1.25", "[in_i]")
    bare["component"][0]["valueQuantity"] = {"value": 31}


def _two_participations(case: Case) -> None:
    again = _copy(case, "ResearchSubject", "-subject", "again")
    again["identifier"] = [
        {"use": "usual", "value": f"{case.chart.course.site}-9{case.chart.course.number:02d}"}
    ]


DEFECTS: dict[str, Callable[[Case], None]] = {
    "malformed-json": _malformed_json,
    "no-resource-type": _no_resource_type,
    "no-subject": _no_subject,
    "dangling-subject": _dangling_subject,
    "dangling-focus": _dangling_focus,
    "unknown-body-site": _unknown_body_site,
    "unknown-method": _unknown_method,
    "unknown-response": _unknown_response,
    "impossible-date": _impossible_date,
    "no-birth-date": _no_birth_date,
    "no-baseline": _no_baseline,
    "older-version": _older_version,
    "entered-in-error": _entered_in_error,
    "not-done-procedure": _not_done_procedure,
    "negative-diameter": _negative_diameter,
    "measured-twice": _measured_twice,
    "after-death": _after_death,
    "one-identifier-two-courses": _one_identifier_two_courses,
    "blank-line": _blank_line,
    "very-long-text": _very_long_text,
    "unknown-modifier": _unknown_modifier,
    "potential-event": _potential_event,
    "unknown-unit": _unknown_unit,
    "two-participations": _two_participations,
}
