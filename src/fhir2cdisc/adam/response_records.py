"""The records of ADRS: what is said at each assessment, and once for each subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, response, verbs
from fhir2cdisc.adam.evaluation import ALL, IRRAD, NONIRRAD, VOLUME, Evaluation, Timing
from fhir2cdisc.adam.response import CR, NE, NON_CR_NON_PD, PD, PR, SD
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.study import Study


@dataclass(frozen=True, slots=True)
class Parameter:
    """PARAM and what goes with it; `reader` is INV or IRC for what a reader said."""

    param: str
    group: str = "ALL"
    category: str = "Tumor Response"
    volume: bool = False
    reader: str = ""


_NI = "of Non-Irradiated Target Lesions"
_IR = "of Irradiated Target Lesions"
_DERIVED = {
    "OVR": Parameter("Overall Response"),
    "OVRNI": Parameter(f"Response {_NI}", "NONIRRAD"),
    "OVRIR": Parameter(f"Response {_IR}", "IRRAD"),
    "OVRV": Parameter("Overall Response by Volume", volume=True),
    "TRG": Parameter("Target Response"),
    "NTRG": Parameter("Non-Target Response"),
    "NEWL": Parameter("New Lesion"),
    "PD": Parameter("Disease Progression"),
    "PDNI": Parameter(f"Progression {_NI}", "NONIRRAD"),
    "PDIR": Parameter(f"Progression {_IR}", "IRRAD"),
    "RSP": Parameter("Response"),
    "CRSP": Parameter("Confirmed Response"),
    "CRSPV": Parameter("Confirmed Response by Volume", volume=True),
    "CB": Parameter("Disease Control"),
    "CCB": Parameter("Disease Control, Confirmed Best Overall Response"),
    "BOR": Parameter("Best Overall Response"),
    "CBOR": Parameter("Best Overall Response, Confirmed"),
    "CBORV": Parameter("Best Overall Response by Volume, Confirmed", volume=True),
    "BORNI": Parameter(f"Best Response {_NI}", "NONIRRAD"),
    "CBORNI": Parameter(f"Best Response {_NI}, Confirmed", "NONIRRAD"),
    "BORIR": Parameter(f"Best Response {_IR}", "IRRAD"),
    "CBORIR": Parameter(f"Best Response {_IR}, Confirmed", "IRRAD"),
    "BCP": Parameter("Best Overall Response of CR or PR"),
    "CBCP": Parameter("Best Overall Response of CR or PR, Confirmed"),
    "ARR": Parameter(f"Abscopal Response: Best Response {_NI} of CR or PR", "NONIRRAD"),
    "ACR": Parameter(f"Abscopal Control: Best Response {_NI} of CR, PR or SD", "NONIRRAD"),
    "ABSANY": Parameter("Any Non-Irradiated Target Lesion Decreased", "NONIRRAD"),
    "NRCPT": Parameter("All Non-Irradiated Target Lesions Controlled", "NONIRRAD"),
    "LSTA": Parameter("Last Adequate Assessment", category="Reference Event"),
    "MDIS": Parameter("Measurable Disease at Baseline", category="Reference Event"),
    "DEATH": Parameter("Death", category="Reference Event"),
    "NACT": Parameter("New Anticancer Therapy", category="Reference Event"),
}
COLLECTED = {
    "OVR": "Overall Response",
    "TRG": "Target Response",
    "NTRG": "Non-Target Response",
    "NEWL": "New Lesion",
    "BEST": "Best Overall Response as Collected",
}
_OF_COLLECTED = {
    "PD": "Disease Progression",
    "RSP": "Response",
    "CRSP": "Confirmed Response",
    "CCB": "Disease Control, Confirmed Best Overall Response",
    "BOR": "Best Overall Response",
    "CBOR": "Best Overall Response, Confirmed",
}
_BY = {"INV": "by Investigator", "IRC": "by Independent Assessor"}
# In the order of PARAMCD, which is the order of the records.
PARAMETERS = dict(
    sorted(
        {
            **_DERIVED,
            **{
                code + reader: Parameter(f"{param} {by}", reader=reader)
                for reader, by in _BY.items()
                for code, param in {**COLLECTED, **_OF_COLLECTED}.items()
            },
        }.items()
    )
)
CODES = tuple(PARAMETERS)
NUMBER = {code: number for number, code in enumerate(CODES)}


@dataclass(frozen=True, slots=True)
class Source:
    """Responses at assessments, and what is made of them.

    `table` is as in `Evaluation.responses`; `at_visits` is the PARAMCD of its records; `once`
    names the PARAMCD of each kind of best response; `subjects` are the ADSL rows that get one.
    """

    table: pd.DataFrame
    at_visits: str
    once: Mapping[str, str]
    subjects: Ints


def records(
    code: str, subject: Ints, day: Floats, aval: Floats | Ints, text: pd.Series, **more: Any
) -> pd.DataFrame:
    """Records of one parameter, one per subject unless `more` says otherwise.

    ``visit`` and ``source`` (PARAMCD number) say which record of ADRS supplies the value (-1:
    none); of records at assessments ``visit`` is their own.
    """
    columns = {
        "code": NUMBER[code],
        "subject": subject,
        "ADT": verbs.day_dates(np.asarray(day, dtype=np.float64)),
        "AVAL": np.asarray(aval, dtype=np.float64),
        "AVALC": text.reset_index(drop=True),
        "once": True,
        "visit": -1,
        "source": -1,
        "within": True,
        "up_to_pd": True,
        **more,
    }
    return pd.DataFrame(columns, index=range(len(subject)))


# -- at assessments ---------------------------------------------------------------------------


def at_visits(found: Evaluation) -> list[pd.DataFrame]:
    """The derived responses at each post-baseline assessment."""
    overall = found.responses[ALL]
    new = overall["new"].to_numpy(dtype=np.int64)
    return [
        _of_table(overall, "OVR", "assigned"),
        _of_table(found.responses[NONIRRAD], "OVRNI", "assigned"),
        _of_table(found.responses[IRRAD], "OVRIR", "assigned"),
        _of_table(found.responses[VOLUME], "OVRV", "assigned"),
        _of_table(overall[overall["target"] != response.NA], "TRG", "target"),
        _of_table(overall[overall["nontarget"] != response.NA], "NTRG", "nontarget"),
        _of_table(overall, "NEWL", "assigned").assign(
            AVAL=new.astype(np.float64), AVALC=verbs.texts(response.NEW_LESION, new)
        ),
    ]


def _of_table(table: pd.DataFrame, code: str, column: str) -> pd.DataFrame:
    value = table[column].to_numpy(dtype=np.int64)
    subject = table["subject"].to_numpy(dtype=np.int64)
    day = table["assigned_day"].to_numpy(dtype=np.float64)
    worst = response.is_worst_of_date(value, day, subject)
    return records(
        code,
        subject,
        day,
        value,
        response.names(value),
        once=False,
        visit=table["visit"].to_numpy(),
        within=table["within"].to_numpy(dtype=bool) & worst,
        up_to_pd=table["up_to_pd"].to_numpy(dtype=bool),
    )


def reader_responses(reader: pd.DataFrame, who: str, timing: Timing, first: int) -> pd.DataFrame:
    """The overall responses of a reader (`collected.read_responses`) as a table of responses.

    The assessments are numbered from `first` by their row in `reader`. Of several on one date
    only the worst is a candidate.
    """
    rows = np.flatnonzero((reader["reader"] == who) & (reader["test"] == "OVR"))
    subject = reader["subject"].to_numpy(dtype=np.int64)[rows]
    value = reader["response"].to_numpy(dtype=np.int64)[rows]
    day = reader["day"].to_numpy(dtype=np.float64)[rows]
    said = pd.DataFrame({"subject": subject, "response": value})
    stable = said["subject"][said["response"] == NON_CR_NON_PD]
    measurable = said["subject"][said["response"].isin([PR, SD])]
    table = pd.DataFrame(
        {
            "visit": first + rows,
            "subject": subject,
            "assigned": value,
            "assigned_day": day,
            "response": value,
            "day": day,
            # A reader does not say whether there are targets; the terms used tell.
            "no_target": said["subject"].isin(stable) & ~said["subject"].isin(measurable),
        }
    )
    table = evaluation.with_candidates(table, np.full(len(rows), -np.inf), timing)
    worst = response.is_worst_of_date(value, day, subject)
    return table.assign(within=table["within"] & worst, candidate=table["candidate"] & worst)


def as_collected(
    reader: pd.DataFrame, who: str, ending: str, timing: Timing, first: int
) -> list[pd.DataFrame]:
    """The responses of a reader as they were collected."""
    out = []
    for test in COLLECTED:
        rows = np.flatnonzero((reader["reader"] == who) & (reader["test"] == test))
        if not len(rows):
            continue
        part = reader.iloc[rows].reset_index(drop=True)
        progressed = part["response"].where(part["test"] != "NEWL", NE)
        table = evaluation.with_candidates(
            part.assign(response=progressed), np.full(len(part), -np.inf), timing
        )
        subject, day = part["subject"].to_numpy(np.int64), part["day"].to_numpy(np.float64)
        worst = response.is_worst_of_date(part["response"].to_numpy(np.int64), day, subject)
        code = test + ending
        if code not in NUMBER:  # a best response as collected is never that of the trial
            code = test + who
        out.append(
            records(
                code,
                subject,
                day,
                part["aval"].to_numpy(dtype=np.float64),
                part["text"],
                once=False,
                visit=first + rows,
                within=table["within"].to_numpy(dtype=bool) & worst,
                up_to_pd=table["up_to_pd"].to_numpy(dtype=bool),
            )
        )
    return out


# -- once for a subject -----------------------------------------------------------------------


def of_subjects(source: Source, subjects: int, study: Study) -> list[pd.DataFrame]:
    """The best responses, and whether and when there was progression, response or control."""
    table = source.table[source.table["subject"] >= 0].reset_index(drop=True)
    plain, confirmed = (
        response.best_response(table, subjects, study.response, confirmed=c) for c in (False, True)
    )
    progressed = (table["response"] == PD).to_numpy(dtype=bool)
    owner = table["subject"].to_numpy(dtype=np.int64)
    pd_row = verbs.first_row(progressed, owner, subjects)
    kinds: dict[str, tuple[Bools, Ints]] = {"PD": (pd_row >= 0, pd_row)}
    for mark, best in (("", plain), ("C", confirmed)):
        responded = np.isin(best.response, (CR, PR))
        kinds[f"{mark}RSP"] = (best.first >= 0, best.first)
        kinds[f"{mark}BCP"] = (responded, best.row)
        controlled = np.isin(best.response, (CR, PR, SD, NON_CR_NON_PD))
        kinds[f"{mark}CB"] = (controlled, best.row)
        kinds[f"{mark}CONTROL"] = (np.isin(best.response, (CR, PR, SD)), best.row)
    out = []
    for kind, code in source.once.items():
        if kind in ("BOR", "CBOR"):
            best = plain if kind == "BOR" else confirmed
            out.append(_once(code, source, table, best.row, best.response))
        else:
            yes, row = kinds[kind]
            out.append(_once(code, source, table, np.where(yes, row, -1), yes, words=["N", "Y"]))
    return out


def _once(
    code: str,
    source: Source,
    table: pd.DataFrame,
    row: Ints,
    value: Ints | Bools,
    *,
    words: list[str | None] | None = None,
) -> pd.DataFrame:
    """One record for each subject of the source, with the assessment that supplies the value."""
    who = source.subjects
    row, value = row[who], value[who].astype(np.int64)
    visit = verbs.take(table["visit"].to_numpy(dtype=np.int64), row, -1)
    return records(
        code,
        who,
        verbs.take(table["day"].to_numpy(dtype=np.float64), row, np.nan),
        value,
        response.names(value) if words is None else verbs.texts(words, value),
        visit=visit,
        source=np.where(visit >= 0, NUMBER[source.at_visits], -1),
    )


def of_lesions(adles: pd.DataFrame | None, timing: Timing) -> list[pd.DataFrame]:
    """ABSANY and NRCPT of subjects with non-irradiated targets, from ADLES."""
    if adles is None:
        return []
    wanted = adles["PARAMCD"].isin(["LSCTRL", "LSPCHGB"]) & (adles["LESGRP"] == "NONIRRAD")
    mine = adles.loc[wanted, ["USUBJID", "PARAMCD", "AVALC", "CRIT1FL"]]
    subject = timing.subjects.get_indexer(pd.Index(mine["USUBJID"].astype("str")))
    count = len(timing.subjects)
    has = np.bincount(subject[mine["PARAMCD"] == "LSCTRL"], minlength=count)
    failed = mine["PARAMCD"].eq("LSCTRL") & mine["AVALC"].eq("N")
    shrunk = mine["PARAMCD"].eq("LSPCHGB") & mine["CRIT1FL"].eq("Y")
    who = np.flatnonzero(has)
    none = np.full(len(who), np.nan)
    out = []
    for code, yes in (
        ("ABSANY", np.bincount(subject[shrunk], minlength=count) > 0),
        ("NRCPT", np.bincount(subject[failed], minlength=count) == 0),
    ):
        value = yes[who].astype(np.int64)
        out.append(records(code, who, none, value, verbs.texts(["N", "Y"], value)))
    return out


def events(found: Evaluation, adsl: pd.DataFrame, overall: Source) -> list[pd.DataFrame]:
    """LSTA, MDIS, DEATH and NACT."""
    count = len(adsl)
    everyone = np.arange(count, dtype=np.int64)
    table = overall.table[overall.table["subject"] >= 0].reset_index(drop=True)
    adequate = (table["assigned"] != NE).to_numpy(dtype=bool)
    last = verbs.last_row(adequate, table["subject"].to_numpy(dtype=np.int64), count)
    who, row = np.flatnonzero(last >= 0), last[last >= 0]
    value = table["assigned"].to_numpy(dtype=np.int64)[row]
    out = [
        records(
            "LSTA",
            who,
            table["assigned_day"].to_numpy(dtype=np.float64)[row],
            value,
            response.names(value),
            visit=table["visit"].to_numpy(dtype=np.int64)[row],
            source=NUMBER[overall.at_visits],
        )
    ]
    total = found.sums[ALL]
    baseline = total[total["baseline"]]
    names = found.assessed.visits["USUBJID"].take(baseline["visit"].to_numpy())
    at = found.timing.subjects.get_indexer(pd.Index(names))
    measured = np.full(count, np.nan)
    known = at >= 0
    measured[at[known]] = baseline["last"].to_numpy(dtype=np.float64)[known]
    died = evaluation.days_of(adsl, "DTHDT")
    flagged = verbs.text(adsl, "DTHFL").eq("Y").to_numpy(dtype=bool) | ~np.isnan(died)
    therapy = found.timing.new_therapy
    for code, yes, day in (
        ("MDIS", ~np.isnan(measured), measured),
        ("DEATH", flagged, died),
        ("NACT", ~np.isnan(therapy), therapy),
    ):
        words = verbs.texts(["N", "Y"], yes)
        out.append(records(code, everyone, day, yes.astype(np.int64), words))
    return out
