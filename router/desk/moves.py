"""How a session moves between the backlog, offers and hands. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from router.desk import clocks, notices
from router.desk.floor import Floor
from router.desk.state import OperatorState, Session
from router.desk.values import NEW_HAND, NEW_ROUND, NO_BOT, NO_WAIT


def enqueue(floor: Floor, session: Session) -> None:
    """Puts the session into its line's backlog, where its arrival says."""
    floor.disarm(session, "bot", *clocks.IN_HAND)
    floor.end_offer(session)
    floor.unhold(session)
    session.holder = ""
    session.hand = NEW_HAND
    session.bot_turn = NO_BOT
    arrival = session.waiting_since or session.wait.arrival or floor.now
    session.wait = replace(session.wait, arrival=arrival)
    floor.set_status(session, "waiting")
    if not session.wait.entered_at:
        clocks.enter(floor, session)
        floor.stand(session)
    elif floor.queue(session).rules.overflow:
        clocks.arm_overflow(floor, session)
    floor.queue(session).put(session)
    floor.stirred.add(session.line)
    floor.fresh.append(session)


def take(floor: Floor, session: Session, operator: str) -> None:
    """The operator accepted: the session is his."""
    if session.wait.entered_at:
        notices.note_pace(floor, session)
    asked = operator == session.holder or operator in session.offer.seen_by
    offered_at = session.offer.began if asked else 0
    floor.leave_queue(session)
    floor.disarm(session, "bot", *clocks.IN_QUEUE)
    session.wait = NO_WAIT
    session.round = NEW_ROUND
    session.asked = 2
    floor.end_offer(session)
    session.hand = NEW_HAND
    session.bot_turn = NO_BOT
    session.guests = [name for name in session.guests if name != operator]
    floor.hold(session, operator)
    floor.set_status(session, floor.truth(session))
    floor.stand(session, offered_at=offered_at)
    clocks.changed_hands(floor, session)
    state = floor.operators.get(operator)
    if state is not None and state.missed:
        state.missed = 0
        floor.touch_operator(state)


def hand_back(floor: Floor, session: Session, operator: str) -> None:
    """A transfer that was not taken: its sender holds it again, as it was."""
    floor.end_offer(session)
    floor.hold(session, operator)
    floor.set_status(session, floor.truth(session))
    clocks.changed_hands(floor, session)


def give_back(floor: Floor, session: Session, operator: str, *, pause: bool) -> None:
    """The queue gets it back from somebody who had it. ``pause``: he gave it back by hand, so a new
    round waits for the line's ``answer_within``."""
    had = session.round.had if session.status == "offered" else []
    if operator not in had:
        had = [*had, operator]
    session.round = replace(session.round, had=had)
    if pause:
        start_pause(floor, session)
    else:
        floor.missed_now.add(session.id)
    enqueue(floor, session)


def start_pause(floor: Floor, session: Session) -> None:
    """No new round for the line's ``answer_within``: somebody gave it back by hand."""
    until = floor.now + floor.queue(session).rules.answer_within
    session.round = replace(session.round, pause_until=until)
    floor.arm(session, "pause", until)


def new_round(floor: Floor, session: Session) -> None:
    """Whoever had it may have it again. Renewing an offer that was missed is told once."""
    session.round = NEW_ROUND
    floor.disarm(session, "pause")
    if session.id in floor.missed_now and not session.renewed:
        session.renewed = True
        floor.alert("offer_renewed", session)


def change_line(floor: Floor, session: Session, line: str) -> None:
    """Into another line's backlog, whose rules then apply; the arrival stays."""
    floor.leave_queue(session)
    floor.disarm(session, *clocks.IN_QUEUE)
    session.round = NEW_ROUND
    session.wait = replace(session.wait, entered_at=0)
    if not session.priority_set:
        session.priority += floor.queues[line].rules.priority - floor.queue(session).rules.priority
    session.line = line
    enqueue(floor, session)


def return_from(floor: Floor, session: Session, operator: str, why: str = "left") -> None:
    """Back to the queue because its holder left, or did not answer: he is told why."""
    floor.system(session, why, operator=operator)
    session.round = replace(session.round, had=[operator])
    enqueue(floor, session)


def miss(floor: Floor, operator: OperatorState | None) -> int:
    """Counts a missed offer; how many in a row there are now."""
    if operator is None:
        return 0
    operator.missed += 1
    floor.touch_operator(operator)
    return operator.missed
