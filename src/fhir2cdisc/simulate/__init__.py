"""A synthetic study of local radiotherapy plus a PD-1 antibody, as a FHIR R4 bulk export.

`simulate` writes one NDJSON file per resource type, the `log.ndjson` a bulk client leaves
behind, and `study.toml`. Subject k is the same whatever the number of subjects, and the same
seed gives the same bytes. No real person is in it; the invented names are odd on purpose.

    course.py      what happened to one subject       tumour.py     lesions in FHIR
    resources.py   person, treatment, events          everyday.py   what every hospital sends
    codes.py       the codes and terms drawn from     elements.py   parts of resources
    defects.py     the bad input of the real world    dice.py       one random stream a subject
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from fhir2cdisc.errors import OutputError
from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.course import simulate_course
from fhir2cdisc.simulate.defects import Line, add_defects, extra_file
from fhir2cdisc.simulate.resources import study_resources, subject_resources

__all__ = ["simulate"]

STUDY_TOML = f"""\
[study]
id = "{codes.STUDY_ID}"
title = "{codes.STUDY_TITLE}"

[treatment]
drugs = ["Pembrolizumab"]
arm = "{codes.ARM}"
armcd = "RTPD1"

[radiotherapy]
domain = "PR_AND_EX"

[response]
criteria = "RECIST 1.1"
confirm_days = 28
sd_min_days = 42

[visits]
"BASELINE" = 0
"WEEK 6" = 6
"WEEK 12" = 12
"WEEK 18" = 18
"WEEK 24" = 24
"WEEK 30" = 30
"""


def simulate(subjects: int, seed: int, out: Path, with_defects: bool = False) -> None:  # noqa: FBT001, FBT002
    """Write a synthetic study of `subjects` subjects to the folder `out`.

    Memory does not grow with `subjects`. The folder appears whole or not at all: it is
    written beside `out` and renamed. With `with_defects`, subject k carries the defect
    number k modulo the number of defects (table in `defects.py`).

    Raises OutputError when `subjects` is negative or `out` exists and is not an empty folder.
    """
    if subjects < 0:
        raise OutputError(f"cannot simulate {subjects} subjects; give 0 or more")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(
            f"will not write a simulated study to {out}: it exists and is not an empty folder; "
            "remove it or choose another"
        )
    beside = out.with_name(out.name + ".partial")
    if beside.exists():
        shutil.rmtree(beside)
    beside.mkdir(parents=True)
    try:
        counts = _write_ndjson(beside, _lines(subjects, seed, with_defects=with_defects))
        if with_defects:
            (beside / "Observation.2.ndjson.gz").write_bytes(_truncated_gzip(seed))
        (beside / "log.ndjson").write_text(_bulk_log(counts), encoding="utf-8")
        (beside / "study.toml").write_text(STUDY_TOML, encoding="utf-8")
        if out.exists():
            out.rmdir()
        beside.rename(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _lines(subjects: int, seed: int, *, with_defects: bool) -> Iterator[Line]:
    for resource in study_resources():
        yield resource["resourceType"], resource
    for number in range(subjects):
        course, dice = simulate_course(seed, number)
        records: list[Line] = [
            (resource["resourceType"], resource) for resource in subject_resources(course, dice)
        ]
        if with_defects:
            add_defects(course, records)
        yield from records


def _write_ndjson(folder: Path, lines: Iterable[Line]) -> dict[str, int]:
    """Stream lines to one file per resource type; returns lines per type."""
    encode = msgspec.json.Encoder().encode
    files: dict[str, BinaryIO] = {}
    counts: dict[str, int] = {}
    try:
        for kind, line in lines:
            if kind not in files:
                files[kind] = (folder / f"{kind}.ndjson").open("wb")
                counts[kind] = 0
            files[kind].write((line if isinstance(line, bytes) else encode(line)) + b"\n")
            counts[kind] += 1
    finally:
        for file in files.values():
            file.close()
    return counts


def _truncated_gzip(seed: int) -> bytes:
    """A gzip file whose transfer broke off: the first two thirds of it."""
    encode = msgspec.json.Encoder().encode
    course, _ = simulate_course(seed, 0)
    whole = b"".join(encode(resource) + b"\n" for resource in extra_file(course))
    packed = gzip.compress(whole, mtime=0)
    return packed[: 2 * len(packed) // 3]


def _bulk_log(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    events: list[tuple[str, dict[str, Any]]] = [
        ("kickoff", {"exportUrl": "https://example.org/fhir/Group/rtpd1-001/$export"}),
        ("status_complete", {"transactionTime": "2025-07-01T06:00:00Z"}),
        *(
            ("download_complete", {"resourceType": kind, "resourceCount": count})
            for kind, count in counts.items()
        ),
        ("export_complete", {"files": len(counts), "resources": total}),
    ]
    return "".join(
        json.dumps(
            {
                "exportId": "export-rtpd1-001",
                "timestamp": f"2025-07-01T06:00:{second:02d}Z",
                "eventId": event,
                "eventDetail": detail,
            }
        )
        + "\n"
        for second, (event, detail) in enumerate(events)
    )
