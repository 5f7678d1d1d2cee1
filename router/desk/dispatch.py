"""Giving the waiting to the ready, and moving on what has waited too long in one line. ``settle`` runs
after everything that happens. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from router.desk import moves, notices
from router.desk.floor import Floor
from router.desk.queue import Need, Queue, Waiting, lacks, need_of, place
from router.desk.rules import Overflow
from router.desk.state import Decided, Session
from router.desk.values import Offer, OfferKind

EXPLAIN = 32
"""Up to so many members a decision says of each what dropped him; beyond that it would cost more
than the decision itself."""


def settle(floor: Floor) -> None:
    """Gives the waiting to the ready, the backlogs of all stirred lines merged in order, until
    nothing more can be given; then tells those who have to wait."""
    asked = 0
    while True:
        if len(floor.fresh) > asked:
            _ask_those_who_know(floor, floor.fresh[asked:])
            asked = len(floor.fresh)
        if floor.recheck_overdue:
            move_overdue(floor)
            if len(floor.fresh) > asked:
                continue
        if not floor.stirred:
            break
        stirred, floor.stirred = floor.stirred, set()
        _dispatch(floor, [floor.queues[name] for name in sorted(stirred) if name in floor.queues])
    if floor.fresh:
        _tell_who_wait(floor)
    floor.missed_now.clear()


# ------------------------------------------------------------------ those who know the customer


def _ask_those_who_know(floor: Floor, fresh: list[Session]) -> None:
    asking = [s for s in fresh if s.asked < 2 and s.status == "waiting" and floor.queue(s).routes]
    for session in sorted(asking, key=place):
        _ask(floor, session)


def _ask(floor: Floor, session: Session) -> None:
    """Responsible first, then the last operator: whoever is on duty gets an offer, whatever line he
    belongs to and however much he has. Nobody is asked twice, and nobody absent is waited for."""
    queue = floor.queue(session)
    rules = queue.rules
    while session.asked < 2:
        session.asked += 1
        floor.touch(session)
        kind: OfferKind = "responsible" if session.asked == 1 else "last_operator"
        wanted = rules.responsible_first if session.asked == 1 else rules.last_operator_first
        name = session.responsible if session.asked == 1 else session.last_operator
        operator = floor.operators.get(name) if wanted and name not in session.round.had else None
        if operator is None or floor.standing(operator, queue):
            continue
        decision = explain(floor, session, queue, kind, name)
        floor.give(session, operator, rules.responsible_wait, kind)
        floor.system(session, f"asked_{kind}", operator=name)
        decision.timers = _dues(session)
        floor.tell(decision)
        return


# ------------------------------------------------------------------ by the line's mode


def _dispatch(floor: Floor, queues: list[Queue]) -> None:
    backlogs: list[tuple[Queue, dict[Need, int]]] = []
    for queue in queues:
        if queue.rules.mode == "all":
            _show_to_all(floor, queue)
        elif queue.rules.mode != "manual" and queue.routes:
            backlogs.append((queue, {}))
    while True:
        head: Waiting | None = None
        for queue, passed in backlogs:
            found = queue.first(passed)
            if found is not None and (head is None or found[0] < head):
                (head, need), of, passed_there = found, queue, passed
        if head is None:
            return
        session = head[-1]
        # One that all still see was offered under the line's former rules: that offer runs on.
        chosen = of.choose(session, need, floor.now) if session.status == "waiting" else None
        if chosen is None:
            passed_there[need] = passed_there.get(need, 0) + 1
        else:
            _give(floor, session, of, need, *chosen)


def _give(floor: Floor, session: Session, queue: Queue, need: Need, name: str, new_round: bool) -> None:
    """The queue offers the session to one operator."""
    candidates, dropped = _among(floor, session, queue, need, name)
    if new_round:
        moves.new_round(floor, session)
    floor.give(session, floor.operators[name], queue.rules.answer_within)
    floor.tell(
        Decided(
            at=floor.now, session=session.id, line=queue.name, why=queue.rules.mode, chosen=name,
            candidates=candidates, dropped=dropped, timers=_dues(session),
        )
    )  # fmt: skip


def _show_to_all(floor: Floor, queue: Queue) -> None:
    """Mode ``all``: every ready member who has not hidden or given it back sees each untaken session."""
    for session in list(queue.waiting()):
        left_out = {*session.round.hidden_from, *session.round.had}
        ready = list(queue.ready(queue.need(session.id)))
        seen_by = [name for name in ready if name not in left_out]
        if ready and not seen_by and session.round.pause_until <= floor.now and queue.routes:
            # All who could take it have given it back, and the pause after that is over.
            moves.new_round(floor, session)
            seen_by = ready
        if not queue.routes:
            seen_by = [name for name in seen_by if name in session.offer.seen_by]
        if seen_by != session.offer.seen_by or (seen_by and session.status == "waiting"):
            _show(floor, session, queue, seen_by)


def _show(floor: Floor, session: Session, queue: Queue, seen_by: list[str]) -> None:
    if seen_by and session.status == "waiting":
        until = floor.now + queue.rules.answer_within
        floor.begin_offer(session, Offer(began=floor.now, until=until, seen_by=seen_by))
        floor.tell(explain(floor, session, queue, "all"))
    elif not seen_by and session.status == "offered":
        floor.end_offer(session)
        floor.set_status(session, "waiting")
        floor.recheck_overdue = bool(floor.overdue)
    else:
        session.offer = replace(session.offer, seen_by=seen_by)
        floor.touch(session)


# ------------------------------------------------------------------ why


def explain(floor: Floor, session: Session, queue: Queue, why: str, chosen: str = "") -> Decided:
    """The decision as it is told: whom, among whom, what dropped the others, and the timers."""
    candidates, dropped = _among(floor, session, queue, need_of(session, queue.rules), chosen)
    return Decided(
        at=floor.now, session=session.id, line=queue.name, why=why, chosen=chosen, candidates=candidates,
        dropped=dropped, timers=_dues(session),
    )  # fmt: skip


def _among(
    floor: Floor, session: Session, queue: Queue, need: Need, chosen: str
) -> tuple[list[str], dict[str, str]]:
    """The candidates, and what dropped the other members."""
    candidates: list[str] = []
    dropped: dict[str, str] = {}
    if len(queue.members) > EXPLAIN:
        return candidates, dropped
    left_out = {*session.round.had, *session.round.hidden_from}
    for name in queue.members:
        reason = queue.dropped.get(name)
        if reason is None:
            reason = floor.dropped_by(floor.operators.get(name), queue)
        reason = reason or lacks(floor.operators[name], need)
        if not reason and name != chosen and name in left_out:
            reason = "had"
        if reason:
            dropped[name] = reason
        else:
            candidates.append(name)
    return candidates, dropped


def _dues(session: Session) -> dict[str, int]:
    """Kind of timer -> when it is due (ms)."""
    return {kind: due for kind, (due, _) in session.timers.items()}


def _tell_who_wait(floor: Floor) -> None:
    """What has just come into a backlog and found nobody: why, and the notice to the customer."""
    waiting = {s.id: s for s in floor.fresh if s.status == "waiting" and s.id in floor.sessions}
    floor.fresh.clear()
    for session in waiting.values():
        queue = floor.queue(session)
        if not queue.routes:
            why = "off_hours"
        elif queue.rules.mode == "manual":
            why = "manual"
        else:
            why = "pause" if session.round.pause_until > floor.now else "nobody"
        decision = explain(floor, session, queue, why)
        if why in ("off_hours", "manual"):
            decision.dropped |= dict.fromkeys(decision.candidates, why)
            decision.candidates = []
        floor.tell(decision)
        notices.waiting(floor, session)


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
        is_due = session.wait.entered_at + entry.after <= floor.now
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
        left_out = {*session.round.hidden_from, *session.round.had}
        return any(name not in left_out for name in queue.ready(queue.need(session.id)))
    chosen = queue.choose(session, queue.need(session.id), floor.now)
    return chosen is not None and not chosen[1]


def _holds(floor: Floor, queue: Queue, when: str) -> bool:
    if when == "off_hours":
        return not queue.is_open
    if when == "nobody_on_duty":
        return all(floor.standing(floor.operators.get(name), queue) for name in queue.members)
    return True
