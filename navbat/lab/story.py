"""What a scenario file may say: the words of a story about a line's rules, and how one is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, UnsetType

from navbat.config import flows
from navbat.config.declared import Settings
from navbat.config.file import KeyPath, YamlFile, parse_duration
from navbat.config.lines import Line, Operator, joint_problems, operator_problems, problems
from router.desk import events
from router.wire import commands
from router.wire.frame import CommandFrame

DUTIES = {"online": "online", "break": "break", "offline": "offline"}
COMMANDS: dict[str, type[CommandFrame]] = {
    "take": commands.Take,
    "skip": commands.Skip,
    "return": commands.Return,
    "say": events.SayInFull,
    "note": commands.Note,
    "transfer": commands.Transfer,
    "close": commands.Close,
    "pin": commands.Pin,
    "unpin": commands.Pin,
    "whisper": commands.Whisper,
    "take_over": commands.TakeOver,
    "join_open": commands.Join,
    "join_silent": commands.Join,
    "leave": commands.Join,
    "snooze": commands.Snooze,
    "spam": commands.Spam,
    "unmute": commands.Spam,
    "priority": commands.SetPriority,
}
FIXED: dict[str, dict[str, Any]] = {
    "unpin": {"on": False},
    "join_silent": {"silent": True},
    "leave": {"on": False},
    "unmute": {"on": False},
}
"""What some words mean beside the command that they stand for."""
WRITE = "write"
"""Not a command: keys in the composer of what is offered to him."""
CUSTOMER_ACTIONS = ("writes", "edits", "deletes", "reacts", "rates", "presses", "asks_for_human")
NEEDS = {"say": "text", "note": "text", "whisper": "text", "transfer": "to", "priority": "priority"}


class StoryCustomer(Settings, frozen=True):
    """A customer of the scenario; whoever writes exists anyway."""

    language: str = ""
    responsible: str = ""
    last_operator: str = ""
    vip: bool = False


class Expect(Settings, frozen=True):
    """What must be true now."""

    session: str = ""
    status: str | None = None
    holder: str | UnsetType | None = UNSET
    """Null and the empty text are nobody."""
    line: str | None = None
    priority: int | None = None
    rating: int | None = None
    bot: str | None = None
    sent: list[str] | None = None
    candidates: list[str] | None = None
    missed: list[str] | None = None
    backlog: dict[str, list[str]] | None = None
    operator: str = ""
    duty: str | None = None
    load: int | None = None
    offers: int | None = None
    taken: int | None = None
    sessions: int | None = None
    alerts: list[str] | None = None


class Step(Settings, frozen=True):
    """One line of the story: what a customer, an operator or an administrator does, or an ``expect``."""

    at: str
    customer: str = ""
    writes: str | None = None
    edits: str | None = None
    deletes: bool = False
    reacts: str | None = None
    rates: int | None = None
    presses: str | None = None
    asks_for_human: bool = False
    operator: str = ""
    does: Literal[
        "", "online", "break", "offline", "take", "skip", "return", "say", "note", "transfer", "close", "pin",
        "unpin", "whisper", "take_over", "join_open", "join_silent", "leave", "snooze", "spam", "unmute",
        "priority", "write",
    ] = ""  # fmt: skip
    session: str = ""
    until: str = ""
    priority: int | None = None
    to: str = ""
    text: str = ""
    reason: str = ""
    result: str = ""
    refused: bool = False
    line: str = ""
    set: dict[str, Any] | None = None
    members: list[str] | None = None
    dismiss: str = ""
    expect: Expect | None = None


class Scenario(Settings, frozen=True):
    """One file."""

    name: str
    lines: dict[str, Line]
    steps: list[Step]
    zone: str = "UTC"
    start: Annotated[str, msgspec.Meta(description="local time of the zone")] = "2026-01-05 09:00"
    operators: dict[str, Operator] = msgspec.field(default_factory=dict)
    customers: dict[str, StoryCustomer] = msgspec.field(default_factory=dict)
    flows: dict[str, Any] = msgspec.field(default_factory=dict)


# ------------------------------------------------------------------ reading


def read(path: Path) -> tuple[Scenario, YamlFile]:
    """Raises ``ConfigError`` with every problem of the file."""
    file = YamlFile(path, env={})
    scenario = file.build(Scenario, file.tree)
    file.raise_problems()
    assert isinstance(scenario, Scenario)
    _check(scenario, file)
    bots = [line.bot for line in scenario.lines.values() if isinstance(line.bot, str)]
    scenario = msgspec.structs.replace(scenario, flows=flows.collect(file, bots, path.parent / "flows"))
    file.raise_problems()
    return scenario, file


def _check(scenario: Scenario, file: YamlFile) -> None:
    try:
        ZoneInfo(scenario.zone)
    except (ZoneInfoNotFoundError, ValueError):
        file.problem(("zone",), f"there is no time zone {scenario.zone!r}")
        return
    if not scenario.lines:
        file.problem(("lines",), "a scenario needs a line")
    for key, problem in _setting_problems(scenario):
        file.problem(key, problem)
    last = 0
    try:
        start = local(scenario.start, scenario.zone)
    except ValueError as error:
        file.problem(("start",), str(error))
        return
    for number, step in enumerate(scenario.steps):
        path: KeyPath = ("steps", number)
        for problem in _problems(scenario, step):
            file.problem(path, problem)
        try:
            at = when(step.at, start, scenario.zone)
        except ValueError as error:
            file.problem((*path, "at"), str(error))
            continue
        if at < last:
            file.problem((*path, "at"), "steps must not go back in time")
        last = max(last, at)


def _setting_problems(scenario: Scenario) -> Iterator[tuple[KeyPath, str]]:
    for name, line in scenario.lines.items():
        for key, problem in problems(line):
            yield ("lines", name, *key), problem
    for key, problem in joint_problems(scenario.lines):
        yield ("lines", *key), problem
    for name, operator in scenario.operators.items():
        for key, problem in operator_problems(operator):
            yield ("operators", name, *key), problem


def _problems(scenario: Scenario, step: Step) -> Iterator[str]:
    """What is wrong with one step by itself."""
    changes = step.set is not None or step.members is not None
    kinds = [bool(step.customer), bool(step.operator), changes, bool(step.dismiss), step.expect is not None]
    if sum(kinds) != 1:
        yield "a step is one of: customer, operator, line with set or members, dismiss, expect"
    if step.customer and sum(_given(step, action) for action in CUSTOMER_ACTIONS) != 1:
        yield f"a customer does one of: {', '.join(CUSTOMER_ACTIONS)}"
    if step.operator and not step.does:
        yield f"does is missing: one of {', '.join([*DUTIES, *COMMANDS, WRITE])}"
    if step.does in (*COMMANDS, WRITE) and not step.session:
        yield "session is missing: the customer whose conversation it is"
    if step.rates is not None and not 1 <= step.rates <= 5:
        yield "a rating is a digit from 1 to 5"
    if step.does in NEEDS and getattr(step, NEEDS[step.does]) in ("", None):
        yield f"{NEEDS[step.does]} is missing"
    if (step.line or changes) and step.line not in scenario.lines:
        yield f"there is no line {step.line!r}: {', '.join(scenario.lines)}"


def _given(step: Step, action: str) -> bool:
    value = getattr(step, action)
    return value is not None and value is not False


def local(text: str, zone: str) -> int:
    """A local date and time as ms. Raises ``ValueError``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a local date and time such as 2026-03-02 09:00, not {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() * 1000)


def when(at: str, start: int, zone: str) -> int:
    """A step's time in ms: since the start, or a local date and time. Raises ``ValueError``."""
    if "-" in at:
        return local(at, zone)
    return start + parse_duration(at)
