"""Pictures of the console before a fake desk, at the three sizes, with a frozen clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

from textual.pilot import Pilot

from console.app import Console
from console.link import Credentials
from console.settings import Shelf
from tests.console.conftest import Clock, Seat
from tests.fakes.gateway import FakeGateway

SIZES = [(80, 24), (120, 36), (60, 30)]
NAMES = ["80x24", "120x36", "60x30"]
Look = Callable[..., bool]


@contextmanager
def afar(gateway: FakeGateway) -> Iterator[None]:
    """Serves in a loop and thread of its own: the snapshot plug-in runs the app in one of its."""
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with gateway.serve():
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(5)
    yield
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def look(
    snap_compare: Look,
    gateway: FakeGateway,
    size: tuple[int, int],
    does: Callable[[Seat], Awaitable[Any]],
    **kept: Any,
) -> None:
    """Compares the screen after ``does`` with its picture. ``kept`` are the operator's settings."""
    shelf = Shelf()
    settings = shelf.load()
    for name, value in kept.items():
        setattr(settings, name, value)
    shelf.save(settings)
    app = Console(gateway.url, Credentials(token="token-1"), shelf=shelf, zone=UTC, clock=Clock())
    app.animation_level = "none"

    async def before(pilot: Pilot[int]) -> None:
        seat = Seat(app, pilot)
        await seat.until(
            lambda: app.picture.lines and app.desk is not None and app.desk.ready and app.latency > 0
        )
        app.latency = 14.0
        seat.desk.bar.refresh()
        await pilot.pause()
        seat.desk.reply.cursor_blink = seat.desk.note.cursor_blink = seat.desk.whisper.cursor_blink = False
        await does(seat)
        await pilot.pause()
        seat.desk.sync_all()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)
