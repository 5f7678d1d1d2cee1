"""Both stores, the same operations, the same answers."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.errors import UnsupportedQuery
from crm.ports import Store, Write
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

# FerretDB takes no null into ``$in`` of arrays the way MongoDB does; the contract suite has the plain ones.
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


async def _answer(store: Store, step: Any) -> Any:
    try:
        if isinstance(step, Write):
            return await store.write([step])
        found = await store.find("things", step, sort=[("_id", 1)])
        return found, await store.count("things", step)
    except UnsupportedQuery:
        return "refused"


@pytest.fixture(scope="module")
def mongodb_address() -> Any:
    with ferretdb.mongodb() as url:
        yield url


@settings(max_examples=60, deadline=None)
@given(st.lists(WRITES | FILTERS, min_size=1, max_size=12))
def test_the_same_operations_have_the_same_answers(mongodb_address: str | None, steps: list[Any]) -> None:
    if mongodb_address is None:
        pytest.skip(ferretdb.WHY_NOT)
    asyncio.run(_compare(mongodb_address, steps))


async def _compare(url: str, steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores: list[Store] = [
            SqliteStore(Path(folder) / "x"),
            MongoStore(url, f"same_{uuid.uuid4().hex[:8]}", timeout=20),
        ]
        for store in stores:
            await store.open()
        try:
            for step in [*steps, {}]:
                here, there = [await _answer(store, step) for store in stores]
                assert here == there, step
        finally:
            for store in stores:
                await store.close()
