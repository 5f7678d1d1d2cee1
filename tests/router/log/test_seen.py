"""What is known of applied events: exact over restarts, upgrades and counts that begin anew, and small."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from router.log import seen
from router.log.home import connect
from router.log.lease import Lease
from router.log.log import Log, now_ms
from router.log.seen import OWN_PERIOD_MS, PERIOD_MS
from router.log.writer import Writer
from tests.conftest import RedisServer

NOW = now_ms() // PERIOD_MS * PERIOD_MS + 1000
"""Just after a period has begun."""


@asynccontextmanager
async def a_writer(log: Log) -> AsyncIterator[Writer]:
    lease = Lease(log, "router", uuid.uuid4().hex)
    await log.redis.delete(lease.key)
    assert await lease.acquire()
    writer = Writer(log, lease)
    yield writer
    await writer.close()


async def applied(writer: Writer, ids: Sequence[str], at: int = NOW) -> set[str]:
    """Applies a batch as the worker does; returns what was known of it before."""
    known = await writer.guard(ids, at)
    await writer.commit(at=at, event_ids=[id for id in ids if id not in known])
    return known


@pytest.mark.parametrize(
    "ids",
    [
        [f"shop:{n}" for n in range(871_234_000, 871_235_200)],
        [f"shop:{n}" for n in (5, 3, 1, 4, 999_999_999_999, 2)],
        [uuid.uuid4().hex for _ in range(1200)],
        [f"out:{n}-1:sent" for n in range(700)] + [f"shop:{n}:media:0" for n in range(700)],
        [
            "",
            ":",
            "a:",
            ":5",
            "a:05",
            "a:-5",
            "a:5 ",
            "a:b:5",
            "a:1e3",
            "shop:" + "9" * 40,
            "ʻ:5",
            "\U0001f600",
        ],
    ],
    ids=["counted", "jumping", "random", "own", "strange"],
)
async def test_what_was_applied_is_known_and_nothing_else(log: Log, ids: list[str]) -> None:
    half = len(ids) // 2
    async with a_writer(log) as writer:
        for start in range(0, half, 512):
            assert await applied(writer, ids[start : min(half, start + 512)]) == set()
        assert await writer.guard(ids, NOW) == set(ids[:half])
    async with a_writer(log) as another:
        assert await another.guard(ids, NOW) == set(ids[:half])
        assert await applied(another, ids) == set(ids[:half])
        assert await another.guard(ids, NOW) == set(ids)


async def test_several_levels_are_all_asked(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "FIRST_LEVEL", 0)
    monkeypatch.setattr(seen, "FILL", 4)
    ids = [uuid.uuid4().hex for _ in range(600)]
    for start in range(0, 600, 20):
        async with a_writer(log) as writer:
            assert await applied(writer, ids[start : start + 20]) == set()
    assert len(await log.redis.hkeys(f"{log.keys.root}ids:i{NOW // PERIOD_MS}")) > 2
    async with a_writer(log) as writer:
        assert await writer.guard([*ids, "new"], NOW) == set(ids)


async def test_ids_are_known_for_their_period_over_its_end(log: Log) -> None:
    async with a_writer(log) as writer:
        await applied(writer, ["command", "out:1:sent"])
        assert await writer.guard(["command", "out:1:sent"], NOW + OWN_PERIOD_MS - 1) == {
            "command",
            "out:1:sent",
        }
        assert await writer.guard(["command"], NOW + PERIOD_MS) == {"command"}
        assert await writer.guard(["command"], NOW + 2 * PERIOD_MS) == set()
    async with a_writer(log) as another:
        assert await another.guard(["command"], NOW + PERIOD_MS) == {"command"}
        await applied(another, ["later"], NOW + PERIOD_MS)
        assert await another.guard(["command", "later"], NOW + PERIOD_MS + 1) == {"command", "later"}


async def test_what_was_applied_by_a_clock_that_is_set_back_is_known(log: Log) -> None:
    """Over the end of a period: a command that is repeated after that must not be carried out twice."""
    ahead = NOW + PERIOD_MS
    async with a_writer(log) as writer:
        await applied(writer, ["before", "out:1:sent"])
        await applied(writer, ["command", "out:2:sent"], ahead)
        assert await writer.guard(["before", "command"], NOW) == {"before", "command"}
        assert await applied(writer, ["command", "out:1:sent", "out:2:sent"], ahead - 3000) == {
            "command",
            "out:2:sent",
        }
    async with a_writer(log) as another:
        assert await another.guard(["before", "command"], NOW) == {"before", "command"}


async def test_everything_expires(log: Log) -> None:
    async with a_writer(log) as writer:
        await applied(writer, ["shop:5", "command", "out:1:sent"])
    keys = [key async for key in log.redis.scan_iter(match=f"{log.keys.root}*")]
    lifetimes = {key: await log.redis.pttl(key) for key in keys if b":ids:" in key or b":count:" in key}
    assert len(lifetimes) == 5  # one for the count, two sets and their two indexes
    assert all(0 < left <= 2 * PERIOD_MS for left in lifetimes.values())
    [counted] = [left for key, left in lifetimes.items() if b"count:" in key]
    assert counted <= PERIOD_MS


async def test_ids_that_an_earlier_version_remembered_are_known(log: Log) -> None:
    generation = NOW // PERIOD_MS
    await log.redis.sadd(f"{log.keys.root}seen:{generation}", "shop:5", "command")
    await log.redis.sadd(f"{log.keys.root}seen:{generation - 1}", "shop:4")
    async with a_writer(log) as writer:
        assert await applied(writer, ["shop:4", "shop:5", "shop:6", "command"]) == {
            "shop:4",
            "shop:5",
            "command",
        }
        assert await writer.guard(["shop:6", "command"], NOW) == {"shop:6", "command"}


async def test_what_was_not_committed_is_not_known(log: Log) -> None:
    async with a_writer(log) as writer:
        assert await writer.guard(["shop:5", "command"], NOW) == set()
    async with a_writer(log) as another:
        assert await another.guard(["shop:5", "command"], NOW) == set()


@pytest.mark.parametrize(("name", "most"), [("shop:{n}", 5), ("{n:032x}", 13), ("out:{n}-1:sent", 13)])
async def test_ids_stay_small(own_redis: RedisServer, name: str, most: float) -> None:
    """Bytes of the real server for each; a set of whole ids takes 48 to 100."""
    count = 60_000
    log = Log(connect(own_redis.url), "small")
    await log.redis.config_set("appendfsync", "no")
    async with a_writer(log) as writer:
        before = (await log.redis.info("memory"))["used_memory"]
        for start in range(0, count, 500):
            ids = [name.format(n=10**8 + n) for n in range(start, start + 500)]
            await writer.commit(at=NOW, event_ids=ids)
        used = (await log.redis.info("memory"))["used_memory"] - before
    await log.close()
    assert used / count < most
