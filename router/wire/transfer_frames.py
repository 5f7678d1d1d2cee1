"""Frames of import and export: rows of a file become objects, and objects leave."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from router.wire.frame import Frame, Number, Request

# ------------------------------------------------------------------ client -> gateway


class ImportRows(Request, kw_only=True):
    """Up to 200 rows, each field -> text as people write it. The same row makes the same object, once, whoever
    sends it and how often. ``duplicates``: what becomes of a row of which another object of its type has a phone,
    an address or a tax number (``skip``: it is refused). ``dry_run`` changes nothing. Needs the right ``add``;
    answered by ``RowsImported``."""

    type: str
    rows: list[dict[str, str]]
    duplicates: Literal["skip", "make"] = "skip"
    dry_run: bool = False


class ExportObjects(Request, kw_only=True):
    """A page of what this login may export, the oldest first, answered by ``ObjectsExported``. ``where`` as in
    ``GetObjects``; ``after``: ``next`` of the page before."""

    type: str
    where: list[str] = []
    limit: Number = 200
    after: str = ""


# ------------------------------------------------------------------ gateway -> client


class RowView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of a row: ``made`` with its ``id``; or there already from the same row (``id``); or refused
    (``code``, ``params``)."""

    made: bool = False
    id: str = ""
    code: str = ""
    params: dict[str, str] = {}


class RowsImported(Frame, kw_only=True):
    """One for each row, in order."""

    rid: int
    rows: list[RowView] = []


class ObjectsExported(Frame, kw_only=True):
    rid: int
    items: list[dict[str, Any]] = []
    next: str = ""
