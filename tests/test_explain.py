"""``fhir2cdisc explain``: the rule of everything that has a name, from its declaration."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir2cdisc.adam import DERIVATIONS
from fhir2cdisc.adam.datasets import adex, adles, adtr
from fhir2cdisc.adam.response_records import PARAMETERS
from fhir2cdisc.adam.rules import RULES
from fhir2cdisc.cli import main
from fhir2cdisc.core.issue import CATALOGUE
from fhir2cdisc.errors import NameUnknown
from fhir2cdisc.explain import explain, explanations
from fhir2cdisc.mappings import MAPPINGS
from fhir2cdisc.protocol import setting_fields
from fhir2cdisc.study import Study

EVERYTHING = {one.names[0]: one for one in explanations(Study())}


@pytest.mark.parametrize(
    ("dataset", "codes"),
    [
        ("ADTR", adtr.PARAMETERS),
        ("ADLES", adles.PARAMETERS),
        ("ADRS", PARAMETERS),
        ("ADEX", adex.PARAMETERS),
    ],
)
def test_no_parameter_is_without_a_rule(dataset: str, codes: dict[str, object]) -> None:
    assert sorted(RULES[dataset]) == sorted(codes), "say in adam/rules.py how it is derived"


@pytest.mark.parametrize("dataset", RULES)
def test_a_rule_is_sentences_with_the_values_in_force(dataset: str) -> None:
    for code, rule in RULES[dataset].items():
        text = rule.of(Study())
        assert text.endswith("."), code
        assert "{" not in text, code
        assert set(rule.settings) <= {name for name, _ in setting_fields()}, code


def test_everything_has_an_explanation() -> None:
    for mappings in MAPPINGS:
        for mapping in mappings:
            own = {f"{mapping.domain}.{n}" for n in mapping.columns if n[0] != "%"}
            own |= {f"SUPP{mapping.domain}.{n}" for n in mapping.qualifiers or ()}
            assert own <= set(EVERYTHING)
    for derivation in DERIVATIONS:
        assert {f"{derivation.name}.{n}" for n in derivation.columns} <= set(EVERYTHING)
    assert {name for name, _ in setting_fields()} <= set(EVERYTHING)
    assert set(CATALOGUE) <= set(EVERYTHING)
    assert {"ADTTE.PFS", "ADTTE.OS", "ADRS.CBOR", "ADLES.LSCTRL", "ORR", "NRCR"} <= set(EVERYTHING)


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_explanation_says_something(name: str) -> None:
    one = EVERYTHING[name]
    assert one.title
    assert one.rule or one.facts
    assert "nan" not in one.rule.lower().split()


@pytest.mark.parametrize(
    ("asked", "names", "said"),
    [
        ("PFS", ("ADTTE.PFS",), "An event more than 98 days after"),
        ("bor", ("ADRS.BOR",), "SD and NON-CR/NON-PD from day 42"),
        ("ADRS.CBOR", ("ADRS.CBOR",), "at least 28 days after them"),
        ("TU.TULOC", ("TU.TULOC",), "bodySite mapped to codelist LOC"),
        ("TUIRRAD", ("SUPPTU.TUIRRAD",), "%irradiated of the BodyStructure"),
        ("AESEQ", ("AE.AESEQ",), "within subject by"),
        ("EVLFL", ("ADSL.EVLFL",), "Y if FASFL is Y"),
        ("TRTEMFL", ("ADAE.TRTEMFL",), "from TRTSDT to TRTEDT"),
        ("NRCR", ("NRCR",), "Share of all non-irradiated target lesions"),
        ("confirm_days", ("response.confirm_days",), "at least 28 days later"),
        ("visits", ("visits",), "SCREENING = -1"),
        ("q05", ("Q05",), "Every target lesion is measured at baseline."),
    ],
)
def test_a_name_is_explained(asked: str, names: tuple[str, ...], said: str) -> None:
    first = explain([asked], Study())[0]
    assert first.names == names
    assert said in first.rule


def test_the_values_in_force_are_those_of_the_study() -> None:
    study = Study(response={"sd_min_days": 56}, endpoints={"nrcr_rule": "last"})  # type: ignore[arg-type]
    best, control = explain(["BOR", "LSCTRL"], study)
    assert "from day 56" in best.rule
    assert ("Setting", "response.sd_min_days = 56") in best.facts
    assert "its last response is CR, PR or SD" in control.rule
    (usual,) = explain(["BOR"], Study())
    assert ("Setting", "response.sd_min_days = 42 (default)") in usual.facts


def test_a_variable_names_the_settings_it_depends_on() -> None:
    (found,) = explain(["ADAE.TRTEMFL"], Study())
    assert ("Setting", "treatment.teae_days = 30 (default)") in found.facts
    (found,) = explain(["DM.ARM"], Study())
    assert ("Setting", "treatment.arm = Treatment (default)") in found.facts


def test_a_name_that_stands_for_several_things_explains_all() -> None:
    found = explain(["STUDYID"], Study())
    named = [name for one in found for name in one.names]
    assert {"DM.STUDYID", "TU.STUDYID", "ADSL.STUDYID", "ADAE.STUDYID"} <= set(named)
    assert len(found) < len(named), "what says the same is said once"
    assert {one.kind for one in explain(["response"], Study())} == {"setting"}


def test_a_study_that_reads_a_variable_elsewhere_explains_it_so() -> None:
    spec = {"TU": {"columns": {"TULOC": {"path": "note.first().text", "comment": "Read there."}}}}
    (found,) = explain(["TU.TULOC"], Study(mapping=spec))  # type: ignore[arg-type]
    assert found.rule == "note.first().text. Read there."


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(NameUnknown, match=r"nothing is named TULOK \(nearest: TULOC"):
        explain(["PFS", "TULOK"], Study())


# -- on the terminal --------------------------------------------------------------------------


def run(*args: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["explain", *args])


def test_the_text_is_as_wide_as_the_terminal_and_has_no_colour_in_a_pipe() -> None:
    for columns in (60, 80, 120):
        result = run("PFS", "BOR", "ADRS", columns=columns)
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout
        widths = [len(line) for line in result.stdout.splitlines()]
        assert max(widths) <= min(columns, 100)
        assert max(widths) > min(columns, 100) - 12


def test_the_study_file_gives_the_values(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text("[response]\nconfirm_days = 35\n")
    result = run("CBOR", "--study", str(file))
    assert "35 days" in " ".join(result.stdout.split())
    assert "response.confirm_days = 35\n" in result.stdout


def test_an_unknown_name_ends_with_exit_code_2_and_nothing_on_stdout() -> None:
    result = run("PFS", "PSF")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "nothing is named PSF (nearest: PFS" in result.stderr
