"""Erasing a person from the store. What is to go is decided before anything goes, and kept as an intent: whoever
finds one that is not done goes on with it, and nothing that was done once is done otherwise the second time.

An intent, like the receipt that is left of it, says which cards, sessions and files it is about; his chats and
objects only until they are gone.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import msgspec

from crm.consent.person import PERSONAL, PIECE, Person, find, objects_of, pieces
from crm.consent.traces import Traces, decoded
from crm.kernel.errors import Duplicate, Refused
from crm.kernel.ports import Document, Filter, Store, Write

KIND = "erase"
OBJECTS = ("customers", "leads", "contacts", "companies", "deals", "activities")
NOBODY = "–"
"""What a deal is called when the one is gone whom it was made with."""
CHANGES = ("convert", "merge", "unmerge")
"""Changes of several documents that must be done before anything else is."""
_OF_SESSIONS = ("decisions", "alerts", "ratings")
_DEAL = {
    "customer",
    "contact",
    "lead",
    "about",
    "tags",
    "files",
    "keys",
    "tokens",
    "custom",
    "unaudited",
    "owes",
}
"""What a deal says of a person, or may."""
_VALUES = ("params", "before", "after", "customer")
"""What an audit record says of a person, or may."""

Progress = Callable[[str], None]


class Intent(msgspec.Struct, kw_only=True, rename={"id": "_id"}):
    """An erasure that is not done. ``step``: what is to be done next: ``desk``, ``store``, ``redis``, ``media``,
    ``files``, ``receipt``. ``erased_at`` by the desk's clock (ms), 0 until it has heard of it."""

    id: str
    kind: str = KIND
    erasure: str
    customer: str
    customers: list[str]
    chats: list[str] = []
    sessions: list[str] = []
    objects: dict[str, list[str]] = {}
    media: list[str] = []
    by: str = ""
    asked_at: int = 0
    erased_at: int = 0
    below: int = 0
    step: str = "desk"
    counts: dict[str, int] = {}
    stays: list[str] = []

    @property
    def traces(self) -> Traces:
        return Traces(frozenset(self.customers), frozenset(self.sessions), frozenset(self.chats))


def intent_of(document: Document) -> Intent:
    return msgspec.convert(document, Intent, strict=False)


async def ask(store: Store, id: str, *, by: str, at: int) -> tuple[Intent | None, Document | None]:
    """Decides what is to go and notes it, or finds it noted. Returns the intent; the receipt instead where
    this card has been erased already and nothing has come since. Raises ``Refused``: ``no_such_customer``,
    ``customer_busy``."""
    if (found := await store.get("intents", _named(id))) is not None:
        return intent_of(found), None
    try:
        person = await find(store, id)
    except Refused:
        receipt = await store.find(
            "receipts", {"kind": KIND, "customers": id}, sort=[("done_at", -1)], limit=1
        )
        if not receipt:
            raise
        return None, receipt[0]
    if (found := await store.get("intents", _named(person.id))) is not None:
        return intent_of(found), None
    if unfinished(person, await store.find("intents", {"kind": {"$in": [*CHANGES]}})):
        raise Refused("customer_busy")
    intent = Intent(
        id=_named(person.id), erasure="e" + secrets.token_hex(8), customer=person.id,
        customers=person.customers, chats=person.chats, sessions=person.sessions, objects=person.objects,
        by=by, asked_at=at,
    )  # fmt: skip
    try:
        await store.insert("intents", msgspec.to_builtins(intent))
    except Duplicate:
        return intent_of(await store.get("intents", intent.id) or {}), None
    # Once more: of two that begin at once, one at least sees the other.
    if unfinished(person, await store.find("intents", {"kind": {"$in": [*CHANGES]}})):
        await store.write([Write.delete("intents", {"_id": intent.id, "erasure": intent.erasure})])
        raise Refused("customer_busy")
    return intent, None


def _named(customer: str) -> str:
    return f"{KIND}-{customer}"


async def open_intents(store: Store) -> list[Intent]:
    """The oldest first."""
    return [intent_of(one) for one in await store.find("intents", {"kind": KIND}, sort=[("asked_at", 1)])]


class StoreErasure:
    """The part of an erasure that is done in the store. Each method may be repeated."""

    def __init__(self, store: Store, intent: Intent) -> None:
        self._store = store
        self._intent = intent

    async def advance(self, step: str, **facts: Any) -> None:
        """What comes next, noted together with what was found out."""
        for name, value in facts.items():
            setattr(self._intent, name, value)
        self._intent.step = step
        await self._store.write([self._noted({"$set": {"step": step, **msgspec.to_builtins(facts)}})])

    async def is_heard(self) -> bool:
        """Whether the history has come to where the journal says that he is erased."""
        found = await self._store.get("intents", self._intent.id)
        if not found or not found["erased_at"]:
            return False
        self._intent.erased_at, self._intent.below = found["erased_at"], found["below"]
        self._intent.sessions = [*dict.fromkeys([*self._intent.sessions, *found["sessions"]])]
        return True

    async def forget_cards(self) -> None:
        """First of all: nobody is to be recognised by them any more. Cards of the same ids that were made
        since he was erased are somebody else's."""
        for id in self._intent.customers:
            card = await self._store.get("customers", id)
            if card is None or card.get("seen_at", 0) > (self._intent.erased_at or card.get("seen_at", 0)):
                continue
            identities = len(card.get("identities", ())) or len(card.get("chats", ()))
            await self._drop("customers", [card], {"cards": 1, "identities": identities})

    async def forget_sessions(self) -> None:
        """All that was said and done in his sessions, those included that the history had not got yet when
        this was decided."""
        await self._learn_sessions()
        sessions = self._intent.sessions
        for piece in pieces(sessions):
            await self._sweep("messages", {"session": {"$in": piece}}, "messages")
            for collection in _OF_SESSIONS:
                await self._sweep(collection, {"session": {"$in": piece}}, collection)
            await self._blank({"session": {"$in": piece}})
            await self._unname(piece)
            await self._sweep("sessions", {"_id": {"$in": piece}}, "sessions")

        for piece in pieces(self._intent.customers):
            await self._sweep("visitors", {"_id": {"$in": piece}}, "visits")

    async def _learn_sessions(self) -> None:
        known = dict.fromkeys(self._intent.sessions)
        for piece in pieces(self._intent.customers):
            for session in await self._store.find("sessions", {"customer": {"$in": piece}}):
                if not self._intent.below or int(session["_id"]) < self._intent.below:
                    known[session["_id"]] = None
        if len(known) > len(self._intent.sessions):
            self._intent.sessions = [*known]
            await self._store.write([self._noted({"$set": {"sessions": self._intent.sessions}})])

    async def _unname(self, sessions: list[str]) -> None:
        """What sessions contributed to the figures stays, and says no longer of whom it was."""
        named = [
            one for one in await self._store.find("facts", {"_id": {"$in": sessions}}) if one["customer"]
        ]
        nobody = {"$set": {"customer": ""}}
        if named:
            await self._store.write([Write.update("facts", {"_id": one["_id"]}, nobody) for one in named])

    async def forget_objects(self) -> None:
        """Those included that have come to be since this was decided, of what he had said before."""
        found = await objects_of(self._store, self._intent.customers, self._intent.erased_at)
        known = {name: dict.fromkeys(ids) for name, ids in self._intent.objects.items()}
        for name, ids in found.items():
            known.setdefault(name, {}).update(dict.fromkeys(ids))
        self._intent.objects = {name: [*ids] for name, ids in known.items()}
        await self._store.write([self._noted({"$set": {"objects": self._intent.objects}})])
        for collection in PERSONAL:
            for piece in pieces(self._intent.objects.get(collection, ())):
                await self._sweep(collection, {"_id": {"$in": piece}}, collection)
        for piece in pieces(self._intent.objects.get("deals", ())):
            await self._bare_deals(await self._store.find("deals", {"_id": {"$in": piece}}))
        everything = [id for ids in self._intent.objects.values() for id in ids]
        for piece in pieces([*everything, *self._intent.customers]):
            await self._blank({"object": {"$in": piece}})
        for piece in pieces(self._intent.customers):
            await self._blank({"customer": {"$in": piece}})

    async def _bare_deals(self, deals: list[Document]) -> None:
        for deal in deals:
            if deal.get("title") == NOBODY:
                continue
            bare = {"title": NOBODY, "erased_at": self._intent.asked_at}
            if deal.get("lost_reason"):
                bare["lost_reason"] = NOBODY
            if deal.get("stages"):
                bare["stages"] = [_without_words(stage) for stage in deal["stages"]]
            change = {"$set": bare, "$unset": dict.fromkeys(sorted(_DEAL & deal.keys()), "")}
            gone = {"$inc": {"counts.deals_without_person": 1}}
            files = self._noted(gone, media=[deal])
            await self._store.write([files, Write.update("deals", {"_id": deal["_id"]}, change)])

    async def _blank(self, filter: Filter) -> None:
        """An audit record stays, with who did what and when; what was said in it does not."""
        wanted = {"$and": [filter, {"erased": {"$ne": True}}]}
        while found := await self._store.find("audit", wanted, limit=PIECE):
            writes = [self._noted({"$inc": {"counts.audit": len(found)}})]
            for record in found:
                change: dict[str, Any] = {"$set": {"erased": True}}
                if gone := [name for name in _VALUES if name in record]:
                    change["$unset"] = dict.fromkeys(gone, "")
                writes.append(Write.update("audit", {"_id": record["_id"]}, change))
            await self._store.write(writes)

    async def forget_the_rest(self) -> None:
        """What is kept encoded, or whatever its shape, and is never much: it is looked through."""
        traces = self._intent.traces
        await self._look_through("strays", lambda one: traces.are_in(decoded(one.get("event", b""))))
        await self._look_through("early", lambda one: traces.are_in(decoded(one.get("change", b""))))
        names = {*self._intent.customers, *(id for ids in self._intent.objects.values() for id in ids)}
        for collection in ("merges", "suggestions", "intents"):
            await self._look_through(collection, lambda one: one.get("kind") != KIND and mentions(one, names))

    async def _look_through(self, collection: str, is_his: Callable[[Document], bool]) -> None:
        async for page in whole(self._store, collection):
            if his := [one for one in page if is_his(one)]:
                await self._drop(collection, his, {collection: len(his)})

    async def forget_names(self) -> None:
        """What he was looked for by, when everything has been found."""
        await self._store.write([self._noted({"$set": {"chats": [], "objects": {}}})])
        self._intent.chats, self._intent.objects = [], {}

    async def settle(self, done_at: int) -> Document:
        """The receipt in place of the intent."""
        intent = self._intent
        receipt: Document = {
            "_id": intent.erasure, "kind": KIND, "customer": intent.customer, "customers": intent.customers,
            "sessions": intent.sessions, "by": intent.by, "asked_at": intent.asked_at,
            "erased_at": intent.erased_at, "done_at": done_at, "counts": intent.counts, "stays": intent.stays,
        }  # fmt: skip
        await self._store.write(
            [Write.insert("receipts", receipt), Write.delete("intents", {"_id": intent.id})]
        )
        return receipt

    # ---------------------------------------------------------------- plumbing

    async def _sweep(self, collection: str, filter: Filter, kind: str) -> None:
        """Deletes all matches, in pieces."""
        while found := await self._store.find(collection, filter, limit=PIECE):
            counts = {kind: len(found)}
            if collection == "messages":
                counts["versions"] = sum(len(one.get("versions", ())) for one in found)
            await self._drop(collection, found, counts)

    async def _drop(self, collection: str, found: list[Document], counts: Mapping[str, int]) -> None:
        """Which files they had is noted before they are gone."""
        noted = self._noted({"$inc": {f"counts.{kind}": n for kind, n in counts.items() if n}}, media=found)
        ids = [one["_id"] for one in found]
        await self._store.write([noted, Write.delete(collection, {"_id": {"$in": ids}})])

    def _noted(self, change: dict[str, Any], media: Iterable[Document] = ()) -> Write:
        for field, step in change.get("$inc", {}).items():
            kind = field.removeprefix("counts.")
            self._intent.counts[kind] = self._intent.counts.get(kind, 0) + step
        keys = {key for one in media for key in files_of(one)} - {*self._intent.media}
        if keys:
            self._intent.media += sorted(keys)
            change = {**change, "$set": {**change.get("$set", {}), "media": self._intent.media}}
        if not change.get("$inc", True):
            change = {name: fields for name, fields in change.items() if name != "$inc"}
        return Write.update("intents", {"_id": self._intent.id}, change or {"$set": {"kind": KIND}})


def files_of(document: Document) -> set[str]:
    """Keys of the files that a message or an object has."""
    files = [*document.get("media", ()), *document.get("files", ())]
    return {one["key"] for one in files if isinstance(one, dict) and one.get("key")}


def mentions(value: Any, names: set[str]) -> bool:
    """Whether one of the names stands anywhere in a document."""
    if isinstance(value, dict):
        return any(key in names or mentions(one, names) for key, one in value.items())
    if isinstance(value, list):
        return any(mentions(one, names) for one in value)
    return isinstance(value, str) and value in names


def _without_words(stage: Any) -> Any:
    return (
        {name: one for name, one in stage.items() if name != "reason"} if isinstance(stage, dict) else stage
    )


async def whole(store: Store, collection: str) -> AsyncIterator[list[Document]]:
    """All of a collection, page by page; what a page says may be deleted meanwhile."""
    after = ""
    while True:
        page = await store.page(collection, {}, sort=[("_id", 1)], limit=PIECE, after=after)
        if page.items:
            yield page.items
        after = page.next
        if not after:
            return


def unfinished(person: Person, intents: Iterable[Document]) -> bool:
    """Whether another change of several documents is about him and not done."""
    names = {*person.customers, *(id for ids in person.objects.values() for id in ids)}
    return any(mentions(one, names) for one in intents)


async def is_needed(store: Store, key: str) -> bool:
    """Whether a message or an object has the file."""
    for collection, field in (("messages", "media.key"), *((name, "files.key") for name in OBJECTS)):
        if await store.find(collection, {field: key}, limit=1):
            return True
    return False
