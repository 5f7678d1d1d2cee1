"""Leading by lease: of all processes that could do a work, one does it and the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable

from crm.kernel.errors import LeaseLost, Unavailable
from router.backoff import Backoff
from router.beat import until_beat
from router.log.lease import Lease, LeaseHome

logger = logging.getLogger(__name__)

STEADY = 60.0
"""Seconds after which work that failed counts as having gone well before."""


class Leader:
    """Does a work while the lease ``of`` is this process's, and stands by meanwhile. ``ttl`` in seconds;
    ``standing_by`` is awaited before each wait for the lease."""

    def __init__(
        self, keeper: LeaseHome, of: str, token: str = "", ttl: float = 3.0,
        standing_by: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self.lease = Lease(keeper, of, token or uuid.uuid4().hex, ttl)
        self.untouched = asyncio.Lock()
        """While it is held the lease is not renewed here: a commit watches it, and a renewal is a change."""
        self._of = of
        self._ttl = ttl
        self._standing_by = standing_by
        self._renewed = 0.0

    async def run(self, work: Callable[[Lease], Awaitable[None]]) -> None:
        """Until cancelled: does ``work`` whenever the lease is ours. When the lease is lost the work is
        cancelled and the standing by begins anew; whatever else ``work`` raises goes to the caller."""
        while True:
            await self._stand_by()
            logger.info("leading %s", self._of)
            try:
                await self._work_while_ours(work)
            except LeaseLost:
                logger.warning("lost the lease of %s, standing by", self._of)
            finally:
                await self._release()

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self.lease.release()
        except (Unavailable, TimeoutError):
            self.lease.begin_term()  # it may still be carried out, when the lease is ours again

    async def run_for_ever(
        self,
        work: Callable[[Lease], Awaitable[None]],
        failed: Callable[[Exception], None],
        most: float = 30.0,
    ) -> None:
        """``run``, and again after whatever the work raised, which ``failed`` is told: one work's failure
        stays its own. The waits in between grow up to ``most`` seconds."""
        backoff = Backoff(most=most)
        clock = asyncio.get_running_loop().time
        while True:
            since = clock()
            try:
                await self.run(work)
            except Exception as error:  # noqa: BLE001 - the boundary: whose work it is knows what to make of it
                failed(error)
            if clock() - since > STEADY:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    def renewed(self) -> None:
        """The lease was extended together with something else."""
        self._renewed = asyncio.get_running_loop().time()

    async def _stand_by(self) -> None:
        """Returns when the lease is ours."""
        backoff = Backoff(0.1, 2.0)
        is_away = False
        while True:
            try:
                if await self.lease.acquire():
                    return self.renewed()
                if self._standing_by is not None:
                    await self._standing_by()
                # Who renews does so long before the end: near it, that end is worth waiting for exactly.
                wait = min(self._ttl / 6, (self.lease.free_in + 2) / 1000)
                is_away = False
                backoff.reset()
            except Unavailable as error:
                if not is_away:
                    logger.warning("%s waits: %s", self._of, error)
                is_away = True
                wait = backoff.next()
            await asyncio.sleep(wait)

    async def _work_while_ours(self, work: Callable[[Lease], Awaitable[None]]) -> None:
        working = asyncio.ensure_future(work(self.lease))
        keeping = asyncio.ensure_future(self._keep())
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
            raise RuntimeError(f"{self._of}: the work ended by itself")

    async def _keep(self) -> None:
        """Renews the lease where nothing else does (a load of a large desk, a quiet hour); ends with
        ``LeaseLost``. While Redis is away nobody can take the lease, so that alone is no reason to stop."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(until_beat(self._ttl / 3))
            if clock() - self._renewed < self._ttl * 0.3:
                continue
            async with self.untouched:
                if clock() - self._renewed < self._ttl * 0.3:
                    continue  # by the commit that held it until now
                with contextlib.suppress(Unavailable):
                    if not await self.lease.renew():
                        raise LeaseLost(f"{self.lease.key} is somebody else's now")
                    self.renewed()
