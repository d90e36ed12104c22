"""Checks of dates between the domains: Q17 to Q20."""

from __future__ import annotations

import pandas as pd

from fhir2cdisc.conformance.check import Check, records, together
from fhir2cdisc.conformance.tumour_data import Tumours
from fhir2cdisc.core.text import is_among
from fhir2cdisc.core.variables import date, text
from fhir2cdisc.sdtm.contact import contacts

TUMOUR_DATES = {"TU": "TUDTC", "TR": "TRDTC", "RS": "RSDTC"}


def scattered_scans(tumours: Tumours) -> pd.DataFrame:
    """By TRLNKGRP, or without one VISITNUM. Baseline scans may lie weeks apart (3.2.1)."""
    days = tumours.study.checks.assessment_spread_days
    results = tumours.results[tumours.results["done"] & tumours.results["day"].notna()]
    message = f"Scans of one assessment are more than {days} days apart"
    parts = []
    for variable, key, mine in (
        ("TRLNKGRP", "group", results),
        ("VISITNUM", "VISITNUM", results[results["group"].isna()]),
    ):
        scans = mine.groupby(["USUBJID", "reader", key])["day"].agg(["min", "max"]).reset_index()
        limit = tumours.limit.reindex(scans["USUBJID"]).set_axis(scans.index)
        broken = ((scans["max"] - scans["min"]).dt.days > days) & ~(scans["max"] <= limit)
        named = scans.rename(columns={key: variable})
        parts.append(records("TR", named, broken, message, variable))
    return together(*parts)


def late_assessments(tumours: Tumours) -> pd.DataFrame:
    cut = tumours.study.study.data_cutoff
    parts = []
    for domain, variable in TUMOUR_DATES.items():
        frame = tumours.frame(domain)
        day, key = date(frame, variable), f"{domain}SEQ"
        dead = day > _death(tumours, frame)
        parts.append(records(domain, frame, dead, "Assessment is dated after death", key))
        if cut is not None:
            late = day > pd.Timestamp(cut)
            parts.append(records(domain, frame, late, "Assessment is after the data cut", key))
    return together(*parts)


def contacts_after_death(tumours: Tumours) -> pd.DataFrame:
    """All that proves a subject alive but assessments of tumours, which are Q18."""
    parts = []
    for domain, frame, variable in contacts(tumours.data):
        if domain not in TUMOUR_DATES:
            after = date(frame, variable) > _death(tumours, frame)
            key = "SUBJID" if domain == "DM" else f"{domain}SEQ"
            parts.append(records(domain, frame, after, f"{variable} is after death", key))
    return together(*parts)


def _death(tumours: Tumours, frame: pd.DataFrame) -> pd.Series:
    adsl = tumours.frame("ADSL")
    died = date(adsl, "DTHDT").set_axis(adsl["USUBJID"].astype("str"))
    return died.reindex(frame["USUBJID"]).set_axis(frame.index)


def fatal_events_of_living(tumours: Tumours) -> pd.DataFrame:
    ae, adsl = tumours.frame("AE"), tumours.frame("ADSL")
    fatal = text(ae, "AESDTH").eq("Y") | text(ae, "AEOUT").str.upper().eq("FATAL")
    fatal |= text(ae, "AETOXGR").eq("5")
    alive = adsl.loc[text(adsl, "DTHFL").ne("Y"), "USUBJID"]
    dm = tumours.frame("DM")  # a death after the data cut-off is not in ADSL
    alive = alive[~is_among(alive, dm.loc[text(dm, "DTHFL").eq("Y"), "USUBJID"])]
    broken = fatal & is_among(ae["USUBJID"], alive)
    return records("AE", ae, broken, "Fatal adverse event of a subject not known as dead", "AESEQ")


DATE_CHECKS = (
    Check(
        id="Q17",
        code="QC0017",
        rule="The scans of one assessment are taken within the days that the protocol allows.",
        source="SDTMIG v3.4, TR; protocol",
        needs=("ADSL", "TR"),
        prepare=Tumours,
        find=scattered_scans,
    ),
    Check(
        id="Q18",
        code="QC0018",
        rule="No assessment is dated after death, or after the data cut.",
        source="SDTMIG v3.4, TU, TR, RS and DM",
        needs=("ADSL",),
        prepare=Tumours,
        find=late_assessments,
    ),
    Check(
        id="Q19",
        code="QC0019",
        rule="No contact with a subject is dated after death.",
        source="SDTMIG v3.4, DM (DTHDTC)",
        needs=("ADSL",),
        prepare=Tumours,
        find=contacts_after_death,
    ),
    Check(
        id="Q20",
        code="QC0020",
        rule="A subject with a fatal adverse event, or one of grade 5, is recorded as dead.",
        source="SDTMIG v3.4, AE and DM (DTHFL); CTCAE v5.0",
        needs=("ADSL", "AE"),
        prepare=Tumours,
        find=fatal_events_of_living,
    ),
)
