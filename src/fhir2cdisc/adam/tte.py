"""Time-to-event parameters as declarations: what starts, ends and censors an observation.

How they become records is in `tte_records`.

References:
    CDISC ADaM Basic Data Structure for Time-to-Event Analyses v1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.study import Study


@dataclass(frozen=True, slots=True, init=False)
class In:
    """Records of one dataset by equalities: ``In("ADRS", PARAMCD="PD", AVALC="Y")``.

    A tuple means one of several values. A dataset or variable that is not there has no records.
    """

    dataset: str
    where: tuple[tuple[str, tuple[str, ...]], ...]

    def __init__(self, dataset: str, **where: str | tuple[str, ...]) -> None:
        pairs = tuple((k, (v,) if isinstance(v, str) else v) for k, v in where.items())
        object.__setattr__(self, "dataset", dataset)
        object.__setattr__(self, "where", pairs)

    def describe(self) -> str:
        parts = [f"{name} is {_listed(values, 'or')}" for name, values in self.where]
        return f"{self.dataset} where {' and '.join(parts)}" if parts else self.dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The day on which the observation starts; who has none has no record."""

    dated: str
    records: In
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextVisit:
    """A date between two planned visits is moved to the later one, at most to a date of ADSL."""

    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A date that ends the observation.

    `flag` is the variable with its imputation flag. `by_assessment`: the event is seen at an
    assessment, so that an assessment of the same day does not count as one before it. A competing
    event ends the observation too, but is censored: it has a `cnsr`, and `dated` says what the
    date is.
    """

    description: str
    records: In
    date: str
    flag: str = ""
    by_assessment: bool = False
    cnsr: int = 0
    dated: str = ""
    moved: NextVisit | None = None


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
class Nothing:
    """The reason of censoring at the start where there is neither an event nor a later date."""

    description: str
    cnsr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """A date of ADSL after which records are not used; the day itself still is.

    With a `description` it is the reason of censoring where it comes before any event; without,
    it cuts the data and the ordinary reasons apply. With `dated`, whoever has a record after it
    was still observed on that day and is censored on it, for this reason; others are censored
    as ever. `window` adds `cut_window_days` to the date.
    """

    date: str
    description: str = ""
    cnsr: int = 0
    dated: str = ""
    window: bool = False

    @property
    def records(self) -> In:
        return In("ADSL")

    def days(self, study: Study) -> int:
        """Days after the date that still belong to it."""
        return study.endpoints.cut_window_days if self.window else 0


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
    """Records of which a subject must have one; who has none is censored at the start."""

    description: str
    records: In
    cnsr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToEvent:
    """One PARAMCD of ADTTE.

    The first of `events` counts; on one day the one declared first. Else the latest of
    `censorings` after the start; on one day the one declared first; the start itself if there is
    none (`nothing`). Without `nothing` whoever has no event has no record; with `among`, whoever
    has none of those records. `lesions` is the lesion group it is about.
    """

    paramcd: str
    param: str
    start: Start
    events: tuple[Event, ...]
    censorings: tuple[Censoring, ...] = ()
    nothing: Nothing | None = None
    requires: tuple[Requirement, ...] = ()
    until: tuple[Until, ...] = ()
    gap: Gap | None = None
    among: In | None = None
    lesions: str = "ALL"
    cites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.paramcd) > 8:
            raise DeclarationError(f"PARAMCD {self.paramcd} has more than 8 characters")
        if not self.events:
            raise DeclarationError(f"{self.paramcd}: a time-to-event parameter needs an event")
        if self.nothing is None and (self.censorings or self.requires or self.until or self.gap):
            raise DeclarationError(f"{self.paramcd}: who is censored at the start needs a reason")
        if any(bool(event.cnsr) != bool(event.dated) for event in self.events):
            raise DeclarationError(f"{self.paramcd}: a competing event has a CNSR and says `dated`")

    def codes(self) -> dict[tuple[int, str], None]:
        """The censorings that it can give: CNSR and EVNTDESC, in the order of the declaration."""
        reasons = (
            *self.requires, *self.events, *self.until, self.gap, *self.censorings, self.nothing,
        )  # fmt: skip
        return {(r.cnsr, r.description): None for r in reasons if r is not None and r.cnsr}

    def describe(self, study: Study | None = None) -> str:
        """The rule in sentences, one a line; with a study, with the days in force.

        It is the method of the parameter in Define-XML and among the results.
        """
        return "\n".join(
            [
                *self._beginning(),
                *self._ending(),
                *self._limits(study),
                *self._without_event(),
            ]
        )

    def _beginning(self) -> list[str]:
        start = self.start
        who = "with a start" if self.nothing is not None else "with a start and the event"
        if self.among is not None:
            who += f" and a record of {self.among.describe()}"
        lines = [
            (
                f"{self.param}: from STARTDT, the {_lowered(start.dated)} ({start.date} of "
                f"{start.records.describe()}), to ADT, counting both days."
            ),
            f"One record for every enrolled subject {who}.",
        ]
        lines += [
            f"A subject without a record of {r.records.describe()} is censored at the start, "
            f"whatever happens later (CNSR {r.cnsr}, {r.description})."
            for r in self.requires
        ]
        return lines

    def _ending(self) -> list[str]:
        own = [_sourced(e) for e in self.events if not e.cnsr]
        earliest = "the earliest of " if len(own) > 1 else ""
        lines = [f"The event (CNSR 0) is {earliest}{_listed(own, 'and')}."]
        lines += [
            f"{_sourced(e)} ends the observation as well if it comes first, but is censored "
            f"(CNSR {e.cnsr})."
            for e in self.events
            if e.cnsr
        ]
        lines += [
            f"{e.description} between two planned visits (every visit interval from the start, a "
            f"visit window to either side) is dated on the later one, at most on {e.moved.limit}."
            for e in self.events
            if e.moved is not None
        ]
        return lines

    def _limits(self, study: Study | None) -> list[str]:
        lines = []
        for u in self.until:
            days = "cut_window_days" if study is None else f"{u.days(study)} days"
            plus = f" plus {days}" if u.window and days != "0 days" else ""
            text = f"Records dated after ADSL.{u.date}{plus} are not used"
            if u.dated:
                text += "; who has one but no event is censored on that day"
            elif u.description:
                text += "; who has no event until then is censored as below, with this reason"
            reason = f" (CNSR {u.cnsr}, {u.description})" if u.description else ""
            lines.append(f"{text}{reason}.")
        if self.gap is not None:
            limit = (
                f"{self.gap.days(study)} days"
                if study is not None
                else f"{self.gap.missed} visit intervals and {self.gap.missed} visit windows"
            )
            text = (
                f"An event more than {limit} after the last censoring date before it, or after "
                "the start if there is none, does not count: the subject is censored on that date "
                f"(CNSR {self.gap.cnsr}, {self.gap.description})."
            )
            lines.append(text)
        return lines

    def _without_event(self) -> list[str]:
        if self.nothing is None:
            return []
        latest = "the latest of " if len(self.censorings) > 1 else ""
        dates = [
            f"the {_lowered(c.dated)} ({c.date} of {c.records.describe()}; CNSR {c.cnsr}, "
            f"{c.description})"
            for c in self.censorings
        ]
        text = (
            f"Without an event the subject is censored on {latest}{_listed(dates, 'and')}, or at "
            f"the start if there is none after it (CNSR {self.nothing.cnsr}, "
            f"{self.nothing.description})."
        )
        return [text]


def _sourced(event: Event) -> str:
    return f"{event.description} ({event.date} of {event.records.describe()})"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _listed(parts: Sequence[str], word: str) -> str:
    """``a, b and c``."""
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
