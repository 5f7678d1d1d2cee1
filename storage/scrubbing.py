"""Making a file of SQLite's say nothing of what was deleted from it.

A deleted row stays readable in its page until something else is written there, a page that was split keeps a
copy, and the index of words keeps a deleted word until its parts are merged. Only a file that is written anew
is free of all that.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from pathlib import Path

from storage.sqlite_thread import connect, unavailable

LARGEST = 1 << 30
"""Bytes of a file that is written anew while the desk runs: about ten seconds in which nothing is written."""
WAIT = 60.0
"""Seconds for whoever writes or reads meanwhile."""


def scrub(path: Path, largest: int = LARGEST) -> bool:
    """Writes the file anew, and empties its log of writes. False when it is too large for that, or the disk has
    no room for a second one: what is left can then be read by who has the file, until it is. Raises
    ``Unavailable``."""
    size = path.stat().st_size
    try:
        with contextlib.closing(connect(path, WAIT, read_only=False)) as db:
            rewrites = size <= largest and shutil.disk_usage(path.parent).free > 2 * size
            if rewrites:
                _merge_words(db)
                db.execute("PRAGMA temp_store = FILE")
                db.execute("VACUUM")
            _empty_log(db)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(path, error) from error
    return rewrites


def _merge_words(db: sqlite3.Connection) -> None:
    """A deleted word is only marked as such until the parts of the index become one."""
    tables = db.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5(%'")
    for (name,) in tables.fetchall():
        db.execute(f"INSERT INTO {name}({name}) VALUES('optimize')")


def _empty_log(db: sqlite3.Connection) -> None:
    """Who reads an older state keeps it in the log until he has done."""
    until = time.monotonic() + WAIT
    while True:
        (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        if time.monotonic() > until:
            raise sqlite3.OperationalError("somebody reads an old state of it")
        time.sleep(0.05)
