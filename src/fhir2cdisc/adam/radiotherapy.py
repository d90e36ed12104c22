"""Radiotherapy courses and the lesions they treated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs

RADIATION = "RADIATION THERAPY"
COURSE_COLUMNS = ("lesion", "PRSEQ", "RTSTDT", "protocol", "RTDOSE", "RTFRAC", "RTFRDOSE")


def courses(data: Mapping[str, pd.DataFrame], found: pd.DataFrame) -> pd.DataFrame:
    """One row per course and treated lesion, with dose (Gy), fractions and dose per fraction.

    `found` are the lesions (`lesion.lesions`); ``lesion`` is the row in it. A course is linked by
    PRLNKID = TULNKID, or where it treated several lesions by RELREC records of one RELID (PR by
    PRSEQ, TU by TULNKID or TUSEQ). ``protocol`` is False for a course that SUPPPR.PRPROTFL calls
    off protocol; without that qualifier every course is protocol treatment. The dose is PRDOSE,
    else EXDOSE of the exposure record with the same link.
    """
    every = data.get("PR")
    if every is None or every.empty:
        return _no_courses()
    courses_of = every[verbs.text(every, "PRCAT").str.upper() == RADIATION]
    pr = verbs.merge_supp(courses_of, data.get("SUPPPR"), ("PRPROTFL", "PRFRNUM", "PRFRDOSE"))
    dose = _gray(pr, "PRDOSE", "PRDOSU")
    ex = data.get("EX")
    if ex is not None and len(ex):
        given = pd.DataFrame(
            {
                "USUBJID": ex["USUBJID"],
                "link": verbs.text(ex, "EXLNKID"),
                "dose": _gray(ex, "EXDOSE", "EXDOSU"),
            }
        )
        given = given[verbs.text(ex, "EXCAT").str.upper() == RADIATION].dropna()
        linked = given.groupby(["USUBJID", "link"])["dose"].sum().reset_index()
        keys = pd.DataFrame({"USUBJID": pr["USUBJID"], "link": verbs.text(pr, "PRLNKID")})
        dose = dose.fillna(keys.merge(linked, "left", ["USUBJID", "link"])["dose"])
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
        }
    )
    lesion_rows = found[["USUBJID", "LESID"]].assign(lesion=found.index)
    direct = table.merge(lesion_rows, on=["USUBJID", "LESID"])
    related = table.drop(columns="LESID").merge(
        _related(data.get("RELREC"), found), on=["USUBJID", "PRSEQ"]
    )
    out = pd.concat([direct, related])[list(COURSE_COLUMNS)].drop_duplicates(["lesion", "PRSEQ"])
    return out.sort_values(["lesion", "RTSTDT", "PRSEQ"], ignore_index=True)


def _no_courses() -> pd.DataFrame:
    types = {"lesion": "int64", "RTSTDT": "datetime64[s]", "protocol": "bool"}
    return pd.DataFrame(
        {name: pd.Series(dtype=types.get(name, "float64")) for name in COURSE_COLUMNS}
    )


def _related(relrec: pd.DataFrame | None, found: pd.DataFrame) -> pd.DataFrame:
    """Pairs of PRSEQ and lesion that one RELID relates."""
    if relrec is None or relrec.empty:
        return pd.DataFrame(
            {
                "USUBJID": pd.Series(dtype="str"),
                "PRSEQ": pd.Series(dtype="float64"),
                "lesion": pd.Series(dtype="int64"),
            }
        )
    keys = ["USUBJID", "RELID"]
    value = verbs.text(relrec, "IDVARVAL").str.strip()
    domain, idvar = verbs.text(relrec, "RDOMAIN"), verbs.text(relrec, "IDVAR")
    course = relrec[keys].assign(PRSEQ=pd.to_numeric(value, errors="coerce").astype("float64"))
    course = course[(domain == "PR") & (idvar == "PRSEQ")].dropna()
    by_name = relrec[keys].assign(LESID=value)[(domain == "TU") & (idvar == "TULNKID")].dropna()
    by_seq = relrec[keys].assign(TUSEQ=pd.to_numeric(value, errors="coerce").astype("float64"))
    by_seq = by_seq[(domain == "TU") & (idvar == "TUSEQ")].dropna()
    rows = found[["USUBJID", "LESID", "TUSEQ"]].assign(lesion=found.index)
    lesions = pd.concat(
        [
            by_name.merge(rows, on=["USUBJID", "LESID"])[[*keys, "lesion"]],
            by_seq.merge(rows, on=["USUBJID", "TUSEQ"])[[*keys, "lesion"]],
        ]
    )
    return course.merge(lesions, on=keys)[["USUBJID", "PRSEQ", "lesion"]].drop_duplicates()


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
