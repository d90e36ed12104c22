"""What mappings ask of terminology: one object for a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from fhir2cdisc.core.concept import decode
from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.terminology import codelists, ucum
from fhir2cdisc.terminology.conceptmap import Map, read_conceptmaps
from fhir2cdisc.terminology.systems import NCIT, canonical
from fhir2cdisc.terminology.valueset import ValueSet, read_valuesets

# Codelist of test names -> codelist of their short names.
_TEST_CODES = {
    "TUTEST": "TUTESTCD",
    "TRTEST": "TRTESTCD",
    "ONCRTS": "ONCRTSCD",
    "SSTEST": "SSTESTCD",
}


class Terminology:
    """ConceptMaps, codelists, value sets and units: the package's, the study's on top."""

    def __init__(
        self, study: Path | None = None, aliases: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._study = study
        self._aliases = aliases or {}
        self._texts: dict[str, dict[str, str]] = {}
        self._ncit: dict[str, dict[str, str]] = {}

    @cached_property
    def maps(self) -> dict[str, Map]:
        return read_conceptmaps(self._study)

    @cached_property
    def valuesets(self) -> dict[str, ValueSet]:
        return read_valuesets(self._study, self._aliases)

    def recode(self, codelist: str, concept: str) -> str | None:
        """The CDISC term of an encoded concept.

        First what the ConceptMaps say of one of its codings, then an NCIt code of the codelist
        itself, then a text (one without a code) that is a term, a synonym or an alias of the
        study. A display is never taken for a code.
        """
        self._load(codelist)
        mapped, by_code = self.maps.get(codelist, {}), self._ncit[codelist]
        for coding in decode(concept):
            system = canonical(coding.system)
            if not coding.code:
                term = self._texts[codelist].get(_fold(coding.display))
            else:
                term = (
                    self._texts[codelist].get(_fold(f"{system}|{coding.code}"))
                    or mapped.get((system, coding.code))
                    or (by_code.get(coding.code) if system == NCIT else None)
                )
            if term:
                return term
        return None

    def _load(self, codelist: str) -> None:
        if codelist in self._texts:
            return
        texts: dict[str, str] = {}
        codes: dict[str, str] = {}
        if codelists.known(codelist):
            for value, term in codelists.codelist(codelist).terms.items():
                codes[term.code] = value
                for synonym in term.synonyms:
                    texts.setdefault(_fold(synonym), value)
            texts.update({_fold(v): v for v in codelists.codelist(codelist).terms})
            if codes_of := _TEST_CODES.get(codelist):  # the name of a test has the code's NCI code
                for value, term in codelists.codelist(codes_of).terms.items():
                    texts[_fold(value)] = codes[term.code]
        elif codelist not in self.maps and codelist not in self._aliases:
            raise DeclarationError(f"there is no codelist and no ConceptMap {codelist!r}")
        own = self.maps.get(codelist, {}).items()
        texts.update({_fold(code): target for (system, code), target in own if not system})
        for source, alias in self._aliases.get(codelist, {}).items():
            system, bar, code = source.rpartition("|")
            texts[_fold(f"{canonical(system)}|{code}" if bar else source)] = alias
        self._texts[codelist], self._ncit[codelist] = texts, codes

    def convert(self, number: str, unit: str, to: str) -> str | None:
        """An exact decimal in another unit, or None."""
        return ucum.convert(number, unit, to)


def _fold(text: str) -> str:
    return " ".join(text.split()).upper()
