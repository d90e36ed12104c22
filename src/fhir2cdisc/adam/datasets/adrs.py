"""ADRS: responses at each assessment and the best of each subject, by lesion group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhir2cdisc.adam import collected, evaluation, response_records, verbs
from fhir2cdisc.adam.evaluation import ALL, IRRAD, NONIRRAD, VOLUME, Evaluation
from fhir2cdisc.adam.response_records import CODES, NUMBER, PARAMETERS, Source
from fhir2cdisc.adam.verbs import Ints
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "PARAM": described("PARAM", "Text of PARAMCD"),
    "PARAMCD": described(
        "PARAMCD",
        "Ending NI: of non-irradiated, IR: of irradiated target lesions, V: target response by "
        "volume; ending INV, IRC: as collected in RS from the investigator or another reader, or "
        "derived from that. Without lesion measurements the parameters without ending are derived "
        "from the responses of the investigator",
    ),
    "PARCAT1": described("PARCAT1", "Tumor Response or Reference Event"),
    "PARCAT2": described("PARCAT2", "DERIVED from TR, or the reader of the responses in RS"),
    "PARCAT3": described(
        "PARCAT3",
        "Response criteria (setting criteria); PROTOCOL DEFINED RESPONSE CRITERIA by volume",
    ),
    "PARCAT4": described("PARCAT4", "Lesion group: ALL, NONIRRAD or IRRAD"),
    "ADT": described(
        "ADT",
        "PD: earliest scan that shows it - the first one of a new lesion or of unequivocal "
        "non-target progression, or the last one of a sum that has increased; if an equivocal new "
        "lesion turns out unequivocal, PD, BOR and the like have its first scan. Other responses: "
        "last scan of the assessment. Once for a subject: date of the assessment that supplies "
        "the value, of a confirmed response the first one. DEATH, NACT: ADSL.DTHDT, ADSL.NACTDT",
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
        "EQUIVOCAL, 2 UNEQUIVOCAL",
    ),
    "AVALC": described(
        "AVALC",
        "TRG, from SDIAM of ADTR, in this order: CR if all targets are gone and nodes normal; PD "
        "if the criterion CRIT2 is met, or a target is there again after an overall CR; PR if "
        "CRIT1FL is Y; else SD. With targets missing: PD if the others alone meet CRIT2 and are "
        "more than normal nodes, else NE. NTRG: PD by the reader, CR if all are absent, NE if one "
        "is not evaluated, else NON-CR/NON-PD. OVR: RECIST 1.1 tables 1 and 2. OVRNI, OVRIR: "
        "target rules on the sum of the group alone. BOR: best of the candidates (ANL01FL and "
        "ANL02FL of Y), SD and NON-CR/NON-PD from sd_min_days after STARTDT0; CBOR: CR and PR "
        "only if confirmed confirm_days later (RECIST 1.1 table 3); MISSING without candidates. "
        "RSP, CRSP: Y if there is a (confirmed) CR or PR. CB, CCB: Y if BOR, CBOR is CR, PR, SD or "
        "NON-CR/NON-PD. ARR, ACR: from BORNI. ABSANY: Y if CRIT1FL of LSPCHGB in ADLES is Y for "
        "any, NRCPT: if LSCTRL is Y for all non-irradiated targets",
    ),
    "ANL01FL": described(
        "ANL01FL",
        "Y for the worst record of a date (PD, NON-CR/NON-PD, SD, PR, CR, then NE) from STARTDT0, "
        "not after NACTDT; once for a subject: always",
    ),
    "ANL02FL": described("ANL02FL", "Y up to and including the first PD of the parameter"),
    "SRCDOM": described("SRCDOM", "ADTR, ADRS, ADSL or RS, where one record supplies the value"),
    "SRCVAR": described("SRCVAR", "Variable of SRCDOM"),
    "SRCSEQ": described("SRCSEQ", "ASEQ or RSSEQ of the record in SRCDOM"),
    "ASEQ": verbs.ASEQ,
}

# What is made of each source of responses: kind -> PARAMCD.
_OF_ALL = {name: name for name in ("PD", "RSP", "CRSP", "CB", "CCB", "BOR", "CBOR", "BCP", "CBCP")}
_OF_NONIRRAD = {
    "PD": "PDNI", "BOR": "BORNI", "CBOR": "CBORNI", "BCP": "ARR", "CONTROL": "ACR",
}  # fmt: skip
_OF_IRRAD = {"PD": "PDIR", "BOR": "BORIR", "CBOR": "CBORIR"}
_OF_VOLUME = {"CRSP": "CRSPV", "CBOR": "CBORV"}
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
    measured = first > 0 or reader.empty
    ending = {"INV": "INV" if measured else "", "IRC": "IRC"}
    sources = _sources(found, reader, ending, measured=measured)
    parts = response_records.at_visits(found) if measured else []
    for who, end in ending.items():
        parts += response_records.as_collected(reader, who, end, found.timing, first)
    for source in sources:
        parts += response_records.of_subjects(source, len(adsl), study)
    parts += response_records.of_lesions(data.get("ADLES"), found.timing)
    parts += response_records.events(found, adsl, sources[0])
    records = pd.concat(parts, ignore_index=True)
    frame = verbs.complete_records(records, adsl, ("code", "ADT", "visit"))
    _add_parameter(frame, study, measured=measured)
    _add_assessment(frame, found, reader, study)
    sums = _sum_records(frame, found, data.get("ADTR"))
    _add_source(frame, reader, first, data.get("ADTR"), sums)
    return verbs.derived_of_subjects(frame, _trace(frame, data, found, reader, sums))


def _sources(
    found: Evaluation, reader: pd.DataFrame, ending: Mapping[str, str], *, measured: bool
) -> list[Source]:
    """Where best responses come from; the first source is that of the trial."""
    everyone = np.arange(len(found.timing.subjects), dtype=np.int64)
    out = []
    if measured:
        out = [Source(found.responses[ALL], "OVR", _OF_ALL, everyone)]
        for key, code, once in (
            (NONIRRAD, "OVRNI", _OF_NONIRRAD),
            (IRRAD, "OVRIR", _OF_IRRAD),
        ):
            lesions = found.found[
                (found.found["ROLE"] == "TARGET") & (found.found["LESGRP"] == key[0])
            ]
            owners = np.flatnonzero(found.timing.subjects.isin(lesions["USUBJID"]))
            out.append(Source(found.responses[key], code, once, owners))
        out.append(Source(found.responses[VOLUME], "OVRV", _OF_VOLUME, everyone))
    first = len(found.assessed.visits)
    for who, end in ending.items():
        table = response_records.reader_responses(reader, who, found.timing, first)
        if len(table) or not end:
            once = _OF_ALL if not end else {kind: kind + end for kind in _OF_READER}
            out.append(Source(table, "OVR" + end, once, everyone))
    return out


# -- texts and sources ------------------------------------------------------------------------

# PARAMCD of ADRS -> PARAMCD of ADTR whose sum it comes from.
_FROM_SUM = {"TRG": "SDIAM", "OVRNI": "SDIAMNI", "OVRIR": "SDIAMIR", "OVRV": "SVOL"}
_FROM_COMPONENTS = {"OVR": ("TRG", "NTRG", "NEWL"), "OVRV": ("NTRG", "NEWL")}
_FROM_TR = {"NTRG": "NON-TARGET", "NEWL": "NEW"}
_FROM_LESIONS = {"ABSANY": "LSPCHGB", "NRCPT": "LSCTRL"}


def _add_parameter(frame: pd.DataFrame, study: Study, *, measured: bool) -> None:
    code = frame["code"].to_numpy(dtype=np.int64)
    own = "DERIVED" if measured else study.response.evaluator
    readers = {"": own, "INV": study.response.evaluator, "IRC": "INDEPENDENT ASSESSOR"}
    criteria = study.response.criteria
    frame["PARAMCD"] = verbs.texts(CODES, code)
    texts = list(PARAMETERS.values())
    frame["PARAM"] = verbs.texts([p.param for p in texts], code)
    frame["PARCAT1"] = verbs.texts([p.category for p in texts], code)
    frame["PARCAT2"] = verbs.texts([readers[p.reader] for p in texts], code)
    frame["PARCAT3"] = verbs.texts(
        ["PROTOCOL DEFINED RESPONSE CRITERIA" if p.volume else criteria for p in texts], code
    )
    frame["PARCAT4"] = verbs.texts([p.group for p in texts], code)
    frame["ANL01FL"] = verbs.flags(frame["within"])
    frame["ANL02FL"] = verbs.flags(frame["up_to_pd"])


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
    for response, sum_of in _FROM_SUM.items():
        mine = np.flatnonzero((adtr["PARAMCD"] == sum_of).to_numpy(dtype=bool))
        at = verbs.take(mine, known[mine].get_indexer(pd.Index(wanted)).astype(np.int64), -1)
        rows = np.flatnonzero((code == NUMBER[response]) & (visit < len(visits)))
        out[rows] = at[visit[rows]]
    return out


def _add_source(
    frame: pd.DataFrame, reader: pd.DataFrame, first: int, adtr: pd.DataFrame | None, sums: Ints
) -> None:
    """SRCDOM, SRCVAR and SRCSEQ where one record supplies the value."""
    code = frame["code"].to_numpy(dtype=np.int64)
    visit = frame["visit"].to_numpy(dtype=np.int64)
    source = frame["source"].to_numpy(dtype=np.int64)
    row = _rows_at(frame, source, visit)
    said = ~frame["once"].to_numpy(dtype=bool) & (visit >= first)
    # A response by volume also needs the non-target response: it has no single source.
    summed = (sums >= 0) & (code != NUMBER["OVRV"])
    dated = np.isin(code, (NUMBER["DEATH"], NUMBER["NACT"]))
    kind = np.select([row >= 0, said, summed, dated], [1, 2, 3, 4], 0)
    frame["SRCDOM"] = verbs.texts([None, "ADRS", "RS", "ADTR", "ADSL"], kind)
    variable = np.where((kind == 4) & (code == NUMBER["NACT"]), 5, kind)
    frame["SRCVAR"] = verbs.texts([None, "AVALC", "RSSTRESC", "AVAL", "DTHDT", "NACTDT"], variable)
    of_reader = np.where(said, visit - first, -1)
    of_sums = np.array([]) if adtr is None else verbs.number(adtr, "ASEQ").to_numpy()
    frame["SRCSEQ"] = np.select(
        [kind == 1, kind == 2, kind == 3],
        [
            verbs.take(frame["ASEQ"].to_numpy(), row, np.nan),
            verbs.take(reader["RSSEQ"].to_numpy(), of_reader, np.nan),
            verbs.take(of_sums, sums, np.nan),
        ],
        np.nan,
    )


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
    for response, wanted in _FROM_TR.items():
        at = np.flatnonzero((role == wanted) & known)
        visit = records["visit"].to_numpy(dtype=np.int64)[at]
        row = _rows_at(frame, np.full(len(at), NUMBER[response]), visit)
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
    for response, summary in _FROM_LESIONS.items():
        rows = np.flatnonzero(frame["code"].to_numpy() == NUMBER[response])
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
