"""Two cards become one person's, and two again: all of it or nothing, whoever dies in between.

What is to be done is decided and kept (``intents``) before the first write. The hinge is the card that goes into
the other: one conditional update of it makes the merge, or its undoing, certain. Each step may be done twice and by
two at once; whoever comes next finishes. A chat never changes its person by itself, so what was said in the chats
of the one that went goes back with them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from crm.kernel.errors import Conflict, Duplicate, NotFound, Refused, Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.kernel.records import person_chat
from crm.kernel.spelling import fold
from crm.objects import writing
from crm.objects.writing import Edit

logger = logging.getLogger(__name__)

INTENTS, MERGES = "intents", "merges"
KINDS = ("merge", "unmerge")
PIECE = 400
"""Documents of one write: nobody waits for more."""
TRIES = 20
HOPS = 16
"""Cards that went one into another."""
UNREADY_MS = 60_000
"""So long an intent may take to find out that nobody else is at these cards."""
SETTLED_MS = 60_000
"""A merge is looked after until the history has got so far behind it."""

SINGLE = (
    "name",
    "username",
    "language",
    "phone",
    "email",
    "responsible",
    "contact",
    "company",
    "lead",
    "about",
)
"""Fields that the one that stays takes over where it has none."""
DISPUTED = ("name", "responsible", "contact", "company")
"""Of these two values are a conflict; of the others the card that stays keeps its own."""
FLAGS = ("vip", "blocked")
UNITED = ("phones", "emails", "identities", "keys", "tags", "lines", "suggestions", "suggested")
OBJECTS = ("leads", "contacts", "deals", "activities")

Prefer = Mapping[str, Literal["master", "other"]]
"""Field, or ``*`` for all -> whose value wins."""


class Claim(NamedTuple):
    """What the desk is told: these chats are this customer's."""

    id: str
    customer: str
    was: str
    chats: list[str]
    card: Document


Tell = Callable[[Claim], Awaitable[None]]


class Disputed(Refused):
    """Both cards say something, and not the same: field -> ``{master, other}``."""

    def __init__(self, both: dict[str, dict[str, Any]]) -> None:
        super().__init__("merge_conflict", fields=", ".join(both))
        self.both = both


async def resolve(store: Store, id: str) -> Document | None:
    """The card of a customer: the one that it was merged into, if it was."""
    card = await store.get("customers", id) if id and "\0" not in id else None
    for _ in range(HOPS):
        above = card.get("merged_into") if card is not None else ""
        if not above:
            break
        card = await store.get("customers", above) or card
        if card is not None and card.get("merged_into") == above:
            break
    return card


# ------------------------------------------------------------------ what is to be done


def disputed(master: Document, other: Document, prefer: Prefer) -> dict[str, dict[str, Any]]:
    """The fields of which nobody has said whose value wins."""
    return {
        field: {"master": master[field], "other": other[field]}
        for field in DISPUTED
        if master.get(field) and other.get(field) and not _same(master[field], other[field])
        and not (prefer.get(field) or prefer.get("*"))
    }  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    return fold(str(one)) == fold(str(other))


def merge_intent(master: Document, other: Document, prefer: Prefer, *, by: str, at: int) -> Document:
    """Raises ``Refused``: ``Disputed``, or for a card that cannot be merged."""
    if master["_id"] == other["_id"]:
        raise Refused("same_customer")
    if both := disputed(master, other, prefer):
        raise Disputed(both)
    filled = {}
    for field in SINGLE:
        wins = prefer.get(field) or prefer.get("*") or "master"
        theirs = wins == "other" and field in DISPUTED
        if other.get(field) and (not master.get(field) or theirs) and other[field] != master.get(field):
            filled[field] = other[field]
    filled |= {flag: True for flag in FLAGS if other.get(flag) and not master.get(flag)}
    return {
        "_id": f"merge-{other['_id']}", "kind": "merge", "master": master["_id"], "other": other["_id"],
        "cards": [master["_id"], other["_id"]], "version": other.get("version", 0), "by": by, "at": at,
        "filled": filled, "before": {field: master.get(field) for field in filled},
        "added": {
            field: [value for value in other.get(field, ()) if value not in master.get(field, ())]
            for field in UNITED
        },
        "chats": [*other.get("chats", ())], "wrote_in": [], "objects": {collection: [] for collection in OBJECTS},
    }  # fmt: skip


def unmerge_intent(merge: Document, other: Document, *, by: str, at: int) -> Document:
    """The way back of what ``merges`` keeps of a merge."""
    kept = {
        name: merge[name] for name in ("master", "other", "cards", "filled", "before", "added", "objects")
    }
    return {
        **kept, "_id": f"unmerge-{other['_id']}", "kind": "unmerge", "version": other.get("version", 0),
        "by": by, "at": at, "chats": merge["chats"], "wrote_in": merge["wrote_in"], "merge": merge["_id"],
    }  # fmt: skip


async def merge_of(store: Store, other: str) -> Document | None:
    """The merge by which a card went into another, as long as it holds."""
    found = await store.find(MERGES, {"other": other, "undone": None}, sort=[("at", -1)], limit=1)
    return found[0] if found else None


# ------------------------------------------------------------------ carried out


async def carry_out(store: Store, tell: Tell, intent: Document) -> None:
    """Raises ``Conflict`` when the card has been changed since this was planned: then nothing has happened;
    ``Refused`` (``merge_busy``) when somebody is at one of the cards. ``Unavailable``: it will be finished
    later, if it is certain by then."""
    try:
        await store.insert(INTENTS, intent)
    except Duplicate:
        raise Refused("merge_busy") from None
    for card in intent["cards"]:
        there = await store.find(INTENTS, {"kind": {"$in": list(KINDS)}, "cards": card})
        # Nor does anything of who is being erased go onto another card.
        there = [*there, *await store.find(INTENTS, {"kind": "erase", "customers": card}, limit=1)]
        if any(one["_id"] != intent["_id"] for one in there):
            await _forget(store, intent)
            raise Refused("merge_busy")
    ready = await store.change(INTENTS, {"_id": intent["_id"]}, {"$set": {"ready": True}})
    if ready is None:  # it took so long that it was dropped
        raise Refused("merge_busy")
    if not await finish(store, tell, ready):
        current = await store.get("customers", intent["other"])
        raise Conflict("the card has been changed meanwhile", current or {"_id": intent["other"]})


async def finish(store: Store, tell: Tell, intent: Document) -> bool:
    """Does what is left. False when it has come to nothing."""
    if not await _certain(store, intent):
        await _forget(store, intent)
        return False
    steps = _MERGE if intent["kind"] == "merge" else _UNMERGE
    for step in steps:
        there = await store.get(INTENTS, intent["_id"])
        if there is None or there["at"] != intent["at"]:
            return True  # another one has finished it
        await step(store, tell, there)
    await _forget(store, intent)
    return True


async def resume(store: Store, tell: Tell, now: int) -> int:
    """Finishes what was cut off, and looks after what the history brings of cards that were merged. Returns how
    much was cut off. Raises ``Unavailable``."""
    found = await store.find(INTENTS, {"kind": {"$in": list(KINDS)}})
    for intent in found:
        try:
            if intent.get("ready"):
                await finish(store, tell, intent)
            elif intent["at"] < now - UNREADY_MS:
                await store.write([Write.delete(INTENTS, {"_id": intent["_id"], "ready": None})])
        except Unavailable:
            raise
        except Exception:  # one that cannot be finished keeps nobody else's waiting
            logger.exception("a merge of cards cannot be finished")
    for merge in await store.find(MERGES, {"watched": 1}):
        await _look_after(store, merge)
    return len(found)


async def _look_after(store: Store, merge: Document) -> None:
    """What the history wrote late, under the customer who it was then."""
    cursor = await store.get("cursors", "journal")
    told = str((cursor or {}).get("position", "0")).partition("-")[0]
    other = await store.get("customers", merge["other"])
    now_in = other.get("merged_into", "") if other is not None else None
    since = (merge.get("undone") or merge)["at"]
    if merge.get("undone"):
        if now_in == "":
            await _conversations_back(store, merge)
    elif other is not None and now_in == merge["master"]:
        await _late_chats(store, merge, other)
        await _repoint(store, merge, MERGES)
    if told.isdigit() and int(told) > since + SETTLED_MS:
        await store.write([Write.update(MERGES, {"_id": merge["_id"]}, {"$unset": {"watched": ""}})])


async def _certain(store: Store, intent: Document) -> bool:
    """The card goes into the other, or comes out of it, unless it is not what it was."""
    merging = intent["kind"] == "merge"
    wanted = intent["master"] if merging else None
    other = await store.get("customers", intent["other"])
    master = await store.get("customers", intent["master"])
    if other is None or master is None or (merging and master.get("merged_into")):
        return False
    if intent["at"] in other.get("hinged", ()):
        return True
    if other.get("version", 0) != intent["version"] or bool(other.get("merged_into")) == merging:
        return False
    edit = Edit(
        "merged" if merging else "unmerged", {"merged_into": wanted}, push={"hinged": intent["at"]},
        params={"into" if merging else "out_of": intent["master"]},
    )  # fmt: skip
    try:
        await writing.change(store, "customer", other, edit, by=intent["by"], at=intent["at"])
    except Conflict as conflict:
        return intent["at"] in conflict.current.get("hinged", ())
    except NotFound:
        return False
    return True


# ------------------------------------------------------------------ the steps of a merge


async def _absorb(store: Store, tell: Tell, intent: Document) -> None:
    """The card that stays takes over what it has not. Once: an edit of it that comes later stays."""
    for _ in range(TRIES):
        master = await store.get("customers", intent["master"])
        if master is None or intent["other"] in master.get("merged", ()):
            return
        values = {f: v for f, v in intent["filled"].items() if master.get(f) == intent["before"].get(f)}
        edit = Edit("absorbed", values, push={"merged": intent["other"]}, params={"other": intent["other"]})
        try:
            await writing.change(store, "customer", master, edit, by=intent["by"], at=intent["at"])
        except Conflict:
            continue
        return
    raise Unavailable("the card is changed again and again", code="store_away")


async def _unite(store: Store, tell: Tell, intent: Document) -> None:
    chats = [("chats", chat) for chat in intent["chats"]]
    values = [*chats, *((field, value) for field, some in intent["added"].items() for value in some)]
    master = {"_id": intent["master"]}
    for start in range(0, len(values), PIECE):
        piece = values[start : start + PIECE]
        await store.write([Write.update("customers", master, {"$addToSet": {f: v}}) for f, v in piece])
    # Only these: a chat that the history has brought meanwhile is looked after later.
    for start in range(0, len(intent["chats"]), PIECE):
        pulls = [{"$pull": {"chats": chat}} for chat in intent["chats"][start : start + PIECE]]
        await store.write([Write.update("customers", {"_id": intent["other"]}, pull) for pull in pulls])


async def _tell_of_master(store: Store, tell: Tell, intent: Document) -> None:
    await _claim(store, tell, intent, customer=intent["master"], was=intent["other"])


async def _repoint_all(store: Store, tell: Tell, intent: Document) -> None:
    await _repoint(store, intent, INTENTS)


async def _repoint(store: Store, merge: Document, kept_in: str) -> None:
    """Everything of the one that went is the other one's. Which objects, and in which chats he wrote, is kept
    before: only that can be undone."""
    there, to = {"customer": merge["other"]}, {"$set": {"customer": merge["master"]}}
    known = _chats_of(merge)
    while found := await store.find("sessions", there, limit=PIECE):
        fresh = {session["chat"] for session in found} - known
        known |= fresh
        keep = [_kept(kept_in, merge, "wrote_in", chat) for chat in sorted(fresh)]
        await store.write([*keep, *(Write.update("sessions", {"_id": s["_id"], **there}, to) for s in found)])
    while found := await store.find("messages", there, limit=PIECE):
        await store.write([Write.update("messages", {"_id": m["_id"], **there}, to) for m in found])
    counted = {**to, "$inc": {"version": 1}}
    for collection in OBJECTS:
        while found := await store.find(collection, there, limit=PIECE):
            ids = [one["_id"] for one in found]
            await store.write([_kept(kept_in, merge, f"objects.{collection}", id) for id in ids])
            await store.write([Write.update(collection, {"_id": id, **there}, counted) for id in ids])


def _chats_of(merge: Document) -> set[str]:
    """Those of his card, and topics of them in which he wrote."""
    return {*merge["chats"], *merge["wrote_in"]}


def _kept(collection: str, merge: Document, field: str, value: str) -> Write:
    return Write.update(collection, {"_id": merge["_id"]}, {"$addToSet": {field: value}})


async def _late_chats(store: Store, merge: Document, other: Document) -> None:
    for chat in other.get("chats", ()):
        await store.write(
            [
                _kept(MERGES, merge, "chats", chat),
                Write.update("customers", {"_id": merge["master"]}, {"$addToSet": {"chats": chat}}),
                Write.update("customers", {"_id": merge["other"]}, {"$pull": {"chats": chat}}),
            ]
        )


async def _record(store: Store, tell: Tell, intent: Document) -> None:
    kept = {name: value for name, value in intent.items() if name not in ("kind", "ready", "version")}
    id = f"{intent['other']}-{intent['at']}"
    await store.write([Write.insert(MERGES, {**kept, "_id": id, "watched": 1})])


# ------------------------------------------------------------------ the steps back


async def _chats_back(store: Store, tell: Tell, intent: Document) -> None:
    for chat in intent["chats"]:
        await store.write(
            [
                Write.update("customers", {"_id": intent["other"]}, {"$addToSet": {"chats": chat}}),
                Write.update("customers", {"_id": intent["master"]}, {"$pull": {"chats": chat}}),
            ]
        )


async def _release(store: Store, tell: Tell, intent: Document) -> None:
    """The card that stayed gives back what it took over, as far as nobody has changed it since."""
    for _ in range(TRIES):
        master = await store.get("customers", intent["master"])
        if master is None or intent["other"] not in master.get("merged", ()):
            return
        values = {
            field: intent["before"].get(field)
            for field, taken in intent["filled"].items()
            if master.get(field) == taken
        }
        params = {"other": intent["other"]}
        edit = Edit("released", values, pull={"merged": intent["other"]}, params=params)
        # Its lists first: they are not in its version, and what is taken out twice is out.
        pulls = [(field, value) for field, some in intent["added"].items() for value in some]
        mine = {"_id": intent["master"]}
        await store.write([Write.update("customers", mine, {"$pull": {f: v}}) for f, v in pulls])
        try:
            await writing.change(store, "customer", master, edit, by=intent["by"], at=intent["at"])
        except Conflict:
            continue
        return
    raise Unavailable("the card is changed again and again", code="store_away")


async def _tell_of_other(store: Store, tell: Tell, intent: Document) -> None:
    await _claim(store, tell, intent, customer=intent["other"], was="")


async def _everything_back(store: Store, tell: Tell, intent: Document) -> None:
    await _conversations_back(store, intent)
    there = {"customer": intent["master"]}
    to = {"$set": {"customer": intent["other"]}, "$inc": {"version": 1}}
    for collection, ids in intent["objects"].items():
        for start in range(0, len(ids), PIECE):
            piece = ids[start : start + PIECE]
            await store.write([Write.update(collection, {"_id": id, **there}, to) for id in piece])


async def _conversations_back(store: Store, merge: Document) -> None:
    chats, after = _chats_of(merge), ""
    there, to = {"customer": merge["master"]}, {"$set": {"customer": merge["other"]}}
    while True:
        page = await store.page("sessions", there, sort=[("opened_at", 1)], limit=PIECE, after=after)
        theirs = [s for s in page.items if s["chat"] in chats or person_chat(s["chat"]) in chats]
        for session in theirs:
            mine = {"session": session["_id"], **there}
            while found := await store.find("messages", mine, limit=PIECE):
                await store.write([Write.update("messages", {"_id": m["_id"], **there}, to) for m in found])
        await store.write([Write.update("sessions", {"_id": s["_id"], **there}, to) for s in theirs])
        after = page.next
        if not after:
            return


async def _mark_undone(store: Store, tell: Tell, intent: Document) -> None:
    undone = {"at": intent["at"], "by": intent["by"]}
    await store.write(
        [Write.update(MERGES, {"_id": intent["merge"]}, {"$set": {"undone": undone, "watched": 1}})]
    )


async def _claim(store: Store, tell: Tell, intent: Document, *, customer: str, was: str) -> None:
    card = await store.get("customers", customer)
    if card is not None:
        await tell(Claim(f"{intent['_id']}-{intent['at']}", customer, was, sorted(_chats_of(intent)), card))


Step = Callable[[Store, Tell, Document], Awaitable[None]]
_MERGE: Sequence[Step] = (_absorb, _unite, _tell_of_master, _repoint_all, _record)
_UNMERGE: Sequence[Step] = (_chats_back, _release, _tell_of_other, _everything_back, _mark_undone)


async def _forget(store: Store, intent: Document) -> None:
    """This one: there may be a later one of the same card."""
    await store.write([Write.delete(INTENTS, {"_id": intent["_id"], "at": intent["at"]})])
