"""Messages, activities and stages as entries of a timeline."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import msgspec

from crm.conversations import history
from crm.kernel.access import Actor, ObjectType, within
from crm.kernel.ports import Document, Store
from crm.kernel.records import Message, to_document
from crm.objects.twins import ALIVE
from crm.objects.types import COLLECTION
from crm.objects.views import title, view
from crm.timeline.entries import Before, Owner, TimelineEntry, follows, narrowed

RELATED = 200
"""Leads and deals of a person or a firm whose stages are looked through."""


class Messages:
    """What was said in all channels, as far as its line may be read: also notes and whispers among colleagues."""

    name = "message"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def entries(
        self, actor: Actor, owner: Owner, before: Before | None, limit: int
    ) -> Sequence[TimelineEntry]:
        of_each = []
        for customer in owner.customers:
            found = await history.customer_messages(
                self._store, customer, lines=actor.lines, before=_behind(before), limit=limit
            )
            of_each.append([_said(message) for message in reversed(found)])
        merged = heapq.merge(*of_each, key=lambda entry: (entry.at, entry.key), reverse=True)
        return [entry for entry, _ in zip(merged, range(limit), strict=False)]


def _behind(before: Before | None) -> tuple[int, str] | None:
    if before is None:
        return None
    if before.key is None:
        return before.at + 1, ""
    session, _, seq = before.key.rpartition("-")
    return before.at, f"{session}-{int(seq)}" if session and seq.isdecimal() else ""


def _said(message: Message) -> TimelineEntry:
    return TimelineEntry(
        at=message.at, kind="message", key=f"{message.session}-{message.seq:015}", by=message.author,
        text=message.text,
        data=to_document(msgspec.structs.replace(message, raw=b"")),
    )  # fmt: skip


class Activities:
    """Tasks, calls, meetings, mails, comments and notes, at the time when they were written down."""

    name = "activity"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def entries(
        self, actor: Actor, owner: Owner, before: Before | None, limit: int
    ) -> Sequence[TimelineEntry]:
        of = (
            {"customer": {"$in": [*owner.customers]}}
            if owner.type == "customer"
            else {owner.type: owner.document["_id"]}
        )
        wanted = within(actor, "activity", "read", {"$and": [of, ALIVE, narrowed(before, "created_at")]})
        found = await self._store.find(
            COLLECTION["activity"], wanted, sort=[("created_at", -1), ("_id", -1)], limit=limit
        )
        return [_activity(document) for document in found]


def _activity(document: Document) -> TimelineEntry:
    return TimelineEntry(
        at=document["created_at"], kind=document.get("kind", "task"), key=document["_id"],
        by=document.get("created_by", ""), text=document.get("about", ""), type="activity",
        object=document["_id"], title=title(document), data=view(document),
    )  # fmt: skip


class Steps:
    """Each stage that a lead or a deal came into: of the object itself, or of all that are the person's or the
    firm's."""

    name = "stage"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def entries(
        self, actor: Actor, owner: Owner, before: Before | None, limit: int
    ) -> Sequence[TimelineEntry]:
        found: list[TimelineEntry] = []
        for of in ("lead", "deal"):
            for document in await self._staged(actor, owner, of):
                found += _steps(of, document)
        found = [entry for entry in found if follows(before, entry.at, entry.key)]
        return heapq.nlargest(limit, found, key=lambda entry: (entry.at, entry.key))

    async def _staged(self, actor: Actor, owner: Owner, of: ObjectType) -> Sequence[Document]:
        if owner.type in ("lead", "deal", "activity"):
            return [owner.document] if owner.type == of else []
        if owner.type == "customer":
            related: dict[str, Any] = {"customer": {"$in": [*owner.customers]}}
        else:
            related = {owner.type: owner.document["_id"]}
        wanted = within(actor, of, "read", {"$and": [related, ALIVE]})
        return await self._store.find(COLLECTION[of], wanted, sort=[("created_at", -1)], limit=RELATED)


def _steps(of: ObjectType, document: Document) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            at=step["at"], kind="stage", key=f"{document['_id']}-{number:06}", by=step.get("by", ""),
            text=step.get("reason", ""), type=of, object=document["_id"], title=title(document), data=step,
        )
        for number, step in enumerate(document.get("stages", ()))
    ]  # fmt: skip
