"""Overflow: what has waited too long in one line moves to another. Pure."""

from __future__ import annotations

from router.desk import moves
from router.desk.events import Overflow
from router.desk.floor import Floor
from router.desk.queue import Queue
from router.desk.state import Session


def move_overdue(floor: Floor) -> None:
    """Sessions whose overflow is due and that nobody is being offered: the first entry that is due and
    whose condition holds wins. The others stay overdue."""
    floor.recheck_overdue = False
    for id in list(floor.overdue):
        session = floor.sessions[id]
        entry = _due(floor, session)
        if entry is not None:
            floor.system(session, "overflow", **{"from": session.line, "to": entry.line})
            moves.change_line(floor, session, entry.line)


def _due(floor: Floor, session: Session) -> Overflow | None:
    queue = floor.queue(session)
    if session.status != "waiting":
        return None
    for entry in queue.rules.overflow:
        is_due = session.entered_at + entry.after <= floor.now
        if not is_due or entry.line not in floor.queues or not _holds(floor, queue, entry.when):
            continue
        if entry.after or not _can_be_offered(floor, queue, session):
            return entry
    return None


def _can_be_offered(floor: Floor, queue: Queue, session: Session) -> bool:
    """Whether somebody here gets it now who has not let it go before: ``after: 0s`` waits for nobody, but
    goes past nobody either."""
    if not queue.routes or queue.rules.mode == "manual":
        return False
    if queue.rules.mode == "all":
        left_out = {*session.hidden_from, *session.had}
        return any(name not in left_out for name in queue.ready(queue.need(session.id)))
    chosen = queue.choose(session, floor.now)
    return chosen is not None and not chosen[1]


def _holds(floor: Floor, queue: Queue, when: str) -> bool:
    if when == "off_hours":
        return not queue.is_open
    if when == "nobody_on_duty":
        return all(floor.standing(floor.operators.get(name), queue) for name in queue.members)
    return True
