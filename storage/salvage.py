# ruff: noqa: S608 - names are checked against a pattern, values are always parameters
"""A damaged SQLite file: what can still be read of it, and a new file made of that."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from crm.kernel.errors import UnsupportedQuery
from storage.codec import decode
from storage.schema import INDEXES, check_collection
from storage.sqlite import create_all, create_collection
from storage.sqlite_thread import connect

FARTHEST = 1 << 48
"""Row numbers are below that."""
COMMIT_EVERY = 5000

Row = tuple[str, str]


class Salvaged(msgspec.Struct):
    """What was read: documents by collection, and the stretches of row numbers that could not be."""

    documents: dict[str, int] = {}
    gaps: dict[str, int] = {}


def problems(path: Path) -> list[str]:
    """What SQLite finds wrong with a file, nothing when it is whole."""
    try:
        with contextlib.closing(_read_only(path)) as db:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        return [str(error)]
    return (
        []
        if found == ["ok"]
        else [line for text in found for line in text.splitlines() if not line.startswith("*** in database ")]
    )


def readable(path: Path) -> Salvaged:
    """How much can be read of a file."""
    saved = Salvaged()
    with contextlib.closing(_read_only(path)) as db:
        for collection in _collections(db):
            for _ in _documents(db, collection, saved):
                pass
    return saved


def rebuild(sources: list[Path], target: Path) -> list[Salvaged]:
    """Makes a new file of what can be read of the others; of a document that is in several, that of the
    last one. The journal will be read again from its beginning. Raises ``sqlite3.Error`` and ``OSError``."""
    found = []
    with contextlib.closing(connect(target, 60.0, read_only=False)) as db:
        db.execute("BEGIN")
        create_all(db)
        for source in sources:
            saved = Salvaged()
            found.append(saved)
            with contextlib.closing(_read_only(source)) as old:
                for collection in _collections(old):
                    _copy(db, collection, _documents(old, collection, saved))
        db.execute("DELETE FROM cursors")
        # The documents may be of different times: each step looks anew for what waits for it.
        db.execute("DELETE FROM migrations")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _copy(db: sqlite3.Connection, collection: str, rows: Iterator[Row]) -> None:
    create_collection(db, collection)
    sql = (
        f'INSERT INTO "{collection}"(id, doc) VALUES(?, ?)'
        " ON CONFLICT(id) DO UPDATE SET doc = excluded.doc WHERE doc IS NOT excluded.doc"
    )
    for number, row in enumerate(rows, 1):
        with contextlib.suppress(sqlite3.IntegrityError):  # a unique index has another one already
            db.execute(sql, row)
        if number % COMMIT_EVERY == 0:
            db.execute("COMMIT")
            db.execute("BEGIN")


def _read_only(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    db.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
    return db


def _collections(db: sqlite3.Connection) -> list[str]:
    """Of the file; those of every file where its own list cannot be read."""
    names = list(INDEXES)
    with contextlib.suppress(sqlite3.Error):
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%doc TEXT%'"
        ):
            with contextlib.suppress(UnsupportedQuery):
                names.append(check_collection(name))
    return list(dict.fromkeys(names))


def _documents(db: sqlite3.Connection, collection: str, saved: Salvaged) -> Iterator[Row]:
    """What can be read of a collection, in order; around what cannot be."""
    last = -1
    while True:
        try:
            for n, id, doc in db.execute(
                f'SELECT n, id, doc FROM "{collection}" WHERE n > ? ORDER BY n', (last,)
            ):
                last = n
                if _is_document(id, doc):
                    saved.documents[collection] = saved.documents.get(collection, 0) + 1
                    yield id, doc
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return
            saved.gaps[collection] = saved.gaps.get(collection, 0) + 1
            last = _behind(db, collection, last)
            if last >= FARTHEST:
                return
        else:
            return


def _is_document(id: object, doc: object) -> bool:
    try:
        return isinstance(id, str) and isinstance(doc, str) and decode(doc)["_id"] == id
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
        return False


def _behind(db: sqlite3.Connection, collection: str, last: int) -> int:
    """The smallest row number from which on something can be read again; ``FARTHEST``: none."""

    def works(after: int) -> bool:
        try:
            db.execute(
                f'SELECT n, id, doc FROM "{collection}" WHERE n > ? ORDER BY n LIMIT 1', (after,)
            ).fetchone()
        except sqlite3.Error:
            return False
        return True

    bad, step = last, 1
    while not works(bad + step):
        step *= 2
        if bad + step >= FARTHEST:
            return FARTHEST
    low, high = bad + step // 2, bad + step
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high
