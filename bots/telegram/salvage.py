"""What can be read from an update that breaks the types, as after every news of Telegram's. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from bots.telegram.page import chat_id, update_id
from bots.telegram.place import GENERAL, Place
from router.desk.events import Author, ButtonPressed, Event, MessageDeleted, MessageEdited, MessageReceived

Content = dict[str, Any]

NUMBER_LIMIT = 2**53
"""Larger numbers are none that any platform means."""

_HALF = re.compile("[\ud800-\udfff]")


def mended(body: bytes) -> Content:
    """The update without what no text and no store can hold (half characters, numbers without end). Raises
    ``ValueError`` or ``RecursionError`` when it is no JSON at all."""
    decoder = json.JSONDecoder(strict=False, parse_int=_integer, parse_constant=lambda word: None)
    content: Content = _mend(decoder.decode(body.decode(errors="replace")))
    return content


def _integer(digits: str) -> int:
    return int(digits) if len(digits) < 20 else NUMBER_LIMIT


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_mend(key): _mend(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mend(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, -NUMBER_LIMIT), NUMBER_LIMIT)
    return value


def blind(channel: str, body: bytes) -> list[Event]:
    """A message of which only the chat can be found, because it is no JSON or too deep. Raises where that
    may not be all of its place: nobody must be answered elsewhere."""
    chat, number = chat_id(body), update_id(body)
    if chat is None or number is None or any(word in body for word in _FURTHER):
        raise ValueError("no chat can be read")
    return [
        MessageReceived(
            event_id=f"{channel}:{number}", channel=channel, chat=str(chat), author=Author(),
            kind="unsupported", raw=body,
        )
    ]  # fmt: skip


_FURTHER = (b"message_thread_id", b"direct_messages_topic", b"business_connection_id")


def salvage(channel: str, update: Content, body: bytes) -> list[Event]:
    """One event of an update. Raises when it does not even say in which chat it happened."""
    kind, content = next((k, v) for k, v in update.items() if k != "update_id" and isinstance(v, dict))
    inner: Content = content["message"] if kind == "callback_query" else content
    common: Content = {
        "event_id": f"{channel}:{int(update['update_id'])}",
        "channel": channel,
        "chat": _place(inner),
    }
    text = _string(inner.get("text")) or _string(inner.get("caption"))
    message_id = str(_number(inner.get("message_id")) or "")
    author = _author(content.get("from") or content.get("user"))
    if kind == "callback_query":
        data = _string(content.get("data"))
        return [ButtonPressed(**common, message_id=message_id, author=author, data=data, text=data)]
    # Without words it is no edit that could be shown: what the message says now must not be blanked.
    if kind in ("edited_message", "edited_business_message") and message_id and text:
        edited_at = 1000 * _number(inner.get("edit_date"))
        return [MessageEdited(**common, message_id=message_id, text=text, edited_at=edited_at)]
    if kind == "deleted_business_messages":
        ids = content.get("message_ids") or ()
        return [MessageDeleted(**common, message_ids=[str(id) for id in ids if isinstance(id, int)])]
    return [
        MessageReceived(
            **common,
            message_id=message_id if kind in ("message", "business_message") else "",
            author=author,
            kind="unsupported",
            text=text,
            sent_at=1000 * _number(inner.get("date")),
            raw=body,
        )
    ]


def _place(inner: Content) -> str:
    topic = _number(inner.get("message_thread_id")) if inner.get("is_topic_message") is True else 0
    direct = inner.get("direct_messages_topic")
    return Place(
        chat=str(int(inner["chat"]["id"])),
        connection=_string(inner.get("business_connection_id")),
        topic=topic if topic != GENERAL else 0,
        direct=_number(direct.get("topic_id")) if isinstance(direct, dict) else 0,
    ).name


def _author(user: object) -> Author:
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


def _number(value: object) -> int:
    """A positive number in bounds, else 0."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 < value < NUMBER_LIMIT // 1000
    return value if good else 0  # type: ignore[return-value]
