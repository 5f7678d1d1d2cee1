"""Frames about the cards of customers: who is writing, over all channels.

A card travels as it is stored: ``id``, ``version`` and its fields by name (``phones`` of ``raw``, ``e164``, ``ext``;
``identities`` of ``channel``, ``kind``, ``value``, ``verified``). The id of a card that was merged is that of the
card it went into. What may be changed, and how far each verb reaches, is in ``CrmDeclared`` under ``customer``.

What is refused comes as ``Done``: ``no_such_customer`` (also for what this login may not read), ``no_right``,
``same_customer``, ``merge_busy`` (somebody is at one of these cards: try again), ``not_merged``, ``merged_further``,
``no_such_suggestion``, ``no_such_session``, ``bad_…`` for a value that cannot be.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from router.wire.crm_frames import TwinView
from router.wire.frame import Frame, Number, Request

# ------------------------------------------------------------------ client -> gateway


class GetCustomers(Request, kw_only=True):
    """A page of cards, those who wrote last first: answered by ``CustomerList``. ``query``: a number, an address,
    or words of the name. A page may be short and still have a ``next``."""

    query: str = ""
    limit: Number = 50
    after: str = ""


class GetCustomer(Request, kw_only=True):
    """Answered by ``CustomerShown``."""

    customer: str


class GetDuplicates(Request, kw_only=True):
    """Cards that may be somebody's second one: of this customer, or of all, page by page. Answered by
    ``DuplicateList``."""

    customer: str = ""
    limit: Number = 50
    after: str = ""


class SetCustomer(Request, kw_only=True):
    """As ``SetObject``: changes the fields that are given, an empty value takes one away; ``version`` is the one
    that was shown. Answered by ``CustomerShown``, with ``conflicts`` where nothing was changed."""

    customer: str
    fields: dict[str, Any]
    version: Number = 0


class LinkSession(Request, kw_only=True):
    """Whoever writes in a session is this customer: the card that he has there goes into this one. Answered by
    ``CustomerShown``."""

    session: str
    customer: str


class MergeCustomers(Request, kw_only=True):
    """``other`` goes into ``master``. ``prefer``: field, or ``*`` for all -> whose value wins. Answered by
    ``CustomerShown``: with ``disputed``, and nothing done, where both say something else."""

    master: str
    other: str
    prefer: dict[str, Literal["master", "other"]] = {}


class UnmergeCustomer(Request, kw_only=True):
    """``other``, which went into another card, is one of its own again. Answered by ``CustomerShown`` with it."""

    other: str


class AnswerSuggestion(Request, kw_only=True):
    """What was suggested comes onto the card, or (``accept`` false) is never offered again. ``key``: as it is shown;
    ``card:<id>`` of a duplicate, which can only be refused (or merged). Answered by ``CustomerShown``."""

    customer: str
    key: str
    accept: bool = True


# ------------------------------------------------------------------ gateway -> client


class CustomerList(Frame, kw_only=True):
    rid: int
    items: list[dict[str, Any]] = []
    next: str = ""


class SuggestionView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A number or an address (``kind``: ``phone``, ``email``) that he wrote in ``message`` of ``session`` at ``at``
    (ms). ``alike``: whose it is already."""

    key: str
    kind: str
    value: str
    raw: str = ""
    message: str = ""
    session: str = ""
    at: int = 0
    alike: list[TwinView] = []


class CustomerShown(Frame, kw_only=True):
    """``may``: the verbs of this login that reach the card. ``twins``: who it may be too. ``merged``: ids of the
    cards that went into it and can be taken out again. ``conflicts``: field -> ``{yours, now}`` of a change that was
    not made; ``disputed``: field -> ``{master, other}`` of a merge that was not."""

    rid: int
    customer: dict[str, Any]
    may: list[str] = []
    suggestions: list[SuggestionView] = []
    twins: list[TwinView] = []
    merged: list[str] = []
    conflicts: dict[str, dict[str, Any]] = {}
    disputed: dict[str, dict[str, Any]] = {}


class DuplicateView(msgspec.Struct, omit_defaults=True, kw_only=True):
    customer: dict[str, Any]
    twins: list[TwinView] = []


class DuplicateList(Frame, kw_only=True):
    rid: int
    items: list[DuplicateView] = []
    next: str = ""
