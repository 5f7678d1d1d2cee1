"""A bot that is a program of its own, over the wire: the example of the documentation, as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm.records import Message
from router import protocol
from router.events import LineRules, LinesConfigured
from router.log import Log
from tests.router.desk_in_process import Client, DeskInProcess, running_desk

EXAMPLE = Path(__file__).parents[2] / "docs/examples/hours_bot.py"
HOURS = "We are open from nine to six, Monday to Saturday."


async def configure(log: Log, *, bot_time: int = 600_000) -> None:
    rules = LineRules(members=["anna"], bot="robot", bot_time=bot_time)
    await log.append(
        LinesConfigured(lines={"sales": rules}, channels={"bot": "sales"}, kinds={"bot": "loopback"})
    )


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        await desk.account("robot", "bot")
        await configure(log)
        yield desk


@contextlib.asynccontextmanager
async def robot(desk: DeskInProcess) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example, signed in."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, desk.url, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NAVBAT_TOKEN": desk.tokens["robot"]},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"connected as robot\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await process.wait() == 0


async def thread(watcher: Client, session: str) -> list[Message]:
    page = await watcher.ask(protocol.Open, session=session)
    assert isinstance(page, protocol.Page), page
    return [m for m in page.messages if m.direction in ("in", "out", "note")]


def seen(watcher: Client, **fields: object) -> bool:
    """Whether the watcher has been told of a session like this."""
    views = [v for f in watcher.frames if isinstance(f, protocol.Changes) for v in f.sessions]
    return any(all(getattr(view, name) == value for name, value in fields.items()) for view in views)


async def answers(watcher: Client, count: int) -> list[Message]:
    """Waits for so many messages to the customer in the sessions watched."""

    def found() -> list[Message]:
        return list({m.id: m for m in watcher.messages() if m.direction == "out"}.values())

    while len(found()) < count:
        await watcher.next()
    return found()


async def watching(desk: DeskInProcess, session: str) -> Client:
    boss = await desk.login("boss")
    await boss.until(protocol.Snapshot)
    page = await boss.ask(protocol.Open, session=session)
    while isinstance(page, protocol.Done):  # the customer's words may still be on their way
        await boss.next()
        page = await boss.ask(protocol.Open, session=session)
    boss.frames.append(protocol.Changes(messages=page.messages))
    return boss


async def test_it_answers_once_and_leaves_the_rest_to_a_human(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    async with robot(desk) as process:
        await desk.write("ali", "What are your hours?")
        boss = await watching(desk, "1")
        (told,) = await answers(boss, 1)
        assert (told.text, told.author, told.delivery) == (HOURS, "robot", "queued")
        await desk.write("ali", "And do you have kettles?")
        await anna.until(lambda f: seen(anna, id="1", status="offered", holder="anna"))
        said = await thread(boss, "1")
        assert [m.direction for m in said] == ["in", "out", "in", "note"]
        assert process.returncode is None


async def test_what_came_while_it_was_away_is_answered_once(desk: DeskInProcess) -> None:
    await desk.write("ali", "Are you open?")
    boss = await watching(desk, "1")
    async with robot(desk):
        await answers(boss, 1)
    async with robot(desk):  # answered already: nothing is said again
        await desk.write("vali", "open?")
        other = await watching(desk, "2")
        await answers(other, 1)
        assert [m.direction for m in await thread(boss, "1")] == ["in", "out"]


async def test_killed_in_a_conversation_it_goes_on_after_its_restart(desk: DeskInProcess) -> None:
    async with robot(desk) as process:
        await desk.write("ali", "hours")
        boss = await watching(desk, "1")
        await answers(boss, 1)
        process.kill()
        await process.wait()
    await desk.write("ali", "hours on Sunday?")
    async with robot(desk):
        await answers(boss, 2)
    assert [m.direction for m in await thread(boss, "1")] == ["in", "out", "in", "out"]


@pytest.mark.parametrize("word", ["operator", "Оператор!", "Operator, iltimos"])
async def test_a_human_is_reached_though_the_bot_is_silent(desk: DeskInProcess, word: str) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hello")
    await desk.write("ali", word)
    await anna.until(lambda f: seen(anna, status="offered", holder="anna"))


async def test_a_silent_bot_has_it_for_bot_time_and_no_longer(desk: DeskInProcess, log: Log) -> None:
    await configure(log, bot_time=50)
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hours?")
    await anna.until(lambda f: seen(anna, status="offered", holder="anna"))


async def test_it_may_not_touch_what_it_has_not(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "operator")
    await anna.until(lambda f: seen(anna, status="offered", holder="anna"))
    taken = await anna.ask(protocol.Take, session="1")
    assert not taken.code
    machine = await desk.login("robot")
    for frame, fields in ((protocol.Say, {"text": "I am here"}), (protocol.Return, {}), (protocol.Take, {})):
        answer = await machine.ask(frame, session="1", **fields)
        assert answer.code == "held_by", frame
