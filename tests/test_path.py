"""FHIRPath, the subset that is understood: path, resource, values; and what is refused.

Every row of the tables is an example of one rule of the SQL-on-FHIR subset, or of one of our own
additions (`concept()`), on resources made up here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir2cdisc.core import concept
from fhir2cdisc.core.path import compile_nodes, compile_path, reference_key
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
    out: list[str] = []
    compile_path(path)(node, out)
    return out


READ = {
    "an element": ("birthDate", PATIENT, ["1960-05"]),
    "an element that is not there": ("deceasedDateTime", PATIENT, []),
    "through lists, in order": ("name.given", PATIENT, ["A", "B", "C"]),
    "through items that have it not": ("name.family", PATIENT, ["One"]),
    "a boolean as in JSON": ("active", PATIENT, ["false"]),
    "an integer": ("multipleBirthInteger", PATIENT, ["2"]),
    "a decimal keeps its digits": ("valueQuantity.value", OBSERVATION, ["7.00"]),
    "a choice by ofType": ("value.ofType(Quantity).unit", OBSERVATION, ["mm"]),
    "a primitive choice by ofType": ("multipleBirth.ofType(integer)", PATIENT, ["2"]),
    "another type of the choice": ("value.ofType(string)", OBSERVATION, []),
    "the first of all": ("name.given.first()", PATIENT, ["A"]),
    "the first item, then all of it": ("name.first().given.first()", PATIENT, ["A"]),
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
    "where, then first": ("code.coding.where(system = 's2').code.first()", OBSERVATION, ["b"]),
    "an extension, every one of the URL": ("extension('urn:a').valueString", PATIENT, ["x", "z"]),
    "an extension in an extension": (
        "extension('urn:b').extension('c').valueCode",
        PATIENT,
        ["y"],
    ),
    "an extension that is not there": ("extension('urn:q').valueString", PATIENT, []),
    "exists": ("component.exists()", OBSERVATION, ["true"]),
    "exists not": ("hasMember.exists()", OBSERVATION, []),
    "references: relative, absolute without version, urn": (
        "generalPractitioner.getReferenceKey()",
        PATIENT,
        ["Practitioner/1", "Organization/2", "urn:uuid:0d6b5f3e"],
    ),
    "references of one type, and urn, which says none": (
        "generalPractitioner.getReferenceKey(Organization)",
        PATIENT,
        ["Organization/2", "urn:uuid:0d6b5f3e"],
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
        compile_path(path)
    assert repr(path) in str(refused.value)
    assert isinstance(refused.value, DeclarationError)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(path: str) -> None:
    try:
        compile_path(path)
    except PathError as error:
        assert error.path == path


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
