"""Responses as a reader gave them: RS records in the form of derived responses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import response, verbs
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

# RSTESTCD -> what the PARAMCD of ADRS begins with.
TESTS = {
    "OVRLRESP": "OVR",
    "TRGRESP": "TRG",
    "NTRGRESP": "NTRG",
    "NEWLPROG": "NEWL",
    "BESTRESP": "BEST",
}


def read_responses(
    data: Mapping[str, pd.DataFrame], study: Study, adsl: pd.Index, issues: Issues
) -> pd.DataFrame:
    """The collected responses by RECIST 1.1, sorted by reader, test, subject and date.

    Columns ``subject`` (row in `adsl`), ``reader`` (INV for the study's evaluator and where none
    is named, IRC for others), ``test`` (of `TESTS`), ``text``, ``response`` (its number, NE where
    it is none of the responses), ``aval``, ``day`` (NaN: no complete date) and RS variables.
    Responses by other criteria than the study's are left to later.
    """
    rs = data.get("RS")
    if rs is None:
        rs = pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    criteria = verbs.text(rs, "RSCAT")
    test = verbs.text(rs, "RSTESTCD").map(TESTS).astype("str")
    text = verbs.text(rs, "RSSTRESC").str.upper().str.strip()
    wanted = test.notna() & text.notna()
    wanted &= criteria.isna() | (criteria.str.upper() == study.response.criteria.upper())
    verbs.report(
        issues, "RS0014", "RS: another test, result or criteria", rs, ~wanted, "USUBJID", "RSSEQ"
    )
    rs, test, text = rs[wanted], test[wanted], text[wanted]
    evaluator = verbs.text(rs, "RSEVAL")
    own = evaluator.isna() | (evaluator.str.upper() == study.response.evaluator.upper())
    number = text.map({name: float(n) for n, name in enumerate(response.RESPONSES)}).astype(
        "float64"
    )
    new = text.map({name: float(n) for n, name in enumerate(response.NEW_LESION)}).astype("float64")
    scan = verbs.days_of(verbs.date(rs, "RSDTC"))
    table = pd.DataFrame(
        {
            "subject": adsl.get_indexer(pd.Index(rs["USUBJID"].astype("str"))),
            "reader": np.where(own, "INV", "IRC"),
            "test": test,
            "text": text,
            "response": number.fillna(response.NE).astype("int64"),
            "aval": number.where(test != "NEWL", new),
            "day": np.where(scan == verbs.NO_DAY, np.nan, scan),
            "RSSEQ": verbs.number(rs, "RSSEQ"),
            "RSLNKGRP": verbs.text(rs, "RSLNKGRP"),
            "VISITNUM": verbs.number(rs, "VISITNUM"),
            "VISIT": verbs.text(rs, "VISIT"),
        }
    )
    table = table[table["subject"] >= 0]
    order = ["reader", "test", "subject", "day", "VISITNUM", "RSSEQ", "text"]
    return table.sort_values(order, ignore_index=True)
