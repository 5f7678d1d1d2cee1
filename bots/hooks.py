"""What the web hooks of all push channels share: limits, secrets, honest answers."""

from __future__ import annotations

import hmac

from aiohttp import web

from bots.base import Inbox
from crm.kernel.errors import Unavailable

BODY_LIMIT = 1024 * 1024
"""Bytes of one web hook body; no platform comes near it without attachments."""


def same_secret(given: str | None, expected: str) -> bool:
    """Compares in constant time. An empty ``expected`` matches nothing."""
    return bool(expected) and hmac.compare_digest((given or "").encode(), expected.encode())


async def read_body(request: web.Request, limit: int = BODY_LIMIT) -> bytes:
    """The body, never holding more than ``limit`` bytes. Raises 413."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=request.content_length or 0)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=len(body))
    return bytes(body)


async def keep(inbox: Inbox, *bodies: bytes) -> web.Response:
    """200 once the bodies are durable, 503 when they cannot be: the platform will come again."""
    try:
        await inbox.put(*bodies)
    except Unavailable:
        return web.Response(status=503, headers={"Retry-After": "1"})
    return web.Response()
