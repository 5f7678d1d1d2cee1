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
from typing import Any

from textual import events
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from benchmarks.harness import Figure, figure, percentile, until

SESSIONS, MESSAGES, PAGE, KEYS = 1000, 10_000, 50, 120
SIZE = (130, 40)
MIB = 1 << 20


class Painter:
    """Sends keys to an application as its driver would, and notes when the screen was written."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._painted = asyncio.Event()
        display = app._display

        def noted(screen: Screen[Any], renderable: Any) -> None:
            display(screen, renderable)
            self._painted.set()

        app._display = noted  # type: ignore[method-assign]

    async def press(self, key: str, count: int) -> list[float]:
        """Milliseconds from a key to the first write after it, ``count`` times."""
        times = []
        for _ in range(count):
            await asyncio.sleep(0.02)
            self._painted.clear()
            character = key if len(key) == 1 else None
            started = time.perf_counter()
            self._app.post_message(events.Key(key, character))
            try:
                async with asyncio.timeout(1):
                    await self._painted.wait()
            except TimeoutError:
                continue
            times.append((time.perf_counter() - started) * 1000)
        return times


async def _bare() -> float:
    """An application with a bare input."""

    class Bare(App[None]):
        def compose(self) -> ComposeResult:
            yield Input()

    app = Bare()
    async with app.run_test(size=SIZE):
        return percentile(await Painter(app).press("a", KEYS), 95)


async def _keys() -> list[tuple[str, float]]:
    from console.app import Console
    from console.link import Credentials
    from console.widgets.thread import ThreadView
    from tests.fakes.gateway import NOW, FakeGateway, message, session

    fake = FakeGateway()
    fake.sessions = {
        str(n): session(
            str(n), name=f"Customer {n}", status="answered", holder="anna", last_text="salom", last_at=NOW - n
        )
        for n in range(1, SESSIONS + 1)
    }
    written = [message("1", n, f"message number {n} with some words in it") for n in range(1, MESSAGES + 1)]
    fake.messages["1"] = written[:PAGE]
    found: list[tuple[str, float]] = []
    async with fake.serve() as gateway:
        app = Console(gateway.url, Credentials(token="token-1"))
        app.animation_level = "none"
        async with app.run_test(size=SIZE) as pilot:
            await until(
                lambda: app.desk is not None and app.desk.ready and len(app.picture.sessions) == SESSIONS
            )
            painter = Painter(app)
            found.append(("list, down", percentile(await painter.press("down", KEYS), 95)))
            found.append(("list, page down", percentile(await painter.press("pagedown", 20), 95)))
            assert app.desk is not None
            app.desk.open_session("1")
            thread = app.picture.thread("1")
            await until(lambda: thread.loaded)
            await gateway.push(messages=written[PAGE:])
            await until(lambda: len(thread.own) >= MESSAGES)
            await pilot.pause()
            found.append(("composer, a letter", percentile(await painter.press("a", KEYS), 95)))
            app.desk.query_one(ThreadView).focus()
            await pilot.pause()
            found.append(("thread, page up", percentile(await painter.press("pageup", KEYS), 95)))
    return found


def _child(code: str) -> tuple[float, float]:
    """(seconds, MiB) of a process that runs ``code``."""
    script = f"{code}\nimport psutil; print(psutil.Process().memory_info().rss / {MIB})"
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
        empty = asyncio.run(_bare())
        keys = asyncio.run(_keys())
        started, memory = _child(START)
        imported, textual = _child("import textual.app, textual.screen, textual.widgets")
    return [
        *(
            figure(f"key to paint, {name}, p95", value, "ms", yardstick=empty, at_most=16)
            for name, value in keys
        ),
        figure("start to the first screen", started, "s", yardstick=imported, at_most=1),
        figure("memory at the start", memory, "MiB", yardstick=textual, at_most=150),
    ]
