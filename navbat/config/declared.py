"""What is written of a line, an operator or the CRM, made from the one declaration in ``router.desk.rules``,
``crm.kernel.records`` or ``crm.kernel.crm_settings``: a struct for the file
and the forms, what becomes of it at the desk, and what no type can say against it."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from crm.kernel.codes import COUNTRIES, MINOR_DIGITS
from crm.kernel.records import Absence, Right
from crm.kernel.settings import Setting, Written
from navbat.cli.arguments import unknown_word
from navbat.config.file import Duration, KeyPath, NumberOrOff, OffDuration, PeriodOrOff
from router.desk import hours
from router.desk.rules import Ring

Text = str | dict[str, str]
Intervals = list[str] | str | bool
"""``["09:00-13:00", "14:00-18:00"]``, a single one without the list, or ``off``: closed."""
Problem = tuple[KeyPath, str]

S = TypeVar("S", bound=msgspec.Struct)
_KEY = re.compile("[a-z][a-z0-9_-]{0,31}")


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Base of everything in the file."""


class AbsenceDates(Settings, frozen=True, rename={"from_": "from"}):
    """Days on which an operator is off duty, both included, in the zone of the line."""

    from_: Annotated[str, msgspec.Meta(description="first day, such as `2026-03-05`")]
    to: Annotated[str, msgspec.Meta(description="last day")]
    reason: Annotated[str, msgspec.Meta(description="shown to colleagues")] = ""


@dataclass(frozen=True)
class Declared:
    """One field of a struct of rules, with all that is said of it."""

    name: str
    type: Any
    setting: Setting
    default: Any
    """``msgspec.NODEFAULT`` when it must be given."""


@cache
def declared(rules: type[msgspec.Struct]) -> tuple[Declared, ...]:
    """The settings that a struct of rules declares. Raises ``TypeError`` for a field without a ``Setting``."""
    hints = typing.get_type_hints(rules, include_extras=True)
    return tuple(_declared(rules, field, hints[field.name]) for field in msgspec.structs.fields(rules))


def _declared(rules: type, field: msgspec.structs.FieldInfo, hint: Any) -> Declared:
    setting = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Setting)), None)
    if setting is None:
        raise TypeError(f"{rules.__name__}.{field.name} does not say what it is: give it a Setting")
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return Declared(field.name, typing.get_args(hint)[0], setting, default)


# ------------------------------------------------------------------ how it is written


@dataclass(frozen=True)
class Way:
    """A way of writing: the type in the file, and what becomes of its value at the desk. ``default``
    makes the desk's default that of the file."""

    type: Any
    rules: Callable[[Any], Any] = lambda value: value
    default: Callable[[Any], Any] = lambda value: value


def _by_language(text: Text) -> dict[str, str]:
    if isinstance(text, str):
        return {"": text} if text else {}
    return dict(text)


def _rings(skills: Sequence[Any]) -> list[Ring]:
    """A plain list of skills is one ring."""
    plain = [skill for skill in skills if isinstance(skill, str)]
    rings = [into_rules(ring, Ring) for ring in skills if not isinstance(ring, str)]
    return [Ring(need=plain)] if plain else rings


def word(value: str | bool) -> str:
    """A name, empty for ``off``."""
    return value if isinstance(value, str) and value != "off" else ""


def _week(week: Mapping[str, Intervals]) -> dict[str, list[str]]:
    return {day: _intervals(value) for day, value in week.items()}


def _intervals(value: Intervals) -> list[str]:
    if isinstance(value, str):
        return [] if value == "off" else [value]
    return [] if isinstance(value, bool) else list(value)


_NAME = Way(str | bool, word, lambda name: name or False)
_WAYS: Mapping[Written, Way] = {
    "wait": Way(Duration, int, Duration),
    "duration": Way(Duration, int, Duration),
    "duration_or_off": Way(OffDuration, int, OffDuration),
    "number_or_off": Way(NumberOrOff, int, NumberOrOff),
    "period_or_off": Way(PeriodOrOff, int, PeriodOrOff),
    "name_or_off": _NAME,
    "language": _NAME,
    "country": _NAME,
    "week": Way(dict[str, Intervals] | None, lambda week: None if week is None else _week(week)),
    "dates": Way(dict[str, Intervals], _week),
    "shifts": Way(
        dict[str, dict[str, Intervals]], lambda shifts: {name: _week(week) for name, week in shifts.items()}
    ),
    "rights": Way(
        list[Right] | dict[str, list[Right]] | None,
        lambda rights: {"*": rights} if isinstance(rights, list) else rights,
    ),
    "absences": Way(
        list[AbsenceDates],
        lambda days: [Absence(from_=one.from_, to=one.to, reason=one.reason) for one in days],
    ),
    "text": Way(Text, _by_language, lambda texts: texts or ""),
}


def _way(field: Declared) -> Way:
    kind, setting = field.type, field.setting
    if setting.written in _WAYS:
        return _WAYS[setting.written]
    if setting.parts is not None:
        return _parts(setting.parts)
    if setting.written == "stages" or (
        typing.get_origin(kind) is dict and _is_struct(typing.get_args(kind)[-1])
    ):
        return _all_or_default(field)
    if _is_struct(kind):
        return Way(file_form(kind), lambda value: into_rules(value, kind), lambda _: file_form(kind)())
    if typing.get_origin(kind) is list and _is_struct(inner := typing.get_args(kind)[0]):
        form: Any = file_form(inner)
        if setting.written == "rings":
            return Way(list[str | form], _rings)
        return Way(list[form], lambda value: [into_rules(item, inner) for item in value])
    return Way(kind)


def _all_or_default(field: Declared) -> Way:
    """A list of structs, or structs by name, of which those that are written take the place of the default
    ones; absent: these."""
    origin, inner = typing.get_origin(field.type), typing.get_args(field.type)[-1]
    form: Any = file_form(inner)

    def rules(value: Any) -> Any:
        if value is None:
            return field.default
        if origin is dict:
            return {name: into_rules(item, inner) for name, item in value.items()}
        return [into_rules(item, inner) for item in value]

    return Way((dict[str, form] if origin is dict else list[form]) | None, rules, lambda _: None)


def _parts(parts: type[msgspec.Struct]) -> Way:
    """Fields of the file that the desk has as a mapping, without those that say nothing."""

    def rules(value: Any) -> dict[str, Any]:
        told = {field.name: _way(field).rules(getattr(value, field.name)) for field in declared(parts)}
        return {name: item for name, item in told.items() if item}

    return Way(file_form(parts), rules, lambda _: file_form(parts)())


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def file_form(rules: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The struct of the file for a struct of rules: the same names in the same order."""
    annotated: Any = Annotated
    fields: list[Any] = []
    for field in declared(rules):
        way, setting = _way(field), field.setting
        meta = msgspec.Meta(description=setting.about, ge=setting.least, le=setting.most)
        kind = annotated[way.type, meta]
        if setting.required or field.default is msgspec.NODEFAULT:
            fields.append((field.name, kind))
        else:
            fields.append((field.name, kind, way.default(field.default)))
    return msgspec.defstruct(
        rules.__name__, fields, bases=(Settings,), module=__name__, kw_only=True, frozen=True
    )


def into_rules(written: Any, rules: type[S]) -> S:
    """What was written, in the struct of ``file_form(rules)``, as the desk uses it."""
    return rules(**{field.name: _way(field).rules(getattr(written, field.name)) for field in declared(rules)})


# ------------------------------------------------------------------ what no type can say


def problems(written: Any, rules: type[msgspec.Struct]) -> Iterator[Problem]:
    """What is wrong with settings by themselves, each with its key."""
    for ways, check in _CHECKS:
        for field in declared(rules):
            if field.setting.written in ways:
                for path, problem in check(getattr(written, field.name)):
                    yield (field.name, *path), problem


def _twice(names: list[str]) -> Iterator[Problem]:
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield (), f"{name} is given twice"


def _no_time(value: int) -> Iterator[Problem]:
    if not value:
        yield (), "must be longer than nothing"


def _no_name(value: str | bool) -> Iterator[Problem]:
    if value is True:
        yield (), "on is no value here: write a name, or off"


def _no_zone(zone: str) -> Iterator[Problem]:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        yield (), f"there is no time zone {zone!r}; write one such as Asia/Tashkent"


def _week_problems(week: Mapping[str, Intervals] | None) -> Iterator[Problem]:
    for day, value in (week or {}).items():
        if day not in hours.DAYS:
            yield (day,), unknown_word("weekday", day, hours.DAYS)
        yield from _interval_problems((day,), value)


def _shift_problems(shifts: Mapping[str, Mapping[str, Intervals]]) -> Iterator[Problem]:
    for name, week in shifts.items():
        for path, problem in _week_problems(week):
            yield (name, *path), problem


def _date_problems(days: Mapping[str, Intervals]) -> Iterator[Problem]:
    for day, value in days.items():
        if not is_date(day):
            yield (day,), "expected a date such as 2026-03-21"
        yield from _interval_problems((day,), value)


def _interval_problems(path: KeyPath, value: Intervals) -> Iterator[Problem]:
    if value is True:
        yield path, 'on is no interval: write ["09:00-18:00"]'
    for text in _intervals(value):
        try:
            hours.parse_interval(text)
        except ValueError as error:
            yield path, str(error)


def is_date(text: str) -> bool:
    """Whether it is a day such as ``2026-03-21``."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _no_country(value: str | bool) -> Iterator[Problem]:
    if isinstance(value, str) and word(value) and value not in hours.countries():
        found = value.upper()
        example = f"did you mean {found}?" if found in hours.countries() else "write a country such as UZ"
        yield (), f"no public holidays are known of {value!r}; {example}"


def _ring_problems(skills: Sequence[Any]) -> Iterator[Problem]:
    rings = [ring for ring in skills if not isinstance(ring, str)]
    if rings and len(rings) < len(skills):
        yield (), "either a list of skills, or a list of rings {need: […], after: …}"
    afters = [ring.after for ring in rings]
    if afters != sorted(afters):
        yield (), "rings must follow each other in time"


def _absence_problems(absences: Sequence[AbsenceDates]) -> Iterator[Problem]:
    for number, absence in enumerate(absences):
        for key, day in (("from", absence.from_), ("to", absence.to)):
            if not is_date(day):
                yield (number, key), "expected a date such as 2026-03-21"
        if absence.to < absence.from_:
            yield (number, "to"), "lies before from"


def _no_sentence(texts: list[str]) -> Iterator[Problem]:
    for text in texts:
        if not text.strip():
            yield (), "a result needs a text"


def key_problems(key: str) -> Iterator[Problem]:
    """What is wrong with a key that is stored and written at the command line."""
    if not _KEY.fullmatch(key):
        yield (), "a key is a small letter and up to 31 more, digits, underscores or hyphens"


def _no_currency(code: str) -> Iterator[Problem]:
    if code not in MINOR_DIGITS:
        found = code.upper()
        example = f"did you mean {found}?" if found in MINOR_DIGITS else "write one such as UZS"
        yield (), f"{code!r} is no currency of ISO 4217; {example}"


def _no_region(code: str) -> Iterator[Problem]:
    if code not in COUNTRIES:
        found = code.upper()
        example = f"did you mean {found}?" if found in COUNTRIES else "write one such as UZ"
        yield (), f"{code!r} is no country of ISO 3166; {example}"


def _stage_problems(stages: Sequence[Any] | None) -> Iterator[Problem]:
    if stages is None:
        return
    for number, stage in enumerate(stages):
        for path, problem in key_problems(stage.key):
            yield (number, "key", *path), problem
    keys = [stage.key for stage in stages]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            yield (number, "key"), f"{key} is given twice"
    ends = [stage.semantics for stage in stages]
    if ends.count("won") != 1:
        yield (), f"exactly one stage has semantics: won, here {ends.count('won') or 'none'}"
    if "lost" not in ends:
        yield (), "at least one stage has semantics: lost, here none"
    if ends and ends[0] != "work":
        yield (0, "semantics"), "the first stage is where everything begins: its semantics is work"


_CHECKS: Sequence[tuple[Sequence[Written], Callable[[Any], Iterator[Problem]]]] = (
    (("members",), _twice),
    (("wait",), _no_time),
    (("name_or_off", "language", "country"), _no_name),
    (("zone",), _no_zone),
    (("week",), _week_problems),
    (("shifts",), _shift_problems),
    (("dates",), _date_problems),
    (("country",), _no_country),
    (("rings",), _ring_problems),
    (("sentences",), _no_sentence),
    (("absences",), _absence_problems),
    (("key",), key_problems),
    (("stages",), _stage_problems),
    (("currency",), _no_currency),
    (("region",), _no_region),
)
