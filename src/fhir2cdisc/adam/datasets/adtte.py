"""ADTTE: one record a subject and time-to-event parameter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.parameters.os import OS
from fhir2cdisc.adam.parameters.pfs import PFS
from fhir2cdisc.adam.tte import TimeToEvent, derive_time_to_event
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

PARAMETERS: tuple[TimeToEvent, ...] = (PFS, OS)

_RULES = "\n\n".join(f"{p.paramcd}: {p.describe()}" for p in PARAMETERS)

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "PARAMCD": described("PARAMCD", "Short name of the parameter"),
    "PARAM": described("PARAM", "Name of the parameter, with its unit"),
    "AVAL": described("AVAL", "ADT - STARTDT + 1, days"),
    "STARTDT": described("STARTDT", "ADSL.STARTDT0"),
    "ADT": described("ADT", _RULES),
    "ADTF": described("ADTF", "ADSL.DTHDTF where ADT is a date of death that was partial"),
    "ADY": described("ADY", "Days from TRTSDT (untreated: STARTDT0) to ADT; there is no day 0"),
    "CNSR": described("CNSR", "0 for an event, else the kind of censoring: see ADT"),
    "EVNTDESC": described("EVNTDESC", "The event, or the reason of censoring: see ADT"),
    "CNSDTDSC": described("CNSDTDSC", "What the date of a censoring is: see ADT"),
    "SRCDOM": described("SRCDOM", "Dataset that ADT is taken from"),
    "SRCVAR": described("SRCVAR", "Variable that ADT is taken from"),
    "SRCSEQ": described("SRCSEQ", "ASEQ of the record of ADRS that ADT is taken from"),
    "ASEQ": described("ASEQ", "Number of the record within the subject"),
}


def derive(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> Derived:
    """A record for every enrolled subject with a start and every parameter.

    References:
        CDISC ADaM Basic Data Structure for Time-to-Event Analyses v1.0.
    """
    adsl = data["ADSL"]
    _report_early(data, issues)
    records = pd.concat([derive_time_to_event(p, data, study) for p in PARAMETERS])
    frame = verbs.complete_records(records, adsl, ("USUBJID", "PARAMCD"))
    rows = np.arange(len(frame))
    sourced = frame["SRCDOM"].eq("ADRS").to_numpy(dtype=bool)
    sequence = frame["SRCSEQ"].where(sourced, 0).astype("int64").astype("str")
    by_adsl = pd.DataFrame({"row": rows, "parent": "ADSL", "parent_key": frame["USUBJID"]})
    by_adrs = pd.DataFrame(
        {"row": rows, "parent": "ADRS", "parent_key": frame["USUBJID"] + "|" + sequence}
    )
    return verbs.derived(frame, [by_adsl, by_adrs[sourced]])


def _report_early(data: Mapping[str, pd.DataFrame], issues: Issues) -> None:
    """Events that are dated before the start of the clock."""
    adsl = data["ADSL"]
    start = adsl.set_index("USUBJID")["STARTDT0"]
    seen: set[str] = set()
    for event in (event for p in PARAMETERS for event in p.events):
        if event.description in seen:
            continue
        seen.add(event.description)
        records = event.records.select(data)
        if len(records):
            first = start.reindex(records["USUBJID"].to_numpy()).set_axis(records.index)
            verbs.report(
                issues, "AD0008", f"{event.description} before STARTDT0",
                records, (records[event.date] < first).to_numpy(), "USUBJID",
            )  # fmt: skip


ADTTE = Derivation(
    name="ADTTE",
    label="Time-to-Event Analysis Dataset",
    keys=("USUBJID", "PARAMCD"),
    needs=("ADSL",),
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, {}),
)
