"""Radiotherapy as it was given: courses and sites, their dose, and the lesions they treated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.dated import chosen
from fhir2cdisc.core.text import is_among
from fhir2cdisc.sdtm.exposure import dose_given
from fhir2cdisc.sdtm.relrec import related_lesions
from fhir2cdisc.study import Study

Frames = Mapping[str, pd.DataFrame]

RADIATION = "RADIATION THERAPY"
COURSE_COLUMNS = (
    "lesion", "PRSEQ", "RTSTDT", "protocol", "RTDOSE", "RTFRAC", "RTFRDOSE", "exposure",
)  # fmt: skip
_OF_STATUS = {"Y": "IRRAD", "N": "NONIRRAD"}
_OF_LEVEL = {"IN-FIELD": "IRRAD", "OUT-OF-FIELD": "NONIRRAD", "LOW-DOSE": "LOWDOSE"}
_QUALIFIERS = ("PRPROTFL", "PRFRNUM", "PRFRDOSE", "PRCOMPL")
_GRAY = {"GY": 1.0, "CGY": 0.01}


# -- what was given ---------------------------------------------------------------------------


def given_doses(data: Frames) -> pd.DataFrame:
    """The records of EX with a dose that was given, with ``radiation`` (else it is a drug)."""
    ex = chosen(data, "EX")
    radiation = verbs.text(ex, "EXCAT").str.upper().eq(RADIATION)
    return ex.assign(radiation=radiation)[dose_given(ex)].reset_index(drop=True)


def given_courses(data: Frames) -> pd.DataFrame:
    """The radiotherapy of PR that was given, with its qualifiers, ``protocol`` and the dose.

    ``protocol`` is what SUPPPR.PRPROTFL says; if it marks no course of the study, a course whose
    link a record of EX has; if there is none either, every course (`protocol_rule`). ``RTDOSE``
    (Gy) is PRDOSE, else EXDOSE of the same link, else fractions times ``RTFRDOSE`` (Gy a fraction:
    PRFRDOSE, else the dose by ``RTFRAC``, which is PRFRNUM); ``exposure`` is that link where it is
    EXDOSE. A dose or number of fractions of 0 means that nothing was given.
    """
    pr = _radiotherapy(data)
    fractions, each = verbs.number(pr, "PRFRNUM"), verbs.number(pr, "PRFRDOSE")
    linked, has_link = _linked_exposure(pr, data)
    own = _gray(pr, "PR")
    dose = own.fillna(linked).fillna(fractions * each)
    facts = data.get(verbs.WHOLE)
    rule = protocol_rule(data) if facts is None else facts["protocol"].iloc[0]
    everything = pd.Series(data=True, index=pr.index)
    told = {"marked": pr["PRPROTFL"].eq("Y"), "linked": has_link, "all": everything}
    pr = pr.assign(
        protocol=told[rule],
        RTDOSE=dose,
        RTFRAC=fractions,
        RTFRDOSE=each.fillna(dose / fractions.where(fractions > 0)),
        exposure=verbs.text(pr, "PRLNKID").where(own.isna() & linked.notna()),
    )
    return pr[(~(dose <= 0) & ~(fractions <= 0)).to_numpy()].reset_index(drop=True)


def protocol_rule(data: Frames) -> str:
    """How a study tells protocol radiotherapy: marked, linked (to EX), or all of it is."""
    pr = _radiotherapy(data)
    if pr["PRPROTFL"].notna().any():
        return "marked"
    return "linked" if _linked_exposure(pr, data)[1].any() else "all"


def _radiotherapy(data: Frames) -> pd.DataFrame:
    """The records of PR with the qualifiers of radiotherapy."""
    return verbs.merge_supp(chosen(data, "PR", PRCAT=RADIATION), data.get("SUPPPR"), _QUALIFIERS)


def _linked_exposure(pr: pd.DataFrame, data: Frames) -> tuple[pd.Series, pd.Series]:
    """For each course the dose in Gy under its link in EX, and whether EX has that link."""
    names = ["USUBJID", "link"]
    by_link = exposures(data).groupby(names)["dose"]
    dose = by_link.sum(min_count=1).reset_index().assign(found=1.0)
    keys = pd.DataFrame({"USUBJID": pr["USUBJID"], "link": verbs.text(pr, "PRLNKID")})
    out = keys.merge(dose, "left", names)
    return out["dose"].astype("float64"), out["found"].notna()


def exposures(data: Frames) -> pd.DataFrame:
    """Radiotherapy in EX that has a link: USUBJID, EXSEQ, ``link``, ``dose`` (Gy)."""
    ex = chosen(data, "EX", EXCAT=RADIATION)
    linked = pd.DataFrame(
        {
            "USUBJID": ex["USUBJID"].astype("str"),
            "EXSEQ": verbs.number(ex, "EXSEQ"),
            "link": verbs.text(ex, "EXLNKID"),
            "dose": _gray(ex, "EX"),
        }
    )
    return linked.dropna(subset=["link"])


def delivered(pr: pd.DataFrame, data: Frames) -> pd.DataFrame:
    """The protocol radiotherapy of each subject, a row a course and site.

    `pr` are the `given_courses`. USUBJID, ``domain`` and ``SEQ`` of the record, ``site`` (a
    number: equal for what treated the same site), RTDOSE, RTFRAC, RTFRDOSE and ``exposure`` as in
    `pr`, and ``complete`` (Y, N or missing).
    The records are those of PR; of EX for a subject whose dose only EX has, or who has none in PR.
    """
    ex = given_doses(data)
    pr = pr[pr["protocol"].to_numpy(dtype=bool)]
    ex = ex[ex["radiation"].to_numpy(dtype=bool)]
    dosed = is_among(pr["USUBJID"], pr["USUBJID"][pr["RTDOSE"].notna()])
    pr = pr[dosed | ~is_among(pr["USUBJID"], ex["USUBJID"])].reset_index(drop=True)
    ex = ex[~is_among(ex["USUBJID"], pr["USUBJID"])].reset_index(drop=True)
    parts = [
        pd.DataFrame(
            {
                "USUBJID": frame["USUBJID"].astype("str"),
                "domain": pd.Series(domain, index=frame.index, dtype="str"),
                "SEQ": verbs.number(frame, f"{domain}SEQ"),
                "link": verbs.text(frame, f"{domain}LNKID"),
                "place": verbs.text(frame, f"{domain}LOC")
                + "|"
                + verbs.text(frame, f"{domain}LAT").fillna(""),
                "RTDOSE": dose,
                "RTFRAC": verbs.number(frame, "RTFRAC"),
                "RTFRDOSE": verbs.number(frame, "RTFRDOSE"),
                "complete": verbs.text(frame, "PRCOMPL"),
                "exposure": verbs.text(frame, "exposure"),
            }
        )
        for domain, frame, dose in (("PR", pr, pr["RTDOSE"]), ("EX", ex, _gray(ex, "EX")))
    ]
    table = pd.concat(parts, ignore_index=True)
    table["site"] = _sites(table, data)
    return table.drop(columns=["link", "place"])


def _sites(table: pd.DataFrame, data: Frames) -> pd.Series:
    """A number for the site of each record; records that share a lesion have the same.

    Without a lesion (PRLNKID or EXLNKID = TULNKID, or RELREC) the site is the location with its
    side, else the link, else the record alone.
    """
    tu = verbs.frame_of(data, "TU")
    lesions = pd.DataFrame(
        {
            "USUBJID": tu["USUBJID"].astype("str"),
            "LESID": verbs.text(tu, "TULNKID"),
            "TUSEQ": verbs.number(tu, "TUSEQ"),
        }
    ).dropna(subset=["LESID"])
    rows = table.assign(row=table.index)
    direct = rows.merge(lesions, left_on=["USUBJID", "link"], right_on=["USUBJID", "LESID"])
    parts = [direct[["row", "USUBJID", "LESID"]]]
    treated = rows.rename(columns={"link": "LNKID"})
    named = lesions.rename(columns={"LESID": "LNKID"})
    for domain in ("PR", "EX"):
        mine = treated[treated["domain"].eq(domain)][["USUBJID", "SEQ", "LNKID", "row"]]
        pairs = related_lesions(verbs.frame_of(data, "RELREC"), mine, domain, named)
        pairs = pairs.rename(columns={"LNKID": "LESID"}).merge(mine, on=["USUBJID", "SEQ"])
        parts.append(pairs[["row", "USUBJID", "LESID"]])
    treats = pd.concat(parts)
    alone = rows[~rows["row"].isin(treats["row"])]
    key = (" " + alone["place"]).fillna("  " + alone["link"])  # a blank before: no lesion's name
    key = key.fillna("   " + alone["row"].astype("str"))
    treats = pd.concat([treats, alone[["row", "USUBJID"]].assign(LESID=key)])
    node = treats.groupby(["USUBJID", "LESID"]).ngroup().to_numpy() + len(table)
    size = int(node.max()) + 1 if len(node) else 0
    edges = coo_array((np.ones(len(node)), (treats["row"].to_numpy(), node)), shape=(size, size))
    site = connected_components(edges, directed=False)[1] if size else np.empty(0, dtype=np.int64)
    return pd.Series(site[: len(table)].astype(np.int64), index=table.index)


def _gray(frame: pd.DataFrame, domain: str) -> pd.Series:
    """The dose of radiotherapy in Gy; missing in any other unit, taken as Gy without one."""
    unit = verbs.text(frame, f"{domain}DOSU").str.upper().fillna("GY")
    return verbs.number(frame, f"{domain}DOSE") * unit.map(_GRAY).astype("float64")


def biologically_effective_dose(
    dose: pd.Series, fractions: pd.Series, per_fraction: pd.Series, ratio: float = 10.0
) -> pd.Series:
    """BED = n d (1 + d / (alpha/beta)) in Gy, d the dose per fraction; missing without one.

    References:
        Fowler 1989, The linear-quadratic formula and progress in fractionated radiotherapy.
    """
    each = per_fraction.fillna(dose / fractions.where(fractions > 0))
    total = dose.fillna(fractions * each)
    return total * (1 + each / ratio)


# -- which lesions it treated -----------------------------------------------------------------


def courses(data: Frames, found: pd.DataFrame) -> pd.DataFrame:
    """One row per course and treated lesion, with dose (Gy), fractions and dose per fraction.

    `found` are the lesions (`lesion.lesions`); ``lesion`` is the row in it. A course is linked by
    PRLNKID = TULNKID, or where it treated several lesions by RELREC records of one RELID
    (`relrec.related_lesions`). ``protocol`` is False for a course off protocol, ``exposure``
    the link of the dose where it is that of EX.
    """
    pr = given_courses(data)
    table = pd.DataFrame(
        {
            "USUBJID": pr["USUBJID"].astype("str"),
            "PRSEQ": verbs.number(pr, "PRSEQ"),
            "LESID": verbs.text(pr, "PRLNKID"),
            "RTSTDT": verbs.date(pr, "PRSTDTC"),
            **{name: pr[name] for name in COURSE_COLUMNS[3:]},
        }
    )
    lesion_rows = found[["USUBJID", "LESID"]].assign(lesion=found.index)
    direct = table.merge(lesion_rows, on=["USUBJID", "LESID"])
    related = related_lesions(
        verbs.frame_of(data, "RELREC"),
        table.rename(columns={"PRSEQ": "SEQ", "LESID": "LNKID"}),
        "PR",
        found.rename(columns={"LESID": "LNKID"}),
    ).rename(columns={"SEQ": "PRSEQ", "LNKID": "LESID"})
    related = table.drop(columns="LESID").merge(
        related.merge(lesion_rows, on=["USUBJID", "LESID"]), on=["USUBJID", "PRSEQ"]
    )
    out = pd.concat([direct, related])[list(COURSE_COLUMNS)].drop_duplicates(["lesion", "PRSEQ"])
    return out.sort_values(["lesion", "RTSTDT", "PRSEQ"], ignore_index=True)


def lesion_groups(status: pd.Series, level: pd.Series, study: Study) -> tuple[pd.Series, pd.Series]:
    """IRRAD, NONIRRAD, LOWDOSE or missing for each lesion, and where both sources contradict.

    `status` is TUIRRAD (Y or N), `level` TUIRRLVL (IN-FIELD, LOW-DOSE or OUT-OF-FIELD); either may
    be missing. A low dose agrees with Y and with N; it is a group of its own unless the study
    says otherwise (``low_dose_group``), and then it says nothing. A lesion whose sources
    contradict one another is in no group.
    """
    by_status = status.map(_OF_STATUS).astype("str")
    by_level = level.str.upper().str.strip().map(_OF_LEVEL).astype("str")
    low = by_level.eq("LOWDOSE").to_numpy(dtype=bool)
    by_level = by_level.mask(low)
    contradict = by_status.notna() & by_level.notna() & by_status.ne(by_level)
    group = by_status.where(by_status.notna(), by_level).mask(contradict)
    if study.response.low_dose_group:
        group = group.mask(low, "LOWDOSE")
    return group.astype("str"), contradict
