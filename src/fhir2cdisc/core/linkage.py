"""How things in two tables are linked: by evidence of graded strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir2cdisc.core.column import Column
from fhir2cdisc.core.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Pairs of (resource key, value), one for each row where both are there."""

    rows: Rows
    key: Column
    value: Column

    @property
    def wanted(self) -> frozenset[tuple[Rows, str]]:
        own = frozenset((self.rows, path) for path in self.key.paths | self.value.paths)
        return own | self.key.joined | self.value.joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two relations with a common value link their keys.

    `grade`: 1 is the strongest. `left` is about the thing itself; `right` about what acts on it,
    by the key named `anchor`. With `unique`, a value that names several left keys links none.
    """

    grade: int
    text: str
    left: Relation
    right: Relation
    anchor: str
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRows:
    """Where the parts of a radiotherapy site are said in one kind of row."""

    rows: Rows
    subject: Column
    start: Column
    marked: Column
    volume: Column
    dose: Column
    skip: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The declaration: which structures are lesions, which rows are sites, what links them."""

    body: Rows
    subject: Column
    place: Column
    side: Column
    volume_type: Column
    types: Mapping[str, str]
    lesions: Sequence[tuple[Rows, Column]]
    sites: Sequence[SiteRows]
    evidence: Sequence[Evidence]

    @property
    def wanted(self) -> frozenset[tuple[Rows, str]]:
        """The paths that the flat tables must hold."""
        columns = [(self.body, c) for c in (self.subject, self.place, self.side, self.volume_type)]
        columns += list(self.lesions)
        for s in self.sites:
            columns += [
                (s.rows, c) for c in (s.subject, s.start, s.marked, s.volume, s.dose, s.skip)
            ]
        paths = frozenset((rows, path) for rows, c in columns for path in c.paths)
        joined = frozenset[tuple[Rows, str]]().union(*(c.joined for _, c in columns))
        relations = (e.left.wanted | e.right.wanted for e in self.evidence)
        return (paths | joined).union(*relations)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentRows:
    """Rows that may be study treatment: what was given, and the mark of the study."""

    rows: Rows
    given: Column
    marked: Column

    @property
    def wanted(self) -> frozenset[tuple[Rows, str]]:
        """The paths that the flat tables must hold."""
        columns = (self.given, self.marked)
        own = frozenset((self.rows, path) for c in columns for path in c.paths)
        return own.union(*(c.joined for c in columns))
