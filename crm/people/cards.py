"""What people do with the cards of customers: look, change, answer what is suggested, link, merge and undo. Whoever
comes is an ``Actor``; an id of a card that was merged is that of the card it went into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crm.kernel import reach
from crm.kernel.access import Actor, Verb, within
from crm.kernel.errors import Conflict, NotFound, Refused
from crm.kernel.ports import Document, Portion, Store, Write
from crm.kernel.spelling import fold
from crm.objects import twins as alike
from crm.objects.checking import changed_only
from crm.objects.service import Objects
from crm.objects.twins import ALIVE, Twin, keys_of
from crm.objects.writing import Edit, change
from crm.people import merging
from crm.people.merging import Prefer, Tell, resolve

PAGE_MAX = 200
LOOKED_AT = 2_000
"""Cards that one question for a name looks at; the answer says where to go on."""
TRIES = 20
ROUTED = ("responsible", "vip", "language")
"""What the desk must know of a customer."""


class People:
    """The customers of one desk. ``region``: whose numbers are written without a country."""

    def __init__(self, store: Store, objects: Objects, region: str, tell: Tell) -> None:
        self._store = store
        self._objects = objects
        self._region = region
        self._tell = tell

    # ---------------------------------------------------------------- looking

    async def get(self, actor: Actor, id: str, verb: Verb = "read") -> Document:
        """Raises ``Refused``: ``no_such_customer``, also for what he may not read; ``no_right``."""
        card = await resolve(self._store, id)
        if card is None or card.get("deleted") or not actor.reaches("customer", "read", card):
            raise Refused("no_such_customer")
        if not actor.reaches("customer", verb, card):
            raise Refused("no_right", right=verb)
        return card

    async def page(self, actor: Actor, query: str, *, limit: int, after: str = "") -> Portion:
        """Those who were here last come first. ``query``: a whole number, an address, an id, or words of the
        name. A page may have fewer than asked for and still a ``next``."""
        if actor.may("customer", "read") == "none":
            raise Refused("no_right", right="read")
        limit = max(1, min(limit, PAGE_MAX))
        sort = [("seen_at", -1)]
        key = self._key(query)
        if key or not query.strip():
            wanted = within(actor, "customer", "read", {**ALIVE, **({"keys": key} if key else {})})
            return await self._store.page("customers", wanted, sort=sort, limit=limit, after=after)
        return await self._named(actor, fold(query).split(), limit, after)

    def _key(self, query: str) -> str:
        if address := reach.email(query):
            return f"email:{address}"
        number = reach.phone(query, self._region)
        return f"phone:{number['e164']}" if number is not None and "e164" in number else ""

    async def _named(self, actor: Actor, words: Sequence[str], limit: int, after: str) -> Portion:
        wanted = within(actor, "customer", "read", ALIVE)
        found: list[Document] = []
        for _ in range(max(1, LOOKED_AT // limit)):
            page = await self._store.page(
                "customers", wanted, sort=[("seen_at", -1)], limit=limit, after=after
            )
            hits = [card for card in page.items if _is_called(card, words)]
            if len(found) + len(hits) > limit:
                break  # the next page begins with these
            found += hits
            after = page.next
            if not after:
                break
        return Portion(found, after)

    async def twins(self, actor: Actor, card: Document) -> list[Twin]:
        """Who or what may be the same person, by a number or an address; refused ones are left out."""
        telling = [key for key in card.get("keys", ()) if not key.startswith(("name:", "digits:"))]
        offered = [one["key"] for one in suggestions(card)]
        found = await alike.twins(self._store, actor, "customer", [*telling, *offered], card["_id"])
        refused = set(card.get("refused", ()))
        return [
            twin for twin in found if twin.document is None or f"card:{twin.document['_id']}" not in refused
        ]

    async def duplicates(
        self, actor: Actor, *, limit: int, after: str = ""
    ) -> tuple[list[tuple[Document, list[Twin]]], str]:
        """Cards that may be somebody's second one, each with what it is like; as far as ``limit`` cards go."""
        wanted = within(actor, "customer", "read", {**ALIVE, "keys": {"$exists": True}})
        limit = max(1, min(limit, PAGE_MAX))
        page = await self._store.page("customers", wanted, sort=[("seen_at", -1)], limit=limit, after=after)
        found = []
        for card in page.items:
            others = [twin for twin in await self.twins(actor, card) if twin.type == "customer"]
            if others:
                found.append((card, others))
        return found, page.next

    # ---------------------------------------------------------------- changing

    async def set(
        self, actor: Actor, id: str, given: Mapping[str, Any], *, at: int, version: int = 0
    ) -> tuple[Document, dict[str, Any]]:
        """Changes fields; gives the card, and of what the desk must know that which has changed. Raises
        ``Conflict`` when it was made on an older version."""
        before = await self.get(actor, id, "edit")
        values = await self._objects.checks.values(actor, "customer", given)
        for _ in range(TRIES):
            wanted = changed_only(before, values)
            if not wanted:
                return before, {}
            if version and version != before.get("version", 0):
                raise Conflict("the card has been changed meanwhile", before)
            told = {name: wanted[name] for name in ROUTED if name in wanted}
            wanted |= _with_keys(before, wanted)
            try:
                edit = Edit("changed", wanted)
                return await change(self._store, "customer", before, edit, by=actor.name, at=at), told
            except Conflict:
                before = await self.get(actor, id, "edit")
        raise Conflict("the card is changed again and again", before)

    async def answer(self, actor: Actor, id: str, key: str, accept: bool, *, at: int) -> Document:
        """What was suggested comes onto the card, or is not offered again. Twice is once."""
        for _ in range(TRIES):
            before = await self.get(actor, id, "edit")
            offered = next((one for one in before.get("suggestions", ()) if one["key"] == key), None)
            if offered is None and not key.startswith("card:"):
                if key in before.get("suggested", ()):
                    return before  # answered already
                raise Refused("no_such_suggestion")
            edit = _answered(before, offered, key, accept, at)
            try:
                return await change(self._store, "customer", before, edit, by=actor.name, at=at)
            except (Conflict, NotFound):
                continue
        raise Refused("merge_busy")

    # ---------------------------------------------------------------- two that are one

    async def merge(self, actor: Actor, master: str, other: str, prefer: Prefer, *, at: int) -> Document:
        """The other card goes into the first, which is given back. Raises ``merging.Disputed`` where both say
        something else and nobody said whose value wins. Done already, it changes nothing."""
        stays, goes = await self.get(actor, master, "edit"), await self.get(actor, other, "edit")
        if stays["_id"] == goes["_id"]:
            if other != master and goes["_id"] != other:
                return stays
            raise Refused("same_customer")
        intent = merging.merge_intent(stays, goes, prefer, by=actor.name, at=at)
        await merging.carry_out(self._store, self._tell, intent)
        return await self.get(actor, stays["_id"])

    async def unmerge(self, actor: Actor, other: str, *, at: int) -> Document:
        """The card comes out of the one that it went into, with what was its own."""
        await self.get(actor, other, "edit")
        card = await self._store.get("customers", other)
        merge = await merging.merge_of(self._store, other)
        if card is None or not card.get("merged_into") or merge is None:
            raise Refused("not_merged")
        master = await self._store.get("customers", merge["master"])
        if master is None:
            raise Refused("no_such_customer")
        if master.get("merged_into"):
            raise Refused("merged_further", id=merge["master"])
        intent = merging.unmerge_intent(merge, card, by=actor.name, at=at)
        await merging.carry_out(self._store, self._tell, intent)
        return await self.get(actor, other)


def suggestions(card: Document) -> list[Document]:
    """What was suggested and is neither answered nor on the card by now."""
    return [one for one in card.get("suggestions", ()) if one["key"] not in card.get("keys", ())]


def _is_called(card: Document, words: Sequence[str]) -> bool:
    called = f"{fold(str(card.get('name', '')))} {fold(str(card.get('username', '')))} {card['_id']}"
    return all(word in called for word in words)


def _with_keys(before: Document, wanted: Mapping[str, Any]) -> dict[str, Any]:
    keys = keys_of("customer", {**before, **wanted})
    return {"keys": keys} if keys != before.get("keys", []) else {}


def _answered(before: Document, offered: Document | None, key: str, accept: bool, at: int) -> Edit:
    params = {"key": key[:200]}
    pull = {"suggestions": {"key": key}}
    if not accept:
        return Edit("suggestion_refused", {}, push={"refused": key[:200]}, pull=pull, params=params)
    if offered is None:
        raise Refused("merge_instead")
    if offered["kind"] == "phone":
        number = {name: offered[name] for name in ("raw", "e164", "ext") if offered.get(name)}
        field, values = "phones", [*before.get("phones", ()), number]
    else:
        field, values = "emails", [*before.get("emails", ()), offered["value"]]
    wanted = {field: values}
    return Edit("suggestion_accepted", wanted | _with_keys(before, wanted), pull=pull, params=params)


async def give_lines(store: Store) -> int:
    """Cards of earlier versions do not say in which lines their customers wrote; returns how many have learnt it."""
    given = 0
    while found := await store.find("customers", {"lines": None, **ALIVE}, limit=PAGE_MAX):
        writes = []
        for card in found:
            sessions = await store.find(
                "sessions", {"customer": card["_id"]}, sort=[("opened_at", -1)], limit=200
            )
            lines = sorted({session["line"] for session in sessions if session.get("line")})
            unknown = {"_id": card["_id"], "lines": None}
            writes.append(Write.update("customers", unknown, {"$set": {"lines": lines}}))
        given += await store.write(writes)
        if len(found) < PAGE_MAX:
            break
    return given
