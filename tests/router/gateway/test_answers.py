"""A command that is in the log is never lost from sight: its client hears what became of it, once, however
slow the desk is and through whichever gateway he asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from crm.kernel.errors import Unavailable
from router.desk import events
from router.desk.events import decode_event
from router.desk.state import MessageAdded
from router.gateway.answers import commands as answers
from router.gateway.gateway import Gateway
from router.log.home import connect
from router.log.log import Log
from router.log.seen import PERIOD_MS
from router.wire import protocol
from router.wire.protocol import Changes, Pong
from tests.conftest import RedisServer, until
from tests.router.desk.world import START, World, saved
from tests.router.desk_in_process import Client, DeskInProcess, running_desk
from tests.router.orders import order


@pytest.fixture
async def desk(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeskInProcess]:
    monkeypatch.setattr(answers, "COMMAND_TIMEOUT", 0.3)
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def talking(desk: DeskInProcess, name: str = "anna") -> Client:
    """With session 1 offered to anna."""
    await desk.duty("anna")
    client = await desk.login(name)
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions)
    return client


async def logged(log: Log, kind: type[protocol.CommandFrame]) -> list[Any]:
    rows = await log.read_log("0", 1000, 1)
    orders = [e for e in (decode_event(data) for _, data in rows) if isinstance(e, events.Ordered)]
    return [order.command for order in orders if isinstance(order.command, kind)]


def said(desk: DeskInProcess, text: str) -> list[str]:
    return [d for d in (s.last_text for s in desk.worker.desk.sessions.values()) if d == text]


async def test_after_the_append_the_answer_is_unknown_yet_and_asking_again_appends_nothing(
    desk: DeskInProcess,
) -> None:
    anna = await talking(desk)
    await desk.stop("worker")
    for _ in range(3):
        assert (await anna.ask(protocol.Say, session="1", text="once", id="one")).code == "unavailable"
    assert [say.text for say in await logged(desk.log, protocol.Say)] == ["once"]
    desk.start("worker", desk.worker)
    await anna.until(lambda f: isinstance(f, Changes) and any(m.text == "once" for m in f.messages))
    done = await anna.ask(protocol.Say, session="1", text="once", id="one")
    assert (done.code, done.session, done.message) == ("", "1", "1-3")
    assert [say.text for say in await logged(desk.log, protocol.Say)] == ["once"]


async def test_a_refusal_that_nobody_waited_for_is_told_to_who_asks_again(desk: DeskInProcess) -> None:
    bek = await talking(desk, "bek")
    await desk.stop("worker")
    assert (await bek.ask(protocol.Say, session="1", text="mine", id="one")).code == "unavailable"
    desk.start("worker", desk.worker)
    await until(lambda: not desk.gateway._requests.commands._open)
    await desk.stop("worker")
    done = await bek.ask(protocol.Say, session="1", text="mine", id="one")
    assert (done.code, done.params) == ("offered_to_other", {"holder": "anna"})


async def test_heartbeats_do_not_wait_for_a_slow_desk(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "COMMAND_TIMEOUT", 60.0)
    anna = await talking(desk)
    await desk.stop("worker")
    await anna.send(protocol.Say(rid=70, id="one", session="1", text="slow"))
    await anna.send(protocol.Ping(at=7))
    await anna.until(Pong)
    assert not any(getattr(f, "rid", 0) == 70 for f in anna.frames)
    desk.start("worker", desk.worker)
    done = await anna.until(lambda f: getattr(f, "rid", 0) == 70)
    assert (done.code, done.message) == ("", "1-3")


async def test_only_the_first_of_many_waits_for_a_desk_that_does_not_answer(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await talking(desk)
    await desk.stop("worker")
    assert (await anna.ask(protocol.Note, session="1", text="0")).code == "unavailable"
    monkeypatch.setattr(answers, "COMMAND_TIMEOUT", 600.0)
    for number in range(1, 20):
        assert (await anna.ask(protocol.Note, session="1", text=str(number))).code == "unavailable"
    assert [note.text for note in await logged(desk.log, protocol.Note)] == [str(n) for n in range(20)]
    monkeypatch.setattr(answers, "COMMAND_TIMEOUT", 5.0)
    desk.start("worker", desk.worker)
    await anna.until(lambda f: isinstance(f, Changes) and any(m.text == "19" for m in f.messages))
    assert (await anna.ask(protocol.Note, session="1", text="20")).code == ""


async def test_redis_lost_during_the_append_and_the_command_comes_twice_into_the_log(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had arrived: the reply was what did not come."""
    anna = await talking(desk)
    append = desk.log.append

    async def lost(event: events.Event) -> str:
        await append(event)
        monkeypatch.setattr(desk.log, "append", append)
        raise Unavailable("gone")

    monkeypatch.setattr(desk.log, "append", lost)
    assert (await anna.ask(protocol.Say, session="1", text="once", id="one")).code == "unavailable"
    done = await anna.ask(protocol.Say, session="1", text="once", id="one")
    assert (done.code, done.message) == ("", "1-3")
    page = await anna.ask(protocol.Open, session="1")
    assert [m.text for m in page.messages if m.direction == "out"] == ["once"]


async def test_the_answer_was_in_a_part_of_the_journal_that_is_gone(desk: DeskInProcess) -> None:
    anna = await talking(desk)
    await desk.stop("worker")
    assert (await anna.ask(protocol.Say, session="1", text="once", id="one")).code == "unavailable"
    await desk.stop("gateway")
    desk.start("worker", desk.worker)
    await until(lambda: _journal_has(desk, "once"))
    await desk.log.redis.delete(desk.log.keys.journal)
    desk.start("gateway", desk.gateway)
    await until(lambda: desk.gateway.picture.sessions["1"].seq == 3)
    again = await desk.login("anna")
    assert (await again.ask(protocol.Say, session="1", text="once", id="one")).code == ""
    assert desk.worker.desk.sessions["1"].seq == 3


async def test_a_command_that_redis_lost_in_a_crash_is_carried_out_when_it_is_asked_about(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ``appendfsync everysec``: the desk will never answer what it cannot read any more."""
    monkeypatch.setattr(answers, "COMMAND_TIMEOUT", 0.3)
    log = Log(connect(own_redis.url), "lost")
    async with running_desk(log, tmp_path) as desk:
        anna = await talking(desk)
        await desk.stop("worker")
        assert (await anna.ask(protocol.Say, session="1", text="once", id="one")).code == "unavailable"
        (lost, _), *_ = reversed(await log.read_log("0", 1000, 1))
        await log.redis.xdel(log.keys.log, lost)
        assert not await logged(log, protocol.Say)
        own_redis.kill()
        await until(lambda: desk.gateway.status.down)
        own_redis.start()
        await until(lambda: not desk.gateway.status.down, within=20)
        desk.start("worker", desk.worker)
        done: list[protocol.Done] = []

        async def answered() -> bool:
            client = await desk.login("anna")
            done.append(await client.ask(protocol.Say, session="1", text="once", id="one", again=True))
            await client.socket.close()
            return done[-1].code != "unavailable"

        await until(answered)
        assert (done[-1].code, done[-1].message) == ("", "1-3")
    await log.close()


async def test_another_gateway_is_asked_and_a_refusal_of_the_first_attempt_is_not_the_answer(
    desk: DeskInProcess,
) -> None:
    """The first attempt is refused; the second, through another gateway, comes after the conversation was
    given to him: what he hears is what became of the second."""
    other = Gateway(desk.log, desk.store, server="other")
    app = web.Application()
    app.add_routes(other.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk.start("other", other)
    await desk.duty("bek")
    bek = await talking(desk, "bek")
    anna = await desk.login("anna")
    assert (await anna.ask(protocol.Take, session="1")).code == ""
    await desk.stop("worker")
    await bek.send(protocol.Say(rid=70, id="one", session="1", text="mine"))
    await until(lambda: _has_logged(desk, 1))
    await anna.ask(protocol.Transfer, session="1", to="bek")
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/ws"
        second = Client(await http.ws_connect(url))
        await second.send(protocol.Hello(token=desk.tokens["bek"]))
        await second.until(protocol.Snapshot)
        await second.send(protocol.Say(rid=71, id="one", session="1", text="mine"))
        await until(lambda: _has_logged(desk, 2))
        desk.start("worker", desk.worker)
        done = await second.until(lambda f: getattr(f, "rid", 0) == 71)
        # Both were in the log when the first was refused: they are one command with one answer.
        assert (done.code, said(desk, "mine")) == ("held_by", [])
        done = await second.ask(protocol.Say, session="1", text="mine", id="one")
        assert (done.code, len(said(desk, "mine"))) == ("", 1)
    await desk.stop("other")
    await runner.cleanup()


async def _journal_has(desk: DeskInProcess, text: str) -> bool:
    entries = await desk.log.read_journal("0", count=1000)
    added = [t for _, entry in entries for t in entry.told if isinstance(t, MessageAdded)]
    return any(t.message.text == text for t in added)


async def _has_logged(desk: DeskInProcess, count: int) -> bool:
    return len(await logged(desk.log, protocol.Say)) == count


# ------------------------------------------------------------------ what it was checked against has changed


async def closed_unheard(desk: DeskInProcess) -> Client:
    """anna's close was carried out, and she has not heard of it."""
    anna = await talking(desk)
    await desk.stop("worker")
    assert (await anna.ask(protocol.Close, session="1", id="close")).code == "unavailable"
    desk.start("worker", desk.worker)
    await until(lambda: not desk.gateway.picture.sessions)
    return anna


async def test_what_was_done_is_not_refused_for_what_it_did(desk: DeskInProcess) -> None:
    anna = await closed_unheard(desk)
    assert (await anna.ask(protocol.Close, session="1", id="close")).code == ""


async def test_nor_by_a_gateway_that_knows_nothing_of_it(desk: DeskInProcess) -> None:
    anna = await closed_unheard(desk)
    desk.gateway._requests.commands = answers.Answers(desk.log)
    assert (await anna.ask(protocol.Close, session="1", id="close", again=True)).code == ""
    assert (await anna.ask(protocol.Close, session="1", id="another", again=True)).code in (
        "closed", "no_such_session",
    )  # fmt: skip


async def test_a_command_that_a_gateway_refuses_outright_is_not_in_the_log(desk: DeskInProcess) -> None:
    anna = await closed_unheard(desk)
    before = len(await desk.log.read_log("0", 1000, 1))
    assert (await anna.ask(protocol.Close, session="1", id="new")).code in ("closed", "no_such_session")
    assert len(await desk.log.read_log("0", 1000, 1)) == before


async def test_a_word_that_was_said_is_said_though_the_conversation_is_another_s_by_now(
    desk: DeskInProcess,
) -> None:
    """It would go back to the composer, and to somebody else from there."""
    anna = await talking(desk)
    await desk.stop("worker")
    assert (await anna.ask(protocol.Say, session="1", text="mine", id="one")).code == "unavailable"
    await desk.log.append(order("Transfer", operator="anna", session="1", to="line:support", event_id="t"))
    desk.start("worker", desk.worker)
    await until(lambda: desk.gateway.picture.sessions["1"].line == "support")
    desk.gateway._requests.commands = answers.Answers(desk.log)
    done = await anna.ask(protocol.Say, session="1", text="mine", id="one", again=True)
    assert done.code == ""
    refused = await anna.ask(protocol.Say, session="1", text="mine", id="two", again=True)
    assert refused.code == "no_right"


async def test_a_history_that_does_not_answer_holds_up_nothing(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await talking(desk)

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(desk.store, "find", away)
    done = await anna.ask(protocol.Say, session="1", text="with a quote", reply_to="1-1", id="q")
    assert done.code == "history_away"
    assert (await anna.ask(protocol.Say, session="1", text="without", id="w")).code == ""
    done = await anna.ask(protocol.Say, session="1", text="with a quote", reply_to="1-1", id="q", again=True)
    assert done.code == "unavailable", "it may have been sent before the history went away"


# ------------------------------------------------------------------ the rule


def say(world: World, attempt: str, at: int) -> str:
    command = order("Say", operator="bek", session="1", text="mine", event_id="bek/one", attempt=attempt, at=at
    )  # fmt: skip
    world.desk.apply(command)
    world.drain()
    code: str = next(t for t in reversed(world.told) if hasattr(t, "event_id")).code
    return code


def test_an_attempt_that_was_held_up_on_its_way_gets_the_refusal_that_was_told() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    world.writes("a")
    world.at(1)
    assert say(world, "second", START + 900) == "offered_to_other"
    world.do("anna", "Take", session="1")
    world.do("anna", "Transfer", session="1", to="bek")
    assert say(world, "first", START + 800) == "offered_to_other"
    world.desk = saved(world.desk)
    assert say(world, "first", START + 800) == "offered_to_other"
    world.at(2)
    assert say(world, "third", START + 2000) == ""


def test_refusals_are_forgotten_and_never_more_than_so_many_kept() -> None:
    world = World("anna", "bek")
    for number in range(500):
        world.desk.apply(
            order("Take", operator="bek", session="9", event_id=f"bek/{number}", attempt="a", at=START)
        )
        world.drain()
    assert 0 < len(world.desk.refusals) <= 200
    world.at(3600)
    world.desk.apply(order("Take", operator="bek", session="9", event_id="bek/x", attempt="a", at=world.time))
    world.drain()
    assert list(world.desk.refusals) == ["bek/x"]


def test_a_client_stops_repeating_before_the_desk_forgets() -> None:
    assert protocol.REMEMBERED * 1000 < PERIOD_MS


async def test_an_answer_after_the_connection_is_gone_waits_for_the_next(desk: DeskInProcess) -> None:
    anna = await talking(desk)
    await desk.stop("worker")
    await anna.send(protocol.Say(rid=70, id="one", session="1", text="once"))
    await until(lambda: _has_logged(desk, 1))
    await anna.socket.close()
    desk.start("worker", desk.worker)
    await until(lambda: said(desk, "once"))
    again = await desk.login("anna")
    async with asyncio.timeout(5):
        done = await again.ask(protocol.Say, session="1", text="once", id="one")
    assert (done.code, done.message) == ("", "1-3")
    assert len(await logged(desk.log, protocol.Say)) == 1
