"""Columns: functions from a table to one column that can also explain themselves.

That is the only rule. A column answers three questions and nothing else:

* `paths`     which FHIR paths must be in the flat table?   -> plans the reading
* `evaluate`  what are the values?                          -> converts the data
* `describe`  how would I say this in English?              -> documents the variable

so one declaration drives conversion, metadata and traceability alike. The verbs that make columns
are in `core.verbs`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, Self

import numpy as np
import pandas as pd

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.rows import Rows


class Origin(StrEnum):
    """Define-XML v2.1, def:Origin/@Type."""

    COLLECTED = "Collected"
    DERIVED = "Derived"
    ASSIGNED = "Assigned"
    PROTOCOL = "Protocol"
    PREDECESSOR = "Predecessor"


class Terms(Protocol):
    """What a column asks of terminology."""

    def recode(self, codelist: str, concept: str) -> str | None:
        """The CDISC term of an encoded concept (see `core.concept`) or of a plain text."""

    def convert(self, number: str, unit: str, to: str) -> str | None:
        """An exact decimal in another unit, or None if the units do not convert."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a column may look at besides its table.

    `flats` are the flat tables by `Rows`, each with ``%key`` (``Type/id``); `frames` the datasets
    already made, by name, with USUBJID.
    """

    terms: Terms
    flats: Mapping[Rows, pd.DataFrame] = field(default_factory=dict)
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    issues: Issues = field(default_factory=Issues)
    settings: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    used: dict[tuple[str, Rows], pd.Series] = field(default_factory=dict)
    """What was read through references: (reference, rows) -> ledger row by row of the table."""
    keys: dict[Rows, pd.Index] = field(default_factory=dict)

    def place(self, rows: Rows, key: pd.Series) -> np.ndarray:
        """The position of each key in the flat table of `rows`; -1 where it is not there."""
        if rows not in self.keys:
            self.keys[rows] = pd.Index(self.flats[rows]["%key"], dtype="str")
        index = self.keys[rows]
        if index.is_unique:
            return index.get_indexer(pd.Index(key, dtype="str"))
        last = pd.Series(np.arange(len(index)), index=index).groupby(level=0).last()
        return last.reindex(key.to_numpy()).fillna(-1).to_numpy(dtype="int64")

    def use(self, name: str, rows: Rows, place: np.ndarray, index: pd.Index) -> None:
        """Note that the rows at `place` were read for the rows of `index`."""
        if "%r" in self.flats[rows]:
            number = self.flats[rows]["%r"].to_numpy()
            found = number[place] if len(number) else place
            self.used[name, rows] = pd.Series(np.where(place >= 0, found, -1), index=index)

    def report(self, code: str, message: str, table: pd.DataFrame, mask: pd.Series) -> None:
        """An issue on the rows of a mask, naming the resources."""
        rows = table.loc[mask.to_numpy(dtype=bool)]
        if rows.empty:
            return
        names: list[str] = list(rows["%key"].dropna().unique()[:200]) if "%key" in table else []
        text = f"{self.where}: {message}" if self.where else message
        self.issues.add(code, text, names, len(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(ABC):
    """A function from a table to one column."""

    origin: Origin = Origin.DERIVED
    comment: str = ""

    @property
    def paths(self) -> frozenset[str]:
        """The paths of the own flat table."""
        return frozenset()

    @property
    def joined(self) -> frozenset[tuple[Rows, str]]:
        """The paths of other flat tables."""
        return frozenset()

    @property
    def codelists(self) -> frozenset[str]:
        """The codelists that sources are mapped to."""
        return frozenset()

    @abstractmethod
    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        """The values, with the index of `table`; `str` unless the column says otherwise."""

    @abstractmethod
    def describe(self) -> str:
        """The rule in English."""

    def as_(self, origin: Origin, comment: str = "") -> Self:
        """The same column, documented with another origin."""
        return replace(self, origin=origin, comment=comment or self.comment)


def by_distinct(values: pd.Series, function: Callable[[str], str | None]) -> pd.Series:
    """A text function of each value, called once for each distinct one."""
    codes, uniques = pd.factorize(values)
    mapped = pd.Series([function(value) for value in uniques], dtype="str")
    out = mapped.reindex(codes)  # code -1 (missing) has no row, hence stays missing
    out.index = values.index
    return out
