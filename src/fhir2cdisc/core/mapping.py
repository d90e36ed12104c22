"""The words every mapping is written with: `Rows`, `DomainMapping` and how rows are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fhir2cdisc.core.column import Column
from fhir2cdisc.core.rows import Rows

__all__ = ["DomainMapping", "Rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainMapping:
    """How the records of one SDTM domain are made from one kind of FHIR element.

    A domain may have several mappings; their records are put together, then --SEQ, study days
    and flags are derived over all of them. `required` are variables without which there is no
    record: elements that leave one of them empty make no record. Records that agree in `unique`
    are one record: the first in the order of `keys` is kept. A record whose ``%elsewhere`` is Y
    counts for other domains and is not kept. `columns` are in reading order:
    a column may use only variables further up. `qualifiers` become supplemental qualifiers:
    QNAM -> (QLABEL, column).
    """

    domain: str
    rows: Rows
    subject: Column
    keys: tuple[str, ...]
    columns: Mapping[str, Column]
    required: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    qualifiers: Mapping[str, tuple[str, Column]] | None = None

    def all_columns(self) -> tuple[Column, ...]:
        """Every column, those of the supplemental qualifiers too."""
        extra = (column for _, column in (self.qualifiers or {}).values())
        return (self.subject, *self.columns.values(), *extra)

    @property
    def paths(self) -> frozenset[str]:
        """The paths the flat table of `rows` must hold."""
        return frozenset[str]().union(*(column.paths for column in self.all_columns()))

    @property
    def joined(self) -> frozenset[tuple[Rows, str]]:
        """The paths of other rows that columns read through a reference."""
        return frozenset[tuple[Rows, str]]().union(*(c.joined for c in self.all_columns()))

    @property
    def codelists(self) -> frozenset[str]:
        """The codelists that columns recode to."""
        return frozenset[str]().union(*(column.codelists for column in self.all_columns()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Which resources are the subjects, and their SUBJID."""

    rows: Rows
    subjid: Column

    @property
    def wanted(self) -> frozenset[tuple[Rows, str]]:
        """The paths that the flat tables must hold."""
        return frozenset((self.rows, path) for path in self.subjid.paths) | self.subjid.joined
