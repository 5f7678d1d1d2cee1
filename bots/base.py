"""What a channel is: one file with a ``Settings`` and a ``Channel``.

A channel's transport (``run`` or ``routes``) only authenticates and puts raw bodies into the
inbox; ``parse`` turns a body into events later, and may be repeated; ``send`` delivers. Nothing
else of navbat is its business.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Protocol

import msgspec
from aiohttp import web

from crm.kernel.errors import NavbatError
from crm.kernel.records import Media
from router.desk.events import Event
from router.desk.state import Delivery


class Can(enum.Flag):
    """What a channel can do: drives composer, fallbacks and the contract tests."""

    TEXT = enum.auto()
    PHOTO = enum.auto()
    FILE = enum.auto()
    BUTTONS = enum.auto()
    QUOTE = enum.auto()
    EDIT = enum.auto()
    DELETE = enum.auto()
    TYPING = enum.auto()
    RECEIPTS = enum.auto()
    """Tells when a message was delivered or read."""
    REACTIONS = enum.auto()
    FETCH = enum.auto()
    """Attachments are fetched with ``fetch`` after the message was stored."""
    IDEMPOTENT = enum.auto()
    """A delivery may be sent again after a crash: the platform drops the second one by its key."""


class Secret(str):
    """A string that never prints itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


class ChannelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every channel is given under its name in ``channels``."""

    kind: str
    line: str


class SendOutcome(NavbatError):
    """Base of the ways a send can fail to be ``Sent``."""


class TryLater(SendOutcome):
    """Nothing was delivered; the same delivery may be tried again after ``after`` seconds. With
    ``whole_channel`` nothing else may be sent before that either (a flood limit)."""

    def __init__(self, after: float, reason: str, *, whole_channel: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.whole_channel = whole_channel


class Rejected(SendOutcome):
    """The platform will never take this delivery. ``blocked``: the customer does not want us."""

    def __init__(self, reason: str, *, blocked: bool = False, moved_to: str = "") -> None:
        super().__init__(reason)
        self.blocked = blocked
        self.moved_to = moved_to


class Uncertain(SendOutcome):
    """It left, and nobody knows whether it arrived: never sent again by itself. ``external_ids``
    are the parts that certainly did."""

    def __init__(self, reason: str, *, external_ids: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.external_ids = list(external_ids)


class Sent(msgspec.Struct):
    """Delivered to the platform. ``external_ids``: one for each part it took."""

    external_ids: list[str]


class Inbox(Protocol):
    """Where transports put what they receive."""

    async def put(self, *bodies: bytes) -> None:
        """Returns when all bodies are durable; only then may the platform be told so. Raises
        ``Unavailable``: then answer 503, or do not move the offset."""


class MediaFiles(Protocol):
    """The part of the media store that channels' files go through."""

    async def put(self, chunks: AsyncIterator[bytes], name: str, mime: str) -> str:
        """Keeps a file and returns its key."""

    def open(self, key: str) -> AsyncIterator[bytes]:
        """The file in pieces. Raises ``NavbatError`` or ``OSError`` when it is not there."""

    async def size(self, key: str) -> int:
        """Its bytes. Raises the same."""


class OutFile(Protocol):
    """A file on its way out: read in pieces, as often as it takes, and never held whole."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def chunks(self) -> AsyncIterator[bytes]:
        """What is in it."""


class Channel(abc.ABC):
    """One configured channel. Created once per process; ``open`` and ``close`` frame its life."""

    kind: ClassVar[str]
    can: ClassVar[Can]
    Settings: ClassVar[type[ChannelSettings]]
    text_limit: ClassVar[int] = 4096
    """Characters of one message; longer texts go in parts."""
    per_chat_rate: ClassVar[tuple[float, int]] = (1.0, 3)
    """Token bucket of one chat: messages a second, burst."""
    rate: ClassVar[tuple[float, int]] = (30.0, 30)
    """Token bucket of the whole channel."""
    file_limit: int = 50 * 1024 * 1024
    """Attachments larger than this many bytes are not fetched."""

    def __init__(self, name: str, settings: Any) -> None:
        self.name = name
        self.settings = settings
        self.trouble = ""
        """What is wrong with it now, for the status; empty while it works."""

    async def open(self) -> None:  # noqa: B027
        """Makes clients; no network call."""

    async def close(self) -> None:  # noqa: B027
        """Closes them."""

    async def who_am_i(self) -> str:
        """Asks the platform who we are: a line for ``navbat check --online``. Raises
        ``NavbatError``."""
        return ""

    async def run(self, inbox: Inbox) -> None:  # noqa: B027
        """The pull loop, where the channel has one: ends only by cancellation."""

    def routes(self, inbox: Inbox) -> Sequence[web.RouteDef]:
        """The HTTP routes of a push channel: verify, ``await inbox.put(body)``, answer."""
        return ()

    def number(self, body: bytes) -> int | None:
        """The place of a body in the platform's own order, where its transport may deliver bodies
        out of order and the numbers have no gaps; None keeps the order of arrival."""
        return None

    @abc.abstractmethod
    def parse(self, body: bytes) -> list[Event]:
        """Turns one raw body into events. Pure. Whatever it raises makes the body an
        "unsupported message", so nothing is refused because we did not understand it."""

    @abc.abstractmethod
    async def send(self, delivery: Delivery, files: Sequence[tuple[Media, OutFile]]) -> Sent:
        """Carries out one delivery (``files`` are its media, to be read from the media store).
        Raises ``TryLater``, ``Rejected`` or ``Uncertain``."""

    async def typing(self, chat: str) -> None:  # noqa: B027
        """Shows the customer that somebody is writing; failures do not matter."""

    def fetch(self, media: Media) -> AsyncIterator[bytes]:
        """The bytes of an attachment, by its ``ref``. Raises ``TryLater`` or ``Rejected``."""
        raise Rejected(f"{self.kind} has no attachments to fetch")
