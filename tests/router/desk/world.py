"""A desk in memory with a clock of its own, told in short words."""

from __future__ import annotations

from typing import Any

from router.desk import events
from router.desk.desk import Desk, Known
from router.desk.events import Author, LinesConfigured, MessageReceived, OperatorChanged
from router.desk.rules import LineRules
from router.desk.state import (
    Alert,
    CommandDone,
    Decided,
    MessageAdded,
    MessageChanged,
    Session,
    decode_operator,
    decode_session,
    encode,
)
from tests.router.orders import order

FIELDS = ("next_session", "stamp", "seen", "configured", "clock", "pace", "refusals")
START = 1_000_000
CHANNEL = "bot"


class World:
    """``at`` is in seconds since the start; every step first lets the timers due by then fire."""

    def __init__(self, *members: str, lines: dict[str, LineRules] | None = None, **rules: Any) -> None:
        self.desk = Desk()
        self.time = START
        self.told: list[Any] = []
        self.sent: list[str] = []
        self.closed: dict[str, Session] = {}
        """Chat -> its last closed session."""
        self._number = 0
        lines = lines or {"sales": LineRules(members=list(members), **rules)}
        self._apply(LinesConfigured(lines=lines, channels={CHANNEL: next(iter(lines))}))
        for name in {name: None for line in lines.values() for name in line.members}:
            self._apply(OperatorChanged(name=name))

    def _apply(self, event: events.Event, known: Known | None = None) -> None:
        event.at = self.time
        self.desk.apply(event, known)
        self.drain()

    def drain(self) -> None:
        outcome = self.desk.drain()
        self.told += outcome.told
        self.closed |= {s.chat: s for s in outcome.closed.values()}
        self.sent += [d.text for d in outcome.deliveries]

    def at(self, seconds: float) -> World:
        self.time = START + int(seconds * 1000)
        self.desk.advance(self.time)
        self.drain()
        return self

    def keep_alive(self, *names: str) -> None:
        self._apply(events.Present(gateway="g", operators=list(names)))

    def online(self, *names: str) -> None:
        """On duty; their consoles go on answering far into the future."""
        for name in names:
            self.do(name, "SetDuty", duty="online")
            self.desk.seen[name] = START + 10**9

    def do(self, operator: str, command: str, **fields: Any) -> str:
        """Carries a command out; the code of its refusal, or nothing."""
        self._number += 1
        self._apply(order(command, operator=operator, event_id=f"c{self._number}", **fields))
        done = [t for t in self.told if isinstance(t, CommandDone)][-1]
        return str(done.code)

    def writes(
        self, chat: str, text: str = "hello", *, known: Known | None = None, language: str = ""
    ) -> Session:
        self._number += 1
        self._apply(
            MessageReceived(
                channel=CHANNEL,
                chat=chat,
                event_id=f"e{self._number}",
                message_id=f"m{self._number}",
                author=Author(id=chat, name=chat, language=language),
                text=text,
            ),
            known,
        )
        id = self.desk.by_chat.get(f"{CHANNEL}:{chat}")
        return self.desk.sessions[id] if id else self.closed[f"{CHANNEL}:{chat}"]

    def happens(self, event: events.Event) -> None:
        self._apply(event)

    def session(self, chat: str) -> Session:
        return self.desk.sessions[self.desk.by_chat[f"{CHANNEL}:{chat}"]]

    def state(self, chat: str) -> tuple[str, str]:
        session = self.session(chat)
        return session.status, session.holder

    def load(self, operator: str) -> int:
        return self.desk.operators[operator].load

    def backlog(self, line: str = "sales") -> list[str]:
        return [s.chat.partition(":")[2] for s in self.desk.queues[line].waiting()]

    def alerts(self) -> list[str]:
        return [t.name for t in self.told if isinstance(t, Alert)]

    def decisions(self) -> list[Decided]:
        return [t for t in self.told if isinstance(t, Decided)]

    def messages(self, direction: str = "") -> list[str]:
        return [
            t.message.text
            for t in self.told
            if isinstance(t, MessageAdded) and direction in ("", t.message.direction)
        ]

    def changes(self) -> list[Any]:
        return [t.change for t in self.told if isinstance(t, MessageChanged)]


def saved(desk: Desk, resumed_at: int = 0) -> Desk:
    """A desk as another process would load it now."""
    other = Desk()
    fields = {name: desk.field(name) for name in FIELDS}
    other.restore(
        fields,
        [decode_session(encode(s)) for s in desk.sessions.values()],
        [decode_operator(encode(o)) for o in desk.operators.values()],
        resumed_at,
    )
    other.now = desk.now
    return other
