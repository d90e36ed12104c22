"""ADTTE: one record a subject and time-to-event parameter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.parameters import PARAMETERS, RULED, parameters_of
from fhir2cdisc.adam.tte import TimeToEvent
from fhir2cdisc.adam.tte_records import Records, derive_parameters
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

_RULES = "\n\n".join(f"{p.paramcd}: {p.describe()}" for p in PARAMETERS) + (
    f"\n\nWith pfs_rule EMA {', '.join(p.paramcd for p in RULED)} are without the limits that "
    "PFSEMA is without."
)

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "PARAMCD": described("PARAMCD", "Short name of the parameter"),
    "PARAM": described("PARAM", "Name of the parameter, with its unit"),
    "AVAL": described("AVAL", "ADT - STARTDT + 1, days"),
    "STARTDT": described("STARTDT", "ADSL.STARTDT0; DOR: ADT of the record CRSP in ADRS"),
    "ADT": described("ADT", _RULES),
    "ADTF": described("ADTF", "ADSL.DTHDTF where ADT is a date of death that was partial"),
    "ADY": described("ADY", "Days from TRTSDT (untreated: STARTDT0) to ADT; there is no day 0"),
    "CNSR": described("CNSR", "0 for an event, else the kind of censoring: see EVNTDESC and ADT"),
    "EVNTDESC": described(
        "EVNTDESC",
        "The event, or the reason of censoring. By CNSR: "
        + "; ".join(
            f"{cnsr} {reason}"
            for cnsr, reason in sorted({code for p in PARAMETERS for code in p.codes()})
        ),
    ),
    "CNSDTDSC": described("CNSDTDSC", "What the date of a censoring is: see ADT"),
    "SRCDOM": described("SRCDOM", "Dataset that ADT is taken from"),
    "SRCVAR": described("SRCVAR", "Variable that ADT is taken from"),
    "SRCSEQ": described(
        "SRCSEQ", "ASEQ or RSSEQ of the record that ADT is taken from; ADSL has no sequence"
    ),
    "ASEQ": described("ASEQ", "Number of the record within the subject"),
}


def derive(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> Derived:
    """A record for every enrolled subject with a start and every parameter.

    References:
        CDISC ADaM Basic Data Structure for Time-to-Event Analyses v1.0.
    """
    adsl = data["ADSL"]
    parameters, records = parameters_of(study), Records(data)
    _report_dates(parameters, records, adsl, issues)
    found = derive_parameters(parameters, records, study)
    frame = verbs.complete_records(found, adsl, ("PARAMCD",))
    return verbs.derived(frame, _trace(frame, parameters, records))


def _trace(
    frame: pd.DataFrame, parameters: tuple[TimeToEvent, ...], records: Records
) -> list[pd.DataFrame]:
    """Every record from its subject, the record with its start and the one with its date."""
    rows = np.arange(len(frame))
    out = [pd.DataFrame({"row": rows, "parent": "ADSL", "parent_key": frame["USUBJID"]})]
    for dataset in sorted(set(frame["SRCDOM"].unique()) - {"ADSL"}):
        at = np.where(frame["SRCDOM"].eq(dataset), rows, -1)
        out.append(verbs.parents(rows, dataset, frame, "SRCSEQ", at))
    for parameter in parameters:
        start = parameter.start.records
        if start.dataset != "ADSL":
            at = np.flatnonzero(frame["PARAMCD"].eq(parameter.paramcd).to_numpy(dtype=bool))
            first = records.sequence(start, frame["start_row"].to_numpy(np.int64)[at])
            began = frame[["USUBJID"]].take(at).assign(SEQ=first)
            out.append(verbs.parents(at, start.dataset, began, "SEQ", np.arange(len(at))))
    return out


def _report_dates(
    parameters: tuple[TimeToEvent, ...],
    records: Records,
    adsl: pd.DataFrame,
    issues: Issues,
) -> None:
    """Events that are dated before the start of the clock, and those without a date."""
    start = verbs.days_of(verbs.date(adsl, "STARTDT0"))
    named = {(e.records, e.date): e.description for p in reversed(parameters) for e in p.events}
    for (where, date), description in named.items():
        _, subject = records.rows(where)
        dated = records.dated(where, date)
        early = dated.subject[dated.day < start[dated.subject]]
        missing = np.setdiff1d(subject[start[subject] != verbs.NO_DAY], dated.subject)
        undated = missing if where.dataset != "ADSL" else missing[:0]  # AD0004 tells of deaths
        for code, message, who in (
            ("AD0008", f"{description} before STARTDT0", early),
            ("AD0015", f"{description} without a complete date", undated),
        ):
            rows = adsl.take(np.sort(who))
            verbs.report(issues, code, message, rows, np.ones(len(who), dtype=bool), "USUBJID")


ADTTE = Derivation(
    name="ADTTE",
    label="Time-to-Event Analysis Dataset",
    keys=("USUBJID", "PARAMCD"),
    needs=("ADSL",),
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, {}),
)
