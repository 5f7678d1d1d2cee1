"""Stand-in until the real one is merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from router.events import Absence


class Calendar:
    def __init__(
        self,
        zone: str,
        hours: Mapping[str, Sequence[str]] | None,
        days: Mapping[str, Sequence[str]] | None = None,
        holidays: str = "",
    ) -> None: ...
    def is_open(self, at: int) -> bool:
        return True

    def next_change(self, at: int) -> int | None:
        return None

    def add(self, at: int, ms: int) -> int | None:
        return at + ms

    def between(self, a: int, b: int) -> int:
        return b - a


def is_absent(absences: Sequence[Absence], zone: str, at: int) -> bool:
    return False


def next_absence_change(absences: Sequence[Absence], zone: str, at: int) -> int | None:
    return None
