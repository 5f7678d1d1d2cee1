"""Nobody but who started it gets the browser's console."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from console.web import free_port, guard, serve

KEY = "right-key"


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """A guarded page at ``/`` and a WebSocket at ``/ws``."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="the desk")

    async def talk(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.close()
        return answer

    port = free_port("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{port}"
    app = web.Application(middlewares=[guard(KEY, origin, "denied")])
    app.add_routes([web.get("/", page), web.get("/ws", talk)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield origin
    await runner.cleanup()


async def test_the_printed_address_opens_it_once_and_for_all(origin: str) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(f"{origin}/?key={KEY}") as answer:
            assert await answer.text() == "the desk"
            assert str(answer.url) == f"{origin}/"
            kept = answer.history[0].headers["Set-Cookie"]
            assert "HttpOnly" in kept
            assert "SameSite=Strict" in kept
        async with browser.ws_connect(f"{origin}/ws", headers={"Origin": origin}):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.ws_connect(f"{origin}/ws", headers={"Origin": "http://evil.example"})


@pytest.mark.parametrize("path", ["/", "/?key=", "/?key=wrong", "/?key=%C3%A9", "/ws"])
async def test_without_the_key_nothing_is_shown(origin: str, path: str) -> None:
    async with aiohttp.ClientSession() as browser, browser.get(origin + path) as answer:
        assert (answer.status, await answer.text()) == (403, "denied")


def test_a_port_in_use_is_left_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_port("127.0.0.1", taken.getsockname()[1]) != taken.getsockname()[1]


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    assert serve("") == 2
    assert "web-console" in capsys.readouterr().err
