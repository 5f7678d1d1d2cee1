"""The line to a MongoDB breaks between any two steps, before or after the server had its command: what was asked for
either is there as a whole or not at all, the caller is told, and asking again ends in the same place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pymongo.common
import pytest

from crm.kernel.errors import Duplicate, Unavailable
from crm.kernel.ports import Store, Write
from navbat.keeping import copying
from storage.migrations import migrating
from storage.migrations.migrating import migrate
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.servers import mongodb
from tests.servers.broken_line import line
from tests.storage.test_migrations import DOUBLED, doubled, numbers

WORDS = (b"insert\0", b"update\0", b"delete\0", b"findAndModify\0", b"find\0", b"getMore\0")


class Breaking:
    """Breaks the line at the ``at``-th command that reads or writes."""

    def __init__(self) -> None:
        self.at = -1
        self.where = ""
        self.broke = False

    async def __call__(self, command: bytes) -> str:
        # The name of a command is the first key of its document, behind a head and the length.
        if not any(command[26 : 26 + len(word)] == word for word in WORDS):
            return ""
        self.at -= 1
        if self.at != 0:
            return ""
        self.broke = True
        return self.where


@pytest.fixture
def breaking() -> Breaking:
    return Breaking()


@pytest.fixture
async def shaky(
    mongo: MongoStore,
    mongodb_url: str | None,
    tmp_path: Path,
    breaking: Breaking,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[MongoStore]:
    """The database of ``mongo`` behind the breaking line."""
    # For how long the driver leaves a server alone that it has lost.
    monkeypatch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.01)
    async with line(mongodb.there(mongodb_url), tmp_path, breaking) as url:
        store = MongoStore(url, mongo._name, timeout=5)
        await store.open()
        yield store
        await store.close()


async def insist(breaking: Breaking, at: int, where: str, work: Callable[[], Awaitable[Any]]) -> bool:
    """Does the work with the line breaking at a command of it, then again with a whole line. Returns whether
    it broke at all."""
    breaking.at, breaking.where, breaking.broke = at, where, False
    try:
        await work()
    except Unavailable:
        assert breaking.broke
        await work()
    return breaking.broke


@pytest.mark.parametrize("where", ["before", "after"])
async def test_inserting_and_changing(
    shaky: MongoStore, mongo: Store, breaking: Breaking, where: str
) -> None:
    async def work() -> None:
        with contextlib.suppress(Duplicate):  # the answer was lost, the document was not
            await shaky.insert("leads", {"_id": f"l{at}", "version": 1})
        after = await shaky.change(
            "leads", {"_id": f"l{at}", "version": 1}, {"$set": {"stage": "won"}, "$inc": {"version": 1}}
        )
        if after is None:  # the answer was lost, the change was not
            after = await shaky.get("leads", f"l{at}")
        assert after == {"_id": f"l{at}", "version": 2, "stage": "won"}

    at = 1
    while await insist(breaking, at, where, work):
        assert await mongo.get("leads", f"l{at}") == {"_id": f"l{at}", "version": 2, "stage": "won"}
        at += 1
    assert at == 3


@pytest.mark.parametrize("where", ["before", "after"])
async def test_reading_pages(shaky: MongoStore, mongo: Store, breaking: Breaking, where: str) -> None:
    await mongo.write([Write.insert("leads", {"_id": str(n), "at": n % 3}) for n in range(8)])
    whole = await mongo.find("leads", {}, sort=[("at", -1)])
    found: list[Any] = []

    async def work() -> None:
        found.clear()
        after = ""
        while True:
            page = await shaky.page("leads", {}, sort=[("at", -1)], limit=3, after=after)
            found.extend(page.items)
            after = page.next
            if not after:
                return

    at = 1
    while await insist(breaking, at, where, work):
        assert found == whole
        at += 1
    assert at > 3


@pytest.mark.parametrize("where", ["before", "after"])
async def test_migrating(
    shaky: MongoStore, mongo: Store, breaking: Breaking, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "PAGE", 4)
    now = 1_000_000
    monkeypatch.setattr(migrating, "_now", lambda: now)

    async def work() -> None:
        nonlocal now
        now += migrating.LOCKED
        await migrate(shaky, [DOUBLED])

    at = 1
    while True:
        await mongo.write([Write.delete("things", {}), Write.delete("migrations", {}), *numbers(10)])
        if not await insist(breaking, at, where, work):
            break
        assert await doubled(mongo) == [2 * n for n in range(10)]
        at += 1
    assert at > 8


@pytest.mark.parametrize("where", ["before", "after"])
async def test_copying_a_collection(
    shaky: MongoStore, mongo: Store, sqlite: SqliteStore, breaking: Breaking, where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(copying, "PAGE", 4)
    await sqlite.write([Write.insert("deals", {"_id": str(n), "keys": [f"k{n}"]}) for n in range(10)])
    wanted = await copying.sum_of(sqlite, "deals")

    async def work() -> None:
        await copying.bring_up(sqlite, shaky, "deals")

    at = 1
    while True:
        await mongo.write([Write.delete("deals", {}), Write.insert("deals", {"_id": "99", "keys": ["old"]})])
        if not await insist(breaking, at, where, work):
            break
        assert await copying.sum_of(mongo, "deals") == wanted
        assert await mongo.count("deals", {"keys": "k7"}) == 1
        at += 1
    assert at > 4


async def test_an_index_may_take_longer_than_a_call(
    mongo: MongoStore, mongodb_url: str | None, tmp_path: Path
) -> None:
    slow = 0

    async def what(command: bytes) -> str:
        nonlocal slow
        if command[26:39] == b"createIndexes" and slow == 0:
            slow += 1
            await asyncio.sleep(1.2)
        return ""

    async with line(mongodb.there(mongodb_url), tmp_path, what) as url:
        store = MongoStore(url, mongo._name, timeout=0.6)
        await store.open()
        await store.close()
    assert slow == 1
