"""A router killed with 100 000 sessions open: how long until the standby has committed something.

The yardstick is the lease alone: the shortest time in which anybody may know that a router is dead.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

from benchmarks.harness import Figure, figure, running_redis, until
from benchmarks.route import DESK, caught_up, message
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules
from router.log.home import connect
from router.log.log import Log

SESSIONS = 100_000
LEASE = 3.0


async def _fill(log: Log) -> None:
    rules = LineRules(members=["op"])
    await log.append(LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"}))
    for start in range(0, SESSIONS, 2000):
        await asyncio.gather(*(log.append(message(n, n)) for n in range(start, start + 2000)))
    await until(lambda: caught_up(log), 120)


def _router(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.route", "worker", url])


async def _measure(url: str) -> Figure:
    log = Log(connect(url), DESK)
    routers = [_router(url)]
    try:
        await _fill(log)
        routers.append(_router(url))
        await until(lambda: _standing_by(log))
        await log.append(message(SESSIONS, 0))
        await until(lambda: caught_up(log))
        routers[0].send_signal(signal.SIGKILL)
        routers[0].wait()
        started = time.perf_counter()
        await log.append(message(SESSIONS + 1, 1))
        await until(lambda: caught_up(log))
        elapsed = time.perf_counter() - started
    finally:
        for router in routers:
            router.kill()
            router.wait()
        await log.close()
    return figure("takeover, 100 000 open sessions", elapsed, "s", yardstick=LEASE, at_most=LEASE + 2)


async def _standing_by(log: Log) -> bool:
    return sum(name.startswith("router:") for name in await log.reports()) >= 2


def measure() -> list[Figure]:
    with running_redis() as url:
        return [asyncio.run(_measure(url))]
