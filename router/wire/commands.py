"""What an operator can order: one struct per command, as the client sends it, with the right that it needs.

None of them says who orders it: that is known from the login alone.
"""

from __future__ import annotations

from typing import ClassVar

from crm.kernel.records import Duty, Media
from router.wire.frame import CommandFrame, Number, SessionCommandFrame


class Say(SessionCommandFrame, kw_only=True):
    """``media``: keys from uploads (``POST /media``), as ``Media`` with ``key``."""

    right: ClassVar[str] = "work"
    text: str = ""
    media: list[Media] = []
    reply_to: str = ""


class Note(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"
    text: str


class Take(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"


class Skip(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"


class Return(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"
    reason: str = ""


class Transfer(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"
    to: str
    comment: str = ""


class Close(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"
    result: str = ""


class Pin(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"
    on: bool = True


class Whisper(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "whisper"
    text: str


class TakeOver(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "take_over"


class Join(SessionCommandFrame, kw_only=True):
    """Openly (a participant) or silently (a reader); ``on=False`` leaves again."""

    right: ClassVar[str] = "join_open"
    silent: bool = False
    on: bool = True

    @property
    def needs(self) -> str:
        """Who leaves again needs none but to see it."""
        if not self.on:
            return "read"
        return "join_silent" if self.silent else self.right


class Snooze(SessionCommandFrame, kw_only=True):
    """Until a time (ms), or with 0 until the customer writes."""

    right: ClassVar[str] = "work"
    until: Number = 0


class Spam(SessionCommandFrame, kw_only=True):
    """``on=False`` unmutes the chat of a session in status ``spam``."""

    right: ClassVar[str] = "work"
    on: bool = True


class SetPriority(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "work"
    priority: Number


class Tag(SessionCommandFrame, kw_only=True):
    """Puts words on a session by which it is found again; ``on=False`` takes them off. At most
    ``crm.kernel.records.MAX_TAG`` characters each."""

    right: ClassVar[str] = "work"
    tags: list[str]
    on: bool = True


class Score(SessionCommandFrame, kw_only=True):
    """A supervisor's judgement, 1 to 5; of a closed session too."""

    right: ClassVar[str] = "lead"
    of_closed: ClassVar[bool] = True
    score: Number
    comment: str = ""


class Resend(SessionCommandFrame, kw_only=True):
    """The content is not the client's to say: it comes from the history."""

    right: ClassVar[str] = "work"
    message: str


class EditMessage(SessionCommandFrame, kw_only=True):
    """Of our own sent message, where the channel can."""

    right: ClassVar[str] = "work"
    message: str
    text: str


class MarkRead(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "read"
    seq: Number


class SetDuty(CommandFrame, kw_only=True):
    right: ClassVar[str] = ""
    duty: Duty


class Start(CommandFrame, kw_only=True):
    """Opens an outgoing session with a known customer's chat."""

    right: ClassVar[str] = "work"
    chat: str
    line: str
    text: str = ""


def declared() -> tuple[type[CommandFrame], ...]:
    """Every command, in the order in which they stand here."""
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, CommandFrame)]
    return tuple(kind for kind in kinds if kind.__module__ == __name__)
