"""PFS: progression-free survival, and its variants.

From the study clock start to the first documented progression or death from any cause, whichever
comes first. Progression is read from images.

* PFS follows the FDA: subjects without event are censored at the last adequate tumour assessment;
  progression or death is not counted after new anticancer therapy, after two or more missed
  assessments, or without an adequate baseline (Table A of the guidance).
* PFSVIS is its sensitivity analysis: progression between planned visits is dated on the later one
  (Table B).
* PFSEMA follows the EMA: an event counts whenever it is observed.
* PFS6M is cut off on CUT6DT: what is dated later is as if it were not there.
* PFSNI and PFSIR look at the non-irradiated and the irradiated target lesions alone.

With ``pfs_rule = "EMA"`` the parameters that are not about a rule follow the EMA (`ema_type`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from fhir2cdisc.adam.parameters.os import CLOCK, DEATH
from fhir2cdisc.adam.tte import (
    Censoring,
    Event,
    Gap,
    In,
    NextVisit,
    Nothing,
    Requirement,
    TimeToEvent,
    Until,
)

ADEQUATE = ("CR", "PR", "SD", "PD", "NON-CR/NON-PD", "NED")
"""Overall responses of an adequate assessment: everything but NE and not done."""

PROGRESSION = Event(
    description="Disease Progression",
    records=In("ADRS", PARAMCD="PD", AVALC="Y"),
    date="ADT",
    by_assessment=True,
)

CLINICAL_PROGRESSION = Event(
    description="Clinical Progression",
    records=In("RS", RSTESTCD="SYMPTDTR", RSSTRESC="PD"),
    date="RSDTC",
)

LAST_ASSESSMENT = Censoring(
    description="Last adequate tumour assessment",
    records=In("ADRS", PARAMCD="OVR", AVALC=ADEQUATE),
    date="ADT",
    dated="Last adequate tumour assessment",
    cnsr=1,
)

BASELINE = Requirement(
    description="Baseline not adequate", records=In("ADSL", BLADEQFL="Y"), cnsr=6
)

NEW_THERAPY = Until(date="NACTDT", description="New anticancer therapy", cnsr=2)

FDA = "FDA, Clinical Trial Endpoints for Cancer Drugs (2007), Appendix 3"
EMA = "EMA/CHMP/27994/2008 Rev. 1, Methodological consideration for using PFS or DFS"

PFS = TimeToEvent(
    paramcd="PFS",
    param="Progression-Free Survival (days)",
    start=CLOCK,
    requires=(BASELINE,),
    events=(PROGRESSION, DEATH),
    until=(NEW_THERAPY,),
    gap=Gap(description="Event after two or more missed assessments", cnsr=3),
    censorings=(LAST_ASSESSMENT,),
    nothing=Nothing(description="No post-baseline assessment", cnsr=4),
    cites=(f"{FDA}, Table A",),
)


def ema_type(parameter: TimeToEvent) -> TimeToEvent:
    """The same without the rules by which the FDA does not count an event that was observed."""
    return replace(
        parameter,
        requires=tuple(r for r in parameter.requires if r != BASELINE),
        until=tuple(u for u in parameter.until if u != NEW_THERAPY),
        gap=None,
    )


def with_clinical_progression(parameter: TimeToEvent) -> TimeToEvent:
    """The same with symptomatic deterioration as an event beside progression of all disease."""
    events = [(e, CLINICAL_PROGRESSION) if e == PROGRESSION else (e,) for e in parameter.events]
    return replace(parameter, events=tuple(chain.from_iterable(events)))


PFSEMA = replace(
    ema_type(PFS),
    paramcd="PFSEMA",
    param="Progression-Free Survival, EMA Rules (days)",
    cites=(EMA,),
)

PFSVIS = replace(
    PFS,
    paramcd="PFSVIS",
    param="Progression-Free Survival, FDA Rules, Progression Dated at Planned Visits (days)",
    events=(replace(PROGRESSION, moved=NextVisit(limit="DTHDT")), DEATH),
    cites=(f"{FDA}, Table B",),
)

PFS6M = replace(
    PFS,
    paramcd="PFS6M",
    param="Progression-Free Survival up to CUT6DT (days)",
    until=(NEW_THERAPY, Until(date="CUT6DT", window=True)),
)


def _of_lesions(ending: str, group: str, lesions: str) -> TimeToEvent:
    """PFS with the progression and the assessments of a lesion group."""
    assessed = In("ADRS", PARAMCD=f"PD{ending}")
    progressed = In("ADRS", PARAMCD=f"PD{ending}", AVALC="Y")
    return replace(
        PFS,
        paramcd=f"PFS{ending}",
        param=f"Progression-Free Survival of {lesions.title()} (days)",
        requires=(
            Requirement(description=f"No {lesions[:-1]} known", records=assessed, cnsr=8),
            *PFS.requires,
        ),
        events=(
            replace(PROGRESSION, description=f"Progression of {lesions}", records=progressed),
            DEATH,
        ),
        censorings=(
            replace(LAST_ASSESSMENT, records=In("ADRS", PARAMCD=f"OVR{ending}", AVALC=ADEQUATE)),
        ),
        lesions=group,
    )


PFSNI = _of_lesions("NI", "NONIRRAD", "non-irradiated target lesions")
PFSIR = _of_lesions("IR", "IRRAD", "irradiated target lesions")
