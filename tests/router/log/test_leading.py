"""Leading by lease, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from crm.kernel.errors import LeaseLost, Unavailable
from router.log.leading import Leader
from router.log.lease import Lease
from router.log.log import Log
from tests.conftest import until


class Work:
    """Counts how often it was begun, and is at work until it is cancelled or ``end`` is set."""

    def __init__(self) -> None:
        self.begun = 0
        self.is_at_work = False
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, lease: Lease) -> None:
        self.begun += 1
        self.is_at_work = True
        try:
            await asyncio.shield(self.end)
        finally:
            self.is_at_work = False


@asynccontextmanager
async def leading(
    leader: Leader, work: Callable[[Lease], Awaitable[None]]
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(leader.run(work))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_one_leads_and_when_it_ends_the_other_does(log: Log) -> None:
    heard = 0

    async def standing_by() -> None:
        nonlocal heard
        heard += 1

    first, second = Work(), Work()
    async with leading(Leader(log, "x", ttl=60.0), first) as leads:
        await until(lambda: first.is_at_work)
        async with leading(Leader(log, "x", ttl=1.0, standing_by=standing_by), second):
            await until(lambda: heard > 1)
            assert second.begun == 0
            leads.cancel()
            await until(lambda: second.is_at_work)
            assert not first.is_at_work


async def test_the_one_who_stands_by_begins_when_a_dead_ones_lease_ends(log: Log) -> None:
    """Not at the next look, which would be ten seconds later."""
    await log.redis.set(log.keys.lease("x"), "dead", px=300)
    work = Work()
    async with leading(Leader(log, "x", ttl=60.0), work):
        await until(lambda: work.is_at_work, within=5)


async def test_the_lease_is_kept_while_the_work_lasts(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    renewals = 0
    renew = Lease.renew

    async def counted(lease: Lease) -> bool:
        nonlocal renewals
        renewals += 1
        return await renew(lease)

    monkeypatch.setattr(Lease, "renew", counted)
    work = Work()
    leader = Leader(log, "x", ttl=0.5)
    async with leading(leader, work):
        await until(lambda: renewals == 7)  # a third of its length lies between them
        assert work.begun == 1
        assert await log.redis.get(leader.lease.key) == leader.lease.token.encode()


async def test_who_loses_the_lease_stops_and_begins_anew_when_it_is_free(log: Log) -> None:
    work = Work()
    leader = Leader(log, "x", ttl=0.3)
    async with leading(leader, work):
        await until(lambda: work.is_at_work)
        await log.redis.set(leader.lease.key, "somebody else", px=60_000)
        await until(lambda: not work.is_at_work)
        assert await log.redis.get(leader.lease.key) == b"somebody else"
        await log.redis.delete(leader.lease.key)
        await until(lambda: work.begun == 2)


async def test_nobody_renews_what_a_commit_watches(log: Log) -> None:
    """``untouched`` is held for longer than the lease: it runs out, which the work is told afterwards."""
    work = Work()
    leader = Leader(log, "x", ttl=0.3)
    async with leading(leader, work):
        await until(lambda: work.is_at_work)
        async with leader.untouched:
            await until(lambda: _is_free(log, leader))
            assert work.begun == 1
        await until(lambda: work.begun == 2)


async def _is_free(log: Log, leader: Leader) -> bool:
    return not await log.redis.exists(leader.lease.key)


@pytest.mark.parametrize("error", [ValueError("a defect"), Unavailable("the store is away")])
async def test_what_the_work_raises_goes_to_the_caller_and_the_lease_is_free(
    log: Log, error: Exception
) -> None:
    work = Work()
    leader = Leader(log, "x", ttl=60.0)
    async with leading(leader, work) as task:
        await until(lambda: work.is_at_work)
        work.end.set_exception(error)
        with pytest.raises(type(error), match=str(error)):
            await task
        assert await _is_free(log, leader)


async def test_work_that_finds_the_lease_lost_begins_anew(log: Log) -> None:
    times = 0

    async def work(lease: Lease) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise LeaseLost("found by a commit")
        await asyncio.Event().wait()

    async with leading(Leader(log, "x", ttl=1.0), work):
        await until(lambda: times == 2)


async def test_who_cannot_ask_for_the_lease_asks_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    acquire = Lease.acquire

    async def away(lease: Lease) -> bool:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise Unavailable("Redis is away")
        return await acquire(lease)

    monkeypatch.setattr(Lease, "acquire", away)
    work = Work()
    async with leading(Leader(log, "x"), work):
        await until(lambda: work.is_at_work)
    assert asked == 3


async def test_what_failed_is_told_and_done_again(log: Log) -> None:
    told: list[Exception] = []

    async def work(lease: Lease) -> None:
        raise ValueError("a defect") if len(told) % 2 == 0 else Unavailable("Redis is away")

    task = asyncio.create_task(Leader(log, "x").run_for_ever(work, told.append, most=0.01))
    await until(lambda: len(told) > 3)
    task.cancel()
    await asyncio.wait([task])
    assert [type(error) for error in told[:4]] == [ValueError, Unavailable] * 2
    assert task.cancelled()


async def test_a_release_that_comes_late_ends_no_later_term(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis did not answer in time, and carries it out when the lease is ours again."""
    leader = Leader(log, "x", ttl=60.0)
    late: list[Lease] = []

    async def unanswered() -> None:
        late.append(Lease(log, "x", leader.lease.token))
        raise Unavailable("silent")

    async def fails(lease: Lease) -> None:
        raise Unavailable("silent")

    monkeypatch.setattr(leader.lease, "release", unanswered)
    with pytest.raises(Unavailable):
        await leader.run(fails)
    work = Work()
    async with leading(leader, work):
        await until(lambda: work.is_at_work)
        await late[0].release()
        assert await leader.lease.renew()
