"""Token buckets. Pure: the caller brings the clock (seconds, any epoch)."""

from __future__ import annotations


class Bucket:
    """Allows ``burst`` at once and ``rate`` a second on average."""

    __slots__ = ("_full_at", "_interval", "_slack")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._slack = (burst - 1) / rate
        self._full_at = 0.0

    def ready_at(self, now: float) -> float:
        """When the next one may go: ``now`` or later."""
        return max(now, self._full_at - self._slack)

    def take(self, now: float) -> None:
        """One goes now."""
        self._full_at = max(self._full_at, now) + self._interval

    def idle(self, now: float) -> bool:
        """Whether it is as good as new."""
        return self._full_at <= now
