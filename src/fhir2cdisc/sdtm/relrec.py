"""Related records (SDTMIG v3.4, section 8.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from fhir2cdisc.core.dataset import Dataset, no_trace
from fhir2cdisc.core.variables import text
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

    A left record is in the first dataset of `left` that has it, where it is known by the variable
    beside the dataset and named by its --SEQ, which is unique.
    """

    left: tuple[tuple[str, str], ...]
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

    `pairs` has USUBJID, ``left`` (what left records are known by) and ``right`` (the value of the
    right variable). Pairs without a record on one of the sides are left out.
    """
    frames = {name: dataset.frame for name, dataset in datasets.items()}
    parts = [related_datasets(relations, frames, study)]
    for domain, variable in records.left:
        found = _with_records(domain, variable, records, frames, pairs)
        parts.append(_related_records(domain, records, found, study))
        known = pd.MultiIndex.from_frame(found[["USUBJID", "name"]])
        pairs = pairs[~pd.MultiIndex.from_frame(pairs[["USUBJID", "left"]]).isin(known)]
    frame = pd.concat(parts, ignore_index=True)
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


def _with_records(
    domain: str,
    variable: str,
    relation: RecordRelation,
    frames: Mapping[str, pd.DataFrame],
    pairs: pd.DataFrame,
) -> pd.DataFrame:
    """The pairs with a left record in the domain: ``left`` is its --SEQ, ``name`` what it was."""
    named = pairs.assign(name=pairs["left"])
    if not (
        _holds(frames, domain, variable) and _holds(frames, relation.right, relation.right_variable)
    ):
        return named[:0]
    left = frames[domain][["USUBJID", variable, f"{domain}SEQ"]].dropna()
    right = frames[relation.right][["USUBJID", relation.right_variable]].dropna()
    named = named.merge(left.rename(columns={variable: "left"}), on=["USUBJID", "left"])
    named = named.merge(
        right.drop_duplicates().rename(columns={relation.right_variable: "right"}),
        on=["USUBJID", "right"],
    )
    return named.assign(left=named[f"{domain}SEQ"])


def related_lesions(
    relrec: pd.DataFrame, treatments: pd.DataFrame, domain: str, lesions: pd.DataFrame
) -> pd.DataFrame:
    """USUBJID, SEQ of a treatment and LNKID of a lesion that one RELID relates, each pair once.

    `treatments` are records of `domain` with USUBJID, SEQ and LNKID, `lesions` of TU with USUBJID,
    TUSEQ and LNKID. Either side is named by its --SEQ or its --LNKID.
    """
    keys = ["USUBJID", "RELID"]
    table = pd.DataFrame({name: text(relrec, name) for name in (*keys, "RDOMAIN", "IDVAR")})
    value = text(relrec, "IDVARVAL").str.strip()
    table = table.assign(LNKID=value, SEQ=pd.to_numeric(value, errors="coerce").astype("float64"))
    table = table[table["USUBJID"].notna() & value.notna()]

    def side(of: str, records: pd.DataFrame) -> pd.DataFrame:
        mine = table[table["RDOMAIN"] == of]
        by_number = mine[mine["IDVAR"] == f"{of}SEQ"].drop(columns="LNKID").dropna()
        by_name = mine[mine["IDVAR"] == f"{of}LNKID"].drop(columns="SEQ")
        found = [
            by_number.merge(records, on=["USUBJID", "SEQ"])[[*keys, "SEQ", "LNKID"]],
            by_name.merge(records, on=["USUBJID", "LNKID"])[[*keys, "SEQ", "LNKID"]],
        ]
        return pd.concat(found, ignore_index=True)

    given = side(domain, treatments)[[*keys, "SEQ"]]
    seen = side("TU", lesions.rename(columns={"TUSEQ": "SEQ"}))[[*keys, "LNKID"]]
    return given.merge(seen, on=keys)[["USUBJID", "SEQ", "LNKID"]].drop_duplicates()


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


def _related_records(
    left: str, relation: RecordRelation, pairs: pd.DataFrame, study: str
) -> pd.DataFrame:
    """Record-level RELREC records; those of one left record share a RELID, within subject."""
    if pairs.empty:
        return pd.DataFrame(columns=list(COLUMNS), dtype="str")
    pairs = pairs.sort_values(["USUBJID", "left", "right"], kind="stable", ignore_index=True)
    group = pairs.groupby(["USUBJID", "left"], sort=False).ngroup()
    start = group.groupby(pairs["USUBJID"]).transform("min")
    relid = left + relation.right + (group - start + 1).astype("str")
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
            (left, f"{left}SEQ", pairs["left"].astype("int64").astype("str")),
            (relation.right, relation.right_variable, pairs["right"]),
        )
    ]
    frame = pd.concat(sides, ignore_index=True).drop_duplicates()
    order = ["USUBJID", "RELID", "RDOMAIN", "IDVARVAL"]
    return frame.sort_values(order, kind="stable", ignore_index=True).astype("str")
