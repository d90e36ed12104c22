"""Code systems by the names people use for them, and the many ways they are written."""

from __future__ import annotations

from functools import cache

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
MEDDRA = "http://terminology.hl7.org/CodeSystem/MDRAE"
GENDER = "http://hl7.org/fhir/administrative-gender"
CDC_RACE = "urn:oid:2.16.840.1.113883.6.238"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"

_ALIASES = {
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "http://loinc.org/88040-1": LOINC,  # a response answer list written as a system
    "urn:oid:2.16.840.1.113883.3.26.1.1": NCIT,
    "http://ncithesaurus-stage.nci.nih.gov": NCIT,
    "http://ncimeta.nci.nih.gov": NCIT,
    "http://ncit.nci.nih.gov": NCIT,
    "ncit": NCIT,
    "urn:oid:1.2.840.10008.2.16.4": DICOM,
    "dcm": DICOM,
    "urn:oid:2.16.840.1.113883.6.8": UCUM,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "urn:oid:2.16.840.1.113883.6.163": MEDDRA,
    "http://www.meddra.org": MEDDRA,
    "https://www.meddra.org": MEDDRA,
    "http://hl7.org/fhir/v3/nullflavor": NULL_FLAVOR,
    "http://snomed.info/id": SNOMED,
}


@cache
def canonical(system: str) -> str:
    """The one name of a code system: without version, scheme variant or trailing slash."""
    bare = system.partition("|")[0].strip().rstrip("/")
    plain = "http://" + bare.removeprefix("https://") if bare.startswith("https://") else bare
    known = _ALIASES.get(bare.lower()) or _ALIASES.get(plain.lower())
    if known:
        return known
    if plain.startswith(SNOMED):  # an edition: http://snomed.info/sct/900000000000207008
        return SNOMED
    return plain if plain in _OFFICIAL else bare


_OFFICIAL = frozenset(_ALIASES.values()) | {GENDER}
