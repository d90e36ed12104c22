"""OS: overall survival, and OS6M, the same up to the cut.

From the study clock start to death from any cause. Subjects not known to be dead are censored on
the last date they are known to be alive. OS6M is cut off on CUT6DT: who was seen later, or died
later, was alive on that day and is censored on it.
"""

from __future__ import annotations

from dataclasses import replace

from fhir2cdisc.adam.tte import Censoring, Event, In, Nothing, Start, TimeToEvent, Until

CLOCK = Start(dated="Start of the study clock", records=In("ADSL"), date="STARTDT0")

DEATH = Event(description="Death", records=In("ADSL", DTHFL="Y"), date="DTHDT", flag="DTHDTF")

LAST_ALIVE = Censoring(
    description="Last known alive",
    records=In("ADSL"),
    date="LSTALVDT",
    dated="Last date known alive",
    cnsr=1,
)

OS = TimeToEvent(
    paramcd="OS",
    param="Overall Survival (days)",
    start=CLOCK,
    events=(DEATH,),
    censorings=(LAST_ALIVE,),
    nothing=Nothing(description="No contact after the start", cnsr=4),
    cites=("FDA, Clinical Trial Endpoints for the Approval of Cancer Drugs (2018), II.A",),
)

OS6M = replace(
    OS,
    paramcd="OS6M",
    param="Overall Survival up to CUT6DT (days)",
    until=(Until(date="CUT6DT", description="Alive at the cut", cnsr=5, dated="Date of the cut"),),
)
