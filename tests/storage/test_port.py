"""What objects need of every store: one document in one step, pages by place, an end of time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from crm.kernel.errors import Duplicate, NotStored, UnsupportedQuery, WrongUse
from crm.kernel.ports import Document, Sort, Store, Write
from storage import schema
from storage.schema import Index


async def test_insert_tells_which_index_refuses(store: Store) -> None:
    await store.insert("messages", {"_id": "1", "source": "shop:1 1", "text": "salom"})
    with pytest.raises(Duplicate) as same_id:
        await store.insert("messages", {"_id": "1", "source": "shop:1 2"})
    assert same_id.value.index == "_id"
    with pytest.raises(Duplicate) as same_source:
        await store.insert("messages", {"_id": "2", "source": "shop:1 1"})
    assert same_source.value.index == "source"
    assert await store.find("messages", {}) == [{"_id": "1", "source": "shop:1 1", "text": "salom"}]
    assert len(await store.search("salom", filter={})) == 1


async def test_change_gives_the_document_after_it(store: Store) -> None:
    await store.insert("things", {"_id": "1", "version": 1, "n": 0})
    seen = {"_id": "1", "version": 1}
    after = await store.change("things", seen, {"$set": {"n": 5}, "$inc": {"version": 1}})
    assert after == {"_id": "1", "version": 2, "n": 5} == await store.get("things", "1")
    assert await store.change("things", seen, {"$set": {"n": 6}, "$inc": {"version": 1}}) is None
    assert await store.get("things", "1") == after
    assert await store.change("things", {"_id": "1"}, {"$set": {"n": 5}}) == after


async def test_change_takes_the_first_in_order(store: Store) -> None:
    await store.write([Write.insert("jobs", {"_id": str(n), "due": 10 - n}) for n in range(4)])
    waiting = {"owner": {"$exists": False}}
    taken = []
    while job := await store.change("jobs", waiting, {"$set": {"owner": "me"}}, sort=[("due", 1)]):
        taken.append(job["_id"])
    assert taken == ["3", "2", "1", "0"]


async def test_change_inserts_if_it_is_told_to(store: Store) -> None:
    assert await store.change("things", {"_id": "1"}, {"$inc": {"n": 1}}) is None
    assert await store.change("things", {"_id": "1"}, {"$inc": {"n": 1}}, upsert=True) == {"_id": "1", "n": 1}
    made = await store.change("things", {"name": "ali"}, {"$set": {"n": 2}}, upsert=True)
    assert made is not None
    assert made == {"_id": made["_id"], "name": "ali", "n": 2}


async def test_what_change_must_not_repeat(store: Store) -> None:
    await store.write([Write.insert("messages", {"_id": n, "source": n}) for n in "12"])
    with pytest.raises(Duplicate) as taken:
        await store.change("messages", {"_id": "2"}, {"$set": {"source": "1", "text": "x"}})
    assert taken.value.index == "source"
    with pytest.raises(Duplicate) as there:
        await store.change("messages", {"_id": "1", "version": 7}, {"$set": {"text": "x"}}, upsert=True)
    assert there.value.index == "_id"
    assert await store.find("messages", {}, sort=[("_id", 1)]) == [{"_id": n, "source": n} for n in "12"]


async def test_a_counter_loses_nothing(store: Store) -> None:
    found = await asyncio.gather(
        *(store.change("counters", {"_id": "n"}, {"$inc": {"n": 1}}, upsert=True) for _ in range(20))
    )
    assert sorted(d["n"] for d in found if d) == list(range(1, 21))


async def test_of_many_that_change_the_same_version_one_wins(store: Store) -> None:
    await store.insert("things", {"_id": "1", "version": 1})
    found = await asyncio.gather(
        *(
            store.change("things", {"_id": "1", "version": 1}, {"$set": {"by": n}, "$inc": {"version": 1}})
            for n in range(10)
        )
    )
    (won,) = [d for d in found if d]
    assert await store.get("things", "1") == won
    assert won["version"] == 2


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": 1}, {"$set": 1}, {"": 1}, {"a\0b": 1}, {1: 2}, "a\0b", "\ud800", 1 << 63, -(1 << 63) - 1, 10**20,
        float("nan"), float("inf"), "x" * ((8 << 20) + 1), "ё" * ((4 << 20) + 1), object(), {1, 2},
        [[{"deep": [{"$where": "1"}]}]], ["\0"],
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
async def test_what_no_store_keeps_is_refused_in_a_sentence(store: Store, value: Any) -> None:
    await store.insert("things", {"_id": "1"})
    with pytest.raises(NotStored, match=r"stored|bytes|MiB|name of a field"):
        await store.insert("things", {"_id": "2", "x": value})
    for operator in ("$set", "$push", "$addToSet"):
        with pytest.raises((NotStored, UnsupportedQuery)):
            await store.change("things", {"_id": "1"}, {operator: {"x": value}})
    assert await store.find("things", {}) == [{"_id": "1"}]


async def test_depth_ends_somewhere(store: Store) -> None:
    deep: Any = 1
    for _ in range(45):
        deep = {"a": [deep]}
    with pytest.raises(NotStored, match="within each other"):
        await store.insert("things", {"_id": "1", "x": deep})
    fine = deep["a"][0]
    for _ in range(20):
        fine = fine["a"][0]
    await store.insert("things", {"_id": "1", "x": fine})
    assert await store.get("things", "1") == {"_id": "1", "x": fine}


@pytest.mark.parametrize("id", [None, "", 7, ["1"]])
async def test_an_id_is_a_text(store: Store, id: Any) -> None:
    with pytest.raises(NotStored):
        await store.insert("things", {"_id": id})
    with pytest.raises(NotStored):
        await store.insert("things", {})


@pytest.mark.parametrize("value", [None, True, [], ["a"], {"a": 1}])
async def test_what_is_unique_is_a_text_or_a_number(store: Store, value: Any) -> None:
    with pytest.raises(NotStored, match="unique"):
        await store.insert("messages", {"_id": "1", "source": value})
    with pytest.raises(NotStored, match="unique"):
        await store.insert("line_versions", {"_id": "1", "line": "a"})
    await store.insert("messages", {"_id": "1"})
    with pytest.raises(NotStored, match="unique"):
        await store.change("messages", {"_id": "1"}, {"$set": {"source": value}})


@pytest.mark.parametrize(
    "update", [{}, {"$set": {}}, {"$set": {"x": 1}, "$inc": {}}, {"$rename": {"a": "b"}}, {"x": 1}]
)
async def test_updates_that_are_none(store: Store, update: Any) -> None:
    await store.insert("things", {"_id": "1"})
    with pytest.raises(UnsupportedQuery):
        await store.change("things", {"_id": "1"}, update)
    with pytest.raises(UnsupportedQuery):
        await store.change("things", {"$where": "1"}, {"$set": {"x": 1}})
    assert await store.get("things", "1") == {"_id": "1"}


# ------------------------------------------------------------------ pages

MIXED: list[Any] = [None, -5, 0, 2.5, 2, 1 << 53, "", "a", "ab", "b", "ё", "日本"]
ROWS: list[Document] = [
    {"_id": "p", "b": 1},
    {"_id": "q", "b": 1},
    *(
        {"_id": f"{n}{m}", "a": value, "b": m, "deep": {"z": n % 3}}
        for n, value in enumerate(MIXED)
        for m in (1, 2)
    ),
]


@pytest.fixture
async def rows(store: Store) -> Store:
    await store.write([Write.insert("leads", row) for row in reversed(ROWS)])
    return store


async def walk(store: Store, sort: Sort, limit: int, filter: Any = None) -> list[list[str]]:
    pages, after = [], ""
    while True:
        page = await store.page("leads", filter or {}, sort=sort, limit=limit, after=after)
        pages.append([d["_id"] for d in page.items])
        after = page.next
        if not after:
            return pages


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize(
    "sort",
    [
        [], [("_id", -1)], [("a", 1)], [("a", -1)], [("a", 1), ("b", -1)], [("b", -1), ("a", 1)],
        [("deep.z", -1), ("a", -1)], [("nothing", 1)], [("nothing", -1)],
    ],
    ids=str,
)  # fmt: skip
async def test_pages_are_the_list_in_pieces(rows: Store, sort: Sort, limit: int) -> None:
    whole = [d["_id"] for d in await rows.find("leads", {}, sort=sort or [("_id", 1)])]
    pages = await walk(rows, sort, limit)
    assert list(itertools.chain(*pages)) == whole
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert 0 < len(pages[-1]) <= limit


async def test_pages_of_a_part(rows: Store) -> None:
    odd = {"$or": [{"b": 1, "a": {"$gt": 0}}, {"_id": "p"}]}
    whole = [d["_id"] for d in await rows.find("leads", odd, sort=[("a", -1)])]
    assert list(itertools.chain(*await walk(rows, [("a", -1)], 1, odd))) == whole
    assert len(whole) == 4


async def test_a_place_outlives_what_was_there(rows: Store) -> None:
    sort = [("a", 1), ("b", 1)]
    first = await rows.page("leads", {}, sort=sort, limit=5)
    before = await rows.page("leads", {}, sort=sort, limit=3, after=first.next)
    await rows.write([Write.delete("leads", {"_id": d["_id"]}) for d in first.items])
    await rows.insert("leads", {"_id": "early", "a": None, "b": 0})
    assert await rows.page("leads", {}, sort=sort, limit=3, after=first.next) == before


async def test_a_place_that_is_none(rows: Store) -> None:
    page = await rows.page("leads", {}, sort=[("a", 1)], limit=2)
    wrong = [
        "x", "ё", "=", page.next[:-3], page.next + "AAAA", "W10", "bnVsbA", "eyJhIjoxfQ",
        "WyJsZWFkcyIsW1siYSIsMV0sWyJfaWQiLDFdXSxbOTk5OTk5OTk5OTk5OTk5OTk5OTk5LCJ4Il1d",  # a = 10**24 - 1
        "WyJsZWFkcyIsW1siYSIsMV0sWyJfaWQiLDFdXSxbMV1d",  # no _id
        "WyJsZWFkcyIsW1siYSIsMV0sWyJfaWQiLDFdXSxbeyIkZ3QiOiIifSwieCJdXQ",  # a = {"$gt": ""}
    ]  # fmt: skip
    for after in wrong:
        with pytest.raises(WrongUse):
            await rows.page("leads", {}, sort=[("a", 1)], limit=2, after=after)
    for sort in ([("a", -1)], [("b", 1)], [("a", 1), ("b", 1)], []):
        with pytest.raises(WrongUse, match="another list"):
            await rows.page("leads", {}, sort=sort, limit=2, after=page.next)
    with pytest.raises(WrongUse, match="another list"):
        await rows.page("deals", {}, sort=[("a", 1)], limit=2, after=page.next)


async def test_what_has_no_place_in_an_order(store: Store) -> None:
    await store.write([Write.insert("leads", {"_id": str(n), "a": [1]}) for n in range(3)])
    with pytest.raises(UnsupportedQuery):
        await store.page("leads", {}, sort=[("a", 1)], limit=1)
    for sort in ([("a'", 1)], [("a", 2)]):
        with pytest.raises(UnsupportedQuery):
            await store.page("leads", {}, sort=sort, limit=1)
    assert await store.page("nothing_here", {}, sort=[("a", 1)], limit=1) == ([], "")


# ------------------------------------------------------------------ expiry


async def test_what_is_past_its_time_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(schema.INDEXES, "receipts", (Index(("at",), expires=60),))
    times = {"old": 0, "just": 40_000, "young": 40_001, "text": "1", "none": None}
    await store.write([Write.insert("receipts", {"_id": id, "at": at}) for id, at in times.items()])
    await store.insert("receipts", {"_id": "no time"})
    assert await store.expire(100_000) == 2
    assert await store.expire(100_000) == 0
    left = await store.find("receipts", {}, sort=[("_id", 1)])
    assert [d["_id"] for d in left] == ["no time", "none", "text", "young"]


# ------------------------------------------------------------------ what the comparison once found


@pytest.mark.parametrize(("before", "after"), [(False, 0), (1, True), (0, False)])
async def test_a_truth_is_no_number(store: Store, before: Any, after: Any) -> None:
    await store.insert("things", {"_id": "1", "x": before, "list": [before]})
    change = {"$set": {"x": after, "list": [after]}}
    assert await store.write([Write.update("things", {"_id": "1"}, change)]) == 1
    found = await store.change("things", {"_id": "1"}, change)
    for document in (found, await store.get("things", "1")):
        assert document is not None
        assert (type(document["x"]), type(document["list"][0])) == (type(after), type(after))


async def test_the_id_may_lead_a_sort(store: Store) -> None:
    await store.write([Write.insert("things", {"_id": id, "n": 1}) for id in "bac"])
    for sort in ([("_id", 1), ("n", -1)], [("n", -1), ("_id", 1)]):
        assert [d["_id"] for d in await store.find("things", {}, sort=sort)] == ["a", "b", "c"]
