"""EX — Exposure: each administration of the study drug, and protocol radiotherapy by site.

Radiotherapy given by the protocol is study treatment: it counts for RFXSTDTC.

References:
    SDTMIG v3.4, section 6.1.3.1 EX, assumptions 1-6; section 5.2 DM, RFXSTDTC.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.linkage import TreatmentRows
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.rows import Rows
from fhir2cdisc.core.verbs import (
    concept,
    const,
    first_of,
    iso8601,
    nothing,
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
    ADMINISTRATION,
    IN_STUDY,
    MEDICATION_GIVEN,
    MEDICATION_START,
    RT_COURSE,
    RT_SITE,
    dose,
    given,
    site_location,
    site_side,
    subject,
)

KEYS = ("USUBJID", "EXTRT", "EXSTDTC", "EXENDTC", "EXLNKID")
STUDY_DRUG = TreatmentRows(rows=ADMINISTRATION, given=MEDICATION_GIVEN, marked=path(IN_STUDY))

_PROTOCOL = path("%protocol")
_DOSE_UNIT = first_of(path("dosage.dose.code"), path("dosage.dose.unit"))


def _radiotherapy(rows: Rows, dose: dict[str, Column]) -> DomainMapping:
    return DomainMapping(
        domain="EX",
        rows=rows,
        subject=subject(rows),
        keys=KEYS,
        required=("EXTRT",),
        columns={
            "EXLNKID": path("%site"),  # the key shared with PR
            "EXTRT": when(path("%record"), "Y", when(_PROTOCOL, "Y", const("RADIOTHERAPY"))),
            # It is treatment, and DM has its dates, also where the study records it in PR alone.
            "%elsewhere": when(setting("radiotherapy.domain"), "PR", _PROTOCOL),
            "EXCAT": const("RADIATION THERAPY"),
            **dose,
            "EXLOC": site_location(rows),
            "EXLAT": site_side(rows),
            "EXSTDTC": iso8601(given(rows, "start")),
            "EXENDTC": iso8601(given(rows, "end")),
        },
    )


EX = (
    DomainMapping(
        domain="EX",
        rows=ADMINISTRATION,
        subject=subject(ADMINISTRATION),
        keys=KEYS,
        required=("EXTRT",),
        columns={
            "EXLNKID": nothing(),
            "EXTRT": when(_PROTOCOL, "Y", upper(text_of(MEDICATION_GIVEN))),
            "EXDOSE": dose(quantity("dosage.dose")),
            "EXDOSU": recode(_DOSE_UNIT, "UNIT", keep=True),
            "EXROUTE": recode(concept("dosage.route"), "ROUTE", keep=True),
            "EXSTDTC": iso8601(MEDICATION_START),
            "EXENDTC": iso8601(
                first_of(
                    path("effectivePeriod.end"),
                    path("effectiveDateTime"),
                    path("occurencePeriod.end"),
                    path("occurenceDateTime"),
                )
            ),
        },
    ),
    _radiotherapy(
        RT_SITE,
        {
            "EXDOSE": dose(quantity("extension('totalDoseDelivered').valueQuantity", "Gy")),
            "EXDOSU": when(var("EXDOSE"), (), const("Gy")).as_(Origin.ASSIGNED),
        },
    ),
    _radiotherapy(RT_COURSE, {}),
)
