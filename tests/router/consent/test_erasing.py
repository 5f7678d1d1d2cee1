"""A person is erased from a whole desk: nothing of him is in any file, and nobody else has lost anything."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.consent import erasure
from crm.kernel.ports import Write
from crm.kernel.records import Media
from router.consent.eraser import Eraser
from router.desk.events import Author, MessageEdited, MessageReceived
from router.log.home import connect
from router.log.log import Log
from storage.media import MediaStore
from tests.conftest import RedisServer, until
from tests.router.consent.bytes_of import found_in
from tests.router.desk_in_process import DeskInProcess, running_desk
from tests.router.orders import order

HIS = {
    "chat": "zqx77chat11", "name": "Zqxarvon Намозов", "text": "zqxfirst слово", "edited": "zqxedited сказано",
    "note": "zqxnote о нём", "reply": "zqxreply тебе", "file": "zqxfilename", "content": "zqxfilecontent",
    "deal": "zqxdeal кухня", "phone": "+998907770011", "reason": "zqxreason",
}  # fmt: skip
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
    await until(lambda: stored(desk, "zqxagain"))
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
    before = [found_in(folder, [*HIS.values(), *OTHERS]) for folder in (tmp_path, own_redis.folder)]
    assert set.union(*before[0].values()) == {*HIS.values(), *OTHERS}
    assert HIS["text"] in set.union(*before[1].values()), "the control: he was in Redis' file"

    leads = await desk.store.count("leads", {"customer": customer})
    said = await desk.store.count("messages", {"customer": customer})
    receipt = await erase(desk, media, customer)

    for folder in (tmp_path, own_redis.folder):
        assert found_in(folder, [*HIS.values(), "zqx"]) == {}
    left = [found_in(folder, OTHERS) for folder in (tmp_path, own_redis.folder)]
    assert set.union(*left[0].values()) == set(OTHERS), "others have lost something"
    assert receipt["counts"] | {
        "messages": said, "versions": 1, "files": 1, "files_shared": 1, "leads": leads, "contacts": 1, "activities": 1,
        "deals_without_person": 1, "sessions": 2,
    } == receipt["counts"]  # fmt: skip
    assert {"backups", "statistics", "files_shared", "deals_without_person"} <= set(receipt["stays"])
    assert not any(word in msgspec.json.encode(receipt).decode() for word in HIS.values())
