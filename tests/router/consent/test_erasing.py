"""A person is erased from a whole desk: nothing of him is in any file, and nobody else has lost anything."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.consent import erasure
from crm.kernel.errors import Unavailable
from crm.kernel.ports import Write
from crm.kernel.records import Media
from router.consent.eraser import Eraser
from router.consent.keeper import ConsentKeeper
from router.desk.events import Author, MessageEdited, MessageReceived
from router.history.projector import Projector
from router.log.home import connect
from router.log.log import Log
from router.wire import protocol
from storage.media import MediaStore
from tests.conftest import RedisServer, until
from tests.router.consent.bytes_of import found_in
from tests.router.desk_in_process import Client, DeskInProcess, running_desk
from tests.router.orders import order

HIS = {
    "chat": "zqx77chat11", "name": "Zqxarvon Намозов", "text": "zqxfirst слово", "edited": "zqxedited сказано",
    "note": "zqxnote о нём", "reply": "zqxreply тебе", "file": "zqxfilename", "content": "zqxfilecontent",
    "deal": "zqxdeal кухня", "phone": "+998907770011", "reason": "zqxreason",
}  # fmt: skip
ANY = ("zqx", "zqh")
"""In all that he says, and the same as the search spells it."""
OTHERS = ["yyother сказал", "yyshared content", "yycompany"]


@pytest.fixture
async def desk(own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    log = Log(connect(own_redis.url), f"test-{uuid.uuid4().hex[:8]}")
    async with running_desk(log, tmp_path) as desk:
        yield desk
    await log.close()


async def put(media: MediaStore, content: str) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield content.encode()

    return await media.put(chunks())


async def told(desk: DeskInProcess, chat: str, text: str, id: str, **more: Any) -> None:
    author = Author(id=chat, name=HIS["name"] if chat == HIS["chat"] else "Yy", phone=more.pop("phone", ""))
    await desk.log.append(
        MessageReceived(
            channel="bot", chat=chat, event_id=f"{chat}:{id}", message_id=id, author=author, text=text, **more
        )
    )


async def lived(desk: DeskInProcess, media: MediaStore) -> None:
    """He writes, edits, sends files, is noted, answered and sold to; somebody else does too."""
    own, shared = await put(media, HIS["content"]), await put(media, OTHERS[1])
    files = [Media(kind="document", key=own, name=HIS["file"]), Media(kind="document", key=shared)]
    await desk.duty("anna")
    await told(desk, HIS["chat"], HIS["text"], "m1", phone=HIS["phone"])
    await told(desk, "yy", OTHERS[0], "m2", media=[Media(kind="document", key=shared)], kind="document")
    await told(desk, HIS["chat"], "zqxmedia", "m3", media=files, kind="document")
    edited = MessageEdited(
        channel="bot", chat=HIS["chat"], message_id="m1", text=HIS["edited"], event_id="bot:edit1"
    )
    await desk.log.append(edited)
    steps: list[tuple[str, dict[str, Any]]] = [
        ("TakeOver", {}),
        ("Take", {}),
        ("Note", {"text": HIS["note"]}),
        ("Say", {"text": HIS["reply"]}),
        ("Close", {"result": HIS["reason"]}),
    ]
    for kind, fields in steps:
        await desk.log.append(order(kind, operator="anna", session="1", event_id=f"anna/{kind}", **fields))
    await told(desk, HIS["chat"], "zqxagain " * 40, "m4")
    await told(desk, "zqx77other", "zqxmail@example.com", "m5", phone="+998901112233")
    await until(lambda: stored(desk, "zqxmail"))
    root = await desk.login("root")
    (other,) = await desk.store.find("customers", {"chats": "bot:zqx77other"})
    (master,) = await desk.store.find("customers", {"chats": f"bot:{HIS['chat']}"})
    which = {"master": master["_id"], "other": other["_id"], "prefer": {"*": "master"}}
    merged = await root.ask(protocol.MergeCustomers, **which)
    assert merged.merged == [other["_id"]]
    assert await desk.store.search("zqxagain", filter={})
    customer = (await desk.store.find("sessions", {"_id": "1"}))[0]["customer"]
    audit = {"at": 1, "operator": "anna", "action": "deal_changed", "object": "d1", "type": "deal"}
    await desk.store.write(
        [
            Write.insert("deals", {"_id": "d1", "title": HIS["deal"], "customer": customer, "stage": "won"}),
            Write.insert("leads", {"_id": "l1", "title": HIS["deal"], "customer": customer, "contact": "k1"}),
            Write.insert("contacts", {"_id": "k1", "name": HIS["name"], "keys": [f"phone:{HIS['phone']}"]}),
            Write.insert("companies", {"_id": "b1", "name": OTHERS[2]}),
            Write.insert("activities", {"_id": "a1", "title": HIS["deal"], "lead": "l1"}),
            Write.insert("audit", {**audit, "_id": "d1-2", "after": {"title": HIS["deal"]}}),
        ]
    )


async def stored(desk: DeskInProcess, word: str) -> bool:
    return any(word in one["text"] for one in await desk.store.find("messages", {}))


async def erase(desk: DeskInProcess, media: MediaStore, customer: str) -> dict[str, Any]:
    intent, receipt = await erasure.ask(desk.store, customer, by="root", at=desk.log.now())
    if intent is None:
        assert receipt is not None
        return receipt
    return await Eraser(desk.log, desk.store, media, young=0).carry_out(intent)


async def test_no_byte_of_him_is_left(desk: DeskInProcess, own_redis: RedisServer, tmp_path: Path) -> None:
    media = MediaStore(tmp_path / "media")
    await lived(desk, media)
    customer = (await desk.store.get("sessions", "1") or {})["customer"]
    before = [found_in(folder, [*HIS.values(), *ANY, *OTHERS]) for folder in (tmp_path, own_redis.folder)]
    assert set.union(*before[0].values()) == {*HIS.values(), *ANY, *OTHERS}
    assert HIS["text"] in set.union(*before[1].values()), "the control: he was in Redis' file"

    leads = await desk.store.count("leads", {"customer": customer})
    said = await desk.store.count("messages", {"customer": customer})
    receipt = await erase(desk, media, customer)

    for folder in (tmp_path, own_redis.folder):
        assert found_in(folder, [*HIS.values(), *ANY]) == {}
    left = [found_in(folder, OTHERS) for folder in (tmp_path, own_redis.folder)]
    assert set.union(*left[0].values()) == set(OTHERS), "others have lost something"
    assert receipt["counts"] | {
        "messages": said, "versions": 1, "files": 1, "files_shared": 1, "leads": leads, "contacts": 1, "activities": 1,
        "deals_without_person": 1, "sessions": 3,
    } == receipt["counts"]  # fmt: skip
    assert {"backups", "statistics", "files_shared", "deals_without_person"} <= set(receipt["stays"])
    assert not any(word in msgspec.json.encode(receipt).decode() for word in HIS.values())


class Mortal:
    """A store that is gone after so many writes."""

    def __init__(self, store: Any, writes: int) -> None:
        self._store = store
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, writes: Any, **more: Any) -> int:
        if not self._left:
            raise Unavailable("killed")
        self._left -= 1
        changed: int = await self._store.write(writes, **more)
        return changed


async def test_whoever_comes_next_finishes_it(
    desk: DeskInProcess, own_redis: RedisServer, tmp_path: Path
) -> None:
    media = MediaStore(tmp_path / "media")
    await lived(desk, media)
    customer = (await desk.store.get("sessions", "1") or {})["customer"]
    said = await desk.store.count("messages", {"customer": customer})
    await erasure.ask(desk.store, customer, by="root", at=desk.log.now())
    deaths = 0
    while found := await erasure.open_intents(desk.store):
        # Each one comes a write further than the one before.
        mortal: Any = Mortal(desk.store, deaths % 4)
        try:
            await Eraser(desk.log, mortal, media, young=0).carry_out(found[0])
        except Unavailable:
            deaths += 1
    assert deaths > 10
    (receipt,) = await desk.store.find("receipts", {})
    assert receipt["counts"]["messages"] == said
    await desk.store.scrub()
    for folder in (tmp_path, own_redis.folder):
        assert found_in(folder, [*HIS.values(), *ANY]) == {}


async def test_the_same_chat_is_somebody_new_afterwards(desk: DeskInProcess, tmp_path: Path) -> None:
    media = MediaStore(tmp_path / "media")
    await lived(desk, media)
    customer = (await desk.store.get("sessions", "1") or {})["customer"]
    first = await erase(desk, media, customer)
    assert await erase(desk, media, customer) == first, "twice is once"

    late = MessageEdited(channel="bot", chat=HIS["chat"], message_id="m1", text="late", event_id="bot:late")
    await desk.log.append(late)
    await told(desk, HIS["chat"], "hello again", "m9")
    await until(lambda: stored(desk, "hello again"))
    (card,) = await desk.store.find("customers", {"chats": f"bot:{HIS['chat']}"})
    assert card["_id"] == customer
    assert "phone" not in card
    assert card.get("last_operator") is None
    assert [one["text"] for one in await desk.store.find("messages", {"customer": customer})] == [
        "hello again"
    ]
    assert await desk.store.find("early", {}) == []
    assert await desk.store.find("strays", {}) == []
    await erase(desk, media, customer)
    assert await desk.store.find("messages", {"customer": customer}) == []


async def test_a_history_that_lags_does_not_bring_him_back(desk: DeskInProcess, tmp_path: Path) -> None:
    media = MediaStore(tmp_path / "media")
    await lived(desk, media)
    await desk.stop("projector")
    await told(desk, HIS["chat"], "zqxlagging", "m8")
    await until(lambda: any(one.chat.endswith(HIS["chat"]) for one in desk.gateway.picture.sessions.values()))
    customer = (await desk.store.get("sessions", "1") or {})["customer"]
    erasing = asyncio.create_task(erase(desk, media, customer))
    await until(lambda: not desk.gateway.picture.sessions.get("3"))
    assert not erasing.done()
    desk.start("projector", Projector(desk.log, desk.store))
    await erasing
    for collection in ("messages", "sessions", "customers", "leads", "decisions"):
        assert not [one for one in await desk.store.find(collection, {}) if "zqx" in str(one)], collection
    assert found_in(tmp_path, ["zqxlagging"]) == {}


async def test_all_of_him_is_shown_to_whoever_may(desk: DeskInProcess, tmp_path: Path) -> None:
    media = MediaStore(tmp_path / "media")
    await lived(desk, media)
    customer = (await desk.store.get("sessions", "1") or {})["customer"]
    desk.start("consent", ConsentKeeper(desk.log, desk.store, media, young=0))
    anna, boss, root = [await desk.login(name) for name in ("anna", "boss", "root")]
    for client, kind in (
        (anna, protocol.ExportPerson),
        (anna, protocol.ErasePerson),
        (boss, protocol.ErasePerson),
    ):
        refused = await client.ask(kind, customer=customer)
        assert refused.code == "no_right"
    parts = [await boss.ask(protocol.ExportPerson, customer=customer)]
    while parts[-1].next:
        parts.append(await boss.ask(protocol.ExportPerson, customer=customer, after=parts[-1].next))
    shown = msgspec.json.encode([part.items for part in parts]).decode()
    content = {"content"}
    assert {name for name, word in HIS.items() if word not in shown} == content, "files by name and hash"
    kinds = {part.kind for part in parts if part.items}
    assert kinds >= {
        "cards",
        "sessions",
        "messages",
        "leads",
        "contacts",
        "deals",
        "activities",
        "audit",
        "redis",
    }
    assert not any(word in shown for word in OTHERS)
    records = [one["id"] for part in parts if part.kind == "audit" for one in part.items]
    assert len(records) == len(set(records))
    wrong = await boss.ask(protocol.ExportPerson, customer=customer, after="bm9wZQ==")
    assert wrong.code == "bad_cursor"

    asked = (await root.ask(protocol.ErasePerson, customer=customer)).items[0]
    await until(lambda: done(root, asked.id))
    assert (await root.ask(protocol.GetReceipts)).items[0].counts["messages"]
    assert (await root.ask(protocol.ExportPerson, customer="cnobody")).code == "no_such_customer"
    actions = [one["action"] for one in await desk.store.find("audit", {"object": customer})]
    assert {"customer_exported", "customer_erased"} <= set(actions)


async def done(client: Client, receipt: str) -> bool:
    return bool((await client.ask(protocol.GetReceipts, id=receipt)).items[0].done_at)
