"""How long a card takes of a customer with ten thousand messages: what is known of him, who he may be too, and the
newest page of his timeline, one after the other. The yardstick is SQLite reading one row by its key as often."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure, figure
from crm.kernel.access import Actor
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.ports import Write
from crm.objects.checking import Checks
from crm.objects.service import Objects
from crm.objects.types import Types
from crm.objects.values import Habits
from crm.people.cards import People
from crm.people.merging import Claim
from crm.timeline.reading import Timelines
from storage.sqlite import SqliteStore

MESSAGES, SESSIONS, OTHERS = 10_000, 100, 1_000
"""Of the one customer; messages of each of the other customers are ten."""
TIMES = 30


class _Nobody:
    async def operator(self, name: str) -> bool:
        return True

    def line(self, name: str) -> bool:
        return True


async def _tell(claim: Claim) -> None:
    raise NotImplementedError


async def _fill(store: SqliteStore) -> None:
    for number in range(OTHERS + 1):
        customer, count = f"c{number}", 10 if number else MESSAGES
        keys = [f"phone:+99890{number // 2:07}"]
        card = {"_id": customer, "name": f"Customer {number}", "version": 1, "keys": keys, "lines": ["sales"]}
        writes = [Write.insert("customers", {**card, "seen_at": number}, plain=True)]
        for seq in range(count):
            session = f"{number}.{seq * SESSIONS // count}"
            message = {
                "_id": f"{session}-{seq}",
                "id": f"{session}-{seq}",
                "session": session,
                "chat": customer,
                "seq": seq,
                "at": seq + 1,
            }
            of = {
                "customer": customer,
                "line": "sales",
                "channel": "bot",
                "direction": "in",
                "text": "hello there",
            }
            writes.append(Write.insert("messages", {**message, **of, "source": message["_id"]}, plain=True))
        await store.write(writes)


async def _measure(folder: Path) -> Figure:
    store = SqliteStore(folder / "desk.sqlite")
    await store.open()
    await _fill(store)
    settings = CrmSettings()
    checks = Checks(store, Types(settings.fields), Habits(settings.currency), settings, _Nobody())
    people = People(store, Objects(store, checks), settings.country, _tell)
    timelines, actor = Timelines(store), Actor("anna", "operator", frozenset({"sales"}))
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        card = await people.get(actor, "c0")
        twins = await people.twins(actor, card)
        page = await timelines.page(actor, "customer", "c0", limit=50)
        taken.append((time.perf_counter() - started) * 1000)
        assert len(page.items) == 50
        assert len(twins) == 1
    await store.close()
    return figure(
        "card of a customer with 10 000 messages", statistics.median(taken), "ms",
        yardstick=_bare(folder), at_most=100,
    )  # fmt: skip


def _bare(folder: Path) -> float:
    """Milliseconds for as many rows by their key as a card shows."""
    db = sqlite3.connect(folder / "bare.sqlite")
    db.execute("CREATE TABLE m (id INTEGER PRIMARY KEY, doc TEXT)")
    db.executemany("INSERT INTO m VALUES (?, ?)", [(n, "x" * 400) for n in range(MESSAGES)])
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        for number in range(52):
            db.execute("SELECT doc FROM m WHERE id = ?", (number * 100,)).fetchone()
        taken.append((time.perf_counter() - started) * 1000)
    db.close()
    return statistics.median(taken)


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        return [asyncio.run(_measure(Path(folder)))]
