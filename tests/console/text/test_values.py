"""What fields of forms become, and moments as people write them."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from console.text import values
from console.text.times import moment
from tests.fakes.gateway import NOW

HOUR = 3_600_000


def test_a_week_goes_through_its_fields_unchanged() -> None:
    week = {"mon": ["09:00-13:00", "14:00-18:00"], "sat": [], "sun": ["22:00-06:00"]}
    fields = values.week_fields(week)
    assert (fields["mon"], fields["tue"], fields["sat"]) == ("09:00-13:00, 14:00-18:00", "", "off")
    assert values.week(fields) == week
    assert values.week_fields({"mon": "09:00-18:00", "tue": False})["mon"] == "09:00-18:00"
    assert values.week_fields({"mon": "09:00-18:00", "tue": False})["tue"] == "off"
    assert values.week_fields("nonsense") == dict.fromkeys(values.DAYS, "")


def test_days_with_the_same_hours_are_told_together() -> None:
    names = {day: day.title() for day in values.DAYS}
    week = {day: ["09:00-18:00"] for day in values.DAYS[:5]} | {"sat": []}
    assert values.week_short(week, names) == "Mon–Fri 09:00-18:00 · Sat off"
    assert values.week_short(None, names) == ""


@pytest.mark.parametrize(
    "text", ["", "hello", "Bye: see you", "- no list", "{not: a map", "off", "3", "# x", "a\nb"]
)
def test_a_text_for_everybody_goes_through_its_fields_unchanged(text: str) -> None:
    written = values.write(values.by_language({"": text, "en": "", "ru": " "}))
    assert "\n" not in written
    assert values.text_fields(written)[""] == text.replace("\n", "\\n")
    assert values.by_language(values.text_fields(written)) == text


def test_texts_by_language_keep_languages_that_no_form_offers() -> None:
    given = "{kk: Sälem, ru: Привет}"
    fields = values.text_fields(given)
    assert (fields["kk"], fields["ru"], fields["en"]) == ("Sälem", "Привет", "")
    assert values.by_language(fields) == {"kk": "Sälem", "ru": "Привет"}


def test_what_cannot_be_read_is_nothing() -> None:
    assert values.read("{a: [") is None
    assert values.read_names("{a: 1}") == []
    assert values.same("{a: [", "{a: [")
    assert not values.same("{a: [", "{b: [")
    assert values.same("[a, b]", "['a', b]")
    assert not values.same("", "[]")


def test_names_move_as_far_as_there_is_room() -> None:
    assert values.moved(["a", "b", "c"], "b", -1) == ["b", "a", "c"]
    assert values.moved(["a", "b", "c"], "c", 1) == ["a", "b", "c"]
    assert values.moved(["a"], "x", 1) == ["a"]


@pytest.mark.parametrize(
    ("text", "after"),
    [("30m", HOUR // 2), ("2h", 2 * HOUR), ("1d 4h", 28 * HOUR), (" 1H30M ", HOUR * 3 // 2), ("10:30", HOUR // 2),
     ("09:00", 23 * HOUR), ("2026-03-03 10:00", 24 * HOUR)],
)  # fmt: skip
def test_a_moment_is_a_span_or_a_time(text: str, after: int) -> None:
    assert moment(text, NOW, UTC) == NOW + after


def test_a_time_is_on_the_users_clock() -> None:
    """10:00 UTC is 15:00 in Tashkent; and nine tomorrow stays nine where the clocks go forward."""
    assert moment("15:30", NOW, ZoneInfo("Asia/Tashkent")) == NOW + HOUR // 2
    evening = 1_774_717_200_000  # 2026-03-28 18:00 in Berlin; the clocks go forward that night
    assert moment("09:00", evening, ZoneInfo("Europe/Berlin")) == evening + 14 * HOUR


@pytest.mark.parametrize(
    "text", ["", "soon", "0m", "25:00", "10:61", "2026-02-30 10:00", "2020-01-01 10:00", "-2h", "999999h"]
)
def test_what_is_no_moment_to_come_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        moment(text, NOW, UTC)
