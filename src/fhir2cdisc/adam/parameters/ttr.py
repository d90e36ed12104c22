"""TTR: time to response, of subjects with a confirmed response.

It describes the responders and censors nobody: whoever has no confirmed response has no record.
"""

from __future__ import annotations

from fhir2cdisc.adam.parameters.dor import CONFIRMED
from fhir2cdisc.adam.parameters.os import CLOCK
from fhir2cdisc.adam.tte import Event, TimeToEvent

TTR = TimeToEvent(
    paramcd="TTR",
    param="Time to Confirmed Response (days)",
    start=CLOCK,
    events=(Event(description="Response", records=CONFIRMED, date="ADT"),),
    cites=("RECIST 1.1, section 4.6.1",),
)
