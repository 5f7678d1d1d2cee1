"""Raw bodies are kept first: a transport may tell its platform "received" only after ``put`` returned."""

from __future__ import annotations

import asyncio

from router.log.log import Log


class ChannelInbox:
    """The inbox as one channel sees it."""

    def __init__(self, log: Log, channel: str) -> None:
        self._log = log
        self._channel = channel

    async def put(self, *bodies: bytes) -> None:
        """Returns when all bodies are durable, in this order. Raises ``Unavailable``; then some of
        them may be durable all the same, and event ids make their repetition harmless."""
        if len(bodies) == 1:
            await self._log.put_raw(self._channel, bodies[0])
            return
        outcomes = await asyncio.gather(
            *(self._log.put_raw(self._channel, body) for body in bodies), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
