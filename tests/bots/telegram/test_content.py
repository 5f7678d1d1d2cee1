"""Everything that the installed aiogram knows has a verdict here: what a later one adds fails a test
before a customer's message vanishes."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import msgspec
import pytest
from aiogram import types
from aiogram.enums import ContentType, MessageEntityType, UpdateType

from bots.base import Secret
from bots.telegram import updates
from bots.telegram.channel import ALLOWED_UPDATES, Telegram, TelegramSettings
from bots.telegram.updates import Entity
from bots.telegram.words import READ_ALOUD, SERVICE, SPEAKING, linked
from crm.kernel.text import clean
from router.desk.events import Event, MessageEdited, MessageReceived, encode_event
from router.intake.understanding import understand

CHANNEL = Telegram("shop", TelegramSettings(kind="telegram", line="sales", token=Secret("42:abc")))
USER = {"id": 5551001, "is_bot": False, "first_name": "Ali"}
CHAT = {"id": 5551001, "type": "private", "first_name": "Ali"}
FILE = {"file_id": "f1", "file_unique_id": "u1"}
PHOTO = [{**FILE, "width": 90, "height": 60}]
VIDEO = {**FILE, "width": 90, "height": 60, "duration": 2}
STICKER = {**FILE, "width": 9, "height": 9, "type": "regular", "is_animated": False, "is_video": False}
GIFT = {"id": "g", "sticker": STICKER, "star_count": 5}


def events_of(content: dict[str, Any], kind: str = "message") -> list[Event]:
    message = {"message_id": 9, "date": 1772442000, "chat": CHAT, "from": USER, **content}
    return understand(CHANNEL, json.dumps({"update_id": 77, kind: message}).encode())


def received(content: dict[str, Any]) -> MessageReceived:
    [event] = events_of(content)
    assert isinstance(event, MessageReceived)
    return event


SHOWN: dict[str, tuple[Any, str, str]] = {
    "text": ("salom", "text", "salom"),
    "animation": (VIDEO, "video", ""),
    "audio": ({**FILE, "duration": 3}, "audio", ""),
    "document": (FILE, "document", ""),
    "photo": (PHOTO, "photo", ""),
    "live_photo": (VIDEO, "video", ""),
    "sticker": ({**STICKER, "emoji": "👍"}, "sticker", "👍"),
    "video": (VIDEO, "video", ""),
    "video_note": ({**FILE, "length": 9, "duration": 2}, "video", ""),
    "voice": ({**FILE, "duration": 2}, "voice", ""),
    "contact": ({"phone_number": "+998", "first_name": "Olga"}, "contact", "Olga"),
    "dice": ({"emoji": "🎲", "value": 4}, "text", "🎲 4"),
    "venue": (
        {"location": {"latitude": 41.3, "longitude": 69.2}, "title": "Chorsu", "address": "Tashkent"},
        "location",
        "Chorsu\nTashkent",
    ),
    "location": ({"latitude": 41.3, "longitude": 69.2}, "location", ""),
    "poll": (
        {"id": "1", "question": "?", "options": [], "total_voter_count": 0, "is_closed": False,
         "is_anonymous": True, "type": "regular", "allows_multiple_answers": False, "allows_revoting": False,
         "members_only": False},
        "text", "📊 ?",
    ),
    "checklist": (
        {"title": "List", "tasks": [{"id": 1, "text": "a"}, {"id": 2, "text": "b", "completion_date": 5}]},
        "text",
        "List\n☐ a\n☑ b",
    ),
}  # fmt: skip

UNSUPPORTED: dict[str, tuple[Any, str]] = {
    "paid_media": ({"star_count": 5, "paid_media": [{"type": "photo", "photo": PHOTO}]}, ""),
    "story": ({"chat": CHAT, "id": 3}, "Ali"),
    "game": ({"title": "Chess", "description": "mate", "photo": PHOTO}, "Chess\nmate"),
    "invoice": (
        {"title": "T", "description": "D", "start_parameter": "", "currency": "UZS", "total_amount": 5},
        "T\nD",
    ),
    "successful_payment": (
        {"currency": "UZS", "total_amount": 5, "invoice_payload": "p", "telegram_payment_charge_id": "1",
         "provider_payment_charge_id": "2"}, "",
    ),
    "refunded_payment": (
        {"currency": "XTR", "total_amount": 5, "invoice_payload": "p", "telegram_payment_charge_id": "1"}, "",
    ),
    "users_shared": ({"request_id": 1, "users": [{"user_id": 5, "first_name": "Bek"}]}, "Bek"),
    "user_shared": ({"request_id": 1, "user_id": 5}, ""),
    "chat_shared": ({"request_id": 1, "chat_id": 5, "title": "Club"}, "Club"),
    "gift": ({"gift": GIFT, "text": "for you"}, "for you"),
    "gift_upgrade_sent": ({"gift": GIFT, "text": "better"}, "better"),
    "unique_gift": ({"broken": True}, ""),
    "passport_data": ({"broken": True}, ""),
    "web_app_data": ({"data": "{1}", "button_text": "Order"}, "Order\n{1}"),
    "giveaway": (
        {"chats": [], "winners_selection_date": 5, "winner_count": 1, "prize_description": "a car"}, "a car",
    ),
    "giveaway_winners": ({"broken": True}, ""),
    "rich_message": (
        {"blocks": [
            {"type": "heading", "text": "Order", "size": 1},
            {"type": "paragraph", "text": ["see ", {"type": "url", "text": "our site", "url": "https://x.uz/a"}]},
        ]},
        "Order\nsee our site (https://x.uz/a)",
    ),
}  # fmt: skip


def test_every_kind_of_content_has_a_verdict() -> None:
    known = SPEAKING | SERVICE | UNSUPPORTED.keys() | {"unknown", "any"}
    assert {kind.value for kind in ContentType} == known
    assert not SPEAKING & SERVICE
    assert SHOWN.keys() == SPEAKING


@pytest.mark.parametrize("field", SHOWN)
def test_what_is_shown(field: str) -> None:
    content, kind, text = SHOWN[field]
    event = received({field: content})
    assert (event.kind, event.text, event.raw) == (kind, text, b"")
    caption = received({field: content, "caption": "look"})
    assert caption.text.endswith("look")


@pytest.mark.parametrize("field", UNSUPPORTED)
def test_what_is_unsupported_is_there_with_its_words(field: str) -> None:
    content, text = UNSUPPORTED[field]
    event = received({field: content})
    assert (event.kind, event.text) == ("unsupported", text)
    assert json.loads(event.raw)["message"][field] == content
    assert received({field: content, "caption": "look"}).text.endswith("look")
    [edit] = events_of({field: content, "caption": "new", "edit_date": 1772442005}, "edited_message")
    assert isinstance(edit, MessageEdited)
    assert edit.text.endswith("new")


def test_paid_pictures_are_fetched() -> None:
    [media] = received({"paid_media": UNSUPPORTED["paid_media"][0]}).media
    assert (media.kind, media.ref) == ("photo", "f1")


def test_what_is_not_invented_yet_and_what_says_nothing_is_unsupported() -> None:
    assert received({"hologram": {"light": "blue"}}).kind == "unsupported"
    assert received({}).kind == "unsupported"


FIELDS = {
    "message_id", "date", "chat", "message_thread_id", "direct_messages_topic", "from_user", "sender_chat",
    "business_connection_id", "forward_origin", "is_topic_message", "reply_to_message", "external_reply", "quote",
    "reply_to_story", "edit_date", "media_group_id", "entities", "caption", "caption_entities", "reply_markup",
    "migrate_to_chat_id",
}  # fmt: skip
"""Beside its content, what we read of a message."""

WITHOUT = {
    "sender_boost_count", "sender_business_bot", "sender_tag", "guest_query_id", "is_automatic_forward",
    "reply_to_checklist_task_id", "reply_to_poll_option_id", "via_bot", "guest_bot_caller_user",
    "guest_bot_caller_chat", "has_protected_content", "is_from_offline", "is_paid_post", "author_signature",
    "paid_star_count", "link_preview_options", "suggested_post_info", "effect_id", "show_caption_above_media",
    "has_media_spoiler", "receiver_user", "ephemeral_message_id",
    # What forward_origin says better.
    "forward_date", "forward_from", "forward_from_chat", "forward_from_message_id", "forward_sender_name",
    "forward_signature",
}  # fmt: skip
"""What goes without: none of it is a customer's words."""


def test_every_field_of_a_message_has_a_verdict() -> None:
    content = {kind.value for kind in ContentType}
    assert set(types.Message.model_fields) - content == (FIELDS | WITHOUT) - content
    assert not FIELDS & WITHOUT


NOT_ASKED_FOR = {
    "channel_post", "edited_channel_post", "business_connection", "guest_message", "message_reaction_count",
    "inline_query", "chosen_inline_result", "shipping_query", "pre_checkout_query", "purchased_paid_media",
    "poll", "poll_answer", "chat_member", "chat_join_request", "chat_boost", "removed_chat_boost", "managed_bot",
    "subscription", "stopped_message_generation",
}  # fmt: skip


def test_every_kind_of_update_has_a_verdict() -> None:
    assert {kind.value for kind in UpdateType} == NOT_ASKED_FOR | set(ALLOWED_UPDATES)
    assert not NOT_ASKED_FOR & set(ALLOWED_UPDATES)


def test_every_kind_of_entity_has_a_verdict() -> None:
    """All but one say nothing that the text under them does not."""
    in_the_text = {
        "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic",
        "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre",
        "text_mention", "custom_emoji", "date_time",
    }  # fmt: skip
    assert {kind.value for kind in MessageEntityType} == in_the_text | {"text_link"}


def subclasses(of: type) -> set[str]:
    return {name for name, kind in inspect.getmembers(types, inspect.isclass) if issubclass(kind, of)}


def test_every_alternative_has_a_verdict() -> None:
    assert subclasses(types.MessageOrigin) == {
        "MessageOrigin", "MessageOriginUser", "MessageOriginHiddenUser", "MessageOriginChat",
        "MessageOriginChannel",
    }  # fmt: skip
    assert subclasses(types.ReactionType) == {
        "ReactionType", "ReactionTypeEmoji", "ReactionTypeCustomEmoji", "ReactionTypePaid",
    }  # fmt: skip
    assert subclasses(types.ChatMember) == {
        "ChatMember", "ChatMemberOwner", "ChatMemberAdministrator", "ChatMemberMember", "ChatMemberRestricted",
        "ChatMemberLeft", "ChatMemberBanned",
    }  # fmt: skip
    assert subclasses(types.PaidMedia) == {
        "PaidMedia", "PaidMediaPhoto", "PaidMediaVideo", "PaidMediaPreview", "PaidMediaLivePhoto",
    }  # fmt: skip


def rich_types() -> list[Any]:
    named = [kind for name, kind in inspect.getmembers(types, inspect.isclass) if name.startswith("Rich")]
    return [
        kind for kind in named if issubclass(kind, types.TelegramObject) and kind is not types.RichMessage
    ]


NOT_READ_ALOUD = {
    "type", "name", "language", "align", "valign", "style", "custom_emoji_id", "callback_data",
    "switch_inline_query", "switch_inline_query_current_chat", "date_time_format",
    # What the text above it says, or what it leads to.
    "anchor_name", "reference_name", "bank_card_number", "bot_command", "cashtag", "email_address", "hashtag",
    "phone_number", "username",
}  # fmt: skip


def test_every_field_of_a_rich_message_has_a_verdict() -> None:
    """Of those that are words or hold some."""
    words = {
        name
        for kind in rich_types()
        for name, field in kind.model_fields.items()
        if re.search(r"\bstr\b|Rich", str(field.annotation))
    }
    assert words == {*READ_ALOUD, "button", "url"} | NOT_READ_ALOUD
    assert not NOT_READ_ALOUD & {*READ_ALOUD, "button", "url"}


READ_AS = {
    "PaidMedia": "PaidMediaInfo", "PaidPart": "PaidMediaPhoto PaidMediaVideo PaidMediaLivePhoto", "Titled": "Game",
    "File": "Video VideoNote Document", "SharedUsers": "UsersShared", "SharedChat": "ChatShared",
    "Keyboard": "InlineKeyboardMarkup", "Button": "InlineKeyboardButton", "Entity": "MessageEntity",
    "Quote": "TextQuote", "DirectTopic": "DirectMessagesTopic", "Task": "ChecklistTask", "Gift": "GiftInfo",
    "FromUser": "MessageOriginUser", "FromHidden": "MessageOriginHiddenUser", "FromChat": "MessageOriginChat",
    "FromChannel": "MessageOriginChannel", "Deleted": "BusinessMessagesDeleted", "Emoji": "ReactionTypeEmoji",
    "CustomEmoji": "ReactionTypeCustomEmoji", "PaidEmoji": "ReactionTypePaid", "Press": "CallbackQuery",
    "Reaction": "MessageReactionUpdated", "Member": "ChatMemberRestricted", "MemberChange": "ChatMemberUpdated",
    "ExternalReply": "ExternalReplyInfo", "Sticker": "Sticker VideoNote Document",
}  # fmt: skip
"""Our name of a type: the Bot API's, where that is another."""


def fields_of(kind: Any) -> dict[str, bool]:
    """Name on the wire -> whether it is always there, as aiogram has it."""
    return {
        field.alias or name: field.is_required() or field.default is not None
        for name, field in kind.model_fields.items()
    }


@pytest.mark.parametrize(
    "ours",
    [kind for kind in vars(updates).values() if inspect.isclass(kind) and issubclass(kind, msgspec.Struct)],
)
def test_what_we_read_is_what_the_bot_api_has(ours: type[msgspec.Struct]) -> None:
    """And nothing must be there that may be absent."""
    names = READ_AS.get(ours.__name__, ours.__name__).split()
    theirs = [fields_of(getattr(types, name)) for name in names]
    for field in msgspec.structs.fields(ours):
        assert any(field.encode_name in one for one in theirs), field.name
        if field.required:
            assert all(one.get(field.encode_name) for one in theirs), field.name


def test_every_kind_of_thing_that_a_quoted_message_held_has_a_verdict() -> None:
    not_told = {"message_id", "link_preview_options", "has_media_spoiler"}
    assert set(types.ExternalReplyInfo.model_fields) == {*updates.ExternalReply.__struct_fields__} | not_told


# ------------------------------------------------------------------ hidden words


def link(offset: int, length: int, url: str = "https://x.uz/a") -> dict[str, Any]:
    return {"type": "text_link", "offset": offset, "length": length, "url": url}


@pytest.mark.parametrize(
    ("text", "entities", "shown"),
    [
        ("see here now", [link(4, 4)], "see here (https://x.uz/a) now"),
        ("😊😊 here", [link(5, 4)], "😊😊 here (https://x.uz/a)"),
        (
            "a b",
            [link(0, 1, "https://a.uz"), link(2, 1, "https://b.uz")],
            "a (https://a.uz) b (https://b.uz)",
        ),
        ("https://x.uz/a", [link(0, 14)], "https://x.uz/a"),
        ("x.uz/a", [link(0, 6)], "x.uz/a"),
        ("short", [link(2, 900)], "short (https://x.uz/a)"),
        ("short", [link(900, 9)], "short (https://x.uz/a)"),
        ("bold", [{"type": "bold", "offset": 0, "length": 4}], "bold"),
    ],
)
def test_addresses_under_words_are_shown(text: str, entities: list[Any], shown: str) -> None:
    assert received({"text": text, "entities": entities}).text == shown
    assert received({"photo": PHOTO, "caption": text, "caption_entities": entities}).text == shown
    [edit] = events_of({"text": text, "entities": entities, "edit_date": 5}, "edited_message")
    assert isinstance(edit, MessageEdited)
    assert edit.text == shown


def test_addresses_are_also_shown_where_offsets_are_nonsense() -> None:
    assert linked("", [Entity(type="text_link", offset=0, length=1, url="u")]) == ""
    assert linked("ab", [Entity(type="text_link", offset=-5, length=6, url="u")]) == "a (u)b"


def test_addresses_under_the_buttons_of_a_forwarded_post_are_shown() -> None:
    keyboard = {
        "inline_keyboard": [[{"text": "Buy", "url": "https://shop.uz"}, {"text": "x", "callback_data": "1"}]]
    }
    assert received({"text": "sale", "reply_markup": keyboard}).text == "sale\n[Buy] https://shop.uz"


ORIGIN = {
    "type": "channel",
    "date": 5,
    "chat": {"id": -100, "type": "channel", "title": "News"},
    "message_id": 4,
}


def test_a_quote_from_another_chat_says_whose_it_is() -> None:
    reply = {"origin": ORIGIN, "chat": ORIGIN["chat"], "message_id": 4}
    quote = {"text": "sale on monday", "position": 0}
    event = received({"text": "is that true?", "external_reply": reply, "quote": quote})
    assert (event.reply_to, event.reply_text) == ("", "↪ News: sale on monday")
    hidden = {"origin": {"type": "hidden_user", "date": 5, "sender_user_name": "Ali"}, "photo": PHOTO}
    assert received({"text": "this", "external_reply": hidden}).reply_text == "↪ Ali: photo"
    assert received({"text": "this", "reply_to_story": {"chat": CHAT, "id": 3}}).reply_text == "↪ Ali"


# ------------------------------------------------------------------ hostile values


HOSTILE: tuple[Any, ...] = ("a\ud800b", "\udfff", 10**30, -(10**30), 1e999, [], {}, None, True, "x" * 70_000)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:12])
@pytest.mark.parametrize("field", [*SHOWN, *UNSUPPORTED])
def test_no_value_takes_a_message_out_of_its_chat(field: str, value: Any) -> None:
    """Any leaf of the content may be anything: what comes out can be written, in the right chat."""
    content = (SHOWN | UNSUPPORTED)[field][0]
    for poisoned in _poisoned(content, value):
        for kind in ("message", "edited_message"):
            [event] = events_of({field: poisoned, "edit_date": 5}, kind)
            assert (event.chat, event.event_id) == ("5551001", "shop:77")  # type: ignore[attr-defined]
            encode_event(event)
            clean(event.text)  # type: ignore[attr-defined]


def _poisoned(content: Any, value: Any) -> list[Any]:
    if isinstance(content, dict):
        return [
            {**content, key: other} for key, inner in content.items() for other in _poisoned(inner, value)
        ]
    if isinstance(content, list):
        return [
            [*content[:n], other, *content[n + 1 :]]
            for n in range(len(content))
            for other in _poisoned(content[n], value)
        ]
    return [value]
