"""The console with 1 000 sessions listed and 10 000 messages in the thread: key to paint, start, memory.

The yardstick of a paint is a letter in an empty Textual application, for every key: also for those that open
a screen, for which a bare Textual pays several times what it pays for a letter. Of the start and the memory it
is importing Textual alone.

Textual paints at most sixty times a second, and whoever else uses the machine delays a paint too: beside the
time that passes until the write stands the processor's (without a budget, for it is how two versions are
compared on a machine that is not quiet).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple

from textual import events
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from benchmarks.harness import Figure, figure, percentile, until

SESSIONS, MESSAGES, PAGE, TIMES = 1000, 10_000, 50, 60
SIZE = (130, 40)
MIB = 1 << 20


class Times(NamedTuple):
    """Milliseconds from keys to the first write after each."""

    passed: list[float]
    worked: list[float]
    """Of this thread's processor time."""


class Painter:
    """Sends keys to an application as its driver would, and notes when the screen was written: at the write
    itself, not when this program has its turn again after it."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._painted = asyncio.Event()
        self._at = self._worked = 0.0
        """When it was written first since the key; and the processor time (s) of this thread then."""
        display = app._display

        def noted(screen: Screen[Any], renderable: Any) -> None:
            display(screen, renderable)
            if not self._painted.is_set():
                self._at, self._worked = time.perf_counter(), time.thread_time()
                self._painted.set()

        app._display = noted  # type: ignore[method-assign]

    async def press(self, *keys: str, times: int = TIMES) -> dict[str, Times]:
        """The keys one after the other, ``times`` times: for each the times to the first write after it.
        A key that paints nothing within a second has none."""
        found = {key: Times([], []) for key in keys}
        for _ in range(times):
            for key in keys:
                await asyncio.sleep(0.02)
                self._painted.clear()
                character = key if len(key) == 1 else None
                started, worked = time.perf_counter(), time.thread_time()
                self._app.post_message(events.Key(key, character))
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._painted.wait()
                    found[key].passed.append((self._at - started) * 1000)
                    found[key].worked.append((self._worked - worked) * 1000)
        return found


async def _bare() -> Times:
    """An application with a bare input."""

    class Bare(App[None]):
        def compose(self) -> ComposeResult:
            yield Input()

    app = Bare()
    async with app.run_test(size=SIZE):
        return (await Painter(app).press("a", times=2 * TIMES))["a"]


class Hand:
    """What an operator's keys do in one console, by the place where they are pressed."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        self.found: list[tuple[str, Times]] = []
        """Each kind of key and its times."""

    async def press(self, place: str, *keys: str, before: tuple[str, ...] = ()) -> None:
        """Measures ``keys``, in turn; ``before`` is pressed ahead of them each time and not counted."""
        times = await self._painter.press(*before, *keys)
        for key in dict.fromkeys(keys):
            assert times[key].passed, f"{place}: {key} paints nothing"
            self.found.append((f"{place}, {key}", times[key]))


async def _keys() -> list[tuple[str, Times]]:
    from console.app import Console, collect_rarely
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
    collect_rarely()  # as every console does that runs
    async with fake.serve() as gateway:
        app = Console(gateway.url, Credentials(token="token-1"))
        app.animation_level = "none"
        async with app.run_test(size=SIZE) as pilot:
            await until(
                lambda: app.desk is not None and app.desk.ready and len(app.picture.sessions) == SESSIONS
            )
            desk = app.desk
            assert desk is not None
            hand = Hand(Painter(app))
            await hand.press("list", "down")
            await hand.press("list", "up")
            await hand.press("list", "pagedown")
            await hand.press("list", "pageup")
            await hand.press("list", "end", "home")
            # opens it, from its composer to its thread, and back to the list
            await hand.press("opening", "enter", "escape", "escape", before=("down",))
            desk.reading.open_session("1")
            thread = app.picture.thread("1")
            await until(lambda: thread.loaded)
            await gateway.push(messages=written[PAGE:])
            await until(lambda: len(thread.own) >= MESSAGES)
            await pilot.pause()
            await hand.press("composer", "a")
            await hand.press("composer", "left", "right")
            await hand.press("composer", "backspace")
            await hand.press("composer", "escape", before=("enter",))
            desk.query_one(ThreadView).focus()
            await pilot.pause()
            await hand.press("thread", "up")
            await hand.press("thread", "down")
            await hand.press("thread", "pageup")
            await hand.press("thread", "pagedown")
            await hand.press("thread", "home", "end")
            await hand.press("anywhere", "tab")
            await hand.press("anywhere", "f1", "escape")
            desk.query_one(ThreadView).focus()
            await pilot.pause()
            arriving = asyncio.create_task(_arriving(gateway.push))
            try:
                await hand.press("thread while messages arrive", "pageup")
            finally:
                arriving.cancel()
    return hand.found


async def _arriving(push: Callable[..., Awaitable[None]]) -> None:
    """Fifty messages a second, for ever."""
    from tests.fakes.gateway import message

    for n in count(MESSAGES + 1):
        await push(messages=[message("1", n, f"message number {n} with some words in it")])
        await asyncio.sleep(0.02)


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
        bare = [asyncio.run(_bare())]
        keys = asyncio.run(_keys())
        bare.append(asyncio.run(_bare()))
        empty = percentile([ms for times in bare for ms in times.passed], 95)
        work = percentile([ms for times in bare for ms in times.worked], 95)
        started, memory = _child(START)
        imported, textual = _child("import textual.app, textual.screen, textual.widgets")
    return [
        *(
            figure(
                f"{name}: key to paint, p95",
                percentile(times.passed, 95),
                "ms",
                yardstick=empty,
                at_most=16,
                ratio_at_most=1.2,
            )
            for name, times in keys
        ),
        *(
            figure(f"{name}: processor, p95", percentile(times.worked, 95), "ms", yardstick=work)
            for name, times in keys
        ),
        figure("start to the first screen", started, "s", yardstick=imported, at_most=1),
        figure("memory at the start", memory, "MiB", yardstick=textual, at_most=150),
    ]
