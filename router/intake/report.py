"""What the status shows of the parts that serve channels: each tells how it does, again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from crm.kernel.errors import Unavailable
from router.beat import until_beat
from router.log.log import Log

REPORT_EVERY = 5.0
"""Seconds between two health reports; a report lives three times as long."""


class ChannelReport(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One part's report: what is wrong with it (empty: nothing), whether this process leads, how many
    deliveries it holds in memory, and how many have ended since it started, by outcome."""

    trouble: str = ""
    leading: bool = True
    waiting: int = 0
    ended: dict[str, int] = {}


async def report_for_ever(log: Log, part: str, fill: Callable[[], ChannelReport | None]) -> None:
    """Tells the health of a part until cancelled; None is told to nobody. Redis being away is not its
    business."""
    while True:
        report = fill()
        if report is not None:
            with contextlib.suppress(Unavailable):
                await log.report(part, msgspec.json.encode(report), ttl=3 * REPORT_EVERY)
        await asyncio.sleep(until_beat(REPORT_EVERY))
