"""What has happened at the demo's desk before the demo begins: a week of conversations.

They are had here, on the desk's own rules with a clock that runs through the days gone by, and what these tell
goes the way of the journal into the store. So threads, leads and figures are such as a desk leaves behind.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from crm.kernel.ports import Store
from navbat.lab.demo.conversations import NAMES, STORIES, React, Story
from router.desk import events
from router.desk.desk import Desk
from router.desk.events import Author, LinesConfigured, OperatorChanged
from router.desk.state import Entry, Session, decode_session, encode
from router.history.cards import spell
from router.history.counting import Counting
from router.history.line_time import LineTimes
from router.history.projection import Batch, Memory
from router.wire import commands
from router.wire.frame import CommandFrame

DAYS = 7
A_DAY = 7
"""Conversations."""
OPENS, CLOSES = 9, 19
"""Hours of the day in which people write."""
FOREVER = 10**15
SECOND, MINUTE = 1000, 60_000
LONG = 12 * MINUTE
"""ms more where somebody is kept waiting."""


class Regular(NamedTuple):
    """Who has written before. ``number`` is that of the story he tells."""

    number: int
    name: str
    language: str
    channel: str

    @property
    def chat(self) -> str:
        """His chat on the channel."""
        return f"p{self.number}"


def _people() -> tuple[Regular, ...]:
    names = {language: iter(known) for language, known in NAMES.items()}
    return tuple(
        Regular(number, next(names[story.language]), story.language, story.channel)
        for number, story in enumerate(STORIES)
    )


PEOPLE = _people()


async def remember(
    store: Store, configured: LinesConfigured, operators: Sequence[str], *, now: int, zone: str
) -> None:
    """Writes the week before ``now`` (ms) into a store in which there is nothing yet. The days are those of
    ``zone``."""
    entries = _Past(configured, operators, datetime.fromtimestamp(now / 1000, ZoneInfo(zone))).live()
    batch = Batch(store, Memory(), entries)
    await batch.load()
    writes = batch.writes()
    counting = Counting(store, LineTimes(configured.lines))
    await store.write([*writes, *await counting.writes(*batch.counted())])
    await spell(store)


class _Past:
    """A desk of bygone days. ``entries``: what its journal would have been told."""

    def __init__(self, configured: LinesConfigured, operators: Sequence[str], today: datetime) -> None:
        self._desk = Desk()
        self._chance = random.Random(2)
        self._numbers = itertools.count(1)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._today = today
        self._operators = operators
        self._now = _ms(today - timedelta(days=DAYS + 1))
        self.entries: list[tuple[str, Entry]] = []
        # The pace of ordinary days, on which people do not answer within half a minute.
        lines = {
            name: replace(rules, answer_within=30 * MINUTE, rating=True, max_sessions=0)
            for name, rules in configured.lines.items()
        }
        self._apply(replace(configured, lines=lines, presence_timeout=FOREVER))
        for name in operators:
            self._apply(OperatorChanged(name=name, lines=[*lines]))
            self._order(name, events.SetDutyInFull(rid=0, id="", duty="online"))
        self.entries.clear()

    def live(self) -> list[tuple[str, Entry]]:
        """All conversations, to their end."""
        for ago in range(DAYS, 0, -1):
            morning = (self._today - timedelta(days=ago)).replace(hour=OPENS, minute=0, second=0)
            for person in self._chance.sample(PEOPLE, A_DAY):
                at = _ms(morning) + self._chance.randrange((CLOSES - OPENS) * 60) * MINUTE
                self._plan_visit(person, STORIES[person.number], at)
        while self._agenda:
            self._now, _, act = heapq.heappop(self._agenda)
            self._desk.advance(self._now)
            self._drain()
            act()
        self._desk.advance(self._now + 3600 * SECOND)
        self._drain()
        return self.entries

    # ---------------------------------------------------------------- who does what when

    def _plan_visit(self, person: Regular, story: Story, at: int) -> None:
        for turn in story.turns:
            for act in turn.acts:
                if not isinstance(act, React):
                    at += self._between(5, 40)
                    self._plan(at, partial(self._write, person, act[0]))
            at += self._between(10, 240) + (LONG if self._chance.random() < 0.05 else 0)
            if turn.answer and self._chance.random() < 0.97:
                self._plan(at, partial(self._answer, person, turn.answer))
        handed = self._chance.random() < 0.12
        if handed:
            self._plan(at, partial(self._hand_over, person))
            at += self._between(20, 200)
        self._plan(at, partial(self._close, person))
        if self._chance.random() < 0.6:
            score = self._chance.choices((1, 2, 3, 4, 5), (1, 1, 2, 5, 9))[0]
            self._plan(at + self._between(10, 100), partial(self._rate, person, score))

    def _between(self, least: int, most: int) -> int:
        return self._chance.randrange(least, most) * SECOND

    def _plan(self, at: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), act))

    def _session(self, person: Regular) -> Session | None:
        id = self._desk.by_chat.get(f"{person.channel}:{person.chat}")
        return self._desk.sessions.get(id) if id else None

    def _write(self, person: Regular, text: str) -> None:
        number = next(self._numbers)
        self._apply(
            events.MessageReceived(
                channel=person.channel, chat=person.chat, event_id=f"past{number}", message_id=f"past{number}",
                author=_author(person), text=text,
            )
        )  # fmt: skip

    def _answer(self, person: Regular, text: str) -> None:
        if session := self._session(person):
            who = session.holder or self._chance.choice(self._operators)
            self._order(who, events.SayInFull(rid=0, id="", session=session.id, text=text))

    def _hand_over(self, person: Regular) -> None:
        session = self._session(person)
        if session and session.holder:
            to = next(name for name in self._operators if name != session.holder)
            self._order(session.holder, commands.Transfer(rid=0, id="", session=session.id, to=to))
            self._order(to, commands.Take(rid=0, id="", session=session.id))

    def _close(self, person: Regular) -> None:
        if session := self._session(person):
            self._order(session.holder, commands.Take(rid=0, id="", session=session.id))
            self._order(session.holder, commands.Close(rid=0, id="", session=session.id))

    def _rate(self, person: Regular, score: int) -> None:
        session = self._session(person)
        if session and session.status == "closing":
            self._apply(
                events.ButtonPressed(
                    channel=person.channel, chat=person.chat, event_id=f"past{next(self._numbers)}",
                    message_id="", author=_author(person), data=f"rate:{session.id}:{score}",
                )
            )  # fmt: skip

    # ---------------------------------------------------------------- the desk

    def _order(self, operator: str, command: CommandFrame) -> None:
        command = replace(command, id=f"past{next(self._numbers)}")
        self._apply(events.ordered(operator, command))

    def _apply(self, event: events.Event) -> None:
        event.at = self._now
        self._desk.apply(event)
        self._drain()

    def _drain(self) -> None:
        outcome = self._desk.drain()
        sessions = [*outcome.sessions.values(), *outcome.closed.values()]
        if outcome.told or sessions:
            kept = [decode_session(encode(session)) for session in sessions]
            entry = Entry(at=self._now, told=outcome.told, sessions=kept)
            self.entries.append((f"{self._now}-{next(self._numbers)}", entry))
        for delivery in outcome.deliveries:
            number = next(self._numbers)
            self._apply(
                events.Delivered(
                    chat=delivery.chat, session=delivery.session, message=delivery.message, state="read",
                    external_id=f"past{number}", event_id=f"past{number}",
                )
            )  # fmt: skip


def _author(person: Regular) -> Author:
    return Author(id=person.chat, name=person.name, language=person.language)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
