"""A channel that does what the test tells it, and ways to see what reached the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from bots.base import Can, Channel, ChannelSettings, OutFile, Sent
from crm.kernel.errors import NavbatError
from crm.kernel.records import Media
from router.desk.events import Author, Event, MessageReceived, decode_event
from router.desk.state import Delivery, encode
from router.log.log import Log, now_ms
from tests.fakes.telegram import FakeTelegram

TOKEN = "42:secret-part_of_the_token"


class MemoryMedia:
    """The media store, in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def put(self, chunks: AsyncIterator[bytes], name: str, mime: str) -> str:
        data = b"".join([chunk async for chunk in chunks])
        key = f"k{len(self.files)}"
        self.files[key] = data
        return key

    async def open(self, key: str) -> AsyncIterator[bytes]:
        yield self.files[key]

    async def size(self, key: str) -> int:
        if key not in self.files:
            raise NavbatError("no such file")
        return len(self.files[key])


class Bytes:
    """A file on its way out, in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, self.size, 1000):
            yield self.data[start : start + 1000]


class ScriptedChannel(Channel):
    """Records what it is asked to send; ``behave`` may raise an outcome or take its time."""

    kind = "scripted"
    can: ClassVar[Can] = Can.TEXT | Can.TYPING
    Settings = ChannelSettings
    per_chat_rate = (1e6, 1_000_000)
    rate = (1e6, 1_000_000)

    def __init__(self, name: str) -> None:
        super().__init__(name, ChannelSettings(kind="scripted", line="sales"))
        self.attempts: list[Delivery] = []
        self.sent: list[Delivery] = []
        self.under_way = 0
        self.most_under_way = 0
        self.typed: list[str] = []
        self.behave: Callable[[Delivery], Coroutine[Any, Any, None]] | None = None

    def parse(self, body: bytes) -> list[Event]:
        if body.startswith(b"poison"):
            raise ValueError("poison")
        chat, id, text = body.decode().split("|", 2)
        return [
            MessageReceived(
                channel=self.name,
                chat=chat,
                message_id=id,
                event_id=f"{self.name}:{chat}:{id}",
                author=Author(id=chat),
                text=text,
            )
        ]

    async def send(self, delivery: Delivery, files: Sequence[tuple[Media, OutFile]]) -> Sent:
        self.attempts.append(delivery)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.behave is not None:
                await self.behave(delivery)
        finally:
            self.under_way -= 1
        self.sent.append(delivery)
        return Sent(external_ids=[f"x{delivery.id}"])

    async def typing(self, chat: str) -> None:
        self.typed.append(chat)


def delivery(id: str, chat: str = "c1", channel: str = "out", **more: Any) -> Delivery:
    fields: dict[str, Any] = {"session": "1", "message": f"1-{id}", "at": now_ms(), "text": f"text {id}"}
    return Delivery(id=id, channel=channel, chat=chat, **(fields | more))


async def enqueue(log: Log, *deliveries: Delivery) -> None:
    """Puts deliveries where the writer's commit would."""
    pipe = log.redis.pipeline(transaction=True)
    for one in deliveries:
        pipe.execute_command("XADD", log.keys.out(one.channel), "*", "e", encode(one))
    await pipe.execute()


async def logged(log: Log, count: int, seconds: float = 10.0) -> list[Any]:
    """The first ``count`` events of the log, as soon as they are there."""
    events: list[Any] = []
    after = "0"
    async with asyncio.timeout(seconds):
        while len(events) < count:
            rows = await log.read_log(after, 1000, 1000)
            after = rows[-1][0] if rows else after
            events += [decode_event(data) for _, data in rows]
    return events


async def all_logged(log: Log) -> list[Any]:
    return [decode_event(data) for _, data in await log.read_log("0", 10_000, 1)]


@asynccontextmanager
async def running(*parts: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Runs parts (objects with ``run``) for the time of the block."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield tasks
        for task in tasks:
            assert not task.done() or task.cancelled(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def media() -> MemoryMedia:
    return MemoryMedia()


@pytest.fixture
async def fake() -> AsyncIterator[FakeTelegram]:
    server = FakeTelegram()
    await server.start()
    yield server
    await server.stop()
