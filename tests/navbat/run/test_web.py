"""The HTTP server: its door, what its answers give away, and files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from navbat.config.types import GatewaySettings, Tls
from navbat.run.web import door as door_module
from navbat.run.web.door import LOCAL, Door, Rooms, Stage, raise_file_limit
from navbat.run.web.server import Server
from tests.conftest import until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GET = b"GET /who HTTP/1.1\r\nHost: desk\r\n\r\n"
ROOMS = Rooms(strangers=6, of_address=3, members=2)


class Site:
    """A server with some routes, and a door that tells what it thinks."""

    def __init__(self, settings: GatewaySettings, rooms: Rooms) -> None:
        self.door = Door(rooms, settings.trusted)
        self.open = asyncio.Event()
        routes = [
            web.get("/who", self._who),
            web.get("/wait", self._wait),
            web.post("/read", self._read),
            web.get("/ws", self._ws),
            web.get("/broken", self._broken),
            web.get("/much", self._much),
        ]
        self.server = Server(settings, routes, self.door)
        self.url = ""
        self.clients: list[asyncio.StreamWriter] = []

    async def _who(self, request: web.Request) -> web.Response:
        return web.Response(text=request.remote)

    async def _wait(self, request: web.Request) -> web.Response:
        await self.open.wait()
        return web.Response(text="waited")

    async def _read(self, request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            self.door.knocked(request)
            await socket.send_str("welcome" if self.door.let_in(request) else "busy")
            assert message.data
        return socket

    async def _broken(self, request: web.Request) -> web.Response:
        raise RuntimeError("the name of somebody")

    async def _much(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65_536)

    async def connect(self, words: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
        writer.write(words)
        self.clients.append(writer)
        return reader, writer


@contextlib.asynccontextmanager
async def site(rooms: Rooms = ROOMS, **settings: object) -> AsyncIterator[Site]:
    made = Site(GatewaySettings(listen="127.0.0.1:0", **settings), rooms)  # type: ignore[arg-type]
    await made.server.open()
    made.url = await made.server.listen()
    serving = asyncio.create_task(made.server.serve())
    try:
        yield made
    finally:
        for writer in made.clients:
            writer.transport.abort()
        serving.cancel()
        await asyncio.wait([serving])
        await made.server.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the other side ended it."""
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""


# ---------------------------------------------------------------- room


async def test_the_newest_of_an_address_comes_in_and_the_oldest_goes() -> None:
    async with site() as here:
        first, *others = [await here.connect(b"GET") for _ in range(3)]
        await until(lambda: here.door.strangers == 3)
        reader, _ = await here.connect(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await ended(first[0]) == b""
        assert not any(other.at_eof() for other, _ in others)
        for open_writer in here.clients:
            open_writer.close()
        await until(lambda: here.door.strangers == 0)


async def test_a_request_under_way_is_not_put_out() -> None:
    async with site() as here:
        busy = [await here.connect(GET.replace(b"/who", b"/wait")) for _ in range(3)]
        await until(lambda: all(v.request is not None for v in here.door) and here.door.strangers == 3)
        refused, _ = await here.connect(GET)
        assert await ended(refused) == b""
        here.open.set()
        for reader, _ in busy:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert here.door.refused["address"] == 1


async def test_members_take_nobodys_room_and_have_their_own() -> None:
    async with site() as here, aiohttp.ClientSession() as http:
        sockets = [await http.ws_connect(f"{here.url}/ws") for _ in range(3)]
        for socket, answer in zip(sockets, ["welcome", "welcome", "busy"], strict=True):
            await socket.send_str("hello")
            assert await socket.receive_str() == answer
        assert (here.door.members, here.door.strangers) == (2, 1)
        for _ in range(10):
            await here.connect(b"GET")
        await until(lambda: here.door.refused["address"] >= 8)
        for socket in sockets[:2]:
            await socket.send_str("still here")
            assert await socket.receive_str() == "welcome"
        await sockets[0].close()
        await until(lambda: here.door.members == 1)


async def test_this_machine_has_some_places_when_all_others_are_taken() -> None:
    rooms = Rooms(strangers=2, of_address=100, members=2)
    async with site(rooms) as here:
        busy = []
        for number in range(1, 3 + LOCAL):
            busy.append(await here.connect(GET.replace(b"/who", b"/wait")))
            await until(lambda number=number: sum(v.stage is Stage.WORK for v in here.door) == number)
        assert await ended((await here.connect(GET))[0]) == b""
        here.open.set()
        for reader, _ in busy:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("files", [64, 256, 1024, 4096, 65_536])
def test_rooms_leave_descriptors_for_the_desk_itself(files: int) -> None:
    rooms = Rooms.of(files)
    assert 0 < rooms.of_address <= rooms.strangers
    assert rooms.members > rooms.strangers
    if files >= 256:
        assert rooms.members + rooms.strangers + LOCAL <= files - max(128, files // 5)


def test_the_limit_of_descriptors_is_taken_whole() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
    try:
        assert raise_file_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= before[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# ---------------------------------------------------------------- time


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_TIME", "IDLE_TIME", "BODY_TIME", "UNREAD_TIME", "WELCOME_TIME"):
        monkeypatch.setattr(door_module, name, 0.3)
    monkeypatch.setattr(door_module, "SWEEP_EVERY", 0.05)


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: desk\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
POST = b"POST /read HTTP/1.1\r\nHost: desk\r\nContent-Length: 500000\r\n\r\n{"


@pytest.mark.parametrize(
    ("words", "reason"),
    [(b"", "head"), (b"GET /who HT", "head"), (GET, "idle"), (POST, "body"), (UPGRADE, "login")],
)  # fmt: skip
@pytest.mark.usefixtures("hurry")
async def test_everything_that_is_not_finished_has_its_time(words: bytes, reason: str) -> None:
    async with site() as here:
        reader, _ = await here.connect(words)
        await ended(reader)
        assert here.door.refused == {reason: 1}
        assert here.door.strangers == 0


@pytest.mark.usefixtures("hurry")
async def test_a_second_head_has_no_more_time_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "IDLE_TIME", 60.0)
    async with site() as here:
        reader, writer = await here.connect(GET)
        await reader.readuntil(b"127.0.0.1")
        writer.write(b"GET")
        await ended(reader)
        assert here.door.refused == {"head": 1}


@pytest.mark.usefixtures("hurry")
async def test_a_byte_now_and_then_is_no_progress() -> None:
    async with site() as here:
        for words, reason in ((b"GET /who HTTP/1.1\r\nX: ", "head"), (POST, "body")):
            reader, writer = await here.connect(words)
            gone = asyncio.create_task(ended(reader))
            while not gone.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
            assert here.door.refused[reason] == 1


@pytest.mark.usefixtures("hurry")
async def test_a_body_that_comes_fast_enough_has_all_the_time_it_needs() -> None:
    async with site() as here:
        reader, writer = await here.connect(POST)
        left = 499_999
        while left > 0:
            writer.write(b"x" * min(left, 20_000))
            left -= 20_000
            await asyncio.sleep(0.03)  # in all more than the time that a body has at any rate
        assert (await reader.readuntil(b"500000")).startswith(b"HTTP/1.1 200")
        assert not here.door.refused


@pytest.mark.usefixtures("hurry")
async def test_who_does_not_read_the_answer_is_cut() -> None:
    async with site() as here:
        _, writer = await here.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET.replace(b"/who", b"/much"))
        await until(lambda: here.door.refused["unread"] == 1)


async def test_a_websocket_that_sends_much_before_its_login_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "SWEEP_EVERY", 0.05)
    async with site() as here:
        reader, writer = await here.connect(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\xff" + (3_000_000).to_bytes(8, "big") + bytes(4) + b"x" * 300_000)
        assert await ended(reader) == b""
        assert here.door.refused["login"] == 1


async def test_a_server_out_of_descriptors_says_so_briefly_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Site(GatewaySettings(listen="127.0.0.1:0"), ROOMS)
    await made.server.open()
    made.url = await made.server.listen()
    reader, writer = await made.connect(GET)  # it waits in the system's queue
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    fill = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    serving = None
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(fill) + 1, before[1]))
        fill += list(_until_full())
        with caplog.at_level(logging.ERROR):
            serving = asyncio.create_task(made.server.serve())
            await until(lambda: len(caplog.records) >= 3)
        assert {record.getMessage() for record in caplog.records} == {"cannot accept: EMFILE"}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in fill:
            os.close(descriptor)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    assert serving is not None
    serving.cancel()
    await asyncio.wait([serving])
    await made.server.close()


def _until_full() -> list[int]:
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


@pytest.mark.parametrize(
    "words", [POST, POST.replace(b"Content-Length: 500000", b"Transfer-Encoding: chunked") + b"\r\nnonsense\r\n"]
)  # fmt: skip
async def test_a_client_that_goes_or_sends_nonsense_is_no_failure_of_ours(
    words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with site() as here:
            _, writer = await here.connect(words)
            await until(lambda: here.door.strangers == 1)
            writer.transport.abort()
            await until(lambda: here.door.strangers == 0)
        assert caplog.records == []


# ---------------------------------------------------------------- who it is


async def told(here: Site, **headers: str) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{here.url}/who", headers={k.replace("_", "-"): v for k, v in headers.items()}) as answer,
    ):
        return await answer.text()


async def test_nobody_is_believed_about_addresses_but_a_listed_proxy() -> None:
    async with site() as here:
        assert await told(here, X_Forwarded_For="203.0.113.9") == "127.0.0.1"
    async with site(proxies=["10.0.0.0/8"], behind_proxy=True) as here:
        assert await told(here, X_Forwarded_For="203.0.113.9") == "127.0.0.1"
    async with site(proxies=["127.0.0.1", "10.0.0.0/8"]) as here:
        assert await told(here, X_Forwarded_For="198.51.100.7, 203.0.113.9, 10.1.2.3") == "203.0.113.9"
        assert await told(here, X_Forwarded_For="203.0.113.9, nonsense") == "127.0.0.1"
    async with site(behind_proxy=True) as here:
        assert await told(here, X_Forwarded_For="1.2.3.4, 2001:db8::7") == "2001:db8::7"


async def test_the_limit_of_an_address_counts_the_one_behind_the_proxy() -> None:
    async with site(behind_proxy=True) as here:
        waits = GET.replace(b"/who", b"/wait").replace(b"Host", b"X-Forwarded-For: 203.0.113.9\r\nHost")
        busy = [await here.connect(waits) for _ in range(3)]
        await until(lambda: sum(v.address == "203.0.113.9" for v in here.door) == 3)
        reader, _ = await here.connect(waits)
        assert (await reader.readline()).startswith(b"HTTP/1.1 429")
        assert await told(here, X_Forwarded_For="203.0.113.10") == "203.0.113.10"
        here.open.set()
        for one, _ in busy:
            assert (await one.readline()).startswith(b"HTTP/1.1 200")


# ---------------------------------------------------------------- what it gives away


@pytest.mark.parametrize(
    "words",
    [
        GET,
        b"GET /nowhere HTTP/1.1\r\nHost: desk\r\n\r\n",
        b"GET /broken HTTP/1.1\r\nHost: desk\r\n\r\n",
        b"\x16\x03\x01 nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nX" + b"x" * 9000 + b": 1\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: desk\r\nContent-Length: x\r\n\r\n",
        UPGRADE,
        UPGRADE.replace(b"Version: 13", b"Version: 99"),
    ],
)
async def test_no_answer_says_what_programs_we_use(words: bytes) -> None:
    async with site() as here:
        reader, writer = await here.connect(words)
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        answer += await ended(reader) if b"101 " not in answer else b""
        assert answer.startswith(b"HTTP/1.")
        assert b"\r\nServer: navbat\r\n" in answer
        for word in (b"aiohttp", b"Python", b"Traceback", b"somebody", b"nonsense", b"xxx"):
            assert word not in answer


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """One for this machine, as ``tls`` takes it."""
    paths = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", paths["key"], "-out", paths["cert"]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here that could make a certificate")
async def test_half_a_tls_handshake_is_a_stranger_too(
    certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "SWEEP_EVERY", 0.05)
    async with site(tls=Tls(**certificate)) as here:
        halves = [await here.connect(b"\x16\x03\x01\x02\x00\x01") for _ in range(3)]
        await until(lambda: here.door.strangers == 3)
        trust = ssl.create_default_context(cafile=certificate["cert"])
        trust.check_hostname = False
        async with aiohttp.ClientSession() as http, http.get(f"{here.url}/who", ssl=trust) as answer:
            assert await answer.text() == "127.0.0.1"
        monkeypatch.setattr(door_module, "HEAD_TIME", 0.1)
        for reader, _ in halves:
            assert await ended(reader) == b""
        await until(lambda: here.door.strangers == 0)
