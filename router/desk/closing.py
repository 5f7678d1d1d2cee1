"""How a session ends: the farewell, the rating, the time in which the customer may still come back; and
spam. Pure."""

from __future__ import annotations

import re

from crm.kernel.records import Button
from router.desk import clocks, duty, moves, notices
from router.desk.events import ButtonPressed
from router.desk.floor import Floor
from router.desk.state import Rated, Session

BEST, WORST = 5, 1
THUMBS = {"👍": BEST, "👎": WORST}
RATE = re.compile(r"rate:([0-9]{1,15}):([1-5])")
"""The data of a rating's button: session and score."""


def finish(floor: Floor, session: Session, by: str, result: str = "", notice: str = "farewell") -> None:
    """Sends the farewell and asks for the rating; closed when ``closing_time`` has passed after them, or
    at once where the customer gets neither."""
    rules = floor.queue(session).rules
    session.closed_by = by
    session.result = result
    told = notices.send(floor, session, notice)
    asked = rules.rating and session.can_write and _ask_rating(floor, session)
    if not (told or asked):
        floor.close(session, by, result)
        return
    floor.retire(session, "closing")
    session.rating_asked = asked
    floor.arm(session, "closing", floor.now + rules.closing_time)


def _ask_rating(floor: Floor, session: Session) -> bool:
    text = notices.text_of(floor, session, "rating")
    buttons = [Button(text=str(n), data=f"rate:{session.id}:{n}") for n in range(WORST, BEST + 1)]
    floor.deliver(session, text, buttons=buttons, notice="rating")
    return True


def score_in(text: str) -> int:
    """The rating that a message is, or 0: a digit from 1 to 5, or a thumb."""
    text = text.strip().rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
    if text in THUMBS:
        return THUMBS[text]
    return int(text) if text in ("1", "2", "3", "4", "5") else 0


def rate(floor: Floor, session: Session, score: int) -> None:
    """The customer's rating, of the operator of the last human message. One that comes while the
    session is closing closes it."""
    session.rating = score
    floor.system(session, "rated", score=str(score))
    floor.tell(
        Rated(
            at=floor.now, chat=session.chat, session=session.id, score=score, line=session.line,
            operator=session.last_author,
        )
    )  # fmt: skip
    if session.status == "closing":
        floor.close(session, "")


def rated_by_button(floor: Floor, event: ButtonPressed) -> bool:
    """Whether the button was one of a rating. A session that is closed by now gets it all the same."""
    found = RATE.fullmatch(event.data)
    if found is None:
        return False
    id, score = found[1], int(found[2])
    session = floor.sessions.get(id)
    if session is not None and session.chat == event.key:
        rate(floor, session, score)
    else:
        floor.tell(Rated(at=floor.now, chat=event.key, session=id, score=score))
    return True


def reopen(floor: Floor, session: Session) -> None:
    """Somebody goes on with what was closing: the same session, the same operator."""
    floor.disarm(session, "closing")
    session.closed_by = ""
    session.result = ""
    session.rating_asked = False
    floor.system(session, "reopened")
    resolution = floor.queue(session).rules.sla.resolution
    clocks.start_sla(floor, session, "resolution", resolution, session.opened_at)
    floor.set_status(session, floor.truth(session))
    floor.stand(session)


def come_back(floor: Floor, session: Session) -> None:
    """The customer writes while it is closing: ``pending`` with the same operator, or if he has left, as
    the line's ``on_leave`` says. Where nobody held it, the queue."""
    operator = floor.operators.get(session.holder)
    if operator is None:
        reopen(floor, session)
        moves.enqueue(floor, session)
        return
    reopen(floor, session)
    clocks.arm_return(floor, session)
    duty.follow(floor, operator, session)


def spam(floor: Floor, session: Session, by: str) -> None:
    """Closed without texts. The chat is muted: what comes later is kept with this session and opens
    nothing, until it is unmuted."""
    floor.system(session, "spam", operator=by)
    session.closed_at = floor.now
    session.closed_by = by
    floor.retire(session, "spam")
    floor.unhold(session)
    session.holder = ""
    floor.touch(session)


def unmute(floor: Floor, session: Session, by: str) -> None:
    """The next message of the chat opens a session again."""
    floor.system(session, "unmuted", operator=by)
    floor.close(session, session.closed_by, "spam")
