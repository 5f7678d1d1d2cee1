"""What is older than the configuration lets it be: what that is, and how it goes, in small pieces.

What is to be looked at once more when something died in between (files that nobody may need any more) is kept in
an intent until it has been. Figures stay: they are in rollups and in the facts of sessions, which say no word.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from crm.consent.erasure import files_of
from crm.consent.person import PIECE, pieces
from crm.kernel.crm_settings import Retention
from crm.kernel.errors import Duplicate
from crm.kernel.ports import Document, Filter, Store, Write

KIND = "retention"
SESSIONS = 50
"""Sessions of one piece."""
_BY_TIME = {"audit": ("audit",), "decisions": ("decisions", "alerts"), "strays": ("strays",)}
"""Kind -> collections whose documents are as old as their ``at``."""

Pause = Callable[[], Awaitable[None]]


async def nobody_waits() -> None:
    """No pause between pieces."""


def limits(retention: Retention, now: int) -> dict[str, int]:
    """Kind -> the moment (ms) before which its data is too old. Kinds that are kept for ever are left out."""
    kept: dict[str, int] = msgspec.structs.asdict(retention)
    return {kind: now - age for kind, age in kept.items() if age}


async def ask(store: Store, *, by: str, at: int) -> Document:
    """Notes that it is to be done, or finds that noted."""
    intent = {
        "_id": KIND, "kind": KIND, "receipt": "r" + secrets.token_hex(8), "by": by, "asked_at": at, "media": [],
        "counts": {},
    }  # fmt: skip
    try:
        await store.insert("intents", intent)
    except Duplicate:
        return await store.get("intents", KIND) or intent
    return intent


async def would_go(store: Store, retention: Retention, now: int) -> Counter[str]:
    """How much of each kind is too old."""
    counts: Counter[str] = Counter()
    for kind, before in limits(retention, now).items():
        if kind == "messages":
            async for sessions in _old_sessions(store, before):
                counts["sessions"] += len(sessions)
                ids = [one["_id"] for one in sessions]
                counts["messages"] += await store.count("messages", {"session": {"$in": ids}})
        elif kind == "leads":
            async for leads in _lost_leads(store, before):
                counts["leads"] += len(leads)
        for collection in _BY_TIME.get(kind, ()):
            counts[collection] += await store.count(collection, {"at": {"$lt": before}})
    return +counts


class Removal:
    """Removes it. ``pause`` is awaited after each piece, so that nobody waits long."""

    def __init__(self, store: Store, intent: Document, pause: Pause = nobody_waits) -> None:
        self._store = store
        self._pause = pause
        self.media: list[str] = [*intent["media"]]
        self.counts: Counter[str] = Counter(intent["counts"])

    async def run(self, retention: Retention, now: int) -> None:
        for kind, before in limits(retention, now).items():
            if kind == "messages":
                await self._conversations(before)
            elif kind == "leads":
                await self._leads(before)
            for collection in _BY_TIME.get(kind, ()):
                await self._sweep(collection, {"at": {"$lt": before}}, collection)

    async def _conversations(self, before: int) -> None:
        async for sessions in _old_sessions(self._store, before):
            ids = [one["_id"] for one in sessions]
            await self._sweep("messages", {"session": {"$in": ids}}, "messages")
            for collection in ("decisions", "alerts"):
                await self._sweep(collection, {"session": {"$in": ids}}, collection)
            await self._drop("sessions", sessions, "sessions")

    async def _leads(self, before: int) -> None:
        async for leads in _lost_leads(self._store, before):
            ids = [one["_id"] for one in leads]
            await self._sweep("activities", {"lead": {"$in": ids}}, "activities")
            await self._drop("leads", leads, "leads")

    async def _sweep(self, collection: str, filter: Filter, kind: str) -> None:
        while found := await self._store.find(collection, filter, limit=PIECE):
            await self._drop(collection, found, kind)

    async def _drop(self, collection: str, found: list[Document], kind: str) -> None:
        self.counts[kind] += len(found)
        noted: dict[str, Any] = {"counts": dict(self.counts)}
        if keys := {key for one in found for key in files_of(one)} - {*self.media}:
            self.media += sorted(keys)
            noted["media"] = self.media
        await self._store.write(
            [
                Write.update("intents", {"_id": KIND}, {"$set": noted}),
                *(
                    Write.delete(collection, {"_id": {"$in": ids}})
                    for ids in pieces(one["_id"] for one in found)
                ),
            ]
        )
        await self._pause()

    async def settle(self, intent: Document, done_at: int, files: int) -> None:
        """A receipt where something went, or somebody had asked; and when it was done last."""
        if files:
            self.counts["files"] += files
        writes = []
        if self.counts or intent["by"]:
            receipt = {
                "_id": intent["receipt"], "kind": KIND, "by": intent["by"], "asked_at": intent["asked_at"],
                "done_at": done_at, "counts": dict(self.counts), "customers": [], "sessions": [],
                "stays": ["backups", "statistics"],
            }  # fmt: skip
            writes.append(Write.insert("receipts", receipt))
        ran = Write.upsert("cursors", {"_id": KIND}, {"$set": {"at": done_at}})
        await self._store.write([*writes, ran, Write.delete("intents", {"_id": KIND})])


async def _old_sessions(store: Store, before: int) -> AsyncIterator[list[Document]]:
    """Closed before, the oldest first."""
    old = {"status": "closed", "opened_at": {"$lt": before}}
    after = ""
    while True:
        page = await store.page("sessions", old, sort=[("opened_at", 1)], limit=SESSIONS, after=after)
        if closed := [one for one in page.items if one.get("closed_at", 0) < before]:
            yield closed
        after = page.next
        if not after:
            return


async def _lost_leads(store: Store, before: int) -> AsyncIterator[list[Document]]:
    old = {"created_at": {"$lt": before}}
    after = ""
    while True:
        page = await store.page("leads", old, sort=[("created_at", 1)], limit=PIECE, after=after)
        if lost := [one for one in page.items if _is_lost(one, before)]:
            yield lost
        after = page.next
        if not after:
            return


def _is_lost(lead: Document, before: int) -> bool:
    return lead.get("semantics") == "lost" and lead.get("stage_since", before) < before
