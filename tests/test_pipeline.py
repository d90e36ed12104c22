"""The main job, end to end: what a data manager relies on."""

from __future__ import annotations

import filecmp
import json
import os
from pathlib import Path

import pandas as pd
import pyreadstat
import pytest
from click.testing import CliRunner

from fhir2cdisc.cli import main
from fhir2cdisc.converters import sdtm_to_adam
from fhir2cdisc.simulate import codes, simulate

REQUIRED = {"dm", "tu", "tr", "rs", "ae", "ex", "pr", "ds", "supptu", "relrec"}
ANALYSIS = {"adsl", "adtr", "adles", "adrs", "adtte", "adae", "adex"}


def run(*args: object) -> None:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def same(one: Path, other: Path) -> bool:
    names = files_of(one)
    assert names == files_of(other)
    return not filecmp.cmpfiles(one, other, names, shallow=False)[1]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "study"
    simulate(12, 3, folder, with_defects=True)
    return folder


@pytest.fixture(scope="module")
def converted(study: Path) -> Path:
    out = study.parent / "converted"
    run("convert", study, "--study", study / "study.toml", "--out", out)
    return out


def test_every_dataset_of_the_contract_is_there(example: Path) -> None:
    assert {p.stem for p in (example / "sdtm").iterdir()} >= REQUIRED
    assert {p.stem for p in (example / "adam").iterdir()} == ANALYSIS


def test_every_xpt_reads_back_as_it_was_written(example: Path, example_as_csv: Path) -> None:
    for file in sorted(example.rglob("*.xpt")):
        frame, meta = pyreadstat.read_xport(file)
        text = pd.read_csv(
            example_as_csv / file.parent.name / f"{file.stem}.csv", dtype=str, keep_default_na=False
        )
        assert list(frame.columns) == list(text.columns)
        assert all(meta.column_labels), file.name
        assert len(frame) == len(text)
        for name in frame.columns:
            values = frame[name]
            if values.dtype == "float64":
                number = pd.to_numeric(text[name].replace("", None))
                assert values.equals(number.astype("float64")), f"{file.name} {name}"
            elif name.removesuffix("0").endswith("DT"):
                days = [day.isoformat() if pd.notna(day) else "" for day in values]
                assert days == text[name].tolist(), f"{file.name} {name}"
            else:
                assert values.fillna("").tolist() == text[name].tolist(), f"{file.name} {name}"


def test_a_text_variable_has_one_length_in_the_whole_study(example: Path) -> None:
    for part in ("sdtm", "adam"):
        lengths: dict[str, set[int]] = {}
        for file in (example / part).glob("*.xpt"):
            if file.stem.startswith("supp"):
                continue
            _, meta = pyreadstat.read_xport(file)
            for name, width in meta.variable_storage_width.items():
                if meta.readstat_variable_types[name] == "string":
                    lengths.setdefault(name, set()).add(width)
        assert {name: found for name, found in lengths.items() if len(found) > 1} == {}
        assert max(max(found) for found in lengths.values()) <= 200


def test_adam_from_the_written_sdtm_is_the_same(
    example: Path, tmp_path: Path, example_study: Path
) -> None:
    run("adam", example / "sdtm", "--study", example_study, "--out", tmp_path / "out")
    for file in (example / "adam").iterdir():
        again = tmp_path / "out" / "adam" / file.name
        assert again.read_bytes() == file.read_bytes(), file.name
    assert (tmp_path / "out/results/endpoints.csv").read_bytes() == (
        example / "results/endpoints.csv"
    ).read_bytes()
    assert not (tmp_path / "out/sdtm").exists()
    assert not (tmp_path / "out/ledger.csv").exists()


@pytest.mark.parametrize("form", ["csv", "dataset-json"])
def test_adam_reads_other_formats_of_the_same_sdtm(
    form: str, example: Path, tmp_path: Path, example_study: Path
) -> None:
    source = example_study.parent
    run("convert", source, "--study", example_study, "--out", tmp_path / "in", "--format", form)
    run("adam", tmp_path / "in/sdtm", "--study", example_study, "--out", tmp_path / "out")
    for file in (example / "adam").iterdir():
        assert (tmp_path / "out/adam" / file.name).read_bytes() == file.read_bytes(), file.name


def test_adam_of_several_formats_reads_the_one_that_keeps_most_and_says_so(
    example: Path, example_as_csv: Path, tmp_path: Path, example_study: Path
) -> None:
    (tmp_path / "in").mkdir()
    for folder in (example, example_as_csv):
        for file in (folder / "sdtm").iterdir():
            (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    run("adam", tmp_path / "in", "--study", example_study, "--out", tmp_path / "out")
    issues = pd.read_csv(tmp_path / "out/issues.csv").set_index("code")
    assert issues.loc["SD0016", "message"] == ".xpt is read, not .csv"
    inputs = json.loads((tmp_path / "out/run.json").read_text())["inputs"]
    assert {Path(item["file"]).suffix for item in inputs} == {".xpt"}
    assert all(item["entries"] > 0 for item in inputs)


def test_the_number_of_jobs_does_not_matter(study: Path, converted: Path, tmp_path: Path) -> None:
    run("convert", study, "--study", study / "study.toml", "--out", tmp_path / "out", "--jobs", 3)
    assert same(converted, tmp_path / "out")


def test_the_number_of_subjects_derived_at_once_does_not_matter(
    study: Path, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdtm_to_adam, "BLOCK", 1)
    run("convert", study, "--study", study / "study.toml", "--out", tmp_path / "out")
    assert same(tmp_path / "out", converted)


def test_the_order_of_the_sources_does_not_matter(study: Path, tmp_path: Path) -> None:
    files = sorted(p for p in study.iterdir() if p.name not in {"study.toml", "log.ndjson"})
    for name, order in (("one", files), ("other", files[::-1])):
        run("convert", *order, "--study", study / "study.toml", "--out", tmp_path / name)
    assert same(tmp_path / "one", tmp_path / "other")


def test_the_order_of_the_lines_does_not_matter_to_datasets(
    example: Path, example_study: Path, tmp_path: Path
) -> None:
    source = tmp_path / "rt_pd1"
    source.mkdir()
    for file in example_study.parent.iterdir():
        lines = file.read_bytes().splitlines(keepends=True)
        (source / file.name).write_bytes(b"".join(lines if file.suffix == ".toml" else lines[::-1]))
    run("convert", source, "--study", source / "study.toml", "--out", tmp_path / "out")
    for part in ("sdtm", "adam", "results", "trace"):
        assert same(example / part, tmp_path / "out" / part), part


def test_the_ledger_has_every_resource_exactly_once(study: Path, converted: Path) -> None:
    ledger = pd.read_csv(converted / "ledger.csv", dtype=str, keep_default_na=False)
    assert not ledger.duplicated(["file", "line"]).any()
    for file in study.glob("*.ndjson"):
        if file.name != "log.ndjson":
            lines = [n for n, line in enumerate(file.read_bytes().split(b"\n"), 1) if line.strip()]
            own = ledger[ledger["file"] == f"study/{file.name}"]
            assert own["line"].astype(int).tolist() == lines, file.name
    assert (ledger["status"] != "").all()
    left_out = ledger[ledger["status"].isin(["excluded", "quarantined", "unrouted"])]
    assert (left_out["reason"] != "").all()


def test_bad_input_is_reported_where_it_stands(study: Path, converted: Path) -> None:
    issues = pd.read_csv(converted / "issues.csv", dtype=str, keep_default_na=False)
    found = set(issues["code"])
    assert found >= {"FH0001", "FH0002", "FH0003", "FH0004", "FH0005", "FH0009", "CT0001"}
    (sample,) = issues.loc[issues["code"] == "FH0001", "samples"]
    file, _, line = sample.partition(":")
    bad = (study.parent / file).read_bytes().split(b"\n")[int(line) - 1]
    with pytest.raises(json.JSONDecodeError):
        json.loads(bad)


def test_a_person_is_in_no_output(converted: Path, study: Path) -> None:
    written = b"".join(p.read_bytes() for p in sorted(converted.rglob("*")) if p.is_file())
    source = b"".join(p.read_bytes() for p in study.iterdir() if p.suffix == ".ndjson")
    for name in (*codes.FAMILY_NAMES, *codes.GIVEN_NAMES, codes.MRN_PREFIX):
        if name.encode() in source:
            assert name.encode() not in written, name


def test_every_record_has_a_source(converted: Path) -> None:
    for file in (converted / "sdtm").glob("*.xpt"):
        if file.stem == "relrec":
            continue
        frame, _ = pyreadstat.read_xport(file)
        trace = pd.read_parquet(converted / "trace" / f"{file.stem}.parquet")
        assert set(trace["parent_kind"]) == {"FHIR"}
        key = f"{file.stem.upper()}SEQ"
        if key in frame:
            records = set(zip(frame["USUBJID"], frame[key], strict=True))
            assert set(zip(trace["usubjid"], trace["sequence"], strict=True)) == records
    ledger = pd.read_csv(converted / "ledger.csv", dtype=str, keep_default_na=False)
    known = set(ledger["resource_type"] + "/" + ledger["id"])
    tr = pd.read_parquet(converted / "trace" / "tr.parquet")
    assert set(tr["parent"] + "/" + tr["parent_key"]) <= known


def test_every_analysis_record_has_a_parent_that_is_there(example: Path) -> None:
    keys: dict[str, set[str]] = {}
    for file in example.rglob("*.xpt"):
        frame, _ = pyreadstat.read_xport(file)
        name = file.stem.upper()
        sequence = next((s for s in (f"{name}SEQ", "ASEQ") if s in frame), None)
        if sequence:
            number = frame[sequence].astype(int).astype(str)
            keys[name] = set(frame["USUBJID"] + "|" + number)
        elif "USUBJID" in frame:
            keys[name] = set(frame["USUBJID"])
    for name in ANALYSIS:
        trace = pd.read_parquet(example / "trace" / f"{name}.parquet")
        for parent, group in trace.groupby("parent"):
            missing = set(group["parent_key"]) - keys[str(parent)]
            assert not missing, (name, parent, sorted(missing)[:3])


PUBLIC = {
    "mcode-stu4": {"dm", "ex", "pr"},
    "codex-rt-stu2": {"dm", "ae", "ex", "pr"},
    "ae-research-backport-r4": {"dm", "ae", "ex", "cm", "pr"},
    "bulk-synthea-10-patients": {"dm", "pr"},
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_examples_convert_without_a_study_file(name: str, tmp_path: Path) -> None:
    root = Path(os.environ.get("FHIR2CDISC_REFERENCE", Path(__file__).parents[2] / "shared"))
    source = root / "fhir" / name
    if not source.is_dir():
        pytest.skip("the public FHIR examples are not beside the repository")
    run("convert", source, "--out", tmp_path / "out")
    assert {p.stem for p in (tmp_path / "out/sdtm").glob("*.xpt")} >= PUBLIC[name]
    ledger = pd.read_csv(tmp_path / "out/ledger.csv", dtype=str, keep_default_na=False)
    assert not ledger.duplicated(["file", "line"]).any()
    assert set(ledger["status"]) <= {"converted", "used", "excluded", "quarantined", "unrouted"}
