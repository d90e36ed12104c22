"""What a study adds to the terminology, checked before anything is read.

A name that nothing uses or a term that its codelist does not allow would otherwise be without
effect, or reach a dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from fhir2cdisc.errors import StudyError
from fhir2cdisc.terminology import codelists
from fhir2cdisc.terminology.conceptmap import entries, study_files

_PACKAGE = resources.files("fhir2cdisc.terminology")

# ConceptMaps of the package that are complete without being a CDISC codelist: yes and no, and the
# grades of CTCAE.
_COMPLETE = {"AESER", "AETOXGR"}


def check_additions(
    file: Path | None, aliases: Mapping[str, Mapping[str, str]], in_use: Collection[str]
) -> None:
    """Refuse names that no mapping uses, and terms that a codelist does not allow.

    `file` is the study file, `in_use` the codelists that mappings recode to.

    Raises:
        StudyError: with file, key and term; the nearest known name where there is one.
    """
    valuesets = _published("valuesets")
    for name, sources in aliases.items():
        if name not in valuesets and name not in in_use:
            near = nearest(name, {*in_use, *valuesets})
            raise StudyError(
                f"{file}: no mapping uses a codelist or value set {name}{near}  @ aliases.{name}"
            )
        for source, term in sources.items():
            wrong = _wrong_code(source) if name in valuesets else wrong_term(name, term)
            if wrong := wrong or ("" if source.strip() else "there is no source text"):
                raise StudyError(f'{file}: {wrong}  @ aliases.{name}."{source}"')
    folder = file.parent if file is not None else None
    maps = _named(folder, "conceptmaps", {name.lower() for name in in_use})
    _named(folder, "valuesets", valuesets)
    for name, path in maps.items():
        for (_, code), term in entries(path).items():
            if wrong := wrong_term(name.upper(), term):
                raise StudyError(f"{path}: {wrong}  @ element {code}")
    known = {n.upper() for n in (*_published("conceptmaps"), *maps)} | {*codelists.names()}
    for name in sorted({*in_use} - known - {*aliases}):
        raise StudyError(f"{file}: there is no codelist {name}{nearest(name, known)}  @ mapping")


def wrong_term(codelist: str, term: str) -> str:
    """Why a term may not stand for a codelist; empty if it may.

    A codelist that is not extensible allows its terms only; any other also what is not one of its
    terms in another spelling.
    """
    if not term.strip():
        return "the term is empty"
    terms: Collection[str] = ()
    closed = codelist in _COMPLETE
    if codelists.known(codelist):
        terms = codelists.codelist(codelist).terms
        closed = not codelists.codelist(codelist).extensible
    elif closed:
        terms = set(entries(_PACKAGE / "conceptmaps" / f"{codelist.lower()}.json").values())
    if term in terms:
        return ""
    if spelled := next((known for known in terms if known.upper() == term.upper()), ""):
        return f"{codelist} spells {term} as {spelled}"
    if not closed:
        return ""
    return f"{term} is no term of {codelist}, which is not extensible{nearest(term, terms)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one, as the end of a sentence; else nothing."""
    spelled = {word.upper(): word for word in sorted(known)}
    found = get_close_matches(name.upper(), spelled, n=1, cutoff=0.7)
    return f"; did you mean {spelled[found[0]]}?" if found else ""


def _wrong_code(source: str) -> str:
    system, _, code = source.rpartition("|")
    return "" if system and code else "a value set takes system|code"


def _published(kind: str) -> set[str]:
    """The names of the package's ConceptMaps or value sets, as their files have them."""
    return {file.name.removesuffix(".json") for file in (_PACKAGE / kind).iterdir()}


def _named(folder: Path | None, kind: str, known: Collection[str]) -> dict[str, Path]:
    """The files beside the study by the name they are for."""
    found: dict[str, Path] = {}
    for file in study_files(folder, kind):
        name = file.stem.lower()
        if file.suffix != ".json":
            raise StudyError(f"{file}: is no .json file; {kind}/ holds nothing else")
        if name not in known:
            what = "codelist" if kind == "conceptmaps" else "value set"
            raise StudyError(f"{file}: no mapping uses a {what} of this name{nearest(name, known)}")
        found[name] = file
    return found
