"""The one type that flows from SDTM to ADaM to the writers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from fhir2cdisc.core.column import Column

TRACE_COLUMNS = ("row", "parent_kind", "parent", "parent_key", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One SDTM or ADaM dataset with the declaration of every variable.

    `frame` has exactly the declared variables, in the standard's order, sorted by `keys`:
    Char variables are `str`, Num variables `float64`, ADaM dates `datetime64[s]`; missing is NA.
    `trace` says where each row comes from, at least one line for each row, with the columns of
    `TRACE_COLUMNS`: `row` is the position in `frame`, `parent_kind` is ``FHIR``, ``SDTM`` or
    ``ADAM``, `parent` the resource type or dataset, `parent_key` the resource id or the
    ``USUBJID|SEQ`` of the parent record, `version` the FHIR versionId.
    """

    name: str
    label: str
    keys: tuple[str, ...]
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    labels: Mapping[str, str]
    trace: pd.DataFrame = field(repr=False)

    def __post_init__(self) -> None:
        if list(self.frame.columns) != list(self.labels):
            raise ValueError(f"{self.name}: variables and labels differ")


def no_trace() -> pd.DataFrame:
    """An empty trace."""
    return pd.DataFrame({name: pd.Series(dtype="str") for name in TRACE_COLUMNS}).astype(
        {"row": "int64"}
    )
