"""Link two kinds of things by graded evidence, never across subjects."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from fhir2cdisc.core.column import Context
from fhir2cdisc.core.linkage import Evidence, Relation


def link(
    left: pd.DataFrame, right: pd.DataFrame, evidence: Iterable[Evidence], context: Context
) -> pd.DataFrame:
    """The best evidence for each pair: columns ``left``, ``right`` (row of `right`), ``grade``.

    `left` has ``key`` and ``subject``; `right` has ``subject`` and a column for every anchor.
    """
    found = []
    for item in evidence:
        things = _pairs(item.left, context).merge(left, on="key")
        if item.unique:
            things = things[~things.duplicated(["subject", "value"], keep=False)]
        actors = _pairs(item.right, context).rename(columns={"key": item.anchor})
        anchors = right[["subject", item.anchor]].rename_axis("right").reset_index()
        actors = anchors.merge(actors, on=item.anchor)
        pairs = things.merge(actors, on=["subject", "value"])
        found.append(pairs[["key", "right"]].assign(grade=item.grade))
    links = pd.concat(found, ignore_index=True).rename(columns={"key": "left"})
    links = links.sort_values(["grade", "left", "right"], kind="stable")
    return links.drop_duplicates(["left", "right"], ignore_index=True)


def _pairs(relation: Relation, context: Context) -> pd.DataFrame:
    table = context.flats[relation.rows]
    pairs = pd.DataFrame(
        {
            "key": relation.key.evaluate(table, context),
            "value": relation.value.evaluate(table, context),
        }
    )
    return pairs.dropna().drop_duplicates(ignore_index=True)
