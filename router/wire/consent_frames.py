"""Frames about what is kept of one person: all of it, its erasure, and what goes by itself with time.

Access needs ``export`` and erasure ``delete`` of customers, both in all lines; the rest needs ``administer``. All
of it is audited. What is refused comes as ``Done``: ``no_right``, ``no_such_customer``, ``customer_busy`` (another
change of several objects is about him and not done), ``no_such_receipt``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from router.wire.frame import Frame, Number, Request


class ExportPerson(Request, kw_only=True):
    """Everything about a person, part by part: answered by ``PersonPart``. ``after``: ``next`` of the part
    before."""

    customer: str
    after: str = ""


class ErasePerson(Request, kw_only=True):
    """Erases a person, for good. Answered at once by ``ReceiptList`` with one receipt that is not done;
    ``GetReceipts`` with its ``id`` tells how far it is. Asked again it is the same one."""

    customer: str


class GetReceipts(Request, kw_only=True):
    """What was erased and what went by itself, the newest first: answered by ``ReceiptList``. ``id``: only this
    one, done or not."""

    id: str = ""
    limit: Number = 50
    after: str = ""


class RunRetention(Request, kw_only=True):
    """Removes what is older than the configuration lets it be, as the night would. Answered by
    ``ReceiptList`` as ``ErasePerson`` is; with ``dry_run`` nothing is removed, and the receipt, which has no
    ``id``, counts what would be."""

    dry_run: bool = False


class PersonPart(Frame, kw_only=True):
    """``kind``: what the items are (``cards``, ``messages``, …). The same kind may come in several parts, one
    after the other."""

    rid: int
    kind: str
    items: list[dict[str, Any]] = []
    next: str = ""


class ReceiptView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What became of a person's data, or of what was too old. ``counts``: kind of data -> how much of it went.
    ``stays``: what did not, by name. ``step``: where it is while ``done_at`` is 0. ``by``: who asked; empty: the
    night. Nothing here says who he was, but the id of his card."""

    id: str
    kind: Literal["erase", "retention"] = "erase"
    customer: str = ""
    by: str = ""
    asked_at: int = 0
    erased_at: int = 0
    done_at: int = 0
    step: str = ""
    counts: dict[str, int] = {}
    stays: list[str] = []


class ReceiptList(Frame, kw_only=True):
    rid: int
    items: list[ReceiptView] = []
    next: str = ""
