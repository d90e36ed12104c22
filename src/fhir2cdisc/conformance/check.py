"""What a check is, and how checks are run.

A finding is a record that breaks a rule. Findings of one rule and message are one issue; the
listing has every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir2cdisc.core.issue import CATALOGUE, SAMPLES, Issues
from fhir2cdisc.core.variables import text
from fhir2cdisc.study import Study

Frames = Mapping[str, pd.DataFrame]
Prepare = Callable[[Frames, Study], Any]

FINDING = ("dataset", "USUBJID", "record", "message")
COLUMNS = ("rule", "code", "severity", *FINDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule.

    `rule` says in a sentence how it should be, `source` where that is written. `needs` are the
    datasets without which nothing can be said. `prepare` makes of all datasets what the check
    looks at; it runs once for all checks that name it. `find` gives the findings: the columns of
    `FINDING`, one row a record (see `records`).
    """

    id: str
    code: str
    rule: str
    source: str
    needs: tuple[str, ...]
    prepare: Prepare
    find: Callable[[Any], pd.DataFrame]


def run_checks(checks: Sequence[Check], data: Frames, study: Study, issues: Issues) -> pd.DataFrame:
    """The findings of all checks, in their order, with the columns of `COLUMNS`.

    `data` has SDTM and ADaM datasets by name. A check that needs a dataset which is not there
    finds nothing.
    """
    prepared: dict[Prepare, Any] = {}
    parts = [pd.DataFrame({name: pd.Series(dtype="str") for name in COLUMNS})]
    for check in checks:
        if not all(name in data for name in check.needs):
            continue
        if check.prepare not in prepared:
            prepared[check.prepare] = check.prepare(data, study)
        found = check.find(prepared[check.prepare])
        _report(check, found, issues)
        severity = str(CATALOGUE[check.code].severity)
        parts.append(found.assign(rule=check.id, code=check.code, severity=severity))
    every = pd.concat(parts, ignore_index=True)[list(COLUMNS)]
    # T2 before T10: a shorter name of the same kind of record has the smaller number.
    width = every["record"].str.len()
    order = ["rule", "dataset", "USUBJID", "message", "width", "record"]
    listing = every.assign(width=width).sort_values(order, kind="stable", ignore_index=True)
    return listing[list(COLUMNS)].astype("str")


def _report(check: Check, found: pd.DataFrame, issues: Issues) -> None:
    """One issue for each message."""
    for message, mine in found.groupby("message"):
        shown = mine.sort_values(["USUBJID", "record"]).head(SAMPLES)
        samples = shown["USUBJID"] + " " + shown["record"]
        issues.add(check.code, str(message), samples.tolist(), len(mine))


def records(
    dataset: str,
    frame: pd.DataFrame,
    broken: npt.NDArray[np.bool_] | pd.Series,
    message: str | pd.Series,
    key: str,
) -> pd.DataFrame:
    """The rows that break a rule as findings: `key` is the variable that names the record."""
    mine = frame[np.asarray(broken, dtype=bool)]
    # A number of a record is a whole one.
    record = f"{key} " + text(mine, key).str.replace(r"\.0$", "", regex=True).fillna("none")
    found = {"dataset": dataset, "USUBJID": mine["USUBJID"], "record": record, "message": message}
    return pd.DataFrame(found, columns=list(FINDING), index=mine.index).astype("str")


def together(*parts: pd.DataFrame) -> pd.DataFrame:
    """The findings of several conditions of one rule."""
    none = pd.DataFrame({name: pd.Series(dtype="str") for name in FINDING})
    return pd.concat([none, *parts], ignore_index=True)
