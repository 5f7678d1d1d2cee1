"""When a desk is busy: a week of hours, how many sessions come in each and how many are open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from crm.kernel.ports import Store
from crm.statistics.asking import Question
from crm.statistics.cells import ARRIVED, LOAD, OPEN_AT_START, OPEN_MS, Cell
from crm.statistics.facts import Case, Times, case_of

HOUR = 3_600_000
OPEN = ("bot", "waiting", "offered", "taken", "answered", "pending")
"""Statuses of sessions that are open."""
LOOKUP = 400
WEEK = 7


async def days(store: Store, question: Question, times: Times, now: int) -> dict[str, Cell]:
    """The load of each day of the period, what is open now included as far as it has been."""
    wanted: dict[str, Any] = {"span": LOAD, "at": {"$gte": question.since, "$lte": question.to}}
    if question.lines is not None:
        wanted["line"] = {"$in": list(question.lines)}
    found: dict[str, Cell] = {}
    for document in await store.find("rollups", wanted):
        found.setdefault(document["at"], Cell()).gather_document(document, ())
    for case in await still_open(store, question.lines):
        _add_open(found, case, question, times, now)
    return found


async def still_open(store: Store, lines: Iterable[str] | None) -> list[Case]:
    wanted: dict[str, Any] = {"status": {"$in": list(OPEN)}}
    if lines is not None:
        wanted["line"] = {"$in": list(lines)}
    ids = [document["_id"] for document in await store.find("sessions", wanted)]
    cases: list[Case] = []
    for start in range(0, len(ids), LOOKUP):
        found = await store.find("facts", {"_id": {"$in": ids[start : start + LOOKUP]}})
        cases += map(case_of, found)
    return [case for case in cases if not case.facts.ended_at]


def _add_open(found: dict[str, Cell], case: Case, question: Question, times: Times, now: int) -> None:
    time, since = times(case.facts.line), case.facts.line_since
    for name, begin, end in time.hours(since, now):
        day, hour = name[:10], name[11:]
        if question.since <= day <= question.to:
            cell = found.setdefault(day, Cell())
            cell.count(f"{OPEN_MS}_{hour}", end - begin)
            if begin != since or time.begins(begin):
                cell.count(f"{OPEN_AT_START}_{hour}")


def most_open(cell: Cell) -> list[int]:
    """By hour of the day: the most that were open when it began or at the end of a minute of it."""
    return [
        max(_counts(cell.counts.get(f"{OPEN_AT_START}_{hour:02}", 0), cell.minutes, hour))
        for hour in range(24)
    ]


def _counts(at_start: int, minutes: Mapping[str, int], hour: int) -> Iterable[int]:
    yield at_start
    for minute in range(hour * 60, hour * 60 + 60):
        at_start += minutes.get(str(minute), 0)
        yield at_start


def heat(found: Mapping[str, Cell], question: Question, now: str) -> list[dict[str, Any]]:
    """168 hours, Monday's first: ``arrivals`` (all of the period), ``open_mean`` over the time of those hours that
    has been, ``open_max``. ``now``: the hour that it is."""
    made = [
        {"weekday": day, "hour": hour, "hours": 0, "arrivals": 0, "open_mean": 0.0, "open_max": 0}
        for day in range(WEEK)
        for hour in range(24)
    ]
    for day in question.days():
        cell = found.get(day, Cell())
        first = date.fromisoformat(day).weekday() * 24
        most = most_open(cell)
        for hour in range(24):
            if f"{day}T{hour:02}" > now:
                break
            one: dict[str, Any] = made[first + hour]
            one["hours"] += 1
            one["arrivals"] += cell.counts.get(f"{ARRIVED}_{hour:02}", 0)
            one["open_mean"] += cell.counts.get(f"{OPEN_MS}_{hour:02}", 0) / HOUR
            one["open_max"] = max(one["open_max"], most[hour])
    for one in made:
        if one["hours"]:
            one["open_mean"] = round(one["open_mean"] / one["hours"], 3)
    return made


def series(found: Mapping[str, Cell], question: Question, now: str) -> list[dict[str, Any]]:
    """The same hour by hour, in the order of time."""
    made: list[dict[str, Any]] = []
    for day in question.days():
        cell = found.get(day, Cell())
        most = most_open(cell)
        for hour in range(24):
            key = f"{day}T{hour:02}"
            if key > now:
                break
            open_ms = cell.counts.get(f"{OPEN_MS}_{hour:02}", 0)
            arrivals = cell.counts.get(f"{ARRIVED}_{hour:02}", 0)
            made.append(
                {
                    "key": key,
                    "arrivals": arrivals,
                    "open_mean": round(open_ms / HOUR, 3),
                    "open_max": most[hour],
                }
            )
    return made
