"""The way in, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from bots.base import Can, Inbox, Rejected, TryLater
from crm.kernel.errors import LeaseLost, NavbatError, Unavailable
from crm.kernel.records import Media
from router.desk.events import Event, MediaStored, MessageReceived
from router.intake import fetch
from router.intake.inbox import ChannelInbox
from router.intake.receiver import Receiver
from router.log.home import connect
from router.log.lease import Lease
from router.log.log import Log
from tests.bots.conftest import MemoryMedia, ScriptedChannel, all_logged, logged, running
from tests.conftest import RedisServer, until


@pytest.fixture
def media() -> MemoryMedia:
    return MemoryMedia()


@pytest.fixture
def channel() -> ScriptedChannel:
    return ScriptedChannel("in")


def texts(events: list[MessageReceived]) -> list[str]:
    return [event.text for event in events]


async def test_bodies_become_events_in_order_and_leave_the_inbox(
    log: Log, channel: ScriptedChannel, media: MemoryMedia
) -> None:
    inbox = ChannelInbox(log, "in")
    await inbox.put(*(f"c1|{n}|text {n}".encode() for n in range(300)))
    async with running(Receiver(log, [channel], media)):
        await inbox.put(b"c1|300|text 300")
        events = await logged(log, 301)
        await until(lambda: _inbox_empty(log, "in"))
    assert texts(events) == [f"text {n}" for n in range(301)]
    assert all(event.at for event in events)


async def _inbox_empty(log: Log, name: str) -> bool:
    return not await log.read_raw([name], {}, block_ms=1)


async def test_poison_is_kept_and_blocks_nobody(
    log: Log, channel: ScriptedChannel, media: MemoryMedia
) -> None:
    inbox = ChannelInbox(log, "in")
    await inbox.put(b"c1|1|before", b"poison \xff", b'poison {"update_id": 7}', b"c1|2|after")
    async with running(Receiver(log, [channel], media)):
        before, poison, other, after = await logged(log, 4)
    assert (before.text, after.text) == ("before", "after")
    assert (poison.kind, poison.raw) == ("unsupported", b"poison \xff")
    assert len({event.event_id for event in (before, poison, other, after)}) == 4


class HalfCharacters(ScriptedChannel):
    """Parses bodies into what no log entry can hold, and stumbles over their numbers."""

    def parse(self, body: bytes) -> list[Event]:
        events = super().parse(body)
        for event in events:
            if isinstance(event, MessageReceived) and event.text == "half":
                event.text = "a\ud800b"
            if isinstance(event, MessageReceived) and event.text == "endless":
                event.media = [Media(kind="photo", size=10**30)]
        return events

    def number(self, body: bytes) -> int | None:
        if body.endswith(b"half"):
            raise RecursionError
        return None


async def test_what_no_log_entry_can_hold_is_kept_and_blocks_nobody(log: Log, media: MemoryMedia) -> None:
    bodies = [b"c1|1|before", b"c1|2|half", b"c1|3|endless", b"c1|4|after"]
    await ChannelInbox(log, "in").put(*bodies)
    async with running(Receiver(log, [HalfCharacters("in")], media)):
        events = await logged(log, 4)
    assert [event.kind for event in events] == ["text", "unsupported", "unsupported", "text"]
    assert [event.raw for event in events] == [b"", bodies[1], bodies[2], b""]


async def test_the_same_body_again_has_the_same_key(
    log: Log, channel: ScriptedChannel, media: MemoryMedia
) -> None:
    inbox = ChannelInbox(log, "in")
    await inbox.put(b"c1|1|hello", b"poison", b"c1|1|hello", b"poison")
    async with running(Receiver(log, [channel], media)):
        first, poison, again, poison_again = await logged(log, 4)
    assert first.event_id == again.event_id
    assert poison.event_id == poison_again.event_id


class Counting(ScriptedChannel):
    """Notes what it parses."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.parsed: list[bytes] = []

    def parse(self, body: bytes) -> list[Event]:
        self.parsed.append(body)
        return super().parse(body)


async def test_several_receivers_parse_everything_once_and_in_order(log: Log, media: MemoryMedia) -> None:
    channels = [Counting("in") for _ in range(3)]
    inbox = ChannelInbox(log, "in")
    bodies = [f"c1|{n}|{n}".encode() for n in range(200)]
    async with running(*(Receiver(log, [channel], media) for channel in channels)):
        for body in bodies:
            await inbox.put(body)
        await until(lambda: _inbox_empty(log, "in"))
    assert texts(await all_logged(log)) == [str(n) for n in range(200)]
    assert sorted(body for channel in channels for body in channel.parsed) == sorted(bodies)


async def test_another_receiver_goes_on_where_the_first_stopped(log: Log, media: MemoryMedia) -> None:
    inbox = ChannelInbox(log, "in")
    async with running(Receiver(log, [ScriptedChannel("in")], media)):
        await inbox.put(b"c1|1|1")
        await logged(log, 1)
        async with running(Receiver(log, [ScriptedChannel("in")], media)):
            pass
    async with running(Receiver(log, [ScriptedChannel("in")], media)):
        await inbox.put(b"c1|2|2")
        assert texts(await logged(log, 2)) == ["1", "2"]


async def test_a_move_whose_reply_was_lost_is_made_once(log: Log) -> None:
    entry = await log.put_raw("in", b"c1|1|hello")
    [event] = ScriptedChannel("in").parse(b"c1|1|hello")
    for _ in range(2):
        await log.move_parsed("in", [entry], [event], [b"job"], 7)
    assert len(await all_logged(log)) == 1
    assert len(await log.read_jobs("in", block_ms=1)) == 1


async def test_who_lost_the_lease_moves_nothing(log: Log) -> None:
    entry = await log.put_raw("in", b"c1|1|hello")
    events = ScriptedChannel("in").parse(b"c1|1|hello")
    mine, other = Lease(log, "parse:in", "me"), Lease(log, "parse:in", "other")
    assert await other.acquire()
    with pytest.raises(LeaseLost):
        await log.move_parsed("in", [entry], events, [b"job"], 7, mine)
    assert await all_logged(log) == []
    assert not await _inbox_empty(log, "in")
    await log.move_parsed("in", [entry], events, [], 7, other)
    assert len(await all_logged(log)) == 1


class Numbered(ScriptedChannel):
    """The message id is the place in the platform's count."""

    def number(self, body: bytes) -> int | None:
        return int(body.split(b"|")[1])


async def test_a_count_that_begins_anew_lower_is_kept_in_order_and_remembered(
    log: Log, media: MemoryMedia
) -> None:
    await log.move_parsed("in", [], [], last=1000)
    inbox = ChannelInbox(log, "in")
    async with running(Receiver(log, [Numbered("in")], media)):
        await inbox.put(*(b"c1|%d|%d" % (n, n) for n in (1, 3, 2)))
        assert texts(await logged(log, 3)) == ["1", "2", "3"]
        await until(lambda: _inbox_empty(log, "in"))
    assert await log.last_number("in") == 3
    async with running(Receiver(log, [Numbered("in")], media)):
        await inbox.put(*(b"c1|%d|%d" % (n, n) for n in (6, 4, 5)))
        assert texts(await logged(log, 6)) == [str(n) for n in range(1, 7)]
    assert await log.last_number("in") == 6


async def test_redis_goes_and_comes_back(own_redis: RedisServer, media: MemoryMedia) -> None:
    log = Log(connect(own_redis.url), "away")
    inbox = ChannelInbox(log, "in")
    try:
        async with running(Receiver(log, [ScriptedChannel("in")], media)):
            await inbox.put(b"c1|1|one")
            await logged(log, 1)
            own_redis.kill()
            with pytest.raises(Unavailable):
                await inbox.put(b"c1|2|two")
            own_redis.start()
            await inbox.put(b"c1|2|two", b"c1|3|three")
            events = await logged(log, 3, seconds=20)
    finally:
        await log.close()
    assert texts(events) == ["one", "two", "three"]


class Puller(ScriptedChannel):
    """A pull channel that fails as often as it is told to."""

    failures = 0
    runs = 0

    async def run(self, inbox: Inbox) -> None:
        self.runs += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a bug") if self.failures % 2 else NavbatError("no network")
        await inbox.put(f"c1|{self.name}|{self.name} runs".encode())
        await asyncio.Event().wait()


async def test_a_failing_transport_disturbs_no_other_and_comes_back(log: Log, media: MemoryMedia) -> None:
    bad, good = Puller("bad"), Puller("good")
    bad.failures = 3
    async with running(Receiver(log, [bad, good], media)):
        first, second = await logged(log, 2)
        await until(lambda: not bad.trouble)
    assert (first.text, second.text) == ("good runs", "bad runs")
    assert bad.runs == 4


async def test_trouble_is_reported(log: Log, media: MemoryMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.intake.report.REPORT_EVERY", 0.05)
    bad = Puller("bad")
    bad.failures = 1_000_000
    async with running(Receiver(log, [bad], media)):
        await until(lambda: bad.trouble)

        async def told() -> bool:
            return b'"trouble":"' in (await log.reports()).get("channel:bad", b"")

        await until(told)


async def test_one_of_two_receivers_pulls(log: Log, media: MemoryMedia) -> None:
    first, second = Puller("in"), Puller("in")
    async with running(Receiver(log, [first], media)):
        await logged(log, 1)
        async with running(Receiver(log, [second], media)):
            inbox = ChannelInbox(log, "in")
            await inbox.put(b"c1|x|x")
            await logged(log, 2)
            assert second.runs == 0
    async with running(Receiver(log, [second], media)):
        await until(lambda: second.runs)


# ------------------------------------------------------------------ attachments


class WithFiles(ScriptedChannel):
    """``ref`` of an attachment is the script of its download."""

    can: ClassVar[Can] = Can.TEXT | Can.FETCH
    file_limit = 1000

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.fetches: list[str] = []

    def parse(self, body: bytes) -> list[Event]:
        [event] = super().parse(body)
        assert isinstance(event, MessageReceived)
        size, _, event.text = event.text.partition(" ")
        event.media = [Media(kind="document", ref=event.text, size=int(size or 0))]
        return [event]

    async def fetch(self, media: Media) -> AsyncIterator[bytes]:
        self.fetches.append(media.ref)
        if media.ref == "refused":
            raise Rejected("gone")
        if media.ref == "bug":
            raise ZeroDivisionError
        if media.ref == "later" and self.fetches.count("later") < 3:
            raise TryLater(0.01, "not yet")
        yield b"x" * 600
        if media.ref == "endless":
            yield b"x" * 600


@pytest.mark.parametrize(
    ("script", "size", "stored", "error"),
    [
        ("fine", 0, 600, ""),
        ("refused", 0, 0, "gone"),
        ("endless", 0, 0, "larger than 1000 bytes"),
        ("fine", 5000, 0, "larger than 1000 bytes"),
        ("bug", 0, 0, "failed: ZeroDivisionError"),
        ("later", 0, 600, ""),
    ],
)
async def test_an_attachment_is_fetched_or_says_why_not(
    log: Log,
    media: MemoryMedia,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    size: int,
    stored: int,
    error: str,
) -> None:
    monkeypatch.setattr(fetch, "FIRST_WAIT", 0.01)
    channel = WithFiles("in")
    async with running(Receiver(log, [channel], media)):
        await ChannelInbox(log, "in").put(f"c1|5|{size} {script}".encode())
        message, outcome = await logged(log, 2)
        await until(lambda: _no_jobs(log))
    assert isinstance(outcome, MediaStored)
    assert (outcome.key, outcome.message_id, outcome.index) == ("in:c1", "5", 0)
    assert outcome.event_id == f"{message.event_id}:media:0"
    assert outcome.media.error == error
    assert len(media.files.get(outcome.media.key, b"")) == stored


async def _no_jobs(log: Log) -> bool:
    return not await log.read_jobs("in", block_ms=1)


async def test_several_receivers_fetch_each_file_once(log: Log, media: MemoryMedia) -> None:
    channels = [WithFiles("in") for _ in range(3)]
    async with running(*(Receiver(log, [channel], media) for channel in channels)):
        await ChannelInbox(log, "in").put(*(f"c1|{n}|0 f{n}".encode() for n in range(20)))
        await logged(log, 40)
        await until(lambda: _no_jobs(log))
    assert sorted(ref for channel in channels for ref in channel.fetches) == sorted(
        f"f{n}" for n in range(20)
    )


async def test_a_job_that_was_begun_before_a_crash_is_done_after_it(log: Log, media: MemoryMedia) -> None:
    stuck = WithFiles("in")

    async def never(media: Media) -> AsyncIterator[bytes]:
        stuck.fetches.append(media.ref)
        await asyncio.Event().wait()
        yield b""

    stuck.fetch = never  # type: ignore[method-assign]
    async with running(Receiver(log, [stuck], media)):
        await ChannelInbox(log, "in").put(b"c1|5|0 fine")
        await until(lambda: stuck.fetches)
    async with running(Receiver(log, [WithFiles("in")], media)):
        _, outcome = await logged(log, 2)
    assert outcome.media.key
