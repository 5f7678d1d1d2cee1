"""How the desk does, as one gateway knows it: for the bars of consoles and for ``navbat status``. While
Redis does not answer it is what was known last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crm.kernel.errors import Unavailable
from router.gateway.access import Access
from router.gateway.health import Health, has_router
from router.gateway.picture import Picture
from router.log.log import Log, now_ms
from router.log.quarantine import Amount, Quarantine
from router.wire.protocol import Pong, StatusReport, Trouble


class DeskStatus:
    """``down`` lists channels and parts that do not work now, by name."""

    def __init__(self, log: Log, picture: Picture, health: Health) -> None:
        self._log = log
        self._picture = picture
        self._health = health
        self._reports: dict[str, dict[str, Any]] = {}
        self._lags: dict[str, int] = {}
        self._known_at = 0
        self._aside = Amount(0, 0, 0)
        self._lag = 0
        self._troubles: list[Trouble] = []
        self._had_router = False
        self.down: list[str] = []

    async def refresh(self) -> None:
        """Asks anew. What does not answer is a trouble; nothing is raised."""
        self._troubles = await self._health.look()
        try:
            reports = await self._log.reports()
            self._lags = await self._log.lags(sorted(self._picture.configured.channels))
            self._lag = await self._log.behind()
            self._picture.ahead = await self._log.ahead()
            self._aside = await Quarantine(self._log).amount()
        except Unavailable as error:
            self.lost(error)
            return
        self._known_at = now_ms()
        self._reports = {name: msgspec.json.decode(raw) for name, raw in reports.items()}
        parts = {trouble.part for trouble in self._troubles}
        if has_router(reports):
            self._had_router = True
        elif self._had_router:  # at a start it is on its way, and a trouble when it does not come
            parts.add("router")
        self.down = sorted(parts) if "redis" in parts else sorted({*troubled(reports), *parts})

    def lost(self, error: Unavailable) -> None:
        """Redis was found not to answer."""
        if not any(trouble.part == "redis" for trouble in self._troubles):
            self._troubles = [Trouble("redis", error.code or "redis_away", str(error)), *self._troubles]
        self.down = sorted({trouble.part for trouble in self._troubles})

    def found(self) -> None:
        """Redis answers again."""
        self._troubles = [trouble for trouble in self._troubles if trouble.part != "redis"]
        self.down = sorted({trouble.part for trouble in self._troubles})

    def pong(self, at: int) -> Pong:
        """The answer to a console's heartbeat."""
        waits = {"in": 0, "out": 0, "log": self._lags.get("log", 0), "store": self._lags.get("store", 0)}
        for name, count in self._lags.items():
            kind, colon, _ = name.partition(":")
            if colon:
                waits[kind] += count
        return Pong(
            at=at, now=self._picture.now(), lag=self._lag, down=self.down,
            troubles={trouble.part: trouble.code for trouble in reversed(self._troubles)},
            waits={kind: count for kind, count in waits.items() if count},
        )  # fmt: skip

    async def report(self, rid: int, access: Access) -> StatusReport:
        """Everything, as it is now."""
        await self.refresh()
        channels = {
            k.removeprefix("channel:"): v for k, v in self._reports.items() if k.startswith("channel:")
        }
        return StatusReport(
            rid=rid,
            desk=self._log.desk,
            parts={k: v for k, v in self._reports.items() if not k.startswith("channel:")},
            channels=channels,
            lags=self._lags,
            lines=[self._picture.line_view(name) for name in sorted(access.lines)],
            operators=self._picture.colleagues(access),
            troubles=self._troubles,
            risks=[risk.text for risk in await self._health.risks()],
            known_at=self._known_at,
            quarantine=self._aside.items,
            quarantine_fell_out=self._aside.fell_out,
        )


def troubled(reports: Mapping[str, bytes]) -> list[str]:
    """Who says of himself that he is in trouble."""
    found = set()
    for name, raw in reports.items():
        kind, _, part = name.partition(":")
        if kind in ("channel", "out") and msgspec.json.decode(raw).get("trouble"):
            found.add(part)
    return sorted(found)
