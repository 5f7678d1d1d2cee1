"""What customers write reaches a real terminal harmless: the raw bytes on a pty are checked."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

from crm.kernel.records import Button, Media
from router.wire import protocol as wire
from tests.data.hostile import HOSTILE
from tests.fakes.gateway import NOW, FakeGateway, message, session

ROOT = Path(__file__).parents[2]
OURS = re.compile(
    r"\x1b\[[0-9;:]*m"  # colours
    r"|\x1b\[[0-9;]*[HGJK]"  # moves and clears
    r"|\x1b\[\?[0-9;]*[hl]|\x1b\[\?[0-9]+\$p"  # modes
    r"|\x1b\[[<>=?]?[0-9;]*[unt]"  # the keyboard protocol, queries of the size
    r"|\x1b\[c|\x1bP[+=][a-z0-9]*\x1b\\"  # what the terminal is
    r"|\x1b[78]|\x1b\]22;[a-z-]*\x07"  # the cursor, the shape of the mouse
    r"|\x1b\]8;[^;\x07\x1b]*;(https?://[!-~]+)?\x1b\\"  # links
)
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
END = "⟦painted⟧"
CUT = 120
"""Characters of each text here, so that all of them are on the screen at once."""
GROUPS = 5


class Terminal:
    """A pty with the console in it; ``raw`` is every byte the console has written."""

    def __init__(self, columns: int = 160, rows: int = 560) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.set_blocking(self.master, False)
        self.raw = b""
        self._grown = asyncio.Event()

    async def start(self, url: str, state: Path) -> asyncio.subprocess.Process:
        asyncio.get_running_loop().add_reader(self.master, self._read)
        environment = {
            **os.environ, "NAVBAT_STATE": str(state), "TERM": "xterm-256color", "COLORTERM": "truecolor",
            "LANG": "en_US.UTF-8", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        code = f"import sys; from console.app import main; sys.exit(main({url!r}, token='token-1'))"
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=environment,
        )

    def _read(self) -> None:
        try:
            self.raw += os.read(self.master, 1 << 16)
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)
        self._grown.set()

    async def until(self, text: str, start: int = 0) -> None:
        async with asyncio.timeout(20):
            while text not in self.raw[start:].decode(errors="replace"):
                self._grown.clear()
                await self._grown.wait()

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self._slave)


def furnish_with(gateway: FakeGateway, evils: list[str]) -> None:
    """Puts hostile texts everywhere a customer's or colleague's words can stand."""
    gateway.sessions = {
        str(n): session(
            str(n), name=evil, status="pending", holder="anna", last_text=evil, chat=evil, kind=evil
        )
        for n, evil in enumerate(evils, 11)
    }
    gateway.sessions["10"] = session("10", name="Ali", status="pending", holder="anna", waiting_since=1)
    thread = gateway.messages["10"] = []
    for n, evil in enumerate(evils):
        seq = n * 10
        thread += [
            message("10", seq + 1, evil, reply_text=evil, reply_to="9"),
            message("10", seq + 2, evil, media=[Media(kind="document", name=evil, phone=evil, error=evil)]),
            message("10", seq + 3, "?", buttons=[Button(text=evil)], reactions={evil: [evil]}),
            message("10", seq + 4, f"taken|operator={evil}", direction="system", kind="system"),
            message("10", seq + 5, evil, direction="out", author=evil, delivery="failed", error=evil),
        ]
    thread.append(message("10", len(evils) * 10, END))


@pytest.mark.parametrize("group", range(GROUPS))
async def test_no_foreign_sequence_reaches_the_terminal(
    gateway: FakeGateway, tmp_path: Path, group: int
) -> None:
    texts = [HOSTILE[name] for name in sorted(HOSTILE)[group::GROUPS]]
    evils = [text[:CUT].encode("utf-8", "ignore").decode() for text in texts]
    furnish_with(gateway, evils)
    terminal = Terminal()
    process = await terminal.start(gateway.url, tmp_path)
    try:
        await terminal.until("MINE")
        terminal.type("\r")
        await terminal.until(END)
        for evil in evils:
            await gateway.send_all(wire.Hint(session="10", who=evil))
            await gateway.push(alerts=[wire.AlertView(name=evil or "x", at=NOW, line=evil, operator=evil)])
        gateway.refuse[wire.Say] = wire.Done(rid=0, code=evils[0], params={"holder": evils[1]})
        terminal.type("x\r")
        await gateway.expect(wire.Say)
        terminal.type("\x11")
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        terminal.close()
    left = OURS.sub("", terminal.raw.decode())
    assert [left[max(0, m.start() - 20) : m.end() + 40] for m in FORBIDDEN.finditer(left)] == []
