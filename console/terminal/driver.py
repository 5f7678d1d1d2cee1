"""Textual's drivers with our decoder, and an end when the terminal is gone.

Textual reads an ended terminal for ever (a closed pseudo-terminal is always readable), and waits for ever
to write to one: the console would keep its operator on duty, at 100 % of a core, with nobody there.
``TerminalGone`` is posted instead, once, and what is written from then on goes nowhere.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from codecs import getincrementaldecoder
from functools import partial
from types import FrameType
from typing import Any

from textual.app import App
from textual.driver import Driver
from textual.drivers._byte_stream import ByteStream
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.web_driver import WebDriver
from textual.message import Message

from console.terminal.decoder import Decoder, brackets_pastes
from console.terminal.steady import Steady, reads, to_nowhere

ALTERNATE_KEYS = "\x1b[=4;2u"
"""Adds the keys' places to what Textual asks of the kitty protocol; other terminals ignore it."""
PATIENCE = 4.0
"""Seconds for the console to end by itself when it should; then it is ended."""


class TerminalGone(Message):
    """Nobody can see or type anything any more: the console is to save and end."""


class _Farewell:
    """Says ``TerminalGone`` once, from any thread or from a signal, and sees that the process ends."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._last: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __call__(self) -> None:
        if self._last is None:
            # whatever hangs: a write to a terminal that is stopped, a disk
            self._last = threading.Timer(PATIENCE, os._exit, (1,))
            self._last.daemon = True
            self._last.start()
            self._driver.send_message(TerminalGone())

    def on_signals(self, *signals: signal.Signals) -> None:
        """These end the console in order, until ``done``. One that the user chose to ignore stays
        ignored: under ``nohup`` the terminal itself tells that it has ended."""

        def hear(number: int, frame: FrameType | None) -> None:
            self()

        for number in signals:
            if number not in self._before and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, hear)

    def done(self) -> None:
        """The console has ended; what follows in this process may take its time."""
        if self._last is not None:
            self._last.cancel()
        while self._before:
            signal.signal(*self._before.popitem())


class TerminalDriver(LinuxDriver):
    """A terminal."""

    def __init__(self, app: App[Any], **given: Any) -> None:
        super().__init__(app, **given)
        self._gone = _Farewell(self)
        self._file: Any = Steady(self._file, self._gone)

    def start_application_mode(self) -> None:
        self._gone.on_signals(signal.SIGHUP, signal.SIGTERM)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self.write(ALTERNATE_KEYS)

    def close(self) -> None:
        super().close()
        self._gone.done()

    def run_input_thread(self) -> None:
        decoder = Decoder(self._debug, brackets=brackets_pastes(os.environ))
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        for data in reads(self.fileno, self.exit_event):
            for event in decoder.feed(decode(data)):
                self.process_message(event)
            for event in decoder.tick():
                self.process_message(event)
        if not self.exit_event.is_set():
            self._gone()


class BrowserDriver(WebDriver):
    """A browser, through the process that serves it."""

    def __init__(self, app: App[Any], **given: Any) -> None:
        super().__init__(app, **given)
        self._gone = _Farewell(self)
        self._write = partial(self._write_steadily, self.fileno)

    def _write_steadily(self, fileno: int, data: bytes) -> int:
        try:
            return os.write(fileno, data)
        except OSError:
            to_nowhere(fileno)
            self._gone()
            return len(data)

    def start_application_mode(self) -> None:
        super().start_application_mode()
        for number in (signal.SIGINT, signal.SIGTERM):  # Textual's would end without saving
            asyncio.get_running_loop().remove_signal_handler(number)
        self._gone.on_signals(signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

    def close(self) -> None:
        super().close()
        self._gone.done()

    def run_input_thread(self) -> None:
        decoder, stream = Decoder(self._debug), ByteStream()
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        for data in reads(self._input_reader._fileno, self.exit_event):
            for kind, payload in stream.feed(data) if data else ():
                if kind == "D":
                    for event in decoder.feed(decode(payload)):
                        self.process_message(event)
                else:
                    self._on_meta(kind, payload)
            for event in decoder.tick():
                self.process_message(event)
        if not self.exit_event.is_set():
            self._gone()

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """A page that was closed is a terminal that is gone: Textual would end without saving."""
        if packet_type in ("quit", "exit"):
            self._gone()
        else:
            super().on_meta(packet_type, payload)


def ours(driver: type[Driver]) -> type[Driver]:
    """Our driver in place of Textual's; any other (Windows, headless) as it is."""
    return {LinuxDriver: TerminalDriver, WebDriver: BrowserDriver}.get(driver, driver)
