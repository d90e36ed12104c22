"""Adverse events for every analysis: their qualifiers, relation, and whether they were fatal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.study import Study

QUALIFIERS = ("AERELRT", "AEIRFL")


class Related(NamedTuple):
    """Whether an event is related to the PD-1 antibody, and whether to radiotherapy."""

    to_drug: pd.Series
    to_radiotherapy: pd.Series

    def to_any(self) -> pd.Series:
        return self.to_drug | self.to_radiotherapy


def events(data: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """AE with its supplemental qualifiers; no records if there is no AE."""
    return verbs.merge_supp(verbs.frame_of(data, "AE"), data.get("SUPPAE"), QUALIFIERS)


def related(ae: pd.DataFrame, study: Study) -> Related:
    """By the values that the study takes for related, of AEREL and of SUPPAE.AERELRT."""
    values = study.treatment.related
    return Related(
        verbs.text(ae, "AEREL").str.upper().isin(values),
        verbs.text(ae, "AERELRT").str.upper().isin(values),
    )


def fatal(ae: pd.DataFrame) -> pd.Series:
    """Whether the event ended in death: AESDTH, AEOUT or grade 5, any of the three.

    References:
        CTCAE v5.0: grade 5 is death related to the adverse event.
    """
    stated = verbs.text(ae, "AESDTH").eq("Y") | verbs.text(ae, "AEOUT").str.upper().eq("FATAL")
    return stated | verbs.text(ae, "AETOXGR").str.strip().eq("5")
