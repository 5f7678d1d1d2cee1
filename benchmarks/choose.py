"""Time of one decision: a place becomes free (or a customer writes) and the desk says who gets what.

For each number of operators and of waiting sessions; skills and languages are in use. The yardstick is
packing one session, which every decision has to do besides; growth is the time at ten times as many by
the time at as many.
"""

from __future__ import annotations

import math
import statistics
import time

import msgspec

from benchmarks.harness import Figure, figure
from router.desk import moves
from router.desk.desk import Desk
from router.desk.dispatch import settle
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules, Ring
from router.desk.state import OperatorState, Session, encode
from router.desk.values import Wait

OPERATORS = (10, 1_000, 10_000)
WAITING = (0, 1_000, 100_000)
DECISIONS = 2_000
BUDGET_US = 50.0
NOW = 10**12


def make_desk(operators: int, waiting: int) -> Desk:
    """A desk whose operators each hold one session and can have no more."""
    names = [f"op{n}" for n in range(operators)]
    rules = LineRules(
        members=names, counts_until="closed", skills=[Ring(need=["iron"])], language="customer",
        no_answer_after=0,
    )  # fmt: skip
    configured = LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"})
    people = [
        OperatorState(
            name=name, duty="online", max_sessions=1, skills=["iron", "uz"], languages=["uz", "ru"],
            given_at=n + 1,
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    sessions = [_session(n + 1, names[n]) for n in range(operators)]
    sessions += [_session(operators + n + 1, "") for n in range(waiting)]
    desk = Desk()
    fields = {
        "stamp": msgspec.msgpack.encode(operators + 1),
        "next_session": msgspec.msgpack.encode(operators + waiting + 1),
        "configured": msgspec.msgpack.encode(configured),
    }
    desk.restore(fields, sessions, people)
    desk.now = NOW
    settle(desk)
    desk.drain()
    return desk


def _session(number: int, holder: str) -> Session:
    return Session(
        id=str(number), chat=f"bot:{number}", channel="bot", kind="", line="sales", customer="c",
        status="taken" if holder else "waiting", holder=holder, asked=2, seq=1,
        wait=Wait(arrival=0 if holder else number, entered_at=1, ring=1), language=("uz", "ru")[number % 2], waiting_since=number,
    )  # fmt: skip


def decide(operators: int, waiting: int) -> float:
    """Median microseconds of one decision."""
    desk = make_desk(operators, waiting)
    times = []
    for number in range(min(DECISIONS, max(waiting, DECISIONS))):
        name = f"op{number * 7919 % operators}"
        for session in desk.held_by(name):
            desk.close(session, name)
        if not waiting:
            session = desk.open("bot", f"new{number}", "sales")
            session.asked, session.language, session.waiting_since = 2, "uz", NOW
            moves.enqueue(desk, session)
        desk.drain()
        started = time.perf_counter()
        settle(desk)
        times.append(time.perf_counter() - started)
        desk.drain()
        for session in desk.held_by(name):
            moves.take(desk, session, name)
        if not desk.held_by(name):
            break
    return statistics.median(times) * 1e6


def measure() -> list[Figure]:
    session = _session(1, "op1")
    started = time.perf_counter()
    for _ in range(10_000):
        encode(session)
    yardstick = (time.perf_counter() - started) / 10_000 * 1e6
    figures = []
    found: dict[tuple[int, int], float] = {}
    for operators in OPERATORS:
        for waiting in WAITING:
            found[operators, waiting] = took = decide(operators, waiting)
            figures.append(
                figure(
                    f"decision, {operators} operators, {waiting} waiting", took, "us", yardstick=yardstick,
                    at_most=BUDGET_US,
                )
            )  # fmt: skip
    growth = found[OPERATORS[-1], WAITING[-1]] / found[OPERATORS[0], WAITING[1]]
    # From 10 and 1 000 to 10 000 and 100 000: log n grows by at most log(10^4) / log(10).
    figures.append(figure("growth, 10/1k to 10k/100k", growth, "x", at_most=math.log(10_000) / math.log(10)))
    return figures
