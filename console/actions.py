"""Everything an operator can do, once: keys, where it applies, and how much it matters now.

Key bindings, the footer, ``F1``, the palette and ``docs/reference/keys.md`` are all made from
``ACTIONS``. The name of an action is ``action.<id>`` in the catalogue, its explanation ``help.<id>``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from router.wire.protocol import SessionView


@dataclass(frozen=True)
class Situation:
    """What the operator has before him."""

    focus: str = "list"
    """``list``, ``thread``, ``card``, ``reply``, ``note``, ``whisper``; ``locked`` in a composer whose
    conversation has left, empty where no focus can be seen."""
    session: SessionView | None = None
    """The open session, or in the list the one under the cursor."""
    mine: bool = False
    offered: bool = False
    can_write: bool = False
    pending_undo: bool = False
    failed: bool = False
    """The selected message (or the newest one) has failed or is unknown."""
    message: bool = False
    """A message is selected."""
    own_message: bool = False
    earlier: bool = False
    """The selected message is of an earlier conversation with this customer."""
    file: bool = False
    """There is a file to open: the selected message's, or the newest."""
    off_duty: bool = False
    may: frozenset[str] = frozenset()
    """The rights of this login in the session's line."""
    leader: bool = False
    """It leads some line."""
    owed: bool = False
    """Some session of this operator has a promise that runs out."""


def _always(_: Situation) -> bool:
    return True


def _session(s: Situation) -> bool:
    return s.session is not None


def _live(s: Situation) -> bool:
    """A conversation that is not over: what changes it can be done."""
    return s.session is not None and s.session.status not in ("closed", "spam")


def _mine(s: Situation) -> bool:
    return s.mine


def _takeable(s: Situation) -> bool:
    return s.offered or (s.session is not None and s.session.status == "waiting")


def _stranger(right: str) -> Callable[[Situation], bool]:
    """A conversation that somebody else, or nobody, has, in a line where one has this right."""
    return lambda s: _live(s) and not (s.mine or s.offered) and right in s.may


def _spam(s: Situation) -> bool:
    return s.session is not None and s.session.status == "spam"


def _failed(s: Situation) -> bool:
    return s.failed


def _here(s: Situation) -> bool:
    """What is selected belongs to a conversation in which one can write."""
    return s.can_write and not s.earlier


def _never(_: Situation) -> bool:
    return False


@dataclass(frozen=True)
class Action:
    """One thing to do. ``weight`` orders the footer: the six heaviest that apply are shown.
    ``anywhere``: its key works while a composer is focused too, so it must not be a letter."""

    id: str
    keys: tuple[str, ...]
    applies: Callable[[Situation], bool] = _always
    weight: int = 0
    anywhere: bool = False
    group: str = "desk"
    where: tuple[str, ...] = ("list", "thread", "reply", "note", "whisper")
    """Focus areas for whose footer it is meant."""
    urgent: Callable[[Situation], bool] = _never
    """When it comes first in the footer, whatever its weight."""


LISTS = ("list", "thread", "card")
WRITING = ("reply", "note", "whisper")

ACTIONS: tuple[Action, ...] = (
    Action("undo", ("u",), lambda s: s.pending_undo, 100, group="session", where=LISTS),
    Action(
        "send", ("enter",), lambda s: s.focus in WRITING, 90, group="writing", where=WRITING, anywhere=True
    ),
    Action(
        "newline",
        ("alt+enter", "ctrl+j"),
        lambda s: s.focus in WRITING,
        80,
        anywhere=True,
        group="writing",
        where=WRITING,
    ),
    Action(
        "leave",
        ("escape",),
        lambda s: s.focus != "list",
        70,
        anywhere=True,
        group="moving",
        where=(*WRITING, "locked"),
    ),
    Action("open", ("enter",), _session, 60, group="moving", where=("list",)),
    Action("take", ("t",), _takeable, 95, group="session", where=LISTS),
    Action("skip", ("s",), lambda s: s.offered, 94, group="session", where=LISTS),
    Action("retry", ("r",), _failed, 93, group="message", where=("thread",)),
    Action("discard", ("d",), _failed, 92, group="message", where=("thread",)),
    Action("reply", ("enter",), lambda s: s.can_write, 60, group="writing", where=("thread", "card")),
    Action("next", ("n",), lambda s: s.owed, 58, group="moving", where=LISTS),
    Action("transfer", ("x",), _mine, 55, group="session", where=LISTS),
    Action("close", ("c",), _mine, 54, group="session", where=LISTS),
    Action("note", ("i",), _live, 52, group="writing", where=LISTS),
    Action("give_back", ("b",), _mine, 40, group="session", where=LISTS),
    Action("pin", ("p",), _mine, 20, group="session", where=LISTS),
    Action("take_over", ("T",), _stranger("take_over"), 51, group="session", where=LISTS),
    Action("join", ("J",), _stranger("join_open"), 49, group="session", where=LISTS),
    Action("listen", ("L",), _stranger("join_silent"), 47, group="session", where=LISTS),
    Action(
        "whisper",
        ("w",),
        lambda s: _live(s) and "whisper" in s.may,
        9,
        group="session",
        where=LISTS,
    ),
    Action("snooze", ("z",), _mine, 19, group="session", where=LISTS),
    Action("priority", ("P",), lambda s: s.mine or _takeable(s), 7, group="session", where=LISTS),
    Action("tag", ("g",), lambda s: s.mine or _takeable(s), 10, group="session", where=LISTS),
    Action("score", ("R",), lambda s: "lead" in s.may, 6, group="session", where=LISTS),
    Action("spam", ("S",), lambda s: s.mine or _takeable(s) or _spam(s), 8, group="session", where=LISTS),
    Action("why", ("question_mark",), _session, 15, group="session", where=LISTS),
    Action(
        "switch_note",
        ("ctrl+n",),
        lambda s: s.focus in WRITING,
        60,
        anywhere=True,
        group="writing",
        where=WRITING,
    ),
    Action(
        "attach",
        ("ctrl+o",),
        lambda s: s.can_write and s.focus not in ("note", "whisper"),
        50,
        anywhere=True,
        group="writing",
        where=("reply",),
    ),
    Action(
        "cancel_files",
        ("ctrl+r",),
        lambda s: s.focus == "reply",
        5,
        anywhere=True,
        group="writing",
        where=("reply",),
    ),
    Action("open_file", ("o",), lambda s: s.file, 56, group="message", where=("thread",)),
    Action("versions", ("e",), lambda s: s.message, 30, group="message", where=("thread",)),
    Action("edit", ("m",), lambda s: s.own_message and _here(s), 29, group="message", where=("thread",)),
    Action("quote", ("q",), lambda s: s.message and _here(s), 28, group="message", where=("thread",)),
    Action("copy", ("y",), lambda s: s.message, 10, group="message", where=("thread",)),
    Action("search", ("slash",), _session, 45, group="moving", where=LISTS),
    Action("search_all", ("ctrl+f",), _always, 12, anywhere=True, group="moving", where=LISTS),
    Action("card", ("v",), _session, 25, group="moving", where=LISTS),
    Action("person", ("V",), _session, 23, group="moving", where=LISTS),
    Action("duty", ("f2",), _always, 30, anywhere=True, urgent=lambda s: s.off_duty),
    Action("hide_list", ("left_square_bracket",), _always, group="screen"),
    Action("hide_card", ("right_square_bracket",), _always, group="screen"),
    Action("lines", ("f7",), lambda s: s.leader, 26, anywhere=True, where=LISTS),
    Action("crm", ("f9",), _always, 24, anywhere=True, where=LISTS),
    Action("figures", ("f10",), _always, 3, anywhere=True, where=LISTS),
    Action("tasks", (), _always),
    Action("language", ("f3",), _always, anywhere=True, group="screen"),
    Action("theme", ("f4",), _always, anywhere=True, group="screen"),
    Action("sound", ("f5",), _always, anywhere=True, group="screen"),
    Action("enter_sends", ("f6",), _always, anywhere=True, group="screen"),
    Action("to_waiting", (), _always, group="moving"),
    Action("state", (), _always),
    Action("hint", (), _always, group="screen"),
    Action("reconnect", ("f8",), _always, anywhere=True),
    Action("palette", ("ctrl+p",), _always, 48, anywhere=True, group="screen"),
    Action("help", ("f1",), _always, 46, anywhere=True, group="screen"),
    Action("sign_out", (), _always),
    Action("quit", ("ctrl+q",), _always, anywhere=True),
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}
GROUPS = ("session", "writing", "message", "moving", "screen", "desk")

_SHOWN = {
    "enter": "⏎",
    "alt+enter": "Alt+⏎",
    "escape": "Esc",
    "slash": "/",
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def applies(action: Action, situation: Situation) -> bool:
    """Whether an action can be done now. In a composer that is locked nothing is, but to leave it."""
    if situation.focus == "locked":
        return action.id in ("leave", "quit")
    return action.applies(situation)


def is_about_one(action: Action, situation: Situation) -> bool:
    """Whether an action that applies is about the conversation one has before him."""
    bare = replace(situation, session=None, mine=False, offered=False, can_write=False)
    return not applies(action, bare)


def shown_key(key: str) -> str:
    """A key as it is written for people: ``^P``, ``F2``, ``⏎``, ``t``."""
    if key in _SHOWN:
        return _SHOWN[key]
    if key.startswith("ctrl+"):
        return "^" + key[5:].upper()
    return key.upper() if len(key) > 1 else key


def footer(situation: Situation, count: int = 6) -> list[Action]:
    """The actions that matter most now, the heaviest first."""
    fitting = [a for a in ACTIONS if a.weight and situation.focus in a.where and applies(a, situation)]
    return sorted(fitting, key=lambda a: (not a.urgent(situation), -a.weight))[:count]
