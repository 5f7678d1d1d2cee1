"""The steps, in order. A step that has been released is never changed, and never taken out: its number is its
place here, and a store says up to which number it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from crm.kernel import reach
from crm.kernel.ports import Document, Filter, Update
from crm.kernel.tokens import tokens_of


class Migration(NamedTuple):
    """What becomes of each document of a collection. ``pending`` matches those that wait for it and none that it
    has changed, so that it may be repeated; ``change`` is pure. Where it is None, nothing is to be changed."""

    name: str
    collection: str
    pending: Filter
    change: Callable[[Document], Update | None]


def _person(document: Document) -> Update:
    phone = document.get("phone")
    return {"$set": {"version": 1, "phones": [phone] if isinstance(phone, str) and phone else []}}


def _reached(document: Document) -> Update:
    """Numbers that say their country themselves; the others are kept as they are."""
    phones = []
    for one in document.get("phones") or ():
        number = reach.phone(one, "ZZ") if isinstance(one, str) else one
        phones += [number] if isinstance(number, dict) else []
    keys = [f"phone:{number['e164']}" for number in phones if "e164" in number]
    return {"$set": {"phones": phones, "keys": keys}}


STEPS: tuple[Migration, ...] = (
    Migration(
        "customers have versions and a list of phones", "customers", {"version": {"$exists": False}}, _person
    ),
    Migration(
        "customers are found by tokens",
        "customers",
        {"tokens": {"$exists": False}},
        lambda document: {"$set": {"tokens": tokens_of(document)}},
    ),
    Migration(
        "numbers of customers are compared by E.164", "customers", {"keys": {"$exists": False}}, _reached
    ),
)
