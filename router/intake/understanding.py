"""What a raw body means: the source's own reading of it, which may fail in any way and loses nothing."""

from __future__ import annotations

import hashlib
import logging

import msgspec

from router.desk.events import Author, Event, MessageReceived, decode_event, encode_event
from router.intake.fetch import jobs_for
from router.intake.source import Source

logger = logging.getLogger(__name__)

UNKNOWN_CHAT = "unparsed"
"""The chat of a body that does not even say where it was written."""


def understand(channel: Source, body: bytes) -> list[Event]:
    """The events of a raw body; never raises."""
    try:
        events = list(channel.parse(body))
        return (
            events if all(isinstance(event, Event) for event in events) else [unsupported(channel.name, body)]
        )
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a body does to the parser, it is kept
        logger.warning("channel %s: %s while parsing a body", channel.name, type(error).__name__)
        return [unsupported(channel.name, body)]


def writable(channel: Source, body: bytes) -> list[Event]:
    """The same, of a body that may hold what no log entry can: half characters, endless numbers, fields
    that are none."""
    events = understand(channel, body)
    try:
        jobs_for(events)
        for event in events:
            decode_event(encode_event(event))
    except Exception as error:  # noqa: BLE001 - whatever a channel has made of it
        logger.warning(
            "channel %s: a body holds what cannot be written: %s", channel.name, type(error).__name__
        )
        return [unsupported(channel.name, body)]
    return events


def number(channel: Source, body: bytes) -> int | None:
    """The body's place in the platform's order, None where it does not say; never raises."""
    try:
        return channel.number(body)
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a body does to the channel, it is kept
        logger.warning("channel %s: %s while numbering a body", channel.name, type(error).__name__)
        return None


def unsupported(channel: str, body: bytes) -> MessageReceived:
    """The message that stands for a body nobody understood."""
    return MessageReceived(
        channel=channel,
        chat=UNKNOWN_CHAT,
        event_id=body_event_id(channel, body),
        author=Author(),
        kind="unsupported",
        raw=body,
    )


class _Numbered(msgspec.Struct):
    update_id: int


def body_event_id(channel: str, body: bytes) -> str:
    """The deduplication key of a body that only its bytes tell apart."""
    try:
        return f"{channel}:{msgspec.json.decode(body, type=_Numbered).update_id}"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return f"{channel}:{hashlib.sha256(body).hexdigest()}"
