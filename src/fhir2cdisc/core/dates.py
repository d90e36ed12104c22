"""ISO 8601 dates as SDTM wants them (SDTMIG v3.4, section 4.4)."""

from __future__ import annotations

import numpy as np
import pandas as pd

_ZONE = r"(?:Z|[+-]\d{2}:\d{2})$"
_DATE = r"\d{4}(?:-\d{2}(?:-\d{2})?)?"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_DTC = rf"(?:{_DATE}|\d{{4}}-\d{{2}}-\d{{2}}T{_TIME})"


def without_zone(dtc: pd.Series) -> pd.Series:
    """A FHIR dateTime as --DTC: same precision and same calendar day, offset and fraction cut off.

    SDTM keeps the local clock time at the site; a shift to UTC could change the day.
    """
    local = dtc.str.replace(_ZONE, "", regex=True)
    return local.str.replace(r"(T\d{2}:\d{2}:\d{2})\.\d+$", r"\1", regex=True)


def as_collected(raw: pd.Series) -> tuple[pd.Series, dict[str, pd.Series]]:
    """FHIR dates as --DTC, and what is wrong with which of them: sentence -> mask.

    What cannot be used is left out, but no more than that: a good date whose time is none stays.
    """
    dtc = without_zone(raw)
    bad = ~is_possible(dtc)
    if not bad.any():
        return dtc, {}
    trimmed = raw[bad].str.strip()
    whole = without_zone(trimmed)
    day = whole.str.extract(r"^(\d{4}-\d{2}-\d{2})[T ]", expand=False).astype("str")
    fits, dated = is_possible(whole), day.notna() & is_possible(day)
    dtc = dtc.mask(bad, whole.where(fits, day.where(dated)).reindex(dtc.index))
    shaped = whole.str.fullmatch(_DATE) | day.notna()
    kinds = {
        "blanks around the date were cut off": fits,
        "the time is no time of day and was left out; the date stays": ~fits & dated,
        "is no day of the calendar from 1900 to 2200 and was left out": ~fits & ~dated & shaped,
        "is no date as FHIR writes it and was left out": ~fits & ~dated & ~shaped,
    }
    found = {text: rows for text, rows in kinds.items() if rows.any()}
    return dtc, {text: rows.reindex(dtc.index, fill_value=False) for text, rows in found.items()}


def is_date(text: str) -> bool:
    """Whether a text is a date or date and time of ISO 8601 that a --DTC can hold."""
    return bool(is_possible(without_zone(pd.Series([text], dtype="str"))).all())


def is_possible(dtc: pd.Series) -> pd.Series:
    """True where a --DTC (or a truncated one) is a date of the calendar; missing is possible."""
    values = pd.Series(dtc.dropna().unique(), dtype="str")
    days = values.str.slice(0, 10).where(values.str.fullmatch(_DTC))
    years = pd.to_datetime(days, format="ISO8601", errors="coerce").dt.year
    return ~dtc.isin(values[~years.between(1900, 2200)])


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
