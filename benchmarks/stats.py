"""A month's statistics read from the rollups of ten million messages. The yardstick is the time in which SQLite
gives as many rows of the same table, unread."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, figure
from crm.kernel.ports import Write
from crm.statistics import load
from crm.statistics.asking import Question
from crm.statistics.cells import CLIENTS, DAY, HOUR, LOAD, MONTH, Cell, RollupKey, document_of
from crm.statistics.tables import table
from router.history.line_time import LineTimes
from storage.sqlite import SqliteStore

LINES, CHANNELS, OPERATORS = 5, 3, 60
FIRST, DAYS = date(2026, 3, 1), 31
MESSAGES = 10_000_000
A_SESSION = 10
"""Messages of one session."""
TIMES = 15
MONTHS = Question("2026-03-01", "2026-03-31")


def _cell(chance: random.Random, operator: str, sessions: int) -> Cell:
    cell = Cell()
    names = ["first_response", "response", "accept"]
    names += ["held"] if operator else ["queue", "resolution", "handle"]
    for name in ("new", "closed", "in", "out", "automatic"):
        cell.count(name, sessions)
    for name in [name + more for name in names for more in ("", "_working")]:
        for _ in range(min(sessions, 150)):
            cell.took(name, int(chance.lognormvariate(12, 2)), max(1, sessions // 150))
    return cell


def _documents(chance: random.Random) -> list[dict[str, Any]]:
    """As they would be after a month in which all hours are busy: each operator in two lines."""
    sessions = MESSAGES // A_SESSION
    places = [(f"line{line}", f"channel{channel}") for line in range(LINES) for channel in range(CHANNELS)]
    mine = [(line, channel, f"op{n}") for n in range(OPERATORS) for line, channel in places if n % LINES in (
        int(line[4:]), (int(line[4:]) + 1) % LINES
    )]  # fmt: skip
    spots = [*((line, channel, "") for line, channel in places), *mine]
    days = [(FIRST + timedelta(days=n)).isoformat() for n in range(DAYS)]
    made = [
        _made(chance, MONTH, "2026-03", spot, sessions // (len(places) if not spot[2] else len(mine)))
        for spot in spots
    ]
    made += [
        _made(chance, DAY, day, spot, sessions // (len(places) if not spot[2] else len(mine)) // DAYS)
        for day in days
        for spot in spots
    ]
    made += [
        _made(chance, HOUR, f"{day}T{hour:02}", (line, channel, ""), sessions // len(places) // DAYS // 24)
        for day in days for hour in range(24) for line, channel in places
    ]  # fmt: skip
    for day in days:
        for line in ("", *(f"line{n}" for n in range(LINES))):
            made.append(_clients(chance, day, line, sessions // DAYS // (LINES if line else 1)))
        made += [_load(chance, day, f"line{n}", sessions // DAYS // LINES) for n in range(LINES)]
    return made


def _made(
    chance: random.Random, span: str, at: str, spot: tuple[str, str, str], sessions: int
) -> dict[str, Any]:  # fmt: skip
    return document_of(RollupKey(span, at, *spot), _cell(chance, spot[2], max(1, sessions)))


def _clients(chance: random.Random, day: str, line: str, sessions: int) -> dict[str, Any]:
    cell = Cell({"first": sessions // 2, "again": sessions // 2})
    for gap in range(1, 120):
        cell.count(str(gap), chance.randint(1, 1 + sessions // 200))
    return document_of(RollupKey(CLIENTS, day, line, "", ""), cell)


def _load(chance: random.Random, day: str, line: str, sessions: int) -> dict[str, Any]:
    cell = Cell()
    for hour in range(24):
        cell.count(f"new_{hour:02}", sessions // 24)
        cell.count(f"open_ms_{hour:02}", sessions * 60_000)
        cell.count(f"open_at_start_{hour:02}", chance.randint(1, 200))
    for minute in range(1440):
        cell.step(minute, chance.randint(-3, 3))
    return document_of(RollupKey(LOAD, day, line, "", ""), cell)


async def _best(work: Callable[[], Awaitable[Any]]) -> float:
    """The middle of several, in ms."""
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def _bare(path: Path, span: str) -> float:
    db = sqlite3.connect(path)
    started = time.perf_counter()
    for _ in range(TIMES):
        db.execute(
            "SELECT doc FROM rollups WHERE json_extract(doc,'$.span') = ? ORDER BY json_extract(doc,'$.at')",
            (span,),
        ).fetchall()
    taken = (time.perf_counter() - started) * 1000 / TIMES
    db.close()
    return taken


async def _measure(folder: Path) -> list[Figure]:
    store = SqliteStore(folder / "desk.sqlite")
    await store.open()
    documents = _documents(random.Random(1))
    for start in range(0, len(documents), 1000):
        await store.write(
            [Write.replace("rollups", one, plain=True) for one in documents[start : start + 1000]]
        )
    times = LineTimes()
    asked: dict[str, tuple[Question, str, str]] = {
        "a month's sessions": (MONTHS, "sessions", MONTH),
        "a month's sessions by line": (MONTHS._replace(by="line"), "sessions", MONTH),
        "a month's operators": (MONTHS._replace(by="operator"), "operators", MONTH),
        "a month's ratings by operator": (MONTHS._replace(by="operator"), "csat", MONTH),
    }
    found = []
    for name, (question, kind, span) in asked.items():
        taken = await _best(lambda kind=kind, question=question: table(store, kind, question))  # type: ignore[misc]
        found.append(figure(name, taken, "ms", yardstick=_bare(store.path, span), at_most=50))

    async def heat() -> None:
        load.heat(await load.days(store, MONTHS, times, 1_775_000_000_000), MONTHS, "2026-03-31T23")

    found.append(
        figure("a month's load", await _best(heat), "ms", yardstick=_bare(store.path, LOAD), at_most=50)
    )
    daily = MONTHS._replace(by="day")
    taken = await _best(lambda: table(store, "sessions", daily))
    found.append(figure("a month day by day", taken, "ms", yardstick=_bare(store.path, DAY)))
    await store.close()
    return found


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))
