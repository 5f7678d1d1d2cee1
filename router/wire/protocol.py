"""The wire between the gateway and its clients: JSON text frames over a WebSocket at ``/ws``.

Every frame is an object tagged by ``t``. The client speaks first (``Hello``); the gateway answers
``Welcome`` and ``Snapshot``, or ``Bye``. After that requests carry a number ``rid`` and get exactly
one answer with the same ``rid`` (``Done`` for commands). A command also carries ``id``, chosen by the
client: sending the same command again, after a lost connection, does it once.

``Changes`` frames keep the client's picture current. One that has an ``id`` says that everything up
to that journal id has been sent; after a reconnect the client names the last such id in
``Hello.since`` and gets what it missed, or a new ``Snapshot`` when that is gone. Applying the same
change twice is harmless: sessions carry ``rev``, messages ``id``.

Times are ms UTC. Fields at their default are left out. Unknown fields are ignored by both sides, so
fields may be added; unknown frames are ignored by the client.
"""
# Clients know this module alone:
# mypy: implicit-reexport
# ruff: noqa: F401

from __future__ import annotations

from typing import Any, Union, get_args

import msgspec

from crm.kernel.records import Customer, Duty, Message, MessageChange, Role
from router.wire.admin_frames import (
    GetLine,
    GetLineVersions,
    GetOperator,
    LineSettings,
    LineVersions,
    LineVersionView,
    OperatorSettings,
    RollbackLine,
    SetLine,
    SetOperator,
    SettingView,
)
from router.wire.commands import *  # noqa: F403 - every command, as it is declared there
from router.wire.commands import declared
from router.wire.consent_frames import (
    ErasePerson,
    ExportPerson,
    GetReceipts,
    PersonPart,
    ReceiptList,
    ReceiptView,
    RunRetention,
)
from router.wire.crm_frames import (
    AddObject,
    AttachFile,
    AuditPage,
    CrmDeclared,
    DeleteObject,
    DetachFile,
    FindTwins,
    GetAudit,
    GetCrm,
    GetObject,
    GetObjects,
    ObjectList,
    ObjectShown,
    RestoreObject,
    SetObject,
    Twins,
    TwinView,
)
from router.wire.customer_frames import (
    AnswerSuggestion,
    CustomerList,
    CustomerShown,
    DuplicateList,
    DuplicateView,
    GetCustomer,
    GetCustomers,
    GetDuplicates,
    LinkSession,
    MergeCustomers,
    SetCustomer,
    SuggestionView,
    UnmergeCustomer,
)
from router.wire.frame import CommandFrame, Frame, Number, Request, SessionCommandFrame
from router.wire.funnel_frames import (
    ConversionPlanned,
    ConvertLead,
    FunnelList,
    FunnelView,
    GetFunnels,
    LeadConverted,
    MoveObject,
    PlanConversion,
    StageView,
)
from router.wire.quarantine_frames import (
    DropSetAside,
    GetQuarantine,
    GetSetAside,
    QuarantineList,
    Retried,
    RetrySetAside,
    SetAside,
    SetAsideView,
)
from router.wire.search_frames import Find, FoundList, FoundView
from router.wire.stats_frames import (
    BehindItem,
    GetBehind,
    GetStatistics,
    Rebuilding,
    RebuildStatistics,
    SessionsBehind,
    Statistics,
    StatisticsKind,
)
from router.wire.timeline_frames import GetTimeline, Timeline
from router.wire.transfer_frames import ExportObjects, ImportRows, ObjectsExported, RowsImported, RowView
from router.wire.views import AlertView, DecisionView, LineView, OperatorView, SessionView

VERSION = 1
HEARTBEAT = 15.0
"""Seconds between a client's ``Ping`` frames; three missed ones are a lost connection."""
REMEMBERED = 86_400.0
"""Seconds after which a client no longer sends a command again by itself. The desk remembers ids for longer,
at least a week: then it could be done twice."""
MAX_FRAME = 1 << 20
"""Bytes of a client's frame at most."""
MAX_TEXT = 64_000
"""Characters of one message an operator may send; longer is refused, never cut."""
MAX_LINE = 1_000
"""The same of a reason, a result or a name."""


# ------------------------------------------------------------------ client -> gateway


class Hello(Frame, kw_only=True):
    """Login by name and password, or by token. ``presence``: this connection is a person's console,
    whose heartbeat keeps him on duty. ``since``: resume after this journal id."""

    version: int = VERSION
    name: str = ""
    password: str = ""
    token: str = ""
    client: str = ""
    presence: bool = False
    since: str = ""
    remember: bool = False
    """Asks for a token in ``Welcome``, so that the next login needs no password."""
    watch: list[str] = []
    """Sessions to be open again after a reconnect."""


class Ping(Frame, kw_only=True):
    at: Number = 0


class Open(Request, kw_only=True):
    """The client looks at a session from now on: answered by ``Page``, its changes come at once."""

    session: str
    limit: Number = 50


class Leave(Request, kw_only=True):
    """The client looks away."""

    session: str


class GetThread(Request, kw_only=True):
    """Older messages of a session: those with ``seq`` < ``before_seq`` (0 = from the end)."""

    session: str
    before_seq: Number = 0
    limit: Number = 50


class GetHistory(Request, kw_only=True):
    """A customer's messages over all sessions and channels, before (``before_at``, ``before_id``)."""

    customer: str
    before_at: Number = 0
    before_id: str = ""
    limit: Number = 50


class Search(Request, kw_only=True):
    text: str
    session: str = ""
    customer: str = ""
    limit: Number = 50


class GetSessions(Request, kw_only=True):
    """Open and closed sessions this login may see, newest first."""

    line: str = ""
    status: str = ""
    holder: str = ""
    customer: str = ""
    tag: str = ""
    """Those that carry it, however it is spelled."""
    limit: Number = 200


class GetCard(Request, kw_only=True):
    customer: str


class GetWhy(Request, kw_only=True):
    session: str


class GetStatus(Request, kw_only=True):
    pass


class Follow(Request, kw_only=True):
    """Everything that happens and that this login may see, as ``Event`` frames after ``since``
    (empty: from now on)."""

    since: str = ""


class Typing(Frame, kw_only=True):
    """The operator is writing in a session. ``draft``: a note or whisper, told to colleagues only."""

    session: str
    on: bool = True
    draft: bool = False


ClientFrame = Union[
    Hello, Ping, CommandFrame, Open, Leave, GetThread, GetHistory, Search, GetSessions, GetCard, GetWhy,
    GetStatus, Follow, Typing, GetLine, GetLineVersions, SetLine, RollbackLine, GetOperator, SetOperator,
    GetQuarantine, GetSetAside, RetrySetAside, DropSetAside, GetStatistics, GetBehind, RebuildStatistics,
    GetCrm, GetObjects, GetObject, AddObject, SetObject, DeleteObject, RestoreObject, FindTwins, AttachFile,
    DetachFile, GetAudit, GetTimeline, GetFunnels, MoveObject, PlanConversion, ConvertLead,
    ExportPerson, ErasePerson, GetReceipts, RunRetention, Find,
    GetCustomers, GetCustomer, GetDuplicates, SetCustomer, LinkSession, MergeCustomers, UnmergeCustomer,
    AnswerSuggestion, ImportRows, ExportObjects,
]  # fmt: skip
CLIENT_FRAMES: frozenset[type[Frame]] = frozenset({*get_args(ClientFrame), *declared()} - {CommandFrame})
"""All that a client may send."""


# ------------------------------------------------------------------ gateway -> client


class Welcome(Frame, kw_only=True):
    operator: str
    role: Role
    desk: str
    server: str
    now: int
    rights: dict[str, list[str]] = {}
    """Right -> lines it holds in."""
    duty: Duty = "offline"
    token: str = ""
    ticket: str = ""
    """Authorises uploads and downloads (``Authorization: Bearer …``) while this connection lives."""
    resumed: bool = False
    heartbeat: float = HEARTBEAT


class Snapshot(Frame, kw_only=True):
    """The whole picture of this login: sessions held by it, offered to it, joined or watched by it,
    and the waiting ones of its lines in order (the first 500 of each)."""

    id: str
    sessions: list[SessionView] = []
    operators: list[OperatorView] = []
    lines: list[LineView] = []


class Changes(Frame, kw_only=True):
    """What changed. ``gone`` are sessions that left this login's lists."""

    id: str = ""
    messages: list[Message] = []
    changes: list[MessageChange] = []
    sessions: list[SessionView] = []
    gone: list[str] = []
    operators: list[OperatorView] = []
    lines: list[LineView] = []
    alerts: list[AlertView] = []


class Done(Frame, kw_only=True):
    """A command was carried out (``code`` empty) or refused: ``code`` is an entry of the catalogue
    (``refused.<code>``) with ``params``, and nothing has changed. Only ``unavailable`` is no decision: the
    command may be in the desk's log and will be carried out then, however late. The same ``id`` again,
    on this connection or another, asks what became of it and does it at most once."""

    rid: int
    code: str = ""
    params: dict[str, str] = {}
    session: str = ""
    message: str = ""


class Page(Frame, kw_only=True):
    """Messages in order, oldest first. ``more``: there are older ones."""

    rid: int
    messages: list[Message] = []
    more: bool = False
    session: SessionView | None = None


class SessionList(Frame, kw_only=True):
    rid: int
    sessions: list[SessionView] = []


class Card(Frame, kw_only=True):
    """What is known of a customer, and his latest sessions."""

    rid: int
    customer: Customer | None = None
    sessions: list[SessionView] = []


class Why(Frame, kw_only=True):
    """The routing decisions of a session, the newest last."""

    rid: int
    session: SessionView | None = None
    decisions: list[DecisionView] = []


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that does not work. ``code``: an entry of the catalogue (``trouble.<code>``), ``text`` the
    same in English. ``stops``: no message can be accepted or committed because of it."""

    part: str
    code: str
    text: str = ""
    stops: bool = True


class StatusReport(Frame, kw_only=True):
    """``parts``: each running part's last report; ``lags``: what waits where; ``channels``: health;
    ``risks``: settings of Redis that may cost messages; ``known_at``: when the gateway last heard of it;
    ``quarantine``: how much is set aside, ``quarantine_fell_out``: how much was dropped for want of room."""

    rid: int
    desk: str = ""
    version: str = ""
    redis: str = ""
    store: str = ""
    parts: dict[str, dict[str, Any]] = {}
    lags: dict[str, int] = {}
    channels: dict[str, dict[str, Any]] = {}
    lines: list[LineView] = []
    operators: list[OperatorView] = []
    troubles: list[Trouble] = []
    risks: list[str] = []
    known_at: int = 0
    quarantine: int = 0
    quarantine_fell_out: int = 0


class DeskEvent(Frame, kw_only=True, tag="Event"):
    """One thing that happened, for ``navbat events``: ``type`` and its own fields in ``data``."""

    id: str
    at: int
    type: str
    data: dict[str, Any] = {}


class Hint(Frame, kw_only=True):
    """Somebody is writing: ``who`` is an operator, or empty for the customer. ``looking``: an
    operator opened (or left) the session."""

    session: str
    who: str = ""
    kind: str = "typing"
    on: bool = True


class Pong(Frame, kw_only=True):
    """``at`` is the client's own; ``lag`` the log's, in ms; ``down`` lists channels and parts that
    do not work now, ``troubles`` what is the matter with those of whom it is known (``trouble.<code>``),
    ``waits`` how much waits (``in`` to be read, ``log`` to be decided, ``out`` to be sent, ``store`` to be
    kept)."""

    at: int = 0
    now: int = 0
    lag: int = 0
    down: list[str] = []
    troubles: dict[str, str] = {}
    waits: dict[str, int] = {}


class Bye(Frame, kw_only=True):
    """The gateway closes: ``code`` is an entry of the catalogue (``bye.<code>``): ``login``,
    ``throttled`` (``params.after`` seconds), ``revoked``, ``version``, ``stopping``, ``frame``."""

    code: str
    params: dict[str, str] = {}


ServerFrame = Union[
    Welcome, Snapshot, Changes, Done, Page, SessionList, Card, Why, StatusReport, DeskEvent, Hint, Pong, Bye,
    LineSettings, LineVersions, OperatorSettings, QuarantineList, SetAside, Retried, Statistics, SessionsBehind,
    Rebuilding,
    CrmDeclared, ObjectList, ObjectShown, Twins, AuditPage, Timeline, FunnelList, ConversionPlanned, LeadConverted,
    PersonPart, ReceiptList, FoundList,
    CustomerList, CustomerShown, DuplicateList, RowsImported, ObjectsExported,
]  # fmt: skip

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(Union[tuple(CLIENT_FRAMES)])
_server_decoder = msgspec.json.Decoder(ServerFrame)


def encode_frame(frame: Frame) -> bytes:
    """One frame as JSON text, in UTF-8."""
    return _encoder.encode(frame)


def decode_client(data: str | bytes) -> ClientFrame:
    """Raises ``msgspec.MsgspecError`` for anything that is not a client's frame."""
    return _client_decoder.decode(data)


def decode_server(data: str | bytes) -> ServerFrame:
    """Raises ``msgspec.MsgspecError`` for anything that is not a gateway's frame."""
    frame: ServerFrame = _server_decoder.decode(data)
    return frame
