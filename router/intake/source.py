"""Where things come from, as the intake sees it: a channel, or another system that tells us something.

A source's transport (``run`` or ``routes``) only authenticates and puts raw bodies into the inbox;
``parse`` turns a body into events later, and may be repeated. Nothing else of navbat is its business.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from crm.kernel.errors import NavbatError
from crm.kernel.records import Media
from router.desk.events import Event


class SendOutcome(NavbatError):
    """Base of the ways in which the other side can fail to do what it was asked."""


class TryLater(SendOutcome):
    """Nothing was delivered; the same may be tried again after ``after`` seconds. With
    ``whole_channel`` nothing else may be sent before that either (a flood limit)."""

    def __init__(self, after: float, reason: str, *, whole_channel: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.whole_channel = whole_channel


class Rejected(SendOutcome):
    """The platform will never do this. ``blocked``: the customer does not want us."""

    def __init__(self, reason: str, *, blocked: bool = False, moved_to: str = "") -> None:
        super().__init__(reason)
        self.blocked = blocked
        self.moved_to = moved_to


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


class Source(abc.ABC):
    """One configured source of events."""

    file_limit: int = 50 * 1024 * 1024
    """Attachments larger than this many bytes are not fetched."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.trouble = ""
        """What is wrong with it now, for the status; empty while it works."""

    @property
    def fetches_files(self) -> bool:
        """Whether attachments are fetched with ``fetch`` after their message was stored."""
        return False

    async def run(self, inbox: Inbox) -> None:  # noqa: B027
        """The pull loop, where the source has one: ends only by cancellation."""

    def routes(self, inbox: Inbox) -> Sequence[web.RouteDef]:
        """The HTTP routes of a source that pushes: verify, ``await inbox.put(body)``, answer."""
        return ()

    def number(self, body: bytes) -> int | None:
        """The place of a body in the platform's own order, where its transport may deliver bodies
        out of order and the numbers have no gaps; None keeps the order of arrival."""
        return None

    @abc.abstractmethod
    def parse(self, body: bytes) -> list[Event]:
        """Turns one raw body into events. Pure. Whatever it raises makes the body an
        "unsupported message", so nothing is refused because we did not understand it."""

    def fetch(self, media: Media) -> AsyncIterator[bytes]:
        """The bytes of an attachment, by its ``ref``. Raises ``TryLater`` or ``Rejected``."""
        raise Rejected(f"{self.name} has no attachments to fetch")
