"""The server itself: listens, accepts through the door, and hands requests to the routes."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
import ssl
from collections.abc import Iterable

from aiohttp import web

from crm.kernel.errors import NavbatError
from navbat.config.types import GatewaySettings
from navbat.run.web.door import HEAD_TIME, IDLE_TIME, Door, Rooms, Visitor, raise_file_limit

logger = logging.getLogger(__name__)

BODY_LIMIT = 1 << 20
"""Bytes of a body that is read as a whole: a web hook's."""
BACKLOG = 1024
AT_ONCE = 16
"""Connections accepted before everybody else has a turn."""
ACCEPT_PAUSE = 0.1
CROWDED_PAUSE = 0.04
"""Seconds between these while people have to make place for others: 400 connections a second."""


def make_door(settings: GatewaySettings) -> Door:
    """With as much room as this process can have."""
    return Door(Rooms.of(raise_file_limit()), settings.trusted)


class Server:
    """Listens where the settings say; ``open`` before the parts that serve run, ``listen`` after, then
    ``serve``."""

    def __init__(
        self, settings: GatewaySettings, routes: Iterable[web.RouteDef], door: Door | None = None
    ) -> None:
        self._door = door or make_door(settings)
        app = web.Application(middlewares=[self._door.watch], client_max_size=BODY_LIMIT)
        app.on_response_prepare.append(_anonymous)
        app.add_routes(list(routes))
        self._settings = settings
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        self._listeners: list[socket.socket] = []
        self._context: ssl.SSLContext | None = None

    async def open(self) -> None:
        await self._runner.setup()

    async def listen(self) -> str:
        """Returns the URL. Raises ``NavbatError`` when the port or the certificate cannot be used."""
        host, port = self._settings.address
        self._context = tls_context(self._settings)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, _, _, _, address in dict.fromkeys(found):
                self._listeners.append(_listener(family, address))
        except OSError as error:
            self._stop_listening()
            raise NavbatError(
                f"cannot listen on {self._settings.listen}: {error.strerror or error}",
                "another program may use that port: set gateway.listen (port 0 chooses a free one)",
            ) from error
        shown, port = self._listeners[-1].getsockname()[:2]
        shown = f"[{shown}]" if ":" in shown else shown
        return f"{'https' if self._context else 'http'}://{shown}:{port}"

    async def serve(self) -> None:
        """Takes connections until cancelled; the open ones live on then, but nobody cuts them."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._door.sweep(), name="door")
                for listener in self._listeners:
                    tasks.create_task(self._accept(listener, tasks), name="accept")
        finally:
            self._stop_listening()

    def _stop_listening(self) -> None:
        while self._listeners:
            self._listeners.pop().close()

    async def _accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            try:
                connection, address = await loop.sock_accept(listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                # Out of descriptors or memory: what waits in the system's queue is taken up again soon.
                logger.error("cannot accept: %s", errno.errorcode.get(error.errno or 0, "OSError"))
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            self._let_stand(connection, address[0], tasks)
            if number % AT_ONCE == 0:
                await asyncio.sleep(CROWDED_PAUSE if self._door.is_crowded else 0)

    def _let_stand(self, connection: socket.socket, address: str, tasks: asyncio.TaskGroup) -> None:
        assert self._runner.server is not None
        visitor = Visitor(
            self._door, address, self._runner.server, asyncio.get_running_loop(),
            access_log=None, keepalive_timeout=IDLE_TIME, max_headers=64,
        )  # fmt: skip
        if not self._door.arrive(visitor):
            connection.close()
            return
        visitor.handshake = tasks.create_task(self._shake_hands(visitor, connection), name="handshake")

    async def _shake_hands(self, visitor: Visitor, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: visitor,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HEAD_TIME if self._context else None,
            )
        except OSError as error:
            logger.info("a connection failed before its first request: %s", type(error).__name__)
            visitor.cut()
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            visitor.handshake = None

    async def close(self) -> None:
        """Ends what is still open."""
        self._stop_listening()
        await self._runner.cleanup()


async def _anonymous(request: web.Request, response: web.StreamResponse) -> None:
    """No answer says by which versions of which programs it was made."""
    response.headers["Server"] = "navbat"


def _listener(
    family: int, address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(BACKLOG)
        made.settimeout(0)
    except BaseException:
        made.close()
        raise
    return made


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
