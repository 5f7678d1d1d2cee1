"""A console that stops reading: nobody else slows down, memory stays bounded, nothing is missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from console import link
from crm.kernel.records import Message
from router.desk.events import Author, MessageReceived
from router.log.home import connect
from router.log.log import Log
from router.wire.protocol import Open
from tests.conftest import RedisServer, until
from tests.crash.console import Console
from tests.crash.house import House
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow

MESSAGES = 9000
"""150 a second for 60 s, here in a fraction of the time."""
RATE = 900
TEXT = "x" * 2000
"""Long, so that what the sockets hold by themselves is little of it."""
MEMORY = 24 << 20
"""Bytes by which the gateway may grow, for a client that leaves 20 MB unread."""
P99 = 0.25
"""Seconds from append to the other console, on a machine that does all the rest too."""


class Watcher(Console):
    """A console that notes when each message came."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.seen_at: dict[str, float] = {}

    def _add(self, message: Message, *, fresh: bool) -> None:
        self.seen_at.setdefault(message.text.partition(" ")[0], time.perf_counter())
        super()._add(message, fresh=fresh)


@pytest.fixture
async def log(own_redis: RedisServer) -> AsyncIterator[Log]:
    log = Log(connect(own_redis.url), "shop")
    yield log
    await log.close()


async def write(log: Log) -> dict[str, float]:
    """All messages, at the rate; returns when each was appended."""
    written = {}
    started = time.perf_counter()
    for number in range(MESSAGES):
        if (early := started + number / RATE - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        written[str(number)] = time.perf_counter()
        await log.append(
            MessageReceived(
                channel="tg",
                chat="7",
                event_id=f"tg:{number}",
                message_id=str(number),
                author=Author(id="7"),
                text=f"{number} {TEXT}",
            )
        )
    return written


async def test_it_harms_only_itself(
    folder: Path, own_redis: RedisServer, telegram: FakeTelegram, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "MAX_WAITING", 100)
    house = House(folder, own_redis, telegram.url, receive="polling")
    house.write_config()
    anna = Console(house.url, await house.add_operator("anna"))
    boss = Watcher(house.url, await house.add_operator("boss", "--role", "supervisor"))
    try:
        await house.start(["router", "gateway", "projector"])
        anna.start()
        boss.start()
        await anna.duty()
        await boss.online.wait()
        await log.append(
            MessageReceived(
                channel="tg", chat="7", event_id="tg:first", message_id="f", author=Author(id="7"), text="0"
            )
        )
        await until(lambda: anna.sessions, 30)
        session = next(iter(anna.sessions))
        await boss.ask(Open(rid=0, session=session))
        before = psutil.Process(house.services["gateway"].pid).memory_info().rss
        anna.stop_reading()
        written = await write(log)
        await until(lambda: len(boss.seen_at) >= MESSAGES, 60)
        grown = psutil.Process(house.services["gateway"].pid).memory_info().rss - before
        taken = len(anna.order) + anna.kept
        anna.read_on()
        await until(lambda: len(anna.order) >= MESSAGES + 1, 60)
    finally:
        await anna.stop()
        await boss.stop()
        await house.end()
    late = sorted(boss.seen_at[number] - at for number, at in written.items())
    assert taken < MESSAGES / 4, "the sockets took it all: nobody was slow"
    assert late[len(late) * 99 // 100] < P99
    assert grown < MEMORY
    assert [text.partition(" ")[0] for text in anna.texts()] == ["0", *map(str, range(MESSAGES))]
    assert anna.repeated == 0
    assert anna.connections == 1
