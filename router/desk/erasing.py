"""A person is erased: his conversations end without a word, and nothing of him stays. Pure."""

from __future__ import annotations

from collections.abc import Collection

from crm.kernel.records import customer_of, person_chat
from router.desk.events import CustomerErased
from router.desk.floor import Floor
from router.desk.state import Erased, Session


def is_of(session: Session, customers: Collection[str]) -> bool:
    """Whether a session is of one of these, or of a chat that would be."""
    return session.customer in customers or customer_of(person_chat(session.chat)) in customers


def erased(floor: Floor, event: CustomerErased) -> None:
    """No farewell and no rating: they would be words to somebody who asked to be forgotten. A chat that was
    muted as spam is muted no longer, as nobody remembers it."""
    customers = set(event.customers)
    ended = [session for session in floor.sessions.values() if is_of(session, customers)]
    for session in ended:
        floor.close(session, "", "erased")
    for session in [*floor.outcome.closed.values()]:
        if is_of(session, customers):
            floor.outcome.closed[session.id] = _bare(session)
    gone = [chat for chat, known in floor.outcome.acquainted.items() if known.customer in customers]
    for chat in gone:
        del floor.outcome.acquainted[chat]
    floor.outcome.erased |= customers
    floor.tell(
        Erased(
            at=floor.now, erasure=event.erasure, customers=event.customers, below=floor.next_session,
            sessions=[*dict.fromkeys([*event.sessions, *(session.id for session in ended)])],
        )
    )  # fmt: skip


def _bare(session: Session) -> Session:
    """What gateways need to take it off their lists. Its chat is nobody's."""
    return Session(
        id=session.id, chat="", channel=session.channel, kind=session.kind, line=session.line, customer="",
        status=session.status, holder=session.holder, seq=session.seq, rev=session.rev, form=session.form,
        opened_at=session.opened_at, closed_at=session.closed_at, result=session.result,
    )  # fmt: skip
