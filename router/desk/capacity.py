"""What counts against an operator's capacity, and how much of it is free."""

from __future__ import annotations

from router.desk.state import Session

HELD = frozenset({"taken", "answered", "pending"})


def counts(session: Session, counts_until: str) -> bool:
    """Whether the session counts for its holder now. An offer counts from the moment it is made;
    in mode ``all`` an offer has no holder and so counts for nobody until it is taken. What sleeps or
    is closing counts for nobody."""
    if not session.holder:
        return False
    if session.status == "offered":
        return True
    if session.status not in HELD or session.hand.snoozed:
        return False
    if counts_until == "first_answer":
        return not session.hand.answered_by_holder
    if counts_until == "answered":
        return session.status != "answered"
    return True


def has_room(load: int, limit: int, line_load: int, line_limit: int) -> bool:
    """Whether one more session may be offered by the queue. ``line_limit`` 0 = no limit."""
    return load < limit and (not line_limit or line_load < line_limit)
