"""The FHIR elements that mappings share: which resources feed what, and where things are said.

The forms are those of docs/input.md. `LESION` and other names in capitals are columns or rows
that several domains read in the same way.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.rows import Coded, Profile, Rows
from fhir2cdisc.core.verbs import (
    apply,
    check,
    concept,
    const,
    first_of,
    join,
    number,
    path,
    recode,
    upper,
)

CORE = "http://hl7.org/fhir/StructureDefinition"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
CODEX = "http://hl7.org/fhir/us/codex-radiation-therapy/StructureDefinition"
KENYA = "https://nshr-uat.sha.go.ke/fhir/StructureDefinition"
KENYA_CORE = "https://fhir.dha.go.ke/core/StructureDefinition"
OWN = "urn:fhir2cdisc:StructureDefinition"

PATIENT = Rows("Patient")
RACE = Rows(
    "Patient", each=f"extension('{US_CORE}/us-core-race').extension('ombCategory').valueCoding"
)
RESEARCH_SUBJECT = Rows("ResearchSubject")
CONSENT = Rows("Consent")
CONDITION = Rows("Condition")
MEDICATION = Rows("Medication")

BODY = Rows("BodyStructure")
BODY_IDENTIFIER = Rows("BodyStructure", each="identifier")

KENYA_TARGET = Profile(f"{KENYA}/nccp-recist-target-lesion-observation")
KENYA_NON_TARGET = Profile(f"{KENYA}/nccp-recist-non-target-lesion-observation")
KENYA_NEW = Profile(f"{KENYA}/nccp-recist-new-lesion-observation")
KENYA_RESPONSE = Profile(f"{KENYA}/nccp-recist-response-assessment-observation")
KENYA_AE = Profile(f"{KENYA}/nccp-ctcae-adverse-event-observation")

EXCISED = Coded("method", "gross-pathology")
LESION_ROLE = Rows(
    "Observation",
    of=(Coded("code", "tumor-identification"), Coded("valueCodeableConcept", "lesion-role")),
)
TARGET_BY_PROFILE = Rows("Observation", of=(KENYA_TARGET,))
NON_TARGET_BY_PROFILE = Rows("Observation", of=(KENYA_NON_TARGET,))
NEW_BY_PROFILE = Rows("Observation", of=(KENYA_NEW,))
SIZE = Rows("Observation", each="component", of=(Coded("code", "tumor-size"),), unless=(EXCISED,))
DIAMETER = Rows(
    "Observation", of=(Coded("code", "lesion-diameter"), KENYA_TARGET), unless=(EXCISED,)
)
SIZE_NOT_TAKEN = Rows(
    "Observation", of=(Coded("code", "tumor-size"),), unless=(EXCISED,), lacks="component"
)
VOLUME = Rows("Observation", of=(Coded("code", "lesion-volume"),))
EXCISED_SIZE = Rows("Observation", of=(EXCISED,))
LESION_STATE = Rows("Observation", of=(Coded("code", "lesion-state"), KENYA_NON_TARGET))
RESPONSE = Rows(
    "Observation",
    of=(
        Coded("code", "response"),
        Coded("valueCodeableConcept", "response-result"),
        KENYA_RESPONSE,
    ),
)
DISEASE_TREND = Rows("Observation", of=(Coded("code", "disease-trend"),))
STATUS_FOCUS = Rows("Observation", each="focus", of=(Coded("code", "disease-trend"),))
STATUS_VOLUME = Rows(
    "Observation",
    each=f"extension('{CODEX}/codexrt-radiotherapy-volume-extension').valueReference",
    of=(Coded("code", "disease-trend"),),
)
VITAL_STATUS = Rows("Observation", of=(Coded("code", "vital-status"),))

RT = (Coded("code", "radiotherapy-course"),)
RT_PART = Rows("Procedure", of=(Coded("code", "radiotherapy-part"),))
RT_COURSE = Rows("Procedure", of=RT)
RT_SITE = Rows(
    "Procedure", each=f"extension('{MCODE}/mcode-radiotherapy-dose-delivered-to-volume')", of=RT
)
RT_TARGET = Rows(
    "Procedure", each=f"extension('{CORE}/procedure-targetBodyStructure').valueReference", of=RT
)
RT_REASON = Rows("Procedure", each="reasonReference", of=RT)
PROCEDURE = Rows("Procedure", unless=(*RT, Coded("code", "radiotherapy-part")))

ADMINISTRATION = Rows("MedicationAdministration")
STATEMENT = Rows("MedicationStatement")

ADVERSE_EVENT = Rows("AdverseEvent")
AE_OBSERVATION = Rows("Observation", of=(KENYA_AE,))
AE_BACKPORT = "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition"
AE_RESEARCH = "http://hl7.org/fhir/uv/ae-research-ig/StructureDefinition"
SUSPECT = Rows("AdverseEvent", each="suspectEntity")
SUSPECT_BACKPORT = Rows("AdverseEvent", each=f"extension('{AE_BACKPORT}/suspect-entity')")


def of_resource(name: str, rows: Rows) -> str:
    """The path of a resource's element, also where rows are its elements."""
    return f"%resource.{name}" if rows.each else name


def subject(rows: Rows) -> Column:
    """The Patient that an Observation, Procedure, … is about."""
    return path(of_resource("subject.getReferenceKey()", rows))


def lesion(rows: Rows) -> Column:
    """The BodyStructure that an Observation is about.

    `focus` (mCODE), else the bodySite extension of FHIR core (MII imaging), else `bodyStructure`
    (R5).
    """
    return first_of(
        path(of_resource("focus.getReferenceKey(BodyStructure)", rows)),
        path(
            of_resource(
                f"bodySite.extension('{CORE}/bodySite').valueReference"
                ".getReferenceKey(BodyStructure)",
                rows,
            )
        ),
        path(of_resource("bodyStructure.getReferenceKey(BodyStructure)", rows)),
    )


# Entries of a transaction may have no id; then their fullUrl or place stands in.
RESOURCE_ID = apply(path("%key"), lambda s: s.str.partition("/")[2].astype("str"), "id").as_(
    Origin.COLLECTED
)

# The name of a lesion: the identifier people use, else the DICOM tracking one, else the id.
LESION_NAME = first_of(
    path("identifier.where(use = 'usual').value.first()"),
    path("identifier.where(type.coding.code = '112039').value.first()"),
    path("identifier.value.first()"),
    RESOURCE_ID,
)

LESION_ID_BY_EXTENSION = first_of(
    path(f"extension('{KENYA_CORE}/recist-target-lesion-id-extension').valueString"),
    path(f"extension('{KENYA}/nccp-recist-target-lesion-id-extension').valueString"),
)


def time_point(rows: Rows) -> Column:
    """The planned time point of an assessment, in capitals, as VISIT."""
    codes = (
        f"extension('{KENYA_CORE}/recist-timepoint-extension').valueCode",
        f"extension('{KENYA}/nccp-recist-timepoint-extension').valueCode",
    )
    coded = apply(
        first_of(*(path(of_resource(place, rows)) for place in codes)),
        lambda s: s.str.strip().str.upper().str.replace("-", " "),
        "{} in capitals, with blanks for hyphens",
    )
    named = upper(path(of_resource(f"extension('{OWN}:timepoint').valueString", rows)))
    return first_of(named, coded)


def visit_number(visit: Column) -> Column:
    """[visits] of the study, else the number at the end of the name (WEEK 6 is 6)."""
    at_end = apply(
        visit,
        lambda s: s.str.extract(r"(\d+(?:\.\d+)?)$", expand=False).astype("str"),
        "number at the end of {}",
    )
    return apply(
        first_of(recode(visit, "VISITNUM", quiet=True), at_end),
        lambda s: s.astype("float64"),
        "{}",
    )


def observed(rows: Rows) -> Column:
    """When a finding was made: the scan or examination, not the report about it."""
    places = ("effectiveDateTime", "effectivePeriod.start", "effectiveInstant", "issued")
    return first_of(*(path(of_resource(place, rows)) for place in places))


def method(rows: Rows) -> Column:
    return recode(concept(of_resource("method", rows)), "METHOD", keep=True)


def evaluator(rows: Rows) -> Column:
    """Who assessed: the evaluator extension, else the investigator's site."""
    stated = recode(path(of_resource(f"extension('{OWN}:evaluator').valueString", rows)), "EVAL")
    return first_of(stated, const("INVESTIGATOR"))


def dose(source: Column) -> Column:
    """An amount that was given: a negative one stays as collected and is an issue."""
    return check(number(source), "SD0014", lambda amount: amount < 0, "is negative")


# What was given: coded in place, in a contained or in a referenced Medication (R4 and R5 names).
MEDICATION_GIVEN = first_of(
    concept("medicationCodeableConcept"),
    concept("medication.concept"),
    concept("contained.where(resourceType = 'Medication').code"),
    join(
        first_of(
            path("medicationReference.getReferenceKey(Medication)"),
            path("medication.reference.getReferenceKey(Medication)"),
        ),
        MEDICATION,
        concept("code"),
    ),
)


# The mark of what was done for a study.
IN_STUDY = f"extension('{CORE}/workflow-researchStudy').exists()"


def _place(rows: Rows, element: str) -> Column:
    """The volume's body site, else the course's."""
    volume = path("extension('volume').valueReference.getReferenceKey()")
    own = concept(of_resource("bodySite.first()", rows))
    if not rows.each:
        return own
    return first_of(join(volume, BODY, concept(element)), own)


def site_location(rows: Rows) -> Column:
    """Where radiotherapy was given, as LOC."""
    return recode(_place(rows, "location"), "LOC", keep=True)


def site_side(rows: Rows) -> Column:
    """Its laterality, as LAT."""
    return first_of(
        recode(_place(rows, "locationQualifier.first()"), "LAT", quiet=True),
        recode(_place(rows, "location"), "LAT", quiet=True),
    )


# Resources that are meant for a domain but make no record of it, with the reason.
SET_ASIDE: dict[Rows, str] = {
    EXCISED_SIZE: "excised tumour",
    RT_PART: "part of a course",
    DISEASE_TREND: "not a RECIST response",
}


def given(rows: Rows, end: str) -> Column:
    """When a Procedure began (`start`) or ended (`end`): a period, or one date; R4 and R5 names."""
    places = [f"performedPeriod.{end}", f"occurrencePeriod.{end}"]
    if end == "start":
        places += ["performedDateTime", "occurrenceDateTime"]
    return first_of(*(path(of_resource(place, rows)) for place in places))


# Who takes part (R4 says `individual`, R5 `subject`) or consents, and when consent was given.
PARTICIPANT = first_of(
    path("individual.getReferenceKey(Patient)"), path("subject.getReferenceKey(Patient)")
)
CONSENTING = first_of(
    path("patient.getReferenceKey(Patient)"), path("subject.getReferenceKey(Patient)")
)
CONSENTED = first_of(path("dateTime"), path("date"), path("period.start"))

# When a medication was taken; R5 spells `occurence`.
MEDICATION_START = first_of(
    path("effectivePeriod.start"),
    path("effectiveDateTime"),
    path("occurencePeriod.start"),
    path("occurenceDateTime"),
)
