"""The router stands still for longer than anybody waits: what was said leaves once, whoever said it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.desk import events
from router.desk.events import decode_event
from router.gateway.answers.commands import COMMAND_TIMEOUT
from router.log.home import connect
from router.log.log import Log
from router.wire import protocol as wire
from tests.conftest import RedisServer, until
from tests.console.conftest import Clock, Seat, seated
from tests.crash.console import Console
from tests.crash.house import TOKEN, House, environment
from tests.fakes.bot_state import BotState
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow

STILL = COMMAND_TIMEOUT + 2.0


@pytest.fixture
async def house(
    folder: Path, own_redis: RedisServer, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    monkeypatch.setenv("NAVBAT_STATE", str(folder / "state"))
    monkeypatch.setenv("NAVBAT_KEYRING", "off")
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    house = House(folder, own_redis, telegram.url, receive="polling")
    # No standby takes over: the lease outlives the pause.
    house.lease_ttl = 60.0
    house.write_config()
    yield house
    await house.end()


async def begun(house: House, bot: BotState, token: str) -> None:
    """anna has session 1 and has answered it."""
    await house.start()
    anna = Console(house.url, token)
    anna.start()
    await anna.duty()
    bot.message(7, "narxi qancha?")
    await until(lambda: anna.sessions, 30)
    assert not (await anna.say("1", "salom")).code
    await until(lambda: [m.text for m in bot.sent] == ["salom"], 30)
    await anna.stop()


async def test_enter_is_pressed_again_while_the_router_stands_still(
    house: House, telegram: FakeTelegram
) -> None:
    bot, token = telegram.bot(TOKEN), await house.add_operator("anna")
    await begun(house, bot, token)
    async with seated(house, token=token, clock=Clock()) as seat:
        await seat.open("1")
        seat.desk.verbs.do_reply()
        house.services["router"].signal(signal.SIGSTOP)
        await seat.write("it costs 99")
        await seat.press("enter")
        await _asked(seat, 1)
        assert seat.desk.reply.text == "", "the text came back: the next Enter would send it again"
        await seat.press("enter")
        await seat.write("and the blue one 89")
        await seat.press("enter", "enter")
        assert len(seat.app.picture.echoes) == 2
        assert "it costs 99" in seat.text()
        house.services["router"].signal(signal.SIGCONT)
        await _until(seat, lambda: not seat.app.unsent and not seat.app.picture.echoes)
        assert seat.desk.reply.text == ""
    await until(lambda: len(bot.sent) >= 3, 30)
    assert [m.text for m in bot.sent] == ["salom", "it costs 99", "and the blue one 89"]
    await until(lambda: _three_stored(house), 30)  # it is written beside the way, after it was sent
    rows = await house.stored({"direction": "out"})
    assert [row["text"] for row in rows] == ["salom", "it costs 99", "and the blue one 89"]


async def _three_stored(house: House) -> bool:
    return len(await house.stored({"direction": "out"})) >= 3


async def _asked(seat: Seat, times: int) -> None:
    """The desk did not know what becomes of it, and said so."""
    link = seat.app.link
    assert link is not None
    await _until(seat, lambda: any(sent.asked >= times for sent in link._commands.values()))


async def _until(seat: Seat, true: object) -> None:
    async with asyncio.timeout(30):
        while not true():  # type: ignore[operator]
            await seat.pilot.pause(0.05)


async def test_the_gateway_dies_between_append_and_answer(house: House, telegram: FakeTelegram) -> None:
    bot, token = telegram.bot(TOKEN), await house.add_operator("anna")
    await begun(house, bot, token)
    anna = Console(house.url, token)
    anna.start()
    try:
        async with asyncio.timeout(10):
            await anna.online.wait()
        house.services["router"].signal(signal.SIGSTOP)
        sent = [anna.say("1", f"answer {n}") for n in range(3)]
        note = anna.command(wire.Note(rid=0, id="note", session="1", text="only us"))
        await until(lambda: _appended(house), 10)
        await house.kill("gateway")
        await until(lambda: anna.connections == 2, 30)
        house.services["router"].signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*sent, note)
        assert [answer.code for answer in answers] == [""] * 4
    finally:
        await anna.stop()
    await until(lambda: len(bot.sent) >= 4, 30)
    assert [m.text for m in bot.sent] == ["salom", "answer 0", "answer 1", "answer 2"]

    async def noted() -> bool:
        return [row["text"] for row in await house.stored({"direction": "note"})] == ["only us"]

    await until(noted, 30)


async def _appended(house: House) -> bool:
    assert house.redis is not None
    log = Log(connect(house.redis.url), "shop")
    try:
        rows = await log.read_log("0", 1000, 1)
    finally:
        await log.close()
    orders = [e for e in (decode_event(data) for _, data in rows) if isinstance(e, events.Ordered)]
    said = [order.command.text for order in orders if isinstance(order.command, wire.Say)]
    return "answer 0" in said


async def test_the_command_line_waits_says_it_does_not_know_and_may_be_given_again(
    house: House, telegram: FakeTelegram
) -> None:
    bot, token = telegram.bot(TOKEN), await house.add_operator("anna")
    await begun(house, bot, token)

    async def navbat(*words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "navbat", *words,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=house.folder,
            env=environment(house.folder) | {"NAVBAT_URL": house.url, "NAVBAT_TOKEN": token},
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    house.services["router"].signal(signal.SIGSTOP)
    waiting = asyncio.create_task(navbat("say", "1", "patient"))
    impatient = asyncio.create_task(navbat("say", "1", "mine", "--id", "mine-1"))
    status, out, err = await impatient
    assert (status, out) == (3, "")
    assert "--id mine-1" in err
    again = asyncio.create_task(navbat("say", "1", "mine", "--id", "mine-1"))
    await waiting
    house.services["router"].signal(signal.SIGCONT)
    status, _, _ = await again
    assert status == 0
    assert (await navbat("say", "1", "mine", "--id", "mine-1"))[0] == 0
    await until(lambda: len(bot.sent) >= 3, 30)
    assert sorted(m.text for m in bot.sent) == ["mine", "patient", "salom"]
