"""The same console in a browser, through textual-serve (the optional extra ``web-console``).

Whoever reaches the page sits at the operator's desk. So it listens on this computer only, opens by an
address with a secret that is printed once, and answers no page of another origin: a browser lets any
site connect to a WebSocket of this computer.
"""

from __future__ import annotations

import hmac
import importlib
import os
import secrets
import shlex
import socket
import sys
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from console.settings import Shelf
from console.words import Words

PORT = 8701


def guard(key: str, origin: str, denied: str) -> Middleware:
    """Lets only those in who came once by ``/?key=…``: a cookie remembers it. ``denied`` is what
    the others read."""
    cookie = f"navbat-{origin.rpartition(':')[2]}"

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Origin", origin) != origin:
            raise web.HTTPForbidden(text=denied)
        if _same(request.query.get("key", ""), key):
            answer = web.HTTPFound("/")
            answer.set_cookie(cookie, key, httponly=True, samesite="Strict")
            raise answer
        if not _same(request.cookies.get(cookie, ""), key):
            raise web.HTTPForbidden(text=denied)
        return await handler(request)

    return check


def _same(given: str, key: str) -> bool:
    return hmac.compare_digest(given.encode(), key.encode())


def free_port(host: str, wanted: int) -> int:
    """``wanted`` if nobody listens there, else one that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted


def serve(url: str, token: str = "", host: str = "127.0.0.1") -> int:
    """Serves until interrupted; each browser tab is a console of its own. ``url`` and ``token`` are
    those of the desk. Returns 2 when the extra is not installed."""
    words = Words(Shelf().load().language)
    try:
        serving: Any = importlib.import_module("textual_serve.server")
    except ImportError:
        sys.stderr.write(words("web.missing") + "\n")
        return 2
    if token:
        os.environ["NAVBAT_TOKEN"] = token  # to the consoles it starts; a command line can be seen by all
    port, key = free_port(host, PORT), secrets.token_urlsafe(24)
    origin = f"http://{host}:{port}"
    command = [sys.executable, "-m", "navbat", "console", *(["--url", url] if url else [])]
    server = serving.Server(shlex.join(command), host=host, port=port, title="navbat", public_url=origin)
    make = server._make_app

    async def guarded() -> web.Application:
        app: web.Application = await make()
        app.middlewares.append(guard(key, origin, words("web.denied")))
        return app

    async def announce(_: web.Application) -> None:
        sys.stdout.write(words("web.open", url=f"{origin}/?key={key}") + "\n")
        sys.stdout.flush()

    server._make_app, server.on_startup = guarded, announce
    server.initialize_logging = lambda: None  # its log would show the key
    server.serve()
    return 0
