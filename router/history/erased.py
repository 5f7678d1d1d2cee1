"""Who has been erased lately. What the journal still tells of him is not written any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from crm.kernel.ports import Document, Filter, Write
from crm.kernel.records import customer_of, person_chat
from router.desk.state import CustomerSeen, Erased, FieldsFilled, Told

REMEMBERED_MS = 31 * 24 * 3600 * 1000
"""Longer than a change waits for its message, and than the journal is kept."""


def remembered(now: int) -> list[tuple[str, Filter]]:
    """Where the store says it: (collection, which of its documents)."""
    return [
        ("intents", {"kind": "erase"}),
        ("receipts", {"kind": "erase", "done_at": {"$gte": now - REMEMBERED_MS}}),
    ]


class ErasedPeople:
    """``customers``: id of a card -> when it was erased (ms, the desk's clock)."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self.customers: dict[str, int] = {}
        self.sessions: set[str] = set()
        for document in documents:
            self._learn(document.get("erased_at", 0), document["customers"], document["sessions"])

    def learn(self, erased: Erased) -> None:
        self._learn(erased.at, erased.customers, erased.sessions)

    def _learn(self, at: int, customers: Iterable[str], sessions: Iterable[str]) -> None:
        for id in customers:
            self.customers[id] = max(at, self.customers.get(id, 0))
        self.sessions.update(sessions)

    def forgot(self, told: Told) -> bool:
        """Whether nothing is to be written of it."""
        if not self.customers:
            return False
        session = _session_of(told)
        if session and session in self.sessions:
            return True
        if isinstance(told, CustomerSeen):
            return told.at < self.customers.get(told.customer.id, -1)
        return isinstance(told, FieldsFilled) and told.at < self.customers.get(told.customer, -1)

    def was_in(self, chat: str) -> bool:
        """Whether somebody who wrote in this chat has been erased."""
        return bool(self.customers) and customer_of(person_chat(chat)) in self.customers


def _session_of(told: Any) -> str:
    of = getattr(told, "message", None) or getattr(told, "change", None) or told
    session: str = getattr(of, "session", "")
    return session


def erasure_writes(erased: Erased) -> Iterator[Write]:
    """His cards go where the journal says so: what was told before made them, what comes after makes new ones.
    Whoever carries the erasure out learns that everything before is in the store."""
    for id in erased.customers:
        yield Write.delete("customers", {"_id": id})
    facts = {"erased_at": erased.at, "below": erased.below, "sessions": erased.sessions}
    yield Write.update("intents", {"erasure": erased.erasure, "erased_at": 0}, {"$set": facts})
