"""What the journal tells of customers, as writes of their cards. Each may be made twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crm.kernel.ports import Store, Write
from crm.kernel.records import to_document
from crm.kernel.tokens import tokens_of
from router.desk.state import CustomerSeen, FieldsFilled, Session

CARD = ("name", "phone", "email")
"""What a bot learns that has a place of its own on the customer's card; the rest is in ``fields``."""

SPELLED = 500
"""Cards that are given their tokens together."""

_KEY = re.compile(r"[A-Za-z_][\w-]*")


def handled_write(session: Session) -> Write:
    """Who handled the customer last, for ``last_operator_first``."""
    at = session.closed_at
    newer = {"_id": session.customer, "$or": [{"handled_at": {"$lte": at}}, {"handled_at": None}]}
    return Write.update("customers", newer, {"$set": {"last_operator": session.holder, "handled_at": at}})


def card_writes(filled: FieldsFilled) -> Iterator[Write]:
    """What the customer told a bot of himself. ``told``: field -> when; such a name or phone is not
    replaced by what the channel says."""
    made = {"$setOnInsert": {"id": filled.customer}, "$set": {"respell": 1}}
    yield Write.upsert("customers", {"_id": filled.customer}, made)
    for field, value in filled.fields.items():
        # A name may hold what a key of a store may not.
        safe = field if _KEY.fullmatch(field) else "_" + re.sub(r"[^\w-]", "_", field)
        key = field if field in CARD else f"fields.{safe}"
        told = f"told.{safe}"
        newer = {"_id": filled.customer, "$or": [{told: {"$lte": filled.at}}, {told: None}]}
        yield Write.update("customers", newer, {"$set": {key: value, told: filled.at}})


def customer_writes(seen: CustomerSeen) -> Iterator[Write]:
    customer = seen.customer
    if seen.moved_from:
        # Whoever wrote there before we knew of the move was taken for somebody else.
        taken = {"chats": seen.chat, "_id": {"$ne": customer.id}}
        gone = {"$pull": {"chats": seen.chat}, "$set": {"merged_into": customer.id}}
        yield Write.update("customers", taken, gone)
    facts = to_document(customer)
    identities = facts.pop("identities", [])
    created_at = facts.pop("created_at", seen.at)
    facts.update(can_write=customer.can_write, seen_at=seen.at)
    yield Write.upsert(
        "customers",
        {"_id": customer.id},
        {
            "$min": {"created_at": created_at},
            "$setOnInsert": {"id": customer.id, "version": 1},
            "$addToSet": {"chats": seen.chat},
        },
    )
    for identity in identities:
        yield Write.update("customers", {"_id": customer.id}, {"$addToSet": {"identities": identity}})
    # What is not known now (an empty name) does not erase what was.
    newer = {"_id": customer.id, "$or": [{"seen_at": {"$lte": seen.at}}, {"seen_at": None}]}
    for field in ("name", "phone"):
        if field in facts:
            theirs = {"$and": [newer, {f"told.{field}": None}]}
            yield Write.update("customers", theirs, {"$set": {field: facts.pop(field)}})
    yield Write.update("customers", newer, {"$set": {**facts, "respell": 1}})


async def spell(store: Store) -> None:
    """Gives the cards that were written their tokens for the search. Which name stands on a card is decided in
    the store, so they are looked at once more, and marked (``respell``) until that is done: whoever dies in
    between is followed by whoever comes next."""
    while found := await store.find("customers", {"respell": 1}, limit=SPELLED):
        writes = []
        for card in found:
            unchanged = {"_id": card["_id"], **{name: card.get(name) for name in CARD}}
            if all(value is None or isinstance(value, str) for value in unchanged.values()):
                change = {"$set": {"tokens": tokens_of(card)}, "$unset": {"respell": ""}}
            else:
                unchanged, change = {"_id": card["_id"]}, {"$unset": {"respell": ""}}
            writes.append(Write.update("customers", unchanged, change))
        if not await store.write(writes) or len(found) < SPELLED:
            return
