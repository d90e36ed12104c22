"""What the ADaMIG says about variables: label, type and core of ADSL, BDS and time-to-event.

An index in a name of the IG stands for digits: ``TRTxxP`` is TRT01P, ``AVALCATy`` is AVALCAT1,
and the label is written with the same digits. Variables carried over from SDTM keep what the
SDTMIG says. Where both are silent (occurrence flags, nadir), the names of a public ADaM are used.

References:
    ADaMIG v1.3, section 3.1 (index letters, SDTM labels) and sections 3.2 and 3.3 (variables).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import msgspec

from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.sdtm import standard as sdtm

# Index letters: two digits, two digits, one or two, one or two.
INDEX = {"xx": r"\d\d", "zz": r"\d\d", "y": r"[1-9]\d?", "w": r"[1-9]\d?"}
_LETTERS = re.compile("|".join(INDEX))
_WORDS = re.compile(r"\b(" + "|".join(INDEX) + r")\b")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an analysis dataset.

    `structure` is ADSL, BDS, ``SDTM`` (carried over) or ``other``; `type` is Char or Num (dates
    are Num); `core` is Req, Cond or Perm.
    """

    name: str
    label: str
    type: str
    core: str
    codelists: tuple[str, ...]
    structure: str


@functools.cache
def variables(structure: str) -> tuple[Variable, ...]:
    """The variables of ``ADSL``, ``BDS`` or ``other`` in the order of the IG, indices as letters.

    Raises `DeclarationError` for another structure.
    """
    found = tuple(v for v in _table() if v.structure == structure)
    if not found:
        raise DeclarationError(f"{structure}: no ADaM structure; there are ADSL, BDS and other")
    return found


@functools.cache
def variable(name: str) -> Variable:
    """Label, type and core of a variable by its name, indices filled in.

    Looked for in ADSL, then BDS (where both have it, the core is that of ADSL), the SDTMIG, and
    the public ADaM. Raises `DeclarationError` if none has it: the label is then the study's.
    """
    exact, patterns = _index()
    if name in exact:
        return exact[name]
    for regex, template in patterns:
        found = regex.fullmatch(name)
        if found is not None:
            words = _WORDS.split(template.label)
            words[1::2] = [found[letters] for letters in words[1::2]]
            return replace(template, name=name, label="".join(words))
    raise DeclarationError(
        f"{name}: neither ADaMIG 1.3 nor SDTMIG 3.4 has a variable of this name; check the name, "
        "or declare its label and type beside it",
    )


@functools.cache
def _index() -> tuple[Mapping[str, Variable], tuple[tuple[re.Pattern[str], Variable], ...]]:
    """The variables by plain name, and those with index letters by pattern."""
    exact: dict[str, Variable] = {}
    patterns: list[tuple[re.Pattern[str], Variable]] = []
    carried = (
        Variable(v.name, v.label, v.type, "Perm", v.codelists, "SDTM")
        for domain in sdtm.domains()
        for v in sdtm.variables(domain)
    )
    ranked = [v for v in _table() if v.structure != "other"]
    for v in (*ranked, *carried, *variables("other")):
        if v.name == v.name.upper():
            exact.setdefault(v.name, v)
        else:
            regex = _LETTERS.sub(lambda letters: f"(?P<{letters[0]}>{INDEX[letters[0]]})", v.name)
            patterns.append((re.compile(regex), v))
    return exact, tuple(patterns)


@functools.cache
def _table() -> tuple[Variable, ...]:
    text = (files("fhir2cdisc.adam") / "data" / "adamig13.json").read_bytes()
    entries: list[dict[str, Any]] = msgspec.json.decode(text)["variables"]
    return tuple(Variable(**{**e, "codelists": tuple(e["codelists"])}) for e in entries)
