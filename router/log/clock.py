"""The clock of the desk's writer: the wall clock for what is written, a steady one for what is waited.

A wall clock may be set; a steady one only goes on (also while the machine sleeps). Where they part, the
wall clock was set, and whatever waits in the desk is moved along: an offer of a minute lasts a minute.
See docs/decisions/0010.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

STEP_MS = 2_000
"""A wall clock that parts from the steady one by more than this between two looks was set. What time
servers do little by little stays below."""
CLOSE_MS = 50
"""The two are read together, or again: the process may be stopped in between."""

EDGE_MS = 10_000
"""An edge's clock that is ahead by more than this is told of."""
WARN_MS = 600_000
"""For so long."""

logger = logging.getLogger(__name__)

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def steady_ms() -> int:
    """Ms since some moment, asleep or awake."""
    return (time.clock_gettime_ns(_BOOT) if _BOOT is not None else time.monotonic_ns()) // 1_000_000


class Clock:
    """``wall`` and ``steady`` give ms. ``go_together``: the two are of one machine. Where they are not, only
    a clock that goes back is seen to be set: nobody can tell a jump ahead from time that has passed."""

    def __init__(
        self, wall: Callable[[], int], steady: Callable[[], int], go_together: Callable[[], bool]
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._go_together = go_together
        self._last: tuple[int, int] | None = None
        self._step = 0

    def now(self) -> int:
        """The wall clock; what it was set by since the last look is kept for ``step``."""
        wall, steady = self._look()
        if self._last is not None:
            passed = steady - self._last[1] if self._go_together() else max(0, wall - self._last[0])
            parted = (wall - self._last[0]) - passed
            if abs(parted) > STEP_MS:
                self._step += parted
        self._last = wall, steady
        return wall

    def real(self, parted: int) -> int:
        """Of a difference to another machine's clock: as much as is no time that has passed."""
        return parted if self._go_together() else min(0, parted)

    @property
    def has_stepped(self) -> bool:
        return self._step != 0

    def step(self) -> int:
        """By how many ms the wall clock was set since this was asked last; 0 when it was not."""
        step, self._step = self._step, 0
        return step

    def _look(self) -> tuple[int, int]:
        for _ in range(10):
            before, wall, after = self._steady(), self._wall(), self._steady()
            if after - before <= CLOSE_MS:
                break
        return wall, before


class ClockWarnings:
    """What is wrong with clocks, for as long as somebody may want to know."""

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._set: tuple[int, int] | None = None
        self._edge: tuple[int, int] | None = None

    def was_set(self, by: int) -> None:
        """The writer's clock was set, or differs so much from that of the writer before."""
        self._set = self._steady(), by
        logger.warning("the router's clock differs by %.0f s from what it was", by / 1000)

    def edge(self, off: int) -> None:
        """An edge says a time that is ``off`` ms from the one by which its event came."""
        if off > EDGE_MS:
            self._edge = self._steady(), off

    def report(self) -> dict[str, str]:
        """For the router's health report: code and text, or nothing."""
        for told, code, text in (
            (self._set, "router_clock", "the router's clock was set by {} s: what waits goes on as before"),
            (self._edge, "router_edge", "a receiver's or gateway's clock is {} s ahead and is not believed"),
        ):
            if told is not None and self._steady() - told[0] < WARN_MS:
                return {"trouble": code, "text": text.format(round(told[1] / 1000))}
        return {}
