"""What a channel's streams hold and nobody can work on is set aside; what stands behind it is done."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bots.base import Can
from bots.way_out.outbox import Sender
from router.desk.events import Author, MessageReceived, PutAside
from router.desk.state import encode
from router.intake import fetch
from router.intake.inbox import ChannelInbox
from router.intake.receiver import Receiver
from router.log.log import Log
from router.log.quarantine import Quarantine
from tests.bots.conftest import MemoryMedia, ScriptedChannel, delivery, enqueue, logged, running
from tests.conftest import until
from tests.router.intake.test_receiver import WithFiles

NEWER = msgspec.msgpack.encode(msgspec.to_builtins(delivery("d2")) | {"action": "hologram"})


async def test_a_delivery_that_nobody_understands_is_set_aside_and_the_next_is_sent(log: Log) -> None:
    channel = ScriptedChannel("out")
    wrong = [b"\xc1", b"", encode(delivery("d1")).replace(b"text d1", b"text \xff\xff"), NEWER]
    ids = [await log.redis.xadd(log.keys.out("out"), {"e": data}) for data in wrong]
    await log.redis.sadd(log.keys.sending("out"), ids[0])
    await enqueue(log, delivery("d3"))
    async with running(Sender(log, [channel], MemoryMedia())):
        events = await logged(log, 5)
        await until(lambda: _is_empty(log, log.keys.out("out")))
    assert [one.id for one in channel.sent] == ["d3"]
    assert await log.sending("out") == set()
    items = await Quarantine(log).items(10)
    assert [item.data for item in items] == wrong
    assert [item.reason.startswith("interrupted") for item in items] == [True, False, False, False]
    assert {event.id for event in events if isinstance(event, PutAside)} == {item.id for item in items}
    again = items[3]
    again.data = encode(delivery("d2"))  # a version that understands it
    assert await Quarantine(log).put_back(again)
    async with running(Sender(log, [channel], MemoryMedia())):
        await until(lambda: [one.id for one in channel.sent] == ["d3", "d2"])


async def _is_empty(log: Log, key: str) -> bool:
    return await log.redis.xlen(key) == 0


async def test_a_fetch_job_that_nobody_understands_is_set_aside(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "FIRST_WAIT", 0.01)
    await log.redis.xadd(log.keys.fetch("in"), {"e": b"\xc1"})
    await log.redis.xadd(log.keys.fetch("in"), {"x": b"1"})
    async with running(Receiver(log, [WithFiles("in")], MemoryMedia())):
        await ChannelInbox(log, "in").put(b"c1|5|0 fine")
        await logged(log, 4)
        await until(lambda: _is_empty(log, log.keys.fetch("in")))
    assert [item.origin for item in await Quarantine(log).items(10)] == ["fetch", "fetch"]


@pytest.mark.parametrize(
    "made",
    [
        None,
        [5],
        [MessageReceived(channel="in", chat="x", author=Author(), media=[5])],  # type: ignore[list-item]
        [MessageReceived(channel="in", chat="\ud800", author=Author())],
        [MessageReceived(channel="in", chat="x", author=Author(), sent_at=2**70)],
    ],
    ids=["nothing", "a number", "odd media", "half a character", "endless"],
)
async def test_a_parser_that_makes_nonsense_of_a_body_holds_up_no_other(log: Log, made: Any) -> None:
    class Odd(ScriptedChannel):
        can = ScriptedChannel.can | Can.FETCH

        def parse(self, body: bytes) -> Any:
            return made if b"odd" in body else super().parse(body)

    async with running(Receiver(log, [Odd("in")], MemoryMedia())):
        await ChannelInbox(log, "in").put(b"c1|1|odd", b"c1|2|fine")
        first, second = await logged(log, 2)
    assert (first.kind, first.raw) == ("unsupported", b"c1|1|odd")
    assert second.text == "fine"
