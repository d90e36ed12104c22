"""Time-to-event parameters: declare the events and censorings, derive all subjects at once.

References:
    CDISC ADaM Basic Data Structure for Time-to-Event Analyses v1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.study import Study

COLUMNS = (
    "USUBJID", "PARAMCD", "PARAM", "AVAL", "STARTDT", "ADT", "ADTF", "CNSR", "EVNTDESC",
    "CNSDTDSC", "SRCDOM", "SRCVAR", "SRCSEQ",
)  # fmt: skip
"""What `derive_time_to_event` returns, one row a subject."""


@dataclass(frozen=True, slots=True, init=False)
class In:
    """Records of one dataset by equalities: ``In("ADRS", PARAMCD="PD", AVALC="Y")``.

    A tuple means one of several values.
    """

    dataset: str
    where: tuple[tuple[str, tuple[str, ...]], ...]

    def __init__(self, dataset: str, **where: str | tuple[str, ...]) -> None:
        pairs = tuple((k, (v,) if isinstance(v, str) else v) for k, v in where.items())
        object.__setattr__(self, "dataset", dataset)
        object.__setattr__(self, "where", pairs)

    def select(self, data: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """The records; none if the dataset is not there."""
        frame = data.get(self.dataset)
        if frame is None:
            return pd.DataFrame({"USUBJID": pd.Series(dtype="str")})
        true = np.ones(len(frame), dtype=bool)
        for name, values in self.where:
            true &= frame[name].isin(values).to_numpy()
        return frame[true]

    def describe(self) -> str:
        parts = [f"{name} is {' or '.join(values)}" for name, values in self.where]
        return f"{self.dataset} where {' and '.join(parts)}" if parts else self.dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A date that ends the observation with the event of interest.

    `flag` is the variable with its imputation flag. `by_assessment`: the event is seen at an
    assessment, so that an assessment of the same day does not count as one before it.
    """

    description: str
    records: In
    date: str
    flag: str = ""
    by_assessment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Censoring:
    """A date up to which the event is known not to have happened.

    `description` is the reason where nothing else ended the observation; `dated` says what the
    date is.
    """

    description: str
    records: In
    date: str
    dated: str
    cnsr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """A date of ADSL after which records are not used; the day itself still is.

    With a `description` it is the reason of censoring where it comes before any event; without,
    it cuts the data and the ordinary reasons apply.
    """

    date: str
    description: str = ""
    cnsr: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An event does not count after too long a time without assessment.

    Too long is more than `missed` visit intervals and as many windows since the last censoring
    date before the event, or since the start if there is none.
    """

    description: str
    cnsr: int
    missed: int = 2

    def days(self, study: Study) -> int:
        """The longest gap after which an event still counts."""
        visits = study.endpoints
        return self.missed * (visits.visit_interval_days + visits.visit_window_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a subject must have; who has not is censored at the start, whatever happens later."""

    description: str
    flag: str
    cnsr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToEvent:
    """One PARAMCD of ADTTE.

    `start` is a date of ADSL. The first of `events` counts; on one day the one declared first.
    Else the latest of `censorings`; on one day the one declared first; the start itself if there
    is none (`nothing`).
    """

    paramcd: str
    param: str
    start: str
    events: tuple[Event, ...]
    censorings: tuple[Censoring, ...]
    nothing: Censoring
    requires: tuple[Requirement, ...] = ()
    until: tuple[Until, ...] = ()
    gap: Gap | None = None
    cites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.paramcd) > 8:
            raise DeclarationError(f"PARAMCD {self.paramcd} has more than 8 characters")
        if not self.events:
            raise DeclarationError(f"{self.paramcd}: a time-to-event parameter needs an event")

    def describe(self, study: Study | None = None) -> str:
        """The text of its Define-XML method; with a study, the days in force."""
        lines = [f"{self.param}: days from ADSL.{self.start} to ADT, plus 1."]
        lines += [
            f"If ADSL.{r.flag} is not Y: censored at the start (CNSR {r.cnsr}, {r.description})."
            for r in self.requires
        ]
        lines.append("Event (CNSR 0) at the earliest of:")
        lines += [f"- {e.description}: {e.date} of {e.records.describe()}" for e in self.events]
        lines += [
            f"Records dated after ADSL.{u.date} are not used"
            + (f"; then censored (CNSR {u.cnsr}, {u.description})." if u.description else ".")
            for u in self.until
        ]
        if self.gap is not None:
            limit = (
                f"{self.gap.days(study)} days"
                if study is not None
                else f"{self.gap.missed} visit intervals and {self.gap.missed} visit windows"
            )
            lines.append(
                f"An event more than {limit} after the last date below that precedes it (else "
                "after the start) does not count: censored at that date (CNSR "
                f"{self.gap.cnsr}, {self.gap.description})."
            )
        lines.append("Without an event censored at the latest of:")
        lines += [
            f"- {c.dated}: {c.date} of {c.records.describe()} (CNSR {c.cnsr}, {c.description})"
            for c in self.censorings
        ]
        lines.append(
            f"- else {self.nothing.dated} (CNSR {self.nothing.cnsr}, {self.nothing.description})."
        )
        return "\n".join(lines)


def derive_time_to_event(
    parameter: TimeToEvent, data: Mapping[str, pd.DataFrame], study: Study
) -> pd.DataFrame:
    """One row for every subject of ADSL with ENRLFL = Y and a start date, sorted by USUBJID.

    `data` has ADSL and what the declaration names. The columns are `COLUMNS`; dates are
    `datetime64[s]`. Dates before the start count as the start, so AVAL is never below 1.

    1. The end of observation is the earliest `until`; later records are dropped.
    2. The first event and, before it, the last censoring date are found.
    3. The first that applies decides: a requirement not met; an event within the gap; the gap;
       an `until` with a reason; no censoring date; the last censoring date.
    """
    subjects = _subjects(parameter, data)
    end = _end(parameter, subjects)
    events = _candidates(parameter.events, data, subjects, end["date"])
    marks = _candidates(parameter.censorings, data, subjects, end["date"])
    marks = marks[marks["ADT"] > marks["STARTDT"]]

    event = _per_subject(events, subjects, last=False)
    mark = _per_subject(_before(marks, event), subjects, last=True)
    last = _per_subject(marks, subjects, last=True)

    has_event = event["ADT"].notna()
    late = pd.Series(data=False, index=subjects.index)
    if parameter.gap is not None:
        since = mark["ADT"].where(mark["ADT"].notna(), subjects["STARTDT"])
        late = has_event & ((event["ADT"] - since).dt.days > parameter.gap.days(study))
    unmet = pd.Series(data=False, index=subjects.index)
    for requirement in parameter.requires:
        unmet |= subjects[requirement.flag].ne("Y")

    start, first, before, latest = range(4)  # the blocks of which each subject takes one
    block = np.select(
        [unmet, has_event & ~late, late & mark["ADT"].notna(), ~late & last["ADT"].notna()],
        [start, first, before, latest],
        start,
    )
    blocks = pd.concat([_at_start(parameter, subjects), event, mark, last])
    out = blocks.iloc[block * len(subjects) + np.arange(len(subjects))]
    cut = ~has_event & end["EVNTDESC"].notna()
    out = _because(out, cut, end["CNSR"], end["EVNTDESC"])
    if parameter.gap is not None:
        out = _because(out, late, parameter.gap.cnsr, parameter.gap.description)
    for requirement in reversed(parameter.requires):
        flag = subjects[requirement.flag].ne("Y")
        out = _because(out, flag, requirement.cnsr, requirement.description)
    return _shape(parameter, out, subjects)


def _because(
    out: pd.DataFrame, where: pd.Series, cnsr: pd.Series | int, description: pd.Series | str
) -> pd.DataFrame:
    """The same with another reason of censoring on some rows."""
    return out.assign(
        CNSR=out["CNSR"].mask(where, cnsr), EVNTDESC=out["EVNTDESC"].mask(where, description)
    )


def _at_start(parameter: TimeToEvent, subjects: pd.DataFrame) -> pd.DataFrame:
    return (
        _no_candidates()
        .drop(columns=["USUBJID", "RANK"])
        .reindex(subjects.index)
        .assign(
            ADT=subjects["STARTDT"],
            SRCDOM="ADSL",
            SRCVAR=parameter.start,
            DATED=parameter.nothing.dated,
            CNSR=float(parameter.nothing.cnsr),
            EVNTDESC=parameter.nothing.description,
        )
    )


def _subjects(parameter: TimeToEvent, data: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    adsl = data["ADSL"]
    wanted = adsl[adsl["ENRLFL"].eq("Y") & adsl[parameter.start].notna()]
    names = [parameter.start, *(u.date for u in parameter.until)]
    names += [r.flag for r in parameter.requires]
    subjects = wanted.set_index("USUBJID")[list(dict.fromkeys(names))].sort_index()
    return subjects.assign(STARTDT=subjects[parameter.start])


def _end(parameter: TimeToEvent, subjects: pd.DataFrame) -> pd.DataFrame:
    """The end of observation (`date`, NaT if open) and, if it is a reason, CNSR and EVNTDESC."""
    out = pd.DataFrame(
        {
            "date": pd.Series(pd.NaT, index=subjects.index, dtype="datetime64[s]"),
            "CNSR": np.nan,
            "EVNTDESC": pd.Series(np.nan, index=subjects.index, dtype="str"),
        }
    )
    for until in parameter.until:
        date = subjects[until.date]
        sooner = date.notna() & ~(out["date"] <= date)
        out["date"] = out["date"].mask(sooner, date)
        out["CNSR"] = out["CNSR"].mask(sooner, until.cnsr if until.description else np.nan)
        out["EVNTDESC"] = out["EVNTDESC"].mask(sooner, until.description or np.nan)
    return out


def _candidates(
    sources: Sequence[Event | Censoring],
    data: Mapping[str, pd.DataFrame],
    subjects: pd.DataFrame,
    end: pd.Series,
) -> pd.DataFrame:
    """All dates of the sources up to the end of observation, in the order of subject and date."""
    parts = []
    for rank, source in enumerate(sources):
        records = source.records.select(data)
        records = records[records["USUBJID"].isin(subjects.index)]
        if not len(records):
            continue
        censoring = source if isinstance(source, Censoring) else None
        flag = source.flag if isinstance(source, Event) else ""
        missing = pd.Series(np.nan, index=records.index)
        parts.append(
            pd.DataFrame(
                {
                    "USUBJID": records["USUBJID"],
                    "ADT": records[source.date],
                    "ADTF": records[flag] if flag else missing.astype("str"),
                    "CNSR": float(censoring.cnsr if censoring else 0),
                    "EVNTDESC": source.description,
                    "DATED": censoring.dated if censoring else np.nan,
                    "SRCDOM": source.records.dataset,
                    "SRCVAR": source.date,
                    "SRCSEQ": records.get("ASEQ", missing),
                    "CLOSED": isinstance(source, Event) and source.by_assessment,
                    "RANK": rank,
                }
            )
        )
    if not parts:
        parts = [_no_candidates()]
    found = pd.concat(parts, ignore_index=True).dropna(subset=["ADT"])
    last = end.reindex(found["USUBJID"].to_numpy()).to_numpy()
    found = found[np.isnat(last) | (found["ADT"].to_numpy() <= last)]
    start = subjects["STARTDT"].reindex(found["USUBJID"].to_numpy()).to_numpy()
    dated: pd.DataFrame = found.assign(STARTDT=start, DATED=found["DATED"].astype("str"))
    return dated.sort_values(["USUBJID", "ADT", "RANK", "SRCSEQ"], kind="stable")


def _no_candidates() -> pd.DataFrame:
    text = ("USUBJID", "ADTF", "EVNTDESC", "DATED", "SRCDOM", "SRCVAR")
    return pd.DataFrame(
        {name: pd.Series(dtype="str") for name in text}
        | {name: pd.Series(dtype="float64") for name in ("CNSR", "SRCSEQ", "RANK")}
        | {"ADT": pd.Series(dtype="datetime64[s]"), "CLOSED": pd.Series(dtype="bool")}
    )


def _before(marks: pd.DataFrame, event: pd.DataFrame) -> pd.DataFrame:
    """The censoring dates before the event; those of its day too, if no assessment showed it."""
    date = event["ADT"].reindex(marks["USUBJID"].to_numpy()).to_numpy()
    closed = event["CLOSED"].reindex(marks["USUBJID"].to_numpy()).eq(True).to_numpy()  # noqa: FBT003
    own = marks["ADT"].to_numpy()
    kept: pd.DataFrame = marks[(own < date) | ((own == date) & ~closed)]
    return kept


def _per_subject(found: pd.DataFrame, subjects: pd.DataFrame, *, last: bool) -> pd.DataFrame:
    """The first or last date of each subject; on one day the source declared first."""
    if last:
        # Sorted by rank within the day: the first of the last day.
        latest = found.groupby("USUBJID")["ADT"].transform("max")
        found = found[found["ADT"].eq(latest)]
    kept = found.drop_duplicates("USUBJID").set_index("USUBJID")
    kept = kept.drop(columns=["RANK", "STARTDT"])
    return kept.reindex(subjects.index)


def _shape(parameter: TimeToEvent, out: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    start = subjects["STARTDT"]
    date = out["ADT"].astype("datetime64[s]")
    date = date.mask(date < start, start)
    censored = out["CNSR"].astype("float64").gt(0)
    shaped = out.assign(
        USUBJID=out.index,
        PARAMCD=parameter.paramcd,
        PARAM=parameter.param,
        STARTDT=start,
        ADT=date,
        AVAL=((date - start).dt.days + 1).astype("float64"),
        CNSR=out["CNSR"].astype("float64"),
        CNSDTDSC=out["DATED"].where(censored).astype("str"),
        SRCSEQ=out["SRCSEQ"].astype("float64"),
        ADTF=out["ADTF"].astype("str"),
    )
    return shaped[list(COLUMNS)].reset_index(drop=True)
