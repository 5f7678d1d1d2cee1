"""How many round trips a batch costs, and that commits which do not wait for each other are as safe."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from redis.exceptions import ConnectionError as Disconnected

from crm.kernel.errors import LeaseLost
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules
from router.log.lease import Lease
from router.log.log import Log, now_ms
from router.log.pipe import Args, Pipe, Said
from router.log.writer import Writer
from router.worker import Worker
from tests.conftest import until
from tests.router.test_worker import message, working


async def led(log: Log, ttl: float = 30.0) -> Writer:
    lease = Lease(log, "router", "mine", ttl)
    assert await lease.acquire()
    return Writer(log, lease)


async def test_a_writer_at_work_makes_one_round_trip_for_each_batch(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for whatever Redis is syncing, so each is as long as a commit."""
    trips = 0
    real = Pipe.say

    async def counted(*given: Any, **more: Any) -> Any:
        nonlocal trips
        trips += 1
        return await real(*given, **more)

    writer = await led(log)
    for number in range(0, 400, 8):
        if number == 8:
            monkeypatch.setattr(Pipe, "say", counted)
        ids = [f"bot:{n}" for n in range(number, number + 8)]
        repeated = ids[:1] if number else []
        assert await writer.guard([*ids, f"bot:{number - 1}"], now_ms()) == (
            {f"bot:{number - 1}"} if repeated else set()
        )
        await writer.commit(at=now_ms(), cursor=f"{number}-0", event_ids=ids)
    assert trips == 49
    await writer.close()


async def test_a_lease_that_was_lost_since_the_last_commit_is_no_right_to_the_next(log: Log) -> None:
    writer = await led(log)
    await writer.guard([], now_ms())
    await writer.commit(at=now_ms(), cursor="1-0")
    await log.redis.delete(Lease(log, "router", "").key)
    assert await Lease(log, "router", "theirs").acquire()
    await writer.guard([], now_ms())
    with pytest.raises(LeaseLost):
        await writer.commit(at=now_ms(), cursor="2-0")
    assert await log.redis.get(log.keys.cursor) == b"1-0"
    await writer.close()


async def test_a_renewal_after_the_last_commit_is_no_loss(log: Log) -> None:
    mine = Lease(log, "router", "mine", 30.0)
    assert await mine.acquire()
    writer = Writer(log, mine)
    await writer.guard([], now_ms())
    await writer.commit(at=now_ms(), cursor="1-0")
    assert await mine.renew()
    await writer.guard([], now_ms())
    await writer.commit(at=now_ms(), cursor="2-0")
    assert await log.redis.get(log.keys.cursor) == b"2-0"
    await writer.close()


async def test_what_is_held_is_what_redis_has(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer places than there are sets, so that they are given up and fetched again."""
    monkeypatch.setattr("router.log.seen.MOST_HELD", 4)
    monkeypatch.setattr("router.log.seen.MOST_FETCHED", 3)
    writer = await led(log)
    noted: set[str] = set()
    for number in range(60):
        ids = [f"bot:{number * 777 % 4001}", f"cmd-{number % 41}", f"shop:{number % 7}", f"out:{number}:x"]
        assert await writer.guard(ids, now_ms()) == noted & set(ids)
        fresh = [id for id in ids if id not in noted]
        await writer.commit(at=now_ms(), event_ids=fresh)
        noted.update(fresh)
    assert await writer.guard(sorted(noted), now_ms()) == noted
    await writer.close()
    again = await led(log)
    assert await again.guard([*sorted(noted), "new", "bot:4002"], now_ms()) == noted
    await again.close()


async def test_what_is_sent_after_a_refused_commit_is_refused_too(log: Log) -> None:
    """Also when the lease is ours again by then: it builds on what was never written."""
    writer = await led(log)
    await writer.guard([], now_ms())
    await writer.commit(at=now_ms(), cursor="1-0")
    lease = Lease(log, "router", "").key
    await log.redis.set(lease, "theirs", px=30_000)
    async with writer._order:  # nothing is known of the first when the second is sent
        refused = await writer.send(at=now_ms(), cursor="2-0")
        await until(lambda: _was_refused(log))
        await log.redis.set(lease, "mine", px=30_000)
        after = await writer.send(at=now_ms(), cursor="3-0")
    with pytest.raises(LeaseLost):
        await refused
    with pytest.raises(LeaseLost):
        await after
    assert await log.redis.get(log.keys.cursor) == b"1-0"
    await writer.close()


async def test_several_on_their_way_are_carried_out_in_order(log: Log) -> None:
    writer = await led(log)
    await writer.guard([], now_ms())
    sent = [await writer.send(at=now_ms(), cursor=f"{n}-0", event_ids=[f"bot:{n}"]) for n in range(1, 5)]
    assert await writer.guard(["bot:4", "bot:5"], now_ms()) == {"bot:4"}
    await asyncio.gather(*sent)
    assert await log.redis.get(log.keys.cursor) == b"4-0"
    await writer.close()


async def test_a_commit_whose_reply_nobody_waited_for_does_not_come_late(log: Log) -> None:
    """Its process gave it up, took up the desk anew and wrote on: what still stood in a buffer is refused."""
    late, anew = await led(log), await led(log)
    await late.guard([], now_ms())
    await anew.guard([], now_ms())
    await anew.commit(at=now_ms(), cursor="2-0")
    with pytest.raises(LeaseLost):
        await late.commit(at=now_ms(), cursor="1-0")
    assert await log.redis.get(log.keys.cursor) == b"2-0"
    await late.close()
    await anew.close()


async def test_a_commit_that_comes_late_is_not_lost_to_who_takes_the_desk_up_again(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the desk has been read and before the next commit: its session's number is not given twice."""
    await log.append(LinesConfigured(lines={"sales": LineRules()}, channels={"bot": "sales"}))
    worker = Worker(log)
    late, read = Writer(log, worker.lease), log.load
    found: Any = None

    async def load() -> Any:
        nonlocal found
        first, found = found is None, await read()
        if first:
            await late.guard([], now_ms())
            await late.commit(at=now_ms(), fields={"next_session": msgspec.msgpack.encode(50)})
        return found

    monkeypatch.setattr(log, "load", load)
    async with working(worker):
        await log.append(message(1))
        await until(lambda: bool(worker.desk.sessions) and worker.applied > 1)
        assert list(worker.desk.sessions) == ["50"]
    await late.close()


async def test_a_writer_that_is_refused_refuses_nobody_elses_commit(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large commit comes to Redis in pieces, and what others ask comes in between."""
    theirs = Writer(log, Lease(log, "router", "theirs"))
    theirs._before = ""
    mine = await led(log)
    await mine.guard([], now_ms())
    say = mine._pipe.say

    async def in_pieces(commands: list[Args], *, keep: bool = False) -> Said:
        first = await say(commands[:3])
        with pytest.raises(LeaseLost):
            await theirs.commit(at=now_ms(), cursor="9-0")
        rest = await say(commands[3:], keep=keep)
        return rest._replace(commands=first.commands + rest.commands)

    monkeypatch.setattr(mine._pipe, "say", in_pieces)
    await mine.commit(at=now_ms(), cursor="1-0")
    assert await log.redis.get(log.keys.cursor) == b"1-0"
    await mine.close()
    await theirs.close()


async def test_replies_of_another_socket_are_not_taken_for_those_that_were_lost(log: Log) -> None:
    """The client's pool gives the connection that was lost once more, with a socket of its own."""
    pipe = Pipe(log.redis)
    lost = await pipe.say([("ECHO", "lost")])
    await pipe.close()
    anew = await pipe.say([("ECHO", "anew")])
    assert anew.connection is lost.connection
    with pytest.raises(Disconnected):
        await pipe.hear(lost)
    assert await pipe.hear(anew) == [b"anew"]
    await pipe.close()


async def _was_refused(log: Log) -> bool:
    return bool(await log.redis.exists(log.keys.commits + ":refused:mine"))
