"""Codes become CDISC terms by what is published or declared, never by how they look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir2cdisc.core import concept
from fhir2cdisc.errors import DeclarationError, StudyError
from fhir2cdisc.terminology import ucum
from fhir2cdisc.terminology.systems import DICOM, LOINC, NCIT, SNOMED, canonical
from fhir2cdisc.terminology.terms import Terminology

TERMS = Terminology()


def coded(*codings: tuple[str, str], text: str = "", display: str = "") -> str:
    found = concept.encode(
        {
            "coding": [{"system": s, "code": c, "display": display} for s, c in codings],
            "text": text,
        }
    )
    assert found is not None
    return found


RECODED = {
    "a ConceptMap: SNOMED body site": ("LOC", coded((SNOMED, "10200004")), "LIVER"),
    "a ConceptMap: LOINC answer": ("ONCRSR", coded((LOINC, "LA28366-5")), "CR"),
    "a ConceptMap: DICOM": ("TUIDRS", coded((DICOM, "112074")), "TARGET"),
    "an NCIt code of the codelist": ("ONCRSR", coded((NCIT, "C18058")), "PR"),
    "an NCIt code of another codelist": ("ONCRSR", coded((NCIT, "C25626")), None),
    "an NCIt code in another system": ("ONCRSR", coded((SNOMED, "C18058")), None),
    "a text that is the term": ("TUIDRS", coded(text="Non-Target"), "NON-TARGET"),
    "a text with blanks": ("TUIDRS", coded(text="  non-target "), "NON-TARGET"),
    "a synonym of the codelist": ("LAT", coded(text="left"), "LEFT"),
    "a plain text": ("SEX", "female", "F"),
    "the second coding, where the first says nothing": (
        "LOC",
        coded(("urn:local", "X7"), (SNOMED, "10200004")),
        "LIVER",
    ),
    "the text, where no coding says anything": (
        "LOC",
        coded(("urn:local", "X7"), text="Liver"),
        "LIVER",
    ),
    "a coding before the text": ("LOC", coded((SNOMED, "10200004"), text="Brain"), "LIVER"),
    "a display is never taken for a code": (
        "LOC",
        coded(("urn:local", "X7"), display="LIVER"),
        None,
    ),
    "nor a code for a text": ("TUIDRS", coded(("urn:local", "TARGET")), None),
    "the name of a test by its short name": ("TRTEST", "LDIAM", "Longest Diameter"),
    "another test": ("ONCRTS", "OVRLRESP", "Overall Response"),
    "gender other is unknown, not intersex": ("SEX", "other", "U"),
    "gender unknown": ("SEX", "unknown", "U"),
    "nothing fits": ("LOC", coded(text="Atlantis"), None),
}


@pytest.mark.parametrize(("codelist", "source", "term"), RECODED.values(), ids=RECODED)
def test_recode(codelist: str, source: str, term: str | None) -> None:
    assert TERMS.recode(codelist, source) == term


SYSTEMS = {
    "http://snomed.info/sct": SNOMED,
    "http://snomed.info/sct/900000000000207008": SNOMED,
    "http://snomed.info/sct|http://snomed.info/sct/731000124108": SNOMED,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "https://loinc.org/": LOINC,
    "http://loinc.org/88040-1": LOINC,
    "urn:oid:2.16.840.1.113883.3.26.1.1": NCIT,
    "DCM": DICOM,
    "urn:oid:1.2.840.10008.2.16.4": DICOM,
    "https://example.org/own": "https://example.org/own",
    "": "",
}


@pytest.mark.parametrize(("written", "meant"), SYSTEMS.items(), ids=SYSTEMS)
def test_a_code_system_has_one_name_however_it_is_written(written: str, meant: str) -> None:
    assert canonical(written) == meant


def test_an_alias_of_the_study_wins_over_what_is_published() -> None:
    terms = Terminology(
        aliases={
            "LOC": {"Oberbauch": "ABDOMEN, UPPER", f"{SNOMED}|10200004": "OWN PLACE"},
            "TUIDRS": {"Ziel": "TARGET"},
        }
    )
    assert terms.recode("LOC", "oberbauch") == "ABDOMEN, UPPER"
    assert terms.recode("LOC", coded((SNOMED, "10200004"))) == "OWN PLACE"
    assert terms.recode("TUIDRS", coded(text="ZIEL")) == "TARGET"
    assert terms.recode("TUIDRS", coded((DICOM, "112074"))) == "TARGET"


def test_a_conceptmap_of_the_study_wins_term_by_term(tmp_path: Path) -> None:
    folder = tmp_path / "conceptmaps"
    folder.mkdir()
    group = {
        "source": SNOMED,
        "element": [
            {"code": "10200004", "target": [{"code": "LIVER, LEFT LOBE"}]},
            {"code": "999000001", "target": [{"code": "SPLEEN"}]},
        ],
    }
    file = folder / "loc.json"
    file.write_text(json.dumps({"resourceType": "ConceptMap", "group": [group]}), encoding="utf-8")
    terms = Terminology(tmp_path)
    assert terms.recode("LOC", coded((SNOMED, "10200004"))) == "LIVER, LEFT LOBE"
    assert terms.recode("LOC", coded((SNOMED, "999000001"))) == "SPLEEN"
    assert terms.recode("LOC", coded((SNOMED, "12738006"))) == "BRAIN"


WRONG = {
    "no JSON": "{",
    "another resource": '{"resourceType": "ValueSet"}',
    "two targets": '{"resourceType": "ConceptMap", "group": [{"element": [{"code": "1", "target": '
    '[{"code": "A"}, {"code": "B"}]}]}]}',
    "no code": '{"resourceType": "ConceptMap", "group": [{"element": [{"target": []}]}]}',
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_wrong_conceptmap_of_the_study_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "conceptmaps").mkdir()
    (tmp_path / "conceptmaps" / "loc.json").write_text(content, encoding="utf-8")
    with pytest.raises(StudyError, match=r"loc\.json"):
        Terminology(tmp_path).recode("LOC", "liver")


def test_an_alias_adds_its_code_to_a_value_set() -> None:
    terms = Terminology(aliases={"tumor-size": {"urn:local|SIZE": "SIZE"}})
    assert ("urn:local", "SIZE") in terms.valuesets["tumor-size"]
    assert (LOINC, "21889-1") in terms.valuesets["tumor-size"]


def test_a_codelist_that_nobody_has_is_refused() -> None:
    with pytest.raises(DeclarationError, match="NOSUCH"):
        TERMS.recode("NOSUCH", "x")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_unknown_code_gets_a_term(system: str, code: str, display: str) -> None:
    source = coded((f"urn:x:{system}", f"?{code}"), display=display)
    assert TERMS.recode("TUIDRS", source) is None


CONVERTED = {
    "mm stay mm, without trailing zeros": ("7.00", "mm", "mm", "7"),
    "cm": ("3.20", "cm", "mm", "32"),
    "cm, exactly": ("1.15", "cm", "mm", "11.5"),
    "a decimal that floats cannot hold": ("0.1", "cm", "mm", "1"),
    "many digits": ("1.2345678901234567890", "cm", "mm", "12.34567890123456789"),
    "m": ("0.021", "m", "mm", "21"),
    "um": ("21000", "um", "mm", "21"),
    "spelled out": ("2", "centimeters", "mm", "20"),
    "cGy": ("2430", "cGy", "Gy", "24.3"),
    "mm3 in mL": ("2500", "mm3", "mL", "2.5"),
    "cm3 in mL": ("2.50", "cm3", "mL", "2.5"),
    "zero": ("0.0", "cm", "mm", "0"),
    "minus zero": ("-0.0", "cm", "mm", "0"),
    "an exponent": ("1E+2", "mm", "mm", "100"),
    "a negative number is not judged here": ("-12.0", "mm", "mm", "-12"),
    "another quantity": ("5", "mg", "mm", None),
    "an unknown unit": ("1.25", "[in_i]", "mm", None),
    "no unit": ("31", "", "mm", None),
    "no number": ("large", "mm", "mm", None),
    "infinity": ("Infinity", "mm", "mm", None),
    "an unknown target": ("5", "mm", "inch", None),
    "units are case sensitive": ("5", "MM", "mm", None),
}


@pytest.mark.parametrize(("number", "unit", "to", "expected"), CONVERTED.values(), ids=CONVERTED)
def test_units(number: str, unit: str, to: str, expected: str | None) -> None:
    assert ucum.convert(number, unit, to) == expected


@given(st.decimals(0, 10_000, places=3, allow_nan=False))
def test_a_length_there_and_back_is_the_same_number(number) -> None:
    there = ucum.convert(str(number), "cm", "mm")
    back = ucum.convert(str(there), "mm", "cm")
    assert back == ucum.plain(number)
