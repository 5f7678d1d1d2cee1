"""The desk's HTTP side: one server for the consoles' wire, web hooks and files."""

from __future__ import annotations

import ipaddress
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from crm.errors import NavbatError
from crm.records import Media, MessageKind
from navbat.config import GatewaySettings

if TYPE_CHECKING:
    from bots.base import MediaFiles
    from router.gateway import Gateway

logger = logging.getLogger(__name__)

UPLOAD_LIMIT = 50 * 1024 * 1024
"""Bytes of one upload: what Telegram takes from a bot."""
_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}\Z")
_BEARER = "Bearer "
_KINDS: dict[str, MessageKind] = {"image": "photo", "video": "video", "audio": "audio"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Files:
    """Uploads and downloads. Both need the ticket of a live connection; a download also the key,
    which only those know who have seen the message."""

    def __init__(self, gateway: Gateway, media: MediaFiles) -> None:
        self._gateway = gateway
        self._media = media

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/media", self._upload), web.get("/media/{key}", self._download, allow_head=False)]

    def _authorise(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        ticket = given.removeprefix(_BEARER) if given.startswith(_BEARER) else ""
        if not ticket.isascii() or self._gateway.by_ticket(ticket) is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})

    async def _upload(self, request: web.Request) -> web.Response:
        """The body is the file; ``X-File-Name`` (percent-encoded) and Content-Type describe it."""
        self._authorise(request)
        if (request.content_length or 0) > UPLOAD_LIMIT:
            raise web.HTTPRequestEntityTooLarge(UPLOAD_LIMIT, request.content_length or 0)
        name = _file_name(request)
        mime = request.content_type
        size = 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in request.content.iter_chunked(1 << 16):
                size += len(chunk)
                if size > UPLOAD_LIMIT:
                    raise web.HTTPRequestEntityTooLarge(UPLOAD_LIMIT, size)
                yield chunk

        key = await self._media.put(chunks(), name, mime)
        kind = _KINDS.get(mime.partition("/")[0], "document")
        media = Media(kind=kind, key=key, name=name, mime=mime, size=size)
        return web.Response(body=msgspec.json.encode(media), content_type="application/json")

    async def _download(self, request: web.Request) -> web.Response:
        self._authorise(request)
        key = request.match_info["key"]
        if not _KEY.match(key):
            raise web.HTTPNotFound
        try:
            body = await self._media.read(key)
        except (NavbatError, OSError):
            raise web.HTTPNotFound from None
        # Never shown by a browser in our name: the bytes are a stranger's.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, content_type="application/octet-stream", headers=headers)


def _file_name(request: web.Request) -> str:
    from urllib.parse import unquote

    name = unquote(request.headers.get("X-File-Name", ""), errors="replace")
    return name.replace("\\", "/").rpartition("/")[2][:255]


@web.middleware
async def _believe_proxy(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Takes the client's address from the proxy in front: the last entry, which it added itself."""
    last = request.headers.getall("X-Forwarded-For", [""])[-1].rpartition(",")[2].strip()
    try:
        remote = str(ipaddress.ip_address(last))
    except ValueError:
        return await handler(request)
    return await handler(request.clone(remote=remote))


class Server:
    """Listens where the settings say; ``open`` before the parts that serve run, ``listen`` after."""

    def __init__(self, settings: GatewaySettings, routes: Iterable[web.RouteDef]) -> None:
        middlewares = [_believe_proxy] if settings.behind_proxy else []
        app = web.Application(middlewares=middlewares, client_max_size=UPLOAD_LIMIT)
        app.add_routes(list(routes))
        self._settings = settings
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        self._site: web.TCPSite | None = None

    async def open(self) -> None:
        await self._runner.setup()

    async def listen(self) -> str:
        """Returns the URL. Raises ``NavbatError`` when the port or the certificate cannot be used."""
        host, port = self._settings.address
        context = tls_context(self._settings)
        self._site = web.TCPSite(self._runner, host, port, ssl_context=context, backlog=1024)
        try:
            await self._site.start()
        except OSError as error:
            raise NavbatError(
                f"cannot listen on {self._settings.listen}: {error.strerror or error}",
                "another program may use that port: set gateway.listen (port 0 chooses a free one)",
            ) from error
        address = self._runner.addresses[-1]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{'https' if context else 'http'}://{shown}:{address[1]}"

    async def stop_listening(self) -> None:
        """Takes no new connection; the open ones live on."""
        if self._site is not None:
            await self._site.stop()

    async def close(self) -> None:
        """Ends what is still open."""
        await self._runner.cleanup()


def tls_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    """None without ``tls``. Raises ``NavbatError`` when the files cannot be used."""
    if settings.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls.cert, settings.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise NavbatError(f"gateway.tls: {settings.tls.cert} and its key cannot be used: {error}") from error
    return context
