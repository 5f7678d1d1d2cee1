"""The Desk: one pure state machine. ``apply`` takes the events of the log in order, ``advance`` lets
due timers fire, ``drain`` hands over what changed. The same input always gives the same output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crm.kernel.errors import Refused
from crm.kernel.records import MessageChange
from crm.kernel.text import one_line
from router.desk import again, customers, duty, erasing, events, settings
from router.desk.commands import writing
from router.desk.commands.conversations import COMMANDS
from router.desk.dispatch import settle
from router.desk.events import LinesConfigured
from router.desk.fired import fire
from router.desk.floor import Floor, Outcome
from router.desk.shifting import shift_refusal
from router.desk.state import CommandDone, Known, MessageChanged, OperatorState, Refusal, Session
from router.desk.timers import CALENDAR, TimerFailed
from router.wire import commands
from router.wire.frame import SessionCommandFrame

__all__ = ["Desk", "Known"]

REFUSALS_LAST = 600_000
"""ms: longer than any gateway needs from taking a command to appending it."""
REFUSALS_MAX = 200


class Desk(Floor):
    """The floor with its rules. See the queue rules for what each event does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}
        """Operator -> the last heartbeat of one of his consoles."""
        self.failing: dict[tuple[str, str], str] = {}
        """Timers, as (owner, kind), that are set aside instead of fired, and why."""
        self.resumed_at = 0
        """When this desk was taken up after an interruption: what fell due before fires once, then,
        and not as often as it would have in between."""
        self.refusals: dict[str, Refusal] = {}
        """Commands refused lately."""

    # ---------------------------------------------------------------- saved state

    def restore(
        self,
        fields: dict[str, bytes],
        sessions: Sequence[Session],
        operators: Sequence[OperatorState],
        resumed_at: int = 0,
    ) -> None:
        """Takes up the state that was last committed. Consoles that answered then get their whole
        ``presence_timeout`` from ``resumed_at`` on: nobody could be heard in between."""
        self.resumed_at = resumed_at
        decode = msgspec.msgpack.decode
        self.next_session = decode(fields["next_session"]) if "next_session" in fields else 1
        self.stamp = decode(fields["stamp"]) if "stamp" in fields else 0
        self.seen = decode(fields["seen"], type=dict[str, int]) if "seen" in fields else {}
        self.seen = {name: resumed_at or at for name, at in self.seen.items()}
        if "refusals" in fields:
            self.refusals = decode(fields["refusals"], type=dict[str, Refusal])
        for operator in operators:
            operator.load = 0
            self.operators[operator.name] = operator
        revisions = {operator.name: operator.rev for operator in operators}
        self.clock = decode(fields["clock"]) if "clock" in fields else 0
        # Followed until a moment that has not come, by a clock that was set back: looked at anew.
        self.clock = min(self.clock, resumed_at or self.clock)
        self.pace = decode(fields["pace"], type=dict[str, tuple[int, int]]) if "pace" in fields else {}
        if "configured" in fields:
            settings.configure(self, decode(fields["configured"], type=LinesConfigured))
        for session in sessions:
            self.sessions[session.id] = session
            self.seat(session)
            if session.holder:
                self.held.setdefault(session.holder, {})[session.id] = None
            self.recharge(session)
            if session.timers:
                self.timers.restore(session.id, session.timers)
        self.timers.restored()
        for name, at in self.seen.items():
            self.timers.arm(name, "presence", at + self.configured.presence_timeout)
        self._take_up_waiting()
        self.outcome = Outcome()
        # Counting anew what they hold is no change of theirs.
        for name, rev in revisions.items():
            self.operators[name].rev = rev

    def shifted(self, by: int) -> None:
        """Its sessions were moved by so many ms before it took them up: the rest follows, and all of it
        is to be saved."""
        self.pace = {line: (at + by, mean) for line, (at, mean) in self.pace.items()}
        for refusal in self.refusals.values():
            shift_refusal(refusal, by)
        self.outcome.fields |= {"pace", "refusals", "clock"}
        for session in self.sessions.values():
            self.touch(session)

    def _take_up_waiting(self) -> None:
        """The queues, and what the next event has to look at, from the sessions alone."""
        waiting: dict[str, list[Session]] = {}
        for session in self.sessions.values():
            if self.waits(session):
                waiting.setdefault(session.line, []).append(session)
                self.look_for_overflow(session)
        for line, sessions in waiting.items():
            self.queues[line].put_all(sessions)
        self.stirred.update(waiting)

    def field(self, name: str) -> bytes:
        """The desk's own field as it is saved."""
        value = getattr(self, name)
        return msgspec.msgpack.encode(value)

    def drain(self) -> Outcome:
        """What has changed since the last time."""
        outcome, self.outcome = self.outcome, Outcome()
        if "refusals" in outcome.fields:
            self._date_refusals()
        return outcome

    def _date_refusals(self) -> None:
        """The newest become certain with this batch; what is too old to matter is forgotten."""
        for refusal in self.refusals.values():
            refusal.at = refusal.at or self.now
        kept = [(id, r) for id, r in self.refusals.items() if r.at > self.now - REFUSALS_LAST]
        self.refusals = dict(kept[-REFUSALS_MAX:])

    # ---------------------------------------------------------------- time and events

    def advance(self, now: int) -> None:
        """Lets every timer due at or before ``now`` fire, in due order. Raises ``TimerFailed``: this desk
        must then be thrown away."""
        if now < self.resumed_at:
            self.now = max(self.now, now)
            return
        if self.resumed_at > self.now:
            self.now = self.resumed_at
            self._catch_up()
        while fired := self.timers.pop_due(now):
            due, owner, kind = fired
            self.now = max(self.now, due)
            self._fire(owner, kind)
        self.now = max(self.now, now)

    def _fire(self, owner: str, kind: str, *, settled: bool = True) -> None:
        if self.failing and (owner, kind) in self.failing:
            again.set_timer_aside(self, owner, kind, self.failing.pop((owner, kind)))
            return
        self.outcome.fired.append((owner, kind))
        try:
            if kind == "presence":
                self._presence_due(owner)
            elif kind == CALENDAR:
                settings.calendar_turned(self, self.queues[owner])
            else:
                fire(self, self.sessions[owner], kind)
            if settled:
                settle(self)
        except Exception as error:
            raise TimerFailed(owner, kind) from error

    def _catch_up(self) -> None:
        """All that is late is of one instant now: first hours, shifts and absences, then the timers."""
        for queue in list(self.queues.values()):
            due = self.timers.due(queue.name, CALENDAR)
            if due is not None and due <= self.now:
                self.timers.disarm(queue.name, CALENDAR)
                self._fire(queue.name, CALENDAR, settled=False)
        settle(self)

    def apply(self, event: events.Event, known: Known | None = None) -> None:
        """Takes one event. ``known``: who writes in its chat, when that was looked up."""
        self.advance(event.at)
        if isinstance(event, events.Command):
            self._command(event)
        elif (opens := OPENING.get(type(event))) is not None:
            opens(self, event, known)
        else:
            HANDLERS[type(event)](self, event)
        settle(self)

    def repeated(self, event: events.Event) -> None:
        """An event that was applied before changes nothing; a repeated command is answered again,
        because its client may have missed the answer."""
        if isinstance(event, events.Command):
            self.tell(
                CommandDone(
                    event_id=event.event_id,
                    operator=event.operator,
                    attempt=event.attempt,
                    session=_session_of(event),
                )
            )

    def _command(self, event: events.Command) -> None:
        done = CommandDone(event_id=event.event_id, operator=event.operator, attempt=event.attempt)
        messages = len(self.outcome.deliveries)
        try:
            self._stay_refused(event)
            session = self._carry_out(event)
        except Refused as refused:
            self.refuse(event, refused)
            return
        self.outcome.refused.discard(event.event_id)
        done.session = session.id if session else ""
        command = event.command if isinstance(event, events.Ordered) else None
        if isinstance(command, commands.SetDuty) and command.duty == "online":
            self._saw(event.operator, self.now)
        if len(self.outcome.deliveries) > messages:
            done.message = self.outcome.deliveries[-1].message
        elif session is not None and isinstance(command, (commands.Note, commands.Whisper)):
            done.message = f"{session.id}-{session.seq}"
        self.tell(done)

    def _carry_out(self, event: events.Command) -> Session | None:
        if isinstance(event, events.Ordered):
            return COMMANDS[type(event.command)](self, event.command, event.operator)
        assert isinstance(event, events.Declined)
        # One that was carried out before does not come so far.
        raise Refused(event.code, **event.params)

    def refuse(self, event: events.Command, refused: Refused) -> None:
        """The command changes nothing, and who gave it is told why."""
        code, params = refused.code, refused.params
        self.outcome.refused.add(event.event_id)
        if event.attempt:
            self.refusals.setdefault(event.event_id, Refusal(code=code, params=params))
            self.outcome.fields.add("refusals")
        self.tell(
            CommandDone(
                event_id=event.event_id, operator=event.operator, attempt=event.attempt, code=code,
                params=params,
            )
        )  # fmt: skip

    def _stay_refused(self, event: events.Command) -> None:
        """Whoever heard a refusal may have given the words back to be sent again: an attempt of before,
        which comes into the log only now, must not be carried out then."""
        refusal = self.refusals.get(event.event_id) if event.attempt else None
        if refusal is not None and (not refusal.at or event.at <= refusal.at):
            raise Refused(refusal.code, **refusal.params)
        self.refusals.pop(event.event_id, None)

    # ---------------------------------------------------------------- what the outbox says

    def _delivered(self, event: events.Delivered) -> None:
        if event.edit:
            self._corrected(event)
            return
        self.tell(
            MessageChanged(
                change=MessageChange(
                    at=event.at,
                    chat=event.chat,
                    session=event.session,
                    id=event.message,
                    delivery=event.state,
                    set_external_id=event.external_id,
                    error=one_line(event.error, 200),
                )
            )
        )
        session = self.sessions.get(event.session)
        if session is not None and event.message in session.resending:
            session.resending = [id for id in session.resending if id != event.message]
            self.touch(session)
        if session is not None and event.state in ("failed", "unknown"):
            self.alert(f"delivery_{event.state}", session, session.holder, message=event.message)

    def _corrected(self, event: events.Delivered) -> None:
        """The outcome of a correction says nothing of the message, which was delivered before."""
        change = MessageChange(
            at=event.at, chat=event.chat, session=event.session, id=event.message, edit=event.edit,
            edit_delivery=event.state, error=one_line(event.error, 200),
            set_external_id=event.external_id if event.state == "sent" else "",
        )  # fmt: skip
        self.tell(MessageChanged(change=change))
        session = self.sessions.get(event.session)
        if session is not None and event.state in ("failed", "unknown"):
            self.alert(f"edit_{event.state}", session, session.holder, message=event.message)

    # ---------------------------------------------------------------- presence

    def _present(self, event: events.Present) -> None:
        for name in event.operators:
            operator = self.operators.get(name)
            if operator is None:
                continue
            self._saw(name, event.at)
            if not operator.here:
                operator.here = True
                self.touch_operator(operator)

    def _saw(self, name: str, at: int) -> None:
        """A sign of life of an operator: his presence lasts from here."""
        if name not in self.seen:
            self.timers.arm(name, "presence", at + self.configured.presence_timeout)
        self.seen[name] = at
        self.outcome.fields.add("seen")

    def _presence_due(self, name: str) -> None:
        """The timer is not moved with every heartbeat: when it fires, the last one decides."""
        until = self.seen.get(name, 0) + self.configured.presence_timeout
        operator = self.operators.get(name)
        if until > self.now:
            self.timers.arm(name, "presence", until)
        elif operator is not None:
            self.seen.pop(name, None)
            self.outcome.fields.add("seen")
            duty.presence_lost(self, operator)


def _session_of(event: events.Command) -> str:
    """Of which session a command is; empty when of none."""
    command = event.command if isinstance(event, events.Ordered) else None
    return command.session if isinstance(command, SessionCommandFrame) else ""


OPENING: dict[type[events.Event], Callable[[Desk, Any, Known | None], None]] = {
    events.MessageReceived: customers.message_received,
    events.ButtonPressed: customers.button_pressed,
    events.ChatReachable: customers.reachable,
    events.ChatMoved: customers.moved,
}
"""Those that may need to know who it is."""

HANDLERS: dict[type[events.Event], Callable[[Desk, Any], None]] = {
    events.MessageEdited: customers.edited,
    events.MessageDeleted: customers.deleted,
    events.Reacted: customers.reacted,
    events.MessageRead: customers.read,
    events.MediaStored: customers.media_stored,
    events.ChatsClaimed: customers.claimed,
    events.CustomerChanged: customers.changed,
    events.CustomerErased: erasing.erased,
    events.Delivered: Desk._delivered,
    events.Present: Desk._present,
    events.LinesConfigured: settings.lines_configured,
    events.OperatorChanged: settings.operator_changed,
    events.PutAside: again.put_aside,
    events.TimerAgain: again.timer_again,
    events.SessionRestored: again.session_restored,
    events.Writing: writing.wrote,
}
