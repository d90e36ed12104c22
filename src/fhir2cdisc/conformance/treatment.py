"""Checks of radiotherapy and the lesions it treats: Q15 and Q16."""

from __future__ import annotations

import pandas as pd

from fhir2cdisc.conformance.check import Check, records, together
from fhir2cdisc.conformance.tumour_data import Tumours
from fhir2cdisc.core.text import is_among
from fhir2cdisc.core.variables import number, text
from fhir2cdisc.sdtm.relrec import related_lesions
from fhir2cdisc.sdtm.supp import merge_supp

RADIATION = "RADIATION THERAPY"


def unmatched_lesions(tumours: Tumours) -> pd.DataFrame:
    """Irradiated lesions without a course, and treated lesions that are not marked."""
    lesions = tumours.lesions[tumours.lesions["own"]]
    courses, links = _courses(tumours), _links(tumours)
    keys = ["USUBJID", "LNKID"]
    linked = pd.MultiIndex.from_frame(lesions[keys]).isin(
        pd.MultiIndex.from_frame(links.loc[links["protocol"], keys])
    )
    irradiated = lesions["irradiated"].eq("Y")
    spared = ~lesions["irradiated"].isin(["Y", "LOW"])
    treated = is_among(lesions["USUBJID"], courses["USUBJID"])
    return together(
        records("TU", lesions, irradiated & ~treated,
                "Irradiated lesion of a subject without radiotherapy record", "TUSEQ"),
        records("TU", lesions, irradiated & treated & ~linked,
                "Irradiated lesion is linked to no course of protocol radiotherapy", "TUSEQ"),
        records("TU", lesions, spared & linked,
                "Lesion is linked to protocol radiotherapy and not marked as irradiated", "TUSEQ"),
    )  # fmt: skip


def unmatched_courses(tumours: Tumours) -> pd.DataFrame:
    """Protocol courses only: what is treated off protocol need not be a lesion of the study."""
    courses, links = _courses(tumours), _links(tumours)
    keys = ["USUBJID", "domain", "SEQ"]
    linked = pd.MultiIndex.from_frame(courses[keys]).isin(pd.MultiIndex.from_frame(links[keys]))
    broken = courses["protocol"] & ~linked
    broken &= is_among(courses["USUBJID"], tumours.lesions["USUBJID"])
    message = "Course of protocol radiotherapy is linked to no lesion"
    of = {domain: broken & (courses["domain"] == domain) for domain in ("PR", "EX")}
    named = courses.assign(PRSEQ=courses["SEQ"], EXSEQ=courses["SEQ"])
    return together(*(records(d, named, mine, message, f"{d}SEQ") for d, mine in of.items()))


def _courses(tumours: Tumours) -> pd.DataFrame:
    """The radiotherapy given: ``domain``, SEQ, LNKID, ``protocol``.

    Protocol courses of EX count where PR has none, since they are the same courses.
    """
    pr = merge_supp(tumours.frame("PR"), tumours.data.get("SUPPPR"), ("PRPROTFL",))
    pr = pr[text(pr, "PRCAT").str.upper().eq(RADIATION) & text(pr, "PROCCUR").ne("N")]
    given = _treatments(pr, "PR")
    marked = pr["PRPROTFL"].notna().any()
    given["protocol"] = pr["PRPROTFL"].eq("Y") if marked else True
    ex = tumours.frame("EX")
    if not given["protocol"].any():
        ex = ex[text(ex, "EXCAT").str.upper().eq(RADIATION)]
        given = pd.concat([given, _treatments(ex, "EX").assign(protocol=True)])
    return given.astype({"protocol": bool}).reset_index(drop=True)


def _treatments(frame: pd.DataFrame, domain: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "USUBJID": text(frame, "USUBJID"),
            "domain": pd.Series(domain, index=frame.index, dtype="str"),
            "SEQ": number(frame, f"{domain}SEQ"),
            "LNKID": text(frame, f"{domain}LNKID"),
        }
    )


def _links(tumours: Tumours) -> pd.DataFrame:
    """Which course treats which lesion: columns of `_courses`, LNKID is that of the lesion.

    By a common link identifier, or by RELREC.
    """
    courses, lesions = _courses(tumours), tumours.lesions
    named = lesions[["USUBJID", "LNKID", "TUSEQ"]]
    direct = courses.merge(named[["USUBJID", "LNKID"]].drop_duplicates(), on=["USUBJID", "LNKID"])
    relrec = tumours.frame("RELREC")
    related = [
        mine.drop(columns="LNKID").merge(
            related_lesions(relrec, mine, str(domain), named), on=["USUBJID", "SEQ"]
        )
        for domain, mine in courses.groupby("domain")
    ]
    return pd.concat([direct, *related], ignore_index=True)


TREATMENT_CHECKS = (
    Check(
        id="Q15",
        code="QC0015",
        rule="A lesion is marked as irradiated if, and only if, protocol radiotherapy is linked "
        "to it.",
        source="SDTMIG v3.4, section 8.3 and PR; protocol",
        needs=("TU",),
        prepare=Tumours,
        find=unmatched_lesions,
    ),
    Check(
        id="Q16",
        code="QC0016",
        rule="Every course of protocol radiotherapy is linked to the lesions that it treats.",
        source="SDTMIG v3.4, section 8.3 and PR; protocol",
        needs=("TU",),
        prepare=Tumours,
        find=unmatched_courses,
    ),
)
