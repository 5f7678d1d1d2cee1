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
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from console.settings import Shelf
from console.text.words import Words

PORT = 8701
PAGE = Path(__file__).parent / "page"
"""The page around the terminal; the terminal and its font come with textual-serve."""


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


def only_ours(origin: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Tells the browser to load nothing from anywhere else, whatever comes into the page."""
    socket = origin.replace("http", "ws", 1)
    policy = (
        f"default-src 'self'; connect-src 'self' {socket}; img-src 'self' data:; "
        "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    )

    async def add(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = policy
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"

    return add


def _same(given: str, key: str) -> bool:
    return hmac.compare_digest(given.encode(), key.encode())


async def _nothing(_: web.Application) -> None:
    """In place of textual-serve's own greeting, which comes before the port is open."""


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
        templates: Any = importlib.import_module("aiohttp_jinja2")
    except ImportError:
        sys.stderr.write(words("web.missing") + "\n")
        return 2
    if token:
        os.environ["NAVBAT_TOKEN"] = token  # to the consoles it starts; a command line can be seen by all
    port, key = free_port(host, PORT), secrets.token_urlsafe(24)
    origin = f"http://{host}:{port}"
    command = [sys.executable, "-m", "navbat", "console", *(["--url", url] if url else [])]
    server = serving.Server(
        shlex.join(command), host=host, port=port, title="navbat", public_url=origin, templates_path=PAGE
    )
    server.on_startup = _nothing

    async def guarded() -> web.Application:
        app: web.Application = await server._make_app()
        app.middlewares.append(guard(key, origin, words("web.denied")))
        app.on_response_prepare.append(only_ours(origin))
        texts = {"language": words.language, "ended": words("web.ended"), "again": words("web.again")}
        templates.get_env(app).globals.update(texts)
        return app

    def announce(*_: object) -> None:
        """Called when the port is open."""
        sys.stdout.write(words("web.open", url=f"{origin}/?key={key}") + "\n")
        sys.stdout.flush()

    # an access log would show the key
    web.run_app(guarded(), host=host, port=port, print=announce, access_log=None, shutdown_timeout=3.0)
    return 0
