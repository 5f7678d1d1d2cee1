"""Frames of the search over everything: messages, customers and objects of the CRM. ``Search`` in
``router.wire.protocol`` is that of messages alone, in one conversation or with one customer."""

from __future__ import annotations

from typing import Literal

import msgspec

from crm.kernel.records import Message
from router.wire.frame import Frame, Number, Request

MatchKind = Literal["exact", "begun", "forgiven"]
"""How well it matches: all words are there; some are only begun, or parts of a number; one has an error."""

# ------------------------------------------------------------------ client -> gateway


class Find(Request, kw_only=True):
    """What this login may read and that holds all the words; any text is a legal query. Cyrillic and Latin,
    all apostrophes, case and accents are one; the last letters of a word may be missing; of a number four
    digits that stand together are enough; in a name of four letters or more one error is forgiven (not in
    messages). ``within``: ``messages``, ``customers``, ``leads``, ``contacts``, ``companies``, ``deals``; empty:
    all of them. ``limit`` holds for each. Answered by ``FoundList``."""

    text: str
    within: list[str] = []
    limit: Number = 20


# ------------------------------------------------------------------ gateway -> client


class FoundIn(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A field in which something was found, and where in ``text``: pairs of first and last place (after it), in
    characters. Of a long message ``text`` is a part."""

    field: str
    text: str
    spans: list[tuple[int, int]] = []


class FoundView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One hit. ``at``: when it was said, or changed last, in ms. ``message`` for those of ``messages``."""

    within: str
    id: str
    match: MatchKind
    title: str = ""
    at: int = 0
    line: str = ""
    responsible: str = ""
    stage: str = ""
    customer: str = ""
    session: str = ""
    matched: list[FoundIn] = []
    message: Message | None = None


class FoundList(Frame, kw_only=True):
    """The hits, the best first and of equal ones the newest, whatever they are. ``more``: of these there are
    more than were asked for."""

    rid: int
    hits: list[FoundView] = []
    more: list[str] = []
