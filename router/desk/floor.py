"""The floor: open sessions, operators and queues, and the few primitives that change them together.

Everything above goes through these, so that an operator's load, the order of the waiting, the timers
and what is told always agree with the sessions. Pure: no I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from crm.kernel.records import (
    Button,
    Media,
    Message,
    MessageChange,
    MessageKind,
    customer_of,
    person_chat,
    whole_chat,
)
from crm.kernel.text import one_line
from router.desk.bots.flow import Flow
from router.desk.events import LinesConfigured
from router.desk.queue import Queue, counts, has_room
from router.desk.state import (
    FORM,
    Alert,
    AnyTold,
    Aside,
    Delivery,
    Known,
    MessageAdded,
    MessageChanged,
    OperatorState,
    Phase,
    Session,
    Status,
    Stood,
    acquaintance,
    may,
)
from router.desk.timers import Timers
from router.desk.values import NO_BOT, NO_OFFER, Offer, OfferKind

PREVIEW = 80
"""Characters of the last message that lists show."""


PHASES: Mapping[Status, Phase] = {
    "bot": "bot", "waiting": "queue", "offered": "queue", "taken": "hand", "answered": "hand",
    "pending": "hand", "closing": "closing", "closed": "closed", "spam": "spam",
}  # fmt: skip


class Outcome:
    """What has changed since it was last drained: to be committed as one."""

    def __init__(self) -> None:
        self.told: list[AnyTold] = []
        self.deliveries: list[Delivery] = []
        self.sessions: dict[str, Session] = {}
        self.closed: dict[str, Session] = {}
        self.operators: dict[str, OperatorState] = {}
        self.fields: set[str] = set()
        self.refused: set[str] = set()
        """Ids of commands that changed nothing: they may come again."""
        self.acquainted: dict[str, Known] = {}
        """Chat -> who writes there, which the store does not know yet: his session was closed, or the chat
        has moved."""
        self.erased: set[str] = set()
        """Cards of people that nobody knows any more."""
        self.aside: list[Aside] = []
        """What could not be worked on."""
        self.unreadable: list[tuple[str, str]] = []
        """What of it was saved state, as (key, field)."""
        self.fired: list[tuple[str, str]] = []
        """Timers that fired, as (owner, kind)."""

    @property
    def is_empty(self) -> bool:
        changed = self.sessions or self.closed or self.operators or self.fields
        return not (self.told or self.deliveries or changed or self.aside)


class Floor:
    """One desk's present. ``now`` is the largest time seen (ms)."""

    def __init__(self) -> None:
        self.now = 0
        self.clock = 0
        """Until when hours, shifts and absences have been followed (ms)."""
        self.next_session = 1
        self.stamp = 0
        self.sessions: dict[str, Session] = {}
        self.by_chat: dict[str, str] = {}
        self.topics: dict[str, dict[str, None]] = {}
        """Chat -> ids of the sessions that are open in its topics."""
        self.operators: dict[str, OperatorState] = {}
        self.queues: dict[str, Queue] = {}
        self.lines_of: dict[str, list[Queue]] = {}
        """Name -> the lines that he is a member of."""
        self.channels: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.flows: dict[str, Flow] = {}
        self.configured = LinesConfigured(lines={}, channels={})
        self.timers = Timers()
        self.outcome = Outcome()
        self.held: dict[str, dict[str, None]] = {}
        """Operator -> ids of the sessions he holds, in the order he got them."""
        self.stirred: set[str] = set()
        """Lines whose waiting are to be looked at before anything else happens."""
        self.missed_now: set[str] = set()
        self.fresh: list[Session] = []
        """What has just come into a backlog."""
        self.overdue: dict[str, None] = {}
        """Sessions whose overflow is due and waits for its condition, or for an offer to end."""
        self.recheck_overdue = False
        """Something has changed that such a condition may hang on."""
        self.pace: dict[str, tuple[int, int]] = {}
        """Line -> (when a waiting session was last taken, mean ms between two such moments)."""
        self.aside_told = 0
        """When supervisors were last told that something was set aside."""
        self._charged: dict[str, tuple[str, str]] = {}

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
            if direction == "out" and session.last_direction == "in":
                session.asked_text, session.asked_kind = session.last_text, session.last_kind
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

    def queue(self, session: Session) -> Queue:
        return self.queues[session.line]

    def open(self, channel: str, external_chat: str, line: str) -> Session:
        """A new session in the chat. The caller puts it into a queue or gives it to somebody."""
        chat = f"{channel}:{external_chat}"
        session = Session(
            id=str(self.next_session),
            chat=chat,
            channel=channel,
            kind=self.kinds.get(channel, ""),
            line=line,
            customer=customer_of(person_chat(chat)),
            form=FORM,
            opened_at=self.now,
            priority=self.queues[line].rules.priority,
        )
        self.next_session += 1
        self.outcome.fields.add("next_session")
        self.sessions[session.id] = session
        self.seat(session)
        return session

    def seat(self, session: Session) -> None:
        """From now on the session is the open one of its chat."""
        self.by_chat[session.chat] = session.id
        if (whole := whole_chat(session.chat)) != session.chat:
            self.topics.setdefault(whole, {})[session.id] = None

    def unseat(self, session: Session) -> None:
        """Its chat is free for another one."""
        del self.by_chat[session.chat]
        topics = self.topics.get(whole_chat(session.chat), {})
        topics.pop(session.id, None)
        if not topics:
            self.topics.pop(whole_chat(session.chat), None)

    def open_in(self, chat: str) -> list[Session]:
        """The open session of a chat, then those of its topics."""
        ids = [id for id in (self.by_chat.get(chat),) if id is not None]
        return [self.sessions[id] for id in (*ids, *self.topics.get(chat, ()))]

    def retire(self, session: Session, status: Status) -> None:
        """Takes the session out of everybody's hands: ``closing``, ``closed`` or ``spam``."""
        self.leave_queue(session)
        for kind in list(session.timers):
            self.disarm(session, kind)
        session.sla = {}
        session.unread = 0
        self.end_offer(session)
        if session.hand.snoozed:
            session.hand = replace(session.hand, snoozed=0)
        session.bot_turn = NO_BOT
        was_closing = session.status == "closing" and status == "closed"
        self.set_status(session, status)
        if not was_closing:
            self.stand(session)

    def close(self, session: Session, by: str, result: str = "") -> None:
        """Ends the session for good."""
        session.closed_at = session.closed_at or self.now
        session.closed_by = by or session.closed_by
        session.result = result or session.result
        self.outcome.acquainted[person_chat(session.chat)] = acquaintance(session)
        self.retire(session, "closed")
        self.unhold(session)
        del self.sessions[session.id]
        self.unseat(session)

    def set_status(self, session: Session, status: Status) -> None:
        session.status = status
        self.touch(session)
        self.recharge(session)

    def stand(self, session: Session, *, offered_at: int = 0, missed: Sequence[str] = ()) -> None:
        """Tells where the session stands from now on. What is offered by transfer is the sender's."""
        phase: Phase = PHASES[session.status]
        holder = session.holder if phase == "hand" else session.bot_turn.name
        if session.hand.transfer_from and session.status == "offered":
            phase, holder = "hand", session.hand.transfer_from
        self.tell(
            Stood(
                at=self.now, session=session.id, line=session.line, phase=phase, holder=holder,
                offered_at=offered_at, missed=list(missed),
            )
        )  # fmt: skip

    def truth(self, session: Session) -> Status:
        """Which of the three held states is true: has any operator answered, who spoke last."""
        if not session.first_answer_at:
            return "taken"
        return "pending" if session.waiting_since else "answered"

    def hold(self, session: Session, operator: str) -> None:
        """Makes somebody the holder (of an offer or of the session), or nobody."""
        self.unhold(session)
        session.holder = operator
        if operator:
            self.held.setdefault(operator, {})[session.id] = None

    def unhold(self, session: Session) -> None:
        """The floor's book only: ``session.holder`` stays as it is."""
        if session.holder:
            self.held.get(session.holder, {}).pop(session.id, None)

    def held_by(self, operator: str) -> list[Session]:
        """A copy, for the caller to change what it goes through."""
        return [self.sessions[id] for id in self.held.get(operator, ())]

    def offer_to(self, session: Session, operator: str, wait: int, kind: OfferKind = "") -> None:
        """Shows the session to one operator for ``wait`` ms."""
        self.leave_queue(session)
        self.hold(session, operator)
        self.begin_offer(session, Offer(began=self.now, until=self.now + wait, kind=kind))

    def begin_offer(self, session: Session, offer: Offer) -> None:
        session.offer = offer
        self.arm(session, "offer", offer.until)
        self.set_status(session, "offered")

    def end_offer(self, session: Session) -> None:
        """Taken, missed or gone: nothing of it is left. The caller decides the status."""
        self.disarm(session, "offer")
        session.offer = NO_OFFER

    def give(self, session: Session, operator: OperatorState, wait: int, kind: OfferKind = "") -> None:
        """An offer by the queue: the operator's turn is taken."""
        self.stamp += 1
        self.outcome.fields.add("stamp")
        operator.given_at = self.stamp
        self.touch_operator(operator)
        # It counts for him from now on, which refreshes him.
        self.offer_to(session, operator.name, wait, kind)

    def reorder(self, session: Session) -> None:
        """After its arrival, priority, clocks or needs changed."""
        queue = self.queues[session.line]
        if session.id in queue:
            queue.put(session)

    def wait_again(self, session: Session) -> None:
        """Puts a session that has just been taken up into the queue that it says it waits in."""
        if self.waits(session):
            self.queue(session).put(session)
            self.stirred.add(session.line)
            self.look_for_overflow(session)

    def waits(self, session: Session) -> bool:
        """Whether it belongs into its line's queue."""
        return session.status == "waiting" or (session.status == "offered" and not session.holder)

    def look_for_overflow(self, session: Session) -> None:
        """It may be due, as nobody knows of a session that has just been taken up."""
        if self.queue(session).rules.overflow:
            self.overdue[session.id] = None
            self.recheck_overdue = True

    def leave_queue(self, session: Session) -> None:
        self.queues[session.line].remove(session.id)
        self.overdue.pop(session.id, None)

    # ---------------------------------------------------------------- timers

    def arm(self, session: Session, kind: str, due: int) -> None:
        session.timers[kind] = self.timers.arm(session.id, kind, due)

    def disarm(self, session: Session, *kinds: str) -> None:
        for kind in kinds:
            if session.timers.pop(kind, None) is not None:
                self.timers.disarm(session.id, kind)

    # ---------------------------------------------------------------- operators

    def standing(self, operator: OperatorState | None, queue: Queue) -> str:
        """Why the operator is not on duty in the line; empty when he is."""
        if operator is None:
            return "no_account"
        name = operator.name
        if operator.disabled:
            return "disabled"
        if name in queue.absent:
            return "absent"
        if operator.duty != "online" and queue.rules.check_duty:
            return operator.duty
        return "off_shift" if name in queue.off_shift else ""

    def dropped_by(self, operator: OperatorState | None, queue: Queue) -> str:
        """Why a member may not be offered any session of this line now; empty when he may."""
        reason = self.standing(operator, queue)
        if reason or operator is None:
            return reason
        if operator.rights is not None and may(operator, "read_only", queue.name):
            return "no_right"
        room = has_room(
            operator.load, operator.max_sessions, queue.load.get(operator.name, 0), queue.rules.max_sessions
        )
        return "" if room else "full"

    def refresh(self, name: str) -> None:
        """After anything about an operator changed: who is ready where, and what to try anew."""
        operator = self.operators.get(name)
        if operator is None:
            return
        self.recheck_overdue = bool(self.overdue)
        for queue in self.lines_of.get(name, ()):
            reason = queue.dropped[name] = self.dropped_by(operator, queue)
            became = queue.set_ready(operator, not reason)
            if became > 0 or (became and queue.rules.mode == "all"):
                self.stirred.add(queue.name)

    def recharge(self, session: Session) -> None:
        """Keeps loads in step with what counts."""
        queue = self.queues[session.line]
        want = (session.holder, session.line) if counts(session, queue.rules.counts_until) else None
        have = self._charged.get(session.id)
        if want == have:
            return
        if have is not None:
            self._charge(*have, -1)
            del self._charged[session.id]
        if want is not None:
            self._charge(*want, 1)
            self._charged[session.id] = want
            self.refresh(want[0])
        if have is not None and (want is None or want[0] != have[0]):
            self.refresh(have[0])

    def _charge(self, name: str, line: str, step: int) -> None:
        load = self.queues[line].load
        load[name] = load.get(name, 0) + step
        operator = self.operators.get(name)
        if operator is not None:
            operator.load += step
            self.touch_operator(operator)

    def uncharge(self, session: Session) -> None:
        """Before its line disappears: it counts for nobody until it is charged again."""
        charged = self._charged.pop(session.id, None)
        if charged is not None and charged[0] in self.operators:
            operator = self.operators[charged[0]]
            operator.load -= 1
            self.touch_operator(operator)
