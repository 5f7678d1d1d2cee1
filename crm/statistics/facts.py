"""What one session has contributed to the figures, and how it comes to contribute more. Pure.

A case is told what happens, in the order in which it happened, and counts it where and when it happened: in
the line in which the session stood, for the operator who did it, in the hour in which it was done. That is its
``marks``. What only its present state says (how it was closed, how it was rated) is ``standing``: computed
anew whenever it is asked for, so that a session that goes on changes its figures and leaves nothing behind.
A session that is spam contributes that it is, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import msgspec

from crm.kernel.records import Message
from crm.statistics.cells import Cell, Packed, Spot, Tally, pack, unpack

WORKING = "_working"
"""What the name of a duration has more when only the line's working hours count."""
ENDED = frozenset({"closing", "closed", "spam"})


class LineTime(Protocol):
    """A line's clock and working hours. Instants and durations in ms."""

    def hour(self, at: int) -> str:
        """``2026-03-05T14``: day and hour on the clock of the line."""

    def minute(self, at: int) -> int: ...

    def hours(self, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        """The hours that ``start`` to ``end`` goes through: name, and from when to when in it."""

    def begins(self, at: int) -> bool:
        """Whether an hour begins then."""

    def working(self, start: int, end: int) -> int: ...


Times = Callable[[str], LineTime]
"""Line -> its time."""


class Facts(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Times in ms since the epoch, 0 = not yet. ``applied``: what it was told last."""

    id: str
    applied: str = ""
    customer: str = ""
    channel: str = ""
    line: str = ""
    """In which it stands, or stood at its end."""
    opened_line: str = ""
    opened_at: int = 0
    outgoing: bool = False
    phase: str = ""
    holder: str = ""
    bot: str = ""
    line_since: int = 0
    ended_at: int = 0
    """When it was closed, the last time; 0 while it is open."""
    first_in_at: int = 0
    waiting_since: int = 0
    """The first message of the customer that no human has answered."""
    answered_at: int = 0
    """The first human answer."""
    author: str = ""
    """Of the last human message."""
    assigned_at: int = 0
    held_since: int = 0
    held: int = 0
    """ms in the hands of operators, up to ``held_since``."""
    held_working: int = 0
    reached_people: bool = False
    no_answer_at: int = 0
    no_answer_line: str = ""
    asked: bool = False
    rating: int = 0
    score: int = 0
    tags: list[str] = []


class Case:
    """The facts of a session and what it contributes. ``standing`` is what ``stands`` said the last time."""

    __slots__ = ("facts", "marks", "standing")

    def __init__(self, facts: Facts, marks: Tally | None = None, standing: Tally | None = None) -> None:
        self.facts = facts
        self.marks = Tally() if marks is None else marks
        self.standing = Tally() if standing is None else standing

    # ---------------------------------------------------------------- what happens

    def said(self, message: Message, times: Times) -> None:
        """A message of the session; those of the desk itself tell what became of it."""
        match message.direction:
            case "in":
                self._heard(message.at, times)
            case "out":
                self._answered(message, times)
            case "system":
                name, params = told_by(message.text)
                happened = _HAPPENED.get(name)
                if happened is not None:
                    happened(self, message.at, params, times)

    def _heard(self, at: int, times: Times) -> None:
        facts = self.facts
        self._count(at, "in", times)
        facts.first_in_at = facts.first_in_at or at
        if facts.phase != "spam":
            facts.waiting_since = facts.waiting_since or at

    def _answered(self, message: Message, times: Times) -> None:
        facts, at, author = self.facts, message.at, message.author
        if not author or author.startswith("bot:") or (facts.phase == "bot" and author == facts.bot):
            self._count(at, "automatic", times)
            return
        self._count(at, "out", times, operator=author)
        if facts.waiting_since:
            self._took(facts.waiting_since, at, "response", times, operator=author)
            facts.waiting_since = 0
        if not facts.answered_at:
            facts.answered_at = at
            if facts.first_in_at and not facts.outgoing:
                self._took(facts.first_in_at, at, "first_response", times, operator=author)
        facts.author = author

    def stood(
        self, at: int, line: str, phase: str, times: Times, *, holder: str = "", offered_at: int = 0,
        missed: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Where it stands from now on: see the desk's record of that name."""
        for name in missed:
            self._count(at, "missed_offers", times, operator=name)
        if not (self.facts.ended_at and phase in ENDED):
            self._change_line(at, line, times)
        if phase == "hand" and not holder:
            phase = "queue"
        facts = self.facts
        before = facts.phase, facts.holder
        if facts.holder and (phase, holder) != before:
            self._let_go(at, times)
        facts.phase = phase
        if phase == "hand":
            self._take(at, holder, offered_at, before, times)
        elif phase == "bot":
            facts.bot = holder
        facts.reached_people |= phase in ("queue", "hand")
        if phase in ENDED:
            facts.ended_at = facts.ended_at or at
        else:
            facts.ended_at = 0

    def _take(self, at: int, holder: str, offered_at: int, before: tuple[str, str], times: Times) -> None:
        facts = self.facts
        if before == ("hand", holder):
            return
        facts.holder, facts.held_since = holder, at
        if before[0] == "closing":
            return  # he goes on with what was his
        self._count(at, "taken", times, operator=holder)
        if offered_at:
            self._took(offered_at, at, "accept", times, operator=holder)
        if not facts.assigned_at:
            facts.assigned_at = at
            if facts.first_in_at and not facts.outgoing:
                self._took(facts.first_in_at, at, "queue", times)

    def _let_go(self, at: int, times: Times) -> None:
        facts = self.facts
        self._took(facts.held_since, at, "held", times, operator=facts.holder)
        facts.held += max(0, at - facts.held_since)
        facts.held_working += times(facts.line).working(facts.held_since, at)
        facts.holder = ""

    def _change_line(self, at: int, line: str, times: Times) -> None:
        facts = self.facts
        if not facts.line:
            facts.line = facts.opened_line = line
            facts.line_since = facts.opened_at or at
        elif line != facts.line:
            self._left(self.marks, facts.line, facts.line_since, at, times)
            facts.line, facts.line_since = line, at
            self._at(at, times).step(times(line).minute(at), 1)

    def rated(self, score: int, *, by_supervisor: bool) -> None:
        if by_supervisor:
            self.facts.score = score
        else:
            self.facts.rating = score

    def no_answer(self, at: int) -> None:
        """The line's time for a first answer is over."""
        facts = self.facts
        if not facts.answered_at and not facts.no_answer_at:
            facts.no_answer_at, facts.no_answer_line = at, facts.line

    def breached(self, at: int, clock: str, operator: str, times: Times) -> None:
        """A service level."""
        self._count(at, f"breached_{clock}", times, operator=operator)

    # ---------------------------------------------------------------- what its state says

    @property
    def is_spam(self) -> bool:
        return self.facts.phase == "spam"

    def contribution(self) -> Tally:
        """All of it."""
        tally = Tally()
        tally.merge(self.standing)
        if not self.is_spam:
            tally.merge(self.marks)
        return tally

    def stands(self, times: Times) -> Tally:
        """What is not in its marks."""
        facts, tally = self.facts, Tally()
        if not facts.opened_line:
            return tally
        opened = times(facts.opened_line)
        first = tally.at(Spot(opened.hour(facts.opened_at), facts.opened_line, facts.channel))
        if self.is_spam:
            first.count("spam")
            return tally
        first.count("outgoing" if facts.outgoing else "new")
        first.step(opened.minute(facts.opened_at), 1)
        if facts.ended_at:
            self._end(tally, times)
        missed_at = facts.no_answer_at
        if not facts.answered_at and facts.reached_people:
            missed_at = missed_at or facts.ended_at
        if missed_at and not facts.outgoing:
            self._cell(tally, missed_at, times, line=facts.no_answer_line).count("missed")
        return tally

    def _end(self, tally: Tally, times: Times) -> None:
        facts = self.facts
        self._left(tally, facts.line, facts.line_since, facts.ended_at, times)
        cell = self._cell(tally, facts.ended_at, times)
        cell.count("closed")
        if facts.first_in_at:
            took(cell, "resolution", facts.first_in_at, facts.ended_at, times(facts.line))
        if facts.held_since:
            cell.took("handle", facts.held)
            cell.took("handle" + WORKING, facts.held_working)
        if not facts.answered_at and not facts.reached_people and not facts.outgoing:
            cell.count("bot_only")
        judged = self._cell(tally, facts.ended_at, times, facts.author)
        if facts.asked or facts.rating:
            judged.count("asked")
        if facts.rating:
            judged.count(f"rating_{facts.rating}")
        if facts.score:
            judged.count(f"score_{facts.score}")
        if judged.is_empty:
            tally.cells.pop(
                Spot(times(facts.line).hour(facts.ended_at), facts.line, facts.channel, facts.author)
            )

    def _left(self, tally: Tally, line: str, since: int, at: int, times: Times) -> None:
        """It was open in the line from then to then."""
        time = times(line)
        for hour, begin, end in time.hours(since, at):
            cell = tally.at(Spot(hour, line, self.facts.channel))
            cell.count("open_ms", end - begin)
            if begin != since or time.begins(begin):
                cell.count("open_at_start")
        tally.at(Spot(time.hour(at), line, self.facts.channel)).step(time.minute(at), -1)

    def visit(self, times: Times) -> tuple[str, str, str] | None:
        """Who came, into which line and on which day of its; None for whom we wrote to, and for spam."""
        facts = self.facts
        if facts.outgoing or facts.phase == "spam" or not (facts.first_in_at and facts.customer):
            return None
        return facts.customer, facts.opened_line, times(facts.opened_line).hour(facts.opened_at)[:10]

    def visits(self) -> tuple[Any, ...]:
        """What ``visit`` is made of: while it is the same, that is too."""
        facts = self.facts
        came = not facts.outgoing and facts.phase != "spam" and facts.first_in_at > 0
        return came, facts.customer, facts.opened_line, facts.opened_at

    def days(self) -> list[str]:
        """The days in which it counts, however it does."""
        return sorted({spot.hour[:10] for spot in (*self.marks.cells, *self.standing.cells)})

    def depends(self) -> tuple[Any, ...]:
        """What ``stands`` is made of: while it is the same, that is too."""
        facts = self.facts
        missed_at = facts.no_answer_at or (facts.ended_at and not facts.answered_at)
        begun = facts.opened_line, facts.opened_at, facts.outgoing, self.is_spam, missed_at
        if not facts.ended_at:
            return begun
        return (
            *begun, facts.ended_at, facts.line, facts.line_since, facts.first_in_at, facts.held, facts.held_since,
            facts.answered_at, facts.reached_people, facts.author, facts.asked, facts.rating, facts.score,
        )  # fmt: skip

    # ---------------------------------------------------------------- counting

    def _at(self, at: int, times: Times, operator: str = "") -> Cell:
        return self._cell(self.marks, at, times, operator)

    def _cell(self, tally: Tally, at: int, times: Times, operator: str = "", line: str = "") -> Cell:
        line = line or self.facts.line
        return tally.at(Spot(times(line).hour(at), line, self.facts.channel, operator))

    def _count(self, at: int, name: str, times: Times, *, operator: str = "", line: str = "") -> None:
        self._cell(self.marks, at, times, operator, line).count(name)

    def _took(self, start: int, end: int, name: str, times: Times, *, operator: str = "") -> None:
        took(self._at(end, times, operator), name, start, end, times(self.facts.line))

    # ---------------------------------------------------------------- things of which a line in the thread tells

    def _missed(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "missed_offers", times, operator=params.get("operator", ""))

    def _skipped(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "skipped_offers", times, operator=params.get("operator", ""))

    def _returned(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "returned", times, operator=params.get("operator", ""))

    def _transferred(self, at: int, params: Mapping[str, str], times: Times) -> None:
        to = params.get("to", "")
        self._count(at, "transferred_out", times, operator=params.get("from", ""))
        if to.startswith("line:"):
            self._count(at, "line_out", times)
            self._count(at, "line_in", times, line=to.removeprefix("line:"))
        elif to == "bot":
            self._count(at, "to_bot", times)
        else:
            self._count(at, "transferred_in", times, operator=to)

    def _transfer_back(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "transferred_back", times, operator=params.get("operator", ""))

    def _taken_over(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "taken_over", times, operator=params.get("operator", ""))

    def _overflow(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "overflow_out", times)
        self._count(at, "overflow_in", times, line=params.get("to", ""))

    def _bot_left(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "from_bot", times)

    def _reopened(self, at: int, params: Mapping[str, str], times: Times) -> None:
        self._count(at, "reopened", times)


_HAPPENED: dict[str, Callable[[Case, int, Mapping[str, str], Times], None]] = {
    "missed": Case._missed,
    "skipped": Case._skipped,
    "returned": Case._returned,
    "unanswered": Case._returned,
    "transferred": Case._transferred,
    "transfer_back": Case._transfer_back,
    "taken_over": Case._taken_over,
    "overflow": Case._overflow,
    "bot_left": Case._bot_left,
    "reopened": Case._reopened,
}


def told_by(text: str) -> tuple[str, dict[str, str]]:
    """What a line of the desk in a thread says: ``what|key=value|…``."""
    name, *params = text.split("|")
    return name, dict(param.split("=", 1) for param in params if "=" in param)


def took(cell: Cell, name: str, start: int, end: int, time: LineTime) -> None:
    """Wall time and working time. A clock that was set back makes no duration negative."""
    cell.took(name, max(0, end - start))
    cell.took(name + WORKING, max(0, time.working(start, end)))


class _Packed(msgspec.Struct, omit_defaults=True):
    facts: Facts
    marks: Packed = []
    standing: Packed = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Packed).decode


def document_of(case: Case) -> dict[str, Any]:
    """``days``: under which it is looked for. ``customer`` stands by itself, to be forgotten. The rest is nobody's
    but ours: in one piece it is written in a third of the time."""
    customer = case.facts.customer
    facts = copy(case.facts)
    facts.customer = ""
    packed = _Packed(facts, pack(case.marks), pack(case.standing))
    return {
        "_id": case.facts.id, "days": case.days(), "customer": customer, "case": _encode(packed).decode()
    }  # fmt: skip


def case_of(document: Mapping[str, Any]) -> Case:
    """Raises ``msgspec.DecodeError`` for what was not made by ``document_of``."""
    found = _decode(document["case"])
    found.facts.customer = document["customer"]
    return Case(found.facts, unpack(found.marks), unpack(found.standing))
