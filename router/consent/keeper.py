"""Carries out what was asked for, one thing after the other, and each night what is too old goes by itself.

One process of a desk does it. What it died over is begun again where it stood.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from crm.consent import erasure, retention
from crm.kernel.crm_settings import Retention
from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.ports import Document, Store
from router.consent.eraser import Eraser
from router.log.leading import Leader
from router.log.lease import Lease
from router.log.log import Log
from storage.media import MediaStore

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds. Two queries of a collection that is nearly always empty."""
BREATH = 0.05
"""Seconds between two pieces of what is too old: others write meanwhile."""
NIGHT = range(3, 6)
"""Hours of the machine's own time."""
DAY_MS = 20 * 3600 * 1000


class ConsentKeeper:
    """``run`` ends by cancellation."""

    def __init__(
        self, log: Log, store: Store, media: MediaStore, rules: Retention | None = None, *,
        young: float = 10.0, hour: Callable[[], int] = lambda: time.localtime().tm_hour,
    ) -> None:  # fmt: skip
        self._log = log
        self._store = store
        self._media = media
        self._rules = rules or Retention()
        self._hour = hour
        self._eraser = Eraser(log, store, media, young=young)
        self._leader = Leader(log, "consent")

    async def run(self) -> None:
        await self._leader.run_for_ever(self._work, self._failed)

    def _failed(self, error: Exception) -> None:
        logger.warning("erasures wait: %s", type(error).__name__)

    async def _work(self, _: Lease) -> None:
        while True:
            await self.once()
            await asyncio.sleep(LOOK_EVERY)

    async def once(self) -> None:
        """All that is there to be done now. Raises ``Unavailable``."""
        for intent in await erasure.open_intents(self._store):
            await self._erase(intent)
        await self._night()
        asked = await self._store.get("intents", retention.KIND)
        if asked is not None:
            await self._remove_old(asked)

    async def _erase(self, intent: erasure.Intent) -> None:
        """One that cannot be carried out is in nobody's way."""
        try:
            await self._eraser.carry_out(intent)
        except (NavbatError, OSError, TimeoutError) as error:
            logger.warning("erasure %s waits at %s: %s", intent.erasure, intent.step, type(error).__name__)
        except Exception:
            logger.exception("erasure %s fails at %s", intent.erasure, intent.step)

    # ---------------------------------------------------------------- what is too old

    async def _night(self) -> None:
        now = self._log.now()
        if self._hour() not in NIGHT or not retention.limits(self._rules, now):
            return
        last = await self._store.get("cursors", retention.KIND)
        if last is None or now - last["at"] > DAY_MS:
            await retention.ask(self._store, by="", at=now)

    async def _remove_old(self, intent: Document) -> None:
        work = retention.Removal(self._store, intent, lambda: asyncio.sleep(BREATH))
        await work.run(self._rules, self._log.now())
        gone = 0
        for key in work.media:
            if not await erasure.is_needed(self._store, key):
                try:
                    gone += bool(await self._media.remove(key))
                except OSError as error:
                    raise Unavailable("a file cannot be removed") from error
            await asyncio.sleep(0)
        await work.settle(intent, self._log.now(), gone)
        logger.info("what was too old is gone: %s", dict(work.counts))
