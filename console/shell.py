"""What every widget may ask the app for. The app itself is built in ``console.app``."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from datetime import tzinfo
from typing import Any, cast

from textual.app import App
from textual.dom import DOMNode

from console.condition import Condition
from console.link import Link
from console.model import Mirror
from console.settings import Drafts, Preferences, Shelf
from console.text.words import Words


def epoch_ms() -> int:
    """This computer's time, ms UTC."""
    return time.time_ns() // 1_000_000


class Shell(App[int]):
    """The parts of the app that widgets use: texts, picture, link, settings and the clock."""

    words: Words
    picture: Mirror
    settings: Preferences
    shelf: Shelf
    drafts: Drafts
    link: Link | None = None
    zone: tzinfo | None = None
    """The zone in which times are shown; None = the computer's own."""
    latency: float = -1.0
    """Of the last heartbeat, ms; negative when there is no connection."""
    how: Condition = Condition()
    """How the desk says it does."""
    unsent: int = 0
    retry_at: int = 0
    """When the next connection is tried (our clock, ms); 0 while connected."""

    def clock(self) -> int:
        """This computer's time, ms UTC."""
        return epoch_ms()

    def now(self) -> int:
        """The desk's time, ms UTC."""
        return self.clock() + self.picture.offset

    def write_terminal(self, sequence: str) -> None:
        """Writes a control sequence of ours to the terminal; nothing where there is none."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)


def shell(node: DOMNode) -> Shell:
    """The app that a widget belongs to."""
    return cast("Shell", node.app)


def work(
    node: DOMNode, run: Callable[[], Coroutine[Any, Any, object]], *, group: str, exclusive: bool = False
) -> None:
    """Starts a worker by its function and not by a coroutine: one that is never begun, because the
    screen has gone, leaves nothing behind."""
    start: Any = run
    node.run_worker(start, group=group, exclusive=exclusive)
