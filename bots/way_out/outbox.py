"""The way out: deliveries leave through their channels, each chat in order, each at most once.

Before the first byte leaves, a delivery is marked in Redis as being sent. Whoever takes over finds
the marks of a process that stopped in the middle and calls those deliveries ``unknown``: nobody can
tell whether they arrived, so a person decides about sending again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import Counter
from collections.abc import Sequence

import msgspec

from bots.base import Can, Channel, MediaFiles
from bots.way_out.lane import Lane
from crm.kernel.errors import Unavailable
from router.backoff import Backoff
from router.intake.report import ChannelReport, report_for_ever
from router.log.leading import Leader
from router.log.lease import Lease
from router.log.log import Log

logger = logging.getLogger(__name__)

TYPING_EVERY = 4.0
"""Seconds for which one "is typing" holds on the platforms."""


class TypingHint(msgspec.Struct):
    """The hint that a gateway publishes while an operator writes. ``chat`` is the key
    ``<channel>:<external chat>``; ``on`` is ``"0"`` when he has stopped."""

    kind: str
    channel: str = ""
    chat: str = ""
    on: str = "1"


class Sender:
    """Everything that goes out through the given channels. Any number of processes may run one:
    for each channel one of them leads and the others stand by."""

    def __init__(self, log: Log, channels: Sequence[Channel], media: MediaFiles) -> None:
        self._log = log
        self._channels = {channel.name: channel for channel in channels}
        self._media = media
        self._token = uuid.uuid4().hex
        self._lanes: dict[str, Lane] = {}
        self._ended: dict[str, Counter[str]] = {name: Counter() for name in self._channels}
        self._typed: dict[tuple[str, str], float] = {}
        self._typing_slots = asyncio.Semaphore(8)

    async def run(self) -> None:
        """Sends until cancelled."""
        if not self._channels:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            for name, channel in self._channels.items():
                group.create_task(self._send_for_ever(channel), name=f"out-{name}")
                group.create_task(self._report(channel), name=f"health-out-{name}")
            group.create_task(self._show_typing(group), name="out-typing")

    async def _send_for_ever(self, channel: Channel) -> None:
        """Leads, and again after a failure: one channel never stops another."""

        async def work(lease: Lease) -> None:
            lane = self._lanes[channel.name] = Lane(
                self._log, channel, self._media, lease, self._ended[channel.name]
            )
            try:
                await lane.run()
            finally:
                del self._lanes[channel.name]

        def failed(error: Exception) -> None:
            if isinstance(error, Unavailable):
                logger.info("outbox of %s waits for Redis", channel.name)
            else:
                channel.trouble = f"failed: {type(error).__name__}"
                logger.error("outbox of %s failed", channel.name, exc_info=error)

        await Leader(self._log, f"out:{channel.name}", self._token).run_for_ever(work, failed, most=5.0)

    async def _report(self, channel: Channel) -> None:
        def health() -> ChannelReport | None:
            lane = self._lanes.get(channel.name)
            if lane is None and not channel.trouble:
                return None  # the one who leads tells
            return ChannelReport(
                trouble=channel.trouble,
                leading=lane is not None,
                waiting=len(lane) if lane else 0,
                ended=self._ended[channel.name],
            )

        await report_for_ever(self._log, f"out:{channel.name}", health)

    # ---------------------------------------------------------------- typing

    async def _show_typing(self, group: asyncio.TaskGroup) -> None:
        backoff = Backoff(most=5.0)
        while True:
            try:
                async with contextlib.aclosing(self._log.hints()) as hints:  # type: ignore[type-var]
                    async for payload in hints:
                        backoff.reset()
                        self._type(payload, group)
            except Unavailable:
                await asyncio.sleep(backoff.next())

    def _type(self, payload: bytes, group: asyncio.TaskGroup) -> None:
        try:
            hint = msgspec.json.decode(payload, type=TypingHint)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        channel = self._channels.get(hint.channel)
        if hint.kind != "typing" or hint.on == "0" or hint.channel not in self._lanes or channel is None:
            return
        now = asyncio.get_running_loop().time()
        if Can.TYPING not in channel.can or self._typing_slots.locked():
            return
        if self._typed.get((hint.channel, hint.chat), 0.0) + TYPING_EVERY > now:
            return
        self._typed = {key: at for key, at in self._typed.items() if at + TYPING_EVERY > now}
        self._typed[hint.channel, hint.chat] = now
        chat = hint.chat.removeprefix(f"{hint.channel}:")
        group.create_task(self._type_once(channel, chat), name="typing")

    async def _type_once(self, channel: Channel, chat: str) -> None:
        async with self._typing_slots:
            try:
                async with asyncio.timeout(TYPING_EVERY):
                    await channel.typing(chat)
            except Exception as error:  # noqa: BLE001 - the boundary: nobody misses a lost "is typing"
                logger.debug("channel %s: typing failed: %s", channel.name, type(error).__name__)
