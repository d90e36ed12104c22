"""ADAE: one record an adverse event, with what makes it treatment-emergent, severe or related."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import adverse_event, verbs
from fhir2cdisc.adam.imputation import impute_end, impute_start
from fhir2cdisc.adam.verbs import Bools
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described, predecessor
from fhir2cdisc.study import Study

_FROM_ADSL = ("STUDYID", "USUBJID", "SUBJID", "SITEID", "AGE", "SEX", "TRT01P", "TRT01A",
              "SAFFL", "TRTSDT", "TRTEDT", "STARTDT0", "CUT6DT", "NACTDT")  # fmt: skip
_FROM_AE = ("AETERM", "AELLT", "AEDECOD", "AEHLT", "AEHLGT", "AEBODSYS", "AESOC", "AESTDTC",
            "AEENDTC", "AESER", "AEACN", "AEREL", "AEOUT", "AESDTH", "AETOXGR")  # fmt: skip
SEVERE = 3

COLUMNS: Mapping[str, Column] = {
    **{name: predecessor(f"ADSL.{name}") for name in _FROM_ADSL},
    "AESEQ": predecessor("AE.AESEQ"),
    **{name: predecessor(f"AE.{name}") for name in _FROM_AE},
    **{name: predecessor(f"SUPPAE.{name}") for name in adverse_event.QUALIFIERS},
    "ASTDT": described(
        "ASTDT",
        "AE.AESTDTC; a missing day is the first of the month, a missing month January, but not "
        "before TRTSDT and not after AENDT where the known part allows",
    ),
    "ASTDTF": described("ASTDTF", "D if the day, M if month and day of ASTDT are assumed"),
    "ASTDY": described("ASTDY", "Days from TRTSDT to ASTDT; there is no day 0"),
    "AENDT": described(
        "AENDT",
        "AE.AEENDTC; a missing day is the last of the month, a missing month December, but not "
        "after ADSL.DTHDT or the data cut-off where the known part allows",
    ),
    "AENDTF": described("AENDTF", "D if the day, M if month and day of AENDT are assumed"),
    "AENDY": described("AENDY", "Days from TRTSDT to AENDT; there is no day 0"),
    "ADURN": described("ADURN", "AENDT - ASTDT + 1"),
    "ADURU": described("ADURU", "DAYS where there is ADURN"),
    "TRTEMFL": described(
        "TRTEMFL",
        "Y if ASTDT is from TRTSDT to TRTEDT plus the days of the study ([treatment] teae_days), "
        "and, if [treatment] teae_until_new_therapy, before NACTDT; without TRTEDT there is no "
        "last day",
    ),
    "TRTEMXFL": described(
        "TRTEMXFL",
        "Y if TRTEMFL is Y, or it would be with [treatment] teae_days_extended and AESER or AEIRFL "
        "is Y",
    ),
    "ATOXGR": described("ATOXGR", "AE.AETOXGR, if it is 1 to 5"),
    "ATOXGRN": described("ATOXGRN", "ATOXGR as number"),
    "AE3FL": described("AE3FL", "Y if TRTEMFL is Y and ATOXGRN is 3 or more"),
    "AERELIO": described(
        "AERELIO", "Y if AE.AEREL is a value that counts as related ([treatment] related)"
    ),
    "AERELRAD": described("AERELRAD", "Y if AERELRT is such a value"),
    "AERELANY": described("AERELANY", "Y if AERELIO or AERELRAD is Y"),
    "TRAE3FL": described("TRAE3FL", "Y if AE3FL is Y and AERELANY is Y"),
    "IRAEFL": described("IRAEFL", "Y if AEIRFL is Y"),
    "IRAE3FL": described("IRAE3FL", "Y if AE3FL is Y and IRAEFL is Y"),
    "AE3WCFL": described("AE3WCFL", "Y if AE3FL is Y, or TRTEMFL is Y and ATOXGR is missing"),
    "AE3XFL": described("AE3XFL", "Y if TRTEMXFL is Y and ATOXGRN is 3 or more"),
    "ANL01FL": described("ANL01FL", "Y if TRTEMFL is Y and ASTDT is not after CUT6DT"),
    "ANL02FL": described("ANL02FL", "Y if TRTEMXFL is Y and ASTDT is not after CUT6DT"),
    "AOCCFL": described(
        "AOCCFL", "Y for the first treatment-emergent event of the subject, by ASTDT and AESEQ"
    ),
    "AOCCSFL": described("AOCCSFL", "Y for the first treatment-emergent event by AEBODSYS"),
    "AOCCPFL": described(
        "AOCCPFL", "Y for the first treatment-emergent event by AEBODSYS and AEDECOD"
    ),
    "AOCCIFL": described(
        "AOCCIFL", "Y for the first treatment-emergent event of the highest grade of the subject"
    ),
    "AOCCSIFL": described("AOCCSIFL", "Y for the first event of the highest grade by AEBODSYS"),
    "AOCCPIFL": described(
        "AOCCPIFL", "Y for the first event of the highest grade by AEBODSYS and AEDECOD"
    ),
    "AOCC01FL": described("AOCC01FL", "Y for the first event with AE3FL of Y"),
    "ASEQ": described("ASEQ", "Number of the record within the subject, by AESEQ"),
}

_LABELS = {
    "CUT6DT": "Date of 6-Month Analysis Cut",
    "STARTDT0": "Study Clock Start Date",
    "NACTDT": "Date of New Anticancer Therapy",
    "AERELRT": "Relation to Radiotherapy",
    "AEIRFL": "Immune-Related Event",
    "TRTEMXFL": "Treatment Emergent, Extended Flag",
    "AE3FL": "Treatment-Emergent Grade 3+ Flag",
    "AERELIO": "Related to PD-1 Antibody Flag",
    "AERELRAD": "Related to Radiotherapy Flag",
    "AERELANY": "Related to Any Study Treatment Flag",
    "TRAE3FL": "Treatment-Related Grade 3+ Flag",
    "IRAEFL": "Immune-Related Event Flag",
    "IRAE3FL": "Immune-Related Grade 3+ Flag",
    "AE3WCFL": "Grade 3+ or Missing Grade Flag",
    "AE3XFL": "Grade 3+, Extended Flag",
    "AOCCSIFL": "1st Max Sev./Int. Occur. of SOC Flag",
    "AOCCPIFL": "1st Max Sev./Int. Occur. of PT Flag",
    "AOCC01FL": "1st Occurrence of Grade 3+ Flag",
}


def derive(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> Derived:
    """A record for every record of AE whose subject is in ADSL.

    References:
        ADaM Structure for Occurrence Data (OCCDS) v1.1; CTCAE v5.0.
    """
    ae = adverse_event.events(data)
    ae = ae.assign(AESEQ=verbs.number(ae, "AESEQ")).sort_values(["USUBJID", "AESEQ"], kind="stable")
    adsl = data["ADSL"]
    row = pd.Index(adsl["USUBJID"]).get_indexer(pd.Index(ae["USUBJID"]))
    ae, row = ae[row >= 0].reset_index(drop=True), row[row >= 0]
    names = (*_FROM_AE, *adverse_event.QUALIFIERS)
    frame = pd.DataFrame({name: verbs.text(ae, name) for name in names})
    for name in (*_FROM_ADSL, "DTHDT"):
        frame[name] = adsl[name].take(row).set_axis(frame.index)
    frame["AESEQ"] = ae["AESEQ"]
    frame["ASEQ"] = frame.groupby("USUBJID").cumcount() + 1.0
    frame = frame.assign(**_dates(frame, study))
    grade = frame["AETOXGR"].str.strip()
    frame["ATOXGR"] = grade.where(grade.isin(["1", "2", "3", "4", "5"]))
    frame["ATOXGRN"] = pd.to_numeric(frame["ATOXGR"]).astype("float64")
    related = adverse_event.related(frame, study)
    immune = frame["AEIRFL"].eq("Y")
    emergent = _emergent(frame, study, study.treatment.teae_days)
    extended = emergent | (
        _emergent(frame, study, study.treatment.teae_days_extended)
        & (immune | frame["AESER"].eq("Y"))
    )
    grade_3 = frame["ATOXGRN"] >= SEVERE
    severe, early = emergent & grade_3, frame["ASTDT"] <= frame["CUT6DT"]
    frame = frame.assign(
        TRTEMFL=_yes(emergent),
        TRTEMXFL=_yes(extended),
        AE3FL=_yes(severe),
        AERELIO=_yes(related.to_drug),
        AERELRAD=_yes(related.to_radiotherapy),
        AERELANY=_yes(related.to_any()),
        TRAE3FL=_yes(severe & related.to_any()),
        IRAEFL=_yes(immune),
        IRAE3FL=_yes(severe & immune),
        AE3WCFL=_yes(severe | (emergent & frame["ATOXGR"].isna())),
        AE3XFL=_yes(extended & grade_3),
        ANL01FL=_yes(emergent & early),
        ANL02FL=_yes(extended & early),
        **_first_occurrences(frame, emergent.to_numpy(dtype=bool), severe.to_numpy(dtype=bool)),
    )
    _report(frame, emergent.to_numpy(dtype=bool), issues)
    at = np.arange(len(frame))
    subjects = pd.DataFrame({"row": at, "parent": "ADSL", "parent_key": frame["USUBJID"]})
    return verbs.derived(frame, [subjects, verbs.parents(at, "AE", frame, "AESEQ", at)])


def _emergent(frame: pd.DataFrame, study: Study, days: int) -> pd.Series:
    """Whether the event began under treatment or up to so many days after it."""
    start, last = frame["ASTDT"], frame["TRTEDT"] + pd.Timedelta(days=days)
    within = (start >= frame["TRTSDT"]) & ((start <= last) | last.isna())
    if study.treatment.teae_until_new_therapy:
        within &= ~(start >= frame["NACTDT"])
    return within


def _dates(frame: pd.DataFrame, study: Study) -> dict[str, pd.Series]:
    limit = frame["DTHDT"]
    if study.study.data_cutoff is not None:
        cutoff = pd.Timestamp(study.study.data_cutoff)
        limit = limit.where(limit < cutoff, cutoff)
    end = impute_end(frame["AEENDTC"], limit)
    start = impute_start(frame["AESTDTC"], frame["TRTSDT"], end.date)
    duration = (end.date - start.date).dt.days + 1.0
    return {
        "ASTDT": start.date,
        "ASTDTF": start.flag,
        "ASTDY": _study_day(start.date, frame["TRTSDT"]),
        "AENDT": end.date,
        "AENDTF": end.flag,
        "AENDY": _study_day(end.date, frame["TRTSDT"]),
        "ADURN": duration,
        "ADURU": pd.Series("DAYS", index=frame.index, dtype="str").where(duration.notna()),
    }


def _study_day(date: pd.Series, first: pd.Series) -> pd.Series:
    elapsed = (date - first).dt.days.astype("float64")
    return elapsed.where(elapsed < 0, elapsed + 1)


def _first_occurrences(frame: pd.DataFrame, emergent: Bools, severe: Bools) -> dict[str, pd.Series]:
    """The occurrence flags, among treatment-emergent events.

    A term that was not coded belongs to no system organ class and no preferred term.
    """
    by_date = frame.sort_values(["USUBJID", "ASTDT", "AESEQ"], kind="stable")
    by_grade = frame.assign(worst=-frame["ATOXGRN"].fillna(0)).sort_values(
        ["USUBJID", "worst", "ASTDT", "AESEQ"], kind="stable"
    )
    subject, organ, term = ["USUBJID"], ["USUBJID", "AEBODSYS"], ["USUBJID", "AEBODSYS", "AEDECOD"]
    wanted = {
        "AOCCFL": (by_date, subject, emergent),
        "AOCCSFL": (by_date, organ, emergent),
        "AOCCPFL": (by_date, term, emergent),
        "AOCCIFL": (by_grade, subject, emergent),
        "AOCCSIFL": (by_grade, organ, emergent),
        "AOCCPIFL": (by_grade, term, emergent),
        "AOCC01FL": (by_date, subject, severe),
    }
    out = {}
    for name, (ordered, keys, which) in wanted.items():
        events = ordered[which[ordered.index.to_numpy()]].dropna(subset=keys[-1:])
        first = events.drop_duplicates(keys).index
        out[name] = _yes(pd.Series(frame.index.isin(first), index=frame.index))
    return out


def _report(frame: pd.DataFrame, emergent: Bools, issues: Issues) -> None:
    treated = frame["SAFFL"].eq("Y").to_numpy(dtype=bool)
    for code, message, mask in (
        ("AD0003", "AE: start date was imputed", frame["ASTDTF"].notna()),
        ("AD0003", "AE: end date was imputed", frame["AENDTF"].notna()),
        ("AD0006", "AE: no usable start date", frame["ASTDT"].isna() & treated),
        ("AD0007", "AE: treatment-emergent without a grade", frame["ATOXGR"].isna() & emergent),
    ):
        verbs.report(issues, code, message, frame, mask.to_numpy(dtype=bool), "USUBJID", "AESEQ")


def _yes(true: pd.Series) -> pd.Series:
    """A record flag: Y or missing."""
    return pd.Series("Y", index=true.index, dtype="str").where(true)


ADAE = Derivation(
    name="ADAE",
    label="Adverse Events Analysis Dataset",
    keys=("USUBJID", "AESEQ"),
    needs=("ADSL", "AE"),
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, _LABELS),
)
