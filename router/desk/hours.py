"""Working hours: when a line is open, how working time passes, who is absent. Pure; instants are ms
since the epoch.

``09:00`` is wall time in the zone. Where the clocks are put back and a time comes twice, its first
coming is meant; where they are put forward and a time does not come, the instant of the change is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from crm.kernel.records import Absence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = 400
"""Days within which something must change; beyond it, a calendar is taken to stay as it is."""
EVER = 1 << 62
_INTERVAL = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_DAY_MINUTES = 24 * 60

Span = tuple[int, int]
Segment = tuple[int, int, bool]
"""From (inclusive), to (exclusive), whether it is open."""


@lru_cache(maxsize=4096)
def parse_interval(text: str) -> tuple[int, int]:
    """(start, end) in minutes since the midnight that the interval's day begins with; an end beyond 1440
    lies on the next day. ``22:00-06:00`` goes over midnight, ``00:00-24:00`` is the whole day. Raises
    ``ValueError``, saying what to write."""
    found = _INTERVAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected an interval such as 09:00-18:00, not {text!r}")
    hour, minute, end_hour, end_minute = (int(part) for part in found.groups())
    start, end = hour * 60 + minute, end_hour * 60 + end_minute
    if minute > 59 or end_minute > 59 or start >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError(f"{text}: there is no such time; a day runs from 00:00 to 24:00")
    if start == end:
        raise ValueError(f"{text} is empty; 00:00-24:00 is the whole day")
    return start, end if end > start else end + _DAY_MINUTES


def countries() -> frozenset[str]:
    """Codes whose public holidays are known."""
    import holidays  # large, and few lines keep them

    return frozenset(holidays.list_supported_countries())


@lru_cache(maxsize=4096)
def instant(zone: ZoneInfo, day: date, minutes: int) -> int:
    """The instant at which the clocks of the zone show so many minutes after the midnight of ``day``."""
    day += timedelta(days=minutes // _DAY_MINUTES)
    hour, minute = divmod(minutes % _DAY_MINUTES, 60)
    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    before = wall.utcoffset() or timedelta()
    after = wall.replace(fold=1).utcoffset() or timedelta()
    at = round(wall.timestamp())
    if after <= before:
        return at * 1000
    # The clocks jump over it: the change lies between the readings by the later and the earlier offset.
    low = at - round((after - before).total_seconds())
    while at - low > 1:
        middle = (low + at) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            at = middle
    return at * 1000


class Calendar:
    """When a line (or a shift) is open. ``hours``: weekday (``mon`` … ``sun``) -> intervals; None is
    always, a weekday that is not named is closed. ``days``: date (ISO) -> intervals, before the weekday
    and before ``holidays``, a country whose public holidays are closed. An interval over midnight belongs
    to the day it starts on. Raises ``ValueError`` for what cannot be read."""

    def __init__(
        self,
        zone: str,
        hours: Mapping[str, Sequence[str]] | None,
        days: Mapping[str, Sequence[str]] | None = None,
        holidays: str = "",
    ) -> None:
        self._zone = ZoneInfo(zone)
        self._week: list[list[tuple[int, int]]] | None = None
        if hours is not None:
            self._week = [[parse_interval(text) for text in hours.get(day, ())] for day in DAYS]
        self._days = {
            date.fromisoformat(day): [parse_interval(text) for text in texts]
            for day, texts in (days or {}).items()
        }
        self._holidays = holidays
        self._always = hours is None and not days and not holidays
        self._never = self._week is not None and not any(self._week) and not any(self._days.values())
        self._spans: dict[date, list[Span]] = {}
        self._segment: Segment = (0, 0, False)

    # ---------------------------------------------------------------- what is asked

    def is_open(self, at: int) -> bool:
        """Whether ``at`` lies in working hours; the end of an interval does not."""
        if self._always:
            return True
        start, end, is_open = self._segment
        if not start <= at < end:
            self._segment = self._segment_at(at)
            is_open = self._segment[2]
        return is_open

    def next_change(self, at: int) -> int | None:
        """When it opens or closes next after ``at``; None if not within the horizon."""
        self.is_open(at)
        end = self._segment[1]
        return None if self._always or end == EVER else end

    def add(self, at: int, ms: int) -> int | None:
        """The instant at which ``ms`` of working time have passed since ``at``; None if the horizon comes
        first."""
        if self._always:
            return at + ms
        self.is_open(at)
        segment = self._segment
        while True:
            _, end, is_open = segment
            if is_open:
                if at + ms <= end:
                    return at + ms
                ms -= end - at
            if end == EVER:
                return None
            at = end
            segment = self._segment_at(at)

    def between(self, start: int, end: int) -> int:
        """Working ms from ``start`` to ``end``."""
        if self._always:
            return max(0, end - start)
        passed = 0
        while start < end:
            _, until, is_open = self._segment_at(start)
            if is_open:
                passed += min(until, end) - start
            start = until
        return passed

    # ---------------------------------------------------------------- how it is answered

    def _segment_at(self, at: int) -> Segment:
        """The stretch around ``at``, to its end, that is open or closed throughout."""
        if self._never:
            return 0, EVER, False
        today = datetime.fromtimestamp(at // 1000, self._zone).date()
        # Nothing is known of what was before: who asks of an earlier time is answered by another stretch.
        since = min(at, instant(self._zone, today, 0))
        for start, end in self._merged(today - timedelta(days=1)):
            if at < start:
                return since, start, False
            if at < end:
                return start, end, True
            since = end
        return since, EVER, False

    def _merged(self, day: date) -> Iterator[Span]:
        """Open stretches from this day on, those that touch or overlap made one."""
        current: Span | None = None
        for _ in range(HORIZON):
            for start, end in self._spans_of(day):
                if current is None:
                    current = start, end
                elif start <= current[1]:
                    current = current[0], max(current[1], end)
                else:
                    yield current
                    current = start, end
            if day == date.max:
                break
            day += timedelta(days=1)
        if current is not None:
            yield current

    def _spans_of(self, day: date) -> list[Span]:
        spans = self._spans.get(day)
        if spans is None:
            if len(self._spans) > 2 * HORIZON:
                self._spans.clear()
            found = [
                (instant(self._zone, day, start), instant(self._zone, day, end))
                for start, end in self._intervals(day)
            ]
            spans = self._spans[day] = sorted(span for span in found if span[0] < span[1])
        return spans

    def _intervals(self, day: date) -> Sequence[tuple[int, int]]:
        if day in self._days:
            return self._days[day]
        if self._holidays and day in _holidays_of(self._holidays, day.year):
            return ()
        return ((0, _DAY_MINUTES),) if self._week is None else self._week[day.weekday()]


def calendar_of(
    zone: str,
    hours: Mapping[str, Sequence[str]] | None,
    days: Mapping[str, Sequence[str]] | None = None,
    holidays: str = "",
) -> Calendar:
    """The calendar of these hours, the same one for the same: what it has found out about days stays known
    when a desk is taken up anew, or told its lines again. Raises as ``Calendar``."""
    return _calendar(zone, msgspec.msgpack.encode((hours, days)), holidays)


@lru_cache(maxsize=512)
def _calendar(zone: str, packed: bytes, holidays: str) -> Calendar:
    hours, days = msgspec.msgpack.decode(packed)
    return Calendar(zone, hours, days, holidays)


@lru_cache(maxsize=256)
def _holidays_of(country: str, year: int) -> frozenset[date]:
    import holidays  # large, and few lines keep them

    return frozenset(holidays.country_holidays(country, years=year))


# ------------------------------------------------------------------ absences


def is_absent(absences: Sequence[Absence], zone: str, at: int) -> bool:
    """Whether one of them covers ``at``; dates are of the zone, both inclusive."""
    today = datetime.fromtimestamp(at // 1000, ZoneInfo(zone)).date().isoformat()
    return any(absence.from_ <= today <= absence.to for absence in absences)


def next_absence_change(absences: Sequence[Absence], zone: str, at: int) -> int | None:
    """The next midnight of the zone after ``at`` at which one of them begins or has ended."""
    info = ZoneInfo(zone)
    edges = [date.fromisoformat(absence.from_) for absence in absences]
    edges += [date.fromisoformat(absence.to) + timedelta(days=1) for absence in absences]
    return min((due for day in edges if (due := instant(info, day, 0)) > at), default=None)
