"""What people did, as the history tells it: customers' messages, operators' duty and their work.

A ``Talk`` is one recorded session. What its operators did is kept as reactions to offers and as acts,
each with the delays that ``navbat.lab.rehearse.replay`` needs to play it at another moment. Times in ms. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from crm.kernel.records import Duty, Message
from router.desk.desk import Known
from router.desk.state import AnyTold, Audit, Decided, MessageAdded

GOT = frozenset({"taken", "taken_over", "transfer_back", "started"})
"""Lines in a thread that say who holds the session from here on."""


class DutyChange(msgspec.Struct, kw_only=True):
    at: int
    operator: str
    duty: Duty
    reason: str = ""


class Reaction(msgspec.Struct, kw_only=True):
    """What one operator did with an offer, or with what waited in the backlog. ``delay`` is from the
    beginning of that offer or wait."""

    kind: Literal["take", "skip"]
    delay: int
    operator: str = ""
    pulled: bool = False
    """Nobody had offered it to him."""


class Act(msgspec.Struct, kw_only=True):
    """One thing an operator did in a session that he held. ``heard``: when the customer last wrote
    before it. ``holds``: when the session got into each holder's hands before it."""

    at: int
    kind: str
    operator: str
    params: dict[str, str] = {}
    heard: int = 0
    before: int = 0
    holds: list[int] = []

    def due(self, done: int, got: int, hold: int) -> int:
        """When it happens, if the act before it was done at ``done`` and the session has been in its
        ``hold``-th hands since ``got``. What the recorded hands before did not do is not done here."""
        recorded_got = self.holds[min(hold, len(self.holds)) - 1] if self.holds else 0
        delay = self.at - max(self.before, self.heard, recorded_got)
        return max(done, self.heard, got) + max(0, delay)


class Wrote(msgspec.Struct, kw_only=True):
    """A customer's message; ``rating`` is set for a pressed button of a rating."""

    at: int
    text: str = ""
    rating: int = 0


class Talk(msgspec.Struct, kw_only=True):
    """One recorded session. ``starter`` opened it, where no customer did. ``bot_time``: how long an
    external bot had it, -1 = it was with none."""

    id: str
    channel: str
    chat: str
    line: str
    opened_at: int
    customer: str = ""
    language: str = ""
    known: Known | None = None
    starter: str = ""
    wrote: list[Wrote] = []
    offers: list[list[Reaction]] = []
    """What came of each offer, in order: nothing where it was missed."""
    waits: list[list[Reaction]] = []
    """The same for each time in the backlog."""
    acts: list[Act] = []
    bot_time: int = -1

    @property
    def takes(self) -> list[Reaction]:
        return [r for chance in (*self.offers, *self.waits) for r in chance if r.kind == "take"]


class Recording(msgspec.Struct, kw_only=True):
    """All that was recorded from ``start`` until ``end``. ``told`` is the same as the desk told it."""

    start: int
    end: int
    talks: list[Talk]
    duty: list[DutyChange]
    told: list[AnyTold]


def parse_system(text: str) -> tuple[str, dict[str, str]]:
    """A line in the thread about the session itself: what, and its parameters."""
    what, *rest = text.split("|")
    return what, {key: value for key, _, value in (part.partition("=") for part in rest)}


def read_talk(talk: Talk, told: Sequence[AnyTold]) -> Talk:
    """Fills in what was done. ``told``: everything of this session, in order."""
    _Reader(talk).read(told)
    return talk


class _Reader:
    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.heard = 0
        self.before = 0
        self.holds: list[int] = []
        self.open: list[Reaction] | None = None
        self.offered = False
        self.opened = 0
        self.bot_at = 0

    def read(self, told: Sequence[AnyTold]) -> None:
        for one in told:
            if isinstance(one, MessageAdded):
                self.message(one.message)
            elif isinstance(one, Decided):
                self.chance(one.at, offered=bool(one.chosen) or one.why == "all")
            elif isinstance(one, Audit):
                self.audit(one)

    def chance(self, at: int, *, offered: bool) -> None:
        self.open, self.opened, self.offered = [], at, offered
        (self.talk.offers if offered else self.talk.waits).append(self.open)

    def react(self, kind: Literal["take", "skip"], at: int, operator: str) -> None:
        """After a skip others may still see the same offer."""
        if self.open is not None:
            self.open.append(
                Reaction(kind=kind, delay=at - self.opened, operator=operator, pulled=not self.offered)
            )
        if kind == "take":
            self.open = None

    def message(self, message: Message) -> None:
        if message.direction == "in":
            self.heard = message.at
            self.talk.wrote.append(Wrote(at=message.at, text=message.text))
        elif message.direction == "out":
            # Before the first holder it is a bot that speaks.
            if self.holds and message.author and not message.notice:
                self.act(message.at, "say", message.author)
        elif message.direction == "system":
            self.system(message.at, *parse_system(message.text))

    def system(self, at: int, what: str, params: dict[str, str]) -> None:
        operator = params.get("operator", "")
        if what in ("taken", "started", "taken_over"):
            self.react("take", at, operator)
        elif what == "skipped":
            self.react("skip", at, operator)
        if what in GOT:
            self.holds.append(at)
        if what == "started":
            self.talk.starter = operator
        elif what == "bot":
            self.bot_at = at
        elif what == "bot_left":
            self.talk.bot_time = at - self.bot_at
        elif what == "rated" and (not self.talk.wrote or self.talk.wrote[-1].at != at):
            self.talk.wrote.append(Wrote(at=at, rating=int(params.get("score", "0"))))

    def audit(self, one: Audit) -> None:
        if one.action in REPLAYED:
            self.act(one.at, one.action, one.operator, one.params)
            to = one.params.get("to", "")
            if one.action == "transfer" and to != "bot" and not to.startswith("line:"):
                self.chance(one.at, offered=True)

    def act(self, at: int, kind: str, operator: str, params: dict[str, str] | None = None) -> None:
        holds = self.holds[:-1] if kind == "take_over" else self.holds
        self.talk.acts.append(
            Act(
                at=at, kind=kind, operator=operator, params=params or {}, heard=self.heard,
                before=self.before, holds=list(holds),
            )
        )  # fmt: skip
        self.before = at


REPLAYED = frozenset(
    {"close", "transfer", "return", "pin", "unpin", "snooze", "take_over", "priority", "spam"}
)
"""Entries of the audit that are played again; what is taken and skipped is a reaction to an offer."""
