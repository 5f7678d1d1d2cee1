"""Files go through in pieces: what they weigh is never in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bots.base import Secret
from bots.telegram.channel import Telegram, TelegramSettings
from crm.kernel.records import Media
from router.desk.events import Author, MediaStored, MessageReceived
from router.intake.fetch import Fetcher, jobs_for
from router.log.log import Log
from storage.media import MediaStore
from tests.bots.conftest import TOKEN, delivery, logged, running

SIZE = 48 << 20
PIECE = b"x" * (1 << 16)
MOST = 12 << 20


class Endless:
    """A file that is nowhere as a whole."""

    size = SIZE

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(SIZE // len(PIECE)):
            yield PIECE


class Platform:
    """Takes and gives files without keeping them."""

    def __init__(self) -> None:
        self.taken = 0
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/bot{token}/sendDocument", self._take)
        app.router.add_post("/bot{token}/getFile", self._where)
        app.router.add_get("/file/bot{token}/f", self._give)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _take(self, request: web.Request) -> web.Response:
        async for chunk in request.content.iter_any():
            self.taken += len(chunk)
        result = {"message_id": 5, "date": 5, "chat": {"id": 7, "type": "private"}}
        return web.json_response({"ok": True, "result": result})

    async def _where(self, request: web.Request) -> web.Response:
        result = {"file_id": "f", "file_unique_id": "f", "file_path": "f"}
        return web.json_response({"ok": True, "result": result})

    async def _give(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in Endless().chunks():
            await response.write(chunk)
        return response


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    platform = Platform()
    runner = await platform.start()
    yield platform
    await runner.cleanup()


@pytest.fixture
async def channel(platform: Platform) -> AsyncIterator[Telegram]:
    settings = TelegramSettings(
        kind="telegram", line="sales", token=Secret(TOKEN), api_url=platform.url, max_file=SIZE
    )
    channel = Telegram("shop", settings)
    await channel.open()
    yield channel
    await channel.close()


async def test_a_file_is_sent_in_pieces(platform: Platform, channel: Telegram) -> None:
    file = Media(kind="document", mime="application/zip", name="a.zip", key="k")
    tracemalloc.start()
    try:
        await channel.send(delivery("d1", "7", channel="shop"), [(file, Endless())])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert platform.taken > SIZE
    assert peak < MOST


async def test_a_file_is_fetched_to_disk_in_pieces(
    platform: Platform, channel: Telegram, log: Log, tmp_path: Path
) -> None:
    event = MessageReceived(
        channel="shop", chat="7", message_id="1", event_id="shop:1", author=Author(),
        media=[Media(kind="document", ref="f")],
    )  # fmt: skip
    await log.move_parsed("shop", [], [], jobs_for([event]))
    media = MediaStore(tmp_path)
    tracemalloc.start()
    try:
        async with running(Fetcher(log, channel, media)):
            [stored] = await logged(log, 1, seconds=60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(stored, MediaStored)
    assert await media.size(stored.media.key) == SIZE
    assert peak < MOST
