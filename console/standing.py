"""What a conversation is to this operator at one moment, and what it means when that has changed.

Words, a dialog and a command that counts down are begun for a conversation as it stands. When it leaves
(the offer ends, somebody takes it over, it is closed …) they must not go on as if nothing had happened.
Pure: what the picture says, compared with what it said.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.model import HELD, Mirror
from crm.kernel.text import one_line
from router.wire.protocol import SessionView

MINE, OFFERED, GUEST, WAITING, STRANGE = 4, 3, 2, 1, 0
"""Held by this operator; offered to him; joined by him; waiting for anybody; somebody else's or over."""
OVER = ("closed", "spam", "closing")


@dataclass(frozen=True)
class Standing:
    """``rank`` is one of the five above; ``listed`` is False for a session of which the desk says no more
    than that it is on none of our lists."""

    session: str
    rank: int = STRANGE
    status: str = ""
    holder: str = ""

    @property
    def offered(self) -> bool:
        return self.rank == OFFERED

    @property
    def listed(self) -> bool:
        return bool(self.status)


@dataclass(frozen=True)
class Left:
    """How a conversation left: a word of the catalogue's family ``left``, and who has it now."""

    code: str
    name: str = ""
    lapsed: bool = False
    """It had been an offer."""


def standing(picture: Mirror, session: str) -> Standing:
    """Where a session stands now; one that is not known is strange."""
    view = picture.sessions.get(session)
    if view is None:
        return Standing(session)
    if view.status in OVER:
        rank = STRANGE
    elif picture.is_mine(view):
        rank = MINE
    elif picture.is_offered(view):
        rank = OFFERED
    elif picture.operator in view.guests:
        rank = GUEST
    else:
        rank = WAITING if view.status == "waiting" else STRANGE
    return Standing(session, rank, view.status, view.holder)


def has_left(before: Standing, now: Standing, kind: str) -> bool:
    """Whether what was begun for a session as it stood ``before`` may not go on. ``kind`` is what was
    begun: ``reply``, ``note``, ``whisper`` or ``command``."""
    if now.rank < before.rank:
        return True
    if before.rank == STRANGE and not now.listed:
        return False  # never on our lists, so its absence from a fresh snapshot says nothing
    if now.status in OVER and before.status not in OVER:
        return True
    # a whisper is for the one who has it
    return kind == "whisper" and before.holder != now.holder and before.holder != ""


def how_left(picture: Mirror, before: Standing, view: SessionView | None) -> Left:
    """What has become of a session that has left."""
    status = view.status if view is not None else ""
    if view is None or not status:
        return Left("gone", lapsed=before.offered)
    if status in OVER:
        return Left(status)
    if not view.can_write:
        return Left("blocked")
    if picture.is_offered(view):
        return Left("again")
    if status in HELD or status == "offered":
        if view.holder == picture.operator:
            return Left("gone")
        code = "offered" if status == "offered" else "held"
        return Left(code, one_line(view.holder, 40) or "–", lapsed=before.offered)
    if status == "bot":
        return Left("bot", one_line(view.bot, 40), lapsed=before.offered)
    return Left("waiting", lapsed=before.offered)
