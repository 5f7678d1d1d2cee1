"""What a session's timer does when it fires. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from router.desk import clocks, closing, duty, moves, notices
from router.desk.bots import line_bot
from router.desk.floor import Floor
from router.desk.state import HELD, Session


def fire(floor: Floor, session: Session, kind: str) -> None:
    """The timer ``kind`` of the session has just been disarmed: it fires once for each arming."""
    del session.timers[kind]
    floor.touch(session)
    name, _, clock = kind.partition(":")
    if name == "sla_warn":
        floor.alert("sla_warn", session, session.holder, clock=clock)
        floor.arm(session, f"sla_breach:{clock}", session.sla[clock])
    elif name == "sla_breach":
        floor.alert("sla_breach", session, session.holder, clock=clock)
    else:
        EFFECTS[kind](floor, session)


def _offer(floor: Floor, session: Session) -> None:
    """Nobody took it in time."""
    queue = floor.queue(session)
    holder = session.holder
    if not holder:
        _missed_by_all(floor, session)
        return
    floor.system(session, "missed", operator=holder)
    if session.hand.transfer_from:
        duty.transfer_back(floor, session)
    else:
        moves.give_back(floor, session, holder, pause=False)
    duty.missed(floor, floor.operators.get(holder), queue)


def _missed_by_all(floor: Floor, session: Session) -> None:
    """Mode ``all``: missed by everyone who saw it, offered again to all eligible, skips forgotten."""
    queue = floor.queue(session)
    saw = session.offer.seen_by
    floor.end_offer(session)
    floor.missed_now.add(session.id)
    floor.set_status(session, "waiting")
    floor.stand(session, missed=saw)
    for name in saw:
        duty.missed(floor, floor.operators.get(name), queue)
    if queue.pool(queue.need(session.id)):
        moves.new_round(floor, session)
    else:
        session.round = replace(session.round, had=[], hidden_from=[])
    clocks.arm_overflow(floor, session)
    floor.stirred.add(queue.name)


def _pause(floor: Floor, session: Session) -> None:
    floor.stirred.add(session.line)


def _ring(floor: Floor, session: Session) -> None:
    """Fewer skills are needed from now on."""
    clocks.widen(floor, session)
    floor.reorder(session)
    floor.stirred.add(session.line)


def _overflow(floor: Floor, session: Session) -> None:
    clocks.arm_overflow(floor, session)


def _no_answer(floor: Floor, session: Session) -> None:
    """No operator has written yet. The session stays where it is."""
    notices.send(floor, session, "no_answer")
    floor.alert("no_answer", session, session.holder)


def _return(floor: Floor, session: Session) -> None:
    """The holder did not answer in time."""
    if session.status in HELD and not session.hand.pinned:
        session.wait = replace(session.wait, return_reason="unanswered")
        moves.return_from(floor, session, session.holder, "unanswered")


def _auto_close(floor: Floor, session: Session) -> None:
    if session.status == "offered":
        # Who has not taken it does not get it when the customer comes back.
        floor.hold(session, session.hand.transfer_from)
    floor.system(session, "auto_closed")
    closing.finish(floor, session, "", notice="auto_close")


def _closing(floor: Floor, session: Session) -> None:
    floor.close(session, "")


def _bot(floor: Floor, session: Session) -> None:
    line_bot.leave(floor, session, "time_up")


def _snooze(floor: Floor, session: Session) -> None:
    wake(floor, session)


def wake(floor: Floor, session: Session) -> None:
    """It sleeps no longer: it counts again, and the clocks of its holder start anew."""
    session.hand = replace(session.hand, snoozed=0)
    floor.system(session, "woken")
    floor.recharge(session)
    clocks.changed_hands(floor, session)


EFFECTS: dict[str, Callable[[Floor, Session], None]] = {
    "offer": _offer,
    "pause": _pause,
    "ring": _ring,
    "overflow": _overflow,
    "no_answer": _no_answer,
    "return": _return,
    "auto_close": _auto_close,
    "closing": _closing,
    "bot": _bot,
    "snooze": _snooze,
}
