"""Messages a second from the journal into the store. The yardstick is the same number of rows
inserted into a bare SQLite table, or collection, in batches of the same size."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import pymongo

from benchmarks.harness import Figure, figure, running_redis, until
from benchmarks.route import DESK, message, prepare
from benchmarks.store import database, server_of
from crm.kernel.ports import Store
from navbat.run.child import collect_rarely
from router.history.projector import Projector
from router.log.home import connect
from router.log.log import Log
from router.worker import Worker
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.servers.mongodb import mongodb

MESSAGES = 30_000
BATCH = 512


def _bare(folder: Path) -> float:
    db = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE m (id TEXT PRIMARY KEY, doc TEXT);"
    )
    started = time.perf_counter()
    for start in range(0, MESSAGES, BATCH):
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO m VALUES (?, ?)", [(str(n), "x" * 400) for n in range(start, start + BATCH)]
        )
        db.execute("COMMIT")
    rate = MESSAGES / (time.perf_counter() - started)
    db.close()
    return rate


async def _journal(log: Log) -> None:
    """Lets a worker write the journal, and ends it."""
    worker = Worker(log)
    working = asyncio.create_task(worker.run())
    await prepare(log, every_rule=False)
    for start in range(0, MESSAGES, 2000):
        await asyncio.gather(*(log.append(message(10_000 + n, n % 2000)) for n in range(start, start + 2000)))
    await until(lambda: _done(log))
    working.cancel()
    await asyncio.wait([working])


async def _done(log: Log) -> bool:
    return (await log.lags([]))["log"] == 0


async def _measure(url: str, folder: Path, mongodb_url: str | None) -> list[Figure]:
    log = Log(connect(url), DESK)
    await _journal(log)
    collect_rarely()
    sqlite = await _projected(log, SqliteStore(folder / "desk.sqlite"))
    found = [figure("projected into SQLite", sqlite, "1/s", yardstick=_bare(folder), at_least=5_000)]
    if mongodb_url is not None:
        with database(mongodb_url) as name:
            rate = await _projected(log, MongoStore(mongodb_url, name, timeout=60))
            what = f"projected into {server_of(mongodb_url)}"
            found.append(
                figure(what, rate, "1/s", yardstick=_bare_mongodb(mongodb_url, name), at_least=3_000)
            )
    await log.close()
    return found


async def _projected(log: Log, store: Store) -> float:
    """Messages a second of the whole journal into an empty store."""
    await store.open()
    projector = Projector(log, store)
    await projector.claim()
    started = time.perf_counter()
    while await projector.step():
        pass
    elapsed = time.perf_counter() - started
    stored = await store.count("messages", {})
    await store.close()
    return stored / elapsed


def _bare_mongodb(url: str, name: str) -> float:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url) as client:
        bare: Any = client[name]["bare"]
        started = time.perf_counter()
        for start in range(0, MESSAGES, BATCH):
            bare.insert_many([{"_id": str(n), "doc": "x" * 400} for n in range(start, start + BATCH)])
        return MESSAGES / (time.perf_counter() - started)


def measure() -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="nb-bench-") as folder,
        running_redis() as url,
        mongodb(fast=True) as mongodb_url,
    ):
        return asyncio.run(_measure(url, Path(folder), mongodb_url))
