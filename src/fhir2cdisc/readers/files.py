"""Which files of the sources are FHIR, and in which pieces they are read."""

from __future__ import annotations

import os
import stat
from collections import Counter
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
    folder, what is no FHIR by its name or cannot be read is passed over with an issue.

    Raises:
        SourceError: a source that does not exist or cannot be read, or that has no FHIR file.
    """
    found: dict[Path, Piece] = {}
    passed: list[str] = []
    unread: dict[str, list[str]] = {}
    for source in sources:
        whole = _is_folder(source)
        files, problems = _files(source) if whole else ([source], {})
        for file in files:
            if file.name.lower().removesuffix(".gz") in _BESIDE:
                continue
            kind = _kind(file)
            if kind is None:
                if not whole:
                    raise SourceError(
                        f"{file}: is no .json, .ndjson or .jsonl file (or .gz of one)"
                    )
                passed.append(_name(file, source))
            elif problem := _problem(file):
                if not whole:
                    raise SourceError(f"{file}: cannot be read ({problem})")
                problems[file] = problem
            else:
                found[file.resolve()] = Piece(file, _name(file, source), *kind)
        for path, problem in problems.items():
            unread.setdefault(problem, []).append(_name(path, source))
    if passed:
        issues.add("FH0011", "", passed)
    for problem, names in unread.items():
        issues.add("FH0018", problem, names)
    if not found:
        raise SourceError(
            f"{', '.join(map(str, sources))}: no FHIR file (.json, .ndjson, .jsonl, .gz)"
        )
    told_apart = _told_apart({piece.path: piece.name for piece in found.values()})
    pieces = [
        part
        for piece in found.values()
        for part in _cut(replace(piece, name=told_apart[piece.path]), size)
    ]
    return sorted(pieces, key=lambda p: (p.name, p.start))


def _is_folder(source: Path) -> bool:
    try:
        if not source.exists():
            raise SourceError(f"{source}: there is no such file or folder; check the path")
    except OSError as error:
        raise SourceError(f"{source}: cannot be read ({error.strerror})") from error
    return source.is_dir()


def _name(path: Path, source: Path) -> str:
    return (path.relative_to(source.parent) if path != source else Path(path.name)).as_posix()


def _told_apart(names: dict[Path, str]) -> dict[Path, str]:
    """Two sources may hold files of one name: as many folders above them as tell them apart."""
    while twice := {name for name, count in Counter(names.values()).items() if count > 1}:
        for path, name in names.items():
            if name in twice:
                parts = Path(os.path.abspath(path)).parts  # noqa: PTH100  # links stay
                names[path] = "/".join(parts[-name.count("/") - 2 :])
    return names


def _files(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """All files of a folder, sorted, but for those that a run of this program wrote below it.

    Beside them what is in it and cannot be reached, with the reason.
    """
    found: list[Path] = []
    problems: dict[Path, str] = {}

    def refused(error: OSError) -> None:
        problems[Path(error.filename)] = error.strerror or str(error)

    for place, folders, files in os.walk(folder, onerror=refused):
        found += [Path(place) / name for name in files]
        links = (Path(place) / name for name in folders)
        problems |= {p: "a link to a folder is not followed" for p in links if p.is_symlink()}
    written = {p.parent for p in found if p.name == "run.json" and _is_run_record(p)}
    return sorted(p for p in found if written.isdisjoint(p.parents)), problems


def _problem(file: Path) -> str:
    """Why a file cannot be read; empty if it can."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "is no regular file"
        with file.open("rb"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _is_run_record(file: Path) -> bool:
    return not _problem(file) and b'"fhir2cdisc"' in file.read_bytes()[:200]


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
