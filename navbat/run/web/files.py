"""Files of messages over HTTP: uploads and downloads, in pieces, for those who are logged in."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import msgspec
from aiohttp import web

from crm.kernel.errors import NavbatError
from crm.kernel.records import Media, MessageKind
from crm.kernel.text import file_name

if TYPE_CHECKING:
    from navbat.run.web.door import Door
    from router.gateway.gateway import Gateway
    from storage.media import MediaStore

logger = logging.getLogger(__name__)

UPLOAD_LIMIT = 50 * 1024 * 1024
"""Bytes of one upload: what Telegram takes from a bot."""
UPLOADS = 32
"""Uploads under way at the same time."""
CHUNK = 1 << 16
_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}\Z")
_MIME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}\Z")
_BEARER = "Bearer "
_KINDS: dict[str, MessageKind] = {"image": "photo", "video": "video", "audio": "audio"}
_A_STRANGERS = {
    # The bytes are a stranger's: no browser shows or runs them in our name.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class Files:
    """Uploads and downloads. Both need the ticket of a live connection; a download also the key,
    which only those know who have seen the message."""

    def __init__(self, gateway: Gateway, media: MediaStore, door: Door) -> None:
        self._gateway = gateway
        self._media = media
        self._door = door
        self._uploads = asyncio.Semaphore(UPLOADS)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/media", self._upload), web.get("/media/{key}", self._download, allow_head=False)]

    def _authorise(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        ticket = given.removeprefix(_BEARER) if given.startswith(_BEARER) else ""
        if not ticket.isascii() or self._gateway.by_ticket(ticket) is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        if not self._door.let_in(request):
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"})

    async def _upload(self, request: web.Request) -> web.Response:
        """The body is the file; ``X-File-Name`` (percent-encoded) and Content-Type describe it."""
        self._authorise(request)
        if (request.content_length or 0) > UPLOAD_LIMIT:
            raise web.HTTPRequestEntityTooLarge(UPLOAD_LIMIT, request.content_length or 0)
        if self._uploads.locked():
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"})
        mime = request.content_type if _MIME.match(request.content_type) else "application/octet-stream"
        name = file_name(unquote(request.headers.get("X-File-Name", ""), errors="replace"))
        size = 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in request.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > UPLOAD_LIMIT:
                    raise web.HTTPRequestEntityTooLarge(UPLOAD_LIMIT, size)
                yield chunk

        async with self._uploads:
            try:
                key = await self._media.put(chunks(), name, mime)
            except ConnectionError:
                raise  # the client went
            except OSError as error:
                logger.error("a file cannot be kept: %s", errno.errorcode.get(error.errno or 0, "OSError"))
                raise web.HTTPInsufficientStorage from None
        media = Media(kind=_kind(mime), key=key, name=name, mime=mime, size=size)
        return web.Response(body=msgspec.json.encode(media), content_type="application/json")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """In pieces, as fast as the client reads; ``?name=`` is how a browser shall call the file."""
        self._authorise(request)
        key = request.match_info["key"]
        if not _KEY.match(key):
            raise web.HTTPNotFound
        try:
            size = (await asyncio.to_thread(self._media.path(key).stat)).st_size
        except (NavbatError, OSError):
            raise web.HTTPNotFound from None
        answer = web.StreamResponse(headers=_A_STRANGERS)
        answer.headers["Content-Disposition"] = _attachment(request.query.get("name", ""))
        answer.content_type = "application/octet-stream"
        answer.content_length = size
        async with contextlib.aclosing(self._media.open(key)) as pieces:  # type: ignore[type-var]
            await answer.prepare(request)
            async for piece in pieces:
                await answer.write(piece)
        await answer.write_eof()
        return answer


def _kind(mime: str) -> MessageKind:
    """A drawing with scripts is no picture."""
    return "document" if mime == "image/svg+xml" else _KINDS.get(mime.partition("/")[0], "document")


def _attachment(name: str) -> str:
    """The header that makes a browser keep a file, by the name in its plain and in its full form."""
    if not name:
        return "attachment"
    name = file_name(name)
    plain = re.sub(r"[^A-Za-z0-9 .()_-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
