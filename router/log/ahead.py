"""Reading one stream of Redis ahead: what comes next is asked for before what came is worked on.

Redis answers nobody while it syncs. A reader that asks when it has done its work waits for that once
more; one that has asked before is given what there is together with the answer to whoever wrote it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis

from router.log.pipe import COMMAND_TIMEOUT, Pipe, reaching, unavailable

BLOCK_MS = 4000
"""So long one question waits at the server."""

Rows = list[tuple[str, bytes]]


class Ahead:
    """One reader of the stream ``key``; not for concurrent use. After an error it asks anew."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._pipe = Pipe(redis)
        self._key = key
        self._asked: tuple[str, int] | None = None
        self._asking: asyncio.Task[Rows] | None = None

    async def read(
        self, after: str, count: int, longest_ms: int, others: Iterable[asyncio.Future[Any]] = ()
    ) -> Rows:
        """(id, payload) of up to ``count`` entries after the id; nothing when none came within ``longest_ms``,
        or when one of ``others`` is done before. Raises ``Unavailable``."""
        asking = self._asking
        if asking is None or self._asked != (after, count):
            await self.stop()
            asking = await self._ask(after, count)
        await asyncio.wait({asking, *others}, timeout=longest_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return []
        self._asking = None
        rows = asking.result()
        await self._ask(rows[-1][0] if rows else after, count)
        return rows

    async def _ask(self, after: str, count: int) -> asyncio.Task[Rows]:
        self._asked = after, count
        self._asking = asyncio.create_task(self._wait(after, count), name="read-ahead")
        await asyncio.sleep(0)  # the question leaves before anything else is done
        return self._asking

    async def _wait(self, after: str, count: int) -> Rows:
        async with reaching("read", COMMAND_TIMEOUT + BLOCK_MS / 1000):
            [found] = await self._pipe.talk(
                [("XREAD", "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", self._key, after)]
            )
        if isinstance(found, Exception):
            raise unavailable("read", found)
        return [
            (id.decode(), payload(pairs(fields)))
            for _, entries in found or ()
            for id, fields in entries
            if fields
        ]

    async def stop(self) -> None:
        """Asks no more; ``read`` begins anew."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait([asking])
            if not asking.cancelled():
                asking.exception()  # nobody wants to know any more
        await self._pipe.close()


def pairs(fields: Any) -> dict[bytes, bytes]:
    """The fields of an entry as either version of the protocol gives them."""
    if isinstance(fields, dict):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))


def payload(fields: dict[bytes, bytes]) -> bytes:
    """What an entry of a stream holds; of one that we have not written, all of it."""
    found = fields.get(b"e")
    return found if found is not None else msgspec.msgpack.encode(fields)
