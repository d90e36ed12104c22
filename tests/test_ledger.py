"""Every entry of the input is in the ledger exactly once, whatever it looks like.

Simulated resources are damaged at random and converted: nothing raises, nothing gets lost.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir2cdisc.core.issue import CATALOGUE, SAMPLES
from fhir2cdisc.core.ledger import LEDGER_COLUMNS, REASONS, Status

VALUES = [
    None, True, 5, -1e300, "", "x", "2024-02-30", "ü\n\u0000" * 120, [], {}, [[]], ["x"],
    {"reference": "Patient/nobody"}, {"coding": "x"}, {"coding": [{"code": 5}]}, {"value": "5"},
]  # fmt: skip


@pytest.fixture(scope="module")
def resources(simulated: Path) -> list[dict[str, Any]]:
    """One simulated subject: two resources of each kind and code."""
    found = [
        json.loads(line)
        for file in sorted(simulated.glob("*.ndjson"))
        if file.name != "log.ndjson"
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    patient = next(r["id"] for r in found if r["resourceType"] == "Patient")
    own = [r for r in found if r["id"].startswith(patient)]
    kept: list[dict[str, Any]] = []
    for resource in own:
        kind = resource["resourceType"], json.dumps(resource.get("code"))
        if sum((r["resourceType"], json.dumps(r.get("code"))) == kind for r in kept) < 2:
            kept.append(resource)
    return kept


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a resource."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in items:
        found.append((node, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, int, int, Any]]:
    """What is done, to which resource, at which place, with which value."""
    damage = st.tuples(
        st.sampled_from(["drop", "put", "put", "put", "again", "rename", "cut"]),
        st.integers(0, 10_000),
        st.integers(0, 10_000),
        st.sampled_from(VALUES),
    )
    return draw(st.lists(damage, min_size=1, max_size=25))


def damaged(resources: list[dict[str, Any]], found: list[tuple[str, int, int, Any]]) -> list[Any]:
    whole: list[Any] = deepcopy(resources)
    lines: list[Any] = []
    for kind, which, where, value in found:
        resource = whole[which % len(whole)]
        if kind == "again":
            lines.append(deepcopy(resource))
        elif kind == "rename":
            resource["id"] = whole[where % len(whole)].get("id")
        elif kind == "cut":
            text = json.dumps(resource)
            lines.append(text[: where % len(text)].strip() or "{")
        elif options := places(resource):
            container, key = options[where % len(options)]
            if kind == "put":
                container[key] = value
            else:
                del container[key]
    return whole + lines


@given(damages())
@settings(
    max_examples=max(5, settings().max_examples // 10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_damaged_resources_are_accounted_for(convert, resources, found) -> None:
    given = damaged(resources, found)
    converted = convert(given)
    ledger = converted.ledger
    assert list(ledger.columns) == list(LEDGER_COLUMNS)
    assert ledger["line"].tolist() == list(range(1, len(given) + 1))
    assert set(ledger["status"]) <= {str(status) for status in Status}
    assert set(ledger["reason"].fillna("")) <= set(REASONS)
    used = ledger["status"].isin(["converted", "used"])
    assert (ledger["domains"].notna() == used).all()
    assert (ledger.loc[~used, "reason"] != "").all()
    for issue in converted.issues:
        assert issue.code in CATALOGUE
        assert len(issue.samples) <= SAMPLES
        assert issue.count >= 1
    for name, dataset in converted.sdtm.items():
        well_formed(name, dataset, converted.sdtm["DM"].frame)


def well_formed(name: str, dataset: Any, dm: pd.DataFrame) -> None:
    """What holds of a dataset whatever it was made from."""
    frame = dataset.frame
    for variable in frame:
        is_text = isinstance(frame[variable].dtype, pd.StringDtype)
        assert is_text or frame[variable].dtype == "float64", variable
        if is_text:
            values = frame[variable].dropna()
            assert not values.eq("").any(), variable
            assert values.str.fullmatch(r"[\x20-\x7e]{1,200}").all(), variable
    assert frame["USUBJID"].dropna().isin(dm["USUBJID"]).all()
    if f"{name}SEQ" in frame:
        assert not frame.duplicated(["USUBJID", f"{name}SEQ"]).any()
    if name != "RELREC":
        assert set(dataset.trace["row"]) == set(range(len(frame)))


def test_nothing_at_all_is_an_empty_ledger_not_a_crash(convert, tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").write_text("")
    converted = convert(tmp_path / "empty.ndjson")
    assert converted.ledger.empty
    assert converted.sdtm == {}


def test_the_simulated_study_is_accounted_for(convert, simulated: Path) -> None:
    lines = sum(
        len(file.read_bytes().splitlines())
        for file in simulated.glob("*.ndjson")
        if file.name != "log.ndjson"
    )
    converted = convert(simulated)
    assert len(converted.ledger) == lines
    assert not converted.ledger.duplicated(["file", "line"]).any()
    assert not converted.ledger["status"].eq("quarantined").any()
    assert {"AE", "CM", "DM", "DS", "EX", "PR", "RS", "SS", "TR", "TU"} <= set(converted.sdtm)
    for name, dataset in converted.sdtm.items():
        well_formed(name, dataset, converted.sdtm["DM"].frame)
