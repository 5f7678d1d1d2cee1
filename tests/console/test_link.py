"""The link: what happens when the network, the gateway or the console is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from console import link as links
from console.link import (
    Arrived,
    Beat,
    Connected,
    Credentials,
    Disconnected,
    Link,
    LinkEvent,
    TurnedAway,
    UnsentChanged,
    normal_url,
)
from console.model import Mirror
from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.errors import Refused as Declined
from router.wire import protocol as wire
from tests.console.conftest import frames
from tests.fakes.gateway import NOW, FakeGateway, message


class Owner:
    """Listens to a link and keeps a picture, as the app does."""

    def __init__(self) -> None:
        self.events: list[LinkEvent] = []
        self.picture = Mirror()
        self.changed = asyncio.Event()
        self.link: Link | None = None

    def __call__(self, event: LinkEvent) -> None:
        self.events.append(event)
        if isinstance(event, Arrived) and self.link is not None:
            for frame in self.link.drain():
                self.picture.apply(frame, NOW)
        elif isinstance(event, Connected):
            self.picture.welcome(event.welcome, NOW)
        self.changed.set()

    async def until(self, true: object) -> None:
        async with asyncio.timeout(5):
            while not true():  # type: ignore[operator]
                self.changed.clear()
                await self.changed.wait()

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def linked(
    gateway: FakeGateway, credentials: Credentials | None = None
) -> AsyncIterator[tuple[Link, Owner]]:
    owner = Owner()
    link = owner.link = Link(gateway.url, credentials or Credentials(token="token-1"), owner)
    task = asyncio.create_task(link.run())
    try:
        await owner.until(lambda: link.online or owner.count(TurnedAway))
        yield link, owner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_reconnect_resumes_without_a_gap(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, owner):
        await owner.until(lambda: owner.picture.sessions)
        owner.picture.thread("10")
        link.watch = ["10"]
        await gateway.push(messages=[message("10", 5, "before")])
        await owner.until(lambda: owner.picture.threads["10"].own)
        await gateway.cut()
        await gateway.push(messages=[message("10", 6, "meanwhile")])
        await owner.until(lambda: owner.count(Connected) == 2)
        await gateway.push(messages=[message("10", 7, "after")])
        await owner.until(lambda: len(owner.picture.threads["10"].own) == 3)
        assert [m.text for m in owner.picture.threads["10"].own] == ["before", "meanwhile", "after"]
        hello = frames(gateway, wire.Hello)[1]
        assert (hello.since, hello.watch) == ("1", ["10"])


async def test_a_command_without_an_answer_is_repeated_with_the_same_id(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, _owner):
        gateway.silent.add(wire.Say)
        done = link.send(wire.Say(rid=0, id="once", session="10", text="hi"))
        await gateway.expect(wire.Say)
        assert link.unsent == 1
        gateway.silent.clear()
        await gateway.cut()
        async with asyncio.timeout(5):
            answer = await done
        assert answer.message == "10-5"
        assert [frame.id for frame in frames(gateway, wire.Say)] == ["once", "once"]
        assert len(gateway.messages["10"]) == 5
        assert link.unsent == 0


async def test_commands_given_while_away_leave_in_order(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, owner):
        await gateway.cut()
        await owner.until(lambda: owner.count(Disconnected))
        sent = [link.send(wire.Say(rid=0, id=f"c{n}", session="10", text=str(n))) for n in range(20)]
        assert link.unsent == 20
        async with asyncio.timeout(5):
            await asyncio.gather(*sent)
        assert [frame.text for frame in frames(gateway, wire.Say)] == [str(n) for n in range(20)]


async def test_what_the_desk_does_not_know_yet_is_asked_again_with_the_same_id(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "ASK_AGAIN", 0.01)
    gateway.unknown_yet = 3
    async with linked(gateway) as (link, owner):
        done = link.send(wire.Say(rid=0, id="once", session="10", text="hi"))
        async with asyncio.timeout(5):
            answer = await done
        assert (answer.code, answer.message) == ("", "10-5")
        assert [frame.id for frame in frames(gateway, wire.Say)] == ["once"] * 4
        assert len(gateway.messages["10"]) == 5
        assert [e.count for e in owner.events if isinstance(e, UnsentChanged)] == [1, 0]


async def test_commands_of_one_conversation_keep_their_order_while_the_desk_knows_nothing(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "ASK_AGAIN", 0.01)
    gateway.unknown_yet = 5
    async with linked(gateway) as (link, _owner):
        sent = [link.send(wire.Say(rid=0, id=f"c{n}", session="10", text=str(n))) for n in range(5)]
        other = link.send(wire.Note(rid=0, id="n", session="11", text="elsewhere"))
        async with asyncio.timeout(5):
            await asyncio.gather(*sent, other)
        assert [m.text for m in gateway.messages["10"][4:]] == [str(n) for n in range(5)]


async def test_what_the_desk_may_have_forgotten_is_never_sent_again(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(gateway) as (link, _owner):
        gateway.deaf = True
        done = link.send(wire.Say(rid=0, id="old", session="10", text="hi"))
        young = link.send(wire.Say(rid=0, id="young", session="10", text="there"))
        await gateway.expect(wire.Say)
        gateway.deaf = False
        link._commands["old"].made -= wire.REMEMBERED + 1
        await gateway.cut()
        async with asyncio.timeout(5):
            assert (await done).code == "maybe_done"
            assert (await young).code == ""
        assert [frame.id for frame in frames(gateway, wire.Say)] == ["old", "young"]


async def test_a_command_for_which_the_socket_had_no_room_leaves_when_there_is(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "ASK_AGAIN", 0.01)
    async with linked(gateway) as (link, _owner):
        full: asyncio.Queue[bytes] = asyncio.Queue(1)
        full.put_nowait(b"")
        outgoing, link._outgoing = link._outgoing, full
        done = link.send(wire.Say(rid=0, id="once", session="10", text="hi"))
        link._outgoing = outgoing
        async with asyncio.timeout(5):
            assert (await done).code == ""
        assert [frame.again for frame in frames(gateway, wire.Say)] == [False]


async def test_too_many_unsent_commands_are_refused_at_once(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, _owner):
        gateway.silent.add(wire.Note)
        for n in range(links.MAX_UNSENT):
            link.send(wire.Note(rid=0, id=f"n{n}", session="10", text="x"))
        with pytest.raises(Unavailable):
            link.send(wire.Note(rid=0, id="one more", session="10", text="x"))


async def test_a_password_becomes_a_token(gateway: FakeGateway) -> None:
    async with linked(gateway, Credentials(name="anna", password="secret")) as (link, owner):
        assert link.credentials == Credentials(name="anna", token="token-1")
        await gateway.cut()
        await owner.until(lambda: owner.count(Connected) == 2)
        first, second = frames(gateway, wire.Hello)
        assert (first.password, first.remember) == ("secret", True)
        assert (second.password, second.token) == ("", "token-1")


@pytest.mark.parametrize("code", ["login", "revoked", "version"])
async def test_a_final_goodbye_ends_the_link(gateway: FakeGateway, code: str) -> None:
    async with linked(gateway) as (link, owner):
        await gateway.bye(code)
        await owner.until(lambda: owner.count(TurnedAway))
        assert not link.online
        assert gateway.count(wire.Hello) == 1


async def test_a_restart_of_the_desk_is_survived(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, owner):
        await gateway.bye("stopping")
        await owner.until(lambda: owner.count(Connected) == 2)
        assert link.online


async def test_the_heartbeat_measures_and_three_missed_end_it(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.heartbeat = 0.02
    async with linked(gateway) as (link, owner):
        await owner.until(lambda: owner.count(Beat) >= 2)
        beat = next(event for event in owner.events if isinstance(event, Beat))
        assert 0 < beat.latency < 5_000
        gateway.deaf = True
        await owner.until(lambda: owner.count(Disconnected))
        gateway.deaf = False
        await owner.until(lambda: owner.count(Connected) == 2)
        assert link.online


async def test_reads_fail_when_the_connection_breaks(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, _owner):
        gateway.deaf = True
        read = asyncio.create_task(link.request(wire.GetThread(rid=0, session="10"), wire.Page))
        await gateway.expect(wire.GetThread)
        await gateway.cut()
        with pytest.raises(Unavailable):
            await read


async def test_a_refused_read_carries_its_code(gateway: FakeGateway) -> None:
    async with linked(gateway) as (link, _owner):
        with pytest.raises(Declined) as caught:
            await link.request(wire.GetStatus(rid=0), wire.StatusReport)
        assert caught.value.code == "unavailable"


async def test_an_owner_that_does_not_drain_stops_the_reading(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_WAITING", 10)
    async with linked(gateway) as (link, owner):
        await owner.until(lambda: owner.picture.sessions)
        owner.link = None
        for n in range(5, 105):
            await gateway.push(messages=[message("10", n)])
        owner.picture.thread("10")
        await owner.until(lambda: len(link._frames) == 10)
        assert len(link._frames) == 10
        owner.link = link
        for frame in link.drain():
            owner.picture.apply(frame, NOW)
        await owner.until(lambda: len(owner.picture.threads["10"].own) == 100)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("localhost", "http://localhost"),
        ("desk.example.com", "https://desk.example.com"),
        ("wss://desk.example.com/", "https://desk.example.com"),
        (" http://10.0.0.5:8700 ", "http://10.0.0.5:8700"),
    ],
)
def test_addresses_as_people_write_them(typed: str, url: str) -> None:
    assert normal_url(typed) == url


@pytest.mark.parametrize("typed", ["", "ftp://x", "http://", "://", "desk:port", "[::1"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(NavbatError):
        normal_url(typed)
