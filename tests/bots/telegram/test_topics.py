"""One topic is one chat: an answer goes where the customer wrote."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.base import Rejected, Secret
from bots.telegram.channel import Telegram, TelegramSettings
from bots.telegram.place import Place, moved, place_of
from crm.conversations.history import source
from crm.kernel.records import Media, customer_of, person_chat, whole_chat
from router.desk.events import ButtonPressed, MessageDeleted, MessageEdited, MessageReceived
from router.desk.state import decode_delivery
from router.intake.understanding import understand
from tests.bots.conftest import TOKEN, Bytes, delivery
from tests.fakes.bot_state import BotState, Fault
from tests.fakes.telegram import FakeTelegram

FORUM = {"id": -100123, "type": "supergroup", "title": "Shop", "is_forum": True}
PRIVATE = {"id": 55, "type": "private", "first_name": "Ali"}
DIRECT = {"id": -100777, "type": "supergroup", "title": "News", "is_direct_messages": True}
ALI = {"id": 55, "is_bot": False, "first_name": "Ali"}
PHOTO = (Media(kind="photo", mime="image/jpeg", name="a.jpg", key="k"), Bytes(b"jpeg"))

PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "a group": ({"chat": FORUM}, "-100123"),
    "a topic": ({"chat": FORUM, "message_thread_id": 77, "is_topic_message": True}, "-100123/77"),
    "the general topic": ({"chat": FORUM, "message_thread_id": 1, "is_topic_message": True}, "-100123"),
    "a tree of answers": ({"chat": FORUM, "message_thread_id": 77}, "-100123"),
    "a private chat": ({"chat": PRIVATE}, "55"),
    "a private topic": ({"chat": PRIVATE, "message_thread_id": 9, "is_topic_message": True}, "55/9"),
    "direct messages": ({"chat": DIRECT, "direct_messages_topic": {"topic_id": 31}}, "-100777/d31"),
    "business": ({"chat": PRIVATE, "business_connection_id": "B_c-1"}, "55@B_c-1"),
    "strange business": ({"chat": PRIVATE, "business_connection_id": "a/b@c d"}, "55@a%2Fb%40c%20d"),
}

TO: dict[str, dict[str, str]] = {
    "a group": {"chat_id": "-100123"},
    "a topic": {"chat_id": "-100123", "message_thread_id": "77"},
    "the general topic": {"chat_id": "-100123"},
    "a tree of answers": {"chat_id": "-100123"},
    "a private chat": {"chat_id": "55"},
    "a private topic": {"chat_id": "55", "message_thread_id": "9"},
    "direct messages": {"chat_id": "-100777", "direct_messages_topic_id": "31"},
    "business": {"chat_id": "55", "business_connection_id": "B_c-1"},
    "strange business": {"chat_id": "55", "business_connection_id": "a/b@c d"},
}
WHERE = {"chat_id", "message_thread_id", "direct_messages_topic_id", "business_connection_id"}


@pytest.fixture
async def channel(fake: FakeTelegram) -> AsyncIterator[Telegram]:
    bot = fake.bot(TOKEN)
    bot.connections = {"B_c-1": True, "a/b@c d": True, "mute": False}
    channel = Telegram(
        "shop", TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN), api_url=fake.url)
    )
    await channel.open()
    yield channel
    await channel.close()


@pytest.fixture
def bot(fake: FakeTelegram) -> BotState:
    return fake.bot(TOKEN)


def update(channel: Telegram, kind: str, content: dict[str, Any]) -> Any:
    [event] = understand(channel, json.dumps({"update_id": 5, kind: content}).encode())
    return event


def wrote(name: str, **more: Any) -> dict[str, Any]:
    return {"message_id": 9, "date": 5, "from": ALI, "text": "hi", **PLACES[name][0], **more}


def kind_of(name: str, edited: bool = False) -> str:
    business = "business_" if "business" in name else ""
    return f"{'edited_' if edited else ''}{business}message"


def posted(bot: BotState, method: str) -> dict[str, str]:
    [params] = [params for _, name, params in bot.calls if name == method]
    return {name: value for name, value in params.items() if name in WHERE}


@pytest.mark.parametrize("name", PLACES)
async def test_an_answer_goes_where_the_customer_wrote(channel: Telegram, bot: BotState, name: str) -> None:
    event = update(channel, kind_of(name), wrote(name))
    assert isinstance(event, MessageReceived)
    assert event.chat == PLACES[name][1]
    to = event.chat

    async def send(id: str, files: Any = (), **more: Any) -> str:
        sent = await channel.send(delivery(id, to, channel="shop", **more), files)
        return " ".join(sent.external_ids)

    sent = await send("d1", reply_to="9")
    assert posted(bot, "sendMessage") == TO[name]
    await send("d2", [PHOTO])
    assert posted(bot, "sendPhoto") == TO[name]
    await send("d3", [PHOTO, PHOTO])
    assert posted(bot, "sendMediaGroup") == TO[name]
    known = {"chat_id", "business_connection_id"}
    await send("d4", action="edit", external_id=sent, text="other")
    assert posted(bot, "editMessageText") == {k: v for k, v in TO[name].items() if k in known}
    await channel.typing(to)
    assert posted(bot, "sendChatAction") == {
        k: v for k, v in TO[name].items() if k != "direct_messages_topic_id"
    }
    await send("d5", action="delete", external_id=sent)
    if "business" in name:
        connection = {"business_connection_id": TO[name]["business_connection_id"]}
        assert posted(bot, "deleteBusinessMessages") == connection
    else:
        assert posted(bot, "deleteMessage") == {"chat_id": TO[name]["chat_id"]}
    assert not bot.shown.keys() & {int(sent)}


@pytest.mark.parametrize("name", PLACES)
async def test_edits_and_presses_are_in_the_same_chat(channel: Telegram, name: str) -> None:
    edit = update(channel, kind_of(name, edited=True), wrote(name, edit_date=6))
    assert isinstance(edit, MessageEdited)
    assert edit.chat == PLACES[name][1]
    press = update(
        channel,
        "callback_query",
        {"id": "1", "from": ALI, "chat_instance": "c", "data": "yes", "message": wrote(name)},
    )
    assert isinstance(press, ButtonPressed)
    assert press.chat == PLACES[name][1]


@pytest.mark.parametrize("name", PLACES)
async def test_what_breaks_the_types_is_in_the_same_chat(channel: Telegram, name: str) -> None:
    event = update(channel, kind_of(name), wrote(name, date="?"))
    assert (event.chat, event.kind, event.text) == (PLACES[name][1], "unsupported", "hi")


def test_deletions_in_a_business_chat(fake: FakeTelegram) -> None:
    channel = Telegram("shop", TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN)))
    deleted = {"business_connection_id": "B_c-1", "chat": PRIVATE, "message_ids": [4, 5]}
    event = update(channel, "deleted_business_messages", deleted)
    assert isinstance(event, MessageDeleted)
    assert (event.chat, event.message_ids) == ("55@B_c-1", ["4", "5"])


def test_what_the_owner_of_a_business_account_writes_is_no_customer_s_message(channel: Telegram) -> None:
    owner = {"id": 900, "is_bot": False, "first_name": "Owner"}
    body = {"update_id": 5, "business_message": wrote("business") | {"from": owner}}
    assert understand(channel, json.dumps(body).encode()) == []


async def test_without_the_right_to_reply_nothing_leaves(channel: Telegram, bot: BotState) -> None:
    for _ in range(2):
        with pytest.raises(Rejected, match="does not let us answer") as refused:
            await channel.send(delivery("d1", "55@mute", channel="shop"), [])
        assert refused.value.blocked
    with pytest.raises(Rejected, match="BUSINESS_CONNECTION_INVALID"):
        await channel.send(delivery("d2", "55@gone", channel="shop"), [])
    assert [name for _, name, _ in bot.calls] == ["getBusinessConnection"] * 2
    await channel.send(delivery("d3", "55@B_c-1", channel="shop"), [])
    assert len(bot.sent) == 1


async def test_a_topic_of_a_group_that_moved_is_the_same_topic(channel: Telegram, bot: BotState) -> None:
    bot.faults.append(Fault("migrate", "sendMessage", to="-100999"))
    with pytest.raises(Rejected) as refused:
        await channel.send(delivery("d1", "-5/77", channel="shop"), [])
    assert refused.value.moved_to == "-100999/77"


@settings(deadline=None)
@given(
    st.builds(
        Place,
        st.integers(-(10**13), 10**13).map(str),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.integers(0, 10**9),
        st.just(0),
    )
    | st.builds(
        Place, st.integers(-(10**13), 10**13).map(str), st.just(""), st.just(0), st.integers(0, 10**9)
    )
)
def test_a_place_is_its_name(place: Place) -> None:
    assert place_of(place.name) == place
    assert place_of(moved(place.name, "-7")) == place._replace(chat="-7")
    assert place_of(whole_chat(place.name)) == place._replace(topic=0, direct=0)


def test_a_message_of_a_topic_is_found_by_its_chat_alone() -> None:
    """A reaction names only the chat; message ids are the same in all its topics, and others elsewhere."""
    assert source("shop:-1001/77", "9") == source("shop:-1001", "9")
    assert source("shop:55@B", "9") != source("shop:55", "9")


def test_whose_chat_a_topic_is() -> None:
    assert whole_chat("shop:-1001/77") == whole_chat("shop:-1001/d77") == "shop:-1001"
    assert person_chat("shop:55/9") == "shop:55"
    assert person_chat("shop:-100777/d31") == "shop:-100777/d31"
    for chat in ("shop:55", "web:a/b", "mail:<x/1a>", "shop:55@b/c"):
        assert whole_chat(chat) == person_chat(chat) == chat
    assert customer_of("shop:55") == "c" + customer_of("shop:55")[1:]


def test_a_delivery_of_an_earlier_version_can_still_be_read() -> None:
    old = {"id": "1", "channel": "c", "chat": "5", "session": "1", "message": "1-1", "at": 1, "thread": "3"}
    assert decode_delivery(msgspec.msgpack.encode(old)).chat == "5"
