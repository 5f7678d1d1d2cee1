"""What operators say: to customers, to each other, and the marks of what they have read. As
``router.desk.commands.conversations``: each function carries one command out, or raises ``Refused`` before it has changed
anything."""

from __future__ import annotations

from msgspec.structs import replace

from crm.kernel.errors import Refused
from router.desk import checks, clocks, closing, events, fired, moves
from router.desk.customers import recognise
from router.desk.floor import Floor
from router.desk.state import HELD, Known, OperatorState, Session, leads
from router.wire import commands


def say(floor: Floor, command: events.SayInFull, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if command.text.strip() or not command.media:
        checks.words(command.text)
    for button in command.buttons:
        checks.words(button.text)
    if not session.can_write:
        raise Refused("cannot_write")
    checks.may_write(operator, session.line)
    if checks.is_bot_of(session, operator):
        _send(floor, session, command, by)
        return session
    _come_in(floor, session, operator)
    _send(floor, session, command, by)
    session.waiting_since = 0
    session.unread = 0
    session.read_seq = session.seq
    session.first_answer_at = session.first_answer_at or floor.now
    session.last_author = operator.name
    if operator.name == session.holder and not session.hand.answered_by_holder:
        session.hand = replace(session.hand, answered_by_holder=True)
    if floor.queue(session).is_open:
        session.off_hours_told = False
    floor.set_status(session, "answered")
    clocks.operator_wrote(floor, session)
    return session


def _come_in(floor: Floor, session: Session, operator: OperatorState) -> None:
    """Makes the session one that the operator may answer in, or raises."""
    if session.status == "closing":
        if operator.name not in (session.holder, *session.guests):
            raise Refused("held_by", holder=session.holder)
        closing.reopen(floor, session)
        if not session.holder:  # it closed in the queue, where nobody had it
            checks.take_first(floor, session, operator.name)
    elif session.status not in HELD:
        checks.may_take(floor, session, operator)
        checks.take_first(floor, session, operator.name)
    elif operator.name not in (session.holder, *session.guests):
        raise Refused("held_by", holder=session.holder)
    if session.hand.snoozed and operator.name == session.holder:
        fired.wake(floor, session)


def _send(floor: Floor, session: Session, command: events.SayInFull, by: str) -> None:
    floor.deliver(
        session,
        command.text,
        author=by,
        media=command.media,
        buttons=command.buttons,
        reply_to=command.reply_to,
    )


def note(floor: Floor, command: commands.Note, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    checks.words(command.text)
    floor.add_message(session, "note", command.text, author=operator.name)
    return session


def whisper(floor: Floor, command: commands.Whisper, by: str) -> Session:
    """A word to the operator that never leaves the desk."""
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    checks.needs(operator, "whisper", session)
    checks.words(command.text)
    floor.add_message(session, "whisper", command.text, author=operator.name)
    checks.audit(floor, operator.name, "whisper", session)
    return session


def resend(floor: Floor, command: events.ResendInFull, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if operator.name not in (session.holder, *session.guests) and not leads(operator):
        raise Refused("held_by", holder=session.holder)
    if not session.can_write:
        raise Refused("cannot_write")
    if not command.media:
        checks.words(command.text)
    if command.message in session.resending:
        raise Refused("not_failed")
    session.resending = [*session.resending, command.message]
    floor.touch(session)
    floor.post(
        session,
        f"{command.message}:{by}/{command.id}",
        command.message,
        text=command.text,
        media=command.media,
        buttons=command.buttons,
        reply_to=command.reply_to,
    )
    floor.change(session, command.message, delivery="queued")
    checks.audit(floor, operator.name, "resend", session, message=command.message)
    return session


def edit(floor: Floor, command: events.EditMessageInFull, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if operator.name not in (session.holder, *session.guests):
        raise Refused("held_by", holder=session.holder)
    checks.words(command.text)
    correction = f"{command.message}:{by}/{command.id}"
    floor.post(
        session,
        correction,
        command.message,
        action="edit",
        text=command.text,
        external_id=command.external_id,
    )
    floor.change(session, command.message, text=command.text, edited_at=floor.now, edit=correction)
    checks.audit(floor, operator.name, "edit", session, message=command.message)
    return session


def mark_read(floor: Floor, command: commands.MarkRead, by: str) -> Session:
    """Only the holder's reading counts; a colleague who looks changes nothing."""
    session = checks.session_of(floor, command.session)
    seq = min(command.seq, session.seq)
    if session.holder == by and seq > session.read_seq:
        session.read_seq = seq
        session.unread = min(session.unread, session.seq - seq)
        floor.touch(session)
    return session


def start(floor: Floor, command: events.StartInFull, by: str) -> Session:
    operator = checks.operator_of(floor, by)
    if command.text:
        checks.words(command.text)
    chat = f"{command.channel}:{command.chat}"
    if command.line not in floor.queues:
        raise Refused("no_such_line", line=command.line)
    if command.channel not in floor.channels:
        raise Refused("no_such_chat", chat=chat)
    if chat in floor.by_chat:
        raise Refused("duplicate_chat", session=floor.by_chat[chat])
    session = floor.open(command.channel, command.chat, command.line)
    session.outgoing = True
    known = {name: getattr(command, name) for name in Known.__struct_fields__}
    recognise(session, Known(**known | {"customer": command.customer or session.customer}))
    moves.take(floor, session, operator.name)
    floor.system(session, "started", operator=operator.name)
    checks.audit(floor, operator.name, "start", session)
    if command.text:
        say(floor, events.SayInFull(rid=0, id=command.id, session=session.id, text=command.text), by)
    return session
