"""Any process is killed at any moment: nothing is lost, nothing is doubled, nothing changes order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from router.wire import protocol as wire
from tests.conftest import RedisServer, until
from tests.crash.console import Console
from tests.crash.house import EVERYTHING, REDIS, ROLES, TOKEN, House, deck
from tests.fakes.bot_state import BotState
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow

MESSAGES = 500
REPLIES = 100
CHATS = [str(100 + n) for n in range(20)]
WRITER = "7"
"""The chat of the one customer who writes everything."""
SETTLED_WITHIN = 60.0
CUTS_CONSOLES = ("gateway", "desk", EVERYTHING)

Plan = Sequence[tuple[float, str]]


class Life:
    """Customers write and one operator answers while ``kill`` strikes by plan. ``spread``: the numbered
    messages come from all chats, else from one."""

    def __init__(self, house: House, bot: BotState, console: Console, *, spread: bool, seed: int) -> None:
        self.house = house
        self.bot = bot
        self.console = console
        self._spread = spread
        self._chance = random.Random(seed)
        self._answers: list[asyncio.Future[wire.Done]] = []

    async def run(self, plan: Plan, kill: Callable[[str], Awaitable[None]]) -> None:
        for chat in CHATS:
            self.bot.message(int(chat), "hello")
        await until(lambda: len(self.console.sessions) == len(CHATS), SETTLED_WITHIN)
        lasts = sum(pause for pause, _ in plan)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(lasts))
            tasks.create_task(self._reply(lasts))
            tasks.create_task(self._strike(plan, kill))

    async def _write(self, lasts: float) -> None:
        for number in range(1, MESSAGES + 1):
            chat = self._chance.choice(CHATS) if self._spread else WRITER
            self.bot.message(int(chat), str(number))
            await asyncio.sleep(lasts / MESSAGES)

    async def _reply(self, lasts: float) -> None:
        sessions = sorted(self.console.sessions)
        for number in range(REPLIES):
            self._answers.append(self.console.say(sessions[number % len(sessions)], f"reply {number}"))
            await asyncio.sleep(lasts / REPLIES)

    async def _strike(self, plan: Plan, kill: Callable[[str], Awaitable[None]]) -> None:
        for pause, victim in plan:
            await asyncio.sleep(pause)
            if victim in CUTS_CONSOLES:
                # A death that nobody is there to notice would prove nothing about coming back.
                await self.console.online.wait()
            await kill(victim)

    # ---------------------------------------------------------------- what must hold in the end

    async def check(self) -> None:
        async with asyncio.timeout(SETTLED_WITHIN):
            done = await asyncio.gather(*self._answers)
        assert {answer.code for answer in done} == {""}
        await until(lambda: not self.bot.updates, SETTLED_WITHIN)
        await until(lambda: len(self.console.order) >= MESSAGES + len(CHATS), SETTLED_WITHIN)
        await until(self._settled, SETTLED_WITHIN)
        await self._check_messages()
        await self._check_replies()
        await until(self._is_led, SETTLED_WITHIN)

    async def _is_led(self) -> bool:
        """Every customer is one lead, and who answers him is responsible for it and for him. Nobody answers the
        one who writes alone."""
        leads, cards = [await self.house.kept(name, {}) for name in ("leads", "customers")]
        customers = [lead["customer"] for lead in leads]
        people = {*CHATS} if self._spread else {*CHATS, WRITER}
        assert len(customers) == len(set(customers)) <= len(people)
        answered = [
            sum(one.get("responsible") == "anna" for one in documents) for documents in (leads, cards)
        ]
        return len(customers) == len(people) and answered == [len(CHATS), len(CHATS)]

    async def _settled(self) -> bool:
        """The store has everything, and every delivery has an outcome."""
        found = await self.house.stored({})
        replies = [m for m in found if m["direction"] == "out"]
        incoming = sum(m["direction"] == "in" for m in found)
        outcomes = {m.get("delivery", "") for m in replies}
        return incoming >= MESSAGES + len(CHATS) and len(replies) >= REPLIES and "queued" not in outcomes

    async def _check_messages(self) -> None:
        stored = await self.house.stored({"direction": "in"})
        numbers = [m["text"] for m in stored if m["text"] != "hello"]
        expected = [str(n) for n in range(1, MESSAGES + 1)]
        assert sorted(numbers, key=int) == expected
        seen = [text for text in self.console.texts() if text != "hello"]
        assert sorted(seen, key=int) == expected
        assert self.console.repeated == 0
        assert len({(m["chat"], m["session"]) for m in stored}) == len({m["chat"] for m in stored})
        if not self._spread:
            assert numbers == expected
            assert seen == expected
        for chat in {m["chat"] for m in stored}:
            in_store = [int(m["text"]) for m in stored if m["chat"] == chat and m["text"] != "hello"]
            on_screen = [int(text) for text in self.console.texts(chat) if text != "hello"]
            assert in_store == sorted(in_store)
            assert on_screen == in_store

    async def _check_replies(self) -> None:
        reached = Counter(message.text for message in self.bot.sent)
        assert not [text for text, times in reached.items() if times > 1]
        stored = await self.house.stored({"direction": "out"})
        assert sorted(m["text"] for m in stored) == sorted(f"reply {n}" for n in range(REPLIES))
        for message in stored:
            if message["text"] not in reached:
                assert message["delivery"] in ("failed", "unknown"), message
            assert self.console.messages[message["_id"]].delivery == message["delivery"]


async def live(house: House, telegram: FakeTelegram, plan: Plan, *, spread: bool, seed: int) -> Console:
    """One desk's life under the plan, and what must hold after it."""
    house.write_config()
    token = await house.add_operator("anna")
    embedded = house.redis is None
    await (house.start_whole() if embedded else house.start())
    console = Console(house.url, token)
    console.start()
    try:
        await console.duty()
        life = Life(house, telegram.bot(TOKEN), console, spread=spread, seed=seed)
        await life.run(plan, _kill_part(house) if embedded else house.kill)
        await life.check()
    finally:
        await console.stop()
        await house.end()
    return console


def _kill_part(house: House) -> Callable[[str], Awaitable[None]]:
    async def kill(victim: str) -> None:
        await (house.kill("desk") if victim == "desk" else house.kill_child(victim))

    return kill


async def test_roles_are_killed_while_one_customer_writes_by_polling(
    folder: Path, own_redis: RedisServer, telegram: FakeTelegram
) -> None:
    house = House(folder, own_redis, telegram.url, receive="polling")
    console = await live(house, telegram, deck([*ROLES, REDIS, EVERYTHING], 188), spread=False, seed=1)
    assert console.connections >= 3
    assert all(service.starts > 1 for service in house.services.values())


async def test_roles_are_killed_while_twenty_write_by_web_hook(
    folder: Path, own_redis: RedisServer, telegram: FakeTelegram
) -> None:
    house = House(folder, own_redis, telegram.url, receive="webhook")
    await live(house, telegram, deck([*ROLES, REDIS, EVERYTHING], 180), spread=True, seed=2)
    assert all(service.starts > 1 for service in house.services.values())


async def test_parts_of_the_embedded_desk_are_killed(folder: Path, telegram: FakeTelegram) -> None:
    house = House(folder, None, telegram.url, receive="polling")
    plan = deck(["redis-server", "navbat.run.child", "desk", "redis-server", "desk"], 143)
    await live(house, telegram, plan, spread=True, seed=3)
