"""Datasets that already exist -> frames: SAS transport files, Dataset-JSON 1.1 and CSV.

One dataset a file. A frame has one column a variable: Char variables are `str`, Num variables
`float64`, dates of ADaM `datetime64[s]`; missing is NA, never an empty text. Whether a variable
is Char or Num is what the SDTMIG says; in a domain of the study, what its suffix says there;
otherwise what the file says, and in a CSV file text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyreadstat

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.errors import DeclarationError, SourceError
from fhir2cdisc.sdtm import standard

SAS_EPOCH = np.datetime64("1960-01-01", "s")
DAY = 86_400
DATE_FORMATS = ("DATE", "E8601DA", "YYMMDD", "MMDDYY", "DDMMYY", "B8601DA", "IS8601DA")
DATETIME_FORMATS = ("DATETIME", "E8601DT", "B8601DT", "IS8601DT", "DATEAMPM")


def find_datasets(folder: Path, issues: Issues) -> dict[str, Path]:
    """The file of every dataset of a folder by its name in capitals, sorted by name.

    Files other than ``.xpt``, ``.json``, ``.ndjson`` and ``.csv`` are left alone. Of a dataset in
    several formats the one that keeps most is taken, in the order of `READERS`, with an issue.

    Raises:
        SourceError: a folder without a dataset, or a dataset that is there twice in one format.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give the folder with the datasets")
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        form, name = file.suffix.lower(), dataset_name(file)
        if form in READERS:
            other = found.setdefault(name, {}).setdefault(form, file)
            if other != file:
                both = f"{other.name}, {file.name}"
                raise SourceError(f"{folder}: {name} is there twice ({both}); keep one of them")
    if not found:
        raise SourceError(
            f"{folder}: no dataset; expected files like dm.xpt, dm.json, dm.ndjson or dm.csv",
        )
    for name, files in found.items():
        first, *others = sorted(files, key=list(READERS).index)
        if others:
            issues.add("SD0016", f"{first} is read, not {', '.join(others)}", [name])
        found[name] = {first: files[first]}
    return {name: file for name, files in sorted(found.items()) for file in files.values()}


def read_datasets(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """The datasets of a study by name; those of subjects must say whose their records are.

    Raises:
        SourceError: as `read_dataset`, or for a dataset without USUBJID, or DM without STUDYID.
    """
    read = {name: read_dataset(file) for name, file in files.items()}
    for name, frame in read.items():
        _check_identifiers(list(frame.columns), files[name])
    return read


def read_dataset(file: Path, encoding: str = "utf-8") -> pd.DataFrame:
    """One dataset; `encoding` is that of transport and CSV files.

    Raises `SourceError` if the file is not there, is none of the formats, or holds text in a
    variable that the SDTMIG has as number.
    """
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise SourceError(f"{file}: not a dataset; expected .xpt, .json, .ndjson or .csv")
    if not file.is_file():
        raise SourceError(f"{file}: no such file; check the path")
    frame = reader(file, encoding)
    frame = frame.set_axis([str(name).upper() for name in frame.columns], axis=1)
    _check_names(list(frame.columns), file)
    columns = {name: _conform(frame[name], dataset_name(file), file) for name in frame.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def dataset_name(file: Path) -> str:
    """``tu.xpt`` -> TU."""
    return file.stem.upper()


def _check_identifiers(names: Sequence[str], file: Path) -> None:
    """The variables without which nothing can be told of whom the records are."""
    needed = ["USUBJID"] if "USUBJID" in _known(dataset_name(file)) else []
    needed += ["STUDYID"] if dataset_name(file) == "DM" else []
    if absent := [name for name in needed if name not in names]:
        raise SourceError(
            f"{file}: no variable {' and '.join(absent)}; is the file separated by commas, with "
            "the names of the variables in its first line?"
        )


def _known(dataset: str) -> set[str]:
    try:
        return {variable.name for variable in standard.variables(dataset)}
    except DeclarationError:
        return set()


def _conform(column: pd.Series, dataset: str, file: Path) -> pd.Series:
    """A variable as its type wants it, empty text as missing."""
    kind = standard.type_of(str(column.name), dataset)
    if isinstance(column.dtype, pd.StringDtype):
        text = column.mask(column == "")
        return _to_number(text, file) if kind == "Num" else text
    if kind == "Char" and pd.api.types.is_float_dtype(column.dtype):
        return _to_text(column)
    return column


def _to_number(text: pd.Series, file: Path) -> pd.Series:
    numbers = pd.to_numeric(text.str.strip(), errors="coerce").astype("float64")
    wrong = int((numbers.isna() & text.notna()).sum()) + int(np.isinf(numbers).sum())
    if wrong:
        raise SourceError(
            f"{file}: {wrong} values of {text.name} are not numbers, and SDTMIG 3.4 has it as "
            "Num; correct them, or move them to a Char variable",
        )
    return numbers


def _to_text(numbers: pd.Series) -> pd.Series:
    """Numbers of a Char variable: whole ones without a decimal point."""
    whole = (numbers % 1 == 0) & (numbers.abs() < 2.0**53)
    plain = numbers.where(whole, 0).astype("int64").astype("str")
    return numbers.astype("str").mask(whole, plain).mask(numbers.isna())


def _read_xpt(file: Path, encoding: str) -> pd.DataFrame:
    try:
        frame, meta = pyreadstat.read_xport(
            str(file),
            encoding=encoding,
            disable_datetime_conversion=True,
        )
    except UnicodeDecodeError as error:
        raise _not_encoded(file, encoding) from error
    except pyreadstat.ReadstatError as error:
        if "convert" in str(error).lower():
            raise _not_encoded(file, encoding) from error
        raise SourceError(
            f"{file}: not a SAS transport file of version 5 or 8 ({error}); export it again",
        ) from error
    formats = meta.original_variable_types
    columns = {
        name: _sas_column(frame[name], meta.readstat_variable_types[name], formats[name] or "")
        for name in meta.column_names
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _not_encoded(file: Path, encoding: str) -> SourceError:
    return SourceError(
        f"{file}: the text is not {encoding}; name the encoding it has, such as windows-1252",
    )


def _sas_column(column: pd.Series, kind: str, form: str) -> pd.Series:
    """A variable of a transport file; numbers with a date format become dates."""
    if kind == "string":
        return column.astype("str")
    numbers = column.astype("float64")
    name = form.rstrip("0123456789.")
    if name not in DATE_FORMATS + DATETIME_FORMATS:
        return numbers
    seconds = (numbers * (DAY if name in DATE_FORMATS else 1)).fillna(0).round()
    offsets = seconds.to_numpy().astype("int64").astype("timedelta64[s]")
    return pd.Series(SAS_EPOCH + offsets, name=column.name).mask(numbers.isna())


def _read_csv(file: Path, encoding: str) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            file,
            dtype="str",
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig" if encoding == "utf-8" else encoding,
            index_col=False,
            header=None,
        )
    except UnicodeDecodeError as error:
        raise _not_encoded(file, encoding) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise SourceError(f"{file}: not a table ({error}); check the file") from error
    names = frame.iloc[0].fillna("").str.strip().tolist()
    _check_names(names, file)
    return frame.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)


def _check_names(names: Sequence[str], file: Path) -> None:
    if "" in names:
        raise SourceError(f"{file}: a column has no name; name it, or remove the column")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{file}: variable {twice[0]} is there twice; remove one of them")


def _read_json(file: Path, _encoding: str) -> pd.DataFrame:
    try:
        content = msgspec.json.decode(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: not JSON ({error}); check the file") from error
    rows = content.get("rows", []) if isinstance(content, dict) else None
    return _from_rows(file, content, rows)


def _read_ndjson(file: Path, _encoding: str) -> pd.DataFrame:
    try:
        lines = msgspec.json.Decoder().decode_lines(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: not JSON lines ({error}); check the file") from error
    return _from_rows(file, lines[0] if lines else None, lines[1:])


def _from_rows(file: Path, head: Any, rows: Any) -> pd.DataFrame:
    """The frame of a Dataset-JSON file."""
    columns = head.get("columns") if isinstance(head, dict) else None
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise SourceError(
            f"{file}: JSON, but not Dataset-JSON 1.1 (no columns); if it is FHIR, give it as the "
            "FHIR source",
        )
    names = [str(column.get("name") or "") for column in columns]
    _check_names(names, file)
    records = head.get("records", len(rows))
    if records != len(rows):
        raise SourceError(
            f"{file}: {len(rows)} rows where {records} records are announced; get the whole file",
        )
    if any(not isinstance(row, list) or len(row) != len(columns) for row in rows):
        raise SourceError(f"{file}: rows that do not have {len(columns)} values; check the file")
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pd.DataFrame(
        {
            name: _json_column(list(cells), column, file)
            for name, column, cells in zip(names, columns, values, strict=True)
        },
        index=pd.RangeIndex(len(rows)),
    )


def _json_column(cells: list[Any], column: dict[str, Any], file: Path) -> pd.Series:
    """A variable of a Dataset-JSON file by its data type."""
    kind, target = column.get("dataType"), column.get("targetDataType")
    try:
        if kind in ("date", "datetime") and target == "integer":
            dates = pd.Series(cells, dtype="str").replace("", None)
            return pd.to_datetime(dates, format="ISO8601").astype("datetime64[s]")
        if kind in ("integer", "float", "double", "boolean") or target == "decimal":
            numbers = pd.Series(cells, dtype="object").replace("", None)
            return pd.to_numeric(numbers).astype("float64")
    except (ValueError, TypeError) as error:
        raise SourceError(
            f"{file}: values of {column['name']} are not of its data type {kind}; check the file",
        ) from error
    return pd.Series(cells, dtype="str")


# What keeps most first: Dataset-JSON has types, dates and text of any length and script; a
# transport file has types, but 200 bytes of text; CSV has text only.
READERS: dict[str, Callable[[Path, str], pd.DataFrame]] = {
    ".json": _read_json,
    ".ndjson": _read_ndjson,
    ".xpt": _read_xpt,
    ".csv": _read_csv,
}
