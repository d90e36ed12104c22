"""Value sets decide which resources feed which mapping: FHIR ValueSets, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from fhir2cdisc.terminology.conceptmap import load, terminology_files
from fhir2cdisc.terminology.systems import canonical

ValueSet = frozenset[tuple[str, str]]


def read_valuesets(
    study: Path | None, aliases: Mapping[str, Mapping[str, str]]
) -> dict[str, ValueSet]:
    """Name -> (system, code) pairs; the study's ``valuesets/`` and [aliases] add to the package's.

    An alias key is ``system|code``. Only explicit codes are read (`compose.include.concept` and
    `expansion.contains`).
    """
    found: dict[str, set[tuple[str, str]]] = {}
    own = resources.files("fhir2cdisc.terminology") / "valuesets"
    for file in terminology_files(own, study, "valuesets"):
        content = load(file, "ValueSet")
        codes = found.setdefault(file.name.removesuffix(".json"), set())
        for include in content.get("compose", {}).get("include", []):
            system = canonical(include.get("system", ""))
            codes.update((system, c["code"]) for c in include.get("concept", []))
        for item in content.get("expansion", {}).get("contains", []):
            codes.add((canonical(item.get("system", "")), item["code"]))
    for name, codes in found.items():
        for alias in aliases.get(name, {}):
            system, _, code = alias.rpartition("|")
            codes.add((canonical(system), code))
    return {name: frozenset(codes) for name, codes in found.items()}
