"""Target lesions at every assessment, and their sums by lesion group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.lesion import MICRONS, Assessed
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.study import Study

# What a volume is.
COLLECTED, ELLIPSOID, SPHERE = range(3)

# Lesion group -> ending of PARAMCD.
GROUPS = {"ALL": "", "NONIRRAD": "NI", "IRRAD": "IR", "LOWDOSE": "LD"}


def in_group(found: pd.DataFrame, group: str) -> Bools:
    """True for the lesions of a group; ALL has every lesion."""
    if group == "ALL":
        return np.ones(len(found), dtype=bool)
    return (found["LESGRP"] == group).to_numpy(dtype=bool)


def target_grid(found: pd.DataFrame, assessed: Assessed, study: Study) -> pd.DataFrame:
    """Every target lesion at every assessment of its subject, sorted by lesion and assessment.

    Columns ``visit``, ``lesion``, ``subject``, ``post``, ``value``, ``volume`` (mm3),
    ``kind`` (of the volume: `COLLECTED`, `ELLIPSOID` or `SPHERE`), ``scan``, ``partial`` (a part
    is missing), ``merged``, ``across``, ``diseased`` and ``diseased_volume`` (more than a normal
    node). What was not recorded is missing.

    The volume of a lesion is of one kind throughout: collected if its last baseline measurement
    has one (and ``vol_source`` is collected), else prolate if both diameters were measured then,
    else that of a sphere.
    """
    visits, measured = assessed.visits, assessed.measured
    subjects = visits["subject"].to_numpy(dtype=np.int64)
    targets = (found["ROLE"] == "TARGET").to_numpy(dtype=bool)
    visit, lesion, at = at_every_visit(found, assessed, targets)
    take = {
        name: verbs.take(measured[name].to_numpy(), at, missing)
        for name, missing in (
            ("value", np.nan), ("sphere", np.nan), ("prolate", np.nan), ("collected", np.nan),
            ("scan", verbs.NO_DAY), ("partial", False), ("merged", False), ("across", False),
        )
    }  # fmt: skip
    post = visits["post"].to_numpy(dtype=bool)[visit]
    nodal = found["NODAL"].to_numpy(dtype=bool)[lesion]
    value = take["value"]
    volume, kind = _volumes(lesion, post, take, study)
    grid = pd.DataFrame(
        {
            "visit": visit,
            "lesion": lesion,
            "subject": subjects[visit],
            "post": post,
            "value": value,
            "volume": volume,
            "kind": kind,
            "scan": take["scan"],
            "partial": take["partial"],
            "merged": take["merged"],
            "across": take["across"],
        }
    )
    limit = np.where(nodal, study.response.node_normal_mm * MICRONS, 0.5)
    grid["diseased"] = value >= limit
    grid["diseased_volume"] = np.where(
        np.isnan(value), grid["volume"] > 0, np.where(nodal, value >= limit, grid["volume"] > 0)
    )
    return grid


def at_every_visit(
    found: pd.DataFrame, assessed: Assessed, wanted: Bools
) -> tuple[Ints, Ints, Ints]:
    """The wanted lesions at every assessment of their subjects, sorted by lesion and assessment.

    Visit, lesion, and the row of `measured`, which is -1 where nothing was recorded. The rows of
    a lesion follow the visits of its subject one by one.
    """
    visits, measured = assessed.visits, assessed.measured
    subjects = visits["subject"].to_numpy(dtype=np.int64)
    size = np.bincount(subjects)
    start = np.cumsum(size) - size
    names = visits["USUBJID"].to_numpy()[start] if len(visits) else []
    owner = pd.Index(names).get_indexer(pd.Index(found["USUBJID"]))
    lesions = np.flatnonzero(wanted & (owner >= 0))
    owner = owner[lesions]
    visit = verbs.cross(size[owner], start[owner])
    lesion = np.repeat(lesions, size[owner])
    count = max(len(found), 1)
    have = measured["visit"].to_numpy() * count + measured["lesion"].to_numpy()
    want = visit * count + lesion
    at = np.searchsorted(have, want)
    hit = at < len(have)
    hit[hit] = have[at[hit]] == want[hit]
    return visit, lesion, np.where(hit, at, -1)


def _volumes(
    lesion: Ints, post: Bools, take: Mapping[str, Floats], study: Study
) -> tuple[Floats, Ints]:
    """The volumes, and of which kind they are."""
    lesions = int(lesion.max()) + 1 if len(lesion) else 0
    measured = ~np.isnan(take["value"]) | ~np.isnan(take["collected"])
    base = verbs.last_row(measured & ~post, lesion, lesions)
    collected = ~np.isnan(verbs.take(take["collected"], base, np.nan))
    collected &= study.response.vol_source == "collected"
    prolate = ~np.isnan(verbs.take(take["prolate"], base, np.nan))
    gone = np.where(take["value"] == 0, 0.0, np.nan)
    by_reader = np.where(np.isnan(take["collected"]), gone, take["collected"])
    by_diameters = np.where(prolate[lesion], take["prolate"], take["sphere"])
    kind = np.where(collected, COLLECTED, np.where(prolate, ELLIPSOID, SPHERE))
    return np.where(collected[lesion], by_reader, by_diameters), kind[lesion]


def sums(
    found: pd.DataFrame, assessed: Assessed, grid: pd.DataFrame, group: str, measure: str
) -> pd.DataFrame:
    """The sum of the targets of a group at each assessment of subjects that have any.

    One row per visit, in order: ``visit``, ``subject``, ``post``, ``sum`` (thousandths of mm or
    mm3; of the lesions assessed; missing if none was), ``expected`` and ``assessed`` (how many
    lesions), ``complete``, ``diseased`` (a lesion assessed is not normal), ``last`` (last scan
    date in the sum), ``sick_scan`` (first scan date of a lesion that is not normal), ``base``
    (last complete sum that is not post-baseline) and ``baseline`` (True on its row).

    `measure` is value or volume. What is ``across`` groups is missing in all but ALL.
    """
    mine = in_group(found, group)[grid["lesion"].to_numpy()]
    part = grid[mine]
    visit = part["visit"].to_numpy()
    size = part[measure].to_numpy(dtype=np.float64)
    if group != "ALL":
        size = np.where(part["across"], np.nan, size)
    there = ~np.isnan(size)
    count = len(assessed.visits)
    expected = np.bincount(visit, minlength=count)
    known = np.bincount(visit[there & ~part["partial"].to_numpy()], minlength=count)
    seen = np.bincount(visit[there], minlength=count)
    total = np.bincount(visit[there], weights=size[there], minlength=count)
    sick = there & part["diseased" if measure == "value" else "diseased_volume"].to_numpy(bool)
    scan = part["scan"].to_numpy()
    last = np.full(count, verbs.NO_DAY)
    np.maximum.at(last, visit[there], scan[there])
    sick_scan = np.full(count, np.iinfo(np.int64).max)
    dated = sick & (scan != verbs.NO_DAY)
    np.minimum.at(sick_scan, visit[dated], scan[dated])
    rows = np.flatnonzero(expected > 0)
    out = pd.DataFrame(
        {
            "visit": rows,
            "subject": assessed.visits["subject"].to_numpy(dtype=np.int64)[rows],
            "post": assessed.visits["post"].to_numpy(dtype=bool)[rows],
            "sum": np.where(seen > 0, total, np.nan)[rows],
            "expected": expected[rows],
            "assessed": known[rows],
            "complete": (known == expected)[rows],
            "diseased": np.bincount(visit[sick], minlength=count)[rows] > 0,
            "last": last[rows],
            "sick_scan": np.where(sick_scan == np.iinfo(np.int64).max, verbs.NO_DAY, sick_scan)[
                rows
            ],
        }
    )
    return with_base(out, out["subject"].to_numpy(dtype=np.int64))


def with_base(rows: pd.DataFrame, segment: Ints) -> pd.DataFrame:
    """Sums with ``base``, the last complete one of the segment that is not post-baseline.

    A sum of 0 is no baseline: nothing was measurable.
    """
    segments = int(segment.max()) + 1 if len(segment) else 0
    usable = rows["complete"].to_numpy() & ~rows["post"].to_numpy() & (rows["sum"] > 0).to_numpy()
    at = verbs.last_row(usable, segment, segments)
    total = rows["sum"].to_numpy(dtype=np.float64)
    baseline = np.zeros(len(rows), dtype=bool)
    baseline[at[at >= 0]] = True
    return rows.assign(base=verbs.take(total, at, np.nan)[segment], baseline=baseline)
