"""PFS: progression-free survival, with the censoring rules of the FDA.

From the study clock start to the first documented progression or death from any cause, whichever
comes first. Progression is read from images: clinical progression alone is no event. Subjects
without event are censored at the last adequate tumour assessment; progression or death is not
counted after new anticancer therapy, after two or more missed assessments, or without an adequate
baseline.
"""

from __future__ import annotations

from fhir2cdisc.adam.parameters.os import DEATH
from fhir2cdisc.adam.tte import Censoring, Event, Gap, In, Requirement, TimeToEvent, Until

ADEQUATE = ("CR", "PR", "SD", "PD", "NON-CR/NON-PD", "NED")
"""Overall responses of an adequate assessment: everything but NE and not done."""

PROGRESSION = Event(
    description="Disease Progression",
    records=In("ADRS", PARAMCD="PD", AVALC="Y"),
    date="ADT",
    by_assessment=True,
)

LAST_ASSESSMENT = Censoring(
    description="Last adequate tumour assessment",
    records=In("ADRS", PARAMCD="OVR", AVALC=ADEQUATE),
    date="ADT",
    dated="Last adequate tumour assessment",
    cnsr=1,
)

NO_ASSESSMENT = Censoring(
    description="No post-baseline assessment",
    records=In("ADSL"),
    date="STARTDT0",
    dated="Start of the study clock",
    cnsr=4,
)

PFS = TimeToEvent(
    paramcd="PFS",
    param="Progression-Free Survival (days)",
    start="STARTDT0",
    requires=(Requirement(description="Baseline not adequate", flag="BLADEQFL", cnsr=6),),
    events=(PROGRESSION, DEATH),
    until=(Until(date="NACTDT", description="New anticancer therapy", cnsr=2),),
    gap=Gap(description="Event after two or more missed assessments", cnsr=3),
    censorings=(LAST_ASSESSMENT,),
    nothing=NO_ASSESSMENT,
    cites=("FDA, Clinical Trial Endpoints for Cancer Drugs (2007), Appendix 3, Table A",),
)
