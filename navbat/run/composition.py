"""The composition root: which parts run, in which process, on what. ``navbat run`` ends here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crm.kernel.errors import NavbatError
from crm.kernel.text import one_line
from navbat.cli.reach import admit
from navbat.config.backends import DeskAddress, make_log, make_store, opened, place_of
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from navbat.keeping.migrating import migrated
from navbat.run import logs, parts
from navbat.run.announce import announce
from navbat.run.child import Child, collect_rarely
from navbat.run.embedded import EmbeddedRedis, FolderLock, belongs_to, make_private
from navbat.run.serving import attach
from navbat.run.waiting import StartupWait

if TYPE_CHECKING:
    from aiohttp import web

    from bots.base import Channel
    from crm.kernel.ports import Store
    from navbat.run.web.door import Door
    from navbat.run.web.server import Server
    from router.log.log import Log
    from router.wire.protocol import Trouble

logger = logging.getLogger(__name__)

ROLES = ("receiver", "router", "gateway", "sender", "projector")
EMPTY_ROLES = {
    "trackers": "no exchange with another system is configured",
    "vision": "no camera is configured",
}
STOP_TIMEOUT = 9.0
EDGES = frozenset({"gateway", "receiver", "sender"})
LISTENING = frozenset({"gateway", "receiver"})
"""Roles that listen on the port of the configuration."""


def run(config: Config, book: Rulebook, roles: Sequence[str] = ()) -> int:
    """Runs a desk (or the given parts of one) until SIGTERM or SIGINT. Raises ``NavbatError`` when
    it cannot start."""
    for role in roles:
        if role in EMPTY_ROLES:
            raise NavbatError(f"--role {role}: there is nothing to run, {EMPTY_ROLES[role]}")
    collect_rarely()
    logs.set_up(secrets_of(config))
    with contextlib.ExitStack() as stack:
        make_private(config.folder)
        if not roles:
            stack.enter_context(FolderLock(config.folder))
        if not (config.redis and config.mongodb):
            belongs_to(config.folder, config.desk, claim=True)
        return asyncio.run(_run(config, book, frozenset(roles)))


def secrets_of(config: Config) -> list[str]:
    """What must never be logged: every ``Secret`` among the channels' settings."""
    from bots.base import Secret

    found = []
    for settings in config.channels.values():
        values = (getattr(settings, name) for name in settings.__struct_fields__)
        found += [str.__str__(value) for value in values if isinstance(value, Secret)]
    return found


async def _run(config: Config, book: Rulebook, roles: frozenset[str]) -> int:
    """Serves until a signal comes; a second one ends at once."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if asked.is_set():
            os._exit(1)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    desk = DeskProcess(config, book, roles)
    serving = asyncio.create_task(desk.serve(), name="desk")
    waiting = asyncio.create_task(asked.wait(), name="signal")
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if asked.is_set():
        serving.cancel()
        done, _ = await asyncio.wait({serving}, timeout=STOP_TIMEOUT)
        if not done:
            logger.error("the desk did not stop in time and is cut off")
            desk.cut()
            os._exit(1)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    return 0


class DeskProcess:
    """One process of a desk, with everything it owns."""

    def __init__(self, config: Config, book: Rulebook, roles: frozenset[str]) -> None:
        self._config = config
        self._book = book
        self._whole = not roles
        self._roles = roles or frozenset(ROLES)
        self._stack = contextlib.AsyncExitStack()
        self._supervisor = parts.Supervisor()
        self._tasks: list[asyncio.Task[None]] = []
        self._redis: EmbeddedRedis | None = None
        self._children: list[Child] = []

    async def serve(self) -> None:
        """Starts everything, says so on stdout, and works until cancelled. Raises ``NavbatError``
        when it cannot start."""
        async with self._stack as stack:
            place = place_of(self._config, await self._reach_redis())
            log, store = make_log(place), make_store(place)
            stack.push_async_callback(log.close)
            stack.push_async_callback(store.close)
            async with StartupWait(self._config.gateway if self._roles & LISTENING else None) as waiting:
                await self._until_there(waiting, log, store)
            if self._whole:
                for part in ("router", "projector"):
                    child = Child(place, part)
                    self._children.append(child)
                    self._own(asyncio.create_task(child.run(), name=f"{part} process"))
            else:
                self._start_core(log, store, place)
            url = await self._start_edges(log, store, place)
            self._start_report(log, place)
            for child in self._children:
                await child.until_ready()
            self._say_ready(url, place)
            await parts.until_one_ends(self._tasks)

    async def _until_there(self, waiting: StartupWait, log: Log, store: Store) -> None:
        """Waits for what the desk is built on, and tells the desk its accounts and lines."""
        if self._config.redis:
            await waiting.until("redis", lambda: admit(log, accept=self._config.accept_volatile_redis))
        await waiting.until("store", lambda: opened(store))
        await waiting.until("store", lambda: migrated(store))
        if self._roles & {"router", "receiver"}:
            await waiting.until("redis", lambda: announce(self._config, self._book, log, store))

    def cut(self) -> None:
        """Ends the processes that this one started, at once: nothing acknowledged is lost by it."""
        pids = [child.pid for child in self._children]
        for pid in (*pids, self._redis.pid if self._redis else 0):
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    # ---------------------------------------------------------------- starting

    def _own(self, task: asyncio.Task[None]) -> None:
        """The task is cancelled when the desk ends, in the reverse order of starting."""
        self._tasks.append(task)
        self._stack.push_async_callback(parts.cancel, task)

    async def _reach_redis(self) -> str:
        """The URL of the configured Redis, or of our own, started if nobody else may have."""
        if self._config.redis:
            return self._config.redis
        if not self._whole:
            return await attach(self._config.folder)
        self._redis = EmbeddedRedis(self._config.folder)
        self._stack.push_async_callback(self._redis.stop)
        await self._redis.start()
        self._own(asyncio.create_task(self._redis.watch(), name="redis-server"))
        return self._redis.url

    def _start_core(self, log: Log, store: Store, place: DeskAddress) -> None:
        """Router and projector in this process."""
        if "router" in self._roles:
            self._own(self._supervisor.start("router", lambda: parts.run_router(log, store, place)))
        if "projector" in self._roles:
            self._own(self._supervisor.start("projector", lambda: parts.run_projector(log, store, place)))

    async def _start_edges(self, log: Log, store: Store, place: DeskAddress) -> str:
        """Gateway, receiver and sender; returns the URL where they listen, or ""."""
        from navbat.run.health import HealthPages
        from navbat.run.web.server import make_door
        from router.gateway.health import Health
        from storage.media import MediaStore

        if not self._roles & EDGES:
            return ""
        health = Health(log, store, self._known_troubles)
        media = MediaStore(Path(self._config.data) / "media")
        channels = Channels(self._config if self._roles & {"receiver", "sender"} else None)
        self._stack.push_async_callback(channels.close)
        door = make_door(self._config.gateway)
        routes = HealthPages(health).routes() if self._roles & LISTENING else []
        starts: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        if "sender" in self._roles:
            from bots.way_out.outbox import Sender

            starts.append(("sender", channels.opened_for(Sender(log, channels.all, media).run)))
        if "receiver" in self._roles:
            from router.intake.receiver import Receiver

            receiver = Receiver(log, channels.all, media)
            routes += receiver.routes()
            starts.append(("receiver", channels.opened_for(receiver.run)))
        if "gateway" in self._roles:
            from navbat.run.web.files import Files
            from navbat.run.web.metrics import Metrics
            from router.consent.keeper import ConsentKeeper
            from router.gateway.gateway import Gateway

            server = f"{socket.gethostname()}:{os.getpid()}"
            gateway = Gateway(
                log, store, server=server, can=abilities(self._config), book=self._book,
                door=door, origins=self._config.gateway.origins, health=health, crm=place.crm,
            )  # fmt: skip
            routes += [*gateway.routes(), *Files(gateway, media, door).routes()]
            routes += Metrics(log, store, gateway.picture, health, door).routes()
            starts.append(("gateway", gateway.run))
            starts.append(("consent", ConsentKeeper(log, store, media, place.crm.retention).run))
        web_server = await self._open_server(routes, door) if routes else None
        for name, start in starts:
            self._own(self._supervisor.start(name, start))
        if web_server is None:
            return ""
        url = await web_server.listen()
        self._own(asyncio.create_task(web_server.serve(), name="web"))
        return url

    def _known_troubles(self) -> list[Trouble]:
        """What this process knows without asking: why its own Redis does not run."""
        from router.wire.protocol import Trouble

        trouble = self._redis.trouble if self._redis else ""
        return [Trouble("redis", "redis_away", one_line(trouble, 500))] if trouble else []

    async def _open_server(self, routes: list[web.RouteDef], door: Door) -> Server:
        """Its end comes after that of the parts behind it, so that these can still say good-bye."""
        from navbat.run.web.server import Server

        server = Server(self._config.gateway, routes, door)
        await server.open()
        self._stack.push_async_callback(server.close)
        return server

    def _start_report(self, log: Log, place: DeskAddress) -> None:
        from router.log.log import now_ms

        started_at = now_ms()

        def fill() -> parts.ProcessReport:
            report = parts.process_report(started_at, self._supervisor.parts)
            report.redis = "external" if self._config.redis else "embedded"
            report.redis_restarts = self._redis.restarts if self._redis else 0
            report.store = place.store_kind
            for child in self._children:
                if child.restarts:
                    again = parts.PartState(trouble=child.trouble, restarts=child.restarts)
                    report.parts = {**report.parts, f"{child.part} process": again}
            return report

        name = (
            "desk" if self._whole else f"{'+'.join(sorted(self._roles))}:{socket.gethostname()}:{os.getpid()}"
        )
        self._own(asyncio.create_task(parts.report(log, name, fill), name="report"))

    def _say_ready(self, url: str, place: DeskAddress) -> None:
        redis = "external" if self._config.redis else "embedded"
        gateway = f" gateway={url}" if url else ""
        roles = "" if self._whole else f" roles={','.join(r for r in ROLES if r in self._roles)}"
        print(f"ready{gateway}{roles} redis={redis} store={place.store_kind}", flush=True)


class Channels:
    """The configured channels. They are opened when the first part needs them, beside everything
    else: an SDK may take seconds to import, and web hooks are accepted meanwhile."""

    def __init__(self, config: Config | None) -> None:
        from bots import registry

        self.all: list[Channel] = [
            registry.channel_type(settings.kind)(name, settings)
            for name, settings in (config.channels if config else {}).items()
        ]
        self._opening = asyncio.Lock()
        self._open: list[Channel] = []

    def opened_for(self, run: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """``run``, once the channels are open."""

        async def opened() -> None:
            async with self._opening:
                for channel in self.all[len(self._open) :]:
                    self._open.append(channel)
                    await _open(channel)
            await run()

        return opened

    async def close(self) -> None:
        for channel in reversed(self._open):
            await channel.close()


async def _open(channel: Channel) -> None:
    """One channel that cannot be opened is in trouble; the others work."""
    try:
        await channel.open()
    except Exception as error:
        channel.trouble = f"cannot be opened: {type(error).__name__}"
        logger.exception("channel %s cannot be opened", channel.name)


def abilities(config: Config) -> dict[str, list[str]]:
    """What each channel can do, by the names of the wire."""
    from bots import registry
    from bots.base import Can

    return {
        name: [
            can.name.lower() for can in Can if can in registry.channel_type(settings.kind).can and can.name
        ]
        for name, settings in config.channels.items()
    }
