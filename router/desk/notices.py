"""The desk's own texts to customers. Pure."""

from __future__ import annotations

from crm.kernel.text import is_visible
from router.desk.floor import Floor
from router.desk.state import Session

RATING = {
    "": "Please rate our help from 1 to 5.",
    "ru": "Оцените, пожалуйста, нашу помощь от 1 до 5.",
    "uz": "Iltimos, yordamimizni 1 dan 5 gacha baholang.",
}
PACE_SHARE = 0.2
"""How much the newest interval between two takings weighs in the mean that estimates a wait."""


def text_of(floor: Floor, session: Session, name: str) -> str:
    """The line's text of this name in the customer's language, or nothing."""
    given = floor.queue(session).rules.notices.get(name, {})
    texts = {language: text for language, text in given.items() if is_visible(text)}
    texts = texts or (RATING if name == "rating" else {})
    return texts.get(session.language) or texts.get("") or next(iter(texts.values()), "")


def send(floor: Floor, session: Session, name: str) -> bool:
    """Sends the notice if it has a text and the customer can be written to."""
    text = text_of(floor, session, name)
    if not text or not session.can_write:
        return False
    floor.deliver(session, text, notice=name)
    return True


def off_hours(floor: Floor, session: Session) -> None:
    """A message outside the working hours: once per session, until an operator writes in hours."""
    if not session.off_hours_told and not floor.queue(session).is_open:
        session.off_hours_told = send(floor, session, "off_hours")


def waiting(floor: Floor, session: Session) -> None:
    """The customer hears once that he has to wait."""
    queue = floor.queue(session)
    text = text_of(floor, session, "waiting")
    if session.notified or session.outgoing or not text or not session.can_write or not queue.routes:
        return
    session.notified = True
    if queue.rules.show_position:
        position = queue.position(session.id)
        minutes = _minutes(floor, session, position)
        if "{position}" in text or "{minutes}" in text:
            text = text.replace("{position}", str(position)).replace("{minutes}", minutes or "?")
        else:
            text = f"{text} ({position}{f', ≈ {minutes} min' if minutes else ''})"
    floor.deliver(session, text, notice="waiting")


def _minutes(floor: Floor, session: Session, position: int) -> str:
    """The wait at the pace at which the line was served lately; nothing where that is not known."""
    _, interval = floor.pace.get(session.line, (0, 0))
    return str(max(1, round(position * interval / 60_000))) if interval else ""


def note_pace(floor: Floor, session: Session) -> None:
    """A waiting session of the line was taken."""
    if not floor.queue(session).rules.show_position:
        return
    last, interval = floor.pace.get(session.line, (0, 0))
    if last:
        newest = floor.now - last
        interval = round(interval + PACE_SHARE * (newest - interval)) if interval else newest
    floor.pace[session.line] = floor.now, interval
    floor.outcome.fields.add("pace")
