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
from aiohttp import web

from bots.base import Secret
from bots.loopback import Loopback, LoopbackSettings, SentItem
from bots.way_out.outbox import Sender
from crm.kernel.records import Message
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules
from router.log.log import Log
from router.wire import protocol
from tests.bots.conftest import MemoryMedia
from tests.router.desk_in_process import Client, DeskInProcess, running_desk

EXAMPLE = Path(__file__).parents[3] / "docs/examples/hours_bot.py"
HOURS = "We are open from nine to six, Monday to Saturday."
BOT_TIME = 600_000


async def configure(log: Log, *, bot_time: int = BOT_TIME) -> None:
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
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await process.wait() == 0


class Customers:
    """What really arrives in the customers' channel, through the desk's own sender."""

    def __init__(self, channel: Loopback) -> None:
        self._arrived = channel.watch()

    async def next(self) -> tuple[str, str]:
        """The chat and the text of the next delivery."""
        async with asyncio.timeout(20):
            sent: SentItem = await self._arrived.get()
        return sent.chat, sent.text


@pytest.fixture
async def customers(desk: DeskInProcess, log: Log) -> Customers:
    settings = LoopbackSettings(kind="loopback", line="sales", secret=Secret("s"))
    channel = Loopback("bot", settings)
    desk.start("sender", Sender(log, [channel], MemoryMedia()))
    return Customers(channel)


async def on_duty(desk: DeskInProcess) -> Client:
    await desk.duty("anna")
    return await desk.login("anna")


async def is_offered(operator: Client, session: str) -> None:
    await operator.until(lambda f: seen(operator, id=session, status="offered", holder="anna"))


def later(log: Log, monkeypatch: pytest.MonkeyPatch, ms: int) -> None:
    """The desk's clock jumps; the timers that are due fire at the next event."""
    then = log.now
    monkeypatch.setattr(log, "now", lambda: then() + ms)


async def thread(watcher: Client, session: str) -> list[Message]:
    page = await watcher.ask(protocol.Open, session=session)
    assert isinstance(page, protocol.Page), page
    return [m for m in page.messages if m.direction in ("in", "out", "note")]


def seen(watcher: Client, **fields: object) -> bool:
    """Whether the watcher has been told of a session like this, at once or on signing in."""
    told = (protocol.Changes, protocol.Snapshot)
    views = [v for f in watcher.frames if isinstance(f, told) for v in f.sessions]
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
    while True:
        before = len(boss.frames)
        page = await boss.ask(protocol.Open, session=session)
        if isinstance(page, protocol.Page):
            break
        # The customer's words may still be on their way, or they came while this was refused.
        if len(boss.frames) == before + 1:
            await boss.next()
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


async def test_the_customer_gets_one_answer_and_then_a_human(
    desk: DeskInProcess, customers: Customers
) -> None:
    anna = await on_duty(desk)
    async with robot(desk):
        await desk.write("ali", "What are your hours?")
        assert await customers.next() == ("ali", HOURS)
        await desk.write("ali", "And do you have kettles?")
        await is_offered(anna, "1")
        assert not (await anna.ask(protocol.Say, session="1", text="We have.")).code
        # One chat is sent in order: a second answer, or the note, would have come before hers.
        assert await customers.next() == ("ali", "We have.")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "hangs"])
async def test_a_bot_that_is_lost_in_a_conversation_does_not_lose_the_customer(
    desk: DeskInProcess, log: Log, customers: Customers, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    async with robot(desk) as process:
        await desk.write("ali", "hours?")
        assert await customers.next() == ("ali", HOURS)
        process.send_signal(end)
        if end == signal.SIGKILL:
            await process.wait()
        later(log, monkeypatch, BOT_TIME)
        await desk.write("ali", "hours on Sunday?")
        # Who was on duty before the jump has been away for as long.
        await is_offered(await on_duty(desk), "1")


async def test_a_bot_that_hangs_keeps_nobody_from_a_human_and_says_nothing_when_it_wakes(
    desk: DeskInProcess, customers: Customers
) -> None:
    anna = await on_duty(desk)
    async with robot(desk) as process:
        process.send_signal(signal.SIGSTOP)
        await desk.write("ali", "hours?")
        await desk.write("ali", "Operator, please")
        await is_offered(anna, "1")
        process.send_signal(signal.SIGCONT)
        await desk.write("vali", "hours?")
        # It reads in order: when it answers the second customer it is done with the first.
        assert await customers.next() == ("vali", HOURS)
        assert [m.direction for m in await thread(anna, "1")] == ["in", "in"]


async def test_it_comes_back_when_the_gateway_does(desk: DeskInProcess, customers: Customers) -> None:
    async with robot(desk) as process:
        await desk.write("ali", "hours?")
        assert await customers.next() == ("ali", HOURS)
        await desk.stop("gateway")
        await desk.write("ali", "And are you open on Sunday?")
        desk.start("gateway", desk.gateway)
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"connected as robot\n"
        assert await customers.next() == ("ali", HOURS)
        await desk.write("vali", "hours?")
        assert await customers.next() == ("vali", HOURS)


async def test_a_command_sent_again_by_another_connection_reaches_the_customer_once(
    desk: DeskInProcess, customers: Customers
) -> None:
    await desk.write("ali", "hours?")
    await watching(desk, "1")
    for _ in range(2):
        machine = await desk.login("robot")
        done = await machine.ask(protocol.Say, id="1-1-answer", session="1", text="From nine.")
        assert not done.code
        await machine.socket.close()
    machine = await desk.login("robot")
    await machine.ask(protocol.Say, id="1-1-more", session="1", text="To six.")
    assert [await customers.next() for _ in range(2)] == [("ali", "From nine."), ("ali", "To six.")]


async def ended(url: str, token: str, *, stop_after: bytes = b"") -> tuple[int, str]:
    """Runs the example to its end, or tells it to stop when it has said so much."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, url,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "NAVBAT_TOKEN": token},
    )  # fmt: skip
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(20):
        if stop_after:
            said = await process.stderr.readuntil(stop_after)
            process.send_signal(signal.SIGTERM)
        said += await process.stderr.read()
        return await process.wait(), said.decode()


async def test_a_refused_login_ends_it(desk: DeskInProcess) -> None:
    status, said = await ended(desk.url, "nb_nobody_has_this")
    assert (status, said) == (1, "the desk refuses the login: login\n")


async def test_it_can_be_stopped_while_there_is_no_desk(unused_tcp_port: int) -> None:
    status, said = await ended(f"http://127.0.0.1:{unused_tcp_port}", "nb_x", stop_after=b"no connection")
    assert status == 0, said


async def test_everything_that_was_asked_while_it_was_away_counts(desk: DeskInProcess) -> None:
    anna = await on_duty(desk)
    await desk.write("ali", "Do you have kettles?")
    await desk.write("ali", "What are your hours?")
    async with robot(desk):
        await is_offered(anna, "1")


async def test_what_a_colleague_hands_back_unanswered_can_be_handed_over_again(desk: DeskInProcess) -> None:
    anna = await on_duty(desk)
    async with robot(desk):
        await desk.write("ali", "Do you have kettles?")
        await is_offered(anna, "1")
        anna.frames.clear()
        assert not (await anna.ask(protocol.Transfer, session="1", to="bot")).code
        await is_offered(anna, "1")


@contextlib.asynccontextmanager
async def gateway(first: str) -> AsyncIterator[asyncio.Queue[tuple[float, str]]]:
    """A gateway that answers ``Hello`` with one frame, and the example that signs in there: what it said, when."""
    told: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        told.put_nowait((asyncio.get_running_loop().time(), "Hello"))
        await socket.send_str(first)
        if "Bye" not in first:
            async for message in socket:
                told.put_nowait((asyncio.get_running_loop().time(), message.data))
        return socket

    app = web.Application()
    app.add_routes([web.get("/ws", serve)])
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, f"http://127.0.0.1:{runner.addresses[0][1]}",
        stdout=asyncio.subprocess.DEVNULL, env={**os.environ, "NAVBAT_TOKEN": "nb_x"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            yield told
    finally:
        process.terminate()
        assert await process.wait() == 0
        await runner.cleanup()


async def test_it_says_now_and_then_that_it_is_there() -> None:
    async with gateway('{"t": "Welcome", "operator": "robot", "heartbeat": 0.05}') as told:
        assert [(await told.get())[1] for _ in range(3)] == ["Hello", '{"t": "Ping"}', '{"t": "Ping"}']


async def test_a_busy_desk_is_asked_less_and_less_often() -> None:
    async with gateway('{"t": "Bye", "code": "busy"}') as told:
        times = [(await told.get())[0] for _ in range(4)]
    assert times[3] - times[0] > 1.7  # at least 0.25 + 0.5 + 1
