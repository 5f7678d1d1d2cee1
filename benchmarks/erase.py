"""Seconds until a person with 10 000 messages is erased, his bytes gone from the files of SQLite and Redis, while
Redis still has the last hours of him and of everybody else. The yardstick is SQLite's own VACUUM of the same file."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure, figure, running_redis, until
from benchmarks.route import DESK, message, prepare
from crm.consent import erasure
from router.consent.eraser import Eraser
from router.history.projector import Projector
from router.log.home import connect
from router.log.log import Log
from router.worker import Worker
from storage.media import MediaStore
from storage.sqlite import SqliteStore

HIS = 10_000
OTHERS = 20_000
CHATS = 2000


async def _lived(log: Log) -> None:
    for start in range(0, HIS + OTHERS, 2000):
        numbers = range(start, start + 2000)
        # A third of all is his.
        chats = {n: 0 if n % 3 == 0 else 1 + n % CHATS for n in numbers}
        await asyncio.gather(*(log.append(message(10_000 + n, chats[n])) for n in numbers))
    await until(lambda: _done(log))


async def _done(log: Log) -> bool:
    lags = await log.lags([])
    return lags["log"] == lags["store"] == 0


async def _measure(url: str, folder: Path) -> Figure:
    log = Log(connect(url), DESK)
    store = SqliteStore(folder / "desk.sqlite")
    await store.open()
    parts: list[Worker | Projector] = [Worker(log, store), Projector(log, store)]
    tasks = [asyncio.create_task(part.run()) for part in parts]
    await prepare(log, every_rule=False)
    await _lived(log)
    (session,) = await store.find("sessions", {"chat": "bot:0"})
    said = await store.count("messages", {"session": session["_id"]})
    started = time.perf_counter()
    intent, _ = await erasure.ask(store, session["customer"], by="", at=log.now())
    assert intent is not None
    receipt = await Eraser(log, store, MediaStore(folder / "media")).carry_out(intent)
    elapsed = time.perf_counter() - started
    assert receipt["counts"]["messages"] == said >= HIS
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await store.close()
    await log.close()
    return figure(f"erased, {said} messages", elapsed, "s", yardstick=_vacuum(folder), at_most=5.0)


def _vacuum(folder: Path) -> float:
    with contextlib.closing(sqlite3.connect(folder / "desk.sqlite")) as db:
        started = time.perf_counter()
        db.execute("VACUUM")
        return time.perf_counter() - started


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder, running_redis() as url:
        return [asyncio.run(_measure(url, Path(folder)))]
