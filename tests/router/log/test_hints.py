"""Following hints: a connection that stays, and that notices when nobody is there any more."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from crm.kernel.errors import Unavailable
from router.log.home import connect
from router.log.log import Log
from tests.conftest import RedisServer, until


@pytest.fixture
async def log(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Log]:
    monkeypatch.setattr("router.log.log.SILENCE", 0.02)
    log = Log(connect(own_redis.url), "hints")
    yield log
    await log.close()


async def counted(log: Log, command: str) -> int:
    found = await log.redis.info("commandstats")
    return int(found.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def test_silence_costs_no_connection_and_no_hint(log: Log) -> None:
    hints = log.hints()
    first = asyncio.ensure_future(anext(hints))

    async def asked_often() -> bool:
        return await counted(log, "ping") >= 5

    await until(asked_often)
    assert await counted(log, "subscribe") == 1
    for number in range(3):
        await log.hint(b"%d" % number)
    assert [await first, await anext(hints), await anext(hints)] == [b"0", b"1", b"2"]
    await hints.aclose()  # type: ignore[attr-defined]


async def test_a_redis_that_says_nothing_any_more_is_noticed(own_redis: RedisServer, log: Log) -> None:
    hints = log.hints()
    first = asyncio.ensure_future(anext(hints))

    async def asked() -> bool:
        return await counted(log, "ping") >= 1

    await until(asked)
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            async with asyncio.timeout(15):
                await first
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
