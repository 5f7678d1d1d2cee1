"""What a value may be: from what people and programs write to what is stored, and to what a list asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from crm.kernel import reach
from crm.kernel.codes import MINOR_DIGITS
from crm.kernel.errors import Refused
from crm.kernel.fields import FieldKind, ObjectField
from crm.kernel.reach import MAX_EMAIL, Phone
from crm.kernel.records import MAX_TAG
from crm.kernel.text import clean, is_visible, one_line

MOST_MINOR = 10**15
"""Amounts end below it: every store and program counts so far exactly."""
MOST_NUMBER = 10**15
MAX_DIGITS = 15
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
MAX_LINK = 2_000
_SHOWN = 60
"""Characters of a wrong value that are said again."""


@dataclass(frozen=True)
class Habits:
    """How this desk writes what can be written in several ways. ``phones`` takes a text with one or more
    numbers and raises ``ValueError`` where there is none."""

    currency: str = "UZS"
    zone: tzinfo = UTC
    phones: Callable[[str], list[Phone]] = field(default_factory=lambda: reach.phones_of("UZ"))


def stored(field: ObjectField, value: Any, habits: Habits) -> Any:
    """The value as it is stored, None for an empty one. Raises ``Refused`` with what is possible."""
    if value is None or value == "" or value == []:
        return None
    return _KINDS[field.kind](field, value, habits)


def bad(code: str, field: ObjectField, value: Any, **params: str) -> Refused:
    """A refusal that names the field and the beginning of what was written."""
    return Refused(code, field=field.name, value=one_line(str(value)[: 4 * _SHOWN], _SHOWN), **params)


def _text(field: ObjectField, value: Any, habits: Habits) -> str | None:
    if not isinstance(value, str):
        raise bad("bad_text", field, value)
    if len(value) > field.most:
        raise Refused("field_too_long", field=field.name, limit=str(field.most))
    text = clean(value, field.most) if field.long else one_line(value, field.most)
    return text if is_visible(text) else None


def _number(field: ObjectField, value: Any, habits: Habits) -> int | float:
    number = _decimal(field, value, "bad_number")
    if abs(number) >= MOST_NUMBER or _digits(number) > MAX_DIGITS:
        raise bad("bad_number", field, value)
    return int(number) if number == number.to_integral_value() else float(number)


def _decimal(field: ObjectField, value: Any, code: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise bad(code, field, value)
    text = re.sub(r"[\s\u00a0\u202f]", "", str(value)[:100])
    if "." not in text:
        # A comma before the last digits is the point of Russian and Uzbek, elsewhere it may be anything.
        text = re.sub(r",(\d{1,2})$", r".\1", text)
    if not re.fullmatch(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", text) or len(str(value)) > 100:
        raise bad(code, field, value)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise bad(code, field, value) from None


def _digits(number: Decimal) -> int:
    return len(number.normalize().as_tuple().digits)


def _money(field: ObjectField, value: Any, habits: Habits) -> dict[str, Any]:
    if isinstance(value, Mapping):
        minor, currency = value.get("minor"), value.get("currency")
        fine = isinstance(minor, int) and not isinstance(minor, bool) and 0 <= minor < MOST_MINOR
        if not fine or currency not in MINOR_DIGITS or len(value) != 2:
            raise bad("bad_amount", field, dict(value), example=f"120000:{habits.currency}")
        return {"minor": minor, "currency": currency}
    amount, _, currency = str(value)[:200].partition(":")
    currency = currency.strip().upper() or habits.currency
    example = {"example": f"120000:{habits.currency}"}
    if currency not in MINOR_DIGITS:
        raise bad("bad_currency", field, currency, **example)
    try:
        number = _decimal(field, amount.strip(), "bad_amount")
    except Refused:
        raise bad("bad_amount", field, value, **example) from None
    digits = MINOR_DIGITS[currency]
    minor_units = number.scaleb(digits)
    if minor_units != minor_units.to_integral_value():
        raise bad("bad_fraction", field, value, currency=currency, digits=str(digits))
    if not 0 <= minor_units < MOST_MINOR:
        raise bad("bad_amount", field, value, **example)
    return {"minor": int(minor_units), "currency": currency}


def _date(field: ObjectField, value: Any, habits: Habits) -> str:
    return _day(field, value).isoformat()


def _day(field: ObjectField, value: Any) -> date:
    text = value.strip() if isinstance(value, str) else ""
    if match := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
        text = f"{match[3]}-{match[2]:0>2}-{match[1]:0>2}"
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        day = None
    if day is None or not FIRST_DAY <= day <= LAST_DAY:
        raise bad("bad_date", field, value)
    return day


def _moment(field: ObjectField, value: Any, habits: Habits) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        if not _ms(FIRST_DAY, UTC) <= value <= _ms(LAST_DAY, UTC):
            raise bad("bad_moment", field, value)
        return value
    text = value.strip() if isinstance(value, str) else ""
    try:
        if len(text) > 40 or not re.match(r"\d{4}-\d\d-\d\d", text):
            raise ValueError
        at = datetime.fromisoformat(text)
        if not FIRST_DAY <= at.date() <= LAST_DAY:
            raise ValueError
        return round((at if at.tzinfo else at.replace(tzinfo=habits.zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise bad("bad_moment", field, value) from None


def _ms(day: date, zone: tzinfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _choice(field: ObjectField, value: Any, habits: Habits) -> str:
    text = one_line(value) if isinstance(value, str) and len(value) <= field.most else ""
    if text in field.choices or (text and not field.choices):
        return text  # without choices of its own the configuration says what it may be
    same = [one for one in field.choices if one.casefold() == text.casefold()]
    if len(same) == 1:
        return same[0]
    raise bad("bad_choice", field, value, allowed=", ".join(field.choices[:50]))


def _link(field: ObjectField, value: Any, habits: Habits) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        fine = parts.scheme in ("http", "https") and "." in host and len(text) <= MAX_LINK
        fine &= parts.username is None and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine or clean(text, MAX_LINK) != text or re.search(r"\s", text):
        raise bad("bad_link", field, value)
    return text


_TRUE = {"yes", "true", "1", "on", "да", "ha"}
_FALSE = {"no", "false", "0", "off", "нет", "yo'q", "yoq", "yo‘q", "yoʻq"}


def _flag(field: ObjectField, value: Any, habits: Habits) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value)[:20].strip().casefold()
    if word not in _TRUE | _FALSE:
        raise bad("bad_flag", field, value)
    return word in _TRUE


def _phones(field: ObjectField, value: Any, habits: Habits) -> list[Phone]:
    found: list[Phone] = []
    for text in _parts(field, value, "raw", r"[;\n]"):
        try:
            numbers = habits.phones(text)
        except ValueError:
            raise bad("bad_phone", field, text) from None
        found += [number for number in numbers if number not in found]
    return _bounded(field, found)


def _emails(field: ObjectField, value: Any, habits: Habits) -> list[str]:
    return _bounded(field, list(dict.fromkeys(_email(field, t) for t in _parts(field, value, "", r"[;,\s]"))))


def _email(field: ObjectField, text: str) -> str:
    address = reach.email(text)
    if not address:
        raise bad("bad_email", field, text)
    return address


def _tags(field: ObjectField, value: Any, habits: Habits) -> list[str]:
    tags = []
    for text in _parts(field, value, "", r","):
        tag = one_line(text, MAX_TAG + 1)
        if len(tag) > MAX_TAG or not is_visible(tag):
            raise bad("bad_tag", field, text, limit=str(MAX_TAG))
        tags.append(tag)
    return _bounded(field, list(dict.fromkeys(tags)))


def _parts(field: ObjectField, value: Any, key: str, between: str) -> list[str]:
    """The texts of a list, or of one text that holds several."""
    if isinstance(value, str):
        if len(value) > field.most * MAX_EMAIL:
            raise Refused("field_too_long", field=field.name, limit=str(field.most * MAX_EMAIL))
        return [part for part in re.split(between, value) if part.strip()]
    texts = []
    for one in _listed(field, value):
        text = one.get(key) if key and isinstance(one, Mapping) else one
        if not isinstance(text, str) or len(text) > 4 * MAX_EMAIL:
            raise bad("bad_list", field, type(one).__name__)
        texts.append(text)
    return [text for text in texts if text.strip()]


def _listed(field: ObjectField, value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise bad("bad_list", field, value)
    if len(value) > field.most:
        raise Refused("too_many", field=field.name, limit=str(field.most))
    return value


def _bounded(field: ObjectField, found: list[Any]) -> list[Any]:
    if len(found) > field.most:
        raise Refused("too_many", field=field.name, limit=str(field.most))
    return found or []


def _name(field: ObjectField, value: Any, habits: Habits) -> str:
    if not isinstance(value, str) or len(value) > 200 or one_line(value, 200) != value:
        raise bad("bad_text", field, value)
    return value


def _never(field: ObjectField, value: Any, habits: Habits) -> Any:
    raise Refused("read_only_field", field=field.name)


_KINDS: Mapping[FieldKind, Callable[[ObjectField, Any, Habits], Any]] = {
    "text": _text, "number": _number, "money": _money, "date": _date, "moment": _moment, "choice": _choice,
    "link": _link, "flag": _flag, "phones": _phones, "emails": _emails, "tags": _tags, "operator": _name,
    "line": _name, "reference": _name, "files": _never,
}  # fmt: skip


# ------------------------------------------------------------------ what a list asks for

ORDERED: frozenset[FieldKind] = frozenset({"number", "money", "date", "moment"})
"""Kinds of which one value is before another."""
_WHERE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
_RANGES = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_STORE = {**_RANGES, "=": "$eq", "!=": "$ne"}


def split_where(text: str) -> tuple[str, str, str]:
    """``amount>=1000`` is (amount, >=, 1000). Raises ``Refused``."""
    match = _WHERE.fullmatch(text)
    if match is None:
        raise Refused("bad_where", value=one_line(text[:200], _SHOWN))
    return match[1], match[2], match[3].strip()


def condition(field: ObjectField, operator: str, text: str, habits: Habits) -> dict[str, Any]:
    """The store's filter for one condition of a list. Raises ``Refused`` with what is possible."""
    if operator in _RANGES and field.kind not in ORDERED:
        raise Refused("not_comparable", field=field.name)
    if text == "":
        return {field.path: {"$in" if operator == "=" else "$nin": [None, ""]}}
    if field.kind == "moment" and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return _on_day(field, operator, _day(field, text), habits)
    value = stored(field, text, habits)
    if field.kind == "money":
        of = {f"{field.path}.currency": value["currency"]}
        return of | {f"{field.path}.minor": {_STORE[operator]: value["minor"]}}
    if field.kind in ("phones", "emails", "tags"):
        wanted = _keys_of(field, value)
        path = "tags" if field.kind == "tags" else "keys"
        return {"$and": [{path: {"$ne" if operator == "!=" else "$eq": one}} for one in wanted]}
    if field.kind == "flag":
        return {field.path: {"$eq" if value is (operator == "=") else "$ne": True}}
    return {field.path: {_STORE[operator]: value}}


def _on_day(field: ObjectField, operator: str, day: date, habits: Habits) -> dict[str, Any]:
    start, end = _ms(day, habits.zone), _ms(day + timedelta(days=1), habits.zone)
    match operator:
        case "=":
            return {field.path: {"$gte": start, "$lt": end}}
        case "!=":
            return {"$or": [{field.path: {"$lt": start}}, {field.path: {"$gte": end}}]}
        case ">" | "<=":
            return {field.path: {"$gte" if operator == ">" else "$lt": end}}
        case _:
            return {field.path: {_RANGES[operator]: start}}


def _keys_of(field: ObjectField, value: Any) -> list[str]:
    if field.kind == "phones":
        return [phone_key(phone) for phone in value]
    return [f"email:{address}" for address in value] if field.kind == "emails" else list(value)


def phone_key(phone: Phone) -> str:
    """By what a number finds its like: ``phone:+998…``, or ``digits:…`` for what is no whole number."""
    if e164 := phone.get("e164"):
        return f"phone:{e164}"
    return "digits:" + re.sub(r"[^0-9]", "", phone["raw"])
