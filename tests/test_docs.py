"""What the documentation says is so: made pages, commands, examples, decisions and their tests."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from click.testing import CliRunner

from fhir2cdisc.cli import main
from fhir2cdisc.core.issue import CATALOGUE, RETIRED
from fhir2cdisc.core.ledger import REASONS
from fhir2cdisc.study import Study

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["study.md", "issues.md", "adam.md", "checks.md"])
def test_a_page_made_from_the_code_is_up_to_date(page: str) -> None:
    assert text_of(page) == generator().pages()[page], "run: python tools/make_docs.py"


# -- commands ---------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """Page and command line of every ``fhir2cdisc ...`` in code blocks and code spans."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += [line for line in text.splitlines() if line.startswith("    ")]
        lines += re.findall(r"`(fhir2cdisc [^`]+)`", text)
        for line in lines:
            for part in line.partition(" #")[0].split("&&"):
                if found := re.search(r"(?:^|[\s/])fhir2cdisc\s+([a-z-].*)", part):
                    yield page.name, found[1].strip()


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_has_the_options_it_is_shown_with(page: str, line: str) -> None:
    words = shlex.split(re.sub(r"[\[\]|]|\.\.\.", " ", line))
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    if not words[0].startswith("-"):
        assert words[0] in main.commands, f"{page}: there is no command {words[0]}"
        command = main.commands[words[0]]
        known = {name for parameter in command.params for name in parameter.opts}
        assert options - {"--help", "-h"} <= known, page


def test_there_are_commands_to_look_at() -> None:
    assert {line.split()[0] for _, line in commands()} >= {"convert", "adam", "simulate", "demo"}


# -- references -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\s-]", "", h).strip().lower().replace(" ", "-") for h in headings}
            assert heading in slugs, link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_issue_code_and_setting_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:FH|CT|SD|AD|RS|QC)\d{4}\b", text))
    assert named <= CATALOGUE.keys() | RETIRED.keys()
    for section, key in re.findall(r"`\[(\w+)\] (\w+)`", text):
        assert key in getattr(Study(), section).model_dump(), f"[{section}] {key}"


def test_every_ledger_reason_in_use_is_explained() -> None:
    said = set(re.findall(r"^\| ([^|]+) \| \w+ \|", text_of("output.md"), re.MULTILINE))
    explained = {reason for cell in said for reason in cell.split(", ")}
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py")
                     if p.name != "ledger.py")  # fmt: skip
    used = {reason for reason in REASONS if reason and f'"{reason}"' in source}
    assert used <= explained


# -- decisions --------------------------------------------------------------------------------


def decisions() -> list[list[str]]:
    lines = [
        line for line in text_of("interpretations.md").splitlines() if re.match(r"\| \d", line)
    ]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(row[0]) for row in decisions()] == list(range(1, len(decisions()) + 1))


@pytest.mark.parametrize("row", decisions(), ids=lambda row: row[0])
def test_a_decision_names_code_and_a_test_that_are_there(row: list[str]) -> None:
    _, _, _, _, where, test = row
    for name in re.findall(r"`([^`]+)`", where):
        assert (ROOT / "src" / "fhir2cdisc" / name).exists(), name
    if test == "—":
        return
    if case := re.fullmatch(r'`(\w+\.toml)`: "(.*)"', test):
        found = tomllib.loads((TESTS / "cases" / case[1]).read_text(encoding="utf-8"))["case"]
        (own,) = [c for c in found if c["title"] == case[2]]
        assert "gap" not in own, "the case does not hold yet"
    else:
        function = re.fullmatch(r"`(\w+\.py)::(\w+)`", test)
        assert function is not None, test
        source = (TESTS / function[1]).read_text(encoding="utf-8")
        assert f"def {function[2]}(" in source, test


# -- the worked example -----------------------------------------------------------------------


def test_the_example_of_local_codes_gives_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = text_of("input.md").partition("### Example")[2]
    files = re.findall(
        r"^`(hospital/[^`]+)`\n\n```\w+\n(.*?)^```", example, re.DOTALL | re.MULTILINE
    )
    assert len(files) == 4
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (command,) = re.findall(r"^fhir2cdisc (.*)$", example, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    without = re.sub(r"--study \S+", "", command).replace("--out out", "--out without")
    for line in (command, without):
        result = CliRunner().invoke(main, shlex.split(line))
        assert result.exit_code == 0, result.output
    ledger = pd.read_csv("without/ledger.csv", dtype=str, keep_default_na=False)
    left = ledger[ledger["resource_type"] == "Observation"]
    assert set(left["status"] + ", " + left["reason"]) == {"unrouted, not asked for"}
    records = re.findall(r"^\| `(sdtm/\w+\.csv)` \| (.*) \|$", example, re.MULTILINE)
    assert len(records) == 2
    for file, said in records:
        (record,) = pd.read_csv(Path("out") / file, dtype=str).to_dict("records")
        assert {pair.split()[0]: pair.split()[1] for pair in said.split(", ")}.items() <= (
            record.items()
        )
