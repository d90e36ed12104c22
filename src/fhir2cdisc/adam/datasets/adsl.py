"""ADSL: one record a subject, with the dates, groups and populations every analysis uses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import collected, lesion, radiotherapy, subject, sums, verbs
from fhir2cdisc.adam.imputation import add_months
from fhir2cdisc.adam.subject import flag
from fhir2cdisc.adam.verbs import Bools
from fhir2cdisc.adam.whole import is_measured, is_so
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.text import is_among
from fhir2cdisc.core.verbs import described, predecessor
from fhir2cdisc.study import Study

_FROM_DM = ("STUDYID", "USUBJID", "SUBJID", "SITEID", "COUNTRY", "AGE", "AGEU", "SEX", "RACE",
            "ETHNIC", "ARM", "ACTARM")  # fmt: skip

COLUMNS: Mapping[str, Column] = {
    **{name: predecessor(f"DM.{name}") for name in _FROM_DM},
    "TRT01P": described("TRT01P", "DM.ARM"),
    "TRT01A": described("TRT01A", "DM.ACTARM of subjects who were treated"),
    "TRTSEQP": described("TRTSEQP", "Planned sequence of the study, for enrolled subjects"),
    "TRTSEQA": described(
        "TRTSEQA", "Radiotherapy (RT) and drug (PD-1) given, in the order of their first dates"
    ),
    "ENRLFL": described(
        "ENRLFL",
        "Y if there is a disposition ENTERED INTO TRIAL or RANDOMIZED, a date of enrolment, or "
        "protocol treatment; a screen failure only with the first two; else N",
    ),
    "ITTFL": described("ITTFL", "Y for enrolled subjects (ENRLFL), else N"),
    "FASFL": described("FASFL", "Y for enrolled subjects with any protocol treatment, else N"),
    "SAFFL": described(
        "SAFFL",
        "Y for subjects with any protocol radiotherapy or dose of drug that was given (a dose of "
        "0 was not, nor what is NOT DONE or did not occur), also if it was stopped early, else N",
    ),
    "EVLFL": described(
        "EVLFL",
        "Y if FASFL is Y, the subject has a target lesion, the baseline is adequate, and there is "
        "a post-baseline assessment or the subject died; where the study has responses in RS but "
        "no lesion measurements: if FASFL is Y and there is an overall response in RS after TRTSDT "
        "(untreated: STARTDT0) or the subject died; else N",
    ),
    "NIEVLFL": described("NIEVLFL", "Y if EVLFL is Y and NTRGNI is above 0; else N"),
    "MDISFL": described("MDISFL", "Y if a target lesion has a baseline measurement; else N"),
    "BLADEQFL": described(
        "BLADEQFL",
        "Y if an assessment up to TRTSDT (untreated: STARTDT0) has every target lesion, or there "
        "are non-target lesions only, or the study has no lesion measurements at all; else N",
    ),
    "RFICDT": described("RFICDT", "First of DM.RFICDTC and the disposition of informed consent"),
    "ENRLDT": described(
        "ENRLDT",
        "Complete date of the disposition ENTERED INTO TRIAL, else ELIGIBILITY CRITERIA MET, else "
        "INFORMED CONSENT OBTAINED; the latter two not for screen failures",
    ),
    "ENRLSRC": described("ENRLSRC", "Milestone that ENRLDT is taken from"),
    "RANDDT": described("RANDDT", "Date of the disposition RANDOMIZED"),
    "STARTDT0": described(
        "STARTDT0",
        "ENRLDT or TRTSDT, as the study starts its clock; the other where that is missing",
    ),
    "STARTSRC": described("STARTSRC", "Variable that STARTDT0 is taken from"),
    "CUT6DT": described(
        "CUT6DT", "STARTDT0 plus the months of the landmark (6), clipped to the end of the month"
    ),
    "TRTSDT": described(
        "TRTSDT",
        "First of EX.EXSTDTC (dose not 0) and PR.PRSTDTC of protocol radiotherapy, else "
        "DM.RFXSTDTC unless EX or PR says that nothing was given",
    ),
    "TRTEDT": described(
        "TRTEDT",
        "Last of start and end dates of EX and of protocol radiotherapy in PR, else DM.RFXENDTC",
    ),
    "TRTDURD": described("TRTDURD", "TRTEDT - TRTSDT + 1"),
    "RTSDT": described("RTSDT", "First date of protocol radiotherapy in EX and PR"),
    "RTEDT": described("RTEDT", "Last date of protocol radiotherapy in EX and PR"),
    "PD1SDT": described("PD1SDT", "First date of a dose of drug in EX"),
    "PD1EDT": described("PD1EDT", "Last date of a dose of drug in EX"),
    "NRTSITE": described(
        "NRTSITE",
        "Number of sites of protocol radiotherapy in PR, else in EX: courses that treated a common "
        "lesion are of one site; without a lesion the site is the location and side, else the link",
    ),
    "RTDOSTOT": described(
        "RTDOSTOT",
        "Sum over courses and sites of the dose of protocol radiotherapy in Gy (PRDOSE, else "
        "EXDOSE of the same link, else PRFRNUM times PRFRDOSE); missing if one is not known",
    ),
    "NTRGB": described("NTRGB", "Number of target lesions in TU"),
    "NTRGNI": described("NTRGNI", "Number of target lesions with LESGRP of NONIRRAD (see ADLES)"),
    "NTRGIR": described("NTRGIR", "Number of target lesions with LESGRP of IRRAD"),
    "NTRGLD": described("NTRGLD", "Number of target lesions with LESGRP of LOWDOSE"),
    "NACTDT": described(
        "NACTDT",
        "First of CM.CMSTDTC of CMCAT ON-STUDY ANTICANCER and PR.PRSTDTC of radiotherapy off "
        "protocol, on or after STARTDT0; a missing day is the first of the month",
    ),
    "NACTDTF": described("NACTDTF", "D if the day of NACTDT is assumed"),
    "EOTSTT": described(
        "EOTSTT", "COMPLETED, DISCONTINUED or ONGOING, from the disposition of STUDY TREATMENT"
    ),
    "EOTDT": described("EOTDT", "Date of the last disposition of STUDY TREATMENT"),
    "DCTREAS": described("DCTREAS", "DS.DSDECOD of that disposition, unless COMPLETED"),
    "EOSSTT": described(
        "EOSSTT", "COMPLETED, DISCONTINUED or ONGOING, from the disposition of STUDY PARTICIPATION"
    ),
    "EOSDT": described("EOSDT", "Date of the last disposition of STUDY PARTICIPATION"),
    "DCSREAS": described("DCSREAS", "DS.DSDECOD of that disposition, unless COMPLETED"),
    "DTHFL": described("DTHFL", "Y if DM.DTHFL is Y, or DM, DS or SS says that the subject died"),
    "DTHDT": described(
        "DTHDT",
        "DM.DTHDTC, else DS.DSSTDTC of DEATH; a partial date is the later of the assumed day and "
        "the day after the last contact, within the known month or year",
    ),
    "DTHDTF": described("DTHDTF", "D if the day, M if month and day of DTHDT are assumed"),
    "DTHCAUS": described(
        "DTHCAUS",
        "DD primary cause of death, else AEDECOD (AETERM) of the first fatal adverse event "
        "(AESDTH, AEOUT or grade 5)",
    ),
    "DTHCGR1": described(
        "DTHCGR1",
        "PROGRESSIVE DISEASE if DTHCAUS says so; else TREATMENT-RELATED if it says so or a fatal "
        "adverse event is related to treatment; else OTHER; UNKNOWN without a cause",
    ),
    "LSTALVDT": described(
        "LSTALVDT",
        "Latest complete date, not after DTHDT and the data cut-off, of a visit, scan, response, "
        "dose, procedure (what took place), start "
        "of an adverse event or therapy, laboratory or vital sign, survival status ALIVE, consent "
        "or other disposition than death and loss to follow-up",
    ),
}

_LABELS = {
    "ENRLSRC": "Source of Date of Enrollment",
    "EVLFL": "Response Evaluable Population Flag",
    "NIEVLFL": "Non-Irradiated Evaluable Population Flag",
    "MDISFL": "Measurable Disease at Baseline Flag",
    "BLADEQFL": "Adequate Baseline Assessment Flag",
    "STARTDT0": "Study Clock Start Date",
    "STARTSRC": "Source of Study Clock Start Date",
    "CUT6DT": "Date of 6-Month Analysis Cut",
    "RTSDT": "Date of First Radiotherapy",
    "RTEDT": "Date of Last Radiotherapy",
    "PD1SDT": "Date of First Dose of PD-1 Antibody",
    "PD1EDT": "Date of Last Dose of PD-1 Antibody",
    "NRTSITE": "Number of Irradiated Sites",
    "RTDOSTOT": "Total Radiotherapy Dose (Gy)",
    "NTRGB": "Number of Target Lesions at Baseline",
    "NTRGNI": "Number of Non-Irradiated Target Lesions",
    "NTRGIR": "Number of Irradiated Target Lesions",
    "NTRGLD": "Number of Low-Dose Target Lesions",
    "NACTDT": "Date of New Anticancer Therapy",
    "NACTDTF": "Date of New Anticancer Imputation Flag",
    "EOTDT": "End of Treatment Date",
}


def derive(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> Derived:
    """One row for every subject of DM.

    References:
        ADaMIG v1.3, section 3.2.
    """
    dm = data["DM"].dropna(subset=["USUBJID"]).sort_values("USUBJID", kind="stable")
    dm = dm.drop_duplicates("USUBJID").reset_index(drop=True)
    subjects = pd.Index(dm["USUBJID"].astype("str"))
    values = {n: verbs.number(dm, n) if n == "AGE" else verbs.text(dm, n) for n in _FROM_DM}
    entry = subject.enrolment(data, subjects, dm)
    courses = radiotherapy.given_courses(data)
    given = subject.treatment(data, subjects, dm, courses, issues)
    values |= entry.columns | given.columns
    values |= _clock(values, dm, study, issues)
    later = subject.new_therapy(data, subjects, values["STARTDT0"], courses, issues)
    death = subject.survival(data, subjects, dm, study, issues)
    ends = subject.disposition(data, subjects, study)
    values |= later.columns | death.columns | ends.columns
    frame = pd.DataFrame(values)
    frame = frame.assign(**_treatments(frame, study))
    counts, of_lesions = _lesion_counts(frame, data, study)
    frame = frame.assign(**counts)
    frame = frame.assign(**_populations(frame))
    own = pd.DataFrame({"row": range(len(dm)), "parent": "DM", "parent_key": subjects})
    trace = [own, of_lesions, *entry.trace, *given.trace, *later.trace, *death.trace, *ends.trace]
    trace = [t.assign(parent_key=_of_dm(t)) for t in trace]
    return verbs.derived(frame, trace)


def _of_dm(trace: pd.DataFrame) -> pd.Series:
    """DM has no sequence: its records are named by the subject alone."""
    key = trace["parent_key"].astype("str")
    return key.where(trace["parent"] != "DM", key.str.replace(r"\|\d+$", "", regex=True))


def _clock(
    values: Mapping[str, pd.Series], dm: pd.DataFrame, study: Study, issues: Issues
) -> dict[str, pd.Series]:
    """ENRLFL with treatment, STARTDT0, its source, and CUT6DT."""
    enrolled = values["ENRLFL"].eq("Y")
    enrolled |= values["SAFFL"].eq("Y") & ~subject.not_assigned(dm)
    order = ["ENRLDT", "TRTSDT"]
    if study.endpoints.start == "treatment":
        order.reverse()
    first, second = (values[name] for name in order)
    start = first.where(first.notna(), second).where(enrolled)
    source = pd.Series(np.where(first.notna(), *order), dtype="str").where(start.notna())
    who = pd.DataFrame({"USUBJID": values["USUBJID"]})
    missing = (enrolled & start.isna()).to_numpy()
    stand_in = (start.notna() & first.isna()).to_numpy()
    later = enrolled & values["ENRLSRC"].notna() & values["ENRLSRC"].ne("ENTERED INTO TRIAL")
    for code, message, mask in (
        ("AD0002", "ADSL: enrolled subject without any date to start the clock", missing),
        ("AD0005", f"ADSL: STARTDT0 is {order[1]}, because {order[0]} is missing", stand_in),
        ("AD0005", "ADSL: ENRLDT is the date of eligibility or consent", later.to_numpy()),
    ):
        verbs.report(issues, code, message, who, mask, "USUBJID")
    return {
        "ENRLFL": flag(enrolled.to_numpy()),
        "STARTDT0": start,
        "STARTSRC": source,
        "CUT6DT": add_months(start, study.endpoints.months),
    }


def _treatments(frame: pd.DataFrame, study: Study) -> dict[str, pd.Series]:
    enrolled, treated = frame["ENRLFL"].eq("Y"), frame["SAFFL"].eq("Y")
    planned = pd.Series(study.treatment.sequence, index=frame.index, dtype="str")
    return {
        "TRT01P": frame["ARM"],
        "TRT01A": frame["ACTARM"].where(treated),
        "TRTSEQP": planned.where(enrolled),
        "TRTDURD": (frame["TRTEDT"] - frame["TRTSDT"]).dt.days + 1.0,
        "EOTSTT": frame["EOTSTT"].where(treated),
        "EOSSTT": frame["EOSSTT"].where(enrolled),
    }


def _lesion_counts(
    frame: pd.DataFrame, data: Mapping[str, pd.DataFrame], study: Study
) -> tuple[dict[str, pd.Series], pd.DataFrame]:
    """Target lesions by group; measurable, adequate and later assessments as booleans; the trace.

    A study that has responses but no measurements has no targets to ask for: then what the reader
    said after baseline is the assessment. What is wrong with lesions and measurements is reported
    where ADTR is derived, not here too.
    """
    found = lesion.lesions(data, study, Issues())
    limit = lesion.baseline_limit(frame)
    assessed = lesion.assessments(data, found, study, Issues(), limit)
    post = assessed.visits["post"].to_numpy(dtype=bool)
    grid = sums.target_grid(found, assessed, study)
    total = sums.sums(found, assessed, grid, "ALL", "value")
    has_sum = total["base"].notna().to_numpy(dtype=bool)
    based = assessed.visits["USUBJID"].take(total["visit"].to_numpy(dtype=np.int64)[has_sum])
    at_baseline = ~grid["post"].to_numpy(dtype=bool) & grid["value"].notna().to_numpy()
    has_base = np.zeros(len(found), dtype=bool)
    has_base[grid["lesion"].to_numpy()[at_baseline]] = True
    subjects = pd.Index(frame["USUBJID"])
    owner = subjects.get_indexer(pd.Index(found["USUBJID"]))
    target = found["ROLE"].eq("TARGET").to_numpy()
    group = found["LESGRP"]

    def count(lesions: np.ndarray) -> pd.Series:
        kept = lesions & (owner >= 0)
        return pd.Series(np.bincount(owner[kept], minlength=len(subjects)).astype("float64"))

    only_read = not is_measured(data, study)
    seen = is_among(subjects, assessed.visits["USUBJID"][post])
    if only_read:
        seen = _has_response(collected.read_responses(data, study, subjects, Issues()), limit)
    known = np.flatnonzero(target & (owner >= 0) & found["TUSEQ"].notna().to_numpy())
    trace = verbs.parents(owner[known], "TU", found, "TUSEQ", known)
    complete = pd.Series(is_among(subjects, based))
    only_others = (count(target) == 0) & (count(found["ROLE"].eq("NON-TARGET").to_numpy()) > 0)
    columns = {
        "NTRGB": count(target),
        "NTRGNI": count(target & group.eq("NONIRRAD").to_numpy()),
        "NTRGIR": count(target & group.eq("IRRAD").to_numpy()),
        "NTRGLD": count(target & group.eq("LOWDOSE").to_numpy()),
        "TARGET": (count(target) > 0) | only_read,
        "MEASURED": count(target & has_base) > 0,
        "ADEQUATE": complete | only_others | (not is_so(data, study, "measured")),
        "LATER": pd.Series(seen) | frame["DTHFL"].eq("Y"),
    }
    return columns, trace


def _has_response(reader: pd.DataFrame, limit: pd.Series) -> Bools:
    """True for subjects with an overall response of the study's reader after baseline."""
    said = reader[(reader["reader"] == "INV") & (reader["test"] == "OVR")]
    subject = said["subject"].to_numpy(dtype=np.int64)
    last = verbs.days_of(limit)[subject]
    out = np.zeros(len(limit), dtype=bool)
    out[subject[(said["day"].to_numpy() > last) | (last == verbs.NO_DAY)]] = True
    return out


def _populations(frame: pd.DataFrame) -> dict[str, pd.Series]:
    enrolled = frame["ENRLFL"].eq("Y")
    full = enrolled & frame["SAFFL"].eq("Y")
    evaluable = full & frame["TARGET"] & frame["ADEQUATE"] & frame["LATER"]
    return {
        "ITTFL": flag(enrolled.to_numpy()),
        "FASFL": flag(full.to_numpy()),
        "EVLFL": flag(evaluable.to_numpy()),
        "NIEVLFL": flag((evaluable & (frame["NTRGNI"] > 0)).to_numpy()),
        "MDISFL": flag(frame["MEASURED"].to_numpy()),
        "BLADEQFL": flag(frame["ADEQUATE"].to_numpy()),
    }


ADSL = Derivation(
    name="ADSL",
    label="Subject-Level Analysis Dataset",
    keys=("USUBJID",),
    needs=("DM",),
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, _LABELS),
)
