"""The small parts every FHIR resource is made of, as JSON objects."""

from __future__ import annotations

from datetime import date
from typing import Any

from msgspec import Raw

from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.course import Course

Json = dict[str, Any]


def coded(system: str, code: str, text: str | None = None) -> Json:
    """A CodeableConcept with one coding."""
    concept: Json = {"coding": [{"system": system, "code": code}]}
    if text is not None:
        concept["text"] = text
    return concept


def quantity(value: str, unit: str) -> Json:
    """A UCUM quantity; the digits are written as given, trailing zeros included."""
    return {"value": Raw(value.encode()), "unit": unit, "system": codes.UCUM, "code": unit}


def extension(url: str, **value: Any) -> Json:
    return {"url": url, **value}


def reference(kind: str, identity: str) -> Json:
    return {"reference": f"{kind}/{identity}"}


class Chart:
    """What all records of one subject share: ids, references, dates with the site's zone."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.subject = {"reference": f"Patient/{course.uid}"}
        self.condition = {"reference": f"Condition/{course.uid}-cancer"}
        self.zone = codes.SITE_ZONE[course.site]
        self.protocol = {
            "url": codes.RESEARCH_STUDY,
            "valueReference": {"reference": codes.STUDY_REF},
        }
        self.reader = {"reference": f"Practitioner/site-{course.site}-radiologist"}

    def date(self, day: int) -> str:
        return date.fromordinal(self.course.enrolled + day).isoformat()

    def time(self, day: int, minute: int) -> str:
        """A dateTime at the site's clock, `minute` minutes after midnight."""
        return f"{self.date(day)}T{minute // 60:02d}:{minute % 60:02d}:00{self.zone}"

    def when(self, day: int, minute: int) -> str:
        """A date for the subjects whose site records no times, else a time of day."""
        return self.date(day) if self.course.number % 4 == 3 else self.time(day, minute)

    def start(self, kind: str, identity: str, day: int, *profiles: str, version: str = "1") -> Json:
        """The beginning of a resource: type, id and meta."""
        meta: Json = {
            "versionId": version,
            "lastUpdated": f"{self.date(day + int(version))}T21:00:00Z",
        }
        if profiles:
            meta["profile"] = list(profiles)
        return {"resourceType": kind, "id": f"{self.course.uid}-{identity}", "meta": meta}
