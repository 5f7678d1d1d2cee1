"""Lines, channels and accounts as administrators set them. A changed rule holds from the next decision
on: running offers and timers keep what they were armed with. Pure."""

from __future__ import annotations

from crm.kernel.records import OperatorRules
from router.desk import clocks, duty, moves, schedule
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.floor import Floor
from router.desk.queue import Queue
from router.desk.rules import LineRules
from router.desk.state import LoginsRevoked, OperatorState, may


def lines_configured(floor: Floor, event: LinesConfigured) -> None:
    event.at, event.event_id = 0, ""
    # Without a line nobody could have what is open: the last ones stay until there are others.
    event.lines = event.lines or floor.configured.lines
    if event != floor.configured:
        before = _members(floor)
        schedule.mark(floor)
        configure(floor, event)
        _see_off(floor, before)
        requeue(floor)
        for session in [
            s for s in floor.sessions.values() if s.status == "bot" and not _has_bot(floor, s.bot_turn.name)
        ]:
            moves.enqueue(floor, session)
        floor.outcome.fields.add("configured")


def _has_bot(floor: Floor, name: str) -> bool:
    return name in floor.flows or name in floor.operators


def configure(floor: Floor, event: LinesConfigured) -> None:
    """Takes the lines as they are told."""
    floor.configured = event
    floor.channels = event.channels
    floor.kinds = event.kinds
    floor.flows = event.flows
    old = floor.queues
    floor.queues, floor.lines_of = {}, {}
    for name, rules in event.lines.items():
        queue = floor.queues[name] = Queue(name, rules)
        if name in old:
            queue.load = old[name].load
            queue.off_shift, queue.absent = old[name].off_shift, old[name].absent
    if floor.queues:
        for name in old.keys() - floor.queues.keys():
            _move_out(floor, name, next(iter(floor.queues)))
    else:
        floor.queues = old
    _set_members(floor)
    for session in floor.sessions.values():
        floor.recharge(session)
    look_at_calendars(floor)


def look_at_calendars(floor: Floor) -> None:
    """Hours, shifts and absences as they are at the floor's ``clock``."""
    for queue in list(floor.queues.values()):
        changed = schedule.look(floor, queue, floor.clock)
        schedule.follow(floor, queue, changed)


def _move_out(floor: Floor, gone: str, into: str) -> None:
    """Sessions of a line that is no longer there go on under the first line's rules."""
    floor.timers.disarm(gone, "calendar")
    floor.queues[gone] = Queue(gone, LineRules())
    for session in floor.sessions.values():
        if session.line == gone:
            floor.uncharge(session)
            session.line = into
            floor.recharge(session)
            floor.touch(session)
    del floor.queues[gone]


def _members(floor: Floor) -> dict[str, list[str]]:
    return {queue.name: list(queue.members) for queue in floor.queues.values()}


def _set_members(floor: Floor) -> None:
    """Members in line order: those of the rules, then operators whose account names the line."""
    floor.lines_of = {}
    for queue in floor.queues.values():
        extra = sorted(
            o.name for o in floor.operators.values() if o.role == "operator" and queue.name in o.lines
        )
        queue.set_members([*queue.rules.members, *extra])
        for name in queue.members:
            floor.lines_of.setdefault(name, []).append(queue)
    for name in floor.operators:
        floor.refresh(name)
    # Nobody ready is no news to the queue, and yet those who saw an offer may be gone.
    floor.stirred.update(name for name, queue in floor.queues.items() if queue.rules.mode == "all")


def _see_off(floor: Floor, before: dict[str, list[str]]) -> None:
    """Those who are no members of a line any more leave it as if they went off duty there."""
    for name, members in before.items():
        if name in floor.queues:
            for member in members:
                if member not in floor.queues[name].members:
                    duty.leave_line(floor, member, name)


def _turn_out(floor: Floor, operator: OperatorState) -> None:
    """Who has lost the right to take part, or to read along silently, does so no longer."""
    name = operator.name
    for session in floor.sessions.values():
        if name in session.silent and (operator.disabled or not may(operator, "join_silent", session.line)):
            session.silent = [other for other in session.silent if other != name]
            floor.touch(session)
        if name in session.guests and (operator.disabled or not may(operator, "join_open", session.line)):
            session.guests = [other for other in session.guests if other != name]
            floor.system(session, "left_session", operator=name)
            floor.touch(session)


def requeue(floor: Floor) -> None:
    """Puts all that waits into the queues anew: needs, order and what it waits for may have changed."""
    for session in floor.sessions.values():
        if session.status == "waiting" or (session.status == "offered" and not session.holder):
            before = session.wait.ring, len(session.timers)
            clocks.look_again(floor, session)
            if before != (session.wait.ring, len(session.timers)):
                floor.touch(session)
            floor.queue(session).put(session)
            floor.stirred.add(session.line)
            if session.asked < 2:
                floor.fresh.append(session)


def operator_changed(floor: Floor, event: OperatorChanged) -> None:
    operator = floor.operators.get(event.name) or OperatorState(name=event.name)
    floor.operators[event.name] = operator
    told = [getattr(operator, field) for field in FIELDS]
    if told != [getattr(event, field) for field in FIELDS] or not operator.rev:
        dismissed = event.disabled and not operator.disabled
        for field in FIELDS:
            setattr(operator, field, getattr(event, field))
        if dismissed:
            operator.duty = "offline"
        floor.touch_operator(operator)
        before = _members(floor)
        _set_members(floor)
        _see_off(floor, before)
        _turn_out(floor, operator)
        if dismissed:
            duty.dismiss(floor, operator)
        schedule.mark(floor)
        look_at_calendars(floor)
    if event.revoked:
        floor.tell(LoginsRevoked(operator=event.name, tokens=event.revoked))


FIELDS = ("role", "lines", "disabled", *OperatorRules.__struct_fields__)
