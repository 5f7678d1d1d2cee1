"""What clients see of the desk's state. Times are ms UTC; fields at their default are left out."""

from __future__ import annotations

import msgspec

from crm.kernel.records import Duty, Role


class SessionView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A session as its clients see it."""

    id: str
    chat: str
    channel: str
    kind: str
    line: str
    status: str
    customer: str
    holder: str = ""
    name: str = ""
    priority: int = 0
    opened_at: int = 0
    first_answer_at: int = 0
    closed_at: int = 0
    unread: int = 0
    rev: int = 0
    seq: int = 0
    arrival: int = 0
    waiting_since: int = 0
    """First customer message since the last answer; 0 when nobody waits."""
    last_at: int = 0
    last_text: str = ""
    last_direction: str = ""
    last_kind: str = ""
    asked_text: str = ""
    """The customer's last words, where the last ones are ours: what a colleague is asked to take."""
    asked_kind: str = ""
    offer_until: int = 0
    """Moves on while somebody writes into the offer."""
    offered_at: int = 0
    """When the present offer began: one with another beginning is another offer."""
    seen_by: list[str] = []
    guests: list[str] = []
    transfer_from: str = ""
    return_reason: str = ""
    result: str = ""
    pinned: bool = False
    vip: bool = False
    snoozed: int = 0
    """Sleeps until then (ms); -1 = until the customer writes."""
    silent: list[str] = []
    """Who reads along silently; only told to those with the right ``join_silent``."""
    bot: str = ""
    offer_kind: str = ""
    rating: int = 0
    tags: list[str] = []
    language: str = ""
    can_write: bool = True
    can: list[str] = []
    """What the channel can do, by name (``edit``, ``photo``, …); drives the composer."""


class OperatorView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A colleague: whom one can transfer to."""

    name: str
    role: Role = "operator"
    lines: list[str] = []
    duty: Duty = "offline"
    duty_reason: str = ""
    skills: list[str] = []
    languages: list[str] = []
    load: int = 0
    max_sessions: int = 1000
    here: bool = False
    """One of his consoles answers."""


class LineView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A line's counters. ``oldest``: arrival of the longest waiting session."""

    name: str
    mode: str = "even"
    members: list[str] = []
    waiting: int = 0
    oldest: int = 0
    offered: int = 0
    taken: int = 0
    answer_within: int = 0
    open: bool = True
    """Within its working hours."""
    results: list[str] = []
    bot: str = ""


class AlertView(msgspec.Struct, omit_defaults=True, kw_only=True):
    name: str
    at: int
    line: str = ""
    session: str = ""
    operator: str = ""
    params: dict[str, str] = {}


class DecisionView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One routing decision: ``why`` is the mode or the reason, ``dropped`` maps those who might have
    got it to what kept them out."""

    at: int
    line: str
    why: str
    chosen: str = ""
    candidates: list[str] = []
    dropped: dict[str, str] = {}
    timers: dict[str, int] = {}
