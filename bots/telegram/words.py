"""What a message says in words and files, whatever it is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiogram import types
from aiogram.enums import ContentType
from pydantic import BaseModel

from crm.kernel.records import Media, MessageKind

QUOTE_LENGTH = 200
"""Characters kept of a quoted message."""

SPEAKING = frozenset({
    ContentType.TEXT, ContentType.ANIMATION, ContentType.AUDIO, ContentType.DOCUMENT, ContentType.PHOTO,
    ContentType.LIVE_PHOTO, ContentType.STICKER, ContentType.VIDEO, ContentType.VIDEO_NOTE, ContentType.VOICE,
    ContentType.CONTACT, ContentType.DICE, ContentType.POLL, ContentType.VENUE, ContentType.LOCATION,
    ContentType.CHECKLIST,
})  # fmt: skip
"""Content that becomes a message as it is."""

SERVICE = frozenset({
    ContentType.NEW_CHAT_MEMBERS, ContentType.LEFT_CHAT_MEMBER, ContentType.CHAT_OWNER_LEFT,
    ContentType.CHAT_OWNER_CHANGED, ContentType.NEW_CHAT_TITLE, ContentType.NEW_CHAT_PHOTO,
    ContentType.DELETE_CHAT_PHOTO, ContentType.GROUP_CHAT_CREATED, ContentType.SUPERGROUP_CHAT_CREATED,
    ContentType.CHANNEL_CHAT_CREATED, ContentType.MESSAGE_AUTO_DELETE_TIMER_CHANGED,
    ContentType.MIGRATE_TO_CHAT_ID, ContentType.MIGRATE_FROM_CHAT_ID, ContentType.PINNED_MESSAGE,
    ContentType.CONNECTED_WEBSITE, ContentType.WRITE_ACCESS_ALLOWED, ContentType.PROXIMITY_ALERT_TRIGGERED,
    ContentType.BOOST_ADDED, ContentType.CHAT_BACKGROUND_SET, ContentType.CHECKLIST_TASKS_DONE,
    ContentType.CHECKLIST_TASKS_ADDED, ContentType.DIRECT_MESSAGE_PRICE_CHANGED, ContentType.FORUM_TOPIC_CREATED,
    ContentType.FORUM_TOPIC_EDITED, ContentType.FORUM_TOPIC_CLOSED, ContentType.FORUM_TOPIC_REOPENED,
    ContentType.GENERAL_FORUM_TOPIC_HIDDEN, ContentType.GENERAL_FORUM_TOPIC_UNHIDDEN,
    ContentType.GIVEAWAY_CREATED, ContentType.GIVEAWAY_COMPLETED, ContentType.MANAGED_BOT_CREATED,
    ContentType.PAID_MESSAGE_PRICE_CHANGED, ContentType.POLL_OPTION_ADDED, ContentType.POLL_OPTION_DELETED,
    ContentType.SUGGESTED_POST_APPROVED, ContentType.SUGGESTED_POST_APPROVAL_FAILED,
    ContentType.SUGGESTED_POST_DECLINED, ContentType.SUGGESTED_POST_PAID, ContentType.SUGGESTED_POST_REFUNDED,
    ContentType.VIDEO_CHAT_SCHEDULED, ContentType.VIDEO_CHAT_STARTED, ContentType.VIDEO_CHAT_ENDED,
    ContentType.VIDEO_CHAT_PARTICIPANTS_INVITED, ContentType.COMMUNITY_CHAT_ADDED,
    ContentType.COMMUNITY_CHAT_REMOVED, ContentType.COMMUNITY_CHAT_JOINED,
})  # fmt: skip
"""What Telegram itself says about the chat. Everything that is in neither set becomes an unsupported
message with what can be read of it, also what is not invented yet."""


# ------------------------------------------------------------------ words


def words_of(message: types.Message) -> str:
    """What the message says, also where its content has no words of its own."""
    said = [forwarded(message), _content(message), linked(message.text, message.entities)]
    said += [linked(message.caption, message.caption_entities), *_links(message.reply_markup)]
    return "\n".join(part for part in said if part)


def _content(message: types.Message) -> str:
    if message.sticker is not None:
        return message.sticker.emoji or ""
    if message.dice is not None:
        return f"{message.dice.emoji} {message.dice.value}"
    if message.poll is not None:
        return _poll(message.poll)
    if message.venue is not None:
        return f"{message.venue.title}\n{message.venue.address}"
    if message.contact is not None:
        return full_name(message.contact.first_name, message.contact.last_name)
    if message.checklist is not None:
        return _checklist(message.checklist)
    if message.rich_message is not None:
        return rich(message.rich_message)
    return _rarely(message)


def _poll(poll: types.Poll) -> str:
    options = (f"• {linked(option.text, option.text_entities)}" for option in poll.options)
    lines = [f"📊 {linked(poll.question, poll.question_entities)}", poll.description or "", *options]
    return "\n".join(line for line in lines if line)


def _checklist(checklist: types.Checklist) -> str:
    tasks = [
        f"{'☑' if task.completion_date else '☐'} {linked(task.text, task.text_entities)}"
        for task in checklist.tasks
    ]
    return "\n".join([linked(checklist.title, checklist.title_entities), *tasks])


def _rarely(message: types.Message) -> str:
    """The words of content that is shown as unsupported."""
    parts: list[str | None] = []
    if message.game is not None:
        parts += [message.game.title, message.game.description]
    if message.invoice is not None:
        parts += [message.invoice.title, message.invoice.description]
    if message.web_app_data is not None:
        parts += [message.web_app_data.button_text, message.web_app_data.data]
    for gift in (message.gift, message.unique_gift, message.gift_upgrade_sent):
        parts.append(linked(gift.text, gift.entities) if gift is not None else "")
    if message.giveaway is not None:
        parts.append(message.giveaway.prize_description)
    if message.story is not None:
        parts.append(chat_name(message.story.chat))
    if message.users_shared is not None:
        parts += [full_name(user.first_name or "", user.last_name) for user in message.users_shared.users]
    if message.chat_shared is not None:
        parts.append(message.chat_shared.title)
    return "\n".join(part for part in parts if part)


def rich(message: types.RichMessage) -> str:
    """The words of a rich message: a line for each block, addresses behind what they are hidden under."""
    return "\n".join(line for line in map(_rich, message.blocks) if line)


_HIDDEN = frozenset({"type", "name", "size", "language", "align", "valign", "style", "custom_emoji_id"})
"""What is not read aloud of a block."""


def _rich(node: Any) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        blocks = any(isinstance(part, types.RichBlock | types.RichBlockListItem | list) for part in node)
        return ("\n" if blocks else "").join(map(_rich, node))
    if isinstance(node, types.RichTextUrl):
        return _with_address(_rich(node.text), node.url)
    if isinstance(node, types.RichText):
        named = getattr(node, "button", None) or getattr(node, "text", None)
        return _rich(named) or getattr(node, "alternative_text", "") or getattr(node, "expression", "")
    if isinstance(node, types.RichMessageButton):
        return _with_address(_rich(node.text), node.url or "")
    if isinstance(node, BaseModel) and type(node).__name__.startswith("Rich"):
        fields = [getattr(node, name) for name in type(node).model_fields if name not in _HIDDEN]
        return "\n".join(line for line in map(_rich, fields) if line)
    return ""


def linked(text: str | None, entities: Iterable[types.MessageEntity] | None) -> str:
    """A text with the addresses that it hides under its words, behind them."""
    hidden = [
        (e.offset + e.length, e.offset, e.url) for e in entities or () if e.type == "text_link" and e.url
    ]
    if not text or not hidden:
        return text or ""
    units = [index for index, character in enumerate(text) for _ in range(1 + (ord(character) > 0xFFFF))]
    units.append(len(text))
    for end, start, url in sorted(hidden, reverse=True):
        first, last = (units[min(max(place, 0), len(units) - 1)] for place in (start, end))
        text = text[:first] + _with_address(text[first:last], url) + text[last:]
    return text


def _with_address(words: str, url: str) -> str:
    shown = words.strip().rstrip("/")
    bare = url.rstrip("/")
    return words if not url or shown in (bare, bare.partition("://")[2]) else f"{words} ({url})"


def _links(markup: types.InlineKeyboardMarkup | None) -> list[str]:
    """Addresses under the buttons that came with a message (of another bot, of a forwarded post)."""
    buttons = [button for row in markup.inline_keyboard for button in row] if markup is not None else []
    return [f"[{button.text}] {button.url}" for button in buttons if button.url]


# ------------------------------------------------------------------ quotes and names


def quoted(message: types.Message) -> tuple[str, str]:
    """(message id, its words) of what the customer answered to. What is in another chat has no id
    here, and says whose it is."""
    quote = linked(message.quote.text, message.quote.entities) if message.quote is not None else ""
    original = message.reply_to_message
    if original is not None and not (message.is_topic_message and original.forum_topic_created is not None):
        return str(original.message_id), (quote or words_of(original))[:QUOTE_LENGTH]
    if message.external_reply is not None:
        return "", _external(message.external_reply, quote)[:QUOTE_LENGTH]
    if message.reply_to_story is not None:
        return "", f"↪ {chat_name(message.reply_to_story.chat)}"[:QUOTE_LENGTH]
    # In a forum every message "answers" the topic's first one.
    return "", quote[:QUOTE_LENGTH]


def _external(reply: types.ExternalReplyInfo, quote: str) -> str:
    name = origin_name(reply.origin)
    chat = chat_name(reply.chat) if reply.chat is not None else ""
    source = f"↪ {name}" + (f", {chat}" if chat and chat != name else "")
    carried = {field: getattr(reply, field) for field in types.ExternalReplyInfo.model_fields}
    kinds = [field.replace("_", " ") for field, value in carried.items() if value and field in _CARRIED]
    return f"{source}: {quote or ', '.join(kinds)}" if quote or kinds else source


_CARRIED = frozenset(
    set(types.ExternalReplyInfo.model_fields)
    - {"origin", "chat", "message_id", "link_preview_options", "has_media_spoiler"}
)
"""What a quoted message of another chat can have held."""


def forwarded(message: types.Message) -> str:
    """Who wrote first what was forwarded."""
    return f"↪ {origin_name(message.forward_origin)}" if message.forward_origin is not None else ""


def origin_name(origin: Any) -> str:
    """The name of a person or chat from which something was taken."""
    if isinstance(origin, types.MessageOriginUser):
        return origin.sender_user.full_name
    if isinstance(origin, types.MessageOriginHiddenUser):
        return origin.sender_user_name
    if isinstance(origin, types.MessageOriginChat):
        return chat_name(origin.sender_chat)
    return chat_name(origin.chat)


def chat_name(chat: types.Chat) -> str:
    """How a chat is called."""
    return chat.full_name or chat.title or ""


def full_name(first: str, last: str | None) -> str:
    """A person's name."""
    return f"{first} {last}" if last else first


# ------------------------------------------------------------------ files


WHOLE = 2**53
"""Larger numbers are no sizes; every store can keep these."""


def whole(number: float | None) -> int:
    """A size or time from outside, bounded."""
    return min(max(int(number or 0), 0), WHOLE)


_FILES: tuple[tuple[str, MessageKind, str], ...] = (
    ("live_photo", "video", ""),
    ("animation", "video", ""),
    ("document", "document", ""),
    ("video", "video", ""),
    ("video_note", "video", "video/mp4"),
    ("voice", "voice", ""),
    ("audio", "audio", ""),
)
"""Field of a message, as what it is shown, its MIME type where the field does not say. An animation
comes with a document that is the same file."""


def media_of(message: types.Message) -> list[Media]:
    """The files, places and persons of a message."""
    for field, kind, mime in _FILES:
        if (file := getattr(message, field)) is not None:
            return [_file(kind, file, mime)]
    if message.photo:
        return [_photo(message.photo)]
    if message.sticker is not None:
        return [_file("sticker", message.sticker, _sticker_mime(message.sticker))]
    if message.paid_media is not None:
        return [one for part in message.paid_media.paid_media for one in _paid(part)]
    return _place_or_person(message)


def _photo(sizes: Sequence[types.PhotoSize]) -> Media:
    return _file("photo", max(sizes, key=lambda size: size.width * size.height), mime="image/jpeg")


def _paid(part: Any) -> list[Media]:
    if getattr(part, "photo", None):
        return [_photo(part.photo)]
    found = getattr(part, "video", None) or getattr(part, "live_photo", None)
    return [_file("video", found)] if found is not None else []


def _place_or_person(message: types.Message) -> list[Media]:
    location = message.venue.location if message.venue is not None else message.location
    if location is not None and abs(location.latitude) <= 90 and abs(location.longitude) <= 180:
        return [Media(kind="location", latitude=location.latitude, longitude=location.longitude)]
    if message.contact is not None:
        name = full_name(message.contact.first_name, message.contact.last_name)
        return [Media(kind="contact", name=name, phone=message.contact.phone_number)]
    return []


def _file(kind: MessageKind, file: Any, mime: str = "") -> Media:
    """Telegram's many kinds of files share these fields, each has only some of them."""
    side = getattr(file, "length", None)
    return Media(
        kind=kind,
        ref=file.file_id,
        unique=file.file_unique_id,
        name=getattr(file, "file_name", None) or "",
        mime=getattr(file, "mime_type", None) or mime,
        size=whole(file.file_size),
        width=whole(getattr(file, "width", None) or side),
        height=whole(getattr(file, "height", None) or side),
        duration=whole(getattr(file, "duration", None)),
    )


def _sticker_mime(sticker: types.Sticker) -> str:
    if sticker.is_animated:
        return "application/x-tgsticker"
    return "video/webm" if sticker.is_video else "image/webp"


def kind_of(media: Sequence[Media]) -> MessageKind:
    """The kind of a message with these files."""
    return media[0].kind if media else "text"
