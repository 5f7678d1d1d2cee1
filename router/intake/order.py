"""Putting bodies that overtook each other on the way back into the platform's order. Pure."""

from __future__ import annotations

import heapq

PATIENCE_MS = 1000
"""How long a body waits for those that may belong before it."""

_Held = tuple[int, int, str, bytes]
"""Number, when it came (ms), its place in the inbox, the body."""


class Reorder:
    """Holds back what came too early. Numbers grow by one after ``last``, until the platform begins
    anew somewhere else, above or below, and does not say so (Telegram after a quiet week).

    A number above waits for those that are missing before it. One below may be a latecomer or the
    beginning of a new count: it waits with all others from below, and when nothing of the old count
    came meanwhile, they are the new one. A wrong guess costs the next body its patience and no more.
    What has no number, or the last one once more (a redelivery), passes at once. ``now`` is in ms of
    any clock that never goes back."""

    def __init__(self, last: int | None = None, patience_ms: int = PATIENCE_MS) -> None:
        self._patience = patience_ms
        self.last = last
        self._above: list[_Held] = []
        self._below: list[_Held] = []
        self._goes_on = False
        """The old count has gone on since the first of those below came."""
        self._ready: list[tuple[str, bytes]] = []

    def add(self, entry: str, number: int | None, body: bytes, now: int) -> None:
        """Takes in one body (``entry`` is its place in the inbox)."""
        if number is None or number == self.last:
            self._ready.append((entry, body))
        elif self.last is None or number < self.last:
            self._goes_on = self._goes_on and bool(self._below)
            heapq.heappush(self._below, (number, now, entry, body))
        else:
            heapq.heappush(self._above, (number, now, entry, body))
            self._follow()

    def take(self, now: int) -> list[tuple[str, bytes]]:
        """What may go on now, in order."""
        if self._is_due(self._below, now):
            self._decide()
        while self._is_due(self._above, now):
            self._pass()
            self._follow()
        ready, self._ready = self._ready, []
        return ready

    def wait(self, now: int) -> int | None:
        """Milliseconds until something held back must go, None when nothing is."""
        oldest = min((came for _, came, _, _ in self._above + self._below), default=None)
        return None if oldest is None else max(1, oldest + self._patience - now)

    def _is_due(self, held: list[_Held], now: int) -> bool:
        return bool(held) and min(came for _, came, _, _ in held) + self._patience <= now

    def _decide(self) -> None:
        below, self._below = self._below, []
        if self._goes_on:
            self._ready += [(entry, body) for _, _, entry, body in sorted(below)]
            return
        self.last = below[0][0] - 1
        self._above = below + self._above
        heapq.heapify(self._above)
        self._follow()

    def _pass(self) -> None:
        number, _, entry, body = heapq.heappop(self._above)
        self._ready.append((entry, body))
        self.last = number
        self._goes_on = True

    def _follow(self) -> None:
        while self._above and (self.last is None or self._above[0][0] <= self.last + 1):
            self._pass()
