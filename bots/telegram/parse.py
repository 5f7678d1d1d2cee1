"""Telegram updates as events. Pure: bytes in, events out.

What concerns no operator gives no event: service messages (joins, pins, titles, calls), what the owner
of a business account writes himself, and kinds of updates that are not asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bots.telegram import updates
from bots.telegram.place import GENERAL, Place
from bots.telegram.salvage import blind, mended, salvage
from bots.telegram.words import (
    SERVICE,
    SPEAKING,
    chat_name,
    full_name,
    is_there,
    kind_of,
    media_of,
    quoted,
    words_of,
)
from router.desk.events import (
    Author,
    ButtonPressed,
    ChatMoved,
    ChatReachable,
    Event,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Reacted,
)

CUSTOM_EMOJI = "◆"
PAID_REACTION = "⭐"


_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse(channel: str, body: bytes) -> list[Event]:
    """The events of one update. Raises when it does not even say in which chat it happened."""
    try:
        return _read(channel, msgspec.json.decode(body), body)
    except _BROKEN:
        pass
    try:
        content = mended(body)
    except (ValueError, RecursionError):
        return blind(channel, body)
    try:
        events = _read(channel, content, body)
    except _BROKEN:
        return salvage(channel, content, body)
    for event in events:
        if isinstance(event, MessageReceived):
            event.raw = body
    return events


def _read(channel: str, content: Any, body: bytes) -> list[Event]:
    update = msgspec.convert(content, updates.Update)
    events = _events(channel, update, content, body)
    for event in events:
        event.event_id = f"{channel}:{update.update_id}"
    return events


def _events(channel: str, update: updates.Update, content: Mapping[str, Any], body: bytes) -> list[Event]:
    if (message := update.message or update.business_message) is not None:
        return _message(channel, message, content.get("message") or content["business_message"], body)
    if (message := update.edited_message or update.edited_business_message) is not None:
        return _edited(channel, message, content.get("edited_message") or content["edited_business_message"])
    if update.deleted_business_messages is not None:
        return [_deleted(channel, update.deleted_business_messages)]
    if update.message_reaction is not None:
        return [_reacted(channel, update.message_reaction)]
    if update.callback_query is not None:
        return _pressed(channel, update.callback_query)
    if update.my_chat_member is not None:
        return [_reachable(channel, update.my_chat_member)]
    return []


def _holds(content: Mapping[str, Any], kinds: frozenset[str]) -> bool:
    return any(is_there(content[name]) for name in content.keys() & kinds)


# ------------------------------------------------------------------ messages


def _message(channel: str, message: updates.Message, content: Mapping[str, Any], body: bytes) -> list[Event]:
    if message.migrate_to_chat_id is not None:
        return [ChatMoved(channel=channel, chat=_place(message), new_chat=str(message.migrate_to_chat_id))]
    speaks = _holds(content, SPEAKING)
    if (not speaks and _holds(content, SERVICE)) or _is_the_owner_s(message):
        return []
    text, media = words_of(message), media_of(message)
    known = speaks and bool(text or media)
    reply_to, reply_text = quoted(message)
    return [
        MessageReceived(
            channel=channel,
            chat=_place(message),
            message_id=str(message.message_id),
            author=_author(message),
            kind=kind_of(media) if known else "unsupported",
            text=text,
            media=media,
            reply_to=reply_to,
            reply_text=reply_text,
            album=message.media_group_id or "",
            sent_at=1000 * message.date,
            raw=b"" if known else body,
        )
    ]


def _edited(channel: str, message: updates.Message, content: Mapping[str, Any]) -> list[Event]:
    if (not _holds(content, SPEAKING) and _holds(content, SERVICE)) or _is_the_owner_s(message):
        return []
    return [
        MessageEdited(
            channel=channel,
            chat=_place(message),
            message_id=str(message.message_id),
            text=words_of(message),
            media=media_of(message) or None,
            edited_at=1000 * (message.edit_date or message.date),
        )
    ]


def _place(message: updates.Message) -> str:
    """Where an answer goes. Outside forums a thread is only a tree of answers."""
    topic = message.message_thread_id if message.is_topic_message else 0
    direct = message.direct_messages_topic
    return Place(
        chat=str(message.chat.id),
        connection=message.business_connection_id or "",
        topic=topic if topic and topic != GENERAL else 0,
        direct=direct.topic_id if direct is not None else 0,
    ).name


def _is_the_owner_s(message: updates.Message) -> bool:
    """Whether the owner of a business account (or a bot in his name, which we are) wrote it."""
    user = message.from_user
    return bool(message.business_connection_id) and (user is None or user.id != message.chat.id)


def _author(message: updates.Message) -> Author:
    user = message.from_user
    if user is None or message.sender_chat is not None:
        chat = message.sender_chat or message.chat
        return Author(id=str(chat.id), name=chat_name(chat), username=chat.username or "")
    author = _user(user)
    contact = message.contact
    if contact is not None and contact.user_id == user.id:
        author.phone = contact.phone_number
    return author


def _user(user: updates.User) -> Author:
    return Author(
        id=str(user.id),
        name=full_name(user.first_name, user.last_name),
        username=user.username or "",
        language=user.language_code or "",
    )


# ------------------------------------------------------------------ everything else


def _deleted(channel: str, deleted: updates.Deleted) -> Event:
    place = Place(str(deleted.chat.id), deleted.business_connection_id)
    return MessageDeleted(
        channel=channel, chat=place.name, message_ids=[str(id) for id in deleted.message_ids]
    )


def _reacted(channel: str, change: updates.Reaction) -> Event:
    who = change.user.id if change.user is not None else (change.actor_chat or change.chat).id
    return Reacted(
        channel=channel,
        chat=str(change.chat.id),
        message_id=str(change.message_id),
        author=str(who),
        emoji=[_emoji(reaction) for reaction in change.new_reaction],
    )


def _emoji(reaction: updates.Emoji | updates.CustomEmoji | updates.PaidEmoji) -> str:
    if isinstance(reaction, updates.Emoji):
        return reaction.emoji
    return CUSTOM_EMOJI if isinstance(reaction, updates.CustomEmoji) else PAID_REACTION


def _pressed(channel: str, query: updates.Press) -> list[Event]:
    message = query.message
    if message is None:
        return []
    return [
        ButtonPressed(
            channel=channel,
            chat=_place(message),
            message_id=str(message.message_id),
            author=_user(query.from_user),
            data=query.data or "",
            text=_label(query),
        )
    ]


def _label(query: updates.Press) -> str:
    """What is written on the button that was pressed."""
    markup = query.message.reply_markup if query.message is not None else None
    if markup is not None:
        for row in markup.inline_keyboard:
            for button in row:
                if button.callback_data == query.data:
                    return button.text
    return query.data or ""


def _reachable(channel: str, change: updates.MemberChange) -> Event:
    now = change.new_chat_member
    can_write = now.can_send_messages if now.status == "restricted" else now.status not in ("kicked", "left")
    return ChatReachable(
        channel=channel, chat=str(change.chat.id), can_write=can_write, author=_user(change.from_user)
    )
