"""Both stores, the same operations, the same answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.kernel.errors import UnsupportedQuery
from crm.kernel.ports import Store, Write
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.servers import ferretdb

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
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ferretdb.mongodb() as url:
        if url is None:
            pytest.skip(ferretdb.WHY_NOT)
        pair = Pair(tmp_path_factory.mktemp("same"), url)
        yield pair
        pair.close()


@settings(max_examples=100, deadline=None)
@given(st.lists(WRITES | FILTERS, min_size=1, max_size=12))
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
        found = await store.find(collection, step, sort=[("_id", 1)])
        return found, await store.count(collection, step)
    except UnsupportedQuery:
        return "refused"
