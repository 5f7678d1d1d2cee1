"""Starting while Redis or the store is away: the process waits and says for what, on stderr and, where it
has a port, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crm.kernel.errors import NavbatError, Unavailable
from navbat.config.types import GatewaySettings
from router.backoff import Backoff
from router.wire.protocol import Trouble

if TYPE_CHECKING:
    from navbat.run.web.server import Server

HOPELESS = frozenset({"redis_access", "redis_refuses", "store_access", "store_damaged"})
"""Waiting does not help: somebody has to do something."""


class StartupWait:
    """Used as a context: its end is when the process serves. ``settings`` name the port that answers
    meanwhile, None where the process has none."""

    def __init__(self, settings: GatewaySettings | None) -> None:
        self._settings = settings
        self._troubles: list[Trouble] = []
        self._stack = contextlib.AsyncExitStack()
        self._listening = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def until(self, part: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Tries until it works. Raises ``Unavailable`` where waiting does not help, and whatever else
        the attempt raises."""
        backoff = Backoff(0.1, 3.0)
        said = ""
        while True:
            try:
                await attempt()
            except Unavailable as error:
                if error.code in HOPELESS:
                    raise
                if str(error) != said:
                    said = str(error)
                    print(f"waiting for {part}: {said}", file=sys.stderr, flush=True)
                self._troubles = [Trouble(part, error.code or f"{part}_away", said)]
                await self._answer()
                await asyncio.sleep(backoff.next())
            else:
                if said:
                    print(f"{part} is there", file=sys.stderr, flush=True)
                self._troubles = []
                return

    async def _answer(self) -> None:
        """Says over HTTP that the process lives and what it waits for."""
        if self._listening or self._settings is None or not self._settings.address[1]:
            return
        from navbat.run.health import waiting_pages
        from navbat.run.web.server import Server

        self._listening = True
        server = Server(self._settings, waiting_pages(lambda: self._troubles))
        await server.open()
        self._stack.push_async_callback(server.close)
        await self._serve(server)

    async def _serve(self, server: Server) -> None:
        try:
            await server.listen()
        except NavbatError as error:
            # Another one has the port: that is told when this process is about to serve.
            print(f"nobody answers on the port meanwhile: {error}", file=sys.stderr, flush=True)
            return
        serving = asyncio.create_task(server.serve(), name="waiting")

        async def stop() -> None:
            serving.cancel()
            await asyncio.wait([serving])

        self._stack.push_async_callback(stop)
