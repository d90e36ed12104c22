"""The example study, every file as text.

Changed on purpose: ``pytest --update-golden``, then read the difference.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden" / "rt_pd1"


def _texts(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.suffix in {".csv", ".json"})
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(files)
        if path.name != "run.json"  # names the versions of this machine
    }


def test_the_example_study_gives_the_reviewed_files(
    example_as_csv: Path, pytestconfig: pytest.Config
) -> None:
    made = _texts(example_as_csv)
    if pytestconfig.getoption("--update-golden"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for name, text in made.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_text(text, encoding="utf-8")
    kept = _texts(GOLDEN)
    assert sorted(made) == sorted(kept)
    for name, text in made.items():
        lines, expected = text.splitlines(), kept[name].splitlines()
        different = [n for n, (a, b) in enumerate(zip(lines, expected, strict=False), 1) if a != b]
        assert len(lines) == len(expected), f"{name}: {len(lines)} lines, not {len(expected)}"
        assert not different, f"{name}: lines {different[:5]} differ, {lines[different[0] - 1]}"
