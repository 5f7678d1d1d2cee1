"""One erasure from its intent to its receipt. Whoever comes to an intent goes on where it stands: each step may
be done twice, and none begins before the one before it is done.

1. ``desk``: his cards go, so that nobody is recognised by them; the desk ends his conversations and forgets him;
   the history comes to the place in the journal where it says so.
2. ``store``: what was said and done.
3. ``redis``: what log, journal, outboxes and the quarantine hold of him.
4. ``media``: files that nobody else has.
5. ``files``: the files of store and Redis are written anew, so that what is gone cannot be read in them.
6. ``receipt``: what went and what stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from crm.consent.erasure import Intent, StoreErasure, is_needed
from crm.kernel.ports import Document, Store
from router.backoff import Backoff
from router.desk.events import CustomerErased
from router.log.forgetting import Forgetting, write_files_anew
from router.log.log import Log
from storage.media import MediaStore

logger = logging.getLogger(__name__)

ALWAYS_STAYS = ("backups", "statistics", "audit_without_values", "operators_files", "platforms", "receipt")
"""What no erasure reaches."""
COPIES = ("damaged", "redis/damaged")
"""Folders in which a repair keeps what it has taken out."""


class Eraser:
    """``media`` are the desk's files. ``young``: seconds that a file is left alone after somebody put it into
    the store, as the message that it belongs to may not have been told yet."""

    def __init__(self, log: Log, store: Store, media: MediaStore, *, young: float = 10.0) -> None:
        self._log = log
        self._store = store
        self._media = media
        self._young = young
        self._steps: dict[str, Callable[[Intent, StoreErasure], Awaitable[None]]] = {
            "desk": self._desk,
            "store": self._from_store,
            "redis": self._from_redis,
            "media": self._files_of_his,
            "files": self._anew,
        }

    async def carry_out(self, intent: Intent) -> Document:
        """The receipt. Raises ``Unavailable``: what is not done then stays noted."""
        work = StoreErasure(self._store, intent)
        while intent.step != "receipt":
            await self._steps[intent.step](intent, work)
        receipt = await work.settle(self._log.now())
        logger.info("erasure %s is done", intent.erasure)
        return receipt

    async def _desk(self, intent: Intent, work: StoreErasure) -> None:
        await work.forget_cards()
        await self._log.append(
            CustomerErased(
                event_id=f"erase:{intent.erasure}", erasure=intent.erasure, customers=intent.customers,
                sessions=intent.sessions,
            )
        )  # fmt: skip
        pause = Backoff(0.01, 1.0)
        while True:
            if await work.is_heard():
                break
            await asyncio.sleep(pause.next())
        await work.advance("store", sessions=intent.sessions)

    async def _from_store(self, intent: Intent, work: StoreErasure) -> None:
        await work.forget_sessions()
        await work.forget_objects()
        await work.forget_the_rest()
        await work.forget_cards()
        await work.advance("redis")

    async def _from_redis(self, intent: Intent, work: StoreErasure) -> None:
        found = await Forgetting(self._log, intent.traces, intent.erasure).purge()
        counts = {f"redis_{place}": n for place, n in found.items() if n}
        await work.advance("media", counts={**intent.counts, **counts})

    async def _files_of_his(self, intent: Intent, work: StoreErasure) -> None:
        gone = shared = 0
        for key in intent.media:
            if (wait := self._young - self._media.age(key)) > 0:
                await asyncio.sleep(wait)
            if await is_needed(self._store, key):
                shared += 1
            else:
                await self._media.remove(key)
                gone += 1
        counts = {name: n for name, n in (("files", gone), ("files_shared", shared)) if n}
        await work.advance("files", counts={**intent.counts, **counts})

    async def _anew(self, intent: Intent, work: StoreErasure) -> None:
        await work.forget_names()
        stays = [*ALWAYS_STAYS]
        if not await self._store.scrub():
            stays.append("pages_of_store")
        stays += [f"{file}_of_redis" for file in await write_files_anew(self._log)]
        if intent.counts.get("files_shared"):
            stays.append("files_shared")
        if intent.counts.get("deals_without_person"):
            stays.append("deals_without_person")
        folder = self._media.folder.parent
        if await asyncio.to_thread(lambda: any((folder / name).exists() for name in COPIES)):
            stays.append("repaired_copies")
        await work.advance("receipt", stays=stays)
