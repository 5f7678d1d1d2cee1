"""The clocks of a session: what starts each of them and what stops it. What happens when one fires is
said in ``router.desk.fired``. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from router.desk.floor import Floor
from router.desk.state import HELD, Session

WEEK = 7 * 24 * 3_600_000
"""So long a pinned session is not closed by itself."""
WARN_AT = 0.8
"""The part of a service level after which supervisors are warned."""
IN_QUEUE = ("offer", "pause", "overflow", "ring")
IN_HAND = ("return", "snooze")


# ------------------------------------------------------------------ in the queue


def enter(floor: Floor, session: Session) -> None:
    """The session enters its line's queue: skill rings and overflow count from here."""
    session.wait = replace(session.wait, entered_at=floor.now)
    widen(floor, session)
    arm_overflow(floor, session)


def widen(floor: Floor, session: Session) -> None:
    """Which skill ring is in force, and when the next one will be."""
    rings = floor.queue(session).rules.skills
    entered = session.wait.entered_at
    ring = _set_ring(floor, session)
    if ring < len(rings):
        floor.arm(session, "ring", entered + rings[ring].after)


def _set_ring(floor: Floor, session: Session) -> int:
    passed = floor.now - session.wait.entered_at
    ring = sum(ring.after <= passed for ring in floor.queue(session).rules.skills)
    if ring != session.wait.ring:
        session.wait = replace(session.wait, ring=ring)
    return ring


def look_again(floor: Floor, session: Session) -> None:
    """A waiting session after the rules have changed: rings and overflow as they are now. What is armed
    already stays armed."""
    rings = floor.queue(session).rules.skills
    if _set_ring(floor, session) < len(rings) and "ring" not in session.timers:
        widen(floor, session)
    if "overflow" not in session.timers:
        arm_overflow(floor, session)


def arm_overflow(floor: Floor, session: Session) -> None:
    """The next overflow that is not due yet."""
    dues = [session.wait.entered_at + entry.after for entry in floor.queue(session).rules.overflow]
    later = [due for due in dues if due > floor.now]
    if later:
        floor.arm(session, "overflow", min(later))
    if len(later) < len(dues):
        floor.overdue[session.id] = None
        floor.recheck_overdue = True


# ------------------------------------------------------------------ in somebody's hands


def arm_return(floor: Floor, session: Session) -> None:
    """A customer waits for the holder's answer from now on."""
    after = floor.queue(session).rules.return_unanswered_after
    if after and session.waiting_since and session.status in HELD and not session.hand.snoozed:
        floor.arm(session, "return", floor.now + after)


def arm_auto_close(floor: Floor, session: Session) -> None:
    """The operator has had the last word; counted anew from now."""
    after = floor.queue(session).rules.auto_close_after
    if not after or session.waiting_since or session.hand.snoozed or not session.first_answer_at:
        return
    due = floor.now + after
    if session.hand.pinned:
        due = max(due, session.hand.pinned_at + WEEK)
    floor.arm(session, "auto_close", due)


def changed_hands(floor: Floor, session: Session) -> None:
    """Somebody else holds it now: what waits for him starts anew."""
    floor.disarm(session, "snooze")
    restart(floor, session)


def restart(floor: Floor, session: Session) -> None:
    """What waits for the holder starts anew."""
    floor.disarm(session, "return")
    arm_return(floor, session)
    if session.status == "answered":
        arm_auto_close(floor, session)


# ------------------------------------------------------------------ what people do


def customer_wrote(floor: Floor, session: Session, *, first: bool, waits_anew: bool) -> None:
    """``first``: of the session. ``waits_anew``: all before it was answered."""
    rules = floor.queue(session).rules
    floor.disarm(session, "auto_close")
    if first:
        _in_working_time(floor, session, "no_answer", rules.no_answer_after)
        start_sla(floor, session, "first_response", rules.sla.first_response, floor.now)
        start_sla(floor, session, "resolution", rules.sla.resolution, session.opened_at)
    elif waits_anew:
        if session.first_answer_at:
            start_sla(floor, session, "next_response", rules.sla.next_response, floor.now)
        elif "first_response" not in session.sla:
            start_sla(floor, session, "first_response", rules.sla.first_response, floor.now)
        arm_return(floor, session)


def operator_wrote(floor: Floor, session: Session) -> None:
    """An operator's word to the customer."""
    floor.disarm(session, "no_answer", "return")
    stop_sla(floor, session, "first_response", "next_response")
    arm_auto_close(floor, session)


def _in_working_time(floor: Floor, session: Session, kind: str, after: int) -> None:
    if after:
        due = floor.queue(session).calendar.add(floor.now, after)
        if due is not None:
            floor.arm(session, kind, due)


# ------------------------------------------------------------------ service levels


def start_sla(floor: Floor, session: Session, clock: str, allowed: int, start: int) -> None:
    """Starts a clock of ``allowed`` ms of working time (0 = there is none)."""
    calendar = floor.queue(session).calendar
    breach = calendar.add(start, allowed) if allowed else None
    if breach is None:
        return
    session.sla = {**session.sla, clock: breach}
    warn = calendar.add(start, int(allowed * WARN_AT))
    if warn is not None and warn > floor.now:
        floor.arm(session, f"sla_warn:{clock}", warn)
    elif breach > floor.now:
        floor.arm(session, f"sla_breach:{clock}", breach)


def stop_sla(floor: Floor, session: Session, *clocks: str) -> None:
    for clock in clocks:
        if clock in session.sla:
            session.sla = {name: due for name, due in session.sla.items() if name != clock}
            floor.disarm(session, f"sla_warn:{clock}", f"sla_breach:{clock}")
