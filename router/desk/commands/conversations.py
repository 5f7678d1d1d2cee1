"""What operators do: each function carries one command out on the floor, or raises ``Refused``
before it has changed anything. ``by`` orders it. Rights were checked by the gateway; here are the rules of
the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from crm.kernel.errors import Refused
from crm.kernel.records import MAX_TAG, MAX_TAGS
from crm.kernel.spelling import fold
from crm.kernel.text import one_line
from router.desk import checks, clocks, closing, duty, events, moves, notices
from router.desk.bots import line_bot
from router.desk.commands import speech
from router.desk.floor import Floor
from router.desk.state import HELD, OperatorState, Rated, Session, leads
from router.desk.values import NEW_HAND, NO_BOT
from router.wire import commands
from router.wire.frame import CommandFrame

PRIORITY_MAX = 1_000_000


# ------------------------------------------------------------------ whose session it is


def take(floor: Floor, command: commands.Take, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if session.status in HELD and session.holder == operator.name:
        return session
    if session.status == "closing" and session.holder == operator.name:
        closing.reopen(floor, session)
        return session
    checks.may_take(floor, session, operator)
    checks.take_first(floor, session, operator.name)
    return session


def take_over(floor: Floor, command: commands.TakeOver, by: str) -> Session:
    """From anybody, a bot or the backlog."""
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    checks.needs(operator, "take_over", session)
    checks.may_write(operator, session.line)
    if session.status in HELD and session.holder == operator.name:
        return session
    before = session.holder or session.bot_turn.name
    if session.status == "closing":
        closing.reopen(floor, session)
    moves.take(floor, session, operator.name)
    floor.system(session, "taken_over", operator=operator.name, **{"from": before})
    checks.audit(floor, operator.name, "take_over", session, **{"from": before})
    return session


def skip(floor: Floor, command: commands.Skip, by: str) -> Session:
    return _skip(floor, checks.session_of(floor, command.session), checks.operator_of(floor, by))


def _skip(floor: Floor, session: Session, operator: OperatorState) -> Session:
    if session.status != "offered" or operator.name not in (session.holder, *session.offer.seen_by):
        raise Refused("not_offered")
    floor.system(session, "skipped", operator=operator.name)
    checks.audit(floor, operator.name, "skip", session)
    if not session.holder:
        session.round = replace(session.round, hidden_from=[*session.round.hidden_from, operator.name])
        moves.start_pause(floor, session)
        floor.touch(session)
        floor.stirred.add(session.line)
    elif session.hand.transfer_from:
        duty.transfer_back(floor, session)
    else:
        moves.give_back(floor, session, operator.name, pause=True)
    return session


def return_to_queue(floor: Floor, command: commands.Return, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if session.status == "offered":
        return _skip(floor, session, operator)
    if checks.is_bot_of(session, operator):
        line_bot.leave(floor, session, "hand_over")
        return session
    if session.status not in HELD:
        raise Refused("not_yours")
    if session.holder != operator.name and not leads(operator):
        raise Refused("held_by", holder=session.holder)
    session.wait = replace(session.wait, return_reason=command.reason)
    floor.system(session, "returned", operator=operator.name, reason=command.reason)
    checks.audit(floor, operator.name, "return", session, reason=command.reason)
    moves.give_back(floor, session, session.holder, pause=True)
    return session


def transfer(floor: Floor, command: commands.Transfer, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    line = command.to.removeprefix("line:") if command.to.startswith("line:") else ""
    take_first = _may_transfer(floor, session, operator, command.to, line)
    if take_first:
        checks.take_first(floor, session, operator.name)
    if command.comment:
        floor.add_message(session, "note", command.comment, author=operator.name)
    floor.system(session, "transferred", **{"from": operator.name, "to": command.to})
    checks.audit(floor, operator.name, "transfer", session, to=command.to)
    if line:
        moves.change_line(floor, session, line)
    elif command.to == "bot":
        _to_bot(floor, session)
    else:
        sender = session.holder
        floor.disarm(session, "bot", *clocks.IN_HAND)
        session.bot_turn = NO_BOT
        floor.offer_to(session, command.to, floor.queue(session).rules.transfer_wait)
        session.hand = replace(session.hand, transfer_from=sender)
        floor.touch(session)
    return session


def _may_transfer(floor: Floor, session: Session, operator: OperatorState, to: str, line: str) -> bool:
    """Raises, or says whether the sender has to take it first."""
    if line or to.startswith("line:"):
        if line not in floor.queues:
            raise Refused("no_such_line", line=line)
        return checks.own(floor, session, operator)
    if to == "bot":
        if not line_bot.is_there(floor, floor.queue(session).rules.bot):
            raise Refused("no_bot", line=session.line)
        return checks.own(floor, session, operator)
    target = checks.operator_of(floor, to)
    if target.name == session.holder and session.status in HELD:
        raise Refused("same_operator")
    if floor.standing(target, floor.queue(session)):
        raise Refused("off_duty", name=target.name)
    take_first = checks.own(floor, session, operator)
    if take_first and target.name == operator.name:
        raise Refused("same_operator")
    return take_first


def _to_bot(floor: Floor, session: Session) -> None:
    floor.unhold(session)
    session.holder = ""
    session.hand = NEW_HAND
    floor.disarm(session, *clocks.IN_HAND)
    line_bot.begin(floor, session)


def pin(floor: Floor, command: commands.Pin, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    if session.status not in HELD or session.holder != by:
        raise Refused("not_yours")
    if session.hand.pinned != command.on:
        since = floor.now if command.on else 0
        session.hand = replace(session.hand, pinned=command.on, pinned_at=since)
        clocks.restart(floor, session)
        floor.touch(session)
        checks.audit(floor, by, "pin" if command.on else "unpin", session)
    return session


def snooze(floor: Floor, command: commands.Snooze, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    if session.status not in HELD or session.holder != by:
        raise Refused("not_yours")
    if command.until and command.until <= floor.now:
        raise Refused("bad_time")
    session.hand = replace(session.hand, snoozed=command.until or -1)
    floor.disarm(session, "return", "auto_close", "snooze")
    if command.until:
        floor.arm(session, "snooze", command.until)
    floor.recharge(session)
    floor.system(session, "snoozed", operator=by, until=str(command.until or ""))
    checks.audit(floor, by, "snooze", session, until=str(command.until or ""))
    return session


def join(floor: Floor, command: commands.Join, by: str) -> Session:
    """Openly: a participant whose words are an operator's answer. Silently: a reader without a trace."""
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    name = operator.name
    if not command.on:
        return _part(floor, session, name)
    checks.needs(operator, "join_silent" if command.silent else "join_open", session)
    if command.silent:
        if name not in session.silent:
            session.silent = [*session.silent, name]
    elif name not in (session.holder, *session.guests):
        session.guests = [*session.guests, name]
        session.silent = [other for other in session.silent if other != name]
        floor.system(session, "joined", operator=name)
        notices.send(floor, session, "joined")
    floor.touch(session)
    checks.audit(floor, name, "join_silent" if command.silent else "join_open", session)
    return session


def _part(floor: Floor, session: Session, name: str) -> Session:
    if name in session.guests:
        session.guests = [other for other in session.guests if other != name]
        floor.system(session, "left_session", operator=name)
    session.silent = [other for other in session.silent if other != name]
    floor.touch(session)
    checks.audit(floor, name, "leave", session)
    return session


def set_priority(floor: Floor, command: commands.SetPriority, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if session.status in HELD and session.holder != operator.name and not leads(operator):
        raise Refused("held_by", holder=session.holder)
    if abs(command.priority) > PRIORITY_MAX:
        raise Refused("bad_priority")
    session.priority = command.priority
    session.priority_set = True
    floor.touch(session)
    floor.reorder(session)
    floor.stirred.add(session.line)
    checks.audit(floor, operator.name, "priority", session, priority=str(command.priority))
    return session


def tag(floor: Floor, command: commands.Tag, by: str) -> Session:
    """However a tag is spelled, it is there once."""
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    checks.may_write(operator, session.line)
    if (
        session.status in HELD
        and operator.name not in (session.holder, *session.guests)
        and not leads(operator)
    ):
        raise Refused("held_by", holder=session.holder)
    named: dict[str, str] = {}
    for word in (one_line(tag, MAX_TAG + 1) for tag in command.tags):
        named.setdefault(fold(word), word)
    if not named or any(not key or len(word) > MAX_TAG for key, word in named.items()):
        raise Refused("bad_tag", limit=str(MAX_TAG))
    there = {fold(word): word for word in session.tags}
    if command.on:
        now = list((there | {key: word for key, word in named.items() if key not in there}).values())
    else:
        now = [word for key, word in there.items() if key not in named]
    if len(now) > MAX_TAGS:
        raise Refused("too_many_tags", limit=str(MAX_TAGS))
    if now != session.tags:
        session.tags = now
        floor.touch(session)
        verb = "tag" if command.on else "untag"
        checks.audit(floor, operator.name, verb, session, tags=", ".join(named.values()))
    return session


# ------------------------------------------------------------------ how it ends


def close(floor: Floor, command: commands.Close, by: str) -> Session:
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if session.status == "closing":
        raise Refused("is_closing")
    results = floor.queue(session).rules.results
    if results and command.result not in results:
        raise Refused("needs_result", results=", ".join(results))
    if checks.own(floor, session, operator):
        checks.take_first(floor, session, operator.name)
    floor.system(session, "closed", operator=operator.name, result=command.result)
    checks.audit(floor, operator.name, "close", session, result=command.result)
    closing.finish(floor, session, operator.name, command.result)
    return session


def spam(floor: Floor, command: commands.Spam, by: str) -> Session:
    if not command.on:
        return _unmute(floor, command, by)
    session = checks.session_of(floor, command.session)
    operator = checks.operator_of(floor, by)
    if session.status != "closing" and checks.own(floor, session, operator):
        checks.take_first(floor, session, operator.name)
    checks.audit(floor, operator.name, "spam", session)
    closing.spam(floor, session, operator.name)
    return session


def _unmute(floor: Floor, command: commands.Spam, by: str) -> Session:
    session = floor.sessions.get(command.session)
    operator = checks.operator_of(floor, by)
    if session is None or session.status != "spam":
        raise Refused("not_spam")
    checks.audit(floor, operator.name, "unmute", session)
    closing.unmute(floor, session, operator.name)
    return session


def score(floor: Floor, command: commands.Score, by: str) -> Session | None:
    """A supervisor's judgement; of a session that is closed by now too."""
    operator = checks.operator_of(floor, by)
    if not closing.WORST <= command.score <= closing.BEST:
        raise Refused("bad_score")
    session = floor.sessions.get(command.session)
    floor.tell(
        Rated(
            at=floor.now,
            chat=session.chat if session else "",
            session=command.session,
            score=command.score,
            operator=session.last_author if session else "",
            line=session.line if session else "",
            by=operator.name,
            comment=command.comment,
        )
    )
    checks.audit(floor, operator.name, "score", session, score=str(command.score), of=command.session)
    return session


# ------------------------------------------------------------------ duty


def set_duty(floor: Floor, command: events.SetDutyInFull, by: str) -> None:
    operator = checks.operator_of(floor, by)
    if operator.duty != command.duty:
        duty.change(floor, operator, command.duty, command.reason)


COMMANDS: dict[type[CommandFrame], Callable[[Floor, Any, str], Session | None]] = {
    events.SayInFull: speech.say,
    commands.Note: speech.note,
    events.ResendInFull: speech.resend,
    events.EditMessageInFull: speech.edit,
    commands.Take: take,
    commands.Skip: skip,
    commands.Return: return_to_queue,
    commands.Transfer: transfer,
    commands.Close: close,
    commands.Pin: pin,
    commands.MarkRead: speech.mark_read,
    events.StartInFull: speech.start,
    events.SetDutyInFull: set_duty,
    commands.Whisper: speech.whisper,
    commands.TakeOver: take_over,
    commands.Join: join,
    commands.Snooze: snooze,
    commands.Spam: spam,
    commands.SetPriority: set_priority,
    commands.Tag: tag,
    commands.Score: score,
}
