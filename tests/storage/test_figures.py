"""Figures in a MongoDB, which may break off in the middle of a batch, are those of SQLite."""

from __future__ import annotations

import random
from typing import Any

from crm.statistics.asking import Question
from crm.statistics.behind import behind
from crm.statistics.tables import table
from router.history.line_time import LineTimes
from router.history.rebuild import rebuild
from router.log.log import Log
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.router.history.month import LINES, Month
from tests.router.history.test_counting import everything, projected

MARCH = Question("2026-03-01", "2026-03-31")


async def asked(store: Any) -> list[Any]:
    """What people are shown."""
    found: list[Any] = []
    for kind in ("sessions", "operators", "csat"):
        for by in ("day", "line", "operator"):
            found.append(await table(store, kind, MARCH._replace(by=by)))
            found.append(await table(store, kind, MARCH._replace(by=by, lines=("sales",))))
    found.append(sorted((await behind(store, MARCH, "taken", limit=500))[0]))
    return found


async def test_figures_are_the_same_in_both(log: Log, mongo: MongoStore, sqlite: SqliteStore) -> None:
    month = Month(3).live(30)
    await projected(log, sqlite, month, random.Random(1))
    await log.redis.delete(log.keys.journal)
    await projected(log, mongo, month, random.Random(2))
    assert await everything(mongo) == await everything(sqlite)
    shown = await asked(mongo)
    assert shown == await asked(sqlite)
    assert len(shown[0][0]) > 5
    await rebuild(mongo, LineTimes(LINES), "again")
    assert await everything(mongo) == await everything(sqlite)
