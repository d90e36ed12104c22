"""Lesions, assessments and the measurements that belong to both.

Three tables carry everything that responses need, each row known by its position:

* lesions: one row a subject and lesion (role, lesion group, node or not),
* visits: one row a subject and assessment in their order of time,
* measured: one row a visit and lesion (value, state, date of the scan).

Diameters are held as whole thousandths of a millimetre in float64, where sums and the products
of the response rules are exact; nothing is rounded before it is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir2cdisc.adam import radiotherapy, verbs
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.adam.whole import LESION_TESTS
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.sdtm.tumours import IN_MM, is_lymph_node
from fhir2cdisc.study import Study

MICRONS = 1000.0  # thousandths of a millimetre in a millimetre

_ROLES = {
    "TARGET": "TARGET",
    "NON-TARGET": "NON-TARGET",
    "NEW": "NEW",
    "NEW TARGET": "NEW",
    "NEW NON-TARGET": "NEW",
}
# TRTESTCD of a single lesion -> number; what else TR holds only proves that there was a visit.
TESTS = {test: number for number, test in enumerate(LESION_TESTS)}
_IN_MM3 = {"ML": 1000.0, "CM3": 1000.0, "CC": 1000.0, "CM^3": 1000.0}
TOO_SMALL = "TOO SMALL TO MEASURE"

# States of a lesion without a measured diameter, the higher the worse.
ABSENT, PRESENT, ENLARGED, EQUIVOCAL, UNEQUIVOCAL = 1.0, 2.0, 3.0, 4.0, 5.0
_STATES = {
    "ABSENT": ABSENT, "NON-PATHOLOGICAL": ABSENT,
    "ENLARGEMENT": ENLARGED, "ENLARGEMENT FROM NADIR": ENLARGED,
    "EQUIVOCAL": EQUIVOCAL, "UNEQUIVOCAL": UNEQUIVOCAL, "PRESENT": PRESENT,
    "PATHOLOGICAL": PRESENT, "STABLE": PRESENT, "DECREASED": PRESENT,
    "NOT EVALUABLE": np.nan, "NE": np.nan, "NOT ASSESSABLE": np.nan, "UNKNOWN": np.nan,
}  # fmt: skip


class Assessed(NamedTuple):
    """What was assessed when.

    `visits`: USUBJID, ``subject`` (its number), TRLNKGRP, VISITNUM, VISIT, FSCDT and LSCDT (first
    and last scan date, NaT if no scan has a date), ``order`` (days, by which visits are sorted),
    ``post`` (after the baseline limit). `measured`, sorted by visit and lesion: ``value``
    (thousandths of mm; the short axis of a node), ``sphere``, ``prolate`` and ``collected``
    volume (mm3, missing if it cannot be had), ``state`` (`ABSENT` to `UNEQUIVOCAL`), ``worse``
    (the reader calls a non-target lesion progressed), ``increased`` (the reader says that the
    lesion has grown since progression, as iRECIST asks), ``scan`` (days), ``partial`` (a part of
    a split lesion is missing), ``merged``, ``across`` (counts in ALL, but in no other group: merged
    with a lesion of another group, or irradiated by protocol against its group). `records`:
    ``visit``, ``lesion``, ``test`` (number of TRTESTCD, `TESTS`), USUBJID and TRSEQ of every TR
    record used.
    """

    visits: pd.DataFrame
    measured: pd.DataFrame
    records: pd.DataFrame


# -- lesions ----------------------------------------------------------------------------------


def lesions(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> pd.DataFrame:
    """One row per subject and lesion, sorted: USUBJID, LESID, ROLE, LESGRP, NODAL and TU variables.

    LESID is TULNKID. ROLE is TARGET, NON-TARGET or NEW (also for NEW TARGET and NEW NON-TARGET of
    iRECIST, which TUSTRESC tells apart). LESGRP is IRRAD, NONIRRAD or LOWDOSE from SUPPTU.TUIRRAD
    and TUIRRLVL; it is missing where that is undetermined, and such a lesion belongs to group ALL
    only. NODAL is True where TULOC names a lymph node. Parts of a split
    lesion and merged lesions are no rows of their own. Only records of the study's evaluator, or
    of none, count.

    Every caller but ADTR passes a collector of issues of its own, so that none is told twice.

    References:
        SDTMIG v3.4, TU; RECIST 1.1 (Eisenhauer 2009), sections 3.1 and 4.2.
    """
    tu = verbs.frame_of(data, "TU")
    tu = _of_evaluator(tu, "TUEVAL", study, issues)
    test = verbs.text(tu, "TUTESTCD").fillna("TUMIDENT")
    tu = tu[(test == "TUMIDENT") & verbs.text(tu, "TULNKID").notna()]
    tu = verbs.merge_supp(tu, data.get("SUPPTU"), ("TUIRRAD", "TUIRRLVL"))
    group, contradict = radiotherapy.lesion_groups(tu["TUIRRAD"], tu["TUIRRLVL"], study)
    verbs.report(
        issues, "RS0016", "TU: TUIRRAD and TUIRRLVL contradict one another",
        tu, contradict, "USUBJID", "TULNKID",
    )  # fmt: skip
    role = verbs.text(tu, "TUSTRESC").str.upper().str.strip()
    table = pd.DataFrame(
        {
            "USUBJID": tu["USUBJID"].astype("str"),
            "LESID": verbs.text(tu, "TULNKID"),
            "ROLE": role.map(_ROLES).astype("str"),
            "TUSTRESC": role,
            "LESGRP": group,
            "NODAL": is_lymph_node(verbs.text(tu, "TULOC")),
            "TULOC": verbs.text(tu, "TULOC"),
            "TULAT": verbs.text(tu, "TULAT"),
            "TUDT": verbs.date(tu, "TUDTC"),
            "TUSEQ": verbs.number(tu, "TUSEQ"),
        }
    )
    verbs.report(
        issues, "SD0004", "TU: lesion without role takes no part in the response",
        table, table["ROLE"].isna(), "USUBJID", "LESID",
    )  # fmt: skip
    table = table[table["ROLE"].notna()].sort_values(
        ["USUBJID", "LESID", "TUDT", "TUSEQ", "ROLE"], ignore_index=True
    )
    again = table.duplicated(["USUBJID", "LESID"])
    verbs.report(
        issues, "SD0009", "TU: lesion is identified more than once; the earliest record is used",
        table, again, "USUBJID", "LESID",
    )  # fmt: skip
    table = table[~again].reset_index(drop=True)
    verbs.report(
        issues, "RS0009", "Target lesion is in lesion group ALL only",
        table, (table["ROLE"] == "TARGET") & table["LESGRP"].isna(), "USUBJID", "LESID",
    )  # fmt: skip
    return table


def _of_evaluator(frame: pd.DataFrame, variable: str, study: Study, issues: Issues) -> pd.DataFrame:
    """The records of the study's evaluator and those without one."""
    evaluator = verbs.text(frame, variable)
    wanted = evaluator.isna() | (evaluator.str.upper() == study.response.evaluator.upper())
    verbs.report(
        issues, "RS0008",
        f"{variable[:2]}: record of another evaluator than {study.response.evaluator} is not used",
        frame, ~wanted, "USUBJID", f"{variable[:2]}SEQ",
    )  # fmt: skip
    return frame[wanted]


def _links(data: Mapping[str, pd.DataFrame], found: pd.DataFrame) -> pd.DataFrame:
    """Which --LNKID means which lesion: ``T04.1`` is part of T04, ``T02/T03`` is T02 and T03.

    Columns USUBJID, LNKID, ``lesion``, ``kind`` (whole, part, merged, absorbed) and ``across``
    (parents of different groups). A merged lesion counts under its first parent; the others are
    absorbed.
    """
    whole = found[["USUBJID", "LESID"]].rename(columns={"LESID": "LNKID"})
    out = whole.assign(lesion=found.index, kind="whole", across=False)
    names = [whole[:0]]
    for domain, variable in (("TU", "TULNKID"), ("TR", "TRLNKID")):
        frame = data.get(domain)
        if frame is not None:
            ids = verbs.text(frame, variable)
            joint = ids.str.contains(r"\.\d+$|/", regex=True).eq(other=True)
            names.append(pd.DataFrame({"USUBJID": frame["USUBJID"][joint], "LNKID": ids[joint]}))
    special = pd.concat(names).drop_duplicates()
    special = special[~_pairs(special).isin(_pairs(whole))].reset_index(drop=True)
    if special.empty:
        return out
    split = special[~special["LNKID"].str.contains("/", regex=False)]
    split = split.assign(LESID=split["LNKID"].str.replace(r"\.\d+$", "", regex=True), kind="part")
    merged = special[special["LNKID"].str.contains("/", regex=False)]
    merged = merged.assign(LESID=merged["LNKID"].str.split("/")).explode("LESID")
    first = ~merged.duplicated(["USUBJID", "LNKID"])
    merged["kind"] = np.where(first, "merged", "absorbed")
    rows = found[["USUBJID", "LESID", "LESGRP"]].assign(lesion=found.index)
    more = pd.concat([split, merged]).merge(rows, on=["USUBJID", "LESID"])
    groups = more["LESGRP"].fillna("").groupby([more["USUBJID"], more["LNKID"]])
    more["across"] = groups.transform("nunique") > 1
    every: pd.DataFrame = pd.concat([out, more[out.columns]], ignore_index=True)
    return every


def _pairs(frame: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[["USUBJID", "LNKID"]])


# -- assessments ------------------------------------------------------------------------------


def assessments(
    data: Mapping[str, pd.DataFrame],
    found: pd.DataFrame,
    study: Study,
    issues: Issues,
    limit: pd.Series,
) -> Assessed:
    """The assessments, in order, and every measurement with its assessment and lesion.

    `limit` gives by USUBJID the last day that can still be baseline (TRTSDT, else STARTDT0); what
    is measured later is post-baseline. An assessment is a TRLNKGRP; records without one join the
    assessment with a scan of the same date, or, undated, of the same visit, else they form
    assessments of their own: one up to the limit, later a new one after a gap of more than
    ``assessment_gap_days``. A new lesion that TU has and TR has not counts as present at TUDTC.

    References:
        SDTMIG v3.4, TR assumptions 2 to 4; RECIST 1.1 (Eisenhauer 2009), sections 4.3.2 and 4.3.5.
    """
    links = _links(data, found)
    rows = _records(data, study, issues)
    rows = _with_unmeasured_new_lesions(rows, found, links, issues)
    subjects, subject = verbs.distinct_codes(rows["USUBJID"])
    rows["subject"] = subject
    of_subject = limit.reindex(subjects).reset_index(drop=True).astype("datetime64[s]")
    rows["limit"] = verbs.take(verbs.days_of(of_subject), subject, verbs.NO_DAY)
    rows["group"] = _assessment_codes(rows, study.response.assessment_gap_days)
    lost = (rows["group"] < 0).to_numpy()
    verbs.report(
        issues, "RS0010", "TR: record without date, time point and visit was left out",
        rows, lost, "USUBJID", "TRSEQ",
    )  # fmt: skip
    if lost.any():
        rows = rows[~lost].reset_index(drop=True)
        rows["subject"] = verbs.distinct_codes(rows["USUBJID"])[1]
    visits, position = _visits(rows)
    rows["visit"] = position[rows["group"].to_numpy()]
    rows, links = _linked(rows, links, issues)
    measured = _measured(rows, links, found, study, issues)
    _account_for_local_treatment(measured, found, radiotherapy.courses(data, found), issues)
    return Assessed(visits, measured, rows[["visit", "lesion", "test", "USUBJID", "TRSEQ"]])


def baseline_limit(adsl: pd.DataFrame) -> pd.Series:
    """By USUBJID the last day that can still be baseline: TRTSDT, else STARTDT0."""
    first = verbs.date(adsl, "TRTSDT")
    first = first.where(first.notna(), verbs.date(adsl, "STARTDT0"))
    return first.set_axis(adsl["USUBJID"].astype("str"))


def _records(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> pd.DataFrame:
    """What is used of TR: diameters in mm, volumes in mm3, states as numbers, dates as days."""
    tr = verbs.frame_of(data, "TR")
    tr = _of_evaluator(tr, "TREVAL", study, issues).reset_index(drop=True)
    test = verbs.text(tr, "TRTESTCD").map(TESTS).astype("float64")
    done = verbs.text(tr, "TRSTAT").ne("NOT DONE").to_numpy()
    results, result = verbs.distinct_codes(verbs.text(tr, "TRSTRESC"))
    upper = [str(r).upper().strip() for r in results]
    small = verbs.take(np.array([r == TOO_SMALL for r in upper], dtype=bool), result, missing=False)
    originals, original = verbs.distinct_codes(verbs.text(tr, "TRORRES"))
    reported = np.array([str(r).upper().strip() == TOO_SMALL for r in originals], dtype=bool)
    small = (small | verbs.take(reported, original, missing=False)) & test.le(2).to_numpy() & done
    units, unit = verbs.distinct_codes(verbs.text(tr, "TRSTRESU"))
    in_mm, in_mm3 = (
        verbs.take(np.array([table.get(str(u).upper(), 1.0) for u in units]), unit, 1.0)
        for table in (IN_MM, _IN_MM3)
    )
    factor = np.where(test <= 2, in_mm, in_mm3)
    spelled = pd.to_numeric(pd.Series(upper, dtype="str"), errors="coerce").to_numpy("float64")
    number = verbs.number(tr, "TRSTRESN").fillna(pd.Series(verbs.take(spelled, result, np.nan)))
    states = np.array([_STATES.get(r, PRESENT) for r in upper], dtype=np.float64)
    worse = np.array([r in study.response.nt_pd_states for r in upper], dtype=bool)
    increased = np.array([r in study.irecist.increase_states for r in upper], dtype=bool)
    stated = test.ge(4).to_numpy() & done
    words = {*_STATES, *study.response.nt_pd_states, *study.irecist.increase_states}
    strange = verbs.take(np.array([r not in words for r in upper], bool), result, missing=False)
    foreign = np.array([str(u).upper() not in {"MM", *IN_MM} for u in units], dtype=bool)
    lost = test.le(2).to_numpy() & done & verbs.take(foreign, unit, missing=False)
    number = number.mask(lost)
    scan = verbs.days_of(verbs.date(tr, "TRDTC"))
    undated = done & test.notna().to_numpy() & (scan == verbs.NO_DAY)
    verbs.report(issues, "RS0025", "TRDTC", tr, undated, "USUBJID", "TRSEQ")
    verbs.report(issues, "RS0026", "TRSTRESU", tr, lost, "USUBJID", "TRSEQ")
    verbs.report(issues, "RS0027", "TRSTRESC", tr, stated & strange, "USUBJID", "TRSEQ")
    return pd.DataFrame(
        {
            "USUBJID": tr["USUBJID"].astype("str"),
            "LNKID": verbs.text(tr, "TRLNKID"),
            "TRLNKGRP": verbs.text(tr, "TRLNKGRP"),
            "VISITNUM": verbs.number(tr, "VISITNUM"),
            "VISIT": verbs.text(tr, "VISIT"),
            "TRSEQ": verbs.number(tr, "TRSEQ"),
            "test": test,
            "number": np.where(small, study.response.tstm_mm, (number * factor).where(done)),
            "small": small,
            "state": np.where(stated, verbs.take(states, result, np.nan), np.nan),
            "worse": stated & verbs.take(worse, result, missing=False),
            "increased": stated & verbs.take(increased, result, missing=False),
            "scan": scan,
        }
    )


def _with_unmeasured_new_lesions(
    rows: pd.DataFrame, found: pd.DataFrame, links: pd.DataFrame, issues: Issues
) -> pd.DataFrame:
    new = found[(found["ROLE"] == "NEW") & found["TUDT"].notna()]
    measured = _pairs(rows[rows["LNKID"].notna()][["USUBJID", "LNKID"]].drop_duplicates())
    names = links[links["lesion"].isin(new.index)]
    seen = names["lesion"][_pairs(names).isin(measured)]
    new = new[~new.index.isin(seen)]
    verbs.report(
        issues, "RS0011", "TR: new lesion has no record; it counts as present at TUDTC",
        new, np.ones(len(new), dtype=bool), "USUBJID", "LESID",
    )  # fmt: skip
    if new.empty:
        return rows
    more = pd.DataFrame(
        {
            "USUBJID": new["USUBJID"],
            "LNKID": new["LESID"],
            "TRLNKGRP": pd.Series(np.nan, index=new.index, dtype="str"),
            "VISITNUM": np.nan,
            "VISIT": pd.Series(np.nan, index=new.index, dtype="str"),
            "TRSEQ": np.nan,
            "test": float(TESTS["TUMSTATE"]),
            "number": np.nan,
            "small": False,
            "state": PRESENT,
            "worse": False,
            "increased": False,
            "scan": verbs.days_of(new["TUDT"]),
        }
    )
    return pd.concat([rows, more], ignore_index=True)


def _assessment_codes(rows: pd.DataFrame, gap: int) -> Ints:
    """A number for each assessment; -1 where a record can be put nowhere."""
    named = rows["TRLNKGRP"].notna()
    name = rows["TRLNKGRP"]
    if not named.all():
        dated = rows["scan"] != verbs.NO_DAY
        name = _from_same(rows, name, ["subject", "scan"], dated)
        alone = name.isna() & dated
        loose = rows.loc[alone, ["subject", "scan", "limit"]].sort_values(["subject", "scan"])
        before = (loose["scan"] <= loose["limit"]).to_numpy()
        scan, who = loose["scan"].to_numpy(), loose["subject"].to_numpy()
        new = verbs.segment_starts(who)
        new[1:] |= ((np.diff(scan) > gap) & ~before[1:]) | (before[:-1] & ~before[1:])
        number = pd.Series(np.cumsum(new), index=loose.index)
        first = number.groupby(loose["subject"]).transform("min")
        name = name.fillna(("%A" + (number - first + 1).astype("str")).astype("str"))
        visit = rows["VISITNUM"].notna()
        name = _from_same(rows, name, ["subject", "VISITNUM"], visit)
        name = name.fillna(("%V" + rows["VISITNUM"].astype("str")).where(visit).astype("str"))
    codes = pd.Series(verbs.distinct_codes(name)[1])
    pair = rows["subject"] * (int(codes.max()) + 2 if len(codes) else 1) + codes
    return verbs.distinct_codes(pair.where(codes >= 0))[1]


def _from_same(
    rows: pd.DataFrame, name: pd.Series, keys: list[str], usable: pd.Series
) -> pd.Series:
    """Names filled in from records that agree in the keys."""
    known = rows.loc[usable & name.notna(), keys].assign(name=name)
    known = known.sort_values([*keys, "name"]).drop_duplicates(keys)
    fill = rows[keys].merge(known, "left", keys)["name"].set_axis(rows.index)
    return name.where(name.notna() | ~usable, fill)


def _visits(rows: pd.DataFrame) -> tuple[pd.DataFrame, Ints]:
    """The assessments in order of time, and the position of each assessment number among them.

    An assessment without any date follows the last dated one with a smaller VISITNUM, or, without
    VISITNUM, with a smaller number at the end of its name; without either it comes last.
    """
    groups = int(rows["group"].max()) + 1 if len(rows) else 0
    code = rows["group"].to_numpy()
    first_scan = np.full(groups, np.iinfo(np.int64).max)
    last_scan = np.full(groups, verbs.NO_DAY)
    scan = rows["scan"].to_numpy()
    dated = scan != verbs.NO_DAY
    np.minimum.at(first_scan, code[dated], scan[dated])
    np.maximum.at(last_scan, code[dated], scan[dated])
    first_scan[last_scan == verbs.NO_DAY] = verbs.NO_DAY
    labelled = rows[["VISITNUM"]].assign(group=code, VISIT=verbs.distinct_codes(rows["VISIT"])[1])
    one = labelled.drop_duplicates().sort_values(["group", "VISITNUM", "VISIT"])
    one = rows.loc[one.drop_duplicates("group").index]
    table = one[["USUBJID", "subject", "limit", "TRLNKGRP", "VISITNUM", "VISIT", "group"]]
    table = table.assign(first=first_scan[one["group"]], last=last_scan[one["group"]])
    table["undated"] = table["first"] == verbs.NO_DAY
    named = table["VISIT"].where(table["VISIT"].notna(), table["TRLNKGRP"])
    at_end = named.str.extract(r"(\d+(?:\.\d+)?)\s*$", expand=False).astype("float64")
    # Names may count weeks and VISITNUM visits: one subject's numbers are of one kind.
    numbered = table["VISITNUM"].notna().groupby(table["subject"]).transform("any")
    table["place"] = table["VISITNUM"].where(numbered, at_end)
    order = ["subject", "place", "undated", "first", "TRLNKGRP"]
    table = table.sort_values(order, ignore_index=True)
    dated_first = table["first"].where(table["first"] != verbs.NO_DAY).astype("float64")
    table["order"] = dated_first.fillna(dated_first.groupby(table["subject"]).ffill())
    table["order"] = table["order"].fillna(-np.inf)
    table = table.sort_values(
        ["subject", "order", "undated", "last", "VISITNUM", "TRLNKGRP"], ignore_index=True
    )
    subject = table["subject"].to_numpy()
    no_limit = (table["limit"] == verbs.NO_DAY).to_numpy()
    starts = verbs.segment_starts(subject)
    after = np.where(no_limit, ~starts, (table["last"] > table["limit"]).to_numpy())
    undated = table["undated"].to_numpy()
    # Without a date it is post-baseline if a dated assessment precedes it; where none has a date,
    # the first is the baseline.
    dated_once = pd.Series(~undated).groupby(subject).transform("any").to_numpy(dtype=bool)
    later = np.where(dated_once, verbs.ever_before(~undated, subject), ~starts)
    after = np.where(undated, later, after)
    position = np.empty(groups, dtype=np.int64)
    position[table["group"].to_numpy()] = np.arange(len(table))
    # A letter of its own, so that no made name meets a given one.
    letter = "U" if table["TRLNKGRP"].notna().any() else "A"
    made = letter + (table.groupby("subject").cumcount() + 1).astype("str")
    visits = pd.DataFrame(
        {
            "USUBJID": table["USUBJID"],
            "subject": subject,
            "TRLNKGRP": table["TRLNKGRP"].fillna(made),
            "VISITNUM": table["VISITNUM"],
            "VISIT": table["VISIT"],
            "FSCDT": verbs.dates_of(table["first"].to_numpy()),
            "LSCDT": verbs.dates_of(table["last"].to_numpy()),
            "order": table["order"],
            "post": after.astype(bool),
        }
    )
    return visits, position


# -- measurements -----------------------------------------------------------------------------


def _linked(
    rows: pd.DataFrame, links: pd.DataFrame, issues: Issues
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records that measure a lesion, with the lesion; a merged lesion is once for each parent.

    Of several records of one measurement in one assessment the one with the latest scan is kept.
    """
    rows = rows[rows["test"].notna()].astype({"test": "int64"})
    names, name = verbs.distinct_codes(pd.concat([rows["LNKID"], links["LNKID"]]))
    _, who = verbs.distinct_codes(pd.concat([rows["USUBJID"], links["USUBJID"]]))
    pair = np.where(name >= 0, who * len(names) + name, -1)
    links = links.assign(pair=pair[len(rows) :], link=range(len(links)))
    rows = rows.assign(pair=pair[: len(rows)])
    known = rows["pair"].isin(links["pair"]).to_numpy()
    negative = (rows["number"] < 0).to_numpy()
    verbs.report(
        issues, "RS0002", "TR: negative measurement", rows, negative & known, "USUBJID", "TRSEQ"
    )
    rows["number"] = rows["number"].where(~negative)
    rows = rows[known].merge(links[["pair", "link", "lesion"]], "left", on="pair")
    key = (rows["visit"] * len(links) + rows["link"]) * len(TESTS) + rows["test"]
    again = key.duplicated(keep=False).to_numpy()
    if again.any():
        doubtful = rows[again].assign(key=key[again])
        doubtful["has"] = doubtful["number"].notna() | doubtful["state"].notna()
        several = doubtful.groupby("key")["has"].transform("sum") > 1
        verbs.report(
            issues, "RS0003", "TR: lesion measured more than once in one assessment",
            doubtful, (several & doubtful["has"]).to_numpy(), "USUBJID", "TRSEQ",
        )  # fmt: skip
        order = ["key", "has", "scan", "TRSEQ", "number", "state", "worse"]
        kept = doubtful.sort_values(order).drop_duplicates("key", keep="last")
        rows = pd.concat([rows[~again], kept[rows.columns]], ignore_index=True)
    return rows, links


def _measured(
    rows: pd.DataFrame, links: pd.DataFrame, found: pd.DataFrame, study: Study, issues: Issues
) -> pd.DataFrame:
    """One row per visit and lesion, sorted."""
    count = max(len(links), 1)
    keys, at = np.unique(
        rows["visit"].to_numpy() * count + rows["link"].to_numpy(), return_inverse=True
    )
    visit, link = np.divmod(keys, count)
    lesion = links["lesion"].to_numpy()[link]
    test = rows["test"].to_numpy()

    def of(tests: tuple[str, ...], name: str, empty: float) -> Floats:
        """The value of the first of several tests that was done."""
        out = np.full(len(keys), empty)
        for code in (TESTS[t] for t in reversed(tests)):
            mine = test == code
            values = rows[name].to_numpy("float64")[mine]
            there = ~np.isnan(values)
            out[at[mine][there]] = values[there]
        return out

    nodal = found["NODAL"].to_numpy(dtype=bool)[lesion]
    generic = of(("DIAMETER",), "number", np.nan)
    longest = of(("LDIAM",), "number", np.nan)
    longest = np.where(np.isnan(longest) & ~nodal, generic, longest)
    short = of(("LPERP",), "number", np.nan)
    short = np.where(np.isnan(short) & nodal, generic, short)
    value = np.where(nodal, short, longest)
    target = (found["ROLE"] == "TARGET").to_numpy()[lesion]
    no_axis = found.take(lesion[target & nodal & np.isnan(short) & ~np.isnan(longest)])
    verbs.report(
        issues, "RS0005", "TR: nodal target without short axis is not evaluable",
        no_axis, np.ones(len(no_axis), dtype=bool), "USUBJID", "LESID",
    )  # fmt: skip
    small = of(("LDIAM", "LPERP", "DIAMETER"), "small", 0.0) > 0
    third = short if study.response.vol_third_axis == "perpendicular" else (longest + short) / 2
    sphere = ellipsoid_volume(value, value, value)
    prolate = ellipsoid_volume(longest, short, third)
    tiny = study.response.vol_tstm_mm3
    state = of(("TUMSTATE", "LNSTATE"), "state", np.nan)
    normal = value < np.where(nodal, study.response.node_normal_mm, np.finfo(float).tiny)
    measured_state = np.where(np.isnan(value), np.nan, np.where(normal, ABSENT, PRESENT))
    scan = np.full(len(keys), verbs.NO_DAY)
    np.maximum.at(scan, at, rows["scan"].to_numpy())
    out = pd.DataFrame(
        {
            "visit": visit,
            "lesion": lesion,
            "value": np.rint(value * MICRONS),
            "sphere": np.where(small, tiny, sphere),
            "prolate": np.where(small, tiny, np.where(value == 0, 0.0, prolate)),
            "collected": of(("VOLUME",), "number", np.nan),
            "state": np.where(np.isnan(state), measured_state, state),
            "worse": of(("TUMSTATE", "LNSTATE"), "worse", 0.0) > 0,
            "increased": of(("TUMSTATE", "LNSTATE"), "increased", 0.0) > 0,
            "scan": scan,
            "partial": False,
            "merged": False,
            "across": links["across"].to_numpy(dtype=bool)[link],
        }
    )
    kind = links["kind"].to_numpy()[link]
    return out if (kind == "whole").all() else _of_parents(out, kind, link)


def ellipsoid_volume(a: Floats, b: Floats, c: Floats) -> Floats:
    """Volume of an ellipsoid, pi/6 a b c, of its three diameters."""
    return np.asarray(np.pi / 6 * a * b * c)


def _of_parents(parts: pd.DataFrame, kind: npt.NDArray[Any], link: Ints) -> pd.DataFrame:
    """Split and merged lesions as their parents.

    The parts of a split lesion are added, and one that was there before is missed when it has no
    value; a merged lesion counts under its first parent, and as 0 under the others.

    References:
        RECIST 1.1 (Eisenhauer 2009), section 4.3.2 (lesions that split or coalesce).
    """
    keys = ["visit", "lesion"]
    parts = parts.assign(kind=kind, link=link, known=parts["value"].notna())
    whole = parts["kind"] == "whole"
    parts = parts[~whole | whole.groupby([parts[k] for k in keys]).transform("all")]
    sizes = ["value", "sphere", "prolate", "collected"]
    for name in sizes:
        gone = (parts["kind"] == "absorbed") & parts[name].notna()
        parts[name] = parts[name].where(~gone, 0.0)
    parts["merged"] = parts["kind"].isin(["merged", "absorbed"])
    grouped = parts.groupby(keys)
    out = grouped[["state", "worse", "increased", "scan", "merged", "across"]].max()
    out[sizes] = grouped[sizes].sum(min_count=1)
    pieces = parts[parts["kind"] == "part"]
    first = pieces.groupby(["lesion", "link"])["visit"].min().rename("first").reset_index()
    seen = pieces[keys].drop_duplicates().merge(first, on="lesion")
    expected = seen[seen["first"] <= seen["visit"]].groupby(keys)["link"].count()
    known = grouped["known"].sum()
    out["partial"] = known < expected.reindex(out.index).fillna(0)
    return out.reset_index()[
        [*keys, *sizes, "state", "worse", "increased", "scan", "partial", "merged", "across"]
    ]


def _account_for_local_treatment(
    measured: pd.DataFrame, found: pd.DataFrame, treated: pd.DataFrame, issues: Issues
) -> None:
    """What radiotherapy other than that of the plan leaves of a lesion, on scans after its day.

    Off protocol: the lesion is not evaluable. By protocol, of a non-irradiated target: it counts
    in ALL, but neither in its group, which was fixed at baseline, nor as irradiated.
    """
    if treated.empty:
        return
    protocol = treated["protocol"].to_numpy(dtype=bool)
    after = _after_first(measured, treated[~protocol], len(found))
    after &= (found["ROLE"] != "NEW").to_numpy()[measured["lesion"]]
    measured.loc[after, ["value", "sphere", "prolate", "collected", "state"]] = np.nan
    measured.loc[after, ["worse", "increased"]] = False
    spared = ((found["LESGRP"] == "NONIRRAD") & (found["ROLE"] == "TARGET")).to_numpy()
    moved = _after_first(measured, treated[protocol], len(found)) & spared[measured["lesion"]]
    measured.loc[moved, "across"] = True
    verbs.report(
        issues, "RS0012", "Scans after radiotherapy off protocol are not evaluated",
        found, np.isin(found.index, measured.loc[after, "lesion"]), "USUBJID", "LESID",
    )  # fmt: skip


def _after_first(measured: pd.DataFrame, courses: pd.DataFrame, lesions: int) -> Bools:
    """True for measurements on a scan after the first of the courses of the lesion."""
    dated = courses.dropna(subset=["RTSTDT"])
    first = np.full(lesions, np.iinfo(np.int64).max)
    np.minimum.at(first, dated["lesion"].to_numpy(np.int64), verbs.days_of(dated["RTSTDT"]))
    return np.asarray(measured["scan"].to_numpy() > first[measured["lesion"]])
