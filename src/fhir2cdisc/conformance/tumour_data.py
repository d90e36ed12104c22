"""TU, TR and RS as the checks of tumours look at them: readers, lesions, sizes, days.

Everything is made when a check first asks for it. Readers are kept apart: two independent
assessors are two sets of lesions.
"""

from __future__ import annotations

from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir2cdisc.conformance.check import Frames
from fhir2cdisc.core.text import is_among
from fhir2cdisc.core.variables import date, distinct_codes, number, text
from fhir2cdisc.sdtm.supp import merge_supp
from fhir2cdisc.sdtm.tumours import IN_MM, is_lymph_node, organ
from fhir2cdisc.study import Study

Ints = npt.NDArray[np.int64]

DIAMETERS = ("LDIAM", "LPERP", "DIAMETER")
LESION_TESTS = (*DIAMETERS, "VOLUME", "TUMSTATE", "LNSTATE")
"""TRTESTCD of a single lesion."""
TOO_SMALL = "TOO SMALL TO MEASURE"
NOT_EVALUABLE = ("NE", "NOT EVALUABLE")

_OF_LEVEL = {"IN-FIELD": "Y", "LOW-DOSE": "LOW", "OUT-OF-FIELD": "N"}
# The qualifier of SUPPTU -> the names under which it is found: the standards use several.
PREVIOUS = {
    "TUPRVIR": ("TUPRVIR", "TUPREVIR", "PRVIR"),
    "TUPRVIRP": ("TUPRVIRP", "TUPREISP", "PRVIRP"),
}


class Tumours:
    """What is known of lesions, their measurements and the responses, and the datasets themselves.

    `data` has SDTM and ADaM datasets by name.
    """

    def __init__(self, data: Frames, study: Study) -> None:
        self.data = data
        self.study = study

    def frame(self, name: str) -> pd.DataFrame:
        """A dataset, or one without records."""
        found = self.data.get(name)
        return pd.DataFrame({"USUBJID": pd.Series(dtype="str")}) if found is None else found

    @cached_property
    def limit(self) -> pd.Series:
        """By USUBJID the last day that can still be baseline: TRTSDT, else STARTDT0."""
        adsl = self.frame("ADSL")
        first = date(adsl, "TRTSDT")
        first = first.where(first.notna(), date(adsl, "STARTDT0"))
        return first.set_axis(adsl["USUBJID"].astype("str"))

    @cached_property
    def lesions(self) -> pd.DataFrame:
        """One row a lesion and reader, in the order of TU.

        USUBJID, TUSEQ, ``reader``, ``own`` (read by the study's evaluator, or by nobody named),
        LNKID, ``role`` (TARGET, NON-TARGET, NEW), ``node``, ``organ``, ``irradiated`` (Y, N or LOW
        for a low dose), TUPRVIR, TUPRVIRP, ``day``, ``method`` and ``limit`` (the last day of
        baseline).
        """
        names = ("TUIRRAD", "TUIRRLVL", *(name for names in PREVIOUS.values() for name in names))
        tu = merge_supp(self.frame("TU"), self.data.get("SUPPTU"), names)
        identified = text(tu, "TUTESTCD").fillna("TUMIDENT").eq("TUMIDENT")
        tu = tu[identified & text(tu, "TULNKID").notna()]
        place, role = text(tu, "TULOC"), text(tu, "TUSTRESC").str.upper().str.strip()
        table = pd.DataFrame(
            {
                "USUBJID": text(tu, "USUBJID"),
                "TUSEQ": number(tu, "TUSEQ"),
                **self._readers(tu, "TU"),
                "LNKID": text(tu, "TULNKID"),
                "role": role.where(~role.str.startswith("NEW").eq(other=True), "NEW"),
                "node": is_lymph_node(place),
                "organ": organ(place),
                "irradiated": tu["TUIRRAD"].fillna(
                    tu["TUIRRLVL"].str.upper().map(_OF_LEVEL).astype("str")
                ),
                "day": date(tu, "TUDTC"),
                "method": text(tu, "TUMETHOD").str.upper(),
            }
        )
        for name, spellings in PREVIOUS.items():
            table[name] = reduce(pd.Series.fillna, (tu[n] for n in spellings)).str.upper()
        table["limit"] = self.limit.reindex(table["USUBJID"]).set_axis(table.index)
        table = table.sort_values(["USUBJID", "reader", "TUSEQ", "LNKID"], na_position="first")
        return table.drop_duplicates(["USUBJID", "reader", "LNKID"]).reset_index(drop=True)

    @cached_property
    def results(self) -> pd.DataFrame:
        """The TR records of single lesions.

        USUBJID, TRSEQ, ``reader``, ``own``, LNKID, ``group`` (TRLNKGRP), VISITNUM, ``test``,
        ``result`` (in capitals), ``size`` (mm), ``done``, ``reason`` (why not), ``method``,
        ``day``, ``limit``, ``baseline`` and ``lesion`` (row of `lesions`, -1: none).
        """
        tr = merge_supp(self.frame("TR"), self.data.get("SUPPTR"), ("TRREASNE",))
        tests = text(tr, "TRTESTCD")
        tr = tr[tests.isin(LESION_TESTS) | text(tr, "TRLNKID").notna()].reset_index(drop=True)
        table = pd.DataFrame(
            {
                "USUBJID": text(tr, "USUBJID"),
                "TRSEQ": number(tr, "TRSEQ"),
                **self._readers(tr, "TR"),
                "LNKID": text(tr, "TRLNKID"),
                "group": text(tr, "TRLNKGRP"),
                "VISITNUM": number(tr, "VISITNUM"),
                "test": text(tr, "TRTESTCD"),
                "result": text(tr, "TRSTRESC").str.upper().str.strip(),
                "size": self.millimetres(tr),
                "done": text(tr, "TRSTAT").ne("NOT DONE"),
                "reason": text(tr, "TRREASND").fillna(tr["TRREASNE"]),
                "method": text(tr, "TRMETHOD").str.upper(),
                "day": date(tr, "TRDTC"),
            }
        )
        table["limit"] = self.limit.reindex(table["USUBJID"]).set_axis(table.index)
        # What has no date is baseline at the first visit of its subject.
        first = table["VISITNUM"] == table.groupby("USUBJID")["VISITNUM"].transform("min")
        table["baseline"] = (table["day"] <= table["limit"]) | (table["day"].isna() & first)
        table["lesion"] = _lesions_of(table, self.lesions)
        return table

    @cached_property
    def responses(self) -> pd.DataFrame:
        """The RS records by the criteria of the study, or by none that are named.

        USUBJID, RSSEQ, ``reader``, ``own``, ``test``, ``value``, ``reason``, ``group`` (RSLNKGRP),
        VISITNUM and ``day``.
        """
        rs = merge_supp(self.frame("RS"), self.data.get("SUPPRS"), ("RSREASNE",))
        criteria = text(rs, "RSCAT").str.upper()
        rs = rs[criteria.isna() | criteria.eq(self.study.response.criteria.upper())]
        return pd.DataFrame(
            {
                "USUBJID": text(rs, "USUBJID"),
                "RSSEQ": number(rs, "RSSEQ"),
                **self._readers(rs, "RS"),
                "test": text(rs, "RSTESTCD"),
                "value": text(rs, "RSSTRESC").str.upper().str.strip(),
                "reason": text(rs, "RSREASND").fillna(rs["RSREASNE"]),
                "group": text(rs, "RSLNKGRP"),
                "VISITNUM": number(rs, "VISITNUM"),
                "day": date(rs, "RSDTC"),
            }
        )

    def _readers(self, frame: pd.DataFrame, domain: str) -> dict[str, pd.Series]:
        who = text(frame, f"{domain}EVAL").str.upper()
        one = text(frame, f"{domain}EVALID").str.upper()
        own = who.isna() | who.eq(self.study.response.evaluator.upper())
        reader = who.fillna("").str.cat(one.fillna(""), sep=" ").str.strip()
        return {"reader": reader, "own": own}

    def millimetres(self, tr: pd.DataFrame) -> pd.Series:
        """Diameters and sums of TR in mm; too small to measure is the size it counts with."""
        factor = text(tr, "TRSTRESU").str.upper().map(IN_MM).astype("float64").fillna(1.0)
        small = text(tr, "TRORRES").str.upper().str.strip().eq(TOO_SMALL)
        small |= text(tr, "TRSTRESC").str.upper().str.strip().eq(TOO_SMALL)
        size = (number(tr, "TRSTRESN") * factor).mask(small, self.study.response.tstm_mm)
        return size.where(text(tr, "TRTESTCD").isin([*DIAMETERS, "SUMDIAM"]))


def _lesions_of(results: pd.DataFrame, lesions: pd.DataFrame) -> Ints:
    """The row of the lesion that each record measures, -1 if TU does not have it.

    A part of a split lesion (``T04.1``) belongs to the lesion, a merged one (``T02/T03``) to its
    first parent. Records without reader belong to any reader's lesion, and the other way round.
    """
    codes, distinct = pd.factorize(results["LNKID"])
    whole = pd.Series(distinct, dtype="str").str.replace(r"(?:\.\d+|/.*)$", "", regex=True)
    known = is_among(distinct, lesions["LNKID"])
    name = whole.where(~known, pd.Series(distinct, dtype="str")).reindex(codes)
    named = results[["USUBJID", "reader"]].assign(LNKID=name.to_numpy())
    own, theirs = _pairs(named, lesions, ["USUBJID", "LNKID"])
    readers, their_readers = _pairs(named, lesions, ["reader"])
    size = int(max(readers.max(initial=0), their_readers.max(initial=0))) + 1
    exact = pd.Index(theirs * size + their_readers)
    at = exact.get_indexer(pd.Index(np.where(own >= 0, own * size + readers, -1)))
    unread = (lesions["reader"] == "").to_numpy()
    any_of = pd.Series(np.flatnonzero(unread), index=theirs[unread])
    at = np.where(at >= 0, at, _first_of(any_of, own))
    every = pd.Series(np.arange(len(lesions)), index=theirs)
    silent = (results["reader"] == "").to_numpy()
    return np.where((at < 0) & silent, _first_of(every, own), at).astype(np.int64)


def _first_of(rows: pd.Series, keys: Ints) -> Ints:
    """The first row of each key, -1 if there is none."""
    once = rows[~rows.index.duplicated()]
    return once.reindex(keys).fillna(-1).to_numpy(dtype=np.int64)


def _pairs(left: pd.DataFrame, right: pd.DataFrame, names: list[str]) -> tuple[Ints, Ints]:
    """Common numbers for equal values of several variables; -1 where one is missing."""
    code = np.zeros(len(left) + len(right), dtype=np.int64)
    for name in names:
        distinct, part = distinct_codes(pd.concat([left[name], right[name]], ignore_index=True))
        code = np.where((code < 0) | (part < 0), -1, code * (len(distinct) + 1) + part)
    return code[: len(left)], code[len(left) :]
