"""Files and web pages at the gateway: what is taken, under which name, and how it is given back."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec
import psutil
import pytest

from crm.kernel.records import Media
from navbat.cli.client import DeskClient, Login
from tests.navbat.process import CONFIG, Desk

SCRIPT = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@contextlib.asynccontextmanager
async def visit(desk: Desk) -> AsyncIterator[tuple[aiohttp.ClientSession, DeskClient]]:
    """Anna at the desk, and an HTTP client with her ticket."""
    token = desk.add("anna", "--lines", "sales").env["NAVBAT_TOKEN"]
    async with DeskClient(Login(url=desk.url, token=token)) as client:
        headers = {"Authorization": f"Bearer {client.welcome.ticket}"}
        async with aiohttp.ClientSession(desk.url, headers=headers) as http:
            yield http, client


async def put(http: aiohttp.ClientSession, body: bytes | io.BytesIO, name: str, mime: str) -> Media:
    headers = {"X-File-Name": quote(name, errors="surrogatepass"), "Content-Type": mime}
    async with http.post("/media", data=body, headers=headers) as answer:
        assert answer.status == 200
        return msgspec.json.decode(await answer.read(), type=Media)


async def test_an_upload_gets_a_name_that_can_do_no_harm(desk: Desk) -> None:
    desk.start()
    async with visit(desk) as (http, client):
        for given, kept in [
            ("прайс.pdf", "прайс.pdf"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("..\\evil.exe", "evil.exe"),
            ("inv\u202efdp.exe", "invfdp.exe"),
            ("a\r\nSet-Cookie: x\x1b[31m.txt", "a Set-Cookie_ x.txt"),
            (".htaccess", "htaccess"),
            ("NUL", "_NUL"),
            ("", "file"),
        ]:
            assert (await put(http, b"%PDF", given, "application/pdf")).name == kept
        path = desk.folder / "ж" / ("я" * 100 + ".txt")
        path.parent.mkdir()
        path.write_bytes(b"text")
        assert (await client.upload(path)).name.endswith(".txt")
        assert (await put(http, SCRIPT, "x.svg", "image/svg+xml")).kind == "document"
        assert (await put(http, b"GIF8", "x.gif", "image/gif")).kind == "photo"
        assert (await put(http, b"x", "x", "te'xt/<b>")).mime == "application/octet-stream"


async def test_no_browser_shows_a_file_in_our_name(desk: Desk) -> None:
    desk.start()
    async with visit(desk) as (http, _):
        media = await put(http, SCRIPT, 'a "б".html', "text/html")
        async with http.get(f"/media/{media.key}", params={"name": 'a "б"\r\nX: 1/../.html'}) as answer:
            assert await answer.read() == SCRIPT
            headers = answer.headers
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["Content-Length"] == str(len(SCRIPT))
        assert headers["Content-Disposition"] == "attachment; filename=\"html\"; filename*=UTF-8''html"
        assert headers["Server"] == "navbat"
        async with http.get(f"/media/{media.key}", params={"name": "отчёт 1.pdf"}) as answer:
            disposition = answer.headers["Content-Disposition"]
        assert disposition == (
            "attachment; filename=\"_____ 1.pdf\"; filename*=UTF-8''%D0%BE%D1%82%D1%87%D1%91%D1%82%201.pdf"
        )
        async with http.get(f"/media/{media.key}") as answer:
            assert answer.headers["Content-Disposition"] == "attachment"
        for path, ticket, status in [
            (f"/media/{'0' * 64}", None, 404),
            ("/media/..%2F..%2Fnavbat.sqlite", None, 404),
            (f"/media/{media.key}", "Bearer 0123456789", 401),
            (f"/media/{media.key}", "", 401),
        ]:
            headers = {} if ticket is None else {"Authorization": ticket}  # type: ignore[assignment]
            async with http.get(path, headers=headers) as answer:
                assert answer.status == status, path


async def test_a_large_file_goes_through_in_pieces(desk: Desk, tmp_path: Path) -> None:
    desk.start()
    body = bytes(range(256)) * 4096 * 40
    assert desk.process is not None
    async with visit(desk) as (http, _):
        process = psutil.Process(desk.process.pid)
        before = process.memory_info().rss
        media = await put(http, io.BytesIO(body), "film.mp4", "video/mp4")
        assert (media.size, media.kind) == (len(body), "video")
        async with http.get(f"/media/{media.key}") as answer:
            first = await answer.content.readexactly(1000)
            after = process.memory_info().rss
            rest = await answer.read()
        assert first + rest == body
        assert after - before < len(body) // 2


# ---------------------------------------------------------------- which pages may connect


async def opens(desk: Desk, **headers: str) -> int:
    """The status of an attempt to open the wire."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(f"{desk.url}/ws", headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def test_a_page_from_elsewhere_cannot_connect(desk: Desk) -> None:
    desk.start()
    assert await opens(desk) == 101
    assert await opens(desk, Origin=desk.url) == 101
    for origin in (
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        f"{desk.url}.evil.example",
        "file://",
    ):
        assert await opens(desk, Origin=origin) == 403, origin


async def test_only_listed_pages_connect_where_there_is_a_list(make_desk: Callable[..., Desk]) -> None:
    listed = '{listen: "127.0.0.1:0", origins: ["https://desk.example.com"]}'
    desk = make_desk(CONFIG.replace('{listen: "127.0.0.1:0"}', listed))
    desk.start()
    assert await opens(desk) == 101
    assert await opens(desk, Origin="https://desk.example.com") == 101
    for origin in (
        desk.url,
        "http://desk.example.com",
        "https://desk.example.com:444",
        "https://evil.example",
    ):
        assert await opens(desk, Origin=origin) == 403, origin


@pytest.mark.parametrize(
    "wrong", ["https://desk.example.com/", "*", "desk.example.com", "null", "ftp://x", "https://a b"]
)
def test_what_is_no_origin_is_an_error(desk: Desk, wrong: str) -> None:
    file = CONFIG.replace('"127.0.0.1:0"', f'"127.0.0.1:0", origins: ["{wrong}"]')
    desk.file.write_text(file, encoding="utf-8")
    assert "origins: " in desk.command("check", status=1).stderr


def test_what_is_no_proxy_is_an_error_and_one_elsewhere_is_asked_for(desk: Desk) -> None:
    file = CONFIG.replace('"127.0.0.1:0"', '"127.0.0.1:0", proxies: [10.0.0.0/33]')
    desk.file.write_text(file, encoding="utf-8")
    assert "proxies: " in desk.command("check", status=1).stderr
    file = CONFIG.replace('"127.0.0.1:0"', '"0.0.0.0:0", behind_proxy: on')
    desk.file.write_text(file, encoding="utf-8")
    assert "gateway.proxies" in desk.command("check", status=1).stderr
