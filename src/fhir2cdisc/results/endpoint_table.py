"""The table of endpoints: one row a result, with everything that is needed to check it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import pandas as pd

from fhir2cdisc.results.statistics import Estimate

NE: Literal["NE"] = "NE"
"""Not estimable."""

Value = float | Literal["NE"] | None
Role = Literal["main", "supplementary"]
"""Whether a result answers the question itself, or shows what another method or cut would say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One result.

    `estimate`, `lower` and `upper` are unrounded, in `unit`; ``NE`` is not estimable, None not
    applicable (the limits of a count). `method` is the whole definition in sentences, with the
    settings in force; `dataset` and `where` are the records analysed, or of a share of the
    subjects of an analysis set those of the numerator.
    """

    id: str
    endpoint: str
    analysis_set: str
    numerator: int | None
    denominator: int | None
    statistic: str
    estimate: Value
    lower: Value
    upper: Value
    unit: str
    method: str
    dataset: str
    where: str
    role: Role = "main"


@dataclass(frozen=True, slots=True)
class EndpointTable:
    """All results, in the order in which they are read."""

    rows: tuple[Endpoint, ...]

    def __getitem__(self, id_: str) -> Endpoint:
        """The result of an id; raises KeyError."""
        for row in self.rows:
            if row.id == id_:
                return row
        raise KeyError(id_)

    def to_frame(self) -> pd.DataFrame:
        """One text column a field; numbers in full, counts without decimals, missing is NA."""
        return pd.DataFrame(
            {f.name: _column([getattr(row, f.name) for row in self.rows]) for f in fields(Endpoint)}
        )

    def to_json_object(self) -> list[dict[str, Any]]:
        """The rows as JSON objects: numbers are numbers, ``NE`` is text, missing is null."""
        return [asdict(row) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Scope:
    """The analysis set, dataset and records that a result is about."""

    analysis_set: str
    dataset: str
    where: str


def estimated(
    id_: str,
    endpoint: str,
    scope: Scope,
    counts: tuple[int | None, int | None],
    *,
    statistic: str,
    estimate: Estimate,
    unit: str,
    scale: float,
    method: str,
    role: Role = "main",
) -> Endpoint:
    """A result with limits; `scale` brings the estimate into the unit."""
    value, lower, upper = (NE if x is None else x * scale for x in estimate)
    return Endpoint(
        id=id_,
        endpoint=endpoint,
        analysis_set=scope.analysis_set,
        numerator=counts[0],
        denominator=counts[1],
        statistic=statistic,
        estimate=value,
        lower=lower,
        upper=upper,
        unit=unit,
        method=method,
        dataset=scope.dataset,
        where=scope.where,
        role=role,
    )


def plain(
    id_: str,
    endpoint: str,
    scope: Scope,
    counts: tuple[int | None, int | None],
    *,
    statistic: str,
    value: float | None,
    method: str,
    unit: str = "",
) -> Endpoint:
    """A supplementary number that has no limits: a p value, a correlation; None: not estimable."""
    return Endpoint(
        id=id_,
        endpoint=endpoint,
        analysis_set=scope.analysis_set,
        numerator=counts[0],
        denominator=counts[1],
        statistic=statistic,
        estimate=NE if value is None else value,
        lower=None,
        upper=None,
        unit=unit,
        method=method,
        dataset=scope.dataset,
        where=scope.where,
        role="supplementary",
    )


def counted(
    id_: str,
    endpoint: str,
    scope: Scope,
    counts: tuple[int, int],
    *,
    unit: str,
    method: str,
    statistic: str = "count",
    role: Role = "main",
) -> Endpoint:
    """A count of something, out of how many; it has no limits."""
    result = plain(
        id_, endpoint, scope, counts,
        statistic=statistic, value=float(counts[0]), method=method, unit=unit,
    )  # fmt: skip
    return replace(result, role=role)


def _column(values: Sequence[Value | int]) -> pd.Series:
    return pd.Series([_text(value) for value in values], dtype="str")


def _text(value: Value | int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else repr(value)
