"""Appending: many at once make one round trip, and so one fsync."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from redis.exceptions import TimeoutError as SilentRedis

from crm.kernel.errors import Unavailable
from router.log.pipe import Pipe, Said, reaching, unavailable

MOST_ON_THEIR_WAY = 4
"""Round trips that are made at once."""

_Append = tuple[str, bytes, "asyncio.Future[str]"]


class Appender:
    """Groups concurrent appends into one round trip, and so into one fsync. What comes meanwhile does not wait
    for the reply: it is there when Redis has synced. Bounded: more than ``limit`` waiting appends are refused
    with ``Unavailable``, which the edge passes on."""

    def __init__(self, redis: Redis, limit: int = 20_000) -> None:
        self._pipe = Pipe(redis)
        self._limit = limit
        self._waiting: list[_Append] = []
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(1 if self._pipe.asks_nodes else MOST_ON_THEIR_WAY)
        self._hearing: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        """Replies are heard in the order in which they were asked for."""

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
        if self._hearing:
            await asyncio.wait(self._hearing)
        await self._pipe.close()

    async def _flush(self) -> None:
        while self._waiting:
            await self._room.acquire()
            batch, self._waiting = self._waiting[:512], self._waiting[512:]
            if not batch:
                self._room.release()
                return  # they were refused while they waited
            try:
                async with reaching("append"):
                    said = await self._pipe.say(
                        [("XADD", key, "*", "e", data) for key, data, _ in batch], keep=True
                    )
            except BaseException as error:
                self._room.release()
                self._fail(batch, error)
                if not isinstance(error, Unavailable):
                    raise
                continue
            hearing = asyncio.create_task(self._hear(batch, said), name="log-appended")
            self._hearing.add(hearing)
            hearing.add_done_callback(self._hearing.discard)

    async def _hear(self, batch: list[_Append], said: Said) -> None:
        try:
            async with self._order, reaching("append"):
                ids = await self._pipe.hear(said)
        except BaseException as error:
            self._fail(batch, error)
            if not isinstance(error, Unavailable):
                raise
            return
        finally:
            self._room.release()
        for (_, _, future), id in zip(batch, ids, strict=True):
            if future.done():
                continue
            if isinstance(id, Exception):
                future.set_exception(unavailable("append", id))
            else:
                future.set_result(id.decode())

    def _fail(self, batch: list[_Append], error: BaseException) -> None:
        if _took_long(error):
            # They wait for the same Redis: one after the other they would wait for minutes.
            batch, self._waiting = [*batch, *self._waiting], []
        reason = error if isinstance(error, Unavailable) else Unavailable("stopped before Redis answered")
        for _, _, future in batch:
            if not future.done():
                future.set_exception(reason)


def _took_long(error: BaseException) -> bool:
    return isinstance(error.__cause__, (TimeoutError, SilentRedis))
