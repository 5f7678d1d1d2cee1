"""An event loop in which no time passes. A world has a clock of its own and nothing outside of it is waited
for: a time limit never comes, and to wait for what nobody does is a fault that is found at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any


class StandsStill(Exception):
    """Everybody waits for somebody else."""


class _Nothing:
    """What is asked for news from outside: there is none."""

    def select(self, timeout: float | None) -> list[Any]:
        if timeout != 0:
            raise StandsStill("everybody waits for somebody else")
        return []


class TimelessLoop(asyncio.BaseEventLoop):
    """Runs what is ready, and ends when nothing is."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Nothing()
        self._never = asyncio.TimerHandle(float("inf"), _pass, (), self)

    def call_at(  # type: ignore[override]  # no arguments of a callback that is not called
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._never

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """No other thread wakes it."""


def _pass() -> None:
    """Never called."""
