"""Supplemental qualifiers (SDTMIG v3.4, section 8.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fhir2cdisc.core.column import Column, Origin
from fhir2cdisc.core.text import MAX_BYTES, is_char
from fhir2cdisc.core.variables import text
from fhir2cdisc.core.verbs import described
from fhir2cdisc.sdtm import standard


def supplemental_qualifiers(
    domain: str, table: pd.DataFrame, qualifiers: Mapping[str, tuple[str, Column]]
) -> tuple[pd.DataFrame, pd.Series]:
    """SUPP-- records for the QNAM columns of a domain table, and the parent's row for each.

    `table` has STUDYID, USUBJID, --SEQ and a column for each QNAM. A qualifier without a value
    makes no record. QORIG is the origin of its column, as Define-XML spells it.
    """
    names = {str(number): name for number, name in enumerate(qualifiers)}
    values = table[list(qualifiers)].set_axis(list(names), axis=1)
    long = values.melt(var_name="number", value_name="QVAL", ignore_index=False)
    long = long.dropna(subset=["QVAL"]).rename_axis("row").reset_index()
    long = long.sort_values(["row", "number"], kind="stable", ignore_index=True)
    rows = long["row"].to_numpy()
    qnam = long["number"].map(names).astype("str")
    sequence = table.loc[rows, f"{domain}SEQ"].astype("int64").astype("str").to_numpy()
    frame = pd.DataFrame(
        {
            "STUDYID": table.loc[rows, "STUDYID"].to_numpy(),
            "RDOMAIN": domain,
            "USUBJID": table.loc[rows, "USUBJID"].to_numpy(),
            "IDVAR": f"{domain}SEQ",
            "IDVARVAL": sequence,
            "QNAM": qnam,
            "QLABEL": qnam.map({name: label for name, (label, _) in qualifiers.items()}),
            "QVAL": long["QVAL"],
            "QORIG": qnam.map(
                {name: str(column.origin) for name, (_, column) in qualifiers.items()}
            ),
            "QEVAL": pd.Series(pd.NA, index=long.index, dtype="str"),
        }
    ).astype("str")
    return frame, long["row"]


def split_long_text(
    domain: str, table: pd.DataFrame, names: list[str]
) -> tuple[pd.DataFrame, dict[str, tuple[str, Column]]]:
    """Text over 200 bytes: the start stays, the rest becomes qualifiers.

    The text is cut between words. The qualifier of ``AETERM`` is ``AETERM1``, ``AETERM2``, …; of a
    name of eight letters the last one gives way. Gives the table with the new columns, and their
    label and column.

    References:
        SDTMIG v3.4, section 4.5.3.2.
    """
    table = table.copy(deep=False)
    added: dict[str, tuple[str, Column]] = {}
    for name in names:
        if not is_char(table[name]) or not (table[name].str.len() > MAX_BYTES).any():
            continue
        label = standard.variable(domain, name).label
        rest, number = table[name], 0
        while (rest.str.len() > MAX_BYTES).any():
            head = rest.str.extract(rf"^(.{{1,{MAX_BYTES}}})(?:\s|$)", expand=False)
            cut = head.notna() | rest.isna()
            head = head.where(cut, rest.str.slice(0, MAX_BYTES)).astype("str")
            tail = rest.str.extract(rf"^.{{1,{MAX_BYTES}}}(?:\s+|$)(.*)$", expand=False)
            tail = tail.where(cut, rest.str.slice(MAX_BYTES)).astype("str")
            place = _part(name, number)
            table[place] = head
            if number:
                added[place] = (
                    label,
                    described(place, f"continuation of {name}", Origin.COLLECTED),
                )
            rest, number = tail.mask(tail == ""), number + 1
        place = _part(name, number)
        table[place] = rest
        added[place] = (label, described(place, f"continuation of {name}", Origin.COLLECTED))
    return table, added


def _part(name: str, number: int) -> str:
    """The variable itself, then QNAMs of at most eight characters."""
    return name if number == 0 else f"{name[: 8 - len(str(number))]}{number}"


def merge_supp(
    parent: pd.DataFrame, supp: pd.DataFrame | None, names: Sequence[str]
) -> pd.DataFrame:
    """The parent with supplemental qualifiers as columns, whatever IDVAR links them.

    A qualifier that no record has is an all-missing column; of several for one record the first
    counts.

    References:
        SDTMIG v3.4, section 8.4.
    """
    out = parent.reset_index(drop=True)
    for name in names:
        out[name] = pd.Series(np.nan, index=out.index, dtype="str")
    if supp is None or supp.empty:
        return out
    wanted = supp[text(supp, "QNAM").isin(list(names))]
    idvars = text(wanted, "IDVAR").fillna("")
    for idvar in sorted(idvars.unique()):
        keyed = wanted[idvars == idvar]
        if idvar and idvar not in out:
            continue  # the link names a variable that the parent does not have
        left = _link_values(text(out, idvar) if idvar else pd.Series("", index=out.index))
        right = _link_values(text(keyed, "IDVARVAL") if idvar else pd.Series("", keyed.index))
        for name in names:
            mine = (keyed["QNAM"] == name).to_numpy()
            found = pd.DataFrame(
                {
                    "USUBJID": keyed["USUBJID"][mine],
                    "link": right[mine],
                    "v": text(keyed, "QVAL")[mine],
                }
            ).drop_duplicates(["USUBJID", "link"])
            keys = pd.DataFrame({"USUBJID": out["USUBJID"], "link": left})
            values = keys.merge(found, "left", ["USUBJID", "link"], validate="m:1")["v"]
            out[name] = out[name].where(out[name].notna(), values.astype("str"))
    return out


def _link_values(values: pd.Series) -> pd.Series:
    """IDVARVAL is text, --SEQ a number: ``3`` and ``3.0`` are the same link."""
    return values.astype("str").str.strip().str.replace(r"\.0$", "", regex=True)
