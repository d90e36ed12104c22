"""The synthetic study: reproducible, valid FHIR, closed under reference, and plausible."""

from __future__ import annotations

import gzip
import json
import re
import tomllib
import zlib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fhir2cdisc.errors import OutputError
from fhir2cdisc.simulate import codes, simulate
from fhir2cdisc.simulate.defects import DEFECTS

Json = dict[str, Any]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def resources(folder: Path) -> list[Json]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.ndjson"))
        if path.name != "log.ndjson"
        for line in path.read_bytes().splitlines()
    ]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    if isinstance(node, list):
        return [found for value in node for found in references(value)]
    return []


def code(resource: Json) -> str:
    first: str = resource["code"]["coding"][0]["code"]
    return first


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small") / "fhir"
    simulate(6, 7, out)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 subjects, enough to see frequencies."""
    out = tmp_path_factory.mktemp("study") / "fhir"
    simulate(150, 7, out)
    return out


@pytest.fixture(scope="module")
def study(folder: Path) -> list[Json]:
    return resources(folder)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("broken") / "fhir"
    simulate(24, 7, out, with_defects=True)
    return out


# --- the folder ------------------------------------------------------------------------------


@pytest.mark.parametrize("with_defects", [False, True])
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, *, with_defects: bool) -> None:
    simulate(5, 3, tmp_path / "one", with_defects)
    simulate(5, 3, tmp_path / "two", with_defects)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_another_seed_gives_another_study(tmp_path: Path, small: Path) -> None:
    simulate(6, 8, tmp_path / "other")
    assert files(tmp_path / "other")["Observation.ndjson"] != files(small)["Observation.ndjson"]


@pytest.mark.parametrize("with_defects", [False, True])
def test_a_subject_does_not_depend_on_how_many_there_are(
    tmp_path: Path, *, with_defects: bool
) -> None:
    simulate(4, 3, tmp_path / "few", with_defects)
    simulate(9, 3, tmp_path / "many", with_defects)
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    for name in (name for name in few if name.endswith("ndjson") and name != "log.ndjson"):
        assert many[name].startswith(few[name]), name


def test_the_study_file_carries_the_keys_of_the_contract(small: Path) -> None:
    study = tomllib.loads((small / "study.toml").read_text())
    assert study["study"]["id"] == "RTPD1-001"
    assert study["treatment"] == {
        "drugs": ["Pembrolizumab"],
        "arm": "Local RT + PD-1",
        "armcd": "RTPD1",
    }
    assert study["radiotherapy"] == {"domain": "PR_AND_EX"}
    assert study["response"] == {
        "criteria": "RECIST 1.1",
        "confirm_days": 28,
        "sd_min_days": 42,
    }
    assert study["visits"]["BASELINE"] == 0
    assert study["visits"]["WEEK 24"] == 24


def test_the_log_counts_what_is_in_the_folder(small: Path) -> None:
    events = [json.loads(line) for line in (small / "log.ndjson").read_text().splitlines()]
    assert events[0]["eventId"] == "kickoff"
    assert events[-1]["eventDetail"]["resources"] == len(resources(small))


def test_twenty_four_subjects_stay_below_four_megabytes(broken: Path) -> None:
    assert sum(len(content) for content in files(broken).values()) < 4_000_000


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        simulate(1, 1, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_an_empty_folder_is_filled_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    simulate(1, 1, out)
    assert (out / "Patient.ndjson").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_fewer_than_no_subjects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="give 0 or more"):
        simulate(-1, 1, tmp_path / "out")


# --- the FHIR --------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_resource_is_valid_fhir_r4b(small: Path) -> None:
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415

    for resource in resources(small):
        model = get_fhir_model_class(resource["resourceType"])
        model.model_validate(resource)


def test_the_validation_would_notice_a_fault(small: Path) -> None:
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415

    size = next(r for r in resources(small) if "-size-" in r["id"])
    for fault in ({"effectiveDateTime": "2024-02-30"}, {"valeu": 1}, {"status": None}):
        with pytest.raises(ValueError, match=r"validation error"):
            get_fhir_model_class("Observation").model_validate(size | fault)


def test_every_reference_leads_to_a_resource_in_the_folder(study: list[Json]) -> None:
    known = {f"{resource['resourceType']}/{resource['id']}" for resource in study}
    wanted = {found for resource in study for found in references(resource)}
    assert wanted <= known


def test_every_id_is_used_once(study: list[Json]) -> None:
    counts = Counter((resource["resourceType"], resource["id"]) for resource in study)
    assert max(counts.values()) == 1


def test_every_resource_has_a_version_and_a_legal_id(study: list[Json]) -> None:
    for resource in study:
        assert resource["meta"]["versionId"]
        assert resource["meta"]["lastUpdated"]
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])


def test_nothing_is_empty(study: list[Json]) -> None:
    def empty(node: Any) -> bool:
        if isinstance(node, dict):
            return not node or any(map(empty, node.values()))
        return (not node or any(map(empty, node))) if isinstance(node, list) else node in ("", None)

    assert not [resource["id"] for resource in study if empty(resource)]


def test_sizes_keep_their_trailing_zeros(folder: Path) -> None:
    text = (folder / "Observation.ndjson").read_text()
    assert re.search(r'"value":\d+\.\d0,"unit":"cm"', text)
    assert re.search(r'"value":\d+\.0,"unit":"mm"', text)


def test_times_carry_a_zone(study: list[Json]) -> None:
    zones = set()
    for resource in study:
        when = resource.get("effectiveDateTime", "")
        if "T" in when:
            zones.add(re.fullmatch(r".{10}T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", when).group(1))  # type: ignore[union-attr]
    assert zones == set(codes.SITE_ZONE.values())


def test_no_record_number_or_name_is_the_subject_identifier(study: list[Json]) -> None:
    for subject in (r for r in study if r["resourceType"] == "ResearchSubject"):
        assert re.fullmatch(r"0[1-4]-\d{3}", subject["identifier"][0]["value"])
    for patient in (r for r in study if r["resourceType"] == "Patient"):
        assert patient["identifier"][0]["value"].startswith(codes.MRN_PREFIX)
        assert patient["name"][0]["family"] in codes.FAMILY_NAMES


# --- the trial -------------------------------------------------------------------------------


def test_treatment_starts_within_five_days_of_enrolment_and_after_the_baseline_scan(
    study: list[Json],
) -> None:
    enrolled = {
        r["individual"]["reference"]: date.fromisoformat(r["period"]["start"])
        for r in study
        if r["resourceType"] == "ResearchSubject"
    }
    starts: dict[str, list[date]] = {}
    baselines: dict[str, list[date]] = {}
    for resource in study:
        kind, subject = resource["resourceType"], resource.get("subject", {}).get("reference")
        if kind == "Procedure" and any(
            extension["url"] == codes.RESEARCH_STUDY for extension in resource["extension"]
        ):
            start = resource["performedPeriod"]["start"]
        elif kind == "MedicationAdministration" and resource["status"] == "completed":
            period = resource.get("effectivePeriod", {})
            start = period.get("start") or resource["effectiveDateTime"]
        elif kind == "Observation" and code(resource) == "C94523":
            if resource["extension"][0]["valueString"] == "BASELINE":
                day = date.fromisoformat(resource["effectiveDateTime"][:10])
                baselines.setdefault(subject, []).append(day)
            continue
        else:
            continue
        starts.setdefault(subject, []).append(date.fromisoformat(start[:10]))
    assert len(starts) > 140
    for subject, days in starts.items():
        assert 0 <= (min(days) - enrolled[subject]).days <= 5
        assert max(baselines[subject]) < min(days)
        assert (min(days) - min(baselines[subject])).days <= 14


def test_no_organ_has_more_than_two_targets_and_no_subject_more_than_five(
    study: list[Json],
) -> None:
    organs = {organ.code: organ.group for organ in codes.ORGANS}
    targets = [
        r
        for r in study
        if r["resourceType"] == "BodyStructure" and re.search(r"-tumor-t\d", r["id"])
    ]
    by_organ = Counter(
        (r["patient"]["reference"], organs[r["location"]["coding"][0]["code"]]) for r in targets
    )
    assert max(by_organ.values()) == 2
    by_subject = Counter(r["patient"]["reference"] for r in targets)
    assert set(by_subject.values()) == {1, 2, 3, 4, 5}


def test_every_kind_of_evidence_for_the_irradiated_lesion_occurs(study: list[Json]) -> None:
    tumours = {r["id"]: r for r in study if "-tumor-" in r["id"]}
    volumes = {r["id"]: r for r in study if re.search("-(ptv|gtv|oar)-", r["id"])}
    evidence = Counter()
    for course in (r for r in study if re.search(r"-rt\d$", r["id"])):
        urls = [extension["url"] for extension in course["extension"]]
        for found in references(course["extension"]):
            name = found.split("/")[1]
            if name in tumours and codes.TARGET_STRUCTURE not in urls:
                evidence["same"] += 1
            elif name in volumes and "-ptv-" in name:
                shared = len(volumes[name]["identifier"]) == 2
                target = codes.TARGET_STRUCTURE in urls
                evidence["uid" if shared else "target" if target else "location"] += 1
            elif name in volumes and "-oar-" in name:
                evidence["organ at risk"] += 1
    assert set(evidence) == {"same", "uid", "target", "location", "organ at risk"}
    assert evidence["uid"] > evidence["target"] > 0
    assert evidence["location"] < evidence["uid"] / 2


def test_a_shared_tracking_identifier_leads_to_exactly_one_tumour(study: list[Json]) -> None:
    def tracked(resource: Json) -> list[str]:
        return [
            identifier["value"]
            for identifier in resource["identifier"]
            if identifier.get("system") == codes.DICOM_UID
        ]

    tumours = Counter(uid for r in study if "-tumor-" in r["id"] for uid in tracked(r))
    volumes = {uid for r in study if re.search("-[pg]tv-", r["id"]) for uid in tracked(r)}
    assert volumes <= set(tumours)
    assert set(tumours.values()) == {1}


def test_an_updated_course_keeps_its_official_identifier_under_another_id(
    study: list[Json],
) -> None:
    versions: dict[str, list[Json]] = {}
    for procedure in (r for r in study if r["resourceType"] == "Procedure"):
        versions.setdefault(procedure["identifier"][0]["value"], []).append(procedure)
    twice = [pair for pair in versions.values() if len(pair) == 2]
    assert twice
    for started, finished in twice:
        assert started["status"] == "in-progress"
        assert (started["meta"]["versionId"], finished["meta"]["versionId"]) == ("1", "2")
    assert max(map(len, versions.values())) == 2


def test_the_study_is_clinically_plausible(study: list[Json]) -> None:
    patients = [r for r in study if r["resourceType"] == "Patient"]
    dead = [r for r in patients if r.get("deceasedBoolean") or "deceasedDateTime" in r]
    assert 0.18 < len(dead) / len(patients) < 0.40
    best: dict[str, str] = {}
    rank = ("CR", "PR", "SD", "PD")
    for course in _courses(150, 7):
        seen = [visit.overall for visit in course.visits[1:]]
        seen = seen[: seen.index("PD") + 1] if "PD" in seen else seen
        best[course.subjid] = min((s for s in seen if s in rank), key=rank.index, default="NE")
    responders = sum(response in ("CR", "PR") for response in best.values())
    assert 0.2 < responders / 150 < 0.45
    assert any(resource["resourceType"] == "Encounter" for resource in study)


def _courses(subjects: int, seed: int) -> list[Any]:
    from fhir2cdisc.simulate.course import simulate_course  # noqa: PLC0415

    return [simulate_course(seed, number)[0] for number in range(subjects)]


def test_nothing_is_recorded_after_death_or_the_end_of_participation() -> None:
    for course in _courses(300, 11):
        assert all(reading.day < course.limit for v in course.visits for reading in v.readings)
        assert all(infusion.day < course.limit for infusion in course.infusions)
        assert all(toxicity.day <= course.limit for toxicity in course.toxicities)
        assert all(day < course.limit for day in course.contacts)
        assert course.death in (None, course.limit)


def test_a_fatal_event_comes_shortly_before_the_death_it_explains() -> None:
    fatal = [
        (course.death, toxicity.day)
        for course in _courses(300, 11)
        for toxicity in course.toxicities
        if toxicity.grade == 5
    ]
    assert fatal
    assert all(death is not None and 0 < death - day <= 10 for death, day in fatal)


def test_all_the_untidy_things_of_a_real_trial_occur(study: list[Json]) -> None:
    text = "\n".join(json.dumps(resource) for resource in study)
    for sign in (
        "TOO SMALL TO MEASURE",
        "SCAN NOT PERFORMED",
        "NOT EVALUABLE",
        "UNSCHEDULED ",
        "previously-irradiated",
        "progressed-since-irradiation",
        "C124448",
        "21976-6",
        "97509-4",
        "112074",
        "103340004",
        "33729-5",
        '"status": "not-done"',
        '"status": "stopped"',
        "ANTICANCER",
        '"deceasedBoolean": true',
        "C48275",
    ):
        assert sign in text, sign
    assert {len(r["date"]) for r in study if r["resourceType"] == "AdverseEvent"} >= {7, 10}
    later = [
        r
        for r in study
        if re.search(r"-rt9$", r["id"])
        and not any(e["url"] == codes.RESEARCH_STUDY for e in r["extension"])
    ]
    assert later


# --- the defects -----------------------------------------------------------------------------


def test_the_defect_table_documents_every_kind() -> None:
    from fhir2cdisc.simulate import defects  # noqa: PLC0415

    documented = re.findall(r"^\| (\d+) \| ([a-z0-9-]+) \|", defects.__doc__ or "", re.MULTILINE)
    assert documented == [(str(row), kind) for row, kind in enumerate(DEFECTS)]
    assert len(DEFECTS) <= 24


def raw_lines(folder: Path) -> list[bytes]:
    return [
        line
        for path in sorted(folder.glob("*.ndjson"))
        for line in path.read_bytes().split(b"\n")[:-1]
    ]


PRESENT = {
    "no-body-type": rb'^\{"id":"[^"]*-defect-untyped"',
    "dangling-subject": rb'"subject":\{"reference":"Patient/defect-not-here"\}',
    "dangling-focus": rb'"reference":"BodyStructure/defect-not-here"',
    "unknown-body-site": rb'"location":\{"coding":\[\{[^}]*"999000001"',
    "unknown-method": rb'"method":\{"coding":\[\{[^}]*"999000002"',
    "unknown-response": rb'"C999999"',
    "impossible-day": rb'"effectiveDateTime":"2024-02-30"',
    "impossible-month": rb'"date":"2024-13-01"',
    "entered-in-error": rb'"status":"entered-in-error"',
    "event entered in error": rb'"valueCode":"entered-in-error"',
    "not-done-procedure": rb'"resourceType":"Procedure".*"status":"not-done"',
    "negative-diameter": rb'"value":-12.0',
    "measured-twice": rb'-size-t01-0-defect-again"',
    "after-death": rb"-vital-defect-after-death",
    "one-identifier-two-courses": rb"-rt1-defect-second-course",
    "very-long-text": rb'"text":"Headache and then.{19000,}"',
    "unknown-modifier": rb'"modifierExtension":\[\{"url":"http://example.org',
    "potential-event": rb'"actuality":"potential"',
    "unknown-unit": rb'"\[in_i\]"',
    "two-participations": rb"-subject-defect-again",
    "blank-line": rb"^\s*$",
}


@pytest.mark.parametrize("pattern", PRESENT.values(), ids=PRESENT.keys())
def test_the_defect_is_in_the_folder(broken: Path, pattern: bytes) -> None:
    assert any(re.search(pattern, line) for line in raw_lines(broken))


def test_one_line_is_not_json(broken: Path) -> None:
    failed = 0
    for line in raw_lines(broken):
        try:
            json.loads(line or b"{}") if line.strip() else None
        except ValueError:
            failed += 1
    assert failed == 1


def parsed(folder: Path) -> list[Json]:
    return [json.loads(line) for line in raw_lines(folder) if line.strip() and line.endswith(b"}")]


def test_a_subject_a_birth_date_and_a_baseline_are_missing(broken: Path) -> None:
    lines = parsed(broken)
    assert [r for r in lines if r.get("id", "").endswith("-defect-nobody") and "subject" not in r]
    patients = [r for r in lines if r.get("resourceType") == "Patient"]
    assert sum("birthDate" not in patient for patient in patients) == 1
    first = {r["id"] for r in lines if r.get("id", "").endswith("-size-t01-0")}
    assert len(first) == 23


def test_an_older_version_follows_the_newer_one(broken: Path) -> None:
    seen: dict[str, list[str]] = {}
    for resource in parsed(broken):
        if resource.get("resourceType") == "Observation":
            seen.setdefault(resource["id"], []).append(resource["meta"]["versionId"])
    assert [versions for versions in seen.values() if len(versions) > 1] == [["2", "1"]]


def test_two_completed_courses_share_an_official_identifier(broken: Path) -> None:
    counts = Counter(
        r["identifier"][0]["value"]
        for r in parsed(broken)
        if r.get("resourceType") == "Procedure"
        and r["status"] == "completed"
        and code(r) == "1217123003"
    )
    assert max(counts.values()) == 2


def test_the_gzip_file_breaks_off_but_its_beginning_can_be_read(broken: Path) -> None:
    packed = (broken / "Observation.2.ndjson.gz").read_bytes()
    with pytest.raises(EOFError):
        gzip.decompress(packed)
    readable = zlib.decompressobj(wbits=31).decompress(packed).splitlines()
    assert len(readable) > 1
    assert json.loads(readable[0])["resourceType"] == "Observation"


def test_without_defects_there_is_no_trace_of_them(small: Path) -> None:
    assert not any(b"defect" in line for line in raw_lines(small))
