"""Deliveries as Bot API calls, and Bot API failures as outcomes. Pure.

No ``parse_mode`` anywhere: text is text, whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from aiogram import exceptions, methods, types
from aiogram.types import BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup
from aiohttp import ClientConnectorError, ConnectionTimeoutError

from bots.base import Rejected, SendOutcome, TryLater, Uncertain
from crm.records import Button, Media
from crm.text import is_visible
from router.state import Delivery

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
"""UTF-16 units, as Telegram counts."""

ALBUM_LIMIT = 10
PHOTO_LIMIT = 10 * 1024 * 1024
CALLBACK_LIMIT = 64
"""Bytes of a button's data."""

File = tuple[Media, bytes]
Method = methods.TelegramMethod[Any]

_PHOTOS = frozenset({"image/jpeg", "image/png", "image/webp"})
_AUDIO = frozenset({"audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/mp3"})


# ------------------------------------------------------------------ texts


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text) + sum(ord(c) > 0xFFFF for c in text)


def split_text(text: str, limit: int = TEXT_LIMIT) -> list[str]:
    """A text in parts of at most ``limit`` UTF-16 units, cut after a paragraph, else a line, else a
    word, else anywhere but inside a character. Only white space at the cuts is lost, and parts in which
    nothing can be seen."""
    parts = []
    rest = text.strip()
    while units(rest) > limit:
        end = _fitting(rest, limit)
        # A cut in the first half of a part would waste a message on little text.
        cut = max(
            (rest.rfind(mark, end // 2, end + 1) for mark in ("\n\n", "\n", " ")),
            key=lambda found: found > 0,
        )
        cut = cut if cut > 0 else _whole_character(rest, end)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [part for part in (*parts, rest) if is_visible(part)]


def _fitting(text: str, limit: int) -> int:
    """How many characters of a text fit into ``limit`` units."""
    if text.isascii():
        return limit
    used = 0
    for index, char in enumerate(text):
        used += 2 if ord(char) > 0xFFFF else 1
        if used > limit:
            return index
    return len(text)


_JOINING = re.compile(r"[\u0300-\u036f\u200d\ufe0f\U0001f3fb-\U0001f3ff]")


def _whole_character(text: str, end: int) -> int:
    """The cut moved before a character with its accents, skin tone or joined emoji, where it has
    a beginning within reach."""
    cut = end
    while cut > end - 16 and (_JOINING.match(text[cut]) or text[cut - 1] == "\u200d"):
        cut -= 1
    return cut if cut > max(0, end - 16) else end


# ------------------------------------------------------------------ deliveries as calls


def calls(delivery: Delivery, files: Sequence[File]) -> list[Method]:
    """The calls that carry out a delivery, in order. Raises ``Rejected`` when there are none."""
    if delivery.action == "edit":
        return list(_edits(delivery))
    if delivery.action == "delete":
        return [
            methods.DeleteMessage(chat_id=delivery.chat, message_id=int(one))
            for one in _external_ids(delivery)
        ]
    if any(len(button.data.encode()) > CALLBACK_LIMIT for button in delivery.buttons):
        raise Rejected(f"a button's data is longer than {CALLBACK_LIMIT} bytes")
    result = list(_sends(delivery, files))
    if not result:
        raise Rejected("there is nothing to send")
    return result


def _edits(delivery: Delivery) -> Iterator[Method]:
    ids = _external_ids(delivery)
    if delivery.media:
        yield methods.EditMessageCaption(
            chat_id=delivery.chat, message_id=int(ids[0]), caption=delivery.text, parse_mode=None
        )
        return
    parts = split_text(delivery.text)
    if len(parts) > len(ids):
        raise Rejected("the new text needs more messages than the old one had")
    for one, part in zip(ids, parts, strict=False):
        yield methods.EditMessageText(
            chat_id=delivery.chat,
            message_id=int(one),
            text=part,
            parse_mode=None,
            reply_markup=_keyboard(delivery.buttons) if one == ids[-1] else None,
        )
    for one in ids[len(parts) :]:
        yield methods.DeleteMessage(chat_id=delivery.chat, message_id=int(one))


def _external_ids(delivery: Delivery) -> list[str]:
    ids = delivery.external_id.split()
    if not ids or not all(one.isdecimal() for one in ids):
        raise Rejected("the message was never sent, so it cannot be changed")
    return ids


def _sends(delivery: Delivery, files: Sequence[File]) -> Iterator[Method]:
    common: dict[str, Any] = {"chat_id": delivery.chat}
    if delivery.thread:
        common["message_thread_id"] = int(delivery.thread)
    first = _reply(delivery.reply_to)
    keyboard = _keyboard(delivery.buttons)
    text = delivery.text.strip() if is_visible(delivery.text) else ""
    captioned = len(files) > 0 and bool(text) and units(text) <= CAPTION_LIMIT
    groups = list(_albums(files))
    # An album carries no buttons: they then come with the text, which goes alone.
    if keyboard is not None and any(len(group) > 1 for group in groups):
        captioned, text = False, text or "⬆"
    for index, group in enumerate(groups):
        caption = text if captioned and index == 0 else None
        if len(group) == 1:
            last = index == len(groups) - 1 and (captioned or not text)
            yield _single(group[0], caption, common | first, keyboard if last else None)
        else:
            media = [_album_part(file, caption if n == 0 else None) for n, file in enumerate(group)]
            yield methods.SendMediaGroup(media=media, **common, **first)
        first = {}
    if text and not captioned:
        parts = split_text(text)
        for index, part in enumerate(parts):
            yield methods.SendMessage(
                text=part,
                parse_mode=None,
                reply_markup=keyboard if index == len(parts) - 1 else None,
                **common,
                **first,
            )
            first = {}


def _reply(reply_to: str) -> dict[str, Any]:
    first = reply_to.partition(" ")[0]
    if not first.isdecimal():
        return {}
    return {
        "reply_parameters": types.ReplyParameters(message_id=int(first), allow_sending_without_reply=True)
    }


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    if not buttons:
        return None
    rows = [
        [
            InlineKeyboardButton(text=button.text, url=button.url)
            if button.url
            else InlineKeyboardButton(text=button.text, callback_data=button.data or button.text[:16])
        ]
        for button in buttons
    ]
    return InlineKeyboardMarkup(inline_keyboard=rows)


def _role(file: File) -> str:
    """As what a file is shown: photo, video, audio, voice or document."""
    media, data = file
    if media.mime in _PHOTOS and media.kind in ("photo", "sticker") and len(data) <= PHOTO_LIMIT:
        return "photo"
    if media.mime == "video/mp4" and media.kind == "video":
        return "video"
    if media.mime == "audio/ogg" and media.kind == "voice":
        return "voice"
    if media.mime in _AUDIO and media.kind in ("audio", "voice"):
        return "audio"
    return "document"


def _albums(files: Sequence[File]) -> Iterator[list[File]]:
    """Runs of files that Telegram shows together: photos with videos, documents, audio."""
    group: list[File] = []
    family = ""
    for file in files:
        role = _role(file)
        mine = "visual" if role in ("photo", "video") else role
        if group and (mine != family or role == "voice" or len(group) == ALBUM_LIMIT):
            yield group
            group = []
        group.append(file)
        family = mine
    if group:
        yield group


_SINGLES: dict[str, Any] = {
    "photo": methods.SendPhoto,
    "video": methods.SendVideo,
    "audio": methods.SendAudio,
    "voice": methods.SendVoice,
    "document": methods.SendDocument,
}

_PARTS: dict[str, Any] = {
    "photo": types.InputMediaPhoto,
    "video": types.InputMediaVideo,
    "audio": types.InputMediaAudio,
    "document": types.InputMediaDocument,
}


def _single(
    file: File, caption: str | None, common: dict[str, Any], keyboard: InlineKeyboardMarkup | None
) -> Method:
    role = _role(file)
    content: dict[str, Any] = {role: _upload(file)}
    method: Method = _SINGLES[role](
        caption=caption, parse_mode=None, reply_markup=keyboard, **content, **common
    )
    return method


def _album_part(file: File, caption: str | None) -> Any:
    return _PARTS[_role(file)](media=_upload(file), caption=caption, parse_mode=None)


def _upload(file: File) -> BufferedInputFile:
    media, data = file
    return BufferedInputFile(data, filename=_file_name(media))


def _file_name(media: Media) -> str:
    """A name that can break neither the form it travels in nor a path."""
    name = re.sub(r"[\x00-\x1f\x7f\"\\/:*?<>|]", "_", media.name).strip(" .")[:100]
    if name:
        return name
    subtype = media.mime.partition("/")[2]
    return f"{media.kind}.{ {'jpeg': 'jpg', 'mpeg': 'mp3'}.get(subtype, subtype) or 'bin' }"


# ------------------------------------------------------------------ failures as outcomes


def already_done(method: Method, error: Exception) -> bool:
    """Whether a refused edit or deletion left things as they were wanted."""
    if not isinstance(error, exceptions.TelegramBadRequest):
        return False
    if isinstance(method, methods.DeleteMessage):
        return "message to delete not found" in error.message
    return "message is not modified" in error.message


def outcome(error: Exception) -> SendOutcome:
    """What a failed call means. The reasons hold Telegram's own words and never an address: an
    address holds the token."""
    match error:
        case exceptions.TelegramRetryAfter():
            return TryLater(float(error.retry_after), f"flood limit, {error.retry_after} s")
        case exceptions.TelegramMigrateToChat():
            return Rejected("the group has another id now", moved_to=str(error.migrate_to_chat_id))
        case exceptions.TelegramForbiddenError():
            return Rejected(error.message, blocked=True)
        case exceptions.TelegramUnauthorizedError() | exceptions.TelegramNotFound():
            return TryLater(60.0, "Telegram does not accept the token", whole_channel=True)
        case exceptions.RestartingTelegram():
            return TryLater(5.0, "Telegram restarts")
        case exceptions.TelegramServerError():
            return Uncertain(f"server error: {error.message}")
        case exceptions.TelegramNetworkError():
            return _network_outcome(error.__cause__)
        case exceptions.TelegramAPIError():
            return Rejected(error.message)
        case _:
            return Uncertain(f"no readable answer: {type(error).__name__}")


def _network_outcome(cause: BaseException | None) -> SendOutcome:
    if isinstance(cause, ClientConnectorError | ConnectionTimeoutError):
        return TryLater(1.0, "Telegram cannot be reached")
    if isinstance(cause, TimeoutError):
        return Uncertain("no answer in time")
    return Uncertain("the connection was cut")
