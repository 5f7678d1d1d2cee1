"""Which sessions a figure is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from crm.kernel.ports import Store
from crm.statistics.asking import MADE_OF, Question
from crm.statistics.cells import Cell, Spot
from crm.statistics.facts import Case, case_of

SCANNED = 2000
"""Facts that one question goes through at most; who wants more asks on."""
PAGE = 200


class Contribution(NamedTuple):
    """``value``: how often it counts in the figure, or ms."""

    session: str
    hour: str
    line: str
    operator: str
    value: int


async def behind(
    store: Store, question: Question, figure: str, *, limit: int, after: str = ""
) -> tuple[list[Contribution], str]:
    """Sessions that count in the figure, and where to go on, empty when there are no more. There may be fewer
    than ``limit`` and yet more to come."""
    found: list[Contribution] = []
    scanned = 0
    wanted = {"days": {"$in": question.days()}}
    while len(found) < limit and scanned < SCANNED:
        size = min(PAGE, limit - len(found))
        page = await store.page("facts", wanted, sort=[("_id", 1)], limit=size, after=after)
        scanned += size
        for document in page.items:
            found += _matches(case_of(document), question, figure)
        after = page.next
        if not after:
            break
    return found, after


def _matches(case: Case, question: Question, figure: str) -> Iterator[Contribution]:
    """One for each operator whose it is."""
    values: dict[tuple[str, str], tuple[str, int]] = {}
    for spot, cell in case.contribution().cells.items():
        value = _value(cell, figure)
        if value and _asked(spot, question):
            hour, before = values.get((spot.line, spot.operator), (spot.hour, 0))
            values[spot.line, spot.operator] = min(hour, spot.hour), before + value
    for (line, operator), (hour, value) in values.items():
        yield Contribution(case.facts.id, hour, line, operator, value)


def _value(cell: Cell, figure: str) -> int:
    durations = cell.durations.get(figure)
    if durations is not None:
        return max(1, durations.total)
    return sum(cell.counts.get(name, 0) for name in MADE_OF.get(figure, (figure,)))


def _asked(spot: Spot, question: Question) -> bool:
    wanted: dict[str, Any] = {"channel": question.channel, "operator": question.operator}
    return (
        question.since <= spot.hour[:10] <= question.to
        and (question.lines is None or spot.line in question.lines)
        and all(not value or getattr(spot, name) == value for name, value in wanted.items())
    )
