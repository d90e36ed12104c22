"""Text that a SAS transport file can hold: printable ASCII, at most 200 bytes a value.

Policy is the caller's: these functions say which values do not fit and offer the nearest ASCII.

References:
    TS-140, The Record Layout of a SAS Transport Data Set; FDA Study Data Technical Conformance
    Guide, section 3.3 (file format, variable length, ASCII text).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MAX_BYTES = 200
PRINTABLE = r"^[\x20-\x7e]*$"
REPLACEMENT = "?"

# What NFKD does not take apart.
TYPOGRAPHIC = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": ",", "\u201b": "'", "\u2032": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-",
        "\u2212": "-", "\u00ad": "", "\u200b": "", "\ufeff": "",
        "\u2264": "<=", "\u2265": ">=", "\u2260": "<>", "\u00b1": "+/-", "\u00d7": "x",
        "\u00f7": "/", "\u2044": "/", "\u00b7": ".", "\u2022": "-", "\u00b0": "deg ",
        "\u00b5": "u", "\u03bc": "u", "\u03b1": "alpha", "\u03b2": "beta", "\u03b3": "gamma",
        "\u03ba": "kappa", "\u03bb": "lambda", "\u0394": "delta", "\u03b4": "delta",
        "\u00e6": "ae", "\u00c6": "AE", "\u0153": "oe", "\u0152": "OE", "\u00f8": "o",
        "\u00d8": "O", "\u00df": "ss", "\u00f0": "d", "\u00d0": "D", "\u00fe": "th",
        "\u00de": "Th", "\u0142": "l", "\u0141": "L", "\u0131": "i", "\u0111": "d", "\u0110": "D",
        "\u00a9": "(C)", "\u00ae": "(R)",
    }
)  # fmt: skip
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def is_char(series: pd.Series) -> bool:
    """Whether the column holds text."""
    return isinstance(series.dtype, pd.StringDtype)


def is_among(values: pd.Series | pd.Index, among: pd.Series | pd.Index) -> np.ndarray:
    """Which texts are among others; unlike pandas' `isin` it does not take long if these are many.

    Missing values are among nothing.
    """
    index = pd.Index(pd.Series(among).dropna().unique())
    found: np.ndarray = index.get_indexer(pd.Index(values)) >= 0
    return found


def iso_text(dates: pd.Series, *, time: bool) -> pd.Series:
    """Dates as ISO 8601 text, to the day or with the time to the second; index 0, 1, 2 ..."""
    seconds: np.ndarray = dates.to_numpy().astype("datetime64[s]")
    text = np.datetime_as_string(seconds if time else seconds.astype("datetime64[D]"))
    return pd.Series(text, dtype="str").where(dates.notna().to_numpy())


def arrow_text(series: pd.Series) -> pa.Array:
    """A Char variable as one Arrow array, without the trailing blanks SAS does not know."""
    text = pa.array(series, type=pa.large_string(), from_pandas=True)
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    return pc.ascii_rtrim(text, " ")


def byte_lengths(series: pd.Series) -> np.ndarray:
    """The length of every value in UTF-8 bytes, trailing blanks not counted; missing is 0."""
    lengths = pc.fill_null(pc.binary_length(arrow_text(series)), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), dtype=np.int64)


def printable(text: pa.Array) -> np.ndarray:
    """Which values are printable ASCII; missing values are."""
    data = text.buffers()[2]
    if data is None or _all_printable(np.frombuffer(data, dtype=np.uint8)):
        return np.ones(len(text), dtype=bool)
    matches = pc.fill_null(pc.match_substring_regex(text, PRINTABLE), fill_value=True)
    return np.asarray(matches.to_numpy(zero_copy_only=False), dtype=bool)


def ascii_problems(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Which values a transport file cannot hold: not printable ASCII, or over 200 bytes.

    A mask of the rows for every variable that has such values, and no entry for the others.
    """
    found: dict[str, pd.Series] = {}
    for name in frame.columns:
        if not is_char(frame[name]):
            continue
        wrong = ~printable(arrow_text(frame[name])) | (byte_lengths(frame[name]) > MAX_BYTES)
        if wrong.any():
            found[str(name)] = pd.Series(wrong, index=frame.index, name=name)
    return found


def to_ascii(series: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The nearest printable ASCII, and a mask of the values where something became ``?``.

    Accents are dropped, typographic marks become plain ones, line breaks and tabs a blank.
    A value may grow: its length is to be checked afterwards. Only distinct values that need it
    are rewritten.
    """
    text = arrow_text(series)
    wrong = ~printable(text)
    lost = pd.Series(data=False, index=series.index)
    if not wrong.any():
        return series, lost
    values = series[wrong]
    mapped = {value: _ascii(value) for value in values.unique()}
    result = series.copy()
    result[wrong] = values.map({value: ascii_text for value, (ascii_text, _) in mapped.items()})
    lost[wrong] = values.map({value: was_lost for value, (_, was_lost) in mapped.items()})
    return result, lost


def max_lengths(frames: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, int]]:
    """The lengths of the Char variables by dataset: the longest value in the whole study.

    A variable has one length in all datasets, at least 1; each SUPP-- has lengths of its own.
    """
    own = {
        dataset: {
            str(name): max(1, int(byte_lengths(frame[name]).max(initial=0)))
            for name in frame.columns
            if is_char(frame[name])
        }
        for dataset, frame in frames.items()
    }
    study: dict[str, int] = {}
    for dataset, lengths in own.items():
        if not dataset.startswith("SUPP"):
            for name, length in lengths.items():
                study[name] = max(length, study.get(name, 1))
    return {
        dataset: lengths if dataset.startswith("SUPP") else {name: study[name] for name in lengths}
        for dataset, lengths in own.items()
    }


def _all_printable(data: np.ndarray) -> bool:
    return data.size == 0 or bool((data >= 0x20).all() and (data <= 0x7E).all())


def _ascii(value: str) -> tuple[str, bool]:
    """One value as printable ASCII, and whether a character had no counterpart."""
    plain = unicodedata.normalize("NFKD", value.translate(TYPOGRAPHIC)).translate(TYPOGRAPHIC)
    plain = "".join(c for c in re.sub(r"\s", " ", plain) if not unicodedata.combining(c))
    plain, lost = _UNPRINTABLE.subn(REPLACEMENT, plain)
    return plain, lost > 0
