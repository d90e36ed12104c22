"""AE — Adverse Events: one record per AdverseEvent.

The CTCAE grade is read wherever sources put it; it is never made from a severity. Grade 0 says
that the event was looked for and not there: no record.

References:
    SDTMIG v3.4, section 6.2.1 AE, assumptions 1-8; CTCAE v5.0.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.verbs import (
    check,
    concept,
    const,
    first_of,
    gather,
    iso8601,
    join,
    nothing,
    path,
    recode,
    text_of,
    var,
    when,
)
from fhir2cdisc.mappings.sources import (
    ADVERSE_EVENT,
    AE_BACKPORT,
    AE_OBSERVATION,
    AE_RESEARCH,
    CONDITION,
    KENYA_CORE,
    SUSPECT,
    SUSPECT_BACKPORT,
    observed,
    subject,
)
from fhir2cdisc.terminology.systems import NCIT

KEYS = ("USUBJID", "AESTDTC", "AETERM", "AETOXGR")

RELATED = (
    "RELATED", "PROBABLY RELATED", "POSSIBLY RELATED", "UNLIKELY RELATED", "NOT RELATED",
)  # fmt: skip
CRITERIA = ("AESDTH", "AESLIFE", "AESHOSP", "AESDISAB", "AESCONG", "AESMIE", "AESINTV")
ONCONOVA = "http://onconova.github.io/fhir/StructureDefinition"
ICARE = "http://hl7.org/fhir/us/ctcae/StructureDefinition"

_TERM = first_of(
    concept("event"),
    concept("code"),
    join(
        first_of(
            path("resultingCondition.first().getReferenceKey(Condition)"),
            path(
                f"extension('{AE_BACKPORT}/resultingEffect').valueReference.getReferenceKey(Condition)"
            ),
        ),
        CONDITION,
        concept("code"),
    ),
)
# OSIRIS writes the grade as seriousness, MII Onkologie as severity.
_GRADE = first_of(
    recode(concept(f"extension('{AE_BACKPORT}/ae-grade').valueCodeableConcept"), "AETOXGR"),
    recode(concept(f"extension('{AE_RESEARCH}/ae-grade').valueCodeableConcept"), "AETOXGR"),
    recode(
        path(f"extension('{ONCONOVA}/onconova-ext-adverse-event-ctc-grade').valueInteger"),
        "AETOXGR",
    ),
    recode(path(f"extension('{KENYA_CORE}/ctcae-grade-extension').valueInteger"), "AETOXGR"),
    recode(
        first_of(
            concept(f"extension('{ICARE}/ctcae-grade').valueCodeableConcept"),
            path(f"extension('{ICARE}/ctcae-grade').valueCode"),
        ),
        "AETOXGR",
    ),
    recode(concept("severity"), "AETOXGR", quiet=True),
    recode(concept("seriousness"), "AETOXGR", quiet=True),
)


def _criterion(code: str, *r4: str) -> Column:
    """A seriousness criterion: the research extension, else the seriousness code of R4."""
    places = (f"extension('{base}/seriousness-criteria')" for base in (AE_BACKPORT, AE_RESEARCH))
    present = first_of(
        *(
            path(
                f"{place}.where(extension.valueCodeableConcept.coding.code = '{code}')"
                ".extension('criterionPresent').valueBoolean"
            )
            for place in places
        )
    )
    stated = when(present, "true", const("Y"), when(present, "false", const("N")))
    by_code = when(path("seriousness.coding.code.first()"), r4, const("Y")) if r4 else nothing()
    return first_of(stated, by_code).as_(Origin.COLLECTED)


def _relation(*, to_radiotherapy: bool) -> Column:
    """The strongest relation to a suspect: radiotherapy is a Procedure, a drug anything else."""

    def of(instance: str, relation: Column) -> Column:
        reference = path(instance)
        is_procedure = path(instance.replace("getReferenceKey()", "getReferenceKey(Procedure)"))
        if to_radiotherapy:
            return when(is_procedure, (), relation)
        return when(is_procedure, (), nothing(), when(reference, (), relation))

    r4 = of(
        "instance.getReferenceKey()",
        recode(
            first_of(
                concept("causality.assessment"),
                path("causality.productRelatedness"),
                concept("causality.entityRelatedness"),
            ),
            "AEREL",
        ),
    )
    r5 = of(
        "instanceReference.getReferenceKey()",
        recode(concept("causality.entityRelatedness"), "AEREL"),
    )
    backport = of(
        "extension('instance').valueReference.getReferenceKey()",
        recode(
            concept("extension('causality').extension('entityRelatedness').valueCodeableConcept"),
            "AEREL",
        ),
    )
    return first_of(
        gather(SUSPECT_BACKPORT, backport, order=RELATED),
        gather(SUSPECT, first_of(r4, r5), order=RELATED),
    )


AE = (
    DomainMapping(
        domain="AE",
        rows=ADVERSE_EVENT,
        subject=subject(ADVERSE_EVENT),
        keys=KEYS,
        required=("AETERM", "%graded"),
        columns={
            # Topic: as the investigator wrote it; the dictionary term only if it was coded
            "AETERM": text_of(_TERM),
            "AEDECOD": first_of(
                *(
                    path(f"{place}.coding.where(system = '{system}').display.first()")
                    for place in ("event", "code")
                    for system in ("https://www.meddra.org", "http://www.meddra.org", NCIT)
                )
            ),
            "AESEV": recode(concept("severity"), "AESEV", quiet=True),
            "AETOXGR": _GRADE,
            "%graded": when(var("AETOXGR"), "0", nothing(), var("AETERM")),
            # Seriousness and its criteria
            "AESDTH": _criterion("C48275", "SeriousResultsInDeath"),
            "AESLIFE": _criterion("C84266", "SeriousIsLifeThreatening"),
            "AESHOSP": _criterion("C83052", "SeriousResultsInHospitalization"),
            "AESDISAB": _criterion("C11338", "SeriousResultsInDisability"),
            "AESCONG": _criterion("C83117", "SeriousIsBirthDefect"),
            "AESMIE": _criterion("C82521"),
            "AESINTV": _criterion("C201939", "SeriousRequiresPreventImpairment"),
            "%criterion": first_of(  # Y: one is met; N: of those stated none is
                *(when(var(name), value, const(value)) for value in "YN" for name in CRITERIA)
            ),
            "AESER": check(
                first_of(
                    recode(concept("seriousness"), "AESER", quiet=True),
                    when(var("%criterion"), "Y", const("Y")),
                ),
                "SD0015",
                lambda serious, met: (
                    (serious == "Y") & (met == "N") | (serious == "N") & (met == "Y")
                ),
                "contradicts its criteria",
                var("%criterion"),
            ),
            # Relation, action, outcome
            "AEREL": _relation(to_radiotherapy=False),
            "AEACN": recode(
                concept(
                    f"extension('{AE_BACKPORT}/mitigating-action').extension('item').valueCodeableConcept.first()"
                ),
                "ACN",
                quiet=True,
            ),
            "AEOUT": recode(concept("outcome.first()"), "OUT"),
            "AESTDTC": iso8601(
                first_of(
                    path("date"),
                    path("occurrenceDateTime"),
                    path("occurrencePeriod.start"),
                    path(f"extension('{AE_BACKPORT}/occurrence').valuePeriod.start"),
                )
            ),
            "AEENDTC": iso8601(
                first_of(
                    path(f"extension('{AE_BACKPORT}/resolve-date').valueDateTime"),
                    path("occurrencePeriod.end"),
                    path(
                        f"extension('{ONCONOVA}/onconova-ext-adverse-event-resolved-date').valueDate"
                    ),
                    path(f"extension('{ICARE}/adverse-event-resolved-date').valueDate"),
                    path(f"extension('{ICARE}/adverse-event-resolved-date').valueDateTime"),
                )
            ),
        },
        qualifiers={"AERELRT": ("Relation to Radiotherapy", _relation(to_radiotherapy=True))},
    ),
    # A graded Observation (Kenya NCCP): the code is the term, the integer the grade
    DomainMapping(
        domain="AE",
        rows=AE_OBSERVATION,
        subject=subject(AE_OBSERVATION),
        keys=KEYS,
        required=("AETERM", "%graded"),
        columns={
            "AETERM": text_of(concept("code")),
            "AETOXGR": recode(path("valueInteger"), "AETOXGR"),
            "%graded": when(var("AETOXGR"), "0", nothing(), var("AETERM")),
            "AEREL": recode(
                path(f"extension('{KENYA_CORE}/ctcae-attribution-extension').valueCode"), "AEREL"
            ),
            "AESTDTC": iso8601(observed(AE_OBSERVATION)),
        },
    ),
)
