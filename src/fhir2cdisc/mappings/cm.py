"""CM — Concomitant and Prior Medications: what was taken besides the study treatment.

Anticancer treatment that begins after the study treatment is told apart: it ends the assessment
of progression (new anticancer therapy).

References:
    SDTMIG v3.4, section 6.1.2 CM, assumptions 1-6.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.dates import is_before
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.rows import Rows
from fhir2cdisc.core.verbs import (
    apply,
    concept,
    const,
    earliest,
    first_of,
    iso8601,
    nothing,
    number,
    path,
    quantity,
    recode,
    text_of,
    upper,
    var,
    when,
)
from fhir2cdisc.mappings.sources import (
    ADMINISTRATION,
    MCODE,
    MEDICATION_GIVEN,
    MEDICATION_START,
    STATEMENT,
    subject,
)

KEYS = ("USUBJID", "CMTRT", "CMSTDTC", "CMENDTC")

_ANTICANCER = first_of(
    when(
        upper(text_of(first_of(concept("category"), concept("category.first()")))),
        ("ANTICANCER", "ANTINEOPLASTIC"),
        const("Y"),
    ),
    when(
        path("meta.profile.first()"),
        (
            f"{MCODE}/mcode-cancer-related-medication-administration",
            f"{MCODE}/mcode-cancer-related-medication-request",
        ),
        const("Y"),
    ),
)


def _medications(rows: Rows, given: Column, dose: str) -> DomainMapping:
    return DomainMapping(
        domain="CM",
        rows=rows,
        subject=subject(rows),
        keys=KEYS,
        required=("CMTRT",),
        columns={
            "CMTRT": given,
            "CMSTDTC": iso8601(MEDICATION_START),
            "CMENDTC": iso8601(first_of(path("effectivePeriod.end"), path("occurencePeriod.end"))),
            "%prior": apply(
                (var("CMSTDTC"), earliest("EX.EXSTDTC")), is_before, "Y if {} is before {}"
            ),
            "CMCAT": when(
                _ANTICANCER,
                "Y",
                # Prior only if it is known to have begun before the study treatment.
                when(var("%prior"), "Y", const("PRIOR ANTICANCER"), const("ON-STUDY ANTICANCER")),
                const("GENERAL"),
            ).as_(Origin.ASSIGNED),
            "CMINDC": text_of(
                first_of(concept("reasonCode.first()"), concept("reason.concept.first()"))
            ),
            "CMDOSE": number(quantity(dose)),
            "CMDOSU": when(
                var("CMDOSE"),
                (),
                recode(first_of(path(f"{dose}.code"), path(f"{dose}.unit")), "UNIT", keep=True),
            ),
            "CMROUTE": recode(concept(dose.partition(".")[0] + ".route"), "ROUTE", keep=True),
        },
    )


CM = (
    _medications(
        STATEMENT,
        upper(text_of(MEDICATION_GIVEN)),
        "dosage.first().doseAndRate.first().doseQuantity",
    ),
    _medications(
        ADMINISTRATION,
        when(path("%protocol"), "Y", nothing(), upper(text_of(MEDICATION_GIVEN))),
        "dosage.dose",
    ),
)
