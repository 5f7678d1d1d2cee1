"""How long to wait before the next try."""

from __future__ import annotations

import random


class Backoff:
    """Growing waits in seconds: doubling from ``first`` up to ``most``, each shortened at random
    by up to half so that many clients do not come back at the same moment."""

    def __init__(self, first: float = 0.2, most: float = 30.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def next(self) -> float:
        """The wait before the next try."""
        wait = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._most, self._next * 2)
        return wait

    def reset(self) -> None:
        """It worked: begin small again."""
        self._next = self._first
