"""The linear mode: lines in, lines out, and never a control sequence."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from console.link import Credentials
from console.plain import Plain, run_plain
from console.settings import Shelf
from console.text.words import Words
from router.wire import protocol as wire
from tests.console.conftest import frames
from tests.fakes.gateway import NOW, FakeGateway, message, session


class Out(io.StringIO):
    """A stream that says when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def flush(self) -> None:
        self.written.set()


class Talk:
    """A running linear console: ``tell`` a line, ``hear`` until a text has come."""

    def __init__(self, plain: Plain, out: Out, lines: asyncio.Queue[str | None]) -> None:
        self.plain, self.out, self.lines = plain, out, lines

    def tell(self, line: str) -> None:
        self.lines.put_nowait(line + "\n")

    async def hear(self, text: str) -> None:
        async with asyncio.timeout(5):
            while text not in self.out.getvalue():
                self.out.written.clear()
                await self.out.written.wait()


@asynccontextmanager
async def talking(gateway: FakeGateway, token: str = "token-1") -> AsyncIterator[Talk]:
    out, lines = Out(), asyncio.Queue[str | None]()
    plain = Plain(gateway.url, Credentials(token=token), Words("en"), out)
    task = asyncio.create_task(plain.run(lines))
    yield Talk(plain, out, lines)
    lines.put_nowait(None)
    async with asyncio.timeout(5):
        await task


async def test_a_day_in_lines(gateway: FakeGateway) -> None:
    async with talking(gateway) as talk:
        await talk.hear("Signed in as anna: online.")
        await talk.hear("Offered: 12 Web visitor: Is the kettle in stock?")
        talk.tell("list")
        await talk.hear("10 Ali Karimov [sales] waiting for us")
        talk.tell("say too early")
        await talk.hear("Open a conversation first.")
        talk.tell("take 12")
        assert (await gateway.expect(wire.Take)).session == "12"
        await talk.hear("Conversation 12 with Web visitor")
        talk.tell("say 120 000")
        await talk.hear("12 anna: 120 000 ·")
        talk.tell("note shy")
        assert (await gateway.expect(wire.Note)).text == "shy"
        talk.tell("to bek")
        assert (await gateway.expect(wire.Transfer)).to == "bek"
        talk.tell("next")
        await talk.hear("Conversation 10 with Ali Karimov")
        talk.tell("pin")
        assert (await gateway.expect(wire.Pin)).session == "10"
        talk.tell("back lunch")
        assert (await gateway.expect(wire.Return)).reason == "lunch"
        talk.tell("skip 10")
        assert (await gateway.expect(wire.Skip)).session == "10"
        talk.tell("close")
        assert (await gateway.expect(wire.Close)).session == "10"
        talk.tell("duty break")
        assert (await gateway.expect(wire.SetDuty)).duty == "break"
        talk.tell("history")
        talk.tell("fly")
        await talk.hear("No such command: fly")
        talk.tell("help")
        await talk.hear("say TEXT")
        await gateway.push(
            messages=[message("11", 1, "yana")],
            sessions=[session("11", rev=9, status="pending", holder="anna")],
        )
        await talk.hear("yana")


async def test_stepping_in_and_setting_aside(gateway: FakeGateway) -> None:
    async with talking(gateway) as talk:
        await talk.hear("Signed in")
        await talk.hear("Offered")
        talk.tell("open 10")
        await talk.hear("Conversation 10")
        talk.tell("whisper psst")
        assert (await gateway.expect(wire.Whisper)).text == "psst"
        talk.tell("snooze yesterday")
        await talk.hear("Write a time to come")
        talk.tell("snooze written")
        assert (await gateway.expect(wire.Snooze)).until == 0
        talk.tell("snooze 2h")
        talk.tell("why")
        await talk.hear("✗ dilnoza: on a break")
        talk.tell("spam")
        assert (await gateway.expect(wire.Spam)).on is True
        assert [frame.until > NOW for frame in frames(gateway, wire.Snooze)] == [False, True]
        talk.tell("over 13")
        assert (await gateway.expect(wire.TakeOver)).session == "13"
        talk.tell("join 14")
        assert (await gateway.expect(wire.Join)).session == "14"
        talk.tell("listen 11")
        assert (await gateway.expect(wire.Join, silent=True)).session == "11"
        gateway.sessions["11"].silent = ["anna"]
        await gateway.change("11", silent=["anna"])
        talk.tell("list")
        talk.tell("listen 11")
        assert (await gateway.expect(wire.Join, silent=True, on=False)).session == "11"
        talk.tell("close sold")
        assert (await gateway.expect(wire.Close)).result == "sold"


async def test_what_follows_a_refused_take_is_said_to_nobody(gateway: FakeGateway) -> None:
    gateway.refuse[wire.Take] = wire.Done(rid=0, code="held_by", params={"holder": "bek"})
    async with talking(gateway) as talk:
        await talk.hear("Offered")
        talk.tell("open 10")
        await talk.hear("Conversation 10")
        for line in ("take 13", "say 120 000 for you", "note ask him", "whisper psst"):
            talk.tell(line)
        talk.tell("open 99")
        talk.tell("say hello")
        talk.tell("help")
        await talk.hear("list · open N")
        assert talk.out.getvalue().count("Open a conversation first.") == 4
        assert not frames(gateway, wire.Say) + frames(gateway, wire.Note) + frames(gateway, wire.Whisper)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": "offered", "holder": "bek"}, "it is offered to bek now"),
        ({"status": "taken", "holder": "bek"}, "bek has it now"),
        ({"status": "waiting", "holder": ""}, "it is back in the queue"),
        ({"status": "closed", "holder": ""}, "the conversation is closed"),
    ],
)
async def test_nothing_is_said_in_a_conversation_that_has_left(
    gateway: FakeGateway, change: dict[str, str], why: str
) -> None:
    async with talking(gateway) as talk:
        await talk.hear("Offered")
        talk.tell("open 10")
        await talk.hear("Conversation 10")
        await gateway.change("10", **change)
        await talk.hear(f"Conversation 10: {why}.")
        talk.tell("say are you there?")
        await talk.hear(f"Not sent, conversation 10: {why}.")
        talk.tell("open 11")
        talk.tell("say salom")
        assert (await gateway.expect(wire.Say)).session == "11"
        assert len(frames(gateway, wire.Say)) == 1


async def test_a_conversation_that_a_fresh_picture_lacks_has_left(gateway: FakeGateway) -> None:
    async with talking(gateway) as talk:
        await talk.hear("Offered")
        talk.tell("open 10")
        await talk.hear("Conversation 10")
        del gateway.sessions["10"]
        gateway.forget = True
        await gateway.cut()
        await talk.hear("Conversation 10: it is not yours any more.")
        talk.tell("say are you there?")
        await talk.hear("Not sent, conversation 10")
        assert not frames(gateway, wire.Say)


async def test_a_script_need_not_wait_for_the_connection(gateway: FakeGateway) -> None:
    out, lines = Out(), asyncio.Queue[str | None]()
    for line in ("list", "quit"):
        lines.put_nowait(line + "\n")
    async with asyncio.timeout(5):
        assert await Plain(gateway.url, Credentials(token="token-1"), Words("en"), out).run(lines) == 0
    assert "10 Ali Karimov [sales]" in out.getvalue()


async def test_trouble_is_said_when_it_comes_and_when_it_goes(gateway: FakeGateway) -> None:
    gateway.heartbeat = 0.02
    gateway.pong = wire.Pong(now=NOW, down=["redis", "shop"], troubles={"redis": "redis_memory"})
    async with talking(gateway) as talk:
        await talk.hear("Trouble: Redis takes no writes: its memory is full, shop")
        gateway.pong = wire.Pong(now=NOW)
        await talk.hear("Everything works again.")
        assert talk.out.getvalue().count("Trouble") == 1


async def test_a_refusal_is_said(gateway: FakeGateway) -> None:
    gateway.refuse[wire.Take] = wire.Done(rid=0, code="held_by", params={"holder": "bek"})
    async with talking(gateway) as talk:
        await talk.hear("Signed in")
        await talk.hear("Offered")
        talk.tell("take 13")
        await talk.hear("bek has it.")


async def test_a_wrong_token_ends_with_one(gateway: FakeGateway) -> None:
    out = Out()
    plain = Plain(gateway.url, Credentials(token="stolen"), Words("en"), out)
    async with asyncio.timeout(5):
        assert await plain.run(asyncio.Queue()) == 1
    assert "wrong" in out.getvalue()


async def test_nothing_from_outside_controls_the_terminal(gateway: FakeGateway) -> None:
    async with talking(gateway) as talk:
        await talk.hear("Signed in")
        evil = "\x1b]0;owned\x07\x1b[2J\u202eabc\x9b31m"
        await gateway.push(
            sessions=[session("10", rev=9, status="pending", holder="anna", name=evil)],
            messages=[message("10", 9, evil + "END", at=NOW)],
        )
        await talk.hear("END")
        assert not set(talk.out.getvalue()) & {"\x1b", "\x07", "\x9b", "\u202e"}


def test_without_a_login_it_says_what_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_plain("", None, Shelf()) == 2
    assert "NAVBAT_TOKEN" in capsys.readouterr().err
