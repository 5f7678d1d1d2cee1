"""Frames about the objects of the CRM: leads, contacts, companies, deals, activities.

An object travels as it is stored: ``id``, ``version`` and its fields by name, custom ones under ``custom``;
money is ``{minor, currency}``, times are ms, dates ``2026-03-05``. Values may be written as people write them
(``"120000.00:UZS"``, ``"yes"``, ``"a@b.uz, c@d.uz"``) or as they are stored. Fields and what each may be:
``GetCrm``.

What is refused comes as ``Done``: ``no_such_type``, ``no_such_field``, ``no_such_object`` (also for what this
login may not read), ``no_right``, ``bad_…`` for a value that cannot be, and ``object_changed``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crm.kernel.access import Reach
from crm.kernel.crm_settings import Funnel
from crm.kernel.fields import ObjectField
from crm.kernel.records import Media
from router.wire.frame import Frame, Number, Request

# ------------------------------------------------------------------ client -> gateway


class GetCrm(Request, kw_only=True):
    """What objects there can be, and what this login may do with them: answered by ``CrmDeclared``."""


class GetObjects(Request, kw_only=True):
    """A page of a list, answered by ``ObjectList``. ``where``: conditions, all of which hold
    (``stage=new``, ``amount>=1000:UZS``, ``due_at<2026-03-05``, ``phones=+998…``, ``lost_reason=``).
    ``sort``: a field, backwards with ``-``. ``after``: ``next`` of the page before. ``total`` asks for the
    number of all, ``deleted`` for what was deleted instead."""

    type: str
    where: list[str] = []
    sort: str = "-created_at"
    limit: Number = 50
    after: str = ""
    total: bool = False
    deleted: bool = False


class GetObject(Request, kw_only=True):
    """Answered by ``ObjectShown``."""

    type: str
    id: str


class AddObject(Request, kw_only=True):
    """Answered by ``ObjectShown`` with what is like it. ``key``, chosen by the client: the same one again
    makes nothing anew."""

    type: str
    fields: dict[str, Any]
    key: str = ""


class SetObject(Request, kw_only=True):
    """Changes the fields that are given, an empty value takes one away. ``version``: the one that was shown
    when they were written; when there is a newer one, and it says something else, nothing is changed and the
    answer has ``conflicts``. 0: whatever is there. Answered by ``ObjectShown``."""

    type: str
    id: str
    fields: dict[str, Any]
    version: Number = 0


class DeleteObject(Request, kw_only=True):
    """Takes it out of lists and searches; who may delete may put it back. Answered by ``ObjectShown``."""

    type: str
    id: str
    version: Number = 0


class RestoreObject(Request, kw_only=True):
    """Answered by ``ObjectShown``."""

    type: str
    id: str


class FindTwins(Request, kw_only=True):
    """What is like an object that is being written, ``id`` left out: answered by ``Twins``."""

    type: str
    fields: dict[str, Any]
    id: str = ""


class AttachFile(Request, kw_only=True):
    """A file that was uploaded (``POST /media``). Twice is once. Answered by ``ObjectShown``."""

    type: str
    id: str
    file: Media


class DetachFile(Request, kw_only=True):
    """Answered by ``ObjectShown``."""

    type: str
    id: str
    key: str


class GetAudit(Request, kw_only=True):
    """Who did what, the newest first: answered by ``AuditPage``. Needs the right ``audit``. ``who``: an
    operator; ``what``: an action (``deal_changed``) or its verb (``changed``); ``object``: an id; ``since``
    and ``until`` in ms."""

    who: str = ""
    what: str = ""
    object: str = ""
    session: str = ""
    since: Number = 0
    until: Number = 0
    limit: Number = 100
    after: str = ""


# ------------------------------------------------------------------ gateway -> client


class CrmDeclared(Frame, kw_only=True):
    """By type of object: its fields, how far each verb of this login reaches (``none``, ``own``, ``line``,
    ``all``), and the funnels of what has stages, by name. ``currency``: of amounts that name none."""

    rid: int
    fields: dict[str, list[ObjectField]] = {}
    may: dict[str, dict[str, Reach]] = {}
    funnels: dict[str, dict[str, Funnel]] = {}
    currency: str = ""
    country: str = ""


class ObjectList(Frame, kw_only=True):
    """``next`` is empty at the end; ``total`` only where it was asked for."""

    rid: int
    type: str
    items: list[dict[str, Any]] = []
    next: str = ""
    total: int | None = None


class TwinView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Something alike, ``by`` ``phone | email | inn | name``. Of one that this login may not read only that
    there is one: ``id`` is empty then."""

    type: str
    by: str
    id: str = ""
    title: str = ""
    responsible: str = ""


class ObjectShown(Frame, kw_only=True):
    """``may``: the verbs of this login that reach it. ``conflicts``: nothing was changed, because somebody
    else did so meanwhile: field -> ``{yours, now}``; ``object`` is as it is now."""

    rid: int
    type: str
    object: dict[str, Any]
    may: list[str] = []
    twins: list[TwinView] = []
    conflicts: dict[str, dict[str, Any]] = {}


class Twins(Frame, kw_only=True):
    rid: int
    twins: list[TwinView] = []


class AuditPage(Frame, kw_only=True):
    """Records as they are kept: ``id``, ``at`` (ms), ``operator`` (empty: the desk itself), ``action``; of
    objects also ``type``, ``object``, ``version``, ``before`` and ``after``; of sessions ``session``;
    ``params``."""

    rid: int
    items: list[dict[str, Any]] = []
    next: str = ""
