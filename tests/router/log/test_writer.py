"""How many round trips a batch costs, and that a commit which watches for the next one is as safe."""

from __future__ import annotations

from typing import Any

import pytest

from crm.kernel.errors import LeaseLost
from router.log.lease import Lease
from router.log.log import Log, now_ms
from router.log.pipe import Pipe
from router.log.writer import Writer


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
    """It comes when a third of the lease's time has passed, and changes what was watched."""
    mine = Lease(log, "router", "mine", 30.0)
    steady = 0
    assert await mine.acquire()
    writer = Writer(log, mine, lambda: steady)
    await writer.guard([], now_ms())
    await writer.commit(at=now_ms(), cursor="1-0")
    steady += 10_000
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
