"""Records that prove a subject alive on their date.

The date of an observation or a dose, never that of a receipt or a report, and no end of an event
that may still be going on.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fhir2cdisc.core.variables import text
from fhir2cdisc.sdtm.exposure import dose_given, took_place

_ALIVE = (
    ("SV", "SVSTDTC"), ("SV", "SVENDTC"), ("TR", "TRDTC"), ("TU", "TUDTC"), ("RS", "RSDTC"),
    ("EX", "EXSTDTC"), ("EX", "EXENDTC"), ("PR", "PRSTDTC"), ("PR", "PRENDTC"),
    ("AE", "AESTDTC"), ("LB", "LBDTC"), ("VS", "VSDTC"), ("QS", "QSDTC"), ("EG", "EGDTC"),
    ("PE", "PEDTC"), ("CM", "CMSTDTC"), ("DM", "RFICDTC"),
)  # fmt: skip
# Disposition that says nothing about a contact.
_NO_CONTACT = ("DEATH", "LOST TO FOLLOW-UP", "STUDY TERMINATED BY SPONSOR", "UNKNOWN")


def contacts(data: Mapping[str, pd.DataFrame]) -> list[tuple[str, pd.DataFrame, str]]:
    """Domain, its records that count, and the variable with their date; none that is empty.

    What did not take place, and a dose that was not given, prove nothing.
    """
    found = [
        (domain, _done(data[domain], domain), variable)
        for domain, variable in _ALIVE
        if domain in data
    ]
    if "DS" in data:
        ds = data["DS"]
        contact = ~text(ds, "DSDECOD").str.upper().isin(_NO_CONTACT)
        found.append(("DS", ds[contact].reset_index(drop=True), "DSSTDTC"))
    if "SS" in data:
        ss = _done(data["SS"], "SS")
        alive = text(ss, "SSTESTCD").str.upper().eq("SURVSTAT")
        alive &= text(ss, "SSSTRESC").str.upper().eq("ALIVE")
        found.append(("SS", ss[alive].reset_index(drop=True), "SSDTC"))
    return [entry for entry in found if len(entry[1])]


def _done(frame: pd.DataFrame, domain: str) -> pd.DataFrame:
    done = dose_given(frame) if domain == "EX" else took_place(frame, domain)
    return frame if done.all() else frame[done].reset_index(drop=True)
