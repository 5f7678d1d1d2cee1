"""By what people are reached: numbers that a channel vouches for, and those that are only written. As writes of
cards; each may be made twice."""

from __future__ import annotations

from collections.abc import Iterator

from crm.kernel import reach
from crm.kernel.ports import Write
from crm.kernel.records import Message
from router.desk.state import CustomerSeen

OFFERED_MAX = 50
"""Suggestions that a card ever gets: whoever writes thousands of numbers fills no card."""


def attested_writes(seen: CustomerSeen, region: str) -> Iterator[Write]:
    """A number that the channel vouches for: it is his, and may tell who he is (``crm.people.attesting``).
    ``region``: whose numbers are written without a country."""
    number = reach.phone(seen.customer.phone, region) if seen.customer.phone else None
    if number is None or "e164" not in number:
        return
    id, value = seen.customer.id, number["e164"]
    mine, key = {"_id": id}, f"phone:{value}"
    channel = seen.chat.partition(":")[0]
    identity = {"channel": channel, "kind": "phone", "value": value, "verified": True}
    # Counted as a change: whoever edits these lists at this moment must not overwrite it.
    learnt = {"$push": {"phones": number}, "$addToSet": {"keys": key}, "$inc": {"version": 1}}
    yield Write.update("customers", {**mine, "keys": {"$ne": key}}, learnt)
    yield Write.update("customers", mine, {"$addToSet": {"identities": identity}})
    intent = {"_id": f"attest-{id}-{value}", "kind": "attest", "customer": id, "key": key, "at": seen.at}
    yield Write.insert("intents", intent)


def suggestion_writes(message: Message, customer: str, region: str) -> Iterator[Write]:
    """Numbers and addresses that a customer writes are suggested for his card, each once: they may be
    somebody else's."""
    found = [(number["e164"], {"kind": "phone", **number}) for number in _numbers(message, region)]
    found += [(address, {"kind": "email"}) for address in reach.emails_in(message.text)]
    for value, about in found:
        key = f"{about['kind']}:{value}"
        new = {
            "_id": customer, "keys": {"$ne": key}, "suggested": {"$ne": key},
            "$or": [{"offered": None}, {"offered": {"$lt": OFFERED_MAX}}],
        }  # fmt: skip
        suggestion = {
            **about, "key": key, "value": value, "message": message.id, "session": message.session,
            "at": message.at,
        }  # fmt: skip
        offer = {"$push": {"suggestions": suggestion, "suggested": key}, "$inc": {"offered": 1}}
        yield Write.update("customers", new, offer)


def _numbers(message: Message, region: str) -> Iterator[reach.Phone]:
    yield from reach.phones_in(message.text, region)
    for media in message.media:
        number = reach.phone(media.phone, region) if media.phone else None
        if number is not None and "e164" in number:
            yield number


def line_write(customer: str, line: str) -> Write:
    """Who works in this line may see the card."""
    new = {"_id": customer, "lines": {"$ne": line}}
    return Write.update("customers", new, {"$addToSet": {"lines": line}})
