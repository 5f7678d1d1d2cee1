"""What goes into the log. Events are past tense, commands imperative.

An event is encoded as MessagePack, tagged by its class name. ``at`` is when it was appended (ms);
``event_id`` is its deduplication key: what was seen once is never applied again. Channels use
the keys of their platform (bot and update id, group and event id, …), commands the id that the
client chose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args

import msgspec

from crm.kernel.records import Button, DeliveryStatus, Media, MessageKind, OperatorRules, Role
from router.desk.bots.flow import Flow
from router.desk.rules import LineRules
from router.wire import commands
from router.wire.frame import CommandFrame


class Event(msgspec.Struct, omit_defaults=True, kw_only=True, tag=True, tag_field="t"):
    """Base of all that the log holds."""

    at: int = 0
    event_id: str = ""


E = TypeVar("E", bound=Event)


def beside(base: type[E], name: str, own: Iterable[msgspec.structs.FieldInfo]) -> type[E]:
    """An event of that name whose fields are declared elsewhere, beside those of ``base``."""
    fields: list[tuple[str, Any, Any]] = []
    for field in own:
        made = field.default_factory is not msgspec.NODEFAULT
        default = msgspec.field(default_factory=field.default_factory) if made else field.default
        fields.append((field.name, field.type, default))
    kind: Any = msgspec.defstruct(name, fields, bases=(base,), module=__name__, kw_only=True)
    event: type[E] = kind
    return event


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
    """Base of what operators order. ``operator`` is set by the gateway from the login, never by the client."""

    operator: str
    attempt: str = ""
    """Names this one of perhaps several log entries with the same ``event_id``. Chosen by the gateway, so
    that it can tell whose refusal the desk speaks of."""


class Ordered(Command, kw_only=True):
    """An operator has given a command: ``command`` is what his client sent, and what the desk carries out.

    The entry lies flat in the log, under the command's name. What concerns the connection alone is not in it:
    one that was read from there has ``rid`` 0, and never ``again``."""

    command: CommandFrame


def ordered(operator: str, command: CommandFrame) -> Ordered:
    """What ``operator`` orders; the id that his client chose is the deduplication key, among his own."""
    return Ordered(operator=operator, event_id=f"{operator}/{command.id}", command=command)


class Declined(Command, kw_only=True):
    """A command that a gateway would refuse, if it were not one that may be in the log already: carried out
    then, or refused with this."""

    code: str
    params: dict[str, str] = {}


# What a client may not say of its command and the log holds all the same: the gateway fills it in. Each of
# these stands in the log under the name of the command that it completes.


class SayInFull(commands.Say, kw_only=True):
    """``buttons``: no person writes any, and so no client may."""

    buttons: list[Button] = []


class ResendInFull(commands.Resend, kw_only=True):
    """With the content from the history: under the same message id it is sent once more as it was."""

    text: str = ""
    media: list[Media] = []
    buttons: list[Button] = []
    reply_to: str = ""


class EditMessageInFull(commands.EditMessage, kw_only=True):
    """``external_id``: the platform's own of that message."""

    external_id: str


class StartInFull(commands.Start, kw_only=True):
    """``channel`` and ``chat`` are apart here, and whose chat it is comes from the store."""

    channel: str
    customer: str = ""
    name: str = ""
    language: str = ""
    responsible: str = ""
    vip: bool = False
    last_operator: str = ""


class SetDutyInFull(commands.SetDuty, kw_only=True):
    """``reason``: why, where it was not he himself who changed it."""

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


if TYPE_CHECKING:

    class _OperatorRulesTold(Event, OperatorRules, kw_only=True):
        """A struct has but one base with fields: the other one's are copied below."""

else:
    _OperatorRulesTold = beside(Event, "OperatorRulesTold", msgspec.structs.fields(OperatorRules))


class OperatorChanged(_OperatorRulesTold, kw_only=True):
    """An account was added or changed, or all are told again at start."""

    name: str
    role: Role = "operator"
    lines: list[str] = []
    disabled: bool = False
    revoked: list[str] = []
    """Token ids that stopped working, or ``["*"]``: every login of this operator ends now."""


class CustomerChanged(Event, kw_only=True):
    """What routing must know of a customer has changed; None leaves it as it is."""

    customer: str
    responsible: str | None = None
    vip: bool | None = None
    language: str | None = None


class ChatsClaimed(Event, kw_only=True):
    """It turned out whose chats these are: two cards were one person's, or were not after all. ``was``: the
    card whose sessions are meant too, whatever their chats; the rest is what routing must know of him."""

    customer: str
    chats: list[str]
    was: str = ""
    name: str = ""
    language: str = ""
    responsible: str = ""
    vip: bool = False
    last_operator: str = ""


class CustomerErased(Event, kw_only=True):
    """A person is being erased: the cards ``customers``, and of each chat the card that it would have. ``sessions``
    are those that the history knows. Neither a name nor a chat is said here."""

    erasure: str
    customers: list[str]
    sessions: list[str] = []


AnyEvent = Union[
    MessageReceived, MessageEdited, MessageDeleted, Reacted, MessageRead, ButtonPressed, ChatReachable,
    ChatMoved, MediaStored, Delivered, Ordered, Declined, Present, Writing, LinesConfigured, OperatorChanged,
    ChatsClaimed, CustomerChanged, CustomerErased, PutAside, TimerAgain, SessionRestored,
]  # fmt: skip

# ------------------------------------------------------------------ the bytes

IN_FULL: dict[type[CommandFrame], type[CommandFrame]] = {
    commands.Say: SayInFull,
    commands.Resend: ResendInFull,
    commands.EditMessage: EditMessageInFull,
    commands.Start: StartInFull,
    commands.SetDuty: SetDutyInFull,
}
COMMANDS = {kind.__name__: IN_FULL.get(kind, kind) for kind in commands.declared()}
"""What the desk carries out, by the name under which it stands in the log."""


def _own(kind: type[CommandFrame]) -> list[msgspec.structs.FieldInfo]:
    """The fields of a command without those that only the wire needs."""
    return [f for f in msgspec.structs.fields(kind) if f.name not in CommandFrame.__struct_fields__]


_ENTRIES = {name: beside(Command, name, _own(kind)) for name, kind in COMMANDS.items()}
"""A command as it lies in the log."""
_FLAT = {
    kind: (_ENTRIES[short.__name__], [f.name for f in _own(kind)])
    for short in commands.declared()
    for kind in (short, IN_FULL.get(short, short))
}
_WHOLE = {_ENTRIES[name]: (kind, [f.name for f in _own(kind)]) for name, kind in COMMANDS.items()}

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(
    Union[tuple({*get_args(AnyEvent), *_ENTRIES.values()} - {Ordered})]
)


def encode_event(event: Event) -> bytes:
    """The bytes of one log entry."""
    if isinstance(event, Ordered):
        entry, names = _FLAT[type(event.command)]
        event = entry(
            at=event.at, event_id=event.event_id, operator=event.operator, attempt=event.attempt,
            **{name: getattr(event.command, name) for name in names},
        )  # fmt: skip
    return _encoder.encode(event)


def decode_event(data: bytes) -> AnyEvent:
    """Raises ``msgspec.MsgspecError`` when the bytes are not an event that this version knows."""
    event: Any = _decoder.decode(data)
    if (found := _WHOLE.get(type(event))) is not None:
        kind, names = found
        command = kind(
            rid=0,
            id=event.event_id.removeprefix(f"{event.operator}/"),
            **{name: getattr(event, name) for name in names},
        )
        event = Ordered(
            at=event.at, event_id=event.event_id, operator=event.operator, attempt=event.attempt,
            command=command,
        )  # fmt: skip
    known: AnyEvent = event
    return known
