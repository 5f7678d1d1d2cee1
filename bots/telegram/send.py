"""Deliveries as Bot API calls, and Bot API failures as outcomes. Pure.

No ``parse_mode`` anywhere: text is text, whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

from aiogram import Bot, exceptions, methods, types
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, InputFile

from bots.base import OutFile, Rejected, SendOutcome, TryLater, Uncertain
from bots.telegram.outcomes import flood, network, no_token, refusal, unread
from bots.telegram.place import Place, place_of
from crm.kernel.records import Button, Media
from crm.kernel.text import is_visible
from router.desk.state import Delivery

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
"""UTF-16 units, as Telegram counts."""

ALBUM_LIMIT = 10
PHOTO_LIMIT = 10 * 1024 * 1024
CALLBACK_LIMIT = 64
"""Bytes of a button's data."""

FileOut = tuple[Media, OutFile]
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


def calls(delivery: Delivery, files: Sequence[FileOut]) -> list[Method]:
    """The calls that carry out a delivery, in order. Raises ``Rejected`` when there are none."""
    if delivery.action == "edit":
        return list(_edits(delivery))
    if delivery.action == "delete":
        return _deletions(place_of(delivery.chat), _external_ids(delivery))
    if any(len(button.data.encode()) > CALLBACK_LIMIT for button in delivery.buttons):
        raise Rejected(f"a button's data is longer than {CALLBACK_LIMIT} bytes")
    result = list(_sends(delivery, files))
    if not result:
        raise Rejected("there is nothing to send")
    return result


def _deletions(place: Place, ids: Sequence[str]) -> list[Method]:
    numbers = [int(one) for one in ids]
    if place.connection:
        return [methods.DeleteBusinessMessages(business_connection_id=place.connection, message_ids=numbers)]
    return [methods.DeleteMessage(chat_id=place.chat, message_id=number) for number in numbers]


def _edits(delivery: Delivery) -> Iterator[Method]:
    ids = _external_ids(delivery)
    place = place_of(delivery.chat)
    parts = split_text(delivery.text)
    if len(parts) > len(ids):
        raise Rejected("the new text needs more messages than the old one had")
    for one, part in zip(ids, parts, strict=False):
        yield methods.EditMessageText(
            message_id=int(one),
            text=part,
            parse_mode=None,
            reply_markup=_keyboard(delivery.buttons) if one == ids[-1] else None,
            **place.message,
        )
    if rest := ids[len(parts) :]:
        yield from _deletions(place, rest)


def _external_ids(delivery: Delivery) -> list[str]:
    ids = delivery.external_id.split()
    if not ids or not all(one.isdecimal() for one in ids):
        raise Rejected("the message was never sent, so it cannot be changed")
    return ids


def _sends(delivery: Delivery, files: Sequence[FileOut]) -> Iterator[Method]:
    common = place_of(delivery.chat).parameters
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


def _role(file: FileOut) -> str:
    """As what a file is shown: photo, video, audio, voice or document."""
    media, stored = file
    if media.mime in _PHOTOS and media.kind in ("photo", "sticker") and stored.size <= PHOTO_LIMIT:
        return "photo"
    if media.mime == "video/mp4" and media.kind == "video":
        return "video"
    if media.mime == "audio/ogg" and media.kind == "voice":
        return "voice"
    if media.mime in _AUDIO and media.kind in ("audio", "voice"):
        return "audio"
    return "document"


def _albums(files: Sequence[FileOut]) -> Iterator[list[FileOut]]:
    """Runs of files that Telegram shows together: photos with videos, documents, audio."""
    group: list[FileOut] = []
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
    file: FileOut, caption: str | None, common: dict[str, Any], keyboard: InlineKeyboardMarkup | None
) -> Method:
    role = _role(file)
    content: dict[str, Any] = {role: _Upload(file)}
    method: Method = _SINGLES[role](
        caption=caption, parse_mode=None, reply_markup=keyboard, **content, **common
    )
    return method


def _album_part(file: FileOut, caption: str | None) -> Any:
    return _PARTS[_role(file)](media=_Upload(file), caption=caption, parse_mode=None)


class _Upload(InputFile):
    """A file that aiogram reads while it sends."""

    def __init__(self, file: FileOut) -> None:
        media, self._stored = file
        super().__init__(filename=_file_name(media))

    async def read(self, bot: Bot) -> AsyncGenerator[bytes, None]:
        async for chunk in self._stored.chunks():
            yield chunk


def _file_name(media: Media) -> str:
    """A name that can break neither the form it travels in nor a path."""
    name = re.sub(r"[\x00-\x1f\x7f\"\\/:*?<>|]", "_", media.name).strip(" .")[:100]
    if name:
        return name
    subtype = media.mime.partition("/")[2]
    return f"{media.kind}.{ {'jpeg': 'jpg', 'mpeg': 'mp3'}.get(subtype, subtype) or 'bin' }"


# ------------------------------------------------------------------ failures as outcomes


class BadRequest(Rejected):
    """Telegram does not take it as it is; nothing was done."""


def already_done(method: Method, error: Exception) -> bool:
    """Whether a refused edit or deletion left things as they were wanted."""
    if not isinstance(error, exceptions.TelegramBadRequest):
        return False
    if isinstance(method, methods.DeleteMessage):
        return "message to delete not found" in error.message
    return "message is not modified" in error.message


def plainer(method: Method, refusal: str) -> Method | None:
    """The same in a form that Telegram looks at less closely, nothing where there is none: what it does
    not take as a picture or a sound is a document, and a text under a file is its caption."""
    if isinstance(method, methods.EditMessageText) and "no text in the message" in refusal:
        fields = method.model_dump(include={"business_connection_id", "chat_id", "message_id"})
        return methods.EditMessageCaption(
            caption=method.text, parse_mode=None, reply_markup=method.reply_markup, **fields
        )
    if isinstance(method, methods.SendMediaGroup):
        media = [_as_document(part) for part in method.media]
        return None if media == method.media else method.model_copy(update={"media": media})
    role = next((role for role, single in _SINGLES.items() if type(method) is single), "document")
    if role == "document":
        return None
    shared = methods.SendDocument.model_fields.keys() & type(method).model_fields.keys()
    fields = {name: getattr(method, name) for name in shared}
    return methods.SendDocument(document=getattr(method, role), **fields)


def _as_document(part: Any) -> Any:
    if isinstance(part, types.InputMediaDocument):
        return part
    return types.InputMediaDocument(media=part.media, caption=part.caption, parse_mode=None)


SendVerdict = Callable[[Any], SendOutcome]

VERDICTS: dict[type[Exception], SendVerdict] = {
    exceptions.TelegramRetryAfter: lambda e: flood(e.retry_after),
    exceptions.TelegramMigrateToChat: lambda e: Rejected(
        "the group has another id now", moved_to=str(e.migrate_to_chat_id)
    ),
    exceptions.TelegramForbiddenError: lambda e: Rejected(e.message, blocked=True),
    exceptions.TelegramUnauthorizedError: lambda e: no_token(),
    exceptions.TelegramNotFound: lambda e: no_token(),
    exceptions.TelegramConflictError: lambda e: TryLater(3.0, "another program uses this token"),
    exceptions.TelegramBadRequest: lambda e: BadRequest(e.message),
    exceptions.TelegramEntityTooLarge: lambda e: Rejected("it is too large for Telegram"),
    exceptions.RestartingTelegram: lambda e: TryLater(5.0, "Telegram restarts"),
    exceptions.TelegramServerError: lambda e: Uncertain(f"server error: {e.message}"),
    exceptions.TelegramNetworkError: lambda e: network(e.__cause__),
    exceptions.TelegramAPIError: lambda e: refusal(400, e.message),
    exceptions.ClientDecodeError: lambda e: unread(e.data),
    # Raised before anything leaves.
    exceptions.UnsupportedKeywordArgument: lambda e: Rejected("the call cannot be made"),
}
"""What each exception of aiogram's means, by its very class: its parents say how it is raised, and not
whether anything was delivered. Others are unknown."""


def outcome(error: Exception) -> SendOutcome:
    """What a failed call means. The reasons hold Telegram's own words and never an address: an
    address holds the token."""
    verdict = VERDICTS.get(type(error))
    if verdict is None:
        return Uncertain(f"no readable answer: {type(error).__name__}")
    return verdict(error)
