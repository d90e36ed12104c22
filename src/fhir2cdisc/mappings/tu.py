"""TU — Tumor/Lesion Identification: one record per lesion per evaluator.

A lesion is identified once, at the first assessment that states its role.

References:
    SDTMIG v3.4, section 6.3.5.10 TU, assumptions 1-4; CDISC RECIST 1.1 supplement.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.rows import Rows
from fhir2cdisc.core.verbs import concept, const, first_of, iso8601, join, path, recode, var, when
from fhir2cdisc.mappings.sources import (
    BODY,
    LESION_ID_BY_EXTENSION,
    LESION_NAME,
    LESION_ROLE,
    NON_TARGET_BY_PROFILE,
    SIZE,
    TARGET_BY_PROFILE,
    evaluator,
    lesion,
    method,
    observed,
    of_resource,
    subject,
    time_point,
    visit_number,
)

KEYS = ("USUBJID", "TULNKID", "TUEVAL", "TUDTC")
_LESION = "urn:fhir2cdisc:CodeSystem:lesion"


def _said(code: str) -> Column:
    """A yes / no component of the identification."""
    component = f"component.where(code.coding.code = '{code}')"
    return when(
        path(f"{component}.valueBoolean"),
        "true",
        const("Y"),
        when(path(f"{component}.valueBoolean"), "false", const("N")),
    ).as_(Origin.COLLECTED)


def _identification(rows: Rows, name: Column, role: Column) -> DomainMapping:
    """TU from one form in which a source says the role of a lesion."""
    at = lesion(rows)
    history = (
        {}
        if rows.each
        else {
            "TUPRVIR": ("Previously Irradiated", _said("previously-irradiated")),
            "TUPRVIRP": ("Progression since Irradiation", _said("progressed-since-irradiation")),
        }
    )
    return DomainMapping(
        domain="TU",
        rows=rows,
        subject=subject(rows),
        keys=KEYS,
        required=("TULNKID", "TUORRES"),
        unique=("USUBJID", "TULNKID", "TUTESTCD", "TUEVAL"),
        columns={
            # Topic and result: what is no identification is out before anything else is read
            "TUTESTCD": const("TUMIDENT"),
            "TUTEST": recode(var("TUTESTCD"), "TUTEST").as_(Origin.ASSIGNED),
            "TUORRES": role,
            "TUSTRESC": var("TUORRES"),
            # Identifier: the key shared with TR (TU assumption 1)
            "TULNKID": name,
            # Where, how and by whom
            "TULOC": first_of(
                recode(join(at, BODY, concept("location")), "LOC", keep=True),
                recode(
                    join(at, BODY, concept("includedStructure.first().structure")), "LOC", keep=True
                ),
                recode(concept(of_resource("bodySite", rows)), "LOC", keep=True),
            ),
            "TULAT": first_of(
                recode(join(at, BODY, concept("locationQualifier.first()")), "LAT", quiet=True),
                recode(join(at, BODY, concept("location")), "LAT", quiet=True),
                recode(
                    join(at, BODY, concept("includedStructure.first().laterality")),
                    "LAT",
                    quiet=True,
                ),
                recode(concept(of_resource("bodySite", rows)), "LAT", quiet=True),
            ),
            "TUMETHOD": method(rows),
            "TUEVAL": evaluator(rows),
            # When: the date of the scan; TUDY and TULOBXFL follow for every Findings domain
            "VISIT": time_point(rows),
            "VISITNUM": visit_number(var("VISIT")),
            "TUDTC": iso8601(observed(rows)),
        },
        qualifiers={
            "TUIRRAD": (
                "Irradiated During Study",
                join(at, BODY, path("%irradiated")).as_(Origin.DERIVED),
            ),
            "TUIRREV": (
                "Evidence for Irradiation",
                join(at, BODY, path("%evidence")).as_(Origin.DERIVED),
            ),
            **history,
        },
    )


def _by_reference(rows: Rows) -> Column:
    return join(lesion(rows), BODY, LESION_NAME)


TU = (
    _identification(
        LESION_ROLE,
        _by_reference(LESION_ROLE),
        recode(concept("valueCodeableConcept"), "TUIDRS"),
    ),
    _identification(
        SIZE, _by_reference(SIZE), recode(concept("valueCodeableConcept"), "TUIDRS", quiet=True)
    ),
    _identification(TARGET_BY_PROFILE, LESION_ID_BY_EXTENSION, const("TARGET")),
    _identification(NON_TARGET_BY_PROFILE, LESION_ID_BY_EXTENSION, const("NON-TARGET")),
)
