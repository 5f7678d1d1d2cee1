"""Who was here a moment ago. The store learns of the end of a session, and of a chat that moved, only after
the projector; a customer who writes before that is recognised all the same. In memory only: what a restart
forgets the store knows by then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from crm.ports import Document
from router.state import Known

KEPT = 10_000
FRESH = 60_000
"""ms during which this is newer than what the store says."""


def known_of(document: Document) -> Known:
    """A customer as the store has him. Raises ``msgspec.ValidationError`` for a card that is none."""
    facts = {name: document[name] for name in Known.__struct_fields__ if document.get(name) is not None}
    return msgspec.convert({**facts, "customer": document["_id"]}, Known)


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
