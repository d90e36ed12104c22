"""DS — Disposition: consent, enrolment, and how participation ended.

References:
    SDTMIG v3.4, section 6.2.4 DS, assumptions 1-8; codelists PROTMLST, NCOMPLT, DSCAT, DSSCAT.
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
    path,
    recode,
    text_of,
    upper,
    var,
    when,
)
from fhir2cdisc.mappings.sources import (
    CONSENT,
    CONSENTED,
    CONSENTING,
    OWN,
    PARTICIPANT,
    RESEARCH_SUBJECT,
)

KEYS = ("USUBJID", "DSSTDTC", "DSCAT", "DSDECOD")


def _milestone(rows: Rows, subject: Column, term: str, date: Column) -> DomainMapping:
    return DomainMapping(
        domain="DS",
        rows=rows,
        subject=subject,
        keys=KEYS,
        required=("DSSTDTC",),
        columns={
            "DSTERM": const(term),
            "DSDECOD": const(term),
            "DSCAT": const("PROTOCOL MILESTONE"),
            "DSSTDTC": iso8601(date),
        },
    )


_REASON = concept(f"extension('{OWN}:off-study-reason').valueCodeableConcept")
_STATUS = when(path("status"), ("withdrawn", "off-study"), path("status"))

DS = (
    _milestone(
        CONSENT,
        CONSENTING,
        "INFORMED CONSENT OBTAINED",
        CONSENTED,
    ),
    _milestone(RESEARCH_SUBJECT, PARTICIPANT, "ENTERED INTO TRIAL", path("period.start")),
    DomainMapping(
        domain="DS",
        rows=RESEARCH_SUBJECT,
        subject=PARTICIPANT,
        keys=KEYS,
        required=("DSTERM", "DSSTDTC"),
        columns={
            "DSTERM": upper(first_of(text_of(_REASON), _STATUS)),
            "DSDECOD": first_of(
                recode(_REASON, "NCOMPLT"),
                when(_STATUS, "withdrawn", const("WITHDRAWAL BY SUBJECT")),
                when(_STATUS, "off-study", const("OTHER")),
            ).as_(Origin.ASSIGNED, "OTHER: off study without a stated reason."),
            "DSCAT": const("DISPOSITION EVENT"),
            "DSSCAT": const("STUDY PARTICIPATION"),
            "DSSTDTC": when(var("DSTERM"), (), iso8601(path("period.end"))),
        },
    ),
)
