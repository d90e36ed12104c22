"""OS: overall survival.

From the study clock start to death from any cause. Subjects not known to be dead are censored on
the last date they are known to be alive.
"""

from __future__ import annotations

from fhir2cdisc.adam.tte import Censoring, Event, In, TimeToEvent

DEATH = Event(description="Death", records=In("ADSL", DTHFL="Y"), date="DTHDT", flag="DTHDTF")

LAST_ALIVE = Censoring(
    description="Last known alive",
    records=In("ADSL"),
    date="LSTALVDT",
    dated="Last date known alive",
    cnsr=1,
)

NO_CONTACT = Censoring(
    description="No contact after the start",
    records=In("ADSL"),
    date="STARTDT0",
    dated="Start of the study clock",
    cnsr=4,
)

OS = TimeToEvent(
    paramcd="OS",
    param="Overall Survival (days)",
    start="STARTDT0",
    events=(DEATH,),
    censorings=(LAST_ALIVE,),
    nothing=NO_CONTACT,
    cites=("FDA, Clinical Trial Endpoints for the Approval of Cancer Drugs (2018), II.A",),
)
