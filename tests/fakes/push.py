"""A web hook client on bare sockets: keep-alive, one request at a time for each connection.

Light enough to generate thousands of posts a second beside the desk under test.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

POST_TIMEOUT = 10.0


class PushConnection:
    """One connection to a web hook; opened when needed, reopened after a failure."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """The status of the answer, 0 when there was none."""
        try:
            async with asyncio.timeout(POST_TIMEOUT):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._streams
                writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
                return await self._answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self.close()
            return 0

    async def _answer(self, reader: asyncio.StreamReader) -> int:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        lowered = head.lower()
        length = lowered.find(b"content-length:")
        if length >= 0:
            await reader.readexactly(int(lowered[length + 15 :].split(b"\r\n", 1)[0]))
        if b"connection: close" in lowered:
            self.close()
        return status

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def flood(
    url: str, headers: Mapping[str, str], bodies: Iterable[bytes], *, connections: int = 32, rate: float = 0.0
) -> Counter[int]:
    """Posts all bodies, at ``rate`` a second (0: as fast as it goes), and counts the statuses."""
    statuses: Counter[int] = Counter()
    source = iter(bodies)
    started = time.perf_counter()
    sent = 0

    async def work() -> None:
        nonlocal sent
        connection = PushConnection(url, headers)
        for body in source:
            due = started + sent / rate if rate else 0.0
            sent += 1
            if rate and (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            statuses[await connection.post(body)] += 1
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    return statuses
