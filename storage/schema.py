"""The collections that queries lean on, and their indexes: the same in both stores.

A field of an index holds text, numbers or nothing, never arrays, unless the index says ``many``.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from crm.kernel.errors import UnsupportedQuery


class Index(NamedTuple):
    """``many``: the one field is an array, and each of its elements is found."""

    fields: tuple[str, ...]
    unique: bool = False
    many: bool = False

    @property
    def name(self) -> str:
        return "_".join(self.fields).replace(".", "_")


INDEXES: dict[str, tuple[Index, ...]] = {
    "messages": (
        Index(("session", "seq")),
        Index(("customer", "at", "session", "seq")),
        Index(("chat", "delivery")),
        # `source`: where an incoming message came from, `<chat> <external id>`; else its own id.
        Index(("source",), unique=True),
        # `sent_as`: the same for each part of an outgoing one.
        Index(("sent_as",), many=True),
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
    "customers": (Index(("chats",), many=True), Index(("phone",)), Index(("seen_at",))),
    "accounts": (),
    "line_versions": (Index(("line", "version"), unique=True), Index(("source", "line", "version"))),
    "audit": (Index(("at",)), Index(("session", "at")), Index(("operator", "at")), Index(("action", "at"))),
    "decisions": (Index(("session", "at")),),
    "alerts": (Index(("at",)), Index(("session", "at"))),
    "ratings": (Index(("at",)), Index(("session", "at")), Index(("operator", "at"))),
    "strays": (Index(("at",)),),
    "early": (Index(("key",)), Index(("at",))),
    "cursors": (),
}

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
