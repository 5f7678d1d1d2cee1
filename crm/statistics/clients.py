"""How many different people wrote in a period. Pure.

A day counts each client who wrote on it once, by how many days ago he came before. Of any period of whole
days, the clients are then exactly those who came on a day of it and before that on none: nobody has to be
remembered by name, and days add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from crm.statistics.cells import Cell

ALL_LINES = ""
"""Stands for all of them together: who writes in two lines is one client."""
FIRST = "first"
"""He had never come before."""
AGAIN = "again"
"""Sessions whose client had an earlier one."""

Visits = dict[tuple[str, str], int]
"""(line, day) -> sessions of one client that began there and then."""


def cells_of(visits: Visits) -> dict[tuple[str, str], Cell]:
    """What one client contributes, by (line, day)."""
    days: dict[str, dict[str, int]] = {}
    for (line, day), times in visits.items():
        for scope in (line, ALL_LINES):
            of = days.setdefault(scope, {})
            of[day] = of.get(day, 0) + times
    cells: dict[tuple[str, str], Cell] = {}
    for scope, of in days.items():
        before = ""
        for day in sorted(of):
            cell = cells[scope, day] = Cell()
            cell.count(gap(before, day))
            cell.count(AGAIN, of[day] if before else of[day] - 1)
            before = day
    return cells


def gap(before: str, day: str) -> str:
    if not before:
        return FIRST
    return str((date.fromisoformat(day) - date.fromisoformat(before)).days)


def clients(cells: Iterable[tuple[str, Cell]], since: str) -> tuple[int, int, int]:
    """Of the days of a period that begins on the day ``since``: how many people came, how many of them had
    never come before, and how many sessions were of somebody who had."""
    start = date.fromisoformat(since)
    people = first = again = 0
    for day, cell in cells:
        into = (date.fromisoformat(day) - start).days
        for name, times in cell.counts.items():
            if name == AGAIN:
                again += times
            elif name == FIRST:
                first += times
                people += times
            elif int(name) > into:
                people += times
    return people, first, again
