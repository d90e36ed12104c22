"""ADLES: every target lesion on its own, at each assessment and as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from fhir2cdisc.adam import evaluation, lesion_records, radiotherapy, sums, verbs
from fhir2cdisc.adam.datasets.adtr import BY_SPHERE
from fhir2cdisc.adam.evaluation import Evaluation, LesionResponses
from fhir2cdisc.adam.lesion import TESTS
from fhir2cdisc.adam.lesion_records import CODES, CONTROL, NUMBER, PARAMETERS
from fhir2cdisc.adam.verbs import Ints
from fhir2cdisc.core.column import Column
from fhir2cdisc.core.derivation import Derivation, Derived
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import described
from fhir2cdisc.study import Study

COLUMNS: Mapping[str, Column] = {
    **verbs.subject_columns(),
    "LESID": described("LESID", "TU.TULNKID"),
    "LESGRP": described(
        "LESGRP",
        "LOWDOSE if SUPPTU.TUIRRLVL is LOW-DOSE (setting low_dose_group); else IRRAD if "
        "SUPPTU.TUIRRAD is Y (TUIRRLVL is IN-FIELD), NONIRRAD if it is N (OUT-OF-FIELD); missing "
        "where that is undetermined or contradictory",
    ),
    "LESTYP": described("LESTYP", "TU.TUSTRESC (TARGET)"),
    "TULOC": described("TULOC", "TU.TULOC"),
    "NODALFL": described("NODALFL", "Y if TULOC names a lymph node, else N"),
    "RTSTDT": described("RTSTDT", "First PR.PRSTDTC of protocol radiotherapy linked to the lesion"),
    "RTDOSE": described(
        "RTDOSE",
        "Sum of PR.PRDOSE (else EX.EXDOSE of the same link, else fractions times dose of a "
        "fraction) of these courses, in Gy",
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
        "At each assessment: LSDIAM, LSVOL, LSRSP; once for a lesion: LSBRSP, LSPCHGB, LSCTRL by "
        "the rule in force, LSCTRLB, LSCTRLS, LSCTRLL and LSCTRLM by each rule, LTTP",
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
        "LSBRSP: 1 CR, 2 PR, 3 SD, 5 PD, 6 NE; LSCTRL and the like: 1 Y, 0 N; LTTP: ADT - "
        "STARTDT0 + 1",
    ),
    "AVALC": described(
        "AVALC",
        "LSRSP: the target rules of RECIST 1.1 applied to the lesion alone (nodes: CR below "
        "10 mm), whatever the overall response; merged lesions, and NONIRRAD lesions after "
        "protocol radiotherapy, are NE. LSBRSP: best of CR, PR, SD (sd_min_days after the start), "
        "PD, NE where ANL01FL is Y up to the first PD of the lesion. LSCTRL: Y by the setting "
        "nrcr_rule - best (LSCTRLB): LSBRSP is CR, PR or SD; sustained (LSCTRLS): and there is no "
        "LSRSP of PD; last (LSCTRLL): the last LSRSP other than NE is; landmark (LSCTRLM): the "
        "last one within half an interval of the last planned assessment up to CUT6DT is; SD "
        "always from sd_min_days",
    ),
    "VOLNOTE": described("VOLNOTE", "LSVOL: the warning, if AVAL is the volume of a sphere"),
    "CNSR": described(
        "CNSR",
        "LTTP: 0 PD of the lesion (first LSRSP of PD from STARTDT0, not after NACTDT, whatever "
        "CUT6DT); 7 death competes (DTHDT, not after NACTDT); 2 new therapy, 1 end of follow-up "
        "(last LSRSP other than NE); 4 nothing after the start (STARTDT0)",
    ),
    "EVNTDESC": described("EVNTDESC", "LTTP: CNSR in words"),
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
        "(plus cut_window_days) and not after NACTDT; an assessment without date stands at its "
        "place in the order of visits",
    ),
    "EVALFL": described(
        "EVALFL",
        "Y if the lesion has a baseline and its LSBRSP is not NE, else N (what has no baseline "
        "could only fail)",
    ),
    "SRCDOM": described(
        "SRCDOM",
        "LSDIAM, LSVOL: TR; LSRSP: ADLES (LSDIAM), or TR where there is none; once for a lesion: "
        "ADLES (LSRSP; LSPCHGB: LSDIAM), LTTP also ADSL",
    ),
    "SRCVAR": described(
        "SRCVAR", "TRSTRESN, or TRSTAT of what was not done; AVAL, AVALC, ADT; DTHDT, STARTDT0"
    ),
    "SRCSEQ": described(
        "SRCSEQ",
        "ASEQ or TRSEQ where one record supplies the value (not for parts of a split lesion and "
        "volumes of two diameters)",
    ),
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
    "VOLNOTE": "Note on Volume",
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
    visits = single.visits
    chosen = {
        "LSDIAM": visits["sum"].notna(), "LSRSP": visits["post"], "LSVOL": visits["volume"].notna(),
    }  # fmt: skip
    parts = [
        *(
            lesion_records.at_visits(found, single, study, code, rows.to_numpy(dtype=bool))
            for code, rows in chosen.items()
        ),
        *(
            lesion_records.of_lesions(found, single, study, code)
            for code in ("LSBRSP", "LSCTRL", *CONTROL, "LSPCHGB")
        ),
        lesion_records.time_to_progression(found, single, study),
    ]
    records = pd.concat(parts, ignore_index=True)
    frame = verbs.complete_records(records, data["ADSL"], ("lesion", "code", "ADT", "visit"))
    courses = radiotherapy.courses(data, found.found)
    courses = courses[courses["protocol"].astype(bool)]
    _add_lesion_variables(frame, found, single, courses)
    sources = _add_sources(frame, found)
    exposures = radiotherapy.exposures(data)
    return verbs.derived_of_subjects(frame, _trace(frame, found, sources, courses, exposures))


def _add_lesion_variables(
    frame: pd.DataFrame, found: Evaluation, single: LesionResponses, courses: pd.DataFrame
) -> None:
    lesion = frame["lesion"].to_numpy(dtype=np.int64)
    code = frame["code"].to_numpy(dtype=np.int64)
    for name, source in (("LESID", "LESID"), ("LESGRP", "LESGRP"), ("LESTYP", "ROLE")):
        frame[name] = found.found[source].take(lesion).reset_index(drop=True)
    frame["TULOC"] = found.found["TULOC"].take(lesion).reset_index(drop=True)
    frame["NODALFL"] = verbs.texts(["N", "Y"], found.found["NODAL"].to_numpy(bool)[lesion])
    courses = courses.assign(
        BED10=radiotherapy.biologically_effective_dose(
            courses["RTDOSE"], courses["RTFRAC"], courses["RTFRDOSE"]
        )
    )
    grouped = courses.groupby("lesion")
    frame["RTSTDT"] = grouped["RTSTDT"].min().reindex(lesion).reset_index(drop=True)
    frame["RTSTDT"] = frame["RTSTDT"].astype("datetime64[s]")
    for name in ("RTDOSE", "RTFRAC", "BED10"):
        total = grouped[name].sum(min_count=1).reindex(lesion).reset_index(drop=True)
        frame[name] = total.astype("float64")
    frame["PARAMCD"] = verbs.texts(CODES, code)
    frame["PARAM"] = verbs.texts(list(PARAMETERS.values()), code)
    evaluable = np.zeros(len(found.found), dtype=bool)
    evaluable[single.lesions["lesion"]] = single.lesions["evaluable"]
    frame["EVALFL"] = verbs.texts(["N", "Y"], evaluable[lesion])
    frame["VOLNOTE"] = verbs.texts([None, BY_SPHERE], frame["kind"].eq(sums.SPHERE).to_numpy())
    frame["AVISIT"] = verbs.analysis_visits(frame["AVISITN"].to_numpy())


# -- where the values come from ---------------------------------------------------------------

_OF_RESPONSE = ("LSBRSP", "LSCTRL", *CONTROL, "LTTP")
_OF_DIAMETER = ("LSRSP", "LSPCHGB")


class _Sources(NamedTuple):
    """For each record the position of the one that supplies its value, in ADLES and in TR.

    -1: none, or several.
    """

    own: Ints
    measured: Ints


def _add_sources(frame: pd.DataFrame, found: Evaluation) -> _Sources:
    """SRCDOM, SRCVAR and SRCSEQ."""
    code = frame["code"].to_numpy(dtype=np.int64)
    own = np.full(len(frame), -1, dtype=np.int64)
    for source, users in (("LSRSP", _OF_RESPONSE), ("LSDIAM", _OF_DIAMETER)):
        using = np.isin(code, [NUMBER[user] for user in users])
        own[using] = _at_same_assessment(frame, source)[using]
    measured = _measurements(frame, found, own)
    timed, response = code == NUMBER["LTTP"], code == NUMBER["LSRSP"]
    sized = np.isin(code, (NUMBER["LSDIAM"], NUMBER["LSVOL"]))
    died = frame["CNSR"].eq(lesion_records.DEATH).to_numpy(dtype=bool)
    kind = np.select([own >= 0, sized | (measured >= 0), timed], [1, 2, 3], 0)
    frame["SRCDOM"] = verbs.texts([None, "ADLES", "TR", "ADSL"], kind)
    values = np.isin(code, [NUMBER[user] for user in _OF_DIAMETER])
    variable = np.select(
        [(kind == 1) & timed, (kind == 1) & values, kind == 1, response & (kind == 2), kind == 2,
         (kind == 3) & died, kind == 3],
        [1, 2, 3, 4, 5, 6, 7],
        0,
    )  # fmt: skip
    names = [None, "ADT", "AVAL", "AVALC", "TRSTAT", "TRSTRESN", "DTHDT", "STARTDT0"]
    frame["SRCVAR"] = verbs.texts(names, variable)
    frame["SRCSEQ"] = np.where(
        kind == 1,
        verbs.take(frame["ASEQ"].to_numpy(), own, np.nan),
        verbs.take(found.assessed.records["TRSEQ"].to_numpy(), measured, np.nan),
    )
    return _Sources(own, measured)


def _at_same_assessment(frame: pd.DataFrame, code: str) -> Ints:
    """For each record the position of the one of `code` of its lesion and assessment, else -1."""
    row = frame["row"].to_numpy(dtype=np.int64)
    mine = np.flatnonzero(frame["code"].eq(NUMBER[code]).to_numpy(dtype=bool))
    at = np.full(int(row.max()) + 1 if len(row) else 0, -1, dtype=np.int64)
    at[row[mine]] = mine
    return np.asarray(verbs.take(at, row, -1), dtype=np.int64)


def _measurements(frame: pd.DataFrame, found: Evaluation, own: Ints) -> Ints:
    """For each record the TR record that it shows, if it is one: of a diameter or a volume.

    A response without a diameter shows the record that says why there is none.
    """
    records = found.assessed.records
    test = records["test"].to_numpy()
    nodal = found.found["NODAL"].to_numpy(dtype=bool)[records["lesion"]]
    axis = np.where(nodal, TESTS["LPERP"], TESTS["LDIAM"])
    diameter = np.select([test == axis, test == TESTS["DIAMETER"]], [0, 1], -1)
    volume = np.where(test == TESTS["VOLUME"], 0, -1)
    code, kind = frame["code"].to_numpy(), frame["kind"].to_numpy()
    of_volume = code == NUMBER["LSVOL"]
    out = np.full(len(frame), -1, dtype=np.int64)
    for users, rank in (
        ((code == NUMBER["LSDIAM"]) | (of_volume & (kind == sums.SPHERE)), diameter),
        (of_volume & (kind == sums.COLLECTED), volume),
        ((code == NUMBER["LSRSP"]) & (own < 0), np.zeros(len(records), dtype=np.int64)),
    ):
        out[users] = _only_record(frame[users], found, rank)
    return out


def _keys(table: pd.DataFrame, found: Evaluation) -> Ints:
    """A number for each assessment and lesion."""
    size = max(len(found.found), 1)
    return np.asarray(table["visit"].to_numpy() * size + table["lesion"].to_numpy(), dtype=np.int64)


def _only_record(wanted: pd.DataFrame, found: Evaluation, rank: Ints) -> Ints:
    """For each assessment and lesion the position of the TR record of the lowest rank.

    -1 if there is none or several; records of rank -1 are passed over.
    """
    records = found.assessed.records
    usable = np.flatnonzero((rank >= 0) & records["TRSEQ"].notna().to_numpy())
    key, rank = _keys(records, found)[usable], rank[usable]
    order = np.lexsort([rank, key])
    usable, key, rank = usable[order], key[order], rank[order]
    first = np.flatnonzero(verbs.segment_starts(key))
    second = np.minimum(first + 1, max(len(key) - 1, 0))
    several = (second > first) & (key[second] == key[first]) & (rank[second] == rank[first])
    at = pd.Index(key[first]).get_indexer(pd.Index(_keys(wanted, found)))
    return np.asarray(verbs.take(np.where(several, -1, usable[first]), at.astype(np.int64), -1))


def _trace(
    frame: pd.DataFrame,
    found: Evaluation,
    sources: _Sources,
    courses: pd.DataFrame,
    exposures: pd.DataFrame,
) -> list[pd.DataFrame]:
    """Sizes come from TR, responses and summaries from records of ADLES.

    What a lesion has once also comes from its TU record, which has the lesion variables, and from
    the courses that irradiated it. (Records at assessments lead there by TRLNKID.)
    """
    records = found.assessed.records
    code = frame["code"].to_numpy()
    every = np.arange(len(frame))
    sized = np.isin(code, (NUMBER["LSDIAM"], NUMBER["LSVOL"]))
    # A response without a diameter comes from the records that say that there is none.
    alone = (code == NUMBER["LSRSP"]) & (sources.own < 0)
    measured = np.flatnonzero(sized | alone)
    used = pd.DataFrame({"key": _keys(records, found), "at": np.arange(len(records))})
    pairs = pd.DataFrame({"key": _keys(frame, found)[measured], "row": measured}).merge(
        used[records["TRSEQ"].notna().to_numpy()], on="key"
    )
    keys = verbs.record_keys(records, "TRSEQ")
    by_adsl = np.flatnonzero(frame["SRCDOM"].eq("ADSL").to_numpy(dtype=bool))
    return [
        verbs.parents_of(pairs["row"].to_numpy(), "TR", keys, pairs["at"].to_numpy()),
        verbs.parents_of(every, "ADLES", verbs.record_keys(frame, "ASEQ"), sources.own),
        verbs.parents_of(by_adsl, "ADSL", frame["USUBJID"], by_adsl),
        *_from_lesions(frame, found, courses, exposures),
    ]


def _from_lesions(
    frame: pd.DataFrame, found: Evaluation, courses: pd.DataFrame, exposures: pd.DataFrame
) -> list[pd.DataFrame]:
    """Lines to TU, and to PR (and EX, where the dose is there) of the courses of a lesion."""
    at_visits = [NUMBER[name] for name in ("LSDIAM", "LSRSP", "LSVOL")]
    once = np.flatnonzero(~np.isin(frame["code"].to_numpy(), at_visits))
    lesion = frame["lesion"].to_numpy(dtype=np.int64)[once]
    known = found.found["TUSEQ"].notna().to_numpy()[lesion]
    keys = verbs.record_keys(found.found, "TUSEQ")
    owner = found.found["USUBJID"].take(courses["lesion"].to_numpy(np.int64)).to_numpy()
    mine = pd.DataFrame({"row": once, "lesion": lesion}).merge(
        courses.assign(USUBJID=owner), on="lesion"
    )
    numbered = mine["PRSEQ"].notna().to_numpy()
    given = mine.merge(
        exposures.rename(columns={"link": "exposure"}).dropna(subset=["EXSEQ"]),
        on=["USUBJID", "exposure"],
    )
    return [
        verbs.parents_of(once[known], "TU", keys, lesion[known]),
        verbs.parents_of(
            mine["row"].to_numpy()[numbered],
            "PR",
            verbs.record_keys(mine, "PRSEQ"),
            np.flatnonzero(numbered),
        ),
        verbs.parents_of(
            given["row"].to_numpy(), "EX", verbs.record_keys(given, "EXSEQ"), np.arange(len(given))
        ),
    ]


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
