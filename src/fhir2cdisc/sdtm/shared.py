"""Variables every domain has: identifiers before the mapping, timing, flags and --SEQ after it.

They are columns like any other, so they reach define.xml and the trace the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pandas as pd

from fhir2cdisc.core.column import Column, Context, Origin
from fhir2cdisc.core.dates import study_day_of, to_date
from fhir2cdisc.core.verbs import const
from fhir2cdisc.sdtm import standard


def identifiers(domain: str, study: str) -> dict[str, Column]:
    """STUDYID and DOMAIN; USUBJID comes from the subject of the mapping."""
    return {"STUDYID": const(study).as_(Origin.PROTOCOL), "DOMAIN": const(domain)}


def timing(domain: str, names: Collection[str]) -> dict[str, Column]:
    """EPOCH, and a study day for each date that the IG has a day for: --STDY, --ENDY, --DY."""
    known = {variable.name for variable in standard.variables(domain)}
    dates = [f"{domain}{part}" for part in ("STDTC", "DTC") if f"{domain}{part}" in names]
    epoch: dict[str, Column] = {}
    if "EPOCH" in known and dates:
        epoch = {"EPOCH": Epoch(date=dates[0])}
    days = {name: name.removesuffix("DTC") + "DY" for name in names if name.endswith("DTC")}
    return epoch | {day: StudyDay(date=name) for name, day in days.items() if day in known}


def last_before_exposure(domain: str, names: Iterable[str]) -> dict[str, Column]:
    """--LOBXFL where the IG has it and there is a date to decide it by."""
    flag, date = f"{domain}LOBXFL", f"{domain}DTC"
    known = {variable.name for variable in standard.variables(domain)}
    have = set(names)
    if flag not in known or date not in have:
        return {}
    parts = ("LNKID", "TESTCD", "CAT", "LOC", "EVAL", "EVALID")
    by = tuple(f"{domain}{part}" for part in parts if f"{domain}{part}" in have)
    return {flag: LastBeforeExposure(date=date, result=f"{domain}STRESC", by=by)}


def sequence(domain: str, keys: tuple[str, ...]) -> dict[str, Column]:
    """--SEQ: the position of a record among its subject's, ordered by the keys."""
    return {f"{domain}SEQ": Sequence(keys=keys)}


def _date_of_subject(table: pd.DataFrame, context: Context, variable: str) -> pd.Series:
    """A date of DM for every record of `table`."""
    dm = context.frames["DM"]
    dates = to_date(dm[variable]).array
    codes, subjects = pd.factorize(table["USUBJID"])
    place = pd.Index(dm["USUBJID"]).get_indexer(subjects)
    return pd.Series(dates.take(place, allow_fill=True).take(codes, allow_fill=True), table.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDay(Column):
    """Days from DM.RFSTDTC; there is no day 0 (SDTMIG v3.4, section 4.4.4)."""

    date: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return study_day_of(to_date(table[self.date]), _date_of_subject(table, context, "RFSTDTC"))

    def describe(self) -> str:
        return f"{self.date} - DM.RFSTDTC, plus 1 if on or after it; empty if a date is partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch(Column):
    """The epoch of a date: before, during or after study treatment.

    Without trial elements (SE) the treatment itself marks the epochs: SCREENING ends with its
    first day, FOLLOW-UP begins after its last.
    """

    date: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        day = to_date(table[self.date])
        first = _date_of_subject(table, context, "RFXSTDTC")
        last = _date_of_subject(table, context, "RFXENDTC")
        epoch = pd.Series("TREATMENT", index=table.index, dtype="str")
        epoch = epoch.mask(day < first, "SCREENING").mask(day > last, "FOLLOW-UP")
        return epoch.where(day.notna() & first.notna())

    def describe(self) -> str:
        return (
            f"SCREENING if {self.date} is before DM.RFXSTDTC, FOLLOW-UP if after DM.RFXENDTC, "
            "else TREATMENT; empty if a date is partial or there was no treatment"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBeforeExposure(Column):
    """Last result before first exposure (SDTMIG v3.4, section 4.5.9)."""

    date: str
    result: str
    by: tuple[str, ...]

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        day = to_date(table[self.date])
        first = _date_of_subject(table, context, "RFXSTDTC")
        before = table.loc[table[self.result].notna() & day.notna() & (day <= first)]
        keys = ["USUBJID", *self.by]
        order = before.assign(day=day[before.index]).sort_values(
            [*keys, "day", self.date], kind="stable"
        )
        # Records of the same day that differ in the test's other attributes share the flag.
        last = order.groupby(keys, sort=False, dropna=False)["day"].transform("max")
        flag = pd.Series(pd.NA, index=table.index, dtype="str")
        flag.loc[order.index[order["day"] == last]] = "Y"
        return flag

    def describe(self) -> str:
        return f"Y for the last {self.result} on or before DM.RFXSTDTC by {', '.join(self.by)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(Column):
    """--SEQ; the same input gives the same numbers whatever its order."""

    keys: tuple[str, ...]

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        keys = [*self.keys, *(["%key"] if "%key" in table else [])]
        order = table.sort_values(keys, kind="stable").index
        number = table.loc[order].groupby("USUBJID", sort=False).cumcount().add(1)
        return number.reindex(table.index).astype("float64")

    def describe(self) -> str:
        return "1, 2, … within subject by " + ", ".join(self.keys)
