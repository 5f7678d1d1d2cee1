"""Signing in at a terminal: the console, its plain mode, and the commands, with one store of logins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyte
import pytest

from router.wire import protocol as wire
from tests.conftest import until
from tests.fakes.gateway import FakeGateway
from tests.terminal.terminal import PRIVATE, Terminal, console_command, open_terminal


def opened(environment: dict[str, str], *arguments: str, url: str = "") -> Terminal:
    command = [sys.executable, "-m", "navbat", "console", *(["--url", url] if url else []), *arguments]
    return open_terminal(command, environment)


def hello(gateway: FakeGateway) -> wire.Hello:
    return next(frame for frame in reversed(gateway.received) if isinstance(frame, wire.Hello))


def names(terminal: Terminal) -> set[str]:
    """Everything that has ever stood in the field of the name."""
    screen = pyte.Screen(120, 36)
    stream = pyte.ByteStream(screen)
    seen = set()
    for start in range(0, len(terminal.sent), 16):
        stream.feed(PRIVATE.sub(b"", bytes(terminal.sent[start : start + 16])))
        lines = [line.strip(" │") for line in screen.display]
        if "Name" in lines:
            seen.add(lines[lines.index("Name") + 1])
    return seen


def kept(environment: dict[str, str], **files: dict[str, str]) -> None:
    """Puts files into the console's folder."""
    folder = Path(environment["NAVBAT_STATE"])
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def files(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["NAVBAT_STATE"]).iterdir())


@pytest.mark.parametrize(
    "typed",
    [
        [b"anna\rsecret\r"],
        [bytes([letter]) for letter in b"anna\rsecret\r"],
        [b"anna", b"\r", b"secret", b"\r"],
        [b"an", b"na\rsec", b"ret\r"],
        [b"anna\tsecret\r"],
        [b"\x1b[200~anna\r\x1b[201~\rsecret\r"],
    ],
)
async def test_a_fast_typist_signs_in_and_shows_no_password(
    gateway: FakeGateway, environment: dict[str, str], typed: list[bytes]
) -> None:
    terminal = opened(environment, url=gateway.url)
    try:
        await until(lambda: b"\x1b[?1049h" in terminal.sent, 15.0)  # it has the terminal; no field is there
        for data in typed:
            terminal.send(data)
        await terminal.shows("Ali Karimov")
        assert (hello(gateway).name, hello(gateway).password) == ("anna", "secret")
        assert b"secret" not in terminal.sent
        assert all("anna".startswith(name) for name in names(terminal))
    finally:
        await terminal.end()


async def test_the_cursor_is_in_the_first_empty_field(
    gateway: FakeGateway, environment: dict[str, str]
) -> None:
    terminal = opened(environment)  # the server is filled in, and is not what is asked for
    try:
        await terminal.shows("Password")
        terminal.send(b"bek")
        await terminal.shows("bek")
        lines = [line.strip(" │") for line in terminal.text().splitlines()]
        assert "bek" in lines[lines.index("Name") + 1]
    finally:
        await terminal.end()


async def test_a_known_name_needs_only_its_password(
    gateway: FakeGateway, environment: dict[str, str]
) -> None:
    kept(environment, console={"server": gateway.url, "name": "anna"})
    terminal = opened(environment)
    try:
        await terminal.shows("Password")
        terminal.send(b"wrong\r")
        await terminal.shows("password or token is wrong")
        terminal.send(b"\x7f" * 5 + b"secret\r")
        await terminal.shows("Ali Karimov")
    finally:
        await terminal.end()


async def test_plain_asks_for_a_login_and_keeps_it_for_everybody(
    gateway: FakeGateway, environment: dict[str, str]
) -> None:
    terminal = opened(environment, "--plain", url=gateway.url)
    try:
        await terminal.shows("Name:")
        terminal.send(b"anna\n")
        await terminal.shows("Password:")
        terminal.send(b"mistake\n")
        await terminal.shows("token is wrong")
        await until(lambda: terminal.text().count("Name:") == 2)
        terminal.send(b"anna\n")
        await until(lambda: terminal.text().count("Password:") == 2)
        terminal.send(b"secret\n")
        await terminal.shows("Signed in as anna")
        assert "secret" not in terminal.text()
        assert "mistake" not in terminal.text()
        terminal.send(b"list\n")
        await terminal.shows("10 Ali Karimov")
        terminal.send(b"quit\n")
        assert await terminal.ended() == 0
    finally:
        await terminal.end()
    for file in files(environment):
        assert b"secret" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0
    for arguments in ([], ["--plain"]):
        terminal = opened(environment, *arguments)
        try:
            await terminal.shows("Signed in as anna" if arguments else "Ali Karimov")
            assert hello(gateway).token == "token-1"
        finally:
            await terminal.end()


async def test_plain_uses_what_the_console_saved(gateway: FakeGateway, environment: dict[str, str]) -> None:
    terminal = opened(environment, url=gateway.url)
    try:
        await terminal.shows("Password")
        terminal.send(b"anna\rsecret\r")
        await terminal.shows("Ali Karimov")
        terminal.send(b"\x11")
        assert await terminal.ended() == 0
    finally:
        await terminal.end()
    terminal = opened(environment, "--plain")
    try:
        await terminal.shows("Signed in as anna")
        assert hello(gateway).token == "token-1"
    finally:
        await terminal.end()


async def test_a_saved_login_that_is_revoked_is_asked_for_again(
    gateway: FakeGateway, environment: dict[str, str]
) -> None:
    kept(environment, login={"url": gateway.url, "name": "anna", "token": "old"})
    terminal = opened(environment, "--plain")
    try:
        await terminal.shows("Name [anna]:")
        terminal.send(b"\n")
        await terminal.shows("Password:")
        terminal.send(b"secret\n")
        await terminal.shows("Signed in as anna")
    finally:
        await terminal.end()


def test_plain_without_a_terminal_asks_nobody(environment: dict[str, str]) -> None:
    command = console_command("http://127.0.0.1:1", "--plain")
    done = subprocess.run(
        command, env=environment, input="anna\nsecret\n", text=True, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert "NAVBAT_TOKEN" in done.stderr
    assert done.stdout == ""
