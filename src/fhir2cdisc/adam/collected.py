"""Responses as a reader gave them: RS records in the form of derived responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fhir2cdisc.adam import irecist, response, verbs
from fhir2cdisc.adam.evaluation import Evaluation
from fhir2cdisc.adam.verbs import Ints
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
# The same by iRECIST; the indicators are of iRECIST whatever RSCAT says.
IRECIST_TESTS = {
    "OVRLRESP": "IOVR",
    "TRGRESP": "ITRG",
    "NTRGRESP": "INTRG",
    "BESTRESP": "IBEST",
    "NTLWIND": "NTLW",
    "NEWLWIND": "NEWLW",
}
_IRECIST_TERMS = {
    name.upper(): name for name in irecist.RESPONSES if name not in response.RESPONSES
}


def read_responses(
    data: Mapping[str, pd.DataFrame], study: Study, adsl: pd.Index, issues: Issues
) -> pd.DataFrame:
    """The collected responses, sorted by reader, test, subject and date.

    Columns ``subject`` (row in `adsl`), ``reader`` (INV for the study's evaluator and where none
    is named, IRC for others), ``test`` (of `TESTS`, or of `IRECIST_TESTS` where RSCAT or the term
    is of iRECIST, so that neither is taken for the other), ``text``, ``response`` (its number, NE
    where it is none of the responses), ``aval``, ``day`` (NaN: no complete date) and RS variables.
    Responses by other criteria than the study's are left to later.
    """
    rs = data.get("RS")
    if rs is None:
        rs = pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    criteria = verbs.text(rs, "RSCAT")
    code = verbs.text(rs, "RSTESTCD")
    text = verbs.text(rs, "RSSTRESC").str.upper().str.strip()
    by_irecist = (criteria.str.upper() == irecist.CRITERIA.upper()) | text.isin(_IRECIST_TERMS)
    by_irecist |= code.isin(["NTLWIND", "NEWLWIND"])
    test = code.map(TESTS).mask(by_irecist, code.map(IRECIST_TESTS)).astype("str")
    text = text.map(_IRECIST_TERMS).fillna(text)
    wanted = test.notna() & text.notna()
    wanted &= by_irecist | (
        criteria.isna() | (criteria.str.upper() == study.response.criteria.upper())
    )
    verbs.report(
        issues, "RS0014", "RS: another test, result or criteria", rs, ~wanted, "USUBJID", "RSSEQ"
    )
    rs, test, text, by_irecist = rs[wanted], test[wanted], text[wanted], by_irecist[wanted]
    evaluator = verbs.text(rs, "RSEVAL")
    own = evaluator.isna() | (evaluator.str.upper() == study.response.evaluator.upper())
    number = text.map(_numbers(response.RESPONSES)).mask(by_irecist, text.map(irecist.NUMBERS))
    aval = number = number.astype("float64")
    for name, terms in (
        ("NEWL", response.NEW_LESION), ("NTLW", ("N", "Y")), ("NEWLW", ("N", "Y")),
    ):  # fmt: skip
        aval = aval.mask(test == name, text.map(_numbers(terms)).astype("float64"))
    unknown = np.where(by_irecist, irecist.NE, response.NE)
    verbs.report(issues, "RS0023", "", rs, aval.isna(), "USUBJID", "RSSEQ")
    scan = verbs.days_of(verbs.date(rs, "RSDTC"))
    verbs.report(issues, "RS0025", "RSDTC", rs, scan == verbs.NO_DAY, "USUBJID", "RSSEQ")
    table = pd.DataFrame(
        {
            "subject": adsl.get_indexer(pd.Index(rs["USUBJID"].astype("str"))),
            "reader": np.where(own, "INV", "IRC"),
            "test": test,
            "text": text,
            "response": number.fillna(pd.Series(unknown, rs.index)).astype("int64"),
            "aval": aval,
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


def _numbers(terms: Sequence[str]) -> dict[str, float]:
    return {name: float(number) for number, name in enumerate(terms)}


def worsening(reader: pd.DataFrame, found: Evaluation) -> pd.DataFrame:
    """What the study's evaluator says of worsening at each visit: ``ntl``, ``newl``.

    1 where NTLWIND (NEWLWIND) is Y, 0 where it is N, NaN where there is none. A record belongs to
    the assessment of its RSLNKGRP, else to the one whose scans include its date.
    """
    said = reader[(reader["reader"] == "INV") & reader["test"].isin(["NTLW", "NEWLW"])]
    visit = _visits_of(said, found)
    out = pd.DataFrame({"ntl": np.nan, "newl": np.nan}, index=found.assessed.visits.index)
    for name, test in (("ntl", "NTLW"), ("newl", "NEWLW")):
        mine = ((said["test"] == test) & said["aval"].notna()).to_numpy() & (visit >= 0)
        out.loc[visit[mine], name] = said["aval"].to_numpy()[mine]
    return out


def _visits_of(said: pd.DataFrame, found: Evaluation) -> Ints:
    """The visit of each record, -1 if there is none."""
    visits = found.assessed.visits
    visits = visits.assign(owner=found.timing.subjects.get_indexer(pd.Index(visits["USUBJID"])))
    visits = visits[visits["owner"] >= 0]
    names, name = verbs.distinct_codes(pd.concat([visits["TRLNKGRP"], said["RSLNKGRP"]]))
    subject = visits["owner"].to_numpy(dtype=np.int64)
    pairs = pd.Index(subject * len(names) + name[: len(visits)])
    own, group = said["subject"].to_numpy(dtype=np.int64), name[len(visits) :]
    at = pairs.get_indexer(pd.Index(np.where(group >= 0, own * len(names) + group, -1)))
    by_name = verbs.take(visits.index.to_numpy(), at.astype(np.int64), -1)
    first, last = (verbs.days_of(visits[d]) for d in ("FSCDT", "LSCDT"))
    dated = pd.DataFrame({"subject": subject, "day": first, "last": last, "visit": visits.index})
    dated = dated[first != verbs.NO_DAY].sort_values(["day", "visit"])
    records = pd.DataFrame({"subject": own, "day": said["day"].to_numpy(), "row": range(len(said))})
    records = records.dropna(subset=["day"]).astype({"day": "int64"}).sort_values(["day", "row"])
    near = pd.merge_asof(records, dated, on="day", by="subject").dropna(subset=["visit"])
    near = near[near["day"] <= near["last"]]
    by_date = np.full(len(said), -1, dtype=np.int64)
    by_date[near["row"].to_numpy(dtype=np.int64)] = near["visit"].to_numpy(dtype=np.int64)
    return np.where(by_name >= 0, by_name, by_date).astype(np.int64)
