"""What a channel is: one file with a ``Settings`` and a ``Channel``.

What comes in is a channel's business as a ``Source`` (``router/intake/source.py``): its transport
(``run`` or ``routes``) only authenticates and puts raw bodies into the inbox; ``parse`` turns a body into
events later, and may be repeated. ``send`` delivers. Nothing else of navbat is its business.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from crm.kernel.records import Media
from router.desk.state import Delivery
from router.intake.source import Inbox, MediaFiles, Rejected, SendOutcome, Source, TryLater

__all__ = [
    "Can",
    "Channel",
    "ChannelSettings",
    "Inbox",
    "MediaFiles",
    "OutFile",
    "Rejected",
    "Secret",
    "SendOutcome",
    "Sent",
    "TryLater",
    "Uncertain",
]


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


class Uncertain(SendOutcome):
    """It left, and nobody knows whether it arrived: never sent again by itself. ``external_ids``
    are the parts that certainly did."""

    def __init__(self, reason: str, *, external_ids: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.external_ids = list(external_ids)


class Sent(msgspec.Struct):
    """Delivered to the platform. ``external_ids``: one for each part it took."""

    external_ids: list[str]


class OutFile(Protocol):
    """A file on its way out: read in pieces, as often as it takes, and never held whole."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def chunks(self) -> AsyncIterator[bytes]:
        """What is in it."""


class Channel(Source):
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

    def __init__(self, name: str, settings: Any) -> None:
        super().__init__(name)
        self.settings = settings

    @property
    def fetches_files(self) -> bool:
        return Can.FETCH in self.can

    async def open(self) -> None:
        """Makes clients; no network call."""

    async def close(self) -> None:
        """Closes them."""

    async def who_am_i(self) -> str:
        """Asks the platform who we are: a line for ``navbat check --online``. Raises
        ``NavbatError``."""
        return ""

    @abc.abstractmethod
    async def send(self, delivery: Delivery, files: Sequence[tuple[Media, OutFile]]) -> Sent:
        """Carries out one delivery (``files`` are its media, to be read from the media store).
        Raises ``TryLater``, ``Rejected`` or ``Uncertain``."""

    async def typing(self, chat: str) -> None:
        """Shows the customer that somebody is writing; failures do not matter."""
