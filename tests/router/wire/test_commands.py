"""Commands as they have been on the wire and in the log: what is written down in ``tests/data/commands`` is read
and written as it stands there, and each command names its right."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.desk import events
from router.desk.commands.conversations import COMMANDS as APPLIED
from router.gateway.access import RIGHTS, SEPARATE
from router.wire import commands, protocol

DATA = Path(__file__).parents[2] / "data" / "commands"
FRAMES: dict[str, str] = json.loads((DATA / "frames.json").read_text())
ENTRIES: dict[str, dict[str, Any]] = json.loads((DATA / "entries.json").read_text())
COMMANDS = commands.declared()


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_written_word_for_word_as_before(name: str) -> None:
    frame = protocol.decode_client(FRAMES[name])
    assert type(frame).__name__ == name
    assert protocol.encode_frame(frame).decode() == FRAMES[name]


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_the_log_is_read_and_written_as_before(name: str) -> None:
    """With the same names and values: what was written before is read, and what is written now was readable
    before."""
    data = base64.b64decode(ENTRIES[name]["entry"])
    assert msgspec.msgpack.decode(data) == ENTRIES[name]["fields"]
    event = events.decode_event(data)
    assert msgspec.msgpack.decode(events.encode_event(event)) == ENTRIES[name]["fields"]
    assert events.decode_event(events.encode_event(event)) == event


@pytest.mark.parametrize("name", FRAMES)
def test_what_the_desk_carries_out_is_what_the_client_sent(name: str) -> None:
    """But for the number and the mark that concern the connection alone."""
    frame = protocol.decode_client(FRAMES[name])
    assert isinstance(frame, protocol.CommandFrame)
    full = msgspec.structs.asdict(frame)
    if isinstance(frame, (protocol.EditMessage, protocol.Start)):
        full |= {"external_id": "55"} if isinstance(frame, protocol.EditMessage) else {"channel": "tg"}
        frame = events.IN_FULL[type(frame)](**full)
    read = events.decode_event(events.encode_event(events.ordered("anna", frame)))
    assert isinstance(read, events.Ordered)
    assert (read.operator, read.event_id) == ("anna", "anna/c1")
    assert isinstance(read.command, getattr(commands, name))
    assert msgspec.structs.asdict(read.command).items() >= (full | {"rid": 0, "again": False}).items()


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


def test_every_command_is_a_frame_of_the_client_and_the_desk_carries_it_out() -> None:
    assert {kind for kind in protocol.CLIENT_FRAMES if issubclass(kind, protocol.CommandFrame)} == set(
        COMMANDS
    )
    assert set(events.COMMANDS.values()) == set(APPLIED)


@pytest.mark.parametrize(("kind", "full"), events.IN_FULL.items())
def test_what_a_gateway_fills_in_says_nothing_anew(
    kind: type[protocol.CommandFrame], full: type[protocol.CommandFrame]
) -> None:
    """Else a field would be declared twice."""
    assert full.__bases__ == (kind,)
    assert full.__annotations__.keys().isdisjoint(kind.__struct_fields__)


@pytest.mark.parametrize("full", events.IN_FULL.values())
def test_what_a_gateway_fills_in_is_not_taken_from_a_client(full: type[protocol.CommandFrame]) -> None:
    name = next(kind.__name__ for kind, other in events.IN_FULL.items() if other is full)
    own = {key: ENTRIES[name]["fields"].get(key) for key in full.__annotations__}
    frame = protocol.decode_client(json.dumps({**own, **json.loads(FRAMES[name])}))
    assert protocol.encode_frame(frame).decode() == FRAMES[name]


NUDGE = """
class Nudge(SessionCommandFrame, kw_only=True):
    right: ClassVar[str] = "lead"
    how: str = "gently"
    times: Number = 1
"""
"""One more command, at the end of the file in which they are declared."""

WITH_NUDGE = """
import importlib.util, json, sys
from pathlib import Path

spec = importlib.util.find_spec("router.wire.commands")
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
exec(compile(Path(spec.origin).read_text(encoding="utf-8") + sys.argv[1], spec.origin, "exec"), module.__dict__)

import msgspec
from router.desk import events
from router.desk.commands.conversations import COMMANDS as APPLIED
from router.desk.commands.conversations import COMMANDS
from router.desk.state import CommandDone
from router.wire import protocol
from tests.router.desk.world import World

frame = protocol.decode_client('{"t":"Nudge","rid":3,"id":"n","session":"1","times":2}')
data = events.encode_event(events.ordered("anna", frame))
order = events.decode_event(data)

def nudge(floor, command, by):
    session = floor.sessions[command.session]
    floor.system(session, "nudged", by=by, how=command.how, times=str(command.times))
    return session

unapplied = sorted(kind.__name__ for kind in set(events.COMMANDS.values()) - set(COMMANDS))
COMMANDS[protocol.Nudge] = nudge
world = World("anna")
world.writes("ali")
world.happens(order)
(done,) = [told for told in world.told if isinstance(told, CommandDone)]
print(json.dumps({
    "sent": protocol.encode_frame(frame).decode(),
    "needs": frame.needs,
    "entry": msgspec.msgpack.decode(data),
    "unapplied": unapplied,
    "done": [done.event_id, done.operator, done.code],
    "message": world.messages("system")[-1],
}))
"""


def test_a_command_declared_in_one_place_is_known_everywhere() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITH_NUDGE, NUDGE], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "sent": '{"t":"Nudge","rid":3,"id":"n","session":"1","times":2}',
        "needs": "lead",
        "entry": {
            "t": "Nudge", "event_id": "anna/n", "operator": "anna", "session": "1", "times": 2,
        },
        "unapplied": ["Nudge"],
        "done": ["anna/n", "anna", ""],
        "message": "nudged|by=anna|how=gently|times=2",
    }  # fmt: skip
