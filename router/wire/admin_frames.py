"""Frames about lines' rules and operators' settings. A line's settings travel as texts: key -> value as
the configuration would have it, on one line of YAML (``2m``, ``[anna, bek]``, ``{mon: ["09:00-18:00"]}``).

Every change of a line is a version. A change names the version it was made from (``expected``); when
there is a newer one by now it is refused with ``line_changed`` (params ``line``, ``version``, ``by``).
Settings that cannot be are refused with ``bad_settings`` (params ``problems``, one a line).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from crm.kernel.access import Reach
from crm.kernel.records import Absence, Right, Role
from router.wire.frame import Frame, Number, Request

# ------------------------------------------------------------------ client -> gateway


class GetLine(Request, kw_only=True):
    """A line's settings in force: answered by ``LineSettings``. Needs the right ``lead`` there."""

    line: str


class GetLineVersions(Request, kw_only=True):
    """Answered by ``LineVersions``, the newest first. Needs the right ``lead`` there."""

    line: str
    limit: Number = 50


class SetLine(Request, kw_only=True):
    """Changes some settings of a line: key -> text, an empty text for the default. A dotted key
    (``hours.mon``, ``notices.waiting.uz``) changes one entry. Answered by ``Done`` with
    ``params.version``; sent twice, it is done once.

    ``administer`` may change everything and, with ``expected`` 0, make a new line; ``lead`` may
    change ``members`` and ``shifts``."""

    line: str
    expected: Number
    changes: dict[str, str]
    comment: str = ""


class RollbackLine(Request, kw_only=True):
    """Puts version ``to`` in force again, as a new version. The rights are those of ``SetLine``."""

    line: str
    expected: Number
    to: Number
    comment: str = ""


class GetOperator(Request, kw_only=True):
    """An operator's settings: answered by ``OperatorSettings``. Needs ``lead`` in one of his lines."""

    operator: str


class SetOperator(Request, kw_only=True):
    """Changes what is given and leaves the rest. ``administer`` may change everything; ``lead`` in
    one of his lines is enough for ``absences``. ``by_role`` takes the separate rights back to those of
    the role."""

    operator: str
    lines: list[str] | None = None
    max_sessions: Number | None = None
    skills: list[str] | None = None
    languages: list[str] | None = None
    absences: list[Absence] | None = None
    rights: dict[str, list[Right]] | None = None
    crm: dict[str, dict[str, Reach]] | None = None
    by_role: bool = False


# ------------------------------------------------------------------ gateway -> client


class SettingView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One setting of a line, for a form; one inside another has a dotted name (``sla.resolution``).
    ``text`` is empty while the default holds."""

    name: str
    text: str = ""
    default: str = ""
    allowed: list[str] = []
    """The words it may be; empty: anything of its kind."""
    about: str = ""
    """What it does, in English, as the reference says it."""
    yours: bool = False
    """This login may change it."""


class LineSettings(Frame, kw_only=True):
    """``version`` is what ``SetLine.expected`` must name. ``by``, ``at`` (ms), ``source`` and
    ``comment`` tell who made it."""

    rid: int
    line: str
    version: int = 0
    at: int = 0
    by: str = ""
    source: str = ""
    comment: str = ""
    settings: list[SettingView] = []


class LineVersionView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One version with all that it sets; what it does not name has its default."""

    version: int
    at: int
    by: str = ""
    source: Literal["file", "console", "cli", "rollback"] = "file"
    comment: str = ""
    settings: dict[str, str] = {}
    changed: dict[str, tuple[str, str]] = {}
    """Key -> (text before, text now), against the version before it; empty is the default."""
    removed: bool = False
    """The line was taken away by it."""


class LineVersions(Frame, kw_only=True):
    rid: int
    line: str
    versions: list[LineVersionView] = []


class OperatorSettings(Frame, kw_only=True):
    """``rights``: line (or ``*``) -> separate rights there; None are those of the role. ``may``: the
    fields of ``SetOperator`` that this login may change."""

    rid: int
    operator: str
    role: Role = "operator"
    disabled: bool = False
    lines: list[str] = []
    max_sessions: int = 1000
    skills: list[str] = []
    languages: list[str] = []
    absences: list[Absence] = []
    rights: dict[str, list[Right]] | None = None
    crm: dict[str, dict[str, Reach]] = {}
    may: list[str] = []
