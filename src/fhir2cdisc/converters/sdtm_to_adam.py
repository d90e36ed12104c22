"""SDTM -> ADaM: run the derivations in order, each on all datasets made before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fhir2cdisc.core.column import Context, Terms
from fhir2cdisc.core.dataset import TRACE_COLUMNS, Dataset
from fhir2cdisc.core.derivation import Derivation, Derived, Prepare
from fhir2cdisc.core.issue import Issues

BLOCK = 20_000
"""Subjects that are derived at once: what is kept on the way is bounded by them."""


def derive_datasets(  # noqa: PLR0917  # what, then how
    derivations: Sequence[Derivation],
    sdtm: Mapping[str, pd.DataFrame],
    study: Any,
    terms: Terms,
    issues: Issues,
    block: int | None = None,
) -> dict[str, Dataset]:
    """The analysis datasets that the given SDTM frames support, by name, in order.

    `block` subjects are derived at once, `BLOCK` if it is not given.
    """
    blocks = list(derive_blocks(derivations, sdtm, study, terms, issues, block))
    if len(blocks) == 1:
        return blocks[0]
    names = [d.name for d in derivations if any(d.name in found for found in blocks)]
    return {name: _together([found[name] for found in blocks if name in found]) for name in names}


def derive_blocks(  # noqa: PLR0917
    derivations: Sequence[Derivation],
    sdtm: Mapping[str, pd.DataFrame],
    study: Any,
    terms: Terms,
    issues: Issues,
    block: int | None = None,
) -> Iterator[dict[str, Dataset]]:
    """The same for one block of subjects after the other, in the order of USUBJID.

    A derivation looks at the records of one subject only. A dataset of the study is there in every
    block, if without records; one without USUBJID is there as a whole.
    """
    derivations = _supported(derivations, sdtm, issues)
    owners = {name: frame["USUBJID"] for name, frame in sdtm.items() if "USUBJID" in frame}
    subjects = pd.Index(
        pd.concat([pd.Series(dtype="str"), *(o.drop_duplicates() for o in owners.values())])
        .drop_duplicates()
        .sort_values()
    )
    block = block or BLOCK
    if len(subjects) <= block:
        yield _derive_block(derivations, sdtm, study, terms, issues)
        return
    number = {
        name: subjects.get_indexer(pd.Index(owner)) // block for name, owner in owners.items()
    }
    for n in range(-(-len(subjects) // block)):
        own = {
            name: frame[number[name] == n].reset_index(drop=True) if name in number else frame
            for name, frame in sdtm.items()
        }
        yield _derive_block(derivations, own, study, terms, issues)


def _supported(
    derivations: Sequence[Derivation], sdtm: Mapping[str, pd.DataFrame], issues: Issues
) -> list[Derivation]:
    """The derivations whose datasets are there or derived before."""
    there, out = set(sdtm), []
    for derivation in derivations:
        absent = [name for name in derivation.needs if name not in there]
        if absent:
            issues.add("AD0001", f"{derivation.name} needs {', '.join(absent)}")
        else:
            out.append(derivation)
            there.add(derivation.name)
    return out


def _derive_block(
    derivations: Sequence[Derivation],
    sdtm: Mapping[str, pd.DataFrame],
    study: Any,
    terms: Terms,
    issues: Issues,
) -> dict[str, Dataset]:
    frames = dict(sdtm)
    out: dict[str, Dataset] = {}
    prepared: dict[Prepare, Any] = {}
    for derivation in derivations:
        given: tuple[Any, ...] = (frames, study, issues)
        if derivation.prepare is not None:
            if derivation.prepare not in prepared:
                prepared[derivation.prepare] = derivation.prepare(*given)
            given = (*given, prepared[derivation.prepare])
        dataset = _build(derivation, derivation.derive(*given), frames, terms, issues)
        out[derivation.name] = dataset
        frames[derivation.name] = dataset.frame
    return out


def _together(parts: Sequence[Dataset]) -> Dataset:
    """The parts of one dataset, whose subjects follow each other."""
    starts = np.cumsum([0, *(len(part.frame) for part in parts)])
    traces = [
        part.trace.assign(row=part.trace["row"] + start)
        for part, start in zip(parts, starts, strict=False)
    ]
    return replace(
        parts[0],
        frame=pd.concat([part.frame for part in parts], ignore_index=True),
        trace=pd.concat(traces, ignore_index=True),
    )


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
    order = _order([table[key] for key in derivation.keys])
    if (order[1:] < order[:-1]).any():
        table = table.take(order).reset_index(drop=True)
    return Dataset(
        name=derivation.name,
        label=derivation.label,
        keys=derivation.keys,
        frame=table,
        columns=derivation.columns,
        labels=derivation.labels,
        trace=_trace(derived.parents, np.argsort(order)),
    )


def _order(keys: Sequence[pd.Series]) -> np.ndarray:
    """The positions of the rows in the order of the keys; rows with equal keys stay as they are."""
    ranks = [pd.factorize(key, sort=True, use_na_sentinel=True)[0] for key in keys]
    last = [np.where(rank < 0, len(rank), rank) for rank in ranks]  # missing comes last
    return np.lexsort(last[::-1])


def _trace(parents: pd.DataFrame, position: np.ndarray) -> pd.DataFrame:
    """The parents with the final `position` of each row, by row and dataset, each line once."""
    row = position[parents["row"].to_numpy(dtype=np.int64)]
    parent, names = pd.factorize(parents["parent"], sort=True)
    key, keys = pd.factorize(parents["parent_key"])
    order = np.lexsort((key, parent, row))
    row, parent, key = row[order], parent[order], key[order]
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (parent[1:] != parent[:-1]) | (key[1:] != key[:-1])
    kinds = ["ADAM" if name.startswith("AD") else "SDTM" for name in names]
    trace = pd.DataFrame(
        {
            "row": row[new],
            "parent_kind": pd.array(kinds, dtype="str").take(parent[new]),
            "parent": pd.Index(names, dtype="str").array.take(parent[new]),
            "parent_key": pd.Index(keys, dtype="str").array.take(key[new]),
            "version": pd.array([""], dtype="str").take(np.zeros(int(new.sum()), dtype=np.int64)),
        }
    )
    return trace[list(TRACE_COLUMNS)]
