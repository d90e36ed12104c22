"""What the tests share: hypothesis profiles, a simulated study, a conversion in one call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import settings

from fhir2cdisc import pipeline
from fhir2cdisc.cli import main
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.engines.local import read_sources
from fhir2cdisc.simulate import simulate
from fhir2cdisc.study import Study

settings.register_profile("fast", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


class Converted(NamedTuple):
    """What a conversion to SDTM gives."""

    sdtm: dict[str, Any]
    ledger: pd.DataFrame
    issues: Issues

    def codes(self) -> set[str]:
        return {issue.code for issue in self.issues}


Convert = Callable[..., Converted]


def ndjson(resources: Iterable[Any]) -> str:
    """Resources as NDJSON; a text stays the line it is."""
    return "".join(
        (line if isinstance(line, str) else json.dumps(line)) + "\n" for line in resources
    )


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of FHIR: six subjects of the simulated study."""
    folder = tmp_path_factory.mktemp("simulated") / "fhir"
    simulate(6, 7, folder)
    return folder


@pytest.fixture(scope="session")
def convert(tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """FHIR -> SDTM through the steps of the pipeline: paths, or resources to be written first."""

    def run(given: Any, study: Study | None = None, jobs: int = 1) -> Converted:
        sources = [given] if isinstance(given, Path) else list(given)
        if not sources or not isinstance(sources[0], Path):
            file = tmp_path_factory.mktemp("given") / "given.ndjson"
            file.write_text(ndjson(sources), encoding="utf-8")
            sources = [file]
        study, issues = study or Study(), Issues()
        terms = pipeline.terminology(study)
        plan = pipeline.reading_plan(study)
        flats, _ = read_sources(sources, plan, terms.valuesets, issues, jobs)
        sdtm, ledger = pipeline.tabulate(flats, study, terms, issues)
        return Converted(sdtm, ledger, issues)

    return run


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew")


@pytest.fixture(scope="session")
def example_study() -> Path:
    """study.toml of the example that ships with the package."""
    return Path(str(files("fhir2cdisc"))) / "examples" / "rt_pd1" / "study.toml"


def _convert_example(study: Path, out: Path, form: str) -> Path:
    args = ["convert", str(study.parent), "--study", str(study), "--out", str(out)]
    result = CliRunner().invoke(main, [*args, "--format", form])
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="session")
def example(example_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the example study, XPT."""
    return _convert_example(example_study, tmp_path_factory.mktemp("example") / "out", "xpt")


@pytest.fixture(scope="session")
def example_as_csv(example_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the example study, CSV."""
    return _convert_example(example_study, tmp_path_factory.mktemp("example") / "out", "csv")
