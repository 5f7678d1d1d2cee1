"""``navbat scenario``: a line's rules told as a story, played on the pure Desk with a virtual clock.

No Redis, no waiting: the same file gives the same output every time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from crm.errors import ConfigError
from crm.records import Message
from navbat import shapes
from navbat.line_settings import Line, Settings
from navbat.yamlfile import KeyPath, YamlFile, parse_duration
from router import events
from router.desk import Desk
from router.protocol import DecisionView
from router.state import Alert, CommandDone, Decided, MessageAdded, Session

CHANNEL = "scenario"
YEARS = 10 * 365 * 24 * 3600 * 1000
"""In a scenario every console answers for ever; who is away says so."""

DUTIES = {"online": "online", "break": "break", "offline": "offline"}
COMMANDS: dict[str, type[events.Command]] = {
    "take": events.Take,
    "skip": events.Skip,
    "return": events.Return,
    "say": events.Say,
    "note": events.Note,
    "transfer": events.Transfer,
    "close": events.Close,
    "pin": events.Pin,
    "unpin": events.Pin,
}
CUSTOMER_ACTIONS = ("writes", "edits", "deletes", "reacts")
NEEDS = {"say": "text", "note": "text", "transfer": "to"}


class Operator(Settings, frozen=True):
    """An operator of the scenario; members of lines need not be named."""

    max_sessions: int = 1000


class Customer(Settings, frozen=True):
    """A customer of the scenario; whoever writes exists anyway."""

    language: str = ""


class Expect(Settings, frozen=True):
    """What must be true now."""

    session: str = ""
    status: str | None = None
    holder: str | None = None
    line: str | None = None
    priority: int | None = None
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
    operator: str = ""
    does: Literal[
        "", "online", "break", "offline", "take", "skip", "return", "say", "note", "transfer", "close", "pin",
        "unpin",
    ] = ""  # fmt: skip
    session: str = ""
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
    customers: dict[str, Customer] = msgspec.field(default_factory=dict)


class Failed(Exception):
    """The story does not go as told."""


class Outcome(msgspec.Struct, kw_only=True):
    """How one scenario went. ``step`` counts from 1; 0 when all is well."""

    name: str
    ok: bool
    step: int = 0
    message: str = ""
    decision: dict[str, Any] | None = None


# ------------------------------------------------------------------ reading


def read(path: Path) -> tuple[Scenario, YamlFile]:
    """Raises ``ConfigError`` with every problem of the file."""
    file = YamlFile(path, env={})
    scenario = file.build(Scenario, file.tree)
    file.raise_problems()
    assert isinstance(scenario, Scenario)
    _check(scenario, file)
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
    last = 0
    try:
        start = _local(scenario.start, scenario.zone)
    except ValueError as error:
        file.problem(("start",), str(error))
        return
    for number, step in enumerate(scenario.steps):
        path: KeyPath = ("steps", number)
        for problem in _problems(scenario, step):
            file.problem(path, problem)
        try:
            at = _when(step.at, start, scenario.zone)
        except ValueError as error:
            file.problem((*path, "at"), str(error))
            continue
        if at < last:
            file.problem((*path, "at"), "steps must not go back in time")
        last = max(last, at)


def _problems(scenario: Scenario, step: Step) -> Iterator[str]:
    """What is wrong with one step by itself."""
    changes = step.set is not None or step.members is not None
    kinds = [bool(step.customer), bool(step.operator), changes, bool(step.dismiss), step.expect is not None]
    if sum(kinds) != 1:
        yield "a step is one of: customer, operator, line with set or members, dismiss, expect"
    if step.customer and sum(_given(step, action) for action in CUSTOMER_ACTIONS) != 1:
        yield f"a customer does one of: {', '.join(CUSTOMER_ACTIONS)}"
    if step.operator and not step.does:
        yield f"does is missing: one of {', '.join([*DUTIES, *COMMANDS])}"
    if step.does in COMMANDS and not step.session:
        yield "session is missing: the customer whose conversation it is"
    if step.does in NEEDS and not getattr(step, NEEDS[step.does]):
        yield f"{NEEDS[step.does]} is missing"
    if (step.line or changes) and step.line not in scenario.lines:
        yield f"there is no line {step.line!r}: {', '.join(scenario.lines)}"


def _given(step: Step, action: str) -> bool:
    value = getattr(step, action)
    return value is not None and value is not False


def _local(text: str, zone: str) -> int:
    """A local date and time as ms. Raises ``ValueError``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a local date and time such as 2026-03-02 09:00, not {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() * 1000)


def _when(at: str, start: int, zone: str) -> int:
    """A step's time in ms: since the start, or a local date and time. Raises ``ValueError``."""
    if "-" in at:
        return _local(at, zone)
    return start + parse_duration(at)


# ------------------------------------------------------------------ playing


class Player:
    """Plays one scenario."""

    def __init__(self, scenario: Scenario, file: YamlFile) -> None:
        self._scenario = scenario
        self._file = file
        self._desk = Desk()
        self._lines = dict(scenario.lines)
        self._number = 0
        self._messages: dict[str, str] = {}
        self._sessions: dict[str, list[Session]] = {}
        self._sent: dict[str, list[str]] = {}
        self._missed: dict[str, list[str]] = {}
        self._alerts: list[str] = []
        self._decisions: dict[str, Decided] = {}
        self.now = _local(scenario.start, scenario.zone)
        self._start = self.now

    def play(self) -> Outcome:
        self._configure()
        names = [name for line in self._lines.values() for name in line.members]
        for name in dict.fromkeys([*names, *self._scenario.operators]):
            settings = self._scenario.operators.get(name, Operator())
            self._apply(events.OperatorChanged(name=name, max_sessions=settings.max_sessions))
        for number, step in enumerate(self._scenario.steps, 1):
            self.now = _when(step.at, self._start, self._scenario.zone)
            self._desk.advance(self.now)
            self._take_in()
            try:
                self._step(step)
            except Failed as failed:
                return self._failure(number, step, str(failed))
        return Outcome(name=self._scenario.name, ok=True)

    def _failure(self, number: int, step: Step, message: str) -> Outcome:
        about = step.session or (step.expect.session if step.expect else "")
        found = self._sessions.get(about.partition("/")[0])
        decision = self._decisions.get(found[-1].id) if found else None
        return Outcome(
            name=self._scenario.name,
            ok=False,
            step=number,
            message=message,
            decision=shapes.decision(msgspec.convert(decision, DecisionView, from_attributes=True))
            if decision
            else None,
        )

    def _configure(self) -> None:
        self._apply(
            events.LinesConfigured(
                lines={name: line.rules() for name, line in self._lines.items()},
                channels={f"{CHANNEL}-{name}": name for name in self._lines},
                presence_timeout=YEARS,
            )
        )

    def _apply(self, event: events.Event) -> None:
        event.at = self.now
        self._desk.apply(event)
        self._take_in()

    def _take_in(self) -> None:
        """Notes what the desk told, for the expectations."""
        for told in self._desk.drain().told:
            if isinstance(told, MessageAdded):
                self._note(told.message)
            elif isinstance(told, Decided):
                self._decisions[told.session] = told
            elif isinstance(told, Alert):
                self._alerts.append(told.name)
        for session in self._desk.sessions.values():
            mine = self._sessions.setdefault(session.chat.partition(":")[2], [])
            if session not in mine:
                mine.append(session)

    def _note(self, message: Message) -> None:
        if message.direction == "out":
            text = f"notice:{message.notice}" if message.notice else message.text
            self._sent.setdefault(message.session, []).append(text)
        if message.direction == "system" and message.text.startswith("missed|operator="):
            self._missed.setdefault(message.session, []).append(message.text.partition("=")[2])

    # -------------------------------------------------------------- steps

    def _step(self, step: Step) -> None:
        if step.customer:
            self._customer(step)
        elif step.operator:
            self._operator(step)
        elif step.expect is not None:
            self._expect(step.expect)
        elif step.dismiss:
            self._apply(events.OperatorChanged(name=step.dismiss, disabled=True))
        else:
            self._change_line(step)

    def _customer(self, step: Step) -> None:
        name, self._number = step.customer, self._number + 1
        line = step.line or next(iter(self._lines))
        where: dict[str, Any] = {"channel": f"{CHANNEL}-{line}", "chat": name}
        last = self._messages.get(name, "")
        if step.writes is not None:
            self._messages[name] = f"m{self._number}"
            language = self._scenario.customers.get(name, Customer()).language
            self._apply(
                events.MessageReceived(
                    event_id=f"e{self._number}",
                    message_id=self._messages[name],
                    author=events.Author(id=name, name=name, language=language),
                    text=step.writes,
                    **where,
                )
            )
        elif not last:
            raise Failed(f"{name} has not written anything yet")
        elif step.edits is not None:
            self._apply(events.MessageEdited(message_id=last, text=step.edits, **where))
        elif step.deletes:
            self._apply(events.MessageDeleted(message_ids=[last], **where))
        else:
            self._apply(events.Reacted(message_id=last, author=name, emoji=[step.reacts or ""], **where))

    def _operator(self, step: Step) -> None:
        self._number += 1
        common: dict[str, Any] = {"operator": step.operator, "event_id": f"c{self._number}"}
        if step.does in DUTIES:
            command: events.Command = events.SetDuty(duty=DUTIES[step.does], **common)  # type: ignore[arg-type]
        else:
            fields = {f: getattr(step, f) for f in ("to", "text", "reason", "result") if getattr(step, f)}
            if step.does in ("pin", "unpin"):
                fields["on"] = step.does == "pin"
            session = self._session(step.session).id
            command = msgspec.convert({"session": session, **fields, **common}, COMMANDS[step.does])
        command.at = self.now
        self._desk.apply(command)
        told = self._desk.outcome.told
        done = next(t for t in told if isinstance(t, CommandDone) and t.event_id == command.event_id)
        self._take_in()
        if bool(done.code) != step.refused:
            params = "".join(f" {key}={value}" for key, value in done.params.items())
            raise Failed(f"refused: {done.code}{params}" if done.code else "was not refused")

    def _change_line(self, step: Step) -> None:
        line, before = self._lines[step.line], len(self._file.problems)
        given = {**(step.set or {})}
        if step.members is not None:
            given["members"] = step.members
        built = self._file.build(Line, given, ("steps", "set"))
        if len(self._file.problems) > before:
            raise Failed(self._file.problems[-1].rpartition(": ")[2])
        self._lines[step.line] = msgspec.structs.replace(line, **{key: getattr(built, key) for key in given})
        self._configure()

    # -------------------------------------------------------------- expectations

    def _session(self, name: str) -> Session:
        """``ali`` is his newest session, ``ali/2`` his second one."""
        customer, _, number = name.partition("/")
        found = self._sessions.get(customer, [])
        if not found or (number and not (number.isdecimal() and 0 < int(number) <= len(found))):
            raise Failed(f"there is no session {name}")
        return found[int(number) - 1] if number else found[-1]

    def _expect(self, expect: Expect) -> None:
        if expect.session:
            self._expect_session(expect, self._session(expect.session))
        if expect.operator:
            self._expect_operator(expect)
        for line, expected in (expect.backlog or {}).items():
            if line not in self._desk.queues:
                raise Failed(f"there is no line {line}")
            waiting = [s.chat.partition(":")[2] for s in self._desk.queues[line].waiting()]
            _same(f"backlog of {line}", waiting, expected)
        _same("sessions", len(self._desk.sessions), expect.sessions)
        if expect.alerts is not None:
            raised, self._alerts = self._alerts, []
            _same("alerts", raised, expect.alerts)

    def _expect_session(self, expect: Expect, session: Session) -> None:
        for field in ("status", "holder", "line", "priority"):
            _same(field, getattr(session, field), getattr(expect, field))
        if expect.sent is not None:
            _same("sent", self._sent.pop(session.id, []), expect.sent)
        decision = self._decisions.get(session.id)
        _same("candidates", decision.candidates if decision else [], expect.candidates)
        _same("missed", self._missed.get(session.id, []), expect.missed)

    def _expect_operator(self, expect: Expect) -> None:
        operator = self._desk.operators.get(expect.operator)
        if operator is None:
            raise Failed(f"there is no operator {expect.operator}")
        held = [self._desk.sessions[id] for id in self._desk.held.get(operator.name, ())]
        seen = [s for s in self._desk.sessions.values() if operator.name in s.seen_by]
        offers = sum(s.status == "offered" for s in held) + len(seen)
        _same("duty", operator.duty, expect.duty)
        _same("load", operator.load, expect.load)
        _same("offers", offers, expect.offers)
        _same("taken", sum(s.status != "offered" for s in held), expect.taken)


def _same(what: str, found: Any, expected: Any) -> None:
    if expected is not None and found != expected:
        raise Failed(f"{what} is {_show(found)}, expected {_show(expected)}")


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_show, value)) + "]"
    return str(value) if value != "" else "nobody"


# ------------------------------------------------------------------ the command


def play(path: Path) -> Outcome:
    """Plays one file. Raises ``ConfigError`` when it is no scenario."""
    scenario, file = read(path)
    return Player(scenario, file).play()


def main(args: argparse.Namespace) -> int:
    """``navbat scenario``: 0 when all are well, 1 when one fails, 2 when a file is no scenario."""
    outcomes: list[Outcome] = []
    try:
        outcomes = [play(Path(name)) for name in args.files]
    except ConfigError as error:
        import sys

        print(error, file=sys.stderr)
        return 2
    if args.json:
        print(
            json.dumps([msgspec.to_builtins(outcome) for outcome in outcomes], indent=2, ensure_ascii=False)
        )
    else:
        for line in lines(outcomes):
            print(line)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The outcomes as text, a failure with the decision behind it."""
    for outcome in outcomes:
        if outcome.ok:
            yield f"ok {outcome.name}"
            continue
        yield f"FAILED {outcome.name}, step {outcome.step}: {outcome.message}"
        if outcome.decision:
            decision = outcome.decision
            yield f"  {decision['why']}: chose {decision.get('chosen') or 'everybody'}"
            yield f"  among {', '.join(decision.get('candidates', [])) or 'nobody'}"
            for name, reason in decision.get("dropped", {}).items():
                yield f"  not {name}: {reason}"
