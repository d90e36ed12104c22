"""Variables of a dataset, also those it does not have, and issues on its records."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir2cdisc.core import dates
from fhir2cdisc.core.issue import Issues

Ints = npt.NDArray[np.int64]


def text(frame: pd.DataFrame, name: str) -> pd.Series:
    """A Char variable; all missing if the frame has none of that name."""
    if name in frame:
        return frame[name].astype("str")
    return pd.Series(np.nan, index=frame.index, dtype="str")


def number(frame: pd.DataFrame, name: str) -> pd.Series:
    """A Num variable as float64; all missing if the frame has none of that name."""
    if name in frame:
        return pd.Series(pd.to_numeric(frame[name], errors="coerce"), dtype="float64")
    return pd.Series(np.nan, index=frame.index, dtype="float64")


def date(frame: pd.DataFrame, name: str) -> pd.Series:
    """A --DTC (complete dates only) or a date variable as `datetime64[s]`; NaT if absent."""
    if name not in frame:
        return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[s]")
    values = frame[name]
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.astype("datetime64[s]")
    distinct, codes = distinct_codes(values.astype("str"))
    days = dates.to_date(pd.Series(distinct, dtype="str"))
    return days.reindex(codes).set_axis(frame.index)


def distinct_codes(values: pd.Series) -> tuple[pd.Index, Ints]:
    """The distinct values, sorted, and for each row the position of its value (-1: missing)."""
    codes, distinct = pd.factorize(values, sort=True)
    return pd.Index(distinct), codes.astype(np.int64)


def report(
    issues: Issues,
    code: str,
    message: str,
    frame: pd.DataFrame,
    mask: npt.NDArray[Any] | pd.Series,
    *keys: str,
) -> None:
    """An issue on the flagged rows, which are named by the values of `keys`."""
    rows = np.flatnonzero(np.asarray(mask, dtype=bool))
    if not len(rows):
        return
    shown = frame.iloc[rows[:200]]
    names = shown[keys[0]].astype("str")
    for key in keys[1:]:
        value = text(shown, key).str.replace(r"\.0$", "", regex=True)
        names = names + f" {key} " + value.fillna("none")
    issues.add(code, message, names.tolist(), len(rows))
