"""The command line: thin. Data go to files, progress and messages to stderr.

Exit codes: 0 done; 1 done, but `--strict` found errors in the data; 2 could not run.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fhir2cdisc import __version__
from fhir2cdisc.errors import Fhir2CdiscError

# Everything that needs pandas is imported when a command runs: `--help` answers at once.
if TYPE_CHECKING:
    from fhir2cdisc.core.package import Package
    from fhir2cdisc.explain import Explanation

FORMATS = click.Choice(["xpt", "dataset-json", "parquet", "csv"])
_EXISTING = click.Path(path_type=Path)


def _sentence(command: Callable[..., None]) -> Callable[..., None]:
    """What the program cannot go on with ends in one sentence and exit code 2."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Fhir2CdiscError as error:
            click.echo(f"fhir2cdisc: {error}", err=True)
            sys.exit(2)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Turn FHIR into CDISC SDTM, ADaM and trial endpoints, and account for every resource."""


_study = click.option("--study", type=_EXISTING, help="study.toml; without it defaults apply.")
_out = click.option("--out", type=_EXISTING, required=True, help="Folder for the results.")
_format = click.option(
    "--format", "formats", type=FORMATS, multiple=True, default=("xpt",), show_default=True,
    help="Dataset format; may be given several times.",
)  # fmt: skip
_strict = click.option("--strict", is_flag=True, help="Exit with 1 if the data have errors.")


@main.command()
@click.argument("sources", type=_EXISTING, nargs=-1, required=True, metavar="SOURCE...")
@_study
@_out
@_format
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
              help="Processes that read the input.")  # fmt: skip
@_strict
@_sentence
def convert(  # noqa: PLR0917  # one parameter an option
    sources: tuple[Path, ...], study: Path | None, out: Path, formats: tuple[str, ...], jobs: int,
    strict: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    """Convert FHIR files and folders to SDTM, ADaM and endpoints.

    A SOURCE is a Bundle, a resource (.json), NDJSON (.ndjson, .jsonl), gzip of each (.gz), or a
    folder of any mixture, such as a bulk export.
    """
    from fhir2cdisc import pipeline  # noqa: PLC0415
    from fhir2cdisc.study import read_study  # noqa: PLC0415
    from fhir2cdisc.writers.package import check_out, write_package  # noqa: PLC0415

    start = time.perf_counter()
    check_out(out, sources)
    with _progress("Reading FHIR") as progress:
        package = pipeline.convert(sources, read_study(study), jobs, progress)
    write_package(package, out, formats)
    _report(package, out, time.perf_counter() - start)
    _finish(package, strict=strict)


@main.command()
@click.argument("sdtm_dir", type=_EXISTING)
@_study
@_out
@_format
@_strict
@_sentence
def adam(
    sdtm_dir: Path, study: Path | None, out: Path, formats: tuple[str, ...],
    strict: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    """Derive ADaM and endpoints from the SDTM datasets of a folder (XPT, Dataset-JSON or CSV)."""
    from fhir2cdisc import pipeline  # noqa: PLC0415
    from fhir2cdisc.study import read_study  # noqa: PLC0415
    from fhir2cdisc.writers.package import check_out, write_package  # noqa: PLC0415

    start = time.perf_counter()
    check_out(out, [sdtm_dir])
    package = pipeline.analyse(sdtm_dir, read_study(study))
    write_package(package, out, formats)
    _report(package, out, time.perf_counter() - start)
    _finish(package, strict=strict)


@main.command()
@click.option("--subjects", type=click.IntRange(1), default=24, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@_out
@click.option("--with-defects", is_flag=True, help="Add the bad input of the real world.")
@_sentence
def simulate(subjects: int, seed: int, out: Path, with_defects: bool) -> None:  # noqa: FBT001
    """Make a synthetic study of radiotherapy plus a PD-1 antibody: FHIR bulk export, study.toml."""
    from fhir2cdisc.simulate import simulate as make  # noqa: PLC0415

    make(subjects, seed, out, with_defects)
    click.echo(f"{subjects} subjects are in {out}", err=True)


@main.command()
@click.option("--out", type=_EXISTING, default=Path("fhir2cdisc-demo"), show_default=True,
              help="Folder for the results.")  # fmt: skip
@_sentence
def demo(out: Path) -> None:
    """Convert the example study that ships with the package, and show its endpoints."""
    from importlib.resources import as_file, files  # noqa: PLC0415

    from fhir2cdisc import pipeline  # noqa: PLC0415
    from fhir2cdisc.study import read_study  # noqa: PLC0415
    from fhir2cdisc.writers.package import check_out, write_package  # noqa: PLC0415

    start = time.perf_counter()
    check_out(out)
    shipped = files("fhir2cdisc") / "examples" / "rt_pd1"
    with as_file(shipped) as example, _progress("Reading FHIR") as progress:
        package = pipeline.convert([example], read_study(example / "study.toml"), 1, progress)
    write_package(package, out, ("xpt",))
    _report(package, out, time.perf_counter() - start)


@main.command(name="explain")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_study
@_sentence
def explain_names(names: tuple[str, ...], study: Path | None) -> None:
    """Say in English what names of the output mean, with the rules in force.

    A NAME is a dataset (ADRS), a variable (TU.TULOC, TRTEMFL), a parameter (PFS, ADRS.BOR), a
    result (ORR), a setting (response.confirm_days, endpoints) or an issue (RS0009). One that
    stands for several things explains all of them.
    """
    from fhir2cdisc.explain import explain  # noqa: PLC0415
    from fhir2cdisc.study import read_study  # noqa: PLC0415

    width = min(shutil.get_terminal_size().columns, 100)
    for number, found in enumerate(explain(names, read_study(study))):
        click.echo(("\n" if number else "") + _explanation(found, width))


def _explanation(found: Explanation, width: int) -> str:
    """A heading, the rule and the facts beside it, as wide as the terminal."""
    names = _wrapped(", ".join(found.names), width, "", "  ")
    lines = _wrapped(f"{found.title} ({found.kind})", width, "  ", "  ")
    if found.rule:
        lines.append("")
    for line in found.rule.splitlines():
        lines += _wrapped(line, width, "  ", "    " if line.startswith("- ") else "  ")
    if found.facts:
        lines.append("")
    before = ""
    for name, text in found.facts:
        label = "" if name == before else name
        lines += _wrapped(text, width, f"  {label:<9} ", " " * 12)
        before = name
    return "\n".join([*(click.style(line, bold=True) for line in names), *lines])


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


class _progress:  # noqa: N801  # used like a function
    """A progress bar on stderr; nothing where stderr is no terminal."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __enter__(self) -> Callable[[int, int], None] | None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress  # noqa: PLC0415

        console = Console(stderr=True)
        self.bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.bar.start()
        task = self.bar.add_task(self.text, total=None)

        def update(done: int, total: int) -> None:
            self.bar.update(task, completed=done, total=total)

        return update

    def __exit__(self, *_error: object) -> None:
        self.bar.stop()


def _report(package: Package, out: Path, seconds: float) -> None:
    """What was read, made and found, on stderr."""
    from rich.console import Console  # noqa: PLC0415

    from fhir2cdisc.results.summary import endpoint_table, summaries  # noqa: PLC0415

    console = Console(stderr=True, soft_wrap=False)
    for table in (*summaries(package), endpoint_table(package)):
        console.print(table)
    console.print(f"Done in {seconds:.1f} s. Results are in {out}", highlight=False)


def _finish(package: Package, *, strict: bool) -> None:
    if strict and any(issue.kind.severity == "error" for issue in package.issues):
        click.echo("fhir2cdisc: the data have errors; see issues.csv", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
