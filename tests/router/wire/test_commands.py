"""Commands as they have been on the wire and in the log: what is written down in ``tests/data/commands`` is read
and written as it stands there, and each command names its right."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from router.desk import events
from router.gateway.access import RIGHTS, SEPARATE
from router.wire import commands, protocol

DATA = Path(__file__).parents[2] / "data" / "commands"
FRAMES: dict[str, str] = json.loads((DATA / "frames.json").read_text())
ENTRIES: dict[str, dict[str, Any]] = json.loads((DATA / "entries.json").read_text())
COMMANDS: list[type[protocol.CommandFrame]] = [
    kind for kind in get_args(protocol.ClientFrame) if issubclass(kind, protocol.CommandFrame)
]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_written_word_for_word_as_before(name: str) -> None:
    frame = protocol.decode_client(FRAMES[name])
    assert type(frame).__name__ == name
    assert protocol.encode_frame(frame).decode() == FRAMES[name]


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_the_log_is_read_as_before(name: str) -> None:
    event = events.decode_event(base64.b64decode(ENTRIES[name]["entry"]))
    assert msgspec.to_builtins(event) == ENTRIES[name]["fields"]


def test_every_command_is_written_down() -> None:
    assert {kind.__name__ for kind in COMMANDS} == set(FRAMES)


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_command_names_its_right_in_its_own_class(kind: type[protocol.CommandFrame]) -> None:
    assert vars(kind).get("right") in {"", *SEPARATE}.union(*RIGHTS.values())
    assert getattr(commands, kind.__name__) is kind


@pytest.mark.parametrize(
    ("right", "names"),
    [
        ("", {"SetDuty"}),
        ("read", {"MarkRead"}),
        ("whisper", {"Whisper"}),
        ("take_over", {"TakeOver"}),
        ("join_open", {"Join"}),
        ("lead", {"Score"}),
        ("work", {"Say", "Note", "Take", "Skip", "Return", "Transfer", "Close", "Pin", "Resend", "EditMessage",
                  "Start", "Snooze", "Spam", "SetPriority", "Tag"}),
    ],
)  # fmt: skip
def test_the_right_of_a_command(right: str, names: set[str]) -> None:
    assert {kind.__name__ for kind in COMMANDS if kind.right == right} == names


@pytest.mark.parametrize(
    ("silent", "on", "right"),
    [(False, True, "join_open"), (True, True, "join_silent"), (True, False, "read"), (False, False, "read")],
)
def test_who_leaves_needs_no_more_than_to_read(silent: bool, on: bool, right: str) -> None:
    assert commands.Join(rid=1, id="c", session="1", silent=silent, on=on).needs == right


@pytest.mark.parametrize("kind", COMMANDS)
def test_no_command_has_a_field_for_who_gives_it(kind: type[protocol.CommandFrame]) -> None:
    assert not {"operator", "by", "at", "event_id", "attempt"} & set(kind.__struct_fields__)


def test_every_command_is_a_frame_of_the_client() -> None:
    declared = {kind for kind in vars(commands).values() if isinstance(kind, type)}
    bases = {protocol.CommandFrame, protocol.SessionCommandFrame}
    assert {kind for kind in declared if issubclass(kind, protocol.CommandFrame)} - bases == set(COMMANDS)


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_desk_knows_every_command_with_all_its_fields(kind: type[protocol.CommandFrame]) -> None:
    event = getattr(events, kind.__name__)
    assert event in get_args(events.AnyEvent)
    assert set(kind.__struct_fields__) - {"rid", "id", "again"} <= set(event.__struct_fields__)
