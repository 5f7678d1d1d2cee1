"""What operators do: each function carries one command out on the floor, or raises ``Refused``
before it has changed anything. Rights were checked by the gateway; here are the rules of the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crm.errors import Refused
from router import duty, events
from router.capacity import HELD
from router.floor import Floor
from router.state import Audit, OperatorState, Session


def _session(floor: Floor, id: str) -> Session:
    session = floor.sessions.get(id)
    if session is None:
        raise Refused("no_such_session", session=id)
    return session


def _operator(floor: Floor, name: str) -> OperatorState:
    operator = floor.operators.get(name)
    if operator is None or operator.disabled:
        raise Refused("no_such_operator", name=name)
    return operator


def _leads(operator: OperatorState) -> bool:
    return operator.role in ("supervisor", "admin")


def _audit(floor: Floor, operator: str, action: str, session: Session | None = None, **params: str) -> None:
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


def _may_take(floor: Floor, session: Session, operator: OperatorState) -> None:
    """Raises unless the operator may have this session: it is offered to him, or it waits in a line
    of his."""
    if session.status == "offered" and session.holder and session.holder != operator.name:
        raise Refused("offered_to_other", holder=session.holder)
    if session.status in HELD:
        raise Refused("held_by", holder=session.holder)
    if session.holder == operator.name:
        return
    member = operator.name in floor.queues[session.line].members
    if not member and not _leads(operator):
        raise Refused("not_member", line=session.line)


def _take_over_line(floor: Floor, session: Session, operator: str) -> None:
    floor.take(session, operator)
    floor.system(session, "taken", operator=operator)
    _audit(floor, operator, "take", session)


def _own(floor: Floor, session: Session, operator: OperatorState) -> bool:
    """Raises unless the operator may act on the session as its holder. True when he has to take it
    first: it is offered to him or waits in his line."""
    if session.status in HELD:
        if session.holder != operator.name and not _leads(operator):
            raise Refused("held_by", holder=session.holder)
        return False
    _may_take(floor, session, operator)
    return True


def take(floor: Floor, command: events.Take) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if session.status in HELD and session.holder == operator.name:
        return session
    _may_take(floor, session, operator)
    _take_over_line(floor, session, operator.name)
    return session


def skip(floor: Floor, command: events.Skip) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if session.status != "offered" or operator.name not in (session.holder, *session.seen_by):
        raise Refused("not_offered")
    floor.system(session, "skipped", operator=operator.name)
    _audit(floor, operator.name, "skip", session)
    if not session.holder:
        session.hidden_from = [*session.hidden_from, operator.name]
        floor.pause(session)
        floor.touch(session)
        floor.stir(session.line)
    elif session.transfer_from:
        duty.transfer_back(floor, session)
    else:
        floor.give_back(session, operator.name, pause=True)
    return session


def return_to_queue(floor: Floor, command: events.Return) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if session.status == "offered":
        return skip(floor, events.Skip(operator=operator.name, session=session.id))
    if session.status not in HELD:
        raise Refused("not_yours")
    if session.holder != operator.name and not _leads(operator):
        raise Refused("held_by", holder=session.holder)
    session.return_reason = command.reason
    floor.system(session, "returned", operator=operator.name, reason=command.reason)
    _audit(floor, operator.name, "return", session, reason=command.reason)
    floor.give_back(session, session.holder, pause=True)
    return session


def transfer(floor: Floor, command: events.Transfer) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if command.to.startswith("line:"):
        line = command.to.removeprefix("line:")
        if line not in floor.queues:
            raise Refused("no_such_line", line=line)
        take_first = _own(floor, session, operator)
    else:
        target = _operator(floor, command.to)
        if target.name == session.holder and session.status in HELD:
            raise Refused("same_operator")
        if not floor.on_duty(target, floor.queues[session.line].rules):
            raise Refused("off_duty", name=target.name)
        take_first = _own(floor, session, operator)
        if take_first and target.name == operator.name:
            raise Refused("same_operator")
    if take_first:
        _take_over_line(floor, session, operator.name)
    if command.comment:
        floor.add_message(session, "note", command.comment, author=operator.name)
    floor.system(session, "transferred", **{"from": operator.name, "to": command.to})
    _audit(floor, operator.name, "transfer", session, to=command.to)
    if command.to.startswith("line:"):
        floor.change_line(session, command.to.removeprefix("line:"))
    else:
        sender = session.holder
        floor.offer_to(session, command.to, floor.queues[session.line].rules.transfer_wait)
        session.transfer_from = sender
        floor.touch(session)
    return session


def close(floor: Floor, command: events.Close) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if _own(floor, session, operator):
        _take_over_line(floor, session, operator.name)
    floor.system(session, "closed", operator=operator.name, result=command.result)
    _audit(floor, operator.name, "close", session, result=command.result)
    floor.close(session, operator.name, command.result)
    return session


def say(floor: Floor, command: events.Say) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if not command.text and not command.media:
        raise Refused("empty")
    if not session.can_write:
        raise Refused("cannot_write")
    if session.status not in HELD:
        _may_take(floor, session, operator)
        _take_over_line(floor, session, operator.name)
    elif operator.name not in (session.holder, *session.guests):
        raise Refused("held_by", holder=session.holder)
    floor.deliver(
        session,
        command.text,
        author=operator.name,
        media=command.media,
        buttons=command.buttons,
        reply_to=command.reply_to,
    )
    session.waiting_since = 0
    session.unread = 0
    session.read_seq = session.seq
    session.first_answer_at = session.first_answer_at or floor.now
    session.answered_by_holder |= operator.name == session.holder
    floor.set_status(session, "answered")
    return session


def note(floor: Floor, command: events.Note) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if not command.text:
        raise Refused("empty")
    floor.add_message(session, "note", command.text, author=operator.name)
    return session


def resend(floor: Floor, command: events.Resend) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if operator.name not in (session.holder, *session.guests) and not _leads(operator):
        raise Refused("held_by", holder=session.holder)
    if not session.can_write:
        raise Refused("cannot_write")
    if command.message in session.resending:
        raise Refused("not_failed")
    session.resending = [*session.resending, command.message]
    floor.touch(session)
    floor.post(
        session,
        f"{command.message}:{command.event_id}",
        command.message,
        text=command.text,
        media=command.media,
        buttons=command.buttons,
    )
    floor.change(session, command.message, delivery="queued")
    _audit(floor, operator.name, "resend", session, message=command.message)
    return session


def edit(floor: Floor, command: events.EditMessage) -> Session:
    session = _session(floor, command.session)
    operator = _operator(floor, command.operator)
    if operator.name not in (session.holder, *session.guests):
        raise Refused("held_by", holder=session.holder)
    if not command.text:
        raise Refused("empty")
    floor.post(
        session,
        f"{command.message}:{command.event_id}",
        command.message,
        action="edit",
        text=command.text,
        external_id=command.external_id,
    )
    floor.change(session, command.message, text=command.text, edited_at=floor.now)
    _audit(floor, operator.name, "edit", session, message=command.message)
    return session


def pin(floor: Floor, command: events.Pin) -> Session:
    session = _session(floor, command.session)
    if session.status not in HELD or session.holder != command.operator:
        raise Refused("not_yours")
    if session.pinned != command.on:
        session.pinned = command.on
        floor.touch(session)
        _audit(floor, command.operator, "pin" if command.on else "unpin", session)
    return session


def mark_read(floor: Floor, command: events.MarkRead) -> Session:
    """Only the holder's reading counts; a colleague who looks changes nothing."""
    session = _session(floor, command.session)
    seq = min(command.seq, session.seq)
    if session.holder == command.operator and seq > session.read_seq:
        session.read_seq = seq
        session.unread = min(session.unread, session.seq - seq)
        floor.touch(session)
    return session


def start(floor: Floor, command: events.Start) -> Session:
    operator = _operator(floor, command.operator)
    chat = f"{command.channel}:{command.chat}"
    if command.line not in floor.queues:
        raise Refused("no_such_line", line=command.line)
    if command.channel not in floor.channels:
        raise Refused("no_such_chat", chat=chat)
    if chat in floor.by_chat:
        raise Refused("duplicate_chat", session=floor.by_chat[chat])
    session = floor.open(command.channel, command.chat, command.line)
    session.outgoing = True
    session.name = command.name
    session.customer = command.customer or session.customer
    floor.take(session, operator.name)
    floor.system(session, "started", operator=operator.name)
    _audit(floor, operator.name, "start", session)
    if command.text:
        say(floor, events.Say(operator=operator.name, session=session.id, text=command.text))
    return session


def set_duty(floor: Floor, command: events.SetDuty) -> None:
    operator = _operator(floor, command.operator)
    if operator.duty != command.duty:
        _audit(floor, operator.name, "duty", duty=command.duty)
        duty.change(floor, operator, command.duty, command.reason)


COMMANDS: dict[type[events.Command], Callable[[Floor, Any], Session | None]] = {
    events.Say: say,
    events.Note: note,
    events.Resend: resend,
    events.EditMessage: edit,
    events.Take: take,
    events.Skip: skip,
    events.Return: return_to_queue,
    events.Transfer: transfer,
    events.Close: close,
    events.Pin: pin,
    events.MarkRead: mark_read,
    events.Start: start,
    events.SetDuty: set_duty,
}
