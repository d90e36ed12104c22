"""CDISC controlled terminology: codelists and their terms with the NCI codes.

One generated file a codelist (``tools/make_standards.py``), read when it is first asked for.
Definitions are not shipped; https://evs.nci.nih.gov/ has them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

from fhir2cdisc.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Term:
    """A term: its submission value, the NCI C-code, other spellings."""

    value: str
    code: str
    synonyms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Codelist:
    """A codelist; `terms` by submission value, `edition` is the date of the CT package."""

    code: str
    name: str
    label: str
    extensible: bool
    source: str
    edition: str
    terms: Mapping[str, Term]

    def term_by_code(self, code: str) -> Term | None:
        """The term with an NCI C-code, or None."""
        return _by_code(self.name).get(code)


def names() -> tuple[str, ...]:
    """The short names of the codelists that are shipped, sorted."""
    return tuple(_codes())


def known(name_or_code: str) -> bool:
    """Is this codelist shipped? By short name (``LOC``) or C-code (``C74456``)."""
    return name_or_code in _codes() or name_or_code in _names()


@functools.cache
def codelist(name_or_code: str) -> Codelist:
    """A codelist by short name (``LOC``) or C-code (``C74456``).

    Raises `DeclarationError` if it is not shipped.
    """
    name = _names().get(name_or_code, name_or_code)
    if name not in _codes():
        raise DeclarationError(
            f"{name_or_code}: no codelist of this name or code is shipped; check the name, or "
            "give the terms in the study",
        )
    entry = _read(f"{name}.json")
    terms = {
        value: Term(value, code, tuple(synonyms))
        for value, (code, *synonyms) in entry["terms"].items()
    }
    return Codelist(
        code=entry["code"],
        name=name,
        label=entry["label"],
        extensible=entry["extensible"],
        source=entry["source"],
        edition=entry["edition"],
        terms=MappingProxyType(terms),
    )


@functools.cache
def terms_by_code(code: str) -> Mapping[str, Term]:
    """The terms with an NCI C-code by codelist name: one concept may be in several codelists."""
    found = ((name, codelist(name).term_by_code(code)) for name in names())
    return MappingProxyType({name: term for name, term in found if term is not None})


@functools.cache
def _by_code(name: str) -> dict[str, Term]:
    return {term.code: term for term in codelist(name).terms.values()}


@functools.cache
def _codes() -> dict[str, str]:
    codes: dict[str, str] = _read("_index.json")["codes"]
    return codes


@functools.cache
def _names() -> dict[str, str]:
    return {code: name for name, code in _codes().items()}


def _read(file: str) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.json.decode(
        (files("fhir2cdisc.terminology") / "codelists" / file).read_bytes(),
    )
    return content
