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
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from fhir2cdisc.core.issue import Issue, Issues
from fhir2cdisc.core.ledger import Status
from fhir2cdisc.core.path import Emit, Resource, ShapeError, compile_nodes, compile_path
from fhir2cdisc.core.plan import ReadingPlan
from fhir2cdisc.core.rows import Coded, Profile, Rows

ValueSets = Mapping[str, frozenset[tuple[str, str]]]
Canonical = Callable[[str], str]
_SHAPE = (AttributeError, TypeError, KeyError, ShapeError)
_ROOT = "%resource."


class Entry(NamedTuple):
    """One item of a source: a parsed resource, or the reason why there is none."""

    line: int
    resource: Resource | None
    problem: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What was read from a piece of the input; Arrow tables, cheap to send between processes."""

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


class _Columns:
    """One flat table while it is read: a list a path."""

    __slots__ = ("keys", "lists", "nodes", "numbers", "own", "root", "rows", "several")

    def __init__(self, rows: Rows, paths: Sequence[str]) -> None:
        self.rows = rows
        self.lists: dict[str, list[str | None]] = {path: [] for path in paths}
        self.numbers: list[int] = []
        self.keys: list[str] = []
        self.several: dict[str, list[str]] = {}
        self.nodes = compile_nodes(rows.each) if rows.each else None
        self.own: list[tuple[str, Emit]] = []
        self.root: list[tuple[str, Emit]] = []
        for path in paths:
            # `%r` and other names with a per cent sign are added by later steps, not read.
            if path.startswith(_ROOT):
                self.root.append((path, compile_path(path)))
            elif not path.startswith("%"):
                self.own.append((path, compile_path(path)))

    def read(self, resource: Resource, key: str) -> list[list[str | None]]:
        """The values of the rows of a resource, in the order of `root` + `own`; all or nothing."""
        shared = [self._one(path, emit, resource, key) for path, emit in self.root]
        if self.nodes is None:
            return [shared + [self._one(path, emit, resource, key) for path, emit in self.own]]
        return [
            shared + [self._one(path, emit, node, key) for path, emit in self.own]
            for node in self.nodes(resource)
        ]

    def _one(self, path: str, emit: Emit, node: Any, key: str) -> str | None:
        out: list[str] = []
        emit(node, out)
        if not out:
            return None
        if len(out) > 1 and any(value != out[0] for value in out):
            self.several.setdefault(path, []).append(key)
        return out[0]

    def add(self, values: list[list[str | None]], number: int, key: str) -> None:
        lists = [self.lists[path].append for path, _ in (*self.root, *self.own)]
        for row in values:
            for append, value in zip(lists, row, strict=True):
                append(value)
            self.numbers.append(number)
            self.keys.append(key)

    def table(self) -> pa.Table:
        names = [path for path, _ in (*self.root, *self.own)]
        columns = [pa.array(self.lists[name], pa.string()) for name in names]
        return pa.table(
            [pa.array(self.numbers, pa.int64()), pa.array(self.keys, pa.string()), *columns],
            names=["%r", "%key", *names],
        )


class _Router:
    """Which tables want a resource of one type."""

    def __init__(self, rows: Sequence[Rows], valuesets: ValueSets, canonical: Canonical) -> None:
        self.canonical = canonical
        self.always = frozenset(r for r in rows if not r.of)
        self.barred = {c for r in rows for c in r.unless}
        self.elements: dict[str, dict[tuple[str, str], frozenset[Any]]] = {}
        self.profiles: dict[str, frozenset[Any]] = {}
        for row in rows:
            for criterion in row.of:
                self._index(criterion, row, valuesets)
        self.unless = {r: frozenset(r.unless) for r in rows if r.unless}
        for criterion in self.barred:
            self._index(criterion, criterion, valuesets)

    def _index(self, criterion: Coded | Profile, target: Any, valuesets: ValueSets) -> None:
        if isinstance(criterion, Profile):
            known = self.profiles.get(criterion.url, frozenset())
            self.profiles[criterion.url] = known | {target}
            return
        codes = self.elements.setdefault(criterion.element, {})
        for code in valuesets[criterion.valueset]:
            codes[code] = codes.get(code, frozenset()) | {target}

    def __call__(self, resource: Resource) -> frozenset[Rows]:
        found: frozenset[Any] = self.always
        for element, codes in self.elements.items():
            concept = resource.get(element)
            if concept is None:
                continue
            for coding in concept.get("coding") or ():
                pair = (coding.get("system", ""), coding.get("code", ""))
                hit = codes.get(pair) or codes.get((self.canonical(pair[0]), pair[1]))
                if hit:
                    found |= hit
        if self.profiles:
            for profile in (resource.get("meta") or {}).get("profile") or ():
                if hit := self.profiles.get(profile.partition("|")[0]):
                    found |= hit
        if self.barred:
            out = found & self.barred
            found = frozenset(
                r for r in found - out if not (r in self.unless and self.unless[r] & out)
            )
        return found


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
        by_type: dict[str, list[Rows]] = {}
        for rows in (*plan.tables, *plan.set_aside):
            by_type.setdefault(rows.resource, []).append(rows)
        self.routers = {t: _Router(rows, valuesets, canonical) for t, rows in by_type.items()}
        self.gates: dict[str, list[tuple[Emit, frozenset[str], str]]] = {t: [] for t in by_type}
        for gate in plan.gates:
            for kind in by_type if gate.resource == "*" else [gate.resource]:
                if kind in self.gates:
                    self.gates[kind].append((compile_path(gate.path), gate.equals, gate.reason))
        self.identity = {kind: compile_path(path) for kind, path in plan.identity.items()}

    def read(self, entries: Iterable[Entry], file: str, issues: Issues) -> Part:
        """Read the entries of one file (or piece of it); `file` is how messages name it.

        `issues` may fill while the entries are read; all of them are in the part.
        """
        tables = {rows: _Columns(rows, paths) for rows, paths in self.plan.tables.items()}
        ledger: dict[str, list[Any]] = {name: [] for name in LEDGER_SCHEMA.names}
        appends = [ledger[name].append for name in LEDGER_SCHEMA.names]
        for number, entry in enumerate(entries):
            row = self._entry(entry, number, file, tables, issues)
            for append, value in zip(appends, row, strict=True):
                append(value)
        for columns in tables.values():
            for path, keys in columns.several.items():
                issues.add("FH0007", f"{columns.rows.resource}.{path}", keys[:200], len(keys))
        return Part(
            ledger=pa.table(ledger, schema=LEDGER_SCHEMA),
            tables={rows: columns.table() for rows, columns in tables.items() if columns.numbers},
            issues=tuple(issues),
        )

    def _entry(
        self, entry: Entry, number: int, file: str, tables: dict[Rows, _Columns], issues: Issues
    ) -> tuple[Any, ...]:
        line, resource, problem, url = entry
        place = f"{file}:{line}"
        if resource is None:
            code = "FH0001" if problem == "not valid JSON" else "FH0003"
            issues.add(code, "", [place])
            return ("", "", "", "", Status.QUARANTINED, problem, None, url, line)
        kind, name = resource["resourceType"], resource.get("id")
        if name.__class__ is not str or not name:
            name = url.rpartition(":")[2] if url else f"{file}:{line}"
        meta = resource.get("meta")
        version = updated = ""
        if meta.__class__ is dict:
            version, updated = str(meta.get("versionId", "")), str(meta.get("lastUpdated", ""))
        official: list[str] = []
        try:
            status, reason = self._take(resource, kind, name, number, tables, issues)
            if status == "" and (identity := self.identity.get(kind)):
                identity(resource, official)
        except _SHAPE:
            status, reason = Status.QUARANTINED, "misshapen"
            # Few resources are so wrong; the model is asked only about them.
            issues.add("FH0008", self.explain(resource), [f"{kind}/{name}"])
        only = official[0] if official else None
        return (kind, name, version, updated, status, reason, only, url, line)

    def _gated(self, resource: Resource, kind: str) -> str:
        for emit, values, reason in self.gates[kind]:
            found: list[str] = []
            emit(resource, found)
            if not values.isdisjoint(found):
                return reason
        return ""

    def _take(  # noqa: PLR0911, PLR0917
        self, resource: Resource, kind: str, name: str, number: int,
        tables: dict[Rows, _Columns], issues: Issues,
    ) -> tuple[str, str]:  # fmt: skip
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
        if not wanted:
            return Status.UNROUTED, "not asked for"
        if reason := self._gated(resource, kind):
            return Status.EXCLUDED, reason
        for extension in resource.get("modifierExtension") or ():
            if extension.get("url") not in self.plan.modifier_extensions:
                issues.add("FH0012", str(extension.get("url"))[:200], [f"{kind}/{name}"])
                return Status.QUARANTINED, "unknown modifierExtension"
        aside = [self.plan.set_aside[rows] for rows in wanted if rows in self.plan.set_aside]
        key = f"{kind}/{name}"
        # Read everything before adding anything: a misshapen resource leaves no half rows.
        read = [(t := tables[rows], t.read(resource, key)) for rows in wanted if rows in tables]
        for table, cells in read:
            table.add(cells, number, key)
        # Undecided: what has no record in the end was left out for this reason.
        return "", aside[0] if aside else ""


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
    dropped = _superseded(ledger, issues)
    urls = _urn_keys(ledger)
    tables: dict[Rows, pd.DataFrame] = {}
    for rows, paths in plan.tables.items():
        pieces = [
            _shifted(part.tables[rows], start)
            for start, (_, part) in zip(starts, ordered, strict=True)
            if rows in part.tables
        ]
        if pieces:
            frame = pa.concat_tables(pieces).to_pandas()
            if len(dropped):
                frame = frame[~frame["%r"].isin(dropped)]
            frame = frame.sort_values(["%key", "%r"], kind="stable", ignore_index=True)
        else:
            frame = pd.DataFrame(
                {"%r": pd.Series(dtype="int64"), "%key": pd.Series(dtype="str")}
                | {path: pd.Series(dtype="str") for path in paths}
            )
        for path in paths:
            if path not in frame:
                frame[path] = pd.Series(pd.NA, index=frame.index, dtype="str")
            elif urls is not None and path.endswith("getReferenceKey()"):
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


def _superseded(ledger: pd.DataFrame, issues: Issues) -> pd.Index:
    """Mark all but the newest version of each resource; give their ledger rows."""
    live = ledger[ledger["status"].isin(["", Status.UNROUTED, Status.EXCLUDED])]
    live = live.assign(
        number=pd.to_numeric(live["version"], errors="coerce").fillna(-1.0),
        when=pd.to_datetime(live["updated"], format="ISO8601", errors="coerce", utc=True),
    )
    order = ["number", "when", "file", "line"]
    live = live.sort_values(order, kind="stable", na_position="first")
    repeated = live[live.duplicated("key", keep="last")]
    if len(repeated):
        same = live.duplicated(["key", "number", "updated"], keep="last")
        if same.any():
            issues.add("FH0010", "", live.loc[same, "key"].unique()[:200], int(same.sum()))
        ledger.loc[repeated.index, ["status", "reason"]] = [Status.EXCLUDED, "superseded"]
    named = live.drop(index=repeated.index)
    named = named[named["official"].notna() & (named["status"] == "")]
    named = named.sort_values(["when", "number", "key"], kind="stable", na_position="first")
    other = named[named.duplicated(["resource_type", "official"], keep="last")]
    if len(other):
        issues.add("FH0013", "", other["key"].unique()[:200], len(other))
        ledger.loc[other.index, ["status", "reason"]] = [Status.EXCLUDED, "same identifier"]
    return repeated.index.union(other.index)


def _urn_keys(ledger: pd.DataFrame) -> pd.Series | None:
    """``urn:uuid:…`` -> ``Type/id`` for Bundle entries that are referred to by their fullUrl."""
    named = ledger.loc[ledger["url"].fillna("").str.startswith("urn:"), ["url", "key"]]
    if named.empty:
        return None
    return named.drop_duplicates("url", keep="last").set_index("url")["key"]
