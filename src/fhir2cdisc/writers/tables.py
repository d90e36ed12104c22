"""Datasets -> Parquet and CSV, for those who go on with the data elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fhir2cdisc.core.text import is_char, iso_text
from fhir2cdisc.writers.whole import whole_file

LARGEST_PLAIN = 2.0**53


def write_parquet(path: Path, frame: pd.DataFrame, labels: Mapping[str, str]) -> None:
    """Write one dataset as Parquet: text, doubles, dates (``date32``; ``--DTM`` timestamps).

    The label of a variable is the metadata ``label`` of its field. There is no index and no
    pandas metadata; the same dataset gives the same bytes with the same version of pyarrow.
    """
    arrays, fields = [], []
    for name in map(str, frame.columns):
        array = _array(frame[name])
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata={"label": labels.get(name, "")}))
    with whole_file(path) as stream:
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), stream)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write one dataset as CSV: UTF-8, lines end in LF, missing is empty, dates ISO 8601.

    Whole numbers have no decimal point; other numbers have the digits that give them back.
    """
    text = pd.DataFrame({str(name): _text(frame[name]) for name in frame.columns})
    with whole_file(path) as stream:
        text.to_csv(stream, index=False, lineterminator="\n", encoding="utf-8")


def _array(column: pd.Series) -> pa.Array:
    """A variable as one Arrow array."""
    if is_char(column):
        array = pa.array(column, type=pa.string(), from_pandas=True)
    elif pd.api.types.is_datetime64_dtype(column.dtype):
        timestamps = str(column.name).endswith("DTM")
        array = pa.array(column, type=pa.timestamp("ms") if timestamps else pa.date32())
    else:
        array = pa.array(column, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _text(column: pd.Series) -> pd.Series:
    """A variable as the text of its CSV cells."""
    if is_char(column):
        return column.reset_index(drop=True)
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return iso_text(column, time=str(column.name).endswith("DTM"))
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    result = pd.Series(pc.cast(pa.array(numbers, from_pandas=True), pa.string()).to_pandas())
    whole = (numbers % 1 == 0) & (np.abs(numbers) < LARGEST_PLAIN)
    return result.mask(whole, pd.Series(np.where(whole, numbers, 0).astype(np.int64)).astype("str"))
