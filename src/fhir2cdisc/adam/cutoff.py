"""The data cut-off: what ADaM sees of SDTM that was collected beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.verbs import Bools
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.text import is_among

# What an adverse event led to is known at its end, or when the subject died.
_OUTCOME = ("AEOUT", "AESDTH")


def records_until(
    data: Mapping[str, pd.DataFrame], cutoff: date | None, issues: Issues
) -> dict[str, pd.DataFrame]:
    """The SDTM frames as they were on a day: the same frames without a day.

    A record that begins (--STDTC, else --DTC) after the day is left out. Of one that ends after it
    the end is not known, nor the outcome of an adverse event. DM keeps every subject and loses its
    later dates, and with a later death DTHFL. A partial date is later only if no day that it may
    mean is within; a record without a date stays.
    """
    if cutoff is None:
        return dict(data)
    day = cutoff.isoformat()
    died_later = _died_later(data, day)
    out = {}
    for name, frame in data.items():
        if name == "DM":
            out[name] = _subjects_until(frame, day, died_later)
        else:
            out[name] = _until(name, frame, day, died_later, issues)
    return out


def _later(dates: pd.Series, day: str) -> Bools:
    """ISO 8601 dates compare as text, partial ones by what is known."""
    return (dates.str.slice(0, 10) > day).to_numpy(dtype=bool)


def _died_later(data: Mapping[str, pd.DataFrame], day: str) -> pd.Index:
    """The subjects who died after the day, by DM, or where it has no date by a disposition."""
    dm, ds = (verbs.frame_of(data, name) for name in ("DM", "DS"))
    dead = verbs.text(ds, "DSDECOD").str.upper().eq("DEATH").to_numpy(dtype=bool)
    by_ds = dead & _later(verbs.text(ds, "DSSTDTC"), day)
    death = verbs.text(dm, "DTHDTC")
    undated = death.isna().to_numpy() & is_among(dm["USUBJID"], ds["USUBJID"][by_ds])
    died: pd.Index = pd.Index(dm["USUBJID"])[_later(death, day) | undated]
    return died


def _subjects_until(dm: pd.DataFrame, day: str, died_later: pd.Index) -> pd.DataFrame:
    dates = {n: verbs.text(dm, n) for n in dm.columns.astype("str") if n.endswith("DTC")}
    known = {name: values.mask(_later(values, day)) for name, values in dates.items()}
    if "DTHFL" in dm:
        known["DTHFL"] = verbs.text(dm, "DTHFL").mask(is_among(dm["USUBJID"], died_later))
    return dm.assign(**known)


def _until(
    name: str, frame: pd.DataFrame, day: str, died_later: pd.Index, issues: Issues
) -> pd.DataFrame:
    start, end = f"{name}STDTC", f"{name}ENDTC"
    begin = verbs.text(frame, start)
    late = _later(begin.where(begin.notna(), verbs.text(frame, f"{name}DTC")), day)
    verbs.report(
        issues, "AD0020", f"{name}: after {day}", frame, late, "USUBJID",
        *([f"{name}SEQ"] if f"{name}SEQ" in frame else []),
    )  # fmt: skip
    kept = frame[~late].reset_index(drop=True)
    still_open = _later(verbs.text(kept, end), day)
    known = {end: verbs.text(kept, end).mask(still_open)} if end in kept else {}
    if name == "AE":
        unknown = still_open | is_among(kept["USUBJID"], died_later)
        known |= {n: verbs.text(kept, n).mask(unknown) for n in _OUTCOME if n in kept}
    return kept.assign(**known)
