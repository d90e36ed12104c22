"""The design, where a machine can check it: layers, no loops over rows, catalogues, sizes."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir2cdisc.core.issue import CATALOGUE
from fhir2cdisc.core.ledger import REASONS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "fhir2cdisc"
MODULES = sorted(SOURCE.rglob("*.py"))
EACH = pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def calls(module: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node


def texts(module: Path) -> set[str]:
    """Every text of a module that is no docstring."""
    found = ast.walk(tree(module))
    return {n.value for n in found if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@EACH
def test_no_loop_over_the_rows_of_a_table(module: Path) -> None:
    for name, call in calls(module):
        place = f"{module.name}:{call.lineno} {name}"
        assert name not in {"iterrows", "itertuples"}, place
        if name in {"apply", "map", "transform", "agg"}:
            by_row = [k for k in call.keywords if k.arg == "axis"]
            assert not by_row, place
        grouped = isinstance(call.func, ast.Attribute) and "groupby" in ast.unparse(call.func.value)
        assert not (name in {"apply", "filter", "pipe"} and grouped), place


@EACH
def test_a_module_is_short_enough_to_read(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) < 600


@EACH
def test_a_module_says_what_it_is(module: Path) -> None:
    text = ast.get_docstring(tree(module))
    assert text or not tree(module).body


@EACH
def test_no_module_has_a_name_that_says_nothing(module: Path) -> None:
    words = {"utils", "util", "helpers", "helper", "manager", "processor", "handler", "factory"}
    assert words.isdisjoint(module.stem.split("_"))


def imported(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("module", sorted((SOURCE / "mappings").glob("*.py")), ids=lambda m: m.stem)
def test_mappings_touch_no_table_and_no_file(module: Path) -> None:
    roots = {name.partition(".")[0] for name in imported(module)}
    assert roots <= {"__future__", "collections", "fhir2cdisc"}


def test_the_core_names_no_domain_and_no_room_above_it() -> None:
    for module in (SOURCE / "core").glob("*.py"):
        names = {n for n in imported(module) if n.startswith("fhir2cdisc.")}
        rooms = {n.split(".")[1] for n in names}
        assert rooms <= {"core", "errors"}, module.name


def test_the_layers_hold() -> None:
    """import-linter, with the contracts of pyproject.toml."""
    command = shutil.which("lint-imports") or shutil.which(
        "lint-imports", path=str(Path(sys.executable).parent)
    )
    if command is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [command, "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


CODE = re.compile(r"^(FH|CT|SD|AD|RS|QC|DF)\d{4}$")


def used_codes() -> set[str]:
    own = SOURCE / "core" / "issue.py"
    found = (texts(module) for module in MODULES if module != own)
    return {text for text in set().union(*found) if CODE.match(text)}


def test_every_issue_code_in_use_is_in_the_catalogue() -> None:
    assert used_codes() <= set(CATALOGUE)


def test_every_code_of_the_catalogue_is_in_use() -> None:
    assert set(CATALOGUE) == used_codes()


def test_every_reason_of_the_ledger_is_given_somewhere() -> None:
    own = SOURCE / "core" / "ledger.py"
    given = set().union(*(texts(module) for module in MODULES if module != own))
    assert [reason for reason in REASONS if reason and reason not in given] == []


def test_a_hint_says_what_to_do() -> None:
    for code, kind in CATALOGUE.items():
        assert CODE.match(code)
        assert kind.title[0].isupper()
        assert kind.hint
