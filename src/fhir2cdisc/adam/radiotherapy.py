"""Radiotherapy courses and the lesions they treated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.sdtm.relrec import related_lesions
from fhir2cdisc.study import Study

RADIATION = "RADIATION THERAPY"
_OF_STATUS = {"Y": "IRRAD", "N": "NONIRRAD"}
_OF_LEVEL = {"IN-FIELD": "IRRAD", "OUT-OF-FIELD": "NONIRRAD", "LOW-DOSE": "LOWDOSE"}
COURSE_COLUMNS = (
    "lesion", "PRSEQ", "RTSTDT", "protocol", "RTDOSE", "RTFRAC", "RTFRDOSE", "exposure",
)  # fmt: skip


def courses(data: Mapping[str, pd.DataFrame], found: pd.DataFrame) -> pd.DataFrame:
    """One row per course and treated lesion, with dose (Gy), fractions and dose per fraction.

    `found` are the lesions (`lesion.lesions`); ``lesion`` is the row in it. A course is linked by
    PRLNKID = TULNKID, or where it treated several lesions by RELREC records of one RELID
    (`relrec.related_lesions`). ``protocol`` is False for a course that SUPPPR.PRPROTFL calls
    off protocol; without that qualifier every course is protocol treatment. The dose is PRDOSE,
    else EXDOSE of the exposure records with the same link, which then is ``exposure``.
    """
    every = data.get("PR")
    if every is None or every.empty:
        return _no_courses()
    courses_of = every[verbs.text(every, "PRCAT").str.upper() == RADIATION]
    pr = verbs.merge_supp(courses_of, data.get("SUPPPR"), ("PRPROTFL", "PRFRNUM", "PRFRDOSE"))
    own = _gray(pr, "PRDOSE", "PRDOSU")
    keys = pd.DataFrame({"USUBJID": pr["USUBJID"], "link": verbs.text(pr, "PRLNKID")})
    linked = exposures(data).groupby(["USUBJID", "link"])["dose"].sum().reset_index()
    dose = own.fillna(keys.merge(linked, "left", ["USUBJID", "link"])["dose"])
    marked = pr["PRPROTFL"].notna().any()
    table = pd.DataFrame(
        {
            "USUBJID": pr["USUBJID"],
            "PRSEQ": verbs.number(pr, "PRSEQ"),
            "LESID": verbs.text(pr, "PRLNKID"),
            "RTSTDT": verbs.date(pr, "PRSTDTC"),
            "protocol": (pr["PRPROTFL"] == "Y") | (not marked),
            "RTDOSE": dose,
            "RTFRAC": pd.to_numeric(pr["PRFRNUM"], errors="coerce").astype("float64"),
            "RTFRDOSE": pd.to_numeric(pr["PRFRDOSE"], errors="coerce").astype("float64"),
            "exposure": keys["link"].where(own.isna() & dose.notna()),
        }
    )
    lesion_rows = found[["USUBJID", "LESID"]].assign(lesion=found.index)
    direct = table.merge(lesion_rows, on=["USUBJID", "LESID"])
    related = _related(data.get("RELREC"), table, lesion_rows.assign(TUSEQ=found["TUSEQ"]))
    related = table.drop(columns="LESID").merge(related, on=["USUBJID", "PRSEQ"])
    out = pd.concat([direct, related])[list(COURSE_COLUMNS)].drop_duplicates(["lesion", "PRSEQ"])
    return out.sort_values(["lesion", "RTSTDT", "PRSEQ"], ignore_index=True)


def exposures(data: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Radiotherapy in EX that has a dose and a link: USUBJID, EXSEQ, ``link``, ``dose`` (Gy)."""
    ex = data.get("EX")
    if ex is None:
        ex = pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    given = pd.DataFrame(
        {
            "USUBJID": ex["USUBJID"],
            "EXSEQ": verbs.number(ex, "EXSEQ"),
            "link": verbs.text(ex, "EXLNKID"),
            "dose": _gray(ex, "EXDOSE", "EXDOSU"),
        }
    )
    radiation = verbs.text(ex, "EXCAT").str.upper().eq(RADIATION).to_numpy(dtype=bool)
    return given[radiation].dropna(subset=["link", "dose"])


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


def _no_courses() -> pd.DataFrame:
    types = {"lesion": "int64", "RTSTDT": "datetime64[s]", "protocol": "bool", "exposure": "str"}
    return pd.DataFrame(
        {name: pd.Series(dtype=types.get(name, "float64")) for name in COURSE_COLUMNS}
    )


def _related(
    relrec: pd.DataFrame | None, courses_given: pd.DataFrame, lesions: pd.DataFrame
) -> pd.DataFrame:
    """USUBJID, PRSEQ and lesion that one RELID relates."""
    if relrec is None:
        relrec = pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
    given = courses_given.rename(columns={"PRSEQ": "SEQ", "LESID": "LNKID"})
    named = lesions.rename(columns={"LESID": "LNKID"})
    pairs = related_lesions(
        relrec, given[["USUBJID", "SEQ", "LNKID"]], "PR", named[["USUBJID", "TUSEQ", "LNKID"]]
    )
    pairs = pairs.merge(named[["USUBJID", "LNKID", "lesion"]], on=["USUBJID", "LNKID"])
    return pairs.rename(columns={"SEQ": "PRSEQ"})[["USUBJID", "PRSEQ", "lesion"]]


def _gray(frame: pd.DataFrame, dose: str, unit: str) -> pd.Series:
    value = verbs.number(frame, dose)
    return value.where(verbs.text(frame, unit).str.upper() != "CGY", value / 100)


def biologically_effective_dose(
    dose: pd.Series, fractions: pd.Series, per_fraction: pd.Series, ratio: float = 10.0
) -> pd.Series:
    """BED = n d (1 + d / (alpha/beta)) in Gy, d the dose per fraction; missing without one."""
    each = per_fraction.fillna(dose / fractions.where(fractions > 0))
    total = dose.fillna(fractions * each)
    bed: pd.Series = total * (1 + each / ratio)
    return bed.replace([np.inf, -np.inf], np.nan)
