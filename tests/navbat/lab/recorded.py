"""A made-up desk that keeps its history: customers and operators by the dice, the real rules, the store."""

from __future__ import annotations

import heapq
import random
from typing import Any

from crm.kernel.ports import Store
from router.desk import events
from router.desk.desk import Desk
from router.desk.events import Author, LinesConfigured, MessageReceived, OperatorChanged
from router.desk.state import HELD, Entry, Session, decode_session, encode
from router.history.projection import Batch, Memory
from router.worker import journal_entry
from tests.router.orders import order

FOREVER = 10**15
DAY = 86_400_000


class Recorded:
    """``people`` operators serve ``chats`` conversations spread over ``days``. Nothing happens in the same
    millisecond as anything else, as little as among people."""

    def __init__(self, lines: LinesConfigured, start: int, *, seed: int, chats: int, days: float = 1) -> None:
        self.random = random.Random(seed)
        self.desk = Desk()
        self.entries: list[Entry] = []
        self.holders: dict[str, str] = {}
        """Chat -> who held it last."""
        self.messages = 0
        self._agenda: list[tuple[int, int, str, Any]] = []
        self._number = 0
        self._seen: dict[str, tuple[str, int]] = {}
        self._answering: set[str] = set()
        self.now = start
        lines.presence_timeout = FOREVER
        self._apply(lines)
        names = list(dict.fromkeys(name for line in lines.lines.values() for name in line.members))
        for name in names:
            self._apply(OperatorChanged(name=name))
            for day in range(int(days) + 1):
                begin = start + day * DAY + self.random.randrange(0, 3_600_000)
                self._plan(begin, "duty", (name, "online"))
                pause = begin + self.random.randrange(3_600_000, 5 * 3_600_000)
                self._plan(pause, "duty", (name, "break"))
                self._plan(pause + self.random.randrange(60_000, 3_600_000), "duty", (name, "online"))
                self._plan(begin + 9 * 3_600_000, "duty", (name, "offline"))
        channels = list(lines.channels)
        for chat in range(chats):
            day = self.random.randrange(max(1, int(days)))
            at = start + day * DAY + self.random.randrange(0, 10 * 3_600_000)
            for number in range(self.random.randrange(1, 7)):
                self._plan(at, "write", (self.random.choice(channels), f"{chat}-{number // 6}"))
                at += self.random.randrange(5_000, 400_000)
        self._run(start + int(max(1.0, days) * DAY))

    def _plan(self, at: int, kind: str, what: Any) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, kind, what))

    def _run(self, end: int) -> None:
        while True:
            due = self.desk.timers.next_due()
            at = self._agenda[0][0] if self._agenda else end
            if due is not None and due <= at and due < end:
                self.now = max(self.now, due)
                self.desk.advance(self.now)
                self._drain()
            elif at >= end:
                return
            else:
                at, _, kind, what = heapq.heappop(self._agenda)
                self.now = max(self.now + 1, at)
                getattr(self, f"_on_{kind}")(*what)

    def _apply(self, event: events.Event) -> None:
        event.at = self.now
        self.desk.apply(event)
        self._drain()

    def _drain(self) -> None:
        outcome = self.desk.drain()
        entry = journal_entry(outcome, self.now)
        if entry is None:
            return
        # A copy, as the journal's encoding makes one.
        entry.sessions = [_copy(session) for session in entry.sessions]
        self.entries.append(entry)
        for session in [*outcome.sessions.values(), *outcome.closed.values()]:
            self._react(session)

    def _react(self, session: Session) -> None:
        seen = (session.holder if session.status in HELD else session.status, session.offer.until)
        if session.holder:
            self.holders[session.chat] = session.holder
        dice = self.random
        fresh = self._seen.get(session.id) != seen
        self._seen[session.id] = seen
        if session.status == "offered" and fresh:
            kind = dice.choices(["Take", "Skip", ""], [80, 10, 10])[0]
            who = session.holder or dice.choice(session.offer.seen_by)
            if kind:
                self._plan(self.now + dice.randrange(2_000, 90_000), "do", (kind, who, session.id))
        elif session.status == "waiting" and fresh and self.desk.queue(session).rules.mode == "manual":
            who = dice.choice(list(self.desk.queue(session).members))
            self._plan(self.now + dice.randrange(2_000, 900_000), "do", ("Take", who, session.id))
        elif session.status in ("taken", "pending") and session.id not in self._answering:
            self._answering.add(session.id)
            self._plan(self.now + dice.randrange(5_000, 200_000), "answer", (session.id,))
        elif session.status == "answered" and fresh and dice.random() < 0.7:
            self._plan(
                self.now + dice.randrange(60_000, 900_000), "do", ("Close", session.holder, session.id)
            )

    # ---------------------------------------------------------------- what people do

    def _on_duty(self, name: str, duty: Any) -> None:
        self._apply(order("SetDuty", operator=name, duty=duty))

    def _on_write(self, channel: str, chat: str) -> None:
        self.messages += 1
        self._apply(
            MessageReceived(
                channel=channel,
                chat=chat,
                message_id=f"m{self.messages}",
                author=Author(id=chat),
                text="secret",
            )
        )

    def _on_do(self, kind: str, who: str, session: str) -> None:
        found = self.desk.sessions.get(session)
        if found is not None and (kind != "Close" or (found.status == "answered" and found.holder == who)):
            self._apply(order(kind, operator=who, session=session))

    def _on_answer(self, session: str) -> None:
        self._answering.discard(session)
        found = self.desk.sessions.get(session)
        if found is not None and found.status in ("taken", "pending"):
            kind = self.random.choices(["Say", "Return", "Transfer"], [90, 5, 5])[0]
            others = [name for name in self.desk.operators if name != found.holder]
            fields: dict[str, Any] = {"Say": {"text": "secret"}, "Transfer": {"to": others[0]}}.get(kind, {})
            self._apply(order(kind, operator=found.holder, session=session, **fields))

    # ---------------------------------------------------------------- the history

    async def keep(self, store: Store) -> None:
        memory = Memory()
        for start in range(0, len(self.entries), 500):
            part = [(f"{n + 1}-0", entry) for n, entry in enumerate(self.entries[start : start + 500], start)]
            batch = Batch(store, memory, part)
            await batch.load()
            await store.write(batch.writes())


def _copy(session: Session) -> Session:
    return decode_session(encode(session))
