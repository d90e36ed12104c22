"""Dates stay what the source wrote: no zone moves a day, nothing is filled in, no day is zero."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir2cdisc.core import dates
from fhir2cdisc.core.column import Context
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.verbs import iso8601, path
from fhir2cdisc.terminology.terms import Terminology


def text(*values: str | None) -> pd.Series:
    return pd.Series(list(values), dtype="str")


DTC = {
    "a year": ("2024", "2024"),
    "a month": ("2024-03", "2024-03"),
    "a day": ("2024-03-04", "2024-03-04"),
    "a time with an offset": ("2024-03-04T23:30:00-11:00", "2024-03-04T23:30:00"),
    "a time with an offset to the east": ("2024-03-04T00:30:00+14:00", "2024-03-04T00:30:00"),
    "a time in UTC": ("2024-03-04T10:00:00Z", "2024-03-04T10:00:00"),
    "fractions of a second": ("2024-03-04T10:00:00.123+01:00", "2024-03-04T10:00:00"),
    "a time without seconds": ("2024-03-04T10:00", "2024-03-04T10:00"),
    "the leap day": ("2024-02-29", "2024-02-29"),
    "missing": (None, None),
}


@pytest.mark.parametrize(("raw", "expected"), DTC.values(), ids=DTC)
def test_a_date_keeps_its_precision_and_its_day(raw: str | None, expected: str | None) -> None:
    found = dates.without_zone(text(raw))
    assert dates.is_possible(found).all()
    assert found.tolist()[0] == expected if expected else found.isna().all()


IMPOSSIBLE = {
    "no such day": "2024-02-30",
    "no leap day in this year": "2023-02-29",
    "no such month": "2024-13-01",
    "month zero": "2024-00-10",
    "day zero": "2024-01-00",
    "no such hour": "2024-01-01T24:30:00",
    "no such minute": "2024-01-01T10:60:00",
    "a year before all": "0001-01-01",
    "a sentinel of the far past": "1000-01-01",
    "no date at all": "yesterday",
    "day before month": "04.03.2024",
    "a slash": "2024/03/04",
    "no zeros": "2024-3-4",
    "an hour without minutes": "2024-01-01T10",
    "something behind it": "2024-01-01 ",
}


@pytest.mark.parametrize("raw", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_date_is_known_as_such(raw: str) -> None:
    assert not dates.is_possible(text(raw)).any()


def test_an_impossible_date_is_left_out_and_reported_without_its_value() -> None:
    issues = Issues()
    table = pd.DataFrame({"d": text("2024-02-30", "2024-02"), "%key": text("A/1", "A/2")})
    found = iso8601(path("d")).evaluate(table, Context(terms=Terminology(), issues=issues))
    assert found.isna().tolist() == [True, False]
    (issue,) = issues
    assert (issue.code, issue.count, issue.samples) == ("FH0009", 1, ("A/1",))
    assert "2024-02-30" not in issue.message


DAYS = {
    "the day of reference is day 1": ("2024-03-10", "2024-03-10", 1),
    "the day after is day 2": ("2024-03-11", "2024-03-10", 2),
    "the day before is day -1": ("2024-03-09", "2024-03-10", -1),
    "a time of day changes nothing": ("2024-03-09T23:59:00", "2024-03-10T00:01", -1),
    "over the end of February": ("2024-03-01", "2024-02-28", 3),
    "a partial date has no day": ("2024-03", "2024-03-10", None),
    "nor has a partial reference": ("2024-03-10", "2024-03", None),
    "nor a missing one": ("2024-03-10", None, None),
}


@pytest.mark.parametrize(("dtc", "reference", "day"), DAYS.values(), ids=DAYS)
def test_study_day(dtc: str, reference: str | None, day: int | None) -> None:
    (found,) = dates.study_day(text(dtc), text(reference))
    assert found == day if day is not None else pd.isna(found)


AGES = {
    "on the birthday": ("1960-05-16", "2024-05-16", 64),
    "the day before": ("1960-05-17", "2024-05-16", 63),
    "born on the leap day": ("1960-02-29", "2023-02-28", 62),
    "and a day later": ("1960-02-29", "2023-03-01", 63),
    "a year of birth is no age": ("1960", "2024-05-16", None),
    "nor is a month": ("1960-05", "2024-05-16", None),
}


@pytest.mark.parametrize(("birth", "reference", "age"), AGES.values(), ids=AGES)
def test_age(birth: str, reference: str, age: int | None) -> None:
    (found,) = dates.age_in_years(text(birth), text(reference))
    assert found == age if age is not None else pd.isna(found)


def test_before_is_said_of_complete_dates() -> None:
    early = text("2024-03-09", "2024-03-10", "2024-03-11", None)
    found = dates.is_before(early, text(*["2024-03-10"] * 4))
    assert found.fillna("?").tolist() == ["Y", "N", "N", "?"]


calendar = st.dates(date(1950, 1, 1), date(2099, 12, 31))
zones = st.sampled_from(["Z", "+00:00", "+14:00", "-12:00", "+05:30"])


@given(calendar, st.times(), zones)
def test_no_zone_moves_a_calendar_day(day: date, time, zone: str) -> None:
    raw = f"{day}T{time.strftime('%H:%M:%S')}{zone}"
    (found,) = dates.without_zone(text(raw))
    assert found[:10] == day.isoformat()
    assert dates.to_date(text(found))[0].date() == day


@given(calendar, st.sampled_from([4, 7, 10]))
def test_a_partial_date_stays_partial(day: date, length: int) -> None:
    partial = day.isoformat()[:length]
    (found,) = dates.without_zone(text(partial))
    assert found == partial
    assert dates.is_possible(text(found)).all()
    assert dates.to_date(text(found)).isna()[0] == (length < 10)


@given(calendar, st.integers(-5000, 5000))
def test_there_is_no_day_zero_and_no_day_is_skipped(reference: date, shift: int) -> None:
    day = reference + timedelta(days=shift)
    (found,) = dates.study_day(text(day.isoformat()), text(reference.isoformat()))
    assert found == (shift + 1 if shift >= 0 else shift)
    assert found != 0


@given(st.text(max_size=25))
def test_any_text_is_a_date_or_not(raw: str) -> None:
    possible = dates.is_possible(dates.without_zone(text(raw)))
    assert possible.dtype == bool
