"""What every store must do. One suite for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from crm.kernel.errors import LeaseLost, UnsupportedQuery
from crm.kernel.ports import Document, Filter, Store, Update, Write
from crm.kernel.spelling import APOSTROPHES
from storage.sqlite import SqliteStore

PEOPLE: list[Document] = [
    {"_id": "ali", "age": 30, "city": "Tashkent", "tags": ["vip", "new"], "phones": [{"n": "1"}, {"n": "2"}]},
    {"_id": "bek", "age": 40.5, "city": "Буxоро", "active": True, "name": {"first": "Bek"}},
    {"_id": "olga", "age": "30", "city": None, "tags": [], "active": False, "count": 1},
    {"_id": "vera", "name": {"first": "Vera"}, "tags": ["old"], "count": 0},
]


@pytest.fixture
async def people(store: Store) -> Store:
    assert await store.write([Write.insert("people", person) for person in PEOPLE]) == 4
    return store


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({}, "ali bek olga vera"),
        ({"_id": "ali"}, "ali"),
        ({"city": "Tashkent"}, "ali"),
        ({"city": "Буxоро"}, "bek"),
        ({"city": None}, "olga vera"),
        ({"city": {"$ne": None}}, "ali bek"),
        ({"city": {"$exists": False}}, "vera"),
        ({"city": {"$exists": True, "$ne": "Tashkent"}}, "bek olga"),
        ({"age": 30}, "ali"),
        ({"age": {"$gt": 30}}, "bek"),
        ({"age": {"$gte": 30, "$lt": 40.5}}, "ali"),
        ({"age": {"$lte": "31"}}, "olga"),
        ({"age": {"$in": [30, "30"]}}, "ali olga"),
        ({"age": {"$in": []}}, ""),
        ({"age": {"$nin": [30, None]}}, "bek olga"),
        ({"tags": "vip"}, "ali"),
        ({"tags": {"$in": ["vip", "old"]}}, "ali vera"),
        ({"tags": {"$ne": "vip"}}, "bek olga vera"),
        ({"phones.n": "2"}, "ali"),
        ({"phones.n": {"$gt": "1"}}, "ali"),
        ({"name.first": "Vera"}, "vera"),
        ({"name.first": {"$exists": True}}, "bek vera"),
        ({"active": True}, "bek"),
        ({"count": True}, ""),
        ({"count": 1.0}, "olga"),
        ({"active": {"$ne": True}}, "ali olga vera"),
        ({"$or": [{"age": 30}, {"name.first": "Bek"}]}, "ali bek"),
        ({"$and": [{"tags": "new"}, {"$or": [{"age": 1}, {"city": "Tashkent"}]}]}, "ali"),
        ({"_id": {"$in": ["ali", "nobody"]}, "age": 30}, "ali"),
    ],
)
async def test_filters(people: Store, filter: Filter, names: str) -> None:
    found = await people.find("people", filter, sort=[("_id", 1)])
    assert [d["_id"] for d in found] == names.split()
    assert await people.count("people", filter) == len(names.split())


@pytest.mark.parametrize(
    "filter",
    [
        {"$where": "1"},
        {"age": {"$regex": "x"}},
        {"age": {"$gt": True}},
        {"age": {"$gt": None}},
        {"age": {"$not": {"$gt": 1}}},
        {"age": {}},
        {"age": [1]},
        {"age": {"first": "Bek"}},
        {"age": {"$in": 3}},
        {"age": {"$in": [[1]]}},
        {"age": {"$exists": 1}},
        {"age": float("nan")},
        {"age": b"x"},
        {"tags.0": "vip"},
        {"a..b": 1},
        {"a') OR 1=1 --": 1},
        {"$or": []},
        {"$or": {"a": 1}},
        {"$and": [{"$nor": []}]},
    ],
)
async def test_other_filters_are_refused(people: Store, filter: Filter) -> None:
    with pytest.raises(UnsupportedQuery):
        await people.find("people", filter)
    with pytest.raises(UnsupportedQuery):
        await people.count("people", filter)
    with pytest.raises(UnsupportedQuery):
        await people.write([Write.delete("people", filter)])
    with pytest.raises(UnsupportedQuery):
        await people.search("x", filter=filter)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"$set": {"age": 31, "name.last": "Valiyev"}}, {"age": 31, "name": {"last": "Valiyev"}}),
        ({"$unset": {"age": "", "nothing": ""}}, {"age": None}),
        ({"$inc": {"age": 2, "new": 1}}, {"age": 32, "new": 1}),
        ({"$max": {"age": 29, "top": 5}}, {"age": 30, "top": 5}),
        ({"$max": {"age": 31, "city": "U"}}, {"age": 31, "city": "U"}),
        ({"$min": {"age": 29, "city": "U"}}, {"age": 29, "city": "Tashkent"}),
        ({"$max": {"age": "text is more than a number"}}, {"age": "text is more than a number"}),
        ({"$push": {"tags": "vip", "list": 1}}, {"tags": ["vip", "new", "vip"], "list": [1]}),
        ({"$addToSet": {"tags": "vip"}}, {"tags": ["vip", "new"]}),
        ({"$addToSet": {"phones": {"n": "3"}}}, {"phones": [{"n": "1"}, {"n": "2"}, {"n": "3"}]}),
        ({"$pull": {"tags": "vip"}}, {"tags": ["new"]}),
        ({"$pull": {"phones": {"n": "1"}, "nothing": 1}}, {"phones": [{"n": "2"}]}),
        ({"$setOnInsert": {"age": 1}}, {"age": 30}),
        ({"$set": {"a": {"b": [1, 2.5, None, True, "x", b"\x00\xff"]}}}, {"a": {"b": [1, 2.5, None, True, "x", b"\x00\xff"]}}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["update", "upsert"])
async def test_updates(people: Store, change: Update, expected: Document, kind: str) -> None:
    write = getattr(Write, kind)("people", {"_id": "ali"}, change)
    before = await people.get("people", "ali")
    assert before == PEOPLE[0]
    count = await people.write([write])
    after = await people.get("people", "ali")
    assert after is not None
    assert {key: after.get(key) for key in expected} == expected
    assert count == (after != before)
    assert await people.count("people", {}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"$rename": {"a": "b"}},
        {"age": 3},
        {"$set": 3},
        {"$set": {"_id": "x"}},
        {"$set": {"tags.0": "x"}},
        {"$set": {"a": 1}, "$inc": {"a": 1}},
        {"$set": {"a": {}, "a.b": 1}},
        {"$inc": {"age": "1"}},
        {"$inc": {"age": True}},
        {"$max": {"age": [1]}},
        {"$push": {"tags": {"$each": [1]}}},
        {"$pull": {"tags": {"$regex": "x"}}},
    ],
)
async def test_other_updates_are_refused(people: Store, change: Update) -> None:
    for make in (Write.update, Write.upsert):
        with pytest.raises(UnsupportedQuery):
            await people.write(
                [Write.delete("people", {"_id": "bek"}), make("people", {"_id": "ali"}, change)]
            )
    assert await people.count("people", {}) == 4


@pytest.mark.parametrize(
    "change", [{"$inc": {"city": 1}}, {"$push": {"city": 1}}, {"$pull": {"city": 1}}, {"$set": {"city.x": 1}}]
)
async def test_updates_that_do_not_fit_are_refused(people: Store, change: Update) -> None:
    with pytest.raises(UnsupportedQuery):
        await people.write([Write.update("people", {"_id": "ali"}, change)])
    assert await people.get("people", "ali") == PEOPLE[0]


async def test_upsert_inserts_the_filters_equalities(store: Store) -> None:
    change: Update = {"$set": {"a.b": 1}, "$setOnInsert": {"new": True}, "$push": {"list": "x"}}
    wanted: Filter = {"_id": "1", "kind": "k", "rev": {"$lte": 3}}
    assert await store.write([Write.upsert("things", wanted, change)]) == 1
    assert await store.get("things", "1") == {
        "_id": "1", "kind": "k", "a": {"b": 1}, "new": True, "list": ["x"],
    }  # fmt: skip
    assert await store.write([Write.upsert("things", {"kind": "other"}, {"$set": {"a": 1}})]) == 1
    (other,) = await store.find("things", {"kind": "other"})
    assert isinstance(other["_id"], str)


async def test_a_guarded_upsert_never_goes_back(store: Store) -> None:
    def put(rev: int) -> Write:
        return Write.upsert("things", {"_id": "1", "rev": {"$lte": rev}}, {"$set": {"rev": rev}})

    assert await store.write([put(2)]) == 1
    assert await store.write([put(1)]) == 0
    assert await store.write([put(3)]) == 1
    assert await store.get("things", "1") == {"_id": "1", "rev": 3}


async def test_what_breaks_a_unique_index_is_left_out(store: Store) -> None:
    first = {"_id": "1-1", "source": "shop:42 1", "text": "first"}
    writes = [
        Write.insert("messages", first),
        Write.insert("messages", {**first, "text": "again"}),
        Write.insert("messages", {**first, "_id": "1-2"}),
        Write.insert("messages", {"_id": "1-3", "text": "no source"}),
        Write.insert("messages", {"_id": "1-4", "text": "no source"}),
        Write.replace("messages", {"_id": "1-5", "source": "shop:42 1"}),
        Write.update("messages", {"_id": "1-4"}, {"$set": {"text": "goes on"}}),
    ]
    assert await store.write(writes) == 4
    assert await store.write(writes) == 0
    assert await store.get("messages", "1-1") == first
    found = await store.find("messages", {}, sort=[("_id", 1)])
    assert [d["_id"] for d in found] == ["1-1", "1-3", "1-4"]
    assert "source" not in found[1]


async def test_writes_go_in_order(store: Store) -> None:
    count = await store.write(
        [
            Write.insert("things", {"_id": "1", "n": 1}),
            Write.update("things", {"_id": "1"}, {"$inc": {"n": 1}}),
            Write.replace("things", {"_id": "2", "n": 5}),
            Write.replace("things", {"_id": "2", "n": 6}),
            Write.delete("things", {"n": 2}),
            Write.insert("things", {"_id": "1", "n": 9}),
            Write.update("things", {"_id": "nobody"}, {"$set": {"n": 1}}),
        ]
    )
    assert count == 6
    assert await store.find("things", {}, sort=[("_id", 1)]) == [{"_id": "1", "n": 9}, {"_id": "2", "n": 6}]


async def test_changes_of_a_document_in_one_batch_follow_each_other(people: Store) -> None:
    dan, bek = {"_id": "dan"}, {"_id": "bek"}
    changed = await people.write(
        [
            Write.update("people", dan, {"$set": {"age": 1}}),  # not there yet
            Write.upsert("people", dan, {"$set": {"age": 0}, "$addToSet": {"tags": "new"}}),
            Write.update("people", bek, {"$inc": {"age": 1}}),
            Write.update("people", {**dan, "age": 0}, {"$set": {"age": False}}),
            Write.update("people", {**dan, "age": 0}, {"$set": {"age": 5}}),  # false is not 0
            Write.update("people", dan, {"$addToSet": {"tags": "new"}}),  # there already
            Write.update("people", {"city": "Tashkent"}, {"$set": {"age": 41.5}}),
            Write.update("people", {**bek, "age": 41.5}, {"$push": {"tags": "x"}}),
            Write.upsert("people", dan, {"$push": {"tags": "y"}}),
        ]
    )
    assert changed == 6
    assert await people.get("people", "dan") == {"_id": "dan", "age": False, "tags": ["new", "y"]}
    assert (await people.get("people", "bek") or {})["tags"] == ["x"]
    assert (await people.get("people", "ali") or {})["age"] == 41.5
    everybody = await people.find("people", {"tags": "y"})
    assert [person["_id"] for person in everybody] == ["dan"]


async def test_an_upsert_whose_id_is_taken_is_left_out(people: Store) -> None:
    """Alone: FerretDB 1 says of every refused write in a batch that it was the first."""
    taken = Write.upsert("people", {"_id": "bek", "age": -7}, {"$set": {"city": "none"}})
    assert await people.write([taken]) == 0
    assert (await people.get("people", "bek") or {}).get("city") != "none"


async def test_in_sqlite_also_in_the_middle_of_changes_of_the_same_document(sqlite: SqliteStore) -> None:
    dan = {"_id": "dan"}
    changes = [
        Write.upsert("people", dan, {"$set": {"age": 0}}),
        Write.upsert("people", {**dan, "age": 7}, {"$set": {"city": "none"}}),
        Write.update("people", dan, {"$inc": {"age": 1}}),
    ]
    assert await sqlite.write(changes) == 2
    assert await sqlite.get("people", "dan") == {"_id": "dan", "age": 1}


async def test_update_takes_one_and_delete_all(people: Store) -> None:
    assert (
        await people.write([Write.update("people", {"age": {"$exists": True}}, {"$set": {"seen": True}})])
        == 1
    )
    assert await people.count("people", {"seen": True}) == 1
    assert await people.write([Write.delete("people", {"age": {"$exists": True}})]) == 3


async def test_a_writer_that_is_not_expected_any_more_writes_nothing(store: Store) -> None:
    await store.write([Write.insert("cursors", {"_id": "journal", "writer": "me", "position": "1"})])
    moved = Write.update("cursors", {"_id": "journal"}, {"$set": {"position": "2"}})
    with pytest.raises(LeaseLost):
        await store.write([moved], expect=("cursors", {"_id": "journal", "writer": "you"}))
    assert await store.count("cursors", {"position": "1"}) == 1
    assert await store.write([moved], expect=("cursors", {"_id": "journal", "writer": "me"})) == 1


async def test_sort_limit_and_skip(store: Store) -> None:
    rows: list[Document] = [{"_id": str(n), "at": n // 3, "name": f"n{n % 2}"} for n in range(9)]
    rows.append({"_id": "none"})
    await store.write([Write.insert("things", row) for row in reversed(rows)])

    async def ids(**options: Any) -> str:
        return " ".join(d["_id"] for d in await store.find("things", {}, **options))

    assert await ids(sort=[("at", 1)]) == "none 0 1 2 3 4 5 6 7 8"
    assert await ids(sort=[("at", -1)]) == "8 7 6 5 4 3 2 1 0 none"
    assert await ids(sort=[("name", -1), ("at", 1)], limit=3) == "1 3 5"
    assert await ids(sort=[("at", 1)], limit=2, skip=3) == "2 3"
    with pytest.raises(UnsupportedQuery):
        await ids(sort=[("at'", 1)])


async def test_documents_come_back_as_they_were(store: Store) -> None:
    document: Document = {
        "_id": "ü\"'\\ \U0001f600",
        "int": 1 << 53,
        "negative": -(1 << 62),
        "float": 0.1,
        "none": None,
        "bool": [True, False],
        "text": "a\nb\t\u0001 ёлка 日本 \U0001f468\u200d\U0001f469",
        "nested": [{"a": []}, {}],
        "bytes": b"\x00\x01\xff",
        "deep": {"list": [b"", {"more": b"x"}]},
    }
    await store.write([Write.insert("things", document)])
    found = await store.get("things", document["_id"])
    assert found == document
    assert all(type(found[key]) is type(value) for key, value in document.items())
    assert await store.get("things", "nobody") is None
    assert await store.get("nothing_here", "1") is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("narxi", "3 1"),
        ("NARXI qancha", "1"),
        ("qancha narx", "1"),
        ("qan", "1"),
        ("arxi", ""),
        ("ёлка", "5 4"),
        ("елк", "5 4"),
        ("cafe", "6"),
        ("café", "6"),
        ("ozbek", "8 7"),
        ("o'zbek til", "8 7"),
        *((f"o{sign}zbek til", "8 7") for sign in APOSTROPHES),
        ("gazab", "12"),
        ("日本", "9"),
        ("deleted", ""),
        ("edited", "10"),
        ("before", ""),
        ("", ""),
        ("   ", ""),
        ('"', ""),
        ("*", ""),
        ("narxi*", "3 1"),
        ('"narxi', "3 1"),
        ("a OR b", ""),
        ("NEAR(narxi qancha)", ""),
        ("text:narxi", ""),
        ("narxi -qancha", "1"),
        ("^narxi", "3 1"),
        (".*", ""),
        ("$where", ""),
        ("narxi\0qancha", "1"),
        ("'; DROP TABLE messages; --", ""),
        ("x" * 10_000, ""),
        ("narxi " * 3000, "3 1"),
    ],
)
async def test_search(store: Store, query: str, ids: str) -> None:
    texts = [
        "Narxi qancha?", "salom", "narxi-navo", "ЁЛКА", "елка", "Café", "oʻzbek tili", "O‘zbek tilida",
        "日本語", "before", "deleted", "gʽazab g‛oz gꞌalaba g＇isht",
    ]  # fmt: skip
    rows = [
        {"_id": str(n), "session": "s", "at": n, "line": "a" if n < 7 else "b", "text": text}
        for n, text in enumerate(texts, 1)
    ]
    await store.write([Write.insert("messages", row) for row in rows])
    await store.write(
        [
            Write.update("messages", {"_id": "10"}, {"$set": {"text": "edited"}}),
            Write.update("messages", {"_id": "1"}, {"$set": {"delivery": "read"}}),
            Write.delete("messages", {"_id": "11"}),
        ]
    )
    found = await store.search(query, filter={})
    assert [d["_id"] for d in found] == ids.split()
    assert "words" not in (found[0] if found else {})
    newest = await store.search(query, filter={"line": {"$in": ["a"]}}, limit=1)
    assert [d["_id"] for d in newest] == [id for id in ids.split() if int(id) < 7][:1]


async def test_search_follows_replacements(store: Store) -> None:
    await store.write([Write.replace("messages", {"_id": "1", "at": 1, "text": "old words"})])
    await store.write([Write.replace("messages", {"_id": "1", "at": 1, "text": "new words"})])
    await store.write([Write.upsert("messages", {"_id": "2"}, {"$set": {"at": 2, "text": "upserted words"}})])
    assert await store.search("old", filter={}) == []
    assert [d["_id"] for d in await store.search("words", filter={})] == ["2", "1"]
    await store.write([Write.update("messages", {"_id": "2"}, {"$unset": {"text": ""}})])
    assert [d["_id"] for d in await store.search("words", filter={})] == ["1"]


async def test_elements_of_an_indexed_array_are_found(store: Store) -> None:
    await store.write([Write.insert("messages", {"_id": "1", "sent_as": ["c 1", "c 2"]})])
    await store.write([Write.insert("messages", {"_id": "2"})])
    for query in ({"sent_as": "c 2"}, {"sent_as": {"$in": ["c 2", "x"]}}):
        assert [d["_id"] for d in await store.find("messages", query)] == ["1"]
    assert await store.count("messages", {"sent_as": {"$ne": "c 2"}}) == 1
    await store.write([Write.update("messages", {"_id": "1"}, {"$set": {"sent_as": ["c 3"]}})])
    assert await store.count("messages", {"sent_as": "c 2"}) == 0
    assert await store.count("messages", {"sent_as": "c 3"}) == 1
    await store.write([Write.delete("messages", {"_id": "1"})])
    assert await store.count("messages", {"sent_as": "c 3"}) == 0


async def test_queries_with_very_many_values(store: Store) -> None:
    await store.write([Write.insert("messages", {"_id": str(n), "source": f"s{n}"}) for n in range(50)])
    assert await store.count("messages", {"source": {"$in": [f"s{n}" for n in range(2000)]}}) == 50


@pytest.mark.parametrize("name", ["", "x; DROP", "sqlite-x", 'a"b', "Ж"])
async def test_names_of_collections_are_checked(store: Store, name: str) -> None:
    with pytest.raises(UnsupportedQuery):
        await store.find(name, {})
    with pytest.raises(UnsupportedQuery):
        await store.write([Write.insert(name, {"_id": "1"})])
