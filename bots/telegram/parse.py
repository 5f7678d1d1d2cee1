"""Telegram updates as events. Pure: bytes in, events out.

What concerns no operator gives no event: service messages (joins, pins, titles, calls), what the owner
of a business account writes himself, and kinds of updates that are not asked for.
"""

from __future__ import annotations

from datetime import datetime

from aiogram import types
from aiogram.enums import ChatMemberStatus
from pydantic import ValidationError

from bots.telegram.place import GENERAL, Place
from bots.telegram.salvage import blind, mended, salvage
from bots.telegram.words import SERVICE, SPEAKING, chat_name, kind_of, media_of, quoted, whole, words_of
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


def parse(channel: str, body: bytes) -> list[Event]:
    """The events of one update. Raises when it does not even say in which chat it happened."""
    try:
        return _named(channel, types.Update.model_validate_json(body), body)
    except ValidationError:
        try:
            content, again = mended(body)
        except (ValueError, RecursionError):
            return blind(channel, body)
    try:
        events = _named(channel, types.Update.model_validate_json(again), body)
    except ValidationError:
        return salvage(channel, content, body)
    for event in events:
        if isinstance(event, MessageReceived):
            event.raw = body
    return events


def _named(channel: str, update: types.Update, body: bytes) -> list[Event]:
    events = _events(channel, update, body)
    for event in events:
        event.event_id = f"{channel}:{update.update_id}"
    return events


def _events(channel: str, update: types.Update, body: bytes) -> list[Event]:
    if (message := update.message or update.business_message) is not None:
        return _message(channel, message, body)
    if (message := update.edited_message or update.edited_business_message) is not None:
        return _edited(channel, message)
    if update.deleted_business_messages is not None:
        return [_deleted(channel, update.deleted_business_messages)]
    if update.message_reaction is not None:
        return [_reacted(channel, update.message_reaction)]
    if update.callback_query is not None:
        return _pressed(channel, update.callback_query)
    if update.my_chat_member is not None:
        return [_reachable(channel, update.my_chat_member)]
    return []


# ------------------------------------------------------------------ messages


def _message(channel: str, message: types.Message, body: bytes) -> list[Event]:
    if message.migrate_to_chat_id is not None:
        return [ChatMoved(channel=channel, chat=_place(message), new_chat=str(message.migrate_to_chat_id))]
    content = message.content_type
    if content in SERVICE or _is_the_owner_s(message):
        return []
    text, media = words_of(message), media_of(message)
    known = content in SPEAKING and bool(text or media)
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
            sent_at=_ms(message.date),
            raw=b"" if known else body,
        )
    ]


def _edited(channel: str, message: types.Message) -> list[Event]:
    if message.content_type in SERVICE or _is_the_owner_s(message):
        return []
    return [
        MessageEdited(
            channel=channel,
            chat=_place(message),
            message_id=str(message.message_id),
            text=words_of(message),
            media=media_of(message) or None,
            edited_at=whole(1000 * (message.edit_date or 0)) or _ms(message.date),
        )
    ]


def _place(message: types.Message) -> str:
    """Where an answer goes. Outside forums a thread is only a tree of answers."""
    topic = message.message_thread_id if message.is_topic_message else 0
    direct = message.direct_messages_topic
    return Place(
        chat=str(message.chat.id),
        connection=message.business_connection_id or "",
        topic=topic if topic and topic != GENERAL else 0,
        direct=direct.topic_id if direct is not None else 0,
    ).name


def _is_the_owner_s(message: types.Message) -> bool:
    """Whether the owner of a business account (or a bot in his name, which we are) wrote it."""
    user = message.from_user
    return bool(message.business_connection_id) and (user is None or user.id != message.chat.id)


def _author(message: types.Message) -> Author:
    user = message.from_user
    if user is None or message.sender_chat is not None:
        chat = message.sender_chat or message.chat
        return Author(id=str(chat.id), name=chat_name(chat), username=chat.username or "")
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


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


# ------------------------------------------------------------------ everything else


def _deleted(channel: str, deleted: types.BusinessMessagesDeleted) -> Event:
    place = Place(str(deleted.chat.id), deleted.business_connection_id)
    return MessageDeleted(
        channel=channel, chat=place.name, message_ids=[str(id) for id in deleted.message_ids]
    )


def _reacted(channel: str, change: types.MessageReactionUpdated) -> Event:
    who = change.user.id if change.user is not None else (change.actor_chat or change.chat).id
    return Reacted(
        channel=channel,
        chat=str(change.chat.id),
        message_id=str(change.message_id),
        author=str(who),
        emoji=[_emoji(reaction) for reaction in change.new_reaction],
    )


def _emoji(reaction: types.ReactionTypeUnion) -> str:
    if isinstance(reaction, types.ReactionTypeEmoji):
        return reaction.emoji
    return CUSTOM_EMOJI if isinstance(reaction, types.ReactionTypeCustomEmoji) else PAID_REACTION


def _pressed(channel: str, query: types.CallbackQuery) -> list[Event]:
    message = query.message
    if message is None:
        return []
    return [
        ButtonPressed(
            channel=channel,
            chat=_place(message) if isinstance(message, types.Message) else str(message.chat.id),
            message_id=str(message.message_id),
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
