"""The Desk: one pure state machine. ``apply`` takes the events of the log in order, ``advance`` lets
due timers fire, ``drain`` hands over what changed. The same input always gives the same output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crm.errors import Refused
from crm.records import Customer, Identity, Message, MessageChange, customer_of
from crm.text import LIMIT, clean, one_line
from router import duty, events
from router.capacity import HELD
from router.commands import COMMANDS
from router.events import Author, LineRules, LinesConfigured
from router.floor import Floor
from router.outcome import Outcome
from router.queue import Queue
from router.state import (
    CommandDone,
    CustomerSeen,
    LoginsRevoked,
    MessageChanged,
    OperatorState,
    Session,
    Stray,
)

NAME_LIMIT = 64


class Known(msgspec.Struct):
    """What the store knows of who is writing in a chat."""

    customer: str
    name: str = ""
    language: str = ""


class Desk(Floor):
    """The floor with its rules. See the queue rules for what each event does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}
        """Operator -> the last heartbeat of one of his consoles."""
        self.configured = LinesConfigured(lines={}, channels={})
        self.resumed_at = 0
        """When this desk was taken up after an interruption: what fell due before fires once, then,
        and not as often as it would have in between."""

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
        self.seen = {name: max(at, resumed_at) for name, at in self.seen.items()}
        for operator in operators:
            operator.load = 0
            self.operators[operator.name] = operator
        if "configured" in fields:
            self._configure(decode(fields["configured"], type=LinesConfigured))
        armed: list[tuple[int, int, str, str]] = []
        for session in sessions:
            self.sessions[session.id] = session
            self.by_chat[session.chat] = session.id
            if session.holder:
                self.held.setdefault(session.holder, {})[session.id] = None
            self._recharge(session)
            armed += [(due, order, session.id, kind) for kind, (due, order) in session.timers.items()]
        for due, order, id, kind in sorted(armed):
            self.timers.arm(id, kind, due, order)
        for name, at in self.seen.items():
            self.timers.arm(name, "presence", at + self.configured.presence_timeout)
        self._requeue_waiting()
        self.outcome = Outcome()

    def field(self, name: str) -> bytes:
        """The desk's own field as it is saved."""
        value = getattr(self, name)
        return msgspec.msgpack.encode(value)

    def drain(self) -> Outcome:
        """What has changed since the last time."""
        outcome, self.outcome = self.outcome, Outcome()
        return outcome

    # ---------------------------------------------------------------- time and events

    def advance(self, now: int) -> None:
        """Lets every timer due at or before ``now`` fire, in due order."""
        if now < self.resumed_at:
            self.now = max(self.now, now)
            return
        self.now = max(self.now, self.resumed_at)
        while fired := self.timers.pop_due(now):
            due, owner, kind = fired
            self.now = max(self.now, due)
            if kind == "presence":
                self._presence_due(owner)
            else:
                self._session_timer(self.sessions[owner], kind)
            self.settle()
        self.now = max(self.now, now)

    def apply(self, event: events.Event, known: Known | None = None) -> None:
        """Takes one event. ``known``: who writes in its chat, when that was looked up."""
        self.advance(event.at)
        if isinstance(event, events.Command):
            self._command(event)
        elif isinstance(event, events.MessageReceived):
            self._message_received(event, known)
        else:
            HANDLERS[type(event)](self, event)
        self.settle()

    def repeated(self, event: events.Event) -> None:
        """An event that was applied before changes nothing; a repeated command is answered again,
        because its client may have missed the answer."""
        if isinstance(event, events.Command):
            self.tell(
                CommandDone(
                    event_id=event.event_id,
                    operator=event.operator,
                    session=event.session if isinstance(event, events.SessionCommand) else "",
                )
            )

    def _command(self, event: events.Command) -> None:
        done = CommandDone(event_id=event.event_id, operator=event.operator)
        messages = len(self.outcome.deliveries)
        try:
            session = COMMANDS[type(event)](self, event)
        except Refused as refused:
            done.code, done.params = refused.code, refused.params
            self.outcome.refused.add(event.event_id)
        else:
            self.outcome.refused.discard(event.event_id)
            done.session = session.id if session else ""
            if isinstance(event, events.SetDuty) and event.duty == "online":
                self._saw(event.operator, event.at)
            if len(self.outcome.deliveries) > messages:
                done.message = self.outcome.deliveries[-1].message
        self.tell(done)

    def _session_timer(self, session: Session, kind: str) -> None:
        session.timers = {k: v for k, v in session.timers.items() if k != kind}
        if kind == "pause":
            self.touch(session)
            self.stir(session.line)
        elif session.transfer_from:
            self.system(session, "missed", operator=session.holder)
            self.count_missed(session.holder)
            duty.transfer_back(self, session)
        elif session.holder:
            self.system(session, "missed", operator=session.holder)
            self.count_missed(session.holder)
            self.give_back(session, session.holder, pause=False)
        else:
            self.missed_by_all(session)

    # ---------------------------------------------------------------- what customers do

    def _session_for(self, event: events.FromChat, author: Author, known: Known | None) -> Session | None:
        """The chat's open session, or a new one in the line of its channel."""
        id = self.by_chat.get(event.key)
        if id is not None:
            return self.sessions[id]
        line = self.channels.get(event.channel) or next(iter(self.queues), "")
        if not line:
            self._stray(event, "no line is configured")
            return None
        session = self.open(event.channel, event.chat, line)
        session.name = one_line(author.name or author.username, NAME_LIMIT)
        session.username = one_line(author.username, NAME_LIMIT)
        session.language = author.language[:2].lower()
        if known is not None:
            session.customer = known.customer
            session.name = known.name or session.name
            session.language = known.language or session.language
        self._customer_seen(event, author, session.customer)
        return session

    def _customer_seen(
        self, event: events.FromChat, author: Author, customer: str, can_write: bool = True
    ) -> None:
        self.tell(
            CustomerSeen(
                chat=event.key,
                at=self.now,
                customer=Customer(
                    id=customer,
                    name=one_line(author.name or author.username, NAME_LIMIT),
                    username=one_line(author.username, NAME_LIMIT),
                    language=author.language[:2].lower(),
                    phone=one_line(author.phone, NAME_LIMIT),
                    identities=[Identity(channel=event.channel, value=event.chat)],
                    created_at=self.now,
                    seen_at=self.now,
                    can_write=can_write,
                ),
            )
        )

    def _message_received(self, event: events.MessageReceived, known: Known | None) -> None:
        session = self._session_for(event, event.author, known)
        if session is None:
            return
        text = clean(event.text)
        raw = event.raw or (event.text.encode(errors="replace") if len(event.text) > LIMIT else b"")
        self._customer_wrote(
            session,
            text,
            author=one_line(event.author.name or event.author.username, NAME_LIMIT),
            kind=event.kind,
            media=event.media,
            reply_to=event.reply_to,
            reply_text=one_line(event.reply_text, 200),
            album=event.album,
            external_id=event.message_id,
            sent_at=event.sent_at,
            raw=raw,
        )

    def _customer_wrote(self, session: Session, text: str, **fields: Any) -> Message:
        is_new = session.seq == 0
        message = self.add_message(session, "in", text, **fields)
        session.unread += 1
        session.last_external_in = message.external_id
        if not session.can_write:
            session.can_write = True
        if not session.waiting_since:
            session.waiting_since = self.now
        if is_new:
            self.enqueue(session)
        elif session.status in HELD:
            if session.return_when_written:
                duty.return_from(self, session, session.holder)
            else:
                self.set_status(session, self.truth(session))
        elif session.arrival != session.waiting_since:
            session.arrival = session.waiting_since
            self.reorder(session)
        return message

    def _button_pressed(self, event: events.ButtonPressed) -> None:
        session = self._session_for(event, event.author, None)
        if session is not None:
            self._customer_wrote(
                session,
                clean(event.text or event.data),
                author=one_line(event.author.name, NAME_LIMIT),
                kind="button",
                reply_to=event.message_id,
            )

    def _edited(self, event: events.MessageEdited) -> None:
        text = clean(event.text)
        session = self._open_in(event.key)
        if (
            session is not None
            and session.last_external_in == event.message_id
            and session.last_direction == "in"
        ):
            session.last_text = one_line(text, 80)
            self.touch(session)
        self._change(event, text=text, media=event.media, edited_at=event.edited_at or event.at)

    def _deleted(self, event: events.MessageDeleted) -> None:
        for id in event.message_ids:
            self._change(event, external_id=id, deleted_at=event.at)

    def _reacted(self, event: events.Reacted) -> None:
        emoji = [one_line(e, 16) for e in event.emoji[:16]]
        self._change(event, reactions={one_line(event.author, NAME_LIMIT): emoji})

    def _read(self, event: events.MessageRead) -> None:
        self._change(event, delivery="read", up_to=True)

    def _media_stored(self, event: events.MediaStored) -> None:
        self._change(event, media_index=event.index, media_file=event.media)

    def _open_in(self, chat: str) -> Session | None:
        id = self.by_chat.get(chat)
        return self.sessions[id] if id is not None else None

    def _change(self, event: events.FromChat, **fields: Any) -> None:
        """A change to a message of the chat, which may be of an older session."""
        fields.setdefault("external_id", getattr(event, "message_id", ""))
        session = self._open_in(event.key)
        self.tell(
            MessageChanged(
                change=MessageChange(
                    at=event.at, chat=event.key, session=session.id if session else "", **fields
                )
            )
        )

    def _reachable(self, event: events.ChatReachable) -> None:
        session = self._open_in(event.key)
        customer = customer_of(event.key)
        if session is not None:
            customer = session.customer
            if session.can_write != event.can_write:
                session.can_write = event.can_write
                self.system(session, "unblocked" if event.can_write else "blocked")
        self._customer_seen(event, event.author, customer, event.can_write)

    def _moved(self, event: events.ChatMoved) -> None:
        """The open session follows the chat to its new id, unless one is open there already."""
        session = self._open_in(event.key)
        new = f"{event.channel}:{event.new_chat}"
        if session is None or new in self.by_chat:
            self._stray(event, "no open session to move")
            return
        del self.by_chat[session.chat]
        session.chat = new
        self.by_chat[new] = session.id
        self.system(session, "moved")

    def _stray(self, event: events.Event, reason: str) -> None:
        self.tell(Stray(at=self.now, event=events.encode_event(event), reason=reason))

    # ---------------------------------------------------------------- what the outbox says

    def _delivered(self, event: events.Delivered) -> None:
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

    # ---------------------------------------------------------------- operators and rules

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

    def _operator_changed(self, event: events.OperatorChanged) -> None:
        operator = self.operators.get(event.name) or OperatorState(name=event.name)
        self.operators[event.name] = operator
        told = (operator.role, operator.lines, operator.disabled, operator.max_sessions)
        if told != (event.role, event.lines, event.disabled, event.max_sessions) or not operator.rev:
            operator.role = event.role
            operator.lines = event.lines
            operator.max_sessions = event.max_sessions
            dismissed = event.disabled and not operator.disabled
            operator.disabled = event.disabled
            if dismissed:
                operator.duty = "offline"
            self.touch_operator(operator)
            before = {queue.name: list(queue.members) for queue in self.queues.values()}
            self._set_members()
            self._see_off(before)
            if dismissed:
                duty.dismiss(self, operator.name)
        if event.revoked:
            self.tell(LoginsRevoked(operator=event.name, tokens=event.revoked))

    def _lines_configured(self, event: LinesConfigured) -> None:
        event.at, event.event_id = 0, ""
        # Without a line nobody could have what is open: the last ones stay until there are others.
        event.lines = event.lines or self.configured.lines
        if event != self.configured:
            before = {queue.name: list(queue.members) for queue in self.queues.values()}
            self._configure(event)
            self._see_off(before)
            self._requeue_waiting()
            self.outcome.fields.add("configured")

    def _configure(self, event: LinesConfigured) -> None:
        self.configured = event
        self.channels = event.channels
        self.kinds = event.kinds
        old = self.queues
        self.queues = {}
        for name, rules in event.lines.items():
            self.queues[name] = Queue(name, rules)
            if name in old:
                self.queues[name].load = old[name].load
        if self.queues:
            for name in old.keys() - self.queues.keys():
                self._move_out(name, next(iter(self.queues)))
        else:
            self.queues = old
        self._set_members()

    def _move_out(self, gone: str, into: str) -> None:
        """Sessions of a line that is no longer there go on under the first line's rules."""
        self.queues[gone] = Queue(gone, LineRules())
        for session in self.sessions.values():
            if session.line == gone:
                charged = self._charged.pop(session.id, None)
                if charged is not None and charged[0] in self.operators:
                    self.operators[charged[0]].load -= 1
                session.line = into
                self._recharge(session)
                self.touch(session)
        del self.queues[gone]

    def _set_members(self) -> None:
        """Members in line order: those of the rules, then operators whose account names the line."""
        for queue in self.queues.values():
            extra = sorted(
                o.name for o in self.operators.values() if o.role == "operator" and queue.name in o.lines
            )
            queue.set_members([*queue.rules.members, *extra])
        for name in self.operators:
            self.refresh(name)
        # Nobody ready is no news to the queue, and yet those who saw an offer may be gone.
        self._stirred.update(name for name, queue in self.queues.items() if queue.rules.mode == "all")

    def _see_off(self, before: dict[str, list[str]]) -> None:
        """Those who are no members of a line any more leave it as if they went off duty there."""
        for name, members in before.items():
            if name in self.queues:
                for member in members:
                    if member not in self.queues[name].members:
                        duty.leave_line(self, member, name)

    def _requeue_waiting(self) -> None:
        for session in self.sessions.values():
            if session.status == "waiting" or (session.status == "offered" and not session.holder):
                self.queues[session.line].put(session)
                self.stir(session.line)


HANDLERS: dict[type[events.Event], Callable[[Desk, Any], None]] = {
    events.MessageEdited: Desk._edited,
    events.MessageDeleted: Desk._deleted,
    events.Reacted: Desk._reacted,
    events.MessageRead: Desk._read,
    events.ButtonPressed: Desk._button_pressed,
    events.ChatReachable: Desk._reachable,
    events.ChatMoved: Desk._moved,
    events.MediaStored: Desk._media_stored,
    events.Delivered: Desk._delivered,
    events.Present: Desk._present,
    events.LinesConfigured: Desk._lines_configured,
    events.OperatorChanged: Desk._operator_changed,
}
