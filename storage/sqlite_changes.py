# ruff: noqa: S608 - names are checked against a pattern, values are always parameters
"""Changes of many documents of SQLite's store together, each of which names its document.

Writing a document costs all the indexes and triggers of its collection. So one is read once and written once,
however many changes it has.
"""

from __future__ import annotations

import sqlite3

from crm.kernel.ports import Document, Write
from storage.codec import decode, encode
from storage.filters import Matcher
from storage.updates import inserted, updated

LOOKUP = 400
"""Keys of one query."""
_PLAIN = (str, int, float, type(None))


def names_one(checked: tuple[Write, Matcher]) -> bool:
    """Whether it changes, or inserts, the one document whose id it names."""
    write, _ = checked
    on_insert = (write.change or {}).get("$setOnInsert", {})
    return isinstance(write.filter.get("_id"), str) and "_id" not in on_insert


def change_named(db: sqlite3.Connection, table: str, checked: list[tuple[Write, Matcher]]) -> int:
    """Carries out updates and upserts in order, each upon what those before it made. ``table``: of a collection
    without unique indexes, quoted. Returns how many of them changed something."""
    there = _read(db, table, list({write.filter["_id"]: None for write, _ in checked}))
    held, changed, count = dict[str, Document | str](there), dict[str, None](), 0
    for write, matches in checked:
        id = write.filter["_id"]
        after = _after(held.get(id), write, matches)
        if after is not None:
            # As text, where the next one could else find what it would not find in the store, such as a tuple.
            held[id], changed[id] = after if _puts_plain(write) else encode(after), None
            count += 1
    texts = {id: text if isinstance(text := held[id], str) else encode(text) for id in changed}
    old = [(text, id) for id, text in texts.items() if id in there]
    new = [(id, text) for id, text in texts.items() if id not in there]
    db.executemany(f"UPDATE {table} SET doc = ? WHERE id = ?", old)
    db.executemany(f"INSERT INTO {table}(id, doc) VALUES(?, ?)", new)
    return count


def _read(db: sqlite3.Connection, table: str, ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), LOOKUP):
        piece = ids[start : start + LOOKUP]
        marks = ", ".join("?" * len(piece))
        found |= db.execute(f"SELECT id, doc FROM {table} WHERE id IN ({marks})", piece).fetchall()
    return found


def _puts_plain(write: Write) -> bool:
    return all(
        isinstance(value, _PLAIN) for fields in (write.change or {}).values() for value in fields.values()
    )


def _after(held: Document | str | None, write: Write, matches: Matcher) -> Document | None:
    """The document after a write; None where that changes nothing."""
    assert write.change is not None
    if held is None:
        return inserted(write.filter, write.change) if write.kind == "upsert" else None
    document = decode(held) if isinstance(held, str) else held
    if not matches(document):
        return None
    after = updated(document, write.change)
    return after if differs(after, document) else None


def differs(one: Document, other: Document) -> bool:
    """Whether the store tells them apart. Python takes 0 for false; the store does not."""
    return one != other or encode(one) != encode(other)
