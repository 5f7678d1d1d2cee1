"""The gateway's memory of the journal tells what the journal tells."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.records import Message
from router.desk.events import MessageDeleted, MessageEdited, Reacted
from router.desk.state import Entry, MessageAdded, Session
from router.gateway.answers import current
from router.gateway.answers.current import Current
from router.gateway.tail import JournalTail
from router.log.log import Log
from router.wire import protocol
from tests.conftest import until
from tests.router.desk_in_process import DeskInProcess, running_desk


def added(session: str, seq: int, text: str = "hi") -> MessageAdded:
    message = Message(
        id=f"{session}-{seq}", session=session, chat=f"tg:{session}", seq=seq, direction="in", at=1, text=text,
        raw=b"x" * 1000,
    )  # fmt: skip
    return MessageAdded(message=message)


def closed(id: str) -> Session:
    return Session(
        id=id, chat=f"tg:{id}", channel="tg", kind="telegram", line="sales", customer="c", status="closed"
    )


def test_it_tells_what_came_after_a_position_in_order() -> None:
    tail = JournalTail()
    tail.start("5-0")
    one, two, three = added("1", 1), added("1", 2), added("2", 1)
    tail.add("6-0", Entry(at=1, told=[one, three]))
    tail.add("6-0", Entry(at=1, told=[one, three]))
    tail.add("7-0", Entry(at=1, told=[two], sessions=[closed("1")]))
    assert tail.of("1", "5-0") == ([one, two], closed("1"))
    assert tail.of("1", "6-0") == ([two], closed("1"))
    assert tail.of("2", "6-0") == ([], None)
    assert tail.newest == "7-0"
    assert one.message.raw == b"", "the raw body stays in the store"


def test_it_covers_what_came_after_it_was_started() -> None:
    tail = JournalTail()
    assert tail.covers("0")
    tail.start("5-3")
    assert not tail.covers("5-2")
    assert tail.covers("5-3")
    assert tail.covers("6-0")


def test_what_is_oldest_leaves_so_that_it_never_grows_beyond_its_bound() -> None:
    tail = JournalTail(most=20_000)
    tail.start("0-0")
    for number in range(1, 500):
        told = [added(str(number % 7), number, "text " * random.Random(number).randint(1, 50))]
        tail.add(f"{number}-0", Entry(at=1, told=list(told), sessions=[closed(f"c{number}")]))
        assert 0 < tail.bytes <= 20_000
    assert not tail.covers("400-0")
    oldest = next(n for n in range(500) if tail.covers(f"{n}-0"))
    seen = [t.message.seq for s in range(7) for t in tail.of(str(s), "0-0")[0] if isinstance(t, MessageAdded)]
    assert sorted(seen) == list(range(oldest + 1, 500))
    assert len(tail._parts) <= 2 * len(tail._entries), "sessions that nothing is kept of are forgotten"


def test_an_entry_larger_than_all_of_it_is_not_kept() -> None:
    tail = JournalTail(most=1000)
    tail.start("0-0")
    tail.add("1-0", Entry(at=1, told=[added("1", 1, "x" * 2000)]))
    assert (tail.bytes, tail.covers("0-0"), tail.covers("1-0")) == (0, False, True)
    assert tail.of("1", "0-0") == ([], None)


async def test_who_needs_what_is_not_here_yet_waits_until_it_is() -> None:
    tail = JournalTail()
    tail.start("5-0")
    await tail.reach("5-0")
    waiting = asyncio.create_task(tail.reach("7-0"))
    tail.add("6-0", Entry(at=1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    tail.add("7-0", Entry(at=1))
    await waiting
    other = asyncio.create_task(tail.reach("9-0"))
    await asyncio.sleep(0)
    tail.start("9-0")
    await other


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def talk(desk: DeskInProcess, chance: random.Random) -> None:
    """Two conversations with all that changes a message; the second one is closed in the end."""
    anna = await desk.login("anna")
    for number in range(12):
        await desk.write("ali", f"number {number}")
        await desk.write("olga", f"and {number}")
    await until(lambda: {"ali", "olga"} <= {s.chat[4:] for s in desk.gateway.picture.sessions.values()})
    ids = {s.chat: s.id for s in desk.gateway.picture.sessions.values()}
    for session in ids.values():
        assert (await anna.ask(protocol.Say, session=session, text="yes")).code == ""
    for number in range(1, 25):
        chat = "ali" if number % 2 else "olga"
        common: dict[str, Any] = {"channel": "bot", "chat": chat, "event_id": f"change:{number}"}
        event = chance.choice([
            MessageEdited(message_id=f"m{number}", text="edited", edited_at=5, **common),
            MessageDeleted(message_ids=[f"m{number}"], **common),
            Reacted(message_id=f"m{number}", author=chat, emoji=["👍"], **common),
        ])  # fmt: skip
        await desk.log.append(event)
    assert (await anna.ask(protocol.Close, session=ids["bot:olga"])).code == ""


@pytest.mark.parametrize("stored", [0, 1])
async def test_what_is_shown_is_the_same_as_from_the_journal_itself(desk: DeskInProcess, stored: int) -> None:
    """Whatever part of it the store has got."""
    await desk.duty("anna")
    await desk.write("ali", "the first")
    await until(lambda: desk.gateway.picture.sessions)
    if stored:
        await until(lambda: _stored(desk))
    await desk.stop("projector")
    await talk(desk, random.Random(1))
    newest = (await desk.log.journal_bounds())[1]
    await until(lambda: desk.gateway.picture.position == newest)

    tail = desk.gateway._journal_tail
    blind = JournalTail()
    blind.start(f"{2**50}-0")
    assert not blind.covers(newest)
    if stored:
        assert tail.covers(await desk.log.reader("projector"))
    ours = Current(desk.log, desk.store, desk.gateway.picture, tail)
    theirs = Current(desk.log, desk.store, desk.gateway.picture, blind)
    for id in ("1", "2"):
        assert await ours.session(id) == await theirs.session(id)
        for before in (0, 7):
            for _ in range(2):  # what is kept stays as it was told
                page = await ours.page(id, before, 10)
                assert page == await theirs.page(id, before, 10)
                assert page[0], "there is something to compare"
        assert [t for t in await ours.tail(id) if not isinstance(t, MessageAdded)] == [
            t for t in await theirs.tail(id) if not isinstance(t, MessageAdded)
        ]
    assert (await ours.session("2")).status == "closed"


async def test_what_the_gateway_has_not_come_to_is_shown_all_the_same(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "REACH", 0.05)
    await desk.write("ali", "the first")
    await until(lambda: _stored(desk))
    await desk.stop("projector")
    await desk.write("ali", "the second")
    await until(lambda: len(desk.gateway._journal_tail.of("1", "0-0")[0]) >= 2)
    await desk.stop("gateway")
    before = desk.gateway.picture.position
    await desk.write("ali", "the third")
    await until(lambda: _newer(desk, before))
    ours = Current(desk.log, desk.store, desk.gateway.picture, desk.gateway._journal_tail)
    messages, _ = await ours.page("1", 0, 10)
    assert [m.text for m in messages if m.direction == "in"] == ["the first", "the second", "the third"]


async def _newer(desk: DeskInProcess, than: str) -> bool:
    return (await desk.log.journal_bounds())[1] != than


async def test_opening_reads_no_part_of_the_journal_again(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.duty("anna")
    await desk.write("ali", "the first")
    await until(lambda: _stored(desk))
    await desk.stop("projector")
    await talk(desk, random.Random(2))
    newest = (await desk.log.journal_bounds())[1]
    await until(lambda: desk.gateway.picture.position == newest)
    read = []
    journal = desk.log.read_journal

    async def counted(*args: Any, **more: Any) -> Any:
        entries = await journal(*args, **more)
        if not more.get("block_ms"):  # the gateway itself goes on following
            read.extend(entries)
        return entries

    boss = await desk.login("boss")
    monkeypatch.setattr(desk.log, "read_journal", counted)
    page = await boss.ask(protocol.Open, session="1")
    assert len(page.messages) > 10
    assert read == []


async def _stored(desk: DeskInProcess) -> bool:
    newest = (await desk.log.journal_bounds())[1]
    return newest != "0-0" and await desk.log.reader("projector") == newest
