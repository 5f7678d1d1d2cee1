"""A console whose terminal is gone: it saves, leaves duty and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.conftest import until
from tests.fakes.gateway import FakeGateway
from tests.terminal.conftest import Seat
from tests.terminal.terminal import open_terminal

FULL = 3_500
"""Bytes at which a pseudo-terminal takes no more."""
HANGUP: list[list[signal.Signals]] = [[], [signal.SIGHUP]]


def drafts(environment: dict[str, str]) -> list[str]:
    """The texts that were kept."""
    folder = Path(environment["NAVBAT_STATE"])
    return [
        text
        for file in folder.glob("drafts-*.json")
        for text in msgspec.json.decode(file.read_bytes(), type=dict[str, str]).values()
    ]


def off_duty(gateway: FakeGateway) -> bool:
    """Nobody is connected: the desk sees the operator leave."""
    return not gateway._sockets


@pytest.mark.parametrize("ignore", HANGUP, ids=["hung up", "SIGHUP ignored"])
async def test_a_closed_terminal_ends_the_console(
    seat: Seat, environment: dict[str, str], ignore: Sequence[signal.Signals]
) -> None:
    async with seat(ignore=ignore) as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("half a sent")
        desk.close()
        assert await desk.ended(4.0) == 1
        await until(lambda: off_duty(desk.gateway), 2.0)
        assert drafts(environment) == ["half a sent"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
async def test_a_signal_ends_the_console_in_order(
    seat: Seat, environment: dict[str, str], number: signal.Signals
) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("half a sent")
        os.kill(desk.pid, number)
        assert await desk.ended(4.0) == 1
        assert drafts(environment) == ["half a sent"]
        assert b"\x1b[?1049l" in desk.sent  # the terminal is left as it was


async def test_what_could_still_be_undone_leaves_before_the_end(seat: Seat) -> None:
    async with seat(ignore=[signal.SIGHUP]) as desk:
        desk.send(b"c")
        await desk.shows("undo")
        desk.close()
        await desk.ended(4.0)
        assert "Close" in desk.commands()


async def test_a_terminal_that_is_stopped_and_then_gone(seat: Seat) -> None:
    """Nobody reads the terminal: its buffer is full, and a write to it waits when the end comes."""
    async with seat(ignore=[signal.SIGHUP]) as desk:
        desk.stop_reading()
        for _ in range(20):
            desk.send(b"\x1bOP")
            desk.send(b"\x1b")
        await until(lambda: desk.unread() > FULL)
        desk.close()
        await desk.ended(6.0)


@pytest.mark.parametrize("ignore", HANGUP, ids=["hung up", "SIGHUP ignored"])
async def test_a_plain_console_ends_too(seat: Seat, ignore: Sequence[signal.Signals]) -> None:
    async with seat("--plain", ignore=ignore) as desk:
        await desk.shows("Signed in as anna")
        desk.close()
        await desk.ended(4.0)
        await until(lambda: off_duty(desk.gateway), 2.0)


async def test_a_plain_console_that_waits_for_its_desk_ends_too(seat: Seat) -> None:
    async with seat("--plain", ignore=[signal.SIGHUP]) as desk:
        await desk.shows("Signed in as anna")
        desk.gateway.deaf = True
        desk.send(b"next\nopen 10\nlist\n")
        await until(lambda: "Open" in {type(f).__name__ for f in desk.gateway.received})
        desk.close()
        await desk.ended(4.0)


async def test_the_console_behind_a_page_ends_with_its_server(
    gateway: FakeGateway, environment: dict[str, str]
) -> None:
    """Its server was killed: nothing says "quit", the pipes are closed."""
    given = environment | {
        "NAVBAT_TOKEN": "token-1",
        "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "navbat", "console", "--url", gateway.url, env=given,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        await until(lambda: gateway._sockets, 15.0)
        process.stdin.close()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            assert await process.wait() == 1
        await until(lambda: off_duty(gateway), 2.0)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_console_that_never_had_a_terminal_says_so(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "navbat", "console", "--url", "http://127.0.0.1:1"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a terminal" in done.stderr


@pytest.mark.slow
async def test_a_demo_ends_with_its_desk(environment: dict[str, str], tmp_path: Path) -> None:
    given = environment | {"TMPDIR": str(tmp_path)}
    terminal = open_terminal([sys.executable, "-m", "navbat", "demo"], given, ignore=[signal.SIGHUP])
    try:
        await terminal.shows("MINE", 40.0)
        world = psutil.Process(terminal.pid).children(recursive=True)
        assert world
        terminal.close()
        await terminal.ended(25.0)
        await until(lambda: not any(process.is_running() for process in world), 10.0)
        assert not [name for name in os.listdir(tmp_path) if name.startswith("navbat-demo-")]  # noqa: PTH208
    finally:
        await terminal.end()
