"""What a router counts while it works, for ``/metrics``: whole numbers since it started."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from router.desk.state import Alert, Decided, MessageAdded, Told

COMMIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds; a commit includes the fsync of Redis."""


class RouterCounters:
    """Counters of one router. ``events`` are the desk's own words in conversations (taken, missed,
    closed), ``decisions`` whom sessions were offered to: one (``offered``), all, or nobody."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.alerts: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self._commits = [0] * (len(COMMIT_BOUNDS) + 1)
        self._spent = 0.0

    def told(self, told: Sequence[Told]) -> None:
        """A batch was committed that told this."""
        for one in told:
            if isinstance(one, MessageAdded):
                message = one.message
                self.messages[message.direction] += 1
                if message.direction == "system":
                    self.events[message.text.partition("|")[0]] += 1
            elif isinstance(one, Decided):
                self.decisions["offered" if one.chosen else "all" if one.why == "all" else "nobody"] += 1
            elif isinstance(one, Alert):
                self.alerts[one.name] += 1

    def committed(self, seconds: float) -> None:
        self._commits[bisect_left(COMMIT_BOUNDS, seconds)] += 1
        self._spent += seconds

    def report(self) -> dict[str, object]:
        """``commits``: how many took at most as long as each of ``COMMIT_BOUNDS``, and longer."""
        return {
            "messages": self.messages,
            "events": self.events,
            "alerts": self.alerts,
            "decisions": self.decisions,
            "commits": self._commits,
            "commit_seconds": self._spent,
        }
