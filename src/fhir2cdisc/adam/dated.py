"""The first or last dated record of each subject, over several domains at once.

Whatever date an analysis variable takes from SDTM, the record it came from is kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.verbs import Bools, Ints
from fhir2cdisc.sdtm.exposure import took_place


class Dates(NamedTuple):
    """The records of one domain (already chosen) and the variable with their date."""

    domain: str
    frame: pd.DataFrame
    variable: str


class Picked(NamedTuple):
    """One date a subject (NaT if none) and its record; `source` is the position in the sources."""

    date: pd.Series
    source: Ints
    record: Ints
    sources: tuple[Dates, ...]

    def found(self) -> Bools:
        return self.source >= 0

    def trace(self) -> list[pd.DataFrame]:
        """Lines of a trace: the record that each subject's date came from."""
        lines = []
        for number, (domain, frame, _) in enumerate(self.sources):
            row = np.flatnonzero(self.source == number)
            if len(row):
                at = self.record[row]
                lines.append(verbs.parents(row, domain, frame, f"{domain}SEQ", at))
        return lines

    def values(self, variable: str) -> pd.Series:
        """A Char variable of the records, which all are of domains that may have it."""
        parts = []
        for number, (_, frame, _) in enumerate(self.sources):
            row = np.flatnonzero(self.source == number)
            parts.append(verbs.text(frame, variable).take(self.record[row]).set_axis(row))
        found = pd.concat(parts) if parts else pd.Series(dtype="str")
        return found.reindex(self.date.index)


def pick(
    sources: Sequence[Dates],
    subjects: pd.Index,
    *,
    last: bool,
    not_before: pd.Series | None = None,
    not_after: pd.Series | None = None,
) -> Picked:
    """The first (or last) complete date of each subject, within limits that each may have.

    On one day the source named first wins, in it the record with the lowest --SEQ. Partial dates
    are not used. `not_before` and `not_after` are in the order of `subjects`; NaT is no limit.
    """
    size = len(subjects)
    worst = np.iinfo(np.int64).min if last else np.iinfo(np.int64).max
    best = np.full(size, worst)
    source, record = np.full(size, -1), np.full(size, -1)
    for number, (domain, frame, variable) in enumerate(sources):
        code = subjects.get_indexer(pd.Index(frame["USUBJID"]))
        day = verbs.days_of(verbs.date(frame, variable))
        kept = (code >= 0) & (day != verbs.NO_DAY)
        if not_before is not None:
            floor = verbs.days_of(not_before)  # NO_DAY is before every day
            kept &= day >= verbs.take(floor, code, verbs.NO_DAY)
        if not_after is not None:
            ceiling = verbs.days_of(not_after)
            ceiling = np.where(ceiling == verbs.NO_DAY, np.iinfo(np.int64).max, ceiling)
            kept &= day <= verbs.take(ceiling, code, np.iinfo(np.int64).max)
        rows = np.flatnonzero(kept)
        sequence = verbs.number(frame, f"{domain}SEQ").to_numpy()[rows]
        key = -day[rows] if last else day[rows]
        rows = rows[np.lexsort((sequence, key, code[rows]))]
        rows = rows[verbs.segment_starts(code[rows])]
        who, when = code[rows], day[rows]
        better = when > best[who] if last else when < best[who]
        who, rows = who[better], rows[better]
        best[who], source[who], record[who] = day[rows], number, rows
    best = np.where(source >= 0, best, verbs.NO_DAY)
    return Picked(verbs.dates_of(best), source, record, tuple(sources))


def chosen(
    data: Mapping[str, pd.DataFrame], domain: str, **where: str | tuple[str, ...]
) -> pd.DataFrame:
    """The records of a domain whose variables have one of the values, in capitals; none if absent.

    A variable that the domain does not have matches nothing. What did not take place is no record.
    """
    frame = data.get(domain)
    if frame is None:
        return pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    true = took_place(frame, domain)
    for name, value in where.items():
        values = (value,) if isinstance(value, str) else value
        true &= verbs.text(frame, name).str.upper().isin(values).to_numpy(dtype=bool)
    return frame[true].reset_index(drop=True)
