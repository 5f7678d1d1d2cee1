"""What was set aside, as far as the rules are concerned: timers that failed, and what is tried again. Pure."""

from __future__ import annotations

from router.desk import events
from router.desk.customers import stray
from router.desk.floor import Floor
from router.desk.state import HELD, Aside, Audit, Session, decode_session, encode
from router.desk.timers import CALENDAR

PRESENCE = "presence"
TELL_EVERY_MS = 60_000
LATER_MS = 3_600_000
"""A line's calendar, or an operator's presence, that failed is looked at again then by itself: its line,
or its operator, is still there."""


def set_timer_aside(floor: Floor, owner: str, kind: str, reason: str) -> None:
    """The timer has just been disarmed, and does not fire."""
    state = b""
    if kind in (CALENDAR, PRESENCE):
        floor.timers.arm(owner, kind, floor.now + LATER_MS)
    else:
        session = floor.sessions[owner]
        state = encode(session)
        del session.timers[kind]
        floor.touch(session)
    floor.outcome.aside.append(
        Aside(
            id=f"timer-{owner}-{kind}-{floor.now}", origin="timer", place=f"{owner} {kind}", at=floor.now,
            reason=reason, data=state, kind=kind,
        )
    )  # fmt: skip


def tell_aside(floor: Floor) -> None:
    """Of what is to be committed as set aside."""
    for item in floor.outcome.aside:
        _tell(floor, item.id, item.origin, item.reason)


def put_aside(floor: Floor, event: events.PutAside) -> None:
    """Another part has set something aside: told like what the desk itself did."""
    _tell(floor, event.id, event.origin, event.reason)


def _tell(floor: Floor, id: str, origin: str, reason: str) -> None:
    """The audit knows each thing; supervisors are called now and then, however many there are."""
    params = {"id": id, "origin": origin, "reason": reason}
    floor.tell(Audit(at=floor.now, operator="", action="set_aside", params=params))
    if floor.now - floor.aside_told >= TELL_EVERY_MS:
        floor.aside_told = floor.now
        floor.alert("set_aside", origin=origin)


def timer_again(floor: Floor, event: events.TimerAgain) -> None:
    """Fires at once, unless what it waited for has changed since."""
    owner, kind = event.owner, event.timer
    if kind in (CALENDAR, PRESENCE):
        if owner in (floor.queues if kind == CALENDAR else floor.operators):
            floor.timers.arm(owner, kind, floor.now)
        return
    session = floor.sessions.get(owner)
    if session is not None and kind not in session.timers and _still_waits(session, kind):
        floor.arm(session, kind, floor.now)
        floor.touch(session)
    else:
        stray(floor, event, "nothing waits for this timer any more")


def _still_waits(session: Session, kind: str) -> bool:
    name, _, clock = kind.partition(":")
    waiting = session.status == "waiting" or (session.status == "offered" and not session.holder)
    holds = {
        "offer": session.status == "offered",
        "pause": waiting,
        "ring": waiting,
        "overflow": waiting,
        "no_answer": not session.first_answer_at and session.status != "closed",
        "return": session.status in HELD,
        "auto_close": session.status in HELD,
        "closing": session.status == "closing",
        "bot": session.status == "bot",
        "snooze": session.hand.snoozed > 0,
        "sla_warn": clock in session.sla,
        "sla_breach": clock in session.sla,
    }
    return holds.get(name, False)


def session_restored(floor: Floor, event: events.SessionRestored) -> None:
    """As it was, unless its chat has gone on in another session."""
    session = decode_session(event.state)
    if session.id in floor.sessions or session.chat in floor.by_chat or not floor.queues:
        stray(floor, event, "its chat has an open session")
        return
    if session.line not in floor.queues:
        session.line = next(iter(floor.queues))
    floor.sessions[session.id] = session
    floor.seat(session)
    if session.holder:
        floor.held.setdefault(session.holder, {})[session.id] = None
    for kind, (due, _) in list(session.timers.items()):
        floor.arm(session, kind, due)
    floor.recharge(session)
    floor.wait_again(session)
    floor.touch(session)
