"""Search over everything that is kept of people: what matches, how well, and where in it. Any text is a legal
query, and finds nothing more than who asks may read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, get_args

from crm.kernel.access import Actor, ObjectType, within
from crm.kernel.ports import Document, Filter, Store
from crm.kernel.tokens import (
    EXACT,
    MAX_QUERY,
    PREFIX,
    Match,
    SearchedField,
    Term,
    asked,
    matches,
    rank,
    spans_of,
    terms_of,
    words_of,
)
from crm.objects.twins import ALIVE
from crm.objects.types import COLLECTION

Place = Literal["messages", "customers", "leads", "contacts", "companies", "deals"]
PLACES: tuple[Place, ...] = get_args(Place)

LIMIT_MAX = 100
"""Hits of one place."""
CANDIDATES = 500
"""The newest documents that have all tokens of a query, and are looked at: they may be meant or not."""
EXCERPT = 240
"""Characters of a message's text that are shown around what was found."""

_TYPES: dict[Place, ObjectType] = {
    "customers": "customer", "leads": "lead", "contacts": "contact", "companies": "company", "deals": "deal"
}  # fmt: skip


class Hit(NamedTuple):
    """A document that was found. ``rank``: ``EXACT``, ``PREFIX`` or ``FORGIVEN``; ``at``: by what the newest
    are first, in ms."""

    place: Place
    document: Document
    rank: int
    at: int
    matches: list[Match]


class Hits(NamedTuple):
    """What one place has, the best first, of equal ones the newest. ``more``: that is not all."""

    hits: list[Hit]
    more: bool


async def find(store: Store, actor: Actor, place: Place, text: str, *, limit: int = 20) -> Hits:
    """The hits of one place that the actor may read. At most ``limit``, which ends at ``LIMIT_MAX``."""
    limit = max(1, min(limit, LIMIT_MAX))
    text = text[:MAX_QUERY]
    if place == "messages":
        return await _messages(store, actor.lines, text, limit)
    return await _objects(store, actor, place, text, limit)


# ------------------------------------------------------------------ messages


async def _messages(store: Store, lines: Collection[str], text: str, limit: int) -> Hits:
    wanted: Filter = {"line": {"$in": sorted(lines)}}
    found: dict[str, tuple[Document, int]] = {}
    for whole in (True, False):
        if len(found) <= limit:
            for document in await store.search(text, filter=wanted, limit=limit + 1, whole=whole):
                found.setdefault(document["_id"], (document, EXACT if whole else PREFIX))
    terms = words_of(text)
    hits = [
        Hit("messages", document, rank, document.get("at", 0), _excerpt(terms, document))
        for document, rank in list(found.values())[:limit]
    ]
    return Hits(hits, more=len(found) > limit)


def _excerpt(terms: Sequence[Term], document: Document) -> list[Match]:
    """The part of a message in which the first of the words is."""
    text = document.get("text") or ""
    spans = spans_of(terms, SearchedField("text", "text", text))
    start = max(0, spans[0][0] - EXCERPT // 3) if spans and spans[-1][1] > EXCERPT else 0
    shown = text[start : start + EXCERPT]
    inside = [(a - start, b - start) for a, b in spans if start <= a and b <= start + len(shown)]
    return [Match("text", shown, inside)]


# ------------------------------------------------------------------ customers and objects


async def _objects(store: Store, actor: Actor, place: Place, text: str, limit: int) -> Hits:
    type, terms = _TYPES[place], terms_of(text)  # noqa: A001 - the word of the domain
    if not terms or actor.may(type, "read") == "none":
        return Hits([], more=False)
    by = "seen_at" if place == "customers" else "changed_at"
    found: dict[str, Hit] = {}
    full = False
    for forgiving in (False, True):
        if len(found) > limit:
            break
        conditions = {"$and": [*asked(terms, forgiving=forgiving), ALIVE]}
        candidates = await store.find(
            COLLECTION[type], within(actor, type, "read", conditions), sort=[(by, -1)], limit=CANDIDATES
        )
        full = full or len(candidates) == CANDIDATES
        for document in candidates:
            if document["_id"] not in found and (how := rank(terms, document)) is not None:
                at = document.get(by) or 0
                found[document["_id"]] = Hit(place, document, how, at, matches(terms, document))
    best = sorted(found.values(), key=lambda hit: (hit.rank, -hit.at, hit.document["_id"]))
    return Hits(best[:limit], more=len(best) > limit or full)
