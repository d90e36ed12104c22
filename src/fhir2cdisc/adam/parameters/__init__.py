"""The time-to-event parameters: declarations only, a file for each kind."""

from __future__ import annotations

from fhir2cdisc.adam.parameters.dor import DOR
from fhir2cdisc.adam.parameters.ipfs import IPFS
from fhir2cdisc.adam.parameters.os import OS, OS6M
from fhir2cdisc.adam.parameters.pfs import (
    PFS,
    PFS6M,
    PFSEMA,
    PFSIR,
    PFSNI,
    PFSVIS,
    ema_type,
    with_clinical_progression,
)
from fhir2cdisc.adam.parameters.ttp import TTP
from fhir2cdisc.adam.parameters.ttr import TTR
from fhir2cdisc.adam.tte import TimeToEvent
from fhir2cdisc.study import Study

PARAMETERS: tuple[TimeToEvent, ...] = (
    PFS, PFSEMA, PFSVIS, PFS6M, PFSNI, PFSIR, IPFS, TTP, DOR, TTR, OS, OS6M,
)  # fmt: skip
"""All of them, with the rules of the FDA where there is a choice."""

RULED = (PFS, PFS6M, PFSNI, PFSIR, IPFS, TTP, DOR)
"""Those whose rules the study chooses; the name of the others says theirs."""


def parameters_of(study: Study) -> tuple[TimeToEvent, ...]:
    """All of them, under the rules of the study."""
    settings = study.endpoints
    ruled = [ema_type(p) if p in RULED and settings.pfs_rule == "EMA" else p for p in PARAMETERS]
    if settings.clinical_progression:
        ruled = [with_clinical_progression(p) if p == ema_type(p) else p for p in ruled]
    return tuple(ruled)


def definitions(study: Study) -> dict[str, str]:
    """PARAMCD -> its rule as a paragraph, with the settings in force."""
    return {p.paramcd: p.describe(study).replace("\n", " ") for p in parameters_of(study)}
