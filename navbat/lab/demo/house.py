"""A desk for the demo: `navbat run` on a configuration of its own, in a folder that goes with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from types import TracebackType
from typing import Self

from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import NavbatError
from crm.kernel.ports import Store
from crm.operators import accounts
from navbat.config.backends import make_store, place_of
from navbat.config.types import Config, load
from navbat.lab.demo.books import Books
from navbat.lab.demo.past import remember
from storage.migrations.migrating import migrate

HUMAN = "demo"
COLLEAGUES = ("nodira", "timur")
CHANNELS = {"shop": "sales", "help": "support"}
ZONE = "Asia/Tashkent"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 12.0
"""Seconds; `navbat run` promises to end within ten."""

_READY = re.compile(rb"ready gateway=(\S+) ")


class House:
    """The running desk: where it is, and who may log in. ``limit``: sessions of one operator in one
    line, 0 = any number. Nothing of the user's own configuration or data is read or written."""

    def __init__(self, folder: Path, *, limit: int = 0) -> None:
        self.folder = folder
        self.secret = secrets.token_urlsafe(24)
        self.url = ""
        self.tokens: dict[str, str] = {}
        self.since = 0
        """When the demo began (ms): what is older is its past."""
        self._limit = limit
        self._process: Process | None = None

    @property
    def data(self) -> Path:
        """The desk's data folder."""
        return self.folder / "data"

    def sent(self, channel: str) -> Path:
        """Where the channel notes what reached its customers."""
        return self.folder / f"{channel}.sent"

    async def __aenter__(self) -> Self:
        """Returns when the desk serves. Raises ``NavbatError`` when it does not start."""
        await self.furnish()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def open_store(self) -> Store:
        """The desk's store, seen from beside; not opened yet."""
        return make_store(place_of(self._load(), ""))

    def ended(self) -> asyncio.Task[int]:
        """Done when the desk's process has ended."""
        assert self._process is not None
        return asyncio.create_task(self._process.wait(), name="demo-desk")

    # ---------------------------------------------------------------- setting up

    async def furnish(self) -> None:
        """All that is there before the desk runs: its configuration, its people, its past."""
        config = self._configure()
        store = make_store(place_of(config, ""))
        self.data.mkdir(mode=0o700, exist_ok=True)
        await store.open()
        try:
            await migrate(store)
            await self._employ(store)
            await self._recall(config, store)
        finally:
            await store.close()

    def _configure(self) -> Config:
        line = {
            "mode": "even",
            "members": [HUMAN, *COLLEAGUES],
            "answer_within": "30s",
            "max_sessions": self._limit,
            "counts_until": "closed",
            "zone": ZONE,
        }
        tree = {
            "desk": "demo",
            "data": str(self.data),
            "gateway": {"listen": "127.0.0.1:0"},
            "lines": dict.fromkeys(CHANNELS.values(), line),
            "channels": {
                name: {
                    "kind": "loopback",
                    "line": of,
                    "secret": self.secret,
                    "sent_to": str(self.sent(name)),
                }
                for name, of in CHANNELS.items()
            },
        }
        # JSON is YAML, and quotes whatever a folder's name may hold.
        self._file.write_text(json.dumps(tree, indent=1), encoding="utf-8")
        return self._load()

    @property
    def _file(self) -> Path:
        return self.folder / "config.yaml"

    def _load(self) -> Config:
        return load(self._file)

    async def _employ(self, store: Store) -> None:
        for name in (HUMAN, *COLLEAGUES):
            await accounts.add_account(store, name, role="admin" if name == HUMAN else "operator", by="demo")
            self.tokens[name] = await accounts.new_token(store, name, by="demo")

    async def _recall(self, config: Config, store: Store) -> None:
        """The desk has a past."""
        self.since = int(time.time() * 1000)
        staff = (HUMAN, *COLLEAGUES)
        await remember(store, config.lines_configured(), staff, now=self.since, zone=ZONE)
        await Books(store, CrmSettings(), now=self.since, zone=ZONE).write()

    # ---------------------------------------------------------------- the process

    async def _start(self) -> None:
        with (self.folder / "desk.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "navbat", "--config", str(self._file), "run",
                stdin=DEVNULL, stdout=PIPE, stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("NAVBAT_") or k == "NAVBAT_LOG"},
            )  # fmt: skip
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT):
                found = _READY.match(await self._process.stdout.readline())
        except TimeoutError:
            found = None
        if not found:
            raise NavbatError("the demo's desk did not start", self._last_words())
        self.url = found.group(1).decode()

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "desk.log").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-5:])

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
