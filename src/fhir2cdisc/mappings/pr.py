"""PR — Procedures: radiotherapy by course and treated volume, and other procedures.

References:
    SDTMIG v3.4, section 6.1.5 PR, assumptions 1-4; COSMoS RADIATIONCANCER (NSV PRTRTINT).
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.rows import Rows
from fhir2cdisc.core.verbs import (
    apply,
    concept,
    const,
    first_of,
    iso8601,
    nothing,
    number,
    path,
    quantity,
    recode,
    setting,
    text_of,
    upper,
    var,
    when,
)
from fhir2cdisc.mappings.sources import (
    MCODE,
    PROCEDURE,
    RT_COURSE,
    RT_SITE,
    dose,
    given,
    of_resource,
    site_location,
    site_side,
    subject,
)

KEYS = ("USUBJID", "PRTRT", "PRSTDTC", "PRENDTC", "PRLNKID")


def _modality(rows: Rows, part: str) -> Column:
    """The first modality or technique of the course; a boost may add others."""
    places = f"extension('{MCODE}/mcode-radiotherapy-modality-and-technique')"
    place = f"{places}.extension('mcode-radiotherapy-{part}').valueCodeableConcept.first()"
    canonical = (
        f"{places}.extension('{MCODE}/mcode-radiotherapy-{part}').valueCodeableConcept.first()"
    )
    return first_of(concept(of_resource(canonical, rows)), concept(of_resource(place, rows)))


def _per_fraction(total: Column, fractions: Column) -> Column:
    return apply(
        (total, number(fractions)),
        lambda dose, count: (
            (dose / count.where(count > 0))
            .round(4)
            .astype("str")
            .str.replace(r"\.0$", "", regex=True)
        ),
        "{} divided by {}",
    )


def _radiotherapy(rows: Rows, dose: dict[str, Column], fractions: Column | None) -> DomainMapping:
    intent = f"extension('{MCODE}/mcode-procedure-intent').valueCodeableConcept"
    modality, technique = _modality(rows, "modality"), _modality(rows, "technique")
    code = concept(of_resource("code", rows))
    status = path(of_resource("status", rows))
    completed = when(status, "completed", const("Y"), when(status, "stopped", const("N")))
    qualifiers: dict[str, tuple[str, Column]] = {
        "PRPROTFL": ("Protocol Radiotherapy Flag", path("%protocol")),
        "PRTRTINT": ("Treatment Intent", recode(concept(of_resource(intent, rows)), "TRTINTNT")),
        "PRCOMPL": ("Radiotherapy Completed", completed.as_(Origin.COLLECTED)),
    }
    if fractions is not None:
        qualifiers |= {
            "PRFRNUM": ("Number of Fractions", fractions),
            "PRFRDOSE": ("Dose per Fraction (Gy)", _per_fraction(var("PRDOSE"), fractions)),
        }
    return DomainMapping(
        domain="PR",
        rows=rows,
        subject=subject(rows),
        keys=KEYS,
        required=("PRTRT",),
        columns={
            "PRLNKID": path("%site"),  # the key shared with EX
            "PRTRT": when(
                path("%record"),
                "Y",
                upper(
                    first_of(
                        text_of(technique, codes=False),
                        text_of(modality, codes=False),
                        text_of(code, codes=False),
                        const("RADIOTHERAPY"),
                    )
                ),
            ),
            "PRDECOD": first_of(
                recode(technique, "PROCEDUR", quiet=True),
                recode(modality, "PROCEDUR", quiet=True),
                recode(code, "PROCEDUR"),
            ),
            "%elsewhere": when(setting("radiotherapy.domain"), "EX", path("%protocol")),
            "PRCAT": const("RADIATION THERAPY"),
            "PRSCAT": recode(modality, "RTTYPE", quiet=True),
            **dose,
            "PRLOC": site_location(rows),
            "PRLAT": site_side(rows),
            "PRINDC": text_of(concept(of_resource("reasonCode.first()", rows))),
            "PRSTDTC": iso8601(given(rows, "start")),
            "PRENDTC": iso8601(given(rows, "end")),
        },
        qualifiers=qualifiers,
    )


PR = (
    _radiotherapy(
        RT_SITE,
        {
            "PRDOSE": dose(quantity("extension('totalDoseDelivered').valueQuantity", "Gy")),
            "PRDOSU": when(var("PRDOSE"), (), const("Gy")).as_(Origin.ASSIGNED),
        },
        path("extension('fractionsDelivered').valueUnsignedInt"),
    ),
    _radiotherapy(RT_COURSE, {}, None),
    DomainMapping(
        domain="PR",
        rows=PROCEDURE,
        subject=subject(PROCEDURE),
        keys=KEYS,
        required=("PRTRT",),
        columns={
            "PRLNKID": nothing(),
            "PRTRT": text_of(concept("code")),
            "PRDECOD": recode(concept("code"), "PROCEDUR", quiet=True),
            "PRINDC": text_of(
                first_of(concept("reasonCode.first()"), concept("reason.concept.first()"))
            ),
            "PRLOC": recode(concept("bodySite.first()"), "LOC", keep=True),
            "PRLAT": recode(concept("bodySite.first()"), "LAT", quiet=True),
            "PRSTDTC": iso8601(given(PROCEDURE, "start")),
            "PRENDTC": iso8601(given(PROCEDURE, "end")),
        },
    ),
)
