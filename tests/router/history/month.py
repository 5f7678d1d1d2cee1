"""A random month of a desk: customers, operators who work, miss and hand over, two lines with hours and zones
of their own, a bot. And its figures, computed a second time by going through every session from its beginning."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from router.desk import events
from router.desk.bots.flow import Flow, Node, Option
from router.desk.desk import Desk
from router.desk.events import Author, ButtonPressed, LinesConfigured, OperatorChanged
from router.desk.hours import Calendar
from router.desk.rules import LineRules, Overflow, Sla
from router.desk.state import (
    Alert,
    AnyTold,
    Entry,
    MessageAdded,
    Rated,
    Session,
    Stood,
    decode_session,
    encode,
)
from tests.router.desk.world import CHANNEL, World

BEGIN = int(datetime(2026, 3, 1, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
OPERATORS = ("anna", "bek", "chi")
WEEK = {day: ["09:00-13:00", "14:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
LINES = {
    "sales": LineRules(
        members=["anna", "bek"], zone="Asia/Tashkent", hours=WEEK, off_hours="offer", rating=True, answer_within=2 * HOUR,
        bot="helper", bot_first="first_contact", bot_time=6 * HOUR, auto_close_after=3 * HOUR, sla=Sla(first_response=10 * MINUTE),
        overflow=[Overflow(after=6 * HOUR, line="help")], counts_until="first_answer",
    ),
    "help": LineRules(
        members=["bek", "chi"], mode="all", answer_within=5 * HOUR, zone="Asia/Kolkata", no_answer_after=2 * HOUR,
        closing_time=20 * MINUTE, counts_until="first_answer",
    ),
}  # fmt: skip
FLOW = Flow(
    name="helper",
    start="hello",
    nodes={
        "hello": Node(
            kind="menu",
            say={"": "What is it?"},
            options=[Option(label={"": "Buy"}, then="human"), Option(label={"": "Bye"}, then="bye")],
        ),
        "human": Node(kind="hand_over"),
        "bye": Node(kind="close", say={"": "Bye"}),
    },
)


class Month(World):
    """``entries``: what the journal was told."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.entries: list[Entry] = []
        self.ended: list[tuple[str, str]] = []
        super().__init__(lines={"sales": LineRules()})
        self.entries.clear()
        self.desk = Desk()
        self.told.clear()
        self.time = BEGIN
        self.configured = LinesConfigured(
            lines=LINES, channels={CHANNEL: "sales", "web": "help"}, flows={"helper": FLOW}
        )
        self._apply(self.configured)
        for name in OPERATORS:
            self._apply(OperatorChanged(name=name))
        self._apply(OperatorChanged(name="boss", role="supervisor"))
        self.online(*OPERATORS)
        self.desk.seen = dict.fromkeys(OPERATORS, BEGIN + 1000 * DAY)

    def drain(self) -> None:
        outcome = self.desk.drain()
        self.told += outcome.told
        sessions = [*outcome.sessions.values(), *outcome.closed.values()]
        self.ended += [(s.id, s.chat) for s in outcome.closed.values()]
        if outcome.told or sessions:
            entry = Entry(
                at=self.time, told=outcome.told, sessions=[decode_session(encode(s)) for s in sessions]
            )
            self.entries.append(msgspec.msgpack.decode(encode(entry), type=Entry))

    def live(self, steps: int) -> Month:
        for _ in range(steps):
            self.time += int(self.chance.expovariate(1 / (29 * DAY / steps)))
            self.desk.advance(self.time)
            self.drain()
            self._step()
        return self

    def _step(self) -> None:
        luck = self.chance.random()
        if luck < 0.4:
            chat = self.chance.randrange(12)
            text = self.chance.choice(["hello", "1", "2", "operator", "5", "and?"])
            channel = CHANNEL if chat % 3 else "web"
            self._number += 1
            self._apply(
                events.MessageReceived(
                    channel=channel, chat=f"c{chat}", event_id=f"e{self._number}", message_id=f"m{self._number}",
                    author=Author(id=f"c{chat}"), text=text,
                )
            )  # fmt: skip
        elif luck < 0.45:
            self._rate()
        elif luck < 0.48:
            who, duty = (
                self.chance.choice(OPERATORS),
                self.chance.choice(["online", "online", "break", "offline"]),
            )
            self.do(who, "SetDuty", duty=duty)
        elif luck < 0.5:
            self.do(
                self.chance.choice(OPERATORS), "Start", chat=f"o{self.chance.randrange(4)}", channel=CHANNEL,
                line="sales", text="we write first",
            )  # fmt: skip
        elif self.desk.sessions:
            self._work(self.chance.choice(list(self.desk.sessions.values())))

    def _rate(self) -> None:
        if self.ended:
            id, chat = self.chance.choice(self.ended)
            channel, _, chat = chat.partition(":")
            if self.chance.random() < 0.3:
                self.do("boss", "Score", session=id, score=self.chance.randint(1, 5))
                return
            self._number += 1
            self._apply(
                ButtonPressed(
                    channel=channel, chat=chat, event_id=f"e{self._number}", message_id="x",
                    author=Author(id=chat), data=f"rate:{id}:{self.chance.randint(1, 5)}",
                )
            )  # fmt: skip

    def _work(self, session: Session) -> None:
        name = session.holder or self.chance.choice(OPERATORS)
        if self.chance.random() < 0.2:
            name = self.chance.choice([*OPERATORS, "boss"])
        done: list[tuple[str, dict[str, Any]]] = [
            ("Say", {"text": "an answer"}),
            ("Say", {"text": "more"}),
            ("Take", {}),
            ("Skip", {}),
            ("Return", {"reason": "busy"}),
            ("Transfer", {"to": self.chance.choice([*OPERATORS, "line:sales", "line:help", "bot"])}),
            ("Close", {}),
            ("Close", {}),
            ("Spam", {"on": self.chance.random() < 0.4}),
            ("TakeOver", {}),
            ("Note", {"text": "a note"}),
        ]
        command, fields = self.chance.choice(done)
        self.do(name, command, session=session.id, **fields)


# ------------------------------------------------------------------ computed a second time

Where = tuple[str, str, str, str]
"""Hour, line, channel, operator."""


class Figures(NamedTuple):
    counts: Counter[tuple[Where, str]]
    durations: dict[tuple[Where, str], list[int]]
    spans: list[tuple[str, str, int, int]]
    """(line, channel, from, to) of all that was open; ``to`` is 0 for what still is."""
    visits: list[tuple[str, str, str]]
    """(line, day, customer) of each session."""


def naive(entries: list[Entry]) -> Figures:
    found = Figures(Counter(), defaultdict(list), [], [])
    told: dict[str, list[AnyTold]] = defaultdict(list)
    last: dict[str, Session] = {}
    for entry in entries:
        for one in entry.told:
            id = one.message.session if isinstance(one, MessageAdded) else getattr(one, "session", "")
            if isinstance(one, (MessageAdded, Stood, Rated, Alert)) and id:
                told[id].append(one)
        last |= {session.id: session for session in entry.sessions}
    for id, session in last.items():
        _Naive(session, told[id], found).work()
    return found


def hour(line: str, at: int) -> str:
    return datetime.fromtimestamp(at / 1000, ZoneInfo(LINES[line].zone)).strftime("%Y-%m-%dT%H")


def working(line: str, start: int, end: int) -> int:
    rules = LINES[line]
    return Calendar(rules.zone, rules.hours, rules.days).between(start, end)


class _Naive:
    def __init__(self, session: Session, told: list[AnyTold], found: Figures) -> None:
        self.session, self.told, self.found = session, told, found
        self.stood = [(n, one) for n, one in enumerate(told) if isinstance(one, Stood)]

    def line(self, n: int) -> str:
        """In which it stood when the n-th thing was told."""
        before = [one.line for number, one in self.stood if number < n]
        return before[-1] if before else self.stood[0][1].line

    def count(self, name: str, line: str, at: int, who: str = "") -> None:
        self.found.counts[(hour(line, at), line, self.session.channel, who), name] += 1

    def took(self, name: str, line: str, start: int, end: int, who: str = "") -> None:
        where = (hour(line, end), line, self.session.channel, who)
        self.found.durations[where, name].append(end - start)
        self.found.durations[where, name + "_working"].append(working(line, start, end))

    def work(self) -> None:
        session, first = self.session, self.stood[0][1].line
        if self.stood[-1][1].phase == "spam":
            self.count("spam", first, session.opened_at)
            return
        self.count("outgoing" if session.outgoing else "new", first, session.opened_at)
        said = [(n, one.message) for n, one in enumerate(self.told) if isinstance(one, MessageAdded)]
        if not session.outgoing and any(m.direction == "in" for _, m in said):
            self.found.visits.append((first, hour(first, session.opened_at)[:10], session.customer))
        self._messages(said)
        self._words(said)
        self._hands()
        self._open_time()
        self._alerts()
        self._end(said)

    def _humans(self, said: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        return [(n, m) for n, m in said if m.direction == "out" and m.author in (*OPERATORS, "boss")]

    def _messages(self, said: list[tuple[int, Any]]) -> None:
        humans = self._humans(said)
        heard = [(n, m) for n, m in said if m.direction == "in"]
        for n, message in heard:
            self.count("in", self.line(n), message.at)
        for n, message in humans:
            self.count("out", self.line(n), message.at, message.author)
        for n, message in said:
            if message.direction == "out" and (n, message) not in humans:
                self.count("automatic", self.line(n), message.at)
        if humans and heard and heard[0][0] < humans[0][0] and not self.session.outgoing:
            n, answer = humans[0]
            self.took("first_response", self.line(n), heard[0][1].at, answer.at, answer.author)
        spam = self._in_spam()
        previous = -1
        for n, answer in humans:
            run = [m for k, m in heard if previous < k < n and k not in spam]
            if run:
                self.took("response", self.line(n), run[0].at, answer.at, answer.author)
            previous = n

    def _in_spam(self) -> set[int]:
        """Numbers of what was told while it was spam."""
        return {
            n for n in range(len(self.told))
            if [one.phase for k, one in self.stood if k < n][-1:] == ["spam"]
        }  # fmt: skip

    def _words(self, said: list[tuple[int, Any]]) -> None:
        names = {
            "missed": "missed_offers", "skipped": "skipped_offers", "returned": "returned",
            "unanswered": "returned", "transfer_back": "transferred_back", "taken_over": "taken_over",
        }  # fmt: skip
        for n, message in said:
            if message.direction != "system":
                continue
            word, *rest = message.text.split("|")
            params = dict(part.split("=", 1) for part in rest)
            line, at = self.line(n), message.at
            if word in names:
                self.count(names[word], line, at, params["operator"])
            elif word == "transferred":
                self.count("transferred_out", line, at, params["from"])
                if params["to"].startswith("line:"):
                    self.count("line_out", line, at)
                    self.count("line_in", params["to"][5:], at)
                elif params["to"] == "bot":
                    self.count("to_bot", line, at)
                else:
                    self.count("transferred_in", line, at, params["to"])
            elif word == "overflow":
                self.count("overflow_out", line, at)
                self.count("overflow_in", params["to"], at)
            elif word in ("bot_left", "reopened"):
                self.count({"bot_left": "from_bot", "reopened": "reopened"}[word], line, at)

    def _phases(self) -> list[Stood]:
        """A hand without a name is the queue."""
        found = []
        for _, one in self.stood:
            empty = one.phase == "hand" and not one.holder
            found.append(msgspec.structs.replace(one, phase="queue") if empty else one)
        return found

    def _hands(self) -> None:
        phases = self._phases()
        heard = [
            t.message.at for t in self.told if isinstance(t, MessageAdded) and t.message.direction == "in"
        ]
        assigned = False
        for before, one, after in zip([None, *phases], phases, [*phases[1:], None], strict=False):
            for name in one.missed:
                self.count("missed_offers", one.line, one.at, name)
            is_new = one.phase == "hand" and (
                before is None or (before.phase, before.holder) != ("hand", one.holder)
            )
            if is_new and not (before and before.phase == "closing"):
                self.count("taken", one.line, one.at, one.holder)
                if one.offered_at:
                    self.took("accept", one.line, one.offered_at, one.at, one.holder)
                if not assigned and not self.session.outgoing and heard and heard[0] <= one.at:
                    self.took("queue", one.line, heard[0], one.at)
                assigned = True
            del after
        for name, start, line, end in self._held():
            self.took("held", line, start, end, name)

    def _held(self) -> Iterator[tuple[str, int, str, int]]:
        """(operator, from, line at the end, to)."""
        name, start = "", 0
        for one in self._phases():
            mine = one.holder if one.phase == "hand" else ""
            if name and mine != name:
                yield name, start, one.line, one.at
            if mine and mine != name:
                start = one.at
            name = mine

    def _closed_at(self) -> int:
        at = 0
        for one in self._phases():
            ended = one.phase in ("closing", "closed", "spam")
            at = (at or one.at) if ended else 0
        return at

    def _open_time(self) -> None:
        since, line = self.session.opened_at, self.stood[0][1].line
        for one in self._phases():
            if one.line != line:
                self.found.spans.append((line, self.session.channel, since, one.at))
                since, line = one.at, one.line
        self.found.spans.append((line, self.session.channel, since, self._closed_at()))

    def _alerts(self) -> None:
        for n, one in enumerate(self.told):
            if isinstance(one, Alert) and one.name == "sla_breach":
                self.count(f"breached_{one.params['clock']}", self.line(n), one.at, one.operator)

    def _end(self, said: list[tuple[int, Any]]) -> None:
        session, humans, at = self.session, self._humans(said), self._closed_at()
        line = self.stood[-1][1].line
        late = [
            (self.line(n), one.at) for n, one in enumerate(self.told)
            if isinstance(one, Alert) and one.name == "no_answer" and not any(k < n for k, _ in humans)
        ]  # fmt: skip
        people = any(one.phase in ("queue", "hand") for one in self._phases())
        if not session.outgoing and (late or (at and not humans and people)):
            self.count("missed", *(late[0] if late else (line, at)))
        if not at:
            return
        self.count("closed", line, at)
        heard = [m.at for _, m in said if m.direction == "in"]
        if heard:
            self.took("resolution", line, heard[0], at)
        where = (hour(line, at), line, session.channel, "")
        held = list(self._held())
        if held:
            self.found.durations[where, "handle"].append(sum(end - start for _, start, _, end in held))
            worked = sum(working(of, start, end) for _, start, of, end in held)
            self.found.durations[where, "handle_working"].append(worked)
        if not humans and not people and not session.outgoing:
            self.count("bot_only", line, at)
        who = humans[-1][1].author if humans else ""
        ratings = [one.score for one in self.told if isinstance(one, Rated) and not one.by]
        scores = [one.score for one in self.told if isinstance(one, Rated) and one.by]
        if session.rating_asked or ratings:
            self.count("asked", line, at, who)
        if ratings:
            self.count(f"rating_{ratings[-1]}", line, at, who)
        if scores:
            self.count(f"score_{scores[-1]}", line, at, who)


def days(first: str, last: str) -> Iterator[str]:
    day = datetime.fromisoformat(first)
    while day <= datetime.fromisoformat(last):
        yield day.date().isoformat()
        day += timedelta(days=1)
