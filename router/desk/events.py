"""What goes into the log. Events are past tense, commands imperative.

An event is encoded as MessagePack, tagged by its class name. ``at`` is when it was appended (ms);
``event_id`` is its deduplication key: what was seen once is never applied again. Channels use
the keys of their platform (bot and update id, group and event id, …), commands the id that the
client chose.
"""

from __future__ import annotations

from typing import Union

import msgspec

from crm.kernel.records import Absence as Absence
from crm.kernel.records import Button, DeliveryStatus, Duty, Media, MessageKind, Role
from crm.kernel.records import Right as Right
from router.desk.bots.flow import Flow
from router.desk.rules import LineRules as LineRules
from router.desk.rules import Overflow as Overflow
from router.desk.rules import Ring as Ring
from router.desk.rules import Sla as Sla


class Event(msgspec.Struct, omit_defaults=True, kw_only=True, tag=True, tag_field="t"):
    """Base of all that the log holds."""

    at: int = 0
    event_id: str = ""


# ------------------------------------------------------------------ what channels say


class Author(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Who wrote, as the channel knows him."""

    id: str = ""
    name: str = ""
    username: str = ""
    language: str = ""
    phone: str = ""


class FromChat(Event, kw_only=True):
    """Base of what happens in a chat. ``channel`` is the name in the configuration, ``chat`` the
    external chat id, which is where an answer goes; together they are the key ``<channel>:<chat>``. A
    topic of a chat is a chat of its own (``<chat>/<topic>``). What the platform tells only of the
    whole chat is meant for its topics too."""

    channel: str
    chat: str

    @property
    def key(self) -> str:
        return f"{self.channel}:{self.chat}"


class MessageReceived(FromChat, kw_only=True):
    """A customer wrote. ``raw`` is kept only for a body that we did not understand
    (``kind="unsupported"``)."""

    message_id: str = ""
    author: Author
    kind: MessageKind = "text"
    text: str = ""
    media: list[Media] = []
    reply_to: str = ""
    reply_text: str = ""
    album: str = ""
    sent_at: int = 0
    raw: bytes = b""


class MessageEdited(FromChat, kw_only=True):
    message_id: str
    text: str
    media: list[Media] | None = None
    edited_at: int = 0


class MessageDeleted(FromChat, kw_only=True):
    message_ids: list[str]


class Reacted(FromChat, kw_only=True):
    """``emoji`` is the full new list of that author's reactions; empty takes them back."""

    message_id: str
    author: str
    emoji: list[str] = []


class MessageRead(FromChat, kw_only=True):
    """The customer has read our messages up to and including ``message_id``."""

    message_id: str


class ButtonPressed(FromChat, kw_only=True):
    """A button under one of our messages was pressed; shown as a message of kind ``button``."""

    message_id: str
    author: Author
    data: str
    text: str = ""


class ChatReachable(FromChat, kw_only=True):
    """The customer blocked us or let us in again."""

    can_write: bool
    author: Author


class ChatMoved(FromChat, kw_only=True):
    """The platform gave the chat another id (a Telegram group became a supergroup)."""

    new_chat: str


class MediaStored(FromChat, kw_only=True):
    """A file of a message has been fetched (``media.key`` set) or cannot be (``media.error``)."""

    message_id: str
    index: int
    media: Media


# ------------------------------------------------------------------ what the outbox says


class Delivered(Event, kw_only=True):
    """The outcome of a delivery, or a later receipt for it. ``message`` is our message id."""

    chat: str
    session: str
    message: str
    state: DeliveryStatus
    external_id: str = ""
    error: str = ""
    edit: str = ""
    """The correction whose outcome it is (its delivery's id); empty: of the message itself."""


# ------------------------------------------------------------------ what operators do


class Command(Event, kw_only=True):
    """Base of commands. ``event_id`` is chosen by the client; ``operator`` is set by the gateway
    from the login, never by the client."""

    operator: str
    attempt: str = ""
    """Names this one of perhaps several log entries with the same ``event_id``. Chosen by the gateway, so
    that it can tell whose refusal the desk speaks of."""


class Declined(Command, kw_only=True):
    """A command that a gateway would refuse, if it were not one that may be in the log already: carried out
    then, or refused with this."""

    code: str
    params: dict[str, str] = {}


class SessionCommand(Command, kw_only=True):
    session: str


class Say(SessionCommand, kw_only=True):
    text: str = ""
    media: list[Media] = []
    buttons: list[Button] = []
    reply_to: str = ""


class Note(SessionCommand, kw_only=True):
    text: str


class Resend(SessionCommand, kw_only=True):
    """Sends a failed or unknown message once more, under the same message id. The gateway fills
    in the content from the history."""

    message: str
    text: str = ""
    media: list[Media] = []
    buttons: list[Button] = []
    reply_to: str = ""


class EditMessage(SessionCommand, kw_only=True):
    """Changes the text of our own sent message, where the channel can."""

    message: str
    external_id: str
    text: str


class Take(SessionCommand, kw_only=True):
    pass


class Skip(SessionCommand, kw_only=True):
    pass


class Return(SessionCommand, kw_only=True):
    reason: str = ""


class Transfer(SessionCommand, kw_only=True):
    """``to`` is an operator's name or ``line:<name>``."""

    to: str
    comment: str = ""


class Close(SessionCommand, kw_only=True):
    result: str = ""


class Pin(SessionCommand, kw_only=True):
    on: bool = True


class MarkRead(SessionCommand, kw_only=True):
    """The operator has seen the session up to message ``seq``."""

    seq: int


class Start(Command, kw_only=True):
    """Opens an outgoing session with a chat that we know; taken by the operator at once."""

    channel: str
    chat: str
    line: str
    customer: str = ""
    name: str = ""
    language: str = ""
    responsible: str = ""
    vip: bool = False
    last_operator: str = ""
    text: str = ""


class SetDuty(Command, kw_only=True):
    duty: Duty
    reason: str = ""


class Present(Event, kw_only=True):
    """A gateway's heartbeat: these operators' consoles answer."""

    gateway: str
    operators: list[str]


class Writing(Event, kw_only=True):
    """An operator is writing into a session that is offered to him; told every few seconds while keys come.
    ``draft``: a note or a whisper, not a reply."""

    session: str
    operator: str
    draft: bool = False


class Whisper(SessionCommand, kw_only=True):
    """A word to the colleagues in the session that can never reach the customer."""

    text: str


class TakeOver(SessionCommand, kw_only=True):
    """Takes the session from whoever has it, or from the backlog."""


class Join(SessionCommand, kw_only=True):
    """Joins openly as a participant, or silently as a reader; ``on=False`` leaves again."""

    silent: bool = False
    on: bool = True


class Snooze(SessionCommand, kw_only=True):
    """Sleeps until ``until`` (ms), or with 0 until the customer writes, which always wakes it."""

    until: int = 0


class Spam(SessionCommand, kw_only=True):
    """Closed without texts, the chat muted; ``on=False`` lets the chat be heard again."""

    on: bool = True


class SetPriority(SessionCommand, kw_only=True):
    priority: int


class Tag(SessionCommand, kw_only=True):
    """Puts words on a session by which it is found again; ``on=False`` takes them off."""

    tags: list[str]
    on: bool = True


class Score(SessionCommand, kw_only=True):
    """A supervisor's judgement of a session: 1 to 5."""

    score: int
    comment: str = ""


# ------------------------------------------------------------------ what was set aside


class PutAside(Event, kw_only=True):
    """A part beside the desk's writer has set something aside, under ``id`` and for ``reason``."""

    id: str
    origin: str
    reason: str


class TimerAgain(Event, kw_only=True):
    """A timer that was set aside is to be tried again: ``owner`` is a session, a line (``calendar``)
    or an operator (``presence``)."""

    owner: str
    timer: str


class SessionRestored(Event, kw_only=True):
    """A session whose state could not be read is to be taken up again."""

    state: bytes


# ------------------------------------------------------------------ what administrators change


class LinesConfigured(Event, kw_only=True):
    """All lines, and which channel leads to which line (channel -> line) and is of which kind.
    ``flows``: the scripted bots by name."""

    lines: dict[str, LineRules]
    channels: dict[str, str]
    kinds: dict[str, str] = {}
    presence_timeout: int = 45_000
    flows: dict[str, Flow] = {}


class OperatorChanged(Event, kw_only=True):
    """An account was added or changed, or all are told again at start."""

    name: str
    role: Role = "operator"
    lines: list[str] = []
    disabled: bool = False
    max_sessions: int = 1000
    skills: list[str] = []
    languages: list[str] = []
    absences: list[Absence] = []
    rights: dict[str, list[Right]] | None = None
    """Line (or ``*`` for all) -> rights there; None: those of the role (an operator has none of the
    separate rights, supervisors and administrators have them all)."""
    revoked: list[str] = []
    """Token ids that stopped working, or ``["*"]``: every login of this operator ends now."""


class CustomerChanged(Event, kw_only=True):
    """What routing must know of a customer has changed; None leaves it as it is."""

    customer: str
    responsible: str | None = None
    vip: bool | None = None
    language: str | None = None


AnyEvent = Union[
    MessageReceived, MessageEdited, MessageDeleted, Reacted, MessageRead, ButtonPressed, ChatReachable,
    ChatMoved, MediaStored, Delivered, Say, Note, Resend, EditMessage, Take, Skip, Return, Transfer, Close,
    Pin, MarkRead, Start, SetDuty, Present, LinesConfigured, OperatorChanged, Whisper, TakeOver, Join,
    Snooze, Spam, SetPriority, Tag, Score, CustomerChanged, PutAside, TimerAgain, SessionRestored, Writing,
    Declined,
]  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyEvent)


def encode_event(event: Event) -> bytes:
    """The bytes of one log entry."""
    return _encoder.encode(event)


def decode_event(data: bytes) -> AnyEvent:
    """Raises ``msgspec.MsgspecError`` when the bytes are not an event that this version knows."""
    event: AnyEvent = _decoder.decode(data)
    return event
