"""What commands check before they change anything: each raises ``Refused`` with a code of the catalogue."""

from __future__ import annotations

from crm.kernel.errors import Refused
from crm.kernel.records import Right
from crm.kernel.text import is_visible
from router.desk import moves
from router.desk.floor import Floor
from router.desk.state import HELD, Audit, OperatorState, Session, leads, may


def session_of(floor: Floor, id: str) -> Session:
    session = floor.sessions.get(id)
    if session is None:
        raise Refused("no_such_session", session=id)
    if session.status == "spam":
        raise Refused("is_spam")
    return session


def operator_of(floor: Floor, name: str) -> OperatorState:
    operator = floor.operators.get(name)
    if operator is None or operator.disabled:
        raise Refused("no_such_operator", name=name)
    return operator


def words(text: str) -> None:
    """Raises where nothing of the text would be seen."""
    if not is_visible(text):
        raise Refused("invisible" if text.strip() else "empty")


def needs(operator: OperatorState, right: Right, session: Session) -> None:
    if not may(operator, right, session.line):
        raise Refused("no_right", right=right, line=session.line)


def may_write(operator: OperatorState, line: str) -> None:
    if operator.rights is not None and may(operator, "read_only", line):
        raise Refused("no_right", right="write", line=line)


def audit(floor: Floor, operator: str, action: str, session: Session | None = None, **params: str) -> None:
    floor.tell(
        Audit(
            at=floor.now,
            operator=operator,
            action=action,
            session=session.id if session else "",
            line=session.line if session else "",
            params=params,
        )
    )


def may_take(floor: Floor, session: Session, operator: OperatorState) -> None:
    """Raises unless the operator may have this session: it is offered to him, or it waits in a line
    of his."""
    may_write(operator, session.line)
    if session.status == "offered" and session.holder and session.holder != operator.name:
        raise Refused("offered_to_other", holder=session.holder)
    if session.status in (*HELD, "closing"):
        raise Refused("held_by", holder=session.holder)
    if session.holder == operator.name:
        return
    if session.status == "bot":
        raise Refused("has_bot", bot=session.bot_turn.name)
    member = operator.name in floor.queue(session).members
    if not member and not leads(operator):
        raise Refused("not_member", line=session.line)


def take_first(floor: Floor, session: Session, operator: str) -> None:
    """Takes what is about to be acted on."""
    moves.take(floor, session, operator)
    floor.system(session, "taken", operator=operator)
    audit(floor, operator, "take", session)


def own(floor: Floor, session: Session, operator: OperatorState) -> bool:
    """Raises unless the operator may act on the session as its holder. True when he has to take it
    first: it is offered to him or waits in his line."""
    if session.status in HELD:
        if session.holder != operator.name and not leads(operator):
            raise Refused("held_by", holder=session.holder)
        return False
    if is_bot_of(session, operator):
        return False
    may_take(floor, session, operator)
    return True


def is_bot_of(session: Session, operator: OperatorState) -> bool:
    return session.status == "bot" and session.bot_turn.name == operator.name
