"""Lines, channels and accounts as administrators set them. A changed rule holds from the next decision
on: running offers and timers keep what they were armed with. Hours, shifts and absences come into force by
themselves: a line's calendar has one timer, armed for the next instant at which anything of it changes. Pure."""

from __future__ import annotations

from crm.kernel.records import OperatorRules
from router.desk import clocks, duty, moves
from router.desk.events import LinesConfigured, OperatorChanged
from router.desk.floor import Floor
from router.desk.hours import is_absent, next_absence_change
from router.desk.queue import Queue
from router.desk.rules import LineRules
from router.desk.state import LoginsRevoked, OperatorState, may
from router.desk.timers import CALENDAR


def lines_configured(floor: Floor, event: LinesConfigured) -> None:
    event.at, event.event_id = 0, ""
    # Without a line nobody could have what is open: the last ones stay until there are others.
    event.lines = event.lines or floor.configured.lines
    if event != floor.configured:
        before = _members(floor)
        _mark(floor)
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
        changed = _look(floor, queue, floor.clock)
        _follow(floor, queue, changed)


def _move_out(floor: Floor, gone: str, into: str) -> None:
    """Sessions of a line that is no longer there go on under the first line's rules."""
    floor.timers.disarm(gone, CALENDAR)
    floor.queues[gone] = Queue(gone, LineRules())
    for session in floor.sessions.values():
        if session.line == gone:
            floor.uncharge(session)
            session.line = into
            floor.recharge(session)
            floor.touch(session)
            floor.stand(session)
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
        _mark(floor)
        look_at_calendars(floor)
    if event.revoked:
        floor.tell(LoginsRevoked(operator=event.name, tokens=event.revoked))


FIELDS = ("role", "lines", "disabled", *OperatorRules.__struct_fields__)


# ------------------------------------------------------------------ hours, shifts and absences


def _look(floor: Floor, queue: Queue, at: int) -> set[str]:
    """Notes what is in force at ``at`` and arms the next change after it. Returns the operators whose
    shift or absence is other than it was before."""
    rules = queue.rules
    queue.is_open = queue.calendar.is_open(at)
    off_shift = {name for name, shift in queue.shifts.items() if not shift.is_open(at)}
    absentees = [o for o in floor.operators.values() if o.absences]
    absent = {o.name for o in absentees if is_absent(o.absences, rules.zone, at)}
    changed = (off_shift ^ queue.off_shift) | (absent ^ queue.absent)
    queue.off_shift, queue.absent = off_shift, absent
    dues = [queue.calendar.next_change(at), *(shift.next_change(at) for shift in queue.shifts.values())]
    dues += [next_absence_change(o.absences, rules.zone, at) for o in absentees]
    coming = [due for due in dues if due is not None]
    if coming:
        floor.timers.arm(queue.name, CALENDAR, min(coming))
    else:
        floor.timers.disarm(queue.name, CALENDAR)
    return changed


def calendar_turned(floor: Floor, queue: Queue) -> None:
    """Something of the line's calendar has changed now."""
    changed = _look(floor, queue, floor.now)
    _mark(floor)
    _follow(floor, queue, changed)
    floor.stirred.add(queue.name)
    floor.recheck_overdue = True
    _ask_again(floor, queue)


def _follow(floor: Floor, queue: Queue, changed: set[str]) -> None:
    """Operators whose shift or absence in the line has changed."""
    for name in sorted(changed):
        floor.refresh(name)
        operator = floor.operators.get(name)
        if operator is None:
            continue
        for session in floor.held_by(name):
            if session.line == queue.name:
                duty.follow(floor, operator, session)


def _ask_again(floor: Floor, queue: Queue) -> None:
    """Who waited for the hours to open is now routed for the first time."""
    floor.fresh.extend(session for session in queue.waiting() if session.status == "waiting")


def _mark(floor: Floor) -> None:
    """Remembers until when the calendars have been followed: a desk taken up later goes on there."""
    floor.clock = floor.now
    floor.outcome.fields.add("clock")
