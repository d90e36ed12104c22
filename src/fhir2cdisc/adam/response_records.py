"""The records of ADRS: what is said at each assessment, and once for each subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, irecist, response, verbs
from fhir2cdisc.adam.evaluation import Evaluation, Timing
from fhir2cdisc.adam.response import CR, NE, NON_CR_NON_PD, PD, PR, SD
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.study import Response, Study


@dataclass(frozen=True, slots=True)
class Parameter:
    """PARAM and what goes with it; `reader` is INV or IRC for what a reader said.

    `criteria` is PARCAT3 where it is not the study's.
    """

    param: str
    group: str = "ALL"
    category: str = "Tumor Response"
    volume: bool = False
    reader: str = ""
    criteria: str = ""


_NI = "of Non-Irradiated Target Lesions"
_IR = "of Irradiated Target Lesions"
_LD = "of Low-Dose Target Lesions"
_NL = "with Non-Target and New Lesions"
_V2 = "by Volume, RECIST Equivalent"
_DERIVED = {
    "OVR": Parameter("Overall Response"),
    "OVRNI": Parameter(f"Response {_NI}", "NONIRRAD"),
    "OVRIR": Parameter(f"Response {_IR}", "IRRAD"),
    "OVRLD": Parameter(f"Response {_LD}", "LOWDOSE"),
    "OVRNINL": Parameter(f"Response {_NI} {_NL}", "NONIRRAD"),
    "OVRV": Parameter("Overall Response by Volume", volume=True),
    "OVRV2": Parameter(f"Overall Response {_V2}", volume=True),
    "OVRVNI": Parameter(f"Response {_NI} by Volume", "NONIRRAD", volume=True),
    "OVRVIR": Parameter(f"Response {_IR} by Volume", "IRRAD", volume=True),
    "TRG": Parameter("Target Response"),
    "NTRG": Parameter("Non-Target Response"),
    "NEWL": Parameter("New Lesion"),
    "PD": Parameter("Disease Progression"),
    "PDNI": Parameter(f"Progression {_NI}", "NONIRRAD"),
    "PDIR": Parameter(f"Progression {_IR}", "IRRAD"),
    "PDLD": Parameter(f"Progression {_LD}", "LOWDOSE"),
    "RSP": Parameter("Response"),
    "CRSP": Parameter("Confirmed Response"),
    "CRSPV": Parameter("Confirmed Response by Volume", volume=True),
    "CRSPV2": Parameter(f"Confirmed Response {_V2}", volume=True),
    "CB": Parameter("Disease Control"),
    "CCB": Parameter("Disease Control, Confirmed Best Overall Response"),
    "BOR": Parameter("Best Overall Response"),
    "CBOR": Parameter("Best Overall Response, Confirmed"),
    "CBORV": Parameter("Best Overall Response by Volume, Confirmed", volume=True),
    "CBORV2": Parameter(f"Best Overall Response {_V2}, Confirmed", volume=True),
    "CBORVNI": Parameter(f"Best Response {_NI} by Volume, Confirmed", "NONIRRAD", volume=True),
    "CBORVIR": Parameter(f"Best Response {_IR} by Volume, Confirmed", "IRRAD", volume=True),
    "BORNI": Parameter(f"Best Response {_NI}", "NONIRRAD"),
    "CBORNI": Parameter(f"Best Response {_NI}, Confirmed", "NONIRRAD"),
    "BORIR": Parameter(f"Best Response {_IR}", "IRRAD"),
    "CBORIR": Parameter(f"Best Response {_IR}, Confirmed", "IRRAD"),
    "BORLD": Parameter(f"Best Response {_LD}", "LOWDOSE"),
    "CBORLD": Parameter(f"Best Response {_LD}, Confirmed", "LOWDOSE"),
    "BCP": Parameter("Best Overall Response of CR or PR"),
    "CBCP": Parameter("Best Overall Response of CR or PR, Confirmed"),
    "ARR": Parameter(f"Abscopal Response: Best Response {_NI} of CR or PR", "NONIRRAD"),
    "ACR": Parameter(f"Abscopal Control: Best Response {_NI} of CR, PR or SD", "NONIRRAD"),
    "ARRNL": Parameter(f"Abscopal Response {_NL}", "NONIRRAD"),
    "ACRNL": Parameter(f"Abscopal Control {_NL}", "NONIRRAD"),
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
_IRECIST = {
    "IOVR": "Overall iRECIST Response",
    "IBOR": "Best Overall iRECIST Response",
    "IUPD": "Unconfirmed iRECIST Progression",
    "ICPD": "Confirmed iRECIST Progression",
    "IPD": "iRECIST Progression",
}
_COLLECTED_IRECIST = {
    "ITRG": "Target iRECIST Response",
    "INTRG": "Non-Target iRECIST Response",
    "IBEST": "Best Overall iRECIST Response as Collected",
    "NTLW": "Non-Target Lesion Worsening",
    "NEWLW": "New Lesion Worsening",
}
_BY = {"INV": "by Investigator", "IRC": "by Independent Assessor"}
# In the order of PARAMCD, which is the order of the records.
PARAMETERS = dict(
    sorted(
        {
            **_DERIVED,
            **{code: Parameter(text, criteria=irecist.CRITERIA) for code, text in _IRECIST.items()},
            **{
                code + reader: Parameter(f"{text} {by}", reader=reader, criteria=irecist.CRITERIA)
                for reader, by in _BY.items()
                for code, text in {**_IRECIST, **_COLLECTED_IRECIST}.items()
            },
            **{
                code + reader: Parameter(f"{param} {by}", reader=reader)
                for reader, by in _BY.items()
                for code, param in {**COLLECTED, **_OF_COLLECTED}.items()
            },
        }.items()
    )
)
# Lesion group and measure -> PARAMCD of the responses at assessments.
AT_VISITS = {
    evaluation.ALL: "OVR",
    evaluation.NONIRRAD: "OVRNI",
    evaluation.IRRAD: "OVRIR",
    evaluation.LOWDOSE: "OVRLD",
    evaluation.NONIRRAD_OVERALL: "OVRNINL",
    evaluation.VOLUME: "OVRV",
    evaluation.RECIST_VOLUME: "OVRV2",
    evaluation.NONIRRAD_VOLUME: "OVRVNI",
    evaluation.IRRAD_VOLUME: "OVRVIR",
}
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
    none); of records at assessments ``visit`` is their own. ``lesion`` is the position of the
    record of ADLES that does. ``severity`` is the response by which the worst of several counts.
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
        "lesion": -1,
        "severity": NE,
        "within": True,
        "up_to_pd": True,
        **more,
    }
    return pd.DataFrame(columns, index=range(len(subject)))


# -- at assessments ---------------------------------------------------------------------------


def at_visits(found: Evaluation) -> list[pd.DataFrame]:
    """The derived responses at each post-baseline assessment."""
    overall = found.responses[evaluation.ALL]
    new = overall["new"].to_numpy(dtype=np.int64)
    return [
        *(_of_table(found.responses[key], code, "assigned") for key, code in AT_VISITS.items()),
        _of_table(overall[overall["target"] != response.NA], "TRG", "target"),
        _of_table(overall[overall["nontarget"] != response.NA], "NTRG", "nontarget"),
        _of_table(overall.assign(new=_SEVERITY_OF_NEW[new]), "NEWL", "new").assign(
            AVAL=new.astype(np.float64), AVALC=verbs.texts(response.NEW_LESION, new)
        ),
    ]


# NEW_LESION as the responses that are as bad.
_SEVERITY_OF_NEW = np.array([CR, SD, PD])


def _of_table(table: pd.DataFrame, code: str, column: str) -> pd.DataFrame:
    value = table[column].to_numpy(dtype=np.int64)
    subject = table["subject"].to_numpy(dtype=np.int64)
    day = table["assigned_day"].to_numpy(dtype=np.float64)
    worst = response.is_worst(value, day, subject)
    return records(
        code,
        subject,
        day,
        value,
        response.names(value),
        once=False,
        visit=table["visit"].to_numpy(),
        severity=value,
        within=table["within"].to_numpy(dtype=bool) & worst,
        up_to_pd=table["up_to_pd"].to_numpy(dtype=bool),
    )


def reader_responses(
    reader: pd.DataFrame, who: str, timing: Timing, first: int, settings: Response
) -> pd.DataFrame:
    """The overall responses of a reader (`collected.read_responses`) as a table of responses.

    The assessments are numbered from `first` by their row in `reader`. Of several on one date
    only the worst is a candidate. What a CR counts as that the study takes for wrong, since less
    follows it (``cr_then_lesser``), is in ``response``.
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
    worst = response.is_worst(value, day, subject)
    table = table.assign(within=table["within"] & worst, candidate=table["candidate"] & worst)
    if settings.cr_then_lesser == "downgrade":
        counted = np.flatnonzero(table["candidate"])
        no_target = table["no_target"].to_numpy(dtype=bool)[counted]
        corrected = response.without_wrong_cr(
            value[counted], day[counted], subject[counted], no_target, settings
        )
        table.loc[counted, "response"] = corrected
    return table


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
        severity = part["response"].to_numpy(dtype=np.int64)
        if test == "NEWL":
            severity = _SEVERITY_OF_NEW[part["aval"].fillna(0).to_numpy(dtype=np.int64)]
        worst = response.is_worst(severity, day, subject)
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
                severity=severity,
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
    """ABSANY and NRCPT of subjects with non-irradiated targets, from ADLES.

    The value of ABSANY comes from the lesion that has decreased most. That of NRCPT comes from the
    first lesion that is not controlled; where all are, from the last of their assessments.
    """
    if adles is None:
        return []
    count, spared = len(timing.subjects), adles["LESGRP"].eq("NONIRRAD")
    subject = timing.subjects.get_indexer(pd.Index(adles["USUBJID"].astype("str")))
    subject = subject.astype(np.int64)
    day = evaluation.days_of(adles, "ADT")
    control = np.flatnonzero(spared & adles["PARAMCD"].eq("LSCTRL"))
    change = np.flatnonzero(spared & adles["PARAMCD"].eq("LSPCHGB"))
    shrunk = adles["CRIT1FL"].eq("Y").to_numpy(dtype=bool)
    order = np.lexsort([adles["AVAL"].to_numpy()[change], ~shrunk[change], subject[change]])
    change = change[order]
    most = np.full(count, -1, dtype=np.int64)
    first = verbs.segment_starts(subject[change])
    most[subject[change][first]] = change[first]
    failed = control[adles["AVALC"].eq("N").to_numpy(dtype=bool)[control]]
    failing = np.full(count, -1, dtype=np.int64)
    first = verbs.segment_starts(subject[failed])
    failing[subject[failed][first]] = failed[first]
    last = np.full(count, -np.inf)
    np.fmax.at(last, subject[control], day[control])
    who = np.unique(subject[control])
    any_shrunk = verbs.take(shrunk, most, missing=False)
    since = np.where(failing >= 0, verbs.take(day, failing, np.nan), last)
    return [
        records(
            code, who, when[who], yes[who], verbs.texts(["N", "Y"], yes[who]), lesion=row[who]
        )
        for code, yes, row, when in (
            ("ABSANY", any_shrunk.astype(np.int64), most, verbs.take(day, most, np.nan)),
            ("NRCPT", (failing < 0).astype(np.int64), failing,
             np.where(np.isinf(since), np.nan, since)),
        )
    ]  # fmt: skip


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
    total = found.sums[evaluation.ALL]
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
