"""A page of a timeline: what all its sources say, in one order."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from crm.kernel.access import Actor, ObjectType
from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store
from crm.objects.types import COLLECTION
from crm.timeline.entries import Owner, TimelineEntry, TimelinePlace, TimelineSource, cursor, place_of
from crm.timeline.sources import Activities, Messages, Steps

PAGE_MAX = 200
MERGED = 100
"""Cards at most that were merged into one."""


class TimelinePage(NamedTuple):
    items: list[TimelineEntry]
    next: str
    """Where the following page begins; empty at the end."""


class Timelines:
    """The timelines of one desk. ``more``: sources beside the usual ones."""

    def __init__(self, store: Store, more: Sequence[TimelineSource] = ()) -> None:
        self._store = store
        usual: list[TimelineSource] = [Messages(store), Activities(store), Steps(store)]
        self._sources = [*usual, *more]

    async def page(
        self, actor: Actor, type: ObjectType, id: str, *, limit: int = 50, after: str = "",
        kinds: Sequence[str] = (),
    ) -> TimelinePage:  # fmt: skip
        """The newest ``limit`` entries, or those that follow where an earlier page ended. ``kinds``: names of
        sources (``message``, ``activity``, ``stage``); none: all. Raises ``Refused`` (``no_such_object``) where
        there is nothing that this actor may read, and ``WrongUse`` for an ``after`` that is no place here."""
        if actor.may(type, "read") == "none":
            raise Refused("no_right", right="read")
        owner = await self._owner(actor, type, id)
        place = place_of(after, f"{type}/{id}")
        limit = max(1, min(limit, PAGE_MAX))
        asked = [source for source in self._sources if not kinds or source.name in kinds]
        streams = []
        for source in asked:
            before = place.before(source.name) if place else None
            found = await source.entries(actor, owner, before, limit + 1)
            streams.append([(entry.at, source.name, entry.key, entry) for entry in found])
        merged = [*heapq.merge(*streams, key=lambda one: one[:3], reverse=True)][: limit + 1]
        if not merged and not place and not actor.reaches(type, "read", owner.document):
            raise Refused("no_such_object", type=type, id=id[:60])
        if len(merged) <= limit:
            return TimelinePage([one[3] for one in merged], "")
        at, source_name, key, _ = merged[limit - 1]
        return TimelinePage(
            [one[3] for one in merged[:limit]], cursor(TimelinePlace(f"{type}/{id}", at, source_name, key))
        )

    async def _owner(self, actor: Actor, type: ObjectType, id: str) -> Owner:
        document = await self._store.get(COLLECTION[type], id) if id and "\0" not in id else None
        # A person's card has no line of its own: what of it is to be seen is asked for entry by entry.
        if document is None or (type != "customer" and not actor.reaches(type, "read", document)):
            raise Refused("no_such_object", type=type, id=id[:60])
        if type != "customer" and ("deleted" in document or "merged_into" in document):
            raise Refused("no_such_object", type=type, id=id[:60])
        return Owner(type, document, await self._customers(type, document))

    async def _customers(self, type: ObjectType, document: Document) -> list[str]:
        """The card of the person, whichever was named, and all that were merged into it, one into the other."""
        id = document["_id"] if type == "customer" else document.get("customer", "")
        card = document if type == "customer" else await self._store.get("customers", id) if id else None
        cards = [id] if id else []
        while card is not None and (above := card.get("merged_into")) and above not in cards:
            cards.append(above)
            card = await self._store.get("customers", above)
        level, seen = cards[-1:], set(cards[-1:])
        while level and len(seen) < MERGED:
            below = await self._store.find("customers", {"merged_into": {"$in": level}}, limit=MERGED)
            level = [one["_id"] for one in below if one["_id"] not in seen]
            seen.update(level)
        return [*dict.fromkeys([*cards, *sorted(seen)])]
