"""What fhir.resources, the FHIR model, says of a resource that the mappings cannot read."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError


@cache
def is_resource_type(name: str) -> bool:
    """Whether R4B or R5 has such a resource type."""
    if not (name.isalpha() and name[0].isupper() and len(name) < 64):
        return False
    module = name.lower()
    return any(
        find_spec(f"{package}.{module}") is not None
        for package in ("fhir.resources.R4B", "fhir.resources")
    )


def explain(resource: dict[str, Any]) -> str:
    """Where a resource departs from FHIR R4: elements and rules, never the values.

    Empty if fhir.resources finds nothing wrong.
    """
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415  # a second to load

    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        found = [
            f"{'.'.join(str(part) for part in e['loc'])}: {e['type']}" for e in error.errors()[:3]
        ]
        return "; ".join(found)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return type(error).__name__
    return ""
