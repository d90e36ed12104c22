"""Datasets -> SAS transport files, version 5 (XPORT): strict, vectorised, reproducible.

What a transport file cannot hold is refused, never cut: names of more than 8 characters, labels
of more than 40 bytes, values of more than 200 bytes or more than their length, text that is not
printable ASCII, numbers outside the range of the format. The same dataset gives the same bytes.

A file is made of 80-byte records: headers, a 140-byte description of each variable, and the rows
without separators. Numbers are 8-byte IBM floats (base 16), a missing number is ``.`` and zeros,
missing text is blanks.

References:
    TS-140, The Record Layout of a SAS Transport Data Set; FDA Study Data Technical Conformance
    Guide, section 3.3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from fhir2cdisc.core.text import MAX_BYTES, arrow_text, is_char, printable
from fhir2cdisc.errors import OutputError
from fhir2cdisc.writers.whole import whole_file

CREATED = datetime(2000, 1, 1)
MAX_VARIABLES = 9999
MAX_LABEL = 40
RECORD = 80
CHUNK_BYTES = 32_000_000
SAS_EPOCH = np.datetime64("1960-01-01", "s")
DAY = 86_400

_NAME = re.compile(r"[A-Z][A-Z0-9]{0,7}")
_FORMAT = re.compile(r"(\$?(?:[A-Z](?:[A-Z0-9_]*[A-Z_])?)?)(\d{0,2})(?:\.(\d{0,2}))?")
_MISSING = np.frombuffer(b".\0\0\0\0\0\0\0", dtype=np.uint8)
_SYSTEM = ("SAS", "9.4", "LINUX")
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class FormatError(OutputError):
    """A dataset that the file format cannot hold."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A variable of the file: where it stands in a row and how it is described."""

    name: str
    label: str
    char: bool
    length: int
    position: int
    format: tuple[str, int, int]


def write_xpt(  # noqa: PLR0917  # the parts of a dataset in their usual order
    path: Path,
    name: str,
    label: str,
    frame: pd.DataFrame,
    labels: Mapping[str, str],
    lengths: Mapping[str, int],
    formats: Mapping[str, str],
    *,
    created: datetime = CREATED,
) -> None:
    """Write one dataset as a transport file.

    `labels` has an entry for every variable; `lengths` for Char variables (else the longest
    value), see `max_lengths`; `formats` where wanted, as ``8.2``. ``datetime64`` variables become
    SAS days with DATE9., those named ``--DTM`` seconds with DATETIME20. Blanks at the end of a
    value are padding in this format and are not kept.

    Raises `FormatError` for whatever does not fit; then no file is written.
    """
    _check_name(name, "dataset")
    _check_label(label, name)
    fields = _fields(name, frame, labels, lengths, formats)
    width = sum(field.length for field in fields)
    rows = len(frame)
    chunk = max(1, CHUNK_BYTES // width)
    with whole_file(path) as stream:
        stream.write(_library_header(created) + _member_header(name, label, created))
        stream.write(_descriptions(fields))
        stream.write(_header("OBS", "0" * 30))
        for start in range(0, rows, chunk):
            block = _rows(name, frame.iloc[start : start + chunk], fields, width)
            stream.write(block.data)
        if rows and all(field.char for field in fields) and bool((block[-1] == 0x20).all()):
            raise FormatError(
                f"{name}: the last row has no value at all; a transport file has no row count and "
                "cannot tell it from padding; remove the row",
            )
        stream.write(b" " * (-rows * width % RECORD))


def _fields(
    dataset: str,
    frame: pd.DataFrame,
    labels: Mapping[str, str],
    lengths: Mapping[str, int],
    formats: Mapping[str, str],
) -> list[_Field]:
    """Check every variable and give it its place in the row."""
    names = [str(name) for name in frame.columns]
    if not 1 <= len(names) <= MAX_VARIABLES:
        raise FormatError(f"{dataset}: {len(names)} variables; a file has 1 to {MAX_VARIABLES}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise FormatError(f"{dataset}: variable {twice[0]} is there twice; rename one of them")
    fields: list[_Field] = []
    position = 0
    for name in names:
        where = f"{dataset}.{name}"
        _check_name(name, f"variable of {dataset}")
        if name not in labels:
            raise FormatError(f"{where}: the variable has no label; give it one")
        _check_label(labels[name], where)
        column = frame[name]
        char = is_char(column)
        length = _char_length(column, where, lengths.get(name)) if char else 8
        form = _format(formats.get(name) or _default_format(column), where, char=char)
        fields.append(_Field(name, labels[name], char, length, position, form))
        position += length
    return fields


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise FormatError(
            f"{name!r} cannot name a {what}: a letter, then at most 7 letters or digits, capitals",
        )


def _check_label(label: str, where: str) -> None:
    if not label.isascii() or not label.isprintable():
        raise FormatError(f"{where}: the label {label!r} is not printable ASCII")
    if len(label) > MAX_LABEL:
        raise FormatError(
            f"{where}: the label {label!r} has {len(label)} characters, {MAX_LABEL} are allowed; "
            "shorten it",
        )
    if not _balanced(label):
        raise FormatError(f"{where}: quotes or brackets in the label {label!r} do not match")


def _balanced(label: str) -> bool:
    if label.count('"') % 2 or label.count("'") % 2:
        return False
    opened: list[str] = []
    for character in label:
        if character in _BRACKETS.values():
            opened.append(character)
        elif character in _BRACKETS and (not opened or opened.pop() != _BRACKETS[character]):
            return False
    return not opened


def _char_length(column: pd.Series, where: str, declared: int | None) -> int:
    """The length of a Char variable, once every value is known to fit."""
    text = arrow_text(column)
    wrong = int((~printable(text)).sum())
    if wrong:
        raise FormatError(
            f"{where}: {wrong} values are not printable ASCII; transliterate them (`to_ascii`) or "
            "keep them in Dataset-JSON only",
        )
    longest = pc.max(pc.binary_length(text)).as_py() or 0
    length = max(1, longest) if declared is None else declared
    if not 1 <= length <= MAX_BYTES:
        raise FormatError(
            f"{where}: length {length}; a Char variable has 1 to {MAX_BYTES} bytes, move the rest "
            "of longer values to a supplemental qualifier",
        )
    if longest > length:
        raise FormatError(f"{where}: a value has {longest} bytes, the variable has {length}")
    return length


def _is_datetime(column: pd.Series) -> bool:
    """Whether the column holds dates; those with a zone are refused."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        raise FormatError(f"{column.name}: dates with a time zone; remove the zone first")
    return pd.api.types.is_datetime64_dtype(column.dtype)


def _default_format(column: pd.Series) -> str:
    if not _is_datetime(column):
        return ""
    return "DATETIME20." if str(column.name).endswith("DTM") else "DATE9."


def _format(text: str, where: str, *, char: bool) -> tuple[str, int, int]:
    """``DATE9.`` -> name, width, decimals."""
    found = _FORMAT.fullmatch(text)
    if found is None or len(found[1]) > 8 or (found[1] and found[1].startswith("$") != char):
        kind = "text, as $20." if char else "numbers, as 8.2 or DATE9."
        raise FormatError(f"{where}: {text!r} is not a SAS format for {kind}")
    return found[1], int(found[2] or 0), int(found[3] or 0)


def _rows(dataset: str, frame: pd.DataFrame, fields: list[_Field], width: int) -> np.ndarray:
    """The rows as a matrix of bytes."""
    matrix = np.empty((len(frame), width), dtype=np.uint8)
    for field in fields:
        column = frame[field.name]
        end = field.position + field.length
        if field.char:
            padded = pc.ascii_rpad(pc.fill_null(arrow_text(column), ""), field.length, " ")
            size = len(frame) * field.length
            start = padded.offset * field.length
            data = np.frombuffer(padded.buffers()[2], dtype=np.uint8)[start : start + size]
            matrix[:, field.position : end] = data.reshape(len(frame), field.length)
        else:
            numbers = _numbers(column, field, f"{dataset}.{field.name}")
            matrix[:, field.position : end] = ibm_floats(numbers, f"{dataset}.{field.name}")
    return matrix


def _numbers(column: pd.Series, field: _Field, where: str) -> np.ndarray:
    """A numeric variable as float64 with NaN; dates as SAS days or seconds."""
    if _is_datetime(column):
        times = column.to_numpy()
        seconds = times.astype("datetime64[s]")
        missing = np.isnat(seconds)
        if (seconds[~missing] != times[~missing]).any():
            raise FormatError(f"{where}: times with fractions of a second; round them")
        number = np.where(missing, 0, (seconds - SAS_EPOCH).astype(np.int64))
        if field.format[0] not in ("DATETIME", "E8601DT"):
            if (number % DAY != 0).any():
                raise FormatError(f"{where}: dates with a time of day; give the format DATETIME20.")
            number //= DAY
        return np.where(missing, np.nan, number.astype(np.float64))
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise FormatError(f"{where}: {column.dtype} is neither text, number nor date")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def ibm_floats(numbers: np.ndarray, where: str = "") -> np.ndarray:
    """IEEE doubles as IBM doubles, 8 big-endian bytes a number; NaN is the SAS missing value.

    Exact for every number in the range of the format, 5.4e-79 to 7.2e75 and 0: IBM has 56 bits of
    fraction where IEEE has 53. Raises `FormatError` for numbers outside.
    """
    missing = np.isnan(numbers)
    fraction, exponent = np.frexp(np.where(missing, 0.0, numbers))
    sixteens = -(-exponent // 4)
    nonzero = fraction != 0.0
    outside = ~np.isfinite(fraction) | (nonzero & ((sixteens > 63) | (sixteens < -64)))
    if outside.any():
        raise FormatError(
            f"{where}: {int(outside.sum())} numbers are infinite, above 7.2e75 or below 5.4e-79 "
            "and cannot be written; set them missing",
        )
    # |fraction| * 2**53 is a whole number; the shift of 0 to 3 bits makes the exponent a power
    # of 16.
    bits = (np.abs(fraction) * 2.0**53).astype(np.uint64)
    bits <<= (3 + exponent - 4 * sixteens).astype(np.uint64)
    bits |= np.where(nonzero, sixteens + 64, 0).astype(np.uint64) << np.uint64(56)
    bits |= (fraction < 0).astype(np.uint64) << np.uint64(63)
    result = bits.astype(">u8").view(np.uint8).reshape(len(numbers), 8)
    result[missing] = _MISSING
    return result


def _header(kind: str, rest: str) -> bytes:
    return f"HEADER RECORD*******{kind:8}HEADER RECORD!!!!!!!{rest}  ".encode("ascii")


def _stamp(created: datetime) -> str:
    months = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
    month = months[3 * created.month - 3 : 3 * created.month]
    return f"{created:%d}{month}{created:%y:%H:%M:%S}"


def _library_header(created: datetime) -> bytes:
    sas, version, system = _SYSTEM
    stamp = _stamp(created)
    first = f"{sas:8}{sas:8}{'SASLIB':8}{version:8}{system:8}{'':24}{stamp}"
    return _header("LIBRARY", "0" * 30) + f"{first}{stamp:80}".encode("ascii")


def _member_header(name: str, label: str, created: datetime) -> bytes:
    sas, version, system = _SYSTEM
    stamp = _stamp(created)
    first = f"{sas:8}{name:8}{'SASDATA':8}{version:8}{system:8}{'':24}{stamp}"
    second = f"{stamp}{'':16}{label:40}{'':8}"
    return (
        _header("MEMBER", f"{'0' * 17}1600000000140")
        + _header("DSCRPTR", "0" * 30)
        + f"{first}{second}".encode("ascii")
    )


def _descriptions(fields: list[_Field]) -> bytes:
    """The NAMESTR header and one NAMESTR of 140 bytes a variable."""
    content = b"".join(
        struct.pack(
            ">hhhh8s40s8shhh2s8shhl52s",
            2 if field.char else 1,
            0,
            field.length,
            number,
            f"{field.name:8}".encode("ascii"),
            f"{field.label:40}".encode("ascii"),
            f"{field.format[0]:8}".encode("ascii"),
            field.format[1],
            field.format[2],
            0,
            b"",
            b" " * 8,
            0,
            0,
            field.position,
            b"",
        )
        for number, field in enumerate(fields, start=1)
    )
    header = _header("NAMESTR", f"{len(fields):010}{'0' * 20}")
    return header + content + b" " * (-len(content) % RECORD)
