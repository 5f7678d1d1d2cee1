"""Takes a store through the steps that it has not seen yet, page by page, on the port alone.

How far it has come is written with each page. Whoever dies in between is followed by whoever comes next, once
its lock has run out. A page may be repeated: a step looks only for what waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from crm.kernel.errors import Duplicate, LeaseLost, NavbatError, Unavailable
from crm.kernel.ports import Document, Filter, Store, Write
from storage.migrations.steps import STEPS, Migration

logger = logging.getLogger(__name__)

COLLECTION = "migrations"
STATE, LOCK = "store", "lock"
"""The two documents of the collection: how far the store has come, and who works on it until when."""

PAGE = 500
"""Documents of one page; a call of the store has to be through with them in its time."""
LOCKED = 20_000
"""Milliseconds for which a page's writer has the lock: longer than the calls of a page may take."""


class Taken(NamedTuple):
    """One step that was taken. ``documents`` that it changed; fewer than all where another one began it."""

    number: int
    name: str
    documents: int


async def version_of(store: Store) -> int:
    """Up to which step a store has come; 0 for one of before there were any, and for an empty one."""
    return version_in(await store.get(COLLECTION, STATE))


def version_in(state: Document | None) -> int:
    """What the document says that tells it."""
    return 0 if state is None else int(state.get("version", 0))


async def refuse_newer(store: Store, steps: Sequence[Migration] = STEPS) -> int:
    """The store's version. Raises ``NavbatError`` for that of a newer program, which must not be touched."""
    version = await version_of(store)
    refuse_version(version, steps)
    return version


def refuse_version(version: int, steps: Sequence[Migration] = STEPS) -> None:
    """Raises ``NavbatError`` for that of a newer program."""
    if version > len(steps):
        raise NavbatError(
            f"the store is of a newer navbat: it is at version {version}, and this program knows {len(steps)}",
            "run that newer version, or restore a backup that was made before it",
        )


async def migrate(store: Store, steps: Sequence[Migration] = STEPS) -> list[Taken]:
    """Brings a store up to this program's version and returns what that took. Raises ``NavbatError`` for a newer
    one, ``Unavailable`` when the store is away or another process is at it; then trying again goes on."""
    version = await refuse_newer(store, steps)
    if version == len(steps):
        return []
    owner = secrets.token_hex(8)
    await _lock(store, owner)
    try:
        taken = []
        # Looked at once more: whoever had the lock before may have done it all.
        version = await refuse_newer(store, steps)
        for number, step in enumerate(steps[version:], version + 1):
            logger.info("the store goes from version %d to %d: %s", number - 1, number, step.name)
            taken.append(Taken(number, step.name, await _take(store, number, step, owner)))
    except LeaseLost as error:
        raise _busy() from error
    finally:
        with contextlib.suppress(Unavailable):  # then it runs out
            await store.write([Write.update(COLLECTION, _own(owner), {"$set": {"until": 0}})])
    return taken


async def _lock(store: Store, owner: str) -> None:
    free = {"_id": LOCK, "until": {"$lte": _now()}}
    try:
        await store.change(
            COLLECTION, free, {"$set": {"owner": owner, "until": _now() + LOCKED}}, upsert=True
        )
    except Duplicate as error:
        raise _busy() from error


async def _take(store: Store, number: int, step: Migration, owner: str) -> int:
    state = await store.get(COLLECTION, STATE) or {}
    after = state["after"] if state.get("step") == number else ""
    changed = 0
    while True:
        pending = {"$and": [step.pending, {"_id": {"$gt": after}}]}
        page = await store.find(step.collection, pending, sort=[("_id", 1)], limit=PAGE)
        changes = [
            # The step's own filter once more: who has changed the document meanwhile was there first.
            Write.update(step.collection, {**step.pending, "_id": document["_id"]}, change)
            for document in page
            if (change := step.change(document)) is not None
        ]
        after = page[-1]["_id"] if page else after
        done = len(page) < PAGE
        told = {"version": number, "at": _now()} if done else {"step": number, "after": after}
        writes = [
            *changes,
            Write.upsert(COLLECTION, {"_id": STATE}, {"$set": told}),
            Write.update(COLLECTION, _own(owner), {"$set": {"until": _now() + LOCKED}}),
        ]
        await store.write(writes, expect=(COLLECTION, _own(owner)))
        changed += len(changes)
        if done:
            return changed


def _busy() -> Unavailable:
    seconds = LOCKED // 1000
    return Unavailable(
        f"another process migrates the store now, or was killed at it in the last {seconds} seconds",
        code="store_away",
    )


def _own(owner: str) -> Filter:
    return {"_id": LOCK, "owner": owner}


def _now() -> int:
    return int(time.time() * 1000)
