# ruff: noqa: S608 - names are checked against a pattern, values are always parameters
"""The store on SQLite: one file in the data folder, for desks without a MongoDB.

A collection is a table of JSON documents; queried fields have expression indexes, arrays that are
looked into and the words of messages have tables of their own, kept by triggers in the same
transaction. Several processes may have the file open (WAL). Every commit is synced: what ``write``
returned for survives a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from crm.kernel.errors import Duplicate, LeaseLost
from crm.kernel.ports import Document, Filter, Portion, Sort, Update, Write
from storage import sqlite_words
from storage.codec import decode, encode
from storage.filters import Matcher, compile_filter, split_path
from storage.narrow import column, elements, narrow, order_by
from storage.paging import both, page_of, stretches, whole_sort
from storage.schema import INDEXES, OPENING, SEARCHED, Index, check_collection, expired
from storage.scrubbing import scrub
from storage.sqlite_changes import change_named, differs, names_one
from storage.sqlite_thread import SqliteThread
from storage.updates import check_update, inserted, updated, with_id
from storage.values import check_document, check_operands
from storage.words import holds

TAKEN = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID")

_DOCUMENTS = "(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, doc TEXT NOT NULL)"
"""How a table of documents is made, by which it is told from those of indexes."""

BULK = 256
"""From so many messages at a time on the words of the new ones are written together, which takes a third of
the time; but whoever has the file open reads its schema anew then."""

T = TypeVar("T")


class SqliteStore:
    """``crm.kernel.ports.Store`` on the file ``path``. ``timeout`` in seconds holds for each call. Reads
    and writes have a thread and a connection each, so that a large batch of the projector does not
    hold up the operators' reads."""

    def __init__(self, path: str | Path, *, timeout: float = 5.0) -> None:
        self.path = Path(path)
        self._reads = SqliteThread(self.path, timeout, read_only=True)
        self._writes = SqliteThread(self.path, timeout, read_only=False)

    all_or_nothing = True

    async def open(self) -> None:
        await self._writes.open()
        await self._writes.run(lambda db: _in_transaction(db, create_all), within=OPENING)
        while not await self._writes.run(lambda db: _in_transaction(db, sqlite_words.fill)):
            pass
        await self._reads.open()

    async def close(self) -> None:
        await self._reads.close()
        await self._writes.close()

    async def collections(self) -> list[str]:
        def work(db: sqlite3.Connection) -> list[str]:
            tables = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            return sorted(name for name, sql in tables if sql.endswith(_DOCUMENTS))

        return await self._reads.run(work)

    async def get(self, collection: str, id: str) -> Document | None:
        table = _table(collection)

        def work(db: sqlite3.Connection) -> Document | None:
            row = db.execute(f"SELECT doc FROM {table} WHERE id = ?", (id,)).fetchone()
            return decode(row[0]) if row else None

        return await self._read(collection, work, None)

    async def find(
        self, collection: str, filter: Filter, *, sort: Sort = (), limit: int = 0, skip: int = 0
    ) -> list[Document]:
        matches = compile_filter(filter)
        for field, _ in sort:
            split_path(field)

        def work(db: sqlite3.Connection) -> list[Document]:
            found = (document for _, document in _scan(db, collection, filter, matches, sort))
            return list(itertools.islice(found, skip, skip + limit if limit else None))

        return await self._read(collection, work, [])

    async def count(self, collection: str, filter: Filter) -> int:
        matches = compile_filter(filter)
        narrowed = narrow(collection, filter)
        table = _table(collection)

        def work(db: sqlite3.Connection) -> int:
            if narrowed.exact:
                sql = f"SELECT count(*) FROM {table}{narrowed.where}"
                return int(db.execute(sql, narrowed.parameters).fetchone()[0])
            return sum(1 for _ in _scan(db, collection, filter, matches, ()))

        return await self._read(collection, work, 0)

    async def page(
        self, collection: str, filter: Filter, *, sort: Sort, limit: int, after: str = ""
    ) -> Portion:
        compile_filter(filter)
        sort, limit = whole_sort(sort), max(1, limit)
        parts = [both(filter, stretch) for stretch in stretches(collection, sort, after)]
        checked = [(part, compile_filter(part)) for part in parts]

        def work(db: sqlite3.Connection) -> list[Document]:
            found = (row[1] for part in checked for row in _scan(db, collection, *part, sort, paged=True))
            return list(itertools.islice(found, limit + 1))

        return page_of(collection, sort, await self._read(collection, work, []), limit)

    async def insert(self, collection: str, document: Document) -> None:
        check_collection(collection)
        check_document(collection, document)
        row = (document["_id"], encode(document))

        def work(db: sqlite3.Connection) -> None:
            create_collection(db, collection)
            with _told_apart(collection):
                db.execute(f"INSERT INTO {_table(collection)}(id, doc) VALUES(?, ?)", row)

        await self._writes.run(lambda db: _in_transaction(db, work))

    async def change(
        self, collection: str, filter: Filter, update: Update, *, upsert: bool = False, sort: Sort = ()
    ) -> Document | None:
        change = with_id(filter, update) if upsert else update
        matches = _check(Write.update(collection, filter, change))
        check_operands(collection, update)
        for field, _ in sort:
            split_path(field)

        def work(db: sqlite3.Connection) -> Document | None:
            create_collection(db, collection)
            with _told_apart(collection):
                found = next(_scan(db, collection, filter, matches, sort), None)
                if found is not None:
                    return _changed(db, collection, *found, change)[0]
                return _inserted(db, collection, filter, change) if upsert else None

        return await self._writes.run(lambda db: _in_transaction(db, work))

    async def scrub(self) -> bool:
        return await asyncio.to_thread(scrub, self.path)

    async def expire(self, now: int) -> int:
        return sum([await self.write([write]) for write in expired(now)])

    async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
        checked = [(write, _check(write)) for write in writes]
        expected = (*expect, compile_filter(expect[1])) if expect else None

        def work(db: sqlite3.Connection) -> int:
            for collection in {write.collection for write in writes}:
                create_collection(db, collection)
            if expected and next(_scan(db, *expected, ()), None) is None:
                raise LeaseLost("another process writes this now")
            return sum(_apply(db, run, list(group)) for run, group in itertools.groupby(checked, _run_of))

        return await self._writes.run(lambda db: _in_transaction(db, work))

    async def search(
        self, text: str, *, filter: Filter, limit: int = 50, whole: bool = False
    ) -> list[Document]:
        matches = compile_filter(filter)
        query = sqlite_words.query(text, filter, whole=whole)
        if not query:
            return []
        narrowed = narrow(SEARCHED, filter)
        # CROSS JOIN: the words lead, newest first, and nothing is sorted however many there are.
        sql = (
            f"SELECT doc FROM {SEARCHED}_words w CROSS JOIN {SEARCHED} m ON m.n = w.rowid"
            f" WHERE {SEARCHED}_words MATCH ? {'AND ' + narrowed.sql if narrowed.sql else ''}"
            " ORDER BY w.rowid DESC"
        )

        few = any(isinstance(filter.get(name), str) for name in ("session", "customer"))
        said = holds(text, whole=whole)

        def work(db: sqlite3.Connection) -> list[Document]:
            if few:
                # What one person said is looked through sooner than a word that everybody says.
                there = (d for _, d in reversed(list(_scan(db, SEARCHED, filter, matches, ()))))
                found = (d for d in there if said(d.get("text") or ""))
            else:
                rows = db.execute(sql, (query, *narrowed.parameters))
                found = (document for (doc,) in rows if matches(document := decode(doc)))
            return list(itertools.islice(found, limit))

        return await self._read(SEARCHED, work, [])

    async def _read(self, collection: str, work: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        def guarded(db: sqlite3.Connection) -> T:
            try:
                return work(db)
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return nothing
                raise

        return await self._reads.run(guarded)


def _table(collection: str) -> str:
    return f'"{check_collection(collection)}"'


def _scan(
    db: sqlite3.Connection, collection: str, filter: Filter, matches: Matcher, sort: Sort, *,
    paged: bool = False,
) -> Iterator[tuple[int, Document]]:  # fmt: skip
    """The matches with their row numbers, in order, as far as they are asked for; ``paged``: only the first."""
    narrowed = narrow(collection, filter, in_order=paged)
    sql = f"SELECT n, doc FROM {_table(collection)}{narrowed.where}{order_by(sort)}"
    for n, doc in db.execute(sql, narrowed.parameters):
        document = decode(doc)
        if narrowed.exact or matches(document):
            yield n, document


# ------------------------------------------------------------------ writing


def _check(write: Write) -> Matcher:
    """What its filter matches. Raises for what cannot be written."""
    check_collection(write.collection)
    if write.document is not None and isinstance(write.filter["_id"], str):
        return _is_any  # it is put in by its id
    if write.change is not None:
        check_update(write.change)
    return compile_filter(write.filter)


def _is_any(_: Document) -> bool:
    return True


def _in_transaction(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    # IMMEDIATE: a transaction that begins by reading could not wait for another process's write.
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def _run_of(checked: tuple[Write, Matcher]) -> tuple[str, str]:
    kind, collection = checked[0].kind, checked[0].collection
    return "change" if kind in ("update", "upsert") else kind, collection


def _apply(db: sqlite3.Connection, run: tuple[str, str], checked: list[tuple[Write, Matcher]]) -> int:
    """Consecutive writes of one kind to one collection. Returns how many documents changed."""
    kind, collection = run
    if kind == "insert":
        sql = f"INSERT OR IGNORE INTO {_table(collection)}(id, doc) VALUES(?, ?)"
        return _put_all(db, collection, sql, [_row(write) for write, _ in checked])
    if kind == "replace":
        return _replace_all(db, collection, [write for write, _ in checked])
    if kind == "change" and not any(index.unique for index in INDEXES.get(collection, ())):
        return sum(
            change_named(db, _table(collection), list(stretch))
            if is_named
            else _one_by_one(db, collection, list(stretch))
            for is_named, stretch in itertools.groupby(checked, names_one)
        )
    return _one_by_one(db, collection, checked)


def _one_by_one(db: sqlite3.Connection, collection: str, checked: list[tuple[Write, Matcher]]) -> int:
    return sum(
        _unless_taken(functools.partial(_ONE[write.kind], db, collection, write, matches))
        for write, matches in checked
    )


def _unless_taken(apply: Callable[[], int]) -> int:
    try:
        return apply()
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname not in TAKEN:
            raise
        return 0  # a unique index refuses: the write is left out, as the port says


def _replace_all(db: sqlite3.Connection, collection: str, writes: list[Write]) -> int:
    sql = (
        f"INSERT INTO {_table(collection)}(id, doc) VALUES(?, ?)"
        " ON CONFLICT(id) DO UPDATE SET doc = excluded.doc WHERE doc IS NOT excluded.doc"
    )
    rows = [_row(write) for write in writes]
    db.execute("SAVEPOINT replacing")
    try:
        count = _put_all(db, collection, sql, rows)
    except sqlite3.IntegrityError:
        # A unique index refuses one of them: the others are written one by one.
        db.execute("ROLLBACK TO replacing")
        count = sum(_unless_taken(functools.partial(_execute, db, sql, row)) for row in rows)
    db.execute("RELEASE replacing")
    return count


def _put_all(db: sqlite3.Connection, collection: str, sql: str, rows: list[tuple[str, str]]) -> int:
    """Puts documents in, where an error undoes all of them."""
    many = collection == SEARCHED and len({id for id, _ in rows}) == len(rows) >= BULK
    # One that comes twice would be changed, and so taken from the index, before its words are in it.
    return _put_messages(db, sql, rows) if many else db.executemany(sql, rows).rowcount


def _put_messages(db: sqlite3.Connection, sql: str, rows: list[tuple[str, str]]) -> int:
    """The words of new ones together, instead of by trigger; those of changed ones by trigger as ever. Within
    the transaction the trigger is gone and back: the file is never without it to anybody else."""
    table, words = _table(SEARCHED), f"{SEARCHED}_words"
    (last,) = db.execute(f"SELECT coalesce(max(n), 0) FROM {table}").fetchone()
    db.execute(f'DROP TRIGGER IF EXISTS "{words}_insert"')
    count = db.executemany(sql, rows).rowcount
    db.execute(
        f"INSERT INTO {words}(rowid, text, line) SELECT n, {sqlite_words.TEXT.format('doc')}, {sqlite_words.LINE.format('doc')}"
        f" FROM {table} WHERE n > ?",
        (last,),
    )
    sqlite_words.create_triggers(db)
    return count


def _row(write: Write) -> tuple[str, str]:
    return write.filter["_id"], encode(write.document or {}, plain=write.plain)


def _execute(db: sqlite3.Connection, sql: str, row: tuple[str, str]) -> int:
    return db.execute(sql, row).rowcount


def _update(db: sqlite3.Connection, collection: str, write: Write, matches: Matcher) -> int:
    assert write.change is not None
    found = next(_scan(db, collection, write.filter, matches, ()), None)
    return -1 if found is None else _changed(db, collection, *found, write.change)[1]


def _changed(
    db: sqlite3.Connection, collection: str, n: int, document: Document, change: Update
) -> tuple[Document, int]:
    """A document as it is after a change, and how many were written for that: one, or none."""
    changed = updated(document, change)
    if not differs(changed, document):
        return document, 0
    sql = f"UPDATE {_table(collection)} SET doc = ? WHERE n = ?"
    return changed, db.execute(sql, (encode(changed), n)).rowcount


def _inserted(db: sqlite3.Connection, collection: str, filter: Filter, change: Update) -> Document:
    document = inserted(filter, change)
    db.execute(f"INSERT INTO {_table(collection)}(id, doc) VALUES(?, ?)", (document["_id"], encode(document)))
    return document


@contextlib.contextmanager
def _told_apart(collection: str) -> Iterator[None]:
    """Raises ``Duplicate`` for what a unique index refuses."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname not in TAKEN:
            raise
        # "UNIQUE constraint failed: index 'messages_source'"; that of the id is the column of a table.
        index = re.search(rf"index '{collection}_(\w+)'", str(error))
        raise Duplicate(index[1] if index else "_id") from error


def _upsert(db: sqlite3.Connection, collection: str, write: Write, matches: Matcher) -> int:
    assert write.change is not None
    count = _update(db, collection, write, matches)
    if count >= 0:
        return count
    _inserted(db, collection, write.filter, with_id(write.filter, write.change))
    return 1


def _delete(db: sqlite3.Connection, collection: str, write: Write, matches: Matcher) -> int:
    rows = [(n,) for n, _ in _scan(db, collection, write.filter, matches, ())]
    return db.executemany(f"DELETE FROM {_table(collection)} WHERE n = ?", rows).rowcount if rows else 0


_ONE: dict[str, Callable[[sqlite3.Connection, str, Write, Matcher], int]] = {
    "update": lambda db, collection, write, matches: max(0, _update(db, collection, write, matches)),
    "upsert": _upsert,
    "delete": _delete,
}


# ------------------------------------------------------------------ tables


def create_all(db: sqlite3.Connection) -> None:
    for collection, indexes in INDEXES.items():
        create_collection(db, collection)
        for index in indexes:
            _create_many(db, collection, index) if index.many else _create_index(db, collection, index)
    sqlite_words.create(db)


def create_collection(db: sqlite3.Connection, collection: str) -> None:
    db.execute(f"CREATE TABLE IF NOT EXISTS {_table(collection)}{_DOCUMENTS}")


def _create_index(db: sqlite3.Connection, collection: str, index: Index) -> None:
    columns = ", ".join([*map(column, index.fields), *([] if index.unique else ["id"])])
    unique = "UNIQUE " if index.unique else ""
    some = f" WHERE {column(index.fields[0])} IS NOT NULL" if index.sparse and not index.unique else ""
    db.execute(
        f'CREATE {unique}INDEX IF NOT EXISTS "{collection}_{index.name}" ON {_table(collection)}({columns}){some}'
    )


def _create_many(db: sqlite3.Connection, collection: str, index: Index) -> None:
    (field,) = index.fields
    table = elements(collection, field)
    # `media.key`: of each object in the array `media` the `key`.
    array, _, inner = field.partition(".")
    path, value = "$." + array, f"value ->> '$.{inner}'" if inner else "value"
    insert = f"INSERT INTO {table}(value, n) SELECT {value}, new.n FROM json_each(new.doc, '{path}')"
    delete = f"DELETE FROM {table} WHERE n = old.n"
    there = db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (f"{collection}.{field}",)).fetchone()
    db.execute(f"CREATE TABLE IF NOT EXISTS {table}(value, n INTEGER NOT NULL)")
    if not there:
        # The index is younger than the documents.
        db.execute(
            f"INSERT INTO {table}(value, n) SELECT {value.replace('value', 'e.value')}, d.n"
            f" FROM {_table(collection)} d, json_each(d.doc, '{path}') e"
        )
    for fields in ("value", "n"):
        db.execute(f'CREATE INDEX IF NOT EXISTS "{collection}.{field}_{fields}" ON {table}({fields})')
    changed = f"old.doc ->> '{path}' IS NOT new.doc ->> '{path}'"
    sqlite_words.create_all_triggers(
        db, collection, index.name, insert=insert, delete=delete, changed=changed
    )
