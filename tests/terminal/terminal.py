"""A terminal for tests: a shipped command on a pseudo-terminal, its raw bytes in, its screen out.

Nothing of Textual is between the test and the console: keys are the bytes that a real terminal sends
(``tests/terminal/bytes.py``), and what is on the screen is read by a terminal emulator (pyte).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Callable, Mapping, Sequence

import pyte

from tests.conftest import until

PRIVATE = re.compile(rb"\x1b\[[<=>][0-9;:]*[a-zA-Z]")
"""Sequences that every terminal ignores when it does not know them, and pyte paints."""


class Terminal:
    """One process with a controlling terminal of its own. ``close`` takes the terminal away from it,
    as a dead ssh does; ``end`` clears up."""

    def __init__(self, pid: int, master: int, columns: int, lines: int) -> None:
        self.pid = pid
        self.sent = bytearray()
        """Every byte that the process has written."""
        self.status: int | None = None
        """Of the process, once ``ended`` has seen it: an exit status, or minus a signal."""
        self._master = master
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._open = True
        os.set_blocking(master, False)
        asyncio.get_running_loop().add_reader(master, self._readable)

    # -------------------------------------------------------------- what it shows

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 1 << 16)
        except BlockingIOError:
            return
        except OSError:  # EIO: the process and with it the other side is gone
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
            return
        self.sent += data
        self._stream.feed(PRIVATE.sub(b"", data))

    def text(self) -> str:
        """The screen, line by line, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def line(self, part: str) -> str:
        """The first line of the screen with ``part`` in it; empty when there is none."""
        return next((line for line in self.text().splitlines() if part in line), "")

    async def shows(self, text: str, within: float = 40.0) -> None:
        """Waits until ``text`` is on the screen."""
        await self._wait(lambda: text in self.text(), f"{text!r} to be shown", within)

    async def hides(self, text: str, within: float = 40.0) -> None:
        """Waits until ``text`` is no longer on the screen."""
        await self._wait(lambda: text not in self.text(), f"{text!r} to be gone", within)

    async def _wait(self, true: Callable[[], bool], what: str, within: float) -> None:
        try:
            await until(true, within)
        except AssertionError:
            raise AssertionError(f"waited {within} s for {what}; on the screen:\n{self.text()}") from None

    # -------------------------------------------------------------- what is typed

    def send(self, data: bytes) -> None:
        """One write: what a terminal sends for a key, or all at once for a paste."""
        assert os.write(self._master, data) == len(data)

    async def type(self, text: str, composer: str = "> ") -> None:
        """Types letter by letter, each when the last one is on the screen: a person, not a paste."""
        for end in range(1, len(text) + 1):
            self.send(text[end - 1].encode())
            shown = text[:end].rstrip()
            if text[end - 1] != " ":
                await self.shows((composer + shown)[-40:])

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        _set_size(self._master, columns, lines)

    def stop_reading(self) -> None:
        """Nobody takes what the process writes any more: its writes wait once the terminal is full."""
        asyncio.get_running_loop().remove_reader(self._master)

    def unread(self) -> int:
        """Bytes that the process has written and nobody has read."""
        return int.from_bytes(fcntl.ioctl(self._master, termios.FIONREAD, b"\0" * 4), sys.byteorder)

    # -------------------------------------------------------------- how it ends

    def close(self) -> None:
        """The terminal is gone: hung up, and nobody reads or writes it any more."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)

    async def ended(self, within: float = 5.0) -> int:
        """Waits for the process to end; gives its exit status, or minus the signal that ended it."""

        def gone() -> bool:
            if self.status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = os.waitstatus_to_exitcode(status)
            return self.status is not None

        await until(gone, within)
        assert self.status is not None
        return self.status

    async def end(self) -> None:
        """Ends the process, however it is."""
        self.close()
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            await self.ended(20.0)


def _set_size(fd: int, columns: int, lines: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def open_terminal(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    columns: int = 120,
    lines: int = 36,
    ignore: Sequence[signal.Signals] = (),
) -> Terminal:
    """Starts ``command`` on a new pseudo-terminal. ``ignore``: signals that it ignores from its first
    moment, as under ``nohup``."""
    pid, master = pty.fork()
    if pid == 0:  # only system calls between fork and exec
        for number in ignore:
            signal.signal(number, signal.SIG_IGN)
        _set_size(0, columns, lines)
        os.execvpe(command[0], list(command), dict(environment))
    return Terminal(pid, master, columns, lines)


def console_command(url: str, *arguments: str) -> list[str]:
    """The shipped console of this desk."""
    return [sys.executable, "-m", "navbat", "console", "--url", url, *arguments]
