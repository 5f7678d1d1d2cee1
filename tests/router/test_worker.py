"""The log, the writer and the worker on a real Redis: what is durable, once, and by whom."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm.kernel.errors import LeaseLost, Unavailable
from crm.kernel.ports import Document, Write
from router.desk import events
from router.desk.events import Author, LinesConfigured, MessageReceived, OperatorChanged
from router.desk.rules import LineRules
from router.desk.state import Entry, MessageAdded, Stray
from router.log.home import connect
from router.log.lease import Lease
from router.log.log import Log, id_key, now_ms
from router.log.pipe import COMMAND_TIMEOUT
from router.log.seen import PERIOD_MS
from router.log.writer import Writer
from router.worker import Worker
from storage.sqlite import SqliteStore
from tests.conftest import RedisServer, until
from tests.router.orders import order


@contextlib.asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.done()


def message(number: int, chat: str = "ali", event_id: str = "") -> MessageReceived:
    return MessageReceived(
        channel="bot",
        chat=chat,
        event_id=event_id or f"bot:{number}",
        message_id=str(number),
        author=Author(name=chat),
        text=f"text {number}",
    )


async def configure(log: Log) -> None:
    rules = LineRules(members=["anna"])
    await log.append(LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"}))
    await log.append(OperatorChanged(name="anna"))


async def journal(log: Log) -> list[tuple[str, Entry]]:
    return await log.read_journal("0", count=10_000)


async def texts(log: Log) -> list[str]:
    return [
        t.message.text
        for _, entry in await journal(log)
        for t in entry.told
        if isinstance(t, MessageAdded) and t.message.direction == "in"
    ]


async def test_appends_of_many_tasks_are_all_durable_and_in_order(log: Log) -> None:
    ids = await asyncio.gather(*(log.append(message(n)) for n in range(1500)))
    assert [id_key(i) for i in ids] == sorted(id_key(i) for i in ids)
    assert len(await log.read_log("0", 2000, 0)) == 1500


async def test_redelivered_events_change_nothing(log: Log) -> None:
    await configure(log)
    for number in (1, 2, 1, 2, 3):
        await log.append(message(number))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: worker.duplicates == 2 and worker.applied == 5)
    async with working(again := Worker(log)):
        await log.append(message(2))
        await until(lambda: again.duplicates == 1)
    assert await texts(log) == ["text 1", "text 2", "text 3"]


async def test_event_ids_are_remembered_for_at_least_a_week(log: Log) -> None:
    lease = Lease(log, "router", "me")
    assert await lease.acquire()
    now = now_ms()
    writer = Writer(log, lease)
    await writer.guard(["a"], now)
    await writer.commit(at=now, event_ids=["a"])
    assert await writer.guard(["a", "b"], now + PERIOD_MS - 1) == {"a"}
    await writer.close()


async def test_a_refused_command_may_come_again(log: Log) -> None:
    await configure(log)
    worker = Worker(log)
    async with working(worker):
        await log.append(order("Take", operator="anna", session="1", event_id="t"))
        await log.append(message(1))
        await log.append(order("Take", operator="anna", session="1", event_id="t"))
        await until(lambda: worker.desk.sessions and worker.desk.sessions["1"].holder == "anna")


async def test_what_is_no_event_is_kept_and_reported(log: Log) -> None:
    await configure(log)
    await log.redis.xadd(log.keys.log, {"e": b"\x81\xa1t\xa7Unknown"})
    await log.append(message(1))
    worker = Worker(log)
    async with working(worker):
        await until(lambda: worker.applied == 3)
    strays = [t for _, e in await journal(log) for t in e.told if isinstance(t, Stray)]
    assert [s.event for s in strays] == [b"\x81\xa1t\xa7Unknown"]


async def test_a_restart_goes_on_from_what_was_committed(log: Log) -> None:
    await configure(log)
    await log.append(order("SetDuty", operator="anna", duty="online", event_id="d"))
    await log.append(message(1))
    first = Worker(log)
    async with working(first):
        await until(lambda: first.desk.sessions and first.desk.sessions["1"].holder == "anna")
    await log.append(message(2))
    second = Worker(log)
    async with working(second):
        await until(lambda: second.applied == 1)
        assert second.desk.sessions["1"].timers.keys() == {"offer", "no_answer"}
        assert second.desk.operators["anna"].load == 1
    assert await texts(log) == ["text 1", "text 2"]


async def test_one_of_two_writes_and_the_other_takes_over(log: Log) -> None:
    await configure(log)
    one, other = Worker(log, lease_ttl=0.4), Worker(log, lease_ttl=0.4)
    async with working(other):
        async with working(one):
            for number in range(20):
                await log.append(message(number))
            await until(lambda: one.applied + other.applied == 22)
            assert 0 in (one.applied, other.applied)
        await log.append(message(20))
        await until(lambda: one.applied + other.applied == 23)
    assert await texts(log) == [f"text {n}" for n in range(21)]


async def test_a_writer_that_outlived_its_lease_cannot_commit(log: Log) -> None:
    """What a process does that was stopped between reading and committing, and woke up too late."""
    mine, theirs = Lease(log, "router", "mine"), Lease(log, "router", "theirs")
    assert await mine.acquire()
    writer = Writer(log, mine)
    await writer.guard([], now_ms())
    await log.redis.delete(mine.key)
    assert await theirs.acquire()
    with pytest.raises(LeaseLost):
        await writer.commit(at=now_ms(), cursor="9-9", entry=Entry(at=1))
    assert await journal(log) == []
    assert await log.redis.get(log.keys.cursor) is None
    with pytest.raises(LeaseLost):
        await writer.guard([], now_ms())
    await writer.close()


async def test_a_lease_that_ran_out_and_is_nobodys_is_no_right_to_commit(log: Log) -> None:
    mine = Lease(log, "router", "mine", ttl=0.05)
    assert await mine.acquire()
    writer = Writer(log, mine)
    await writer.guard([], now_ms())
    await until(lambda: _gone(log, mine.key))
    with pytest.raises(LeaseLost):
        await writer.commit(at=now_ms(), entry=Entry(at=1))
    await writer.close()


async def test_a_guard_without_a_commit_leaves_nothing_watched(log: Log) -> None:
    """A timer that changes nothing is guarded and not committed; the lease is renewed after that."""
    mine = Lease(log, "router", "mine")
    assert await mine.acquire()
    writer = Writer(log, mine)
    await writer.guard([], now_ms())
    assert await mine.renew()
    await writer.guard([], now_ms())
    await writer.commit(at=now_ms(), cursor="9-9")
    assert await log.redis.get(log.keys.cursor) == b"9-9"
    await writer.close()


async def test_the_lease_is_not_renewed_within_a_commit(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """A commit watches the lease: a renewal in between would look like another writer."""

    class SlowStore:
        """Answers later than the lease is due to be renewed."""

        async def find(self, *_: object, **__: object) -> list[Document]:
            await asyncio.sleep(0.25)
            return []

    await configure(log)
    async with working(Worker(log, SlowStore(), lease_ttl=0.6)):  # type: ignore[arg-type]
        for number in range(4):
            await log.append(message(number, chat=f"chat{number}"))
            await until(lambda n=number: _texts_are(log, n + 1))
    assert "lost the lease" not in caplog.text


async def test_a_quiet_router_keeps_its_lease(log: Log) -> None:
    """After a commit, too, somebody must renew it while nothing happens."""
    await configure(log)
    worker = Worker(log, lease_ttl=1.5)
    async with working(worker):
        await until(lambda: worker.applied == 2)
        left = [await log.redis.pttl(worker.lease.key)]

        async def renewed() -> bool:
            left.append(await log.redis.pttl(worker.lease.key))
            return left[-1] > left[-2]

        await until(renewed, within=5.0)
        assert min(left) > 0
        assert await log.redis.get(worker.lease.key) == worker.lease.token.encode()


async def _texts_are(log: Log, count: int) -> bool:
    return len(await texts(log)) == count


async def _gone(log: Log, key: str) -> bool:
    return not await log.redis.exists(key)


async def test_redis_away_is_said_and_everything_goes_on_when_it_is_back(own_redis: RedisServer) -> None:
    log = Log(connect(own_redis.url), "away")
    await configure(log)
    worker = Worker(log, lease_ttl=0.5)
    async with working(worker):
        await log.append(message(1))
        await until(lambda: worker.applied == 3)
        own_redis.kill()
        with pytest.raises(Unavailable):
            await log.append(message(2))
        own_redis.start()
        await until(lambda: _appends(log, message(2)))
        await until(lambda: _has(log, ["text 1", "text 2"]))
    await log.close()


async def _appends(log: Log, event: events.Event) -> bool:
    try:
        await log.append(event)
    except Unavailable:
        return False
    return True


async def _has(log: Log, expected: list[str]) -> bool:
    try:
        return await texts(log) == expected
    except Unavailable:
        return False


@pytest.mark.slow
async def test_who_waits_behind_a_silent_redis_is_refused_with_the_first(own_redis: RedisServer) -> None:
    """A web hook is answered within the time of one command, however many wait."""
    log = Log(connect(own_redis.url), "silent")
    await log.append(message(0))
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        first = asyncio.create_task(log.append(message(1)))
        await until(lambda: log._appender._task is not None and not log._appender._waiting)
        started = time.monotonic()
        outcomes = await asyncio.gather(
            first, *(log.append(message(n)) for n in range(2, 2000)), return_exceptions=True
        )
        assert time.monotonic() - started < 1.5 * COMMAND_TIMEOUT
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
        await log.close()


async def test_too_many_waiting_appends_are_refused(log: Log) -> None:
    log._appender._limit = 10
    outcomes = await asyncio.gather(*(log.append(message(n)) for n in range(20)), return_exceptions=True)
    assert sum(isinstance(o, Unavailable) for o in outcomes) == 10
    assert len(await log.read_log("0", 100, 0)) == 10


async def test_trimming_stays_behind_every_reader(log: Log) -> None:
    ids = [await log.append(message(n)) for n in range(300)]
    await log.trim(-60_000, 0, ids[100], "0")
    left = await log.read_log("0", 1000, 0)
    assert left[-1][0] == ids[-1]
    assert id_key(left[0][0]) <= id_key(ids[100])
    assert len(left) < 300


async def test_a_hundred_channels_that_wait_hold_nobody_up(log: Log) -> None:
    waiting = [asyncio.create_task(log.read_outbox(f"c{n}", block_ms=4000)) for n in range(100)]
    await until(lambda: _waiting(log, 100))
    async with asyncio.timeout(1):
        assert await Lease(log, "router", "mine").acquire()
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def _waiting(log: Log, count: int) -> bool:
    async with asyncio.timeout(1):
        return int((await log.redis.info("clients"))["blocked_clients"]) >= count


async def test_a_cancelled_worker_stops(log: Log) -> None:
    """A cancellation at any moment ends the worker: no layer below may swallow it."""
    await configure(log)
    for number in range(40):
        task = asyncio.create_task(Worker(log).run())
        for step in range(number % 8):
            await log.append(message(number * 100 + step))
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
        await log.redis.delete(Lease(log, "router", "").key)


async def test_a_channels_last_number_survives(log: Log) -> None:
    assert await log.last_number("bot") is None
    entry = await log.put_raw("bot", b"{}")
    await log.move_parsed("bot", [entry], [message(1)], last=41)
    assert await log.last_number("bot") == 41
    assert await log.read_raw(["bot"], {}, block_ms=0) == []
    assert len(await log.read_log("0", 10, 0)) == 1


async def test_a_redis_begun_anew_never_repeats_a_session_number(log: Log, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.sqlite")
    await store.open()
    await store.write(
        [Write.insert("sessions", {"_id": str(n), "opened_at": n, "rev": 1}) for n in (9, 40, 41)]
    )
    await configure(log)
    await log.append(message(1))
    worker = Worker(log, store)
    async with working(worker):
        await until(lambda: worker.desk.sessions)
        assert list(worker.desk.sessions) == ["42"]
    await store.close()


async def test_connections_that_break_under_load_lose_nothing_and_double_nothing(
    log: Log, redis_url: str
) -> None:
    """Commits are on their way when their connection goes: those that were not carried out are made anew."""
    await configure(log)
    edge = Log(connect(redis_url), log.desk)
    worker = Worker(log)

    async def appended(number: int) -> None:
        await until(lambda: _appends(edge, message(number)))

    async with working(worker):
        for start in range(0, 400, 20):
            await asyncio.gather(*(appended(number) for number in range(start, start + 20)))
            await edge.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
        await until(lambda: _count(log, 400))
    assert sorted(await texts(log)) == sorted(f"text {n}" for n in range(400))
    await edge.close()


async def _count(log: Log, count: int) -> bool:
    try:
        return len(await texts(log)) >= count
    except Unavailable:
        return False
