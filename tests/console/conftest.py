"""A fake desk, and a console in front of it with a frozen clock, UTC and English."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, Protocol

import pytest
from textual import events
from textual._styles_cache import StylesCache
from textual.pilot import Pilot

from console.app import Console
from console.desk.screen import MainScreen
from console.link import Credentials
from console.settings import Shelf
from router.wire import protocol as wire
from tests.fakes.gateway import NOW, FakeGateway, message, session

Enter = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the developer's own settings, keyring or locale reaches a test."""
    monkeypatch.setenv("NAVBAT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NAVBAT_KEYRING", "off")
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    # the pilot takes an app for idle that used next to no time for so long: after each key, twice
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.006)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.0004)
    for name in ("LC_ALL", "LC_MESSAGES", "NAVBAT_URL", "NAVBAT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _gone_when_gone() -> Iterator[None]:
    """No painted line of one test is kept for, and walked by the collector in, all that follow."""
    yield
    StylesCache.get_inner_outer.cache_clear()


def furnish(gateway: FakeGateway) -> FakeGateway:
    """Two sessions of anna's, one offered to her, two waiting; a thread in the first."""
    views = [
        session("10", name="Ali Karimov", status="pending", holder="anna", last_text="narxi qancha?", unread=1,
                waiting_since=NOW - 18_000, last_at=NOW - 18_000),
        session("11", name="Olga P.", kind="vk", status="answered", holder="anna", last_text="спасибо!",
                waiting_since=0, last_direction="out", last_at=NOW - 130_000),
        session("12", name="Web visitor", kind="web", status="offered", holder="anna",
                last_text="Is the kettle in stock?", offer_until=NOW + 48_000, waiting_since=NOW - 12_000),
        session("13", name="J. Smith", kind="email", arrival=NOW - 92_000, waiting_since=NOW - 92_000),
        session("14", name="Марина", kind="vk", arrival=NOW - 30_000, waiting_since=NOW - 30_000),
    ]  # fmt: skip
    gateway.sessions = {view.id: view for view in views}
    gateway.lines[0].waiting, gateway.lines[0].oldest = 2, NOW - 92_000
    gateway.messages["10"] = [
        message("10", 1, "Assalomu alaykum, narxi qancha?"),
        message("10", 2, "Qaysi model?", direction="out", author="anna", delivery="read"),
        message("10", 3, "returning buyer", direction="note", author="dilnoza"),
        message("10", 4, "narxi qancha?", edited_at=NOW - 10_000),
    ]
    return gateway


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with furnish(FakeGateway()).serve() as served:
        yield served


class Seat:
    """A console under test, and what one does with it."""

    def __init__(self, app: Console, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def desk(self) -> MainScreen:
        assert self.app.desk is not None
        return self.app.desk

    async def until(self, true: Callable[[], object]) -> None:
        """Lets the app run until a condition holds; fails after five seconds."""
        async with asyncio.timeout(5):
            while not true():
                await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Puts a text where the focus is, at once: typing costs a repaint for each letter."""
        self.app.post_message(events.Paste(text))
        await self.pilot.pause()

    async def open(self, id: str) -> None:
        """Opens a session and waits for its thread."""
        self.desk.reading.open_session(id)
        await self.until(lambda: self.app.picture.thread(id).loaded)
        await self.pilot.pause()

    def text(self) -> str:
        """Everything on the screen, as plain text."""
        height = self.app.size.height
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips[:height])


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> int:
        return self.time


class Served(Protocol):
    """A desk that a console can sign in at."""

    url: str


@asynccontextmanager
async def seated(
    gateway: Served,
    *,
    size: tuple[int, int] = (120, 36),
    clock: Clock | None = None,
    token: str = "token-1",
) -> AsyncIterator[Seat]:
    """A console signed in at the gateway, with the snapshot on screen."""
    app = Console(gateway.url, Credentials(token=token), shelf=Shelf(), zone=UTC, clock=clock or Clock())
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=True) as pilot:
        seat = Seat(app, pilot)
        await seat.until(lambda: app.picture.lines and app.desk is not None and app.desk.ready)
        await pilot.pause()
        yield seat


def frames(gateway: FakeGateway, kind: type[wire.Frame]) -> list[Any]:
    return [frame for frame in gateway.received if isinstance(frame, kind)]
