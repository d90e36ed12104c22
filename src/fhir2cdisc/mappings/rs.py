"""RS — Disease Response: responses that a reader recorded, never the tool's own.

What the software derives from measurements goes to ADRS (RS assumption 3). A disease status
(improved, stable, worsened) is a trend and never becomes a response.

References:
    SDTMIG v3.4, section 6.3.9.3 RS, assumptions 1-6.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.rows import Rows
from fhir2cdisc.core.verbs import (
    concept,
    const,
    first_of,
    iso8601,
    nothing,
    path,
    recode,
    setting,
    text_of,
    upper,
    var,
    when,
)
from fhir2cdisc.mappings.sources import (
    NEW_BY_PROFILE,
    RESPONSE,
    evaluator,
    observed,
    subject,
    time_point,
    visit_number,
)

KEYS = ("USUBJID", "RSTESTCD", "RSEVAL", "RSDTC")


def _responses(
    rows: Rows, test: Column, result: Column, standard: Column, irecist: Column
) -> DomainMapping:
    return DomainMapping(
        domain="RS",
        rows=rows,
        subject=subject(rows),
        keys=KEYS,
        required=("RSTESTCD", "RSORRES"),
        columns={
            "VISIT": time_point(rows),
            "RSLNKGRP": var("VISIT"),  # the assessment, shared with TR
            "RSTESTCD": test,
            "RSTEST": recode(var("RSTESTCD"), "ONCRTS").as_(Origin.ASSIGNED),
            "%irecist": irecist,
            # Other codes do not say which criteria were used.
            "RSCAT": first_of(var("%irecist"), setting("response.criteria")),
            "RSORRES": result,
            "RSSTRESC": standard,
            "RSEVAL": evaluator(rows),
            "VISITNUM": visit_number(var("VISIT")),
            "RSDTC": iso8601(observed(rows)),
        },
    )


_IRECIST_TERMS = ("iCR", "iPR", "iSD", "iUPD", "iCPD", "NON-iCR/NON-iUPD")
_VALUE = concept("valueCodeableConcept")
_YES_NO = when(
    path("valueBoolean"), "true", const("Y"), when(path("valueBoolean"), "false", const("N"))
).as_(Origin.COLLECTED)

RS = (
    _responses(
        RESPONSE,
        # DICOM says in the value which lesions are meant; elsewhere the code does.
        first_of(
            recode(_VALUE, "RSTESTCD", quiet=True),
            recode(concept("code"), "RSTESTCD", quiet=True),
            const("OVRLRESP"),
        ),
        first_of(recode(_VALUE, "ONCRSR", quiet=True), upper(text_of(_VALUE))),
        recode(_VALUE, "ONCRSR"),
        when(recode(_VALUE, "ONCRSR", quiet=True), _IRECIST_TERMS, const("iRECIST")),
    ),
    _responses(NEW_BY_PROFILE, const("NEWLIND"), _YES_NO, var("RSORRES"), nothing()),
)
