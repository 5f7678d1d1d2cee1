"""Taking one person out of Redis: his parts go, and everybody else's stay where they were."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crm.consent.traces import Traces
from crm.kernel.records import Message, customer_of
from router.desk.events import Author, CustomerErased, Delivered, MessageReceived, decode_event, encode_event
from router.desk.state import (
    Aside,
    Decided,
    Delivery,
    Entry,
    Erased,
    MessageAdded,
    Session,
    decode_entry,
    encode,
)
from router.log.forgetting import Forgetting, write_files_anew
from router.log.home import connect
from router.log.log import Log
from router.log.quarantine import Quarantine, set_aside
from tests.conftest import RedisServer

ALI = customer_of("bot:ali")
HIS = Traces(frozenset({ALI}), frozenset({"1"}), frozenset({"bot:ali"}))


def said(session: str, chat: str, text: str, seq: int = 1) -> MessageAdded:
    return MessageAdded(
        message=Message(
            id=f"{session}-{seq}", session=session, chat=chat, seq=seq, direction="in", at=1, text=text
        )
    )


def state(id: str, chat: str) -> Session:
    return Session(id=id, chat=chat, channel="bot", kind="", line="sales", customer=customer_of(chat), form=1)


async def rows(log: Log, key: str) -> list[tuple[bytes, bytes]]:
    found: Any = await log.redis.xrange(key)
    return [(id, fields[b"e"]) for id, fields in found]


async def add(log: Log, key: str, data: bytes) -> str:
    id: Any = await log.redis.xadd(key, {"e": data})
    return str(id.decode())


async def test_what_others_say_in_the_same_entry_stays_in_its_place(log: Log) -> None:
    keys = log.keys
    told: list[Any] = [
        said("1", "bot:ali", "zqx"),
        said("2", "bot:vali", "yy"),
        Decided(at=1, session="1", line="s", why=""),
    ]
    shared = Entry(at=1, told=told, sessions=[state("1", "bot:ali"), state("2", "bot:vali")])
    await add(log, keys.journal, encode(shared))
    others = encode(Entry(at=2, told=[said("2", "bot:vali", "yy2", 2)]))
    await add(log, keys.journal, others)
    mark = Erased(at=3, erasure="e1", customers=[ALI], sessions=["1"], below=3)
    await add(log, keys.journal, encode(Entry(at=3, told=[mark])))
    again = encode(Entry(at=4, told=[said("3", "bot:ali", "new")], sessions=[state("3", "bot:ali")]))
    await add(log, keys.journal, again)
    late = encode(Entry(at=5, told=[said("1", "bot:ali", "zqxlate", 9)]))
    last = await add(log, keys.journal, late)
    before = await rows(log, keys.journal)

    counts = await Forgetting(log, HIS, "e1").purge()

    after = await rows(log, keys.journal)
    assert [id for id, _ in after] == [id for id, _ in before]
    entry = decode_entry(after[0][1])
    assert [type(one) for one in entry.told] == [Erased, MessageAdded, Erased], "everything keeps its number"
    assert [session.id for session in entry.sessions] == ["2"]
    assert after[1][1] == others
    assert after[3][1] == again, "who writes after that is somebody else"
    assert decode_entry(after[4][1]).told == [Erased()], "what is told later of an erased session is his"
    assert counts["journal"] == 2
    assert (await log.redis.xinfo_stream(keys.journal))["last-generated-id"].decode() == last
    assert await Forgetting(log, HIS, "e1").purge() == dict.fromkeys(
        ("log", "journal", "waiting", "set_aside"), 0
    )


async def test_his_events_leave_the_log_and_what_comes_after_stays(log: Log) -> None:
    key = log.keys.log
    his = MessageReceived(at=1, channel="bot", chat="ali", author=Author(name="zqx"), text="zqx")
    topic = MessageReceived(at=1, channel="bot", chat="ali/7", author=Author(), text="zqxtopic")
    other = MessageReceived(at=1, channel="bot", chat="vali", author=Author(), text="yy")
    mark = CustomerErased(at=2, erasure="e1", customers=[ALI])
    late = Delivered(at=3, chat="bot:ali", session="1", message="1-2", state="sent")
    for event in (his, topic, other, mark, his, late):
        await add(log, key, encode_event(event))
    await Forgetting(log, HIS, "e1").purge()
    left = [decode_event(data) for _, data in await rows(log, key)]
    assert left == [other, mark, his]


async def test_a_stream_of_which_nothing_is_left_goes_on_counting(log: Log) -> None:
    key = log.keys.out("bot")
    delivery = Delivery(id="x", channel="bot", chat="ali", session="1", message="1-1", at=1, text="zqx")
    last = await add(log, key, encode(delivery))
    await log.redis.sadd(log.keys.sending("bot"), last)
    await Forgetting(log, HIS, "e1").purge()
    assert await rows(log, key) == []
    assert (await log.redis.xinfo_stream(key))["last-generated-id"].decode() == last
    assert await log.sending("bot") == set()


async def test_what_was_set_aside_of_him_goes_with_its_bytes(log: Log) -> None:
    for number, chat in enumerate(("ali", "vali")):
        event = MessageReceived(at=1, channel="bot", chat=chat, author=Author(), text=chat)
        await set_aside(
            log,
            Aside(id=f"log-{number}", origin="log", place="1", at=1, reason="", data=encode_event(event)),
            quietly=True,
        )
    before = await Quarantine(log).amount()
    await Forgetting(log, HIS, "e1").purge()
    after = await Quarantine(log).amount()
    assert (before.items, after.items) == (2, 1)
    assert 0 < after.bytes < before.bytes


@pytest.fixture
async def own(own_redis: RedisServer) -> AsyncIterator[Log]:
    log = Log(connect(own_redis.url), f"test-{uuid.uuid4().hex[:8]}")
    yield log
    await log.close()


async def test_the_snapshot_is_written_anew_too(own: Log, own_redis: RedisServer) -> None:
    await own.redis.set("zqxkey", "zqxvalue")
    await own.redis.config_set("save", "3600 1")
    await own.redis.save()
    await own.redis.delete("zqxkey")
    files = [path for path in own_redis.folder.rglob("*") if path.is_file()]
    assert any(b"zqxkey" in path.read_bytes() for path in files if path.suffix == ".rdb")
    assert await write_files_anew(own) == []
    files = [path for path in own_redis.folder.rglob("*") if path.is_file()]
    assert not any(b"zqxkey" in path.read_bytes() for path in files)


async def test_a_server_that_keeps_the_command_to_itself_is_told_of(own: Log) -> None:
    await own.redis.execute_command("ACL", "SETUSER", "default", "-bgrewriteaof")  # type: ignore[no-untyped-call]
    assert await write_files_anew(own) == ["append_only"]
