"""What a name of the output means, in English: variables, parameters, results, settings, issues.

Nothing is written for this here: the text comes from the declarations that do the work, with the
values of a study in force.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import pandas as pd

from fhir2cdisc.adam import DERIVATIONS
from fhir2cdisc.adam import standard as adam_standard
from fhir2cdisc.adam.datasets import adex, adtr
from fhir2cdisc.adam.lesion_records import PARAMETERS as LESIONS
from fhir2cdisc.adam.parameters import definitions, parameters_of
from fhir2cdisc.adam.response_records import PARAMETERS as RESPONSES
from fhir2cdisc.adam.rules import RULES
from fhir2cdisc.conformance import CHECKS
from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.derivation import Derivation
from fhir2cdisc.core.issue import CATALOGUE, Issues
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.verbs import described
from fhir2cdisc.errors import DeclarationError, NameUnknown
from fhir2cdisc.mappings import MAPPINGS
from fhir2cdisc.protocol import Setting, settings_in_force
from fhir2cdisc.results.endpoints import compute_endpoints
from fhir2cdisc.sdtm import shared, standard
from fhir2cdisc.study import Study
from fhir2cdisc.terminology import codelists


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one thing is: its names, what kind of thing, its rule, and facts beside it.

    A thing that several datasets have alike is one explanation with several names.
    """

    names: tuple[str, ...]
    kind: str
    title: str
    rule: str
    facts: tuple[tuple[str, str], ...] = ()


def explain(names: Sequence[str], study: Study) -> list[Explanation]:
    """Everything that the names stand for: `TU.TULOC`, `PFS`, `response.confirm_days`, `RS0009`.

    Case does not matter. Without its dataset or section a name stands for all that end in it; a
    section of settings for all its settings.

    Raises:
        NameUnknown: a name that stands for nothing, with the nearest that do.
    """
    everything = list(explanations(study))
    by_name: dict[str, list[Explanation]] = {}
    for one in everything:
        for name in _asked_as(one):
            by_name.setdefault(name.casefold(), []).append(one)
    unknown = [name for name in names if name.casefold() not in by_name]
    if unknown:
        raise NameUnknown(_not_known(unknown, everything))
    found = [one for name in names for one in by_name[name.casefold()]]
    return _together(dict.fromkeys(found))


def explanations(study: Study) -> Iterator[Explanation]:
    """Everything there is to explain, in the order of the flow."""
    settings = {setting.setting: setting for setting in settings_in_force(study)}
    for mappings in study.customise(MAPPINGS):
        yield from _domain(mappings, study, settings)
    for derivation in DERIVATIONS:
        yield from _analysis_dataset(derivation, settings)
    yield from _parameters(study, settings)
    yield from _results(study)
    yield from (_setting(setting) for setting in settings.values())
    for code, issue in CATALOGUE.items():
        facts = (("Severity", str(issue.severity)), ("To do", issue.hint))
        yield Explanation((code,), "issue", issue.title, "", facts)
    for check in CHECKS:
        title = CATALOGUE[check.code].title
        about = (("Issue", check.code), ("Source", check.source), ("Needs", ", ".join(check.needs)))
        yield Explanation((check.id,), "conformance rule", title, check.rule, about)


def _asked_as(one: Explanation) -> set[str]:
    """The names that stand for a thing: in full, without dataset, or the section of a setting."""
    (name,) = one.names
    first, _, last = name.partition(".")
    return {name, last or name} | ({first} if one.kind == "setting" else set())


def _together(found: Iterable[Explanation]) -> list[Explanation]:
    """Those that say the same of the same kind of thing, as one with all names."""
    merged: dict[Explanation, tuple[str, ...]] = {}
    for one in found:
        same = replace(one, names=(one.names[0].rpartition(".")[2],))
        merged[same] = (*merged.get(same, ()), *one.names)
    return [replace(one, names=names) for one, names in merged.items()]


def _not_known(unknown: Sequence[str], everything: Iterable[Explanation]) -> str:
    known = {name.casefold(): name for one in everything for name in _asked_as(one)}
    said = []
    for name in unknown:
        near = [known[n] for n in get_close_matches(name.casefold(), known, n=4)]
        said.append(name + (f" (nearest: {', '.join(near)})" if near else ""))
    return (
        f"nothing is named {', '.join(said)}; a name is that of a dataset, variable, parameter, "
        "result, setting, issue or conformance rule"
    )


# -- SDTM -------------------------------------------------------------------------------------


_MADE = {
    "%key": "type and id of the resource",
    "%site": "name of the treated site of a course of radiotherapy: RT1, RT2, ... by start",
    "%record": "Y where the course, or its site, makes a record",
    "%protocol": "Y for treatment by the protocol",
    "%irradiated": "Y or N where evidence links sites of radiotherapy and lesions, else missing",
    "%evidence": "the kind of that evidence",
}
"""What is made before any domain; see sdtm/irradiation.py and converters/registry.py."""


def _domain(
    mappings: tuple[DomainMapping, ...], study: Study, settings: Mapping[str, Setting]
) -> Iterator[Explanation]:
    domain, keys = mappings[0].domain, mappings[0].keys
    about = standard.dataset(domain)
    yield Explanation(
        (domain,), "SDTM dataset", about.label, f"{about.structure}.",
        (("Made from", "; ".join(dict.fromkeys(_rows(m) for m in mappings))),
         ("Keys", ", ".join(keys))),
    )  # fmt: skip
    known = {variable.name: variable for variable in standard.variables(domain)}
    for name, columns in _columns(mappings, study).items():
        if name in known:
            facts = _facts(columns)
            facts.insert(1, ("Core", known[name].core))
            if lists := [_codelist(code) for code in known[name].codelists]:
                facts.insert(2, ("Codelist", ", ".join(lists)))
            yield _described(
                f"{domain}.{name}", "SDTM variable", known[name].label, _said(columns),
                facts=facts, settings=settings,
            )  # fmt: skip
    every = [(m, *each) for m in mappings for each in (m.qualifiers or {}).items()]
    labels = {name: label for _, name, (label, _) in every}
    for name, label in labels.items():
        columns = [(mapping, column) for mapping, own, (_, column) in every if own == name]
        yield _described(
            f"SUPP{domain}.{name}", "supplemental qualifier", label, _said(columns),
            facts=_facts(columns), settings=settings,
        )  # fmt: skip


_Columns = Sequence[tuple[DomainMapping, Column]]


def _columns(mappings: tuple[DomainMapping, ...], study: Study) -> dict[str, _Columns]:
    """The columns of each variable of a domain: those of its mappings, then the engine's."""
    first = mappings[0]
    domain, keys = first.domain, first.keys
    found: dict[str, _Columns] = {
        name: [(first, column)] for name, column in shared.identifiers(domain, study.id).items()
    }
    found["USUBJID"] = [(m, _of_patient(m)) for m in mappings]
    for name in dict.fromkeys(name for m in mappings for name in m.columns):
        found[name] = [(m, m.columns[name]) for m in mappings if name in m.columns]
    engine = {
        **shared.timing(domain, found),
        **shared.last_before_exposure(domain, found),
        **shared.sequence(domain, keys),
    }
    return {name: [(first, column)] for name, column in engine.items()} | found


def _of_patient(mapping: DomainMapping) -> Column:
    text = "STUDYID and SUBJID of the Patient, with a hyphen"
    if mapping.domain == "DM":
        return described("USUBJID", text)
    return described("USUBJID", f"{text}: {mapping.subject.describe()}")


def _rows(mapping: DomainMapping) -> str:
    each = mapping.rows.each
    return mapping.rows.resource + (f" ({each})" if each else "")


def _codelist(code: str) -> str:
    return f"{codelists.codelist(code).name} ({code})" if codelists.known(code) else code


def _facts(columns: _Columns) -> list[tuple[str, str]]:
    """The origin, and what the names in the rule mean that are no FHIR paths."""
    origins = dict.fromkeys(str(column.origin) for _, column in columns)
    facts = [("Origin", ", ".join(origins))]
    helpers: dict[str, str] = {}
    for mapping, column in columns:
        for name in re.findall(r"%[a-z]+", column.describe()):
            if name in mapping.columns and mapping.columns[name].describe() != name:
                helpers[name] = mapping.columns[name].describe()
            elif name in _MADE:
                helpers[name] = _MADE[name]
    return facts + [("Where", f"{name} is {text}") for name, text in helpers.items()]


def _said(columns: _Columns) -> str:
    """The rule of a variable; where the mappings of a domain differ, one line for each."""
    rules: dict[str, list[str]] = {}
    for mapping, column in columns:
        text = column.describe() + (f". {column.comment}" if column.comment else "")
        rules.setdefault(text, []).append(_rows(mapping))
    # An element of a resource says the same as the resource itself, but for where it starts.
    plain = {text.replace("%resource.", "") for text in rules}
    if len(plain) == 1:
        return plain.pop()
    return "\n".join(f"- {' and '.join(dict.fromkeys(w))}: {text}" for text, w in rules.items())


# -- ADaM -------------------------------------------------------------------------------------


def _analysis_dataset(
    derivation: Derivation, settings: Mapping[str, Setting]
) -> Iterator[Explanation]:
    facts = (("Needs", ", ".join(derivation.needs)), ("Keys", ", ".join(derivation.keys)))
    text = (derivation.derive.__doc__ or "").partition("\n")[0]
    yield Explanation((derivation.name,), "analysis dataset", derivation.label, text, facts)
    for name, column in derivation.columns.items():
        rule = column.describe()
        if column.origin == Origin.PREDECESSOR:
            rule = f"From {rule}, unchanged"
        yield _described(
            f"{derivation.name}.{name}", "ADaM variable",
            derivation.labels[name], rule, facts=[("Origin", str(column.origin))],
            settings=settings,
        )  # fmt: skip


def _parameters(study: Study, settings: Mapping[str, Setting]) -> Iterator[Explanation]:
    titles = {
        "ADTR": {code: param for code, (param, *_) in adtr.PARAMETERS.items()},
        "ADLES": dict(LESIONS),
        "ADRS": {code: parameter.param for code, parameter in RESPONSES.items()},
        "ADEX": {code: parameter.param for code, parameter in adex.PARAMETERS.items()},
    }
    for dataset, params in titles.items():
        for code, title in params.items():
            own = RULES[dataset][code]
            facts = [*_in_force(own.settings, settings), *(("Source", c) for c in own.cites)]
            yield Explanation(
                (f"{dataset}.{code}",), "parameter", title, own.of(study), tuple(facts)
            )
    for timed in parameters_of(study):
        used = ["endpoints.start"]
        if timed.gap is not None:
            used += ["endpoints.visit_interval_days", "endpoints.visit_window_days"]
        facts = [*_in_force(used, settings), *(("Source", cited) for cited in timed.cites)]
        rule = timed.describe(study).removeprefix(f"{timed.param}: ")
        yield Explanation(
            (f"ADTTE.{timed.paramcd}",), "parameter", timed.param,
            rule[:1].upper() + rule[1:], tuple(facts),
        )  # fmt: skip


# -- results, settings ------------------------------------------------------------------------


def _results(study: Study) -> Iterator[Explanation]:
    """The results by their ids: what the table of endpoints says where there are no data."""
    nobody = {derivation.name: _without_records(derivation) for derivation in DERIVATIONS}
    for row in compute_endpoints(nobody, study, Issues(), definitions(study)).rows:
        facts = (("Subjects", row.analysis_set), ("Records", f"{row.dataset}: {row.where}"))
        yield Explanation((row.id,), "result", row.endpoint, row.method, facts)


def _without_records(derivation: Derivation) -> pd.DataFrame:
    def kind(name: str) -> str:
        if name.endswith("DT") or name == "STARTDT0":
            return "datetime64[s]"
        try:
            return "float64" if adam_standard.variable(name).type == "Num" else "str"
        except DeclarationError:  # a variable of our own
            return "float64" if name.startswith("NTRG") else "str"

    return pd.DataFrame({name: pd.Series(dtype=kind(name)) for name in derivation.columns})


def _setting(setting: Setting) -> Explanation:
    facts = (
        ("In force", setting.value or "(none)"),
        ("Default", setting.default or "(none)"),
        ("Source", setting.source),
    )
    return Explanation((setting.setting,), "setting", setting.meaning, setting.sentence, facts)


def _described(
    name: str,
    kind: str,
    title: str,
    rule: str,
    *,
    facts: Sequence[tuple[str, str]],
    settings: Mapping[str, Setting],
) -> Explanation:
    used = _named_in(rule, settings)
    return Explanation((name,), kind, title, rule, (*facts, *_in_force(used, settings)))


def _named_in(rule: str, settings: Mapping[str, Setting]) -> list[str]:
    """The settings that a rule names: ``section.key``, ``setting key``, or a key of two words."""
    found = []
    for name in settings:
        key = name.rpartition(".")[2]
        short = rf"|\b{key}\b" if "_" in key else rf"|\bsettings? {key}\b"
        if re.search(rf"\b{re.escape(name)}\b{short}", rule):
            found.append(name)
    return found


def _in_force(names: Iterable[str], settings: Mapping[str, Setting]) -> Iterator[tuple[str, str]]:
    for name in names:
        setting = settings[name]
        mark = "" if setting.differs == "Y" else " (default)"
        yield "Setting", f"{name} = {setting.value or '(none)'}{mark}"
