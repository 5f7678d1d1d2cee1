"""Whom to blame when the rules raise: an event, a timer, or at first nobody in particular."""

from __future__ import annotations

from collections.abc import Sequence

from router.desk.timers import TimerFailed
from router.log.log import id_key
from router.log.quarantine import reason_of


class Suspects:
    """What the writer sets aside instead of trying it again. Everything else of its batch is applied to a
    desk that was taken up anew: what raised has changed nothing then."""

    def __init__(self) -> None:
        self.events: dict[str, str] = {}
        """Log id -> reason."""
        self.timers: dict[tuple[str, str], str] = {}
        """(owner, kind) -> reason."""
        self._alone_until = ""

    def batch(self, cursor: str, most: int) -> int:
        """How many events to read after the cursor: one at a time while somebody among them is sought."""
        return 1 if self._alone_until and id_key(cursor) < id_key(self._alone_until) else most

    def blame(
        self, error: Exception, applying: str, ids: Sequence[str], fired: Sequence[tuple[str, str]]
    ) -> None:
        """Notes who is set aside. ``applying``: the log id of the event that was being applied; empty when
        it was not an event that raised but what came of the batch ``ids`` and the timers ``fired``. Raises
        the error when there is nobody to blame."""
        if isinstance(error, TimerFailed):
            self._blame_timers([(error.owner, error.kind)], error, reason_of(error.__cause__ or error))
        elif applying:
            self.events[applying] = reason_of(error)
        elif len(ids) > 1:
            self._alone_until = ids[-1]
        elif ids and ids[0] not in self.events:
            self.events[ids[0]] = reason_of(error)
        else:
            self._blame_timers(fired, error, reason_of(error))

    def _blame_timers(self, keys: Sequence[tuple[str, str]], error: Exception, reason: str) -> None:
        if not set(keys) - self.timers.keys():
            raise error
        self.timers |= dict.fromkeys(keys, reason)

    def committed(self, ids: Sequence[str]) -> None:
        """These events are behind us, and with them the timers that failed."""
        self.timers.clear()
        if self.events:
            for id in ids:
                self.events.pop(id, None)
