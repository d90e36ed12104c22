"""What happened to each subject: enrolment, treatment, new therapy, death, contact, disposition.

Every function takes the SDTM frames and the subjects (an Index of USUBJID) and returns columns in
the order of the subjects, with the trace of the records they were taken from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from fhir2cdisc.adam import adverse_event, radiotherapy, verbs
from fhir2cdisc.adam.dated import Dates, chosen, pick
from fhir2cdisc.adam.imputation import impute_death, impute_start
from fhir2cdisc.adam.verbs import Bools
from fhir2cdisc.adam.whole import is_so
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.text import is_among
from fhir2cdisc.sdtm.contact import contacts
from fhir2cdisc.study import Study

Frames = Mapping[str, pd.DataFrame]

# Words of a cause of death.
_BY_DISEASE = "PROGRESS|DISEASE UNDER STUDY|NEOPLASM|CANCER"
_BY_TREATMENT = r"(?:TREATMENT|DRUG|THERAPY).RELATED|TOXICITY"


class Columns(NamedTuple):
    """Variables (`columns`) by name, and lines of a trace."""

    columns: dict[str, pd.Series]
    trace: list[pd.DataFrame]


def enrolment(data: Frames, subjects: pd.Index, dm: pd.DataFrame) -> Columns:
    """RFICDT, ENRLDT with its source, RANDDT and ENRLFL (before treatment is looked at).

    The date of enrolment is that of the first milestone that has one: entry into the trial,
    eligibility, informed consent. A screen failure is enrolled only if it entered the trial.
    """
    consent = [
        Dates("DM", dm, "RFICDTC"),
        Dates("DS", chosen(data, "DS", DSDECOD="INFORMED CONSENT OBTAINED"), "DSSTDTC"),
    ]
    entered = chosen(data, "DS", DSDECOD="ENTERED INTO TRIAL")
    eligible = chosen(data, "DS", DSDECOD="ELIGIBILITY CRITERIA MET")
    randomised = chosen(data, "DS", DSDECOD="RANDOMIZED")
    ranked = {
        "ENTERED INTO TRIAL": pick([Dates("DS", entered, "DSSTDTC")], subjects, last=False),
        "ELIGIBILITY CRITERIA MET": pick([Dates("DS", eligible, "DSSTDTC")], subjects, last=False),
        "INFORMED CONSENT OBTAINED": pick(consent, subjects, last=False),
    }
    failed = not_assigned(dm)
    date = pd.Series(pd.NaT, index=range(len(subjects)), dtype="datetime64[s]")
    source = _text(subjects)
    trace: list[pd.DataFrame] = []
    for name, picked in ranked.items():
        usable = picked.date.where(~failed | (name == "ENTERED INTO TRIAL"))
        new = (date.isna() & usable.notna()).to_numpy()
        date, source = date.mask(new, usable), source.mask(new, name)
        trace += [t[new[t["row"].to_numpy()]] for t in picked.trace()]
    member = is_among(subjects, entered["USUBJID"]) | is_among(subjects, randomised["USUBJID"])
    return Columns(
        {
            "RFICDT": ranked["INFORMED CONSENT OBTAINED"].date,
            "ENRLDT": date,
            "ENRLSRC": source,
            "RANDDT": pick([Dates("DS", randomised, "DSSTDTC")], subjects, last=False).date,
            "ENRLFL": flag(member | date.notna().to_numpy()),
        },
        trace,
    )


def not_assigned(dm: pd.DataFrame) -> Bools:
    """True for screen failures and those never assigned to treatment (SDTMIG v3.4 and before)."""
    reason = verbs.text(dm, "ARMNRS").str.upper().isin(["SCREEN FAILURE", "NOT ASSIGNED"])
    code = verbs.text(dm, "ARMCD").str.upper().isin(["SCRNFAIL", "NOTASSGN"])
    return (reason | code).to_numpy(dtype=bool)


def treatment(
    data: Frames, subjects: pd.Index, dm: pd.DataFrame, pr: pd.DataFrame, issues: Issues
) -> Columns:
    """First and last protocol treatment, of all, of radiotherapy and of the drug; dose and sites.

    Treatment is what was given by EX and by protocol courses of PR (`pr` are its given courses),
    so that radiotherapy that is recorded in PR alone starts the treatment too. DM.RFXSTDTC and
    RFXENDTC stand in where these have no date or no record of the subject, not where they say that
    nothing was given.
    """
    ex = radiotherapy.given_doses(data)
    radiation = ex["radiation"].to_numpy(dtype=bool)
    rays, drug = ex[radiation].reset_index(drop=True), ex[~radiation].reset_index(drop=True)
    course = pr[pr["protocol"].to_numpy(dtype=bool)].reset_index(drop=True)
    by_rays = [Dates("EX", rays, "EXSTDTC"), Dates("PR", course, "PRSTDTC")]
    end_rays = [Dates("EX", rays, "EXENDTC"), Dates("PR", course, "PRENDTC"), *by_rays]
    by_drug = [Dates("EX", drug, "EXSTDTC")]
    end_drug = [Dates("EX", drug, "EXENDTC"), *by_drug]
    first = pick([*by_rays, *by_drug], subjects, last=False)
    last = pick([*end_rays, *end_drug], subjects, last=True)
    treated = is_among(subjects, ex["USUBJID"]) | is_among(subjects, course["USUBJID"])
    planned = chosen(data, "PR", PRCAT=radiotherapy.RADIATION)["USUBJID"]
    denied = is_among(subjects, planned) & ~is_among(subjects, pr["USUBJID"])
    denied |= is_among(subjects, chosen(data, "EX")["USUBJID"])
    start, end = first.date, last.date
    start = start.where(start.notna(), verbs.date(dm, "RFXSTDTC").where(treated | ~denied))
    end = end.where(end.notna(), verbs.date(dm, "RFXENDTC")).where(start.notna())
    treated |= start.notna().to_numpy()
    verbs.report(
        issues, "AD0021", "ADSL: TRTSDT is missing", pd.DataFrame({"USUBJID": subjects}),
        treated & start.isna().to_numpy(), "USUBJID",
    )  # fmt: skip
    rt, pd1 = (pick(s, subjects, last=False).date for s in (by_rays, by_drug))
    return Columns(
        {
            "TRTSDT": start,
            "TRTEDT": end.where(end.isna() | (end >= start), start),
            "RTSDT": rt,
            "RTEDT": pick(end_rays, subjects, last=True).date,
            "PD1SDT": pd1,
            "PD1EDT": pick(end_drug, subjects, last=True).date,
            "TRTSEQA": _sequence(rt, pd1, subjects),
            "SAFFL": flag(np.asarray(treated)),
            **_radiation_given(radiotherapy.delivered(pr, data), subjects),
        },
        [*first.trace(), *last.trace()],
    )


def _sequence(rt: pd.Series, pd1: pd.Series, subjects: pd.Index) -> pd.Series:
    cases = [rt.notna() & (pd1.isna() | (rt <= pd1)), pd1.notna()]
    first = np.select(cases, ["RT", "PD-1"], "")
    second = np.where(rt.notna() & pd1.notna(), np.where(first == "RT", " + PD-1", " + RT"), "")
    both = pd.Series(first, dtype="str") + pd.Series(second, dtype="str")
    return both.where(both != "").set_axis(range(len(subjects)))


def _radiation_given(given: pd.DataFrame, subjects: pd.Index) -> dict[str, pd.Series]:
    """NRTSITE and RTDOSTOT (Gy); a total is missing where the dose of a site is."""
    code = subjects.get_indexer(pd.Index(given["USUBJID"]))
    given, code = given[code >= 0], code[code >= 0]
    sites = pd.Series(code).groupby(given["site"].to_numpy()).first()
    one = pd.Series(1.0, index=sites.index)
    return {
        "NRTSITE": pd.Series(verbs.total(one, sites.to_numpy(), len(subjects))),
        "RTDOSTOT": pd.Series(verbs.total(given["RTDOSE"], code, len(subjects))),
    }


def new_therapy(
    data: Frames, subjects: pd.Index, start: pd.Series, pr: pd.DataFrame, issues: Issues
) -> Columns:
    """NACTDT: the first new anticancer therapy on or after the start, and NACTDTF.

    Systemic therapy from CM and radiotherapy off protocol from PR. Of a partial date only the
    day is assumed, the first of the month: a known year says too little to end the observation.
    """
    cm = chosen(data, "CM", CMCAT="ON-STUDY ANTICANCER")
    off = pr[~pr["protocol"].to_numpy(dtype=bool)].reset_index(drop=True)
    sources = []
    for domain, frame, variable in (("CM", cm, "CMSTDTC"), ("PR", off, "PRSTDTC")):
        bound = start.set_axis(subjects).reindex(frame["USUBJID"]).set_axis(frame.index)
        date, assumed = impute_start(verbs.text(frame, variable), bound)
        unused = assumed.eq("M") | date.isna()
        sources.append(Dates(domain, frame.assign(DATE=date.mask(unused), DTF=assumed), "DATE"))
        verbs.report(
            issues, "AD0003", f"{domain}: start of a new anticancer therapy, day assumed",
            frame, assumed.eq("D").to_numpy(), "USUBJID", f"{domain}SEQ",
        )  # fmt: skip
        verbs.report(
            issues, "AD0003", f"{domain}: start of a new anticancer therapy is not known well "
            "enough and was not used", frame, unused.to_numpy(), "USUBJID", f"{domain}SEQ",
        )  # fmt: skip
    picked = pick(sources, subjects, last=False, not_before=start)
    return Columns({"NACTDT": picked.date, "NACTDTF": picked.values("DTF")}, picked.trace())


def survival(
    data: Frames, subjects: pd.Index, dm: pd.DataFrame, study: Study, issues: Issues
) -> Columns:
    """DTHDT, DTHDTF, DTHFL, DTHCAUS, DTHCGR1 and LSTALVDT.

    Death is what DM, a disposition DEATH or a survival status DEAD says; its date that of DM,
    else of the disposition. A partial date of death is assumed after the last contact. No record
    after death proves anybody alive.
    """
    died = chosen(data, "DS", DSDECOD="DEATH")
    status = chosen(data, "SS", SSTESTCD="SURVSTAT")
    state = verbs.text(status, "SSSTRESC").str.upper()
    dead = verbs.text(dm, "DTHFL").eq("Y") | verbs.text(dm, "DTHDTC").notna()
    dead |= is_among(subjects, died["USUBJID"])
    dead |= is_among(subjects, status["USUBJID"][state.eq("DEAD").to_numpy()])
    dtc = verbs.text(dm, "DTHDTC")
    of_ds = died.assign(DTC=verbs.text(died, "DSSTDTC")).dropna(subset=["DTC"])
    first = of_ds.sort_values("DTC").drop_duplicates("USUBJID").set_index("USUBJID")["DTC"]
    own_date = dtc.notna()
    dtc = dtc.where(own_date, first.reindex(subjects).astype("str").set_axis(dtc.index))

    sources = [Dates(*contact) for contact in contacts(data)]
    latest = pick(sources, subjects, last=True)
    death = impute_death(dtc, latest.date, study.endpoints.death_day)
    if study.study.data_cutoff is not None:  # a partial date may mean a day beyond it
        limit = pd.Timestamp(study.study.data_cutoff)
        death = death._replace(date=death.date.mask(death.date > limit, limit))
    proof = pick(sources, subjects, last=True, not_after=death.date)
    who = pd.DataFrame({"USUBJID": subjects})
    partial = death.flag.notna().to_numpy()
    verbs.report(
        issues, "AD0003", "DM: date of death, day or month assumed", who, partial, "USUBJID"
    )
    undated = (dead & death.date.isna()).to_numpy(dtype=bool)
    verbs.report(issues, "AD0004", "DM: death without a usable date", who, undated, "USUBJID")
    from_ds = (~own_date & dtc.notna()).to_numpy(dtype=bool)
    verbs.report(issues, "AD0010", "DM: DTHDTC is empty", who, from_ds, "USUBJID")
    ae = adverse_event.events(data)
    return Columns(
        {
            "DTHDT": death.date,
            "DTHDTF": death.flag,
            "DTHFL": pd.Series("Y", index=dm.index, dtype="str").where(dead),
            **_cause(data, ae, subjects, dead, study),
            "LSTALVDT": proof.date,
        },
        proof.trace(),
    )


def _cause(
    data: Frames, ae: pd.DataFrame, subjects: pd.Index, dead: pd.Series, study: Study
) -> dict[str, pd.Series]:
    """DTHCAUS: primary cause of DD, else the fatal adverse event; and its group DTHCGR1."""
    by_event = adverse_event.fatal(ae).to_numpy(dtype=bool)
    related = adverse_event.related(ae, study).to_any().to_numpy(dtype=bool)
    fatal = ae[by_event].reset_index(drop=True)
    term = verbs.text(fatal, "AEDECOD").fillna(verbs.text(fatal, "AETERM"))
    reviewed = chosen(data, "DD", DDTESTCD="PRCDTH")
    cause = _text(subjects)
    for frame, text, sequence in (
        (reviewed, verbs.text(reviewed, "DDSTRESC"), "DDSEQ"),
        (fatal, term, "AESEQ"),
    ):
        named = frame.assign(TEXT=text, SEQ=verbs.number(frame, sequence)).dropna(subset=["TEXT"])
        named = named.sort_values(["USUBJID", "SEQ"]).drop_duplicates("USUBJID")
        one = named.set_index("USUBJID")["TEXT"].reindex(subjects).astype("str")
        cause = cause.where(cause.notna(), one.set_axis(cause.index))
    known = cause.str.upper()
    group = np.select(
        [
            known.str.contains(_BY_DISEASE).eq(other=True),
            is_among(subjects, ae["USUBJID"][by_event & related])
            | known.str.contains(_BY_TREATMENT).eq(other=True),
            known.notna() & known.ne("UNKNOWN"),
        ],
        ["PROGRESSIVE DISEASE", "TREATMENT-RELATED", "OTHER"],
        "UNKNOWN",
    )
    return {
        "DTHCAUS": cause.where(dead),
        "DTHCGR1": pd.Series(group, dtype="str").where(dead),
    }


def disposition(data: Frames, subjects: pd.Index, study: Study) -> Columns:
    """End of study and of treatment: status, date and reason, from the last disposition event.

    Whoever has no event is ongoing, in a study that records such events at all; else unknown.
    """
    ds = chosen(data, "DS", DSCAT="DISPOSITION EVENT")
    kind = verbs.text(ds, "DSSCAT").str.upper().fillna("STUDY PARTICIPATION")
    values: dict[str, pd.Series] = {}
    trace: list[pd.DataFrame] = []
    for scope, (status, date, reason) in {
        "STUDY PARTICIPATION": ("EOSSTT", "EOSDT", "DCSREAS"),
        "STUDY TREATMENT": ("EOTSTT", "EOTDT", "DCTREAS"),
    }.items():
        events = ds[kind.eq(scope).to_numpy()].reset_index(drop=True)
        events = events.assign(DAY=verbs.date(events, "DSSTDTC"))
        # An event without a complete date still ends: it is put before every dated one.
        day = events["DAY"].fillna(pd.Timestamp("1900-01-01"))
        picked = pick([Dates("DS", events.assign(ORDER=day), "ORDER")], subjects, last=True)
        term = picked.values("DSDECOD")
        ended = pd.Series(picked.found(), index=term.index)
        completed = ended & term.eq("COMPLETED")
        ongoing = "ONGOING" if is_so(data, study, scope) else np.nan
        state = pd.Series(ongoing, index=term.index, dtype="str")
        values[status] = state.mask(ended, "DISCONTINUED").mask(completed, "COMPLETED")
        values[date] = picked.date.where(picked.date > pd.Timestamp("1900-01-01"))
        values[reason] = term.mask(completed)
        trace += picked.trace()
    return Columns(values, trace)


def flag(true: Bools) -> pd.Series:
    """A population flag: Y or N."""
    return pd.Series(np.where(true, "Y", "N"), dtype="str")


def _text(subjects: pd.Index) -> pd.Series:
    return pd.Series(np.nan, index=range(len(subjects)), dtype="str")
