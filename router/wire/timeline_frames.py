"""Frames about what happened to somebody or something."""

from __future__ import annotations

from crm.timeline.entries import TimelineEntry
from router.wire.frame import Frame, Number, Request


class GetTimeline(Request, kw_only=True):
    """The newest entries of one stream, answered by ``Timeline``. ``type``: ``customer | lead | contact | company |
    deal``; ``kinds``: of these sources only (``message``, ``activity``, ``stage``); ``after``: ``next`` of the page
    before. Of each entry it is asked whether this login may read it."""

    type: str
    id: str
    kinds: list[str] = []
    limit: Number = 50
    after: str = ""


class Timeline(Frame, kw_only=True):
    """The newest first. ``next`` is empty at the end."""

    rid: int
    items: list[TimelineEntry] = []
    next: str = ""
