"""Why an action does not apply where the operator is: what its key says instead of nothing."""

from __future__ import annotations

from collections.abc import Callable

from console.actions import Situation
from console.standing import OVER

LEADS_TO_WRITING = frozenset({"open", "reply", "take", "next", "note", "whisper", "edit", "quote"})
"""After their key one begins to type."""
Reason = tuple[str, str]
"""A word of the catalogue's family ``cannot``, and the name it speaks of; the first is empty where there is
nothing to say."""


def _session(s: Situation) -> Reason:
    """What keeps one from acting on a conversation."""
    view = s.session
    if view is None:
        return "nothing", ""
    if view.status in OVER:
        return view.status, ""
    if not view.can_write and s.mine:
        return "blocked", ""
    if not view.status:
        return "gone", ""
    if view.holder and not s.mine and not s.offered:
        return ("offered" if view.status == "offered" else "held"), view.holder
    if view.status == "bot":
        return "bot", view.bot
    return "not_yours", ""


def _right(s: Situation) -> Reason:
    """The same of what needs a right, which may be there."""
    if s.session is None or s.session.status in OVER:
        return _session(s)
    return ("yours", "") if s.mine or s.offered else ("right", "")


def _message(s: Situation) -> Reason:
    if s.focus != "thread":
        return "in_thread", ""
    return ("message", "") if not s.message else _session(s)


def _here(s: Situation) -> Reason:
    return ("earlier", "") if s.message and s.earlier else _message(s)


def _edit(s: Situation) -> Reason:
    return ("own", "") if s.message and not s.own_message else _here(s)


def _skip(s: Situation) -> Reason:
    return ("not_offered", "") if s.mine or (s.session and s.session.status == "waiting") else _session(s)


def _fixed(code: str) -> Callable[[Situation], Reason]:
    return lambda _: (code, "")


REASONS: dict[str, Callable[[Situation], Reason]] = {
    "undo": _fixed("undo"), "next": _fixed("next"), "lines": _fixed("lines"),
    "retry": lambda s: ("in_thread" if s.focus != "thread" else "failed", ""),
    "discard": lambda s: ("in_thread" if s.focus != "thread" else "failed", ""),
    "open_file": lambda s: ("in_thread" if s.focus != "thread" else "file", ""),
    "send": _fixed("writing"), "newline": _fixed("writing"), "switch_note": _fixed("writing"),
    "cancel_files": _fixed("writing"), "leave": _fixed(""),
    "versions": _message, "copy": _message, "quote": _here, "edit": _edit,
    "take_over": _right, "join": _right, "listen": _right, "whisper": _right, "score": _right,
    "skip": _skip,
}  # fmt: skip


def why_not(id: str, situation: Situation) -> Reason:
    """Why an action does not apply in this situation."""
    return REASONS.get(id, _session)(situation)
