"""Both stores, the same operations, the same answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.kernel.errors import Duplicate, NotStored, UnsupportedQuery
from crm.kernel.ports import Store, Write
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.servers import mongodb

IDS = st.sampled_from("abc")
FIELDS = st.sampled_from(["x", "y", "list", "deep.z"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 2.0])
SCALARS = NUMBERS | st.sampled_from(["", "a", "b", "ё"]) | st.booleans() | st.none()
ORDERED = NUMBERS | st.sampled_from(["", "a", "b"])

DOCUMENTS = st.fixed_dictionaries(
    {"_id": IDS},
    optional={
        "x": SCALARS, "y": SCALARS, "list": st.lists(SCALARS, max_size=3),
        "deep": st.fixed_dictionaries({}, optional={"z": SCALARS}),
    },
)  # fmt: skip

CONDITIONS = st.one_of(
    SCALARS,
    st.fixed_dictionaries({"$ne": SCALARS}),
    st.sampled_from(["$gt", "$gte", "$lt", "$lte"]).flatmap(lambda op: st.fixed_dictionaries({op: ORDERED})),
    st.lists(SCALARS, max_size=3).map(lambda values: {"$in": values}),
    st.lists(SCALARS, max_size=3).map(lambda values: {"$nin": values}),
    st.booleans().map(lambda there: {"$exists": there}),
)
SIMPLE = st.dictionaries(FIELDS, CONDITIONS, max_size=2) | st.fixed_dictionaries({"_id": IDS})
FILTERS = SIMPLE | st.lists(SIMPLE, min_size=1, max_size=2).flatmap(
    lambda parts: st.sampled_from([{"$or": parts}, {"$and": parts}])
)

CHANGES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    FIELDS.flatmap(lambda f: SCALARS.map(lambda v: {"$set": {f: v}})),
    FIELDS.map(lambda f: {"$unset": {f: ""}}),
    FIELDS.flatmap(lambda f: NUMBERS.map(lambda v: {"$inc": {f: v}})),
    FIELDS.flatmap(lambda f: NUMBERS.map(lambda v: {"$max": {f: v}})),
    FIELDS.flatmap(lambda f: NUMBERS.map(lambda v: {"$min": {f: v}})),
    SCALARS.map(lambda v: {"$push": {"list": v}}),
    SCALARS.map(lambda v: {"$addToSet": {"list": v}}),
    SCALARS.map(lambda v: {"$pull": {"list": v}}),
)

WRITES = st.one_of(
    DOCUMENTS.map(lambda d: Write.insert("things", d)),
    DOCUMENTS.map(lambda d: Write.replace("things", d)),
    st.tuples(IDS, CHANGES).map(lambda t: Write.update("things", {"_id": t[0]}, t[1])),
    st.tuples(IDS, CHANGES).map(lambda t: Write.upsert("things", {"_id": t[0]}, t[1])),
    FILTERS.map(lambda f: Write.delete("things", f)),
)


class Insert(NamedTuple):
    document: dict[str, Any]


class Change(NamedTuple):
    """``filter`` names one document or none: which is the first of several, stores see differently."""

    filter: dict[str, Any]
    update: dict[str, Any]
    upsert: bool


class Walk(NamedTuple):
    """A whole list, page by page."""

    filter: dict[str, Any]
    sort: list[tuple[str, int]]
    limit: int


CHANGED = st.tuples(IDS, SIMPLE).map(lambda t: {**t[1], "_id": t[0]})
ODD = st.sampled_from(
    [1 << 63, float("inf"), "a\0", "\ud800", {"a.b": 1}, {"$x": 1}, {"": 1}, b"\0", {"ok": [1, {}]}]
)
PORT = st.one_of(
    (DOCUMENTS | st.tuples(DOCUMENTS, ODD).map(lambda t: {**t[0], "odd": t[1]})).map(Insert),
    st.builds(Change, CHANGED, CHANGES | ODD.map(lambda v: {"$set": {"odd": v}}), st.booleans()),
    st.builds(
        Walk,
        SIMPLE,
        st.lists(st.tuples(st.sampled_from(["place", "deep.place", "_id"]), st.sampled_from([1, -1])), max_size=2,
                 unique_by=lambda one: one[0]),
        st.integers(1, 3),
    ),
)  # fmt: skip

PLACES = NUMBERS | st.sampled_from(["", "a", "b", "ё"]) | st.none()
PLACED = st.tuples(
    DOCUMENTS,
    st.fixed_dictionaries(
        {}, optional={"place": PLACES, "deep": st.fixed_dictionaries({}, optional={"place": PLACES})}
    ),
).map(lambda t: Write.replace("things", {**t[0], **t[1]}))


class Pair:
    """A store of each kind, open for all examples; each example has a collection of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.runner = asyncio.Runner()
        self.stores: list[Store] = [
            SqliteStore(folder / "store.sqlite"),
            MongoStore(url, f"navbat_test_{uuid.uuid4().hex[:8]}", timeout=20),
        ]
        for store in self.stores:
            self.runner.run(store.open())

    def close(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, mongodb_url: str | None) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("same"), mongodb.there(mongodb_url))
    yield pair
    pair.close()


@settings(max_examples=100, deadline=None)
@given(st.lists(WRITES | FILTERS | PORT | PLACED, min_size=1, max_size=12))
def test_the_same_operations_have_the_same_answers(pair: Pair, steps: list[Any]) -> None:
    collection = "things_" + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex)

    async def compare() -> None:
        for step in [*steps, {}]:
            here, there = [await _answer(store, collection, step) for store in pair.stores]
            assert here == there, step

    pair.runner.run(compare())


async def _answer(store: Store, collection: str, step: Any) -> Any:
    try:
        if isinstance(step, Write):
            step.collection = collection
            count = await store.write([step])
            # Whether the same fields in another order are a change, servers see differently.
            return None if step.kind == "replace" else count
        if isinstance(step, Insert):
            return await store.insert(collection, dict(step.document))
        if isinstance(step, Change):
            return await store.change(collection, step.filter, step.update, upsert=step.upsert)
        if isinstance(step, Walk):
            return await _walked(store, collection, step)
        found = await store.find(collection, step, sort=[("_id", 1)])
        return found, await store.count(collection, step)
    except (UnsupportedQuery, NotStored):
        return "refused"
    except Duplicate as error:
        return f"there is {error.index}"


async def _walked(store: Store, collection: str, walk: Walk) -> list[dict[str, Any]]:
    found, after = [], ""
    while True:
        page = await store.page(collection, walk.filter, sort=walk.sort, limit=walk.limit, after=after)
        found += page.items
        after = page.next
        if not after:
            assert found == await store.find(collection, walk.filter, sort=walk.sort or [("_id", 1)])
            return found
