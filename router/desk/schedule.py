"""Hours, shifts and absences: what is in force in a line now, and what happens when that changes. Pure.

A line's calendar has one timer, armed for the next instant at which anything of it changes.
"""

from __future__ import annotations

from router.desk import duty
from router.desk.floor import Floor
from router.desk.hours import is_absent, next_absence_change
from router.desk.queue import Queue
from router.desk.timers import CALENDAR


def look(floor: Floor, queue: Queue, at: int) -> set[str]:
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


def turn(floor: Floor, queue: Queue) -> None:
    """Something of the line's calendar has changed now."""
    changed = look(floor, queue, floor.now)
    mark(floor)
    follow(floor, queue, changed)
    floor.stirred.add(queue.name)
    floor.recheck_overdue = True
    ask_again(floor, queue)


def follow(floor: Floor, queue: Queue, changed: set[str]) -> None:
    """Operators whose shift or absence in the line has changed."""
    for name in sorted(changed):
        floor.refresh(name)
        operator = floor.operators.get(name)
        if operator is None:
            continue
        for session in floor.held_by(name):
            if session.line == queue.name:
                duty.follow(floor, operator, session)


def ask_again(floor: Floor, queue: Queue) -> None:
    """Who waited for the hours to open is now routed for the first time."""
    floor.fresh.extend(session for session in queue.waiting() if session.status == "waiting")


def mark(floor: Floor) -> None:
    """Remembers until when the calendars have been followed: a desk taken up later goes on there."""
    floor.clock = floor.now
    floor.outcome.fields.add("clock")
