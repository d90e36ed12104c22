"""Datasets -> Dataset-JSON 1.1, as one object (``.json``) or a line a row (``.ndjson``).

Text is kept as it is: no limit on length or characters. Dates of ADaM are ISO 8601 text that a
reader may turn into numbers again (``targetDataType``). A missing value is null.

References:
    CDISC Dataset-JSON v1.1, user's guide sections on columns and rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from fhir2cdisc.core.text import byte_lengths, is_char, iso_text
from fhir2cdisc.writers.whole import whole_file
from fhir2cdisc.writers.xpt import CREATED, FormatError

VERSION = "1.1.0"
NUMBERS = ("integer", "float", "double")
TEXTS = ("string", "decimal", "date", "datetime", "time", "URI")
LARGEST_INTEGER = 2.0**53
DISPLAY = {"date": "E8601DA.", "datetime": "E8601DT."}


def write_dataset_json(  # noqa: PLR0917  # the parts of a dataset in their usual order
    path: Path,
    name: str,
    label: str,
    frame: pd.DataFrame,
    labels: Mapping[str, str],
    types: Mapping[str, str],
    keys: Sequence[str],
    *,
    study_oid: str,
    created: datetime = CREATED,
    metadata_oid: str = "",
    metadata_ref: str = "",
    originator: str = "",
    source_system: tuple[str, str] = ("", ""),
    lengths: Mapping[str, int] | None = None,
    formats: Mapping[str, str] | None = None,
) -> None:
    """Write one dataset.

    `types` gives the data type of a variable where `default_type` is not meant (``date`` of a
    --DTC that is never partial, ``decimal``); `keys` are in key order; `lengths` of text (else
    the longest value); `formats` are display formats. OIDs are ``IG.<dataset>`` and
    ``IT.<dataset>.<variable>``, as in define.xml. `source_system` is a name and a version.

    Raises `FormatError` for a variable without label, a number that is infinite or not whole in
    an ``integer`` variable, and a type that is none of Dataset-JSON's; then no file is written.
    """
    names = [str(variable) for variable in frame.columns]
    _check_names(name, names, labels, keys)
    chosen = {v: types.get(v) or default_type(frame[v]) for v in names}
    columns = [
        {
            "itemOID": f"IT.{name}.{v}",
            "name": v,
            "label": labels[v],
            **_type(frame[v], chosen[v], (lengths or {}).get(v), (formats or {}).get(v)),
            **({"keySequence": list(keys).index(v) + 1} if v in keys else {}),
        }
        for v in names
    ]
    head: dict[str, Any] = {
        "datasetJSONCreationDateTime": created.isoformat(timespec="seconds"),
        "datasetJSONVersion": VERSION,
        "fileOID": f"{study_oid}.{name}",
        "originator": originator,
        "sourceSystem": dict(zip(("name", "version"), source_system, strict=True)),
        "studyOID": study_oid,
        "metaDataVersionOID": metadata_oid,
        "metaDataRef": metadata_ref,
        "itemGroupOID": f"IG.{name}",
        "records": len(frame),
        "name": name,
        "label": label,
        "columns": columns,
    }
    head = {key: value for key, value in head.items() if value not in ("", _NO_SYSTEM)}
    values = [_values(frame[v], chosen[v], f"{name}.{v}") for v in names]
    encoder = msgspec.json.Encoder()
    lines = encoder.encode_lines(list(zip(*values, strict=True)))
    with whole_file(path) as stream:
        if path.suffix == ".ndjson":
            stream.write(encoder.encode(head) + b"\n" + lines)
        else:
            # Inside the rows a line break is always escaped, so it only stands between them.
            rows = lines.removesuffix(b"\n").replace(b"]\n[", b"],\n[")
            object_ = msgspec.json.format(encoder.encode(head), indent=1)
            stream.write(object_.removesuffix(b"\n}") + b',\n "rows": [\n' + rows + b"\n ]\n}\n")


_NO_SYSTEM = {"name": "", "version": ""}


def default_type(column: pd.Series) -> str:
    """The data type by the values: string, integer, float, date, or datetime for ``--DTM``."""
    if is_char(column):
        return "string"
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return "datetime" if str(column.name).endswith("DTM") else "date"
    numbers = _numbers(column)
    return "integer" if _whole(numbers[~np.isnan(numbers)]) else "float"


def _check_names(
    dataset: str, names: list[str], labels: Mapping[str, str], keys: Sequence[str]
) -> None:
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise FormatError(f"{dataset}: variable {twice[0]} is there twice; rename one of them")
    if missing := [name for name in names if name not in labels]:
        raise FormatError(f"{dataset}.{missing[0]}: the variable has no label; give it one")
    if absent := [key for key in keys if key not in names]:
        raise FormatError(f"{dataset}.{absent[0]}: a key, but no variable of the dataset")


def _type(column: pd.Series, kind: str, length: int | None, form: str | None) -> dict[str, Any]:
    """The part of a variable's description that its data type settles."""
    result: dict[str, Any] = {"dataType": kind}
    if pd.api.types.is_datetime64_dtype(column.dtype):
        result["targetDataType"] = "integer"
        form = form or DISPLAY.get(kind)
    elif kind == "decimal":
        result["targetDataType"] = "decimal"
    if kind == "string":
        result["length"] = length or max(1, int(byte_lengths(column).max(initial=0)))
    if form:
        result["displayFormat"] = form
    return result


def _numbers(column: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise FormatError(f"{column.name}: {column.dtype} is neither text, number nor date")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _whole(numbers: np.ndarray) -> bool:
    """Whether all are integers that a double holds exactly."""
    return bool(((np.abs(numbers) <= LARGEST_INTEGER) & (np.trunc(numbers) == numbers)).all())


def _values(column: pd.Series, kind: str, where: str) -> list[Any]:
    """The values as JSON has them, null where missing."""
    if kind not in NUMBERS + TEXTS:
        raise FormatError(f"{where}: {kind!r} is no data type of Dataset-JSON 1.1 written here")
    if is_char(column):
        if kind in NUMBERS:
            raise FormatError(f"{where}: text cannot have the data type {kind}")
        return _or_null(column, column.isna())
    if pd.api.types.is_datetime64_dtype(column.dtype):
        if kind not in DISPLAY:
            raise FormatError(f"{where}: dates cannot have the data type {kind}")
        return _or_null(iso_text(column, time=kind == "datetime"), column.isna())
    numbers = _numbers(column)
    missing = np.isnan(numbers)
    if np.isinf(numbers).any():
        raise FormatError(f"{where}: {int(np.isinf(numbers).sum())} numbers are infinite")
    if kind == "decimal":
        return _or_null(pd.Series(numbers).astype("str"), pd.Series(missing))
    if kind not in NUMBERS:
        raise FormatError(f"{where}: numbers cannot have the data type {kind}")
    if kind != "integer":
        return _or_null(pd.Series(numbers), pd.Series(missing))
    if not _whole(numbers[~missing]):
        raise FormatError(f"{where}: numbers that are not whole in an integer variable")
    whole = pd.Series(np.where(missing, 0, numbers).astype(np.int64))
    return _or_null(whole, pd.Series(missing))


def _or_null(values: pd.Series, missing: pd.Series) -> list[Any]:
    objects = values.astype(object).to_numpy(copy=True)
    objects[missing.to_numpy()] = None
    result: list[Any] = objects.tolist()
    return result
