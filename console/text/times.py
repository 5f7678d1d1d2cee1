"""Moments as people write them. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from console.text.words import local

_SPAN = re.compile(r"(?:([0-9]{1,3})\s*d)?\s*(?:([0-9]{1,3})\s*h)?\s*(?:([0-9]{1,4})\s*m)?")
_CLOCK = re.compile(r"(?:([0-9]{4}-[0-9]{2}-[0-9]{2})\s+)?([0-9]{1,2}):([0-9]{2})")
MINUTE = 60_000


def moment(text: str, now: int, zone: tzinfo | None) -> int:
    """The moment (ms UTC) that ``30m``, ``2h``, ``1d 4h``, ``14:30`` (the next one) or ``2026-03-02 09:00``
    names on the user's clock. Raises ``ValueError`` for anything else, and for a moment that has passed."""
    text = text.strip().lower()
    span = _SPAN.fullmatch(text)
    if text and span is not None:
        days, hours, minutes = (int(part or 0) for part in span.groups())
        at = now + (days * 24 * 60 + hours * 60 + minutes) * MINUTE
    else:
        at = _clock(text, now, zone)
    if at <= now:
        raise ValueError("that time has passed")
    return at


def _clock(text: str, now: int, zone: tzinfo | None) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError("not a time")
    day, hour, minute = found.groups()
    here = local(now, zone)
    date = datetime.fromisoformat(day).date() if day else here.date()
    wall = datetime(date.year, date.month, date.day, int(hour), int(minute), tzinfo=zone)
    if not day and wall.timestamp() * 1000 <= now:
        date += timedelta(days=1)
        wall = wall.replace(year=date.year, month=date.month, day=date.day)
    return int(wall.timestamp() * 1000)
