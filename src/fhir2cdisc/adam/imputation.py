"""Imputation of partial dates in ADaM: the date to analyse, and a flag that says what was assumed.

The known part of a date is never changed: where a bound (start of treatment, end of the event,
death) and the known part disagree, the known part stands.

References:
    ADaMIG v1.3, section 3.1.3 (date imputation flags: Y year, M month, D day).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

# Complete, or the precision that is left: 2021-03-05, 2021-03, 2021, and 2021---05 (no month).
_PARTS = r"^(?P<year>\d{4})(?:-(?P<month>\d{2}))?(?:-(?P<day>\d{2})(?:T.*)?)?$"
_NO_MONTH = r"^(\d{4})---?(?:\d{2})?$"


class Imputed(NamedTuple):
    """A date and its imputation flag: missing (complete, or no date at all), ``D`` or ``M``."""

    date: pd.Series
    flag: pd.Series


class _Period(NamedTuple):
    """First and last day that the known part of a --DTC allows; equal for a complete date."""

    first: pd.Series
    last: pd.Series
    flag: pd.Series


def impute_start(
    dtc: pd.Series, not_before: pd.Series | None = None, not_after: pd.Series | None = None
) -> Imputed:
    """The start of an event: first day of the known month or year.

    Not before `not_before` (start of treatment, so that an event that may be treatment-emergent
    is) and not after `not_after` (its end), as far as the known part allows either. A date
    without a year is not imputed.
    """
    period = _period(dtc)
    date = period.first
    if not_before is not None:
        date = _no_earlier(date, not_before, period)
    if not_after is not None:
        date = _no_later(date, not_after, period)
    return Imputed(date, period.flag)


def impute_end(dtc: pd.Series, not_after: pd.Series | None = None) -> Imputed:
    """The end of an event: last day of the known month or year, not after `not_after` (death)."""
    period = _period(dtc)
    date = period.last
    if not_after is not None:
        date = _no_later(date, not_after, period)
    return Imputed(date, period.flag)


def impute_death(dtc: pd.Series, last_alive: pd.Series, day: int = 1) -> Imputed:
    """The date of death: that day of the known month, or the day after `last_alive` if later.

    A known year alone means its January. The result stays within the known month or year.
    """
    period = _period(dtc)
    partial = period.flag.notna()
    assumed = (period.first + pd.Timedelta(days=day - 1)).where(partial, period.first)
    date = _no_earlier(assumed, last_alive + pd.Timedelta(days=1), period)
    beyond = partial & (last_alive >= period.last)
    return Imputed(date.mask(beyond, period.last).astype("datetime64[s]"), period.flag)


def add_months(date: pd.Series, months: int) -> pd.Series:
    """The same day so many calendar months later, clipped to the end of the month."""
    days = date.to_numpy().astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    of_month = days - month.astype("datetime64[D]")
    target = month + np.timedelta64(months, "M")
    length = (target + np.timedelta64(1, "M")).astype("datetime64[D]") - target.astype(
        "datetime64[D]"
    )
    moved = target.astype("datetime64[D]") + np.minimum(of_month, length - np.timedelta64(1, "D"))
    return pd.Series(moved.astype("datetime64[s]"), index=date.index)


def _period(dtc: pd.Series) -> _Period:
    text = dtc.astype("str")
    only_year = text.str.extract(_NO_MONTH, expand=False)
    text = text.where(only_year.isna(), only_year)
    parts = text.str.extract(_PARTS)
    first_text = parts["year"] + "-" + parts["month"].fillna("01") + "-" + parts["day"].fillna("01")
    first = pd.to_datetime(first_text, format="%Y-%m-%d", errors="coerce").astype("datetime64[s]")
    of_month = add_months(first, 1) - pd.Timedelta(days=1)
    of_year = add_months(first, 12) - pd.Timedelta(days=1)
    last = first.mask(parts["day"].isna(), of_month).mask(parts["month"].isna(), of_year)
    unknown = np.select(
        [first.isna(), parts["month"].isna(), parts["day"].isna()], ["", "M", "D"], ""
    )
    flag = pd.Series(unknown, index=dtc.index, dtype="str")
    return _Period(first, last.astype("datetime64[s]"), flag.where(flag != ""))


def _no_earlier(date: pd.Series, bound: pd.Series, period: _Period) -> pd.Series:
    allowed = (bound >= period.first) & (bound <= period.last)
    return date.mask(period.flag.notna() & allowed & (date < bound), bound).astype("datetime64[s]")


def _no_later(date: pd.Series, bound: pd.Series, period: _Period) -> pd.Series:
    allowed = (bound >= period.first) & (bound <= period.last)
    return date.mask(period.flag.notna() & allowed & (date > bound), bound).astype("datetime64[s]")
