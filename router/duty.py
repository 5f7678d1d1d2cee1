"""Duty: what becomes of an operator's offers and sessions when he goes on break or leaves. Pure."""

from __future__ import annotations

from crm.records import Duty
from router.capacity import HELD
from router.floor import Floor
from router.state import OperatorState, Session


def change(floor: Floor, operator: OperatorState, duty: Duty, reason: str = "") -> None:
    """Sets the button. Offers not yet taken return at once on break and off duty; what is taken
    stays on break, and follows the line's ``on_leave`` off duty."""
    operator.duty = duty
    operator.duty_since = floor.now
    operator.duty_reason = reason
    if duty == "online":
        operator.missed = 0
    floor.touch_operator(operator)
    floor.refresh(operator.name)
    for session in floor.held_by(operator.name):
        if floor.on_duty(operator, floor.queues[session.line].rules):
            if session.return_when_written:
                session.return_when_written = False
                floor.touch(session)
        elif session.status == "offered":
            end_offer(floor, session)
        elif duty == "offline" and session.status in HELD:
            _leave(floor, session, operator.name)


def leave_line(floor: Floor, name: str, line: str) -> None:
    """The operator is no member of the line any more. What came to him by transfer stays."""
    for session in floor.held_by(name):
        if session.line != line:
            continue
        if session.status == "offered" and not session.transfer_from:
            floor.enqueue(session)
        elif session.status in HELD:
            _leave(floor, session, name)


def _leave(floor: Floor, session: Session, operator: str) -> None:
    """The line's ``on_leave`` for one taken session of somebody who left."""
    queue = floor.queues[session.line]
    policy = queue.rules.on_leave
    only_member = list(queue.members) == [operator]
    if session.pinned or only_member or policy == "keep":
        return
    if policy == "at_once" or session.waiting_since:
        return_from(floor, session, operator)
    else:
        session.return_when_written = True
        floor.touch(session)


def return_from(floor: Floor, session: Session, operator: str) -> None:
    """The session goes back to the queue because its holder is not there any more."""
    floor.system(session, "left", operator=operator)
    session.had = [operator]
    floor.enqueue(session)


def end_offer(floor: Floor, session: Session) -> None:
    """An offer ends because its holder cannot take it now; he did not miss it."""
    if session.transfer_from:
        transfer_back(floor, session)
    else:
        floor.enqueue(session)


def transfer_back(floor: Floor, session: Session) -> None:
    """A transfer that was not taken: back to the sender as it was; if he has left, to the queue."""
    sender = session.transfer_from
    session.transfer_from = ""
    state = floor.operators.get(sender)
    rules = floor.queues[session.line].rules
    if state is None or state.disabled or (state.duty == "offline" and rules.check_duty):
        floor.enqueue(session)
        return
    floor.disarm(session, "offer")
    session.offer_until = 0
    floor.hold(session, sender)
    floor.system(session, "transfer_back", operator=sender)
    floor.set_status(session, floor.truth(session))


def dismiss(floor: Floor, name: str) -> None:
    """The account is disabled: every session of his returns at once, pinned or not."""
    floor.refresh(name)
    for session in floor.held_by(name):
        if session.status == "offered":
            end_offer(floor, session)
        else:
            session.pinned = False
            return_from(floor, session, name)


def presence_lost(floor: Floor, operator: OperatorState) -> None:
    """None of his consoles has answered for ``presence_timeout``."""
    operator.here = False
    floor.touch_operator(operator)
    if operator.duty != "offline":
        change(floor, operator, "offline", "connection_lost")
