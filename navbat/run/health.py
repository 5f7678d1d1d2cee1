"""``/health/live`` and ``/health/ready``: for load balancers and supervisors that ask over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from router.gateway.health import Health
from router.wire.protocol import Trouble


class HealthPages:
    """How the process does that serves them."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health/live", self._live), web.get("/health/ready", self._ready)]

    async def _live(self, request: web.Request) -> web.Response:
        return _live()

    async def _ready(self, request: web.Request) -> web.Response:
        """503 while no message can be accepted and committed; what else is wrong is told in any case."""
        troubles = await self._health.look()
        return _readiness(troubles)


def waiting_pages(waits_for: Callable[[], Sequence[Trouble]]) -> list[web.RouteDef]:
    """The same while the process does not serve yet; everything else is told to come again."""

    async def live(request: web.Request) -> web.Response:
        return _live()

    async def ready(request: web.Request) -> web.Response:
        return _readiness(waits_for())

    async def later(request: web.Request) -> web.Response:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})

    return [
        web.get("/health/live", live),
        web.get("/health/ready", ready),
        web.route("*", "/{path:.*}", later),
    ]


def _live() -> web.Response:
    return _answer(200, {"live": True})


def _readiness(troubles: Sequence[Trouble]) -> web.Response:
    ready = not any(trouble.stops for trouble in troubles)
    return _answer(200 if ready else 503, {"ready": ready, "reasons": _shown(troubles)})


def _shown(troubles: Sequence[Trouble]) -> list[dict[str, object]]:
    return [{"part": t.part, "code": t.code, "text": t.text, "stops": t.stops} for t in troubles]


def _answer(status: int, body: object) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
