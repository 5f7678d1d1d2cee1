"""The tables that can be asked for. What each figure means is said in ``docs/statistics.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crm.kernel.ports import Store
from crm.statistics.asking import Question, rows
from crm.statistics.cells import CLIENTS, Cell, Durations, cell_of, middle
from crm.statistics.clients import ALL_LINES, clients
from crm.statistics.facts import WORKING

COUNTS: dict[str, tuple[str, ...]] = {
    "sessions": (
        "new", "outgoing", "closed", "reopened", "missed", "bot_only", "spam", "in", "out", "automatic",
        "from_bot", "to_bot", "line_in", "line_out", "overflow_in", "overflow_out", "transferred_out",
        "breached_first_response", "breached_next_response", "breached_resolution",
    ),
    "operators": (
        "taken", "missed_offers", "skipped_offers", "returned", "transferred_out", "transferred_in",
        "transferred_back", "taken_over", "out", "breached_first_response", "breached_next_response",
        "breached_resolution",
    ),
    "csat": ("asked",),
}  # fmt: skip
DURATIONS: dict[str, tuple[str, ...]] = {
    "sessions": ("first_response", "response", "queue", "accept", "resolution", "handle"),
    "operators": ("first_response", "response", "accept", "held"),
    "csat": (),
}
SCORES = (1, 2, 3, 4, 5)
GOOD, BAD = (4, 5), (1, 2)
LATEST = (3_600_000, 4 * 3_600_000, 8 * 3_600_000, 24 * 3_600_000)
"""Ends of the parts in which first answers are counted, in ms."""


async def table(store: Store, kind: str, question: Question) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows, each with its ``key``, and all of them together."""
    names = [name + more for name in DURATIONS[kind] for more in ("", WORKING)]
    found, whole = await rows(store, question, names)
    keys = sorted(found)
    made = {key: row(kind, found[key]) for key in keys} if question.by else {}
    total = row(kind, whole)
    if kind == "sessions" and not question.channel and not question.operator:
        await _add_clients(store, question, made, total)
    return [{"key": key, **made[key]} for key in made], total


def row(kind: str, cell: Cell) -> dict[str, Any]:
    made: dict[str, Any] = {name: cell.counts.get(name, 0) for name in COUNTS[kind]}
    for name in DURATIONS[kind]:
        made[name] = duration(cell.durations, name)
    if kind == "sessions":
        made["first_response_within"] = within(cell.durations.get("first_response"))
    if kind in ("csat", "operators"):
        made |= judgement(cell.counts, asked=kind == "operators")
    return made


def duration(durations: Mapping[str, Durations], name: str) -> dict[str, Any] | None:
    """In ms, None where there was none. ``working``: counted in the line's working hours."""
    found = durations.get(name)
    if found is None or not found.count:
        return None
    made: dict[str, Any] = {"count": found.count, **_said(found)}
    worked = durations.get(name + WORKING)
    if worked is not None:
        made["working"] = _said(worked)
    return made


def _said(durations: Durations) -> dict[str, int | None]:
    values = {
        "mean": durations.mean, "median": durations.percentile(0.5), "p90": durations.percentile(0.9)
    }  # fmt: skip
    return {name: None if value is None else round(value) for name, value in values.items()}


def within(durations: Durations | None) -> list[int]:
    """How many came within an hour, four, eight, a day, and later. Buckets that lie across an end are
    counted by their middle."""
    parts = [0] * (len(LATEST) + 1)
    for name, times in (durations.buckets if durations else {}).items():
        ms = middle(int(name))
        parts[sum(ms >= end for end in LATEST)] += times
    return parts


def judgement(counts: Mapping[str, int], *, asked: bool = False) -> dict[str, Any]:
    """What customers and supervisors say. Shares are parts of one, None where nothing was said."""
    ratings = {score: counts.get(f"rating_{score}", 0) for score in SCORES}
    scores = {score: counts.get(f"score_{score}", 0) for score in SCORES}
    rated, scored = sum(ratings.values()), sum(scores.values())
    good, bad = (sum(ratings[score] for score in some) for some in (GOOD, BAD))
    made: dict[str, Any] = {"asked": counts.get("asked", 0)} if asked else {}
    return made | {
        "rated": rated,
        "rate": _share(rated, counts.get("asked", 0)),
        "good": good,
        "bad": bad,
        "score": _share(good, good + bad),
        "mean": _share(sum(score * times for score, times in ratings.items()), rated),
        "ratings": [ratings[score] for score in SCORES],
        "supervisor_scored": scored,
        "supervisor_mean": _share(sum(score * times for score, times in scores.items()), scored),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# ------------------------------------------------------------------ different people


async def _add_clients(
    store: Store, question: Question, made: dict[str, dict[str, Any]], total: dict[str, Any]
) -> None:
    by_line: dict[str, list[tuple[str, Cell]]] = {}
    wanted: dict[str, Any] = {"span": CLIENTS, "at": {"$gte": question.since, "$lte": question.to}}
    lines = None if question.lines is None else list(question.lines)
    if question.by != "line" and lines is None:
        wanted["line"] = ALL_LINES
    elif lines is not None:
        wanted["line"] = {"$in": lines}
    for document in await store.find("rollups", wanted):
        by_line.setdefault(document["line"], []).append((document["at"], cell_of(document)))
    scopes = [line for line in by_line if line != ALL_LINES] if lines is not None else [ALL_LINES]
    _put(total, [clients(by_line.get(line, ()), question.since) for line in scopes])
    if question.by == "line":
        for line, row in made.items():
            _put(row, [clients(by_line.get(line, ()), question.since)])
    elif question.by == "day":
        for day, row in made.items():
            of_day = ([cell for cell in by_line.get(line, ()) if cell[0] == day] for line in scopes)
            _put(row, [clients(cells, day) for cells in of_day])


def _put(row: dict[str, Any], found: Iterable[tuple[int, int, int]]) -> None:
    people, first, again = (sum(part) for part in zip((0, 0, 0), *found, strict=True))
    row |= {"clients": people, "new_clients": first, "repeat": again}
