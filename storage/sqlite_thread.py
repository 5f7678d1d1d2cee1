"""A thread that owns one SQLite connection, for use from the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from crm.kernel import spelling
from crm.kernel.errors import NotStored, TimedOut, Unavailable
from storage.words import line_word

MAX_WAITING = 1000
"""Calls that may wait for the thread; more are refused instead of piling up."""

REFUSALS = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""Errors that are about what was given, and not about the file."""

T = TypeVar("T")


_MATTER = (
    (("disk is full",), "store_full", "has no room left on its disk"),
    (("readonly",), "store_readonly", "cannot be written to"),
    (("malformed", "not a database"), "store_damaged", "is damaged"),
)


def unavailable(path: Path, error: sqlite3.Error | OSError) -> Unavailable:
    """What an error of SQLite means: the text names the file, and what to do where that is known."""
    told = str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        told = "disk is full"
    for words, code, text in _MATTER:
        if any(word in told for word in words):
            hint = "`navbat repair` says what can be saved" if code == "store_damaged" else ""
            return Unavailable(f"the store {path} {text}", hint, code=code)
    return Unavailable(f"the store {path} does not answer: {error}", code="store_away")


class SqliteThread:
    """Carries out calls in order. Each has ``timeout`` seconds, waiting included."""

    def __init__(self, path: Path, timeout: float, *, read_only: bool) -> None:
        self._path = path
        self._timeout = timeout
        self._read_only = read_only
        self._thread: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None
        self._waiting = 0

    async def open(self) -> None:
        """Raises ``Unavailable`` when the file cannot be opened."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            await self.run(lambda _: None)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Carries out what is waiting, then ends the connection and the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._disconnect)
            await asyncio.to_thread(thread.shutdown)

    async def run(self, work: Callable[[sqlite3.Connection], T], *, within: float | None = None) -> T:
        """Runs ``work`` in the thread; ``within``: seconds in place of the usual ones. A call that is given up (time out, cancellation) is not
        begun any more, or interrupted, which rolls its transaction back."""
        if self._thread is None:
            raise Unavailable("the store is closed")
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many calls wait for the store")
        call = _Call(self, work)
        future = asyncio.wrap_future(self._thread.submit(call))
        self._waiting += 1
        future.add_done_callback(self._finished)
        try:
            async with asyncio.timeout(within or self._timeout):
                return await asyncio.shield(future)
        except asyncio.CancelledError:
            call.give_up()
            raise
        except TimeoutError as error:
            call.give_up()
            raise TimedOut("the store does not answer in time", code="store_away") from error
        except REFUSALS as error:
            raise NotStored(f"the store refuses this: {type(error).__name__}") from error
        except (sqlite3.Error, OSError) as error:
            raise unavailable(self._path, error) from error

    def connected(self) -> sqlite3.Connection:
        """The connection, made at the first call. Only for the thread."""
        if self._db is None:
            self._db = connect(self._path, self._timeout, read_only=self._read_only)
        return self._db

    def interrupt(self) -> None:
        """Stops what the connection is doing."""
        if self._db is not None:
            self._db.interrupt()

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # looked at, also when nobody waits for it any more

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class _Call:
    """One call, which may be given up while it waits or runs."""

    def __init__(self, thread: SqliteThread, work: Callable[[sqlite3.Connection], Any]) -> None:
        self._thread = thread
        self._work = work
        self._given_up = False
        self._running = False

    def __call__(self) -> Any:
        if self._given_up:
            return None
        db = self._thread.connected()
        self._running = True
        try:
            return self._work(db)
        finally:
            self._running = False

    def give_up(self) -> None:
        # Should the next call have begun in between, it is interrupted and says `Unavailable`,
        # which is true and harmless.
        self._given_up = True
        if self._running:
            self._thread.interrupt()


def _use_wal(db: sqlite3.Connection, timeout: float) -> None:
    """Of several processes that open a new file at once only one may switch it, and SQLite lets the
    others wait for nothing here."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def connect(path: Path, timeout: float, *, read_only: bool) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made before SQLite makes it: what customers wrote is for the owner's eyes only. A file that is
    # there must not be opened: closing it would drop the locks of this process's other connections,
    # and the next process to end would take the log of writes away from under them.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        # Another process that writes is waited for, but not longer than the caller waits.
        db.execute(f"PRAGMA busy_timeout = {int(timeout * 900)}")
        _use_wal(db, timeout)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 67108864")
        db.execute("PRAGMA cache_size = -16384")
        db.execute("PRAGMA temp_store = MEMORY")
        for name, function in (("nb_sound", spelling.sound), ("nb_line", line_word)):
            db.create_function(name, 1, lambda text, f=function: f(text or ""), deterministic=True)
        if read_only:
            db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db
