"""What keeps a desk from taking messages and committing them, asked of those who must know.

Beside it what the configuration of Redis puts at risk: an answer of the desk is a promise that the
message is kept, and it is Redis that keeps it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.ports import Store
from router.log.home import home_of
from router.log.log import Log
from router.log.pipe import reaching
from router.wire.protocol import Trouble

LOOK_TIMEOUT = 2.0
"""Seconds that Redis or the store may take to answer the question how they are."""
FRESH = 1.0
"""Seconds for which an answer serves everybody who asks."""
ROUTER_GRACE = 10.0
"""Seconds without a router after which nobody is coming to take over."""
PROBE_TTL_MS = 60_000


class Risk(msgspec.Struct, frozen=True):
    """A setting of Redis that may cost what was acknowledged. ``fatal``: it will, in ordinary operation."""

    text: str
    fatal: bool = False


class Health:
    """Asks Redis (by writing), the router (by its reports) and the store (by reading). ``more`` adds what
    the process itself knows. Any number may ask at a time; an answer is at most ``FRESH`` seconds old."""

    def __init__(
        self, log: Log, store: Store | None = None, more: Callable[[], Sequence[Trouble]] = tuple
    ) -> None:
        self._log = log
        self._store = store
        self._more = more
        self._lock = asyncio.Lock()
        self._looked = float("-inf")
        self._troubles: list[Trouble] = []
        self._router_seen = time.monotonic()
        self._risks: tuple[float, list[Risk]] = (float("-inf"), [])

    async def look(self) -> list[Trouble]:
        """What is wrong now, what stops messages first."""
        async with self._lock:
            if time.monotonic() - self._looked > FRESH:
                redis, store = await asyncio.gather(self._redis(), self._ask_store())
                known = self._more()
                # Who runs Redis knows better why it does not answer.
                heard = () if known and [t.code for t in redis] == ["redis_away"] else redis
                found = [*known, *heard, *store]
                self._troubles = sorted(found, key=lambda trouble: not trouble.stops)
                self._looked = time.monotonic()
            return self._troubles

    async def risks(self) -> list[Risk]:
        """What Redis' settings put at risk, asked once a minute; nothing while it does not answer."""
        at, found = self._risks
        if time.monotonic() - at > 60:
            try:
                async with asyncio.timeout(LOOK_TIMEOUT):
                    found = await risks(self._log)
            except (Unavailable, TimeoutError):
                return found
            self._risks = (time.monotonic(), found)
        return found

    async def _redis(self) -> list[Trouble]:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                await self._log.probe(PROBE_TTL_MS)
                reports = await self._log.reports()
        except Unavailable as error:
            return [Trouble("redis", error.code or "redis_away", str(error))]
        except TimeoutError:
            return [Trouble("redis", "redis_away", "Redis does not answer in time")]
        return [*self._router(reports), *_clocks(reports), *_projector(reports)]

    def _router(self, reports: Mapping[str, bytes]) -> list[Trouble]:
        if has_router(reports):
            self._router_seen = time.monotonic()
        if time.monotonic() - self._router_seen < ROUTER_GRACE:
            return []
        return [Trouble("router", "router_away", "no router writes the desk")]

    async def _ask_store(self) -> list[Trouble]:
        if self._store is None:
            return []
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                await self._store.get("cursors", "journal")
        except NavbatError as error:
            code = getattr(error, "code", "") or "store_away"
            return [Trouble("store", code, str(error), stops=False)]
        except TimeoutError:
            return [Trouble("store", "store_away", "the store does not answer in time", stops=False)]
        return []


def has_router(reports: Mapping[str, bytes]) -> bool:
    """Whether somebody writes the desk."""
    return any(
        name.startswith("router:") and msgspec.json.decode(raw).get("active") for name, raw in reports.items()
    )


def _clocks(reports: Mapping[str, bytes]) -> list[Trouble]:
    """What the router says of clocks that are wrong. Nothing stops because of it."""
    for name, raw in reports.items():
        report = msgspec.json.decode(raw) if name.startswith("router:") else {}
        if report.get("trouble"):
            return [Trouble("router", report["trouble"], report.get("text", ""), stops=False)]
    return []


def _projector(reports: Mapping[str, bytes]) -> list[Trouble]:
    """Why the history does not grow, as who writes it says."""
    for name, raw in reports.items():
        report = msgspec.json.decode(raw) if name == "projector" else {}
        if report.get("trouble"):
            return [Trouble("store", report["trouble"], report.get("text", ""), stops=False)]
    return []


# ------------------------------------------------------------------ how Redis is set


async def risks(log: Log) -> list[Risk]:
    """What of the settings may cost something. A master with replicas may keep nothing on its disk: they
    have it. Raises ``Unavailable``."""
    settings = await _settings(log)
    home = home_of(log.redis)
    replicas = home.replicas if home else 0
    return [*_of_memory(settings), *_of_disk(settings, replicas), *_of_replicas(settings, replicas)]


def _of_memory(settings: Mapping[str, str]) -> list[Risk]:
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy == "noeviction":
        return []
    if settings.get("maxmemory", "0") == "0":
        return [
            Risk(f"maxmemory-policy is {policy}: with a maxmemory Redis would drop messages; set noeviction")
        ]
    return [
        Risk(
            f"maxmemory-policy is {policy}: Redis drops messages when its memory is full; set noeviction",
            fatal=True,
        )
    ]


def _of_replicas(settings: Mapping[str, str], replicas: int) -> list[Risk]:
    if replicas < 2 or settings.get("min-replicas-to-write", "1") != "0":
        return []
    return [
        Risk(
            "min-replicas-to-write is 0: a master that is cut off from its replicas goes on alone, and what it "
            "takes then is lost when one of them takes over; set 1"
        )
    ]


def _of_disk(settings: Mapping[str, str], replicas: int) -> list[Risk]:
    if settings.get("appendonly") == "no":
        return [
            Risk(
                "appendonly is no: what was acknowledged is lost when Redis ends; set appendonly yes",
                fatal=not replicas,
            )
        ]
    found = []
    sync = settings.get("appendfsync", "")
    if sync and sync != "always":
        what = "the last second" if sync == "everysec" else "the last half a minute"
        found.append(Risk(f"appendfsync is {sync}: a power cut may cost {what} of messages; set always"))
    if not sync:
        found.append(
            Risk("Redis does not tell how it syncs its append-only file: appendfsync should be always")
        )
    if sync == "always" and settings.get("no-appendfsync-on-rewrite") == "yes":
        found.append(
            Risk("no-appendfsync-on-rewrite is yes: nothing is synced while the file is rewritten; set no")
        )
    return found


_NAMES = (
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory",
    "maxmemory-policy",
    "min-replicas-to-write",
)


async def _settings(log: Log) -> dict[str, str]:
    """As CONFIG says; where a provider forbids that, what INFO tells of it."""
    redis: Any = log.redis
    async with reaching("settings"):
        try:
            found: dict[str, str] = {}
            for name in _NAMES:
                found |= await redis.config_get(name)
        except ResponseError:
            info = {**await redis.info("persistence"), **await redis.info("memory")}
            return {
                "appendonly": "yes" if info.get("aof_enabled") else "no",
                "maxmemory": str(info.get("maxmemory", 0)),
                "maxmemory-policy": str(info.get("maxmemory_policy", "noeviction")),
            }
        return found
