"""Everything one run makes: what the writers take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fhir2cdisc.core.dataset import Dataset
from fhir2cdisc.core.issue import Issues


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Datasets, results, and the account of how they came about.

    `sdtm` is empty and `ledger` None where the run began with SDTM. `endpoints` is the table of
    results, `endpoints_json` the same for programs; `protocol` has a row for each setting in
    force. `listings` are further tables of results by the name of their file: Char columns are
    `str`, missing is NA. `ledger` has the columns of
    `core.ledger.LEDGER_COLUMNS`. `run` is the run record: versions, inputs, settings, counts.
    """

    study: str
    sdtm: Mapping[str, Dataset]
    adam: Mapping[str, Dataset]
    endpoints: pd.DataFrame
    endpoints_json: Any
    issues: Issues
    ledger: pd.DataFrame | None
    protocol: pd.DataFrame
    listings: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
