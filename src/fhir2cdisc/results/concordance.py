"""Concordance of collected and derived responses, and of two readers.

What is compared is in ADRS: the responses that a reader gave, what the lesions he measured give by
the rules of RECIST, and, where there are two readers, one with the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir2cdisc.core.text import is_among
from fhir2cdisc.core.variables import date, number, text
from fhir2cdisc.results.agreement import kappa
from fhir2cdisc.results.analysis import Analysis
from fhir2cdisc.results.clustered import clustered_proportion, clusters_of
from fhir2cdisc.results.endpoint_table import Endpoint, estimated
from fhir2cdisc.results.statistics import INTERVALS, proportion
from fhir2cdisc.study import Study

Ints = npt.NDArray[np.int64]

NAME = "CONCORDANCE"
"""The name of the listing among the datasets that results and checks look at."""

AT_ASSESSMENTS = {
    "OVR": "Overall response",
    "TRG": "Target response",
    "NTRG": "Non-target response",
    "NEWL": "New lesion",
    "IOVR": "Overall response by iRECIST",
    "ITRG": "Target response by iRECIST",
    "INTRG": "Non-target response by iRECIST",
}
ONCE = {
    "BEST": "Best overall response as collected",
    "BOR": "Best overall response",
    "CBOR": "Best overall response, confirmed",
    "IBEST": "Best overall response by iRECIST as collected",
    "IBOR": "Best overall response by iRECIST",
}
# A best response as a reader gives it -> the derived one. It has been confirmed so far as the
# protocol asks for it.
_DERIVED_BEST = {"BEST": "CBOR", "IBEST": "IBOR"}
_PROGRESSION = ("PD", "iUPD", "iCPD")
_PARTIES = (("INV", "DERIVED"), ("IRC", "DERIVED"), ("INV", "IRC"))
_READ = [
    "USUBJID", "PARAMCD", "PARCAT2", "RSLNKGRP", "VISIT", "AVALC", "ADT", "LSCDT", "SRCDOM",
    "SRCSEQ", "ASEQ",
]  # fmt: skip
_TEXTS = (
    "USUBJID", "COMPARED", "PARAMCD", "PARAM", "RSLNKGRP", "VISIT", "READER", "AVALC", "AGAINST",
    "AVALC2",
)  # fmt: skip
COLUMNS = (
    "USUBJID", "COMPARED", "PARAMCD", "PARAM", "RSLNKGRP", "VISIT", "READER", "AVALC", "ADT",
    "RSSEQ", "AGAINST", "AVALC2", "ADT2", "ASEQ2", "DIFFDY", "AGREE", "REASON",
)  # fmt: skip


# -- the listing ------------------------------------------------------------------------------


def compare_responses(data: Mapping[str, pd.DataFrame], study: Study) -> pd.DataFrame:
    """Every response of a reader beside its counterpart, one row each, with `COLUMNS`.

    READER gave AVALC on ADT, in the RS record RSSEQ if it is one. AGAINST is DERIVED or the other
    reader, AVALC2 and ADT2 are what stands there, ASEQ2 is its record in ADRS, DIFFDY counts the
    days from ADT2 to ADT. Records at assessments belong together by RSLNKGRP, else by the nearest
    date within ``reading_window_days``. What has no counterpart is a row too, for subjects whom
    the reader (and the other one) assessed at all. AGREE is Y or N where both are there; REASON
    says what differs, also where only the dates do (but for BEST: a reader dates that when he
    gives it).
    """
    said = _said(data.get("ADRS"))
    tr = data.get("TR")
    linked = tr is not None and bool(text(tr, "TRLNKGRP").notna().any())
    window = study.response.reading_window_days
    parts = [_compared(said, *pair, window, linked=linked) for pair in _PARTIES]
    table = _with_verdict(pd.concat(parts, ignore_index=True))
    order = ["USUBJID", "COMPARED", "PARAMCD", "ADT", "ADT2", "RSSEQ", "ASEQ2"]
    return table.sort_values(order, ignore_index=True)[list(COLUMNS)]


def _said(adrs: pd.DataFrame | None) -> pd.DataFrame:
    """What is compared of ADRS, by ``code`` (the parameter) and ``party``: INV, IRC or DERIVED."""
    if adrs is None:
        adrs = pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    names = [*AT_ASSESSMENTS, *ONCE]
    meaning = {name + end: (name, end) for name in names for end in ("", "INV", "IRC")}
    adrs = adrs.filter(items=_READ)
    adrs = adrs[text(adrs, "PARAMCD").isin(meaning)]
    paramcd, who, value = (text(adrs, name) for name in ("PARAMCD", "PARCAT2", "AVALC"))
    # Without measurements the parameters without ending are those of the first reader.
    plain = who.eq("DERIVED").map({True: "DERIVED", False: "INV"})
    party = paramcd.map({name: end for name, (_, end) in meaning.items()})
    scanned = date(adrs, "LSCDT")
    table = pd.DataFrame(
        {
            "USUBJID": text(adrs, "USUBJID"),
            "code": paramcd.map({name: code for name, (code, _) in meaning.items()}),
            "party": party.mask(party == "", plain),
            "who": who,
            "RSLNKGRP": text(adrs, "RSLNKGRP"),
            "VISIT": text(adrs, "VISIT"),
            "AVALC": value.mask(value == "MISSING"),
            "ADT": date(adrs, "ADT"),
            "scanned": scanned.where(scanned.notna(), date(adrs, "ADT")),
            "collected": text(adrs, "SRCDOM") == "RS",
            "RSSEQ": number(adrs, "SRCSEQ").where(text(adrs, "SRCDOM") == "RS"),
            "ASEQ": number(adrs, "ASEQ"),
        }
    )
    return table.dropna(subset=["AVALC"])


def _compared(
    said: pd.DataFrame, reader: str, against: str, window: int, *, linked: bool
) -> pd.DataFrame:
    """All parameters of a reader against one other party."""
    mine, others = said[said["party"] == reader], said[said["party"] == against]
    # Best responses are derived for everybody: who was read is seen from what was collected.
    read = mine.loc[mine["collected"], "USUBJID"]
    if against != "DERIVED":
        read = read[is_among(read, others.loc[others["collected"], "USUBJID"])]
    mine, others = (side[is_among(side["USUBJID"], read)] for side in (mine, others))
    parts = []
    for code, param in {**AT_ASSESSMENTS, **ONCE}.items():
        left, right = _of(mine, code), _of(others, code)
        if left.empty or right.empty:
            continue
        if code in ONCE:
            right = right.drop_duplicates("USUBJID", keep="last")
            at = pd.Index(right["USUBJID"]).get_indexer(pd.Index(left["USUBJID"]))
        else:
            at = _counterparts(left, right, window, linked=linked)
        parts.append(_beside(left, right, at).assign(PARAMCD=code, PARAM=param))
    none = _beside(mine[:0], others[:0], np.zeros(0, dtype=np.int64)).assign(PARAMCD="", PARAM="")
    table = pd.concat(parts or [none], ignore_index=True)
    first, second = (side["who"].min() for side in (mine, others))
    table = table.assign(COMPARED=f"{reader}-{against}", READER=first, AGAINST=second)
    return table.astype(dict.fromkeys(_TEXTS, "str"))


def _of(side: pd.DataFrame, code: str) -> pd.DataFrame:
    """The records of a parameter.

    A reader who records new lesions says N at an assessment where he records none.
    """
    found = side[side["code"] == code]
    if found.empty and code in _DERIVED_BEST:
        found = side[(side["code"] == _DERIVED_BEST[code]) & (side["party"] == "DERIVED")]
    if code == "NEWL" and found["collected"].any():
        keys = ["USUBJID", "RSLNKGRP", "ADT"]
        seen = pd.MultiIndex.from_frame(found[keys])
        overall = side[side["code"].isin(["OVR", "IOVR"])].drop_duplicates(keys)
        silent = overall[~pd.MultiIndex.from_frame(overall[keys]).isin(seen)]
        found = pd.concat([found, silent.assign(AVALC="N", RSSEQ=np.nan, ASEQ=np.nan)])
    return found.sort_values(["USUBJID", "ADT", "ASEQ"], ignore_index=True)


def _counterparts(left: pd.DataFrame, right: pd.DataFrame, window: int, *, linked: bool) -> Ints:
    """For each record the row in `right` of the same assessment, -1 if there is none."""
    at = np.full(len(left), -1, dtype=np.int64)
    if linked:
        keys = ["USUBJID", "RSLNKGRP"]
        named = right.dropna(subset=["RSLNKGRP"]).drop_duplicates(keys, keep="last")
        known = pd.MultiIndex.from_frame(named[keys])
        found = known.get_indexer(pd.MultiIndex.from_frame(left[keys]))
        at = np.where(found >= 0, named.index.to_numpy()[np.maximum(found, 0)], -1)
    loose = left[(at < 0) & left["ADT"].notna().to_numpy()]
    free = right[~right.index.isin(at) & right["scanned"].notna().to_numpy()]
    nearest = pd.merge_asof(
        loose[["USUBJID", "ADT"]].rename_axis("mine").reset_index().sort_values("ADT"),
        free[["USUBJID", "scanned"]].rename_axis("row").reset_index().sort_values("scanned"),
        left_on="ADT",
        right_on="scanned",
        by="USUBJID",
        direction="nearest",
        tolerance=pd.Timedelta(days=window),
    ).dropna(subset=["row"])
    at[nearest["mine"].to_numpy()] = nearest["row"].to_numpy(dtype=np.int64)
    return at


def _beside(left: pd.DataFrame, right: pd.DataFrame, at: Ints) -> pd.DataFrame:
    """The records side by side; then those on the right that none on the left belongs to."""
    own = {"AVALC": "AVALC2", "ADT": "ADT2", "ASEQ": "ASEQ2"}
    place = ["USUBJID", "RSLNKGRP", "VISIT"]
    right = right.reset_index(drop=True).rename(columns=own)
    beside = right[list(own.values())].reindex(at).set_axis(left.index)
    paired = pd.concat([left[[*place, "AVALC", "ADT", "RSSEQ"]], beside], axis=1)
    alone = right.loc[~right.index.isin(at), [*place, *own.values()]]
    return pd.concat([paired, alone], ignore_index=True)


def _with_verdict(table: pd.DataFrame) -> pd.DataFrame:
    """AGREE, REASON and DIFFDY."""
    one, other = table["AVALC"], table["AVALC2"]
    days = (table["ADT"] - table["ADT2"]).dt.days.astype("float64")
    same, both = (one == other).eq(other=True), one.notna() & other.notna()
    reason = np.select(
        [
            one.isna(),
            other.isna(),
            ~same & (one == "NE").eq(other=True),
            ~same & (other == "NE").eq(other=True),
            ~same & (one.isin(_PROGRESSION) != other.isin(_PROGRESSION)),
            ~same,
            (days.fillna(0) != 0) & ~table["PARAMCD"].isin(_DERIVED_BEST),
        ],
        [
            table["READER"] + " MISSING",
            table["AGAINST"] + " MISSING",
            table["READER"] + " NE",
            table["AGAINST"] + " NE",
            "PROGRESSION DIFFERS",
            "RESPONSE DIFFERS",
            "DATES DIFFER",
        ],
        "",
    )
    agree = same.map({True: "Y", False: "N"}).astype("str").where(both)
    shown = pd.Series(reason, index=table.index, dtype="str")
    return table.assign(DIFFDY=days, AGREE=agree, REASON=shown.mask(shown == ""))


# -- the summary ------------------------------------------------------------------------------


def count_agreement(analysis: Analysis) -> list[Endpoint]:
    """How often two parties agree, and kappa, for every parameter that is compared."""
    found = analysis.records(NAME, analysis.population)
    if found is None:
        return []
    found = found[found["AGREE"].notna()]
    compared = found[["COMPARED", "PARAMCD"]].drop_duplicates()
    rows: list[Endpoint] = []
    for pair, code in sorted(map(tuple, compared.to_numpy().tolist())):
        mine = found[(found["COMPARED"] == pair) & (found["PARAMCD"] == code)]
        rows += _agreement(analysis, mine, pair, code)
    return rows


def _agreement(analysis: Analysis, found: pd.DataFrame, pair: str, code: str) -> list[Endpoint]:
    label = {**AT_ASSESSMENTS, **ONCE}[code]
    parties = f"{found['READER'].iloc[0]} and {found['AGAINST'].iloc[0]}"
    scope = analysis.scope(NAME, analysis.population, COMPARED=pair, PARAMCD=code)
    same = found["AGREE"] == "Y"
    counts = (int(same.sum()), len(found))
    what = "subjects" if code in ONCE else "assessments"
    given = f"the {what} with a response of both, NE among the responses"
    if code in ONCE:
        form = analysis.study.endpoints.proportion_interval
        share = proportion(*counts, analysis.level, form)
        interval = f"{INTERVALS[form]} {analysis.percent} interval"
    else:
        ratio = clustered_proportion(clusters_of(same, found["USUBJID"]), analysis.level)
        share = ratio.estimate
        interval = {
            "logit-t": f"ratio estimator over {ratio.clusters} subjects, linearised variance, "
            f"logit {analysis.percent} interval with Student's t",
            "exact": f"exact {analysis.percent} interval, since there is no variance to see",
            "none": "too few for an interval",
        }[ratio.rule]
    return [
        estimated(
            f"AGREE-{code}-{pair}", f"{label}: {parties} agree", scope, counts,
            statistic="proportion", unit="%", scale=100, estimate=share,
            method=f"Share of {given}, in which the responses are the same; {interval}.",
            role="supplementary",
        ),
        estimated(
            f"KAPPA-{code}-{pair}", f"{label}: kappa of {parties}", scope, counts,
            statistic="kappa", unit="", scale=1,
            estimate=kappa(found["AVALC"], found["AVALC2"], found["USUBJID"], analysis.level),
            method=f"Cohen's kappa over {given}; {analysis.percent} interval of the linearised "
            "variance between subjects with Student's t.",
            role="supplementary",
        ),
    ]  # fmt: skip
