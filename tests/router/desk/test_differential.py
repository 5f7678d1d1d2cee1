"""The desk, which keeps its orders, against the naive one, which looks at everything each time: both
must make the same offers, in the same order, from a hundred thousand random states."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from router.desk.desk import Desk
from router.desk.events import LinesConfigured, Present
from router.desk.rules import LineRules, Ring
from router.desk.state import Decided, OperatorState, Session
from router.desk.values import NO_WAIT, Round, Wait
from tests.router.desk import naive

STATES = 100_000
PARTS = 10
NOW = 1_000_000_000
SKILLS = ("iron", "uz", "gold")
LANGUAGES = ("ru", "uz")
LINE_NAMES = ("sales", "support", "night")


def some(random: Random, words: tuple[str, ...]) -> list[str]:
    return [word for word in words if random.random() < 0.6]


def make_rules(random: Random, names: list[str]) -> dict[str, LineRules]:
    lines = {}
    for line in LINE_NAMES[: random.randint(1, 3)]:
        members = random.sample(names, random.randint(0, len(names)))
        lines[line] = LineRules(
            mode=random.choice(("even", "even", "strict", "least_loaded", "manual")),
            members=members,
            max_sessions=random.choice((0, 0, 1, 2)),
            skills=random.choice(([], [Ring(need=some(random, SKILLS))])),
            language=random.choice(("", "", "customer", "uz")),
            hours=random.choice((None, None, None, {})),
            off_hours=random.choice(("queue", "offer")),
            priority=random.choice((0, 0, 3)),
        )
    return lines


def make_operators(random: Random, names: list[str]) -> list[OperatorState]:
    stamps = random.sample(range(1, 100), len(names))
    return [
        OperatorState(
            name=name,
            duty=random.choice(("online", "online", "online", "break", "offline")),
            skills=some(random, SKILLS),
            languages=some(random, LANGUAGES),
            given_at=random.choice((0, stamp)),
            max_sessions=random.choice((1000, 1, 2, 3)),
        )
        for name, stamp in zip(names, stamps, strict=True)
    ]


def make_sessions(random: Random, lines: dict[str, LineRules], names: list[str]) -> list[Session]:
    sessions = []
    for number in range(1, random.randint(1, 9)):
        line = random.choice(list(lines))
        session = Session(
            id=str(number), chat=f"bot:{number}", channel="bot", kind="", line=line, customer="", asked=2,
            priority=random.choice((0, 0, 0, 5, 100)), wait=Wait(arrival=random.randint(1, 5), entered_at=1, ring=1 if lines[line].skills else 0),
            language=random.choice(("", "ru", "uz")), seq=1, waiting_since=1,
        )  # fmt: skip
        if random.random() < 0.3:
            session.sla = {"first_response": NOW + random.randint(1, 3)}
        if random.random() < 0.25:
            session.status, session.holder = "taken", random.choice(names)
            session.wait = NO_WAIT
        elif random.random() < 0.4:
            had = random.sample(names, random.randint(1, len(names)))
            session.round = Round(had=had, pause_until=random.choice((0, NOW + 10_000)))
        sessions.append(session)
    return sessions


def by_the_desk(
    lines: dict[str, LineRules], operators: list[OperatorState], sessions: list[Session]
) -> list[tuple[int, str]]:
    desk = Desk()
    configured = LinesConfigured(lines=lines, channels={"bot": next(iter(lines))})
    fields = {
        name: msgspec.msgpack.encode(value) for name, value in (("stamp", 1000), ("configured", configured))
    }
    desk.restore(fields, sessions, operators)
    desk.apply(Present(at=NOW, gateway="g", operators=[]))
    told = desk.drain().told
    return [(int(t.session), t.chosen) for t in told if isinstance(t, Decided) and t.chosen]


def by_the_naive_one(
    lines: dict[str, LineRules], operators: list[OperatorState], sessions: list[Session]
) -> list[tuple[int, str]]:
    members = {
        o.name: naive.Member(
            name=o.name, online=o.duty == "online", skills=frozenset(o.skills),
            languages=frozenset(o.languages), given=o.given_at, max_sessions=o.max_sessions,
        )
        for o in operators
    }  # fmt: skip
    for session in sessions:
        if session.status == "taken":
            load = members[session.holder].load
            load[session.line] = load.get(session.line, 0) + 1
    plain = {
        name: naive.Line(
            name=name, mode=rules.mode, members=rules.members, max_sessions=rules.max_sessions,
            language=rules.language, opens=rules.hours is None or rules.off_hours == "offer",
        )
        for name, rules in lines.items()
    }  # fmt: skip
    waiting = [
        naive.Waiting(
            id=int(s.id), line=s.line, priority=s.priority, breach=min(s.sla.values(), default=float("inf")),
            arrival=s.wait.arrival, language=s.language, had=s.round.had, paused=s.round.pause_until > NOW,
            needs=frozenset(lines[s.line].skills[0].need if lines[s.line].skills else ()),
        )
        for s in sessions
        if s.status == "waiting"
    ]  # fmt: skip
    return naive.dispatch(plain, waiting, members)


@pytest.mark.parametrize("part", range(PARTS))
def test_both_make_the_same_offers(part: int) -> None:
    offers = 0
    for seed in range(part * STATES // PARTS, (part + 1) * STATES // PARTS):
        random = Random(seed)
        names = [f"op{n}" for n in range(random.randint(1, 5))]
        lines, operators = make_rules(random, names), make_operators(random, names)
        sessions = make_sessions(random, lines, names)
        state: Any = msgspec.msgpack.encode((lines, operators, sessions))
        expected = by_the_naive_one(lines, operators, sessions)
        assert by_the_desk(lines, operators, sessions) == expected, f"seed {seed}: {state}"
        offers += len(expected)
    assert offers > STATES // PARTS // 3, "the states are worth looking at"
