"""SS — Subject Status: what is known of survival at each contact.

References:
    SDTMIG v3.4, section 6.3.11 SS, assumptions 1-5.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Origin
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.verbs import concept, const, iso8601, recode, var
from fhir2cdisc.mappings.sources import (
    VITAL_STATUS,
    observed,
    subject,
    time_point,
    visit_number,
)

SS = (
    DomainMapping(
        domain="SS",
        rows=VITAL_STATUS,
        subject=subject(VITAL_STATUS),
        keys=("USUBJID", "SSDTC", "SSTESTCD"),
        required=("SSORRES",),
        columns={
            "SSTESTCD": const("SURVSTAT"),
            "SSTEST": recode(var("SSTESTCD"), "SSTEST").as_(Origin.ASSIGNED),
            "SSORRES": recode(concept("valueCodeableConcept"), "SURVSTAT"),
            "SSSTRESC": var("SSORRES"),
            "VISIT": time_point(VITAL_STATUS),
            "VISITNUM": visit_number(var("VISIT")),
            "SSDTC": iso8601(observed(VITAL_STATUS)),
        },
    ),
)
