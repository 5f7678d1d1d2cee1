"""One store is made the same as another, whatever either had, and wherever it was cut off."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.ports import Document, Store, Write
from navbat.keeping import copying
from storage.schema import INDEXES
from storage.sqlite import SqliteStore

NAME = "messages"


def documents(random: Random) -> list[Document]:
    ids = random.sample(range(1200), random.randint(0, 1100))
    return [
        {
            "_id": f"{id}-{random.choice(('a', 'я'))}",
            "text": random.choice(
                ("salom", "ё", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"))
            ),
            "n": random.choice((0, 1.0, -5, 2**53, None, True)),
            "raw": random.choice((b"", b"\x00\xff")),
            "inner": {"b": [1, {"c": "x"}], "a": "y"},
        }
        for id in ids
    ]


async def other(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "other.sqlite")
    await store.open()
    return store


@pytest.mark.parametrize("seed", range(3))
async def test_both_are_the_same_afterwards(store: Store, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    target = await other(tmp_path)
    for filled in (store, target):
        await filled.write([Write.replace(NAME, document) for document in documents(random)])
    await copying.bring_up(store, target, NAME)
    assert await copying.sum_of(store, NAME) == await copying.sum_of(target, NAME)
    assert await copying.bring_up(store, target, NAME) == 0
    await copying.bring_up(target, store, NAME)
    assert await copying.sum_of(store, NAME) == await copying.sum_of(target, NAME)
    await target.close()


async def test_a_unique_value_that_went_over_to_another_document(store: Store, tmp_path: Path) -> None:
    target = await other(tmp_path)
    await target.write([Write.insert(NAME, {"_id": "z", "source": "1"})])
    await store.write([Write.insert(NAME, {"_id": "a", "source": "1"})])
    while await copying.bring_up(store, target, NAME):
        pass
    assert await target.find(NAME, {}) == [{"_id": "a", "source": "1"}]
    await target.close()


class Failing:
    """A store that breaks off at its n-th write."""

    def __init__(self, store: Store, left: int) -> None:
        self._store = store
        self._left = left

    async def write(self, writes: list[Write]) -> int:
        self._left -= 1
        if self._left < 0:
            raise Unavailable("gone")
        return await self._store.write(writes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_cut_off_it_goes_on(sqlite: SqliteStore, tmp_path: Path) -> None:
    await sqlite.write([Write.insert(NAME, {"_id": f"{n:05}"}) for n in range(5 * copying.PAGE)])
    target = await other(tmp_path)
    with pytest.raises(Unavailable):
        await copying.bring_up(sqlite, Failing(target, 3), NAME)  # type: ignore[arg-type]
    assert await target.count(NAME, {}) == 3 * copying.PAGE
    assert await copying.bring_up(sqlite, target, NAME) == 2 * copying.PAGE
    assert await copying.sum_of(target, NAME) == await copying.sum_of(sqlite, NAME)
    await target.close()


async def test_a_file_and_back(store: Store, tmp_path: Path) -> None:
    await store.write([Write.replace(NAME, document) for document in documents(Random(7))])
    path = tmp_path / "messages.jsonl"
    written = await copying.to_file(store, NAME, path)
    assert copying.sum_of_file(path) == written
    target = await other(tmp_path)
    await copying.from_file(path, target, NAME)
    assert await copying.sum_of(target, NAME) == written
    assert await target.find(NAME, {}, sort=[("_id", 1)]) == await store.find(NAME, {}, sort=[("_id", 1)])
    await target.close()


@pytest.mark.parametrize("line", [b"\xff\n", b"[]\n", b"{}\n", b'{"_id":1}\n', b"{\n"])
async def test_a_line_that_is_no_document(sqlite: SqliteStore, tmp_path: Path, line: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"_id":"1"}\n' + line)
    with pytest.raises(NavbatError, match="line 2"):
        await copying.from_file(tmp_path / "x.jsonl", sqlite, NAME)


async def test_collections_are_named_and_nothing_that_a_store_has_for_itself(store: Store) -> None:
    await store.write([Write.insert("cheeses", {"_id": "1"})])
    names = await store.collections()
    assert {"cheeses", "messages", "customers"} <= set(names)
    assert not {"marks", "messages_words", "sqlite_sequence"} & set(names)
    assert names == sorted(names)


async def test_every_collection_goes_over_with_what_is_found_by_its_elements(
    store: Store, tmp_path: Path
) -> None:
    """Into a store and a file and back: whatever collection a version has, and what its indexes find."""
    target, last = await other(tmp_path), SqliteStore(tmp_path / "last.sqlite")
    await last.open()
    for name in INDEXES:
        await store.write([Write.insert(name, filled(name, n)) for n in range(3)])
    for name in await copying.names(store):
        await copying.bring_up(store, target, name)
        told = await copying.to_file(target, name, tmp_path / f"{name}.jsonl")
        await copying.from_file(tmp_path / f"{name}.jsonl", last, name)
        assert (told.count, told) == (3, await copying.sum_of(store, name)), name
        assert await copying.sum_of(last, name) == told, name
        for index in INDEXES[name]:
            found = {index.fields[0]: f"{index.fields[0]} 1"}
            assert [d["_id"] for d in await last.find(name, found)] == ["1"], (name, index)
    for one in (target, last):
        await one.close()


def filled(name: str, number: int) -> Document:
    """A document that each index of a collection has something of."""
    document: Document = {"_id": str(number)}
    for index in INDEXES[name]:
        for field in index.fields:
            value: Any = f"{field} {number}"
            *outer, last = field.split(".")
            value = {last: value} if outer else value
            document[outer[0] if outer else field] = [value] if index.many else value
    return document
