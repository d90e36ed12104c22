"""ADLES: every target lesion on its own, at each assessment and as a whole."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, radiotherapy, response, verbs
from fhir2cdisc.adam.evaluation import Evaluation, LesionResponses
from fhir2cdisc.adam.lesion import MICRONS
from fhir2cdisc.adam.verbs import Bools, Ints
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

# In the order of PARAMCD, which is the order of the records.
PARAMETERS = {
    "LSBRSP": "Best Lesion Response",
    "LSCTRL": "Lesion Controlled",
    "LSDIAM": "Lesion Diameter (mm)",
    "LSPCHGB": "Best Percent Change of Lesion Diameter (%)",
    "LSRSP": "Lesion Response",
    "LSVOL": "Lesion Volume (mm3)",
}
_CODES = tuple(PARAMETERS)
_LSBRSP, _LSCTRL, _LSDIAM, _LSPCHGB, _LSRSP, _LSVOL = range(6)

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "LESID": described("LESID", "TU.TULNKID"),
    "LESGRP": described(
        "LESGRP",
        "IRRAD if SUPPTU.TUIRRAD is Y, NONIRRAD if it is N, missing where that is undetermined",
    ),
    "LESTYP": described("LESTYP", "TU.TUSTRESC (TARGET)"),
    "TULOC": described("TULOC", "TU.TULOC"),
    "NODALFL": described("NODALFL", "Y if TULOC names a lymph node, else N"),
    "RTSTDT": described("RTSTDT", "First PR.PRSTDTC of protocol radiotherapy linked to the lesion"),
    "RTDOSE": described(
        "RTDOSE", "Sum of PR.PRDOSE (else EX.EXDOSE of the same link) of these courses, in Gy"
    ),
    "RTFRAC": described("RTFRAC", "Sum of SUPPPR.PRFRNUM of these courses"),
    "BED10": described(
        "BED10",
        "Sum over the courses of n * d * (1 + d / 10): n fractions of d Gy (SUPPPR.PRFRDOSE, else "
        "dose / n)",
    ),
    "PARAM": described("PARAM", "Text of PARAMCD"),
    "PARAMCD": described(
        "PARAMCD",
        "At each assessment: LSDIAM, LSVOL, LSRSP; once for a lesion: LSBRSP, LSPCHGB, LSCTRL",
    ),
    "ADT": described(
        "ADT",
        "TR.TRDTC of the lesion, else the last scan date of the assessment; once for a lesion: of "
        "the assessment that supplies the value",
    ),
    "ADY": verbs.ADY,
    **verbs.VISIT_COLUMNS,
    "VISITNUM": described("VISITNUM", "TR.VISITNUM"),
    "VISIT": described("VISIT", "TR.VISIT"),
    "TRLNKGRP": described("TRLNKGRP", "TR.TRLNKGRP, made as in ADTR where it is missing"),
    "AVAL": described(
        "AVAL",
        "LSDIAM: longest diameter, of nodes short axis; LSVOL: volume as in ADTR; LSPCHGB: first "
        "smallest PCHG of LSDIAM where ANL01FL is Y up to the first PD of the lesion; LSRSP, "
        "LSBRSP: 1 CR, 2 PR, 3 SD, 5 PD, 6 NE; LSCTRL: 1 Y, 0 N",
    ),
    "AVALC": described(
        "AVALC",
        "LSRSP: the target rules of RECIST 1.1 applied to the lesion alone (nodes: CR below "
        "10 mm), whatever the overall response; merged lesions are NE. LSBRSP: best of CR, PR, SD "
        "(sd_min_days after the start), PD, NE where ANL01FL is Y up to the first PD of the "
        "lesion. LSCTRL: Y by the setting nrcr_rule - best: LSBRSP is CR, PR or SD; sustained: "
        "and there is no LSRSP of PD; last: the last LSRSP other than NE is; landmark: the last "
        "one within half an interval of the last planned assessment up to CUT6DT is",
    ),
    "BASE": described("BASE", "AVAL of the record with ABLFL of Y"),
    "CHG": described("CHG", "AVAL - BASE, of post-baseline records of LSDIAM and LSVOL"),
    "PCHG": described("PCHG", "100 * CHG / BASE, not rounded"),
    "NADIR": described(
        "NADIR", "LSDIAM: smallest AVAL at baseline or an earlier post-baseline assessment"
    ),
    "ABLFL": described(
        "ABLFL", "Y on the last measurement on or before TRTSDT (STARTDT0 if never treated)"
    ),
    "CRIT1": described("CRIT1", "Text of the criterion, where CRIT1FL has a value"),
    "CRIT1FL": described(
        "CRIT1FL",
        "LSDIAM with CHG: Y or N, compared before rounding; LSPCHGB: Y if it is Y for any record "
        "that counts, else N",
    ),
    "ANL01FL": described(
        "ANL01FL",
        "Y if LESGRP is known and, at an assessment, ADT is post-baseline, from STARTDT0 to CUT6DT "
        "and not after NACTDT",
    ),
    "EVALFL": described("EVALFL", "Y if LSBRSP of the lesion is not NE, else N"),
    "SRCDOM": described("SRCDOM", "TR, or ADLES for what is derived from LSDIAM or LSRSP"),
    "SRCVAR": described("SRCVAR", "TRSTRESN; AVAL; AVALC"),
    "SRCSEQ": described("SRCSEQ", "ASEQ of the record in ADLES that supplies the value"),
    "ASEQ": verbs.ASEQ,
}

_LABELS = {
    "LESID": "Lesion Identifier",
    "LESGRP": "Lesion Group by Irradiation",
    "LESTYP": "Lesion Type",
    "NODALFL": "Lymph Node Flag",
    "RTSTDT": "Start Date of Radiotherapy of Lesion",
    "RTDOSE": "Radiotherapy Dose of Lesion (Gy)",
    "RTFRAC": "Radiotherapy Fractions of Lesion",
    "BED10": "Biologically Effective Dose (Gy), a/b 10",
    "TRLNKGRP": "Link Group",
    "EVALFL": "Lesion Evaluable Flag",
}


def derive(
    data: Mapping[str, pd.DataFrame],
    study: Study,
    issues: Issues,  # noqa: ARG001 - told where the evaluation is made
    found: Evaluation,
) -> Derived:
    """One record per subject, target lesion, parameter and, where it has one, assessment.

    References:
        RECIST 1.1 (Eisenhauer 2009), section 4.3.1, applied to single lesions.
    """
    single = evaluation.evaluate_lesions(found, study)
    parts = [
        _at_visits(found, single, study, _LSDIAM, single.visits["sum"].notna().to_numpy()),
        _at_visits(found, single, study, _LSRSP, single.visits["post"].to_numpy(dtype=bool)),
        _at_visits(found, single, study, _LSVOL, single.visits["volume"].notna().to_numpy()),
        *(_of_lesions(found, single, study, code) for code in (_LSBRSP, _LSCTRL, _LSPCHGB)),
    ]
    records = pd.concat(parts, ignore_index=True)
    frame = verbs.complete_records(records, data["ADSL"], ("lesion", "code", "ADT", "visit"))
    _add_lesion_variables(frame, found, single, radiotherapy.courses(data, found.found))
    return verbs.derived_of_subjects(frame, _trace(frame, found))


def _at_visits(
    found: Evaluation, single: LesionResponses, study: Study, code: int, chosen: Bools
) -> pd.DataFrame:
    """The records of a parameter at each assessment."""
    rows = np.flatnonzero(chosen)
    table = single.visits.iloc[rows].reset_index(drop=True)
    out = _frame(found, single, study, code, rows)
    post, baseline = table["post"].to_numpy(dtype=bool), table["baseline"].to_numpy(dtype=bool)
    if code == _LSRSP:
        out["AVALC"] = response.names(table["response"].to_numpy())
        out["AVAL"] = table["response"].astype("float64")
    elif code == _LSVOL:
        base = _base_volume(single)[rows]
        out["AVAL"], out["BASE"] = table["volume"], base
        out["CHG"] = (table["volume"] - base).where(post)
        out["PCHG"] = (100 * out["CHG"] / base).where(base > 0)
        out["ABLFL"] = verbs.flags(baseline)
    else:
        out["AVAL"], out["BASE"] = table["sum"] / MICRONS, table["base"] / MICRONS
        out["NADIR"] = (table["nadir"] / MICRONS).where(post)
        compared = post & table["complete"].to_numpy(dtype=bool)
        out["CHG"] = ((table["sum"] - table["base"]) / MICRONS).where(compared)
        out["PCHG"] = table["pchg"]
        out["ABLFL"] = verbs.flags(baseline)
        evaluated = table["pchg"].notna().to_numpy()
        out["CRIT1"] = verbs.texts([None, _criterion(study)], evaluated)
        met = np.where(evaluated, 1 + table["shrunk"].to_numpy(dtype=np.int64), 0)
        out["CRIT1FL"] = verbs.texts([None, "N", "Y"], met)
    known = found.found["LESGRP"].notna().to_numpy()[table["lesion"]]
    out["ANL01FL"] = verbs.flags(table["within"].to_numpy(dtype=bool) & known)
    out["SRCDOM"], out["SRCVAR"] = "TR", "TRSTRESN"
    return out


def _criterion(study: Study) -> str:
    return f"PCHG <= -{study.response.pr_pct:g}"


def _base_volume(single: LesionResponses) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """For each row the volume on the baseline row of the lesion."""
    table = single.visits
    segment = table["segment"].to_numpy()
    count = int(segment.max()) + 1 if len(segment) else 0
    row = verbs.first_row(table["baseline"].to_numpy(dtype=bool), segment, count)
    return np.asarray(verbs.take(table["volume"].to_numpy(), row, np.nan)[segment])


def _of_lesions(
    found: Evaluation, single: LesionResponses, study: Study, code: int
) -> pd.DataFrame:
    """The records of a parameter that a lesion has once."""
    whole = single.lesions
    rule = study.endpoints.nrcr_rule
    if code == _LSPCHGB:
        whole = whole[whole["change_row"] >= 0].reset_index(drop=True)
    source = {
        _LSBRSP: "best_row",
        _LSCTRL: f"{rule}_row" if rule in ("last", "landmark") else "best_row",
        _LSPCHGB: "change_row",
    }[code]
    rows = whole[source].to_numpy(dtype=np.int64)
    out = _frame(found, single, study, code, rows)
    out["lesion"] = whole["lesion"]
    out["subject"] = _subjects(found)[whole["lesion"].to_numpy()]
    out["SRCDOM"], out["SRCVAR"] = "ADLES", "AVALC"
    if code == _LSBRSP:
        best = whole["best"].to_numpy(dtype=np.int64)
        out["AVALC"], out["AVAL"] = response.names(best), best.astype(np.float64)
    elif code == _LSCTRL:
        controlled = evaluation.is_controlled(whole, rule)
        out["AVALC"] = verbs.texts(["N", "Y"], controlled)
        out["AVAL"] = controlled.astype(np.float64)
    else:
        out["AVAL"], out["SRCVAR"] = whole["change"], "AVAL"
        out["CRIT1"] = _criterion(study)
        out["CRIT1FL"] = verbs.texts(["N", "Y"], whole["shrunk"].to_numpy(dtype=bool))
    known = found.found["LESGRP"].notna().to_numpy()[whole["lesion"].to_numpy()]
    out["ANL01FL"] = verbs.flags(known)
    return out


def _subjects(found: Evaluation) -> Ints:
    """For each lesion its subject's row in ADSL."""
    return np.asarray(found.timing.subjects.get_indexer(pd.Index(found.found["USUBJID"])))


def _frame(
    found: Evaluation, single: LesionResponses, study: Study, code: int, rows: Ints
) -> pd.DataFrame:
    """Time and identity of records at rows of the lesion visits (-1: no assessment)."""
    table, visits = single.visits, found.assessed.visits
    visit = verbs.take(table["visit"].to_numpy(), rows, -1)
    day = verbs.take(table["day"].to_numpy(), rows, np.nan)
    subject = verbs.take(table["subject"].to_numpy(dtype=np.int64), rows, -1)
    there = pd.DataFrame(
        {
            "subject": subject,
            "lesion": verbs.take(table["lesion"].to_numpy(), rows, -1),
            "code": code,
            "visit": visit,
            "row": rows,
            "ADT": verbs.day_dates(day),
            "AVISITN": verbs.analysis_weeks(
                day,
                verbs.take(found.timing.start, subject, np.nan),
                verbs.take(table["post"].to_numpy(dtype=bool), rows, missing=False),
                verbs.take(table["baseline"].to_numpy(dtype=bool), rows, missing=False),
                study.endpoints.visit_interval_days,
            ),
            "VISITNUM": verbs.take(visits["VISITNUM"].to_numpy(), visit, np.nan),
            "VISIT": visits["VISIT"].reindex(visit).reset_index(drop=True),
            "TRLNKGRP": visits["TRLNKGRP"].reindex(visit).reset_index(drop=True),
        }
    )
    for name in ("AVAL", "BASE", "CHG", "PCHG", "NADIR"):
        there[name] = np.nan
    for name in ("AVALC", "ABLFL", "CRIT1", "CRIT1FL"):
        there[name] = pd.Series(np.nan, index=there.index, dtype="str")
    return there


def _add_lesion_variables(
    frame: pd.DataFrame, found: Evaluation, single: LesionResponses, treated: pd.DataFrame
) -> None:
    lesion = frame["lesion"].to_numpy(dtype=np.int64)
    code = frame["code"].to_numpy(dtype=np.int64)
    for name, source in (("LESID", "LESID"), ("LESGRP", "LESGRP"), ("LESTYP", "ROLE")):
        frame[name] = found.found[source].take(lesion).reset_index(drop=True)
    frame["TULOC"] = found.found["TULOC"].take(lesion).reset_index(drop=True)
    frame["NODALFL"] = verbs.texts(["N", "Y"], found.found["NODAL"].to_numpy(bool)[lesion])
    treated = treated[treated["protocol"].astype(bool)].assign(
        BED10=radiotherapy.biologically_effective_dose(
            treated["RTDOSE"], treated["RTFRAC"], treated["RTFRDOSE"]
        )
    )
    grouped = treated.groupby("lesion")
    frame["RTSTDT"] = grouped["RTSTDT"].min().reindex(lesion).reset_index(drop=True)
    frame["RTSTDT"] = frame["RTSTDT"].astype("datetime64[s]")
    for name in ("RTDOSE", "RTFRAC", "BED10"):
        total = grouped[name].sum(min_count=1).reindex(lesion).reset_index(drop=True)
        frame[name] = total.astype("float64")
    frame["PARAMCD"] = verbs.texts(_CODES, code)
    frame["PARAM"] = verbs.texts([PARAMETERS[c] for c in _CODES], code)
    best = np.full(len(found.found), response.NE)
    best[single.lesions["lesion"]] = single.lesions["best"]
    frame["EVALFL"] = verbs.texts(["Y", "N"], best[lesion] == response.NE)
    frame["AVISIT"] = verbs.analysis_visits(frame["AVISITN"].to_numpy())
    frame["SRCSEQ"] = _source_sequences(frame)


def _source_sequences(frame: pd.DataFrame) -> pd.Series:
    """ASEQ of the LSRSP (or, for LSPCHGB, LSDIAM) record of the same lesion and assessment."""
    code = frame["code"].to_numpy()
    row = frame["row"].to_numpy(dtype=np.int64)
    out = np.full(len(frame), np.nan)
    size = int(row.max()) + 1 if len(row) else 0
    for source, users in ((_LSRSP, (_LSBRSP, _LSCTRL)), (_LSDIAM, (_LSPCHGB,))):
        sequence = np.full(size, np.nan)
        mine = code == source
        sequence[row[mine]] = frame["ASEQ"].to_numpy()[mine]
        using = np.isin(code, users)
        out[using] = verbs.take(sequence, row[using], np.nan)
    return pd.Series(out)


def _diameters(frame: pd.DataFrame) -> Ints:
    """For each record the position of the LSDIAM of the same lesion and assessment, else -1."""
    row = frame["row"].to_numpy(dtype=np.int64)
    mine = np.flatnonzero((frame["code"] == _LSDIAM).to_numpy(dtype=bool))
    at = np.full(int(row.max()) + 1 if len(row) else 0, -1, dtype=np.int64)
    at[row[mine]] = mine
    return np.asarray(verbs.take(at, row, -1))


def _trace(frame: pd.DataFrame, found: Evaluation) -> list[pd.DataFrame]:
    """Diameters come from TR (as do volumes), responses and summaries from records of ADLES."""
    records = found.assessed.records
    code = frame["code"].to_numpy()
    size = max(len(found.found), 1)
    # A response without a diameter comes from the record that says that there is none.
    alone = (code == _LSRSP) & (_diameters(frame) < 0)
    measured = np.flatnonzero(np.isin(code, (_LSDIAM, _LSVOL)) | alone)
    key = frame["visit"].to_numpy() * size + frame["lesion"].to_numpy()
    used = pd.DataFrame(
        {"key": records["visit"] * size + records["lesion"], "at": np.arange(len(records))}
    )[records["TRSEQ"].notna().to_numpy()]
    pairs = pd.DataFrame({"key": key[measured], "row": measured}).merge(used, on="key")
    keys = verbs.record_keys(records, "TRSEQ")
    from_tr = verbs.parents_of(pairs["row"].to_numpy(), "TR", keys, pairs["at"].to_numpy())
    own = frame["USUBJID"].astype("str") + "|"
    derived = np.flatnonzero(frame["SRCSEQ"].notna().to_numpy())
    sequence = frame["SRCSEQ"].fillna(0).astype("int64").astype("str")
    from_self = verbs.parents_of(derived, "ADLES", own + sequence, derived)
    at = _diameters(frame)
    responses = np.flatnonzero(code == _LSRSP)
    at = at[responses]
    every = verbs.record_keys(frame, "ASEQ")
    return [from_tr, from_self, verbs.parents_of(responses, "ADLES", every, at)]


ADLES = Derivation(
    name="ADLES",
    label="Lesion Response Analysis Dataset",
    keys=("STUDYID", "USUBJID", "LESID", "PARAMCD", "ADT", "TRLNKGRP"),
    needs=("ADSL", "TU", "TR"),
    prepare=evaluation.evaluate,
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(COLUMNS, _LABELS),
)
