"""What ``latency`` measures, on a desk with 100 000 open sessions and 20 consoles that open and search.

A fifth of the sessions is offered to 200 operators, the rest waits in a line in which nobody works; to one
of those that wait somebody writes with every tenth message. Twenty supervisors, who see all of it, do four
things in turn, two a second each: open a conversation, see its customer's card, search all messages for
a word, leave the conversation. The yardstick is the same load on the same desk a minute earlier, with 1 000
sessions and no supervisor; XADD to XREAD beside it says how far the machine itself was slower.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from benchmarks.consoles import RawConsole, keep_alive, open_all
from benchmarks.desk import RunningDesk, caught_up, desk_of
from benchmarks.harness import Figure, figure, percentile, until
from benchmarks.latency import NEW_EVERY, OPERATORS, Latencies, Run, message, yardstick
from benchmarks.route import caught_up as routed
from router.log.log import Log
from router.wire import protocol

SUPERVISORS = 20
EVERY = 0.5
"""Seconds between two things that a supervisor does."""
OFFERED, WAITING = 20_000, 80_000
WORDS = 500
"""Each message holds one of so many words: a search finds more than a page of them."""
RATES = (100, 1000)
WORSE = 4 / 3
CHANNELS = "{lo: {kind: loopback, line: sales, secret: s}, night: {kind: loopback, line: night, secret: s}}"

Loaded = tuple[list[float], Latencies]
"""What the yardstick took, and what the messages took, in ms."""


class _Head(msgspec.Struct):
    """What tells whose answer a frame is."""

    t: str
    rid: int = 0


class Supervisor:
    """A console that asks and waits for the answer. ``took`` maps what it did to how long that took, in
    ms."""

    def __init__(self, number: int, took: dict[str, list[float]]) -> None:
        self._random = random.Random(number)
        self._took = took
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._rids = itertools.count(1)
        self.console: RawConsole | None = None

    async def log_in(self, url: str, token: str) -> None:
        rid = next(self._rids)
        answer = self._expect(rid)
        self.console = await RawConsole.open(url, token, self._heard, rid=rid)
        await answer

    def _expect(self, rid: int) -> asyncio.Future[bytes]:
        answer = self._answers[rid] = asyncio.get_running_loop().create_future()
        return answer

    def _heard(self, data: bytes) -> None:
        # What does not begin so is a control frame of the socket.
        if data.startswith(b'{"t":') and not data.startswith((b'{"t":"Changes"', b'{"t":"Snapshot"')):
            head = msgspec.json.decode(data, type=_Head)
            answer = self._answers.pop(head.rid, None)
            if answer is not None and not answer.done():
                answer.set_result(data)

    async def ask(self, frame: protocol.Request) -> bytes:
        """Raises ``RuntimeError`` where the desk refuses."""
        assert self.console is not None
        started = time.perf_counter()
        frame.rid = next(self._rids)
        answer = self._expect(frame.rid)
        self.console.send(frame)
        async with asyncio.timeout(60):
            data = await answer
        if b'"code":' in data and data.startswith(b'{"t":"Done"'):
            raise RuntimeError(data.decode())
        self._took.setdefault(type(frame).__name__, []).append((time.perf_counter() - started) * 1000)
        return data

    async def work(self, sessions: Sequence[tuple[str, str]]) -> None:
        """Until cancelled; ``sessions`` are (id, customer)."""
        await asyncio.sleep(self._random.random() * EVERY)
        while True:
            id, customer = self._random.choice(sessions)
            for frame in (
                protocol.Open(rid=0, session=id),
                protocol.GetCard(rid=0, customer=customer),
                protocol.Search(rid=0, text=f"word{self._random.randrange(WORDS)}x"),
                protocol.Leave(rid=0, session=id),
            ):
                await asyncio.gather(self.ask(frame), asyncio.sleep(EVERY))


class Crowd:
    """Those who write, beside the load of ``Run``."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._number = 1_000_000_000  # an id is never one of ``Run``: that would be a repetition

    async def write(self, chat: str, channel: str) -> None:
        self._number += 1
        text = f"how much is word{self._number % WORDS}x"
        await self._log.append(message(f"crowd-{chat}", self._number, text, channel))

    async def come(self) -> None:
        """Returns when all of them are open and stored."""
        for channel, count in (("lo", OFFERED), ("night", WAITING)):
            for start in range(0, count, 2000):
                await asyncio.gather(*(self.write(str(n), channel) for n in range(start, start + 2000)))
                await until(lambda: routed(self._log), 120)
        await caught_up(self._log, 300)

    async def keep_writing(self, rate: float) -> None:
        """To the line in which nobody works, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in itertools.count():
                tasks.create_task(self.write(str(number % WAITING), "night"))
                await asyncio.sleep(1 / rate)


async def _sessions(asking: Supervisor) -> list[tuple[str, str]]:
    """(id, customer) of a thousand sessions of each line."""
    found = []
    for line in ("sales", "night"):
        data = await asking.ask(protocol.GetSessions(rid=0, line=line, limit=1000))
        listed = msgspec.json.decode(data, type=protocol.SessionList)
        found += [(s.id, s.customer) for s in listed.sessions]
    return found


async def _loaded(desk: RunningDesk, run: Run, rate: int, name: str) -> Loaded:
    return await asyncio.gather(yardstick(desk), run.load(rate, name))


def _figures(rate: int, quiet: Loaded, crowded: Loaded) -> list[Figure]:
    parts: list[tuple[str, Callable[[Loaded], list[float]], float | None]] = [
        (f"append to frame, {rate}/s, crowded, p99", lambda found: found[1][b"old"], WORSE),
        (
            f"new conversation to offer, {rate // NEW_EVERY} of {rate}/s, crowded, p99",
            lambda found: found[1][b"new"],
            WORSE,
        ),
        (f"XADD to XREAD, {rate}/s, crowded, p99", lambda found: found[0], None),
    ]
    return [
        figure(
            name,
            percentile(of(crowded), 99),
            "ms",
            yardstick=percentile(of(quiet), 99),
            ratio_at_most=most,
        )
        for name, of, most in parts
    ]


async def _with_crowd(
    desk: RunningDesk, run: Run, log: Log
) -> tuple[dict[int, Loaded], dict[str, list[float]]]:
    """What was measured at each rate, and what the supervisors waited for their answers."""
    crowd = Crowd(log)
    await crowd.come()
    took: dict[str, list[float]] = {}
    supervisors = [Supervisor(number, took) for number in range(SUPERVISORS)]
    for number, supervisor in enumerate(supervisors):
        await supervisor.log_in(desk.url, desk.tokens[f"lead{number}"])
    sessions = await _sessions(supervisors[0])
    took.clear()
    found = {}
    for rate in RATES:
        busy: list[Awaitable[None]] = [s.work(sessions) for s in supervisors]
        busy += [
            crowd.keep_writing(rate / NEW_EVERY),
            keep_alive([s.console for s in supervisors if s.console]),
        ]
        tasks = [asyncio.ensure_future(one) for one in busy]
        found[rate] = await _loaded(desk, run, rate, "crowded")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found, took


async def _measure() -> list[Figure]:
    leads = [f"lead{n}" for n in range(SUPERVISORS)]
    with desk_of([f"op{n}" for n in range(OPERATORS)], leads) as desk:
        await desk.prepare(CHANNELS)
        desk.start()
        log = desk.log()
        run = Run(log)
        operators = {name: token for name, token in desk.tokens.items() if name not in leads}
        consoles = await open_all(desk.url, operators, run.heard)
        beats = asyncio.create_task(keep_alive(consoles))
        await run.furnish()
        quiet = {rate: await _loaded(desk, run, rate, "quiet") for rate in RATES}
        crowded, took = await _with_crowd(desk, run, log)
        beats.cancel()
        for console in consoles:
            console.close()
        await log.close()
    figures = [f for rate in RATES for f in _figures(rate, quiet[rate], crowded[rate])]
    return figures + [
        figure(f"{what}, crowded, p99", percentile(values, 99), "ms") for what, values in sorted(took.items())
    ]


def measure() -> list[Figure]:
    return asyncio.run(_measure())
