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
        found.setdefault(name, {}).update(entries(file))
    return found


def terminology_files(
    own: Traversable, study: Path | None, folder: str = "conceptmaps"
) -> Iterator[Traversable]:
    """The package's files, then the study's, so that the later ones win."""
    yield from sorted((f for f in own.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    yield from (file for file in study_files(study, folder) if file.suffix == ".json")


def study_files(study: Path | None, folder: str) -> list[Path]:
    """The files of a folder beside the study file, sorted; hidden ones are none of ours."""
    if study is None or not (study / folder).is_dir():
        return []
    return sorted(f for f in (study / folder).iterdir() if not f.name.startswith("."))


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


def entries(file: Traversable) -> Map:
    """(system, code) -> CDISC term of a ConceptMap.

    Raises:
        StudyError: it is not a ConceptMap, or not one with one target an element.
    """
    content = load(file, "ConceptMap")
    found: Map = {}
    try:
        for group in content.get("group", []):
            system = canonical(group.get("source", ""))
            for element in group.get("element", []):
                targets = element.get("target") or []
                if "code" not in element or len(targets) > 1:
                    raise StudyError(f"{file}: element {element.get('code')!r} needs one target")
                if targets:
                    found[system, element["code"]] = targets[0]["code"]
    except (AttributeError, TypeError, KeyError) as error:
        raise StudyError(f"{file}: is no well-formed ConceptMap") from error
    return found
