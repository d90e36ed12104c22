"""Value sets decide which resources feed which mapping: FHIR ValueSets, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from fhir2cdisc.errors import StudyError
from fhir2cdisc.terminology.conceptmap import load, terminology_files
from fhir2cdisc.terminology.systems import canonical

ValueSet = frozenset[tuple[str, str]]


def read_valuesets(
    study: Path | None, aliases: Mapping[str, Mapping[str, str]]
) -> dict[str, ValueSet]:
    """Name -> (system, code) pairs; the study's ``valuesets/`` and [aliases] add to the package's.

    An alias key is ``system|code``. Only explicit codes are read (`compose.include.concept` and
    `expansion.contains`).

    Raises:
        StudyError: a file of the study is not a ValueSet.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    own = resources.files("fhir2cdisc.terminology") / "valuesets"
    for file in terminology_files(own, study, "valuesets"):
        found.setdefault(file.name.removesuffix(".json").lower(), set()).update(_codes(file))
    for name, codes in found.items():
        for alias in aliases.get(name, {}):
            system, _, code = alias.rpartition("|")
            codes.add((canonical(system), code))
    return {name: frozenset(codes) for name, codes in found.items()}


def _codes(file: Traversable) -> set[tuple[str, str]]:
    content = load(file, "ValueSet")
    try:
        codes = {
            (canonical(include.get("system", "")), concept["code"])
            for include in content.get("compose", {}).get("include", [])
            for concept in include.get("concept", [])
        }
        for item in content.get("expansion", {}).get("contains", []):
            codes.add((canonical(item.get("system", "")), item["code"]))
    except (AttributeError, TypeError, KeyError) as error:
        raise StudyError(f"{file}: is no well-formed ValueSet") from error
    return codes
