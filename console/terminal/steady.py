"""Reading and writing a terminal or a pipe that may go away."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TextIO

READ = 4_096
TICK = 0.1
"""Seconds between two looks at whether to go on, and after which a lone escape is the Escape key."""


def reads(fileno: int, stop: threading.Event) -> Iterator[bytes]:
    """What comes from a file, each read at once, and an empty one at least every ``TICK``. Ends with the
    file, with a terminal that is closed, or after ``stop``."""
    with selectors.SelectSelector() as selector:  # the one that takes every kind of file
        selector.register(fileno, selectors.EVENT_READ)
        while not stop.is_set():
            if not selector.select(TICK):
                yield b""
                continue
            try:
                data = os.read(fileno, READ)
            except OSError:  # EIO: the other side of the terminal is closed
                return
            if not data:
                return
            yield data


def to_nowhere(fileno: int) -> None:
    """What is still written to this file, also by Python at its end, is dropped and is no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fileno)
    os.close(nowhere)


class Steady:
    """A file to write to that never fails: ``gone`` is called when it can take no more, once."""

    def __init__(self, file: TextIO, gone: Callable[[], None]) -> None:
        self._file, self._gone = file, gone

    def write(self, text: str) -> None:
        self._steadily(partial(self._file.write, text))

    def flush(self) -> None:
        self._steadily(self._file.flush)

    def fileno(self) -> int:
        return self._file.fileno()

    def _steadily(self, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError:
            to_nowhere(self._file.fileno())
            self._gone()
