"""What the journal tells before and after somebody was erased, in one batch of the projector."""

from __future__ import annotations

from typing import Any

from crm.kernel.ports import Write
from crm.kernel.records import Customer, Message, MessageChange, customer_of
from router.desk.state import (
    Audit,
    CustomerSeen,
    Entry,
    Erased,
    MessageAdded,
    MessageChanged,
    Rated,
    Session,
    encode,
)
from router.history.projector import Projector
from router.log.log import Log
from storage.sqlite import SqliteStore
from tests.storage.conftest import sqlite

__all__ = ["sqlite"]
ALI = customer_of("bot:ali")


def seen(at: int, **facts: Any) -> CustomerSeen:
    return CustomerSeen(customer=Customer(id=ALI, created_at=at, seen_at=at, **facts), chat="bot:ali", at=at)


def said(session: str, text: str) -> MessageAdded:
    message = Message(
        id=f"{session}-1", session=session, chat="bot:ali", seq=1, direction="in", at=1, text=text
    )
    return MessageAdded(message=message)


def state(id: str) -> Session:
    return Session(id=id, chat="bot:ali", channel="bot", kind="", line="sales", customer=ALI, form=1)


async def projected(log: Log, store: SqliteStore, *entries: Entry) -> None:
    for entry in entries:
        await log.redis.xadd(log.keys.journal, {"e": encode(entry)})
    projector = Projector(log, store)
    await projector.claim()
    while await projector.step():
        pass


ERASED = Erased(at=50, erasure="e1", customers=[ALI], sessions=["1"], below=2)


async def test_the_next_one_has_nothing_of_the_one_before(log: Log, sqlite: SqliteStore) -> None:
    before = Entry(
        at=10, told=[seen(10, name="zqx", phone="+998901112233"), said("1", "zqx")], sessions=[state("1")]
    )
    after = Entry(at=60, told=[seen(60, name="Ali"), said("2", "new")], sessions=[state("2")])
    await projected(log, sqlite, before, Entry(at=50, told=[ERASED]), after)
    card = await sqlite.get("customers", ALI)
    assert card is not None
    assert (card["name"], card["created_at"]) == ("Ali", 60)
    assert not card.get("phone")
    assert not card.get("keys")


async def test_what_is_told_of_an_erased_session_later_is_dropped(log: Log, sqlite: SqliteStore) -> None:
    late: list[Any] = [
        MessageChanged(
            change=MessageChange(at=60, chat="bot:ali", session="1", id="1-1", text="zqx", edited_at=60)
        ),
        MessageChanged(
            change=MessageChange(at=60, chat="bot:ali", external_id="m1", text="zqx", edited_at=60)
        ),
        Rated(at=60, chat="bot:ali", session="1", score=5, comment="zqx"),
        Audit(at=60, operator="anna", action="closed", session="1", params={"result": "zqx"}),
        seen(40, name="zqx"),
    ]
    await projected(log, sqlite, Entry(at=50, told=[ERASED]), Entry(at=60, told=late, sessions=[state("1")]))
    for collection in await sqlite.collections():
        assert not [one for one in await sqlite.find(collection, {}) if "zqx" in str(one)], collection
    assert await sqlite.get("sessions", "1") is None


async def test_a_projector_that_starts_later_knows_it_from_the_receipt(log: Log, sqlite: SqliteStore) -> None:
    receipt = {"_id": "e1", "kind": "erase", "customers": [ALI], "sessions": ["1"], "erased_at": 50}
    await sqlite.write([Write.insert("receipts", {**receipt, "done_at": log.now()})])
    await projected(log, sqlite, Entry(at=60, told=[said("1", "zqx")], sessions=[state("1")]))
    assert await sqlite.find("messages", {}) == []
    assert await sqlite.find("sessions", {}) == []
