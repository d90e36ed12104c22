"""ADRS: responses at each assessment and the best of each subject, by lesion group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import (
    collected,
    evaluation,
    irecist_records,
    response,
    response_records,
    verbs,
)
from fhir2cdisc.adam.evaluation import Evaluation
from fhir2cdisc.adam.response_records import AT_VISITS, CODES, NUMBER, PARAMETERS, Source
from fhir2cdisc.adam.verbs import Bools, Floats, Ints
from fhir2cdisc.adam.whole import is_measured
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.text import is_among
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "PARAM": described("PARAM", "Text of PARAMCD"),
    "PARAMCD": described(
        "PARAMCD",
        "Ending NI: of non-irradiated, IR: of irradiated, LD: of low-dose target lesions, alone; "
        "NL: of non-irradiated ones with non-target and new lesions. V: target response by volume, "
        "decrease by vol_pr_pct, V2: by vol_pr_pct_recist. Ending INV, IRC: as collected in RS "
        "from the investigator or another reader, or derived from that, for subjects that this "
        "reader assessed. Without lesion measurements the parameters without ending are derived "
        "from the responses of the investigator",
    ),
    "PARCAT1": described("PARCAT1", "Tumor Response or Reference Event"),
    "PARCAT2": described("PARCAT2", "DERIVED from TR, or the reader of the responses in RS"),
    "PARCAT3": described(
        "PARCAT3",
        "Response criteria (setting criteria); PROTOCOL DEFINED RESPONSE CRITERIA by volume; "
        "iRECIST",
    ),
    "PARCAT4": described("PARCAT4", "Lesion group: ALL, NONIRRAD, IRRAD or LOWDOSE"),
    "ADT": described(
        "ADT",
        "PD: earliest scan that shows it - the first one of a new lesion or of unequivocal "
        "non-target progression, or the last one of a sum that has increased; if an equivocal new "
        "lesion turns out unequivocal, PD, BOR and the like have its first scan. Other responses: "
        "last scan of the assessment. Once for a subject: date of the assessment that supplies "
        "the value, of a confirmed response the first one. ICPD, IPD, IBOR of iCPD: first iUPD of "
        "the progression. ABSANY: of the best LSPCHGB in ADLES; "
        "NRCPT: of the first LSCTRL of N, or the last of all that are Y. DEATH, NACT: ADSL.DTHDT, "
        "ADSL.NACTDT",
    ),
    "ADY": verbs.ADY,
    **verbs.VISIT_COLUMNS,
    "VISITNUM": described("VISITNUM", "TR.VISITNUM or RS.VISITNUM"),
    "VISIT": described("VISIT", "TR.VISIT or RS.VISIT"),
    "RSLNKGRP": described("RSLNKGRP", "TRLNKGRP of ADTR, or RS.RSLNKGRP"),
    "FSCDT": described("FSCDT", "First TR.TRDTC of the assessment"),
    "LSCDT": described("LSCDT", "Last TR.TRDTC of the assessment"),
    "AVAL": described(
        "AVAL",
        "1 CR, 2 PR, 3 SD, 4 NON-CR/NON-PD, 5 PD, 6 NE, 7 MISSING, 8 NED; 1 Y, 0 N; NEWL: 0 N, 1 "
        "EQUIVOCAL, 2 UNEQUIVOCAL; by iRECIST 1 iCR, 2 iPR, 3 iSD, 4 NON-iCR/NON-iUPD, 5 NED, 6 "
        "iCPD, 7 iUPD, 8 NE, 9 MISSING",
    ),
    "AVALC": described(
        "AVALC",
        "TRG, from SDIAM of ADTR, in this order: CR if all targets are gone and nodes normal; PD "
        "if the criterion CRIT2 is met, or a target is there again after an overall CR; PR if "
        "CRIT1FL is Y; else SD. With targets missing: PD if the others alone meet CRIT2 and are "
        "more than normal nodes, else NE. NTRG: PD by the reader, CR if all are absent, NE if one "
        "is not evaluated (setting nontarget_partial), else NON-CR/NON-PD. OVR: RECIST 1.1 tables "
        "1 and 2; SD in an ongoing response is PR where pr_carry_forward says so, which no best "
        "response takes over. NEWL: what the scans of the assessment show. OVRNI, OVRIR, OVRLD: "
        "target rules on the sum of the group alone. BOR: best of the candidates (ANL01FL and "
        "ANL02FL of Y), SD and NON-CR/NON-PD from sd_min_days after STARTDT0; CBOR: CR and PR "
        "only if confirmed confirm_days later (RECIST 1.1 table 3; a collected CR that is followed "
        "by less: setting cr_then_lesser); MISSING without candidates. RSP, CRSP: Y if there is a "
        "(confirmed) CR or PR. CB, CCB: Y if BOR, CBOR is CR, PR, SD or NON-CR/NON-PD. ARR, ACR: "
        "from BORNI; ARRNL, ACRNL: the same from OVRNINL. ABSANY: Y if CRIT1FL of LSPCHGB in ADLES "
        "is Y for any, NRCPT: if LSCTRL is Y for all non-irradiated targets. "
        + irecist_records.DESCRIPTION,
    ),
    "ANL01FL": described(
        "ANL01FL",
        "Y for the worst record of a date (PD, NON-CR/NON-PD, SD, PR, CR, then NE) from STARTDT0, "
        "not after NACTDT; an assessment without date, which is NE where nothing was done, stands "
        "at its place in the order of visits; once for a subject: always",
    ),
    "ANL02FL": described(
        "ANL02FL", "Y up to and including the first PD (by iRECIST iCPD) of the parameter"
    ),
    "ANL03FL": described(
        "ANL03FL",
        "For summaries by AVISIT: Y for the first worst of the dated records of an AVISIT that "
        "have ANL01FL of Y",
    ),
    "CRIT1": described("CRIT1", "Text of the criterion, where CRIT1FL has a value"),
    "CRIT1FL": described("CRIT1FL", "ICPD of Y: Y if the confirmation came late, else N"),
    "SRCDOM": described(
        "SRCDOM", "ADTR, ADRS, ADLES, ADSL or RS, where one record supplies the value"
    ),
    "SRCVAR": described("SRCVAR", "Variable of SRCDOM"),
    "SRCSEQ": described("SRCSEQ", "ASEQ or RSSEQ of the record in SRCDOM"),
    "ASEQ": verbs.ASEQ,
}

# What is made of each source of responses: kind -> PARAMCD.
_OF_ALL = {name: name for name in ("PD", "RSP", "CRSP", "CB", "CCB", "BOR", "CBOR", "BCP", "CBCP")}
_OF_GROUP = {
    evaluation.ALL: _OF_ALL,
    evaluation.NONIRRAD: {
        "PD": "PDNI", "BOR": "BORNI", "CBOR": "CBORNI", "BCP": "ARR", "CONTROL": "ACR",
    },
    evaluation.NONIRRAD_OVERALL: {"BCP": "ARRNL", "CONTROL": "ACRNL"},
    evaluation.IRRAD: {"PD": "PDIR", "BOR": "BORIR", "CBOR": "CBORIR"},
    evaluation.LOWDOSE: {"PD": "PDLD", "BOR": "BORLD", "CBOR": "CBORLD"},
    evaluation.VOLUME: {"CRSP": "CRSPV", "CBOR": "CBORV"},
    evaluation.RECIST_VOLUME: {"CRSP": "CRSPV2", "CBOR": "CBORV2"},
    evaluation.NONIRRAD_VOLUME: {"CBOR": "CBORVNI"},
    evaluation.IRRAD_VOLUME: {"CBOR": "CBORVIR"},
}  # fmt: skip
_OF_READER = ("PD", "RSP", "CRSP", "CCB", "BOR", "CBOR")


def derive(
    data: Mapping[str, pd.DataFrame],
    study: Study,
    issues: Issues,
    found: Evaluation,
) -> Derived:
    """Responses at assessments, and one record per subject for each best response and event.

    References:
        RECIST 1.1 (Eisenhauer 2009), sections 4.3 to 4.6; ADaMIG v1.3, section 3.3.
    """
    adsl = data["ADSL"]
    reader = collected.read_responses(data, study, found.timing.subjects, issues)
    first = len(found.assessed.visits)
    measured = is_measured(data, study)
    ending = {"INV": "INV" if measured else "", "IRC": "IRC"}
    sources = _sources(found, reader, ending, study, measured=measured)
    parts = response_records.at_visits(found) if measured else []
    for who, end in ending.items():
        parts += response_records.as_collected(reader, who, end, found.timing, first)
    for source in sources:
        parts += response_records.of_subjects(source, len(adsl), study)
    parts += irecist_records.derive(found, reader, ending, study, issues, measured=measured)
    parts += response_records.of_lesions(data.get("ADLES"), found.timing)
    parts += response_records.events(found, adsl, sources[0])
    records = pd.concat(parts, ignore_index=True)
    frame = verbs.complete_records(records, adsl, ("code", "ADT", "visit"))
    _add_parameter(frame, study, measured=measured)
    _add_assessment(frame, found, reader, study)
    sums = _sum_records(frame, found, data.get("ADTR"))
    _add_source(frame, data, reader, first, sums)
    return verbs.derived_of_subjects(frame, _trace(frame, data, found, reader, sums))


def _sources(
    found: Evaluation,
    reader: pd.DataFrame,
    ending: Mapping[str, str],
    study: Study,
    *,
    measured: bool,
) -> list[Source]:
    """Where best responses come from; the first source is that of the trial.

    Everyone has those of the trial; those of a group subjects with targets of it, and those of a
    reader beside derived ones the subjects whom that reader assessed.
    """
    everyone = np.arange(len(found.timing.subjects), dtype=np.int64)
    out = []
    if measured:
        targets = found.found[found.found["ROLE"] == "TARGET"]
        for key, once in _OF_GROUP.items():
            mine = everyone
            if key[0] != "ALL":
                owners = targets.loc[targets["LESGRP"] == key[0], "USUBJID"]
                mine = np.flatnonzero(is_among(found.timing.subjects, owners))
            out.append(Source(found.responses[key], AT_VISITS[key], once, mine))
    first = len(found.assessed.visits)
    for who, end in ending.items():
        table = response_records.reader_responses(reader, who, found.timing, first, study.response)
        if not end:
            out.append(Source(table, "OVR", _OF_ALL, everyone))
        elif len(table):
            assessed = np.unique(table["subject"].to_numpy(dtype=np.int64))
            once = {kind: kind + end for kind in _OF_READER}
            out.append(Source(table, "OVR" + end, once, assessed))
    return out


# -- texts and sources ------------------------------------------------------------------------

# PARAMCD of ADRS -> PARAMCD of ADTR whose sum it comes from.
_FROM_SUM = {
    "TRG": "SDIAM", "OVRNI": "SDIAMNI", "OVRNINL": "SDIAMNI", "OVRIR": "SDIAMIR",
    "OVRLD": "SDIAMLD", "OVRV": "SVOL", "OVRV2": "SVOL", "OVRVNI": "SVOLNI", "OVRVIR": "SVOLIR",
}  # fmt: skip
_WITH_OTHERS = ("OVRV", "OVRV2", "OVRNINL")
_FROM_COMPONENTS = {
    **dict.fromkeys(("OVR", "IOVR"), ("TRG", "NTRG", "NEWL")),
    **dict.fromkeys(_WITH_OTHERS, ("NTRG", "NEWL")),
}  # fmt: skip
_FROM_TR = {"NTRG": "NON-TARGET", "NEWL": "NEW"}
_FROM_LESIONS = {"ABSANY": "LSPCHGB", "NRCPT": "LSCTRL"}


def _add_parameter(frame: pd.DataFrame, study: Study, *, measured: bool) -> None:
    code = frame["code"].to_numpy(dtype=np.int64)
    own = "DERIVED" if measured else study.response.evaluator
    readers = {"": own, "INV": study.response.evaluator, "IRC": "INDEPENDENT ASSESSOR"}
    criteria = study.response.derived_by
    frame["PARAMCD"] = verbs.texts(CODES, code)
    texts = list(PARAMETERS.values())
    frame["PARAM"] = verbs.texts([p.param for p in texts], code)
    frame["PARCAT1"] = verbs.texts([p.category for p in texts], code)
    frame["PARCAT2"] = verbs.texts([readers[p.reader] for p in texts], code)
    frame["PARCAT3"] = verbs.texts(
        [
            "PROTOCOL DEFINED RESPONSE CRITERIA" if p.volume else p.criteria or criteria
            for p in texts
        ],
        code,
    )
    frame["PARCAT4"] = verbs.texts([p.group for p in texts], code)
    frame["ANL01FL"] = verbs.flags(frame["within"])
    frame["ANL02FL"] = verbs.flags(frame["up_to_pd"])
    irecist_records.add_criterion(frame, study)


def _add_assessment(
    frame: pd.DataFrame, found: Evaluation, reader: pd.DataFrame, study: Study
) -> None:
    """The visit variables of records at assessments."""
    visits = found.assessed.visits
    at = frame["visit"].where(~frame["once"], -1).to_numpy(dtype=np.int64)
    for name, of_visits in (
        ("VISITNUM", visits["VISITNUM"]),
        ("VISIT", visits["VISIT"]),
        ("RSLNKGRP", visits["TRLNKGRP"]),
    ):
        every = pd.concat([of_visits, reader[name]], ignore_index=True)
        frame[name] = every.reindex(at).reset_index(drop=True)
    for name in ("FSCDT", "LSCDT"):
        frame[name] = visits[name].reindex(at).reset_index(drop=True).astype("datetime64[s]")
    start = verbs.take(found.timing.start, frame["subject"].to_numpy(np.int64), np.nan)
    post = at >= 0
    day = np.where(post, evaluation.days_of(frame, "ADT"), np.nan)
    interval = study.endpoints.visit_interval_days
    weeks = verbs.analysis_weeks(day, start, post, np.zeros_like(post), interval)
    frame["AVISITN"] = np.where(post, weeks, np.nan)
    frame["AVISIT"] = verbs.analysis_visits(frame["AVISITN"].to_numpy())
    frame["ANL03FL"] = verbs.flags(_is_worst_of_visit(frame))


def _is_worst_of_visit(frame: pd.DataFrame) -> Bools:
    """True for one record of each subject, parameter and analysis visit (rows in that order)."""
    week = frame["AVISITN"].to_numpy(dtype=np.float64)
    rows = np.flatnonzero(frame["within"].to_numpy(dtype=bool) & ~np.isnan(week))
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = np.diff(week[rows]) != 0
    for name in ("subject", "code"):
        starts[1:] |= np.diff(frame[name].to_numpy(dtype=np.int64)[rows]) != 0
    out = np.zeros(len(frame), dtype=bool)
    out[rows] = response.is_worst_of_run(frame["severity"].to_numpy(np.int64)[rows], starts)
    return out


def _rows_at(frame: pd.DataFrame, code: Ints, visit: Ints) -> Ints:
    """Position of the record of a parameter at an assessment, -1 if there is none."""
    size = int(frame["visit"].max()) + 2 if len(frame) else 1
    own = np.flatnonzero(~frame["once"].to_numpy(dtype=bool))
    keys = pd.Index(frame["code"].to_numpy()[own] * size + frame["visit"].to_numpy()[own])
    at = keys.get_indexer(pd.Index(np.where((code >= 0) & (visit >= 0), code * size + visit, -1)))
    return np.asarray(verbs.take(own, at.astype(np.int64), -1))


def _sum_records(frame: pd.DataFrame, found: Evaluation, adtr: pd.DataFrame | None) -> Ints:
    """For each record the position in ADTR of the sum that it comes from, -1 if there is none."""
    out = np.full(len(frame), -1, dtype=np.int64)
    if adtr is None or found.assessed.visits.empty:
        return out
    visits = found.assessed.visits
    names, name = verbs.distinct_codes(pd.concat([visits["TRLNKGRP"], adtr["TRLNKGRP"]]))
    subjects = found.timing.subjects
    of_visits = subjects.get_indexer(pd.Index(visits["USUBJID"])) * len(names)
    of_sums = subjects.get_indexer(pd.Index(adtr["USUBJID"].astype("str"))) * len(names)
    known = pd.Index(of_sums + name[len(visits) :])
    wanted = of_visits + name[: len(visits)]
    code = frame["code"].to_numpy()
    visit = frame["visit"].to_numpy(dtype=np.int64)
    for paramcd, sum_of in _FROM_SUM.items():
        mine = np.flatnonzero((adtr["PARAMCD"] == sum_of).to_numpy(dtype=bool))
        at = verbs.take(mine, known[mine].get_indexer(pd.Index(wanted)).astype(np.int64), -1)
        rows = np.flatnonzero((code == NUMBER[paramcd]) & (visit < len(visits)))
        out[rows] = at[visit[rows]]
    return out


def _add_source(
    frame: pd.DataFrame,
    data: Mapping[str, pd.DataFrame],
    reader: pd.DataFrame,
    first: int,
    sums: Ints,
) -> None:
    """SRCDOM, SRCVAR and SRCSEQ where one record supplies the value."""
    code = frame["code"].to_numpy(dtype=np.int64)
    visit = frame["visit"].to_numpy(dtype=np.int64)
    source = frame["source"].to_numpy(dtype=np.int64)
    row = _rows_at(frame, source, visit)
    said = ~frame["once"].to_numpy(dtype=bool) & (visit >= first)
    # What also needs the non-target response has no single source.
    summed = (sums >= 0) & ~np.isin(code, [NUMBER[name] for name in _WITH_OTHERS])
    dated = np.isin(code, (NUMBER["DEATH"], NUMBER["NACT"]))
    lesion = frame["lesion"].to_numpy(dtype=np.int64)
    kind = np.select([row >= 0, said, summed, lesion >= 0, dated], [1, 2, 3, 4, 5], 0)
    frame["SRCDOM"] = verbs.texts([None, "ADRS", "RS", "ADTR", "ADLES", "ADSL"], kind)
    variable = np.select(
        [code == NUMBER["NRCPT"], code == NUMBER["NACT"]],
        [np.where(kind == 4, 1, 0), np.where(kind == 5, 6, 0)],
        kind,
    )
    variables = [None, "AVALC", "RSSTRESC", "AVAL", "AVAL", "DTHDT", "NACTDT"]
    frame["SRCVAR"] = verbs.texts(variables, variable)
    of_reader = np.where(said, visit - first, -1)
    frame["SRCSEQ"] = np.select(
        [kind == 1, kind == 2, kind == 3, kind == 4],
        [
            verbs.take(frame["ASEQ"].to_numpy(), row, np.nan),
            verbs.take(reader["RSSEQ"].to_numpy(), of_reader, np.nan),
            verbs.take(_sequences(data.get("ADTR")), sums, np.nan),
            verbs.take(_sequences(data.get("ADLES")), lesion, np.nan),
        ],
        np.nan,
    )


def _sequences(dataset: pd.DataFrame | None) -> Floats:
    return np.array([]) if dataset is None else verbs.number(dataset, "ASEQ").to_numpy()


def _trace(
    frame: pd.DataFrame,
    data: Mapping[str, pd.DataFrame],
    found: Evaluation,
    reader: pd.DataFrame,
    sums: Ints,
) -> list[pd.DataFrame]:
    """Every record from the records it was made of."""
    code = frame["code"].to_numpy(dtype=np.int64)
    visit = frame["visit"].to_numpy(dtype=np.int64)
    everything = np.arange(len(frame))
    own = verbs.record_keys(frame, "ASEQ")
    out = [
        verbs.parents_of(
            everything, "ADRS", own, _rows_at(frame, frame["source"].to_numpy(np.int64), visit)
        )
    ]
    if "ADTR" in data:
        out.append(
            verbs.parents_of(everything, "ADTR", verbs.record_keys(data["ADTR"], "ASEQ"), sums)
        )
    for overall, components in _FROM_COMPONENTS.items():
        rows = np.flatnonzero((code == NUMBER[overall]) & (visit < len(found.assessed.visits)))
        for component in components:
            at = _rows_at(frame, np.full(len(rows), NUMBER[component]), visit[rows])
            out.append(verbs.parents_of(rows, "ADRS", own, at))
    out += _from_sdtm(frame, found, reader)
    if "ADLES" in data:
        out += _from_lesions(frame, data["ADLES"])
    return out


def _from_sdtm(frame: pd.DataFrame, found: Evaluation, reader: pd.DataFrame) -> list[pd.DataFrame]:
    """Lines to TR for non-target and new lesions, and to RS for what was collected."""
    out = []
    records = found.assessed.records
    keys = verbs.record_keys(records, "TRSEQ")
    role = found.found["ROLE"].to_numpy()[records["lesion"].to_numpy()]
    known = records["TRSEQ"].notna().to_numpy()
    for paramcd, wanted in _FROM_TR.items():
        at = np.flatnonzero((role == wanted) & known)
        visit = records["visit"].to_numpy(dtype=np.int64)[at]
        row = _rows_at(frame, np.full(len(at), NUMBER[paramcd]), visit)
        out.append(verbs.parents_of(row, "TR", keys, at))
    first = len(found.assessed.visits)
    visit = frame["visit"].to_numpy(dtype=np.int64)
    said = np.flatnonzero(~frame["once"].to_numpy(dtype=bool) & (visit >= first))
    subject = found.timing.subjects.take(reader["subject"].to_numpy()).to_series(index=reader.index)
    keys = verbs.record_keys(reader.assign(USUBJID=subject), "RSSEQ")
    out.append(verbs.parents_of(said, "RS", keys, visit[said] - first))
    return out


def _from_lesions(frame: pd.DataFrame, adles: pd.DataFrame) -> list[pd.DataFrame]:
    out = []
    keys = verbs.record_keys(adles, "ASEQ")
    for paramcd, summary in _FROM_LESIONS.items():
        rows = np.flatnonzero(frame["code"].to_numpy() == NUMBER[paramcd])
        mine = adles["PARAMCD"].eq(summary) & adles["LESGRP"].eq("NONIRRAD")
        at = np.flatnonzero(mine.to_numpy(dtype=bool))
        owner = pd.Index(frame["USUBJID"].take(rows)).get_indexer(
            pd.Index(adles["USUBJID"].take(at))
        )
        out.append(
            verbs.parents_of(verbs.take(rows, owner.astype(np.int64), -1), "ADLES", keys, at)
        )
    return out


ADRS = Derivation(
    name="ADRS",
    label="Disease Response Analysis Dataset",
    keys=("STUDYID", "USUBJID", "PARAMCD", "ADT", "RSLNKGRP", "ASEQ"),
    needs=("ADSL",),
    prepare=evaluation.evaluate,
    derive=derive,
    columns=COLUMNS,
    labels=verbs.labels(
        COLUMNS,
        {
            "RSLNKGRP": "Link Group ID",
            "FSCDT": "First Scan Date of Assessment",
            "LSCDT": "Last Scan Date of Assessment",
        },
    ),
)
