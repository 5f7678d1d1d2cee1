"""``navbat scenario``: a line's rules told as a story, played on the pure Desk with a virtual clock.

No Redis, no waiting: the same file gives the same output every time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from crm.kernel.errors import ConfigError
from crm.kernel.records import Message, Right, customer_of
from navbat.cli import shapes
from navbat.cli.printing import print_json
from navbat.config.file import YamlFile
from navbat.config.lines import Line, Operator
from navbat.lab.story import (
    COMMANDS,
    DUTIES,
    FIXED,
    WRITE,
    Expect,
    Scenario,
    Step,
    StoryCustomer,
    local,
    read,
    when,
)
from router.desk import events
from router.desk.desk import Desk, Known
from router.desk.rules import LineRules
from router.desk.state import Alert, CommandDone, Decided, MessageAdded, Session
from router.wire.frame import CommandFrame
from router.wire.protocol import DecisionView

CHANNEL = "scenario"
YEARS = 10 * 365 * 24 * 3600 * 1000
"""In a scenario every console answers for ever; who is away says so."""
EVERY_RIGHT: list[Right] = ["join_open", "join_silent", "whisper", "take_over"]
HUMAN = {"ru": "оператор", "uz": "operator"}


class Failed(Exception):
    """The story does not go as told."""


class ScenarioResult(msgspec.Struct, kw_only=True):
    """How one scenario went. ``step`` counts from 1; 0 when all is well."""

    name: str
    ok: bool
    step: int = 0
    message: str = ""
    decision: dict[str, Any] | None = None


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
        self._line_of: dict[str, str] = {}
        self._buttons: dict[tuple[str, str], str] = {}
        """(customer, text of a button) -> its data."""
        self._last_operator: dict[str, str] = {}
        self._sessions: dict[str, list[Session]] = {}
        self._sent: dict[str, list[str]] = {}
        self._missed: dict[str, list[str]] = {}
        self._alerts: list[str] = []
        self._decisions: dict[str, Decided] = {}
        self.now = local(scenario.start, scenario.zone)
        self._start = self.now

    def play(self) -> ScenarioResult:
        self._configure()
        names = [name for line in self._lines.values() for name in line.members]
        names += [customer.responsible for customer in self._scenario.customers.values()]
        names += [customer.last_operator for customer in self._scenario.customers.values()]
        for name in dict.fromkeys([*filter(None, names), *self._scenario.operators]):
            told = self._scenario.operators.get(name, Operator()).rules()
            told.rights = {"*": EVERY_RIGHT} if told.rights is None else told.rights
            self._apply(events.OperatorChanged(name=name, **msgspec.structs.asdict(told)))
        for number, step in enumerate(self._scenario.steps, 1):
            self.now = when(step.at, self._start, self._scenario.zone)
            self._desk.advance(self.now)
            self._take_in()
            try:
                self._step(step)
            except Failed as failed:
                return self._failure(number, step, str(failed))
        return ScenarioResult(name=self._scenario.name, ok=True)

    def _failure(self, number: int, step: Step, message: str) -> ScenarioResult:
        about = step.session or (step.expect.session if step.expect else "")
        found = self._sessions.get(about.partition("/")[0])
        decision = self._decisions.get(found[-1].id) if found else None
        return ScenarioResult(
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
                lines={name: self._rules(line) for name, line in self._lines.items()},
                channels={f"{CHANNEL}-{name}": name for name in self._lines},
                presence_timeout=YEARS,
                flows=self._scenario.flows,
            )
        )

    def _rules(self, line: Line) -> LineRules:
        """The line's, in the zone of the scenario where it names none."""
        rules = line.rules()
        if line.zone == Line().zone:
            rules.zone = self._scenario.zone
        return rules

    def _apply(self, event: events.Event, known: Known | None = None) -> None:
        event.at = self.now
        self._desk.apply(event, known)
        self._take_in()

    def _take_in(self) -> None:
        """Notes what the desk told, for the expectations."""
        outcome = self._desk.drain()
        for session in outcome.closed.values():
            self._last_operator[session.chat.partition(":")[2]] = session.holder
        for told in outcome.told:
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
            chat = message.chat.partition(":")[2]
            self._buttons |= {(chat, button.text): button.data for button in message.buttons}
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
        line = step.line or self._line_of.get(name) or next(iter(self._lines))
        self._line_of[name] = line
        where: dict[str, Any] = {"channel": f"{CHANNEL}-{line}", "chat": name}
        last = self._messages.get(name, "")
        customer = self._scenario.customers.get(name, StoryCustomer())
        text = step.writes
        if step.rates is not None:
            text = str(step.rates)
        elif step.asks_for_human:
            text = HUMAN.get(customer.language, "operator")
        if text is not None:
            self._writes(name, customer, text, where)
        elif step.presses is not None:
            self._apply(
                events.ButtonPressed(
                    event_id=f"e{self._number}", message_id="", author=events.Author(id=name, name=name),
                    data=self._buttons.get((name, step.presses), ""), text=step.presses, **where,
                ),
                self._known(name, where),
            )  # fmt: skip
        elif not last:
            raise Failed(f"{name} has not written anything yet")
        elif step.edits is not None:
            self._apply(events.MessageEdited(message_id=last, text=step.edits, **where))
        elif step.deletes:
            self._apply(events.MessageDeleted(message_ids=[last], **where))
        else:
            self._apply(events.Reacted(message_id=last, author=name, emoji=[step.reacts or ""], **where))

    def _writes(self, name: str, customer: StoryCustomer, text: str, where: dict[str, Any]) -> None:
        known = self._known(name, where)
        self._messages[name] = f"m{self._number}"
        self._apply(
            events.MessageReceived(
                event_id=f"e{self._number}",
                message_id=self._messages[name],
                author=events.Author(id=name, name=name, language=customer.language),
                text=text,
                **where,
            ),
            known,
        )

    def _known(self, name: str, where: dict[str, Any]) -> Known | None:
        """Whoever wrote before, or is described in the scenario, is known to the store."""
        if name not in self._scenario.customers and name not in self._messages:
            return None
        customer = self._scenario.customers.get(name, StoryCustomer())
        return Known(
            customer_of(f"{where['channel']}:{name}"),
            name=name,
            language=customer.language,
            responsible=customer.responsible,
            vip=customer.vip,
            last_operator=self._last_operator.get(name, customer.last_operator),
        )

    def _operator(self, step: Step) -> None:
        self._number += 1
        if step.does == WRITE:
            self._apply(events.Writing(operator=step.operator, session=self._session(step.session).id))
            return
        common: dict[str, Any] = {"rid": 0, "id": f"c{self._number}"}
        if step.does in DUTIES:
            command: CommandFrame = events.SetDutyInFull(duty=DUTIES[step.does], **common)  # type: ignore[arg-type]
        else:
            fields = {f: getattr(step, f) for f in ("to", "text", "reason", "result") if getattr(step, f)}
            fields |= FIXED.get(step.does, {})
            if step.priority is not None:
                fields["priority"] = step.priority
            if step.until:
                fields["until"] = self._until(step.until)
            session = self._session(step.session).id
            command = msgspec.convert({"session": session, **fields, **common}, COMMANDS[step.does])
        order = events.ordered(step.operator, command)
        order.at = self.now
        self._desk.apply(order)
        told = self._desk.outcome.told
        done = next(t for t in told if isinstance(t, CommandDone) and t.event_id == order.event_id)
        self._take_in()
        if bool(done.code) != step.refused:
            params = "".join(f" {key}={value}" for key, value in done.params.items())
            raise Failed(f"refused: {done.code}{params}" if done.code else "was not refused")

    def _until(self, text: str) -> int:
        """As ``at``: the time since the start, or a local date and time."""
        try:
            return when(text, self._start, self._scenario.zone)
        except ValueError as error:
            raise Failed(f"until: {error}") from error

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
        _same("sessions", sum(s.status != "spam" for s in self._desk.sessions.values()), expect.sessions)
        if expect.alerts is not None:
            raised, self._alerts = self._alerts, []
            _same("alerts", raised, expect.alerts)

    def _expect_session(self, expect: Expect, session: Session) -> None:
        if expect.holder is not UNSET:
            _same("holder", session.holder, expect.holder or "")
        for field in ("status", "line", "priority", "rating"):
            _same(field, getattr(session, field), getattr(expect, field))
        _same("bot", session.bot_turn.name, expect.bot)
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
        seen = [s for s in self._desk.sessions.values() if operator.name in s.offer.seen_by]
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


def play(path: Path) -> ScenarioResult:
    """Plays one file. Raises ``ConfigError`` when it is no scenario."""
    scenario, file = read(path)
    return Player(scenario, file).play()


def main(args: argparse.Namespace) -> int:
    """``navbat scenario``: 0 when all are well, 1 when one fails, 2 when a file is no scenario."""
    outcomes: list[ScenarioResult] = []
    try:
        outcomes = [play(Path(name)) for name in args.files]
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        print_json([msgspec.to_builtins(outcome) for outcome in outcomes])
    else:
        for line in lines(outcomes):
            print(line)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def lines(outcomes: Sequence[ScenarioResult]) -> Iterator[str]:
    """The outcomes as text, a failure with the decision behind it."""
    for outcome in outcomes:
        if outcome.ok:
            yield f"ok {outcome.name}"
            continue
        yield f"FAILED {outcome.name}, step {outcome.step}: {outcome.message}"
        if outcome.decision:
            decision = outcome.decision
            chosen = decision.get("chosen") or ("everybody" if decision["why"] == "all" else "nobody")
            yield f"  {decision['why']}: chose {chosen}"
            yield f"  among {', '.join(decision.get('candidates', [])) or 'nobody'}"
            for name, reason in decision.get("dropped", {}).items():
                yield f"  not {name}: {reason}"
