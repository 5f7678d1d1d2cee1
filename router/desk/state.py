"""What the desk remembers, and what it says: sessions, operators on duty, and the journal.

These structs are saved as they are (MessagePack, ``omit_defaults``), so a new field needs a
default. Times are milliseconds since the epoch, 0 = not set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union

import msgspec

from crm.kernel.records import (
    Button,
    Customer,
    Duty,
    Media,
    Message,
    MessageChange,
    OperatorRules,
    Right,
    Role,
)
from router.desk.values import (
    NEW_HAND,
    NEW_ROUND,
    NO_BOT,
    NO_OFFER,
    NO_WAIT,
    BotTurn,
    Hand,
    Offer,
    Round,
    SideBySide,
    Wait,
)

Part = TypeVar("Part")
FORM = 1

Status = Literal["bot", "waiting", "offered", "taken", "answered", "pending", "closing", "closed", "spam"]
HELD: frozenset[Status] = frozenset({"taken", "answered", "pending"})
"""In the hands of an operator."""

Phase = Literal["bot", "queue", "hand", "closing", "closed", "spam"]


class Saved(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of what is kept in Redis and told in the journal."""


class Session(Saved, kw_only=True):
    """One handled conversation, while it is open. ``holder`` is whom it is offered to or who took
    it; in mode ``all`` it is nobody until taken and the offer's ``seen_by`` lists who sees it."""

    id: str
    chat: str
    channel: str
    kind: str
    line: str
    customer: str
    name: str = ""
    username: str = ""
    status: Status = "waiting"
    holder: str = ""
    priority: int = 0
    opened_at: int = 0
    first_answer_at: int = 0
    closed_at: int = 0
    closed_by: str = ""
    result: str = ""
    seq: int = 0
    rev: int = 0
    """Grows with every change: of two copies the larger one is the newer."""
    read_seq: int = 0
    unread: int = 0
    waiting_since: int = 0
    """The first customer message since the operator's last word; 0 when nobody waits."""
    last_at: int = 0
    last_text: str = ""
    last_direction: str = ""
    last_kind: str = ""
    asked_text: str = ""
    """The customer's last words, and of which kind they were, when something of ours came after them."""
    asked_kind: str = ""
    last_external_in: str = ""
    """The customer's newest message on the channel: quotes and read marks name it."""
    language: str = ""
    outgoing: bool = False
    notified: bool = False
    """The waiting notice has been sent."""
    can_write: bool = True
    hand: Hand = NEW_HAND
    offer: Offer = NO_OFFER
    guests: list[str] = []
    wait: Wait = NO_WAIT
    round: Round = NEW_ROUND
    renewed: bool = False
    """An offer of it has been renewed once: the supervisors were told."""
    resending: list[str] = []
    """Messages that somebody sends once more and whose outcome is not known yet."""
    vip: bool = False
    responsible: str = ""
    last_operator: str = ""
    """Who handled the customer's session before this one."""
    asked: int = 0
    """How far it was routed first to those who know the customer: 1 = the responsible, 2 = also the
    last operator were asked, or cannot be. Nobody is asked twice."""
    priority_set: bool = False
    """An operator or a flow set the priority: the line's does not matter any more."""
    bot_turn: BotTurn = NO_BOT
    off_hours_told: bool = False
    last_author: str = ""
    """The operator of the last human message: a rating is his."""
    silent: list[str] = []
    """Who reads along without a trace."""
    tags: list[str] = []
    """Words by which it is found again, in the order they were put on."""
    rating: int = 0
    rating_asked: bool = False
    sla: dict[str, int] = {}
    """Running clocks: name -> when it is breached (ms)."""
    timers: dict[str, tuple[int, int]] = {}
    """Kind of timer -> (due, order in which it was armed)."""
    form: int = 0
    """How it is written: ``FORM``, or 0 by a version to which the fields of its values were fields of its own."""


class OperatorState(Saved, OperatorRules, kw_only=True):
    """What the desk knows of one operator."""

    name: str
    role: Role = "operator"
    lines: list[str] = []
    disabled: bool = False
    duty: Duty = "offline"
    duty_since: int = 0
    duty_reason: str = ""
    here: bool = False
    """One of his consoles answers."""
    given_at: int = 0
    """A growing stamp of the last session the queue gave him; 0 = never."""
    missed: int = 0
    """Offers missed in a row."""
    load: int = 0
    """Sessions that count against his capacity, over all lines."""
    rev: int = 0


class Delivery(Saved, kw_only=True):
    """Something to do on a channel, in order within its chat. ``id`` is unique for each attempt
    that a person asked for; ``action``: send | edit | delete."""

    id: str
    channel: str
    chat: str
    session: str
    message: str
    at: int
    action: str = "send"
    text: str = ""
    media: list[Media] = []
    buttons: list[Button] = []
    reply_to: str = ""
    external_id: str = ""


class Known(msgspec.Struct):
    """What the store knows of who is writing in a chat."""

    customer: str
    name: str = ""
    language: str = ""
    responsible: str = ""
    vip: bool = False
    last_operator: str = ""


def acquaintance(session: Session) -> Known:
    """Who writes in a session, for the next one: who held this one has handled the one before."""
    return Known(
        customer=session.customer, name=session.name, language=session.language,
        responsible=session.responsible, vip=session.vip,
        last_operator=session.holder or session.last_operator,
    )  # fmt: skip


class Refusal(Saved, kw_only=True):
    """What was answered to a command, and when that was certain: earlier attempts that come later into the
    log get the same answer. ``at`` 0: in the batch that is not committed yet."""

    at: int = 0
    code: str
    params: dict[str, str] = {}


class Aside(Saved, kw_only=True):
    """Something that could not be worked on and is in nobody's way any more. ``origin`` is where it
    came from: ``log | journal | session | operator | timer | out | fetch``; ``place`` tells
    which one there; ``kind`` what it is, as far as that can be told; ``reason`` the class and place of
    the error, never its text."""

    id: str
    origin: str
    place: str
    at: int
    reason: str
    data: bytes
    kind: str = ""
    operator: str = ""
    """Who was told that his command was not carried out."""


# ------------------------------------------------------------------ the journal


class Told(msgspec.Struct, omit_defaults=True, kw_only=True, tag=True, tag_field="t"):
    """Base of the things that happened, in the order they did."""


class MessageAdded(Told, kw_only=True):
    message: Message


class MessageChanged(Told, kw_only=True):
    change: MessageChange


class CustomerSeen(Told, kw_only=True):
    """Somebody wrote for whom a session was opened, his reachability changed, or his chat has moved:
    ``moved_from`` is where it was."""

    customer: Customer
    chat: str
    at: int
    moved_from: str = ""


class CommandDone(Told, kw_only=True):
    """The answer to a command: ``code`` is empty when it was carried out, else why it was
    refused (an entry of the catalogue) with ``params``. ``session`` is what it was about or made."""

    event_id: str
    operator: str
    code: str = ""
    params: dict[str, str] = {}
    session: str = ""
    message: str = ""
    attempt: str = ""
    """The log entry that is answered, see ``Command.attempt``."""


class Alert(Told, kw_only=True):
    """Something supervisors should know: ``name`` as in the queue rules."""

    name: str
    at: int
    line: str = ""
    session: str = ""
    operator: str = ""
    params: dict[str, str] = {}


class Audit(Told, kw_only=True):
    """An action somebody may ask about later."""

    at: int
    operator: str
    action: str
    session: str = ""
    line: str = ""
    params: dict[str, str] = {}


class Decided(Told, kw_only=True):
    """One routing decision: whom the session went to, among whom, and what dropped the others."""

    at: int
    session: str
    line: str
    why: str
    chosen: str = ""
    candidates: list[str] = []
    dropped: dict[str, str] = {}
    timers: dict[str, int] = {}
    """The session's running timers, kind -> due."""


class Stood(Told, kw_only=True):
    """Where a session stands from now on: with a ``bot`` or an operator (``hand``), whose name ``holder`` is,
    in the ``queue`` of its line, or at its end (``closing``, ``closed``, ``spam``). An offer changes nothing
    of that, until it is taken: ``offered_at`` is then since when it was offered to him. ``missed``: who let
    pass what was offered to all."""

    at: int
    session: str
    line: str
    phase: Phase
    holder: str = ""
    offered_at: int = 0
    missed: list[str] = []


class FieldsFilled(Told, kw_only=True):
    """A bot learnt something of a customer: field of the card -> value."""

    at: int
    session: str
    customer: str
    fields: dict[str, str]


class Rated(Told, kw_only=True):
    """A customer rated a session (``by`` empty), or a supervisor scored it."""

    at: int
    chat: str
    """Where the customer rated: a rating of another chat's session is not believed."""
    session: str
    score: int
    operator: str = ""
    """Whose work was rated; empty: the session's last human author, from the history."""
    line: str = ""
    by: str = ""
    comment: str = ""


class LoginsRevoked(Told, kw_only=True):
    """Gateways end these logins at once: token ids, or ``["*"]`` for all of them."""

    operator: str
    tokens: list[str]


class Strange(Told, kw_only=True):
    """In place of something told in words that this version does not know. Never written."""

    data: bytes
    reason: str
    whole: bool = False
    """It stands for the whole entry."""


class Stray(Told, kw_only=True):
    """An event that names nothing we know; kept so that nothing is dropped silently."""

    at: int
    event: bytes
    reason: str


class Erased(Told, kw_only=True):
    """A person is nobody any more: the cards ``customers``, and of ``sessions`` all that was said. What is told
    of these from now on is dropped; whoever writes from the same chat is somebody new. An empty one stands
    where something of an erased person was told."""

    at: int = 0
    erasure: str = ""
    customers: list[str] = []
    sessions: list[str] = []
    below: int = 0
    """The first number of a session that is not his."""


AnyTold = Union[
    MessageAdded, MessageChanged, CustomerSeen, CommandDone, Alert, Audit, Decided, Stood, FieldsFilled,
    Rated, LoginsRevoked, Stray, Erased,
]  # fmt: skip


class Entry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One journal entry: all that one committed batch changed. ``sessions`` and ``operators`` are
    the states after the batch; a closed session is told one last time, with its status."""

    at: int
    told: list[AnyTold] = []
    sessions: list[Session] = []
    operators: list[OperatorState] = []
    lines_changed: bool = False
    only_for: str = ""
    """Told again for this reader of the journal alone."""
    unread: list[Strange] = []
    """States of sessions in words of another version. Never written."""


class _Loose(msgspec.Struct, kw_only=True):
    """The same entry, with nothing looked into yet."""

    at: int = 0
    told: list[msgspec.Raw] = []
    sessions: list[msgspec.Raw] = []
    operators: list[msgspec.Raw] = []
    lines_changed: bool = False
    only_for: str = ""


_encoder = msgspec.msgpack.Encoder()
_entry_decoder = msgspec.msgpack.Decoder(Entry)
_loose_decoder = msgspec.msgpack.Decoder(_Loose)
_told_decoder = msgspec.msgpack.Decoder(AnyTold)
_session_decoder = msgspec.msgpack.Decoder(Session)
_operator_decoder = msgspec.msgpack.Decoder(OperatorState)
_delivery_decoder = msgspec.msgpack.Decoder(Delivery)
_values = SideBySide(Session)

encode = _encoder.encode
decode_operator = _operator_decoder.decode
decode_delivery = _delivery_decoder.decode
decode_aside = msgspec.msgpack.Decoder(Aside).decode


def decode_session(data: bytes | msgspec.Raw) -> Session:
    """A session as this version or an earlier one has written it."""
    session = _session_decoder.decode(data)
    if session.form != FORM:
        _values.lift(session, data)
        session.form = FORM
    return session


def decode_entry(data: bytes) -> Entry:
    """An entry as this version or an earlier one has written it."""
    entry = _entry_decoder.decode(data)
    if any(session.form != FORM for session in entry.sessions):
        entry.sessions = [decode_session(raw) for raw in _loose_decoder.decode(data).sessions]
    return entry


def session_of(document: Mapping[str, Any]) -> Session:
    """A session as the store keeps it."""
    session = msgspec.convert(document, Session, strict=False)
    _values.convert(session, document)
    session.form = FORM
    return session


def document_of(session: Session) -> dict[str, Any]:
    """All of its fields, so that in the store none keeps an older value."""
    document = _values.document(session)
    del document["form"]
    return document


def read_entry(data: bytes) -> Entry:
    """An entry of whatever version: what is not understood is ``Strange``, in its place. Never raises."""
    try:
        return decode_entry(data)
    except Exception:  # noqa: BLE001 - broken, or of a newer version: then part by part
        return _read_loosely(data)


def _read_loosely(data: bytes) -> Entry:
    try:
        loose = _loose_decoder.decode(data)
    except Exception as error:  # noqa: BLE001 - no entry at all
        whole: list[Any] = [Strange(data=data, reason=type(error).__name__, whole=True)]
        return Entry(at=0, told=whole)
    entry = Entry(at=loose.at, lines_changed=loose.lines_changed, only_for=loose.only_for)
    told: list[Any] = [_read(_told_decoder.decode, raw) for raw in loose.told]
    entry.told = told
    for raw in loose.sessions:
        session = _read(decode_session, raw)
        if isinstance(session, Strange):
            entry.unread.append(session)
        else:
            entry.sessions.append(session)
    operators = (_read(decode_operator, raw) for raw in loose.operators)
    entry.operators = [operator for operator in operators if not isinstance(operator, Strange)]
    return entry


def _read(decode: Callable[[msgspec.Raw], Part], raw: msgspec.Raw) -> Part | Strange:
    try:
        return decode(raw)
    except Exception as error:  # noqa: BLE001 - this part is of a newer version
        return Strange(data=bytes(raw), reason=type(error).__name__)


def may(operator: OperatorState, right: Right, line: str) -> bool:
    """Whether the operator has the right in the line."""
    if operator.rights is None:
        return right != "read_only" and leads(operator)
    return right in operator.rights.get("*", ()) or right in operator.rights.get(line, ())


def leads(operator: OperatorState) -> bool:
    """Supervisors and administrators act on what others hold."""
    return operator.role in ("supervisor", "admin")
