"""CodeableConcepts as one text, so that a concept is one cell of the flat table.

The codings and the text of a concept are kept together, in their order: recoding looks at
distinct texts only, and nothing of the source is lost on the way to a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

FIELD = "\x1f"
ITEM = "\x1e"


class Coding(NamedTuple):
    """One coding; the text of the concept is a coding without system and code."""

    system: str
    code: str
    display: str


def encode(concept: dict[str, Any]) -> str | None:
    """A FHIR CodeableConcept (or a bare Coding) as one text, or None if it says nothing.

    Raises `TypeError` or `AttributeError` where it is misshapen.
    """
    codings = concept.get("coding")
    if codings is None and "code" in concept:
        codings = (concept,)
    items = [_item(coding) for coding in codings or () if coding]
    if text := concept.get("text"):
        items.append(FIELD + FIELD + text)
    return ITEM.join(items) or None


def _item(coding: dict[str, Any]) -> str:
    parts = (coding.get("system", ""), coding.get("code", ""), coding.get("display", ""))
    try:
        return FIELD.join(parts)
    except TypeError:  # null says nothing, anything else than text is no Coding
        return FIELD.join("" if part is None else part for part in parts)


def decode(text: str) -> Iterator[Coding]:
    """The codings of an encoded concept; a plain text is a coding with only a display."""
    for item in text.split(ITEM):
        fields = item.split(FIELD)
        yield Coding(*fields) if len(fields) == 3 else Coding("", "", item)


def verbatim(text: str) -> str | None:
    """What the source calls it: the text, else the first display, else the first code."""
    return words(text) or next((c.code for c in decode(text) if c.code), None)


def words(text: str) -> str | None:
    """The text of a concept, else its first display; a code is no word."""
    codings = list(decode(text))
    texts = (c.display for c in codings if not c.code and c.display)
    return next(texts, None) or next((c.display for c in codings if c.display), None)


def name(text: str) -> str:
    """How messages name a concept: its codes, never its free text."""
    coded = [f"{c.system}|{c.code}" for c in decode(text) if c.code]
    return ", ".join(coded) if coded else "text without a code"
