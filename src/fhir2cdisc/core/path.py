"""FHIR element paths: the subset of FHIRPath that SQL on FHIR v2 asks for.

A path such as ``code.coding.where(system = 'http://loinc.org').code`` names one column of the
flat table. All paths of a table are compiled once into one Python function that reads them in a
single walk, common beginnings together (three times as fast as a function a step, which is what
makes reading cost little more than parsing). A path that is not understood is refused.

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
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from fhir2cdisc.core import concept
from fhir2cdisc.errors import PathError

Resource: TypeAlias = dict[str, Any]
Several: TypeAlias = Callable[[int], None]
Reader: TypeAlias = Callable[[Any, Several], tuple[str | None, ...]]

_STEP = re.compile(
    r"""(?P<name>[A-Za-z_]\w*)(?:\((?P<args>(?:[^()']|'[^']*')*)\))?(?:\[(?P<index>\d+)\])?(?:\.|$)""",
)
_WHERE = re.compile(r"^\s*(?P<path>[A-Za-z_][\w.]*)\s*=\s*'(?P<value>[^']*)'\s*$")
_STRING = re.compile(r"^\s*'([^']*)'\s*$")
_FUNCTIONS = {
    "first", "where", "ofType", "extension", "exists",
    "getReferenceKey", "getResourceKey", "concept",
}  # fmt: skip
_ENDS = {"exists", "getReferenceKey", "getResourceKey", "concept"}
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


@lru_cache(maxsize=65536)
def reference_key(reference: str) -> str:
    """``Type/id`` of a literal reference; what is no such reference stays as it is.

    A base URL and a version are cut off; ``urn:`` and ``#contained`` references stay.
    """
    match = _REFERENCE.search(reference)
    return match[1] if match else reference


def _reference(node: Any) -> str | None:
    value = node.get("reference")
    return None if value is None else reference_key(text(value))


def _concept(node: Any) -> str | None:
    if node.__class__ is not dict:
        raise ShapeError
    return concept.encode(node)


def _key(node: Any) -> str | None:
    return f"{node.get('resourceType')}/{node['id']}" if node.get("id") else None


def _has(node: Any, names: Sequence[str], wanted: str) -> bool:
    """Whether any value at the end of these elements equals the text."""
    name, *rest = names
    found = node.get(name)
    if found is None:
        return False
    for value in found if found.__class__ is list else (found,):
        if value is not None and (_has(value, rest, wanted) if rest else text(value) == wanted):
            return True
    return False


_LEAVES = {
    "": "{0} if {0}.__class__ is str else text({0})",
    "exists": "'true'",
    "concept": "concept({0})",
    "getReferenceKey": "reference({0})",
    "getResourceKey": "key({0})",
    "nodes": "out.append({0})",
}
_NAMES = {"text": text, "concept": _concept, "reference": _reference, "key": _key, "has": _has}


class _Leaf(NamedTuple):
    """Where a value goes: its number, how it is read, and whether only the first one counts.

    With `among` the value goes nowhere: the leaf says whether it is one of these texts.
    """

    number: int
    expression: str
    starts: tuple[str, ...]
    first: bool
    among: tuple[str, ...]

    def lines(self, node: str) -> list[str]:
        value = f"v{self.number}"
        read = f"t = {self.expression.format(node)}"
        if self.among:
            return [read, f"if {self.number} < hit and t in {self.among!r}: hit = {self.number}"]
        # A urn: does not say its type; it is checked where it is joined.
        start = f" and t.startswith({self.starts!r})" if self.starts else ""
        lines = [read, f"if t{start}:", f" if {value} is None: {value} = t"]
        if not self.first:
            lines.append(f" elif {value} != t: several({self.number})")
        return lines


class _Tree:
    """The paths of a table with common beginnings together."""

    def __init__(self) -> None:
        self.children: dict[tuple[str, ...], _Tree] = {}
        self.leaves: list[_Leaf] = []

    def add(self, path: str, number: int, leaf: str = "", among: Sequence[str] = ()) -> None:
        """Add a path; `leaf` says how its end is read where the path does not."""
        tree, first, last = self, False, ""
        starts: tuple[str, ...] = ()
        for step in parse(path):
            argument = (step.argument or "").strip()
            if last:  # nothing follows what gives a text
                raise PathError(path, at=step.name)
            if step.argument is None:
                at = "" if step.at is None else str(step.at)
                tree = tree.children.setdefault(("element", step.name, at), _Tree())
            elif step.name == "where" and (match := _WHERE.match(argument)):
                tree = tree.children.setdefault(("where", match["path"], match["value"]), _Tree())
            elif step.name == "extension" and (quoted := _STRING.match(argument)):
                tree = tree.children.setdefault(("extension", quoted[1]), _Tree())
            elif step.name == "first" and not argument:
                first = True
            elif step.name in _ENDS and _fits(step.name, argument):
                last, starts = step.name, (f"{argument}/", "urn:") if argument else ()
            else:
                raise PathError(path, at=step.name)
        tree.leaves.append(_Leaf(number, _LEAVES[last or leaf], starts, first, tuple(among)))

    def write(self, node: str, lines: list[str], indent: str) -> None:
        lines += [indent + line for leaf in self.leaves for line in leaf.lines(node)]
        extensions = [(k[1], tree) for k, tree in self.children.items() if k[0] == "extension"]
        if extensions:
            child = f"{node}e"
            lines.append(f"{indent}for {child} in {node}.get('extension') or ():")
            lines.append(f"{indent} u = {child}.get('url')")
            for word, (url, tree) in zip(
                ["if", *["elif"] * len(extensions)], extensions, strict=False
            ):
                lines.append(f"{indent} {word} u == {url!r}:")
                tree.write(child, lines, indent + "  ")
        for number, (key, tree) in enumerate(self.children.items()):
            child = f"{node}_{number}"
            if key[0] == "where":
                first, _, rest = key[1].partition(".")
                test = f"has({node}, {tuple(key[1].split('.'))!r}, {key[2]!r})"
                if not rest:  # nearly always one text
                    lines.append(f"{indent}w = {node}.get({first!r})")
                    other = "w is not None and w.__class__ is not str"
                    test = f"w == {key[2]!r} or ({other} and {test})"
                lines.append(f"{indent}if {test}:")
                tree.write(node, lines, indent + " ")
            elif key[0] == "element":
                lines.append(f"{indent}{child} = {node}.get({key[1]!r})")
                lines.append(f"{indent}if {child} is not None:")
                items = f"({child} if {child}.__class__ is list else ({child},))"
                part = f"[{key[2]}:{int(key[2]) + 1}]" if key[2] else ""
                lines.append(f"{indent} for {child} in {items}{part}:")
                lines.append(f"{indent}  if {child} is None: continue")
                tree.write(child, lines, indent + "  ")


def _fits(name: str, argument: str) -> bool:
    """An argument is for `getReferenceKey` only: the type."""
    return not argument or (
        name == "getReferenceKey" and re.fullmatch(r"[A-Z][A-Za-z]+", argument) is not None
    )


def compile_paths(paths: Sequence[str]) -> Reader:
    """A function ``(node, several)`` that gives the value of each path, or None.

    Of several different values the first is given, and ``several(number of the path)`` called,
    unless the path says ``first()``. The function raises `AttributeError`, `TypeError`,
    `KeyError` or `ShapeError` where the node is misshapen.
    """
    tree = _Tree()
    for number, path in enumerate(paths):
        tree.add(path, number)
    values = [f"v{number}" for number in range(len(paths))]
    start = [f" {' = '.join(values)} = None"] if paths else []
    read: Reader = _function(tree, start, f" return ({''.join(v + ', ' for v in values)})", paths)
    return read


def compile_nodes(path: str) -> Callable[[Any], list[Any]]:
    """A function from a node to the JSON nodes at a path: the elements that become rows."""
    tree = _Tree()
    tree.add(path, 0, leaf="nodes")
    read: Callable[[Any], list[Any]] = _function(tree, [" out = []"], " return out", [path])
    return read


def compile_match(
    choices: Sequence[tuple[str, Iterable[str]]],
) -> Callable[[Any], int]:
    """A function from a node to the number of the first (path, texts) that holds, else their count.

    A path holds if any of its values is one of the texts.
    """
    tree = _Tree()
    for number, (path, among) in enumerate(choices):
        tree.add(path, number, among=sorted(among))
    paths = [path for path, _ in choices]
    read: Callable[[Any], int] = _function(tree, [f" hit = {len(choices)}"], " return hit", paths)
    return read


def _function(tree: _Tree, start: list[str], end: str, paths: Sequence[str]) -> Any:
    lines = ["def read(n, several=None):", *start]
    tree.write("n", lines, " ")
    scope: dict[str, Any] = dict(_NAMES)
    try:
        # The source is made of the parsed paths only, every name and text of theirs as a literal.
        exec(compile("\n".join([*lines, end]), "<paths>", "exec"), scope)  # noqa: S102
    except (SyntaxError, RecursionError) as error:
        raise PathError(", ".join(paths)[:200], at=str(error)) from error
    return scope["read"]
