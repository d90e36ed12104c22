"""FHIR JSON in its usual wrappings: NDJSON, a resource, a Bundle, gzip of each.

Decimals keep their text (`decimal.Decimal`): ``7.00`` stays ``7.00``.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.errors import SourceError
from fhir2cdisc.readers.files import Piece

Found = tuple[int, dict[str, Any] | None, str, str]
_BOM = b"\xef\xbb\xbf"
# What makes an entry complete without a resource: a DELETE, the answer of a server, a link.
_WITHOUT_RESOURCE = {"request", "response", "link", "search", "fullUrl"}
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def read_piece(piece: Piece, issues: Issues) -> Iterator[Found]:
    """(line, resource or None, problem, fullUrl) for every entry of a piece of input.

    `line` is the line of an NDJSON file or the number of the entry in a Bundle, from 1. A file
    that ends early is an issue; what could be read before is given.

    Raises:
        SourceError: the file cannot be opened.
    """
    try:
        with piece.path.open("rb") as file:
            # gzip.open would hide from us which file is meant when it is damaged
            stream: Any = gzip.GzipFile(fileobj=file) if piece.gzip else file
            if piece.lines:
                yield from _lines(stream, piece, issues)
            else:
                yield from _document(_all(stream, piece, issues))
    except OSError as error:
        raise SourceError(f"{piece.path}: cannot be read ({error.strerror or error})") from error


def _lines(stream: BinaryIO, piece: Piece, issues: Issues) -> Iterator[Found]:
    if piece.start:
        # A line belongs to the piece in which it starts.
        stream.seek(piece.start - 1)
        stream.readline()
    position = stream.tell() if piece.stop is not None else 0
    for number, line in enumerate(_safely(stream, piece, issues), start=piece.first):
        if piece.stop is not None:
            if position >= piece.stop:
                return
            position += len(line)
        if not line.isspace():
            yield from _parsed(line.removeprefix(_BOM) if number == 1 else line, number)


def _safely(stream: BinaryIO, piece: Piece, issues: Issues) -> Iterator[bytes]:
    """The lines of a stream, up to where a damaged gzip ends."""
    try:
        yield from stream
    except (EOFError, gzip.BadGzipFile, zlib.error):
        issues.add("FH0002", "", [piece.name])


def _all(stream: BinaryIO, piece: Piece, issues: Issues) -> bytes:
    return b"".join(_safely(stream, piece, issues))


def _parsed(text: bytes, number: int) -> tuple[Found, ...]:
    """The resource of a line; the entries of a Bundle that stands on one line have its number."""
    try:
        content = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ((number, None, "not valid JSON", ""),)
    found = _entry(content, number, "")
    if found[1] is None or found[1]["resourceType"] != "Bundle":
        return (found,)
    return tuple(_entry(item, number, url) for item, url in _entries(content, ""))


def _entry(content: Any, number: int, url: str) -> Found:
    if content.__class__ is dict and content.get("resourceType").__class__ is str:
        return number, content, "", url
    return number, None, "no resourceType", url


def _is_resource(line: bytes) -> bool:
    return any(found[1] is not None for found in _parsed(line, 1))


def _document(text: bytes) -> Iterator[Found]:
    """A Bundle gives its entries (nested Bundles theirs), anything else is one resource."""
    text = text.removeprefix(_BOM)
    try:
        content = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = [line for line in text.splitlines() if not line.isspace() and line]
        if len(lines) > 1 and _is_resource(lines[0]):  # NDJSON called .json
            for number, line in enumerate(text.split(b"\n"), start=1):
                if line and not line.isspace():
                    yield from _parsed(line, number)
        else:
            yield 1, None, "not valid JSON", ""
        return
    for number, (item, url) in enumerate(_entries(content, ""), start=1):
        yield _entry(item, number, url)


def _entries(content: Any, url: str) -> Iterator[tuple[Any, str]]:
    """The resources of a Bundle; what is no entry comes as it is, to be accounted for."""
    if content.__class__ is dict and content.get("resourceType") == "Bundle":
        entries = content.get("entry", [])
        for entry in entries if entries.__class__ is list else [entries]:
            if entry.__class__ is not dict:
                yield entry, ""
            elif "resource" in entry:
                full = entry.get("fullUrl")
                yield from _entries(entry["resource"], full if full.__class__ is str else "")
            elif not entry.keys() & _WITHOUT_RESOURCE:
                yield entry, ""
    elif content.__class__ is list:
        for item in content:
            yield from _entries(item, "")
    else:
        yield content, url
