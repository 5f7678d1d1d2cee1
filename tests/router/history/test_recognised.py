"""Whatever opens a session, and however soon after the last one: it is known who it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.errors import Conflict
from crm.kernel.ports import Write
from crm.kernel.records import Customer, customer_of
from crm.objects.writing import Edit, change
from router.desk import events
from router.desk.events import Author, ButtonPressed, ChatMoved, ChatReachable
from router.desk.state import CustomerSeen, Known, Session
from router.history.projector import Projector
from router.history.reaching import attested_writes
from router.history.recent import FRESH, KEPT, Recent
from router.log.log import Log
from router.wire import protocol
from tests.conftest import until
from tests.router.desk.world import CHANNEL, World
from tests.router.desk_in_process import DeskInProcess, running_desk
from tests.router.orders import order

CARD = {
    "_id": "c-ali", "id": "c-ali", "name": "Ali Karimov", "chats": ["bot:ali"], "vip": True,
    "responsible": "bek", "language": "uz", "last_operator": "vali",
}  # fmt: skip


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


def session(desk: DeskInProcess, chat: str) -> Session:
    return desk.worker.desk.sessions[desk.worker.desk.by_chat[f"bot:{chat}"]]


def is_ali(found: Session) -> None:
    assert (found.customer, found.name, found.vip, found.responsible, found.language, found.last_operator) == (
        "c-ali", "Ali Karimov", True, "bek", "uz", "vali",
    )  # fmt: skip
    assert found.priority == 100


async def opened(desk: DeskInProcess, chat: str) -> Session:
    await until(lambda: f"bot:{chat}" in desk.worker.desk.by_chat)
    return session(desk, chat)


async def test_who_presses_a_button_is_known(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    pressed = ButtonPressed(
        channel="bot", chat="ali", event_id="b", message_id="m", author=Author(name="ali"), data="x"
    )
    await desk.log.append(pressed)
    is_ali(await opened(desk, "ali"))


async def test_whom_an_operator_writes_to_first_is_known(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    anna = await desk.login("anna")
    done = await anna.ask(protocol.Start, chat="bot:ali", line="sales", text="salom")
    assert done.code == ""
    is_ali(await opened(desk, "ali"))


async def test_a_card_that_is_none_keeps_nobody_from_writing_to_him(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", {**CARD, "vip": "yes"})])
    anna = await desk.login("anna")
    assert (await anna.ask(protocol.Start, chat="bot:ali", line="sales")).code == ""
    assert (await opened(desk, "ali")).customer == "c-ali"


async def test_a_card_that_is_none_makes_a_stranger_of_nobody_else(desk: DeskInProcess) -> None:
    await desk.store.write(
        [
            Write.insert("customers", dict(CARD)),
            Write.insert("customers", {"_id": "c-bad", "chats": ["bot:bad"], "vip": [1]}),
        ]
    )
    await desk.stop("worker")
    await desk.write("bad", "hi")
    await desk.write("ali", "hi")
    desk.start("worker", desk.worker)
    is_ali(await opened(desk, "ali"))


async def test_who_unblocks_us_is_no_new_customer(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    await desk.log.append(
        ChatReachable(channel="bot", chat="ali", event_id="r", can_write=False, author=Author(name="ali"))
    )
    await until(lambda: _blocked(desk))
    assert await desk.store.count("customers", {}) == 1


async def _blocked(desk: DeskInProcess) -> bool:
    found = await desk.store.find("customers", {"_id": "c-ali"})
    return found[0].get("can_write") is False


# ------------------------------------------------------------------ he writes as his session ends


@pytest.mark.parametrize("stored", [True, False])
async def test_who_writes_in_the_batch_in_which_his_session_was_closed_is_known(
    desk: DeskInProcess, stored: bool
) -> None:
    """``stored``: the projector has told the store of the end of the session, or not yet."""
    await desk.store.write([Write.insert("customers", {**CARD, "responsible": ""})])
    await desk.duty("anna")
    await desk.write("ali", "hi")
    first = await opened(desk, "ali")
    anna = await desk.login("anna")
    assert (await anna.ask(protocol.Take, session=first.id)).code == ""
    if not stored:
        await desk.stop("projector")
    await desk.stop("worker")
    await desk.log.append(order("Close", operator="anna", session=first.id, event_id="close"))
    await desk.write("ali", "one thing more")
    desk.start("worker", desk.worker)
    await until(lambda: session(desk, "ali").id != first.id)
    again = session(desk, "ali")
    assert (again.customer, again.vip, again.name, again.last_operator) == (
        "c-ali", True, "Ali Karimov", "anna",
    )  # fmt: skip
    if not stored:
        desk.start("projector", Projector(desk.log, desk.store))


async def test_who_writes_before_the_store_knows_that_he_was_here_is_known(desk: DeskInProcess) -> None:
    await desk.stop("projector")
    await desk.duty("anna")
    await desk.write("new", "hi")
    first = await opened(desk, "new")
    anna = await desk.login("anna")
    assert (await anna.ask(protocol.Close, session=first.id)).code == ""
    await desk.write("new", "and")
    await until(lambda: "bot:new" in desk.worker.desk.by_chat)
    assert session(desk, "new").last_operator == "anna"
    desk.start("projector", Projector(desk.log, desk.store))


# ------------------------------------------------------------------ a group becomes a supergroup


def moved(event_id: str = "moved") -> ChatMoved:
    return ChatMoved(channel="bot", chat="ali", new_chat="-100", event_id=event_id)


async def the_only_customer(desk: DeskInProcess) -> dict[str, Any]:
    [found] = await desk.store.find("customers", {"chats": "bot:-100"})
    return found


async def _has_moved(desk: DeskInProcess) -> bool:
    found = await desk.store.find("customers", {"chats": "bot:-100"})
    return [document["_id"] for document in found] == ["c-ali"]


async def test_the_customer_stays_the_same_before_he_writes_again(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    await desk.log.append(moved())
    await until(lambda: _has_moved(desk))
    found = await the_only_customer(desk)
    assert (found["name"], found["vip"], sorted(found["chats"])) == (
        "Ali Karimov", True, ["bot:-100", "bot:ali"],
    )  # fmt: skip
    await desk.write("-100", "hi")
    is_ali(await opened(desk, "-100"))
    anna = await desk.login("anna")
    assert (await anna.ask(protocol.Start, chat="bot:-100", line="sales")).code == "duplicate_chat"


async def test_he_writes_in_the_batch_in_which_the_chat_moved(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    await desk.stop("worker")
    await desk.log.append(moved())
    await desk.write("-100", "hi")
    desk.start("worker", desk.worker)
    is_ali(await opened(desk, "-100"))
    await until(lambda: _has_moved(desk))


async def test_he_writes_before_we_hear_that_the_chat_moved(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    await desk.write("-100", "hi")
    stranger = await opened(desk, "-100")
    assert stranger.customer == customer_of("bot:-100")
    await until(lambda: _stored(desk, customer_of("bot:-100")))
    await desk.log.append(moved())
    await until(lambda: session(desk, "-100").customer == "c-ali")
    is_ali(session(desk, "-100"))
    await until(lambda: _has_moved(desk))
    await until(lambda: _messages_are_his(desk))


async def _stored(desk: DeskInProcess, customer: str) -> bool:
    return bool(await desk.store.find("messages", {"customer": customer}))


async def _messages_are_his(desk: DeskInProcess) -> bool:
    found = await desk.store.find("messages", {"chat": "bot:-100"})
    return bool(found) and {document["customer"] for document in found} == {"c-ali"}


async def test_the_open_session_follows_and_the_store_knows_the_new_chat(desk: DeskInProcess) -> None:
    await desk.store.write([Write.insert("customers", dict(CARD))])
    await desk.write("ali", "hi")
    first = await opened(desk, "ali")
    await desk.log.append(moved())
    await until(lambda: "bot:-100" in desk.worker.desk.by_chat)
    assert session(desk, "-100").id == first.id
    await until(lambda: _has_moved(desk))


def test_somebody_nobody_knows_stays_the_same_too() -> None:
    world = World("anna")
    world.writes("a")
    world.do("anna", "Close", session="1")
    world.happens(ChatMoved(channel=CHANNEL, chat="a", new_chat="b"))
    told = world.told[-1]
    assert (told.customer.id, told.chat, told.moved_from) == (
        customer_of(f"{CHANNEL}:a"), f"{CHANNEL}:b", f"{CHANNEL}:a",
    )  # fmt: skip


def test_a_known_customer_who_presses_a_button_is_no_first_contact() -> None:
    world = World("anna", bot="robot", bot_first="first_contact")
    world.happens(events.OperatorChanged(name="robot", role="bot"))
    for chat, known, status in (("a", None, "bot"), ("b", Known("c"), "waiting")):
        pressed = ButtonPressed(
            channel=CHANNEL, chat=chat, event_id=chat, message_id="", author=Author(), data="x", at=world.time
        )
        world.desk.apply(pressed, known)
        assert world.session(chat).status == status


# ------------------------------------------------------------------ the memory


def test_what_is_recent_is_newer_than_the_store_for_a_while() -> None:
    recent = Recent()
    here = Known("c1", name="Ali", last_operator="anna")
    recent.note({"bot:a": here}, 1000)
    stored = Known("c2", name="Ali Karimov", vip=True, last_operator="bek")
    found = recent.known("bot:a", stored, {}, 2000)
    assert found == Known("c1", name="Ali Karimov", vip=True, last_operator="anna")
    assert recent.known("bot:a", stored, {}, 1001 + FRESH) == stored
    assert recent.known("bot:a", None, {}, 1001 + FRESH) == here
    assert recent.known("bot:b", None, {}, 1000) is None
    assert recent.known("bot:b", stored, {"bot:b": here}, 0) == found


def test_what_is_recent_is_bounded() -> None:
    recent = Recent()
    for number in range(3):
        recent.note({f"bot:{number}-{n}": Known("c") for n in range(KEPT // 2)}, number)
    assert recent.known("bot:0-0", None, {}, 0) is None
    assert recent.known("bot:2-0", None, {}, 0) is not None


def test_whoever_he_turns_out_to_be_he_is_a_vip_once() -> None:
    world = World("anna")
    world.writes("b", known=Known("c2", vip=True))
    moved = ChatMoved(channel=CHANNEL, chat="a", new_chat="b", at=world.time)
    world.desk.apply(moved, Known("c1", vip=True, responsible="anna"))
    found = world.session("b")
    assert (found.customer, found.priority, found.responsible) == ("c1", 100, "anna")
    world.do("anna", "SetPriority", session="1", priority=7)
    world.desk.apply(ChatMoved(channel=CHANNEL, chat="x", new_chat="b", at=world.time), Known("c3"))
    assert (world.session("b").customer, world.session("b").vip, world.session("b").priority) == (
        "c3",
        False,
        7,
    )


async def test_a_number_that_comes_while_somebody_edits_the_card_is_not_overwritten(
    desk: DeskInProcess,
) -> None:
    store = desk.store
    mine = {"_id": "c1", "version": 1, "name": "Ali", "phones": [], "keys": []}
    await store.insert("customers", mine)
    seen = CustomerSeen(customer=Customer(id="c1", phone="+998901234567"), chat="tg:1", at=5)
    before = await store.get("customers", "c1")
    assert before is not None
    for _ in range(2):
        await store.write([*attested_writes(seen, "UZ")])
    own = {"phones": [{"raw": "1", "e164": "+998907654321"}], "keys": ["phone:+998907654321"]}
    with pytest.raises(Conflict) as conflict:
        await change(store, "customer", before, Edit("changed", own), by="anna", at=6)
    current = conflict.value.current
    assert [phone["e164"] for phone in current["phones"]] == ["+998901234567"]
    assert (current["keys"], current["version"]) == (["phone:+998901234567"], 2)
    assert len(current["identities"]) == 1
