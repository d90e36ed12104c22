"""The records of ADRS by iRECIST: derived from measurements, and as a reader gave them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import collected, irecist, response, verbs
from fhir2cdisc.adam.evaluation import Evaluation, Timing
from fhir2cdisc.adam.response_records import NUMBER, records
from fhir2cdisc.adam.verbs import Ints
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

_INDICATORS = ("NTLW", "NEWLW")
DESCRIPTION = (
    "IOVR: OVR until a PD, which is iUPD; at least confirm_min_days after it iCPD if the sum of "
    "targets is confirm_abs_mm or that of new lesions new_abs_mm above that at the iUPD, a "
    "non-target lesion, or a new one that is not measured, has increased (NTLWIND, NEWLWIND, else "
    "TUMSTATE), there is a further new lesion, or what had not progressed does; the response "
    "again if the criteria of progression are no longer met, and new lesions are gone or targets "
    "respond better; else iUPD. IBOR: best of IOVR up to the first iCPD, in the order of AVAL. "
    "IUPD: Y if there is an iUPD. ICPD: Y if there is an iCPD. IPD: Y if a progression ends in "
    "iCPD or meets no response or stable disease later"
)


def derive(
    found: Evaluation,
    reader: pd.DataFrame,
    ending: Mapping[str, str],
    study: Study,
    issues: Issues,
    *,
    measured: bool,
) -> list[pd.DataFrame]:
    """All records by iRECIST.

    `ending` is that of the PARAMCD of each reader. Without measurements the parameters without
    ending are those of the investigator, as they are by RECIST 1.1. Everyone has those, and those
    of a reader the subjects whom that reader assessed.
    """
    first = len(found.assessed.visits)
    everyone = np.arange(len(found.timing.subjects), dtype=np.int64)
    out: list[pd.DataFrame] = []
    if measured and study.irecist.enabled:
        table = irecist.evaluate(found, collected.worsening(reader, found), study, issues)
        text = irecist.names(table["assigned"].to_numpy(dtype=np.int64))
        out.append(_at_assessments(table, "IOVR", table["assigned"], text))
        out += _of_subjects(table, "", everyone, study)
    for who, end in ending.items():
        out += _as_collected(reader, who, found.timing, first, end)
        table = _reader_responses(reader, who, "IOVR", found.timing, first)
        if len(table):
            assessed = np.unique(table["subject"].to_numpy(dtype=np.int64))
            out += _of_subjects(table, end, assessed if end else everyone, study)
    return out


def _as_collected(
    reader: pd.DataFrame, who: str, timing: Timing, first: int, ending: str
) -> list[pd.DataFrame]:
    """The records of a reader as they were collected; only IOVR can be that of the trial."""
    out = []
    for test in collected.IRECIST_TESTS.values():
        table = _reader_responses(reader, who, test, timing, first)
        if len(table):
            part = reader.iloc[table["visit"].to_numpy() - first].reset_index(drop=True)
            code = test + (ending if test == "IOVR" else who)
            out.append(_at_assessments(table, code, part["aval"], part["text"]))
    return out


def _reader_responses(
    reader: pd.DataFrame, who: str, test: str, timing: Timing, first: int
) -> pd.DataFrame:
    """What a reader said, as responses; assessments are numbered from `first` by their row."""
    rows = np.flatnonzero((reader["reader"] == who) & (reader["test"] == test))
    table = pd.DataFrame(
        {
            "visit": first + rows,
            "subject": reader["subject"].to_numpy(dtype=np.int64)[rows],
            "assigned": reader["response"].to_numpy(dtype=np.int64)[rows],
            "day": reader["day"].to_numpy(dtype=np.float64)[rows],
        }
    )
    return irecist.with_candidates(table, np.full(len(rows), -np.inf), timing)


def _at_assessments(
    table: pd.DataFrame, code: str, aval: pd.Series, text: pd.Series
) -> pd.DataFrame:
    value = table["assigned"].to_numpy(dtype=np.int64)
    subject = table["subject"].to_numpy(dtype=np.int64)
    day = table["day"].to_numpy(dtype=np.float64)
    severity = irecist.AS_RECIST[value]
    if code.startswith(_INDICATORS):
        severity = np.where(aval == 1, response.PD, response.CR)
    worst = response.is_worst(severity, day, subject)
    return records(
        code,
        subject,
        day,
        aval.to_numpy(dtype=np.float64),
        text,
        once=False,
        visit=table["visit"].to_numpy(),
        severity=severity,
        within=table["within"].to_numpy(dtype=bool) & worst,
        up_to_pd=table["up_to_pd"].to_numpy(dtype=bool),
    )


def _of_subjects(
    table: pd.DataFrame, ending: str, subjects: Ints, study: Study
) -> list[pd.DataFrame]:
    """IBOR, IUPD, ICPD and IPD of the subjects."""
    table = table[table["subject"] >= 0].reset_index(drop=True)
    best = irecist.best_response(table, int(subjects.max(initial=-1)) + 1, study).of(subjects)
    is_confirmed = best.confirmed >= 0
    source = NUMBER[f"IOVR{ending}"]

    def once(name: str, row: Ints, value: Ints, text: pd.Series) -> pd.DataFrame:
        visit = verbs.take(table["visit"].to_numpy(dtype=np.int64), row, -1)
        day = verbs.take(table["day"].to_numpy(dtype=np.float64), row, np.nan)
        at = np.where(visit >= 0, source, -1)
        return records(name + ending, subjects, day, value, text, visit=visit, source=at)

    out = [once("IBOR", best.row, best.response, irecist.names(best.response))]
    for name, row in (
        ("IUPD", best.first),
        ("ICPD", np.where(is_confirmed, best.since, -1)),
        ("IPD", best.since),
    ):
        yes = (row >= 0).astype(np.int64)
        out.append(once(name, row, yes, verbs.texts(["N", "Y"], yes)))
    out[2]["late"] = np.where(is_confirmed, 1 + best.late, 0)
    return out


def add_criterion(frame: pd.DataFrame, study: Study) -> None:
    """CRIT1 and CRIT1FL: a confirmation that came late counts, flagged."""
    days = study.irecist.confirm_max_days
    late = verbs.number(frame, "late").fillna(0).to_numpy(dtype=np.int64)
    text = f"Confirmed more than {days} days after iUPD"
    frame["CRIT1"] = verbs.texts([None, text], (late > 0).astype(np.int64))
    frame["CRIT1FL"] = verbs.texts([None, "N", "Y"], late)
