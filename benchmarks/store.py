"""What an object costs in a store: inserting one, changing one on its version, reading a page of a list deep
inside, one call after the other as an operator's commands are. The yardstick is the same done by the bare driver."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo

from benchmarks.harness import Figure, figure
from crm.kernel.ports import Store, Write
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.servers.mongodb import mongodb

CALLS = 500
LISTED = 6_000
PAGE = 50
PAGES = 40


def lead(number: int) -> dict[str, Any]:
    return {
        "_id": f"l{number:06}", "version": 1, "line": "sales", "created_at": 1_800_000_000_000 + number // 3,
        "keys": [f"phone:+99890{number:07}"], "title": "x" * 200,
    }  # fmt: skip


async def _each(calls: int, call: Callable[[int], Awaitable[Any]]) -> float:
    """Calls a second."""
    started = time.perf_counter()
    for number in range(calls):
        await call(number)
    return calls / (time.perf_counter() - started)


async def _measure(store: Store, name: str, bare: dict[str, float]) -> list[Figure]:
    await store.open()
    for start in range(0, LISTED, 1000):
        await store.write([Write.insert("leads", lead(n)) for n in range(start, start + 1000)])
    after = ""

    async def insert(number: int) -> None:
        await store.insert("leads", lead(LISTED + number))

    async def change(number: int) -> None:
        seen = {"_id": f"l{number:06}", "version": 1}
        assert await store.change("leads", seen, {"$set": {"title": "y"}, "$inc": {"version": 1}})

    async def page(_: int) -> None:
        nonlocal after
        found = await store.page(
            "leads", {"line": "sales"}, sort=[("created_at", -1)], limit=PAGE, after=after
        )
        assert len(found.items) == PAGE
        after = found.next

    rates = {
        "insert": await _each(CALLS, insert),
        "change": await _each(CALLS, change),
        f"page of {PAGE}": await _each(PAGES, page),
    }
    await store.close()
    return [
        figure(f"{what}, {name}", rate, "1/s", yardstick=bare[what.split()[0]])
        for what, rate in rates.items()
    ]


def _timed(calls: int, call: Callable[[int], Any]) -> float:
    started = time.perf_counter()
    for number in range(calls):
        call(number)
    return calls / (time.perf_counter() - started)


def _bare_sqlite(folder: Path) -> dict[str, float]:
    with contextlib.closing(sqlite3.connect(folder / "bare.sqlite", isolation_level=None)) as db:
        db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE m (id TEXT PRIMARY KEY, at INT, doc TEXT); CREATE INDEX a ON m(at, id);"
        )
        rows = [(f"l{n:06}", n // 3, "x" * 400) for n in range(LISTED)]
        db.execute("BEGIN")
        db.executemany("INSERT INTO m VALUES (?, ?, ?)", rows)
        db.execute("COMMIT")
        return {
            "insert": _timed(
                CALLS, lambda n: db.execute("INSERT INTO m VALUES (?, ?, ?)", (f"m{n}", n, "x" * 400))
            ),
            "change": _timed(
                CALLS, lambda n: db.execute("UPDATE m SET doc = ? WHERE id = ?", ("y" * 400, f"l{n:06}"))
            ),
            "page": _timed(
                PAGES,
                lambda n: db.execute(
                    "SELECT doc FROM m WHERE at < ? ORDER BY at DESC LIMIT ?", (LISTED // 3 - 17 * n, PAGE)
                ).fetchall(),
            ),
        }


def _bare_mongodb(url: str, database: str) -> dict[str, float]:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url) as client:
        leads: Any = client[database]["leads"]
        leads.create_index([("line", 1), ("created_at", 1)])
        for start in range(0, LISTED, 1000):
            leads.insert_many([lead(n) for n in range(start, start + 1000)])
        newest = lead(LISTED)["created_at"]
        return {
            "insert": _timed(CALLS, lambda n: leads.insert_one(lead(LISTED + n))),
            "change": _timed(
                CALLS,
                lambda n: leads.find_one_and_update({"_id": f"l{n:06}"}, {"$set": {"title": "y"}}),
            ),
            "page": _timed(
                PAGES,
                lambda n: leads.find(
                    {"line": "sales", "created_at": {"$lt": newest - 17 * n}}, limit=PAGE
                ).sort("created_at", -1).to_list(),
            ),
        }  # fmt: skip


@contextlib.contextmanager
def database(url: str) -> Iterator[str]:
    """One of our own on a server, which goes with us."""
    name = f"navbat_bench_{uuid.uuid4().hex[:8]}"
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url) as client:
        try:
            yield name
        finally:
            client.drop_database(name)


def server_of(url: str) -> str:
    """What answers there, as the server itself says."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url) as client:
        told = client.admin.command("buildInfo")
    return "FerretDB" if "ferretdbVersion" in told else f"MongoDB {told.get('version', '')}"


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as name, mongodb(fast=True) as url:
        folder = Path(name)
        store = SqliteStore(folder / "store.sqlite")
        found = asyncio.run(_measure(store, "SQLite", _bare_sqlite(folder)))
        if url is not None:
            with database(url) as ours, database(url) as bare:
                rates = _bare_mongodb(url, bare)
                found += asyncio.run(_measure(MongoStore(url, ours, timeout=60), server_of(url), rates))
        return found
