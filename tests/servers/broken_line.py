"""A line to a MongoDB that is slow, or breaks, where a test says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

Broken = Callable[[bytes], Awaitable[str]]
"""Told each command as it goes over the line, it may take its time, and answers what becomes of it: ``before``
the server has it the line breaks, or ``after``; anything else, and it goes through."""


@contextlib.asynccontextmanager
async def line(url: str, folder: Path, what: Broken) -> AsyncIterator[str]:
    """The URL of the line to the server at ``url``."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            server, commands = await _connected(url)
        except OSError:
            answers.close()
            return
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await _carry(client, answers, server, commands, what)
        finally:
            for writer in (answers, commands):
                writer.close()
            tasks.discard(task)

    address = folder / "line.sock"
    listening = await asyncio.start_unix_server(serve, address)
    try:
        yield f"mongodb://{str(address).replace('/', '%2F')}/"
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(
    client: asyncio.StreamReader,
    answers: asyncio.StreamWriter,
    server: asyncio.StreamReader,
    commands: asyncio.StreamWriter,
    what: Broken,
) -> None:
    while True:
        command = await _message(client)
        verdict = await what(command)
        if verdict == "before":
            return
        commands.write(command)
        answer = await _message(server)
        if verdict == "after":
            return
        answers.write(answer)


async def _connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = unquote(urlsplit(url).netloc.rpartition("@")[2])
    if place.startswith("/"):
        return await asyncio.open_unix_connection(place)
    host, _, port = place.partition(":")
    return await asyncio.open_connection(host, int(port or 27017))


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "little") - 4)
