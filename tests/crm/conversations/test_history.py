"""Reading back what was said: pages that neither overlap nor leave out, and only what one may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm.conversations import history
from crm.kernel.ports import Write
from crm.kernel.records import Media, Message
from storage.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


def message(session: int, seq: int, at: int, text: str = "hello") -> Message:
    return Message(
        id=f"{session}-{seq}", session=str(session), chat="shop:42", seq=seq, direction="in", at=at,
        external_id=f"{session}.{seq}", text=text,
    )  # fmt: skip


async def keep(store: SqliteStore, *messages: Message, line: str = "sales", customer: str = "c1") -> None:
    documents = [history.message_document(m, customer=customer, line=line, channel="shop") for m in messages]
    assert await store.write([Write.insert("messages", document) for document in documents]) == len(messages)


async def test_pages_of_a_session(store: SqliteStore) -> None:
    thread = [message(7, seq, 1000 + seq // 3) for seq in range(1, 26)]
    await keep(store, *thread)
    await keep(store, message(8, 1, 1))
    assert await history.messages(store, "7", limit=10) == thread[15:]
    assert await history.messages(store, "7", before_seq=16, limit=10) == thread[5:15]
    assert await history.messages(store, "7", before_seq=6, limit=10) == thread[:5]
    assert await history.messages(store, "7", before_seq=1) == []


async def test_pages_of_a_customer_run_over_sessions(store: SqliteStore) -> None:
    # Many at the same millisecond, and more than nine of a session: ids do not sort as text.
    everything = [message(s, seq, 1000 + (s * 30 + seq) // 7) for s in (1, 2, 3) for seq in range(1, 31)]
    await keep(store, *everything)
    await keep(store, message(9, 1, 1000), customer="somebody else")
    pages: list[Message] = []
    before: tuple[int, str] | None = None
    while page := await history.customer_messages(store, "c1", before=before, limit=4):
        pages = page + pages
        before = (page[0].at, page[0].id)
    assert pages == everything
    assert await history.customer_messages(store, "c1", before=(1000, "nonsense")) == []


async def test_nobody_reads_other_lines(store: SqliteStore) -> None:
    await keep(store, message(1, 1, 1), line="sales")
    await keep(store, message(2, 1, 2), line="support")
    for lines, ids in ((["sales"], ["1-1"]), ([], []), (None, ["2-1", "1-1"]), (["other"], [])):
        assert [m.id for m in await history.search(store, "hello", lines=lines)] == ids
        found = await history.customer_messages(store, "c1", lines=lines)
        assert sorted(m.id for m in found) == sorted(ids)
    assert [m.id for m in await history.search(store, "hello", session="2")] == ["2-1"]
    assert await history.search(store, "hello", customer="c2") == []


async def test_sessions_by_what_they_are(store: SqliteStore) -> None:
    rows = [
        {"_id": str(n), "line": "sales" if n % 2 else "support", "status": "closed", "holder": f"h{n % 3}",
         "customer": f"c{n % 4}", "opened_at": n}
        for n in range(12)
    ]  # fmt: skip
    await store.write([Write.insert("sessions", row) for row in rows])

    async def ids(**wanted: object) -> list[str]:
        return [d["_id"] for d in await history.sessions(store, **wanted)]  # type: ignore[arg-type]

    assert await ids(limit=3) == ["11", "10", "9"]
    assert await ids(lines=["sales"], holder="h0") == ["9", "3"]
    assert await ids(line="sales", lines=["support"]) == []
    assert await ids(customer="c1", status="closed") == ["9", "5", "1"]
    assert await ids(status="waiting") == []
    assert (await history.session(store, "3") or {})["opened_at"] == 3
    assert await history.session(store, "nobody") is None


async def test_a_message_comes_back_whole(store: SqliteStore) -> None:
    whole = message(1, 1, 1)
    whole.reactions = {"$set": ["👍"], "a.b\0": [], "": ["❤️‍🔥"]}
    whole.raw = b"\x00\xff"
    whole.media = [Media(kind="location", latitude=41.3, longitude=69.2)]
    await keep(store, whole)
    assert await history.messages(store, "1") == [whole]


async def test_places_that_are_none_can_be_stored(store: SqliteStore) -> None:
    odd = message(1, 1, 1)
    odd.media = [Media(kind="location", latitude=float("nan"), longitude=float("inf"))]
    await keep(store, odd)
    (found,) = await history.messages(store, "1")
    assert (found.media[0].latitude, found.media[0].longitude) == (0.0, 0.0)


def test_sources_never_end_early() -> None:
    assert history.source("web:a\0b", "1") != history.source("web:a\0c", "1")
    assert "\0" not in history.source("web:a\0b", "1\0")
