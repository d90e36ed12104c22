"""How fast, as ratios to parsing alone in the same run.

    python benchmarks/run.py [--subjects 2000] [--jobs 1]

Prints resources per CPU second for parsing the NDJSON alone (msgspec, decimals kept) and for the
whole job, from FHIR to the written package, the ratio of the two, and the peak memory.
"""

from __future__ import annotations

import gc
import resource
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import click
import msgspec

from fhir2cdisc import pipeline
from fhir2cdisc.simulate import simulate
from fhir2cdisc.study import read_study
from fhir2cdisc.writers.package import write_package


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process and its children."""

    def now() -> float:
        own, children = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    start = now()
    work()
    return now() - start


def parse(folder: Path) -> int:
    """Parse every line of a bulk export; the number of resources."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    count = 0
    gc.disable()
    for file in sorted(folder.glob("*.ndjson")):
        if file.name != "log.ndjson":
            with file.open("rb") as lines:
                for line in lines:
                    decode(line)
                    count += 1
    gc.enable()
    return count


@click.command()
@click.option("--subjects", default=2000, show_default=True)
@click.option("--jobs", default=1, show_default=True)
def main(subjects: int, jobs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "fhir", Path(name) / "out"
        simulate(subjects, 1, source)
        study = read_study(source / "study.toml")
        count = parse(source)  # the files are in the page cache from here on
        parsing = min(cpu_seconds(lambda: parse(source)) for _ in range(3))

        start = time.perf_counter()
        whole = cpu_seconds(
            lambda: write_package(pipeline.convert([source], study, jobs), out, ("xpt",))
        )
        wall = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = sum(file.stat().st_size for file in source.glob("*.ndjson")) / 1e6
    click.echo(f"{subjects} subjects, {count:,} resources, {size:.0f} MB, --jobs {jobs}")
    click.echo(f"{'':12}{'CPU s':>8}{'resources / CPU s':>20}")
    click.echo(f"{'parse alone':12}{parsing:8.2f}{count / parsing:20,.0f}")
    click.echo(f"{'whole job':12}{whole:8.2f}{count / whole:20,.0f}")
    click.echo(f"ratio {whole / parsing:.1f}; wall {wall:.1f} s; peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
