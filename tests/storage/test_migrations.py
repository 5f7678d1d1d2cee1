"""Stores of earlier versions become stores of this one, once, whoever dies on the way."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from crm.conversations import history
from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.ports import Document, Filter, Store, Write
from crm.operators import accounts
from navbat.keeping import copying
from storage.migrations import migrating
from storage.migrations.migrating import COLLECTION, LOCK, Taken, migrate, refuse_newer, version_of
from storage.migrations.steps import STEPS, Migration
from storage.sqlite import SqliteStore

STORES = sorted((Path(__file__).parents[1] / "data" / "stores").glob("*.sqlite"))

DOUBLED = Migration(
    "numbers are doubled",
    "things",
    {"doubled": {"$exists": False}},
    lambda d: {"$set": {"n": d["n"] * 2, "doubled": True}} if d["n"] else None,
)


def numbers(count: int) -> list[Write]:
    return [Write.insert("things", {"_id": f"{n:03}", "n": n}) for n in range(count)]


async def doubled(store: Store) -> list[int]:
    return [d["n"] for d in await store.find("things", {}, sort=[("_id", 1)])]


@pytest.fixture(params=STORES, ids=lambda path: path.stem)
async def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / "earlier.sqlite"
    shutil.copy(request.param, path)
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


async def check(store: Store) -> None:
    people = {d["name"]: d for d in await store.find("customers", {})}
    assert {name: (d["version"], d["phones"]) for name, d in people.items()} == {
        "Ali Valiyev": (1, [{"e164": "+998901234567", "raw": "+998 90 123-45-67"}]),
        "Olga": (1, []),
        "Bek": (1, [{"e164": "+998711234567", "raw": "998711234567"}]),
    }
    assert await store.count("customers", {"keys": "phone:+998901234567"}) == 1
    found = await history.messages(store, "1")
    assert [m.seq for m in found] == [1, 2, 3, 4, 9]
    assert found[-1].raw == b"\x00\xff"
    for query in ("narxi", "ozbek", "елка", "gisht"):
        assert len(await history.search(store, query, lines=["sales"])) == 3
    assert [a.name for a in await accounts.list_accounts(store)] == ["anna", "boss"]
    assert await store.count("sessions", {"status": "waiting"}) == 3


async def test_each_earlier_store_becomes_one_of_now(earlier: SqliteStore) -> None:
    assert await version_of(earlier) == 0
    taken = await migrate(earlier)
    assert [(one.number, one.documents) for one in taken] == [(1, 3), (2, 3), (3, 3)]
    await check(earlier)
    assert await version_of(earlier) == len(STEPS)
    before = {name: await copying.sum_of(earlier, name) for name in await earlier.collections()}
    assert await migrate(earlier) == []
    assert {name: await copying.sum_of(earlier, name) for name in await earlier.collections()} == before


async def test_each_earlier_store_becomes_one_of_now_on_mongodb(earlier: SqliteStore, store: Store) -> None:
    for name in await copying.names(earlier):
        await copying.bring_up(earlier, store, name)
    await migrate(store)
    await check(store)


async def test_an_empty_store_is_of_this_version(store: Store) -> None:
    assert [one.documents for one in await migrate(store)] == [0] * len(STEPS)
    assert await version_of(store) == len(STEPS)


async def test_a_newer_store_is_refused_and_left_alone(store: Store) -> None:
    await store.write(numbers(3))
    await migrate(store, [DOUBLED, DOUBLED])
    before = await copying.sum_of(store, COLLECTION)
    for look in (migrate, refuse_newer):
        with pytest.raises(NavbatError, match="at version 2, and this program knows 1") as refused:
            await look(store, [DOUBLED])
        assert "newer version" in refused.value.hint
    assert await copying.sum_of(store, COLLECTION) == before


async def test_steps_that_are_new_are_taken_alone(store: Store) -> None:
    await store.write(numbers(3))
    assert await migrate(store, [DOUBLED]) == [Taken(1, DOUBLED.name, 2)]
    assert await migrate(store, [DOUBLED, DOUBLED._replace(pending={"n": {"$gt": 3}})]) == [
        Taken(2, DOUBLED.name, 1)
    ]
    assert await doubled(store) == [0, 2, 8]


class Dying:
    """A store that is lost at its ``n``-th call, before or after it was carried out."""

    def __init__(self, store: Store, calls: int, *, after: bool) -> None:
        self._store = store
        self._left = calls
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0 or (self._left == 0 and not self._after):
                raise Unavailable("the connection is lost")
            result = await method(*args, **kwargs)
            if self._left == 0:
                raise Unavailable("the connection is lost")
            return result

        return call


@pytest.mark.parametrize("after", [False, True])
async def test_lost_between_any_two_steps_it_goes_on(
    store: Store, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "PAGE", 4)
    now = 1_000_000
    monkeypatch.setattr(migrating, "_now", lambda: now)
    await store.write(numbers(10))
    for calls in range(1, 100):
        dying: Any = Dying(store, calls, after=after)
        try:
            await migrate(dying, [DOUBLED])
        except Unavailable:
            now += migrating.LOCKED
        else:
            break
    assert 3 <= calls < 20
    assert await doubled(store) == [2 * n for n in range(10)]
    assert await version_of(store) == 1


async def test_of_two_at_once_one_does_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "PAGE", 4)
    await store.write(numbers(30))

    async def until_done() -> int:
        while True:
            try:
                return sum(one.documents for one in await migrate(store, [DOUBLED]))
            except Unavailable:
                await asyncio.sleep(0.01)

    changed = await asyncio.gather(*(until_done() for _ in range(4)))
    assert sorted(changed) == [0, 0, 0, 29]
    assert await doubled(store) == [2 * n for n in range(30)]


async def test_a_lock_that_ran_out_is_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that slept through its time stops at its next page, and the other goes on."""
    monkeypatch.setattr(migrating, "PAGE", 4)
    await store.write(numbers(10))
    others: list[list[Taken]] = []

    class Sleepy:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
            if not others:
                others.append([])
                later = migrating._now() + migrating.LOCKED + 1
                with monkeypatch.context() as patched:
                    patched.setattr(migrating, "_now", lambda: later)
                    others[0] = await migrate(store, [DOUBLED])
            return await store.write(writes, expect=expect)

    sleepy: Any = Sleepy()
    with pytest.raises(Unavailable, match="another process"):
        await migrate(sleepy, [DOUBLED])
    assert others == [[Taken(1, DOUBLED.name, 9)]]
    assert await doubled(store) == [2 * n for n in range(10)]
    lock = await store.get(COLLECTION, LOCK)
    assert lock is not None
    assert lock["until"] == 0
    assert await migrate(store, [DOUBLED]) == []


async def test_what_was_changed_meanwhile_is_left_alone(store: Store) -> None:
    await store.write(numbers(3))

    class Racing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def find(self, collection: str, *args: Any, **options: Any) -> list[Document]:
            found = await store.find(collection, *args, **options)
            await store.write([Write.update("things", {"_id": "001"}, {"$set": {"n": 7, "doubled": True}})])
            return found

    racing: Any = Racing()
    await migrate(racing, [DOUBLED])
    assert await doubled(store) == [0, 7, 4]
