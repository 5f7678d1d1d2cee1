"""The gateway cannot be shut without a login: floods of what never ends, on a real desk."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import pytest

from navbat.cli.client import DeskClient, Login
from navbat.run.web.door import raise_file_limit
from router.wire import protocol
from tests.navbat.process import Desk

FILES = 640
"""Descriptors that the desk gets: fewer than the flood would take."""
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: desk\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HALF_HEAD = b"GET /ws HTTP/1.1\r\nHost: desk\r\nX-More: "
HALF_BODY = b"POST /hooks/loopback/lo HTTP/1.1\r\nHost: desk\r\nContent-Length: 5000\r\n\r\n{"


class Flood:
    """Open connections that say ``words`` and then nothing, or ever one byte more."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self._writers: list[asyncio.StreamWriter] = []
        self._readers: list[asyncio.StreamReader] = []

    async def open(self, count: int, words: bytes) -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(words)
            self._writers.append(writer)
            self._readers.append(reader)

    async def again_and_again(self, count: int) -> None:
        """So many clients that come again as soon as they are cut, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._insist((HALF_HEAD, HALF_BODY, UPGRADE)[number % 3]))

    async def _insist(self, words: bytes) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(words)
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            finally:
                writer.transport.abort()

    async def all_cut(self) -> None:
        """Returns when the other side has ended every connection."""
        for reader in self._readers:
            with contextlib.suppress(ConnectionError):
                await reader.read()

    async def drip(self) -> None:
        """A byte more on every connection that is still open, until cancelled."""
        while True:
            for writer in self._writers:
                if not writer.is_closing():
                    writer.write(b"x")
            await asyncio.sleep(0.2)

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def flood(url: str) -> AsyncIterator[Flood]:
    raise_file_limit()
    made = Flood(url)
    try:
        yield made
    finally:
        made.close()
        await asyncio.sleep(0)


@pytest.fixture
def narrow(make_desk: Callable[..., Desk]) -> Desk:
    """A running desk with few descriptors, whose log goes into a file."""
    desk = make_desk()
    desk.start(files=FILES, log=desk.folder / "log")
    return desk


async def _status(desk: Desk, env: dict[str, str]) -> dict[str, object]:
    found = await asyncio.to_thread(desk.command, "status", "--json", env=env)
    status: dict[str, object] = json.loads(found.stdout)
    return status


@pytest.mark.slow
async def test_a_flood_without_a_login_shuts_nobody_out(narrow: Desk) -> None:
    watch = narrow.add("watch", "--role", "supervisor")
    anna = narrow.add("anna", "--lines", "sales")
    narrow.command("operator", "add", "bek", "--lines", "sales", "--password-stdin", stdin="qwe-rty-123\n")
    async with (
        DeskClient(Login(url=narrow.url, token=anna.env["NAVBAT_TOKEN"])) as console,
        flood(narrow.url) as attack,
    ):
        await attack.open(500, HALF_HEAD)
        await attack.open(400, HALF_BODY)
        await attack.open(500, UPGRADE)
        dripping = asyncio.create_task(attack.drip(), name="drip")
        try:
            done = await console.command(protocol.SetDuty, duty="online")
            assert done.code == ""
            await asyncio.to_thread(narrow.write, "ali", "1", "salom")
            async with DeskClient(Login(url=narrow.url, name="bek", password="qwe-rty-123")) as other:
                assert other.welcome.operator == "bek"
            assert (await _status(narrow, watch.env))["desk"] == "shop"
            async with DeskClient(Login(url=narrow.url, token=anna.env["NAVBAT_TOKEN"])) as again:
                listed = await again.ask(protocol.GetSessions(rid=again.next_rid()), protocol.SessionList)
                assert [s.holder for s in listed.sessions] == ["anna"]
            await console.ping()
        finally:
            dripping.cancel()
    log = (narrow.folder / "log").read_text(encoding="utf-8")
    assert len(log) < 20_000
    assert "one address has too many" in log


@pytest.mark.slow
async def test_who_comes_again_as_soon_as_he_is_cut_shuts_nobody_out_either(desk: Desk) -> None:
    desk.start(files=1024, log=desk.folder / "log")
    watch = desk.add("watch", "--role", "supervisor")
    async with flood(desk.url) as attack:
        coming = asyncio.create_task(attack.again_and_again(400), name="flood")
        try:
            for _ in range(3):
                assert (await _status(desk, watch.env))["desk"] == "shop"
        finally:
            coming.cancel()
            await asyncio.wait([coming])
    assert len((desk.folder / "log").read_text(encoding="utf-8")) < 20_000


async def test_who_is_late_is_cut(narrow: Desk) -> None:
    """The real times, in one test: nothing stays for ever."""
    async with flood(narrow.url) as attack:
        await attack.open(5, HALF_HEAD)
        await attack.open(5, HALF_BODY)
        await attack.open(5, UPGRADE)
        await attack.open(5, b"")
        dripping = asyncio.create_task(attack.drip(), name="drip")
        try:
            async with asyncio.timeout(40):
                await attack.all_cut()
        finally:
            dripping.cancel()
