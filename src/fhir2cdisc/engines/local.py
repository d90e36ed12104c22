"""Reading on this machine: in one process, or the pieces of the input in several."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from fhir2cdisc.converters.fhir_to_flat import (
    FlatReader,
    Flats,
    Part,
    ValueSets,
    merge_parts,
)
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.plan import ReadingPlan
from fhir2cdisc.readers.fhir import read_piece
from fhir2cdisc.readers.files import Piece, find_pieces
from fhir2cdisc.readers.model import explain, is_resource_type
from fhir2cdisc.terminology.systems import canonical

PIECE_BYTES = 16 * 1024 * 1024

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


def read_sources(  # noqa: PLR0917  # what, then how
    sources: Sequence[Path], plan: ReadingPlan, valuesets: ValueSets, issues: Issues,
    jobs: int = 1, progress: Progress | None = None,
) -> tuple[Flats, dict[str, Path]]:  # fmt: skip
    """The flat tables of all FHIR files of the sources, and the files by their names.

    The result is the same for any order of the sources and any number of jobs.
    """
    pieces = find_pieces(sources, PIECE_BYTES, issues)
    sizes = [(p.stop or p.path.stat().st_size) - p.start for p in pieces]
    total, done = sum(sizes), 0
    parts: list[tuple[str, Part]] = []
    for piece, size, part in zip(pieces, sizes, _parts(pieces, plan, valuesets, jobs), strict=True):
        parts.append((piece.name, part))
        done += size
        if progress is not None:
            progress(done, total)
    return merge_parts(plan, parts, issues), {piece.name: piece.path for piece in pieces}


def _parts(
    pieces: Sequence[Piece], plan: ReadingPlan, valuesets: ValueSets, jobs: int
) -> Iterator[Part]:
    if jobs <= 1 or len(pieces) == 1:
        reader = _reader(plan, valuesets)
        for piece in pieces:
            yield _read(reader, piece)
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(jobs, context, _start_worker, (plan, valuesets)) as pool:
        yield from pool.map(_read_in_worker, pieces)


def _reader(plan: ReadingPlan, valuesets: ValueSets) -> FlatReader:
    return FlatReader(plan, valuesets, canonical, is_resource_type, explain)


def _read(reader: FlatReader, piece: Piece) -> Part:
    """One piece; the garbage collector waits, for parsed JSON has no cycles."""
    issues = Issues()
    paused = gc.isenabled()
    gc.disable()
    try:
        return reader.read(read_piece(piece, issues), piece.name, issues)
    finally:
        if paused:
            gc.enable()


_WORKER: list[FlatReader] = []


def _start_worker(plan: ReadingPlan, valuesets: ValueSets) -> None:
    _WORKER.append(_reader(plan, valuesets))


def _read_in_worker(piece: Piece) -> Part:
    return _read(_WORKER[0], piece)
