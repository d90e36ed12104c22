"""Tumours in FHIR: lesions, their roles, sizes and states, and what a reader concluded."""

from __future__ import annotations

from collections.abc import Iterator

from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.course import Lesion, Reading, Visit
from fhir2cdisc.simulate.dice import Dice
from fhir2cdisc.simulate.elements import Chart, Json, coded, extension, quantity

_LAB_CATEGORY = [coded(codes.HL7 + "observation-category", "laboratory")]
_IDENTIFIER_TYPE = coded("http://hl7.org/fhir/resource-types", "BodyStructure")
_TRACKING_TYPE = coded(codes.DCM, "112040")
_BEST_FIRST = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE")


def tumour_resources(chart: Chart, dice: Dice) -> Iterator[Json]:
    """Everything about lesions, in the order it was recorded."""
    course = chart.course
    for number, lesion in enumerate(course.lesions, start=1):
        yield _tumour(chart, lesion, number)
    for index, visit in enumerate(course.visits):
        minute = 8 * 60 + dice.between(0, 36) * 15
        for reading in visit.readings:
            if reading.lesion.found == visit.day or index == 0:
                yield _role(chart, visit, reading, minute)
            if reading.lesion.role == "TARGET":
                yield _size(chart, visit, index, reading, minute)
            else:
                yield _state(chart, visit, index, reading, minute)
        if visit.overall:
            yield from _conclusions(chart, visit, index, dice)
    if course.number % 6 == 0 and len(course.visits) > 1:
        yield _best(chart)


def tumour_id(chart: Chart, lesion: Lesion) -> str:
    return f"{chart.course.uid}-tumor-{lesion.label.lower()}"


def tracking_uid(chart: Chart, lesion: Lesion) -> Json:
    """The DICOM tracking identifier, the same on the tumour and on the volume that treats it."""
    value = f"urn:oid:2.25.{int(chart.course.uid, 16)}.{lesion.label[-2:].lstrip('0')}"
    value += {"TARGET": ".1", "NON-TARGET": ".2", "NEW": ".3"}[lesion.role]
    return {"type": _TRACKING_TYPE, "system": codes.DICOM_UID, "value": value}


def located(resource: Json, lesion: Lesion) -> None:
    """Add location and laterality to a BodyStructure."""
    resource["location"] = coded(codes.SCT, lesion.organ.code)
    if lesion.side:
        resource["locationQualifier"] = [coded(codes.SCT, codes.LATERALITY[lesion.side])]


def _tumour(chart: Chart, lesion: Lesion, number: int) -> Json:
    resource = chart.start(
        "BodyStructure", f"tumor-{lesion.label.lower()}", lesion.found, codes.MCODE + "tumor"
    )
    resource["extension"] = [
        extension(codes.MCODE + "related-condition", valueReference=chart.condition)
    ]
    # Only the subjects whose volumes are told by place alone carry no tracking identifier.
    resource["identifier"] = [
        {
            "use": "usual",
            "type": _IDENTIFIER_TYPE,
            "system": f"http://site{chart.course.site}.example.org/lesion",
            "value": lesion.label,
        }
    ]
    if chart.course.evidence == "uid" or (chart.course.evidence != "location" and number % 2):
        resource["identifier"].append(tracking_uid(chart, lesion))
    resource["morphology"] = coded(codes.SCT, "1240414004")
    located(resource, lesion)
    resource["patient"] = chart.subject
    return resource


def _observation(
    chart: Chart, visit: Visit, reading: Reading, *, minute: int, identity: str, profile: str
) -> Json:
    """An Observation of one lesion at one assessment, without code and value."""
    resource = chart.start("Observation", identity, reading.day, profile)
    resource["extension"] = [extension(codes.OWN + "timepoint", valueString=visit.label)]
    resource["status"] = "final"
    resource["subject"] = chart.subject
    resource["focus"] = [{"reference": f"BodyStructure/{tumour_id(chart, reading.lesion)}"}]
    resource["effectiveDateTime"] = chart.when(reading.day, minute)
    return resource


def _method(lesion: Lesion) -> Json:
    return coded(codes.SCT, codes.MRI if lesion.organ.mri else codes.CT)


def _role(chart: Chart, visit: Visit, reading: Reading, minute: int) -> Json:
    lesion = reading.lesion
    label = lesion.label.lower()
    resource = _observation(
        chart,
        visit,
        reading,
        minute=minute,
        identity=f"role-{label}",
        profile=codes.OWN + "lesion-role",
    )
    resource["code"] = coded(codes.NCIT, "C94523")
    if chart.course.number % 6 == 3 and lesion.role in codes.ROLE_DICOM:
        resource["valueCodeableConcept"] = coded(codes.DCM, codes.ROLE_DICOM[lesion.role])
    else:
        resource["valueCodeableConcept"] = coded(codes.NCIT, codes.ROLE[lesion.role], lesion.role)
    resource["method"] = _method(lesion)
    if chart.course.number % 2:
        resource["bodySite"] = coded(codes.SCT, lesion.organ.code)
    if lesion.irradiated_before:
        answers = {"previously-irradiated": True}
        if lesion.role == "TARGET":
            answers["progressed-since-irradiation"] = True
        resource["component"] = [
            {"code": coded(codes.LESION, code), "valueBoolean": answer}
            for code, answer in answers.items()
        ]
    return resource


def _size(chart: Chart, visit: Visit, index: int, reading: Reading, minute: int) -> Json:
    lesion = reading.lesion
    resource = _observation(
        chart,
        visit,
        reading,
        minute=minute,
        identity=f"size-{lesion.label.lower()}-{index}",
        profile=codes.MCODE + "tumor-size",
    )
    resource["category"] = _LAB_CATEGORY
    resource["code"] = coded(codes.LOINC, "21889-1")
    longest: Json = {"code": coded(codes.LOINC, "33728-7")}
    if reading.absent == "unknown":
        # The scan was made, but this lesion could not be judged on it.
        longest["dataAbsentReason"] = coded(
            codes.HL7 + "data-absent-reason", "unknown", "NOT EVALUABLE"
        )
    elif reading.absent:
        resource["dataAbsentReason"] = coded(
            codes.HL7 + "data-absent-reason", reading.absent, "SCAN NOT PERFORMED"
        )
        return resource
    resource["method"] = _method(lesion)
    components = [longest]
    if reading.too_small:
        longest["valueCodeableConcept"] = {"text": "TOO SMALL TO MEASURE"}
    elif reading.tenths is not None:
        other = round(reading.tenths * lesion.ratio)
        long_axis, short_axis = reading.tenths, other
        if lesion.organ.node:
            long_axis, short_axis = other, reading.tenths
            components.append(
                {
                    "code": coded(codes.SCT, "103340004"),
                    "valueQuantity": _length(chart, short_axis),
                }
            )
        elif chart.course.number % 3 == 1:
            components.append(
                {
                    "code": coded(codes.LOINC, "33729-5"),
                    "valueQuantity": _length(chart, short_axis),
                }
            )
        longest["valueQuantity"] = _length(chart, long_axis)
    resource["component"] = components
    return resource


def _length(chart: Chart, tenths: int) -> Json:
    """Tenths of a millimetre in the unit and with the digits this subject's reader uses."""
    if chart.course.unit == "cm":
        if chart.course.coarse:
            return quantity(f"{tenths // 100}.{tenths % 100 // 10}", "cm")
        return quantity(f"{tenths // 100}.{tenths % 100:02d}", "cm")
    if chart.course.coarse:
        return quantity(str(tenths // 10), "mm")
    return quantity(f"{tenths // 10}.{tenths % 10}", "mm")


def _state(chart: Chart, visit: Visit, index: int, reading: Reading, minute: int) -> Json:
    lesion = reading.lesion
    resource = _observation(
        chart,
        visit,
        reading,
        minute=minute,
        identity=f"state-{lesion.label.lower()}-{index}",
        profile=codes.OWN + "lesion-state",
    )
    nodal = reading.state in ("PATHOLOGICAL", "NON-PATHOLOGICAL")
    resource["code"] = coded(codes.NCIT, "C124448" if nodal else "C96643")
    if reading.state is None:
        resource["dataAbsentReason"] = coded(
            codes.HL7 + "data-absent-reason", "not-performed", "SCAN NOT PERFORMED"
        )
        return resource
    resource["method"] = _method(lesion)
    resource["valueCodeableConcept"] = _state_value(chart, reading.state)
    return resource


def _state_value(chart: Chart, state: str) -> Json:
    snomed = {"PRESENT": "52101004", "ABSENT": "2667000"}
    if chart.course.number % 5 == 4 and state in snomed:
        return coded(codes.SCT, snomed[state])
    return coded(codes.NCIT, codes.STATE[state], state)


def _conclusions(chart: Chart, visit: Visit, index: int, dice: Dice) -> Iterator[Json]:
    """What a person wrote about the whole visit: RECIST by some readers, a trend by others."""
    if chart.course.number % 3 == 0:
        # Readers do not always agree with the digits.
        doubted = {"PR": "SD", "SD": "PR"} if dice.chance(0.05) else {}
        read = {
            "OVRLRESP": doubted.get(visit.overall, visit.overall),
            "TRGRESP": visit.target,
            "NTRGRESP": visit.non_target,
            "NEWLPROG": visit.new,
        }
        for test, result in read.items():
            if result:
                yield _response(chart, visit, index, test, result)
    if chart.course.number % 5 < 2:
        day = visit.readings[-1].day
        status = chart.start(
            "Observation", f"status-{index}", day, codes.MCODE + "cancer-disease-status"
        )
        status["status"] = "final"
        status["code"] = coded(codes.LOINC, "97509-4")
        status["subject"] = chart.subject
        status["focus"] = [chart.condition]
        status["effectiveDateTime"] = chart.date(day)
        status["valueCodeableConcept"] = coded(codes.SCT, codes.TREND[visit.overall])
        yield status


def _response(chart: Chart, visit: Visit, index: int, test: str, result: str) -> Json:
    day = max(reading.day for reading in visit.readings)
    resource = chart.start("Observation", f"{test.lower()}-{index}", day, codes.OWN + "response")
    resource["extension"] = [extension(codes.OWN + "timepoint", valueString=visit.label)]
    resource["status"] = "final"
    # Some readers use LOINC and its answer list; it has no code for "not evaluable".
    if chart.course.number % 9 == 0 and test == "OVRLRESP" and result in codes.LOINC_ANSWER:
        resource["code"] = coded(codes.LOINC, "21976-6")
        resource["valueCodeableConcept"] = coded(codes.LOINC, codes.LOINC_ANSWER[result])
    else:
        resource["code"] = coded(codes.NCIT, codes.RESPONSE_TEST[test])
        resource["valueCodeableConcept"] = coded(codes.NCIT, codes.RESPONSE[result], result)
    resource["subject"] = chart.subject
    resource["effectiveDateTime"] = chart.date(day)
    resource["performer"] = [chart.reader]
    return resource


def _best(chart: Chart) -> Json:
    """The reader's best overall response: unconfirmed, up to the first progression."""
    visits = chart.course.visits
    candidates: list[str] = []
    for visit in visits[1:]:
        candidates.append(visit.overall)
        if visit.overall == "PD":
            break
    best = min(candidates, key=_BEST_FIRST.index)
    last = Visit(visits[-1].label, visits[-1].day, visits[-1].readings)
    return _response(chart, last, 0, "BESTRESP", best)
