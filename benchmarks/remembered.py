"""What remembering applied events costs: bytes of the real redis-server for each of a million ids.

The yardstick is one set of the same ids as they are.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from benchmarks.harness import Figure, figure, running_redis
from router.log.home import connect
from router.log.lease import Lease
from router.log.log import Log, now_ms
from router.log.writer import Writer

COUNT = 1_000_000
BATCH = 500

KINDS: dict[str, tuple[Callable[[int], str], float]] = {
    "updates of a platform that counts": (lambda n: f"shop:{871_000_000 + n}", 5.0),
    "other ids": (lambda n: f"anna/{uuid.uuid4().hex}", 13.0),
}


async def _used(log: Log) -> int:
    found: int = (await log.redis.info("memory"))["used_memory"]
    return found


async def _measure(url: str, what: str) -> Figure:
    make, most = KINDS[what]
    log = Log(connect(url), "remembered")
    await log.redis.config_set("appendfsync", "no")
    lease = Lease(log, "router", "benchmark", ttl=3600.0)
    await lease.acquire()
    writer = Writer(log, lease)
    at = now_ms()
    ids = [make(n) for n in range(COUNT)]
    empty = await _used(log)
    for start in range(0, COUNT, BATCH):
        await writer.commit(at=at, event_ids=ids[start : start + BATCH])
    noted = await _used(log)
    for start in range(0, COUNT, BATCH):
        await log.redis.sadd("yardstick", *ids[start : start + BATCH])
    plain = await _used(log) - noted
    await writer.close()
    await log.close()
    return figure(what, (noted - empty) / COUNT, "bytes each", yardstick=plain / COUNT, at_most=most)


def measure() -> list[Figure]:
    figures = []
    for what in KINDS:
        with running_redis() as url:
            figures.append(asyncio.run(_measure(url, what)))
    return figures
