"""Values of settings between their one line of YAML, as the gateway gives and takes it, and the fields
of a form. Pure. What cannot be read shows as nothing and is only replaced by what the user writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from crm.kernel.yaml_line import WordLoader, as_line

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOSED = "off"
LANGUAGES = ("en", "ru", "uz")
"""Languages that a form offers for a text; others that are given stay."""


def read(text: str) -> Any:
    """The value of a text; None for an empty or unreadable one."""
    try:
        return yaml.load(text, WordLoader) if text else None  # noqa: S506 - a SafeLoader
    except yaml.YAMLError:
        return None


def write(value: Any) -> str:
    """A value as one line of YAML; an empty one is no text: the default."""
    return "" if value in (None, "", [], {}) else as_line(value)


def same(one: str, other: str) -> bool:
    """Whether two texts mean the same value."""
    return one == other or (bool(one) and bool(other) and read(one) == read(other) and read(one) is not None)


# ------------------------------------------------------------------ names


def read_names(text: str) -> list[str]:
    value = read(text)
    return [str(name) for name in value] if isinstance(value, list) else []


# ------------------------------------------------------------------ weeks


def week_fields(value: Any) -> dict[str, str]:
    """Weekday -> what its field shows: ``09:00-13:00, 14:00-18:00``, ``off``, or nothing."""
    week = value if isinstance(value, dict) else {}
    return {day: _shown(week[day]) if day in week else "" for day in DAYS}


def _shown(intervals: Any) -> str:
    if isinstance(intervals, list):
        return ", ".join(map(str, intervals)) or CLOSED
    return CLOSED if intervals is False else str(intervals)


def week(fields: Mapping[str, str]) -> dict[str, list[str]]:
    """The week that fields say; a day whose field is empty is left out."""
    written = {day: fields.get(day, "").strip() for day in DAYS}
    return {day: _intervals(text) for day, text in written.items() if text}


def _intervals(text: str) -> list[str]:
    if text.casefold() == CLOSED:
        return []
    return [part.strip() for part in text.split(",") if part.strip()]


def week_short(value: Any, names: Mapping[str, str]) -> str:
    """A week in one line: days with the same hours together (``mon–fri 09:00-18:00 · sat off``)."""
    groups: list[tuple[list[str], str]] = []
    for day, text in week_fields(value).items():
        if groups and groups[-1][1] == text:
            groups[-1][0].append(day)
        else:
            groups.append(([day], text))
    return " · ".join(f"{_range(days, names)} {text}" for days, text in groups if text)


def _range(days: list[str], names: Mapping[str, str]) -> str:
    ends = dict.fromkeys((days[0], days[-1]))
    return "–".join(names[day] for day in ends)


# ------------------------------------------------------------------ texts by language


def text_fields(text: str) -> dict[str, str]:
    """Language -> text; the empty language is for all that have none of their own. A field has one line:
    a line break is written ``\\n`` in it."""
    value = read(text)
    given = value if isinstance(value, dict) else {"": value if isinstance(value, str) else ""}
    known: dict[str, str] = dict.fromkeys(("", *LANGUAGES), "")
    return known | {str(language): str(words).replace("\n", "\\n") for language, words in given.items()}


def by_language(fields: Mapping[str, str]) -> str | dict[str, str]:
    """What a text setting becomes: one text if it is for everybody."""
    given = {lang: words.replace("\\n", "\n") for lang, words in fields.items() if words.strip()}
    return given.get("", "") if set(given) <= {""} else given


def moved(names: Iterable[str], name: str, step: int) -> list[str]:
    """The names with one of them ``step`` places further, as far as there is room."""
    order = list(names)
    if name not in order:
        return order
    place = order.index(name)
    order.insert(max(0, min(len(order) - 1, place + step)), order.pop(place))
    return order
