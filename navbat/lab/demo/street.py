"""The customers' side of the demo's channels: they write by web hook and hear what was delivered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from bots.loopback import Item, SentItem

POLL = 0.05
"""Seconds between two looks for new deliveries."""

_sent = msgspec.json.Decoder(SentItem)


class Street:
    """``listen`` must run for deliveries to be heard; ``hear`` is told each of them, in order."""

    def __init__(self, url: str, secret: str, files: list[Path]) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._files = dict.fromkeys(files, 0)
        self._listeners: list[Callable[[SentItem], None]] = []
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Makes the HTTP client; ``close`` ends it."""
        self._http = aiohttp.ClientSession(headers=self._headers)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def write(self, channel: str, item: Item) -> None:
        """Returns when the desk has acknowledged the item. An item that may or may not have arrived
        is sent again under the same id, as every platform does."""
        assert self._http is not None
        body = msgspec.json.encode(item)
        while True:
            try:
                async with self._http.post(f"{self._url}/hooks/loopback/{channel}", data=body) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, OSError):
                pass  # the desk is away: the same as a 503
            await asyncio.sleep(random.uniform(0.1, 0.5))

    def hear(self, listener: Callable[[SentItem], None]) -> None:
        """Calls the listener with every delivery from now on."""
        self._listeners.append(listener)

    async def listen(self) -> None:
        """Reads the channels' files of deliveries until cancelled."""
        while True:
            for path, position in self._files.items():
                self._files[path] = self._read(path, position)
            await asyncio.sleep(POLL)

    def _read(self, path: Path, position: int) -> int:
        """Tells the whole lines after a position; returns where they end."""
        try:
            with path.open("rb") as file:
                file.seek(position)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return position
        for line in whole.splitlines():
            for listener in self._listeners:
                listener(_sent.decode(line))
        return position + len(whole) + len(newline)
