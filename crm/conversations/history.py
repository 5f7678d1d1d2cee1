"""What was said: messages and sessions as documents of the store, and how they are read back.

Reading is for the gateway and the command line, writing for the projector. Who may read what is
the caller's question: ``lines`` are those a login may read, ``None`` means no limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

import msgspec

from crm.kernel.ports import Document, Filter, Store
from crm.kernel.records import Customer, Message, to_document, whole_chat
from crm.kernel.spelling import fold

_SEQ = re.compile(r"[0-9]{1,15}")

PAGE = 50
"""Messages of a page, unless told otherwise."""
TAGGED_PAGE, TAGGED_MAX = 500, 10_000
"""Sessions with tags that are looked at in one query, and in all."""

# ------------------------------------------------------------------ messages as documents


def source(chat: str, external_id: str) -> str:
    """The key of a message where it came from or went to. NUL is no part of any platform's ids,
    but of a hostile one's, and databases end texts there."""
    return f"{whole_chat(chat)} {external_id}".replace("\0", "\ufffd")


def message_document(message: Message, *, customer: str, line: str, channel: str) -> Document:
    """A message as the store keeps it. ``source`` is unique: the channel's own id of an incoming
    message, else ours; ``sent_as`` has the channel's ids of an outgoing one's parts."""
    document = to_document(message)
    document["_id"] = message.id
    document["customer"], document["line"], document["channel"] = customer, line, channel
    # Reactions are keyed by who reacted, and a name may hold anything, also what a key may not.
    if message.reactions:
        document["reactions"] = [{"by": by, "emoji": emoji} for by, emoji in message.reactions.items()]
    for media in document.get("media", ()):
        # JSON has no such numbers, and no place on earth does.
        if not (math.isfinite(media.get("latitude", 0)) and math.isfinite(media.get("longitude", 0))):
            media.update(latitude=0.0, longitude=0.0)
    incoming = message.direction == "in" and message.external_id
    document["source"] = source(message.chat, message.external_id) if incoming else message.id
    if message.external_id and not incoming:
        document["sent_as"] = [source(message.chat, part) for part in message.external_id.split()]
    return document


def message(document: Document) -> Message:
    """The message that a document was made of."""
    reactions = document.get("reactions")
    if reactions:
        document = {**document, "reactions": {one["by"]: one["emoji"] for one in reactions}}
    return msgspec.convert(document, Message, builtin_types=(bytes,))


def customer(document: Document) -> Customer:
    """The customer that a document was made of."""
    return msgspec.convert(document, Customer)


# ------------------------------------------------------------------ reading


async def messages(store: Store, session: str, *, before_seq: int = 0, limit: int = PAGE) -> list[Message]:
    """The last ``limit`` messages of a session, or the last before ``before_seq``, in order."""
    wanted: dict[str, Any] = {"session": session}
    if before_seq:
        wanted["seq"] = {"$lt": before_seq}
    found = await store.find("messages", wanted, sort=[("seq", -1)], limit=limit)
    return [message(document) for document in reversed(found)]


async def customer_messages(
    store: Store,
    customer: str,
    *,
    lines: Collection[str] | None = None,
    before: tuple[int, str] | None = None,
    limit: int = PAGE,
) -> list[Message]:
    """A customer's last messages over all sessions and channels, in order; ``before`` is (at, id)
    of the oldest message already there."""
    wanted: dict[str, Any] = {"customer": customer, **_in_lines(lines)}
    if before is not None:
        wanted.update(_before(*before))
    sort = [("at", -1), ("session", -1), ("seq", -1)]
    found = await store.find("messages", wanted, sort=sort, limit=limit)
    return [message(document) for document in reversed(found)]


async def search(
    store: Store,
    text: str,
    *,
    lines: Collection[str] | None = None,
    session: str = "",
    customer: str = "",
    limit: int = PAGE,
) -> list[Message]:
    """Messages that hold all the words, the newest first. Any text is a legal query."""
    wanted: dict[str, Any] = _in_lines(lines)
    if session:
        wanted["session"] = session
    if customer:
        wanted["customer"] = customer
    return [message(document) for document in await store.search(text, filter=wanted, limit=limit)]


async def sessions(
    store: Store,
    *,
    lines: Collection[str] | None = None,
    line: str = "",
    status: str = "",
    holder: str = "",
    customer: str = "",
    limit: int = 200,
) -> list[Document]:
    """Sessions as documents, the newest first."""
    wanted: dict[str, Any] = _in_lines(lines)
    given = {"line": line, "status": status, "holder": holder, "customer": customer}
    wanted = {"$and": [wanted, {key: value for key, value in given.items() if value}]}
    return await store.find("sessions", wanted, sort=[("opened_at", -1)], limit=limit)


async def tagged_sessions(
    store: Store, tag: str, *, lines: Collection[str], holder: str = "", customer: str = "", limit: int = 200
) -> list[Document]:
    """Closed sessions that carry a tag, however it is spelled; looked for among the newest
    ``TAGGED_MAX`` that carry any."""
    key, found = fold(tag), []
    given = {name: value for name, value in (("holder", holder), ("customer", customer)) if value}
    wanted = {"$and": [_in_lines(lines), {"status": "closed", "tags": {"$exists": True}, **given}]}
    for skip in range(0, TAGGED_MAX, TAGGED_PAGE):
        page = await store.find("sessions", wanted, sort=[("opened_at", -1)], skip=skip, limit=TAGGED_PAGE)
        found += [document for document in page if key in map(fold, document["tags"])]
        if len(page) < TAGGED_PAGE or len(found) >= limit:
            break
    return found[:limit]


async def session(store: Store, id: str) -> Document | None:
    return await store.get("sessions", id)


def _in_lines(lines: Collection[str] | None) -> dict[str, Any]:
    return {} if lines is None else {"line": {"$in": sorted(lines)}}


def _before(at: int, id: str) -> Filter:
    """Earlier than a message in the order of (at, session, seq)."""
    session, _, seq = id.rpartition("-")
    if not session or not _SEQ.fullmatch(seq):
        return {"at": {"$lt": at}}
    return {
        "at": {"$lte": at},
        "$or": [
            {"at": {"$lt": at}},
            {"session": {"$lt": session}},
            {"session": session, "seq": {"$lt": int(seq)}},
        ],
    }
