"""A whole desk with nothing to do: start to ready, memory and processor time of all its processes.

The yardstick of the start is a bare Python process, of the memory the same with aiohttp imported.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from benchmarks.desk import RunningDesk, desk_of
from benchmarks.harness import Figure, figure

SETTLE = 8
SECONDS = 10
MIB = 1 << 20


def _spent(desk: RunningDesk) -> float:
    """Processor seconds of all processes so far."""
    return sum(t.user + t.system for t in (p.cpu_times() for p in desk.processes()))


def _bare(code: str) -> tuple[float, float]:
    """(seconds, MiB) of a Python process that runs ``code``."""
    script = f"{code}\nimport psutil; print(psutil.Process().memory_info().rss / {MIB})"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return time.perf_counter() - started, float(done.stdout)


def _measure(channels: str, what: str) -> list[Figure]:
    with desk_of(["anna", "bek"]) as desk:
        asyncio.run(desk.prepare(channels))
        started = time.perf_counter()
        desk.start()
        ready = time.perf_counter() - started
        time.sleep(SETTLE)
        before = _spent(desk)
        time.sleep(SECONDS)
        used = (_spent(desk) - before) / SECONDS * 100
        memory = sum(p.memory_info().rss for p in desk.processes()) / MIB
    bare, _ = _bare("")
    _, web = _bare("import aiohttp")
    return [
        figure(f"start to ready, {what}", ready, "s", yardstick=bare, at_most=3),
        figure(f"memory idle, {what}", memory, "MiB", yardstick=web, at_most=200),
        figure(f"processor idle, {what}", used, "% of a core", at_most=0.7),
    ]


def measure() -> list[Figure]:
    telegram = '{tg: {kind: telegram, line: sales, token: "1:bench", api_url: "http://127.0.0.1:9"}}'
    return [*_measure("", "loopback"), *_measure(telegram, "Telegram out of reach")]
