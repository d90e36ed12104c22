"""IPFS: progression-free survival by iRECIST.

Progression is the one that iRECIST counts: the first iUPD of the block that is confirmed, or that
is never resolved. Censoring is that of PFS, with the assessments by iRECIST. A study without
iRECIST responses has no IPFS.
"""

from __future__ import annotations

from dataclasses import replace

from fhir2cdisc.adam.parameters.os import DEATH
from fhir2cdisc.adam.parameters.pfs import LAST_ASSESSMENT, PFS, PROGRESSION
from fhir2cdisc.adam.tte import In

ADEQUATE = ("iCR", "iPR", "iSD", "iUPD", "iCPD", "NON-iCR/NON-iUPD", "NED")
"""Overall responses by iRECIST of an adequate assessment: everything but NE and not done."""

IPFS = replace(
    PFS,
    paramcd="IPFS",
    param="Progression-Free Survival by iRECIST (days)",
    events=(
        replace(
            PROGRESSION,
            description="Disease Progression by iRECIST",
            records=In("ADRS", PARAMCD="IPD", AVALC="Y"),
        ),
        DEATH,
    ),
    censorings=(replace(LAST_ASSESSMENT, records=In("ADRS", PARAMCD="IOVR", AVALC=ADEQUATE)),),
    among=In("ADRS", PARAMCD=("IOVR", "IPD")),
    cites=("Seymour L et al. Lancet Oncol 2017;18:e143",),
)
