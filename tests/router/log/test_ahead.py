"""A stream that is read ahead: everything once and in order, over whatever happens to the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crm.kernel.errors import Unavailable
from router.log.ahead import Ahead
from router.log.home import connect
from router.log.log import Log
from tests.conftest import RedisServer, until


async def put(log: Log, data: str) -> str:
    id: Any = await log.redis.xadd(log.keys.log, {"e": data})
    return str(id.decode())


async def test_all_entries_come_once_and_in_order(log: Log) -> None:
    ahead = Ahead(log.redis, log.keys.log)
    for number in range(5):
        await put(log, str(number))
    after = "0"
    found: list[bytes] = []
    while len(found) < 25:
        rows = await ahead.read(after, 2, 5000)
        assert len(rows) <= 2
        found += [data for _, data in rows]
        after = rows[-1][0]
        await put(log, str(len(found) // 2 * 10 + 100))
    assert found[:5] == [b"0", b"1", b"2", b"3", b"4"]
    kept: Any = await log.redis.xrange(log.keys.log, count=len(found))
    assert found == [fields[b"e"] for _, fields in kept]
    await ahead.stop()


async def test_what_comes_next_has_been_asked_for_before(log: Log) -> None:
    """Otherwise the reader waits for Redis once more, which may be syncing for somebody else."""
    ahead = Ahead(log.redis, log.keys.log)
    id = await put(log, "1")
    assert await ahead.read("0", 8, 5000) == [(id, b"1")]

    async def waits() -> bool:
        return bool((await log.redis.info("clients"))["blocked_clients"])

    await until(waits)
    await ahead.stop()


async def test_another_place_is_asked_for_anew(log: Log) -> None:
    ahead = Ahead(log.redis, log.keys.log)
    ids = [await put(log, str(n)) for n in range(3)]
    assert [id for id, _ in await ahead.read(ids[1], 8, 5000)] == ids[2:]
    assert [id for id, _ in await ahead.read("0", 8, 5000)] == ids
    assert await ahead.read(ids[2], 8, 1) == []
    await ahead.stop()


async def test_it_returns_for_others(log: Log) -> None:
    ahead = Ahead(log.redis, log.keys.log)
    other = asyncio.create_task(asyncio.sleep(0))
    async with asyncio.timeout(3):
        assert await ahead.read("0", 8, 60_000, [other]) == []
    await ahead.stop()


async def test_after_an_outage_it_goes_on(own_redis: RedisServer) -> None:
    log = Log(connect(own_redis.url), "away")
    ahead = Ahead(log.redis, log.keys.log)
    first = await put(log, "1")
    assert len(await ahead.read("0", 8, 5000)) == 1
    own_redis.kill()
    with pytest.raises(Unavailable):
        await ahead.read(first, 8, 5000)
    own_redis.start()
    await put(log, "2")
    assert [data for _, data in await ahead.read(first, 8, 5000)] == [b"2"]
    await ahead.stop()
    await log.close()
