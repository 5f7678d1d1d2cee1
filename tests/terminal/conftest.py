"""The shipped console on a pseudo-terminal, in front of a fake desk."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from router.wire import protocol as wire
from tests.conftest import until
from tests.console.conftest import furnish
from tests.fakes.gateway import FakeGateway
from tests.terminal.terminal import Terminal, console_command, open_terminal

OWN = (
    "NAVBAT_URL", "NAVBAT_TOKEN", "NAVBAT_STATE", "TMUX", "STY", "TERM_PROGRAM", "LC_TERMINAL", "LC_ALL",
    "COLUMNS", "LINES",
)  # fmt: skip


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with furnish(FakeGateway()).serve() as served:
        yield served


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a terminal on a computer of the test's own: English, without a keyring, xterm."""
    mine = {name: value for name, value in os.environ.items() if name not in OWN}
    return mine | {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "NAVBAT_STATE": str(tmp_path / "state"),
        "NAVBAT_KEYRING": "off",
        "LANG": "en_US.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Desk:
    """A console at a desk: what is on its terminal, and what has reached the desk."""

    def __init__(self, terminal: Terminal, gateway: FakeGateway) -> None:
        self.terminal, self.gateway = terminal, gateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)

    def said(self) -> list[tuple[str, str]]:
        """(session, text) of every reply that reached the desk, in order."""
        return [(f.session, f.text) for f in self.gateway.received if isinstance(f, wire.Say)]

    def commands(self) -> list[str]:
        """The kinds of all commands that reached the desk, in order."""
        return [type(f).__name__ for f in self.gateway.received if isinstance(f, wire.CommandFrame)]

    async def write_to(self, name: str) -> None:
        """Opens the conversation under the cursor, whose customer this is, and its composer."""
        self.terminal.send(b"\r")
        await self.terminal.shows("> ")
        await self.terminal.shows(name)


Seat = Callable[..., Any]


@pytest.fixture
def seat(gateway: FakeGateway, environment: dict[str, str]) -> Seat:
    """``async with seat() as desk``: a console signed in, with its lists on the screen."""

    @asynccontextmanager
    async def open_seat(
        *arguments: str, ignore: Sequence[signal.Signals] = (), **more: str
    ) -> AsyncIterator[Desk]:
        given = environment | {"NAVBAT_TOKEN": "token-1"} | more
        terminal = open_terminal(console_command(gateway.url, *arguments), given, ignore=ignore)
        try:
            if not arguments:
                await terminal.shows("Ali Karimov")
                await until(lambda: any(isinstance(f, wire.Hello) for f in gateway.received))
            yield Desk(terminal, gateway)
        finally:
            await terminal.end()

    return open_seat
