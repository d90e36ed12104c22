"""What is to be read from the source: the union of what all mappings ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A rule that keeps a resource out before any mapping sees it.

    A text at `path` among `equals` means `reason` (a key of `core.ledger.REASONS`). `resource` is
    the type it applies to, ``*`` for all.
    """

    resource: str
    path: str
    equals: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """The flat tables to make, and which resources may enter them.

    `tables`: rows -> paths, in a fixed order. `gates` are tried in order. `identity`: resource
    type -> paths that together are the official business identifier of one record; the first says
    whether there is one.
    `set_aside`: rows whose resources get the reason instead of a table. `needs_id`: resource types
    that are of no use without an id; of others their place in the input stands for it.
    """

    tables: Mapping[Rows, tuple[str, ...]]
    gates: tuple[Gate, ...] = ()
    identity: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    set_aside: Mapping[Rows, str] = field(default_factory=dict)
    needs_id: frozenset[str] = frozenset()
    modifier_extensions: frozenset[str] = frozenset()


def plan_tables(
    mappings: Iterable[DomainMapping], more: Iterable[tuple[Rows, str]] = ()
) -> dict[Rows, tuple[str, ...]]:
    """Rows -> paths that the mappings (and `more`) need, the same for any order of mappings."""
    wanted: dict[Rows, set[str]] = {}
    for mapping in mappings:
        wanted.setdefault(mapping.rows, set()).update(mapping.paths)
        for rows, path in mapping.joined:
            wanted.setdefault(rows, set()).add(path)
    for rows, path in more:
        wanted.setdefault(rows, set()).add(path)
    return {rows: tuple(sorted(wanted[rows])) for rows in sorted(wanted, key=repr)}
