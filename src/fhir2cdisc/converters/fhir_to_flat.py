"""FHIR resources -> one flat table per kind of row, each resource visited once.

1. A resource is taken only if some table of the plan wants it (type, codes, profile).
2. Gates keep out what must not be used (entered in error, not done, …), with the reason.
3. Every path of the plan is read into a list; lists become Arrow, so that memory grows with the
   rows kept and parts can come from other processes.
4. `merge_parts` keeps the newest version of each resource and drops the rows of the others.

Every resource is in the ledger, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fhir2cdisc.converters.versions import supersede
from fhir2cdisc.core.issue import Issue, Issues
from fhir2cdisc.core.ledger import Status
from fhir2cdisc.core.path import (
    Resource,
    ShapeError,
    compile_match,
    compile_nodes,
    compile_paths,
)
from fhir2cdisc.core.plan import ReadingPlan
from fhir2cdisc.core.rows import Coded, Profile, Rows

ValueSets = Mapping[str, frozenset[tuple[str, str]]]
Canonical = Callable[[str], str]
_SHAPE = (AttributeError, TypeError, KeyError, ShapeError)
_ROOT = "%resource."


Entry = tuple[int, Resource | None, str, str, int]
"""One item of a source: line, parsed resource or None, why there is none (a reason of the ledger,
``: `` and what more is known), fullUrl, number in the Bundle if that stands on the line, else 0."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was read from a piece of the input; Arrow tables, cheap to send between processes.

    The ``%r`` of the tables are rows of the ledger of this part.
    """

    ledger: pa.Table
    tables: dict[Rows, pa.Table]
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class Flats:
    """The flat tables by `Rows` and the ledger, one row a resource.

    A flat table has a `str` column for each path, ``%r`` (its row in the ledger) and ``%key``
    (``Type/id``). The ledger has file, line, key, resource_type, id, version, status, reason.
    """

    tables: dict[Rows, pd.DataFrame]
    ledger: pd.DataFrame


LEDGER_SCHEMA = pa.schema(
    [(n, pa.string()) for n in ("resource_type", "id", "version", "updated", "status", "reason")]
    + [("official", pa.string()), ("url", pa.string()), ("line", pa.int64())]
)


def _place(file: str, line: int, part: int) -> str:
    return f"{file}:{line}.{part}" if part else f"{file}:{line}"


def _ignore(_number: int) -> None:
    """Of several identifiers the first decides."""


class _Columns:
    """One flat table while it is read: a tuple a row."""

    __slots__ = (
        "cells",
        "first_own",
        "key",
        "names",
        "nodes",
        "numbers",
        "own",
        "root",
        "rows",
        "several",
    )

    def __init__(self, rows: Rows, paths: Sequence[str]) -> None:
        self.rows = rows
        # Names with a per cent sign are added by later steps, not read.
        root = [path for path in paths if path.startswith(_ROOT)]
        own = [path for path in paths if not path.startswith("%")]
        self.names, self.first_own = [*root, *own], len(root)
        self.nodes = compile_nodes(rows.each) if rows.each else None
        self.root, self.own = compile_paths(root), compile_paths(own)
        self.several: dict[str, list[str]] = {}
        self.cells: list[tuple[str | None, ...]] = []
        self.numbers: list[int] = []
        self.key = ""

    def clear(self) -> None:
        """Begin a new piece of input."""
        self.several, self.cells, self.numbers = {}, [], []

    def read(self, resource: Resource, key: str) -> list[tuple[str | None, ...]]:
        """The values of the rows of a resource, in the order of `names`; all or nothing."""
        self.key = key
        if self.nodes is None:
            return [self.own(resource, self._many_own)]
        nodes = self.nodes(resource)
        if not nodes:
            return []
        shared = self.root(resource, self._many_root)
        return [shared + self.own(node, self._many_own) for node in nodes]

    def _many_root(self, number: int) -> None:
        self.several.setdefault(self.names[number], []).append(self.key)

    def _many_own(self, number: int) -> None:
        self._many_root(self.first_own + number)

    def add(self, rows: list[tuple[str | None, ...]], number: int) -> None:
        self.cells += rows
        self.numbers += [number] * len(rows)

    def table(self) -> pa.Table:
        columns = [pa.array(column, pa.string()) for column in zip(*self.cells, strict=True)]
        return pa.table([pa.array(self.numbers, pa.int64()), *columns], names=["%r", *self.names])


class _Router:
    """Which tables want a resource of one type: sets of rows and criteria as bits."""

    def __init__(
        self,
        tables: Mapping[Rows, _Columns],
        set_aside: Mapping[Rows, str],
        valuesets: ValueSets,
        canonical: Canonical,
    ) -> None:
        self.tables, self.set_aside = tables, set_aside
        self.canonical = canonical
        self.rows = [*tables, *set_aside]
        barred = sorted({c for r in self.rows for c in r.unless}, key=repr)
        self.elements: dict[str, dict[tuple[str, str], int]] = {}
        self.profiles: dict[str, int] = {}
        self.always = 0
        for number, row in enumerate(self.rows):
            if not row.of:
                self.always |= 1 << number
            for criterion in row.of:
                self._index(criterion, 1 << number, valuesets)
        for number, criterion in enumerate(barred, start=len(self.rows)):
            self._index(criterion, 1 << number, valuesets)
        bit = {criterion: 1 << n for n, criterion in enumerate(barred, start=len(self.rows))}
        self.unless = [sum(bit[c] for c in row.unless) for row in self.rows]
        self.lacking = [(1 << n, row.lacks) for n, row in enumerate(self.rows) if row.lacks]
        self.sets: dict[int, tuple[tuple[_Columns, ...], str] | None] = {0: None}

    def _index(self, criterion: Coded | Profile, bit: int, valuesets: ValueSets) -> None:
        if isinstance(criterion, Profile):
            self.profiles[criterion.url] = self.profiles.get(criterion.url, 0) | bit
            return
        codes = self.elements.setdefault(criterion.element, {})
        for code in valuesets[criterion.valueset]:
            codes[code] = codes.get(code, 0) | bit

    def __call__(self, resource: Resource) -> tuple[tuple[_Columns, ...], str] | None:
        """The tables that want it, and the reason if it is set aside; None if nothing does."""
        found = self.always
        for element, codes in self.elements.items():
            concept = resource.get(element)
            if concept is None:
                continue
            for coding in concept.get("coding") or ():
                pair = (coding.get("system", ""), coding.get("code", ""))
                bits = codes.get(pair)
                if bits is None:  # another name of the system; what it means is kept
                    bits = codes[pair] = codes.get((self.canonical(pair[0]), pair[1]), 0)
                found |= bits
        if self.profiles:
            for profile in (resource.get("meta") or {}).get("profile") or ():
                found |= self.profiles.get(profile.partition("|")[0], 0)
        for bit, element in self.lacking:
            if found & bit and element in resource:
                found &= ~bit
        if found not in self.sets:
            self.sets[found] = self._wanted(found)
        return self.sets[found]

    def _wanted(self, found: int) -> tuple[tuple[_Columns, ...], str] | None:
        rows = [
            row
            for number, row in enumerate(self.rows)
            if found >> number & 1 and not self.unless[number] & found
        ]
        tables = tuple(self.tables[row] for row in rows if row in self.tables)
        aside = [self.set_aside[row] for row in rows if row in self.set_aside]
        return (tables, aside[0] if aside else "") if rows else None


class FlatReader:
    """The compiled plan: feed it the entries of a piece of input, get a `Part`."""

    def __init__(
        self,
        plan: ReadingPlan,
        valuesets: ValueSets,
        canonical: Canonical,
        is_type: Callable[[str], bool],
        explain: Callable[[Resource], str],
    ) -> None:
        self.plan = plan
        self.is_type = is_type
        self.explain = explain
        by_type = sorted({rows.resource for rows in (*plan.tables, *plan.set_aside)})
        self.tables = {rows: _Columns(rows, paths) for rows, paths in plan.tables.items()}
        self.routers = {
            kind: _Router(
                {r: columns for r, columns in self.tables.items() if r.resource == kind},
                {r: reason for r, reason in plan.set_aside.items() if r.resource == kind},
                valuesets,
                canonical,
            )
            for kind in by_type
        }
        self.gates = {
            kind: [gate for gate in plan.gates if gate.resource in {kind, "*"}] for kind in by_type
        }
        self.barred = {
            kind: compile_match([(gate.path, gate.equals) for gate in gates])
            for kind, gates in self.gates.items()
        }
        self.identity = {kind: compile_paths(paths) for kind, paths in plan.identity.items()}

    def read(self, entries: Iterable[Entry], file: str, issues: Issues) -> Part:
        """Read the entries of one file (or piece of it); `file` is how messages name it.

        `issues` may fill while the entries are read; all of them are in the part.
        """
        for columns in self.tables.values():
            columns.clear()
        lines = [self._entry(entry, n, file, issues) for n, entry in enumerate(entries)]
        columns_of_ledger = zip(*lines, strict=True) if lines else ((),) * len(LEDGER_SCHEMA)
        ledger = [
            pa.array(values, field.type)
            for values, field in zip(columns_of_ledger, LEDGER_SCHEMA, strict=True)
        ]
        for columns in self.tables.values():
            for path, keys in columns.several.items():
                issues.add("FH0007", f"{columns.rows.resource}.{path}", keys[:200], len(keys))
        return Part(
            ledger=pa.table(ledger, schema=LEDGER_SCHEMA),
            tables={
                rows: columns.table() for rows, columns in self.tables.items() if columns.numbers
            },
            issues=tuple(issues),
        )

    def _entry(self, entry: Entry, number: int, file: str, issues: Issues) -> tuple[Any, ...]:
        line, resource, problem, url, part = entry
        if resource is None:
            reason, _, more = problem.partition(": ")
            code = "FH0001" if reason == "not valid JSON" else "FH0003"
            issues.add(code, more, [_place(file, line, part)])
            return ("", "", "", "", Status.QUARANTINED, reason, None, url, line)
        kind, name = resource["resourceType"], resource.get("id")
        if name.__class__ is not str or not name:
            name = url.replace(":", "/").rpartition("/")[2]  # of urn:uuid:x and http://x/Type/x
            if not name:
                name = _place(file, line, part)
                if kind in self.plan.needs_id:
                    issues.add("FH0017", kind, [name])
                    return (kind, name, "", "", Status.QUARANTINED, "no id", None, url, line)
                issues.add("FH0014", kind, [name])
        meta = resource.get("meta")
        version = updated = ""
        if meta.__class__ is dict:
            version, updated = str(meta.get("versionId", "")), str(meta.get("lastUpdated", ""))
        official: str | None = None
        try:
            status, reason = self._take(resource, kind, name, number, issues)
            if status == "" and (identity := self.identity.get(kind)):
                parts = identity(resource, _ignore)
                official = "|".join(part or "" for part in parts) if parts[0] else None
        except _SHAPE:
            status, reason = Status.QUARANTINED, "misshapen"
            # Few resources are so wrong; the model is asked only about them.
            issues.add("FH0008", self.explain(resource), [f"{kind}/{name}"])
        return (kind, name, version, updated, status, reason, official, url, line)

    def _take(  # noqa: PLR0911
        self, resource: Resource, kind: str, name: str, number: int, issues: Issues
    ) -> tuple[str, str]:
        """Put the rows of a resource into the tables, or say why not."""
        if resource.get("status") == "entered-in-error":
            return Status.EXCLUDED, "entered in error"
        router = self.routers.get(kind)
        if router is None:
            if not self.is_type(kind):
                issues.add("FH0016", "", [f"{kind}/{name}"[:100]])
                return Status.QUARANTINED, "unknown resourceType"
            return Status.UNROUTED, "not asked for"
        wanted = router(resource)
        if wanted is None:
            return Status.UNROUTED, "not asked for"
        gates = self.gates[kind]
        if (barred := self.barred[kind](resource)) < len(gates):
            return Status.EXCLUDED, gates[barred].reason
        for extension in resource.get("modifierExtension") or ():
            if extension.get("url") not in self.plan.modifier_extensions:
                issues.add("FH0012", str(extension.get("url"))[:200], [f"{kind}/{name}"])
                return Status.QUARANTINED, "unknown modifierExtension"
        key = f"{kind}/{name}"
        # Read everything before adding anything: a misshapen resource leaves no half rows.
        tables, aside = wanted
        read = [(table, table.read(resource, key)) for table in tables]
        for table, cells in read:
            table.add(cells, number)
        # Undecided: what has no record in the end was left out for this reason.
        return "", aside


def merge_parts(plan: ReadingPlan, parts: Sequence[tuple[str, Part]], issues: Issues) -> Flats:
    """Parts in any order -> the flat tables of the newest version of each resource.

    `parts` are (file, part); they are sorted, so that the order of reading has no influence.
    """
    ordered = sorted(parts, key=lambda p: (p[0], _first_line(p[1])))
    starts, ledgers, total = [], [], 0
    for file, part in ordered:
        starts.append(total)
        total += part.ledger.num_rows
        ledgers.append(
            part.ledger.append_column("file", pa.array([file] * part.ledger.num_rows, pa.string()))
        )
        issues.extend(part.issues)
    schema = LEDGER_SCHEMA.append(pa.field("file", pa.string()))
    ledger = pa.concat_tables(ledgers).to_pandas() if ledgers else schema.empty_table().to_pandas()
    ledger["key"] = ledger["resource_type"] + "/" + ledger["id"]
    kept = np.ones(len(ledger), dtype=bool)
    read = [(start, part.tables) for start, (_, part) in zip(starts, ordered, strict=True)]
    kept[supersede(ledger, read, issues)] = False
    rank = pd.factorize(ledger["key"], sort=True)[0]
    urls = _urn_keys(ledger)
    tables: dict[Rows, pd.DataFrame] = {}
    for rows, paths in plan.tables.items():
        pieces = [_shifted(found[rows], start) for start, found in read if rows in found]
        if pieces:
            table = pa.concat_tables(pieces)
            number = table["%r"].to_numpy()
            order = np.lexsort((number, rank[number]))
            frame = table.take(order[kept[number[order]]]).to_pandas()
            frame.insert(1, "%key", ledger["key"].array.take(frame["%r"].to_numpy()))
        else:
            frame = pd.DataFrame(
                {"%r": pd.Series(dtype="int64"), "%key": pd.Series(dtype="str")}
                | {path: pd.Series(dtype="str") for path in paths}
            )
        for path in paths:
            if path not in frame:
                frame[path] = pd.Series(pd.NA, index=frame.index, dtype="str")
            elif urls is not None and "getReferenceKey(" in path:
                frame[path] = frame[path].map(urls).fillna(frame[path]).astype("str")
        tables[rows] = frame
    return Flats(tables, ledger)


def _first_line(part: Part) -> int:
    return int(part.ledger["line"][0].as_py()) if part.ledger.num_rows else 0


def _shifted(table: pa.Table, start: int) -> pa.Table:
    if start == 0:
        return table
    numbers = pa.array(table["%r"].to_numpy() + start, pa.int64())
    return table.set_column(0, "%r", numbers)


def _urn_keys(ledger: pd.DataFrame) -> pd.Series | None:
    """``urn:uuid:…`` -> ``Type/id`` for Bundle entries that are referred to by their fullUrl."""
    named = ledger.loc[ledger["url"].fillna("").str.startswith("urn:"), ["url", "key"]]
    if named.empty:
        return None
    return named.drop_duplicates("url", keep="last").set_index("url")["key"]
