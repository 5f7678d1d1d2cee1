"""Appending: many at once make one round trip, and so one fsync."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.exceptions import TimeoutError as SilentRedis

from crm.kernel.errors import Unavailable
from router.log.pipe import Pipe, reaching, unavailable


class Appender:
    """Groups concurrent appends into one round trip, and so into one fsync. Bounded: more than
    ``limit`` waiting appends are refused with ``Unavailable``, which the edge passes on."""

    def __init__(self, redis: Redis, limit: int = 20_000) -> None:
        self._pipe = Pipe(redis)
        self._limit = limit
        self._waiting: list[tuple[str, bytes, asyncio.Future[str]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, key: str, payload: bytes) -> str:
        if len(self._waiting) >= self._limit:
            raise Unavailable("too many messages wait for Redis")
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, payload, future))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._flush(), name="log-append")
        return await future

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._pipe.close()

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:512], self._waiting[512:]
            try:
                async with reaching("append"):
                    ids = await self._pipe.talk(
                        [("XADD", key, "*", "e", data) for key, data, _ in batch], keep=True
                    )
            except BaseException as error:
                if _took_long(error):
                    # They wait for the same Redis: one after the other they would wait for minutes.
                    batch, self._waiting = [*batch, *self._waiting], []
                _fail(batch, error)
                if not isinstance(error, Unavailable):
                    raise
                continue
            for (_, _, future), id in zip(batch, ids, strict=True):
                if future.done():
                    continue
                if isinstance(id, Exception):
                    future.set_exception(unavailable("append", id))
                else:
                    future.set_result(id.decode())


def _took_long(error: BaseException) -> bool:
    return isinstance(error.__cause__, (TimeoutError, SilentRedis))


def _fail(batch: Iterable[tuple[str, bytes, asyncio.Future[str]]], error: BaseException) -> None:
    reason = error if isinstance(error, Unavailable) else Unavailable("stopped before Redis answered")
    for _, _, future in batch:
        if not future.done():
            future.set_exception(reason)
