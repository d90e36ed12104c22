"""What the SDTMIG says about datasets and variables: names, labels, types, roles, core, order.

The table is generated (``tools/make_standards.py``) and read once, when it is first asked for.

References:
    SDTMIG v3.4, sections 5 to 9.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

from fhir2cdisc.errors import DeclarationError

_SUPP = re.compile(r"SUPP([A-Z][A-Z0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a dataset: `type` is Char or Num, `core` Req, Exp or Perm."""

    name: str
    label: str
    type: str
    role: str
    core: str
    codelists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset as the IG describes it; `cls` is the class of observations."""

    name: str
    label: str
    cls: str
    structure: str


def domains() -> tuple[str, ...]:
    """The datasets of the SDTMIG, SUPPQUAL and RELREC included."""
    return tuple(_table())


def known(domain: str) -> bool:
    """Is this a dataset of the SDTMIG? ``SUPPTU`` is, as the SUPP-- of every domain."""
    return domain in _table() or _SUPP.fullmatch(domain) is not None


def dataset(domain: str) -> DatasetInfo:
    """Label, class and structure of a dataset; the label of ``SUPPTU`` names TU.

    Raises `DeclarationError` for a dataset that the SDTMIG does not have.
    """
    entry = _entry(domain)
    label = entry["label"].replace("[domain name]", domain.removeprefix("SUPP"))
    return DatasetInfo(domain, label, entry["class"], entry["structure"])


@functools.cache
def variables(domain: str) -> tuple[Variable, ...]:
    """The variables of a dataset in the order of the IG.

    Raises `DeclarationError` for a dataset that the SDTMIG does not have.
    """
    return tuple(
        Variable(**{**entry, "codelists": tuple(entry["codelists"])})
        for entry in _entry(domain)["variables"]
    )


def variable(domain: str, name: str) -> Variable:
    """One variable of a dataset. Raises `DeclarationError` if the dataset does not have it."""
    found = _by_name(domain).get(name)
    if found is None:
        raise DeclarationError(
            f"{domain}.{name}: SDTMIG 3.4 has no such variable in {domain}; check the name, or "
            f"put the value into SUPP{domain}",
        )
    return found


@functools.cache
def variable_types() -> dict[str, str]:
    """The type of every variable of the SDTMIG by name: no name has two types."""
    return {v.name: v.type for domain in domains() for v in variables(domain)}


@functools.cache
def fragment_types() -> dict[str, str]:
    """The type by the name without the domain (``SEQ`` of ``AESEQ``): for domains of a study."""
    return {
        v.name[2:]: v.type
        for domain in domains()
        for v in variables(domain)
        if v.name.startswith(domain) and len(domain) == 2 < len(v.name)
    }


def type_of(name: str, domain: str = "") -> str | None:
    """Char or Num by the SDTMIG; by the suffix in a domain of the study; None if unknown."""
    found = variable_types().get(name)
    if found is None and len(domain) == 2 and name.startswith(domain):
        found = fragment_types().get(name[2:])
    return found


@functools.cache
def _by_name(domain: str) -> dict[str, Variable]:
    return {v.name: v for v in variables(domain)}


@functools.cache
def _table() -> dict[str, Any]:
    text = (files("fhir2cdisc.sdtm") / "data" / "sdtmig34.json").read_bytes()
    table: dict[str, Any] = msgspec.json.decode(text)["datasets"]
    return table


def _entry(domain: str) -> dict[str, Any]:
    if not known(domain):
        raise DeclarationError(
            f"{domain}: SDTMIG 3.4 has no such dataset; check the name, or declare the variables "
            "of a domain of your own",
        )
    entry: dict[str, Any] = _table()[_SUPP.sub("SUPPQUAL", domain)]
    return entry
