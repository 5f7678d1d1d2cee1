"""What only the MongoDB store has to deal with: a network, and a server's limits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection

from crm.conversations import history
from crm.kernel.errors import ConfigError, Unavailable
from crm.kernel.ports import Write
from crm.kernel.records import Message
from crm.operators import accounts
from router.desk.state import Entry, MessageAdded, MessageChanged, Session, encode
from router.history.projector import Projector
from router.log.log import Log
from storage import mongo as module
from storage.mongo import MongoStore
from tests.router.history.test_projector import change


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    store = MongoStore(f"mongodb://{str(tmp_path).replace('/', '%2F')}%2Fnobody.sock/", "x", timeout=0.2)
    with pytest.raises(Unavailable):
        await store.open()
    await store.close()
    with pytest.raises(Unavailable):
        await store.count("things", {})


async def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    connections: list[asyncio.StreamWriter] = []
    address = tmp_path / "silent.sock"
    server = await asyncio.start_unix_server(lambda _, writer: connections.append(writer), address)
    store = MongoStore(f"mongodb://{str(address).replace('/', '%2F')}/", "x", timeout=0.3)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(5):
            await store.open()
    await store.close()
    server.close()
    for writer in connections:
        writer.close()


@pytest.mark.parametrize("url", ["", "redis://x", "mongodb://", "mongodb://a:b:c@d"])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError):
        await MongoStore(url, "x", timeout=0.2).open()


async def test_batches_larger_than_a_request(mongo: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_COUNT", 7)
    monkeypatch.setattr(module, "PART_BYTES", 2000)
    inserts = [Write.insert("things", {"_id": str(n), "text": "x" * (n % 3 * 900)}) for n in range(50)]
    assert await mongo.write(inserts) == 50
    assert await mongo.write([*inserts, Write.insert("things", {"_id": "new"})]) == 1
    updates = [Write.update("things", {"_id": str(n)}, {"$set": {"n": n % 2}}) for n in range(50)]
    assert await mongo.write([*updates, Write.delete("things", {"n": 1})]) == 75
    assert await mongo.count("things", {}) == 26


async def test_opening_twice_changes_nothing(mongo: MongoStore) -> None:
    await mongo.write([Write.insert("things", {"_id": "1"})])
    await mongo.close()
    await mongo.open()
    assert await mongo.count("things", {}) == 1


async def test_the_journal_in_mongodb(mongo: MongoStore, log: Log) -> None:
    told = [
        MessageAdded(
            message=Message(
                id=f"7-{seq}", session="7", chat="shop:42", seq=seq, direction="in", at=1_800_000_000_000 + seq,
                text=f"text {seq}", external_id=f"e{seq}", raw=b"\x00",
            )
        )
        for seq in range(1, 6)
    ]  # fmt: skip
    changes: list[MessageChanged] = [
        change(external_id="e2", text="edited", edited_at=6000),
        change(external_id="e9", text="early", edited_at=6000),
        change(external_id="e3", reactions={"a.b$c": ["👍"]}),
    ]
    session = Session(
        id="7", chat="shop:42", channel="shop", kind="telegram", line="sales", customer="c1", rev=1
    )
    entry = Entry(at=1, told=[*told, *changes], sessions=[session])
    await log.redis.xadd(log.keys.journal, {"e": encode(entry)})
    for _ in range(2):
        projector = Projector(log, mongo)
        await projector.claim()
        while await projector.step():
            pass
    messages = await history.messages(mongo, "7")
    assert [m.text for m in messages] == ["text 1", "edited", "text 3", "text 4", "text 5"]
    assert messages[2].reactions == {"a.b$c": ["👍"]}
    assert type(messages[0].at) is int
    assert [m.id for m in await history.search(mongo, "edit", lines=["sales"])] == ["7-2"]
    assert await mongo.count("early", {}) == 1


async def test_accounts_in_mongodb(mongo: MongoStore) -> None:
    await accounts.add_account(mongo, "anna")
    token = await accounts.new_token(mongo, "anna")
    found = await accounts.login_token(mongo, token)
    assert found is not None
    assert await accounts.revoke(mongo, "anna") == [found[1]]
    assert await accounts.login_token(mongo, token) is None


async def test_words_of_another_spelling_are_brought_up_to_date(
    mongo: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESPELL_PAGE", 2)
    texts = ("salom", "gꞌisht", "g＇isht choy", "oʽzbek", "rahmat")
    await mongo.write([Write.insert("messages", {"_id": str(n), "text": t}) for n, t in enumerate(texts)])
    messages = mongo._of("messages")
    await messages.update_many({}, {"$set": {"words": ["another", "spelling"]}})
    await mongo._of("marks").delete_one({"_id": "spelling"})
    await mongo.close()
    await mongo.open()
    assert [d["_id"] for d in await mongo.search("g'isht", filter={})] == ["2", "1"]
    assert [d["_id"] for d in await mongo.search("ozbek", filter={})] == ["3"]
    assert await mongo.search("another", filter={}) == []
    await mongo._of("messages").update_many({}, {"$set": {"words": []}})
    await mongo.close()
    await mongo.open()
    assert await mongo.search("gisht", filter={}) == []  # once is enough


async def test_words_of_another_spelling_may_take_longer_than_one_call(
    mongo: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [Write.insert("messages", {"_id": str(n), "text": "oʽzbek"}) for n in range(50)]
    await mongo.write(texts)
    await mongo._of("marks").delete_one({"_id": "spelling"})
    at_once = AsyncIOMotorCollection.update_one

    async def slow(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.03)
        return await at_once(*args, **kwargs)

    monkeypatch.setattr(AsyncIOMotorCollection, "update_one", slow)
    monkeypatch.setattr(mongo, "_timeout", 1.0)
    await mongo._respell()
    assert await mongo.count("marks", {"_id": "spelling"}) == 1
