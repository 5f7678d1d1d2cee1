"""Duty: what becomes of an operator's offers and sessions when he goes on break or leaves. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from crm.kernel.records import Duty
from router.desk import moves
from router.desk.floor import Floor
from router.desk.queue import Queue
from router.desk.state import HELD, Audit, OperatorState, Session

LEFT = frozenset({"offline", "absent", "disabled", "no_account"})
"""Standings of somebody who is not there; on break or out of his shift he still is."""


def change(floor: Floor, operator: OperatorState, duty: Duty, reason: str = "") -> None:
    """Sets the button, and lets everything he has follow."""
    operator.duty = duty
    operator.duty_since = floor.now
    operator.duty_reason = reason
    if duty == "online":
        operator.missed = 0
    floor.touch_operator(operator)
    params: dict[str, str] = {"duty": duty, "reason": reason} if reason else {"duty": duty}
    floor.tell(Audit(at=floor.now, operator=operator.name, action="duty", params=params))
    floor.refresh(operator.name)
    for session in floor.held_by(operator.name):
        follow(floor, operator, session)


def follow(floor: Floor, operator: OperatorState, session: Session) -> None:
    """One session of somebody whose standing in its line may have changed: an offer that he cannot
    take now ends; what is taken stays, unless he has left and the line's ``on_leave`` says else."""
    standing = floor.standing(operator, floor.queue(session))
    if session.status == "offered":
        if standing:
            end_offer(floor, session)
    elif standing == "disabled":
        _dismiss(floor, session, operator.name)
    elif standing in LEFT:
        if session.status in HELD:
            leave(floor, session, operator.name)
    elif session.hand.return_when_written:
        session.hand = replace(session.hand, return_when_written=False)
        floor.touch(session)


def leave_line(floor: Floor, name: str, line: str) -> None:
    """The operator is no member of the line any more. What came to him by transfer or because he is
    the responsible stays."""
    for session in floor.held_by(name):
        if session.line != line or session.hand.transfer_from or session.offer.kind == "responsible":
            continue
        if session.status == "offered":
            moves.enqueue(floor, session)
        elif session.status in HELD:
            leave(floor, session, name)


def leave(floor: Floor, session: Session, operator: str) -> None:
    """The line's ``on_leave`` for one taken session of somebody who left."""
    queue = floor.queue(session)
    policy = queue.rules.on_leave
    only_member = list(queue.members) == [operator]
    if session.hand.pinned or only_member or policy == "keep":
        return
    if policy == "at_once" or session.waiting_since:
        moves.return_from(floor, session, operator)
    else:
        session.hand = replace(session.hand, return_when_written=True)
        floor.touch(session)


def end_offer(floor: Floor, session: Session) -> None:
    """An offer ends because its holder cannot take it now; he did not miss it."""
    if session.hand.transfer_from:
        transfer_back(floor, session)
    else:
        moves.enqueue(floor, session)


def transfer_back(floor: Floor, session: Session) -> None:
    """A transfer that was not taken: back to the sender as it was; if he has left, to the queue."""
    sender = session.hand.transfer_from
    session.hand = replace(session.hand, transfer_from="")
    if floor.standing(floor.operators.get(sender), floor.queue(session)) in LEFT:
        moves.enqueue(floor, session)
        return
    moves.hand_back(floor, session, sender)
    floor.system(session, "transfer_back", operator=sender)


def dismiss(floor: Floor, operator: OperatorState) -> None:
    """The account is disabled: every session of his returns at once, pinned or not."""
    floor.refresh(operator.name)
    for session in floor.held_by(operator.name):
        follow(floor, operator, session)


def _dismiss(floor: Floor, session: Session, name: str) -> None:
    if session.status in HELD:
        moves.return_from(floor, session, name)


def presence_lost(floor: Floor, operator: OperatorState) -> None:
    """None of his consoles has answered for ``presence_timeout``."""
    operator.here = False
    floor.touch_operator(operator)
    if operator.duty != "offline":
        change(floor, operator, "offline", "connection_lost")


def missed(floor: Floor, operator: OperatorState | None, queue: Queue) -> None:
    """One more offer missed; too many in a row (``away_after_missed``) put him on break."""
    in_row = moves.miss(floor, operator)
    limit = queue.rules.away_after_missed
    if operator is None or not limit or in_row < limit or operator.duty != "online":
        return
    floor.alert("away_after_missed", operator=operator.name, missed=str(in_row))
    change(floor, operator, "break", "missed_offers")
