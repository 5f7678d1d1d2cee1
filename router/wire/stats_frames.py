"""Frames about statistics. A login sees the figures of the lines that it may read. Days are on the clock of
each line; durations in ms."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from router.wire.frame import Frame, Number, Request
from router.wire.views import SessionView

StatisticsKind = Literal["sessions", "operators", "csat", "load", "funnel", "visits"]


class _OfPeriod(Request, kw_only=True):
    """``since`` and ``to`` (``2026-03-05``) are both counted; without them, the last thirty days. Empty
    ``line``, ``channel`` and ``operator``: all."""

    since: str = ""
    to: str = ""
    line: str = ""
    channel: str = ""
    operator: str = ""


class GetStatistics(_OfPeriod, kw_only=True):
    """Answered by ``Statistics``. ``by``: what the rows are: ``hour | day | month | line | channel |
    operator | source | camera``, as far as the kind has them; empty: what is usual for it. ``export``: it is
    asked for a file, which needs the right to export."""

    kind: StatisticsKind
    by: str = ""
    export: bool = False


class Statistics(Frame, kw_only=True):
    """``rows`` in order, each with its ``key``; ``total`` of all of them. ``heat`` (kind ``load``): the hours of a
    week, Monday's first. ``parts``: further tables of the kind, by name. ``error``: by which part medians and
    percentiles may be off. ``now``: what is so at this moment."""

    rid: int
    kind: StatisticsKind
    since: str
    to: str
    by: str = ""
    rows: list[dict[str, Any]] = []
    total: dict[str, Any] = {}
    heat: list[dict[str, Any]] = []
    parts: dict[str, list[dict[str, Any]]] = {}
    now: dict[str, Any] = {}
    error: float = 0.0


class GetBehind(_OfPeriod, kw_only=True):
    """The sessions that a figure is made of (``missed``, ``first_response``, ``rating_1``, …): answered by
    ``SessionsBehind``."""

    figure: str
    after: str = ""
    limit: Number = 100


class BehindItem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """``hour`` (of the line's clock), ``line`` and ``operator``: where it counts; ``value``: how often, or ms."""

    session: SessionView
    hour: str
    line: str
    operator: str = ""
    value: int = 0


class SessionsBehind(Frame, kw_only=True):
    """``next``: ask on with it as ``after``; empty at the end."""

    rid: int
    items: list[BehindItem] = []
    next: str = ""


class RebuildStatistics(Request, kw_only=True):
    """Makes all rollups anew from the facts of the sessions. Needs the right ``administer`` in all lines. Answered
    by ``Rebuilding``, and again whenever it is asked with the ``id`` that was answered."""

    id: str = ""


class Rebuilding(Frame, kw_only=True):
    rid: int
    id: str
    done: bool = False
    sessions: int = 0
    rollups: int = 0
