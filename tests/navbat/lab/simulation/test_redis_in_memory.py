"""The Redis in memory answers as the real one does: the same random commands on both."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from navbat.lab.simulate.redis import SimulatedClient, SimulatedRedis
from router.log.log import Log
from router.log.pipe import Pipe
from router.log.seen import Seen

KEYS = ("a", "b", "c")
STREAMS = ("s", "t")


def commands(random: Random, prefix: str, seen: Seen) -> list[tuple[Any, ...]]:
    """One conversation: plain commands, or a transaction that may watch keys."""
    key = prefix + random.choice(KEYS)
    stream = prefix + random.choice(STREAMS)
    plain: list[tuple[Any, ...]] = [
        ("SET", prefix + "v", random.randrange(3)),
        ("SET", prefix + "v", random.randrange(3), "NX", "PX", 600_000),
        ("GET", prefix + "v"),
        ("PEXPIRE", prefix + random.choice("vwx"), 600_000),
        ("HSET", prefix + "h", random.choice(KEYS), random.randrange(5)),
        ("HDEL", prefix + "h", random.choice(KEYS), "none"),
        ("SADD", prefix + "z", random.choice(KEYS)),
        ("SMISMEMBER", prefix + "z", *KEYS),
        ("EXISTS", prefix + random.choice("bv")),
        *seen.notes([f"double:{random.randrange(1, 40)}", random.choice(KEYS)], 7),
        *seen.questions([f"double:{n}" for n in range(1, 40)] + list(KEYS), 7),
        ("XADD", stream, f"{random.randrange(1, 9)}-*", "e", key),
        ("XRANGE", stream, "-", "+", "COUNT", 3),
    ]
    chosen = random.choices([c for c in plain if c[0] != "XADD"], k=random.randint(1, 4))
    if random.random() < 0.5:
        watched = prefix + random.choice("vz")
        return [("WATCH", watched), ("GET", prefix + "v"), ("MULTI",), *chosen, ("EXEC",)]
    return [("UNWATCH",), *chosen]


def plain(reply: Any) -> Any:
    """Replies without what only the real one can know."""
    if isinstance(reply, Exception):
        return type(reply).__name__
    if isinstance(reply, (list, tuple)):
        return [plain(part) for part in reply]
    return reply


@pytest.mark.parametrize("seed", range(30))
async def test_both_answer_the_same(seed: int, log: Log) -> None:
    random = Random(seed)
    server = SimulatedRedis(lambda: 1_000_000)
    pipes = [Pipe(log.redis), Pipe(log.redis)]
    doubles = [Pipe(SimulatedClient(server)), Pipe(SimulatedClient(server))]  # type: ignore[arg-type]
    prefix = f"double{seed}:"
    seen = Seen(prefix)
    for _ in range(40):
        who = random.randrange(2)
        talk = commands(random, prefix, seen)
        # What another does between the watching and the transaction is what a transaction is about.
        split = talk.index(("MULTI",)) if ("MULTI",) in talk else len(talk)
        other = commands(random, prefix, seen)[-1:] if split < len(talk) else []
        if other == [("EXEC",)]:
            other = [("SET", prefix + "v", random.randrange(3))]
        for begun, rest in ((pipes, doubles),):
            real = await begun[who].talk(talk[:split])
            double = await rest[who].talk(talk[:split])
            assert plain(double) == plain(real)
            if other:
                assert plain(await rest[1 - who].talk(other)) == plain(await begun[1 - who].talk(other))
            if split < len(talk):
                assert plain(await rest[who].talk(talk[split:])) == plain(await begun[who].talk(talk[split:]))
    for pipe in (*pipes, *doubles):
        await pipe.close()


async def test_streams_are_read_and_trimmed_as_the_real_ones_are(log: Log) -> None:
    time = [1_000]
    client = SimulatedClient(SimulatedRedis(lambda: time[0]))
    double = Log(client, log.desk, lambda: time[0])  # type: ignore[arg-type]
    for one in (log, double):
        for number in range(5):
            await one._appender.add(one.keys.log, b"%d" % number)
        time[0] += 1
    for one in (log, double):
        rows = await one.read_log("0", 3, 1)
        rest = await one.read_log(rows[-1][0], 512, 1)
        assert [data for _, data in (*rows, *rest)] == [b"0", b"1", b"2", b"3", b"4"]
        assert await one.read_log(rest[-1][0], 512, 1) == []
        await one._appender.close()


async def test_keys_expire_by_the_clock_and_an_expiry_breaks_a_transaction() -> None:
    time = [0]
    server = SimulatedRedis(lambda: time[0])
    pipe, other = Pipe(SimulatedClient(server)), Pipe(SimulatedClient(server))  # type: ignore[arg-type]
    await pipe.talk([("SET", "lease", "mine", "PX", 100), ("WATCH", "lease")])
    time[0] = 99
    assert await other.talk([("GET", "lease")]) == [b"mine"]
    time[0] = 100
    assert (await pipe.talk([("MULTI",), ("SET", "x", 1), ("EXEC",)]))[-1] is None
    assert await other.talk([("GET", "lease"), ("GET", "x")]) == [None, None]
