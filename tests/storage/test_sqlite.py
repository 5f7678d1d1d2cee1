"""What only the SQLite store promises: several processes, time limits, and an end."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from crm.kernel.errors import Unavailable, UnsupportedQuery
from crm.kernel.ports import Document, Write
from crm.kernel.spelling import fold
from storage import sqlite_thread, sqlite_words
from storage.filters import compile_filter
from storage.narrow import narrow, order_by
from storage.sqlite import BULK, SqliteStore
from storage.sqlite_thread import SqliteThread


async def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal, sys
from storage.sqlite import SqliteStore
from crm.kernel.ports import Write
async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    for n in range(20):
        await store.write([Write.insert("messages", {"_id": str(n), "text": f"word{n}"})])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    path = tmp_path / "store.sqlite"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, path)
    assert await process.wait() == -9
    store = SqliteStore(path)
    await store.open()
    assert await store.count("messages", {}) == 20
    assert len(await store.search("word1", filter={})) == 11
    await store.close()


async def test_a_batch_is_all_or_nothing(sqlite: SqliteStore) -> None:
    with pytest.raises(UnsupportedQuery):
        await sqlite.write(
            [
                Write.insert("things", {"_id": "1", "text": "x"}),
                Write.update("things", {"_id": "1"}, {"$inc": {"text": 1}}),
            ]
        )
    assert await sqlite.count("things", {}) == 0
    with pytest.raises(TypeError):
        await sqlite.write(
            [Write.insert("things", {"_id": "1"}), Write.insert("things", {"_id": "2", "x": object()})]
        )
    assert await sqlite.count("things", {}) == 0


async def test_two_stores_on_one_file(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "store.sqlite") for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))

    async def work(store: SqliteStore, name: str) -> None:
        for n in range(30):
            await store.write(
                [
                    Write.insert("messages", {"_id": f"{name}{n}", "text": "hello"}),
                    Write.upsert("counters", {"_id": "all"}, {"$inc": {"n": 1}}),
                ]
            )

    await asyncio.gather(*(work(store, str(i)) for i, store in enumerate(stores)))
    for store in stores:
        assert await store.get("counters", "all") == {"_id": "all", "n": 90}
        assert await store.count("messages", {}) == 90
        await store.close()


async def test_a_locked_file_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path, timeout=0.2)
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await store.write([Write.insert("things", {"_id": "1"})])
    assert await store.count("things", {}) == 0
    other.execute("ROLLBACK")
    other.close()
    assert await store.write([Write.insert("things", {"_id": "1"})]) == 1
    await store.close()


async def test_reads_do_not_wait_for_a_long_write(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    await store.open()
    await store.write([Write.insert("things", {"_id": "1"})])
    begun, end = threading.Event(), threading.Event()

    def long(db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        begun.set()
        end.wait(10)
        db.execute("ROLLBACK")

    writing = asyncio.create_task(store._writes.run(long))
    await asyncio.to_thread(begun.wait, 10)
    assert await store.count("things", {}) == 1
    end.set()
    await writing
    await store.close()


async def test_a_call_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    thread = SqliteThread(tmp_path / "x.sqlite", 0.1, read_only=True)
    await thread.open()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(Unavailable):
        await thread.run(lambda db: db.execute(endless).fetchone())
    assert await thread.run(lambda db: db.execute("SELECT 1").fetchone()[0]) == 1
    await thread.close()


async def test_a_call_that_nobody_waits_for_is_not_begun(tmp_path: Path) -> None:
    thread = SqliteThread(tmp_path / "x.sqlite", 5, read_only=False)
    await thread.open()
    hold, done = threading.Event(), []
    first = asyncio.create_task(thread.run(lambda _: hold.wait(10)))
    second = asyncio.create_task(thread.run(lambda _: done.append(2)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    hold.set()
    assert await first
    await thread.run(lambda _: done.append(3))
    assert done == [3]
    await thread.close()


async def test_calls_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_thread, "MAX_WAITING", 3)
    thread = SqliteThread(tmp_path / "x.sqlite", 5, read_only=False)
    await thread.open()
    hold = threading.Event()
    tasks = [asyncio.create_task(thread.run(lambda _: hold.wait(10))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many"):
        await thread.run(lambda _: None)
    hold.set()
    assert await asyncio.gather(*tasks) == [True] * 3
    await thread.close()


async def test_closing_finishes_what_waits_and_ends_the_threads(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    last = asyncio.create_task(store.write([Write.insert("things", {"_id": "1"})]))
    await asyncio.sleep(0)
    await store.close()
    assert await last == 1
    with pytest.raises(Unavailable):
        await store.count("things", {})
    await store.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("store")]


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(Unavailable):
        await SqliteStore(path).open()


async def test_the_file_is_for_its_owner_only(sqlite: SqliteStore) -> None:
    assert sqlite.path.stat().st_mode & 0o777 == 0o600


async def test_an_update_that_breaks_a_unique_index_is_left_out(sqlite: SqliteStore) -> None:
    await sqlite.write([Write.insert("messages", {"_id": id, "source": id}) for id in ("1", "2")])
    assert await sqlite.write([Write.update("messages", {"_id": "2"}, {"$set": {"source": "1"}})]) == 0
    assert await sqlite.get("messages", "2") == {"_id": "2", "source": "2"}


@pytest.mark.parametrize(
    ("collection", "filter", "index"),
    [
        ("messages", {"session": "1", "seq": {"$lt": 5}}, "messages_session_seq"),
        ("messages", {"customer": "c", "at": {"$lte": 5}}, "messages_customer_at_session_seq"),
        ("messages", {"source": {"$in": ["a", "b"]}}, "messages_source"),
        ("messages", {"sent_as": "a"}, "messages.sent_as_value"),
        ("messages", {"$or": [{"source": "a"}, {"session": "b"}]}, "messages_source"),
        ("messages", {"chat": "a", "delivery": {"$in": ["sent"]}}, "messages_chat_delivery"),
        ("sessions", {"$and": [{"line": {"$in": ["a"]}}, {"status": "closed"}]}, "sessions_"),
        ("decisions", {"session": "1"}, "decisions_session_at"),
    ],
)
async def test_the_usual_queries_use_an_index(
    sqlite: SqliteStore, collection: str, filter: dict[str, object], index: str
) -> None:
    compile_filter(filter)
    narrowed = narrow(collection, filter)
    sql = f"EXPLAIN QUERY PLAN SELECT doc FROM {collection}{narrowed.where}"

    def plan(db: sqlite3.Connection) -> str:
        return " | ".join(row[3] for row in db.execute(sql, narrowed.parameters))

    found = await sqlite._reads.run(plan)
    assert index in found
    assert f"SCAN {collection}" not in found


async def test_pages_of_a_thread_are_not_sorted(sqlite: SqliteStore) -> None:
    order = order_by([("at", -1), ("session", -1), ("seq", -1)])
    narrowed = narrow("messages", {"customer": "c", "at": {"$lte": 5}})
    sql = f"EXPLAIN QUERY PLAN SELECT doc FROM messages{narrowed.where}{order}"

    def plan(db: sqlite3.Connection) -> str:
        return " | ".join(row[3] for row in db.execute(sql, narrowed.parameters))

    assert "TEMP B-TREE" not in await sqlite._reads.run(plan)


async def test_a_page_of_what_somebody_may_read_is_not_sorted(sqlite: SqliteStore) -> None:
    rights = {"$or": [{"line": {"$in": ["sales"]}}, {"responsible": "anna"}]}

    async def plan(filter: dict[str, object]) -> str:
        narrowed = narrow("deals", filter, in_order=True)
        sql = f"EXPLAIN QUERY PLAN SELECT doc FROM deals{narrowed.where}{order_by([('created_at', -1)])}"
        return await sqlite._reads.run(
            lambda db: " | ".join(row[3] for row in db.execute(sql, narrowed.parameters))
        )

    page = await plan({"$and": [rights, {"deleted": {"$exists": False}}]})
    assert ("deals_created_at" in page, "TEMP B-TREE" in page) == (True, False)
    assert "deals_customer" in await plan({"$and": [rights, {"customer": "c1"}]})


async def test_words_of_another_spelling_are_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index of an earlier version kept letters as they are; what it holds is found, and forgotten."""
    monkeypatch.setattr(sqlite_words, "FILLED", 2)
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    await store.open()
    await store.write([Write.insert("messages", {"_id": "0", "text": "oʻzbek"})])
    await store.close()
    with sqlite3.connect(path) as db:
        db.create_function("nb_fold", 1, fold)
        db.execute("DROP TABLE messages_words")
        for event in ("insert", "delete", "update"):
            db.execute(f"DROP TRIGGER messages_words_{event}")
        db.execute("CREATE VIRTUAL TABLE messages_words USING fts5(text, content='', prefix='2 3')")
        db.execute(
            "CREATE TRIGGER messages_words_insert AFTER INSERT ON messages WHEN true BEGIN INSERT INTO"
            " messages_words(rowid, text) VALUES(new.n, nb_fold(new.doc ->> '$.text')); END"
        )
        for n, text in enumerate(("gꞌisht", "g＇isht choy", "oʽzbek"), 1):
            db.execute(
                "INSERT INTO messages(id, doc) VALUES(?, json_object('_id', ?, 'text', ?))", (n, str(n), text)
            )
        db.execute("PRAGMA user_version = 1")
    store = SqliteStore(path)
    await store.open()
    assert [d["_id"] for d in await store.search("g'isht", filter={})] == ["2", "1"]
    assert [d["_id"] for d in await store.search("ozbek", filter={})] == ["3", "0"]
    assert [d["_id"] for d in await store.search("ўзбек", filter={})] == ["3", "0"]
    assert await store.search("isht", filter={}) == []
    await store.write(
        [Write.update("messages", {"_id": str(n)}, {"$set": {"text": "salom"}}) for n in range(4)]
    )
    for gone in ("gisht", "isht", "choy", "ozbek", "zbek"):
        assert await store.search(gone, filter={}) == []
    await store.close()


async def test_words_of_many_at_once_are_those_of_few_at_a_time(tmp_path: Path) -> None:
    """New ones, changed ones, one that comes twice, one that a unique index refuses, and one without a text."""
    new = [{"_id": str(n), "text": f"Gʻisht {n} ёлка", "source": f"c {n}"} for n in range(2 * BULK)]
    again = [{**document, "text": f"salom {n % 7}"} for n, document in enumerate(new[BULK:])]
    more: list[Document] = [{"_id": f"m{n}", "text": f"choy {n}"} for n in range(BULK)]
    taken = [{"_id": f"t{n}", "text": "sut", "source": f"c {n + 2 * BULK - 1}"} for n in range(BULK)]
    twice: list[Document] = [{"_id": f"w{n % (BULK - 1)}", "text": f"non {n}"} for n in range(BULK + 1)]
    batches = [
        [Write.insert("messages", document) for document in new],
        [Write.replace("messages", document) for document in again + more],
        [Write.insert("messages", document) for document in taken[: BULK // 2] + more + [{"_id": "none"}]],
        [Write.replace("messages", document) for document in taken],
        [Write.replace("messages", document) for document in twice],
        [Write.delete("messages", {"_id": str(n)}) for n in range(9)],
    ]
    found = []
    for step in (BULK // 2, 10 * BULK):
        store = SqliteStore(tmp_path / f"{step}.sqlite")
        await store.open()
        counts = [
            sum([await store.write(batch[at : at + step]) for at in range(0, len(batch), step)])
            for batch in batches
        ]
        found.append((counts, await store._writes.run(_indexed)))
        await store.close()
    assert found[0] == found[1]
    assert len(found[0][1][1]) > 4 * BULK


def _indexed(db: sqlite3.Connection) -> tuple[list[str], set[tuple[str, str, int]]]:
    """The schema, and each word of the index with the id of its message and where it stands in it."""
    db.execute("CREATE VIRTUAL TABLE temp.told USING fts5vocab(main, messages_words, instance)")
    schema = sorted(sql for (sql,) in db.execute("SELECT sql FROM main.sqlite_master WHERE sql IS NOT NULL"))
    rows = db.execute(
        "SELECT term, m.id, t.offset FROM temp.told t LEFT JOIN messages m ON m.n = t.doc"
    ).fetchall()
    assert len(rows) == len(set(rows))
    return schema, set(rows)
