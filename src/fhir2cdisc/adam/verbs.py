"""Verbs of the derivations: operations in segments, records of BDS datasets.

A *segment* is a run of equal codes in a sorted array of non-negative integers, such as the
assessments of one subject in their order. All functions work on whole columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir2cdisc.adam import standard
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derived
from fhir2cdisc.core.variables import date, distinct_codes, number, report, text
from fhir2cdisc.core.verbs import described, predecessor
from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.sdtm.supp import merge_supp

# What the verbs of every room share, known here by the same names.
__all__ = ["date", "distinct_codes", "merge_supp", "number", "report", "text"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_DAY = np.iinfo(np.int64).min  # what numpy makes of NaT

WHOLE = "%STUDY"
"""Name among the datasets of what is a matter of the whole study (`adam.whole`)."""


# ADSL variables that every record of a BDS dataset carries.
SUBJECT_VARIABLES = (
    "STUDYID", "USUBJID", "SUBJID", "SITEID", "AGE", "SEX", "TRT01P", "TRT01A",
    "TRTSDT", "TRTEDT", "STARTDT0", "ENRLFL", "FASFL", "SAFFL", "EVLFL", "NIEVLFL",
)  # fmt: skip

# Their labels where the standard has none.
SUBJECT_LABELS = {
    "STARTDT0": "Study Clock Start Date",
    "EVLFL": "Response Evaluable Population Flag",
    "NIEVLFL": "Non-Irradiated Evaluable Population Flag",
}


def frame_of(data: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """A dataset; without records if there is none."""
    if name in data:
        return data[name]
    return pd.DataFrame({"USUBJID": pd.Series(dtype="str")})


# -- operations in segments -------------------------------------------------------------------


def segment_starts(segment: Ints) -> Bools:
    """True on the first row of each segment."""
    starts = np.ones(len(segment), dtype=bool)
    starts[1:] = segment[1:] != segment[:-1]
    return starts


def ever_before(flags: Bools, segment: Ints) -> Bools:
    """True where a row further up in the segment has the flag."""
    if not len(flags):
        return flags
    count: Ints = np.cumsum(flags) - flags
    at_start = np.flatnonzero(segment_starts(segment))
    offset: Ints = np.repeat(count[at_start], np.diff(np.append(at_start, len(flags))))
    return np.asarray(count > offset)


def smallest_before(values: Floats, segment: Ints) -> Floats:
    """The smallest value further up in the segment; missing values are passed over."""
    running = (
        pd.Series(np.where(np.isnan(values), np.inf, values)).groupby(segment).cummin().to_numpy()
    )
    out = np.full(len(values), np.inf)
    out[1:] = running[:-1]
    out[segment_starts(segment)] = np.inf
    return np.where(np.isinf(out), np.nan, out)


def first_row(flags: Bools, segment: Ints, segments: int) -> Ints:
    """For each of so many segments the position of its first flagged row, -1 if there is none."""
    out = np.full(segments, -1, dtype=np.int64)
    rows = np.flatnonzero(flags)
    rows = rows[segment_starts(segment[rows])]
    out[segment[rows]] = rows
    return out


def last_row(flags: Bools, segment: Ints, segments: int) -> Ints:
    """For each of so many segments the position of its last flagged row, -1 if there is none."""
    out = np.full(segments, -1, dtype=np.int64)
    rows = np.flatnonzero(flags)
    out[segment[rows]] = rows  # of several, the last assignment stays
    return out


def take(values: Array, rows: Ints, missing: Any) -> Array:
    """The values at positions; `missing` where the position is -1."""
    if not len(values):
        return np.full(len(rows), missing)
    return np.where(rows >= 0, values[np.maximum(rows, 0)], missing)


def total(values: pd.Series, code: Ints, size: int) -> Floats:
    """For each of so many codes the sum; missing where a value is, or where there is none."""
    summed = np.bincount(code, values.to_numpy(np.float64), minlength=size)
    return np.where(np.bincount(code, minlength=size) > 0, summed, np.nan)


def cross(sizes: Ints, starts: Ints) -> Ints:
    """For each size n and start s the positions s, s+1, ... s+n-1, one after the other."""
    ends = np.cumsum(sizes)
    within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
    return np.asarray(np.repeat(starts, sizes) + within, dtype=np.int64)


def days_of(values: pd.Series) -> Ints:
    """Dates as days since 1970-01-01; `NO_DAY` where missing."""
    return values.to_numpy("datetime64[D]").astype(np.int64)


def dates_of(days: Ints) -> pd.Series:
    """Days since 1970-01-01 as `datetime64[s]`."""
    return pd.Series(days.astype("datetime64[D]").astype("datetime64[s]"))


# -- BDS records ------------------------------------------------------------------------------


def complete_records(
    records: pd.DataFrame, adsl: pd.DataFrame, keys: Sequence[str]
) -> pd.DataFrame:
    """BDS records with the ADSL variables, ADY and ASEQ, sorted by `keys` within the subject.

    `records` has ADT and USUBJID, or in its place ``subject``, the row in ADSL; a record of nobody
    in ADSL is left out. ADY counts from TRTSDT, or where there was no treatment from STARTDT0.
    ASEQ numbers the records of a subject. The column ``before`` says where a record stood.
    """
    if "subject" in records:
        subject = records["subject"].to_numpy(dtype=np.int64)
    else:
        names = pd.Index(adsl["USUBJID"].astype("str"))
        subject = names.get_indexer(pd.Index(records["USUBJID"].astype("str"))).astype(np.int64)
    order = records[[k for k in keys if k not in ("STUDYID", "USUBJID")]].assign(subject_=subject)
    order = order.reset_index(drop=True)
    by = ["subject_", *(k for k in order.columns if k != "subject_")]
    position = order.sort_values(by, kind="stable").index.to_numpy()
    position = position[subject[position] >= 0]
    out: pd.DataFrame = records.iloc[position].reset_index(drop=True)
    row = subject[position]
    out["before"] = position
    for name in SUBJECT_VARIABLES:
        out[name] = _of_subject(adsl, name).take(row).set_axis(out.index)
    first = out["TRTSDT"].where(out["TRTSDT"].notna(), out["STARTDT0"])
    elapsed = (out["ADT"] - first).dt.days.astype("float64")
    out["ADY"] = elapsed.where(elapsed < 0, elapsed + 1)
    starts = np.flatnonzero(segment_starts(row))
    sizes = np.diff(np.append(starts, len(row)))
    out["ASEQ"] = (np.arange(len(row)) - np.repeat(starts, sizes) + 1).astype("float64")
    return out


def _of_subject(adsl: pd.DataFrame, name: str) -> pd.Series:
    if name == "AGE":
        return number(adsl, name)
    if name in ("TRTSDT", "TRTEDT", "STARTDT0"):
        return date(adsl, name)
    return text(adsl, name)


def subject_columns() -> dict[str, Column]:
    """The declarations of the subject variables."""
    return {name: predecessor(f"ADSL.{name}") for name in SUBJECT_VARIABLES}


def texts(values: Sequence[str | None], codes: Ints | Bools) -> pd.Series:
    """The text of each code, its position in `values`."""
    return pd.Series(list(values), dtype="str").take(codes).reset_index(drop=True)


def flags(mask: Bools | pd.Series) -> pd.Series:
    """Y where true, else missing."""
    return texts([None, "Y"], np.asarray(mask, dtype=np.int64))


def day_dates(days: Floats) -> pd.Series:
    """Days since 1970-01-01 (NaN: unknown) as `datetime64[s]`."""
    return dates_of(np.where(np.isnan(days), NO_DAY, days).astype(np.int64))


def analysis_weeks(
    days: Floats, start: Floats, post: Bools, baseline: Bools, interval: int
) -> Floats:
    """AVISITN: the planned week nearest to a date.

    Planned assessments are every `interval` days from the start; a post-baseline date before the
    middle of the first interval belongs to the first. It is 0 at baseline and -1 at what else
    precedes treatment.
    """
    nearest = np.maximum(np.floor((days - start) / interval + 0.5), 1)
    return np.where(baseline, 0.0, np.where(post, nearest * interval / 7, -1.0))


def analysis_visits(weeks: Floats) -> pd.Series:
    """AVISIT of each AVISITN."""
    code, distinct = pd.factorize(weeks)
    named = {0.0: "Baseline", -1.0: "Screening"}
    return texts([None, *(named.get(w, f"Week {w:g}") for w in distinct.tolist())], code + 1)


VISIT_COLUMNS: dict[str, Column] = {
    "AVISIT": described(
        "AVISIT",
        "Baseline where AVISITN is 0, Screening where it is -1, else Week with AVISITN",
    ),
    "AVISITN": described(
        "AVISITN",
        "0 at baseline; -1 before it; else the planned week nearest to ADT: round((ADT - STARTDT0)"
        " / planned interval), at least 1, times the planned interval in weeks",
    ),
}
ADY: Column = described(
    "ADY", "ADT minus TRTSDT (STARTDT0 if never treated), plus 1 if not negative"
)
ASEQ: Column = described("ASEQ", "1, 2, 3 ... within the subject, in the order of the keys")


def labels(columns: Mapping[str, Column], own: Mapping[str, str]) -> dict[str, str]:
    """A label for each column: the one given, else that of the standard."""
    given = {**SUBJECT_LABELS, **own}
    return {name: given[name] if name in given else _standard_label(name) for name in columns}


def _standard_label(name: str) -> str:
    try:
        return standard.variable(name).label
    except DeclarationError:
        raise DeclarationError(f"{name}: has no label; declare one beside it") from None


def record_keys(frame: pd.DataFrame, sequence: str) -> pd.Series:
    """``USUBJID|--SEQ`` of each record."""
    seq = number(frame, sequence).fillna(0).astype("int64").astype("str")
    keys: pd.Series = frame["USUBJID"].astype("str") + "|" + seq
    return keys.reset_index(drop=True)


def parents(row: Array, parent: str, frame: pd.DataFrame, sequence: str, at: Array) -> pd.DataFrame:
    """Lines of a trace: record `row` comes from the records `at` of a dataset (-1: none)."""
    return parents_of(row, parent, record_keys(frame, sequence), at)


def parents_of(row: Array, parent: str, keys: pd.Series, at: Array) -> pd.DataFrame:
    """Lines of a trace: record `row` comes from the record with the key at `at` (-1: none)."""
    known = (at >= 0) & (row >= 0)
    found = keys.take(at[known]).reset_index(drop=True)
    return pd.DataFrame({"row": row[known], "parent": parent, "parent_key": found})


def derived(frame: pd.DataFrame, traces: Sequence[pd.DataFrame]) -> Derived:
    """A derived frame with its trace put together."""
    types = {"row": "int64", "parent": "str", "parent_key": "str"}
    empty = pd.DataFrame({name: pd.Series(dtype=t) for name, t in types.items()})
    return Derived(frame, pd.concat([empty, *traces], ignore_index=True).astype(types))


def derived_of_subjects(frame: pd.DataFrame, traces: Sequence[pd.DataFrame]) -> Derived:
    """The same for records of which some have no other parent than the subject."""
    has = np.zeros(len(frame), dtype=bool)
    for lines in traces:
        has[lines["row"].to_numpy(dtype=np.int64)] = True
    rest = np.flatnonzero(~has)
    return derived(frame, [*traces, parents_of(rest, "ADSL", frame["USUBJID"], rest)])
