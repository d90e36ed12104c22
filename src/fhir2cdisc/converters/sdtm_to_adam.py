"""SDTM -> ADaM: run the derivations in order, each on all datasets made before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fhir2cdisc.core.column import Context, Terms
from fhir2cdisc.core.dataset import TRACE_COLUMNS, Dataset
from fhir2cdisc.core.derivation import Derivation, Derived, Prepare
from fhir2cdisc.core.issue import Issues


def derive_datasets(
    derivations: Sequence[Derivation],
    sdtm: Mapping[str, pd.DataFrame],
    study: Any,
    terms: Terms,
    issues: Issues,
) -> dict[str, Dataset]:
    """The analysis datasets that the given SDTM frames support, by name, in order."""
    frames = dict(sdtm)
    out: dict[str, Dataset] = {}
    prepared: dict[Prepare, Any] = {}
    for derivation in derivations:
        absent = [name for name in derivation.needs if name not in frames]
        if absent:
            issues.add("AD0001", f"{derivation.name} needs {', '.join(absent)}")
            continue
        given: tuple[Any, ...] = (frames, study, issues)
        if derivation.prepare is not None:
            if derivation.prepare not in prepared:
                prepared[derivation.prepare] = derivation.prepare(*given)
            given = (*given, prepared[derivation.prepare])
        dataset = _build(derivation, derivation.derive(*given), frames, terms, issues)
        out[derivation.name] = dataset
        frames[derivation.name] = dataset.frame
    return out


def _build(
    derivation: Derivation,
    derived: Derived,
    frames: Mapping[str, pd.DataFrame],
    terms: Terms,
    issues: Issues,
) -> Dataset:
    """Evaluate the columns over the derived frame; sort by key; carry the trace along."""
    table = derived.frame.reset_index(drop=True)
    context = Context(terms=terms, frames=frames, issues=issues, where=derivation.name)
    for name, column in derivation.columns.items():
        table[name] = column.evaluate(table, context)
    table = table[list(derivation.columns)]
    order = table.sort_values(list(derivation.keys), kind="stable").index
    position = pd.Series(range(len(order)), index=order)
    trace = derived.parents.assign(
        row=derived.parents["row"].map(position),
        parent_kind=derived.parents["parent"]
        .str.startswith("AD")
        .map({True: "ADAM", False: "SDTM"}),
        version="",
    )
    trace = trace[list(TRACE_COLUMNS)].drop_duplicates().astype({"row": "int64"})
    return Dataset(
        name=derivation.name,
        label=derivation.label,
        keys=derivation.keys,
        frame=table.loc[order].reset_index(drop=True),
        columns=derivation.columns,
        labels=derivation.labels,
        trace=trace.sort_values(list(TRACE_COLUMNS), ignore_index=True),
    )
