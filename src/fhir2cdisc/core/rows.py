"""Which FHIR elements become rows of a flat table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coded:
    """The CodeableConcept at `element` is in the value set named `valueset`."""

    element: str
    valueset: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The resource says that it conforms to a profile (``meta.profile``, version cut off)."""

    url: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A resource type, those of its resources that satisfy one of `of`, and what becomes a row.

    Without `of` every resource is taken; without `each` a resource is one row, else each element
    at that path is one. `unless` names criteria that keep a resource out, `lacks` an element that
    it must not have. Hashable: it is the key of its flat table.
    """

    resource: str
    each: str = ""
    of: tuple[Coded | Profile, ...] = ()
    unless: tuple[Coded | Profile, ...] = ()
    lacks: str = ""
