"""How one analysis dataset is made from the datasets before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from fhir2cdisc.core.column import Column
from fhir2cdisc.core.issue import Issues


class Derived(NamedTuple):
    """What a derivation returns.

    `frame` holds every variable its columns name, one row a record. `parents` says which records
    each row comes from: columns ``row`` (position in `frame`), ``parent`` (dataset name) and
    ``parent_key`` (``USUBJID|--SEQ``, or ``USUBJID`` for one-per-subject datasets).
    """

    frame: pd.DataFrame
    parents: pd.DataFrame


Frames = Mapping[str, pd.DataFrame]
Derive = Callable[[Frames, Any, Issues], Derived] | Callable[[Frames, Any, Issues, Any], Derived]
Prepare = Callable[[Frames, Any, Issues], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One analysis dataset: what it needs, how it is derived, and what each variable is.

    `derive(data, study, issues)` gets every SDTM and ADaM frame made so far by name; with
    `prepare`, also what that function gave: it runs once, before the first derivation that names
    it, and its result must not be changed. `needs` are
    datasets without which there is nothing to derive; a missing one is an issue and the dataset
    is left out. `columns` are the variables in their order, in the language of `core.verbs`:
    `predecessor`, `described`, or any verb over variables further up. `labels` has a label for
    each (at most 40 bytes).
    """

    name: str
    label: str
    keys: tuple[str, ...]
    needs: tuple[str, ...]
    derive: Derive
    columns: Mapping[str, Column]
    labels: Mapping[str, str]
    prepare: Prepare | None = None
