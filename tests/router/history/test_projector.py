"""The journal reaches the store once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from crm.conversations import history
from crm.kernel.errors import LeaseLost, Unavailable
from crm.kernel.ports import Document, Filter, Store, Write
from crm.kernel.records import Customer, DeliveryStatus, Identity, Media, Message, MessageChange, customer_of
from crm.statistics.facts import case_of
from router.desk.state import (
    Alert,
    AnyTold,
    Audit,
    CustomerSeen,
    Decided,
    Entry,
    FieldsFilled,
    MessageAdded,
    MessageChanged,
    Rated,
    Session,
    encode,
)
from router.history.projection import Early, Memory
from router.history.projector import READ, Projector
from router.log.lease import Lease
from router.log.log import Log, now_ms
from storage.sqlite import SqliteStore
from tests.conftest import until

CHAT = "shop:42"
COLLECTIONS = (
    "messages", "sessions", "customers", "alerts", "audit", "decisions", "strays", "early", "facts", "rollups",
    "visitors", "redo",
)  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


def message(seq: int, text: str = "", **fields: Any) -> Message:
    defaults: dict[str, Any] = {
        "id": f"7-{seq}", "session": "7", "chat": CHAT, "direction": "in", "at": 1000 + seq,
        "external_id": f"e{seq}",
    }  # fmt: skip
    return Message(seq=seq, text=text or f"text {seq}", **{**defaults, **fields})


def session(rev: int = 1, **fields: Any) -> Session:
    defaults: dict[str, Any] = {
        "id": "7", "chat": CHAT, "channel": "shop", "kind": "telegram", "line": "sales", "customer": "c1",
    }  # fmt: skip
    return Session(rev=rev, **{**defaults, **fields})


def change(**fields: Any) -> MessageChanged:
    return MessageChanged(change=MessageChange(**{"at": now_ms(), "chat": CHAT, **fields}))


async def tell(log: Log, *told: AnyTold, sessions: Sequence[Session] = ()) -> None:
    entry = Entry(at=1, told=list(told), sessions=list(sessions))
    await log.redis.xadd(log.keys.journal, {"e": encode(entry)})


async def project(log: Log, store: Any) -> None:
    projector = Projector(log, store)
    await projector.claim()
    while await projector.step():
        pass


async def thread(store: SqliteStore) -> list[Message]:
    return await history.messages(store, "7")


async def test_messages_sessions_and_records_arrive(log: Log, store: SqliteStore) -> None:
    await tell(
        log,
        MessageAdded(message=message(1, raw=b"\x00\xff", media=[Media(kind="photo", ref="r")])),
        Alert(name="no_answer", at=9, session="7"),
        Audit(at=9, operator="anna", action="take", session="7"),
        Decided(at=9, session="7", line="sales", why="even", chosen="anna"),
        CustomerSeen(customer=Customer(id="c1", name="Ali"), chat=CHAT, at=9),
        sessions=[session(holder="anna")],
    )
    await project(log, store)
    assert await thread(store) == [message(1, raw=b"\x00\xff", media=[Media(kind="photo", ref="r")])]
    (kept,) = await store.find("messages", {"customer": "c1", "line": "sales", "channel": "shop"})
    assert kept["source"] == "shop:42 e1"
    assert [d["_id"] for d in await history.sessions(store, status="waiting", holder="anna")] == ["7"]
    for collection in ("alerts", "audit", "decisions"):
        assert await store.count(collection, {"session": "7"}) == 1
    found = await store.get("customers", "c1")
    assert found is not None
    assert history.customer(found).name == "Ali"


async def test_changes_by_id_and_by_the_channels_ids(log: Log, store: SqliteStore) -> None:
    await tell(log, MessageAdded(message=message(1)), sessions=[session()])
    await tell(log, MessageAdded(message=message(2, direction="out", external_id="", delivery="queued")))
    await project(log, store)
    await tell(log, change(id="7-2", delivery="sent", set_external_id="a b"))
    await tell(log, change(external_id="e1", text="new", edited_at=6000))
    await tell(log, change(external_id="b", reactions={"$odd.name": ["👍"]}))
    await project(log, store)
    edited, answer = await thread(store)
    assert (edited.text, edited.versions[0].text) == ("new", "text 1")
    assert (answer.delivery, answer.external_id) == ("sent", "a b")
    assert answer.reactions == {"$odd.name": ["👍"]}
    assert await history.search(store, "new") == [edited]


async def test_a_read_mark_holds_for_what_was_sent_before(log: Log, store: SqliteStore) -> None:
    states: list[DeliveryStatus] = ["sent", "failed", "delivered", "sent", "sent"]
    for seq, state in enumerate(states, 1):
        await tell(
            log,
            MessageAdded(message=message(seq, direction="out", delivery=state)),
            sessions=[session()],
        )
    await project(log, store)
    await tell(log, change(external_id="e4", delivery="read", up_to=True))
    await project(log, store)
    assert [m.delivery for m in await thread(store)] == ["read", "failed", "read", "read", "sent"]


async def test_a_change_before_its_message_waits_for_it(log: Log, store: SqliteStore) -> None:
    await tell(log, change(external_id="e1", text="edited", edited_at=6000))
    await project(log, store)
    assert await store.count("early", {"key": "shop:42 e1"}) == 1
    assert await store.count("strays", {}) == 1
    await tell(log, MessageAdded(message=message(1)), sessions=[session()])
    await project(log, store)
    assert [m.text for m in await thread(store)] == ["edited"]
    assert await store.count("early", {}) == 0


async def test_a_change_in_the_same_batch_before_its_message(log: Log, store: SqliteStore) -> None:
    await tell(
        log,
        change(external_id="e1", text="edited", edited_at=6000),
        MessageAdded(message=message(1)),
        sessions=[session()],
    )
    await project(log, store)
    assert [m.text for m in await thread(store)] == ["edited"]


async def test_a_change_by_a_name_that_is_learnt_later(log: Log, store: SqliteStore) -> None:
    for seq in (1, 2):
        await tell(
            log,
            MessageAdded(message=message(seq, direction="out", external_id="", delivery="queued")),
            change(id="7-1", delivery="sent", set_external_id="o1"),
            sessions=[session()],
        )
    await tell(log, change(external_id="o2", reactions={"Ali": ["👍"]}))
    await tell(log, change(external_id="o2", delivery="read", up_to=True))
    await project(log, store)
    await tell(log, change(id="7-2", delivery="sent", set_external_id="o2"))
    await project(log, store)
    first, second = await thread(store)
    assert second.reactions == {"Ali": ["👍"]}
    assert (first.delivery, second.delivery) == ("read", "read")


async def test_a_message_its_channel_repeats_is_kept(log: Log, store: SqliteStore) -> None:
    for seq in (1, 2):
        await tell(log, MessageAdded(message=message(seq, external_id="same")), sessions=[session()])
    await project(log, store)
    await tell(log, change(external_id="same", text="edited", edited_at=6000))
    await project(log, store)
    assert [m.text for m in await thread(store)] == ["edited", "text 2"]


async def test_messages_follow_their_session_to_another_line(log: Log, store: SqliteStore) -> None:
    await tell(log, MessageAdded(message=message(1)), sessions=[session()])
    await project(log, store)
    await tell(log, sessions=[session(rev=2, line="support", customer="c2")])
    await project(log, store)
    assert await store.count("messages", {"line": "support", "customer": "c2"}) == 1
    assert await history.search(store, "text", lines=["sales"]) == []


async def test_an_older_session_never_replaces_a_newer_one(log: Log, store: SqliteStore) -> None:
    await tell(log, sessions=[session(rev=5, holder="anna")])
    await tell(log, sessions=[session(rev=4, holder="bek")])
    for _ in range(2):
        await project(log, store)
    found = await history.session(store, "7")
    assert found is not None
    assert (found["rev"], found["holder"]) == (5, "anna")


async def test_what_is_known_of_a_customer_is_not_lost(log: Log, store: SqliteStore) -> None:
    def seen(at: int, **fields: Any) -> CustomerSeen:
        customer = Customer(
            id="c1", created_at=at, identities=[Identity(channel="shop", value=str(at))], **fields
        )
        return CustomerSeen(customer=customer, chat=CHAT, at=at)

    await tell(
        log, seen(20, name="Ali", phone="+998"), seen(30, name="", can_write=False), seen(10, name="Old")
    )
    await project(log, store)
    found = await store.get("customers", "c1")
    assert found is not None
    customer = history.customer(found)
    assert (customer.name, customer.phone, customer.can_write) == ("Ali", "+998", False)
    assert (customer.created_at, customer.seen_at) == (10, 30)
    assert sorted(i.value for i in customer.identities) == ["10", "20", "30"]


async def test_a_message_without_a_session_is_kept(log: Log, store: SqliteStore) -> None:
    await tell(log, MessageAdded(message=message(1)))
    await project(log, store)
    assert await store.count("messages", {"customer": customer_of(CHAT), "channel": "shop"}) == 1


async def test_a_former_writer_is_shut_out(log: Log, store: SqliteStore) -> None:
    old, new = Projector(log, store), Projector(log, store)
    await old.claim()
    await new.claim()
    await tell(log, MessageAdded(message=message(1)))
    with pytest.raises(LeaseLost):
        await old.step()
    assert await store.count("messages", {}) == 0
    await new.step()
    assert await store.count("messages", {}) == 1


async def test_the_reader_is_told_after_the_store(log: Log, store: SqliteStore) -> None:
    await tell(log, MessageAdded(message=message(1)))
    await log.set_reader("projector", "99-0")
    await project(log, store)
    ((last, _),) = await log.read_journal("0")
    assert await log.reader("projector") == last


class Broken:
    """A store that breaks off: before a write, in the middle of one (as a MongoDB without
    transactions may) or after it."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self._store = store
        self._chance = chance
        self.all_or_nothing = False
        self.get = store.get
        self.find = store.find
        self.expire = store.expire

    async def write(self, writes: Sequence[Write], *, expect: tuple[str, Filter] | None = None) -> int:
        luck = self._chance.random()
        if luck < 0.3:
            writes = writes[: self._chance.randrange(len(writes) + 1)]
        count = await self._store.write(writes, expect=expect)
        if luck < 0.5:
            raise Unavailable("broken on purpose")
        return count


def _story(chance: random.Random) -> Callable[[], list[AnyTold]]:
    """Tells random things about random messages of one chat, changes before messages included."""
    seqs = iter(range(1, 1000))

    def one() -> AnyTold:
        luck = chance.randrange(6)
        seq = next(seqs) if luck < 3 else chance.randrange(1, 40)
        if luck < 2:
            return MessageAdded(message=message(seq))
        if luck == 2:
            return MessageAdded(message=message(seq, direction="out", delivery="queued", external_id=""))
        if luck == 3:
            return change(external_id=f"e{seq}", text=f"edit {chance.random()}", edited_at=6000)
        if luck == 4:
            states: list[DeliveryStatus] = ["queued", "sent", "delivered"]
            return change(id=f"7-{seq}", delivery=chance.choice(states), set_external_id=f"o{seq}")
        return change(external_id=f"o{seq}", delivery="read", up_to=True)

    return lambda: [one() for _ in range(chance.randrange(1, 6))]


async def _content(store: SqliteStore) -> dict[str, list[Document]]:
    found = {name: await store.find(name, {}, sort=[("_id", 1)]) for name in COLLECTIONS}
    for document in found["facts"]:
        case = case_of({**document, "case": document.pop("case")})
        # What came last and changed nothing is noted or not, as batches fall.
        document["case"] = replace(case.facts, applied=""), case.contribution().cells
    return found


@pytest.mark.parametrize("seed", range(20))
async def test_breaking_off_anywhere_changes_nothing(log: Log, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    story = _story(chance)
    for rev in range(30):
        await tell(log, *story(), sessions=[session(rev=rev, line=chance.choice(["sales", "support"]))])
    whole, broken = (SqliteStore(tmp_path / name) for name in ("whole", "broken"))
    await whole.open()
    await broken.open()
    await project(log, whole)
    flaky = Broken(broken, chance)
    for _ in range(200):
        projector = Projector(log, flaky)  # type: ignore[arg-type]
        try:
            await projector.claim()
            while await projector.step():
                pass
            break
        except Unavailable:
            continue
    else:
        pytest.fail("never came through")
    assert await _content(broken) == await _content(whole)
    assert len(await thread(whole)) > 20
    await whole.close()
    await broken.close()


async def test_it_works_on_when_the_store_comes_back(log: Log, store: SqliteStore) -> None:
    flaky = Broken(store, random.Random(3))
    projector = Projector(log, flaky, block=0.05)  # type: ignore[arg-type]
    task = asyncio.create_task(projector.run())
    for seq in range(1, 21):
        await tell(log, MessageAdded(message=message(seq)), sessions=[session(rev=seq)])

    async def all_there() -> bool:
        return await store.count("messages", {}) == 20

    await until(all_there, within=30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # It let go of the lease, so that the next one need not wait for it to run out.
    assert await Lease(log, "projector", "another").acquire()


async def test_a_standby_waits_for_the_lease(log: Log, store: SqliteStore) -> None:
    holder = Lease(log, "projector", "somebody else", 60)
    assert await holder.acquire()
    task = asyncio.create_task(Projector(log, store, lease_ttl=0.05, block=0.05).run())
    await tell(log, MessageAdded(message=message(1)))
    await asyncio.wait([task], timeout=0.2)
    assert await store.count("messages", {}) == 0
    await holder.release()

    async def there() -> bool:
        return await store.count("messages", {}) == 1

    await until(there)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_changes_that_wait_too_long_give_up() -> None:
    memory = Memory()
    memory.MAX_EARLY = 2
    early = [Early(str(n), MessageChange(at=n, chat=CHAT)) for n in range(3)]
    assert memory.keep("a", early[0]) == []
    assert memory.keep("b", early[1]) == []
    assert memory.keep("c", early[2]) == [early[0]]
    assert memory.take("a") == []
    assert memory.take("b") == [early[1]]


async def test_what_a_bot_learnt_stays_on_the_card(log: Log, store: SqliteStore) -> None:
    filled = FieldsFilled(
        at=20, session="7", customer="c1", fields={"name": "Ali", "email": "a@b.uz", "car": "x", "a.$b": "y"}
    )
    await tell(log, CustomerSeen(customer=Customer(id="c1", name="nick"), chat=CHAT, at=9))
    await tell(log, filled)
    await tell(log, FieldsFilled(at=10, session="7", customer="c1", fields={"car": "older"}))
    await tell(log, CustomerSeen(customer=Customer(id="c1", name="nick", phone="+998"), chat=CHAT, at=30))
    await project(log, store)
    card = await store.get("customers", "c1")
    assert card is not None
    assert (card["name"], card["email"], card["phone"], card["fields"]) == (
        "Ali",
        "a@b.uz",
        "+998",
        {"car": "x", "_a__b": "y"},
    )


async def test_ratings_reach_the_collection_and_the_session(log: Log, store: SqliteStore) -> None:
    await tell(log, sessions=[session(last_author="anna", status="closed")])
    await project(log, store)
    await tell(log, Rated(at=5, chat=CHAT, session="7", score=4))
    await tell(log, Rated(at=6, chat="shop:1", session="7", score=1))
    await tell(log, Rated(at=7, chat="", session="7", score=2, by="boss", comment="slow"))
    await project(log, store)
    await tell(log, sessions=[session(rev=2, last_author="anna", rating=4, status="closed")])
    await project(log, store)
    found = await store.find("ratings", {}, sort=[("at", 1)])
    assert [(d["score"], d["operator"], d["line"]) for d in found] == [
        (4, "anna", "sales"),
        (2, "anna", "sales"),
    ]
    kept = await store.get("sessions", "7")
    assert kept is not None
    assert (kept["rating"], kept["score"], kept["score_by"], kept["score_comment"]) == (4, 2, "boss", "slow")


async def test_who_handled_a_customer_last_is_known(log: Log, store: SqliteStore) -> None:
    await tell(log, CustomerSeen(customer=Customer(id="c1", name="Ali"), chat=CHAT, at=9))
    await tell(log, sessions=[session(holder="anna", status="closed", closed_at=50)])
    await tell(log, sessions=[session(id="6", holder="bek", status="closed", closed_at=40)])
    await project(log, store)
    card = await store.get("customers", "c1")
    assert card is not None
    assert card["last_operator"] == "anna"


async def test_the_next_entries_are_read_while_the_store_writes(
    log: Log, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seq in range(1, READ + 2):
        await tell(log, MessageAdded(message=message(seq)))
    reads: list[str] = []
    read, write = log.read_journal, store.write

    async def noted(after: str, *args: Any, **fields: Any) -> list[tuple[str, Entry]]:
        found = await read(after, *args, **fields)
        reads.append(after)
        return found

    async def patient(writes: Sequence[Write], **fields: Any) -> int:
        if any(one.collection == "messages" for one in writes):
            await until(lambda: len(reads) >= 2)
        return await write(writes, **fields)

    monkeypatch.setattr(log, "read_journal", noted)
    monkeypatch.setattr(store, "write", patient)
    await project(log, store)
    assert await store.count("messages", {}) == READ + 1
    assert len(reads) == len(set(reads)), "nothing is read twice"


async def test_what_was_read_ahead_of_a_write_that_failed_is_read_again(
    log: Log, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seq in range(1, 3 * READ):
        await tell(log, MessageAdded(message=message(seq)))
    write = store.write
    failing = iter([False, True, False])

    async def sometimes(writes: Sequence[Write], **fields: Any) -> int:
        if any(one.collection == "messages" for one in writes) and next(failing, False):
            raise Unavailable("the store is away")
        return await write(writes, **fields)

    monkeypatch.setattr(store, "write", sometimes)
    projector = Projector(log, store)
    await projector.claim()
    assert await projector.step() == READ
    with pytest.raises(Unavailable):
        await projector.step()
    await projector.claim()
    while await projector.step():
        pass
    stored = await store.find("messages", {}, sort=[("seq", 1)])
    assert [document["seq"] for document in stored] == [*range(1, 3 * READ)]


async def test_a_change_that_never_found_its_message_goes_in_the_end(log: Log, store: SqliteStore) -> None:
    month = 30 * 24 * 3600 * 1000
    waiting = msgspec.msgpack.encode(MessageChange(at=1, chat=CHAT, external_id="e9", text="x"))
    times = {"old": now_ms() - month, "new": now_ms()}
    early = [{"_id": id, "at": at, "key": "shop:42 e9", "change": waiting} for id, at in times.items()]
    await store.write([Write.insert("early", document) for document in early])
    running = asyncio.create_task(Projector(log, store).run())
    try:
        await until(lambda: _is_left(store, ["new"]))
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _is_left(store: SqliteStore, ids: list[str]) -> bool:
    return [d["_id"] for d in await store.find("early", {})] == ids
