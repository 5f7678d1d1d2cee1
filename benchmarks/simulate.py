"""Random worlds, as ``navbat simulate`` plays them: events a second with every invariant checked after each
commit, on one core and on all. The yardstick is packing and unpacking one session, once an event."""

from __future__ import annotations

import os
import time

from msgspec import msgpack

from benchmarks.harness import Figure, figure
from navbat.lab.simulate import Report, simulate
from router.desk.state import Session

WORLDS = 24
BUDGET = 1_000_000 / 180
"""Events a second on all cores, so that a million is played in three minutes."""


def _bare(rounds: int = 200_000) -> float:
    session = Session(id="1", chat="bot:ali", channel="bot", kind="loopback", line="sales", customer="c1")
    started = time.perf_counter()
    for _ in range(rounds):
        msgpack.decode(msgpack.encode(session), type=Session)
    return rounds / (time.perf_counter() - started)


def _rate(report: Report) -> float:
    if report.violations:
        raise AssertionError(report.first)
    return report.events / report.seconds


def measure() -> list[Figure]:
    bare = _bare()
    one = simulate(WORLDS // 2, processes=1)
    every = simulate(WORLDS * (os.cpu_count() or 1))
    return [
        figure("events a second, one core", _rate(one), "/s", yardstick=bare),
        figure("events a second, all cores", _rate(every), "/s", yardstick=bare, at_least=BUDGET),
    ]
