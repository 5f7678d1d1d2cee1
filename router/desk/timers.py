"""Timers of the desk: armed by (owner, kind), fired in due order. Of those due together a line's
calendar comes first, then the others in the order in which they were armed."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

TimerKey = tuple[str, str]
CALENDAR = "calendar"


class TimerFailed(Exception):
    """What a timer does raised; ``__cause__`` says what."""

    def __init__(self, owner: str, kind: str) -> None:
        super().__init__(kind)
        self.owner = owner
        self.kind = kind


class Timers:
    """Pure: knows no clock. Times are ms."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bool, int, TimerKey]] = []
        self._armed: dict[TimerKey, tuple[int, int]] = {}
        self._order = 0

    def arm(self, owner: str, kind: str, due: int) -> tuple[int, int]:
        """Arms (again) and returns (due, order)."""
        self._order += 1
        key = owner, kind
        armed = self._armed[key] = (due, self._order)
        heapq.heappush(self._heap, (due, kind != CALENDAR, self._order, key))
        self._compact()
        return armed

    def restore(self, owner: str, saved: Mapping[str, tuple[int, int]]) -> None:
        """Notes timers of one owner as they were armed once: kind -> (due, order). ``restored`` ends it."""
        for kind, armed in saved.items():
            key = owner, kind
            self._armed[key] = armed
            self._heap.append((armed[0], kind != CALENDAR, armed[1], key))

    def restored(self) -> None:
        """All have been noted: from here on they are in order."""
        heapq.heapify(self._heap)
        self._order = max((order for _, _, order, _ in self._heap), default=self._order)

    def disarm(self, owner: str, kind: str) -> None:
        self._armed.pop((owner, kind), None)
        self._compact()

    def _compact(self) -> None:
        """Keeps the heap in proportion to what is armed."""
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._armed):
            self._heap = [(due, key[1] != CALENDAR, order, key) for key, (due, order) in self._armed.items()]
            heapq.heapify(self._heap)

    def due(self, owner: str, kind: str) -> int | None:
        """When this one fires, if it is armed."""
        armed = self._armed.get((owner, kind))
        return armed[0] if armed else None

    def next_due(self) -> int | None:
        """When the next one fires."""
        while self._heap:
            due, _, order, key = self._heap[0]
            if self._armed.get(key) == (due, order):
                return due
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: int) -> tuple[int, str, str] | None:
        """Disarms and returns the first one due at or before ``now``: (due, owner, kind)."""
        due = self.next_due()
        if due is None or due > now:
            return None
        key = heapq.heappop(self._heap)[3]
        del self._armed[key]
        return due, *key
