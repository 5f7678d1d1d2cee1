"""Who a person is: all cards that were merged into one, the chats and sessions of these, and the objects that
are about him."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

import msgspec

from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store
from crm.kernel.records import customer_of, person_chat

PIECE = 400
"""Ids of one query, and documents of one write: nobody waits for more."""
PERSONAL = ("leads", "contacts", "activities")
"""Objects that are gone with him. A deal stays, as what was earned, without him."""
OWNERS = {"leads": "lead", "contacts": "contact", "deals": "deal"}


class Person(msgspec.Struct, kw_only=True):
    """``customers``: ids of his cards, ``id`` the one that the others were merged into, and those that his chats
    would have. ``objects``: collection -> ids."""

    id: str
    customers: list[str]
    chats: list[str] = []
    sessions: list[str] = []
    objects: dict[str, list[str]] = {}

    @property
    def is_nobody(self) -> bool:
        return not (self.chats or self.sessions or self.objects)


async def find(store: Store, id: str) -> Person:
    """Whoever has the card ``id``, or had it before it was merged into another. Raises ``Refused``:
    ``no_such_customer``."""
    cards = await _cards(store, id)
    chats = {chat for card in cards for chat in card.get("chats", ())}
    customers = {id, *(card["_id"] for card in cards)}
    customers |= await _unclaimed(store, {customer_of(person_chat(chat)) for chat in chats} - customers)
    sessions: list[str] = []
    async for session in documents(store, "sessions", "customer", sorted(customers)):
        sessions.append(session["_id"])
        if session.get("chat"):
            chats.add(session["chat"])
    master = cards[0]["_id"] if cards else id
    person = Person(
        id=master, customers=sorted(customers), chats=sorted(chats), sessions=sorted(sessions, key=_number)
    )
    person.objects = await objects_of(store, person.customers)
    if not cards and person.is_nobody:
        raise Refused("no_such_customer")
    return person


async def _cards(store: Store, id: str) -> list[Document]:
    """The master first. What is merged in a circle ends where it began."""
    card = await store.get("customers", id)
    seen: dict[str, Document] = {}
    while card is not None and card["_id"] not in seen:
        seen[card["_id"]] = card
        above = card.get("merged_into")
        card = await store.get("customers", above) if above else None
    if not seen:
        return []
    master = [*seen.values()][-1]
    found = {master["_id"]: master}
    fresh = [master["_id"]]
    while fresh:
        merged = [one async for one in documents(store, "customers", "merged_into", fresh)]
        fresh = [one["_id"] for one in merged if one["_id"] not in found]
        found |= {one["_id"]: one for one in merged}
    return [*found.values()]


async def _unclaimed(store: Store, ids: set[str]) -> set[str]:
    """Those of which there is no card: a card that is there is somebody else's, whose chat this was."""
    claimed = {card["_id"] async for card in documents(store, "customers", "_id", sorted(ids))}
    return ids - claimed


async def objects_of(store: Store, customers: Sequence[str], until: int = 0) -> dict[str, list[str]]:
    """Collection -> ids of what is about them; with ``until`` (ms) only what was made by then."""
    found: dict[str, dict[str, None]] = {}
    contacts: set[str] = set()
    for collection in ("leads", "deals", "contacts"):
        async for one in documents(store, collection, "customer", customers):
            if until and one.get("created_at", 0) > until:
                continue
            found.setdefault(collection, {})[one["_id"]] = None
            if one.get("contact"):
                contacts.add(one["contact"])
    async for one in documents(store, "contacts", "_id", sorted(contacts)):
        if not one.get("customer"):  # made of his lead, and nobody else's
            found.setdefault("contacts", {})[one["_id"]] = None
    about = [("customer", [*customers])]
    about += [(field, [*found.get(collection, ())]) for collection, field in OWNERS.items()]
    for field, ids in about:
        async for one in documents(store, "activities", field, ids):
            found.setdefault("activities", {})[one["_id"]] = None
    return {collection: [*ids] for collection, ids in found.items()}


async def documents(
    store: Store, collection: str, field: str, values: Sequence[str]
) -> AsyncIterator[Document]:
    """All whose ``field`` is one of the values."""
    for piece in pieces(values):
        for document in await store.find(collection, {field: {"$in": piece}}):
            yield document


def pieces(ids: Iterable[str]) -> Iterator[list[str]]:
    ordered = iter(ids)
    while piece := list(itertools.islice(ordered, PIECE)):
        yield piece


def _number(session: str) -> tuple[int, str]:
    return (int(session) if session.isdecimal() else 0, session)
