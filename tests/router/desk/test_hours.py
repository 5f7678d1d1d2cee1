"""Working hours, holidays and absences: wall time in every zone, and nothing twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.kernel.records import Absence
from router.desk.hours import (
    Calendar,
    calendar_of,
    countries,
    instant,
    is_absent,
    next_absence_change,
    parse_interval,
)

HOUR = 3_600_000
OFFICE = {"mon": ["09:00-13:00", "14:00-18:00"], "fri": ["22:00-06:00"]}


def at(text: str, zone: str = "Asia/Tashkent", fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def open_at(calendar: Calendar, zone: str, *moments: str) -> list[bool]:
    return [calendar.is_open(at(moment, zone)) for moment in moments]


def test_several_intervals_a_day_and_an_end_that_is_outside() -> None:
    calendar = Calendar("Asia/Tashkent", OFFICE)
    moments = ["2026-03-02 08:59", "2026-03-02 09:00", "2026-03-02 12:59", "2026-03-02 13:00",
               "2026-03-02 14:00", "2026-03-02 18:00", "2026-03-03 10:00"]  # fmt: skip
    assert open_at(calendar, "Asia/Tashkent", *moments) == [False, True, True, False, True, False, False]


def test_an_interval_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    calendar = Calendar("Asia/Tashkent", OFFICE)
    moments = ["2026-03-06 05:00", "2026-03-06 22:00", "2026-03-07 05:59", "2026-03-07 06:00"]
    assert open_at(calendar, "Asia/Tashkent", *moments) == [False, True, True, False]
    night = Calendar("Asia/Tashkent", {"sun": ["22:00-06:00"]})
    assert open_at(night, "Asia/Tashkent", "2026-03-02 05:59", "2026-03-02 06:00") == [True, False]


def test_no_hours_at_all_is_always_open_and_no_day_named_is_always_closed() -> None:
    assert Calendar("UTC", None).is_open(0)
    assert Calendar("UTC", None).next_change(0) is None
    assert Calendar("UTC", None).add(5, 7) == 12
    assert Calendar("UTC", None).between(5, 7) == 2
    closed = Calendar("UTC", {})
    assert not closed.is_open(0)
    assert (closed.next_change(0), closed.add(0, 1), closed.between(0, HOUR)) == (None, None, 0)


def test_days_beat_weekdays_and_holidays() -> None:
    calendar = Calendar(
        "Asia/Tashkent",
        {"mon": ["09:00-18:00"], "sat": ["09:00-18:00"]},
        {"2026-03-02": [], "2026-03-21": ["10:00-12:00"], "2026-03-03": ["09:00-10:00"]},
        "UZ",
    )
    moments = ["2026-03-02 10:00", "2026-03-21 11:00", "2026-03-21 13:00", "2026-03-03 09:30"]
    assert open_at(calendar, "Asia/Tashkent", *moments) == [False, True, False, True]


def test_public_holidays_of_a_country_are_closed() -> None:
    always = Calendar("Asia/Tashkent", None, {}, "UZ")
    # The Independence Day.
    moments = ["2026-09-02 12:00", "2026-09-01 00:00", "2026-09-01 23:59"]
    assert open_at(always, "Asia/Tashkent", *moments) == [True, False, False]
    assert "UZ" in countries()


def test_a_night_shift_runs_on_into_a_holiday() -> None:
    calendar = Calendar("Asia/Tashkent", {"fri": ["22:00-06:00"], "sat": ["10:00-12:00"]}, {}, "UZ")
    assert open_at(calendar, "Asia/Tashkent", "2026-05-09 05:00", "2026-05-09 11:00") == [True, False]


@pytest.mark.parametrize(
    ("zone", "utc"),
    [("Asia/Kolkata", "03:30"), ("Asia/Kathmandu", "03:15"), ("Australia/Adelaide", "22:30")],
)
def test_zones_with_half_hours_and_quarters(zone: str, utc: str) -> None:
    day = "2026-03-01" if zone.startswith("Australia") else "2026-03-02"
    opens = int(datetime.fromisoformat(f"{day}T{utc}").replace(tzinfo=UTC).timestamp() * 1000)
    calendar = Calendar(zone, {"mon": ["09:00-18:00"]})
    assert [calendar.is_open(opens - 1), calendar.is_open(opens)] == [False, True]
    assert calendar.next_change(opens) == opens + 9 * HOUR


def test_the_clocks_go_forward_within_an_interval() -> None:
    calendar = Calendar("Europe/Berlin", {"sat": ["22:00-06:00"]})
    start = at("2026-03-28 22:00", "Europe/Berlin")
    assert calendar.next_change(start) == at("2026-03-29 06:00", "Europe/Berlin") == start + 7 * HOUR
    assert calendar.between(start, start + 24 * HOUR) == 7 * HOUR


def test_the_clocks_go_back_within_an_interval() -> None:
    calendar = Calendar("America/New_York", {"sat": ["22:00-06:00"]})
    start = at("2026-10-31 22:00", "America/New_York")
    assert calendar.next_change(start) == start + 9 * HOUR


def test_a_time_that_does_not_come_is_the_instant_of_the_change() -> None:
    calendar = Calendar("Europe/Berlin", {"sun": ["02:30-05:00"]})
    change = int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000)
    assert [calendar.is_open(change - 1), calendar.is_open(change)] == [False, True]
    gone = Calendar("Europe/Berlin", {"sun": ["02:10-02:50"]})
    assert gone.between(change - 12 * HOUR, change + 12 * HOUR) == 0


def test_a_time_that_comes_twice_opens_once() -> None:
    calendar = Calendar("Europe/Berlin", {"sun": ["02:30-05:00"]})
    first = at("2026-10-25 02:30", "Europe/Berlin")
    assert calendar.next_change(first - 1) == first
    assert calendar.next_change(first) == at("2026-10-25 05:00", "Europe/Berlin")
    assert calendar.is_open(at("2026-10-25 02:15", "Europe/Berlin", fold=1))


def test_a_change_of_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    day = date(2026, 10, 4)
    assert instant(zone, day, 135) == instant(zone, day, 150)


def test_a_leap_day_and_a_new_year() -> None:
    daily = {day: ["09:00-10:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    calendar = Calendar("Asia/Tashkent", daily, {"2028-02-29": ["20:00-21:00"]})
    moments = ["2028-02-29 09:30", "2028-02-29 20:30", "2028-03-01 09:30", "2027-12-31 09:30"]
    assert open_at(calendar, "Asia/Tashkent", *moments) == [False, True, True, True]
    assert calendar.next_change(at("2027-12-31 10:00")) == at("2028-01-01 09:00")


def test_working_time_passes_in_working_hours_only() -> None:
    calendar = Calendar("Asia/Tashkent", OFFICE)
    assert calendar.add(at("2026-03-02 12:30"), HOUR) == at("2026-03-02 14:30")
    assert calendar.add(at("2026-03-02 17:30"), HOUR) == at("2026-03-06 22:30")
    assert calendar.add(at("2026-03-02 12:00"), HOUR) == at("2026-03-02 13:00")
    assert calendar.between(at("2026-03-02 12:30"), at("2026-03-02 14:30")) == HOUR


@pytest.mark.parametrize(
    "text", ["9", "09:00", "09:00-09:00", "25:00-26:00", "09:60-10:00", "24:00-02:00", "a-b", "09:00-24:01"]
)
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"09:00-18:00|no such time|empty"):
        parse_interval(text)


def test_absences_are_whole_days_of_the_zone() -> None:
    absences = [Absence(from_="2026-03-05", to="2026-03-07")]
    zone = "Asia/Tashkent"
    moments = ["2026-03-04 23:59", "2026-03-05 00:00", "2026-03-07 23:59", "2026-03-08 00:00"]
    assert [is_absent(absences, zone, at(m)) for m in moments] == [False, True, True, False]
    assert next_absence_change(absences, zone, at("2026-03-01 12:00")) == at("2026-03-05 00:00")
    assert next_absence_change(absences, zone, at("2026-03-05 00:00")) == at("2026-03-08 00:00")
    assert next_absence_change(absences, zone, at("2026-03-08 00:00")) is None


# ------------------------------------------------------------------ against a naive check

minutes = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
intervals = st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]).map("-".join)
weeks = st.dictionaries(
    st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), st.lists(intervals, max_size=3)
)


def naively_open(hours: dict[str, list[str]], moment: datetime) -> bool:
    """By wall time, where the clocks are not changed."""
    for back in (0, 1):
        day = moment.date() - timedelta(days=back)
        for text in hours.get(day.strftime("%a").lower(), []):
            start, end = parse_interval(text)
            minute = (moment.date() - day).days * 1440 + moment.hour * 60 + moment.minute
            if start <= minute < end:
                return True
    return False


@settings(max_examples=150, deadline=None)
@given(hours=weeks, start=st.integers(0, 14 * 96))
def test_it_agrees_with_a_look_at_the_clock(hours: dict[str, list[str]], start: int) -> None:
    calendar = Calendar("Asia/Kathmandu", hours)
    zone = ZoneInfo("Asia/Kathmandu")
    begin = at("2026-03-02 00:00", "Asia/Kathmandu") + start * 900_000
    # there and back: who asks of the past after the future hears the same
    for quarter in (*range(0, 96 * 3, 7), *range(96 * 3, 0, -5)):
        moment = begin + quarter * 900_000
        assert calendar.is_open(moment) is naively_open(hours, datetime.fromtimestamp(moment / 1000, zone))


@settings(max_examples=150, deadline=None)
@given(
    hours=weeks, start=st.integers(0, 400 * 24 * 60), passed=st.integers(1, 5000),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)  # fmt: skip
def test_adding_and_measuring_agree(hours: dict[str, list[str]], start: int, passed: int, zone: str) -> None:
    calendar = Calendar(zone, hours)
    begin = at("2026-01-01 00:00", zone) + start * 60_000
    until = calendar.add(begin, passed * 60_000)
    if until is not None:
        assert calendar.between(begin, until) == passed * 60_000
        assert calendar.is_open(until - 1)
    change = calendar.next_change(begin)
    if change is not None:
        states: list[Any] = [calendar.is_open(t) for t in (begin, change - 1, change)]
        assert states[0] is states[1] is not states[2]


def test_the_same_hours_are_one_calendar_and_other_ones_another() -> None:
    week = {"mon": ["09:00-18:00"]}
    one = calendar_of("UTC", week, {"2026-03-02": []})
    assert calendar_of("UTC", dict(week), {"2026-03-02": []}) is one
    others = [
        calendar_of("Asia/Tashkent", week, {"2026-03-02": []}),
        calendar_of("UTC", {"mon": ["09:00-17:00"]}, {"2026-03-02": []}),
        calendar_of("UTC", week),
        calendar_of("UTC", week, {"2026-03-02": []}, "UZ"),
        calendar_of("UTC", None, {"2026-03-02": []}),
    ]
    assert len({id(calendar) for calendar in [one, *others]}) == 6
    with pytest.raises(ValueError, match="interval"):
        calendar_of("UTC", {"mon": ["nine to five"]})
