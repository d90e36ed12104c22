"""From the declarations of time to event to records: all subjects of a parameter at once.

What a declaration looks for is looked up once for all parameters (`Records`): they ask for the
same deaths, progressions and assessments.

References:
    CDISC ADaM Basic Data Structure for Time-to-Event Analyses v1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fhir2cdisc.adam import verbs
from fhir2cdisc.adam.tte import Censoring, Event, In, Start, TimeToEvent, Until
from fhir2cdisc.adam.verbs import NO_DAY, Bools, Floats, Ints
from fhir2cdisc.study import Study

COLUMNS = (
    "USUBJID", "PARAMCD", "PARAM", "AVAL", "STARTDT", "ADT", "ADTF", "CNSR", "EVNTDESC",
    "CNSDTDSC", "SRCDOM", "SRCVAR", "SRCSEQ",
)  # fmt: skip
"""What `derive_time_to_event` returns, one row a subject."""

Place = Start | Event | Censoring | Until
FAR = np.iinfo(np.int64).max  # after every day


# -- what the datasets hold -------------------------------------------------------------------


class Dated(NamedTuple):
    """Dated records in the order of subject, day and sequence.

    `subject` is the row in ADSL, `day` counts from 1970-01-01, `row` is that of the dataset;
    `first` is where the records of that subject and day begin.
    """

    subject: Ints
    day: Ints
    row: Ints
    first: Ints


class Records:
    """The datasets, with subjects as rows of ADSL and texts as codes; each looked up once."""

    def __init__(self, data: Mapping[str, pd.DataFrame]) -> None:
        self.data = data
        self.subjects = pd.Index(data["ADSL"]["USUBJID"].astype("str"))
        self._codes: dict[tuple[str, str], tuple[pd.Index, Ints]] = {}
        self._rows: dict[In, tuple[Ints, Ints]] = {}
        self._dated: dict[tuple[In, str], Dated] = {}

    def rows(self, records: In) -> tuple[Ints, Ints]:
        """The rows of the records in their dataset, and their subjects; none of nobody in ADSL."""
        if records not in self._rows:
            self._rows[records] = self._select(records)
        return self._rows[records]

    def dated(self, records: In, date: str) -> Dated:
        """Those that have a complete date."""
        if (records, date) not in self._dated:
            row, subject = self.rows(records)
            day = verbs.days_of(verbs.date(self.part(records, date, row), date))
            order = np.lexsort((self.sequence(records, row), day, subject))
            order = order[day[order] != NO_DAY]
            row, subject, day = row[order], subject[order], day[order]
            starts = verbs.segment_starts(subject) | verbs.segment_starts(day)
            first = np.maximum.accumulate(np.where(starts, np.arange(len(row)), 0))
            self._dated[records, date] = Dated(subject, day, row, first)
        return self._dated[records, date]

    def has(self, records: In) -> Bools:
        """For each subject whether there is such a record."""
        out = np.zeros(len(self.subjects), dtype=bool)
        out[self.rows(records)[1]] = True
        return out

    def days(self, name: str) -> Ints:
        """A date of ADSL for each subject."""
        return verbs.days_of(verbs.date(self.data["ADSL"], name))

    def sequence(self, records: In, row: Ints) -> Floats:
        """ASEQ or --SEQ of rows of the dataset; missing where it has none, as in ADSL."""
        name = "ASEQ" if records.dataset.startswith("AD") else f"{records.dataset}SEQ"
        return verbs.number(self.part(records, name, row), name).to_numpy(np.float64)

    def part(self, records: In, name: str, row: Ints) -> pd.DataFrame:
        """One variable of rows of the dataset; no column if it has none of that name."""
        frame = self.data.get(records.dataset)
        if frame is None or name not in frame:
            return pd.DataFrame(index=range(len(row)))
        return frame[[name]].take(row)

    def _select(self, records: In) -> tuple[Ints, Ints]:
        frame = self.data.get(records.dataset)
        if frame is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        row: Ints | slice = slice(None)
        for name, values in records.where:
            distinct, codes = self._coded(records.dataset, frame, name)
            wanted = np.append(distinct.isin(values), np.False_)  # -1, the last, is missing
            kept = wanted[codes[row]]
            row = np.flatnonzero(kept) if isinstance(row, slice) else row[kept]
        row = np.arange(len(frame)) if isinstance(row, slice) else row
        names = frame["USUBJID"].take(row).astype("str")
        subject = self.subjects.get_indexer(pd.Index(names)).astype(np.int64)
        return row[subject >= 0], subject[subject >= 0]

    def _coded(self, dataset: str, frame: pd.DataFrame, name: str) -> tuple[pd.Index, Ints]:
        if (dataset, name) not in self._codes:
            self._codes[dataset, name] = verbs.distinct_codes(verbs.text(frame, name))
        return self._codes[dataset, name]


# -- records of a parameter -------------------------------------------------------------------


def derive_time_to_event(
    parameter: TimeToEvent, data: Mapping[str, pd.DataFrame], study: Study
) -> pd.DataFrame:
    """The records of one parameter, sorted by USUBJID.

    There is one for every subject of ADSL with ENRLFL = Y and a start, unless the parameter is
    for some of them only. `data` has ADSL and what
    the declaration names. The columns are `COLUMNS`; dates are `datetime64[s]`. Dates before the
    start count as the start, so AVAL is never below 1.
    """
    found = derive_parameters((parameter,), Records(data), study)
    return found[list(COLUMNS)]


def derive_parameters(
    parameters: Sequence[TimeToEvent], records: Records, study: Study
) -> pd.DataFrame:
    """The records of several parameters, one after the other.

    Beside `COLUMNS` there are ``subject``, the row in ADSL, and ``start_row``, the row of the
    start in its dataset.
    """
    return pd.concat([_derive(p, records, study) for p in parameters], ignore_index=True)


class _Chosen(NamedTuple):
    """For each subject a day, the number of the declaration it is from, and the row there.

    The number is -1 where there is none; `day` is then before or after every day.
    """

    day: Ints
    number: Ints
    row: Ints

    @property
    def found(self) -> Bools:
        return self.number >= 0


class _Observation(NamedTuple):
    """When each subject was observed, in days, and what was seen.

    `start` is `NO_DAY` without observation, `first` the row of the start in its dataset. `end`
    is `FAR` where nothing ends the observation; else `cut` is the number of the `until` that
    does. `event` is the first one, `late` if it comes after the gap; `mark` is the last censoring
    date before it.
    """

    start: Ints
    first: Ints
    end: Ints
    cut: Ints
    event: _Chosen
    mark: _Chosen
    late: Bools


class _Decision(NamedTuple):
    """For each subject the day of ADT, the place it is taken from with the row there, the reason.

    Places are numbered: the start, events, censorings, untils. Reasons alike, and then the gap
    and the requirements.
    """

    day: Ints
    place: Ints
    row: Ints
    reason: Ints


def _derive(parameter: TimeToEvent, records: Records, study: Study) -> pd.DataFrame:
    seen = _observe(parameter, records, study)
    decision = _decide(parameter, records, seen)
    day = np.maximum(_moved(parameter, records, study, seen.start, decision), seen.start)
    kept = seen.start != NO_DAY
    if parameter.nothing is None:
        kept &= seen.event.found
    if parameter.among is not None:
        kept &= records.has(parameter.among)
    order = np.argsort(records.subjects.to_numpy(), kind="stable")
    return _write(parameter, records, seen, decision._replace(day=day), order[kept[order]])


def _observe(parameter: TimeToEvent, records: Records, study: Study) -> _Observation:
    """The enrolled subjects that have a start, up to the earliest `until`."""
    count = len(records.subjects)
    found = records.dated(parameter.start.records, parameter.start.date)
    first = verbs.first_row(np.ones(len(found.row), dtype=bool), found.subject, count)
    enrolled = records.has(In("ADSL", ENRLFL="Y"))
    start = np.where(enrolled, verbs.take(found.day, first, NO_DAY), NO_DAY)
    end, cut = np.full(count, FAR), np.full(count, -1)
    for number, until in enumerate(parameter.until):
        date = records.days(until.date)
        date = np.where(date == NO_DAY, FAR, date + until.days(study))
        sooner = date < end
        end, cut = np.where(sooner, date, end), np.where(sooner, number, cut)
    event = _first(parameter.events, records, end)
    # The assessment that shows an event is not one before it.
    closed = np.array([e.by_assessment for e in parameter.events])[event.number]
    before = np.where(event.found, event.day - closed, end)
    mark = _last(parameter.censorings, records, start, before)
    late = np.zeros(count, dtype=bool)
    if parameter.gap is not None:
        since = np.where(mark.found, mark.day, start)
        late = event.found & (event.day - since > parameter.gap.days(study))
    return _Observation(start, verbs.take(found.row, first, -1), end, cut, event, mark, late)


def _first(events: Sequence[Event], records: Records, end: Ints) -> _Chosen:
    """The first event up to the end of observation; on one day the one declared first."""
    best = _Chosen(np.full(len(end), FAR), np.full(len(end), -1), np.full(len(end), -1))
    for number, event in enumerate(events):
        found = records.dated(event.records, event.date)
        at = verbs.first_row(found.day <= end[found.subject], found.subject, len(end))
        day = verbs.take(found.day, at, FAR)
        best = _better(best, day < best.day, day, number, verbs.take(found.row, at, -1))
    return best


def _last(censorings: Sequence[Censoring], records: Records, after: Ints, upto: Ints) -> _Chosen:
    """The last date after one day and up to another; on one day the one declared first."""
    best = _Chosen(np.full(len(upto), NO_DAY), np.full(len(upto), -1), np.full(len(upto), -1))
    for number, censoring in enumerate(censorings):
        found = records.dated(censoring.records, censoring.date)
        kept = (found.day > after[found.subject]) & (found.day <= upto[found.subject])
        at = verbs.last_row(kept, found.subject, len(upto))
        at = verbs.take(found.first, at, -1)  # of several on that day the first
        day = verbs.take(found.day, at, NO_DAY)
        best = _better(best, day > best.day, day, number, verbs.take(found.row, at, -1))
    return best


def _better(best: _Chosen, where: Bools, day: Ints, number: int, row: Ints) -> _Chosen:
    return _Chosen(
        np.where(where, day, best.day),
        np.where(where, number, best.number),
        np.where(where, row, best.row),
    )


def _decide(parameter: TimeToEvent, records: Records, seen: _Observation) -> _Decision:
    """The first that applies decides.

    A requirement not met; the cut, where the subject was seen later; an event within the gap; the
    gap; an `until` with a reason; no censoring date; the last censoring date.
    """
    event, mark = seen.event, seen.mark
    none = np.zeros_like(seen.cut)
    marks = 1 + len(parameter.events)
    untils = marks + len(parameter.censorings)
    gap = untils + len(parameter.until)
    unmet = [~records.has(r.records) for r in parameter.requires]
    cases = [
        np.logical_or.reduce([none > 0, *unmet]),
        ~event.found & _is_seen_later(parameter, records, seen),
        event.found & ~seen.late,
        mark.found,
    ]
    dates = (
        (seen.start, none, seen.first),
        (seen.end, untils + seen.cut, none - 1),
        (event.day, 1 + event.number, event.row),
        (mark.day, marks + mark.number, mark.row),
    )
    day, place, row = (
        np.select(cases, of_case, of_case[0]) for of_case in zip(*dates, strict=True)
    )
    stops = np.array([bool(u.description) and not u.dated for u in parameter.until] + [False])
    reason = np.select(
        [*unmet, seen.late, ~event.found & stops[seen.cut]],
        [*(none + gap + n for n, _ in enumerate(unmet, start=1)), none + gap, untils + seen.cut],
        place,
    )
    return _Decision(day, place, row, reason)


def _is_seen_later(parameter: TimeToEvent, records: Records, seen: _Observation) -> Bools:
    """True where a record after the end shows that the observation went on, if that matters."""
    later = np.zeros(len(seen.end), dtype=bool)
    dated = np.array([bool(u.dated) for u in parameter.until] + [False])
    if dated.any():
        sources: tuple[Event | Censoring, ...] = (*parameter.events, *parameter.censorings)
        for source in sources:
            found = records.dated(source.records, source.date)
            later[found.subject[found.day > seen.end[found.subject]]] = True
    return np.asarray(later & dated[seen.cut])


def _moved(
    parameter: TimeToEvent, records: Records, study: Study, start: Ints, decision: _Decision
) -> Ints:
    """The days, with those of events that are dated on planned visits moved to the next one."""
    day = decision.day
    interval = study.endpoints.visit_interval_days
    window = study.endpoints.visit_window_days
    for number, event in enumerate(parameter.events, start=1):
        if event.moved is None:
            continue
        mine = np.flatnonzero((decision.place == number) & (start != NO_DAY))
        elapsed = day[mine] - start[mine]
        nearest = np.maximum(np.rint(elapsed / interval), 1) * interval
        following = np.maximum(np.ceil(elapsed / interval), 1).astype(np.int64) * interval
        limit = records.days(event.moved.limit)[mine]
        limit = np.where(limit == NO_DAY, FAR, np.maximum(limit, day[mine]))
        between = np.abs(elapsed - nearest) > window
        later = np.minimum(start[mine] + following, limit)
        day = day.copy()
        day[mine] = np.where(between, later, day[mine])
    return day


def _write(
    parameter: TimeToEvent,
    records: Records,
    seen: _Observation,
    decision: _Decision,
    kept: Ints,
) -> pd.DataFrame:
    """The records of the subjects `kept`, in this order."""
    places: tuple[Place, ...] = (
        parameter.start, *parameter.events, *parameter.censorings, *parameter.until,
    )  # fmt: skip
    reasons = (
        parameter.nothing, *parameter.events, *parameter.censorings, *parameter.until,
        parameter.gap, *parameter.requires,
    )  # fmt: skip
    day, place, row, reason = (values[kept] for values in decision)
    start = seen.start[kept]
    sequence = np.full(len(kept), np.nan)
    imputed = np.full(len(kept), None)
    for number, source in enumerate(places):
        at = np.flatnonzero((place == number) & (row >= 0))
        sequence[at] = records.sequence(source.records, row[at])
        if isinstance(source, Event) and source.flag:
            flag = verbs.text(records.part(source.records, source.flag, row[at]), source.flag)
            imputed[at] = flag.to_numpy()
    cnsr = np.array([0 if r is None else r.cnsr for r in reasons], dtype=np.float64)[reason]
    once = np.zeros_like(kept)
    return pd.DataFrame(
        {
            "USUBJID": pd.Series(records.subjects.take(kept), dtype="str"),
            "PARAMCD": verbs.texts([parameter.paramcd], once),
            "PARAM": verbs.texts([parameter.param], once),
            "AVAL": (day - start + 1).astype(np.float64),
            "STARTDT": verbs.dates_of(start),
            "ADT": verbs.dates_of(day),
            "ADTF": pd.Series(imputed, dtype="str"),
            "CNSR": cnsr,
            "EVNTDESC": verbs.texts([r.description if r else None for r in reasons], reason),
            "CNSDTDSC": verbs.texts([p.dated or None for p in places], place).where(cnsr > 0),
            "SRCDOM": verbs.texts([p.records.dataset for p in places], place),
            "SRCVAR": verbs.texts([p.date for p in places], place),
            "SRCSEQ": sequence,
            "subject": kept,
            "start_row": seen.first[kept],
        }
    )
