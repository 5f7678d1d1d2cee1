"""Who was here a moment ago. The store learns of the end of a session, and of a chat that moved, only after
the projector; a customer who writes before that is recognised all the same. In memory only: what a restart
forgets the store knows by then."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from crm.kernel.ports import Document
from crm.kernel.records import person_chat
from router.desk.state import Known

logger = logging.getLogger(__name__)

KEPT = 10_000
FRESH = 60_000
"""ms during which this is newer than what the store says."""


def known_of(document: Document) -> Known:
    """A customer as the store has him. Raises ``msgspec.ValidationError`` for a card that is none."""
    facts = {name: document[name] for name in Known.__struct_fields__ if document.get(name) is not None}
    return msgspec.convert({**facts, "customer": document["_id"]}, Known)


def by_chat(found: Sequence[Document], chats: Iterable[str]) -> dict[str, Known]:
    """Who of those that the store found writes in each of the chats. A card that is none costs nobody else
    anything."""
    cards: dict[str, Known] = {}
    for document in found:
        try:
            cards |= dict.fromkeys(document.get("chats", ()), known_of(document))
        except (msgspec.ValidationError, TypeError):
            logger.error("the card of a customer cannot be read")
    known = {chat: cards.get(chat) or cards.get(person_chat(chat)) for chat in chats}
    return {chat: who for chat, who in known.items() if who is not None}


class Recent:
    """By chat, as it was committed."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, Known]] = OrderedDict()

    def note(self, acquainted: Mapping[str, Known], now: int) -> None:
        for chat, known in acquainted.items():
            self._known[chat] = (now, known)
            self._known.move_to_end(chat)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def forget(self, customers: Collection[str]) -> None:
        """Nobody knows these people any more."""
        if customers:
            gone = [chat for chat, (_, known) in self._known.items() if known.customer in customers]
            for chat in gone:
                del self._known[chat]

    def known(self, chat: str, found: Known | None, in_batch: Mapping[str, Known], now: int) -> Known | None:
        """``found``: in the store. ``in_batch``: what is not committed yet."""
        at, known = (now, in_batch[chat]) if chat in in_batch else self._known.get(chat, (0, None))
        if known is None or found is None:
            return known or found
        if now - at > FRESH:
            return found
        return Known(
            customer=known.customer,
            name=found.name or known.name,
            language=found.language or known.language,
            responsible=found.responsible or known.responsible,
            vip=found.vip or known.vip,
            last_operator=known.last_operator or found.last_operator,
        )
