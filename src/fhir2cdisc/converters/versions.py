"""Which of several states of a resource counts: the newest; and what the others are.

Copies that agree in everything that is read are told apart from different content under one
version, which leaves it to chance what is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.ledger import Status
from fhir2cdisc.core.rows import Rows

Tables = Sequence[tuple[int, Mapping[Rows, pa.Table]]]
"""What was read by part: the ledger row of its first resource, and its tables."""

_VERSION = ["key", "number", "updated"]


def supersede(ledger: pd.DataFrame, tables: Tables, issues: Issues) -> pd.Index:
    """Mark all but the newest version of each resource; give their ledger rows."""
    live = ledger[ledger["status"].isin(["", Status.UNROUTED, Status.EXCLUDED])]
    live = live[
        live["key"].duplicated(keep=False)
        | (live["official"].notna() & live.duplicated(["resource_type", "official"], keep=False))
    ]
    live = live.assign(
        number=pd.to_numeric(live["version"], errors="coerce").fillna(-1.0),
        when=pd.to_datetime(live["updated"], format="ISO8601", errors="coerce", utc=True),
    )
    order = ["number", "when", "file", "line"]
    live = live.sort_values(order, kind="stable", na_position="first")
    repeated = live[live.duplicated("key", keep="last")]
    if len(repeated):
        ledger.loc[repeated.index, ["status", "reason"]] = [Status.EXCLUDED, "superseded"]
        ledger.loc[_copies(live, tables, issues), "reason"] = "copy"
    named = live.drop(index=repeated.index)
    named = named[named["official"].notna() & (named["status"] == "")]
    named = named.sort_values(["when", "number", "key"], kind="stable", na_position="first")
    other = named[named.duplicated(["resource_type", "official"], keep="last")]
    if len(other):
        issues.add("FH0013", "", other["key"].unique()[:200], len(other))
        ledger.loc[other.index, ["status", "reason"]] = [Status.EXCLUDED, "same identifier"]
    return repeated.index.union(other.index)


def _copies(live: pd.DataFrame, tables: Tables, issues: Issues) -> pd.Index:
    """The rows that say the same as a later one of their version; others are reported."""
    twice = live[live.duplicated(_VERSION, keep=False)]
    twice = twice.assign(content=_content(twice.index.to_numpy(), tables))
    same = twice.duplicated(_VERSION, keep="last")
    copy = twice.duplicated([*_VERSION, "status", "reason", "official", "content"], keep="last")
    for code, rows in (("FH0010", twice[same & ~copy]), ("FH0019", twice[copy])):
        if len(rows):
            issues.add(code, "", rows["key"].unique()[:200], len(rows))
    return twice.index[copy]


def _content(rows: np.ndarray, tables: Tables) -> np.ndarray:
    """A number for all that was read of each resource, by ledger row: equal for equal content."""
    order = np.argsort(rows)
    total = np.zeros(len(rows), dtype=np.uint64)
    kinds = sorted({kind for _, read in tables for kind in read}, key=repr)
    salts = {kind: np.uint64(2 * n + 1) for n, kind in enumerate(kinds)}
    for start, read in tables:
        for kind, table in read.items():
            at = table["%r"].to_numpy() + start
            mine = np.isin(at, rows)
            frame = table.drop_columns(["%r"]).filter(pa.array(mine)).to_pandas()
            if frame.empty:
                continue
            at = pd.Series(at[mine])
            number = pd.util.hash_pandas_object(frame, index=False).to_numpy()
            place = at.groupby(at).cumcount().to_numpy().astype(np.uint64)
            number = number * (np.uint64(2) * place + np.uint64(1)) * salts[kind]
            np.add.at(total, order[np.searchsorted(rows, at, sorter=order)], number)
    return total
