"""What may be asked of the figures: of which days, lines, channel and operator, and in which rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Filter, Store
from crm.statistics.cells import DAY, EVERYBODY, HOUR, MONTH, Cell

LONGEST = 3660
"""Days of one question."""
HOURLY = 92
"""The same where there is a row for each hour."""
BY = ("hour", "day", "month", "line", "channel", "operator")
MADE_OF: dict[str, tuple[str, ...]] = {
    "rated": tuple(f"rating_{score}" for score in range(1, 6)),
    "good": ("rating_4", "rating_5"),
    "bad": ("rating_1", "rating_2"),
    "supervisor_scored": tuple(f"score_{score}" for score in range(1, 6)),
    "arrivals": ("new",),
    "clients": ("new",),
}
"""Figures that are made of others."""
KEYS = {"hour": "at", "day": "at", "month": "at"}
"""In which field of a rollup the name of its row is, where it is called otherwise."""


class Question(NamedTuple):
    """``since`` and ``to`` are days, both counted, on the clock of each line. ``lines`` None: all there are,
    and were."""

    since: str
    to: str
    by: str = ""
    lines: tuple[str, ...] | None = None
    channel: str = ""
    operator: str = ""

    @property
    def narrowed(self) -> dict[str, Any]:
        """What the store is asked beside the time."""
        wanted: dict[str, Any] = {}
        if self.lines is not None:
            wanted["line"] = {"$in": list(self.lines)}
        if self.channel:
            wanted["channel"] = self.channel
        if self.operator:
            wanted["operator"] = self.operator
        elif self.by != "operator":
            wanted["operator"] = EVERYBODY
        return wanted

    def days(self) -> list[str]:
        first, last = date.fromisoformat(self.since), date.fromisoformat(self.to)
        return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def checked(since: str, to: str, by: str, today: str) -> tuple[str, str]:
    """The period as days; where nothing is said, the last thirty up to today. Raises ``Refused``."""
    last = day_of(to) if to else max(date.fromisoformat(today), day_of(since or today))
    first = day_of(since) if since else last - timedelta(days=29)
    longest = HOURLY if by == "hour" else LONGEST
    if not 0 <= (last - first).days < longest:
        raise Refused("bad_period", since=str(first), to=str(last), limit=str(longest))
    return first.isoformat(), last.isoformat()


def day_of(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Refused("bad_day", day=text[:40]) from None
    if not 1970 <= found.year <= 9000 or len(text) != len("2026-03-05"):
        raise Refused("bad_day", day=text[:40])
    return found


def stretches(question: Question) -> Iterator[tuple[str, str, str]]:
    """(span, first, last) of the rollups that together are the period: whole months where rows have no
    times, days at its ends."""
    since, to = date.fromisoformat(question.since), date.fromisoformat(question.to)
    if question.by == "hour":
        yield HOUR, f"{since}T00", f"{to}T23"
        return
    after = to + timedelta(days=1)
    first = since if since.day == 1 else _next_month(since)
    last = after.replace(day=1)
    if question.by == "day" or first >= last:
        yield DAY, str(since), str(to)
        return
    if since < first:
        yield DAY, str(since), str(first - timedelta(days=1))
    yield MONTH, f"{first:%Y-%m}", f"{last - timedelta(days=1):%Y-%m}"
    if last <= to:
        yield DAY, str(last), str(to)


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


async def rollups(store: Store, question: Question) -> list[Document]:
    found: list[Document] = []
    for span, first, last in stretches(question):
        found += await store.find("rollups", _within(question, span, first, last))
    return found


def _within(question: Question, span: str, first: str, last: str) -> Filter:
    return {"span": span, "at": {"$gte": first, "$lte": last}, **question.narrowed}


def row_of(question: Question, document: Document) -> str:
    """Of which row a rollup is."""
    if not question.by:
        return ""
    key: str = document[KEYS.get(question.by, question.by)]
    return key[:7] if question.by == "month" else key


async def rows(store: Store, question: Question, durations: Collection[str]) -> tuple[dict[str, Cell], Cell]:
    """The figures by row, where nothing happened there is none; and all of them together. Of the durations
    those that are named."""
    found: dict[str, Cell] = {}
    for document in await rollups(store, question):
        found.setdefault(row_of(question, document), Cell()).gather_document(document, durations)
    whole = found.pop(EVERYBODY, None) if question.by == "operator" else None
    if whole is None:
        whole = Cell()
        for cell in found.values():
            whole.gather(cell, durations)
    return found, whole
