"""Putting bodies that overtook each other on the way back into the platform's order. Pure."""

from __future__ import annotations

import heapq

PATIENCE_MS = 1000
"""How long a body waits for one that is missing before it. Only a gap in the numbers costs this."""


class Reorder:
    """Holds back what came too early. Numbers grow by one after ``last``; a body without a number,
    or with one that is not larger than the last (a redelivery, a latecomer), passes at once, and so
    does the very first one of a channel, when no last number is known."""

    def __init__(self, last: int | None = None, patience_ms: int = PATIENCE_MS) -> None:
        self._patience = patience_ms
        self.last = last
        self._held: list[tuple[int, int, str, bytes]] = []
        self._ready: list[tuple[str, bytes]] = []

    def add(self, entry: str, number: int | None, body: bytes, now: int) -> None:
        """Takes in one body (``entry`` is its place in the inbox); ``now`` in ms."""
        if number is None or (self.last is not None and number <= self.last):
            self._ready.append((entry, body))
        elif self.last is None or number == self.last + 1:
            self._ready.append((entry, body))
            self.last = number
            self._follow()
        else:
            heapq.heappush(self._held, (number, now, entry, body))

    def take(self, now: int) -> list[tuple[str, bytes]]:
        """What may go on now, in order."""
        while self._held and min(held[1] for held in self._held) + self._patience <= now:
            number, _, entry, body = heapq.heappop(self._held)
            self._ready.append((entry, body))
            self.last = number
            self._follow()
        ready, self._ready = self._ready, []
        return ready

    def wait(self, now: int) -> int | None:
        """Milliseconds until something held back must go, None when nothing is."""
        if not self._held:
            return None
        return max(1, min(held[1] for held in self._held) + self._patience - now)

    def _follow(self) -> None:
        while self._held and self.last is not None and self._held[0][0] <= self.last + 1:
            number, _, entry, body = heapq.heappop(self._held)
            self._ready.append((entry, body))
            self.last = max(self.last, number)
