"""study.toml: what a study may say, and the sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir2cdisc.errors import StudyError
from fhir2cdisc.mappings import MAPPINGS
from fhir2cdisc.study import Study, read_study

CUSTOM = """
[mapping.TU.columns]
TULOC  = { recode = "LOC", from = { path = "bodySite.text" }, comment = "As the reader wrote it." }
TUEVAL = { const = "INDEPENDENT ASSESSOR" }
TUNAM  = { first_of = [ { path = "performer.first().display" }, { const = "CENTRAL" } ] }
"""


def study_of(tmp_path: Path, text: str) -> Study:
    file = tmp_path / "study.toml"
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
    "a lower-case study id": ('[study]\nid = "abc"', "@ study.id"),
    "a negative duration": ("[response]\nconfirm_days = -1", "@ response.confirm_days"),
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
