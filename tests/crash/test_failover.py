"""The master of Redis is lost in the middle of load, twice: nothing that was acknowledged is lost, nothing
comes or leaves twice, and everybody goes on alone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.conftest import RedisServer, until
from tests.crash.console import Console
from tests.crash.house import TOKEN, House
from tests.fakes.bot_state import BotState
from tests.fakes.telegram import FakeTelegram
from tests.servers.redis_nodes import Cluster, Nodes, Sentinels, has_replicas

pytestmark = pytest.mark.slow

PART, EVERY = 120, 0.02
ANSWERS = 15
"""Of each part: Telegram takes one a second in a chat."""
BACK_WITHIN = 60.0


async def write(bot: BotState, first: int, count: int) -> None:
    """Customers write at a steady pace, whatever happens."""
    for number in range(first, first + count):
        bot.message(7, str(number))
        await asyncio.sleep(EVERY)


async def answer(console: Console, session: str, first: int, count: int) -> list[str]:
    """An operator answers meanwhile; returns what the desk said was done."""
    done = []
    for number in range(first, first + count):
        async with asyncio.timeout(BACK_WITHIN):
            if not (await console.say(session, f"a{number}")).code:
                done.append(f"a{number}")
        await asyncio.sleep(PART * EVERY / ANSWERS)
    return done


@pytest.mark.parametrize(
    ("kind", "receive", "lost"),
    [
        pytest.param(Sentinels, "webhook", signal.SIGKILL, id="sentinel", marks=pytest.mark.soak),
        pytest.param(Cluster, "polling", signal.SIGKILL, id="cluster"),
        pytest.param(
            Sentinels,
            "polling",
            signal.SIGSTOP,
            id="a master that hangs and comes back",
            marks=pytest.mark.soak,
        ),
    ],
)
async def test_two_failovers_under_load(
    kind: Callable[[int], Nodes], receive: str, lost: signal.Signals, folder: Path
) -> None:
    nodes = await asyncio.to_thread(kind, 1)
    telegram = FakeTelegram()
    await telegram.start()
    house = House(folder, cast("RedisServer", nodes), telegram.url, receive=receive)
    house.write_config()
    console = Console(house.url, await house.add_operator("anna"))
    bot = telegram.bot(TOKEN)
    try:
        await house.start()
        console.start()
        await console.duty()
        await write(bot, 0, 20)
        await until(lambda: len(console.order) >= 20, BACK_WITHIN)
        session = next(iter(console.sessions))
        said: list[str] = []
        for turn in range(2):
            first = 20 + turn * PART
            old = await asyncio.to_thread(nodes.master, "shop")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(write(bot, first, PART))
                saying = tasks.create_task(answer(console, session, turn * ANSWERS, ANSWERS))
                await asyncio.sleep(PART * EVERY / 4)
                await asyncio.to_thread(old.lose, lost)
                await until(lambda f=first: len(console.order) >= f + PART, BACK_WITHIN)
            said += saying.result()
            assert await asyncio.to_thread(nodes.master, "shop") is not old
            await asyncio.to_thread(old.come_back)
            new = await asyncio.to_thread(nodes.master, "shop")
            await until(partial(has_replicas, new, 1), BACK_WITHIN)
        expected = [str(number) for number in range(20 + 2 * PART)]
        assert console.texts() == expected
        assert console.repeated == 0
        assert len(said) == 2 * ANSWERS, "an answer was refused"

        async def gone() -> bool:
            """Each has left, or nobody can know and the operator is shown that."""
            out = await house.stored({"direction": "out"})
            return len(out) == len(said) and all(m["delivery"] in ("sent", "unknown") for m in out)

        await until(gone, BACK_WITHIN)
        sent = [m.text for m in bot.sent]
        assert len(sent) == len(set(sent)), "an answer left twice"
        unknown = [m["text"] for m in await house.stored({"direction": "out", "delivery": "unknown"})]
        assert set(said) - set(sent) <= set(unknown)
        assert len(unknown) <= 4, "only what was being sent at that moment"

        async def stored() -> bool:
            return [m["text"] for m in await house.stored({"direction": "in"})] == expected

        await until(stored, BACK_WITHIN)
        await until(lambda: not bot.updates, BACK_WITHIN)
        assert all(service.starts == 1 for service in house.services.values())
    finally:
        await console.stop()
        await house.end()
        await telegram.stop()
        await asyncio.to_thread(nodes.end)
