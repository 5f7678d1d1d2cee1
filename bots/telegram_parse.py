"""Telegram updates as events. Pure: bytes in, events out.

What concerns no operator gives no event: channel posts, group service messages (joins, pins,
titles, calls), polls' votes, inline queries, payments, join requests, boosts, business and guest
messages (most are not even asked for).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from aiogram import types
from aiogram.enums import ChatMemberStatus, ContentType
from pydantic import ValidationError

from crm.records import Media, MessageKind
from router.events import (
    Author,
    ButtonPressed,
    ChatMoved,
    ChatReachable,
    Event,
    MessageEdited,
    MessageReceived,
    Reacted,
)

QUOTE_LENGTH = 200
"""Characters kept of a quoted message."""

CUSTOM_EMOJI = "◆"
PAID_REACTION = "⭐"

_SPEAKING = frozenset({
    ContentType.TEXT, ContentType.ANIMATION, ContentType.AUDIO, ContentType.DOCUMENT, ContentType.PHOTO,
    ContentType.STICKER, ContentType.VIDEO, ContentType.VIDEO_NOTE, ContentType.VOICE, ContentType.CONTACT,
    ContentType.DICE, ContentType.POLL, ContentType.VENUE, ContentType.LOCATION,
})  # fmt: skip
"""Content that becomes a message as it is."""

_STRANGE = frozenset({
    ContentType.UNKNOWN, ContentType.ANY, ContentType.PAID_MEDIA, ContentType.STORY, ContentType.CHECKLIST,
    ContentType.GAME, ContentType.INVOICE, ContentType.SUCCESSFUL_PAYMENT, ContentType.REFUNDED_PAYMENT,
    ContentType.GIVEAWAY, ContentType.GIFT, ContentType.UNIQUE_GIFT, ContentType.PASSPORT_DATA,
    ContentType.WEB_APP_DATA, ContentType.USERS_SHARED, ContentType.CHAT_SHARED,
})  # fmt: skip
"""Content that a customer sent and we cannot show: an unsupported message. The rest is service."""


def parse(channel: str, body: bytes) -> list[Event]:
    """The events of one update. Raises when it does not even say in which chat it happened."""
    try:
        update = types.Update.model_validate_json(body)
    except ValidationError:
        return _salvage(channel, body)
    events = _events(channel, update, body)
    for event in events:
        event.event_id = f"{channel}:{update.update_id}"
    return events


def _events(channel: str, update: types.Update, body: bytes) -> list[Event]:
    if update.message is not None:
        return _message(channel, update.message, body)
    if update.edited_message is not None:
        return _edited(channel, update.edited_message)
    if update.message_reaction is not None:
        return [_reacted(channel, update.message_reaction)]
    if update.callback_query is not None:
        return _pressed(channel, update.callback_query)
    if update.my_chat_member is not None:
        return [_reachable(channel, update.my_chat_member)]
    return []


# ------------------------------------------------------------------ messages


def _message(channel: str, message: types.Message, body: bytes) -> list[Event]:
    chat = str(message.chat.id)
    if message.migrate_to_chat_id is not None:
        return [ChatMoved(channel=channel, chat=chat, new_chat=str(message.migrate_to_chat_id))]
    content = message.content_type
    if content not in _SPEAKING and content not in _STRANGE:
        return []
    media = _media(message)
    reply_to, reply_text = _quoted(message)
    known = content in _SPEAKING
    return [
        MessageReceived(
            channel=channel,
            chat=chat,
            message_id=str(message.message_id),
            author=_author(message),
            kind=_kind(media) if known else "unsupported",
            text=_forwarded(message) + _text(message),
            media=media,
            reply_to=reply_to,
            reply_text=reply_text,
            album=message.media_group_id or "",
            thread=str(message.message_thread_id or "") if message.is_topic_message else "",
            sent_at=_ms(message.date),
            raw=b"" if known else body,
        )
    ]


def _edited(channel: str, message: types.Message) -> list[Event]:
    if message.content_type not in _SPEAKING:
        return []
    return [
        MessageEdited(
            channel=channel,
            chat=str(message.chat.id),
            message_id=str(message.message_id),
            text=_forwarded(message) + _text(message),
            media=_media(message) or None,
            edited_at=1000 * (message.edit_date or 0) or _ms(message.date),
        )
    ]


def _text(message: types.Message) -> str:
    """What the message says in words, also where its content has none of its own."""
    if message.sticker is not None:
        return message.sticker.emoji or ""
    if message.dice is not None:
        return f"{message.dice.emoji} {message.dice.value}"
    if message.poll is not None:
        return "\n".join([f"📊 {message.poll.question}", *(f"• {o.text}" for o in message.poll.options)])
    if message.venue is not None:
        return f"{message.venue.title}\n{message.venue.address}"
    if message.contact is not None:
        return _name(message.contact.first_name, message.contact.last_name)
    return message.text or message.caption or ""


def _media(message: types.Message) -> list[Media]:
    if message.photo:
        best = max(message.photo, key=lambda size: size.width * size.height)
        return [_file("photo", best, mime="image/jpeg")]
    if message.animation is not None:
        return [_file("video", message.animation)]
    if message.document is not None:
        return [_file("document", message.document)]
    if message.video is not None:
        return [_file("video", message.video)]
    if message.video_note is not None:
        return [_file("video", message.video_note, mime="video/mp4")]
    if message.voice is not None:
        return [_file("voice", message.voice)]
    if message.audio is not None:
        return [_file("audio", message.audio)]
    if message.sticker is not None:
        return [_file("sticker", message.sticker, mime=_sticker_mime(message.sticker))]
    return _place_or_person(message)


def _place_or_person(message: types.Message) -> list[Media]:
    location = message.venue.location if message.venue is not None else message.location
    if location is not None:
        return [Media(kind="location", latitude=location.latitude, longitude=location.longitude)]
    if message.contact is not None:
        name = _name(message.contact.first_name, message.contact.last_name)
        return [Media(kind="contact", name=name, phone=message.contact.phone_number)]
    return []


def _file(kind: MessageKind, file: Any, mime: str = "") -> Media:
    """Telegram's many kinds of files share these fields, each has only some of them."""
    return Media(
        kind=kind,
        ref=file.file_id,
        name=getattr(file, "file_name", None) or "",
        mime=getattr(file, "mime_type", None) or mime,
        size=file.file_size or 0,
        width=getattr(file, "width", None) or getattr(file, "length", None) or 0,
        height=getattr(file, "height", None) or getattr(file, "length", None) or 0,
        duration=getattr(file, "duration", None) or 0,
    )


def _sticker_mime(sticker: types.Sticker) -> str:
    if sticker.is_animated:
        return "application/x-tgsticker"
    return "video/webm" if sticker.is_video else "image/webp"


def _kind(media: list[Media]) -> MessageKind:
    return media[0].kind if media else "text"


def _quoted(message: types.Message) -> tuple[str, str]:
    """(message id, its words) of what the customer answered to."""
    original = message.reply_to_message
    quote = message.quote.text if message.quote is not None else ""
    if original is None:
        return "", quote[:QUOTE_LENGTH]
    if message.is_topic_message and original.forum_topic_created is not None:
        return "", quote[:QUOTE_LENGTH]  # In a forum every message "answers" the topic's first one.
    return str(original.message_id), (quote or _text(original))[:QUOTE_LENGTH]


def _forwarded(message: types.Message) -> str:
    origin = message.forward_origin
    if origin is None:
        return ""
    if isinstance(origin, types.MessageOriginUser):
        name = origin.sender_user.full_name
    elif isinstance(origin, types.MessageOriginHiddenUser):
        name = origin.sender_user_name
    else:
        chat = origin.sender_chat if isinstance(origin, types.MessageOriginChat) else origin.chat
        name = chat.full_name or chat.title or ""
    return f"↪ {name}\n"


def _author(message: types.Message) -> Author:
    user = message.from_user
    if user is None or message.sender_chat is not None:
        chat = message.sender_chat or message.chat
        return Author(id=str(chat.id), name=chat.full_name or "", username=chat.username or "")
    author = _user(user)
    contact = message.contact
    if contact is not None and contact.user_id == user.id:
        author.phone = contact.phone_number
    return author


def _user(user: types.User) -> Author:
    return Author(
        id=str(user.id),
        name=user.full_name,
        username=user.username or "",
        language=user.language_code or "",
    )


def _name(first: str, last: str | None) -> str:
    return f"{first} {last}" if last else first


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


# ------------------------------------------------------------------ everything else


def _reacted(channel: str, change: types.MessageReactionUpdated) -> Event:
    emoji = []
    for reaction in change.new_reaction:
        if isinstance(reaction, types.ReactionTypeEmoji):
            emoji.append(reaction.emoji)
        else:
            emoji.append(
                CUSTOM_EMOJI if isinstance(reaction, types.ReactionTypeCustomEmoji) else PAID_REACTION
            )
    who = change.user.id if change.user is not None else (change.actor_chat or change.chat).id
    return Reacted(
        channel=channel,
        chat=str(change.chat.id),
        message_id=str(change.message_id),
        author=str(who),
        emoji=emoji,
    )


def _pressed(channel: str, query: types.CallbackQuery) -> list[Event]:
    if query.message is None:
        return []
    return [
        ButtonPressed(
            channel=channel,
            chat=str(query.message.chat.id),
            message_id=str(query.message.message_id),
            author=_user(query.from_user),
            data=query.data or "",
            text=_label(query),
        )
    ]


def _label(query: types.CallbackQuery) -> str:
    """What is written on the button that was pressed."""
    markup = query.message.reply_markup if isinstance(query.message, types.Message) else None
    if markup is not None:
        for row in markup.inline_keyboard:
            for button in row:
                if button.callback_data == query.data:
                    return button.text
    return query.data or ""


def _reachable(channel: str, change: types.ChatMemberUpdated) -> Event:
    now = change.new_chat_member
    if now.status == ChatMemberStatus.RESTRICTED:
        can_write = bool(getattr(now, "can_send_messages", False))
    else:
        can_write = now.status not in (ChatMemberStatus.KICKED, ChatMemberStatus.LEFT)
    return ChatReachable(
        channel=channel, chat=str(change.chat.id), can_write=can_write, author=_user(change.from_user)
    )


# ------------------------------------------------------------------ what the types do not know


def _salvage(channel: str, body: bytes) -> list[Event]:
    """What can be read from an update that breaks the types, as after every news of Telegram's."""
    update = json.loads(body)
    event_id = f"{channel}:{int(update['update_id'])}"
    kind, content = next((k, v) for k, v in update.items() if k != "update_id" and isinstance(v, dict))
    inner: dict[str, Any] = content["message"] if kind == "callback_query" else content
    chat = str(int(inner["chat"]["id"]))
    text = _string(inner.get("text")) or _string(inner.get("caption"))
    message_id = str(inner.get("message_id") or "")
    author = _raw_author(content.get("from") or content.get("user"))
    if kind == "callback_query":
        data = _string(content.get("data"))
        return [
            ButtonPressed(
                event_id=event_id,
                channel=channel,
                chat=chat,
                message_id=message_id,
                author=author,
                data=data,
                text=data,
            )
        ]
    if kind == "edited_message" and message_id:
        edited_at = inner.get("edit_date")
        at = 1000 * edited_at if isinstance(edited_at, int) else 0
        return [
            MessageEdited(
                event_id=event_id, channel=channel, chat=chat, message_id=message_id, text=text, edited_at=at
            )
        ]
    return [
        MessageReceived(
            event_id=event_id,
            channel=channel,
            chat=chat,
            message_id=message_id if kind == "message" else "",
            author=author,
            kind="unsupported",
            text=text,
            sent_at=1000 * inner["date"] if isinstance(inner.get("date"), int) else 0,
            raw=body,
        )
    ]


def _raw_author(user: object) -> Author:
    if not isinstance(user, dict):
        return Author()
    name = " ".join(filter(None, (_string(user.get("first_name")), _string(user.get("last_name")))))
    return Author(
        id=str(user.get("id") or ""),
        name=name,
        username=_string(user.get("username")),
        language=_string(user.get("language_code")),
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
