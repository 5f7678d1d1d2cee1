"""What a person says to the linear mode: lines, and at a terminal who he is."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress

from console.link import Credentials, normal_url
from console.logins import DEFAULT_URL
from console.terminal.steady import reads
from console.words import Words
from crm.errors import NavbatError


class Reader:
    """Feeds the lines of this process's input into the loop, then None at its end; from a thread of its
    own, for a read may wait for a person. A terminal that ends is a person who left: ``gone`` is called
    at once, while a script's last commands are still carried out."""

    def __init__(self, lines: asyncio.Queue[str | None], gone: Callable[[], None]) -> None:
        self._lines, self._gone = lines, gone
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="plain-input", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is typed from now on is for somebody else."""
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        fileno = sys.stdin.fileno()
        person, decode, begun = os.isatty(fileno), getincrementaldecoder("utf-8")("replace").decode, ""
        for data in reads(fileno, self._stop):
            *whole, begun = (begun + decode(data)).split("\n")
            for line in whole:
                self._tell(self._lines.put_nowait, line)
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
