"""Which resources must not be used, whatever they say: status, intent and negation.

References:
    FHIR R4, status and modifier elements of each resource.
"""

from __future__ import annotations

from fhir2cdisc.core.plan import Gate
from fhir2cdisc.mappings.sources import AE_BACKPORT


def _gate(resource: str, path: str, reason: str, *values: str) -> Gate:
    return Gate(resource=resource, path=path, equals=frozenset(values), reason=reason)


_CONDITION = "verificationStatus.coding.code"

GATES = (
    _gate("Observation", "status", "not final", "registered", "preliminary", "unknown"),
    _gate("Observation", "status", "not done", "cancelled"),
    _gate("Procedure", "status", "not done", "not-done"),
    _gate("Procedure", "status", "not final", "preparation", "unknown"),
    _gate("MedicationAdministration", "status", "not done", "not-done"),
    _gate("MedicationAdministration", "status", "not final", "unknown"),
    _gate("MedicationStatement", "status", "not done", "not-taken"),
    _gate("MedicationStatement", "adherence.code.coding.code", "not done", "not-taking"),  # R5
    _gate("MedicationStatement", "status", "not final", "intended", "unknown", "draft"),
    _gate("AdverseEvent", "actuality", "potential event", "potential"),
    _gate(
        "AdverseEvent",
        f"modifierExtension.where(url = '{AE_BACKPORT}/status').valueCode",
        "entered in error",
        "entered-in-error",
    ),
    _gate("Condition", _CONDITION, "entered in error", "entered-in-error"),
    _gate("Condition", _CONDITION, "refuted or unconfirmed",
          "refuted", "unconfirmed", "provisional", "differential"),
    _gate("BodyStructure", "active", "entered in error", "false"),
    _gate("Consent", "status", "not final", "draft", "proposed"),
    _gate("Consent", "status", "not done", "rejected", "not-done"),
)  # fmt: skip

# The backport of the R5 AdverseEvent says its status in a modifier extension.
MODIFIER_EXTENSIONS = frozenset({f"{AE_BACKPORT}/status"})

# Several resources with one official identifier are states of one record.
# Its value, whose system, whose subject: the same number may be given twice elsewhere.
IDENTITY = {
    "Procedure": (
        "identifier.where(use = 'official').value.first()",
        "identifier.where(use = 'official').system.first()",
        "subject.reference",
    )
}
