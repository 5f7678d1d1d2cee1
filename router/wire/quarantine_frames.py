"""Frames about what was set aside. They need the right ``administer`` in all lines: what is set aside may
be of any."""

from __future__ import annotations

from typing import Literal

import msgspec

from router.wire.frame import Frame, Number, Request


class GetQuarantine(Request, kw_only=True):
    """Answered by ``QuarantineList``, the oldest first."""

    skip: Number = 0
    limit: Number = 200


class GetSetAside(Request, kw_only=True):
    """One thing with its bytes: answered by ``SetAside``."""

    id: str


class RetrySetAside(Request, kw_only=True):
    """Puts it back at the end of where it came from; answered by ``Retried`` when it is known what became
    of it, or after some seconds."""

    id: str


class DropSetAside(Request, kw_only=True):
    """Forgets it. Answered by ``Done``."""

    id: str


class SetAsideView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """``origin``: ``log | journal | session | operator | timer | out | fetch``; ``place``: which one there;
    ``kind``: what it is, where that can be told; ``reason``: class and place of the error. ``size`` in bytes.
    ``operator`` was told that this command of his was not carried out."""

    id: str
    origin: str
    place: str
    kind: str = ""
    reason: str = ""
    at: int = 0
    size: int = 0
    operator: str = ""


class QuarantineList(Frame, kw_only=True):
    """``count`` and ``size`` (bytes) of all there is; ``fell_out``: how many were dropped for want of room, ever."""

    rid: int
    items: list[SetAsideView] = []
    count: int = 0
    size: int = 0
    fell_out: int = 0


class SetAside(Frame, kw_only=True):
    """``data`` (Base64 in JSON) is cut where it is longer than a frame should be: see ``item.size``."""

    rid: int
    item: SetAsideView
    data: bytes = b""


class Retried(Frame, kw_only=True):
    """``outcome``: ``done``; ``again``: it was set aside once more, as ``id`` for ``reason``; ``waits``:
    nobody has come to it yet."""

    rid: int
    outcome: Literal["done", "again", "waits"]
    id: str = ""
    reason: str = ""
