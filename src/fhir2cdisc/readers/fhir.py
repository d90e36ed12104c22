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

Found = tuple[int, dict[str, Any] | None, str, str, int]
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
_BOM = b"\xef\xbb\xbf"
# What makes an entry complete without a resource: a DELETE, the answer of a server, a link.
_WITHOUT_RESOURCE = {"request", "response", "link", "search", "fullUrl"}
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def read_piece(piece: Piece, issues: Issues) -> Iterator[Found]:
    """(line, resource or None, problem, fullUrl, part) for every entry of a piece of input.

    `line` is the line of an NDJSON file or the number of the entry in a Bundle, from 1; `part` the
    number of the entry where a Bundle stands on one line of many, else 0. A file that ends early is
    an issue; what could be read before is given.

    Raises:
        SourceError: the file cannot be opened.
    """
    try:
        with piece.path.open("rb") as file:
            # gzip.open would hide from us which file is meant when it is damaged
            stream: Any = gzip.GzipFile(fileobj=file) if piece.gzip else file
            if _is_wide(stream):
                if not piece.start:
                    yield _invalid("the file is in UTF-16 or UTF-32, not in UTF-8", 1)
            elif piece.lines:
                yield from _lines(stream, piece, issues)
            else:
                yield from _document(_all(stream, piece, issues))
    except OSError as error:
        raise SourceError(f"{piece.path}: cannot be read ({error.strerror or error})") from error


def _is_wide(stream: Any) -> bool:
    """Whether the stream begins like JSON in UTF-16 or UTF-32."""
    try:
        start = stream.peek(2)[:2]
    except _DAMAGED:
        return False
    return start in {b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{", b"[\0", b"\0["}


def _invalid(more: str, number: int) -> Found:
    return number, None, f"not valid JSON: {more}" if more else "not valid JSON", "", 0


def _not_json(text: bytes, number: int) -> Found:
    alone = b"\r" in text.replace(b"\r\n", b"\n").rstrip()
    return _invalid("its lines end in CR alone" if alone else "", number)


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
    except _DAMAGED:
        issues.add("FH0002", "", [piece.name])


def _all(stream: BinaryIO, piece: Piece, issues: Issues) -> bytes:
    return b"".join(_safely(stream, piece, issues))


def _parsed(text: bytes, number: int) -> tuple[Found, ...]:
    """The resource of a line, or the entries of the Bundle that stands on it."""
    try:
        content = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return (_not_json(text, number),)
    found = _entry(content, number, "")
    if found[1] is None or found[1]["resourceType"] != "Bundle":
        return (found,)
    entries = enumerate(_entries(content, ""), start=1)
    return tuple(_entry(item, number, url, part) for part, (item, url) in entries)


def _entry(content: Any, number: int, url: str, part: int = 0) -> Found:
    if content.__class__ is dict and content.get("resourceType").__class__ is str:
        return number, content, "", url, part
    return number, None, "no resourceType", url, part


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
            yield _not_json(text, 1)
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
