"""The lesion registry: which BodyStructures are lesions, and what links radiotherapy to them.

No FHIR profile links a radiotherapy volume to a tumour, so the link is made from evidence, the
strongest first. Equal place and side (grade 6) is no proof: two lesions can share them. It goes
to review and never decides.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column
from fhir2cdisc.core.linkage import Evidence, Registry, Relation, SiteRows
from fhir2cdisc.core.rows import Rows
from fhir2cdisc.core.verbs import apply, concept, first_of, nothing, path, recode
from fhir2cdisc.mappings.sources import (
    BODY,
    BODY_IDENTIFIER,
    DIAMETER,
    IN_STUDY,
    LESION_ROLE,
    LESION_STATE,
    MCODE,
    RT_COURSE,
    RT_REASON,
    RT_SITE,
    RT_TARGET,
    SIZE,
    STATUS_FOCUS,
    STATUS_VOLUME,
    given,
    lesion,
    of_resource,
)

OWN = path("%key")

_IDENTIFIER = apply(
    (path("system"), path("value")), lambda system, value: system + "|" + value, "{} and {}"
)
_SELF = Relation(rows=BODY, key=OWN, value=OWN)

EVIDENCE = (
    Evidence(
        grade=1,
        text="the volume is the lesion itself",
        left=_SELF,
        right=_SELF,
        anchor="volume",
    ),
    Evidence(
        grade=2,
        text="volume and lesion share an identifier",
        left=Relation(rows=BODY_IDENTIFIER, key=OWN, value=_IDENTIFIER),
        right=Relation(rows=BODY_IDENTIFIER, key=OWN, value=_IDENTIFIER),
        anchor="volume",
    ),
    Evidence(
        grade=3,
        text="the course names the lesion as its target",
        left=_SELF,
        right=Relation(rows=RT_TARGET, key=OWN, value=path("getReferenceKey()")),
        anchor="course",
    ),
    Evidence(
        grade=4,
        text="a disease status is about both",
        left=Relation(rows=STATUS_FOCUS, key=path("getReferenceKey(BodyStructure)"), value=OWN),
        right=Relation(rows=STATUS_FOCUS, key=path("getReferenceKey(BodyStructure)"), value=OWN),
        anchor="volume",
    ),
    Evidence(
        grade=4,
        text="a disease status is about both",
        left=Relation(rows=STATUS_FOCUS, key=path("getReferenceKey(BodyStructure)"), value=OWN),
        right=Relation(rows=STATUS_VOLUME, key=path("getReferenceKey()"), value=OWN),
        anchor="volume",
    ),
    Evidence(
        grade=5,
        text="the reason of the course is the condition of this tumour alone",
        left=Relation(
            rows=BODY,
            key=OWN,
            value=path(
                f"extension('{MCODE}/mcode-related-condition').valueReference.getReferenceKey()"
            ),
        ),
        right=Relation(rows=RT_REASON, key=OWN, value=path("getReferenceKey(Condition)")),
        anchor="course",
        unique=True,
    ),
)

# SNOMED CT codes of mCODE's radiotherapy volume types.
VOLUME_TYPES = {
    "228793007": "PTV", "228791009": "GTV", "228792002": "CTV", "1201745009": "ITV",
    "1201746005": "IGTV", "1162586008": "OAR",
}  # fmt: skip

_HAS_DOSE = path(f"extension('{MCODE}/mcode-radiotherapy-dose-delivered-to-volume').exists()")


def _site_rows(rows: Rows, volume: Column, dose: Column, skip: Column) -> SiteRows:
    return SiteRows(
        rows=rows,
        subject=path(of_resource("subject.getReferenceKey()", rows)),
        start=given(rows, "start"),
        # The extension of FHIR core marks what was done for the study.
        marked=path(of_resource(IN_STUDY, rows)),
        volume=volume,
        dose=dose,
        skip=skip,
    )


LESIONS = Registry(
    body=BODY,
    subject=path("patient.getReferenceKey(Patient)"),
    place=first_of(
        recode(concept("location"), "LOC", keep=True, quiet=True),
        recode(concept("includedStructure.first().structure"), "LOC", keep=True, quiet=True),
    ),
    side=first_of(
        recode(concept("locationQualifier.first()"), "LAT", quiet=True),
        recode(concept("location"), "LAT", quiet=True),
        recode(concept("includedStructure.first().laterality"), "LAT", quiet=True),
    ),
    volume_type=concept("morphology"),
    types=VOLUME_TYPES,
    # A BodyStructure is a lesion if an Observation of a lesion is about it.
    lesions=tuple((rows, lesion(rows)) for rows in (LESION_ROLE, SIZE, DIAMETER, LESION_STATE)),
    # Each dose to a volume is a site; a course is one where no dose is stated.
    sites=(
        _site_rows(
            RT_SITE,
            path("extension('volume').valueReference.getReferenceKey()"),
            path("extension('totalDoseDelivered').valueQuantity.value"),
            nothing(),
        ),
        _site_rows(RT_COURSE, nothing(), nothing(), _HAS_DOSE),
    ),
    evidence=EVIDENCE,
)
