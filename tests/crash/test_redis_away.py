"""Redis is away for ten seconds: web hooks are refused, nothing is lost, everybody comes back alone."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tests.conftest import RedisServer, until
from tests.crash.console import Console
from tests.crash.house import TOKEN, House
from tests.fakes.bot_state import BotState
from tests.fakes.push import PushConnection
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow

AWAY = 10.0
BEFORE, MEANWHILE, AFTER = 20, 100, 20
BACK_WITHIN = 45.0


async def stopped(redis: RedisServer) -> None:
    """It hangs: what was sent to it meanwhile is carried out afterwards."""
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(AWAY)
    redis.process.send_signal(signal.SIGCONT)


async def killed(redis: RedisServer) -> None:
    """It is gone: nobody listens."""
    redis.kill()
    await asyncio.sleep(AWAY)
    await asyncio.to_thread(redis.start)


async def post(bot: BotState, text: str) -> int:
    """The status that Telegram would see for one more update, which it then keeps."""
    assert bot.webhook is not None
    hook = PushConnection(bot.webhook.url, {"X-Telegram-Bot-Api-Secret-Token": bot.webhook.secret})
    update = bot.message(7, text)
    status = await hook.post(json.dumps(update).encode())
    hook.close()
    return status


async def test_nothing_is_lost(folder: Path) -> None:
    """Both ways of being away at the same time, on two desks: most of it is waiting."""
    async with asyncio.TaskGroup() as tasks:
        for away in (stopped, killed):
            tasks.create_task(_survive(away, folder / away.__name__))


async def _survive(away: Callable[[RedisServer], Coroutine[None, None, None]], folder: Path) -> None:
    (folder / "redis").mkdir(parents=True)
    redis, telegram = RedisServer(folder / "redis"), FakeTelegram()
    await asyncio.to_thread(redis.start)
    await telegram.start()
    house = House(folder, redis, telegram.url, receive="webhook")
    house.write_config()
    console = Console(house.url, await house.add_operator("anna"))
    bot = telegram.bot(TOKEN)
    try:
        await house.start()
        console.start()
        await console.duty()
        for number in range(BEFORE):
            bot.message(7, str(number))
        await until(lambda: len(console.order) == BEFORE, BACK_WITHIN)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(away(redis))
            tasks.create_task(_meanwhile(bot, console))
        await _afterwards(house, bot, console)
    finally:
        await console.stop()
        await house.end()
        await telegram.stop()
        redis.kill()


async def _meanwhile(bot: BotState, console: Console) -> None:
    first = BEFORE
    assert await post(bot, str(first)) == 503
    for number in range(first + 1, BEFORE + MEANWHILE):
        bot.message(7, str(number))

    def told() -> bool:
        console.ping()
        return console.down == ["redis"]

    await until(told, AWAY)


async def _afterwards(house: House, bot: BotState, console: Console) -> None:
    total = BEFORE + MEANWHILE + AFTER
    for number in range(BEFORE + MEANWHILE, total):
        bot.message(7, str(number))
    await until(lambda: len(console.order) >= total, BACK_WITHIN)
    expected = [str(number) for number in range(total)]
    assert console.texts() == expected
    assert console.repeated == 0
    assert console.connections == 1, "the console had to connect anew"
    session = next(iter(console.sessions))
    async with asyncio.timeout(BACK_WITHIN):
        assert not (await console.say(session, "we are back")).code
    await until(lambda: [m.text for m in bot.sent] == ["we are back"], BACK_WITHIN)

    async def stored() -> bool:
        return [m["text"] for m in await house.stored({"direction": "in"})] == expected

    await until(stored, BACK_WITHIN)
    await until(lambda: not bot.updates, BACK_WITHIN)
    assert all(service.starts == 1 for service in house.services.values())
