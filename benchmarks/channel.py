"""Through a channel end to end on this machine: Telegram's web hook in, store and console out.

A whole embedded desk with twenty operators' consoles; updates come from a process of its own over
keep-alive sockets. What is looked for is the highest rate that is held for twenty seconds: accepted as
fast as offered, nothing lost, everything in the store and on a console within two seconds of the end.
The yardstick is the same HTTP server class answering 200 to the same posts without any work.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from benchmarks.consoles import keep_alive, open_all
from benchmarks.desk import RunningDesk, caught_up, desk_of
from benchmarks.harness import Figure, figure, percentile, until
from router.log.log import Log
from tests.fakes.telegram import FakeTelegram

OPERATORS = 20
CHATS = 2000
TOKEN = "4711:bench"
CONNECTIONS = 40
HELD = 20
"""Seconds."""
SETTLED = 2.0
"""Seconds after the last update within which all of them must have arrived everywhere."""
TRIAL = 20_000
STEPS = (0.95, 0.85, 0.75, 0.65, 0.5)
"""Rates that are tried, as parts of what a flood gets through."""
_NUMBER = re.compile(rb'"text":"n(\d+) (\d+)"')


class Flood(msgspec.Struct):
    """What the generator is told, and after ``seconds`` and ``accepted`` what it tells."""

    url: str
    secret: str
    first: int
    count: int
    rate: float
    seconds: float = 0.0
    accepted: int = 0


class Trial(NamedTuple):
    rate: float
    lost: int
    settled: float
    p99: float


def bodies(first: int, count: int) -> Iterator[bytes]:
    """Updates of customers in turn; the text says which and when it was made."""
    for number in range(first, first + count):
        chat = 1000 + number % CHATS
        who = f'"id":{chat},"first_name":"Customer {chat}"'
        text = f"n{number} {time.perf_counter_ns()}"
        yield (
            f'{{"update_id":{number},"message":{{"message_id":{number},"date":1772445600,'
            f'"chat":{{{who},"type":"private"}},"from":{{{who},"is_bot":false,"language_code":"uz"}},'
            f'"text":"{text}"}}}}'
        ).encode()


class Poster(asyncio.Protocol):
    """One keep-alive connection of the generator: posts the next update when it is due and the last
    one has been answered."""

    def __init__(self, flood: Flood, source: Iterator[bytes], clock: Iterator[float]) -> None:
        parts = urlsplit(flood.url)
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"X-Telegram-Bot-Api-Secret-Token: {flood.secret}\r\nContent-Length: "
        ).encode()
        self._flood, self._source, self._clock = flood, source, clock
        self._answer = b""
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the desk closed a connection"))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.endswith(b"\r\n\r\n"):
            self._flood.accepted += self._answer.startswith(b"HTTP/1.1 200")
            self._answer = b""
            self._go_on()

    def _go_on(self) -> None:
        due = next(self._clock, None)
        if due is None:
            self.done.set_result(None)
        elif due <= self._loop.time():
            self._post()
        else:
            self._loop.call_at(due, self._post)

    def _post(self) -> None:
        body = next(self._source)
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))


async def generate(told: Flood) -> Flood:
    """Posts all of it, at the rate or (0) as fast as it is answered."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(told.url)
    started = loop.time()
    source = bodies(told.first, told.count)
    clock = (started + number / told.rate if told.rate else 0.0 for number in range(told.count))
    posters = []
    for _ in range(CONNECTIONS):
        _, poster = await loop.create_connection(
            lambda: Poster(told, source, clock), parts.hostname or "", parts.port or 80
        )
        posters.append(poster)
    await asyncio.gather(*(poster.done for poster in posters))
    told.seconds = loop.time() - started
    return told


async def generated(told: Flood) -> Flood:
    """The same in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.channel", "generate",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate(msgspec.json.encode(told))
    return msgspec.json.decode(out, type=Flood)


class Bench:
    """A desk under one flood after the other."""

    def __init__(self, desk: RunningDesk, log: Log, hook: str, secret: str) -> None:
        self._desk = desk
        self._log = log
        self._hook, self._secret = hook, secret
        self._first = 1
        self._seen: dict[int, float] = {}

    def heard(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        for number, made in _NUMBER.findall(data):
            self._seen.setdefault(int(number), (now - int(made)) / 1e6)

    async def trial(self, count: int, rate: float = 0.0) -> Trial:
        first, self._first = self._first, self._first + count
        self._seen.clear()
        before = await self._desk.stored()
        told = await generated(Flood(self._hook, self._secret, first, count, rate))
        ended = time.perf_counter()
        await caught_up(self._log)
        await until(lambda: len(self._seen) >= told.accepted, 120)
        settled = time.perf_counter() - ended
        stored = await self._desk.stored() - before
        return Trial(
            told.accepted / told.seconds,
            count - min(stored, len(self._seen)),
            settled,
            percentile(list(self._seen.values()), 99),
        )

    async def highest(self) -> Trial:
        """The highest rate that was held."""
        flooded = await self.trial(TRIAL)
        fastest = TRIAL / (TRIAL / flooded.rate + flooded.settled)
        for step in STEPS:
            rate = fastest * step
            trial = await self.trial(int(rate * HELD), rate)
            if not trial.lost and trial.settled <= SETTLED and trial.rate >= 0.98 * rate:
                return trial
        return Trial(0.0, trial.lost, trial.settled, trial.p99)


async def bare_server() -> None:
    """The yardstick: prints its URL, answers 200."""
    from aiohttp import web

    from navbat.config.types import GatewaySettings
    from navbat.run.web.server import Server

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    server = Server(GatewaySettings(listen="127.0.0.1:0"), [web.post("/hook", answer)])
    await server.open()
    print(await server.listen(), flush=True)
    await server.serve()


async def yardstick() -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.channel", "bare", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        told = await generated(Flood(f"{url}/hook", "none", 1, TRIAL, 0.0))
        return told.accepted / told.seconds
    finally:
        process.terminate()
        await process.wait()


async def _measure() -> list[Figure]:
    raw = await yardstick()
    telegram = FakeTelegram()
    await telegram.start()
    with desk_of([f"op{n}" for n in range(OPERATORS)]) as desk:
        await desk.prepare(
            f'{{tg: {{kind: telegram, line: sales, token: "{TOKEN}", api_url: "{telegram.url}",'
            f" receive: webhook, public_url: {json.dumps(desk.url)}}}}}"
        )
        desk.start()
        await until(lambda: telegram.bot(TOKEN).webhook is not None)
        webhook = telegram.bot(TOKEN).webhook
        assert webhook is not None
        log = desk.log()
        bench = Bench(desk, log, webhook.url, webhook.secret)
        consoles = await open_all(desk.url, desk.tokens, bench.heard)
        beats = asyncio.create_task(keep_alive(consoles))
        await bench.trial(CHATS)
        held = await bench.highest()
        beats.cancel()
        await log.close()
    await telegram.stop()
    return [
        figure("web hook to store and console, held 20 s", held.rate, "1/s", yardstick=raw, at_least=2500),
        figure("lost at that rate", held.lost, "messages", at_most=0),
        figure("from post to console at that rate, p99", held.p99, "ms"),
    ]


def measure() -> list[Figure]:
    return asyncio.run(_measure())


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        asyncio.run(bare_server())
    else:
        told = msgspec.json.decode(sys.stdin.buffer.read(), type=Flood)
        sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(generate(told))))
