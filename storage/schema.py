"""The collections that queries lean on, and their indexes: the same in both stores.

A field of an index holds text, numbers or nothing, never arrays, unless the index says ``many``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from crm.kernel.errors import UnsupportedQuery
from crm.kernel.ports import Write


class Index(NamedTuple):
    """``unique``: no two documents have the same there; those without the field (all of the fields, where
    there are several) are in nobody's way. ``many``: the one field is an array, and each of its elements is
    found (of ``media.key``: each ``key`` in the array ``media``). ``sparse``: only documents that have the field are looked for by it. ``expires``: seconds after
    the time in the one field (ms) from which on the store's ``expire`` deletes a document."""

    fields: tuple[str, ...]
    unique: bool = False
    many: bool = False
    sparse: bool = False
    expires: int | None = None

    @property
    def name(self) -> str:
        return "_".join(self.fields).replace(".", "_")


_OBJECT = (
    # `keys`: by what the like of it is found, such as `phone:+998901234567`.
    Index(("keys",), many=True),
    # `tokens`: by what it is searched for (`crm.kernel.tokens`).
    Index(("tokens",), many=True),
    # `owes`: something of it is still to be copied into the audit.
    Index(("owes",), sparse=True),
    Index(("created_at",)),
    Index(("changed_at",)),
    Index(("responsible", "created_at")),
    Index(("line", "created_at")),
    Index(("customer",), sparse=True),
    Index(("files.key",), many=True),
)
"""What every collection of objects is looked through by."""

INDEXES: dict[str, tuple[Index, ...]] = {
    "messages": (
        Index(("session", "seq")),
        Index(("customer", "at", "session", "seq")),
        Index(("chat", "delivery")),
        # `source`: where an incoming message came from, `<chat> <external id>`; else its own id.
        Index(("source",), unique=True),
        # `sent_as`: the same for each part of an outgoing one.
        Index(("sent_as",), many=True),
        # By which messages have a file it is known whether anybody still needs it.
        Index(("media.key",), many=True),
    ),
    "sessions": (
        Index(("opened_at",)),
        Index(("customer", "opened_at")),
        Index(("line", "opened_at")),
        Index(("status", "opened_at")),
        Index(("holder", "opened_at")),
        Index(("chat", "opened_at")),
    ),
    # `chats`: the keys of all chats in which this customer writes.
    "customers": (
        Index(("chats",), many=True),
        Index(("phone",)),
        Index(("seen_at",)),
        Index(("merged_into",), sparse=True),
        # `lines`: in which he wrote.
        Index(("lines",), many=True),
        Index(("responsible", "seen_at")),
        Index(("keys",), many=True),
        Index(("tokens",), many=True),
        # `respell`: its tokens are of an earlier name.
        Index(("respell",), sparse=True),
        Index(("owes",), sparse=True),
    ),
    "leads": (*_OBJECT, Index(("stage", "created_at"))),
    "contacts": (*_OBJECT, Index(("company",), sparse=True)),
    "companies": _OBJECT,
    "deals": (
        *_OBJECT,
        Index(("funnel", "stage", "stage_since")),
        Index(("contact",), sparse=True),
        Index(("company",), sparse=True),
    ),
    "activities": (
        *_OBJECT,
        Index(("responsible", "due_at")),
        *(Index((owner,), sparse=True) for owner in ("lead", "contact", "company", "deal", "session")),
    ),
    # What several documents are changed for is decided before the first of them is.
    "intents": (Index(("kind",)),),
    # `watched`: what the history still writes late belongs to the card that stayed.
    "merges": (Index(("other", "at")), Index(("master",)), Index(("watched",), sparse=True)),
    "accounts": (),
    "line_versions": (Index(("line", "version"), unique=True), Index(("source", "line", "version"))),
    "audit": (
        Index(("at",)),
        Index(("session", "at")),
        Index(("operator", "at")),
        Index(("action", "at")),
        Index(("verb", "at"), sparse=True),
        Index(("object", "at"), sparse=True),
        Index(("customer", "at"), sparse=True),
    ),
    "decisions": (Index(("session", "at")),),
    "alerts": (Index(("at",)), Index(("session", "at"))),
    "ratings": (Index(("at",)), Index(("session", "at")), Index(("operator", "at"))),
    "strays": (Index(("at",)),),
    # Changes of messages that have not come, and after a month never will.
    "early": (Index(("key",)), Index(("at",), expires=30 * 86400)),
    # `customers`: the cards that an erasure was about.
    "receipts": (Index(("done_at",)), Index(("customers",), many=True)),
    "cursors": (),
    # Of each session what it counts for; `days`: in which.
    "facts": (Index(("days",), many=True),),
    "rollups": (Index(("span", "at")),),
    "visitors": (),
    "redo": (),
    "migrations": (),
}


def expired(now: int) -> Iterator[Write]:
    """The writes that delete what is past its time. ``now`` in ms."""
    for collection, indexes in INDEXES.items():
        for index in indexes:
            if index.expires is not None:
                (field,) = index.fields
                yield Write.delete(collection, {field: {"$lte": now - index.expires * 1000}})


OPENING = 3600.0
"""Seconds for making one index that a newer version wants of all that is there already."""

SEARCHED = "messages"
"""The collection whose field ``text`` is searched by words."""

_NAME = re.compile(r"[a-z][a-z_]*")


def is_collection(name: str) -> bool:
    """Whether a collection may be called so."""
    return _NAME.fullmatch(name) is not None


@functools.lru_cache(maxsize=64)
def check_collection(name: str) -> str:
    """The name, which may be a part of SQL then. Raises ``UnsupportedQuery``."""
    if not is_collection(name):
        raise UnsupportedQuery(f"{name!r} is no name of a collection")
    return name
