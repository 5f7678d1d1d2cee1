"""One stream of all that happened, page by page, by rights."""

from __future__ import annotations

import random
from typing import Any

import pytest

from crm.conversations.history import message_document
from crm.kernel import stages
from crm.kernel.access import Actor, ObjectType
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Refused, WrongUse
from crm.kernel.ports import Store, Write
from crm.kernel.records import Message
from crm.objects.service import Objects
from crm.timeline.entries import Before, Owner, TimelineEntry
from crm.timeline.reading import Timelines
from tests.crm.objects.office import ANNA, AT, BEK, NODIRA, ROOT, objects


async def said(
    store: Store, seq: int, at: int, *, customer: str = "c1", line: str = "sales", session: str = "1"
) -> None:
    message = Message(
        id=f"{session}-{seq}", session=session, chat="tg:1", seq=seq, direction="in", at=at, text=f"m{seq}"
    )
    document = message_document(message, customer=customer, line=line, channel="tg")
    await store.write([Write.insert("messages", document)])


async def card(store: Store, id: str, **more: Any) -> None:
    await store.insert("customers", {"_id": id, "name": "Ali", "chats": [], **more})


async def whole(
    store: Store, actor: Actor, type: ObjectType, id: str, limit: int = 50, **more: Any
) -> list[str]:
    """The texts and titles of all pages."""
    found, after = [], ""
    while True:
        page = await Timelines(store).page(actor, type, id, limit=limit, after=after, **more)
        assert len(page.items) <= limit
        found += [
            f"{entry.kind}:{entry.data.get('stage') or entry.title or entry.text}" for entry in page.items
        ]
        if not (after := page.next):
            return found


@pytest.fixture
async def desk(store: Store) -> Objects:
    await card(store, "c1")
    return objects(store)


async def test_everything_of_a_person_is_one_stream(desk: Objects, store: Store) -> None:
    await said(store, 1, AT + 10)
    deal = (
        await desk.add(ROOT, "deal", {"title": "Chairs", "customer": "c1", "line": "sales"}, at=AT + 20)
    ).document
    moved = stages.moved(CrmSettings(), "deal", deal, key="lost", at=AT + 30, by="root", reason="dear")
    await store.write([Write.update("deals", {"_id": deal["_id"]}, moved)])
    await desk.add(
        ROOT, "activity", {"kind": "note", "about": "Oak.", "customer": "c1", "line": "sales"}, at=AT + 25
    )
    await desk.add(ROOT, "activity", {"kind": "task", "title": "Call", "deal": deal["_id"]}, at=AT + 26)
    await said(store, 2, AT + 40)
    wanted = ["message:m2", "stage:lost", "task:Call", "note:Oak.", "stage:new", "message:m1"]
    for limit in (1, 2, 3, 6, 50):
        assert await whole(store, NODIRA, "customer", "c1", limit) == wanted
    assert await whole(store, NODIRA, "deal", deal["_id"]) == [
        "message:m2",
        "stage:lost",
        "task:Call",
        "stage:new",
        "message:m1",
    ]
    assert await whole(store, NODIRA, "customer", "c1", kinds=["stage"]) == ["stage:lost", "stage:new"]


async def test_a_moment_with_many_entries_loses_and_repeats_none(sqlite: Store) -> None:
    await card(sqlite, "c1")
    rnd, wanted = random.Random(7), []
    for number in range(60):
        at = AT + rnd.randrange(4)
        if rnd.random() < 0.5:
            await said(sqlite, number, at)
            wanted.append((at, "message", number, f"message:m{number}"))
        else:
            id = f"a{rnd.randrange(10**9):09}"
            about = {
                "_id": id,
                "kind": "note",
                "title": id,
                "customer": "c1",
                "line": "sales",
                "created_at": at,
            }
            await sqlite.insert("activities", about)
            wanted.append((at, "activity", int(id[1:]), f"note:{id}"))
    wanted.sort(key=lambda one: one[:3], reverse=True)
    for limit in (1, 2, 7, 59, 60, 61):
        assert await whole(sqlite, NODIRA, "customer", "c1", limit) == [one[3] for one in wanted]


async def test_each_sees_what_he_may(desk: Objects, store: Store) -> None:
    await said(store, 1, AT, line="support")
    await said(store, 2, AT + 1, line="sales", session="2")
    await desk.add(BEK, "activity", {"kind": "note", "about": "secret", "line": "support"}, at=AT + 2)
    await store.write([Write.update("activities", {}, {"$set": {"customer": "c1"}})])
    assert await whole(store, ANNA, "customer", "c1") == ["message:m2"]
    assert await whole(store, BEK, "customer", "c1") == ["note:secret", "message:m1"]
    assert len(await whole(store, NODIRA, "customer", "c1")) == 3
    nobody = Actor("vali", "operator", frozenset({"empty"}))
    bot = Actor("robot", "bot", frozenset({"sales"}))
    for actor, id, code in (
        (nobody, "c1", "no_such_object"),
        (ROOT, "c0", "no_such_object"),
        (bot, "c1", "no_right"),
    ):
        with pytest.raises(Refused) as refused:
            await whole(store, actor, "customer", id)
        assert refused.value.code == code
    deal = (await desk.add(BEK, "deal", {"title": "x"}, at=AT)).document
    with pytest.raises(Refused):
        await whole(store, ANNA, "deal", deal["_id"])


async def test_cards_that_are_one_person_have_one_timeline(desk: Objects, store: Store) -> None:
    await card(store, "c2", merged_into="c1")
    await card(store, "c3", merged_into="c2")
    for number, id in enumerate(("c1", "c2", "c3")):
        await said(store, number, AT + number, customer=id, session=f"{number}")
    for id in ("c1", "c2", "c3"):
        assert await whole(store, NODIRA, "customer", id, 2) == ["message:m2", "message:m1", "message:m0"]


async def test_a_place_is_of_one_timeline(desk: Objects, store: Store) -> None:
    await card(store, "c2")
    for number in range(3):
        await said(store, number, AT + number)
    page = await Timelines(store).page(NODIRA, "customer", "c1", limit=1)
    for id, after in (("c2", page.next), ("c1", "x"), ("c1", "%%%"), ("c1", page.next[:-3])):
        with pytest.raises(WrongUse):
            await Timelines(store).page(NODIRA, "customer", id, after=after)


async def test_a_new_kind_is_one_more_source(desk: Objects, store: Store) -> None:
    class Visits:
        name = "visit"

        async def entries(
            self, actor: Actor, owner: Owner, before: Before | None, limit: int
        ) -> list[TimelineEntry]:
            return (
                [TimelineEntry(at=AT + 5, kind="visit", key="v1", text=owner.customers[0])]
                if before is None
                else []
            )

    await said(store, 1, AT)
    page = await Timelines(store, [Visits()]).page(NODIRA, "customer", "c1")
    assert [(entry.kind, entry.text) for entry in page.items] == [("visit", "c1"), ("message", "m1")]


async def test_a_message_has_all_that_a_screen_shows_of_it(desk: Objects, store: Store) -> None:
    await said(store, 1, AT)
    await store.write(
        [Write.update("messages", {"_id": "1-1"}, {"$set": {"deleted_at": AT + 1, "edited_at": AT}})]
    )
    (entry,) = (await Timelines(store).page(NODIRA, "customer", "c1")).items
    assert (entry.text, entry.data["deleted_at"], entry.data["session"], "raw" in entry.data) == (
        "m1",
        AT + 1,
        "1",
        False,
    )
