"""``/health/live`` and ``/health/ready``: for load balancers and supervisors that ask over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import web

from router.health import Health
from router.protocol import Trouble


class HealthPages:
    """``waits_for``: what the process waits for before it serves; empty once it does."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self.waits_for: list[Trouble] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health/live", self._live), web.get("/health/ready", self._ready)]

    async def _live(self, request: web.Request) -> web.Response:
        return _answer(200, {"live": True})

    async def _ready(self, request: web.Request) -> web.Response:
        """503 while no message can be accepted and committed; what else is wrong is told in any case."""
        troubles = self.waits_for or await self._health.look()
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
