"""Leading by lease: of all processes that could do a work, one does it and the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

from crm.kernel.errors import LeaseLost, Unavailable
from router.log.lease import Keeper, Lease

logger = logging.getLogger(__name__)


async def lead(keeper: Keeper, of: str, token: str, work: Callable[[Lease], Awaitable[None]]) -> None:
    """Runs ``work`` whenever the lease ``of`` is ours, until cancelled; another process stands by
    meanwhile. When the lease is lost the work is cancelled and the standing by begins anew.
    Whatever else ``work`` raises goes to the caller."""
    lease = Lease(keeper, of, token)
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
