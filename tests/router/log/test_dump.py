"""What a desk has in Redis is copied at one instant and put back; what waited to be sent is not sent again."""

from __future__ import annotations

import pytest

from crm.kernel.errors import NavbatError
from router.log.dump import Kept, dump, is_empty, restore
from router.log.log import Log


async def test_all_but_leases_comes_back_in_place_of_what_is_there(log: Log) -> None:
    keys = log.keys
    await log.redis.set(keys.cursor, "5-0")
    await log.redis.hset(keys.sessions, "1", b"\x00\xff")
    await log.redis.set(keys.lease("router"), "me", px=60_000)
    await log.redis.set(keys.root + "soon", "gone", px=60_000)
    await log.redis.set("nb:{other}:cursor", "not ours")
    kept = await dump(log)
    assert [one.name for one in kept] == ["cursor", "sessions", "soon"]
    assert not await is_empty(log)
    await log.redis.flushall()
    assert await is_empty(log)
    await log.redis.set(keys.cursor, "9-0")
    assert await restore(log, kept) == 0
    assert await log.redis.get(keys.cursor) == b"5-0"
    assert await log.redis.hgetall(keys.sessions) == {b"1": b"\x00\xff"}
    assert 0 < await log.redis.pttl(keys.root + "soon") <= 60_000
    assert await log.redis.pttl(keys.cursor) == -1


async def test_what_waited_to_be_sent_is_marked_as_begun(log: Log) -> None:
    for _ in range(3):
        await log.redis.xadd(log.keys.out("shop"), {"e": b"x"})
    ids = [id for id, _ in await log.read_outbox("shop", block_ms=1)]
    kept = await dump(log)
    await log.redis.flushall()
    assert await restore(log, kept) == 3
    assert await log.sending("shop") == set(ids)
    assert [id for id, _ in await log.read_outbox("shop", block_ms=1)] == ids != []


async def test_what_redis_does_not_read_is_said(log: Log) -> None:
    with pytest.raises(NavbatError, match="does not take back cursor"):
        await restore(log, [Kept("cursor", 0, b"no dump")])
