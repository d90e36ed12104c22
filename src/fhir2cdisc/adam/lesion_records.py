"""The records of ADLES: a target lesion at each assessment, and as a whole."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, response, verbs
from fhir2cdisc.adam.evaluation import Evaluation, LesionResponses
from fhir2cdisc.adam.lesion import MICRONS
from fhir2cdisc.adam.response import NE, PD
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.study import Study

# In the order of PARAMCD, which is the order of the records.
PARAMETERS = {
    "LSBRSP": "Best Lesion Response",
    "LSCTRL": "Lesion Controlled",
    "LSCTRLB": "Lesion Controlled, Best Response",
    "LSCTRLL": "Lesion Controlled, Last Response",
    "LSCTRLM": "Lesion Controlled, Landmark",
    "LSCTRLS": "Lesion Controlled, Sustained",
    "LSDIAM": "Lesion Diameter (mm)",
    "LSPCHGB": "Best Percent Change of Lesion Diameter (%)",
    "LSRSP": "Lesion Response",
    "LSVOL": "Lesion Volume (mm3)",
    "LTTP": "Time to Lesion Progression (Days)",
}
CODES = tuple(PARAMETERS)
NUMBER = {code: number for number, code in enumerate(CODES)}

# PARAMCD -> the rule of control; LSCTRL has the one in force.
CONTROL = {"LSCTRLB": "best", "LSCTRLL": "last", "LSCTRLM": "landmark", "LSCTRLS": "sustained"}

# CNSR of LTTP; 0 to 4 mean what they do in ADTTE.
EVENT, FOLLOW_UP, NEW_THERAPY, NOTHING, DEATH = 0, 1, 2, 4, 7
_DESCRIPTIONS = {
    EVENT: "Progression of the lesion",
    FOLLOW_UP: "Last evaluable assessment of the lesion",
    NEW_THERAPY: "New anticancer therapy",
    NOTHING: "No evaluable assessment of the lesion after the start",
    DEATH: "Death without progression of the lesion (competing risk)",
}


def at_visits(
    found: Evaluation, single: LesionResponses, study: Study, code: str, chosen: Bools
) -> pd.DataFrame:
    """The records of a parameter at each assessment."""
    rows = np.flatnonzero(chosen)
    table = single.visits.iloc[rows].reset_index(drop=True)
    out = _frame(found, single, study, code, rows)
    post, baseline = table["post"].to_numpy(dtype=bool), table["baseline"].to_numpy(dtype=bool)
    if code == "LSRSP":
        out["AVALC"] = response.names(table["response"].to_numpy())
        out["AVAL"] = table["response"].astype("float64")
    elif code == "LSVOL":
        base = _base_volume(single)[rows]
        out["AVAL"], out["BASE"] = table["volume"], base
        out["CHG"] = (table["volume"] - base).where(post)
        out["PCHG"] = (100 * out["CHG"] / base).where(base > 0)
        out["ABLFL"] = verbs.flags(baseline)
        out["kind"] = table["kind"]
    else:
        out["AVAL"], out["BASE"] = table["sum"] / MICRONS, table["base"] / MICRONS
        out["NADIR"] = (table["nadir"] / MICRONS).where(post)
        compared = post & table["complete"].to_numpy(dtype=bool)
        out["CHG"] = ((table["sum"] - table["base"]) / MICRONS).where(compared)
        out["PCHG"] = table["pchg"]
        out["ABLFL"] = verbs.flags(baseline)
        evaluated = table["pchg"].notna().to_numpy()
        out["CRIT1"] = verbs.texts([None, _criterion(study)], evaluated)
        met = np.where(evaluated, 1 + table["shrunk"].to_numpy(dtype=np.int64), 0)
        out["CRIT1FL"] = verbs.texts([None, "N", "Y"], met)
    known = found.found["LESGRP"].notna().to_numpy()[table["lesion"]]
    out["ANL01FL"] = verbs.flags(table["within"].to_numpy(dtype=bool) & known)
    return out


def _criterion(study: Study) -> str:
    return f"PCHG <= -{study.response.pr_pct:g}"


def _base_volume(single: LesionResponses) -> Floats:
    """For each row the volume on the baseline row of the lesion."""
    table = single.visits
    segment = table["segment"].to_numpy()
    count = int(segment.max()) + 1 if len(segment) else 0
    row = verbs.first_row(table["baseline"].to_numpy(dtype=bool), segment, count)
    return np.asarray(verbs.take(table["volume"].to_numpy(), row, np.nan)[segment])


def of_lesions(found: Evaluation, single: LesionResponses, study: Study, code: str) -> pd.DataFrame:
    """The records of a parameter that a lesion has once; LTTP has `time_to_progression`."""
    whole = single.lesions
    if code == "LSPCHGB":
        whole = whole[whole["change_row"] >= 0].reset_index(drop=True)
    rule = CONTROL.get(code, study.endpoints.nrcr_rule)
    source = {"LSBRSP": "best_row", "LSPCHGB": "change_row"}.get(
        code, f"{rule}_row" if rule in ("last", "landmark") else "best_row"
    )
    out = _frame(found, single, study, code, whole[source].to_numpy(dtype=np.int64))
    if code == "LSBRSP":
        best = whole["best"].to_numpy(dtype=np.int64)
        out["AVALC"], out["AVAL"] = response.names(best), best.astype(np.float64)
    elif code == "LSPCHGB":
        out["AVAL"] = whole["change"]
        out["CRIT1"] = _criterion(study)
        out["CRIT1FL"] = verbs.texts(["N", "Y"], whole["shrunk"].to_numpy(dtype=bool))
    else:
        controlled = evaluation.is_controlled(whole, rule)
        out["AVALC"] = verbs.texts(["N", "Y"], controlled)
        out["AVAL"] = controlled.astype(np.float64)
    return _of(found, out, whole["lesion"].to_numpy(dtype=np.int64))


def time_to_progression(found: Evaluation, single: LesionResponses, study: Study) -> pd.DataFrame:
    """LTTP: from the start to the first PD of the lesion, however late; death competes with it.

    Assessments count as for the response of the lesion: from the start, not after new anticancer
    therapy, which therefore also ends the wait for death.
    """
    table, lesion = single.visits, single.lesions["lesion"].to_numpy(dtype=np.int64)
    day, segment = table["day"].to_numpy(), table["segment"].to_numpy()
    code = table["response"].to_numpy(dtype=np.int64)
    seen = table["observed"].to_numpy(dtype=bool) & (code != NE) & ~np.isnan(day)
    count = int(segment.max()) + 1 if len(segment) else 0
    owner = table["lesion"].to_numpy()[verbs.segment_starts(segment)]
    progressed, last = np.full((2, len(found.found)), -1, dtype=np.int64)
    progressed[owner] = verbs.first_row(seen & (code == PD), segment, count)
    last[owner] = verbs.last_row(seen, segment, count)
    progressed, last = progressed[lesion], last[lesion]
    subject = _subjects(found)[lesion]
    start, therapy, death = (
        verbs.take(days, subject, np.nan)
        for days in (found.timing.start, found.timing.new_therapy, found.timing.death)
    )
    died = ~np.isnan(death) & ~(therapy < death)
    why = np.select(
        [progressed >= 0, died, ~np.isnan(therapy), last >= 0],
        [EVENT, DEATH, NEW_THERAPY, FOLLOW_UP],
        NOTHING,
    )
    row = np.where(why == EVENT, progressed, np.where(why == DEATH, -1, last))
    at = np.where(why == DEATH, np.maximum(death, start), verbs.take(day, row, np.nan))
    at = np.where(np.isnan(at), start, at)
    out = _frame(found, single, study, "LTTP", row)
    out["ADT"] = verbs.day_dates(at)
    out["AVAL"] = at - start + 1
    out["CNSR"] = why.astype(np.float64)
    out["EVNTDESC"] = pd.Series(why).map(_DESCRIPTIONS).astype("str")
    out = _of(found, out, lesion)
    return out[out["AVAL"].notna()].reset_index(drop=True)


def _of(found: Evaluation, records: pd.DataFrame, lesion: Ints) -> pd.DataFrame:
    """Records that lesions have once: also where no assessment supplies the value."""
    known = found.found["LESGRP"].notna().to_numpy()[lesion]
    return records.assign(
        lesion=lesion, subject=_subjects(found)[lesion], ANL01FL=verbs.flags(known)
    )


def _subjects(found: Evaluation) -> Ints:
    """For each lesion its subject's row in ADSL."""
    return np.asarray(found.timing.subjects.get_indexer(pd.Index(found.found["USUBJID"])))


def _frame(
    found: Evaluation, single: LesionResponses, study: Study, code: str, rows: Ints
) -> pd.DataFrame:
    """Time and identity of records at rows of the lesion visits (-1: no assessment)."""
    table, visits = single.visits, found.assessed.visits
    visit = verbs.take(table["visit"].to_numpy(), rows, -1)
    day = verbs.take(table["day"].to_numpy(), rows, np.nan)
    subject = verbs.take(table["subject"].to_numpy(dtype=np.int64), rows, -1)
    week = verbs.analysis_weeks(
        day,
        verbs.take(found.timing.start, subject, np.nan),
        verbs.take(table["post"].to_numpy(dtype=bool), rows, missing=False),
        verbs.take(table["baseline"].to_numpy(dtype=bool), rows, missing=False),
        study.endpoints.visit_interval_days,
    )
    there = pd.DataFrame(
        {
            "subject": subject,
            "lesion": verbs.take(table["lesion"].to_numpy(), rows, -1),
            "code": NUMBER[code],
            "visit": visit,
            "row": rows,
            "kind": -1,
            "ADT": verbs.day_dates(day),
            "AVISITN": np.where(rows >= 0, week, np.nan),
            "VISITNUM": verbs.take(visits["VISITNUM"].to_numpy(), visit, np.nan),
            "VISIT": visits["VISIT"].reindex(visit).reset_index(drop=True),
            "TRLNKGRP": visits["TRLNKGRP"].reindex(visit).reset_index(drop=True),
        }
    )
    for name in ("AVAL", "BASE", "CHG", "PCHG", "NADIR", "CNSR"):
        there[name] = np.nan
    for name in ("AVALC", "ABLFL", "CRIT1", "CRIT1FL", "EVNTDESC"):
        there[name] = pd.Series(np.nan, index=there.index, dtype="str")
    return there
