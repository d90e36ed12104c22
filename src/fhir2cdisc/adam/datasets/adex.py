"""ADEX: what each treated subject was given, of radiotherapy and of the drug, summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from fhir2cdisc.adam import radiotherapy, verbs
from fhir2cdisc.adam.verbs import Floats, Ints
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study


class Parameter(NamedTuple):
    """A parameter: its text and category, and where its records come from.

    `source` is ``RT`` (the records of `radiotherapy.delivered`), ``EX`` (the doses of drug),
    ``ADSL``, or the PARAMCD of another record. The rules are in `adam/rules.py`.
    """

    param: str
    category: str
    source: str


RT, DRUG, ALL = "RADIOTHERAPY", "PD-1 ANTIBODY", "OVERALL"

PARAMETERS: Mapping[str, Parameter] = {
    "PDCUM": Parameter("Cumulative Dose of PD-1 Antibody (mg)", DRUG, "EX"),
    "PDCYC": Parameter("Number of Cycles of PD-1 Antibody", DRUG, "PDDOSE"),
    "PDDI": Parameter("Dose Intensity of PD-1 Antibody (mg/week)", DRUG, "PDCUM"),
    "PDDOSE": Parameter("Number of Doses of PD-1 Antibody", DRUG, "EX"),
    "PDDUR": Parameter("Duration of PD-1 Antibody (days)", DRUG, "ADSL"),
    "PDRDI": Parameter("Relative Dose Intensity of PD-1 Antibody (%)", DRUG, "EX"),
    "RTBED": Parameter("Highest BED of an Irradiated Site (Gy)", RT, "RT"),
    "RTCOMPL": Parameter("Radiotherapy Completed", RT, "RT"),
    "RTDOSE": Parameter("Total Radiotherapy Dose (Gy)", RT, "RT"),
    "RTDUR": Parameter("Duration of Radiotherapy (days)", RT, "ADSL"),
    "RTFRAC": Parameter("Number of Radiotherapy Fractions", RT, "RT"),
    "RTSITE": Parameter("Number of Irradiated Sites", RT, "RT"),
    "TRTDUR": Parameter("Duration of Treatment (days)", ALL, "ADSL"),
}

_CODES = tuple(PARAMETERS)
_PERIOD = {RT: ("RTSDT", "RTEDT"), DRUG: ("PD1SDT", "PD1EDT"), ALL: ("TRTSDT", "TRTEDT")}
_IN_MG = {"MG": 1.0, "G": 1000.0, "UG": 0.001}

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "PARCAT1": described("PARCAT1", "RADIOTHERAPY, PD-1 ANTIBODY or OVERALL"),
    "PARAM": described("PARAM", "Text of PARAMCD; with the alpha/beta of RTBED"),
    "PARAMCD": described("PARAMCD", "Short name of the parameter"),
    "AVAL": described("AVAL", "The value of the parameter; RTCOMPL: 1 Y, 0 N"),
    "AVALC": described("AVALC", "RTCOMPL: Y or N"),
    "ASTDT": described("ASTDT", "By PARCAT1 RTSDT, PD1SDT or TRTSDT"),
    "AENDT": described("AENDT", "By PARCAT1 RTEDT, PD1EDT or TRTEDT"),
    "ASEQ": verbs.ASEQ,
}


def derive(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> Derived:
    """A record for every treated subject and parameter that has a value.

    References:
        ADaMIG v1.3, section 3.3 (BDS).
    """
    adsl = data["ADSL"]
    subjects = pd.Index(adsl["USUBJID"].astype("str"))
    rays, drug = _of_subjects(data, subjects)
    values = {
        **_radiotherapy(rays, adsl, study, issues),
        **_drug(drug, adsl, study, issues),
        "RTDUR": _days(adsl, "RTSDT", "RTEDT"),
        "PDDUR": _days(adsl, "PD1SDT", "PD1EDT"),
        "TRTDUR": _days(adsl, "TRTSDT", "TRTEDT"),
    }
    treated = adsl["SAFFL"].eq("Y").to_numpy(dtype=bool)
    table = np.where(treated[:, None], np.column_stack([values[code] for code in _CODES]), np.nan)
    subject, code = np.nonzero(~np.isnan(table))
    records = pd.DataFrame({"subject": subject, "code": code, "AVAL": table[subject, code]})
    names = [PARAMETERS[c].param for c in _CODES]
    names[_CODES.index("RTBED")] += f", a/b {study.radiotherapy.alpha_beta:g}"
    records["PARAM"], records["PARAMCD"] = verbs.texts(names, code), verbs.texts(_CODES, code)
    records["PARCAT1"] = verbs.texts([PARAMETERS[c].category for c in _CODES], code)
    complete = (code == _CODES.index("RTCOMPL")) * (1 + records["AVAL"].eq(1).to_numpy(np.int64))
    records["AVALC"] = verbs.texts([None, "N", "Y"], complete)
    for name, end in (("ASTDT", 0), ("AENDT", 1)):
        dates = pd.Series(pd.NaT, index=records.index, dtype="datetime64[s]")
        for category, period in _PERIOD.items():
            of_category = verbs.date(adsl, period[end]).take(subject).set_axis(records.index)
            dates = dates.where(records["PARCAT1"] != category, of_category)
        records[name] = dates
    records["ADT"] = records["AENDT"]
    frame = verbs.complete_records(records, adsl, ("USUBJID", "PARAMCD"))
    return verbs.derived(frame, _trace(frame, _with_exposures(rays, data), drug))


def _of_subjects(
    data: Mapping[str, pd.DataFrame], subjects: pd.Index
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was given, with ``subject`` (the row in ADSL): radiotherapy, doses of drug."""
    rays = radiotherapy.delivered(radiotherapy.given_courses(data), data)
    doses = radiotherapy.given_doses(data)
    doses = doses[~doses["radiation"].to_numpy(dtype=bool)]
    day = verbs.days_of(verbs.date(doses, "EXSTDTC"))
    unit = verbs.text(doses, "EXDOSU").str.upper()
    mass = unit.map(_IN_MG).astype("float64")
    drug = pd.DataFrame(
        {
            "USUBJID": doses["USUBJID"],
            "domain": "EX",
            "SEQ": verbs.number(doses, "EXSEQ"),
            "day": day,
            "dose": verbs.number(doses, "EXDOSE") * mass.fillna(1.0),
            "kind": verbs.text(doses, "EXTRT").fillna("") + "|" + unit.mask(mass.notna(), "MG"),
            "mg": mass.notna(),
        }
    )
    parts = [f.assign(subject=subjects.get_indexer(pd.Index(f["USUBJID"]))) for f in (rays, drug)]
    rays, drug = (f[f["subject"] >= 0].reset_index(drop=True) for f in parts)
    return rays, drug


def _with_exposures(rays: pd.DataFrame, data: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The radiotherapy and, where its dose is that of EX, the records of EX."""
    doses = radiotherapy.exposures(data).rename(columns={"link": "exposure", "EXSEQ": "SEQ"})
    linked = rays[["USUBJID", "exposure"]].dropna().merge(doses, on=["USUBJID", "exposure"])
    return pd.concat([rays, linked.assign(domain="EX")], ignore_index=True)


def _days(adsl: pd.DataFrame, first: str, last: str) -> Floats:
    elapsed = (verbs.date(adsl, last) - verbs.date(adsl, first)).dt.days
    return np.asarray(elapsed + 1, dtype=np.float64)


def _highest(values: Floats, code: Ints, size: int) -> Floats:
    """For each code the highest value above 0; missing where one is, or where there is none."""
    out = np.zeros(size)
    np.maximum.at(out, code, np.where(np.isnan(values), np.inf, values))
    return np.where((out > 0) & np.isfinite(out), out, np.nan)


def _radiotherapy(
    rays: pd.DataFrame, adsl: pd.DataFrame, study: Study, issues: Issues
) -> dict[str, Floats]:
    size = len(adsl)
    subject = rays["subject"].to_numpy(dtype=np.int64)
    bed = radiotherapy.biologically_effective_dose(
        rays["RTDOSE"], rays["RTFRAC"], rays["RTFRDOSE"], study.radiotherapy.alpha_beta
    )
    sites = rays[["subject", "site"]].drop_duplicates()
    of_site = np.asarray(rays.groupby(["subject", "site"], sort=False).ngroup(), dtype=np.int64)
    site_bed = verbs.total(bed, of_site, len(sites))
    owner = sites["subject"].to_numpy(dtype=np.int64)
    stopped = verbs.total(rays["complete"].eq("N"), subject, size)
    finished = verbs.total(rays["complete"].eq("Y"), subject, size)
    courses = np.bincount(subject, minlength=size)
    dose = verbs.total(rays["RTDOSE"], subject, size)
    verbs.report(
        issues, "AD0022", "radiotherapy: dose of a course and site is missing", adsl,
        (courses > 0) & np.isnan(dose), "USUBJID",
    )  # fmt: skip
    return {
        "RTBED": _highest(site_bed, owner, size),
        "RTCOMPL": np.select([stopped > 0, (courses > 0) & (finished == courses)], [0, 1], np.nan),
        "RTDOSE": dose,
        "RTFRAC": verbs.total(rays["RTFRAC"], subject, size),
        "RTSITE": adsl["NRTSITE"].to_numpy(np.float64),
    }


def _drug(
    drug: pd.DataFrame, adsl: pd.DataFrame, study: Study, issues: Issues
) -> dict[str, Floats]:
    size, interval = len(adsl), study.treatment.dose_interval_days
    dated = (drug["day"] != verbs.NO_DAY).to_numpy()
    subject = drug["subject"].to_numpy(dtype=np.int64)
    undated = np.bincount(subject[~dated], minlength=size)
    of_day = np.asarray(drug[dated].groupby(["subject", "day"]).ngroup(), dtype=np.int64)
    days = drug.loc[dated, ["subject", "day"]].drop_duplicates().sort_values(["subject", "day"])
    who, when = days["subject"].to_numpy(dtype=np.int64), days["day"].to_numpy(dtype=np.int64)
    gap = np.diff(when, prepend=0)
    new_cycle = verbs.segment_starts(who) | (2 * gap >= interval)
    doses = (np.bincount(who, minlength=size) + undated).astype(np.float64)

    one_kind = drug.groupby("subject")["kind"].nunique(dropna=False).reindex(range(size)).eq(1)
    known = verbs.total(drug["dose"].where(drug["kind"].notna()), subject, size)
    known = np.where(one_kind, known, np.nan)
    in_mg = np.bincount(subject, ~drug["mg"], minlength=size) == 0
    day_dose = verbs.total(drug["dose"][dated], of_day, len(days))
    planned = study.treatment.planned_dose or _highest(day_dose, who, size)
    span = _days(adsl, "PD1SDT", "PD1EDT") - 1 + interval
    span = np.where(undated > 0, np.nan, span)
    verbs.report(
        issues, "AD0022", "EX: doses of drug are not all given, in one unit and of one drug", adsl,
        (doses > 0) & np.isnan(known), "USUBJID",
    )  # fmt: skip
    cumulative = np.where(in_mg, known, np.nan)
    return {
        "PDCUM": cumulative,
        "PDCYC": np.where(
            (doses > 0) & (undated == 0), np.bincount(who, new_cycle, minlength=size), np.nan
        ),
        "PDDI": cumulative / (span / 7),
        "PDDOSE": np.where(doses > 0, doses, np.nan),
        "PDRDI": 100 * known / planned / (span / interval),
    }


def _trace(frame: pd.DataFrame, rays: pd.DataFrame, drug: pd.DataFrame) -> list[pd.DataFrame]:
    """Each record comes from the treatments it sums up, from ADSL, or from another of its kind."""
    subjects = pd.Index(frame["USUBJID"]).unique()
    rows = pd.DataFrame({"row": np.arange(len(frame)), "USUBJID": frame["USUBJID"]})
    source = frame["PARAMCD"].map({code: p.source for code, p in PARAMETERS.items()})
    lines = []
    for given, name in ((rays, "RT"), (drug, "EX")):
        pairs = rows[source == name].merge(given.assign(at=given.index)[["USUBJID", "at"]])
        at = pairs["at"].to_numpy(dtype=np.int64)
        keys = verbs.record_keys(given, "SEQ")
        found = verbs.parents_of(pairs["row"].to_numpy(), "EX", keys, at)
        found["parent"] = given["domain"].take(at).to_numpy()
        lines.append(found)
    own = rows[source == "ADSL"]["row"].to_numpy()
    lines.append(verbs.parents_of(own, "ADSL", frame["USUBJID"], own))
    position: Ints = subjects.get_indexer(pd.Index(frame["USUBJID"]))
    keys = verbs.record_keys(frame, "ASEQ")
    for code in set(PARAMETERS) & {p.source for p in PARAMETERS.values()}:
        at_subject = np.full(len(subjects), -1)
        there = np.flatnonzero(frame["PARAMCD"] == code)
        at_subject[position[there]] = there
        using = np.flatnonzero(source == code)
        lines.append(verbs.parents_of(using, "ADEX", keys, at_subject[position[using]]))
    return lines


ADEX = Derivation(
    name="ADEX",
    label="Exposure Summary Analysis Dataset",
    keys=("USUBJID", "PARAMCD"),
    needs=("ADSL",),
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, {}),
)
