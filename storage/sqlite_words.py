# ruff: noqa: S608 - names are constants, values are always parameters
"""The words of messages in SQLite: the index that the search asks, and the triggers that keep it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from crm.kernel.ports import Filter
from storage.schema import SEARCHED
from storage.words import SPELLING, line_word, query_words

FILLED = 5_000
"""Messages whose words are written together into a new index."""


MAX_LINES = 500
"""Lines that a query of the index names; of more the documents are asked."""


def query(text: str, filter: Filter, *, whole: bool) -> str:
    """What the index is asked for; empty where nothing is looked for. The lines of the filter are asked of the
    index too: in a small line a common word would else be looked for among all the others."""
    terms = query_words(text)
    if not terms:
        return ""
    asked = "{text} : (" + " AND ".join(f'"{term}"' for term in terms) + (")" if whole else "*)")
    if lines := _lines(filter.get("line")):
        asked += " AND {line} : (" + " OR ".join(line_word(line) for line in lines) + ")"
    return asked


def _lines(wanted: object) -> list[str]:
    named = wanted.get("$in", ()) if isinstance(wanted, Mapping) else [wanted]
    lines = [line for line in named if isinstance(line, str)]
    return lines if len(lines) == len(named) <= MAX_LINES else []


def create(db: sqlite3.Connection) -> None:
    """Contentless: the index holds words only, the text stays in the document. ``nb_sound`` makes the spellings
    of a word one, which no tokenizer of SQLite's does for Uzbek. The words of another time are thrown away, and
    those of now come page by page (``_fill``)."""
    words = f"{SEARCHED}_words"
    if 0 <= db.execute("PRAGMA user_version").fetchone()[0] < SPELLING:
        db.execute(f"DROP TABLE IF EXISTS {words}")
        for event in ("insert", "delete", "update"):
            db.execute(f'DROP TRIGGER IF EXISTS "{words}_{event}"')
        db.execute(f"PRAGMA user_version = {-SPELLING}")
    db.execute(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {words} USING"
        " fts5(text, line, content='', tokenize='unicode61 remove_diacritics 0', prefix='1 2 3 4 5')"
    )
    create_triggers(db)


def fill(db: sqlite3.Connection) -> bool:
    """Puts the words of some more messages into an index that is new. Returns whether that was all: until then
    nobody may write."""
    if db.execute("PRAGMA user_version").fetchone()[0] == SPELLING:
        return True
    words = f"{SEARCHED}_words"
    (last,) = db.execute(f"SELECT coalesce(max(id), 0) FROM {words}_docsize").fetchone()
    count = db.execute(
        f"INSERT INTO {words}(rowid, text, line) SELECT n, {TEXT.format('doc')}, {LINE.format('doc')}"
        f" FROM {SEARCHED} WHERE n > ? ORDER BY n LIMIT {FILLED}",
        (last,),
    ).rowcount
    if count == FILLED:
        return False
    db.execute(f"PRAGMA user_version = {SPELLING}")
    return True


TEXT = "nb_sound({} ->> '$.text')"
LINE = "nb_line({} ->> '$.line')"
"""What is put into the index of words of a document."""


def create_triggers(db: sqlite3.Connection) -> None:
    words = f"{SEARCHED}_words"
    new, old = ((TEXT.format(f"{doc}.doc"), LINE.format(f"{doc}.doc")) for doc in ("new", "old"))
    create_all_triggers(
        db,
        SEARCHED,
        "words",
        insert=f"INSERT INTO {words}(rowid, text, line) VALUES(new.n, {new[0]}, {new[1]})",
        delete=(
            f"INSERT INTO {words}({words}, rowid, text, line) VALUES('delete', old.n, {old[0]}, {old[1]})"
        ),
        changed=(
            "old.doc ->> '$.text' IS NOT new.doc ->> '$.text' OR old.doc ->> '$.line' IS NOT new.doc ->> '$.line'"
        ),
    )


def create_all_triggers(
    db: sqlite3.Connection, collection: str, name: str, *, insert: str, delete: str, changed: str
) -> None:
    table = f'"{collection}"'
    for event, when, body in (
        ("INSERT", "true", f"{insert};"),
        ("DELETE", "true", f"{delete};"),
        ("UPDATE", changed, f"{delete}; {insert};"),
    ):
        db.execute(
            f'CREATE TRIGGER IF NOT EXISTS "{collection}_{name}_{event.lower()}" AFTER {event} ON {table}'
            f" WHEN {when} BEGIN {body} END"
        )
