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


Derive = Callable[[Mapping[str, pd.DataFrame], Any, Issues], Derived]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One analysis dataset: what it needs, how it is derived, and what each variable is.

    `derive(data, study, issues)` gets every SDTM and ADaM frame made so far by name. `needs` are
    datasets without which there is nothing to derive; a missing one is an issue and the dataset
    is left out. `columns` are the variables in their order, in the language of `core.column`:
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
