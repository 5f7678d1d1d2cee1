"""Many consoles in one process: real WebSockets, read with as little work as possible.

What a console itself would do with a frame is not measured here; the clients must not eat the cores
that the desk needs.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from benchmarks.harness import until
from router.wire import protocol

Heard = Callable[[bytes], None]


class RawConsole(asyncio.Protocol):
    """One connection. ``heard`` gets each frame that came, as JSON text."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._buffer = bytearray()
        self._upgraded = False
        self._transport: asyncio.WriteTransport | None = None
        self.frames = 0
        self.lost = False

    @classmethod
    async def open(cls, url: str, token: str, heard: Heard, *, rid: int = 1) -> RawConsole:
        """Connects, logs in as a person's console and comes on duty."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, console = await loop.create_connection(lambda: cls(heard), parts.hostname or "", parts.port or 80)
        key = base64.b64encode(os.urandom(16)).decode()
        console._write(
            f"GET /ws HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        console.send(protocol.Hello(token=token, presence=True, client="bench"))
        console.send(protocol.SetDuty(rid=rid, id=f"duty-{key}", duty="online"))
        return console

    def send(self, frame: protocol.Frame) -> None:
        """Masked with zeros, as the standard allows no unmasked frame from a client."""
        data = protocol.encode_frame(frame)
        if len(data) < 126:
            head = bytes([0x81, 0x80 | len(data)])
        else:
            head = bytes([0x81, 0x80 | 126]) + len(data).to_bytes(2, "big")
        self._write(head + b"\0\0\0\0" + data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    # ---------------------------------------------------------------- the protocol's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del self._buffer[: end + 4]
            self._upgraded = True
        start = 0
        while (span := _frame_at(self._buffer, start)) is not None:
            begin, start = span
            self.frames += 1
            self._heard(bytes(self._buffer[begin:start]))
        del self._buffer[:start]


def _frame_at(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """(begin, end) of the payload of the frame that starts there, if it is complete."""
    if len(buffer) < start + 2:
        return None
    length, begin = buffer[start + 1] & 0x7F, start + 2
    if length > 125:
        size = 2 if length == 126 else 8
        if len(buffer) < begin + size:
            return None
        length = int.from_bytes(buffer[begin : begin + size], "big")
        begin += size
    end = begin + length
    return (begin, end) if len(buffer) >= end else None


async def open_all(url: str, tokens: Mapping[str, str], heard: Heard) -> list[RawConsole]:
    """One console for each operator, all of them on duty when this returns."""
    answered = 0

    def first(data: bytes) -> None:
        nonlocal answered
        answered += data.startswith(b'{"t":"Done"')
        heard(data)

    consoles = [await RawConsole.open(url, token, first) for token in tokens.values()]
    await until(lambda: answered >= len(consoles))
    return consoles


async def keep_alive(consoles: Iterable[RawConsole]) -> None:
    """Their heartbeats, until cancelled."""
    while True:
        await asyncio.sleep(protocol.HEARTBEAT / 2)
        for console in consoles:
            console.send(protocol.Ping())
