"""The clocks and working hours of lines, as the figures need them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from router.desk.events import LinesConfigured
from router.desk.hours import Calendar, instant
from router.desk.rules import LineRules

logger = logging.getLogger(__name__)

HOUR = 3_600_000
QUARTER = 900_000
"""ms in which a zone's distance to UTC does not change, and no hour of its clocks ends."""
REMEMBERED = 10_000


class LineClock:
    """``crm.statistics.facts.LineTime`` by the rules of a line."""

    def __init__(self, rules: LineRules) -> None:
        self._zone = ZoneInfo(rules.zone)
        self._calendar = Calendar(rules.zone, rules.hours, rules.days, rules.holidays)
        self._hours: dict[int, tuple[str, int]] = {}

    def hour(self, at: int) -> str:
        return self._of(at)[0]

    def minute(self, at: int) -> int:
        return (at - self._of(at)[1]) // 60_000

    def begins(self, at: int) -> bool:
        return at == self._of(at)[1]

    def hours(self, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        while start < end:
            name, began = self._of(start)
            until = min(end, began + HOUR)
            yield name, start, until
            start = until

    def starts(self, day: str) -> int:
        """When a day (``2026-03-05``) begins."""
        return instant(self._zone, date.fromisoformat(day), 0)

    def working(self, start: int, end: int) -> int:
        return self._calendar.between(start, end)

    def _of(self, at: int) -> tuple[str, int]:
        """The name of the hour, and when it began."""
        quarter = at // QUARTER
        found = self._hours.get(quarter)
        if found is None:
            there = datetime.fromtimestamp(quarter * QUARTER / 1000, self._zone)
            began = quarter * QUARTER - there.minute * 60_000 - there.second * 1000
            if len(self._hours) > REMEMBERED:
                self._hours.clear()
            found = self._hours[quarter] = there.strftime("%Y-%m-%dT%H"), began
        return found


class LineTimes:
    """``crm.statistics.facts.Times``. A line that there is no more has the clock that is a line's if nothing
    is said of it."""

    def __init__(self, lines: Mapping[str, LineRules] | None = None) -> None:
        self._lines = lines or {}
        self._clocks: dict[str, LineClock] = {}

    def __call__(self, line: str) -> LineClock:
        found = self._clocks.get(line)
        if found is None:
            found = self._clocks[line] = LineClock(self._lines.get(line) or LineRules())
        return found

    def configure(self, fields: Mapping[str, bytes]) -> None:
        """Takes the lines from the desk's saved fields; as they are where these cannot be read."""
        if "configured" in fields:
            try:
                found = msgspec.msgpack.decode(fields["configured"], type=LinesConfigured)
            except msgspec.MsgspecError as error:
                logger.warning("the hours of the lines cannot be read: %s", type(error).__name__)
                return
            self._lines, self._clocks = found.lines, {}
