"""Moving along what waits when the writer's clock was set. Pure.

Everything that was measured from a moment keeps its distance to now, as if the clock had always been as
it is. What means a time of day or a date (hours, shifts, absences, a session put to sleep until then)
stays where it is.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from router.desk.state import Refusal, Session
from router.desk.values import Value

Part = TypeVar("Part", bound=Value)

TIMES = (
    "opened_at", "first_answer_at", "closed_at", "waiting_since", "last_at",
)  # fmt: skip
CHOSEN = frozenset({"snooze"})
"""Timers of moments that somebody chose."""


def shift_session(session: Session, by: int) -> None:
    """``by`` in ms; negative when the clock was set back."""
    for name in TIMES:
        at = getattr(session, name)
        if at:
            setattr(session, name, max(1, at + by))
    session.offer, session.hand = _moved(session.offer, by), _moved(session.hand, by)
    session.round, session.wait = _moved(session.round, by), _moved(session.wait, by)
    session.sla = {clock: at + by for clock, at in session.sla.items()}
    session.timers = {
        kind: (due if kind in CHOSEN else due + by, order) for kind, (due, order) in session.timers.items()
    }


def _moved(value: Part, by: int) -> Part:
    found = {name: getattr(value, name) for name in value.moments}
    moved = {name: max(1, at + by) for name, at in found.items() if at}
    return replace(value, **moved) if moved else value


def shift_refusal(refusal: Refusal, by: int) -> None:
    if refusal.at:
        refusal.at += by
