"""The projector goes on when the store refuses a document for good, when it cannot be made, and when the
journal tells what only a newer version knows; it waits when the store is away."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.conversations import history
from crm.kernel.errors import NotStored, Unavailable
from crm.kernel.ports import Filter, Store, Write
from crm.kernel.records import MessageChange
from router.desk.state import Aside, Audit, MessageAdded, encode
from router.history import projection
from router.history.projector import Projector
from router.log.log import Log, id_key
from router.log.quarantine import Quarantine
from router.worker import Worker
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from storage.sqlite_thread import SqliteThread
from tests.conftest import until
from tests.router.history.test_projector import change, message, project, session, tell
from tests.router.orders import order
from tests.router.test_worker import configure, working
from tests.router.test_worker import message as incoming

BEYOND = 2**64 - 1
"""A number that a journal entry can hold and no document can."""


async def aside(log: Log) -> list[Aside]:
    return await Quarantine(log).items(100)


async def texts(store: Store) -> list[str]:
    return [m.text for m in await history.messages(store, "7")]


def bad(seq: int, text: str = "bad") -> MessageAdded:
    return MessageAdded(message=message(seq, text))


async def tell_a_mixture(log: Log) -> None:
    """Entries of several parts; among them messages that say ``bad``."""
    await tell(log, MessageAdded(message=message(1)), sessions=[session()])
    await tell(
        log,
        MessageAdded(message=message(2)),
        bad(3),
        MessageAdded(message=message(4)),
        Audit(at=1, operator="anna", action="take", session="7"),
        bad(5),
        sessions=[session(rev=2, last_text="of the second entry")],
    )
    await tell(log, MessageAdded(message=message(6)), change(external_id="e4", text="changed"))


async def check_the_mixture(log: Log, store: Store) -> None:
    assert await texts(store) == ["text 1", "text 2", "changed", "text 6"]
    kept = await store.get("sessions", "7")
    assert kept is not None
    assert kept["last_text"] == "of the second entry"
    assert await store.count("audit", {"operator": "anna"}) == 1
    assert await store.count("messages", {"line": "sales"}) == 4
    _, newest = await log.journal_bounds()
    assert await log.reader("projector") == newest
    assert [(item.origin, item.kind) for item in await aside(log)] == [("journal", "MessageAdded")] * 2


class Refusing:
    """A store that never takes a message which says ``bad``."""

    def __init__(self, store: Store, error: Exception) -> None:
        self._store = store
        self.error: Exception | None = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
        for write in writes:
            if self.error and write.collection == "messages" and (write.document or {}).get("text") == "bad":
                raise self.error
        return await self._store.write(writes, expect=expect)


@pytest.mark.parametrize("error", [NotStored("too large"), ValueError("secret"), KeyError()], ids=repr)
async def test_one_document_that_is_refused_is_set_aside_and_all_others_arrive(
    log: Log, store: Store, error: Exception
) -> None:
    refusing = Refusing(store, error)
    await tell_a_mixture(log)
    await project(log, refusing)
    await check_the_mixture(log, store)
    assert all(item.reason.startswith(type(error).__name__ + " at ") for item in await aside(log))
    assert "secret" not in str(await aside(log))
    refusing.error = None
    for item in await aside(log):
        assert await Quarantine(log).put_back(item)
    await project(log, refusing)
    assert await texts(store) == ["text 1", "text 2", "bad", "changed", "bad", "text 6"]
    assert await store.count("messages", {"line": "sales"}) == 6
    assert await aside(log) == []


async def test_a_store_that_takes_no_audit_is_told_of_once(log: Log, sqlite: SqliteStore) -> None:
    """What is told of something set aside may be refused itself: to tell of that again would never end."""

    class NoAudit(Refusing):
        async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
            # The records of leads are written with the leads; they are not what is told.
            told = [write for write in writes if "object" not in (write.document or {})]
            if any(write.collection in ("audit", "alerts") for write in told):
                raise NotStored("a rule of the server")
            return await self._store.write(writes, expect=expect)

    store: Any = NoAudit(sqlite, NotStored(""))
    await configure(log)
    await log.append(order("SetDuty", operator="anna", duty="online", event_id="d"))
    worker = Worker(log)
    async with working(worker), working(Projector(log, store)):  # type: ignore[arg-type]
        for number in range(1, 5):
            await log.append(incoming(number))
            await until(lambda n=number: _arrived(sqlite, n))
        await until(lambda: _all_is_done(log))
    kinds = [item.kind for item in await aside(log)]
    assert kinds == ["Audit", "Audit", "Alert"]


async def _arrived(store: Store, number: int) -> bool:
    return await store.count("messages", {"text": f"text {number}"}) == 1


async def _all_is_done(log: Log) -> bool:
    return set((await log.lags([])).values()) == {0}


async def test_sqlite_itself_refuses(log: Log, sqlite: SqliteStore) -> None:
    await sqlite._writes.run(
        lambda db: db.execute(
            "CREATE TRIGGER refusing BEFORE INSERT ON messages WHEN new.doc ->> '$.text' = 'bad'"
            " BEGIN SELECT RAISE(ABORT, 'never'); END"
        )
    )
    await tell_a_mixture(log)
    await project(log, sqlite)
    await check_the_mixture(log, sqlite)


async def test_sqlite_refuses_a_state_that_replaces_another(log: Log, sqlite: SqliteStore) -> None:
    """What a unique index refuses is left out; what anything else refuses is not."""
    await tell(log, sessions=[session()])
    await project(log, sqlite)
    await sqlite._writes.run(
        lambda db: db.execute(
            "CREATE TRIGGER refusing BEFORE UPDATE ON sessions WHEN new.doc ->> '$.last_text' = 'bad'"
            " BEGIN SELECT RAISE(ABORT, 'never'); END"
        )
    )
    await tell(log, MessageAdded(message=message(1)), sessions=[session(rev=2, last_text="bad")])
    await project(log, sqlite)
    (item,) = await aside(log)
    assert (item.kind, await texts(sqlite)) == ("Session", ["text 1"])


async def test_mongodb_itself_refuses(log: Log, mongo: MongoStore) -> None:
    await tell(log, MessageAdded(message=message(1)), sessions=[session()])
    await tell(
        log,
        MessageAdded(message=message(2)),
        MessageAdded(message=message(3, "far away", at=BEYOND)),
        MessageAdded(message=message(4, "x" * (17 << 20))),
        MessageAdded(message=message(5)),
    )
    await project(log, mongo)
    assert await texts(mongo) == ["text 1", "text 2", "text 5"]
    assert len(await aside(log)) == 2


async def test_what_no_document_can_hold(log: Log, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect is ours: a rule of the projection raises."""
    real = projection.Batch._changed

    def failing(self: projection.Batch, at: str, told: MessageChange) -> None:
        if told.text == "bad":
            raise AttributeError
        real(self, at, told)

    monkeypatch.setattr(projection.Batch, "_changed", failing)
    await tell(log, MessageAdded(message=message(1)), sessions=[session()])
    await tell(log, change(external_id="e1", text="bad"), MessageAdded(message=message(2)))
    await project(log, store)
    assert await texts(store) == ["text 1", "text 2"]
    (item,) = await aside(log)
    assert item.reason.startswith("AttributeError at ")
    monkeypatch.setattr(projection.Batch, "_changed", real)
    assert await Quarantine(log).put_back(item)
    await project(log, store)
    assert await texts(store) == ["bad", "text 2"]


class Newer(msgspec.Struct, tag="Hologram", tag_field="t", kw_only=True):
    at: int = 5
    beam: str = "blue"


async def newer_entry(log: Log) -> None:
    told = [
        encode(MessageAdded(message=message(1))),
        encode(Newer()),
        encode(MessageAdded(message=message(2))),
    ]
    states = [
        encode(session(rev=2)),
        msgspec.msgpack.encode({**msgspec.to_builtins(session()), "status": "x"}),
    ]
    entry = {
        "at": 1,
        "told": [msgspec.Raw(one) for one in told],
        "sessions": [msgspec.Raw(one) for one in states],
        "new_field": 1,
    }
    await log.redis.xadd(log.keys.journal, {"e": msgspec.msgpack.encode(entry)})


async def test_an_entry_of_a_newer_version_is_read_as_far_as_it_is_understood(log: Log, store: Store) -> None:
    await newer_entry(log)
    await log.redis.xadd(log.keys.journal, {"e": b"\xc1 no entry at all"})
    await log.redis.xadd(log.keys.journal, {"x": b"1"})
    await tell(log, MessageAdded(message=message(3)))
    await project(log, store)
    assert await texts(store) == ["text 1", "text 2", "text 3"]
    items = await aside(log)
    assert [item.kind for item in items] == ["Hologram", "Session", "", ""]
    assert items[2].data == b"\xc1 no entry at all"
    assert await Quarantine(log).put_back(items[0])
    await project(log, store)
    assert [item.kind for item in await aside(log)] == ["Session", "", "", "Hologram"]


async def test_a_store_that_is_away_is_no_reason(log: Log, store: Store) -> None:
    refusing = Refusing(store, Unavailable("away"))
    await tell_a_mixture(log)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await project(log, refusing)
    assert await aside(log) == []
    refusing.error = None
    await project(log, refusing)
    assert len(await texts(store)) == 6


async def test_only_an_error_about_what_was_given_is_a_refusal(tmp_path: Path) -> None:
    thread = SqliteThread(tmp_path / "x.sqlite", 5, read_only=False)
    await thread.open()
    await thread.run(lambda db: db.execute("CREATE TABLE t(id TEXT UNIQUE NOT NULL)"))
    for wrong in ("INSERT INTO t VALUES(NULL)", "SELECT ?"):
        with pytest.raises(NotStored):
            await thread.run(lambda db, sql=wrong: db.execute(sql))  # type: ignore[misc]
    with pytest.raises(Unavailable):
        await thread.run(lambda db: db.execute("SELECT nothing FROM nowhere"))
    await thread.close()


KILLED = """
import asyncio, os, signal, sys
from router.history import projector as module
from router.log.log import Log
from router.log.home import connect
from router.history.projection import Batch
from storage.sqlite import SqliteStore

real_added, real_aside = Batch._added, module.set_aside

def failing(self, at, message):
    if message.text == "bad":
        raise KeyError
    real_added(self, at, message)

async def dying(log, item, **how):
    await real_aside(log, item, **how)
    os.kill(os.getpid(), signal.SIGKILL)

Batch._added, module.set_aside = failing, dying

async def main():
    store = SqliteStore(sys.argv[3])
    await store.open()
    await module.Projector(Log(connect(sys.argv[1]), sys.argv[2]), store, lease_ttl=0.3).run()

asyncio.run(main())
"""


async def test_kill_9_between_setting_aside_and_going_on(
    log: Log, redis_url: str, sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell_a_mixture(log)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, redis_url, log.desk, str(sqlite.path), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(20):
        assert await process.wait() == -signal.SIGKILL
    assert len(await aside(log)) == 1
    assert id_key(await log.reader("projector")) < id_key((await log.journal_bounds())[1])
    await project(log, Refusing(sqlite, NotStored("never")))
    await check_the_mixture(log, sqlite)
