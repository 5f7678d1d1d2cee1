"""A desk as separate processes that are killed, and started again by a little supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from storage.sqlite import SqliteStore
from tests.conftest import RedisServer

ROOT = Path(__file__).parent.parent.parent
ROLES = ("receiver", "router", "gateway", "sender", "projector")
TOKEN = "4711:crash-test"
REDIS = "redis-server"
EVERYTHING = "everything"
START_WITHIN = 60.0


def free_port() -> int:
    """A port that nobody listens on, for a process that must come back on the same one."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Service:
    """One process, started again whenever it ends, as systemd would do."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.ready = asyncio.Event()
        self.starts = 0
        self.process: asyncio.subprocess.Process | None = None
        self._folder = folder
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.name}")

    async def _keep(self) -> None:
        with (self._folder / f"{self.name}.err").open("ab") as errors:
            while True:
                await self._run_once(errors.fileno())
                await asyncio.sleep(0.1)

    async def _run_once(self, errors: int) -> None:
        process = self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "navbat", *self.arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
            cwd=self._folder, env=environment(self._folder),
        )  # fmt: skip
        self.starts += 1
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line.startswith(b"ready"):
                self.ready.set()
        await process.wait()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """To this process, if it lives."""
        if self.process is not None and self.process.returncode is None:
            self.ready.clear()
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def end(self) -> None:
        """For good, at once."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self.process is not None and self.process.returncode is None:
            for child in _children(self.process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NAVBAT_")}
    return kept | {"HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


class House:
    """A folder with the configuration of one desk that runs on ``redis``, and its processes.

    The gateway and the web hooks listen on ports of their own that stay the same.
    """

    def __init__(
        self, folder: Path, redis: RedisServer | None, api_url: str, *, receive: str, line: str = "sales"
    ) -> None:
        self.folder = folder
        self.redis = redis
        self.services: dict[str, Service] = {}
        self.gateway_port, self.hook_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.gateway_port}"
        self.lease_ttl = 3.0
        self._api_url = api_url
        self._receive = receive
        self._line = line

    # ---------------------------------------------------------------- setting up

    def write_config(self, lines: str = "{sales: {mode: even, members: [anna], answer_within: 1h}}") -> None:
        """Two files that differ in the port only."""
        shared = f"""
desk: shop
data: ./data
lease_ttl: {self.lease_ttl * 1000:.0f}ms
lines: {lines}
channels:
  tg:
    {{kind: telegram, line: {self._line}, token: "{TOKEN}", api_url: "{self._api_url}",
     receive: {self._receive}, public_url: "http://127.0.0.1:{self._hooks_at}"}}
"""
        if self.redis is not None:
            shared += f"redis: {self.redis.url}\n"
        for name, port in (("gateway", self.gateway_port), ("receiver", self.hook_port)):
            text = f'{shared}gateway: {{listen: "127.0.0.1:{port}"}}\n'
            (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    @property
    def _hooks_at(self) -> int:
        """The embedded desk has one port for everything."""
        return self.hook_port if self.redis else self.gateway_port

    async def command(self, *words: str, stdin: str = "") -> str:
        """What a command line says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "navbat", "--config", str(self.folder / "gateway.yaml"), *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.folder, env=environment(self.folder),
        )  # fmt: skip
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()
        return out.decode().strip()

    async def add_operator(self, name: str, *more: str) -> str:
        """The token of a new account."""
        return await self.command("operator", "add", name, "--token", *more)

    def add_role(self, name: str, role: str) -> Service:
        file = "receiver.yaml" if role == "receiver" else "gateway.yaml"
        arguments = ["--config", str(self.folder / file), "run", "--role", role]
        service = self.services[name] = Service(name, arguments, self.folder)
        service.start()
        return service

    async def start(self, roles: Sequence[str] = ROLES) -> None:
        for role in roles:
            self.add_role(role, role)
        await self.until_ready()

    async def start_whole(self) -> None:
        """One ``navbat run`` with everything, embedded."""
        arguments = ["--config", str(self.folder / "gateway.yaml"), "run"]
        service = self.services["desk"] = Service("desk", arguments, self.folder)
        service.start()
        await self.until_ready()

    async def until_ready(self) -> None:
        async with asyncio.timeout(START_WITHIN):
            await asyncio.gather(*(service.ready.wait() for service in self.services.values()))

    async def end(self) -> None:
        await asyncio.gather(*(service.end() for service in self.services.values()))

    # ---------------------------------------------------------------- killing

    async def kill(self, victim: str) -> None:
        """kill -9 of a process by name, or of everything; Redis comes back at once."""
        for name, service in self.services.items():
            if victim in (name, EVERYTHING):
                service.signal(signal.SIGKILL)
        if self.redis is not None and victim in (REDIS, EVERYTHING):
            self.redis.kill()
            await asyncio.to_thread(self.redis.start)

    async def kill_child(self, word: str) -> None:
        """kill -9 of the child of the embedded desk whose command line has the word, once there is one."""
        while True:
            for child in _children(self.services["desk"].pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if any(word in part for part in child.cmdline()):
                        child.kill()
                        return
            await asyncio.sleep(0.02)

    # ---------------------------------------------------------------- looking

    async def stored(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Messages as the store has them, in order within each session."""
        return await self.kept("messages", wanted, ("session", "seq"))

    async def kept(
        self, collection: str, wanted: dict[str, Any], order: Sequence[str] = ("_id",)
    ) -> list[dict[str, Any]]:
        """Documents of the store."""
        store = SqliteStore(self.folder / "data" / "navbat.sqlite")
        await store.open()
        try:
            return await store.find(collection, wanted, sort=[(field, 1) for field in order])
        finally:
            await store.close()


def deck(victims: Sequence[str], seed: int) -> list[tuple[float, str]]:
    """Every victim once, in an order and at distances (1 to 3 s) that the seed decides."""
    chance = random.Random(seed)
    order = list(victims)
    chance.shuffle(order)
    return [(chance.uniform(1, 3), victim) for victim in order]
