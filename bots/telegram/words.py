"""What a message says in words and files, whatever it is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bots.telegram import updates
from crm.kernel.records import Media, MessageKind

QUOTE_LENGTH = 200
"""Characters kept of a quoted message."""

SPEAKING = frozenset({
    "text", "animation", "audio", "document", "photo", "live_photo", "sticker", "video", "video_note",
    "voice", "contact", "dice", "poll", "venue", "location", "checklist",
})  # fmt: skip
"""Content that becomes a message as it is."""

SERVICE = frozenset({
    "new_chat_members", "left_chat_member", "chat_owner_left", "chat_owner_changed", "new_chat_title",
    "new_chat_photo", "delete_chat_photo", "group_chat_created", "supergroup_chat_created",
    "channel_chat_created", "message_auto_delete_timer_changed", "migrate_to_chat_id", "migrate_from_chat_id",
    "pinned_message", "connected_website", "write_access_allowed", "proximity_alert_triggered", "boost_added",
    "chat_background_set", "checklist_tasks_done", "checklist_tasks_added", "direct_message_price_changed",
    "forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened",
    "general_forum_topic_hidden", "general_forum_topic_unhidden", "giveaway_created", "giveaway_completed",
    "managed_bot_created", "paid_message_price_changed", "poll_option_added", "poll_option_deleted",
    "suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined",
    "suggested_post_paid", "suggested_post_refunded", "video_chat_scheduled", "video_chat_started",
    "video_chat_ended", "video_chat_participants_invited", "community_chat_added", "community_chat_removed",
    "community_chat_joined",
})  # fmt: skip
"""What Telegram itself says about the chat. Everything that is in neither set becomes an unsupported
message with what can be read of it, also what is not invented yet."""


def is_there(value: object) -> bool:
    """Whether a field says anything: an empty object does, by being there."""
    return bool(value) or isinstance(value, dict)


# ------------------------------------------------------------------ words


def words_of(message: updates.Message) -> str:
    """What the message says, also where its content has no words of its own."""
    said = [forwarded(message), _content(message), linked(message.text, message.entities)]
    said += [linked(message.caption, message.caption_entities), *_links(message.reply_markup)]
    return "\n".join(part for part in said if part)


def _content(message: updates.Message) -> str:
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


def _poll(poll: updates.Poll) -> str:
    options = (f"• {linked(option.text, option.text_entities)}" for option in poll.options)
    lines = [f"📊 {linked(poll.question, poll.question_entities)}", poll.description or "", *options]
    return "\n".join(line for line in lines if line)


def _checklist(checklist: updates.Checklist) -> str:
    tasks = [
        f"{'☑' if task.completion_date else '☐'} {linked(task.text, task.text_entities)}"
        for task in checklist.tasks
    ]
    return "\n".join([linked(checklist.title, checklist.title_entities), *tasks])


def _rarely(message: updates.Message) -> str:
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


def rich(message: updates.RichMessage) -> str:
    """The words of a rich message: a line for each block, addresses behind what they are hidden under."""
    return "\n".join(line for line in map(_rich, message.blocks) if line)


READ_ALOUD = (
    "label", "summary", "text", "expression", "alternative_text", "buttons", "cells", "items", "blocks",
    "caption", "credit",
)  # fmt: skip
"""What is read of a block, a text within it or a button, in this order."""

_LINES = frozenset({"items", "blocks"})


def _rich(node: Any) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        return ("\n" if any(isinstance(part, list) for part in node) else "").join(map(_rich, node))
    if not isinstance(node, dict):
        return ""
    if "button" in node:
        return _rich(node["button"])
    read = [
        "\n".join(map(_rich, part)) if name in _LINES and isinstance(part, list) else _rich(part)
        for name in READ_ALOUD
        if (part := node.get(name))
    ]
    words, url = "\n".join(line for line in read if line), node.get("url")
    return _with_address(words, url) if isinstance(url, str) else words


def linked(text: str | None, entities: Iterable[updates.Entity] | None) -> str:
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


def _links(markup: updates.Keyboard | None) -> list[str]:
    """Addresses under the buttons that came with a message (of another bot, of a forwarded post)."""
    buttons = [button for row in markup.inline_keyboard for button in row] if markup is not None else []
    return [f"[{button.text}] {button.url}" for button in buttons if button.url]


# ------------------------------------------------------------------ quotes and names


def quoted(message: updates.Message) -> tuple[str, str]:
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


def _external(reply: updates.ExternalReply, quote: str) -> str:
    name = origin_name(reply.origin)
    chat = chat_name(reply.chat) if reply.chat is not None else ""
    source = f"↪ {name}" + (f", {chat}" if chat and chat != name else "")
    kinds = [field.replace("_", " ") for field in _CARRIED if is_there(getattr(reply, field))]
    return f"{source}: {quote or ', '.join(kinds)}" if quote or kinds else source


_CARRIED = [name for name in updates.ExternalReply.__struct_fields__ if name not in ("origin", "chat")]


def forwarded(message: updates.Message) -> str:
    """Who wrote first what was forwarded."""
    return f"↪ {origin_name(message.forward_origin)}" if message.forward_origin is not None else ""


def origin_name(origin: updates.Origin) -> str:
    """The name of a person or chat from which something was taken."""
    if isinstance(origin, updates.FromUser):
        return full_name(origin.sender_user.first_name, origin.sender_user.last_name)
    if isinstance(origin, updates.FromHidden):
        return origin.sender_user_name
    return chat_name(origin.sender_chat if isinstance(origin, updates.FromChat) else origin.chat)


def chat_name(chat: updates.Chat) -> str:
    """How a chat is called."""
    return chat.title or full_name(chat.first_name or "", chat.last_name)


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


def media_of(message: updates.Message) -> list[Media]:
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


def _photo(sizes: Sequence[updates.File]) -> Media:
    largest = max(sizes, key=lambda size: (size.width or 0) * (size.height or 0))
    return _file("photo", largest, mime="image/jpeg")


def _paid(part: updates.PaidPart) -> list[Media]:
    if part.photo:
        return [_photo(part.photo)]
    found = part.video or part.live_photo
    return [_file("video", found)] if found is not None else []


def _place_or_person(message: updates.Message) -> list[Media]:
    location = message.venue.location if message.venue is not None else message.location
    if location is not None and abs(location.latitude) <= 90 and abs(location.longitude) <= 180:
        return [Media(kind="location", latitude=location.latitude, longitude=location.longitude)]
    if message.contact is not None:
        name = full_name(message.contact.first_name, message.contact.last_name)
        return [Media(kind="contact", name=name, phone=message.contact.phone_number)]
    return []


def _file(kind: MessageKind, file: updates.File, mime: str = "") -> Media:
    return Media(
        kind=kind,
        ref=file.file_id,
        unique=file.file_unique_id,
        name=file.file_name or "",
        mime=file.mime_type or mime,
        size=whole(file.file_size),
        width=whole(file.width or file.length),
        height=whole(file.height or file.length),
        duration=whole(file.duration),
    )


def _sticker_mime(sticker: updates.Sticker) -> str:
    if sticker.is_animated:
        return "application/x-tgsticker"
    return "video/webm" if sticker.is_video else "image/webp"


def kind_of(media: Sequence[Media]) -> MessageKind:
    """The kind of a message with these files."""
    return media[0].kind if media else "text"
