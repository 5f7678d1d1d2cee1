"""A bot in the line: it holds a new conversation first, and a human is always within reach. Pure.

A scripted bot (a flow) runs here, in the desk: its answer is committed together with what it answers.
An external bot is an account of role ``bot``: it reads and writes over the wire like an operator."""

from __future__ import annotations

from msgspec.structs import replace

from crm.kernel.text import is_visible
from router.desk import closing, moves
from router.desk.bots import flow
from router.desk.floor import Floor
from router.desk.state import FieldsFilled, Session
from router.desk.values import BotTurn


def wanted(floor: Floor, session: Session, *, known: bool) -> bool:
    """Whether the line's bot gets a new session first. ``known``: the customer was here before."""
    queue = floor.queue(session)
    rules = queue.rules
    if not is_there(floor, rules.bot):
        return False
    if not queue.is_open and rules.off_hours == "bot":
        return True
    return rules.bot_first == "always" or (rules.bot_first == "first_contact" and not known)


def is_there(floor: Floor, name: str) -> bool:
    """Whether there is such a bot: a flow, or an account that is one."""
    operator = floor.operators.get(name)
    return bool(name) and (
        name in floor.flows or (operator is not None and operator.role == "bot" and not operator.disabled)
    )


def begin(floor: Floor, session: Session) -> None:
    """The line's bot holds the session for at most ``bot_time``. What the customer has said so far is
    the bot's to answer."""
    rules = floor.queue(session).rules
    session.bot_turn = BotTurn(name=rules.bot)
    floor.arm(session, "bot", floor.now + rules.bot_time)
    floor.set_status(session, "bot")
    floor.stand(session)
    floor.system(session, "bot", name=session.bot_turn.name)
    script = floor.flows.get(session.bot_turn.name)
    if script is not None:
        step = flow.begin(script, session.language, floor.queue(session).is_open)
        _carry_out(floor, session, step)


def is_called_off(floor: Floor, session: Session, text: str) -> bool:
    """Whether the customer calls for a human."""
    script = floor.flows.get(session.bot_turn.name or floor.queue(session).rules.bot)
    return flow.wants_human(text, script.human_words if script else ())


def hear(floor: Floor, session: Session, text: str, data: str = "") -> None:
    """The customer spoke to the bot. ``data``: of the button he pressed."""
    script = floor.flows.get(session.bot_turn.name)
    if is_called_off(floor, session, text):
        leave(floor, session, "asked_human")
    elif script is not None and session.bot_turn.flow is not None:
        _carry_out(floor, session, flow.hear(script, session.bot_turn.flow, text, data, session.language))
    elif not is_there(floor, session.bot_turn.name):
        leave(floor, session, "bot_gone")


def _carry_out(floor: Floor, session: Session, step: flow.FlowStep) -> None:
    """One step of a flow: what it says, what it learnt, where it leads."""
    session.bot_turn = replace(session.bot_turn, flow=step.state)
    floor.touch(session)
    for text, buttons in step.says:
        if session.can_write and is_visible(text):
            floor.deliver(session, text, author=f"bot:{session.bot_turn.name}", buttons=buttons)
    if step.fields:
        learn(floor, session, step.fields)
    if step.priority is not None:
        session.priority, session.priority_set = step.priority, True
    if step.done == "close":
        closing.finish(floor, session, f"bot:{session.bot_turn.name}")
    elif step.done:
        leave(floor, session, step.done, step.line)


def learn(floor: Floor, session: Session, fields: dict[str, str]) -> None:
    """What the customer told of himself goes onto his card."""
    session.name = fields.get("name", session.name)
    floor.tell(FieldsFilled(at=floor.now, session=session.id, customer=session.customer, fields=dict(fields)))


def leave(floor: Floor, session: Session, why: str, line: str = "") -> None:
    """The session leaves the bot for the queue, of another line if the bot chose one."""
    floor.system(session, "bot_left", name=session.bot_turn.name, why=why)
    if line and line != session.line and line in floor.queues:
        moves.change_line(floor, session, line)
    else:
        moves.enqueue(floor, session)
