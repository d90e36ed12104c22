"""The command line: what it answers, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir2cdisc import __version__
from fhir2cdisc.cli import main

PATIENT = '{"resourceType": "Patient", "id": "p1", "gender": "female"}\n'


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    file = tmp_path / "Patient.ndjson"
    file.write_text(PATIENT)
    return file


def test_version() -> None:
    assert __version__ in run("--version").output


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["convert", "absent.ndjson", "--out", "out"],
            "absent.ndjson: there is no such file or folder",
        ),
        (
            ["convert", "notes.txt", "--out", "out"],
            "notes.txt: is no .json, .ndjson or .jsonl file",
        ),
        (["convert", "empty", "--out", "out"], "empty: no FHIR file"),
        (
            ["convert", "Patient.ndjson", "--out", "other"],
            "other: holds files that are not of an earlier run",
        ),
        (
            ["convert", "Patient.ndjson", "--out", "notes.txt"],
            "notes.txt: is a file; --out names a folder",
        ),
        (
            ["convert", "Patient.ndjson", "--study", "no.toml", "--out", "out"],
            "no.toml: cannot be read",
        ),
        (
            ["convert", "Patient.ndjson", "--study", "bad.toml", "--out", "out"],
            "bad.toml: is not valid TOML",
        ),
        (
            ["convert", "Patient.ndjson", "--study", "key.toml", "--out", "out"],
            "key.toml: unknown key  @ study.nam",
        ),
        (
            ["convert", "Patient.ndjson", "--study", "value.toml", "--out", "out"],
            "@ response.confirm_days",
        ),
        (
            ["convert", "Patient.ndjson", "--study", "group.toml", "--out", "out"],
            "ADSL has no variable SEXX; did you mean SEX?  @ endpoints.group",
        ),
        (["adam", "empty", "--out", "out"], "empty"),
        (["adam", "absent", "--out", "out"], "absent"),
    ],
)
def test_what_cannot_run_ends_with_exit_code_2_and_one_sentence(
    args: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Patient.ndjson").write_text(PATIENT)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    (tmp_path / "bad.toml").write_text("[study\n")
    (tmp_path / "key.toml").write_text('[study]\nnam = "X"\n')
    (tmp_path / "group.toml").write_text('[endpoints]\ngroup = "SEXX"\n')
    (tmp_path / "value.toml").write_text('[response]\nconfirm_days = "four weeks"\n')
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("fhir2cdisc: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    assert (tmp_path / "other" / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_ends_with_exit_code_2(
    patients: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = run("convert", patients, "--out", blocked / "out")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_an_earlier_run_is_replaced(patients: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("convert", patients, "--out", out).exit_code == 0
    (out / "sdtm" / "old.xpt").write_text("old")
    assert run("convert", patients, "--out", out).exit_code == 0
    assert not (out / "sdtm" / "old.xpt").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_strict_says_with_exit_code_1_that_the_data_have_errors(
    patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "Bad.ndjson").write_text("{not json}\n")
    result = run("convert", patients, tmp_path / "Bad.ndjson", "--out", tmp_path / "a")
    assert result.exit_code == 0
    strict = run("convert", patients, tmp_path / "Bad.ndjson", "--out", tmp_path / "b", "--strict")
    assert strict.exit_code == 1
    assert (tmp_path / "b" / "issues.csv").exists()


def test_every_format_is_written_beside_the_others(patients: Path, tmp_path: Path) -> None:
    formats = ["xpt", "dataset-json", "parquet", "csv"]
    args = [x for form in formats for x in ("--format", form)]
    assert run("convert", patients, "--out", tmp_path / "out", *args).exit_code == 0
    written = {p.name for p in (tmp_path / "out/sdtm").iterdir()}
    assert {"dm.xpt", "dm.json", "dm.parquet", "dm.csv"} <= written


def test_a_patient_alone_is_enough(patients: Path, tmp_path: Path) -> None:
    result = run("convert", patients, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert record["resources"] == {"Patient/converted": 1}
    assert record["settings"]["response"]["confirm_days"] == 28


def test_an_empty_file_of_an_export_is_normal_and_in_the_run_record(
    patients: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "Condition.ndjson"
    empty.write_bytes(b"")
    assert run("convert", patients, empty, "--out", tmp_path / "out").exit_code == 0
    record = json.loads((tmp_path / "out/run.json").read_text())
    entries = {item["file"]: item["entries"] for item in record["inputs"]}
    assert entries == {"Condition.ndjson": 0, patients.name: 1}


def test_no_path_of_the_machine_is_in_the_output(patients: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.ndjson").write_bytes(patients.read_bytes())
    sources = [tmp_path / name / "p.ndjson" for name in "ab"]
    assert run("convert", *sources, "--out", tmp_path / "out").exit_code == 0
    written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert [p for p in written if tmp_path.name.encode() in p.read_bytes()] == []


@pytest.mark.parametrize("command", ["convert", "adam"])
def test_a_wrong_constant_of_the_study_is_named_by_file_key_and_term(
    command: str, patients: Path, tmp_path: Path
) -> None:
    study = tmp_path / "my_study.toml"
    study.write_text('[mapping.AE.columns]\nAESEV = { const = "AWFUL" }\n')
    (tmp_path / "dm.csv").write_text("STUDYID,USUBJID\nS1,S1-1\n")
    source = patients if command == "convert" else tmp_path
    result = run(command, source, "--study", study, "--out", tmp_path / "new" / "out")
    assert result.exit_code == 2
    assert "my_study.toml: AWFUL is no term of AESEV" in result.stderr
    assert "@ mapping.AE.columns.AESEV" in result.stderr


def test_output_goes_to_files_and_messages_to_stderr(patients: Path, tmp_path: Path) -> None:
    result = run("convert", patients, "--out", tmp_path / "out")
    assert result.stdout == ""
    assert "Done in" in result.stderr


def test_simulate_refuses_a_folder_in_use(patients: Path, tmp_path: Path) -> None:
    result = run("simulate", "--subjects", 1, "--out", tmp_path)
    assert result.exit_code == 2
    assert patients.read_text() == PATIENT


def test_help_answers_without_loading_the_heavy_libraries() -> None:
    code = """
import sys
from fhir2cdisc.cli import main
main(["--help"], standalone_mode=False)
print(sorted({"pandas", "numpy", "pyarrow", "pydantic", "fhir"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_an_earlier_run_did_not_write_is_never_deleted(patients: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("convert", patients, "--out", out).exit_code == 0
    (out / "mine.txt").write_text("mine")
    result = run("convert", patients, "--out", out)
    assert result.exit_code == 2
    assert "holds files that are not of an earlier run" in result.stderr
    assert (out / "mine.txt").read_text() == "mine"


def test_a_folder_that_holds_the_source_is_refused(patients: Path, tmp_path: Path) -> None:
    for out in (tmp_path, patients.parent / "." / ".." / tmp_path.name):
        result = run("convert", patients, "--out", out)
        assert result.exit_code == 2
        assert "holds the source" in result.stderr
    assert patients.read_text() == PATIENT


def test_the_folder_one_is_in_is_refused(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert run("convert", patients, "--out", out).exit_code == 0
    monkeypatch.chdir(out)
    assert run("convert", patients, "--out", ".").exit_code == 2
    assert (out / "run.json").exists()


def test_results_below_the_source_are_not_read_again(patients: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    patients.rename(source / "Patient.ndjson")
    for _ in range(2):
        assert run("convert", source, "--out", source / "out").exit_code == 0
        ledger = (source / "out" / "ledger.csv").read_text().splitlines()
        assert len(ledger) == 2


def test_a_number_out_of_range_is_left_out_and_reported(patients: Path, tmp_path: Path) -> None:
    dose = {
        "resourceType": "MedicationAdministration",
        "id": "m1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "X"},
        "effectiveDateTime": "2024-01-01",
        "dosage": {"dose": {"value": 1e80, "code": "mg"}},
    }
    file = tmp_path / "Dose.ndjson"
    file.write_text(json.dumps(dose) + "\n")
    assert run("convert", patients, file, "--out", tmp_path / "out").exit_code == 0
    issues = (tmp_path / "out/issues.csv").read_text()
    assert "SD0010,error" in issues
    assert "MedicationAdministration/m1" in issues


@pytest.mark.parametrize("entry", ["null", '"abc"', '{"resource": null}', "[1]"])
def test_a_bundle_entry_that_is_none_is_accounted_for(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(f'{{"resourceType": "Bundle", "entry": {entry}}}')
    assert run("convert", file, "--out", tmp_path / "out").exit_code == 0
    ledger = (tmp_path / "out/ledger.csv").read_text()
    assert "quarantined,no resourceType" in ledger
