"""What ``config.yaml`` (and whoever changes a line while the desk runs) may say of a line and of an
operator, and how it becomes what the desk uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from navbat.cli.arguments import language_problem
from navbat.config.file import Duration, KeyPath, NumberOrOff, OffDuration, unknown_word
from router.desk import events, hours
from router.desk.events import LineRules

Text = str | dict[str, str]
Intervals = list[str] | str | bool
"""``["09:00-13:00", "14:00-18:00"]``, a single one without the list, or ``off``: closed."""
Problem = tuple[KeyPath, str]

MINUTE = 60_000


def _about(description: str) -> Any:
    return msgspec.Meta(description=description)


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Base of everything in the file."""


class Notices(Settings, frozen=True):
    """Texts that customers get, each a text or a map by language (`{uz: …, ru: …}`); without a text
    nothing is sent."""

    waiting: Annotated[
        Text,
        _about(
            "once, when nobody is free; with `show_position`, `{position}` and `{minutes}` stand for both"
        ),
    ] = ""
    off_hours: Annotated[
        Text, _about("to a message outside the hours, once until an operator writes in hours")
    ] = ""
    no_answer: Annotated[Text, _about("when no operator has written for `no_answer_after`")] = ""
    auto_close: Annotated[Text, _about("in place of the farewell when it is closed by itself")] = ""
    farewell: Annotated[Text, _about("when it is closed")] = ""
    joined: Annotated[Text, _about("when somebody joins openly")] = ""
    closed_line: Annotated[Text, _about("to a new conversation in a line that has no members")] = ""
    rating: Annotated[Text, _about("the request for a rating; has a text of its own if none is given")] = ""


class SkillRing(Settings, frozen=True):
    """What is needed from a moment on."""

    need: Annotated[list[str], _about("skills that an operator must have, all of them")]
    after: Annotated[Duration, _about("counted from entering the line's queue")] = Duration(0)


class Overflow(Settings, frozen=True):
    """Where a session goes that nobody took."""

    after: Annotated[Duration, _about("counted from entering the line's queue")]
    line: Annotated[str, _about("where it goes; that line's rules then apply")]
    when: Annotated[Literal["always", "off_hours", "nobody_on_duty"], _about("what must hold besides")] = (
        "always"
    )


class Sla(Settings, frozen=True):
    """Service levels in working time; supervisors are told at 80 % and at 100 %."""

    first_response: Annotated[OffDuration, _about("from the first message to the first answer")] = (
        OffDuration(0)
    )
    next_response: Annotated[OffDuration, _about("from a message to its answer, after the first")] = (
        OffDuration(0)
    )
    resolution: Annotated[OffDuration, _about("from the start of the session to its close")] = OffDuration(0)


class Absence(Settings, frozen=True, rename={"from_": "from"}):
    """Days on which an operator is off duty, both included, in the zone of the line."""

    from_: Annotated[str, _about("first day, such as `2026-03-05`")]
    to: Annotated[str, _about("last day")]
    reason: Annotated[str, _about("shown to colleagues")] = ""


class Operator(Settings, frozen=True):
    """What an operator can and may."""

    max_sessions: Annotated[int, msgspec.Meta(ge=0, description="sessions he may hold over all lines")] = 1000
    skills: Annotated[list[str], _about("for the `skills` of lines")] = []
    languages: Annotated[list[str], _about("codes, for the `language` of lines")] = []
    absences: Annotated[list[Absence], _about("days off")] = []
    rights: Annotated[
        list[events.Right] | dict[str, list[events.Right]] | None,
        _about("separate rights in all lines, or by line; absent: those of the role"),
    ] = None

    def told(self) -> dict[str, Any]:
        """The fields of ``OperatorChanged``."""
        rights: Any = {"*": self.rights} if isinstance(self.rights, list) else self.rights
        return {
            "max_sessions": self.max_sessions,
            "skills": list(self.skills),
            "languages": list(self.languages),
            "absences": [events.Absence(from_=a.from_, to=a.to, reason=a.reason) for a in self.absences],
            "rights": rights,
        }


class Line(Settings, frozen=True):
    """One queue and its rules."""

    mode: Annotated[
        Literal["even", "strict", "all", "manual", "least_loaded"],
        _about(
            "who is offered a waiting session: the member not given one for longest (`even`), the first "
            "in the order of `members` (`strict`), everybody at once (`all`), nobody (`manual`), who has "
            "fewest (`least_loaded`)"
        ),
    ] = "even"
    members: Annotated[
        list[str], _about("operators of this line, in order; those added with `--lines` come after them")
    ] = []
    max_sessions: Annotated[
        int, msgspec.Meta(ge=0, description="sessions one member may hold here; 0 is no limit")
    ] = 0
    counts_until: Annotated[
        Literal["first_answer", "answered", "closed"],
        _about("how long a session takes up one of these places"),
    ] = "answered"
    answer_within: Annotated[Duration, _about("an offer not taken in this time goes to the next one")] = (
        Duration(MINUTE)
    )
    transfer_wait: Annotated[
        Duration, _about("a transfer not taken in this time goes back to its sender")
    ] = Duration(2 * MINUTE)
    while_writing: Annotated[
        Literal["hold", "take", "off"],
        _about(
            "writing into an offer: it does not lapse while keys come (`hold`), it is taken (`take`), or "
            "nothing (`off`)"
        ),
    ] = "hold"
    hold_at_most: Annotated[Duration, _about("so long after its end an offer is held by writing")] = Duration(
        2 * MINUTE
    )
    on_leave: Annotated[
        Literal["keep", "when_customer_writes", "at_once"],
        _about("what happens to the taken sessions of an operator who goes offline"),
    ] = "when_customer_writes"
    check_duty: Annotated[bool, _about("`off`: online, break and offline do not matter here")] = True
    away_after_missed: Annotated[
        NumberOrOff, _about("so many offers missed in a row put the operator on break")
    ] = NumberOrOff(0)
    priority: Annotated[
        int, msgspec.Meta(ge=-(10**6), le=10**6, description="larger comes first among all waiting sessions")
    ] = 0
    skills: Annotated[
        list[str | SkillRing],
        _about("what an operator must have: `[iron, uz]`, or rings `[{need: [iron], after: 1m}, …]`"),
    ] = []
    language: Annotated[
        str | bool,
        _about("`customer`: the operator must know the customer's language; or a code; or `off`"),
    ] = False
    responsible_first: Annotated[
        bool, _about("a known customer's responsible operator is offered it first")
    ] = True
    responsible_wait: Annotated[Duration, _about("how long the responsible is waited for")] = Duration(
        2 * MINUTE
    )
    last_operator_first: Annotated[
        bool, _about("the same, after him, with whoever handled the customer last")
    ] = False
    no_answer_after: Annotated[
        OffDuration,
        _about("in working hours, no operator has written: `notices.no_answer`, and supervisors are told"),
    ] = OffDuration(5 * MINUTE)
    return_unanswered_after: Annotated[
        OffDuration, _about("a holder who does not answer for so long gives the session back")
    ] = OffDuration(0)
    overflow: Annotated[list[Overflow], _about("where it goes when nobody takes it; the first due wins")] = []
    auto_close_after: Annotated[
        OffDuration, _about("so long after the operator's last word it is closed by itself")
    ] = OffDuration(240 * MINUTE)
    closing_time: Annotated[
        Duration, _about("so long after the farewell or the rating request the customer may come back")
    ] = Duration(10 * MINUTE)
    sla: Annotated[Sla, _about("service levels")] = Sla()
    rating: Annotated[bool, _about("asks the customer for a rating when it is closed")] = False
    results: Annotated[list[str], _about("closing asks for one of these")] = []
    bot: Annotated[
        str | bool, _about("who gets new sessions first: a flow, or an account of role `bot`; or `off`")
    ] = False
    bot_first: Annotated[
        Literal["always", "first_contact", "off"], _about("which new sessions the bot gets")
    ] = "always"
    bot_time: Annotated[Duration, _about("so long at most the bot holds it")] = Duration(10 * MINUTE)
    zone: Annotated[str, _about("time zone of the line, such as `Asia/Tashkent`")] = "UTC"
    hours: Annotated[
        dict[str, Intervals] | None,
        _about('working hours by weekday: `{mon: ["09:00-13:00", "14:00-18:00"]}`; none: always open'),
    ] = None
    days: Annotated[dict[str, Intervals], _about("the same for single dates: `{2026-03-21: []}`")] = {}
    holidays: Annotated[str | bool, _about("country (`UZ`) whose public holidays are closed")] = False
    off_hours: Annotated[
        Literal["queue", "offer", "bot"],
        _about("outside the hours: keep in the backlog, offer to who is on duty, or leave it to the bot"),
    ] = "queue"
    shifts: Annotated[
        dict[str, dict[str, Intervals]], _about("working hours of single members: `{anna: {mon: […]}}`")
    ] = {}
    show_position: Annotated[
        bool, _about("the waiting notice says the place in the queue and an estimate")
    ] = False
    notices: Annotated[Notices, _about("texts for customers")] = Notices()

    def rules(self) -> LineRules:
        """The line as the desk uses it."""
        plain = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if name not in ("skills", "language", "overflow", "sla", "bot", "hours", "days", "holidays",
                            "shifts", "notices")
        }  # fmt: skip
        plain |= {
            name: int(value) for name, value in plain.items() if isinstance(value, (Duration, NumberOrOff))
        }
        texts = {name: _by_language(getattr(self.notices, name)) for name in Notices.__struct_fields__}
        return LineRules(
            **plain,
            skills=_rings(self.skills),
            language=_word(self.language),
            overflow=[events.Overflow(after=int(o.after), line=o.line, when=o.when) for o in self.overflow],
            sla=events.Sla(**{name: int(getattr(self.sla, name)) for name in Sla.__struct_fields__}),
            bot=_word(self.bot),
            hours=None if self.hours is None else _week(self.hours),
            days=_week(self.days),
            holidays=_word(self.holidays),
            shifts={name: _week(week) for name, week in self.shifts.items()},
            notices={name: text for name, text in texts.items() if text},
        )


def _by_language(text: Text) -> dict[str, str]:
    if isinstance(text, str):
        return {"": text} if text else {}
    return dict(text)


def _rings(skills: Sequence[str | SkillRing]) -> list[events.Ring]:
    """A plain list of skills is one ring."""
    plain = [skill for skill in skills if isinstance(skill, str)]
    rings = [events.Ring(need=list(r.need), after=int(r.after)) for r in skills if isinstance(r, SkillRing)]
    return [events.Ring(need=plain)] if plain else rings


def _word(value: str | bool) -> str:
    return value if isinstance(value, str) and value != "off" else ""


def _week(week: Mapping[str, Intervals]) -> dict[str, list[str]]:
    return {day: _intervals(value) for day, value in week.items()}


def _intervals(value: Intervals) -> list[str]:
    if isinstance(value, str):
        return [] if value == "off" else [value]
    return [] if isinstance(value, bool) else list(value)


# ------------------------------------------------------------------ what no type can say


def problems(line: Line) -> Iterator[Problem]:
    """What is wrong with a line by itself, each with its key."""
    for member in sorted({m for m in line.members if line.members.count(m) > 1}):
        yield ("members",), f"{member} is given twice"
    for key in ("answer_within", "transfer_wait", "responsible_wait", "closing_time", "bot_time"):
        if not getattr(line, key):
            yield (key,), "must be longer than nothing"
    for key in ("language", "bot", "holidays"):
        if getattr(line, key) is True:
            yield (key,), "on is no value here: write a name, or off"
    yield from _calendar_problems(line)
    if any(isinstance(s, str) for s in line.skills) and any(isinstance(s, SkillRing) for s in line.skills):
        yield ("skills",), "either a list of skills, or a list of rings {need: […], after: …}"
    afters = [ring.after for ring in line.skills if isinstance(ring, SkillRing)]
    if afters != sorted(afters):
        yield ("skills",), "rings must follow each other in time"
    for result in line.results:
        if not result.strip():
            yield ("results",), "a result needs a text"


def _calendar_problems(line: Line) -> Iterator[Problem]:
    try:
        ZoneInfo(line.zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        yield ("zone",), f"there is no time zone {line.zone!r}; write one such as Asia/Tashkent"
    yield from _week_problems(("hours",), line.hours or {})
    for name, week in line.shifts.items():
        yield from _week_problems(("shifts", name), week)
    for day, value in line.days.items():
        if not _is_date(day):
            yield ("days", day), "expected a date such as 2026-03-21"
        yield from _interval_problems(("days", day), value)
    if isinstance(line.holidays, str) and _word(line.holidays) and line.holidays not in hours.countries():
        found = line.holidays.upper()
        example = f"did you mean {found}?" if found in hours.countries() else "write a country such as UZ"
        yield ("holidays",), f"no public holidays are known of {line.holidays!r}; {example}"


def _week_problems(path: KeyPath, week: Mapping[str, Intervals]) -> Iterator[Problem]:
    for day, value in week.items():
        if day not in hours.DAYS:
            yield (*path, day), unknown_word("weekday", day, hours.DAYS)
        yield from _interval_problems((*path, day), value)


def _interval_problems(path: KeyPath, value: Intervals) -> Iterator[Problem]:
    if value is True:
        yield path, 'on is no interval: write ["09:00-18:00"]'
    for text in _intervals(value):
        try:
            hours.parse_interval(text)
        except ValueError as error:
            yield path, str(error)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def no_language(value: object) -> str:
    """Why a line's ``language`` is one that nobody can have, so that nobody would get an offer; else empty.
    Asked of what is written now: what was kept before goes on."""
    return language_problem(value) if isinstance(value, str) and value not in ("", "customer", "off") else ""


def operator_problems(operator: Operator) -> Iterator[Problem]:
    """What is wrong with an operator's settings by themselves."""
    for number, absence in enumerate(operator.absences):
        for key, day in (("from", absence.from_), ("to", absence.to)):
            if not _is_date(day):
                yield ("absences", number, key), "expected a date such as 2026-03-21"
        if absence.to < absence.from_:
            yield ("absences", number, "to"), "lies before from"


def joint_problems(lines: Mapping[str, Line], flows: Sequence[str] | None = None) -> Iterator[Problem]:
    """What is wrong between lines: an overflow into nowhere or in a circle."""
    for name, line in lines.items():
        for number, entry in enumerate(line.overflow):
            path: KeyPath = (name, "overflow", number, "line")
            if entry.line not in lines:
                yield path, unknown_word("line", entry.line, lines)
            elif circle := _circle(lines, name, entry.line):
                yield path, f"overflow goes in a circle: {' > '.join(circle)}"


def _circle(lines: Mapping[str, Line], start: str, into: str) -> list[str]:
    """The way from ``into`` back to ``start``, or nothing."""
    ways = [[start, into]]
    seen = {into}
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        for entry in lines[way[-1]].overflow if way[-1] in lines else ():
            if entry.line == start or entry.line not in seen:
                seen.add(entry.line)
                ways.append([*way, entry.line])
    return []
