"""From the append of a customer's message to the frame at the operator's console.

A whole embedded desk, 200 operators with a WebSocket each, five conversations for each of them. Text
carries the time of its append, so one clock measures. Every tenth message opens a new conversation
while the rest comes in at the rate. The yardstick is the same client's XADD until its XREAD returns, in the
same seconds: it has the same disk and the same cores.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.consoles import keep_alive, open_all
from benchmarks.desk import RunningDesk, caught_up, desk_of
from benchmarks.harness import Figure, figure, percentile, until
from router.desk.events import Author, MessageReceived
from router.log.log import Log

OPERATORS = 200
CHATS = 1000
SECONDS = 10
NEW_EVERY = 10
PROBES = 50
"""Round trips of the yardstick, a second."""
_SENT = re.compile(rb'"text":"(old|new) (\d+)"')

Latencies = dict[bytes, list[float]]


def message(chat: str, number: int, text: str, channel: str = "lo") -> MessageReceived:
    return MessageReceived(
        channel=channel,
        chat=chat,
        event_id=f"{channel}:{number}",
        message_id=str(number),
        author=Author(id=chat, name=f"Customer {chat}", language="uz"),
        text=text,
    )


async def at_rate(rate: int, seconds: float, one: Callable[[int], Awaitable[object]]) -> None:
    """Calls ``one`` with 0, 1, 2, … at its time, not waiting for it."""
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            early = started + number / rate - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            tasks.create_task(_awaited(one(number)))


async def _awaited(work: Awaitable[object]) -> None:
    await work


async def yardstick(desk: RunningDesk) -> list[float]:
    """Milliseconds from XADD to what a blocking XREAD returns, while the desk is under load."""
    log, key = desk.log(), "yardstick"
    found: list[float] = []

    async def read() -> None:
        after: Any = "0"
        while len(found) < PROBES * SECONDS:
            answer: Any = await log.redis.xread({key: after}, count=512, block=1000)
            for _, rows in answer:
                for id, fields in rows:
                    after = id
                    found.append((time.perf_counter_ns() - int(fields[b"e"])) / 1e6)

    reading = asyncio.create_task(read())
    await at_rate(PROBES, SECONDS, lambda _: log.redis.xadd(key, {"e": str(time.perf_counter_ns())}))
    await reading
    await log.redis.delete(key)
    await log.close()
    return found


class Run:
    """One desk under one load after the other."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._number = 0
        self.latencies: Latencies = {b"old": [], b"new": []}

    def heard(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        # The text stands in the message and once more in the session's line of the list.
        messages = data.find(b'"messages":')
        if messages >= 0:
            end = data.find(b'"sessions":', messages)
            for kind, sent in _SENT.findall(data, messages, end if end > 0 else len(data)):
                self.latencies[kind].append((now - int(sent)) / 1e6)

    async def append(self, chat: str, kind: str) -> None:
        self._number += 1
        text = f"{kind} {time.perf_counter_ns()}"
        await self._log.append(message(chat, self._number, text))

    async def furnish(self) -> None:
        """A thousand conversations, offered to all operators in turn."""
        for start in range(0, CHATS, 50):
            await asyncio.gather(*(self.append(str(chat), "old") for chat in range(start, start + 50)))
        await caught_up(self._log)

    async def load(self, rate: int, name: str = "new") -> Latencies:
        """``name`` is what the chats of new conversations are called."""
        self.latencies = {b"old": [], b"new": []}

        async def one(number: int) -> None:
            if number % NEW_EVERY:
                await self.append(str(number % CHATS), "old")
            else:
                await self.append(f"{name}-{rate}-{number}", "new")

        await at_rate(rate, SECONDS, one)
        await caught_up(self._log)
        await until(lambda: sum(map(len, self.latencies.values())) >= rate * SECONDS)
        return self.latencies


async def _measure() -> list[Figure]:
    figures = []
    with desk_of([f"op{n}" for n in range(OPERATORS)]) as desk:
        await desk.prepare()
        desk.start()
        log = desk.log()
        run = Run(log)
        consoles = await open_all(desk.url, desk.tokens, run.heard)
        beats = asyncio.create_task(keep_alive(consoles))
        await run.furnish()
        for rate, p50, p99 in ((100, 3, 10), (1000, 5, 25)):
            raw, found = await asyncio.gather(yardstick(desk), run.load(rate))
            old, new = found[b"old"], found[b"new"]
            for name, values, p, budget in (
                (f"append to frame, {rate}/s, p50", old, 50, p50),
                (f"append to frame, {rate}/s, p99", old, 99, p99),
                (f"new conversation to offer, {rate // NEW_EVERY} of {rate}/s, p99", new, 99, 10),
            ):
                value = percentile(values, p)
                figures.append(figure(name, value, "ms", yardstick=percentile(raw, p), at_most=budget))
        beats.cancel()
        for console in consoles:
            console.close()
        await log.close()
    return figures


def measure() -> list[Figure]:
    return asyncio.run(_measure())
