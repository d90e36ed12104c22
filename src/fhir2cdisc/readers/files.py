"""Which files of the sources are FHIR, and in which pieces they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.errors import SourceError

_LINES = (".ndjson", ".jsonl")
_JSON = (".json",)
# Written beside an export by bulk-data clients, and our own study file: no resources.
_BESIDE = {"log.ndjson", "study.toml"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or the lines of an NDJSON file that start in a range of bytes."""

    path: Path
    name: str
    lines: bool
    gzip: bool
    start: int = 0
    stop: int | None = None
    first: int = 1
    """Number of the first line that starts in the piece."""


def find_pieces(sources: Sequence[Path], size: int, issues: Issues) -> list[Piece]:
    """The FHIR files of files and folders, NDJSON cut into pieces of about `size` bytes.

    Files are named relative to their source; the order of the sources does not matter. In a
    folder, what is no FHIR by its name is passed over with one issue.

    Raises:
        SourceError: a source that does not exist, or that has no FHIR file.
    """
    found: dict[Path, Piece] = {}
    passed: list[str] = []
    for source in sources:
        if not source.exists():
            raise SourceError(f"{source}: there is no such file or folder; check the path")
        files = _files(source) if source.is_dir() else [source]
        for file in files:
            relative = file.relative_to(source.parent) if source.is_dir() else Path(file.name)
            kind = _kind(file)
            if file.name.lower().removesuffix(".gz") in _BESIDE:
                continue
            if kind is None:
                if not source.is_dir():
                    raise SourceError(
                        f"{file}: is no .json, .ndjson or .jsonl file (or .gz of one)"
                    )
                passed.append(relative.as_posix())
                continue
            found[file.resolve()] = Piece(file, relative.as_posix(), *kind)
    if passed:
        issues.add("FH0011", "", passed)
    if not found:
        raise SourceError(
            f"{', '.join(map(str, sources))}: no FHIR file (.json, .ndjson, .jsonl, .gz)"
        )
    names = [piece.name for piece in found.values()]
    pieces = []
    for path, piece in found.items():
        # Two sources may hold files of one name; then the folders above tell them apart.
        name = piece.name if names.count(piece.name) == 1 else path.as_posix().lstrip("/")
        pieces += _cut(Piece(path, name, piece.lines, piece.gzip), size)
    return sorted(pieces, key=lambda p: (p.name, p.start))


def _files(folder: Path) -> list[Path]:
    """All files of a folder, sorted, but for those that a run of this program wrote below it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    written = {p.parent for p in found if p.name == "run.json" and _is_run_record(p)}
    return [p for p in found if written.isdisjoint(p.parents)]


def _is_run_record(file: Path) -> bool:
    return b'"fhir2cdisc"' in file.read_bytes()[:200]


def _kind(file: Path) -> tuple[bool, bool] | None:
    """(one resource a line, gzip) by the name of a file; None if it is something else."""
    name = file.name.lower()
    packed = name.endswith(".gz")
    name = name.removesuffix(".gz")
    if name.endswith(_LINES):
        return True, packed
    return (False, packed) if name.endswith(_JSON) else None


def _cut(piece: Piece, size: int) -> list[Piece]:
    length = piece.path.stat().st_size
    if piece.gzip or not piece.lines or length <= size:
        return [piece]
    pieces, start, newlines, first = [], 0, 0, 1
    with piece.path.open("rb") as file:
        while block := file.read(size):
            pieces.append(replace(piece, start=start, stop=start + len(block), first=first))
            start += len(block)
            newlines += block.count(b"\n")
            first = newlines + (1 if block.endswith(b"\n") else 2)
    return pieces
