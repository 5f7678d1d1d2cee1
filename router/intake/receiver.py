"""Bodies become events: transports put them into the inbox, the receiver works the inbox off.

Parsing comes later than keeping, may be repeated, and refuses nothing: what cannot be parsed becomes an
"unsupported message" that keeps the raw body. Bodies leave the inbox in the same step in which their
events enter the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from crm.kernel.errors import LeaseLost, NavbatError, Unavailable
from router.backoff import Backoff
from router.intake.fetch import Fetcher, jobs_for
from router.intake.inbox import ChannelInbox
from router.intake.order import Reorder
from router.intake.report import ChannelReport, report_for_ever
from router.intake.source import MediaFiles, Source
from router.intake.understanding import number, understand, writable
from router.log.leading import Leader
from router.log.lease import Lease
from router.log.log import QUIET_MS, Log

logger = logging.getLogger(__name__)

READ = 256
"""Bodies taken from one inbox at a time."""


class Receiver:
    """Everything that comes in through the given channels. Any number of processes may run one:
    each takes web hooks, and for each channel one of them pulls, one parses and one fetches."""

    def __init__(self, log: Log, channels: Sequence[Source], media: MediaFiles) -> None:
        self._log = log
        self._channels = {channel.name: channel for channel in channels}
        self._inboxes = {channel.name: ChannelInbox(log, channel.name) for channel in channels}
        self._media = media
        self._token = uuid.uuid4().hex

    def routes(self) -> list[web.RouteDef]:
        """The web hooks of all push channels."""
        return [
            route for name, channel in self._channels.items() for route in channel.routes(self._inboxes[name])
        ]

    async def run(self) -> None:
        """Pulls, parses and fetches until cancelled."""
        if not self._channels:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            for name, channel in self._channels.items():
                group.create_task(self._report(channel), name=f"health-{name}")
                parts = {"parse": self._parse}
                if type(channel).run is not Source.run:
                    parts["pull"] = self._pull
                if channel.fetches_files:
                    parts["fetch"] = self._fetch
                for what, work in parts.items():
                    group.create_task(self._lead_for_ever(channel, what, work), name=f"{what}-{name}")

    async def _report(self, channel: Source) -> None:
        await report_for_ever(
            self._log, f"channel:{channel.name}", lambda: ChannelReport(trouble=channel.trouble)
        )

    async def _pull(self, channel: Source, lease: Lease) -> None:
        channel.trouble = ""
        await channel.run(self._inboxes[channel.name])

    async def _fetch(self, channel: Source, lease: Lease) -> None:
        await Fetcher(self._log, channel, self._media).run()

    async def _lead_for_ever(
        self, channel: Source, what: str, work: Callable[[Source, Lease], Awaitable[None]]
    ) -> None:
        """Does one channel's work whenever this process leads in it, and again after a failure, so
        that none disturbs another."""

        def failed(error: Exception) -> None:
            if isinstance(error, NavbatError):
                channel.trouble = str(error)
                logger.warning("channel %s: %s stopped: %s", channel.name, what, type(error).__name__)
            else:
                channel.trouble = f"failed: {type(error).__name__}"
                logger.error("channel %s: %s failed", channel.name, what, exc_info=error)

        leader = Leader(self._log, f"{what}:{channel.name}", self._token)
        await leader.run_for_ever(lambda lease: work(channel, lease), failed)

    # ---------------------------------------------------------------- parsing

    async def _parse(self, channel: Source, lease: Lease) -> None:
        """Works off one channel's inbox. What is in it is undone, so a start begins at 0."""
        backoff = Backoff(most=5.0)
        name = channel.name
        after: dict[str, str] = {}
        order = await self._order(name, backoff)
        while True:
            try:
                rows = await self._log.read_raw([name], after, READ, order.wait(_ms()) or QUIET_MS)
            except Unavailable:
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            for _, entry, body in rows:
                order.add(entry, number(channel, body), body, _ms())
                after[name] = entry
            if ready := order.take(_ms()):
                await self._move(channel, ready, order.last, lease)

    async def _order(self, name: str, backoff: Backoff) -> Reorder:
        """A channel's order, from where the last process left it."""
        while True:
            try:
                return Reorder(await self._log.last_number(name))
            except Unavailable:
                await asyncio.sleep(backoff.next())

    async def _move(
        self, channel: Source, ready: Sequence[tuple[str, bytes]], last: int | None, lease: Lease
    ) -> None:
        """Moves bodies as events into the log, however long Redis takes to come back."""
        read = understand
        events = [event for _, body in ready for event in read(channel, body)]
        backoff = Backoff(most=5.0)
        while True:
            try:
                jobs = jobs_for(events) if channel.fetches_files else []
                return await self._log.move_parsed(
                    channel.name, [entry for entry, _ in ready], events, jobs, last, lease
                )
            except Unavailable:
                await asyncio.sleep(backoff.next())
            except LeaseLost:
                raise
            except Exception:
                if read is writable:
                    raise
                # Rare enough not to look for it in every event: only now is each body tried alone.
                read = writable
                events = [event for _, body in ready for event in read(channel, body)]


def _ms() -> int:
    """The time for waiting: a host clock that is set back stops nothing."""
    return time.monotonic_ns() // 1_000_000
