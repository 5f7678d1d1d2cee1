"""Messages a second through append, apply and commit, the append-only file synced always.

One router process routes; the appends come from another process, pipelined as the edges do it. The
yardstick is the same client's pipelined raw XADD alone.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

from benchmarks.harness import Figure, figure, running, running_redis, until
from navbat.run.child import collect_rarely
from router.desk.events import (
    Author,
    LinesConfigured,
    MessageReceived,
    OperatorChanged,
    Ordered,
    SayInFull,
    SetDutyInFull,
)
from router.desk.rules import LineRules, Overflow, Ring, Sla
from router.log.home import connect
from router.log.log import Log

DESK = "bench"
CHATS = 2000
MESSAGES = 60_000


def message(number: int, chat: int) -> MessageReceived:
    return MessageReceived(
        channel="bot",
        chat=str(chat),
        event_id=f"bot:{number}",
        message_id=str(number),
        author=Author(id=str(chat), name=f"Customer {chat}", language="uz"),
        text="Assalomu alaykum, konditsioner narxi qancha bo'ladi?",
    )


async def raw_xadd(url: str, count: int) -> float:
    """The yardstick: XADD a second, 512 in a pipeline."""
    client = connect(url)
    payload = b"x" * 220
    started = time.perf_counter()
    for _ in range(count // 512):
        pipe = client.pipeline(transaction=False)
        for _ in range(512):
            pipe.xadd("yardstick", {"e": payload})
        await pipe.execute()
    rate = (count // 512) * 512 / (time.perf_counter() - started)
    await client.delete("yardstick")
    await client.aclose()
    return rate


async def prepare(log: Log, *, every_rule: bool) -> None:
    """Twenty operators who hold a session of each chat. ``every_rule``: all that a message has to be
    looked at for is on."""
    names = [f"op{i}" for i in range(20)]
    rules = LineRules(members=names, answer_within=3_600_000)
    if every_rule:
        week = {day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
        rules = LineRules(
            members=names, answer_within=3_600_000, mode="least_loaded", hours=week, zone="Asia/Tashkent",
            shifts=dict.fromkeys(names, week), skills=[Ring(need=[], after=0)], language="customer",
            last_operator_first=True, return_unanswered_after=3_600_000, away_after_missed=3,
            overflow=[Overflow(after=3_600_000, line="night")], rating=True, show_position=True,
            sla=Sla(first_response=3_600_000, next_response=3_600_000, resolution=7_200_000),
            notices={name: {"": name} for name in ("off_hours", "no_answer", "waiting", "farewell")},
        )  # fmt: skip
    await log.append(
        LinesConfigured(
            lines={"sales": rules, "night": LineRules()},
            channels={"bot": "sales"},
            kinds={"bot": "loopback"},
        )
    )
    for name in names:
        await log.append(OperatorChanged(name=name, max_sessions=CHATS, languages=["uz"]))
        online = SetDutyInFull(rid=0, id=name, duty="online")
        await log.append(Ordered(operator=name, command=online, event_id=f"duty:{name}"))
    await asyncio.gather(*(log.append(message(i, i)) for i in range(CHATS)))
    await asyncio.gather(
        *(
            log.append(
                Ordered(
                    operator=names[i % 20],
                    event_id=f"say:{i}",
                    command=SayInFull(rid=0, id=str(i), session=str(i + 1), text="ha"),
                )
            )
            for i in range(CHATS)
        )
    )


async def produce(url: str, count: int) -> None:
    """Appends as fast as Redis takes it, once it is told to go."""
    log = Log(connect(url), DESK)
    events = [message(CHATS + i, i % CHATS) for i in range(count)]
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, count, 2048):
        await asyncio.gather(*(log.append(event) for event in events[start : start + 2048]))
    await log.close()


async def caught_up(log: Log) -> bool:
    """Whether the worker has committed up to the end of the log."""
    last: Any = await log.redis.xrevrange(log.keys.log, count=1)
    return bool(last) and await log.redis.get(log.keys.cursor) == last[0][0]


async def _measure(url: str, *, every_rule: bool) -> Figure:
    log = Log(connect(url), DESK)
    with running("-m", "benchmarks.route", "worker", url):
        await prepare(log, every_rule=every_rule)
        await until(lambda: caught_up(log))
        producer = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
            [sys.executable, "-m", "benchmarks.route", "produce", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert producer.stdout is not None
        producer.stdout.readline()
        started = time.perf_counter()
        producer.communicate(b"go\n")
        await until(lambda: caught_up(log))
        elapsed = time.perf_counter() - started
    yardstick = await raw_xadd(url, 40_960)
    await log.close()
    return figure(
        "routed messages, every rule on" if every_rule else "routed messages",
        MESSAGES / elapsed,
        "1/s",
        yardstick=yardstick,
        at_least=20_000,
        ratio_at_least=0.2,
    )


def measure() -> list[Figure]:
    figures = []
    for every_rule in (False, True):
        with running_redis() as url:
            figures.append(asyncio.run(_measure(url, every_rule=every_rule)))
    return figures


async def _work(url: str) -> None:
    from router.worker import Worker

    await Worker(Log(connect(url), DESK)).run()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        collect_rarely()
        asyncio.run(_work(sys.argv[2]))
    else:
        asyncio.run(produce(sys.argv[2], MESSAGES))
