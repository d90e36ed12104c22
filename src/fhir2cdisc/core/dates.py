"""ISO 8601 dates as SDTM wants them (SDTMIG v3.4, section 4.4)."""

from __future__ import annotations

import numpy as np
import pandas as pd

_ZONE = r"(?:Z|[+-]\d{2}:\d{2})$"
_DATE = r"^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?)?)?)?$"


def without_zone(dtc: pd.Series) -> pd.Series:
    """A FHIR dateTime as --DTC: same precision and same calendar day, offset and fraction cut off.

    SDTM keeps the local clock time at the site; a shift to UTC could change the day.
    """
    local = dtc.str.replace(_ZONE, "", regex=True)
    return local.str.replace(r"(T\d{2}:\d{2}:\d{2})\.\d+$", r"\1", regex=True)


def is_possible(dtc: pd.Series) -> pd.Series:
    """True where a --DTC (or a truncated one) is a date of the calendar; missing is possible."""
    values = pd.Series(dtc.dropna().unique(), dtype="str")
    parsed = pd.to_datetime(values, format="ISO8601", errors="coerce")
    usual = parsed.dt.year.between(1900, 2200) & values.str.len().isin([4, 7, 10, 16, 19])
    usual &= values.str.slice(4, 5).isin(["", "-"]) & values.str.slice(10, 11).isin(["", "T"])
    usual &= values.str.slice(17, 19).ne("60")
    rest = values[~usual]
    if rest.empty:
        return pd.Series(data=True, index=dtc.index)
    return ~dtc.isin(rest[~_fits_calendar(rest)])


def _fits_calendar(values: pd.Series) -> pd.Series:
    """The same for values that are no plain date or minute or second: part by part."""
    parts = values.str.extract(_DATE)
    year, month, day, hour, minute, second = (
        pd.to_numeric(parts[i], errors="coerce").fillna(fill)
        for i, fill in ((0, 0), (1, 1), (2, 1), (3, 0), (4, 0), (5, 0))
    )
    calendar = pd.to_datetime(
        {"year": year.clip(1900, 2200), "month": month, "day": day}, errors="coerce"
    )
    good = parts[0].notna() & year.between(1900, 2200) & calendar.notna()
    return good & hour.le(23) & minute.le(59) & second.le(59)


def to_date(dtc: pd.Series) -> pd.Series:
    """The complete dates of a --DTC as `datetime64[s]`; partial and missing dates are NaT."""
    codes, distinct = pd.factorize(dtc)
    days = pd.to_datetime(
        pd.Series(distinct, dtype="str").str.slice(0, 10), format="%Y-%m-%d", errors="coerce"
    )
    found = np.append(days.to_numpy().astype("datetime64[s]"), np.datetime64("NaT", "s"))
    return pd.Series(found[codes], index=dtc.index)  # code -1 (missing) is the last


def study_day(dtc: pd.Series, reference: pd.Series) -> pd.Series:
    """Study day as float64: there is no day 0; missing if either date is partial.

    References:
        SDTMIG v3.4, section 4.4.4.
    """
    return study_day_of(to_date(dtc), to_date(reference))


def study_day_of(date: pd.Series, reference: pd.Series) -> pd.Series:
    """The same for complete dates."""
    elapsed = (date - reference).dt.days
    day = np.where(elapsed >= 0, elapsed + 1, elapsed)
    return pd.Series(day, index=date.index, dtype="float64")


def age_in_years(birth: pd.Series, reference: pd.Series) -> pd.Series:
    """Full years from one complete date to another as float64; missing if a date is partial."""
    born, then = to_date(birth), to_date(reference)
    before_birthday = (then.dt.month * 100 + then.dt.day) < (born.dt.month * 100 + born.dt.day)
    years = (then.dt.year - born.dt.year - before_birthday).astype("float64")
    known: pd.Series = years.where(born.notna() & then.notna())
    return known


def is_before(first: pd.Series, second: pd.Series) -> pd.Series:
    """Y or N: is one --DTC before another, to the day; missing if their precision does not tell.

    Years decide where they differ, then months, then days: 2021 is before 2024-06-01.
    """
    early, late = first.str.slice(0, 10), second.str.slice(0, 10)
    answer = pd.Series(pd.NA, index=first.index, dtype="str")
    for length in (10, 7, 4):
        known = (early.str.len() >= length) & (late.str.len() >= length)
        one, other = early.str.slice(0, length), late.str.slice(0, length)
        told = known & ((one != other) | (length == 10))
        answer = answer.mask(told & (one < other), "Y").mask(told & (one >= other), "N")
    return answer
