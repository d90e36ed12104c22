"""FHIRPath, the subset that is understood: path, resource, value; and what is refused.

Every row of the tables is an example of one rule of the SQL-on-FHIR subset, or of one of our own
additions (`concept()`), on resources made up here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir2cdisc.core import concept
from fhir2cdisc.core.path import compile_nodes, compile_paths, reference_key
from fhir2cdisc.errors import DeclarationError, PathError

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": False,
    "birthDate": "1960-05",
    "name": [
        {"use": "official", "family": "One", "given": ["A", "B"]},
        {"use": "usual", "given": ["C"]},
        {"use": "old"},
    ],
    "multipleBirthInteger": 2,
    "extension": [
        {"url": "urn:a", "valueString": "x"},
        {"url": "urn:b", "extension": [{"url": "c", "valueCode": "y"}]},
        {"url": "urn:a", "valueString": "z"},
    ],
    "generalPractitioner": [
        {"reference": "Practitioner/1"},
        {"reference": "https://example.org/fhir/Organization/2/_history/3"},
        {"reference": "urn:uuid:0d6b5f3e"},
        {"display": "somebody"},
    ],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "code": {
        "coding": [{"system": "s1", "code": "a"}, {"system": "s2", "code": "b", "display": "Bee"}],
        "text": "the text",
    },
    "valueQuantity": {"value": Decimal("7.00"), "unit": "mm"},
    "component": [
        {"code": {"coding": [{"system": "s1", "code": "l"}]}, "valueQuantity": {"value": 12}},
        {"code": {"coding": [{"system": "s1", "code": "w"}]}, "valueBoolean": True},
        {"code": {"text": "nothing"}},
    ],
}


def values(path: str, node: Any) -> list[str]:
    """The value of a path; with `"..."` behind it if there are other ones."""
    several: list[int] = []
    (value,) = compile_paths([path])(node, several.append)
    return ([] if value is None else [value]) + (["..."] if several else [])


READ = {
    "an element": ("birthDate", PATIENT, ["1960-05"]),
    "an element that is not there": ("deceasedDateTime", PATIENT, []),
    "through lists, in order": ("name.given", PATIENT, ["A", "..."]),
    "through items that have it not": ("name.family", PATIENT, ["One"]),
    "the same value twice is one value": ("a.b", {"a": [{"b": "x"}, {"b": "x"}]}, ["x"]),
    "a boolean as in JSON": ("active", PATIENT, ["false"]),
    "an integer": ("multipleBirthInteger", PATIENT, ["2"]),
    "zero is a value": ("valueInteger", {"valueInteger": 0}, ["0"]),
    "a decimal keeps its digits": ("valueQuantity.value", OBSERVATION, ["7.00"]),
    "a choice by ofType": ("value.ofType(Quantity).unit", OBSERVATION, ["mm"]),
    "a primitive choice by ofType": ("multipleBirth.ofType(integer)", PATIENT, ["2"]),
    "another type of the choice": ("value.ofType(string)", OBSERVATION, []),
    "the first of all": ("name.given.first()", PATIENT, ["A"]),
    "the first item, then the first of it": ("name.first().given.first()", PATIENT, ["A"]),
    "an item by number": ("name[1].given", PATIENT, ["C"]),
    "an item by number inside each": ("name.given[1]", PATIENT, ["B"]),
    "an item that is not there": ("name[7].given", PATIENT, []),
    "number 0 of a single element": ("birthDate[0]", PATIENT, ["1960-05"]),
    "where": ("name.where(use = 'usual').given", PATIENT, ["C"]),
    "where without blanks": ("name.where(use='usual').given", PATIENT, ["C"]),
    "where nothing fits": ("name.where(use = 'maiden').given", PATIENT, []),
    "where over a path": (
        "component.where(code.coding.code = 'l').valueQuantity.value",
        OBSERVATION,
        ["12"],
    ),
    "where, a value with dots and parentheses": (
        "name.where(use = 'a.b(c)').given",
        {"name": [{"use": "a.b(c)", "given": "D"}]},
        ["D"],
    ),
    "where after where": (
        "a.where(b = '1').where(c = '2').d",
        {"a": [{"b": "1", "c": "1", "d": "no"}, {"b": "1", "c": "2", "d": "yes"}]},
        ["yes"],
    ),
    "where, then first": ("code.coding.where(system = 's2').code.first()", OBSERVATION, ["b"]),
    "an extension, every one of the URL": (
        "extension('urn:a').valueString",
        PATIENT,
        ["x", "..."],
    ),
    "an extension in an extension": ("extension('urn:b').extension('c').valueCode", PATIENT, ["y"]),
    "an extension that is not there": ("extension('urn:q').valueString", PATIENT, []),
    "exists": ("component.exists()", OBSERVATION, ["true"]),
    "exists not": ("hasMember.exists()", OBSERVATION, []),
    "a relative reference": (
        "generalPractitioner[0].getReferenceKey()",
        PATIENT,
        ["Practitioner/1"],
    ),
    "an absolute reference without its version": (
        "generalPractitioner[1].getReferenceKey()",
        PATIENT,
        ["Organization/2"],
    ),
    "a reference by urn stays": (
        "generalPractitioner[2].getReferenceKey()",
        PATIENT,
        ["urn:uuid:0d6b5f3e"],
    ),
    "a reference in words only is none": ("generalPractitioner[3].getReferenceKey()", PATIENT, []),
    "a reference of another type is none": (
        "generalPractitioner[0].getReferenceKey(Organization)",
        PATIENT,
        [],
    ),
    "a urn does not say its type": (
        "generalPractitioner[2].getReferenceKey(Organization)",
        PATIENT,
        ["urn:uuid:0d6b5f3e"],
    ),
    "the key of the resource": ("getResourceKey()", PATIENT, ["Patient/p1"]),
    "the node itself": ("$this.unit", OBSERVATION["valueQuantity"], ["mm"]),
    "from the resource": ("%resource.birthDate", PATIENT, ["1960-05"]),
    "an empty text is nothing": ("a", {"a": ""}, []),
    "null is nothing": ("a.b", {"a": [None, {"b": None}, {"b": "c"}]}, ["c"]),
}


@pytest.mark.parametrize(("path", "node", "expected"), READ.values(), ids=READ)
def test_values(path: str, node: Any, expected: list[str]) -> None:
    assert values(path, node) == expected


def test_paths_read_together_are_what_they_are_alone() -> None:
    rows = [row for row in READ.values() if row[1] is PATIENT]
    several: list[int] = []
    together = compile_paths([path for path, _, _ in rows])(PATIENT, several.append)
    assert list(together) == [(expected or [None])[0] for _, _, expected in rows]
    assert set(several) == {n for n, row in enumerate(rows) if row[2][1:] == ["..."]}


# The same rules once more, the slow and simple way: a path is steps, a step makes nodes of nodes.
Steps = list[tuple[str, ...]]


def texts(node: Any, steps: Steps) -> Iterator[str]:
    for value in nodes_at([node], steps):
        yield value.strip()  # an object has no such thing: an AttributeError, as it should be


def nodes_at(nodes: list[Any], steps: Steps) -> list[Any]:
    for kind, *arguments in steps:
        if kind == "where":
            name, wanted = arguments
            nodes = [n for n in nodes if any(map(wanted.__eq__, texts(n, [("element", name)])))]
            continue
        if kind == "extension":
            found = [e for n in nodes for e in n.get("extension", [])]
            nodes = [e for e in found if e.get("url") == arguments[0]]
            continue
        lists = [n.get(arguments[0]) for n in nodes]
        parts = [x if isinstance(x, list) else [] if x is None else [x] for x in lists]
        if kind == "item":
            parts = [x[int(arguments[1]) : int(arguments[1]) + 1] for x in parts]
        nodes = [x for part in parts for x in part if x is not None]
    return nodes


def written(step: tuple[str, ...]) -> str:
    kind, *arguments = step
    return {
        "element": "{}",
        "item": "{}[{}]",
        "where": "where({} = '{}')",
        "extension": "extension('{}')",
    }[kind].format(*arguments)


names = st.sampled_from(["a", "b"])
trees = st.recursive(
    st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(
        names, inner | st.lists(st.none() | inner, max_size=3), max_size=2
    ).flatmap(
        lambda node: st.lists(
            st.builds(lambda url, child: {"url": url, "b": child}, names, inner), max_size=2
        ).map(lambda extensions: node | {"extension": extensions})
    ),
    max_leaves=12,
)
steps = st.lists(
    st.tuples(st.just("element"), names)
    | st.tuples(st.just("item"), names, st.sampled_from("01"))
    | st.tuples(st.just("where"), names, st.sampled_from("xy"))
    | st.tuples(st.just("extension"), names),
    min_size=1,
    max_size=4,
)


@given(trees.filter(lambda t: isinstance(t, dict)), st.lists(steps, min_size=1, max_size=4))
def test_paths_say_what_their_steps_say(node: Any, wanted: list[Steps]) -> None:
    try:
        expected = [list(texts(node, path)) for path in wanted]
        misshapen = False
    except AttributeError:
        misshapen = True
    several: set[int] = set()
    read = compile_paths([".".join(map(written, path)) for path in wanted])
    if misshapen:
        with pytest.raises((AttributeError, ValueError)):
            read(node, several.add)
        return
    assert list(read(node, several.add)) == [found[0] if found else None for found in expected]
    assert several == {n for n, found in enumerate(expected) if len(set(found)) > 1}


REFUSED = {
    "nothing": "",
    "a dot at the end": "name.",
    "two dots": "name..given",
    "a dot at the start": ".name",
    "an unknown function": "name.last()",
    "union": "name.given | name.family",
    "a comparison": "valueQuantity.value > 5",
    "boolean logic": "name.where(use = 'usual' and period.exists())",
    "where with a number": "component.where(valueInteger = 5)",
    "where without an argument": "name.where()",
    "where with unequal": "name.where(use != 'usual')",
    "an extension without its URL": "extension()",
    "an extension by a name without quotes": "extension(url)",
    "ofType of nothing before it": "ofType(Quantity)",
    "ofType after a function": "first().ofType(Quantity)",
    "a negative index": "name[-1]",
    "first with an argument": "name.first(2)",
    "a reference key of what is no type": "subject.getReferenceKey('Patient')",
    "a reference key before the end": "subject.getReferenceKey().id",
    "concept before the end": "code.concept().text",
    "exists before the end": "name.exists().not()",
    "a blank": "name given",
    "a quote that does not close": "extension('urn:a.valueString",
    "a variable we do not know": "%context.name",
}


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused_not_guessed(path: str) -> None:
    with pytest.raises(PathError) as refused:
        compile_paths([path])
    assert repr(path) in str(refused.value)
    assert isinstance(refused.value, DeclarationError)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(path: str) -> None:
    with suppress(PathError):
        compile_paths([path])


def test_a_concept_is_one_text_with_all_its_codings_and_its_text() -> None:
    (text,) = values("code.concept()", OBSERVATION)
    assert list(concept.decode(text)) == [("s1", "a", ""), ("s2", "b", "Bee"), ("", "", "the text")]
    assert concept.verbatim(text) == "the text"
    assert concept.name(text) == "s1|a, s2|b"


@pytest.mark.parametrize("empty", [{}, {"coding": []}, {"coding": [{}]}, {"text": ""}])
def test_a_concept_that_says_nothing_is_nothing(empty: Any) -> None:
    assert values("code.concept()", {"code": empty}) == []


def test_a_bare_coding_is_a_concept_too() -> None:
    (text,) = values("valueCoding.concept()", {"valueCoding": {"system": "s", "code": "c"}})
    assert list(concept.decode(text)) == [("s", "c", "")]


MISSHAPEN = {
    "text where an object should be": ("code.coding.code", {"code": "a"}),
    "an object where text should be": ("birthDate", {"birthDate": {"year": 1960}}),
    "a list in a list": ("name.given", {"name": [{"given": [["A"]]}]}),
    "a number where an object should be": ("subject.getReferenceKey()", {"subject": 5}),
    "a text as concept": ("code.concept()", {"code": "a"}),
    "a text as extension": ("extension('u').valueCode", {"extension": ["u"]}),
    "an object as extension list": ("extension('u').valueCode", {"extension": {"url": "u"}}),
}


@pytest.mark.parametrize(("path", "node"), MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_misshapen_element_is_noticed(path: str, node: Any) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError)):
        values(path, node)


NODES = {
    "each component": ("component", OBSERVATION, 3),
    "some components": ("component.where(code.coding.system = 's1')", OBSERVATION, 2),
    "a single element is one": ("code", OBSERVATION, 1),
    "each extension of a URL": ("extension('urn:a')", PATIENT, 2),
    "none": ("hasMember", OBSERVATION, 0),
}


@pytest.mark.parametrize(("path", "node", "count"), NODES.values(), ids=NODES)
def test_elements_that_become_rows(path: str, node: Any, count: int) -> None:
    assert len(compile_nodes(path)(node)) == count


KEYS = {
    "Patient/1": "Patient/1",
    "Patient/1/_history/2": "Patient/1",
    "http://example.org/fhir/Patient/1": "Patient/1",
    "https://example.org/r4/Patient/a.b-C/_history/7": "Patient/a.b-C",
    "urn:uuid:5b1c": "urn:uuid:5b1c",
    "#contained": "#contained",
    "Patient?identifier=x|1": "Patient?identifier=x|1",
    "patient": "patient",
}


@pytest.mark.parametrize(("reference", "key"), KEYS.items(), ids=KEYS)
def test_what_a_reference_names(reference: str, key: str) -> None:
    assert reference_key(reference) == key
