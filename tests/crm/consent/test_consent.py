"""Erasure and retention in the store alone, on both stores."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from crm.consent import erasure, person, retention
from crm.consent.erasure import StoreErasure
from crm.kernel.crm_settings import Retention
from crm.kernel.errors import Refused
from crm.kernel.ports import Store, Write
from crm.kernel.records import customer_of

DAY = 24 * 3600 * 1000
NOW = 2_000 * DAY


async def everything(store: Store) -> str:
    """All documents of all collections as text."""
    found = {name: await store.find(name, {}) for name in await store.collections()}
    return json.dumps(
        found, default=lambda value: msgspec.json.encode(msgspec.msgpack.decode(value)).decode()
    )


def session(id: str, customer: str, closed: int = 0, **more: Any) -> Write:
    status = "closed" if closed else "taken"
    document = {
        "_id": id,
        "customer": customer,
        "chat": f"bot:{customer}",
        "status": status,
        "holder": "anna",
    }
    return Write.insert("sessions", {**document, "opened_at": closed - 1, "closed_at": closed, **more})


def message(id: str, customer: str, text: str, **more: Any) -> Write:
    of = {"session": id.partition("-")[0], "seq": int(id.partition("-")[2]), "chat": f"bot:{customer}"}
    return Write.insert(
        "messages", {"_id": id, "customer": customer, "source": id, "text": text, "at": 5, **of, **more}
    )


async def filled(store: Store) -> None:
    """Zqx under two cards, with everything that hangs on them, and somebody else."""
    lost = {"stage": "lost", "title": "zqxdeal", "stages": [{"stage": "lost", "reason": "zqxreason"}]}
    change = msgspec.msgpack.encode({"chat": "bot:zqx", "text": "zqxearly", "at": 1})
    await store.write(
        [
            Write.insert("customers", {"_id": "cone", "name": "zqx", "chats": ["bot:zqx"], "keys": ["phone:zqx"]}),
            Write.insert("customers", {"_id": "ctwo", "name": "zqx", "chats": ["tg:zqx"], "merged_into": "cone"}),
            Write.insert("customers", {"_id": "cyy", "name": "yy", "chats": ["bot:yy"]}),
            session("1", "cone", 5, name="zqx"), session("2", "ctwo", 6), session("3", "cyy", 7),
            *(message(f"1-{n}", "cone", f"zqxtext {n}", versions=[{"at": 1, "text": "zqxbefore"}]) for n in range(1, 900)),
            message("2-1", "ctwo", "zqxother", media=[{"kind": "photo", "key": "a" * 64}]),
            message("3-1", "cyy", "yytext", media=[{"kind": "photo", "key": "b" * 64}]),
            Write.insert("decisions", {"_id": "x1", "session": "1", "why": "zqx"}),
            Write.insert("ratings", {"_id": "x2", "session": "2", "comment": "zqxbad"}),
            Write.insert("audit", {"_id": "x3", "session": "1", "operator": "anna", "at": 3, "action": "closed", "params": {"result": "zqx"}}),
            Write.insert("audit", {"_id": "x4", "object": "l1", "operator": "anna", "at": 4, "action": "lead_changed", "before": {"name": "zqx"}, "after": {"name": "zqx2"}}),
            Write.insert("early", {"_id": "x5", "key": "bot:zqx 7", "at": 1, "change": change}),
            Write.insert("strays", {"_id": "x6", "at": 1, "event": change}),
            Write.insert("leads", {"_id": "l1", "customer": "cone", "title": "zqxlead", "contact": "k1"}),
            Write.insert("contacts", {"_id": "k1", "name": "zqxcontact"}),
            Write.insert("contacts", {"_id": "k2", "name": "yycontact", "customer": "cyy"}),
            Write.insert("deals", {"_id": "d1", "customer": "ctwo", "amount": {"minor": 5, "currency": "UZS"}, "custom": {"x": "zqx"}, **lost}),
            Write.insert("activities", {"_id": "a1", "deal": "d1", "title": "zqxtask"}),
            Write.insert("facts", {"_id": "1", "customer": "cone", "marks": [1], "days": [1]}),
            Write.insert("visitors", {"_id": "cone", "days": []}),
            Write.insert("merges", {"_id": "m1", "master": "cone", "other": "ctwo", "before": {"name": "zqx"}}),
        ]
    )  # fmt: skip


async def erased(store: Store, id: str) -> dict[str, Any]:
    intent, _ = await erasure.ask(store, id, by="root", at=NOW)
    assert intent is not None
    work = StoreErasure(store, intent)
    await work.forget_cards()
    await work.forget_sessions()
    await work.forget_objects()
    await work.forget_the_rest()
    await work.forget_names()
    return await work.settle(NOW)


async def test_no_collection_says_anything_of_him(store: Store) -> None:
    await filled(store)
    assert "zqx" in await everything(store)
    others = [
        name
        for name in await store.collections()
        if "yy" in json.dumps(await store.find(name, {}), default=str)
    ]
    receipt = await erased(store, "ctwo")
    left = await everything(store)
    assert "zqx" not in left
    assert "yytext" in left
    assert "yycontact" in left
    assert others == [
        name
        for name in await store.collections()
        if "yy" in json.dumps(await store.find(name, {}), default=str)
    ]
    counts = {
        "messages": 900,
        "versions": 899,
        "sessions": 2,
        "cards": 2,
        "audit": 2,
        "leads": 1,
        "contacts": 1,
    }
    assert receipt["counts"] | counts == receipt["counts"]
    assert {"cone", "ctwo"} <= set(receipt["customers"])
    (deal,) = await store.find("deals", {})
    assert deal["amount"] == {"minor": 5, "currency": "UZS"}
    (record,) = await store.find("audit", {"_id": "x4"})
    assert (record["operator"], record["action"], record["at"]) == ("anna", "lead_changed", 4)
    assert (await store.get("facts", "1") or {})["marks"] == [1]


async def test_a_card_of_somebody_whose_chat_it_was_once_is_spared(store: Store) -> None:
    other = customer_of("bot:zqx")
    await store.write(
        [
            Write.insert("customers", {"_id": "cone", "chats": ["bot:zqx"]}),
            Write.insert("customers", {"_id": other, "name": "somebody else", "chats": []}),
        ]
    )
    assert (await person.find(store, "cone")).customers == ["cone"]


async def test_who_is_being_changed_is_not_erased_meanwhile(store: Store) -> None:
    await filled(store)
    await store.write([Write.insert("intents", {"_id": "i1", "kind": "merge", "other": "ctwo"})])
    with pytest.raises(Refused) as refused:
        await erasure.ask(store, "cone", by="root", at=NOW)
    assert refused.value.code == "customer_busy"


class Meanwhile:
    """A store into which somebody else's merge comes right before the erasure."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def insert(self, collection: str, document: Any) -> None:
        merge = {"_id": "i1", "kind": "merge", "master": "cyy", "other": "cone", "cards": ["cyy", "cone"]}
        await self._store.insert("intents", merge)
        await self._store.insert(collection, document)


async def test_of_an_erasure_and_a_merge_at_once_the_merge_goes_first(store: Store) -> None:
    await filled(store)
    both: Any = Meanwhile(store)
    with pytest.raises(Refused) as refused:
        await erasure.ask(both, "cone", by="root", at=NOW)
    assert refused.value.code == "customer_busy"
    assert await erasure.open_intents(store) == []


async def test_what_is_too_old_goes_and_the_rest_stays(store: Store) -> None:
    rules = Retention(messages=1000 * DAY, leads=1000 * DAY, audit=1000 * DAY)
    old, young = NOW - 1001 * DAY, NOW - 999 * DAY
    await store.write(
        [
            session("1", "cone", old), session("2", "cone", young), session("3", "cone", 0, opened_at=old),
            message("1-1", "cone", "zqxold", media=[{"kind": "photo", "key": "a" * 64}]),
            message("2-1", "cone", "young"), message("3-1", "cone", "open"),
            Write.insert("leads", {"_id": "l1", "created_at": old, "semantics": "lost", "stage_since": old}),
            Write.insert("leads", {"_id": "l2", "created_at": old, "semantics": "lost", "stage_since": young}),
            Write.insert("leads", {"_id": "l3", "created_at": old, "semantics": "work", "stage_since": old}),
            Write.insert("audit", {"_id": "x1", "at": old}),
            Write.insert("audit", {"_id": "x2", "at": young}),
            Write.insert("decisions", {"_id": "x3", "at": young, "session": "2"}),
            Write.insert("facts", {"_id": "1", "customer": "cone", "marks": [1], "days": []}),
        ]
    )  # fmt: skip
    expected = {"messages": 1, "sessions": 1, "leads": 1, "audit": 1}
    assert await retention.would_go(store, rules, NOW) == expected
    intent = await retention.ask(store, by="root", at=NOW)
    assert await retention.ask(store, by="boss", at=NOW) == intent
    work = retention.Removal(store, intent)
    await work.run(rules, NOW)
    assert work.counts == expected
    assert work.media == ["a" * 64]
    assert (await store.get("intents", retention.KIND) or {})["media"] == work.media, (
        "known to whoever comes next"
    )
    await work.settle(intent, NOW, 1)
    assert await retention.would_go(store, rules, NOW) == {}
    assert {one["_id"] for one in await store.find("sessions", {})} == {"2", "3"}
    assert {one["_id"] for one in await store.find("leads", {})} == {"l2", "l3"}
    assert await store.get("facts", "1") is not None, "figures stay"
    assert await store.search("zqxold", filter={}) == []
    (receipt,) = await store.find("receipts", {})
    assert receipt["counts"] == {**expected, "files": 1}


async def test_what_is_kept_for_ever_is_not_looked_at(store: Store) -> None:
    await store.write([session("1", "cone", 5)])
    assert await retention.would_go(store, Retention(), NOW) == {}
