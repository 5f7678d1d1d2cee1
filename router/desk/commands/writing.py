"""Writing into an offer: while keys come it does not lapse, or it is taken, as the line says. Pure."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from crm.kernel.errors import Refused
from router.desk import checks, events
from router.desk.floor import Floor
from router.desk.state import Session

LEASE = 10_000
"""ms from the last key that was told: so long an offer lasts at least while somebody writes into it."""


def wrote(floor: Floor, event: events.Writing) -> None:
    """An operator is writing into a session. In mode ``all`` what is held is the whole round: it goes on
    for everybody who sees the offer, and any of them may still take it."""
    session = floor.sessions.get(event.session)
    if session is None or session.status != "offered":
        return
    operator = floor.operators.get(event.operator)
    if operator is None or operator.disabled or operator.name not in (session.holder, *session.offer.seen_by):
        return
    rule = floor.queue(session).rules.while_writing
    if rule == "take" and not event.draft:
        with suppress(Refused):  # who may not have it does not get it by writing
            checks.may_take(floor, session, operator)
            checks.take_first(floor, session, operator.name)
    elif rule != "off":
        _hold(floor, session)


def _hold(floor: Floor, session: Session) -> None:
    """The lease of the offer's own: at most ``hold_at_most`` beyond its end."""
    offer = session.offer
    most = offer.most or offer.until + floor.queue(session).rules.hold_at_most
    until = min(floor.now + LEASE, most)
    if until > offer.until:
        session.offer = replace(offer, until=until, most=most)
        floor.arm(session, "offer", until)
        floor.touch(session)
