"""Codelist recoding from FHIR ConceptMaps, one file a CDISC codelist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from fhir2cdisc.errors import StudyError
from fhir2cdisc.terminology.systems import canonical

Map = dict[tuple[str, str], str]


def read_conceptmaps(study: Path | None) -> dict[str, Map]:
    """Codelist -> (system, code) -> CDISC term; the study's ``conceptmaps/`` wins term by term.

    Raises:
        StudyError: a file of the study is not a ConceptMap.
    """
    found: dict[str, Map] = {}
    for file in terminology_files(resources.files("fhir2cdisc.terminology") / "conceptmaps", study):
        name = file.name.removesuffix(".json").upper()
        found.setdefault(name, {}).update(_entries(file))
    return found


def terminology_files(
    own: Traversable, study: Path | None, folder: str = "conceptmaps"
) -> Iterator[Traversable]:
    """The package's files, then the study's, so that the later ones win."""
    yield from sorted((f for f in own.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    if study is not None and (study / folder).is_dir():
        yield from sorted((study / folder).glob("*.json"))


def load(file: Traversable, resource_type: str) -> dict[str, Any]:
    """The JSON of a terminology resource.

    Raises:
        StudyError: unreadable, not JSON, or another resource.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("resourceType") != resource_type:
        raise StudyError(f"{file}: is no FHIR {resource_type}")
    return content


def _entries(file: Traversable) -> Map:
    content = load(file, "ConceptMap")
    entries: Map = {}
    try:
        for group in content.get("group", []):
            system = canonical(group.get("source", ""))
            for element in group.get("element", []):
                targets = element.get("target") or []
                if "code" not in element or len(targets) > 1:
                    raise StudyError(f"{file}: element {element.get('code')!r} needs one target")
                if targets:
                    entries[system, element["code"]] = targets[0]["code"]
    except (AttributeError, TypeError, KeyError) as error:
        raise StudyError(f"{file}: is no well-formed ConceptMap") from error
    return entries
