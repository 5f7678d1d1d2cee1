"""The floor: open sessions, operators and queues, and the few primitives that change them together.

Everything above (``desk``, ``commands``) goes through these, so that an operator's load, the order of
the waiting, the timers and what is told always agree with the sessions. Pure: no I/O and no clock.
"""

from __future__ import annotations

from typing import Any

from crm.records import Button, Media, Message, MessageChange, MessageKind, customer_of
from crm.text import one_line
from router import capacity
from router.events import LineRules
from router.outcome import Outcome
from router.queue import Queue
from router.state import (
    Alert,
    AnyTold,
    Decided,
    Delivery,
    MessageAdded,
    MessageChanged,
    OperatorState,
    Session,
    Status,
)
from router.timers import Timers

PREVIEW = 80
"""Characters of the last message that lists show."""
EXPLAIN = 32
"""Up to so many members a decision says of each what dropped him; beyond that it would cost more
than the decision itself."""


class Floor:
    """One desk's present. ``now`` is the largest time seen (ms)."""

    def __init__(self) -> None:
        self.now = 0
        self.next_session = 1
        self.stamp = 0
        self.sessions: dict[str, Session] = {}
        self.by_chat: dict[str, str] = {}
        self.operators: dict[str, OperatorState] = {}
        self.queues: dict[str, Queue] = {}
        self.channels: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.timers = Timers()
        self.outcome = Outcome()
        self.held: dict[str, dict[str, None]] = {}
        """Operator -> ids of the sessions he holds, in the order he got them."""
        self._charged: dict[str, tuple[str, str]] = {}
        self._stirred: set[str] = set()
        self._missed_now: set[str] = set()
        self._fresh: list[Session] = []

    # ---------------------------------------------------------------- telling

    def tell(self, told: AnyTold) -> None:
        self.outcome.told.append(told)

    def touch(self, session: Session) -> None:
        """Notes that the session changed."""
        session.rev += 1
        if session.status == "closed":
            self.outcome.closed[session.id] = session
            self.outcome.sessions.pop(session.id, None)
        else:
            self.outcome.sessions[session.id] = session

    def touch_operator(self, operator: OperatorState) -> None:
        operator.rev += 1
        self.outcome.operators[operator.name] = operator

    def alert(self, name: str, session: Session | None = None, operator: str = "", **params: str) -> None:
        self.tell(
            Alert(
                name=name,
                at=self.now,
                line=session.line if session else "",
                session=session.id if session else "",
                operator=operator,
                params=params,
            )
        )

    def add_message(self, session: Session, direction: Any, text: str, **fields: Any) -> Message:
        """Adds a message to the session: gives it its number, keeps the preview, tells it."""
        session.seq += 1
        message = Message(
            id=f"{session.id}-{session.seq}",
            session=session.id,
            chat=session.chat,
            seq=session.seq,
            direction=direction,
            at=self.now,
            text=text,
            **fields,
        )
        if direction in ("in", "out"):
            session.last_at = self.now
            session.last_text = one_line(text, PREVIEW)
            session.last_direction = direction
            session.last_kind = message.kind
        self.tell(MessageAdded(message=message))
        self.touch(session)
        return message

    def system(self, session: Session, what: str, **params: str) -> None:
        """A line in the thread about the session itself: ``what|key=value|…``."""
        text = "|".join([what, *(f"{k}={v.replace('|', '/')}" for k, v in params.items() if v)])
        self.add_message(session, "system", text, kind="system")

    def deliver(
        self,
        session: Session,
        text: str,
        *,
        author: str = "",
        media: list[Media] | None = None,
        buttons: list[Button] | None = None,
        reply_to: str = "",
        notice: str = "",
    ) -> Message:
        """Adds an outgoing message and puts it on its channel's outbox."""
        kind: MessageKind = media[0].kind if media else "text"
        message = self.add_message(
            session, "out", text, author=author, kind=kind, media=media or [], buttons=buttons or [],
            reply_to=reply_to, delivery="queued", notice=notice,
        )  # fmt: skip
        self.post(
            session, message.id, message.id, text=text, media=message.media, buttons=message.buttons,
            reply_to=reply_to,
        )  # fmt: skip
        return message

    def post(self, session: Session, id: str, message: str, **fields: Any) -> None:
        """Puts something to do about a message on the outbox of the session's channel."""
        delivery = Delivery(
            id=id,
            channel=session.channel,
            chat=session.chat[len(session.channel) + 1 :],
            session=session.id,
            message=message,
            at=self.now,
            **fields,
        )
        self.outcome.deliveries.append(delivery)

    def change(self, session: Session, message: str, **fields: Any) -> None:
        """Tells of a change to one of the session's messages."""
        change = MessageChange(at=self.now, chat=session.chat, session=session.id, id=message, **fields)
        self.tell(MessageChanged(change=change))

    # ---------------------------------------------------------------- sessions

    def open(self, channel: str, external_chat: str, line: str) -> Session:
        """A new session in the chat. The caller puts it into a queue or gives it to somebody."""
        chat = f"{channel}:{external_chat}"
        session = Session(
            id=str(self.next_session),
            chat=chat,
            channel=channel,
            kind=self.kinds.get(channel, ""),
            line=line,
            customer=customer_of(chat),
            opened_at=self.now,
            priority=self.queues[line].rules.priority,
        )
        self.next_session += 1
        self.outcome.fields.add("next_session")
        self.sessions[session.id] = session
        self.by_chat[chat] = session.id
        return session

    def close(self, session: Session, by: str, result: str = "") -> None:
        """Ends the session for good."""
        self._leave_queue(session)
        for kind in list(session.timers):
            self.disarm(session, kind)
        session.closed_at = self.now
        session.closed_by = by
        session.result = result
        session.unread = 0
        session.seen_by = []
        session.offer_until = 0
        self.set_status(session, "closed")
        self._unhold(session)
        del self.sessions[session.id]
        del self.by_chat[session.chat]

    def set_status(self, session: Session, status: Status) -> None:
        session.status = status
        self.touch(session)
        self._recharge(session)

    def truth(self, session: Session) -> Status:
        """Which of the three held states is true: has any operator answered, who spoke last."""
        if not session.first_answer_at:
            return "taken"
        return "pending" if session.waiting_since else "answered"

    def hold(self, session: Session, operator: str) -> None:
        """Makes somebody the holder (of an offer or of the session)."""
        self._unhold(session)
        session.holder = operator
        self.held.setdefault(operator, {})[session.id] = None

    def _unhold(self, session: Session) -> None:
        if session.holder:
            self.held.get(session.holder, {}).pop(session.id, None)

    def held_by(self, operator: str) -> list[Session]:
        """A copy, for the caller to change what it goes through."""
        return [self.sessions[id] for id in self.held.get(operator, ())]

    def take(self, session: Session, operator: str) -> None:
        """The operator accepted: the session is his."""
        self._leave_queue(session)
        self.disarm(session, "offer")
        self.disarm(session, "pause")
        session.arrival = 0
        session.offer_until = 0
        session.had = []
        session.pause_until = 0
        session.seen_by = []
        session.hidden_from = []
        session.transfer_from = ""
        session.return_reason = ""
        session.return_when_written = False
        session.answered_by_holder = False
        self.hold(session, operator)
        self.set_status(session, self.truth(session))
        state = self.operators.get(operator)
        if state is not None and state.missed:
            state.missed = 0
            self.touch_operator(state)

    def offer_to(self, session: Session, operator: str, wait: int) -> None:
        """Shows the session to one operator for ``wait`` ms."""
        self._leave_queue(session)
        self.hold(session, operator)
        session.offer_until = self.now + wait
        self.arm(session, "offer", session.offer_until)
        self.set_status(session, "offered")

    def enqueue(self, session: Session) -> None:
        """Puts the session into its line's backlog, where its arrival says."""
        self.disarm(session, "offer")
        self._unhold(session)
        session.holder = ""
        session.offer_until = 0
        session.transfer_from = ""
        session.seen_by = []
        session.return_when_written = False
        session.arrival = session.waiting_since or session.arrival or self.now
        self.set_status(session, "waiting")
        self.queues[session.line].put(session)
        self._stirred.add(session.line)
        self._fresh.append(session)

    def give_back(self, session: Session, operator: str, *, pause: bool) -> None:
        """The queue gets it back from somebody who had it. ``pause``: he gave it back by hand, so a
        new round waits for the line's ``answer_within``."""
        if session.status != "offered":
            session.had = []
        if operator not in session.had:
            session.had = [*session.had, operator]
        if pause:
            self.pause(session)
        else:
            self._missed_now.add(session.id)
        self.enqueue(session)

    def pause(self, session: Session) -> None:
        """No new round for the line's ``answer_within``: somebody gave it back by hand."""
        session.pause_until = self.now + self.queues[session.line].rules.answer_within
        self.arm(session, "pause", session.pause_until)

    def change_line(self, session: Session, line: str) -> None:
        """Into another line's backlog, whose rules then apply."""
        self._leave_queue(session)
        self.disarm(session, "pause")
        session.had = []
        session.pause_until = 0
        session.hidden_from = []
        session.priority += self.queues[line].rules.priority - self.queues[session.line].rules.priority
        session.line = line
        self.enqueue(session)

    def reorder(self, session: Session) -> None:
        """After its arrival or priority changed."""
        queue = self.queues[session.line]
        if session.id in queue:
            queue.put(session)

    def _leave_queue(self, session: Session) -> None:
        self.queues[session.line].remove(session.id)

    # ---------------------------------------------------------------- timers

    def arm(self, session: Session, kind: str, due: int) -> None:
        session.timers = {**session.timers, kind: self.timers.arm(session.id, kind, due)}

    def disarm(self, session: Session, kind: str) -> None:
        if kind in session.timers:
            self.timers.disarm(session.id, kind)
            session.timers = {k: v for k, v in session.timers.items() if k != kind}

    # ---------------------------------------------------------------- operators

    def on_duty(self, operator: OperatorState, rules: LineRules) -> bool:
        return operator.duty == "online" or not rules.check_duty

    def dropped_by(self, operator: OperatorState | None, queue: Queue) -> str:
        """Why a member may not be offered a session of this line now; empty when he may."""
        if operator is None:
            return "no_account"
        if operator.disabled:
            return "disabled"
        if not self.on_duty(operator, queue.rules):
            return operator.duty
        room = capacity.has_room(
            operator.load, operator.max_sessions, queue.load.get(operator.name, 0), queue.rules.max_sessions
        )
        return "" if room else "full"

    def refresh(self, name: str) -> None:
        """After anything about an operator changed: who is ready where, and what to try anew."""
        operator = self.operators.get(name)
        if operator is None:
            return
        for queue in self.queues.values():
            if name in queue.members:
                became = queue.set_ready(operator, not self.dropped_by(operator, queue))
                if became > 0 or (became and queue.rules.mode == "all"):
                    self._stirred.add(queue.name)

    def _recharge(self, session: Session) -> None:
        """Keeps loads in step with what counts."""
        queue = self.queues[session.line]
        want = (session.holder, session.line) if capacity.counts(session, queue.rules.counts_until) else None
        have = self._charged.get(session.id)
        if want == have:
            return
        for charge, step in ((have, -1), (want, 1)):
            if charge is None:
                continue
            name, line = charge
            load = self.queues[line].load
            load[name] = load.get(name, 0) + step
            operator = self.operators.get(name)
            if operator is not None:
                operator.load += step
                self.touch_operator(operator)
        if want is None:
            self._charged.pop(session.id, None)
        else:
            self._charged[session.id] = want
        for name in {charge[0] for charge in (have, want) if charge}:
            self.refresh(name)

    # ---------------------------------------------------------------- settling

    def stir(self, line: str) -> None:
        """Makes the next ``settle`` look at a line's waiting."""
        self._stirred.add(line)

    def settle(self) -> None:
        """Gives the waiting to the ready, the backlogs of all stirred lines merged in order, until
        nothing more can be given; then tells those who have to wait."""
        while self._stirred:
            stirred, self._stirred = self._stirred, set()
            self._dispatch([self.queues[name] for name in sorted(stirred) if name in self.queues])
        self._missed_now.clear()
        for session in self._fresh:
            self._notice_waiting(session)
        self._fresh.clear()

    def _dispatch(self, queues: list[Queue]) -> None:
        for queue in queues:
            if queue.rules.mode == "all":
                self._show_to_all(queue)
        at = {q.name: 0 for q in queues if q.rules.mode not in ("all", "manual")}
        while True:
            heads = [
                (self.queues[name].at(index), name)
                for name, index in at.items()
                if index < len(self.queues[name]) and self.queues[name].has_ready
            ]
            if not heads:
                return
            (_, session), name = min(heads, key=lambda head: head[0][0])
            queue = self.queues[name]
            # One that all still see was offered under the line's former rules: that offer runs on.
            chosen = queue.choose(session, self.now) if session.status == "waiting" else None
            if chosen is None:
                at[name] += 1
            else:
                self._give(session, queue, *chosen)

    def _give(self, session: Session, queue: Queue, name: str, new_round: bool) -> None:
        """The queue offers the session to one operator."""
        decision = self._explain(session, queue, name)
        if new_round:
            session.had = []
            session.pause_until = 0
            self.disarm(session, "pause")
            self._renewed(session)
        operator = self.operators[name]
        self.stamp += 1
        self.outcome.fields.add("stamp")
        operator.given_at = self.stamp
        self.touch_operator(operator)
        self.offer_to(session, name, queue.rules.answer_within)
        self.refresh(name)
        self.tell(decision)

    def _renewed(self, session: Session) -> None:
        if session.id in self._missed_now and not session.renewed:
            session.renewed = True
            self.alert("offer_renewed", session)

    def _explain(self, session: Session, queue: Queue, chosen: str) -> Decided:
        candidates, dropped = [], {}
        if len(queue.members) <= EXPLAIN:
            for name in queue.members:
                reason = self.dropped_by(self.operators.get(name), queue)
                if not reason and name in session.had and name != chosen:
                    reason = "had"
                if reason:
                    dropped[name] = reason
                else:
                    candidates.append(name)
        return Decided(
            at=self.now, session=session.id, line=queue.name, why=queue.rules.mode, chosen=chosen,
            candidates=candidates, dropped=dropped,
        )  # fmt: skip

    def _show_to_all(self, queue: Queue) -> None:
        """Mode ``all``: every ready member who did not hide it sees each untaken session."""
        ready = list(queue.ready())
        for session in list(queue.waiting()):
            seen_by = [name for name in ready if name not in session.hidden_from]
            if ready and not seen_by and session.pause_until <= self.now:
                # A new round: all who could take it have hidden it, and the pause after that is over.
                session.hidden_from = []
                seen_by = list(ready)
            if seen_by == session.seen_by and not (seen_by and session.status == "waiting"):
                continue
            session.seen_by = seen_by
            if seen_by and session.status == "waiting":
                session.offer_until = self.now + queue.rules.answer_within
                self.arm(session, "offer", session.offer_until)
                self.tell(self._explain(session, queue, ""))
                self.set_status(session, "offered")
            elif not seen_by and session.status == "offered":
                self.disarm(session, "offer")
                session.offer_until = 0
                self.set_status(session, "waiting")
            else:
                self.touch(session)

    def missed_by_all(self, session: Session) -> None:
        """Mode ``all``: nobody took it in time; it is offered again to all, skips forgotten."""
        for name in session.seen_by:
            self.count_missed(name)
        session.seen_by = []
        session.hidden_from = []
        session.offer_until = 0
        self._missed_now.add(session.id)
        self.set_status(session, "waiting")
        if self.queues[session.line].has_ready:
            self._renewed(session)
        self.stir(session.line)

    def count_missed(self, name: str) -> None:
        operator = self.operators.get(name)
        if operator is not None:
            operator.missed += 1
            self.touch_operator(operator)

    def _notice_waiting(self, session: Session) -> None:
        """The customer hears once that he has to wait."""
        notice = self.queues[session.line].rules.notices.get("waiting")
        if session.status != "waiting" or session.notified or not notice or session.outgoing:
            return
        session.notified = True
        text = notice.get(session.language) or notice.get("") or next(iter(notice.values()))
        self.deliver(session, text, notice="waiting")
