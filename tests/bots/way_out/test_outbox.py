"""The way out, on a real Redis with a channel that does what the test tells it."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import ClassVar

import msgspec
import pytest

from bots.base import Can, Rejected, TryLater, Uncertain
from bots.way_out import lane
from bots.way_out.outbox import Sender
from router.desk.events import ChatMoved, ChatReachable, Delivered
from router.desk.state import Delivery
from router.log.lease import Lease
from router.log.log import Log
from tests.bots.conftest import (
    MemoryMedia,
    ScriptedChannel,
    all_logged,
    delivery,
    enqueue,
    logged,
    running,
)
from tests.conftest import RedisServer, until


@pytest.fixture
def channel() -> ScriptedChannel:
    return ScriptedChannel("out")


@pytest.fixture
def sender(log: Log, channel: ScriptedChannel, media: MemoryMedia) -> Sender:
    return Sender(log, [channel], media)


def states(events: list[Delivered]) -> list[tuple[str, str]]:
    return [(event.message, event.state) for event in events]


async def test_a_delivery_is_sent_and_its_outcome_told(log: Log, sender: Sender) -> None:
    async with running(sender):
        await enqueue(log, delivery("d1"))
        [event] = await logged(log, 1)
    assert (event.state, event.chat, event.session, event.message) == ("sent", "out:c1", "1", "1-d1")
    assert event.external_id == "xd1"
    assert event.event_id == "out:d1:sent"
    assert await log.read_outbox("out", block_ms=1) == []
    assert await log.sending("out") == set()


async def test_the_mark_is_set_before_the_first_byte_leaves(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    marks: list[set[str]] = []

    async def look(_: Delivery) -> None:
        marks.append(await log.sending("out"))

    channel.behave = look
    async with running(sender):
        await enqueue(log, delivery("d1"))
        await logged(log, 1)
    assert len(marks[0]) == 1


async def test_a_chat_keeps_its_order_while_it_must_wait_and_others_pass(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    refused = 2

    async def flood(one: Delivery) -> None:
        nonlocal refused
        if one.chat == "slow" and refused:
            refused -= 1
            raise TryLater(0.3, "flood")

    channel.behave = flood
    slow = [delivery(f"s{n}", "slow") for n in range(5)]
    fast = [delivery(f"f{n}", f"chat{n}") for n in range(20)]
    async with running(sender):
        await enqueue(log, *slow, *fast)
        events = await logged(log, 25)
    assert [one.id for one in channel.sent if one.chat == "slow"] == [f"s{n}" for n in range(5)]
    first_slow = next(n for n, event in enumerate(events) if event.chat == "out:slow")
    assert first_slow >= 20, "the other chats had to wait"
    assert {event.state for event in events} == {"sent"}


async def test_what_has_left_the_outbox_is_not_sent(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    """Whom it was for has been erased meanwhile."""

    async def later(one: Delivery) -> None:
        if one.id == "first":
            for entry, data in await log.read_outbox("out"):
                if b"zqx" in data:
                    await log.redis.xdel(log.keys.out("out"), entry)

    channel.behave = later
    async with running(sender):
        await enqueue(log, delivery("first", "c1"), delivery("zqx", "c1"), delivery("last", "c1"))
        events = await logged(log, 2)
    assert [one.id for one in channel.sent] == ["first", "last"]
    assert len(events) == 2
    assert await log.sending("out") == set()


async def test_a_flood_limit_of_the_channel_holds_everything(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    starts: list[float] = []

    async def flood(one: Delivery) -> None:
        starts.append(time.monotonic())
        if len(starts) == 1:
            raise TryLater(0.5, "flood", whole_channel=True)

    channel.behave = flood
    async with running(sender):
        await enqueue(log, delivery("a", "c1"))
        await until(lambda: starts)
        await enqueue(log, *(delivery(f"b{n}", f"o{n}") for n in range(5)))
        await logged(log, 6)
    assert min(start - starts[0] for start in starts[1:]) >= 0.49


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Uncertain("cut"), "unknown"),
        (TimeoutError(), "unknown"),
        (RuntimeError("a bug"), "unknown"),
        (Rejected("no"), "failed"),
    ],
)
async def test_an_outcome_is_told_once_and_never_retried(
    log: Log, sender: Sender, channel: ScriptedChannel, outcome: Exception, state: str
) -> None:
    async def fail(one: Delivery) -> None:
        if one.id == "d1":
            raise outcome

    channel.behave = fail
    async with running(sender):
        await enqueue(log, delivery("d1"), delivery("d2"))
        events = await logged(log, 2)
    assert states(events) == [("1-d1", state), ("1-d2", "sent")]
    assert [one.id for one in channel.attempts] == ["d1", "d2"]


async def test_parts_that_arrived_are_told_with_an_unknown_outcome(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    async def fail(_: Delivery) -> None:
        raise Uncertain("cut", external_ids=["7", "8"])

    channel.behave = fail
    async with running(sender):
        await enqueue(log, delivery("d1"))
        [event] = await logged(log, 1)
    assert (event.state, event.external_id) == ("unknown", "7 8")


async def test_a_block_makes_the_chat_unreachable(log: Log, sender: Sender, channel: ScriptedChannel) -> None:
    async def refuse(_: Delivery) -> None:
        raise Rejected("blocked", blocked=True)

    channel.behave = refuse
    async with running(sender):
        await enqueue(log, delivery("d1"))
        failed, reachable = await logged(log, 2)
    assert failed.state == "failed"
    assert isinstance(reachable, ChatReachable)
    assert reachable.key == "out:c1"
    assert not reachable.can_write


async def test_a_moved_chat_is_followed_in_order(log: Log, sender: Sender, channel: ScriptedChannel) -> None:
    async def move(one: Delivery) -> None:
        if one.chat == "old":
            raise Rejected("moved", moved_to="new")

    channel.behave = move
    async with running(sender):
        await enqueue(log, *(delivery(f"d{n}", "old") for n in range(3)))
        moved, *outcomes = await logged(log, 4)
    assert isinstance(moved, ChatMoved)
    assert (moved.chat, moved.new_chat) == ("old", "new")
    assert states(outcomes) == [("1-d0", "sent"), ("1-d1", "sent"), ("1-d2", "sent")]
    assert [(one.id, one.chat) for one in channel.sent] == [("d0", "new"), ("d1", "new"), ("d2", "new")]


async def interrupted(log: Log, *ids: str) -> None:
    """Leaves things as a process that was killed between begin and finish."""
    await enqueue(log, *(delivery(one) for one in ids))
    lease = Lease(log, "out:out", "the one that was killed")
    assert await lease.acquire()
    rows = await log.read_outbox("out")
    await log.begin_sending("out", [entry for entry, _ in rows[:2]], lease)
    await lease.release()


async def test_what_was_interrupted_is_unknown_and_not_sent_again(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    await interrupted(log, "d1", "d2", "d3")
    async with running(sender):
        events = await logged(log, 3)
    assert sorted(states(events)) == [("1-d1", "unknown"), ("1-d2", "unknown"), ("1-d3", "sent")]
    assert [one.id for one in channel.attempts] == ["d3"]
    assert await log.sending("out") == set()


HANGS = """
import asyncio, sys
from bots.way_out.outbox import Sender
from router.log.log import Log
from router.log.home import connect
from tests.bots.conftest import MemoryMedia, ScriptedChannel

async def main(url, desk):
    channel = ScriptedChannel("out")

    async def hang(one):
        print(one.id, flush=True)
        await asyncio.Event().wait()

    channel.behave = hang
    await Sender(Log(connect(url), desk), [channel], MemoryMedia()).run()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_killed_while_sending_leaves_unknown_behind(
    log: Log, redis_url: str, sender: Sender, channel: ScriptedChannel
) -> None:
    await enqueue(log, delivery("d1"), delivery("d2"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGS, redis_url, log.desk, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).strip() == b"d1"
    process.kill()
    await process.communicate()
    async with running(sender):
        events = await logged(log, 2)
    assert sorted(states(events)) == [("1-d1", "unknown"), ("1-d2", "sent")]
    assert [one.id for one in channel.attempts] == ["d2"]


async def test_with_a_key_of_its_own_an_interrupted_delivery_is_sent_again(
    log: Log, media: MemoryMedia
) -> None:
    class Idempotent(ScriptedChannel):
        can: ClassVar[Can] = Can.TEXT | Can.IDEMPOTENT

    channel = Idempotent("out")
    await interrupted(log, "d1", "d2", "d3")
    async with running(Sender(log, [channel], media)):
        events = await logged(log, 3)
    assert {event.state for event in events} == {"sent"}
    assert [one.id for one in channel.sent] == ["d1", "d2", "d3"]


async def test_two_senders_share_nothing_and_the_second_takes_over(log: Log, media: MemoryMedia) -> None:
    first, second = ScriptedChannel("out"), ScriptedChannel("out")
    async with running(Sender(log, [first], media)):
        await enqueue(log, delivery("d1"))
        await logged(log, 1)
        async with running(Sender(log, [second], media)) as _:
            await enqueue(log, *(delivery(f"e{n}", f"c{n}") for n in range(50)))
            await logged(log, 51)
            assert second.attempts == []
    async with running(Sender(log, [second], media)):
        await enqueue(log, delivery("d2"))
        await until(lambda: second.sent)
        await until(lambda: _told(log, "out:d2:sent"))
    assert [one.id for one in second.sent] == ["d2"]


async def _told(log: Log, event_id: str) -> bool:
    return event_id in {event.event_id for event in await all_logged(log)}


async def test_a_lost_lease_stops_the_sending(log: Log, sender: Sender, channel: ScriptedChannel) -> None:
    async with running(sender):
        await enqueue(log, delivery("d1"))
        await logged(log, 1)
        await log.redis.set(log.keys.lease("out:out"), "somebody else", px=60_000)
        await enqueue(log, delivery("d2"))
        await until(lambda: not sender._lanes)
    assert [one.id for one in channel.attempts] == ["d1"]
    assert len(await log.read_outbox("out", block_ms=1)) == 1


async def test_redis_comes_back_and_nothing_is_lost_or_sent_twice(
    own_redis: RedisServer, media: MemoryMedia
) -> None:
    from router.log.home import connect

    log = Log(connect(own_redis.url), "away")
    channel = ScriptedChannel("out")
    gate = asyncio.Event()

    async def wait(one: Delivery) -> None:
        if one.id == "d0":
            await gate.wait()

    channel.behave = wait
    try:
        async with running(Sender(log, [channel], media)):
            await enqueue(log, *(delivery(f"d{n}") for n in range(5)))
            await until(lambda: channel.attempts)
            own_redis.kill()
            gate.set()
            await until(lambda: channel.sent)
            own_redis.start()
            events = await logged(log, 5, seconds=30)
    finally:
        await log.close()
    assert states(events) == [(f"1-d{n}", "sent") for n in range(5)]
    assert [one.id for one in channel.attempts] == [f"d{n}" for n in range(5)]


async def test_what_a_channel_cannot_do_degrades_visibly(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    async with running(sender):
        await enqueue(
            log,
            delivery("d1", action="edit", external_id="5"),
            delivery("d2", action="delete", external_id="5"),
            delivery("d3", buttons=[{"text": "Yes"}, {"text": "Site", "url": "https://x.uz"}]),
            delivery("d4", text="\u200b \u3164"),
        )
        events = await logged(log, 4)
    assert [event.state for event in events] == ["sent", "failed", "sent", "failed"]
    assert [event.edit for event in events] == ["d1", "", "", ""]
    assert events[3].error == "nothing of this text can be seen"
    assert [(one.action, one.text) for one in channel.sent] == [
        ("send", "✎ text d1"),
        ("send", "text d3\n• Yes\n• Site: https://x.uz"),
    ]


async def test_rates_of_chat_and_channel_are_kept(log: Log, media: MemoryMedia) -> None:
    class Slow(ScriptedChannel):
        per_chat_rate = (10.0, 2)
        rate = (20.0, 4)

    channel = Slow("out")
    at: list[tuple[str, float]] = []

    async def note(one: Delivery) -> None:
        at.append((one.chat, time.monotonic()))

    channel.behave = note
    async with running(Sender(log, [channel], media)):
        await enqueue(log, *(delivery(f"{c}{n}", c) for n in range(4) for c in ("a", "b", "c")))
        await logged(log, 12)
    times = [moment for _, moment in at]
    assert times[11] - times[0] >= (12 - 4) / 20 - 0.01
    for chat in "abc":
        own = [moment for name, moment in at if name == chat]
        assert own[3] - own[0] >= (4 - 2) / 10 - 0.01


async def test_memory_is_bounded_by_the_window(
    log: Log, sender: Sender, channel: ScriptedChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "WINDOW", 20)
    gate = asyncio.Event()

    async def wait(_: Delivery) -> None:
        await gate.wait()

    channel.behave = wait
    async with running(sender):
        await enqueue(log, *(delivery(f"d{n}", f"c{n % 7}") for n in range(100)))
        await until(lambda: channel.under_way == 7)
        assert len(sender._lanes["out"]) <= 20
        gate.set()
        events = await logged(log, 100)
    assert len({event.message for event in events}) == 100


async def test_a_delivery_that_was_refused_for_a_day_fails(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    async def never(_: Delivery) -> None:
        raise TryLater(0.01, "the token is wrong")

    channel.behave = never
    async with running(sender):
        await enqueue(log, delivery("d1", at=1))
        [event] = await logged(log, 1)
    assert (event.state, event.error) == ("failed", "the token is wrong")


async def test_typing_is_shown_once_for_many_hints(
    log: Log, sender: Sender, channel: ScriptedChannel
) -> None:
    async with running(sender):
        await enqueue(log, delivery("d1"))
        await logged(log, 1)

        async def hinted() -> bool:
            await log.hint(b"\xff not json")
            await log.hint(
                msgspec.json.encode({"kind": "typing", "channel": "elsewhere", "chat": "elsewhere:c1"})
            )
            for _ in range(5):
                await log.hint(msgspec.json.encode({"kind": "typing", "channel": "out", "chat": "out:c1"}))
            return bool(channel.typed)

        await until(hinted)
        stopped = {"kind": "typing", "channel": "out", "chat": "out:c3", "on": "0"}
        await log.hint(msgspec.json.encode(stopped))
        await log.hint(
            msgspec.json.encode({"kind": "typing", "channel": "out", "chat": "out:c2/7", "on": "1"})
        )
        await until(lambda: "c2/7" in channel.typed)
    assert channel.typed == ["c1", "c2/7"]


async def test_many_chats_leave_fast_and_together(log: Log, sender: Sender, channel: ScriptedChannel) -> None:
    await enqueue(log, *(delivery(f"d{n}", f"c{n % 200}") for n in range(2000)))
    async with running(sender):
        await logged(log, 2000, seconds=20)
    assert len(channel.sent) == 2000
    assert channel.most_under_way <= lane.CONCURRENT
    assert len({event.event_id for event in await all_logged(log)}) == 2000
    for chat in {one.chat for one in channel.sent}:
        own = [int(one.id[1:]) for one in channel.sent if one.chat == chat]
        assert own == sorted(own)
