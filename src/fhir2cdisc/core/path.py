"""FHIR element paths: the subset of FHIRPath that SQL on FHIR v2 asks for.

A path such as ``code.coding.where(system = 'http://loinc.org').code`` names one column of the
flat table. It is compiled once into functions that read it from a resource; there is no
interpretation per resource. A path that is not understood is refused.

=======================  ==========================================================
``a.b``                  the element, through lists
``first()``, ``[n]``     one of several values
``where(a.b = 'x')``     only the items that have this value
``ofType(Quantity)``     ``value.ofType(Quantity)`` is ``valueQuantity`` in JSON
``extension('url')``     the extensions with this URL
``exists()``             ``true`` if there is anything here
``getReferenceKey()``    ``Type/id`` of a Reference (SQL on FHIR v2); with a type only such ones
``getResourceKey()``     ``Type/id`` of the resource itself
``concept()``            a CodeableConcept as one text (see `core.concept`); ours
``$this``                the element itself, where rows are elements
``%resource.a``          from the resource, where rows are its elements
=======================  ==========================================================

References:
    SQL on FHIR v2.0, "Required FHIRPath expressions".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from fhir2cdisc.core import concept
from fhir2cdisc.errors import PathError

Resource: TypeAlias = dict[str, Any]
Emit: TypeAlias = Callable[[Any, list[str]], None]
Reader: TypeAlias = Callable[[Resource, Any], list[str]]

_STEP = re.compile(
    r"""(?P<name>[A-Za-z_]\w*)(?:\((?P<args>(?:[^()']|'[^']*')*)\))?(?:\[(?P<index>\d+)\])?(?:\.|$)""",
)
_WHERE = re.compile(r"^\s*(?P<path>[A-Za-z_][\w.]*)\s*=\s*'(?P<value>[^']*)'\s*$")
_STRING = re.compile(r"^\s*'([^']*)'\s*$")
_FUNCTIONS = {
    "first", "where", "ofType", "extension", "exists",
    "getReferenceKey", "getResourceKey", "concept",
}  # fmt: skip
_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9.\-_]{1,128})(?:/_history/[^/]+)?$")


class ShapeError(ValueError):
    """An element is not what the path expects (text where an object should be, or so)."""


class Step(NamedTuple):
    """One step of a path: an element, or a function with its argument."""

    name: str
    argument: str | None
    at: int | None


def parse(path: str) -> tuple[Step, ...]:
    """Split a path into steps; raise `PathError` at the place that is not understood."""
    found: list[Step] = []
    position = next((len(p) for p in ("%resource.", "$this.") if path.startswith(p)), 0)
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise PathError(path, at=path[position:])
        name, argument = match["name"], match["args"]
        if argument is not None and name not in _FUNCTIONS:
            raise PathError(path, at=path[position:])
        if name == "ofType":
            if not found or found[-1].argument is not None:
                raise PathError(path, at=path[position:])
            kind = (argument or "").strip()
            found[-1] = Step(found[-1].name + kind[:1].upper() + kind[1:], None, found[-1].at)
        else:
            index = None if match["index"] is None else int(match["index"])
            found.append(Step(name, argument, index))
        position = match.end()
    if not found or path.endswith("."):
        raise PathError(path, at=path)
    return tuple(found)


def text(value: Any) -> str:
    """A FHIR primitive as text; decimals keep their digits."""
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is dict or kind is list:
        raise ShapeError
    return str(value)


def reference_key(reference: str) -> str:
    """``Type/id`` of a literal reference; what is no such reference stays as it is.

    A base URL and a version are cut off; ``urn:`` and ``#contained`` references stay.
    """
    match = _REFERENCE.search(reference)
    return match[1] if match else reference


def _leaf(node: Any, out: list[str]) -> None:
    value = text(node)
    if value:
        out.append(value)


def _field(name: str, then: Emit) -> Emit:
    def emit(node: Any, out: list[str]) -> None:
        value = node.get(name)
        if value is None:
            return
        if value.__class__ is list:
            for item in value:
                if item is not None:
                    then(item, out)
        else:
            then(value, out)

    return emit


def _indexed(name: str, index: int, then: Emit) -> Emit:
    def emit(node: Any, out: list[str]) -> None:
        value = node.get(name)
        items = value if value.__class__ is list else [] if value is None else [value]
        if len(items) > index and items[index] is not None:
            then(items[index], out)

    return emit


def _where(steps: tuple[str, ...], wanted: str, then: Emit) -> Emit:
    test: Emit = _leaf
    for name in reversed(steps):
        test = _field(name, test)

    def emit(node: Any, out: list[str]) -> None:
        found: list[str] = []
        test(node, found)
        if wanted in found:
            then(node, out)

    return emit


def _extension(url: str, then: Emit) -> Emit:
    def emit(node: Any, out: list[str]) -> None:
        for item in node.get("extension") or ():
            if item.get("url") == url:
                then(item, out)

    return emit


def _first(then: Emit) -> Emit:
    """`first()` is over all that the path found before it, so it is applied by the caller."""

    def emit(node: Any, out: list[str]) -> None:
        if not out:
            then(node, out)

    return emit


def _exists(_node: Any, out: list[str]) -> None:
    if not out:
        out.append("true")


def _concept(node: Any, out: list[str]) -> None:
    if node.__class__ is str:
        raise ShapeError
    value = concept.encode(node)
    if value is not None:
        out.append(value)


def _reference(node: Any, out: list[str]) -> None:
    value = node.get("reference")
    if value is not None:
        out.append(reference_key(text(value)))


def _reference_to(kind: str) -> Emit:
    start = kind + "/"

    def emit(node: Any, out: list[str]) -> None:
        found: list[str] = []
        _reference(node, found)
        # A urn: does not say its type; it is checked where it is joined.
        out.extend(key for key in found if key.startswith((start, "urn:")))

    return emit


def _resource_key(node: Any, out: list[str]) -> None:
    if node.get("id"):
        out.append(f"{node.get('resourceType')}/{node['id']}")


_LAST: dict[str, Emit] = {
    "exists": _exists,
    "concept": _concept,
    "getReferenceKey": _reference,
    "getResourceKey": _resource_key,
}


def _function(path: str, step: Step, then: Emit, *, last: bool) -> Emit:
    argument = step.argument or ""
    if step.name == "where" and (match := _WHERE.match(argument)):
        return _where(tuple(match["path"].split(".")), match["value"], then)
    if step.name == "extension" and (match := _STRING.match(argument)):
        return _extension(match[1], then)
    if last and step.name == "getReferenceKey" and re.fullmatch(r"[A-Z][A-Za-z]+", argument):
        return _reference_to(argument)
    if not argument.strip():
        if step.name == "first":
            return _first(then)
        if last and step.name in _LAST:
            return _LAST[step.name]
    raise PathError(path, at=step.name)


def compile_path(path: str) -> Emit:
    """A function ``(node, out)`` that appends every value of the path to `out`, in order.

    It raises `AttributeError`, `TypeError` or `ShapeError` where the resource is misshapen.
    """
    steps = parse(path)
    emit: Emit = _leaf
    for position in range(len(steps) - 1, -1, -1):
        step = steps[position]
        if step.argument is not None:
            emit = _function(path, step, emit, last=position == len(steps) - 1)
        elif step.at is not None:
            emit = _indexed(step.name, step.at, emit)
        else:
            emit = _field(step.name, emit)
    return emit


def compile_nodes(path: str) -> Callable[[Any], list[Any]]:
    """A function from a node to the JSON nodes at a path: the elements that become rows."""
    steps = parse(path)
    emit: Callable[[Any, list[Any]], None] = lambda node, out: out.append(node)  # noqa: E731
    for step in reversed(steps):
        if step.argument is not None:
            emit = _function(path, step, emit, last=False)
        elif step.at is not None:
            emit = _indexed(step.name, step.at, emit)
        else:
            emit = _field(step.name, emit)

    def nodes(node: Any) -> list[Any]:
        out: list[Any] = []
        emit(node, out)
        return out

    return nodes
