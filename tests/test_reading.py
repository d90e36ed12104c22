"""Whatever wrapping FHIR comes in, the same resources are read; what cannot be read is named.

Read with a small plan: the birth dates of Patients, the values of Observations with code ``a``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc.converters.fhir_to_flat import FlatReader, Flats, merge_parts
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.plan import Gate, ReadingPlan
from fhir2cdisc.core.rows import Coded, Profile, Rows
from fhir2cdisc.engines import local
from fhir2cdisc.engines.local import read_sources
from fhir2cdisc.errors import SourceError
from fhir2cdisc.readers.fhir import read_piece
from fhir2cdisc.readers.files import find_pieces
from fhir2cdisc.readers.model import explain, is_resource_type
from fhir2cdisc.terminology.systems import canonical

PATIENT = Rows("Patient")
VALUE = Rows("Observation", of=(Coded("code", "a"), Profile("urn:a-profile")))
PART = Rows("Observation", each="component", of=(Coded("code", "a"),))
COURSE = Rows("Procedure")
PLAN = ReadingPlan(
    tables={
        PATIENT: ("birthDate", "name.family"),
        VALUE: (
            "focus.getReferenceKey(Patient)",
            "subject.getReferenceKey()",
            "valueQuantity.value",
            "method.concept()",
        ),
        PART: ("%resource.status", "valueInteger"),
        COURSE: ("status",),
    },
    gates=(
        Gate(
            resource="Observation",
            path="status",
            equals=frozenset({"cancelled"}),
            reason="not done",
        ),
        Gate(
            resource="Patient",
            path="meta.tag.code",
            equals=frozenset({"test"}),
            reason="not asked for",
        ),
    ),
    identity={"Procedure": ("identifier.where(use = 'official').value.first()",)},
    set_aside={Rows("Observation", of=(Coded("code", "trend"),)): "not a RECIST response"},
    modifier_extensions=frozenset({"urn:harmless"}),
    needs_id=frozenset({"Patient"}),
)
VALUESETS = {"a": frozenset({("urn:s", "a")}), "trend": frozenset({("urn:s", "t")})}


def patient(identity: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": identity, "birthDate": "1960", **more}


def observation(identity: str, code: str = "a", **more: Any) -> dict[str, Any]:
    coding = {"system": "urn:s", "code": code}
    return {"resourceType": "Observation", "id": identity, "code": {"coding": [coding]}, **more}


def bundle(*entries: Any, **more: Any) -> dict[str, Any]:
    found = [e if "resource" in e or "request" in e else {"resource": e} for e in entries]
    return {"resourceType": "Bundle", "type": "collection", "entry": found, **more}


class Read(NamedTuple):
    flats: Flats
    issues: Issues

    def keys(self, rows: Rows = PATIENT) -> list[str]:
        return self.flats.tables[rows]["%key"].tolist()

    def ledger(self, *columns: str) -> list[tuple[Any, ...]]:
        return list(self.flats.ledger[list(columns)].itertuples(index=False, name=None))

    def problems(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(issue.code, issue.samples) for issue in self.issues]


def read(*sources: Path, jobs: int = 1) -> Read:
    issues = Issues()
    flats, _ = read_sources(sources, PLAN, VALUESETS, issues, jobs)
    return Read(flats, issues)


@pytest.fixture
def write(tmp_path: Path):
    def one(name: str, *content: Any) -> Path:
        file = tmp_path / name
        if len(content) == 1 and isinstance(content[0], bytes):
            file.write_bytes(content[0])
        elif ".ndjson" in name:
            text = "".join((c if isinstance(c, str) else json.dumps(c)) + "\n" for c in content)
            file.write_bytes(
                gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
            )
        else:
            file.write_text(json.dumps(content[0]), encoding="utf-8")
        return file

    return one


# --- wrappings -------------------------------------------------------------------------------

LINES = (json.dumps(patient("1")) + "\n" + json.dumps(patient("2")) + "\n").encode()
WRAPPED: dict[str, tuple[str, bytes]] = {
    "NDJSON": ("a.ndjson", LINES),
    "NDJSON by another name": ("a.jsonl", LINES),
    "without a line end at the end": ("a.ndjson", LINES.rstrip()),
    "with Windows line ends": ("a.ndjson", LINES.replace(b"\n", b"\r\n")),
    "with a byte order mark": ("a.ndjson", b"\xef\xbb\xbf" + LINES),
    "with blank lines": ("a.ndjson", b"\n" + LINES.replace(b"\n", b"\n \n\t\n")),
    "gzip": ("a.ndjson.gz", gzip.compress(LINES)),
    "gzip in several members": (
        "a.ndjson.gz",
        b"".join(gzip.compress(line) for line in LINES.splitlines(keepends=True)),
    ),
    "NDJSON called .json": ("a.json", LINES),
    "NDJSON called .json, with a byte order mark": ("a.json", b"\xef\xbb\xbf" + LINES),
    "a Bundle": ("a.json", json.dumps(bundle(patient("1"), patient("2"))).encode()),
    "a Bundle with a byte order mark": (
        "a.json",
        b"\xef\xbb\xbf" + json.dumps(bundle(patient("1"), patient("2"))).encode(),
    ),
    "a Bundle in many lines": (
        "a.json",
        json.dumps(bundle(patient("1"), patient("2")), indent=2).encode(),
    ),
    "a Bundle in a Bundle": (
        "a.json",
        json.dumps(bundle(patient("1"), bundle(bundle(patient("2"))))).encode(),
    ),
    "a gzipped Bundle": (
        "a.json.gz",
        gzip.compress(json.dumps(bundle(patient("1"), patient("2"))).encode()),
    ),
    "a JSON list of resources": ("a.json", json.dumps([patient("1"), patient("2")]).encode()),
    "Bundles as NDJSON lines": (
        "a.ndjson",
        b"".join(json.dumps(bundle(patient(n))).encode() + b"\n" for n in "12"),
    ),
    "names in capitals": ("A.NDJSON", LINES),
}


@pytest.mark.parametrize(("name", "content"), WRAPPED.values(), ids=WRAPPED)
def test_the_wrapping_does_not_matter(name: str, content: bytes, write: Any) -> None:
    found = read(write(name, content))
    assert found.keys() == ["Patient/1", "Patient/2"]
    assert found.ledger("resource_type", "id", "status") == [
        ("Patient", "1", ""),
        ("Patient", "2", ""),
    ]
    assert found.problems() == []


def test_a_single_resource_is_a_file_too(write: Any) -> None:
    assert read(write("p.json", patient("1"))).keys() == ["Patient/1"]


def test_decimals_keep_their_digits(write: Any) -> None:
    text = json.dumps(observation("o", valueQuantity={"value": 7})).replace("7}", "7.00}")
    found = read(write("o.ndjson", text))
    assert found.flats.tables[VALUE]["valueQuantity.value"].tolist() == ["7.00"]


def test_entries_without_a_resource_say_nothing(write: Any) -> None:
    deleted = {"request": {"method": "DELETE", "url": "Patient/2"}}
    found = read(write("b.json", bundle(patient("1"), deleted)))
    assert found.ledger("id") == [("1",)]


def test_a_folder_is_read_with_all_below_it_and_the_rest_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "Patient.ndjson").write_text(json.dumps(patient("1")))
    (tmp_path / "in" / "deep" / "more.json").write_text(json.dumps(patient("2")))
    (tmp_path / "in" / "log.ndjson").write_text('{"eventId": "kickoff"}')
    (tmp_path / "in" / "study.toml").write_text("")
    (tmp_path / "in" / "notes.txt").write_text("no FHIR")
    found = read(tmp_path / "in")
    assert found.keys() == ["Patient/1", "Patient/2"]
    assert found.ledger("file") == [("in/Patient.ndjson",), ("in/deep/more.json",)]
    assert found.problems() == [("FH0011", ("in/notes.txt",))]


def test_two_sources_with_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder, name in (("a", "1"), ("b", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.ndjson").write_text(json.dumps(patient(name)))
    found = read(tmp_path / "a" / "p.ndjson", tmp_path / "b" / "p.ndjson")
    files = found.flats.ledger["file"]
    assert files.is_unique
    assert files.str.endswith(("a/p.ndjson", "b/p.ndjson")).all()


def test_no_more_of_a_path_is_named_than_tells_files_apart(tmp_path: Path) -> None:
    for place in ("x/a/p.ndjson", "y/a/p.ndjson", "y/b/p.ndjson", "y/q.ndjson"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(json.dumps(patient(place.replace("/", "-"))))
    files = [tmp_path / "y/a/p.ndjson", tmp_path / "y/b/p.ndjson", tmp_path / "y/q.ndjson"]
    found = read(tmp_path / "x" / "a", *files)
    assert found.ledger("file", "id") == [
        ("b/p.ndjson", "y-b-p.ndjson"),
        ("q.ndjson", "y-q.ndjson"),
        ("x/a/p.ndjson", "x-a-p.ndjson"),
        ("y/a/p.ndjson", "y-a-p.ndjson"),
    ]


def test_a_file_named_twice_is_read_once(write: Any) -> None:
    file = write("p.ndjson", patient("1"))
    found = read(file, file.parent, file)
    assert found.keys() == ["Patient/1"]
    assert len(found.flats.ledger) == 1


REFUSED = {
    "no such file": "absent.ndjson",
    "no FHIR by its name": "notes.txt",
    "a folder without FHIR": "empty",
}


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_a_source_that_cannot_be_read_at_all_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=name):
        read(tmp_path / name)


# --- what cannot be read ----------------------------------------------------------------------


def test_a_malformed_line_is_named_by_file_and_line_and_the_others_are_read(write: Any) -> None:
    found = read(write("p.ndjson", patient("1"), "", '{"resourceType": "Pat', patient("2")))
    assert found.keys() == ["Patient/1", "Patient/2"]
    assert found.problems() == [("FH0001", ("p.ndjson:3",))]
    assert found.ledger("line", "status", "reason") == [
        (1, "", ""),
        (3, "quarantined", "not valid JSON"),
        (4, "", ""),
    ]


BROKEN = {
    "half a resource": b'{"resourceType": "Pat',
    "nothing": b"",
    "only blanks": b"  \n",
    "Latin-1": '{"resourceType": "Patient", "id": "Ä"}'.encode("latin-1"),
    "half a character pair": b'{"resourceType": "Patient", "id": "1", "birthDate": "\\ud800"}',
    "brackets without end": b"[" * 100_000,
    "a number out of all bounds": b'{"resourceType": "Patient", "id": "1", "x": 1e999999}',
}


@pytest.mark.parametrize("name", ["p.json", "p.ndjson"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_an_issue_not_a_crash(name: str, content: bytes, write: Any) -> None:
    found = read(write(name, content))
    assert set(dict(found.problems())) <= {"FH0001"}
    assert len(found.flats.ledger) <= 1


WIDE = {
    "UTF-16 with a byte order mark": LINES.decode().encode("utf-16"),
    "UTF-16 the other way round": b"\xfe\xff" + LINES.decode().encode("utf-16-be"),
    "UTF-16 without one": LINES.decode().encode("utf-16-le"),
    "UTF-32": LINES.decode().encode("utf-32"),
}


@pytest.mark.parametrize("name", ["p.json", "p.ndjson", "p.ndjson.gz"])
@pytest.mark.parametrize("content", WIDE.values(), ids=WIDE)
def test_a_file_that_is_not_utf_8_is_named_once(
    name: str, content: bytes, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PIECE_BYTES", 10)
    found = read(write(name, gzip.compress(content) if name.endswith(".gz") else content))
    assert found.ledger("line", "reason") == [(1, "not valid JSON")]
    (issue,) = found.issues
    assert issue.code == "FH0001"
    assert "UTF-16" in issue.message
    assert "UTF-8" in issue.kind.hint


@pytest.mark.parametrize("name", ["p.json", "p.ndjson"])
def test_lines_that_end_in_cr_alone_are_named(name: str, write: Any) -> None:
    (issue,) = read(write(name, LINES.replace(b"\n", b"\r"))).issues
    assert (issue.code, issue.message) == ("FH0001", "its lines end in CR alone")


def folder_with_a_good_file(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "good.ndjson").write_text(json.dumps(patient("1")))
    (tmp_path / "in" / "deep" / "bad.ndjson").write_text(json.dumps(patient("2")))
    return tmp_path / "in"


def test_what_cannot_be_read_in_a_folder_is_an_issue_and_the_run_goes_on(tmp_path: Path) -> None:
    folder = folder_with_a_good_file(tmp_path)
    (folder / "lost.ndjson").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder)
    (folder / "deep" / "itself.json").symlink_to(folder / "deep" / "itself.json")
    found = read(folder)
    assert found.keys() == ["Patient/1", "Patient/2"]
    assert {(i.code, i.samples) for i in found.issues} == {
        ("FH0018", ("in/lost.ndjson",)),
        ("FH0018", ("in/loop",)),
        ("FH0018", ("in/deep/itself.json",)),
    }


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As for a file without permission, which root does not know."""
    whole = Path.open

    def opened(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == name:
            raise PermissionError(13, "Permission denied", str(self))
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)


def test_a_file_without_permission_is_passed_over_in_a_folder_and_refused_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with_a_good_file(tmp_path)
    refuse(monkeypatch, "bad.ndjson")
    found = read(folder)
    assert found.keys() == ["Patient/1"]
    (issue,) = found.issues
    assert (issue.code, issue.message) == ("FH0018", "Permission denied")
    with pytest.raises(SourceError, match=r"bad\.ndjson: cannot be read \(Permission denied\)"):
        read(folder / "deep" / "bad.ndjson", folder)


def test_an_object_that_is_no_resource_is_named(write: Any) -> None:
    found = read(write("p.ndjson", patient("1"), {"id": "x"}, "5", '{"resourceType": 5}', "null"))
    assert found.ledger("line", "reason")[1:] == [(n, "no resourceType") for n in (2, 3, 4, 5)]
    assert found.problems() == [("FH0003", tuple(f"p.ndjson:{n}" for n in (2, 3, 4, 5)))]


@pytest.mark.parametrize("name", ["Pateint", "patient", "../etc/passwd", "Patient ", "Any"])
def test_an_unknown_resource_type_is_named(name: str, write: Any) -> None:
    found = read(write("p.ndjson", {"resourceType": name, "id": "x"}))
    assert found.ledger("status", "reason") == [("quarantined", "unknown resourceType")]
    assert [code for code, _ in found.problems()] == ["FH0016"]


def test_a_type_no_mapping_asks_for_is_counted_not_dropped(write: Any) -> None:
    found = read(write("p.ndjson", {"resourceType": "Coverage", "id": "x"}, observation("o", "z")))
    assert found.ledger("id", "status", "reason") == [
        ("x", "unrouted", "not asked for"),
        ("o", "unrouted", "not asked for"),
    ]
    assert found.problems() == []


def test_a_truncated_gzip_gives_what_could_be_read(tmp_path: Path) -> None:
    noise = Random(1)
    lines = [json.dumps(patient(f"{n}", note=f"{noise.random()}")) for n in range(500)]
    whole = gzip.compress("".join(line + "\n" for line in lines).encode())
    file = tmp_path / "p.ndjson.gz"
    file.write_bytes(whole[: len(whole) // 2])
    found = read(file)
    assert 50 < len(found.keys()) < 500
    assert ("FH0002", ("p.ndjson.gz",)) in found.problems()


def test_a_file_that_is_no_gzip_is_an_issue(write: Any) -> None:
    found = read(write("p.ndjson.gz", LINES))
    assert ("FH0002", ("p.ndjson.gz",)) in found.problems()


# --- which resources are taken ----------------------------------------------------------------


def test_codes_and_profiles_decide_what_is_read(write: Any) -> None:
    coding = [{"system": "urn:other", "code": "a"}, {"system": "urn:s", "code": "a"}]
    found = read(
        write(
            "o.ndjson",
            observation("code"),
            observation("second coding") | {"code": {"coding": coding}},
            observation("other", "b"),
            observation("profile", "b", meta={"profile": ["urn:x", "urn:a-profile|4.0.0"]}),
            observation("other profile", "b", meta={"profile": ["urn:a-profile-of-mine"]}),
            observation("no system") | {"code": {"coding": [{"code": "a"}]}},
            {"resourceType": "Observation", "id": "no code"},
        )
    )
    keys = ["Observation/code", "Observation/profile", "Observation/second coding"]
    assert found.keys(VALUE) == keys


def test_each_element_is_a_row_with_what_belongs_to_its_resource(write: Any) -> None:
    parts = [{"valueInteger": 1}, {"valueInteger": 2}]
    found = read(write("o.ndjson", observation("o", status="final", component=parts)))
    table = found.flats.tables[PART]
    assert table["valueInteger"].tolist() == ["1", "2"]
    assert table["%resource.status"].tolist() == ["final", "final"]
    assert table["%key"].tolist() == ["Observation/o"] * 2


GATED = {
    "entered in error": ({"status": "entered-in-error"}, "excluded", "entered in error"),
    "not done": ({"status": "cancelled"}, "excluded", "not done"),
    "set aside": (
        {"code": {"coding": [{"system": "urn:s", "code": "t"}]}},
        "",
        "not a RECIST response",
    ),
    "an unknown modifierExtension": (
        {"modifierExtension": [{"url": "urn:harmless"}, {"url": "urn:not", "valueBoolean": True}]},
        "quarantined",
        "unknown modifierExtension",
    ),
    "a modifierExtension without a URL": (
        {"modifierExtension": [{"valueBoolean": True}]},
        "quarantined",
        "unknown modifierExtension",
    ),
}


@pytest.mark.parametrize(("more", "status", "reason"), GATED.values(), ids=GATED)
def test_what_must_not_be_used_is_left_out_with_the_reason(
    more: Any, status: str, reason: str, write: Any
) -> None:
    found = read(write("o.ndjson", observation("o") | more))
    assert found.ledger("status", "reason") == [(status, reason)]
    assert found.keys(VALUE) == []


def test_a_known_modifier_extension_is_no_obstacle(write: Any) -> None:
    found = read(write("o.ndjson", observation("o", modifierExtension=[{"url": "urn:harmless"}])))
    assert found.keys(VALUE) == ["Observation/o"]


@pytest.mark.parametrize("codes", [["test", "x"], ["x", "test"]])
def test_any_of_several_values_closes_a_gate(codes: list[str], write: Any) -> None:
    tags = [{"code": code} for code in codes]
    assert read(write("p.ndjson", patient("1", meta={"tag": tags}))).keys() == []


MISSHAPEN = {
    "a list where a code should be": {"code": ["a"]},
    "a text where a quantity should be": {"valueQuantity": "7 mm"},
    "an object where a number should be": {"valueQuantity": {"value": {"is": 7}}},
    "a number as subject": {"subject": 5},
    "a text as component": {"component": ["x"]},
    "a text as meta": {"meta": "x"},
    "a text as modifierExtension": {"modifierExtension": ["x"]},
    "a list in a list": {"component": [[{"valueInteger": 1}]]},
    "an object as system": {"method": {"coding": [{"system": {"a": "b"}, "code": "c"}]}},
    "a number as code": {"method": {"coding": [{"system": "urn:s", "code": 5}]}},
    "nought as code": {"method": {"coding": [{"system": "urn:s", "code": 0}]}},
    "a list as display": {"method": {"coding": [{"display": ["x"]}]}},
    "a number as text": {"method": {"text": 5}},
    "a bare coding with a number": {"method": {"code": 5}},
}


@pytest.mark.parametrize("more", MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_misshapen_resource_is_set_aside_whole_and_named(more: Any, write: Any) -> None:
    found = read(write("o.ndjson", observation("bad") | more, observation("good")))
    assert found.ledger("id", "status", "reason")[0] == ("bad", "quarantined", "misshapen")
    assert found.keys(VALUE) == ["Observation/good"]
    assert ("FH0008", ("Observation/bad",)) in found.problems()


def test_messages_hold_no_value_of_a_resource(write: Any) -> None:
    secret = "Maria Musterfrau"
    found = read(
        write(
            "o.ndjson",
            observation("o", valueQuantity=secret),
            patient("p", name=secret),
            f'{{"resourceType": "Patient", "name": "{secret}"',
        )
    )
    assert len(found.issues) >= 2
    assert all("Maria" not in f"{i.message}{i.samples}" for i in found.issues)


def test_several_values_where_one_is_expected_are_reported(write: Any) -> None:
    names = [{"family": "A"}, {"family": "B"}]
    found = read(write("p.ndjson", patient("1", name=names), patient("2", name=names[:1] * 2)))
    assert found.flats.tables[PATIENT]["name.family"].tolist() == ["A", "A"]
    assert found.problems() == [("FH0007", ("Patient/1",))]


# --- versions and identity --------------------------------------------------------------------


def version(number: Any, updated: str = "", **more: Any) -> dict[str, Any]:
    meta = {"versionId": number} if number else {}
    return {"meta": meta | ({"lastUpdated": updated} if updated else {}), **more}


NEWEST = {
    "the higher version": (version("2"), version("10")),
    "a version before none": (version(None), version("1")),
    "of one version the later": (
        version("1", "2024-01-01T00:00:00Z"),
        version("1", "2024-01-01T00:00:00.5Z"),
    ),
    "later in UTC, not in letters": (
        version("", "2024-01-02T00:30:00+14:00"),
        version("", "2024-01-01T12:00:00Z"),
    ),
    "with a time before none": (version(""), version("", "2020-01-01T00:00:00Z")),
}


@pytest.mark.parametrize("swapped", [False, True], ids=["old first", "new first"])
@pytest.mark.parametrize(("old", "new"), NEWEST.values(), ids=NEWEST)
def test_the_newest_version_wins_wherever_it_stands(
    old: Any, new: Any, *, swapped: bool, write: Any
) -> None:
    pair = [
        patient("1", **old) | {"birthDate": "1950"},
        patient("1", **new) | {"birthDate": "1960"},
    ]
    found = read(write("p.ndjson", *(reversed(pair) if swapped else pair)))
    assert found.flats.tables[PATIENT]["birthDate"].tolist() == ["1960"]
    assert sorted(found.ledger("status", "reason")) == [("", ""), ("excluded", "superseded")]
    assert found.problems() == []


def test_a_newer_version_in_error_withdraws_the_resource(write: Any) -> None:
    found = read(
        write(
            "o.ndjson",
            observation("o", **version("1"), status="final"),
            observation("o", **version("2"), status="entered-in-error"),
        )
    )
    assert found.keys(VALUE) == []
    assert found.ledger("version", "status", "reason") == [
        ("1", "excluded", "superseded"),
        ("2", "excluded", "entered in error"),
    ]


def test_the_same_version_twice_is_reported_and_the_last_one_used(write: Any) -> None:
    twice = [patient("1") | {"birthDate": year} for year in ("1950", "1960")]
    found = read(write("p.ndjson", *twice))
    assert found.flats.tables[PATIENT]["birthDate"].tolist() == ["1960"]
    assert found.problems() == [("FH0010", ("Patient/1",))]
    assert found.ledger("status", "reason") == [("excluded", "superseded"), ("", "")]


def test_copies_are_told_apart_from_different_content(write: Any) -> None:
    same = [observation("o", component=[{"valueInteger": n} for n in (1, 2)])] * 2
    swapped = [
        observation("s", component=[{"valueInteger": n} for n in order])
        for order in ((1, 2), (2, 1))
    ]
    status = [observation("c"), observation("c", status="cancelled")]
    unread = [{"resourceType": "Coverage", "id": "x", "status": status} for status in "ab"]
    found = read(write("o.ndjson", *same, *swapped, *status, *unread))
    assert found.problems() == [
        ("FH0010", ("Observation/c", "Observation/s")),
        ("FH0019", ("Coverage/x", "Observation/o")),
    ]
    reasons = found.ledger("id", "reason")
    assert [reason for _, reason in reasons[::2]] == ["copy", "superseded", "superseded", "copy"]
    table = found.flats.tables[PART]
    assert table.loc[table["%key"] == "Observation/o", "valueInteger"].tolist() == ["1", "2"]


def test_a_whole_export_given_twice_changes_nothing(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.ndjson").write_text(
            "\n".join(json.dumps(patient(f"{n}")) for n in range(30))
        )
    found = read(tmp_path / "a", tmp_path / "b")
    (issue,) = found.issues
    assert (issue.code, issue.count) == ("FH0019", 30)
    assert len(found.keys()) == 30


def course(name: str, value: str, updated: str, use: str = "official") -> dict[str, Any]:
    identifier = [{"use": use, "value": value}]
    meta = {"lastUpdated": updated}
    return {"resourceType": "Procedure", "id": name, "meta": meta, "identifier": identifier}


def test_of_one_official_identifier_the_newest_is_used(write: Any) -> None:
    found = read(
        write(
            "c.ndjson",
            course("new", "A", "2024-02-01T00:00:00Z"),
            course("old", "A", "2024-01-01T00:00:00Z"),
            course("other", "B", "2024-01-01T00:00:00Z"),
            course("usual", "A", "2024-01-01T00:00:00Z", use="usual"),
        )
    )
    assert found.keys(COURSE) == ["Procedure/new", "Procedure/other", "Procedure/usual"]
    assert ("old", "excluded", "same identifier") in found.ledger("id", "status", "reason")
    assert found.problems() == [("FH0013", ("Procedure/old",))]


# --- references -------------------------------------------------------------------------------


def subjects(found: Read) -> list[str]:
    return found.flats.tables[VALUE]["subject.getReferenceKey()"].tolist()


REFERENCES = {
    "relative": "Patient/1",
    "with a version": "Patient/1/_history/3",
    "absolute": "https://example.org/fhir/Patient/1",
}


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
def test_a_reference_names_its_resource(reference: str, write: Any) -> None:
    found = read(write("o.ndjson", observation("o", subject={"reference": reference})))
    assert subjects(found) == ["Patient/1"]


def test_urn_references_are_resolved_through_the_full_url(write: Any) -> None:
    content = bundle(
        {"fullUrl": "urn:uuid:aa", "resource": patient("1")},
        {"fullUrl": "urn:uuid:bb", "resource": {"resourceType": "Patient"}},
        {"resource": observation("o1", subject={"reference": "urn:uuid:aa"})},
        {"resource": observation("o2", subject={"reference": "urn:uuid:bb"})},
        {"resource": observation("o3", subject={"reference": "urn:uuid:nobody"})},
    )
    found = read(write("b.json", content))
    assert found.keys() == ["Patient/1", "Patient/bb"]
    assert subjects(found) == ["Patient/1", "Patient/bb", "urn:uuid:nobody"]


def test_so_are_those_whose_type_the_path_says(write: Any) -> None:
    content = bundle(
        {"fullUrl": "urn:uuid:aa", "resource": patient("1")},
        {"resource": observation("o1", focus=[{"reference": "urn:uuid:aa"}])},
    )
    found = read(write("b.json", content))
    assert found.flats.tables[VALUE]["focus.getReferenceKey(Patient)"].tolist() == ["Patient/1"]


def test_a_contained_reference_is_none_of_another_resource(write: Any) -> None:
    found = read(write("o.ndjson", observation("o", subject={"reference": "#1"}), patient("1")))
    assert subjects(found) == ["#1"]


def test_a_resource_without_an_id_has_the_name_of_its_place(write: Any) -> None:
    nameless = {"resourceType": "Procedure"}
    line = bundle(nameless, nameless, course("c", "A", ""))
    found = read(write("p.ndjson", patient("1"), nameless, line, observation("")))
    assert found.ledger("id", "line") == [
        ("1", 1),
        ("p.ndjson:2", 2),
        ("p.ndjson:3.1", 3),
        ("p.ndjson:3.2", 3),
        ("c", 3),
        ("p.ndjson:4", 4),
    ]
    assert ("FH0014", ("p.ndjson:2", "p.ndjson:3.1", "p.ndjson:3.2")) in found.problems()


def test_a_subject_without_an_id_is_left_out_for_its_name_would_be_its_place(write: Any) -> None:
    found = read(write("p.ndjson", patient("1"), {"resourceType": "Patient"}, patient("")))
    assert found.keys() == ["Patient/1"]
    assert found.ledger("status", "reason")[1:] == [("quarantined", "no id")] * 2
    assert found.problems() == [("FH0017", ("p.ndjson:2", "p.ndjson:3"))]


FULL_URLS = {"urn:uuid:aa": "aa", "http://server/fhir/Patient/7": "7", "urn:oid:1.2.3": "1.2.3"}


@pytest.mark.parametrize(("url", "name"), FULL_URLS.items())
def test_the_full_url_names_a_resource_without_an_id(url: str, name: str, write: Any) -> None:
    entry = {"fullUrl": url, "resource": {"resourceType": "Patient"}}
    assert read(write("b.json", bundle(entry))).keys() == [f"Patient/{name}"]


# --- pieces, order, jobs ----------------------------------------------------------------------


def same(one: Read, other: Read) -> None:
    assert_frame_equal(one.flats.ledger, other.flats.ledger)
    for rows, table in one.flats.tables.items():
        assert_frame_equal(table, other.flats.tables[rows])
    assert list(one.issues) == list(other.issues)


def everything(folder: Path) -> list[Path]:
    """Two files with all that can be the matter."""
    good = [patient(f"{n}") for n in range(20)]
    odd = [
        '{"resourceType": "Patient"',
        "",
        "\t ",
        {"resourceType": "Nonsense", "id": "x"},
        {"id": "no type"},
        patient("3", **version("2")),
        patient("4"),
        patient("ü", name=[{"family": "ß" * 50}]),
        {"resourceType": "Patient"},
        observation("o1", subject={"reference": "Patient/1"}, component=[{"valueInteger": 3}]),
        observation("bad", valueQuantity="7"),
        course("c1", "A", "2024-01-01T00:00:00Z"),
        course("c2", "A", "2024-01-02T00:00:00Z"),
    ]
    files = [folder / "a.ndjson", folder / "b.ndjson"]
    for file, content in zip(files, (good[:10] + odd, good[5:]), strict=True):
        lines = [c if isinstance(c, str) else json.dumps(c, ensure_ascii=False) for c in content]
        file.write_text("\n".join(lines), encoding="utf-8")
    return files


@pytest.mark.parametrize("size", [1, 7, 64, 100, 1000])
def test_pieces_of_any_size_give_what_the_whole_gives(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = everything(tmp_path)
    whole = read(*files)
    monkeypatch.setattr(local, "PIECE_BYTES", size)
    same(read(*files), whole)


@given(st.binary(max_size=60), st.integers(1, 20))
def test_the_pieces_of_a_file_are_its_lines_once_each(content: bytes, size: int) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.ndjson"
        file.write_bytes(content)
        (whole,) = find_pieces([file], len(content) + 1, Issues())
        pieces = find_pieces([file], size, Issues())
        found = [entry for piece in pieces for entry in read_piece(piece, Issues())]
        assert found == list(read_piece(whole, Issues()))


def test_the_order_of_the_sources_does_not_matter(tmp_path: Path) -> None:
    first, second = everything(tmp_path)
    same(read(second, first), read(first, second))


def test_several_processes_give_what_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = everything(tmp_path)
    whole = read(*files)
    monkeypatch.setattr(local, "PIECE_BYTES", 500)
    same(read(*files, jobs=2), whole)


def test_parts_may_come_in_any_order(tmp_path: Path) -> None:
    def parts(names: Sequence[str]) -> list[Any]:
        reader = FlatReader(PLAN, VALUESETS, canonical, is_resource_type, explain)
        return [
            (
                name,
                reader.read([(1, patient(name), "", "", 0), (2, None, "x", "", 0)], name, Issues()),
            )
            for name in names
        ]

    one = merge_parts(PLAN, parts("abc"), Issues())
    other = merge_parts(PLAN, parts("cab"), Issues())
    assert_frame_equal(one.ledger, other.ledger)
    assert_frame_equal(one.tables[PATIENT], other.tables[PATIENT])


def test_every_path_of_the_plan_is_a_column_even_of_an_empty_table(write: Any) -> None:
    found = read(write("p.ndjson", patient("1")))
    for rows, paths in PLAN.tables.items():
        table = found.flats.tables[rows]
        assert list(table.columns) == ["%r", "%key", *sorted(paths)] or set(paths) <= set(table)
        assert all(isinstance(table[path].dtype, pd.StringDtype) for path in paths)
