"""The ledger: every resource of the input exactly once, and what became of it."""

from __future__ import annotations

from enum import StrEnum

LEDGER_COLUMNS = (
    "file", "line", "resource_type", "id", "version", "status", "reason", "domains",
)  # fmt: skip


class Status(StrEnum):
    """What became of a resource."""

    CONVERTED = "converted"  # at least one record of a domain is made from it
    USED = "used"  # no record of its own, but its content is in one (a BodyStructure, a study)
    EXCLUDED = "excluded"  # meant for a domain, left out by a rule: not done, superseded, …
    QUARANTINED = "quarantined"  # cannot be used as it is: no subject, misshapen, unreadable
    UNROUTED = "unrouted"  # no mapping asks for it


REASONS: dict[str, str] = {
    "": "",
    "not asked for": "no mapping of this study takes this type or code",
    "not needed": "it is read only to complete the records of others, and none needed it",
    "not valid JSON": "the line or entry cannot be parsed",
    "no resourceType": "it is no FHIR resource",
    "unknown resourceType": "it is no FHIR resource type",
    "no subject": "no reference to a Patient",
    "subject not in the input": "the Patient it belongs to is not there",
    "misshapen": "an element that a mapping reads has an unexpected shape",
    "unknown modifierExtension": "it could negate the resource, and it is not a known one",
    "entered in error": "to be treated as though it had never been created",
    "no id": "a subject without an id: nothing can refer to it",
    "copy": "the same resource is in the input once more, with the same content",
    "superseded": "a newer version of the same resource is in the input",
    "same identifier": "a newer resource with the same official identifier is in the input",
    "not done": "a positive statement that it did not happen",
    "not final": "registered, preliminary, planned or in preparation",
    "potential event": "AdverseEvent.actuality is potential",
    "refuted or unconfirmed": "verificationStatus does not confirm it",
    "part of a course": "its dose is in the course it is part of",
    "no record": "what a record needs is not there: an empty element, no lesion, an AE of grade 0",
    "not a RECIST response": "a trend or a registry judgement",
    "duplicate": "the same record is made from another resource",
    "excised tumour": "the size of a specimen is no tumour measurement",
}
