"""What a person says to the linear mode: lines, and at a terminal who he is."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress

from console.link import Credentials, normal_url
from console.logins import DEFAULT_URL
from console.terminal.steady import reads
from console.text.words import Words
from crm.kernel.errors import NavbatError
from router.wire.protocol import MAX_TEXT

PASTE_START, PASTE_END = "\x1b[200~", "\x1b[201~"
MARK_PASTES, LEAVE_PASTES = "\x1b[?2004h", "\x1b[?2004l"
FULL = 4_095
"""Bytes of a line that a terminal passes on at most; of a longer one it drops the rest without a word."""
HELD_UP = 1.0
"""Seconds between two lines of one paste, at most."""


class Typed:
    """The lines of a person as he means them: what is pasted is part of the line into which it is pasted,
    with its line ends, and none of its lines is a command."""

    def __init__(self) -> None:
        self._begun: list[str] = []
        self._heard = 0.0
        self._cut = False
        self.is_cut = False
        """The line that ended last was longer than the terminal passes on."""

    def whole(self, line: str) -> str | None:
        """The whole line that ends here; None in the middle of a paste, or when something of it is missing
        (``is_cut``)."""
        now, heard = time.monotonic(), self._heard
        self.is_cut, self._heard = False, now
        if self._begun and now - heard > HELD_UP and PASTE_END not in line:
            self._begun, self._cut = [], False  # the end of that paste never came
        self._cut = self._cut or len(line.encode()) >= FULL
        self._begun.append(line)
        text = "\n".join(self._begun)
        if text.rfind(PASTE_START) > text.rfind(PASTE_END) and len(text) <= MAX_TEXT:
            return None
        self._begun, self.is_cut, self._cut = [], self._cut, False
        return None if self.is_cut else text.replace(PASTE_START, "").replace(PASTE_END, "")


class Reader:
    """Feeds the lines of this process's input into the loop, then None at its end; from a thread of its
    own, for a read may wait for a person. A terminal that ends is a person who left: ``gone`` is called
    at once, while a script's last commands are still carried out. ``cut``: a line of his came without its
    end."""

    def __init__(
        self, lines: asyncio.Queue[str | None], gone: Callable[[], None], cut: Callable[[], None]
    ) -> None:
        self._lines, self._gone, self._cut = lines, gone, cut
        self._person = os.isatty(sys.stdin.fileno())
        self._control(MARK_PASTES)
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="plain-input", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is typed from now on is for somebody else."""
        self._stop.set()
        self._thread.join()
        self._control(LEAVE_PASTES)

    def _control(self, sequence: str) -> None:
        """Tells the terminal something, if there is one that can be told."""
        if self._person and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            with suppress(OSError):
                sys.stdout.write(sequence)
                sys.stdout.flush()

    def _read(self) -> None:
        decode, begun = getincrementaldecoder("utf-8")("replace").decode, ""
        person, typed = self._person, Typed()
        for data in reads(sys.stdin.fileno(), self._stop):
            *whole, begun = (begun + decode(data)).split("\n")
            for line in whole:
                given = typed.whole(line) if person else line
                if given is not None:
                    self._tell(self._lines.put_nowait, given)
                elif typed.is_cut:
                    self._tell(self._cut)
        if person and not self._stop.is_set():
            self._tell(self._gone)
        if begun:
            self._tell(self._lines.put_nowait, begun)
        self._tell(self._lines.put_nowait, None)

    def _tell(self, what: Callable[..., object], *given: object) -> None:
        with suppress(RuntimeError):  # the loop has ended first
            self._loop.call_soon_threadsafe(what, *given)


def ask_login(url: str, name: str, words: Words) -> tuple[str, Credentials] | None:
    """Asks at the terminal, on stderr and without showing the password. None: there is no terminal, or
    nobody answers."""
    if not sys.stdin.isatty():
        return None
    try:
        server = normal_url(url or _ask(words("login.server"), DEFAULT_URL))
        name = _ask(words("login.name"), name)
        password = getpass.getpass(words("login.password") + ": ", stream=sys.stderr)
    except NavbatError:
        sys.stderr.write(words("login.bad_server") + "\n")
        return None
    except (EOFError, OSError):
        return None
    return (server, Credentials(name=name, password=password)) if name and password else None


def _ask(what: str, known: str) -> str:
    """One line; Enter alone gives ``known``. Raises EOFError."""
    sys.stderr.write(f"{what} [{known}]: " if known else f"{what}: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip() or known
