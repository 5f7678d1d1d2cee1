"""What one client asks is read ahead and answered in order."""

from __future__ import annotations

import asyncio
import logging

from router.gateway.answers.requests import Requests
from router.gateway.connection import Connection, receive
from router.gateway.status import DeskStatus
from router.log.clock import steady_ms
from router.wire.protocol import ClientFrame, Ping, Typing

logger = logging.getLogger(__name__)

SILENCE = 600.0
"""Seconds without a frame after which a connection is given up."""
ASKED_AHEAD = 64
"""Requests of one client that may wait for the answer to an earlier one; then it is not read."""


async def listen(connection: Connection, requests: Requests, status: DeskStatus) -> None:
    """Reads on while an answer is awaited: heartbeats do not wait for a slow desk."""
    asked: asyncio.Queue[ClientFrame] = asyncio.Queue(ASKED_AHEAD)
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(_answer(connection, requests, asked), name=f"answer-{connection.id}")
        await _hear(connection, requests, status, asked)
        answering.cancel()


async def _hear(
    connection: Connection, requests: Requests, status: DeskStatus, asked: asyncio.Queue[ClientFrame]
) -> None:
    while True:
        await connection.room()
        try:
            async with asyncio.timeout(SILENCE):
                frame = await receive(connection.socket)
        except TimeoutError:
            logger.info("connection %s has said nothing for %d s", connection.id, SILENCE)
            return
        if frame is None or connection.closing is not None:
            return
        connection.heard_at = steady_ms()
        if isinstance(frame, Ping):
            connection.send(status.pong(frame.at))
        elif isinstance(frame, Typing):
            await requests.typing(connection, frame)
        else:
            await asked.put(frame)


async def _answer(connection: Connection, requests: Requests, asked: asyncio.Queue[ClientFrame]) -> None:
    """One after the other, in the order in which they were asked."""
    while True:
        frame = await asked.get()
        await connection.room()
        if connection.closing is None:
            await requests.handle(connection, frame)
