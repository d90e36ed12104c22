"""study.toml: what a study may say, and the sentence for what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from fhir2cdisc.core.column import Context
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.errors import StudyError
from fhir2cdisc.mappings import MAPPINGS
from fhir2cdisc.pipeline import terminology
from fhir2cdisc.study import Study, read_study
from fhir2cdisc.terminology.terms import Terminology

CUSTOM = """
[mapping.TU.columns]
TULOC  = { recode = "LOC", from = { path = "bodySite.text" }, comment = "As the reader wrote it." }
TUEVAL = { const = "INDEPENDENT ASSESSOR" }
TUNAM  = { first_of = [ { path = "performer.first().display" }, { const = "CENTRAL" } ] }
"""


def study_of(tmp_path: Path, text: str) -> Study:
    file = tmp_path / "my_study.toml"
    file.write_text(text, encoding="utf-8")
    return read_study(file)


def test_without_a_file_the_defaults_are_in_force() -> None:
    study = read_study(None)
    assert study.id == "UNSPECIFIED"
    assert study.customise(MAPPINGS) == MAPPINGS


def test_a_study_replaces_and_adds_columns_and_keeps_the_others(tmp_path: Path) -> None:
    domains = study_of(tmp_path, CUSTOM).customise(MAPPINGS)
    for before, after in zip(MAPPINGS, domains, strict=True):
        for old, new in zip(before, after, strict=True):
            if old.domain != "TU":
                assert new is old
                continue
            assert list(new.columns)[: len(old.columns)] == list(old.columns)
            assert new.columns["TULOC"].describe() == "bodySite.text mapped to codelist LOC"
            assert new.columns["TULOC"].comment == "As the reader wrote it."
            assert new.columns["TUDTC"] is old.columns["TUDTC"]
            assert "bodySite.text" in new.paths


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert study_of(tmp_path, '\ufeff[study]\nid = "ABC-1"').id == "ABC-1"


REFUSED = {
    "an unknown key": ('[study]\nnam = "X"', "unknown key  @ study.nam"),
    "a lower-case study id": (
        '[study]\nid = "abc"',
        "does not fit: STUDYID: at most 20 capital letters, digits, blanks, dots and hyphens.  @",
    ),
    "a negative duration": (
        "[response]\nconfirm_days = -1",
        "expected at least 0  @ response.confirm_days",
    ),
    "half a day": (
        "[response]\nconfirm_days = 0.5",
        "expected a whole number  @ response.confirm_days",
    ),
    "a number in quotes": ('[endpoints]\nmonths = "6"', "expected a whole number"),
    "yes for a number": ("[endpoints]\nmonths = true", "expected a whole number"),
    "a thousand years": ("[endpoints]\nmonths = 12000", "expected at most 600"),
    "a text for a list": ('[treatment]\ndrugs = "X"', "expected a list, in square brackets"),
    "a number for a text": ("[treatment]\ndrugs = [1]", "expected a text, in quotes"),
    "a number for a section": ("treatment = 1", "expected a table  @ treatment"),
    "a text for yes or no": (
        '[response]\naccept_sd_between = "yes"',
        "expected true or false  @ response.accept_sd_between",
    ),
    "a threshold that is no number": ("[response]\npr_pct = nan", "expected a finite number"),
    "a long arm code": (
        '[treatment]\narmcd = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"',
        "expected at most 20 characters",
    ),
    "a visit number that is none": ("[visits]\nBASELINE = nan", "@ visits.BASELINE"),
    "a visit number without end": ("[visits]\nBASELINE = inf", "expected a finite number"),
    "a visit without a name": ('[visits]\n" " = 1', "a visit has no name  @ visits"),
    "a visit twice": ('[visits]\n"Week 6" = 6\n"WEEK  6" = 7', "WEEK 6 is there twice"),
    "where it is itself": ('file = "x"', "unknown key  @ file"),
    "a window that ends before it begins": (
        "[irecist]\nconfirm_max_days = 20",
        "confirm_max_days is less than confirm_min_days  @ irecist",
    ),
    "a rule that there is not": ('[endpoints]\nnrcr_rule = "most"', "@ endpoints.nrcr_rule"),
    "a domain without mapping": (
        '[mapping.XX.columns]\nXXTERM = { const = "1" }',
        "there is no mapping of XX",
    ),
    "a variable the domain has not": (
        '[mapping.TU.columns]\nTUXYZ = { const = "1" }',
        "TU has no variable TUXYZ  @ mapping.TU.columns.TUXYZ",
    ),
    "an identifier of the program": (
        '[mapping.AE.columns]\nUSUBJID = { const = "X" }',
        "USUBJID is made by the program  @ mapping.AE.columns.USUBJID",
    ),
    "a text for a number": (
        '[mapping.AE.columns]\nAEPTCD = { const = "X" }',
        "AEPTCD is a number, not a text",
    ),
    "a text for a number, among others": (
        '[mapping.AE.columns]\nAEPTCD = { first_of = [{ path = "id" }, { const = "X" }] }',
        "AEPTCD is a number, not a text",
    ),
    "a date that is none": (
        '[mapping.TU.columns]\nTUDTC = { const = "01.03.2024" }',
        "01.03.2024 is no date of ISO 8601  @ mapping.TU.columns.TUDTC",
    ),
    "an impossible date, among others": (
        '[mapping.TU.columns]\nTUDTC = { first_of = [{ path = "x" }, { const = "2024-02-30" }] }',
        "2024-02-30 is no date of ISO 8601",
    ),
    "a term outside a codelist that is not extensible": (
        '[mapping.AE.columns]\nAESEV = { const = "AWFUL" }',
        "AWFUL is no term of AESEV, which is not extensible  @ mapping.AE.columns.AESEV",
    ),
    "nearly a term": (
        '[mapping.AE.columns]\nAESEV = { const = "SEVER" }',
        "did you mean SEVERE?",
    ),
    "a term in another spelling": (
        '[mapping.TU.columns]\nTULOC = { const = "Lung" }',
        "LOC spells Lung as LUNG",
    ),
    "a number where a text should be": (
        "[mapping.TU.columns]\nTULOC = { const = 5 }",
        "const takes a text, in quotes",
    ),
    "a recode of nothing": (
        '[mapping.TU.columns]\nTULOC = { recode = "LOC" }',
        "recode needs a column to recode: from",
    ),
    "a choice of nothing": (
        "[mapping.AE.columns]\nAETERM = { first_of = [] }",
        "first_of needs at least one column",
    ),
    "no verb": (
        '[mapping.TU.columns]\nTULOC = { pth = "bodySite" }',
        "expected exactly one of path, const",
    ),
    "a path that cannot be read": (
        '[mapping.TU.columns]\nTULOC = { path = "bodySite.oops()" }',
        "cannot read FHIR path 'bodySite.oops()'",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_a_study_may_not_say(why: str, tmp_path: Path) -> None:
    text, sentence = REFUSED[why]
    with pytest.raises(StudyError) as refused:
        study_of(tmp_path, text).customise(MAPPINGS)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "my_study.toml"))
    assert "Input should" not in str(refused.value)


def test_what_replaces_a_column_is_checked_like_the_column(tmp_path: Path) -> None:
    """Dates, numbers and closed codelists: what the mappings of the package report, too."""
    text = """
[mapping.AE.columns]
AESTDTC = { path = "recordedDate" }
AESEV = { path = "severity.text" }
AESER = { first_of = [{ path = "x" }, { const = "N" }] }
AELOC = { path = "bodySite.text" }
AEPTCD = { path = "event.id" }
AETERM = { path = "event.text" }
"""
    (mapping, _) = study_of(tmp_path, text).customise([m for m in MAPPINGS if m[0].domain == "AE"])[
        0
    ]
    said = {name: mapping.columns[name].describe() for name in ("AESEV", "AELOC", "AEPTCD")}
    assert said == {
        "AESEV": "severity.text mapped to codelist AESEV",
        "AELOC": "bodySite.text",
        "AEPTCD": "event.id as number",
    }
    table = pd.DataFrame(
        {
            "recordedDate": ["2024-02-30", "2024-02"],
            "severity.text": ["severe", "awful"],
            "event.id": ["5", "five"],
            "x": ["Yes", "maybe"],
        },
        dtype="str",
    )
    issues = Issues()
    context = Context(terms=Terminology(), issues=issues)
    made = {
        name: mapping.columns[name].evaluate(table, context).tolist()
        for name in ("AESTDTC", "AESEV", "AEPTCD", "AESER")
    }
    assert [made["AESTDTC"][1], made["AESEV"][0], made["AEPTCD"][0]] == ["2024-02", "SEVERE", 5.0]
    assert made["AESER"][0] == "Y"
    assert pd.isna([made["AESTDTC"][0], made["AESEV"][1], made["AEPTCD"][1]]).all()
    assert sorted(issue.code for issue in issues) == ["CT0001", "CT0001", "FH0008", "FH0009"]


ADDED = {
    "a misspelt codelist": (
        '[aliases.LOCC]\n"x" = "LUNG"',
        "no mapping uses a codelist or value set LOCC; did you mean LOC?  @ aliases.LOCC",
    ),
    "a codelist in small letters": ('[aliases.loc]\n"x" = "LUNG"', "did you mean LOC?"),
    "a misspelt value set": (
        '[aliases.tumour-size]\n"urn:x|1" = "x"',
        "did you mean tumor-size?",
    ),
    "a codelist that nothing reads": ('[aliases.NY]\n"ja" = "Y"', "no mapping uses"),
    "the visits": ('[aliases.VISITNUM]\n"x" = "1"', "no mapping uses"),
    "a word for a value set": (
        '[aliases.tumor-size]\n"size" = "x"',
        'a value set takes system|code  @ aliases.tumor-size."size"',
    ),
    "a term that is none": (
        '[aliases.SEX]\n"weiblich" = "W"',
        'W is no term of SEX, which is not extensible  @ aliases.SEX."weiblich"',
    ),
    "a grade that is none": ('[aliases.AETOXGR]\n"III" = "III"', "III is no term of AETOXGR"),
    "no term": ('[aliases.LOC]\n"x" = ""', "the term is empty"),
    "no text": ('[aliases.LOC]\n" " = "LUNG"', "there is no source text"),
    "another spelling of a term": ('[aliases.LOC]\n"li. lunge" = "Lung"', "spells Lung as LUNG"),
    "a codelist to recode to that there is not": (
        '[mapping.TU.columns]\nTULOC = { recode = "LOK", from = { path = "x" } }',
        "there is no codelist LOK",
    ),
}


@pytest.mark.parametrize("why", ADDED)
def test_what_a_study_may_not_add_to_the_terminology(why: str, tmp_path: Path) -> None:
    text, sentence = ADDED[why]
    with pytest.raises(StudyError) as refused:
        terminology(study_of(tmp_path, text))
    assert sentence in str(refused.value)
    assert "my_study.toml" in str(refused.value)


def concept_map(term: str) -> str:
    element = {"code": "1", "target": [{"code": term}]}
    group = {"source": "urn:x", "element": [element]}
    return json.dumps({"resourceType": "ConceptMap", "group": [group]})


BESIDE = {
    "a misspelt codelist": ("conceptmaps/locc.json", concept_map("LUNG"), "did you mean loc?"),
    "a table": ("conceptmaps/loc.csv", "x", "loc.csv: is no .json file"),
    "a term that is none": (
        "conceptmaps/sex.json",
        concept_map("W"),
        "W is no term of SEX, which is not extensible  @ element 1",
    ),
    "a misspelt value set": (
        "valuesets/tumoursize.json",
        '{"resourceType": "ValueSet"}',
        "did you mean tumor-size?",
    ),
    "a value set without codes": (
        "valuesets/tumor-size.json",
        '{"resourceType": "ValueSet", "compose": {"include": [{"concept": [{}]}]}}',
        "is no well-formed ValueSet",
    ),
}


@pytest.mark.parametrize("why", BESIDE)
def test_files_beside_the_study_are_known_by_name_and_hold_terms(why: str, tmp_path: Path) -> None:
    name, content, sentence = BESIDE[why]
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(StudyError) as refused:
        assert terminology(study_of(tmp_path, "")).valuesets
    assert sentence in str(refused.value)
    assert Path(name).name in str(refused.value)


def test_a_study_may_extend_what_can_be_extended(tmp_path: Path) -> None:
    text = """
[aliases.LOC]
"seelisch" = "SOUL"

[aliases.OWN]
"a" = "A"

[mapping.TU.columns]
TUNAM = { recode = "OWN", from = { path = "x" } }
"""
    (tmp_path / "conceptmaps").mkdir()
    (tmp_path / "conceptmaps" / "loc.json").write_text(concept_map("LUNG, LEFT LOWER LOBE X"))
    (tmp_path / "conceptmaps" / ".hidden").write_text("")
    terms = terminology(study_of(tmp_path, text))
    assert terms.recode("LOC", "seelisch") == "SOUL"
    assert terms.recode("OWN", "a") == "A"


def test_a_long_visit_number_keeps_its_digits(tmp_path: Path) -> None:
    terms = terminology(study_of(tmp_path, '[visits]\n"Week 6" = 1234567.25'))
    assert terms.recode("VISITNUM", "WEEK 6") == "1234567.25"
