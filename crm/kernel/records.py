"""The records that every part of navbat shares: messages, media, customers, operator accounts.

All times are integers, milliseconds since the epoch, UTC. All structs are encoded with
``omit_defaults``: a field that is added later needs a default and old data stays readable.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal

import msgspec

from crm.kernel.access import ObjectType, Reach, Verb
from crm.kernel.settings import Setting

Direction = Literal["in", "out", "note", "whisper", "system"]
MAX_TAG = 40
"""Characters of a tag."""
MAX_TAGS = 20
"""Tags of one session."""

DeliveryStatus = Literal["", "queued", "sent", "delivered", "read", "failed", "unknown"]
Role = Literal["operator", "supervisor", "admin", "bot"]
Duty = Literal["online", "break", "offline"]
Right = Literal["join_open", "join_silent", "whisper", "take_over", "read_only"]
"""``read_only`` takes away what every operator else may: to write in the line."""

MessageKind = Literal[
    "text", "photo", "video", "document", "voice", "audio", "sticker", "location", "contact",
    "button", "system", "unsupported",
]  # fmt: skip


class Record(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of everything that is stored or sent."""


Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A number from outside: not larger than every store can keep."""


class Media(Record, kw_only=True):
    """One attachment. ``ref`` is the channel's own handle, ``key`` ours in the media store
    (empty until the file has been fetched). ``unique`` is the channel's name of the file itself, where
    its handles change. ``size`` in bytes, ``duration`` in seconds."""

    kind: MessageKind
    ref: str = ""
    unique: str = ""
    key: str = ""
    name: str = ""
    mime: str = ""
    size: Whole = 0
    width: Whole = 0
    height: Whole = 0
    duration: Whole = 0
    latitude: float = 0.0
    longitude: float = 0.0
    phone: str = ""
    error: str = ""


class Button(Record, kw_only=True):
    """A button under a message: ``data`` comes back when it is pressed (64 bytes at most on
    Telegram), ``url`` opens a page instead."""

    text: str
    data: str = ""
    url: str = ""


class Version(Record, kw_only=True):
    """What a message said before it was edited, or what a correction that failed wanted it to say (then
    ``delivery`` is ``failed`` and the customer has never seen it). ``at`` is when that text was written,
    ``edit`` the correction that brought it, if it was ours."""

    at: int
    text: str
    edit: str = ""
    delivery: DeliveryStatus = ""
    error: str = ""


class Message(Record, kw_only=True):
    """One message of a session. ``id`` is ``<session>-<seq>``: the desk gives it, so writing a
    message twice is harmless. ``external_id`` is the channel's own id; a text sent in parts has
    all of them, separated by spaces."""

    id: str
    session: str
    chat: str
    seq: int
    direction: Direction
    at: int
    author: str = ""
    kind: MessageKind = "text"
    text: str = ""
    media: list[Media] = []
    buttons: list[Button] = []
    reply_to: str = ""
    reply_text: str = ""
    album: str = ""
    external_id: str = ""
    sent_at: int = 0
    delivery: DeliveryStatus = ""
    notice: str = ""
    """Which of the line's notices this is, when the desk itself wrote it."""
    error: str = ""
    edited_at: int = 0
    told_at: int = 0
    """When the platform last told of an edit that changed nothing."""
    deleted_at: int = 0
    versions: list[Version] = []
    edit: str = ""
    """Our correction that brought the present text."""
    edit_delivery: DeliveryStatus = ""
    """How it fares on the channel: ``unknown`` – the customer may still see the version before."""
    edit_error: str = ""
    reactions: dict[str, list[str]] = {}
    raw: bytes = b""


class MessageChange(Record, kw_only=True):
    """A change to a message that is already there, named by ``id`` or by (``chat``,
    ``external_id``). Only fields that are not at their default change anything, except that
    ``reactions`` (author -> emoji) replaces that author's reactions even by an empty list."""

    at: int
    chat: str
    session: str = ""
    id: str = ""
    external_id: str = ""
    set_external_id: str = ""
    text: str | None = None
    media: list[Media] | None = None
    edited_at: int = 0
    edit: str = ""
    """Which correction of ours this is, or with ``edit_delivery`` which one has fared so."""
    edit_delivery: DeliveryStatus = ""
    deleted_at: int = 0
    delivery: DeliveryStatus = ""
    up_to: bool = False
    """``delivery`` holds for every earlier outgoing message of the chat too (a read mark)."""
    error: str = ""
    reactions: dict[str, list[str]] = {}
    media_index: int = -1
    media_file: Media | None = None


class Identity(Record, kw_only=True):
    """One way a customer can be reached. Unique: (channel, value). ``verified``: not only said by whoever
    writes, but attested by the channel (his own contact, shared by himself)."""

    channel: str
    value: str
    kind: str = "chat"
    verified: bool = False


class Customer(Record, kw_only=True):
    """A person (or company) who writes. One per chat until they are merged. This much of him the journal tells
    and the consoles see at a glance; his card in the store has more (``crm.objects.types``, ``crm.people``)."""

    id: str
    name: str = ""
    username: str = ""
    language: str = ""
    phone: str = ""
    identities: list[Identity] = []
    created_at: int = 0
    seen_at: int = 0
    can_write: bool = True


class Token(Record, kw_only=True):
    """An access token of an account: only its SHA-256 is kept."""

    id: str
    hash: str
    created_at: int = 0


class Absence(Record, kw_only=True, rename={"from_": "from"}):
    """Dates (``2026-03-05``), both inclusive, in the zone of the line that asks."""

    from_: str
    to: str
    reason: str = ""


class OperatorRules(Record, kw_only=True):
    """The settings of an operator, each declared once: what the file may say of him
    (``navbat.config.declared``), what his account keeps, and what the desk uses."""

    max_sessions: Annotated[int, Setting("sessions he may hold over all lines", least=0)] = 1000
    skills: Annotated[list[str], Setting("for the `skills` of lines")] = []
    languages: Annotated[list[str], Setting("codes, for the `language` of lines")] = []
    absences: Annotated[list[Absence], Setting("days off", "absences")] = []
    rights: Annotated[
        dict[str, list[Right]] | None,
        Setting("separate rights in all lines, or by line; absent: those of the role", "rights"),
    ] = None
    """Line (or ``*`` for all) -> rights there; None: those of the role (an operator has none of the
    separate rights, supervisors and administrators have them all)."""
    crm: Annotated[
        dict[ObjectType | Literal["*"], dict[Verb | Literal["*"], Reach]],
        Setting(
            "how far each verb reaches among the objects of the CRM, by type (`*`: all): "
            "`{deal: {delete: line}}`; what is not said is as his role has it"
        ),
    ] = {}


class Account(OperatorRules, kw_only=True):
    """An operator's login. ``lines`` are those he may work in; for an operator also those he is
    a member of, beside the ``members`` of the configuration."""

    name: str
    role: Role = "operator"
    lines: list[str] = []
    password: str = ""
    tokens: list[Token] = []
    disabled: bool = False
    created_at: int = 0


_TOPIC = re.compile(r"/(d?)[0-9]+$")


def whole_chat(chat: str) -> str:
    """The chat of which a chat is a topic (``shop:-1001/77`` of ``shop:-1001``), else the same. Topics
    share the message ids of their chat."""
    return _TOPIC.sub("", chat)


def person_chat(chat: str) -> str:
    """The chat by which whoever writes is known: topics of a chat are the same customer's, while each of
    a channel's direct messages (``/d77``) is somebody else's."""
    topic = _TOPIC.search(chat)
    return chat if topic is None or topic[1] else chat[: topic.start()]


def customer_of(chat: str) -> str:
    """The customer id of a chat (``<channel>:<external chat id>``) nobody has merged yet: the
    same for every process, so it needs no lookup."""
    return "c" + hashlib.blake2b(chat.encode(), digest_size=8).hexdigest()


MERGE_ORDER: dict[str, int] = {
    "": 0,
    "queued": 1,
    "unknown": 2,
    "failed": 2,
    "sent": 3,
    "delivered": 4,
    "read": 5,
}
"""Delivery states only go up: receipts overtake each other on every channel. A resend starts
again at ``queued`` and is the only step down."""


def apply_change(message: Message, change: MessageChange) -> None:
    """Brings ``message`` up to date with ``change``. Idempotent; the one place that knows how."""
    if change.edit_delivery:
        _correction_fared(message, change)
    elif change.text is not None and change.edited_at >= max(message.edited_at, message.told_at):
        _edit(message, change)
    message.deleted_at = message.deleted_at or change.deleted_at
    if change.delivery and (
        change.delivery == "queued" or MERGE_ORDER[change.delivery] >= MERGE_ORDER[message.delivery]
    ):
        message.delivery = change.delivery
        message.error = change.error
    message.external_id = change.set_external_id or message.external_id
    for author, emoji in change.reactions.items():
        message.reactions = {**message.reactions, author: emoji}
        if not emoji:
            message.reactions = {k: v for k, v in message.reactions.items() if v}
    if change.media_file is not None and 0 <= change.media_index < len(message.media):
        media = list(message.media)
        media[change.media_index] = _fetched(media[change.media_index], change.media_file)
        message.media = media


def _edit(message: Message, change: MessageChange) -> None:
    """Platforms tell of an edit also when nothing that is shown has changed (a link got its preview)."""
    if change.edit and change.edit in (message.edit, *(version.edit for version in message.versions)):
        return  # known, and perhaps taken back since
    media, changed = _renewed(message.media, change.media)
    if change.text is not None and (change.edit or change.text != message.text):
        message.versions = [*message.versions, _present(message)]
        message.text = change.text
        message.edit, message.edit_delivery, message.edit_error = change.edit, "", ""
        if change.edit:
            message.edit_delivery = "queued"
        changed = True
    message.media = media
    if changed:
        message.edited_at = change.edited_at or message.edited_at
    else:
        message.told_at = max(message.told_at, change.edited_at)


def _present(message: Message) -> Version:
    return Version(
        at=message.edited_at or message.at,
        text=message.text,
        edit=message.edit,
        delivery=message.edit_delivery,
        error=message.edit_error,
    )


def _correction_fared(message: Message, change: MessageChange) -> None:
    if message.edit != change.edit:
        message.versions = [
            msgspec.structs.replace(version, delivery=change.edit_delivery, error=change.error)
            if version.edit == change.edit
            else version
            for version in message.versions
        ]
    elif change.edit_delivery == "failed":
        _take_back(message, change.error)
    else:
        message.edit_delivery, message.edit_error = change.edit_delivery, change.error


def _take_back(message: Message, error: str) -> None:
    """The message says again what the customer sees; the correction that failed stays among the versions."""
    standing = [version for version in message.versions if version.delivery != "failed"]
    if not standing:
        return
    back = standing[-1]
    failed = msgspec.structs.replace(_present(message), delivery="failed", error=error)
    message.versions = [*(version for version in message.versions if version is not back), failed]
    message.text, message.edited_at = back.text, back.at if len(standing) > 1 else 0
    message.edit, message.edit_delivery, message.edit_error = back.edit, back.delivery, back.error


def edits_told(message: Message) -> int:
    """How much of a message's editing is known: of two copies the one with more is the newer."""
    decided = ("sent", "failed", "unknown")
    states = [message.edit_delivery, *(version.delivery for version in message.versions)]
    return len(message.versions) + sum(state in decided for state in states)


def _renewed(old: list[Media], new: list[Media] | None) -> tuple[list[Media], bool]:
    """The files after an edit, and whether they are others than before. A file that we have stays until
    the one that takes its place has been fetched: a handle alone shows nothing."""
    if new is None:
        return old, False
    media = []
    changed = len(old) != len(new)
    for index, one in enumerate(new):
        before = old[index] if index < len(old) else None
        if before is not None:
            changed |= not _same_file(before, one)
            if before.key and not one.key:
                one = msgspec.structs.replace(before, ref=one.ref, unique=one.unique)
        media.append(one)
    return media, changed


def _same_file(one: Media, other: Media) -> bool:
    """A handle may be another one for the same file; a place that moves is the same one."""
    if one.unique and other.unique:
        return one.unique == other.unique
    if one.kind == other.kind == "location" or (one.ref and one.ref == other.ref):
        return True
    return _described(one) == _described(other)


def _described(media: Media) -> tuple[Any, ...]:
    return (
        media.kind,
        media.name,
        media.mime,
        media.size,
        media.width,
        media.height,
        media.duration,
        media.phone,
    )


def _fetched(current: Media, fetched: Media) -> Media:
    """What a download leaves of a file: one that we have is never replaced by none."""
    if fetched.key or not current.key:
        return current if current.ref and fetched.ref and current.ref != fetched.ref else fetched
    other = _described(current) != _described(fetched)
    return msgspec.structs.replace(current, error=fetched.error) if other else current


def to_document(record: msgspec.Struct) -> dict[str, Any]:
    """A record as the plain dict that the store keeps."""
    result: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(bytes,))
    return result
