"""Related records (SDTMIG v3.4, section 8.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from fhir2cdisc.core.dataset import Dataset, no_trace
from fhir2cdisc.core.verbs import described
from fhir2cdisc.sdtm import standard

COLUMNS = ("STUDYID", "RDOMAIN", "USUBJID", "IDVAR", "IDVARVAL", "RELTYPE", "RELID")


@dataclass(frozen=True, slots=True)
class Relation:
    """Two datasets whose records relate by the values of two variables."""

    left: str
    left_variable: str
    left_type: str
    right: str
    right_variable: str
    right_type: str


@dataclass(frozen=True, slots=True)
class RecordRelation:
    """Records of two datasets that are related one by one.

    The left record is known by its variable `left_by` and named by its --SEQ, which is unique.
    """

    left: str
    left_by: str
    right: str
    right_variable: str


def relate(
    relations: Iterable[Relation],
    records: RecordRelation,
    datasets: Mapping[str, Dataset],
    pairs: pd.DataFrame,
    study: str,
) -> dict[str, Dataset]:
    """The RELREC dataset, or nothing if there is nothing to relate.

    `pairs` has USUBJID, ``left`` (the value of `left_by`) and ``right`` (the value of the right
    variable). Pairs without a record on one of the sides are left out.
    """
    frames = {name: dataset.frame for name, dataset in datasets.items()}
    if _holds(frames, records.left, records.left_by) and _holds(
        frames, records.right, records.right_variable
    ):
        sequence = f"{records.left}SEQ"
        left = frames[records.left][["USUBJID", records.left_by, sequence]].dropna()
        right = frames[records.right][["USUBJID", records.right_variable]].dropna()
        pairs = pairs.merge(left.rename(columns={records.left_by: "left"}), on=["USUBJID", "left"])
        pairs = pairs.merge(
            right.drop_duplicates().rename(columns={records.right_variable: "right"}),
            on=["USUBJID", "right"],
        )
        pairs = pairs.assign(left=pairs[sequence])
    else:
        pairs = pairs.iloc[:0]
    frame = pd.concat(
        [related_datasets(relations, frames, study), _related_records(records, pairs, study)],
        ignore_index=True,
    )
    if frame.empty:
        return {}
    variables = standard.variables("RELREC")
    return {
        "RELREC": Dataset(
            name="RELREC",
            label=standard.dataset("RELREC").label,
            keys=("RDOMAIN", "USUBJID", "IDVAR", "IDVARVAL", "RELID"),
            frame=frame.astype("str"),
            columns={name: described(name, "relations of this package") for name in COLUMNS},
            labels={v.name: v.label for v in variables},
            trace=no_trace(),
        )
    }


def related_datasets(
    relations: Iterable[Relation], frames: Mapping[str, pd.DataFrame], study: str
) -> pd.DataFrame:
    """Dataset-level RELREC records for the relations whose two variables hold values."""
    rows = []
    for relation in relations:
        sides = (
            (relation.left, relation.left_variable, relation.left_type),
            (relation.right, relation.right_variable, relation.right_type),
        )
        if all(_holds(frames, domain, variable) for domain, variable, _ in sides):
            name = relation.left + relation.right
            rows += [(study, d, None, v, None, kind, name) for d, v, kind in sides]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")


def _holds(frames: Mapping[str, pd.DataFrame], domain: str, variable: str) -> bool:
    frame = frames.get(domain)
    return frame is not None and variable in frame and bool(frame[variable].notna().any())


def _related_records(relation: RecordRelation, pairs: pd.DataFrame, study: str) -> pd.DataFrame:
    """Record-level RELREC records; those of one left record share a RELID, within subject."""
    if pairs.empty:
        return pd.DataFrame(columns=list(COLUMNS), dtype="str")
    pairs = pairs.sort_values(["USUBJID", "left", "right"], kind="stable", ignore_index=True)
    group = pairs.groupby(["USUBJID", "left"], sort=False).ngroup()
    start = group.groupby(pairs["USUBJID"]).transform("min")
    relid = relation.left + relation.right + (group - start + 1).astype("str")
    sides = [
        pd.DataFrame(
            {
                "STUDYID": study,
                "RDOMAIN": domain,
                "USUBJID": pairs["USUBJID"],
                "IDVAR": variable,
                "IDVARVAL": values,
                "RELTYPE": pd.Series(pd.NA, index=pairs.index, dtype="str"),
                "RELID": relid,
            }
        )
        for domain, variable, values in (
            (relation.left, f"{relation.left}SEQ", pairs["left"].astype("int64").astype("str")),
            (relation.right, relation.right_variable, pairs["right"]),
        )
    ]
    frame = pd.concat(sides, ignore_index=True).drop_duplicates()
    order = ["USUBJID", "RELID", "RDOMAIN", "IDVARVAL"]
    return frame.sort_values(order, kind="stable", ignore_index=True).astype("str")
