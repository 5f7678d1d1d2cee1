"""The console with 1 000 sessions listed and 10 000 messages in the thread: key to paint, start, memory.

The yardstick of a paint is an empty Textual application's; of the start and the memory, importing
Textual alone.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

from textual.app import App
from textual.pilot import Pilot

from benchmarks.harness import Figure, figure, percentile, until

SESSIONS, MESSAGES, KEYS = 1000, 10_000, 120
SIZE = (130, 40)
MIB = 1024


async def _press(pilot: Pilot[object], key: str, count: int) -> list[float]:
    """Milliseconds from a key to the end of the paint that it caused, ``count`` times."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await pilot.press(key)
        pilot.app.screen._compositor.render_update(full=False)
        times.append((time.perf_counter() - started) * 1000)
    return times


async def _empty() -> float:
    async with App[object]().run_test(size=SIZE) as pilot:
        return percentile(await _press(pilot, "down", KEYS), 95)


async def _keys() -> list[tuple[str, float]]:
    from console.app import Console
    from console.link import Credentials
    from tests.fakes.gateway import NOW, FakeGateway, message, session

    fake = FakeGateway()
    fake.sessions = {
        str(n): session(
            str(n), name=f"Customer {n}", status="answered", holder="anna", last_text="salom", last_at=NOW - n
        )
        for n in range(1, SESSIONS + 1)
    }
    fake.messages["1"] = [
        message("1", n, f"message number {n} with some words in it") for n in range(1, MESSAGES + 1)
    ]
    found: list[tuple[str, float]] = []
    async with fake.serve() as gateway:
        app = Console(gateway.url, Credentials(token="t"))
        async with app.run_test(size=SIZE) as pilot:
            await until(lambda: len(app.picture.sessions) == SESSIONS)
            actions: list[tuple[str, Callable[[], Awaitable[list[float]]]]] = [
                ("list, down", lambda: _press(pilot, "down", KEYS)),
                ("list, page down", lambda: _press(pilot, "pagedown", KEYS // 4)),
            ]
            for name, act in actions:
                found.append((name, percentile(await act(), 95)))
            await pilot.press("home", "enter")
            await until(lambda: _loaded(app))
            found.append(("composer, a letter", percentile(await _press(pilot, "a", KEYS), 95)))
            await pilot.press("escape")
            found.append(("thread, page up", percentile(await _press(pilot, "shift+pageup", KEYS // 4), 95)))
    return found


def _loaded(app: object) -> bool:
    threads = app.picture.threads  # type: ignore[attr-defined]
    return any(len(thread.messages) for thread in threads.values())


def _child(code: str) -> tuple[float, float]:
    """(seconds, MiB) of a process that runs ``code``."""
    script = f"{code}\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / {MIB})"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=120)
    return time.perf_counter() - started, float(done.stdout.split()[-1])


START = """
import asyncio, sys
from console.app import Console
from console.link import Credentials
async def main():
    app = Console("http://127.0.0.1:9", Credentials(token="t"))
    async with app.run_test(size=(130, 40)) as pilot:
        await pilot.pause()
asyncio.run(main())
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        os.environ.update(NAVBAT_STATE=folder, NAVBAT_KEYRING="off", LANG="en_US.UTF-8")
        empty = asyncio.run(_empty())
        keys = asyncio.run(_keys())
        started, memory = _child(START)
        bare, textual = _child("import textual.app, textual.screen, textual.widgets")
    return [
        *(
            figure(f"key to paint, {name}, p95", value, "ms", yardstick=empty, at_most=16)
            for name, value in keys
        ),
        figure("start to the first screen", started, "s", yardstick=bare, at_most=1),
        figure("memory at the start", memory, "MiB", yardstick=textual, at_most=150),
    ]
