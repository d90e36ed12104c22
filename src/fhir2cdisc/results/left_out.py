"""Who and what an endpoint leaves out, counted by reason."""

from __future__ import annotations

import pandas as pd

from fhir2cdisc.results.analysis import SETS, Analysis
from fhir2cdisc.results.endpoint_table import Endpoint, Scope, counted


def count_left_out(analysis: Analysis) -> list[Endpoint]:
    """A row for every reason, also where it applies to nobody; those with a count are issues."""
    return [
        *_subjects(analysis),
        *_lesions(analysis),
        *_events(analysis),
    ]


def _subjects(analysis: Analysis) -> list[Endpoint]:
    adsl, flag = analysis.adam["ADSL"], analysis.population
    every = pd.Series(data=True, index=adsl.index)
    enrolled, within, dead = (adsl[name].eq("Y") for name in ("ENRLFL", flag, "DTHFL"))
    assessed = analysis.records("ADRS", flag, PARAMCD="OVR")
    seen = adsl["USUBJID"].isin([] if assessed is None else assessed["USUBJID"])
    in_all, in_itt, in_set = "All subjects", SETS["ITTFL"], SETS[flag]
    reasons = (
        ("N-NOT-ENROLLED", "Subjects not enrolled",
         every & ~enrolled, every, in_all, "ENRLFL = N"),
        ("N-NOT-TREATED", "Enrolled subjects without study treatment",
         enrolled & adsl["SAFFL"].ne("Y"), enrolled, in_itt, "ENRLFL = Y, SAFFL = N"),
        ("N-NO-START", "Enrolled subjects without any date to start the clock: in no survival",
         enrolled & adsl["STARTDT0"].isna(), enrolled, in_itt, "ENRLFL = Y, STARTDT0 missing"),
        ("N-NO-TARGET", "Subjects without target lesion: response of other lesions or as read only",
         within & adsl["NTRGB"].eq(0), within, in_set, f"{flag} = Y, NTRGB = 0"),
        ("N-NO-BASELINE", "Subjects without adequate baseline: PFS censored at the start",
         within & adsl["BLADEQFL"].ne("Y"), within, in_set, f"{flag} = Y, BLADEQFL = N"),
        ("N-NO-ASSESSMENT", "Subjects without post-baseline assessment: not responding",
         within & ~seen, within, in_set, f"{flag} = Y, no ADRS record with PARAMCD = OVR"),
        ("N-NO-NONIRRAD", "Subjects with no target lesion known as not irradiated: outside NRCR",
         within & adsl["NTRGNI"].eq(0), within, in_set, f"{flag} = Y, NTRGNI = 0"),
        ("N-DEATH-NO-DATE", "Deaths without a usable date: survival censored",
         dead & adsl["DTHDT"].isna(), dead, in_all, "DTHFL = Y, DTHDT missing"),
    )  # fmt: skip
    rows = []
    for id_, label, which, base, analysis_set, where in reasons:
        number = int(which.sum())
        rows.append(
            counted(
                id_,
                label,
                Scope(analysis_set, "ADSL", where),
                (number, int(base.sum())),
                unit="subjects",
                method=f"{label}.",
            )
        )
        if number:
            names = adsl.loc[which, "USUBJID"].head(200).tolist()
            analysis.issues.add("AD0009", label, names, number)
    return rows


def _lesions(analysis: Analysis) -> list[Endpoint]:
    adsl, flag = analysis.adam["ADSL"], analysis.population
    within = adsl[adsl[flag].eq("Y")]
    total, ni, ir, low = (
        int(within[name].sum()) for name in ("NTRGB", "NTRGNI", "NTRGIR", "NTRGLD")
    )
    rows = [
        counted(
            "N-LESION-UNDETERMINED",
            "Target lesions known neither as irradiated nor as not irradiated",
            Scope(SETS[flag], "ADSL", f"{flag} = Y; NTRGB - NTRGNI - NTRGIR - NTRGLD"),
            (total - ni - ir - low, total),
            unit="lesions",
            method="They are outside NRCR.",
        ),
        counted(
            "N-LESION-LOW-DOSE",
            "Target lesions that received a low dose only",
            Scope(SETS[flag], "ADSL", f"{flag} = Y; NTRGLD"),
            (low, total),
            unit="lesions",
            method="They are a lesion group of their own, outside NRCR.",
        ),
    ]
    where = {"PARAMCD": "LSCTRL", "LESGRP": "NONIRRAD", "LESTYP": "TARGET"}
    found = analysis.records("ADLES", flag, **where)
    if found is not None:
        rows.append(
            counted(
                "N-LESION-NE",
                "Non-irradiated target lesions that cannot be evaluated",
                analysis.scope("ADLES", flag, **where, EVALFL="missing or N"),
                (int(found["EVALFL"].ne("Y").sum()), len(found)),
                unit="lesions",
                method="They count as not controlled in NRCR over all lesions.",
            )
        )
    return rows


def _events(analysis: Analysis) -> list[Endpoint]:
    found = analysis.records("ADAE", "SAFFL")
    if found is None:
        return []
    emergent, severe = found["TRTEMFL"].eq("Y"), found["AE3FL"].eq("Y")
    every = pd.Series(data=True, index=found.index)
    no_relation = found["AEREL"].isna() & found["AERELRT"].isna()
    reasons = (
        ("N-AE-NO-GRADE", "Treatment-emergent adverse events without grade: not grade 3 or more",
         emergent & found["ATOXGR"].isna(), emergent, "TRTEMFL = Y, ATOXGR missing"),
        ("N-AE-NO-START", "Adverse events without usable start date: not treatment-emergent",
         every & found["ASTDT"].isna(), every, "ASTDT missing"),
        ("N-AE-NO-RELATION", "Adverse events of grade 3 or more without relation: not related",
         severe & no_relation, severe, "AE3FL = Y, AEREL and AERELRT missing"),
    )  # fmt: skip
    return [
        counted(
            id_,
            label,
            Scope(SETS["SAFFL"], "ADAE", f"SAFFL = Y; {where}"),
            (int(which.sum()), int(base.sum())),
            unit="events",
            method=f"{label}; they belong to {found.loc[which, 'USUBJID'].nunique()} subject(s).",
        )
        for id_, label, which, base, where in reasons
    ]
