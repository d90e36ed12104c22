"""DOR: duration of response, of subjects with a confirmed response.

From the first CR or PR of the confirmed response to progression or death, with the censoring
rules of PFS. Whoever has no confirmed response has no record.
"""

from __future__ import annotations

from dataclasses import replace

from fhir2cdisc.adam.parameters.pfs import PFS
from fhir2cdisc.adam.tte import In, Start

CONFIRMED = In("ADRS", PARAMCD="CRSP", AVALC="Y")

DOR = replace(
    PFS,
    paramcd="DOR",
    param="Duration of Confirmed Response (days)",
    start=Start(dated="First CR or PR that was confirmed", records=CONFIRMED, date="ADT"),
    cites=("RECIST 1.1, section 4.7.1",),
)
