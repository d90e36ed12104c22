"""The protocol-definition sheet: every setting, with its sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import pytest
from pydantic.fields import FieldInfo

from fhir2cdisc.errors import StudyError
from fhir2cdisc.protocol import SENTENCES, setting_fields, settings_in_force
from fhir2cdisc.study import Study, read_study

FIELDS = dict(setting_fields())
EACH = pytest.mark.parametrize("name", FIELDS)


@EACH
def test_every_setting_has_a_sentence_a_meaning_and_a_source(name: str) -> None:
    assert name in SENTENCES, f"say in protocol.SENTENCES what {name} means"
    assert FIELDS[name].description
    assert SENTENCES[name].source


def test_every_sentence_belongs_to_a_setting() -> None:
    assert set(SENTENCES) <= set(FIELDS)


def values(field: FieldInfo) -> list[Any]:
    """The default of a setting, and every value of a choice."""
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    return (
        [True, False]
        if field.annotation is bool
        else [field.get_default(call_default_factory=True)]
    )


@EACH
def test_there_is_a_sentence_for_every_choice(name: str) -> None:
    said = [SENTENCES[name].of(value) for value in values(FIELDS[name])]
    assert all(said), values(FIELDS[name])
    assert len(set(said)) == len(said), "two choices mean the same"
    assert not [text for text in said if "{" in text]


def test_the_sentence_says_the_value_in_force() -> None:
    study = Study(response={"confirm_days": 35}, endpoints={"group": "SEX"})  # type: ignore[arg-type]
    found = {s.setting: s for s in settings_in_force(study)}
    assert found["response.confirm_days"][1:5] == (
        "35", "28", "Y", "A response is confirmed by a second one at least 35 days later.",
    )  # fmt: skip
    assert "ADSL.SEX" in found["endpoints.group"].sentence
    assert found["response.pr_pct"].differs == "N"
    assert found["visits"].value.startswith("SCREENING = -1, BASELINE = 0")


def test_empty_settings_have_a_sentence_of_their_own() -> None:
    found = {s.setting: s.sentence for s in settings_in_force(Study())}
    assert found["treatment.drugs"].startswith("No drug is named")
    assert (
        found["endpoints.null_rate"] == "Response rates are not tested against a null hypothesis."
    )
    assert found["response.vol_pd_abs_mm3"].endswith("no absolute increase.")


@EACH
def test_every_setting_is_in_the_run_record(name: str) -> None:
    section, _, key = name.partition(".")
    record = Study().settings()[section]
    assert not key or key in record


@EACH
def test_a_wrong_value_of_any_setting_is_refused_by_its_key(name: str, tmp_path: Path) -> None:
    section, _, key = name.partition(".")
    file = tmp_path / "study.toml"
    file.write_text(f"[{section}]\n{key} = {{ x = {{ y = 1 }} }}\n" if key else f"{section} = 1\n")
    with pytest.raises(StudyError, match=f"@ {section}") as refused:
        read_study(file)
    assert key in str(refused.value)


def test_the_sheet_of_the_example_lists_every_setting(example_as_csv: Path) -> None:
    sheet = pd.read_csv(example_as_csv / "results" / "protocol.csv", dtype="str")
    assert list(sheet["setting"]) == list(FIELDS)
    assert set(sheet["setting"][sheet["differs"] == "Y"]) >= {"study.id", "treatment.drugs"}
    page = (example_as_csv / "results" / "protocol.md").read_text(encoding="utf-8")
    assert page.startswith("# Protocol definitions of RTPD1-001\n")
    for sentence in sheet["sentence"]:
        assert sentence.replace("|", "\\|") in page
