"""A recorded week of 50 000 messages played under other rules, as ``navbat rehearse`` does it: read from
SQLite, played under the rules as they are and under new ones, measured. The yardstick is reading the same
documents out of the store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure, figure
from navbat.lab.rehearse.command import compare
from navbat.lab.rehearse.reading import recorded
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.rules import LineRules
from storage.sqlite import SqliteStore
from tests.navbat.lab.recorded import DAY, Recorded

START = 1_772_409_600_000
OPERATORS = [f"op{n}" for n in range(40)]
CHATS = 14_400
DAYS = 7


def _lines(answer_within: int) -> LinesConfigured:
    rules = LineRules(members=OPERATORS, max_sessions=6, answer_within=answer_within)
    return LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"})


async def _measure(folder: Path) -> list[Figure]:
    store = SqliteStore(folder / "desk.sqlite")
    await store.open()
    await Recorded(_lines(60_000), START, seed=1, chats=CHATS, days=DAYS).keep(store)
    started = time.perf_counter()
    for collection in ("messages", "sessions", "audit", "decisions", "alerts"):
        await store.find(collection, {})
    bare = time.perf_counter() - started
    started = time.perf_counter()
    recording = await recorded(store, START, START + DAYS * DAY)
    read = time.perf_counter() - started
    people = [OperatorChanged(name=name) for name in OPERATORS]
    compare(recording, "sales", _lines(60_000), _lines(20_000), people)
    elapsed = time.perf_counter() - started
    messages = sum(len(talk.wrote) for talk in recording.talks)
    await store.close()
    return [
        figure("messages of the week", messages, ""),
        figure("read from the store", read, "s", yardstick=bare),
        figure("rehearsed, reading included", elapsed, "s", yardstick=bare, at_most=30),
    ]


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))
