"""What a timeline is made of, in its order: the newest first; of one moment by kind and key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from crm.kernel.access import Actor, ObjectType
from crm.kernel.errors import WrongUse
from crm.kernel.ports import Document


class TimelineEntry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Something that happened. ``kind``: ``message``, ``stage``, or that of an activity (``task``, ``note`` …).
    ``key`` tells it from others of its kind at the same ms, and sorts with them. ``type`` and ``object``: the
    object that it happened to, or that it is. ``data``: the rest of it, as it is stored."""

    at: int
    kind: str
    key: str
    by: str = ""
    text: str = ""
    type: str = ""
    object: str = ""
    title: str = ""
    data: dict[str, Any] = {}


class Before(NamedTuple):
    """What a source is asked for: entries of ``at`` ms or earlier, and at ``at`` itself only those whose key is
    before ``key`` (all of them for None, none for an empty one)."""

    at: int
    key: str | None


class Owner(NamedTuple):
    """Whose timeline it is. ``customers``: the cards of the person, those that were merged into his too."""

    type: ObjectType
    document: Document
    customers: Sequence[str]


class TimelineSource(Protocol):
    """Where entries come from. A new kind of thing that happens is one more of these."""

    name: str
    """Unique, and what entries of one moment are sorted by."""

    async def entries(
        self, actor: Actor, owner: Owner, before: Before | None, limit: int
    ) -> Sequence[TimelineEntry]:
        """The newest ``limit`` entries that this actor may read, in order of time and key, the newest first; None:
        from the end."""


class TimelinePlace(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page ends: behind which entry."""

    owner: str
    at: int
    source: str
    key: str

    def before(self, source: str) -> Before:
        """What follows this place in a source."""
        if source == self.source:
            return Before(self.at, self.key)
        return Before(self.at, None if source < self.source else "")


def cursor(place: TimelinePlace) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(after: str, owner: str) -> TimelinePlace | None:
    """None for the beginning. Raises ``WrongUse`` for what is no place in this timeline."""
    if not after:
        return None
    try:
        data = base64.urlsafe_b64decode(after[:2000] + "=" * (-len(after[:2000]) % 4))
        place = msgspec.json.decode(data, type=TimelinePlace)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise WrongUse("this is no place in a timeline") from None
    if place.owner != owner:
        raise WrongUse("this is a place in another timeline")
    return place


def follows(before: Before | None, at: int, key: str) -> bool:
    """Whether an entry is among those that are asked for."""
    if before is None or at < before.at:
        return True
    return at == before.at and (before.key is None or key < before.key)


def narrowed(before: Before | None, at: str) -> Mapping[str, Any]:
    """The same as a filter of documents whose time is in the field ``at`` and whose key is their ``_id``."""
    if before is None:
        return {}
    if before.key is None:
        return {at: {"$lte": before.at}}
    return {"$or": [{at: {"$lt": before.at}}, {at: before.at, "_id": {"$lt": before.key}}]}
