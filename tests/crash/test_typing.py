"""Two shipped consoles at which people type without looking, while offers lapse after two seconds, a
supervisor takes conversations away and processes die: no word reaches another customer, none twice.

``NAVBAT_TYPING_SECONDS`` makes it last longer, ``NAVBAT_TYPING_SEED`` repeats one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.desk.events import Author, MessageReceived
from router.desk.state import MessageAdded
from router.log.home import connect
from router.log.log import Log
from tests.conftest import RedisServer, until
from tests.crash.console import Console
from tests.crash.house import House
from tests.crash.typing import Typist, meddle, numbers_for
from tests.terminal.terminal import Terminal, console_command, open_terminal

pytestmark = pytest.mark.slow

ASKED = os.environ.get("NAVBAT_TYPING_SECONDS")
PERIODS = [float(ASKED)] if ASKED else [30.0, pytest.param(120.0, marks=pytest.mark.soak)]
SEED = int(os.environ.get("NAVBAT_TYPING_SEED", str(random.SystemRandom().randrange(1 << 32))))
NAMES = (
    "Ali",
    "Olga",
    "Vera",
    "Petr",
    "Dilnoza",
    "Timur",
    "Nodira",
    "Sergey",
    "Umida",
    "Boris",
    "Lola",
    "Rustam",
)
CUSTOMERS = {name: ("off", "hold")[n % 2] for n, name in enumerate(NAMES)}
"""Name and chat -> the line, named by what writing into an offer does there."""
CONFIG = """
desk: shop
data: ./data
redis: {redis}
gateway: {{listen: "127.0.0.1:{port}"}}
lines:
  "off": {{mode: even, members: [anna, bek, boss], answer_within: 2s, while_writing: off}}
  hold: {{mode: even, members: [anna, bek, boss], answer_within: 2s, hold_at_most: 3s}}
channels:
  lo_off: {{kind: loopback, line: "off", secret: s}}
  lo_hold: {{kind: loopback, line: hold, secret: s}}
"""


@pytest.fixture
async def house(folder: Path, own_redis: RedisServer) -> AsyncIterator[House]:
    house = House(folder, own_redis, "", receive="polling")
    house.lease_ttl = 1.0
    config = CONFIG.format(redis=own_redis.url, port=house.gateway_port)
    (folder / "gateway.yaml").write_text(config, encoding="utf-8")
    yield house
    await house.end()


@pytest.fixture
async def log(own_redis: RedisServer) -> AsyncIterator[Log]:
    log = Log(connect(own_redis.url), "shop")
    yield log
    await log.close()


async def customers_write(log: Log, chance: random.Random) -> None:
    """One of them every now and then, for ever; who was closed comes back."""
    number = 0
    while True:
        number += 1
        name = chance.choice(list(CUSTOMERS))
        await log.append(
            MessageReceived(
                channel=f"lo_{CUSTOMERS[name]}", chat=name, event_id=f"lo:{number}", message_id=str(number),
                author=Author(id=name, name=name), text=f"savol {number}",
            )
        )  # fmt: skip
        await asyncio.sleep(chance.uniform(0.05, 0.5))


async def kill(house: House, chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(4, 9))
        await house.kill(chance.choice(["router", "gateway"]))
        await house.until_ready()


def sit_down(house: House, name: str, token: str) -> Terminal:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NAVBAT_")}
    environment = kept | {
        "HOME": str(house.folder / name), "NAVBAT_STATE": str(house.folder / name), "NAVBAT_KEYRING": "off",
        "LANG": "en_US.UTF-8", "TERM": "xterm-256color", "NAVBAT_TOKEN": token,
    }  # fmt: skip
    return open_terminal(console_command(house.url), environment)


async def said(log: Log) -> list[tuple[str, str]]:
    """(chat, text) of everything that operators said to customers, in order."""
    found: list[tuple[str, str]] = []
    after = "0"
    while rows := await log.read_journal(after, count=512):
        told = [
            effect.message for _, entry in rows for effect in entry.told if isinstance(effect, MessageAdded)
        ]
        found += [(m.chat.partition(":")[2], m.text) for m in told if m.direction == "out" and m.author]
        after = rows[-1][0]
    return found


async def until_proven(log: Log, typists: list[Typist], seconds: float, limit: asyncio.Timeout) -> None:
    """A slow machine types longer: what is wanted is enough to judge, not a time."""
    await asyncio.sleep(seconds)
    while not is_enough(await said(log), typists, seconds):  # noqa: ASYNC110 - other processes do it
        await asyncio.sleep(1)
    limit.reschedule(asyncio.get_running_loop().time())


def is_enough(texts: list[tuple[str, str]], typists: list[Typist], seconds: float) -> bool:
    return len(texts) > seconds / 10 and sum(typist.locked for typist in typists) > seconds / 20


@pytest.mark.parametrize("seconds", PERIODS)
async def test_what_is_typed_without_looking_reaches_who_it_is_for(
    house: House, log: Log, seconds: float
) -> None:
    chance = random.Random(SEED)
    tokens = {name: await house.add_operator(name, "--role", "operator") for name in ("anna", "bek")}
    boss = Console(house.url, await house.add_operator("boss", "--role", "supervisor"), presence=False)
    await house.start(("router", "gateway"))
    boss.start()
    terminals = [sit_down(house, name, token) for name, token in tokens.items()]
    numbers = [0]
    typists = [Typist(terminal, random.Random(SEED + n), numbers) for n, terminal in enumerate(terminals)]
    try:
        for terminal in terminals:
            await terminal.shows("F2 duty")
            terminal.send(b"\x1bOQ")
            await terminal.shows("Esc: back")
            terminal.send(b"1")
            await terminal.shows("● online")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5 * seconds) as limit, asyncio.TaskGroup() as group:
                group.create_task(until_proven(log, typists, seconds, limit))
                group.create_task(customers_write(log, chance))
                group.create_task(kill(house, random.Random(SEED + 10)))
                group.create_task(meddle(boss, typists, random.Random(SEED + 11)))
                for typist in typists:
                    group.create_task(typist.work())
        await house.until_ready()
        for terminal in terminals:
            await until(lambda terminal=terminal: "unsent" not in terminal.text(), 30)
        texts = await said(log)
    finally:
        await boss.stop()
        for terminal in terminals:
            await terminal.end()
    judge(texts, {n: name for typist in typists for n, name in typist.typed.items()})
    locked = sum(typist.locked for typist in typists)
    assert len(texts) > seconds / 10, f"seed {SEED}: only {len(texts)} texts arrived, so nothing is proven"
    assert locked > seconds / 20, f"seed {SEED}: a composer was locked only {locked} times"


def judge(texts: list[tuple[str, str]], ended: dict[int, str]) -> None:
    """Each message is made of what was written for this customer, was ended by Enter, and came once."""
    seen: Counter[int] = Counter()
    for chat, text in texts:
        numbers = numbers_for(chat, text)
        assert numbers is not None, f"seed {SEED}: {chat} was sent {text!r}"
        # what was left without Enter waits as a draft before what is written there next
        assert numbers, f"seed {SEED}: {chat} was sent {text!r}"
        assert numbers[-1] in ended, f"seed {SEED}: {text!r} was not ended by Enter"
        seen.update(numbers)
    assert not [number for number, count in seen.items() if count > 1], f"seed {SEED}: sent twice"


def test_the_judge_sees_what_is_wrong() -> None:
    judge(
        [("Ali", "k[to:Ali#1] a\nb"), ("Ali", "[to:Ali#2] a[to:A[tojk[to:Ali#[to:Ali#3] b")],
        {1: "Ali", 3: "Ali"},
    )
    for texts in (
        [("Ali", "[to:Olga#1] a")], [("Ali", "rest")], [("Ali", "the rest[to:Ali#1] a")], [("Ali", "[to:Olga#[to:Ali#1] a")],
        [("Ali", "[to:Ali#2] a")], [("Ali", "[to:Ali#1] a"), ("Ali", "[to:Ali#1] a")], [("Ali", "[to:Al")],
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            judge(texts, {1: "Ali"})
