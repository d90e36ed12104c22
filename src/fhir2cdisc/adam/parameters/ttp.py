"""TTP: time to progression.

As PFS, but death without progression is no event: it is a competing one, censored on its date
under a code of its own, so that both analyses can be made, the one that takes it as a censoring
and the one that takes it as a competing risk.
"""

from __future__ import annotations

from dataclasses import replace

from fhir2cdisc.adam.parameters.os import DEATH
from fhir2cdisc.adam.parameters.pfs import PFS, PROGRESSION

TTP = replace(
    PFS,
    paramcd="TTP",
    param="Time to Progression (days)",
    events=(
        PROGRESSION,
        replace(DEATH, description="Death without progression", cnsr=7, dated="Date of death"),
    ),
    cites=("FDA, Clinical Trial Endpoints for the Approval of Cancer Drugs (2018), II.B",),
)
