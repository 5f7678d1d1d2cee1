"""Two routers: the standby takes over in time, and the old one can do no harm when it comes back."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.desk.events import Author, MessageReceived
from router.desk.state import Entry, MessageAdded
from router.log.home import connect
from router.log.log import Log
from tests.conftest import RedisServer, until
from tests.crash.house import House
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow

CHATS = 7
STOPS = 4


class Customers:
    """They write without a pause, numbered, straight into the log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.written = 0

    async def write_one(self) -> None:
        number = self.written = self.written + 1
        await self._log.append(
            MessageReceived(
                channel="tg",
                chat=str(number % CHATS),
                event_id=f"tg:{number}",
                message_id=str(number),
                author=Author(id=str(number % CHATS)),
                text=str(number),
            )
        )

    async def write_for_ever(self) -> None:
        while True:
            await self.write_one()


@pytest.fixture
async def log(own_redis: RedisServer) -> AsyncIterator[Log]:
    log = Log(connect(own_redis.url), "shop")
    yield log
    await log.close()


@pytest.fixture
async def house(folder: Path, own_redis: RedisServer, telegram: FakeTelegram) -> AsyncIterator[House]:
    house = House(folder, own_redis, telegram.url, receive="polling")
    yield house
    await house.end()


async def journal(log: Log) -> list[Entry]:
    """All of it."""
    entries: list[Entry] = []
    after = "0"
    while rows := await log.read_journal(after, count=512):
        entries += [entry for _, entry in rows]
        after = rows[-1][0]
    return entries


def numbers(entries: list[Entry]) -> list[int]:
    """The customers' messages in the journal, in its order."""
    told = (told for entry in entries for told in entry.told)
    return [int(t.message.text) for t in told if isinstance(t, MessageAdded) and t.message.direction == "in"]


async def all_there(log: Log, customers: Customers) -> None:
    async def committed() -> bool:
        return len(numbers(await journal(log))) >= customers.written

    await until(committed, 30)


async def start_two(house: House) -> None:
    """``old`` is active, ``new`` stands by."""
    house.write_config()
    house.add_role("old", "router")
    await house.until_ready()
    house.add_role("new", "router")
    await house.until_ready()


async def test_the_standby_takes_over_in_time(house: House, log: Log) -> None:
    await start_two(house)
    customers = Customers(log)
    await customers.write_one()
    await all_there(log, customers)
    before = (await log.journal_bounds())[1]
    killed = time.monotonic()
    await house.services["old"].end()
    await customers.write_one()
    assert await log.read_journal(before, 1, block_ms=int((house.lease_ttl + 2) * 1000))
    assert time.monotonic() - killed <= house.lease_ttl + 2
    await all_there(log, customers)
    assert numbers(await journal(log)) == [1, 2]


async def test_a_router_that_was_stopped_cannot_commit_when_it_goes_on(house: House, log: Log) -> None:
    """Each is stopped in turn amid its commits, for longer than its lease, while messages come in."""
    house.lease_ttl = 0.6
    await start_two(house)
    customers = Customers(log)
    await customers.write_one()
    await all_there(log, customers)
    writing = asyncio.create_task(customers.write_for_ever())
    active, standby = house.services["old"], house.services["new"]
    for _ in range(STOPS):
        holder = await log.redis.get(log.keys.lease("router"))
        active.signal(signal.SIGSTOP)

        async def taken_over(before: object = holder) -> bool:
            return await log.redis.get(log.keys.lease("router")) not in (None, before)

        await until(taken_over, house.lease_ttl + 2)
        here = customers.written
        await until(lambda here=here: customers.written > here + 50, 30)
        active.signal(signal.SIGCONT)
        active, standby = standby, active
        await until(lambda here=here: customers.written > here + 300, 30)
    writing.cancel()
    await asyncio.wait([writing])
    await all_there(log, customers)
    entries = await journal(log)
    assert numbers(entries) == list(range(1, customers.written + 1))
    assert {service.starts for service in house.services.values()} == {1}
    states = sorted(((s.id, s.rev, s.seq) for e in entries for s in e.sessions), key=lambda s: s[0])
    for _, of_one in itertools.groupby(states, key=lambda s: s[0]):
        revisions = [(rev, seq) for _, rev, seq in of_one]
        assert revisions == sorted(set(revisions)), "a state was told twice, or an older one after a newer"
    messages = [t.message.id for e in entries for t in e.told if isinstance(t, MessageAdded)]
    assert len(messages) == len(set(messages))
