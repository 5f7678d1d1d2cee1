"""Whoever is vouched for by his channel is linked by himself, where exactly one card is meant."""

from __future__ import annotations

import logging

from crm.kernel.errors import Conflict, Refused, Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.objects.twins import ALIVE
from crm.people.merging import INTENTS, Tell, carry_out, merge_intent, resolve

logger = logging.getLogger(__name__)

KIND = "attest"


async def attest(store: Store, tell: Tell) -> int:
    """Goes through what waits (``intents``), and returns how many cards were linked. Where several cards have the
    number, or they contradict each other, nothing is done by itself: people find them among the duplicates.
    Raises ``Unavailable``."""
    linked = 0
    for intent in await store.find(INTENTS, {"kind": KIND}):
        try:
            linked += await _linked(store, tell, intent)
        except Conflict:
            continue  # it was changed in this moment: once more with the next
        except Refused as refused:
            if refused.code == "merge_busy":
                continue
            logger.info("a card with an attested number is not linked by itself: %s", refused.code)
        except Unavailable:
            raise
        except Exception:  # one that cannot be linked is in nobody's way
            logger.exception("a card with an attested number cannot be linked")
        await store.write([Write.delete(INTENTS, {"_id": intent["_id"]})])
    return linked


async def _linked(store: Store, tell: Tell, intent: Document) -> bool:
    card = await resolve(store, intent["customer"])
    if card is None:
        return False
    alike = await store.find("customers", {"keys": intent["key"], **ALIVE}, limit=3)
    others = [one for one in alike if one["_id"] != card["_id"]]
    if len(others) != 1:
        return False
    master, other = sorted((card, others[0]), key=lambda one: (one.get("created_at", 0), one["_id"]))
    await carry_out(store, tell, merge_intent(master, other, {"name": "master"}, by="", at=intent["at"]))
    return True
