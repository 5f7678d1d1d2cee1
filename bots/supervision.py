"""Keeping parts alive: back-off with jitter, leadership by lease, and what the status shows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

import msgspec

from crm.kernel.errors import LeaseLost, Unavailable
from router.backoff import Backoff
from router.desk.state import Aside
from router.log.lease import Lease
from router.log.log import Log
from router.log.pipe import Args
from router.log.quarantine import kind_of, set_aside

logger = logging.getLogger(__name__)

REPORT_EVERY = 5.0
"""Seconds between two health reports; a report lives three times as long."""


class Health(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One part's report: what is wrong with it (empty: nothing), whether this process leads, how many
    deliveries it holds in memory, and how many have ended since it started, by outcome."""

    trouble: str = ""
    leading: bool = True
    waiting: int = 0
    ended: dict[str, int] = {}


async def report_for_ever(log: Log, part: str, health: Callable[[], Health | None]) -> None:
    """Tells the health of a part until cancelled; None is told to nobody. Redis being away is not its
    business."""
    while True:
        report = health()
        if report is not None:
            with contextlib.suppress(Unavailable):
                await log.report(part, msgspec.json.encode(report), ttl=3 * REPORT_EVERY)
        await asyncio.sleep(REPORT_EVERY)


async def set_aside_for_sure(log: Log, origin: str, channel: str, id: str, data: bytes, reason: str) -> None:
    """Takes one entry out of a channel's stream (``out`` or ``fetch``) and sets it aside, however long
    Redis takes to come back."""
    logger.error("channel %s: %s %s is set aside: %s", channel, origin, id, reason)
    item = Aside(
        id=f"{origin}-{channel}-{id}", origin=origin, place=f"{channel} {id}", at=log.now(), reason=reason,
        data=data, kind=kind_of(data) or origin,
    )  # fmt: skip
    leaving: list[Args] = [("XDEL", getattr(log.keys, origin)(channel), id)]
    if origin == "out":
        leaving.append(("SREM", log.keys.sending(channel), id))
    backoff = Backoff(most=5.0)
    while True:
        try:
            return await set_aside(log, item, *leaving)
        except Unavailable:
            await asyncio.sleep(backoff.next())


async def lead(log: Log, of: str, token: str, work: Callable[[Lease], Awaitable[None]]) -> None:
    """Runs ``work`` whenever the lease ``of`` is ours, until cancelled; another process stands by
    meanwhile. When the lease is lost the work is cancelled and the standing by begins anew.
    Whatever else ``work`` raises goes to the caller."""
    lease = Lease(log, of, token)
    while True:
        if await _acquired(lease):
            logger.info("leading %s", of)
            try:
                await _work_while_ours(lease, work)
            except LeaseLost:
                logger.warning("lost the lease of %s", of)
            finally:
                with contextlib.suppress(Unavailable, TimeoutError):
                    async with asyncio.timeout(1):
                        await lease.release()
        await asyncio.sleep(lease.ttl_ms / 3000 * random.uniform(0.5, 1.0))


async def _acquired(lease: Lease) -> bool:
    try:
        return await lease.acquire()
    except Unavailable:
        return False


async def _work_while_ours(lease: Lease, work: Callable[[Lease], Awaitable[None]]) -> None:
    working = asyncio.ensure_future(work(lease))
    keeping = asyncio.ensure_future(_keep(lease))
    try:
        done, _ = await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        keeping.cancel()
        outcomes = await asyncio.gather(working, keeping, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
    if working in done:
        raise RuntimeError(f"{lease.key}: the work ended by itself")


async def _keep(lease: Lease) -> None:
    """Renews a lease; ends with ``LeaseLost``. While Redis is away nobody can take the lease, so
    that alone is no reason to stop."""
    while True:
        await asyncio.sleep(lease.ttl_ms / 3000)
        try:
            if not await lease.renew():
                raise LeaseLost(f"{lease.key} is somebody else's now")
        except Unavailable:
            continue
