"""The mappings are declarations: what can be wrong with them is found without any data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.ledger import REASONS
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.path import compile_nodes, compile_paths
from fhir2cdisc.core.rows import Coded, Rows
from fhir2cdisc.mappings import MAPPINGS
from fhir2cdisc.mappings.relations import RELATIONS, TREATS
from fhir2cdisc.mappings.sources import SET_ASIDE
from fhir2cdisc.mappings.status import GATES
from fhir2cdisc.pipeline import reading_plan, terminology
from fhir2cdisc.readers.model import is_resource_type
from fhir2cdisc.sdtm import standard
from fhir2cdisc.study import Study
from fhir2cdisc.terminology import codelists

ALL = [mapping for domain in MAPPINGS for mapping in domain]
EACH = pytest.mark.parametrize(
    "mapping", ALL, ids=[f"{m.domain} {m.rows.resource} {m.rows.each}".strip() for m in ALL]
)
ALWAYS = {"STUDYID", "DOMAIN", "USUBJID"}


def named(mapping: DomainMapping) -> dict[str, Column]:
    """Every column by the name of its variable, supplemental qualifiers included."""
    extra = {name: column for name, (_, column) in (mapping.qualifiers or {}).items()}
    return {**mapping.columns, **extra}


def parts(column: Column) -> Iterator[Column]:
    """A column and all it is made of, as far as it is evaluated on the same rows."""
    yield column
    for field in fields(column):
        value = getattr(column, field.name)
        if isinstance(value, Column) and field.name not in {"column", "value", "by"}:
            yield from parts(value)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Column):
                    yield from parts(item)


def everything(column: Column) -> Iterator[Column]:
    """A column and all it is made of, also on the rows of other resources."""
    yield column
    for field in fields(column):
        value = getattr(column, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Column):
                yield from everything(item)


def of_kind(kind: str, columns: Iterator[Column]) -> list[Any]:
    return [column for column in columns if type(column).__name__ == kind]


@EACH
def test_every_variable_is_one_of_the_standard(mapping: DomainMapping) -> None:
    for name in mapping.columns:
        if not name.startswith("%"):
            standard.variable(mapping.domain, name)


@EACH
def test_keys_and_required_variables_are_there(mapping: DomainMapping) -> None:
    have = {*named(mapping), *ALWAYS}
    names = {*mapping.keys, *mapping.required, *mapping.unique}
    optional = {f"{mapping.domain}LNKID"}  # one mapping of the domain may have none
    assert names - optional <= have
    whole = set().union(*(named(m) for m in ALL if m.domain == mapping.domain)) | ALWAYS
    assert names <= whole


@pytest.mark.parametrize("mappings", MAPPINGS, ids=lambda m: m[0].domain)
def test_required_variables_of_the_standard_are_declared(mappings: Any) -> None:
    domain = mappings[0].domain
    have = {*ALWAYS, f"{domain}SEQ"}.union(*(m.columns for m in mappings))
    required = {v.name for v in standard.variables(domain) if v.core == "Req"}
    # What DM says of the study is the same for all; AEDECOD is coded afterwards where it is not.
    assert required <= have


@pytest.mark.parametrize("mappings", MAPPINGS, ids=lambda m: m[0].domain)
def test_the_mappings_of_a_domain_agree(mappings: Any) -> None:
    assert len({m.domain for m in mappings}) == 1
    assert len({m.keys for m in mappings}) == 1
    assert len({m.unique for m in mappings}) == 1
    labels = [(n, label) for m in mappings for n, (label, _) in (m.qualifiers or {}).items()]
    assert len(dict(labels)) == len(set(labels))


@EACH
def test_a_column_uses_only_variables_further_up(mapping: DomainMapping) -> None:
    known = set(ALWAYS)
    for name, column in named(mapping).items():
        used = {v.name for v in of_kind("_Var", parts(column))}
        used |= {v.key for v in of_kind("_Lookup", parts(column))}
        assert used <= known, f"{name} uses {used - known}"
        known.add(name)


@EACH
def test_what_is_looked_up_is_made_before(mapping: DomainMapping) -> None:
    position = next(n for n, m in enumerate(MAPPINGS) if m[0].domain == mapping.domain)
    before = {m[0].domain for m in MAPPINGS[:position]}
    for column in named(mapping).values():
        names = [v.variable for v in of_kind("_Lookup", everything(column))]
        names += [v for c in of_kind("_PerSubject", everything(column)) for v in c.variables]
        for domain, variable in (name.split(".") for name in names):
            assert domain in before
            standard.variable(domain, variable)


@EACH
def test_every_codelist_is_there(mapping: DomainMapping) -> None:
    terms = terminology(Study())
    for column in named(mapping).values():
        for recode in of_kind("_Recode", everything(column)):
            terms.recode(recode.codelist, "?")


@EACH
def test_a_variable_is_mapped_to_a_codelist_the_standard_has_for_it(mapping: DomainMapping) -> None:
    for name, column in mapping.columns.items():
        if name.startswith("%"):
            continue
        allowed = set(standard.variable(mapping.domain, name).codelists)
        for recode in of_kind("_Recode", iter([column, *getattr(column, "sources", ())])):
            if allowed and codelists.known(recode.codelist):
                assert (
                    recode.codelist in allowed
                    or codelists.codelist(recode.codelist).code in allowed
                )


@EACH
def test_assigned_values_are_terms_of_their_codelist(mapping: DomainMapping) -> None:
    for name, column in mapping.columns.items():
        if name.startswith("%") or type(column).__name__ != "_Const":
            continue
        lists = [c for c in standard.variable(mapping.domain, name).codelists if codelists.known(c)]
        if lists:
            assert any(column.value in codelists.codelist(c).terms for c in lists), (name, column)


@EACH
def test_every_column_can_explain_itself(mapping: DomainMapping) -> None:
    for name, column in named(mapping).items():
        text = column.describe()
        assert text.strip(), name
        assert "None" not in text
        assert "{" not in text
        assert isinstance(column.origin, Origin)


@EACH
def test_supplemental_qualifiers_fit(mapping: DomainMapping) -> None:
    for name, (label, _) in (mapping.qualifiers or {}).items():
        assert len(name) <= 8
        assert name.isalnum()
        assert name.isupper()
        assert 0 < len(label) <= 40
        assert name not in {v.name for v in standard.variables(mapping.domain)}


def test_the_plan_reads_only_what_it_understands() -> None:
    plan, valuesets = reading_plan(Study()), terminology(Study()).valuesets
    for rows, paths in plan.tables.items():
        assert is_resource_type(rows.resource)
        compile_paths([path for path in paths if not path.startswith("%") or "resource." in path])
        if rows.each:
            compile_nodes(rows.each)
        else:
            assert not [path for path in paths if path.startswith("%resource.")]
    named_sets = {c.valueset for rows in _all_rows(plan) for c in _coded(rows)}
    assert named_sets <= set(valuesets)


def _all_rows(plan: Any) -> list[Rows]:
    return [*plan.tables, *plan.set_aside]


def _coded(rows: Rows) -> list[Coded]:
    return [c for c in (*rows.of, *rows.unless) if isinstance(c, Coded)]


def test_every_value_set_that_ships_is_used() -> None:
    used = {c.valueset for rows in _all_rows(reading_plan(Study())) for c in _coded(rows)}
    assert used == set(terminology(Study()).valuesets)


def test_gates_and_rows_set_aside_give_known_reasons() -> None:
    assert {gate.reason for gate in GATES} <= set(REASONS)
    assert set(SET_ASIDE.values()) <= set(REASONS)
    for gate in GATES:
        assert gate.resource == "*" or is_resource_type(gate.resource)
        compile_paths([gate.path])


def test_relations_name_variables_that_are_made() -> None:
    made = {(m.domain, name) for m in ALL for name in m.columns}
    for relation in RELATIONS:
        assert (relation.left, relation.left_variable) in made
        assert (relation.right, relation.right_variable) in made
        assert {relation.left_type, relation.right_type} <= {"ONE", "MANY"}
    assert {*TREATS.left, (TREATS.right, TREATS.right_variable)} <= made


def test_every_conceptmap_gives_terms_of_its_codelist() -> None:
    for name, entries in terminology(Study()).maps.items():
        if codelists.known(name) and not codelists.codelist(name).extensible:
            assert set(entries.values()) <= set(codelists.codelist(name).terms), name
