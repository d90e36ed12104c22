"""What took place and what was given, of the records that also say what was not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fhir2cdisc.core.variables import number, text


def took_place(frame: pd.DataFrame, domain: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """False for what was not done (--STAT) or did not occur (--OCCUR)."""
    not_done = text(frame, f"{domain}STAT").str.upper().eq("NOT DONE")
    return ~(not_done | text(frame, f"{domain}OCCUR").str.upper().eq("N")).to_numpy(dtype=bool)


def dose_given(ex: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """False for a dose of 0, unless of placebo; a dose that is not stated was given.

    References:
        SDTMIG v3.4, EX assumption 2 (EXDOSE of 0 for placebo).
    """
    placebo = text(ex, "EXTRT").str.upper().str.contains("PLACEBO").eq(other=True)
    return (~(number(ex, "EXDOSE") <= 0) | placebo).to_numpy(dtype=bool) & took_place(ex, "EX")
