"""What a value may be, and what is said of one that may not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm.kernel.errors import Refused
from crm.kernel.fields import FieldKind, ObjectField
from crm.objects.values import Habits, condition, split_where, stored
from storage.filters import compile_filter

TASHKENT = Habits(currency="UZS", zone=ZoneInfo("Asia/Tashkent"))


def field(kind: FieldKind, **more: Any) -> ObjectField:
    return ObjectField(name="it", kind=kind, **more)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("kind", "written", "kept"),
    [
        ("text", "  Anvar\tKarimov ", "Anvar Karimov"),
        ("text", "red \x1b[31malert\x1b[0m \u202eevil", "red alert evil"),
        ("text", "\u200b\u2060", None),
        ("number", "12", 12), ("number", "-3.50", -3.5), ("number", "1 234,5", 1234.5), ("number", 7, 7),
        ("number", "999999999999999", 999_999_999_999_999),
        ("money", "120000.00:UZS", {"minor": 12_000_000, "currency": "UZS"}),
        ("money", "120 000", {"minor": 12_000_000, "currency": "UZS"}),
        ("money", "0,5:usd", {"minor": 50, "currency": "USD"}),
        ("money", "1500:JPY", {"minor": 1500, "currency": "JPY"}),
        ("money", "1.234:KWD", {"minor": 1234, "currency": "KWD"}),
        ("money", "0.1:USD", {"minor": 10, "currency": "USD"}),
        ("money", {"minor": 5, "currency": "EUR"}, {"minor": 5, "currency": "EUR"}),
        ("money", "9999999999999.99:USD", {"minor": 999_999_999_999_999, "currency": "USD"}),
        ("date", "2026-03-05", "2026-03-05"), ("date", "5.3.2026", "2026-03-05"), ("date", "2024-02-29", "2024-02-29"),
        ("moment", "2026-03-05T10:00:00Z", ms("2026-03-05T10:00:00+00:00")),
        ("moment", "2026-03-05 10:00", ms("2026-03-05T10:00:00+05:00")),
        ("moment", 1_772_000_000_000, 1_772_000_000_000),
        ("link", "example.uz/a?b=1", "https://example.uz/a?b=1"), ("link", "http://a.uz", "http://a.uz"),
        ("flag", "Да", True), ("flag", "no", False), ("flag", True, True), ("flag", "yoʻq", False),
        ("phones", "+998 90 123-45-67", [{"raw": "+998 90 123-45-67", "e164": "+998901234567"}]),
        ("phones", ["112"], [{"raw": "112"}]),
        ("phones", [{"raw": "+998901234567"}], [{"raw": "+998901234567", "e164": "+998901234567"}]),
        ("emails", " Anna@Example.UZ ; b@c.uz", ["anna@example.uz", "b@c.uz"]),
        ("emails", "a@почта.рф", ["a@xn--80a1acny.xn--p1ai"]),
        ("tags", "vip, vip,  big  fish", ["vip", "big fish"]),
        ("operator", "anna", "anna"),
        ("text", "", None), ("money", None, None), ("tags", [], None),
    ],
)  # fmt: skip
def test_is_kept_as(kind: FieldKind, written: Any, kept: Any) -> None:
    assert stored(field(kind), written, TASHKENT) == kept


@pytest.mark.parametrize(
    ("kind", "written", "code"),
    [
        ("text", "x" * 501, "field_too_long"), ("text", "x" * 1_000_000, "field_too_long"),
        ("text", 5, "bad_text"), ("text", {"$gt": ""}, "bad_text"),
        ("number", "12345678901234567890", "bad_number"), ("number", "1e400", "bad_number"),
        ("number", "nan", "bad_number"), ("number", "inf", "bad_number"), ("number", True, "bad_number"),
        ("number", "1,234,567", "bad_number"), ("number", "٣", "bad_number"), ("number", "9" * 100_000, "bad_number"),
        ("money", "12345678901234567890:UZS", "bad_amount"), ("money", "-5:UZS", "bad_amount"),
        ("money", "1e30:UZS", "bad_amount"), ("money", "NaN:UZS", "bad_amount"),
        ("money", "10000000000000:USD", "bad_amount"),
        ("money", "5:XXX", "bad_currency"), ("money", "1.5:JPY", "bad_fraction"), ("money", "0.001:USD", "bad_fraction"),
        ("money", {"minor": 10**15, "currency": "UZS"}, "bad_amount"),
        ("money", {"minor": True, "currency": "UZS"}, "bad_amount"),
        ("money", {"minor": 1.5, "currency": "UZS"}, "bad_amount"),
        ("money", {"minor": 1, "currency": "UZS", "$set": 1}, "bad_amount"),
        ("date", "0000-01-01", "bad_date"), ("date", "0001-01-01", "bad_date"), ("date", "2026-02-30", "bad_date"),
        ("date", "9999-12-31", "bad_date"), ("date", "tomorrow", "bad_date"), ("date", "20260305", "bad_date"),
        ("moment", "0000-01-01T00:00", "bad_moment"), ("moment", "9999-01-01T00:00", "bad_moment"),
        ("moment", 10**18, "bad_moment"), ("moment", "soon", "bad_moment"), ("moment", True, "bad_moment"),
        ("link", "javascript:alert(1)", "bad_link"), ("link", "file:///etc/passwd", "bad_link"),
        ("link", "https://user:pw@a.uz", "bad_link"), ("link", "https://a.uz/\x1b[0m", "bad_link"),
        ("link", "https://[::1", "bad_link"), ("link", "https://a.uz:99999/", "bad_link"), ("link", "a", "bad_link"),
        ("flag", "perhaps", "bad_flag"),
        ("phones", "call me", "bad_phone"), ("phones", 998901234567, "bad_list"), ("phones", [1], "bad_list"),
        ("phones", ["1"] * 501, "too_many"),
        ("emails", "anna", "bad_email"), ("emails", "a@b", "bad_email"), ("emails", "a@b@c.uz", "bad_email"),
        ("emails", f"{'a' * 250}@b.uz", "bad_email"), ("emails", "<a@b.uz>", "bad_email"),
        ("tags", "x" * 41, "bad_tag"), ("tags", ["\u200b"], "bad_tag"),
        ("operator", "an\x00na", "bad_text"), ("files", [{"key": "x"}], "read_only_field"),
    ],
)  # fmt: skip
def test_is_refused(kind: FieldKind, written: Any, code: str) -> None:
    with pytest.raises(Refused) as refused:
        stored(field(kind), written, TASHKENT)
    assert refused.value.code == code
    assert refused.value.params["field"] == "it"
    assert all(len(value) < 200 for value in refused.value.params.values())


def test_a_choice_says_what_it_may_be() -> None:
    color = field("choice", choices=("Red", "blue"))
    assert (stored(color, "blue", TASHKENT), stored(color, "red", TASHKENT)) == ("blue", "Red")
    with pytest.raises(Refused) as refused:
        stored(color, "green", TASHKENT)
    assert (refused.value.code, refused.value.params["allowed"]) == ("bad_choice", "Red, blue")


def test_a_long_text_keeps_its_lines() -> None:
    assert stored(field("text", long=True, most=100), "one\r\ntwo\x07", TASHKENT) == "one\ntwo"


DEALS: list[dict[str, Any]] = [
    {"_id": "1", "title": "chairs", "amount": {"minor": 500, "currency": "UZS"}, "close_date": "2026-03-05",
     "due_at": ms("2026-03-05T23:30:00+05:00"), "done": True, "tags": ["vip"], "keys": ["phone:+998901234567"]},
    {"_id": "2", "title": "tables", "amount": {"minor": 900, "currency": "UZS"}, "close_date": "2026-03-06",
     "due_at": ms("2026-03-06T00:10:00+05:00"), "done": False, "tags": ["vip", "big"], "keys": []},
    {"_id": "3", "title": "", "amount": {"minor": 700, "currency": "USD"}, "custom": {"color": "red"}},
]  # fmt: skip
FIELDS = {
    "title": ObjectField(name="title", kind="text"), "amount": ObjectField(name="amount", kind="money"),
    "close_date": ObjectField(name="close_date", kind="date"), "due_at": ObjectField(name="due_at", kind="moment"),
    "done": ObjectField(name="done", kind="flag"), "tags": ObjectField(name="tags", kind="tags"),
    "phones": ObjectField(name="phones", kind="phones"), "color": ObjectField(name="color", kind="text", custom=True),
}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("title=chairs", "1"), ("title!=chairs", "23"), ("title=", "3"), ("title!=", "12"),
        ("amount>=5:UZS", "12"), ("amount<9", "1"), ("amount=7:USD", "3"), ("amount!=5:UZS", "2"),
        ("close_date<2026-03-06", "1"), ("close_date>2026-03-05", "2"), ("close_date=", "3"),
        ("due_at=2026-03-05", "1"), ("due_at!=2026-03-05", "2"), ("due_at>2026-03-05", "2"),
        ("due_at<=2026-03-05", "1"), ("due_at<2026-03-06", "1"), ("due_at>=2026-03-06", "2"),
        ("due_at>2026-03-06T00:00", "2"),
        ("done=yes", "1"), ("done=no", "23"), ("done!=yes", "23"), ("done!=no", "1"),
        ("tags=vip", "12"), ("tags=vip,big", "2"), ("tags!=big", "13"),
        ("phones=+998 90 123 45 67", "1"), ("color = red", "3"),
    ],
)  # fmt: skip
def test_a_list_asks_for(where: str, ids: str) -> None:
    name, operator, value = split_where(where)
    matches = compile_filter(condition(FIELDS[name], operator, value, TASHKENT))
    assert "".join(deal["_id"] for deal in DEALS if matches(deal)) == ids


@pytest.mark.parametrize(
    ("where", "code"),
    [("title>a", "not_comparable"), ("tags<a", "not_comparable"), ("done>=yes", "not_comparable"),
     ("amount>many", "bad_amount"), ("due_at=2026-02-30", "bad_date")],
)  # fmt: skip
def test_a_list_cannot_ask_for(where: str, code: str) -> None:
    name, operator, value = split_where(where)
    with pytest.raises(Refused) as refused:
        condition(FIELDS[name], operator, value, TASHKENT)
    assert refused.value.code == code


@pytest.mark.parametrize("where", ["", "title", "=x", "$where=1", "a b=c"])
def test_what_is_no_condition(where: str) -> None:
    with pytest.raises(Refused) as refused:
        split_where(where)
    assert refused.value.code == "bad_where"


def test_days_are_those_of_the_desk() -> None:
    at = condition(FIELDS["due_at"], "=", "2026-03-05", Habits(zone=UTC))
    assert at == {"due_at": {"$gte": ms("2026-03-05T00:00:00+00:00"), "$lt": ms("2026-03-06T00:00:00+00:00")}}
