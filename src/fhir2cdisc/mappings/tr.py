"""TR — Tumor/Lesion Results: one record per measurement or state of a lesion.

Sums and percent changes are derived in ADaM and never made here (TR assumption 3).

References:
    SDTMIG v3.4, section 6.3.5.10 TR, assumptions 1-7; CDISC RECIST 1.1 supplement.
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
    join,
    lookup,
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
    BODY,
    DIAMETER,
    LESION_ID_BY_EXTENSION,
    LESION_NAME,
    LESION_STATE,
    SIZE,
    SIZE_NOT_TAKEN,
    VOLUME,
    evaluator,
    lesion,
    method,
    observed,
    of_resource,
    subject,
    time_point,
    visit_number,
)

KEYS = ("USUBJID", "TRLNKID", "TRTESTCD", "TREVAL", "TRDTC")

TOO_SMALL = "TOO SMALL TO MEASURE"


def _results(rows: Rows, test: Column, result: dict[str, Column], absent: Column) -> DomainMapping:
    """TR from one kind of element: what is tested and its result, then what all have.

    `absent` is the reason that stands instead of a value.
    """
    return DomainMapping(
        domain="TR",
        rows=rows,
        subject=subject(rows),
        keys=KEYS,
        required=("TRTESTCD", "TRLNKID", "%result"),
        columns={
            # Identifiers: the lesion (the key shared with TU) and the assessment (shared with RS)
            "TRLNKID": first_of(
                join(lesion(rows), BODY, LESION_NAME),
                *(() if rows.each else (LESION_ID_BY_EXTENSION,)),
            ),
            "VISIT": time_point(rows),
            "TRLNKGRP": var("VISIT"),
            "TRGRPID": lookup("TU.TUSTRESC", on="TULNKID", key="TRLNKID"),
            # Topic
            "TRTESTCD": test,
            "TRTEST": recode(var("TRTESTCD"), "TRTEST").as_(Origin.ASSIGNED),
            # Result, or why there is none
            **result,
            "TRSTAT": when(var("TRORRES"), (), nothing(), when(absent, (), const("NOT DONE"))),
            "TRREASND": when(var("TRSTAT"), "NOT DONE", upper(text_of(absent))),
            "%result": first_of(var("TRORRES"), var("TRSTAT")),
            # How, by whom, when: the date of the scan, not of its reading
            "TRMETHOD": method(rows),
            "TREVAL": evaluator(rows),
            "VISITNUM": visit_number(var("VISIT")),
            "TRDTC": iso8601(observed(rows)),
        },
    )


def _measured(unit: str) -> dict[str, Column]:
    """A number as collected and in `unit`; a lesion too small to measure is 5 mm (assumption 4)."""
    collected = recode(
        first_of(path("valueQuantity.code"), path("valueQuantity.unit")), "UNIT", keep=True
    )
    return {
        "TRORRES": first_of(
            quantity("valueQuantity"), upper(text_of(concept("valueCodeableConcept")))
        ),
        "TRORRESU": when(var("TRORRES"), TOO_SMALL, const(unit), collected),
        "TRSTRESC": when(
            var("TRORRES"),
            TOO_SMALL,
            const("5"),
            quantity("valueQuantity", unit),
        ),
        "TRSTRESN": number(var("TRSTRESC"), quiet=True),
        "TRSTRESU": when(var("TRSTRESC"), (), const(unit)).as_(Origin.ASSIGNED),
    }


_STATE = concept("valueCodeableConcept")
_TEST = recode(concept("code"), "TRTESTCD", quiet=True)
_ABSENT = concept("dataAbsentReason")

TR = (
    # mCODE TumorSize, one component a dimension; its "other dimension" is no declared short axis
    _results(
        SIZE,
        _TEST,
        _measured("mm"),
        first_of(_ABSENT, concept(of_resource("dataAbsentReason", SIZE))),
    ),
    # One Observation a diameter (MII imaging, DICOM, Kenya NCCP)
    _results(DIAMETER, first_of(_TEST, const("LDIAM")), _measured("mm"), _ABSENT),
    # A size that was not taken
    _results(SIZE_NOT_TAKEN, const("LDIAM"), _measured("mm"), _ABSENT),
    _results(VOLUME, _TEST, _measured("mL"), _ABSENT),
    # The state of a lesion that is not measured
    _results(
        LESION_STATE,
        first_of(_TEST, const("TUMSTATE")),
        {
            "TRORRES": first_of(recode(_STATE, "TRPROPRS", quiet=True), upper(text_of(_STATE))),
            "TRSTRESC": recode(_STATE, "TRPROPRS"),
        },
        _ABSENT,
    ),
)
