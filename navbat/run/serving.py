"""Which redis-server serves a data folder: the one that works in it, and no other.

A path that was written down travels with a copy of the folder, and the number of a process is soon
another one's. The folder that a server works in is neither: a copy is another folder, however it is
called, and a moved, linked or mounted one is still the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from crm.kernel.errors import Unavailable

ASK_TIMEOUT = 2.0
STOP_TIMEOUT = 5.0
SOCKET_LIMIT = 100
"""Bytes a Unix socket's path may have, with some room below what the system allows (104 to 108)."""
_REDIS = frozenset({"redis-server", "valkey-server"})


class Serving(NamedTuple):
    """A server that works in the folder. ``pid`` is 0 where the system does not tell, ``socket`` is
    None where nobody listens any more."""

    socket: Path | None
    pid: int


def near_socket(data: Path) -> Path | None:
    """The socket's place beside the data, or None when that path is too long for one."""
    near = data.absolute() / "redis" / "redis.sock"
    return near if len(os.fsencode(near)) <= SOCKET_LIMIT else None


def recorded_socket(data: Path) -> Path | None:
    """What stands in the folder about its socket. It says nothing about whose server listens there."""
    try:
        text = (data / "redis" / "socket").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(text) if text and "\0" not in text else None


async def serving(data: Path, *more: Path) -> Serving | None:
    """The server of a data folder, if one listens: at the usual place, at the recorded one or at ``more``."""
    places = [near_socket(data), recorded_socket(data), *more]
    for path in dict.fromkeys(place for place in places if place is not None):
        found = await _listening(path, data / "redis")
        if found is not None:
            return found
    return None


async def attach(data: Path) -> str:
    """The URL of the embedded Redis of the desk that runs on a data folder. Raises ``Unavailable``."""
    found = await serving(data)
    if found is None or found.socket is None:
        raise Unavailable(
            f"no desk runs on {data}, so its embedded Redis cannot be used",
            "start `navbat run` first, or set redis: in the configuration",
        )
    return url_of(found.socket)


def url_of(socket: Path) -> str:
    return f"unix://{socket}"


async def ping(socket: Path) -> str:
    """What the server answers: ``+PONG``, ``-LOADING …``, or "" when nobody answers."""
    try:
        async with _connected(socket) as (reader, writer):
            writer.write(b"PING\r\n")
            return (await reader.readline()).decode(errors="replace").strip()
    except (OSError, TimeoutError):
        return ""


async def survivor(data: Path, *more: Path) -> Serving | None:
    """A server that still works in the folder, whether it listens or not."""
    found = await serving(data, *more)
    if found is not None:
        return found
    pid = _recorded_process(data)
    return Serving(None, pid) if pid and _works_in(pid, data / "redis") else None


async def end(server: Serving, data: Path) -> None:
    """Ends a server of the folder and returns when it is gone. Only that one: a process that took over
    its number, and a server that took over its socket, stay."""
    if server.pid:
        await _end_process(server.pid, data / "redis")
        return
    assert server.socket is not None
    deadline = asyncio.get_running_loop().time() + STOP_TIMEOUT
    while await _listening(server.socket, data / "redis") and asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(OSError, TimeoutError):
            async with _connected(server.socket) as (reader, writer):
                writer.write(b"SHUTDOWN NOSAVE\r\n")
                await reader.read(1)
        await asyncio.sleep(0.02)


def _recorded_process(data: Path) -> int:
    """The redis-server that has the recorded number now, whoever's it is; 0 when there is none."""
    try:
        pid = int((data / "redis" / "redis.pid").read_text(encoding="ascii"))
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return 0
    return pid if name in _REDIS else 0


# ------------------------------------------------------------------ whose it is


async def _listening(path: Path, folder: Path) -> Serving | None:
    """The server behind a socket, if it works in the folder."""
    try:
        async with _connected(path) as (reader, writer):
            pid = _peer(writer)
            if _works_in(pid, folder) if pid else await _says_so(reader, writer, folder):
                return Serving(path, pid)
    except (OSError, TimeoutError):
        pass
    return None


@contextlib.asynccontextmanager
async def _connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(ASK_TIMEOUT):
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _peer(writer: asyncio.StreamWriter) -> int:
    """The process that listens, by the kernel's word and by our numbers; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    pid: int = struct.unpack("3i", credentials)[0]
    return pid if os.access(f"/proc/{pid}/cwd", os.R_OK) else 0


def _works_in(pid: int, folder: Path) -> bool:
    """Also of a folder that was moved meanwhile, and not of one that came into its place."""
    return _is_same(Path(f"/proc/{pid}/cwd"), folder)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


async def _says_so(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path) -> bool:
    while True:
        writer.write(b"CONFIG GET dir\r\n")
        head = await reader.readline()
        if not head.startswith(b"-LOADING"):
            break
        await asyncio.sleep(0.1)
    if not re.match(rb"\*2\r\n", head):
        return False
    rows = [await reader.readline() for _ in range(4)]
    told = Path(os.fsdecode(rows[3].rstrip(b"\r\n")))
    return told.is_absolute() and _is_same(told, folder)


async def _end_process(pid: int, folder: Path) -> None:
    """Asks it to end, and insists after a while."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Asked again now: the handle stays with this process, whoever gets its number later.
        if not _works_in(pid, folder):
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, gone.set)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await gone.wait()
                    break
        loop.remove_reader(handle)
    finally:
        os.close(handle)
