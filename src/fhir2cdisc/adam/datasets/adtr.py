"""ADTR: sums of diameters and of volumes of the target lesions, by lesion group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, response, sums, verbs
from fhir2cdisc.adam.evaluation import Evaluation
from fhir2cdisc.adam.lesion import MICRONS
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

_OF_GROUP = {
    "ALL": "Target Lesions",
    "NONIRRAD": "Non-Irradiated Target Lesions",
    "IRRAD": "Irradiated Target Lesions",
    "LOWDOSE": "Low-Dose Target Lesions",
}
_OF_MEASURE = {
    "value": ("SDIAM", "Sum of Diameters of {} (mm)"),
    "volume": ("SVOL", "Sum of Volumes of {} (mm3)"),
    "change": ("VPCHG", "Mean Percent Change of Volumes of {} (%)"),
}
# In the order of PARAMCD, which is the order of the records.
PARAMETERS = {
    code + sums.GROUPS[group]: (param.format(_OF_GROUP[group]), group, measure)
    for measure, (code, param) in _OF_MEASURE.items()
    for group in ("ALL", "IRRAD", "LOWDOSE", "NONIRRAD")
}
_CODES = tuple(PARAMETERS)
BY_SPHERE = "VOLUME FROM ONE DIAMETER: NOT INDEPENDENT OF THE DIAMETER"

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "PARAM": described("PARAM", "Text of PARAMCD"),
    "PARAMCD": described(
        "PARAMCD",
        "SDIAM sum of diameters, SVOL sum of volumes, VPCHG mean over the lesions of the percent "
        "change of their volumes since the baseline of SVOL (the sum is that of the large ones); "
        "ending NI: of lesions with SUPPTU.TUIRRAD of N, ending IR: of Y, ending LD: with "
        "SUPPTU.TUIRRLVL of LOW-DOSE, no ending: of all target lesions. Of a node the diameter is "
        "the short axis (LPERP, or DIAMETER), else the longest one (LDIAM, or DIAMETER). A volume "
        "is the one collected if the lesion has one at baseline, else that of an ellipsoid of both "
        "diameters with the shorter as third axis, else of a sphere (then it says nothing that "
        "the diameter does not)",
    ),
    "PARCAT1": described("PARCAT1", "Target Lesion(s)"),
    "PARCAT2": described("PARCAT2", "TR.TREVAL of the records used (setting evaluator)"),
    "PARCAT3": described("PARCAT3", "Response criteria (setting criteria)"),
    "PARCAT4": described("PARCAT4", "Lesion group: ALL, NONIRRAD, IRRAD or LOWDOSE"),
    "ADT": described(
        "ADT", "Last scan date (TR.TRDTC) of the lesions in the sum, else of the assessment"
    ),
    "ADY": verbs.ADY,
    **verbs.VISIT_COLUMNS,
    "VISITNUM": described("VISITNUM", "TR.VISITNUM"),
    "VISIT": described("VISIT", "TR.VISIT"),
    "TRLNKGRP": described(
        "TRLNKGRP",
        "TR.TRLNKGRP; where it is missing, scans up to the first treatment are one assessment, "
        "and later ones are a new assessment after a gap longer than assessment_gap_days",
    ),
    "AVAL": described(
        "AVAL",
        "Sum over the lesions assessed (LSASS), also where some expected are missing; too small "
        "to measure is 5 mm, disappeared 0; the parts of a split lesion are added, merged lesions "
        "are one. VPCHG: only where all lesions were assessed",
    ),
    "VOLNOTE": described(
        "VOLNOTE", "SVOL, VPCHG: the warning, if a volume in AVAL is that of a sphere"
    ),
    "BASE": described("BASE", "AVAL of the record with ABLFL of Y"),
    "CHG": described("CHG", "AVAL - BASE, of post-baseline records with ANL01FL of Y"),
    "PCHG": described("PCHG", "100 * CHG / BASE, not rounded"),
    "NADIR": described(
        "NADIR",
        "Smallest AVAL with ANL01FL of Y at baseline or at an earlier post-baseline assessment",
    ),
    "CHGNAD": described("CHGNAD", "AVAL - NADIR, of post-baseline records with ANL01FL of Y"),
    "PCHGNAD": described("PCHGNAD", "100 * CHGNAD / NADIR, missing if NADIR is 0"),
    "ABLFL": described(
        "ABLFL",
        "Y on the last record with ANL01FL of Y whose assessment ends on or before TRTSDT "
        "(STARTDT0 if never treated); what is measured after the first treatment is no baseline",
    ),
    "LSEXP": described("LSEXP", "TULNKID of the target lesions of the group"),
    "LSASS": described("LSASS", "TULNKID of those with a value at the assessment"),
    "ANL01FL": described("ANL01FL", "Y if all lesions expected were assessed (LSEXP = LSASS)"),
    "ANL02FL": described(
        "ANL02FL",
        "Y on the first record with the smallest PCHG (VPCHG: AVAL) of those with ANL03FL of Y",
    ),
    "ANL03FL": described(
        "ANL03FL",
        "Y up to and including the first PD of the lesion group, from STARTDT0 (baseline always), "
        "not after NACTDT",
    ),
    "CRIT1": described("CRIT1", "Text of the criterion, where CRIT1FL has a value"),
    "CRIT1FL": described("CRIT1FL", "Y or N for records with PCHG, compared before rounding"),
    "CRIT2": described("CRIT2", "Text of the criterion, where CRIT2FL has a value"),
    "CRIT2FL": described("CRIT2FL", "Y or N for records with CHGNAD, compared before rounding"),
    "CRIT3": described("CRIT3", "Text of the criterion, where CRIT3FL has a value"),
    "CRIT3FL": described("CRIT3FL", "SVOL: Y or N for records with PCHG, compared before rounding"),
    "SRCDOM": described("SRCDOM", "TR"),
    "SRCVAR": described("SRCVAR", "TRSTRESN"),
    "ASEQ": verbs.ASEQ,
}


def derive(
    data: Mapping[str, pd.DataFrame], study: Study, issues: Issues, found: Evaluation
) -> Derived:
    """One record per subject, assessment and sum that has a target lesion.

    References:
        RECIST 1.1 (Eisenhauer 2009), sections 4.3.1 and 4.3.2; ADaMIG v1.3, section 3.3.4.
    """
    _check(found, issues)
    lists = _Lists()
    parts: list[pd.DataFrame] = []
    for number, (_, group, measure) in enumerate(PARAMETERS.values()):
        if measure == "change":
            parts.append(_mean_changes(found, group, parts[number - len(sums.GROUPS)], number))
        else:
            parts.append(_records(found, number, study, lists))
    records = pd.concat(parts, ignore_index=True)
    frame = verbs.complete_records(records, data["ADSL"], ("code", "ADT", "visit"))
    _add_texts(frame, found, study, lists)
    return verbs.derived_of_subjects(frame, _trace(frame, found))


def _records(found: Evaluation, number: int, study: Study, lists: _Lists) -> pd.DataFrame:
    """The records of one parameter: numbers, dates and marks, but no text yet."""
    _, group, measure = PARAMETERS[_CODES[number]]
    total, visits = found.sums[group, measure], found.assessed.visits
    rule = response.thresholds(study.response, measure)
    unit = MICRONS if measure == "value" else 1.0
    visit = total["visit"].to_numpy(dtype=np.int64)
    size, base, lowest = (total[n].to_numpy("float64") for n in ("sum", "base", "nadir"))
    complete, post = total["complete"].to_numpy(bool), total["post"].to_numpy(bool)
    baseline = total["baseline"].to_numpy(bool)
    compared = complete & post
    last = total["last"].to_numpy()
    scan = np.where(last == verbs.NO_DAY, verbs.days_of(visits["LSCDT"])[visit], last)
    subject = found.timing.subjects.get_indexer(pd.Index(visits["USUBJID"]))[visit]
    day = np.where(scan == verbs.NO_DAY, np.nan, scan)
    expected, assessed = _lesion_lists(found, (group, measure), visit, lists)
    recist = response.thresholds(study.response, "recist_volume")
    by_sphere = _spheres(found, group)[visit] if measure == "volume" else np.zeros_like(post)
    pchg = np.where(compared, 100 * (size - base) / base, np.nan)
    counted = baseline | _candidates(found, group, measure, visit)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_lowest = np.where(lowest > 0, 100 * (size - lowest) / lowest, np.nan)
    return pd.DataFrame(
        {
            "subject": subject,
            "code": number,
            "visit": visit,
            "ADT": verbs.dates_of(scan),
            "AVISITN": verbs.analysis_weeks(
                day,
                verbs.take(found.timing.start, subject, np.nan),
                post,
                baseline,
                study.endpoints.visit_interval_days,
            ),
            "AVAL": size / unit,
            "VOLNOTE": by_sphere,
            "BASE": base / unit,
            "CHG": np.where(compared, (size - base) / unit, np.nan),
            "PCHG": pchg,
            "NADIR": np.where(post, lowest / unit, np.nan),
            "CHGNAD": np.where(compared, (size - lowest) / unit, np.nan),
            "PCHGNAD": np.where(compared, from_lowest, np.nan),
            "LSEXP": expected,
            "LSASS": assessed,
            "ABLFL": baseline,
            "ANL01FL": complete,
            "ANL02FL": _best(pchg, counted & compared, total["subject"].to_numpy(np.int64)),
            "ANL03FL": counted,
            "CRIT1FL": _met(rule.has_decreased(size, base), compared & ~np.isnan(base)),
            "CRIT2FL": _met(rule.has_increased(size, lowest), compared & ~np.isnan(lowest)),
            "CRIT3FL": _met(
                recist.has_decreased(size, base),
                compared & ~np.isnan(base) & (measure == "volume"),
            ),
        }
    )


def _spheres(found: Evaluation, group: str) -> Bools:
    """For each visit whether a volume of the group is that of a sphere."""
    grid = found.grid
    mine = sums.in_group(found.found, group)[grid["lesion"].to_numpy()]
    mine &= (grid["kind"].eq(sums.SPHERE) & grid["volume"].notna()).to_numpy(dtype=bool)
    out = np.zeros(len(found.assessed.visits), dtype=bool)
    out[grid["visit"].to_numpy()[mine]] = True
    return out


def _mean_changes(
    found: Evaluation, group: str, volumes: pd.DataFrame, number: int
) -> pd.DataFrame:
    """The records of VPCHG: those of the sum of volumes, with the mean change of its lesions.

    What has merged with another lesion has no change of its own, and then there is no mean.
    """
    records = volumes.assign(code=number, ABLFL=False)
    total, grid = found.sums[group, "volume"], found.grid
    grid = grid[sums.in_group(found.found, group)[grid["lesion"].to_numpy()]]
    visit, lesion = grid["visit"].to_numpy(), grid["lesion"].to_numpy()
    volume = grid["volume"].where(~grid["merged"]).to_numpy(dtype=np.float64)
    visits = len(found.assessed.visits)
    baseline = np.isin(np.arange(visits), total["visit"][total["baseline"]])[visit]
    base = np.full(len(found.found), np.nan)
    base[lesion[baseline]] = volume[baseline]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = 100 * (volume - base[lesion]) / base[lesion]
    summed = np.bincount(visit, weights=change, minlength=visits)
    mean = (summed / np.maximum(np.bincount(visit, minlength=visits), 1))[records["visit"]]
    known = (records["PCHG"].notna() & np.isfinite(mean)).to_numpy(dtype=bool)
    counted = known & records["ANL03FL"].to_numpy(dtype=bool)
    records["AVAL"] = mean
    records["ANL02FL"] = _best(mean, counted, total["subject"].to_numpy(np.int64))
    for name in ("BASE", "CHG", "PCHG", "NADIR", "CHGNAD", "PCHGNAD"):
        records[name] = np.nan
    return records.assign(CRIT1FL=0, CRIT2FL=0, CRIT3FL=0)[known].reset_index(drop=True)


def _add_texts(frame: pd.DataFrame, found: Evaluation, study: Study, lists: _Lists) -> None:
    """What the numbers and marks of the records mean."""
    code, visit = frame["code"].to_numpy(np.int64), frame["visit"].to_numpy(np.int64)
    frame["PARAMCD"] = verbs.texts(_CODES, code)
    frame["PARAM"] = verbs.texts([PARAMETERS[c][0] for c in _CODES], code)
    frame["PARCAT4"] = verbs.texts([PARAMETERS[c][1] for c in _CODES], code)
    for name, text in (
        ("PARCAT1", "Target Lesion(s)"),
        ("PARCAT2", study.response.evaluator),
        ("PARCAT3", study.response.derived_by),
        ("SRCDOM", "TR"),
        ("SRCVAR", "TRSTRESN"),
    ):
        frame[name] = pd.Series(text, index=frame.index, dtype="str")
    for name in ("VISITNUM", "VISIT", "TRLNKGRP"):
        frame[name] = found.assessed.visits[name].take(visit).reset_index(drop=True)
    frame["AVISIT"] = verbs.analysis_visits(frame["AVISITN"].to_numpy())
    for name in ("ABLFL", "ANL01FL", "ANL02FL", "ANL03FL"):
        frame[name] = verbs.flags(frame[name])
    for name in ("LSEXP", "LSASS"):
        frame[name] = verbs.texts(lists.words, frame[name].to_numpy(np.int64))
    frame["VOLNOTE"] = verbs.texts([None, BY_SPHERE], frame["VOLNOTE"].to_numpy(np.int64))
    volume = np.array([measure == "volume" for _, _, measure in PARAMETERS.values()])[code]
    recist = f"PCHG <= -{study.response.vol_pr_pct_recist:g}"
    for name, texts in (
        ("CRIT1", _decreases(study)), ("CRIT2", _increases(study)), ("CRIT3", (None, recist)),
    ):  # fmt: skip
        met = frame[f"{name}FL"].to_numpy(np.int64)
        frame[f"{name}FL"] = verbs.texts([None, "N", "Y"], met)
        frame[name] = verbs.texts([None, *texts], np.where(met > 0, 1 + volume, 0))


def _decreases(study: Study) -> tuple[str, str]:
    settings = study.response
    return f"PCHG <= -{settings.pr_pct:g}", f"PCHG <= -{settings.vol_pr_pct:g}"


def _increases(study: Study) -> tuple[str, str]:
    settings = study.response
    floor = f" and CHGNAD >= {settings.vol_pd_abs_mm3:g}" if settings.vol_pd_abs_mm3 else ""
    return (
        f"PCHGNAD >= {settings.pd_pct:g} and CHGNAD >= {settings.pd_abs_mm:g}",
        f"PCHGNAD >= {settings.vol_pd_pct:g}{floor}",
    )


def _met(criterion: Bools, evaluated: Bools) -> Ints:
    """0 not evaluated, 1 not met, 2 met."""
    return np.where(evaluated, 1 + criterion, 0)


def _candidates(found: Evaluation, group: str, measure: str, visit: Ints) -> Bools:
    """Which of the visits count for the response of the group."""
    table = found.responses[group, measure]
    out = np.zeros(len(found.assessed.visits), dtype=bool)
    out[table["visit"].to_numpy()] = table["candidate"].to_numpy(dtype=bool)
    return out[visit]


def _best(pchg: Floats, counted: Bools, subject: Ints) -> Bools:
    """True on the first smallest change of each subject."""
    usable = np.where(counted, pchg, np.nan)
    lowest = pd.Series(usable).groupby(subject).transform("min").to_numpy()
    subjects = int(subject.max()) + 1 if len(subject) else 0
    at = verbs.first_row(usable == lowest, subject, subjects)
    out = np.zeros(len(pchg), dtype=bool)
    out[at[at >= 0]] = True
    return out


@dataclass(slots=True)
class _Lists:
    """Sets of lesions as text; each set that occurs is spelled out once, and known by number."""

    words: list[str | None] = field(default_factory=list)

    def number(self, at: Ints, lesion: Ints, names: Sequence[str], count: int) -> Ints:
        """The set of lesions of each of so many visits, its lesions in the order of the rows."""
        order = np.argsort(at, kind="stable")
        at, lesion = at[order], lesion[order]
        starts = verbs.segment_starts(at)
        place = np.arange(len(at)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
        code = np.zeros(count, dtype=np.int64)
        sets = [""]
        for n in range(int(place.max()) + 1 if len(place) else 0):
            here = place == n
            pair = code * (len(names) + 1)
            pair[at[here]] += lesion[here] + 1
            distinct, code = np.unique(pair, return_inverse=True)
            old, new = np.divmod(distinct, len(names) + 1)
            more = ["", *names]
            sets = [
                ", ".join(filter(None, (sets[o], more[w]))) for o, w in zip(old, new, strict=True)
            ]
        first = len(self.words)
        self.words += [words or None for words in sets]
        return code + first


def _lesion_lists(
    found: Evaluation, key: tuple[str, str], visit: Ints, lists: _Lists
) -> tuple[Ints, Ints]:
    """LSEXP and LSASS of the visits."""
    group, measure = key
    mine = sums.in_group(found.found, group)[found.grid["lesion"].to_numpy()]
    grid = found.grid[mine]
    has = grid[measure].notna().to_numpy() & ~grid["partial"].to_numpy(dtype=bool)
    if group != "ALL":
        has &= ~grid["across"].to_numpy(dtype=bool)
    names, name = verbs.distinct_codes(found.found["LESID"])
    at = grid["visit"].to_numpy(dtype=np.int64)
    lesion = name[grid["lesion"].to_numpy()]
    count = len(found.assessed.visits)
    expected = lists.number(at, lesion, names.tolist(), count)
    assessed = lists.number(at[has], lesion[has], names.tolist(), count)
    return expected[visit], assessed[visit]


def _trace(frame: pd.DataFrame, found: Evaluation) -> list[pd.DataFrame]:
    """Sums of diameters come from TR; those of volumes, and their change, from the one before.

    (A collected volume is one of the TR records of that assessment.)
    """
    records, visits = found.assessed.records, len(found.assessed.visits)
    keys = verbs.record_keys(records, "TRSEQ")
    known = records["TRSEQ"].notna().to_numpy()
    code, visit = frame["code"].to_numpy(), frame["visit"].to_numpy()
    own = verbs.record_keys(frame, "ASEQ")
    out = []
    for number, (_, group, measure) in enumerate(PARAMETERS.values()):
        mine = np.flatnonzero(code == number)
        if measure == "value":
            row = np.full(visits, -1, dtype=np.int64)
            row[visit[mine]] = mine
            target = (found.found["ROLE"] == "TARGET").to_numpy()
            used = (target & sums.in_group(found.found, group))[records["lesion"].to_numpy()]
            at = np.flatnonzero(used & known)
            out.append(verbs.parents_of(row[records["visit"].to_numpy()[at]], "TR", keys, at))
        else:
            before = np.flatnonzero(code == number - len(sums.GROUPS))
            row = np.full(visits, -1, dtype=np.int64)
            row[visit[before]] = before
            out.append(verbs.parents_of(mine, "ADTR", own, row[visit[mine]]))
    return out


def _check(found: Evaluation, issues: Issues) -> None:
    """Subjects whose responses have nothing to be compared with."""
    total = found.sums[evaluation.ALL]
    visits = found.assessed.visits
    none = visits.loc[total["visit"][total["base"].isna()]].drop_duplicates("USUBJID")
    verbs.report(
        issues, "RS0001", "TR: no assessment up to the first treatment has all target lesions",
        none, np.ones(len(none), dtype=bool), "USUBJID",
    )  # fmt: skip


ADTR = Derivation(
    name="ADTR",
    label="Tumor Results Analysis Dataset",
    keys=("STUDYID", "USUBJID", "PARAMCD", "ADT", "TRLNKGRP"),
    needs=("ADSL", "TU", "TR"),
    prepare=evaluation.evaluate,
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, {"TRLNKGRP": "Link Group", "VOLNOTE": "Note on Volume"}),
)
