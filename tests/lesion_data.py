"""Small SDTM data for tests of responses: subjects start on day 0, days become dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from fhir2cdisc.adam.datasets.adles import ADLES
from fhir2cdisc.adam.datasets.adrs import ADRS
from fhir2cdisc.adam.datasets.adtr import ADTR
from fhir2cdisc.converters.sdtm_to_adam import derive_datasets
from fhir2cdisc.core.dataset import Dataset
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

START = pd.Timestamp("2021-03-01")


class NoTerms:
    """The derivations recode nothing."""

    def recode(self, codelist: str, concept: str) -> str | None:
        return None

    def convert(self, number: str, unit: str, to: str) -> str | None:
        return None


def dtc(day: float | None) -> str | None:
    return None if day is None else (START + pd.Timedelta(days=day)).date().isoformat()


def text_frame(rows: Iterable[Sequence[object]], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(columns))
    for name in frame:
        number = name.endswith(("SEQ", "STRESN", "NUM"))
        frame[name] = frame[name].astype("float64" if number else "str")
    return frame


def adsl_of(
    subjects: Iterable[str],
    new_therapy: Mapping[str, int] | None = None,
    **more: Mapping[str, int],
) -> pd.DataFrame:
    """ADSL with the start of the clock and of treatment on day 0, and a cut after six months."""
    adsl = pd.DataFrame({"USUBJID": pd.Series(sorted(subjects), dtype="str")})
    adsl["STUDYID"] = "S"
    none = pd.Series(pd.NaT, index=adsl.index, dtype="datetime64[s]")
    adsl["STARTDT0"] = adsl["TRTSDT"] = (none.fillna(START)).astype("datetime64[s]")
    adsl["CUT6DT"] = (none.fillna(START + pd.DateOffset(months=6))).astype("datetime64[s]")
    for name, days in {"NACTDT": new_therapy or {}, **more}.items():
        dates = adsl["USUBJID"].map(lambda s, days=days: dtc(days.get(s)))
        adsl[name] = pd.to_datetime(dates).astype("datetime64[s]")
    return adsl


def tu_of(rows: Iterable[tuple[str, str, str, str, str]]) -> dict[str, pd.DataFrame]:
    """TU and SUPPTU of (subject, lesion, role, location, Y or N or empty for irradiated)."""
    lesions = list(rows)
    tu = text_frame(
        [
            (s, n + 1, "TUMIDENT", lesion, role, place, None)
            for n, (s, lesion, role, place, _) in enumerate(lesions)
        ],
        ["USUBJID", "TUSEQ", "TUTESTCD", "TULNKID", "TUSTRESC", "TULOC", "TUDTC"],
    )
    supp = text_frame(
        [(s, "TULNKID", lesion, "TUIRRAD", irr) for s, lesion, _, _, irr in lesions if irr],
        ["USUBJID", "IDVAR", "IDVARVAL", "QNAM", "QVAL"],
    )
    return {"TU": tu, "SUPPTU": supp}


TR = (
    "USUBJID", "TRSEQ", "TRLNKID", "TRLNKGRP", "TRTESTCD", "TRORRES", "TRSTRESC", "TRSTRESN",
    "TRSTAT", "TRDTC", "VISITNUM",
)  # fmt: skip


def tr_row(
    subject: str,
    seq: int,
    lesion: str,
    group: str | None,
    test: str,
    result: str,
    day: float | None,
    visit: float = np.nan,
) -> tuple[object, ...]:
    """A TR record; the result is a number, a state, TSTM, or empty for not done."""
    number: float = np.nan
    if result == "TSTM":
        original, number = "TOO SMALL TO MEASURE", 5.0
    else:
        original = result
        if test not in ("TUMSTATE", "LNSTATE") and result:
            number = float(result)
    done = None if result else "NOT DONE"
    shown = "5" if result == "TSTM" else result
    return (
        subject, seq, lesion, group, test, original or None, shown or None, number, done,
        dtc(day), visit,
    )  # fmt: skip


def derive(
    data: Mapping[str, pd.DataFrame], study: Study | None = None, issues: Issues | None = None
) -> dict[str, Dataset]:
    """ADTR, ADLES and ADRS by the engine."""
    found = issues if issues is not None else Issues()
    return derive_datasets((ADTR, ADLES, ADRS), data, study or Study(), NoTerms(), found)


def shuffled(data: Mapping[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    """The same records in another order."""
    return {
        name: frame.sample(frac=1, random_state=seed).reset_index(drop=True)
        for name, frame in data.items()
    }
