"""Captured updates, one of every kind, and those that break the types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.base import Secret
from bots.telegram.channel import Telegram, TelegramSettings
from router.desk.events import (
    ButtonPressed,
    ChatMoved,
    ChatReachable,
    Event,
    MessageEdited,
    MessageReceived,
    Reacted,
)
from router.intake.understanding import understand

CORPUS = Path(__file__).parents[2] / "data" / "telegram"

CHANNEL = Telegram("shop", TelegramSettings(kind="telegram", line="sales", token=Secret("42:abc")))


def events_of(name: str) -> list[Event]:
    return understand(CHANNEL, (CORPUS / f"{name}.json").read_bytes())


def message(name: str) -> MessageReceived:
    [event] = events_of(name)
    assert isinstance(event, MessageReceived)
    return event


def test_a_text_with_everything_around_it() -> None:
    event = message("text")
    assert event.event_id == "shop:871234501"
    assert (event.channel, event.chat, event.message_id, event.kind) == ("shop", "5551001", "311", "text")
    assert event.text == "Assalomu alaykum, narxi qancha? 😊"
    author = event.author
    assert (author.id, author.name, author.username, author.language) == (
        "5551001",
        "Ali Karimov",
        "ali_k",
        "uz",
    )
    assert event.sent_at == 1772442000_000
    assert event.raw == b""


@pytest.mark.parametrize(
    ("name", "kind", "text", "media"),
    [
        ("start", "text", "/start ref_77", {}),
        ("photo", "photo", "Mana shu", {"ref": "AgACAgIAAxx", "width": 1280, "mime": "image/jpeg"}),
        (
            "document",
            "document",
            "Оплатил",
            {"name": "счёт №7.pdf", "mime": "application/pdf", "size": 48213},
        ),
        ("voice", "voice", "", {"duration": 7, "mime": "audio/ogg"}),
        ("video", "video", "", {"width": 1920, "height": 1080, "duration": 12}),
        ("video_note", "video", "", {"width": 384, "height": 384, "mime": "video/mp4"}),
        ("audio", "audio", "", {"duration": 201, "name": "m.mp3"}),
        ("animation", "video", "", {"ref": "AgACAgIAAxgif", "name": "cat.mp4"}),
        ("sticker", "sticker", "👍", {"mime": "image/webp"}),
        ("sticker_animated", "sticker", "🔥", {"mime": "application/x-tgsticker"}),
        ("location", "location", "", {"latitude": 41.311081, "longitude": 69.240562}),
        ("venue", "location", "Chorsu\nTashkent", {"latitude": 41.3}),
        ("contact_other", "contact", "Olga", {"name": "Olga", "phone": "+998907654321"}),
        ("dice", "text", "🎲 4", {}),
        ("poll", "text", "📊 Qaysi biri?\n• Qizil\n• Ko'k", {}),
        ("forward_user", "text", "↪ Bek\nko'ring", {}),
        ("forward_hidden", "text", "↪ Yashirin\nko'ring", {}),
        ("forward_channel", "text", "↪ Aksiyalar\naksiya", {}),
        ("group_text", "text", "@shop_bot salom", {}),
    ],
)
def test_each_kind_of_message(name: str, kind: str, text: str, media: dict[str, Any]) -> None:
    event = message(name)
    assert (event.kind, event.text) == (kind, text)
    assert len(event.media) == bool(media)
    for field, value in media.items():
        assert getattr(event.media[0], field) == value, field
    assert event.raw == b""


def test_the_phone_is_the_author_s_only_when_the_contact_is_his_own() -> None:
    assert message("contact_own").author.phone == "+998901234567"
    assert message("contact_other").author.phone == ""


def test_an_album_is_its_messages_with_one_name() -> None:
    assert message("album_1").album == message("album_2").album == "13700000001"
    assert message("album_1").message_id != message("album_2").message_id


def test_quotes() -> None:
    assert (message("reply").reply_to, message("reply").reply_text) == ("300", "120 ming so'm")
    assert (message("reply_quote").reply_to, message("reply_quote").reply_text) == ("301", "ikkinchisi")


def test_a_forum_topic_is_a_chat_and_no_quote() -> None:
    event = message("topic")
    assert (event.chat, event.reply_to, event.reply_text) == ("-1001234567890/77", "", "")


def test_a_chat_that_writes_as_itself_is_the_author() -> None:
    assert message("anonymous_admin").author.name == "Ulgurji"


@pytest.mark.parametrize(
    ("name", "check"),
    [
        (
            "edited",
            lambda e: isinstance(e, MessageEdited) and e.edited_at == 1772442060_000 and e.media is None,
        ),
        (
            "edited_caption",
            lambda e: isinstance(e, MessageEdited) and e.text == "yangi" and len(e.media or ()) == 1,
        ),
        ("reaction", lambda e: isinstance(e, Reacted) and e.emoji == ["👍", "◆"] and e.author == "5551001"),
        ("reaction_removed", lambda e: isinstance(e, Reacted) and e.emoji == [] and e.message_id == "305"),
        ("button", lambda e: isinstance(e, ButtonPressed) and (e.data, e.text) == ("yes", "Ha")),
        ("button_old_message", lambda e: isinstance(e, ButtonPressed) and (e.data, e.text) == ("no", "no")),
        ("blocked", lambda e: isinstance(e, ChatReachable) and not e.can_write),
        ("unblocked", lambda e: isinstance(e, ChatReachable) and e.can_write),
        ("group_moved", lambda e: isinstance(e, ChatMoved) and e.new_chat == "-1001234567890"),
    ],
)
def test_what_is_no_message(name: str, check: Callable[[Any], bool]) -> None:
    [event] = events_of(name)
    assert check(event), event
    assert event.event_id.startswith("shop:8712345")


@pytest.mark.parametrize(
    "name", ["group_moved_here", "service_join", "service_pinned", "channel_post", "poll_vote", "new_kind"]
)
def test_what_concerns_no_operator_gives_no_event(name: str) -> None:
    assert events_of(name) == []


@pytest.mark.parametrize(
    ("name", "chat", "text"),
    [
        ("story", "5551001", "Ali Karimov"),
        ("new_content", "5551001", "qarang"),
        ("poison_forward_origin", "5551001", "kelajakdan"),
        ("poison_no_is_bot", "5551001", "kim bu?"),
        ("poison_scalar", "5551001", "sana noto'g'ri"),
        ("poison_reaction", "5551001", ""),
        ("poison_no_chat", "unparsed", ""),
    ],
)
def test_what_is_not_understood_is_kept_raw_with_what_can_be_read(name: str, chat: str, text: str) -> None:
    event = message(name)
    assert (event.kind, event.chat, event.text) == ("unsupported", chat, text)
    assert event.raw == (CORPUS / f"{name}.json").read_bytes()
    assert event.event_id == f"shop:{json.loads(event.raw)['update_id']}"


def test_an_edit_and_a_press_that_break_the_types_are_still_what_they_are() -> None:
    [edit] = events_of("poison_forward_origin_edited")
    assert isinstance(edit, MessageEdited)
    assert (edit.text, edit.edited_at) == ("kelajakdan, tuzatilgan", 1772442099_000)
    [press] = events_of("poison_button")
    assert isinstance(press, ButtonPressed)
    assert (press.data, press.message_id) == ("yes", "306")


def test_an_edit_of_which_no_words_can_be_read_blanks_nothing() -> None:
    update = json.loads((CORPUS / "poison_forward_origin_edited.json").read_bytes())
    del update["edited_message"]["text"]
    body = json.dumps(update).encode()
    [event] = understand(CHANNEL, body)
    assert isinstance(event, MessageReceived)
    assert (event.kind, event.message_id, event.raw) == ("unsupported", "", body)


def test_every_file_of_the_corpus_has_a_deterministic_key() -> None:
    files = sorted(CORPUS.glob("*.json"))
    keys = []
    for file in files:
        body = file.read_bytes()
        first, second = understand(CHANNEL, body), understand(CHANNEL, body)
        assert first == second
        keys += [event.event_id for event in first]
    assert len(files) > 45
    assert len(set(keys)) == len(keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"update_id": st.integers() | JSON, "message": JSON}).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_no_body_is_refused(body: bytes) -> None:
    for event in understand(CHANNEL, body):
        assert event.event_id.startswith("shop:")


@pytest.mark.parametrize(
    "body", [b"", b"[" * 100_000, b"\xff\xfe", b'{"update_id": 1, "message": ' + b"[" * 5000]
)
def test_hostile_bodies_become_unsupported_messages(body: bytes) -> None:
    [event] = understand(CHANNEL, body)
    assert isinstance(event, MessageReceived)
    assert (event.kind, event.raw) == ("unsupported", body)
