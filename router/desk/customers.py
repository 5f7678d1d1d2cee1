"""What customers and channels do. Pure."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from crm.kernel.records import Customer, Identity, Message, MessageChange, customer_of, person_chat
from crm.kernel.text import LIMIT, clean, one_line
from router.desk import clocks, closing, events, fired, moves, notices
from router.desk.bots import line_bot
from router.desk.events import Author
from router.desk.floor import PREVIEW, Floor
from router.desk.state import HELD, CustomerSeen, Known, MessageChanged, Session, Stray, acquaintance

NAME_LIMIT = 64
VIP = 100
"""What a VIP's sessions have more in priority."""


# ------------------------------------------------------------------ messages


def message_received(floor: Floor, event: events.MessageReceived, known: Known | None) -> None:
    session = _session_for(floor, event, event.author, known)
    if session is None:
        return
    text = clean(event.text)
    raw = event.raw or (event.text.encode(errors="replace") if len(event.text) > LIMIT else b"")
    _wrote(
        floor,
        session,
        text,
        known=known is not None,
        author=one_line(event.author.name or event.author.username, NAME_LIMIT),
        kind=event.kind,
        media=event.media,
        reply_to=event.reply_to,
        reply_text=one_line(event.reply_text, 200),
        album=event.album,
        external_id=event.message_id,
        sent_at=event.sent_at,
        raw=raw,
    )


def button_pressed(floor: Floor, event: events.ButtonPressed, known: Known | None = None) -> None:
    session = _where_pressed(floor, event)
    if session is not None and session.chat != event.key:
        event.chat = session.chat[len(event.channel) + 1 :]
    if closing.rated_by_button(floor, event):
        return
    session = _session_for(floor, event, event.author, known)
    if session is not None:
        _wrote(
            floor,
            session,
            clean(event.text or event.data),
            known=known is not None,
            data=event.data,
            author=one_line(event.author.name, NAME_LIMIT),
            kind="button",
            reply_to=event.message_id,
        )


def _where_pressed(floor: Floor, event: events.ButtonPressed) -> Session | None:
    """Of an old message the platform names only the chat: then it was in the topic that was used last."""
    sessions = floor.open_in(event.key)
    if event.key in floor.by_chat or not sessions:
        return None
    return max(sessions, key=lambda session: session.last_at)


def _session_for(floor: Floor, event: events.FromChat, author: Author, known: Known | None) -> Session | None:
    """The chat's open session, or a new one in the line of its channel."""
    id = floor.by_chat.get(event.key)
    if id is not None:
        session = floor.sessions[id]
        if author.phone:  # he has shared his own number
            _seen(floor, event, author, session.customer)
        return session
    line = floor.channels.get(event.channel) or next(iter(floor.queues), "")
    if not line:
        stray(floor, event, "no line is configured")
        return None
    session = floor.open(event.channel, event.chat, line)
    session.name = one_line(author.name or author.username, NAME_LIMIT)
    session.username = one_line(author.username, NAME_LIMIT)
    session.language = author.language[:2].lower()
    session.asked = 2
    if known is not None:
        recognise(session, known)
        if known.responsible or known.last_operator:
            session.asked = 0
    _seen(floor, event, author, session.customer)
    return session


def recognise(session: Session, known: Known) -> None:
    """Whose session it turned out to be."""
    session.customer = known.customer
    session.name = known.name or session.name
    session.language = known.language or session.language
    if not session.priority_set:
        session.priority += VIP * (known.vip - session.vip)
    session.vip = known.vip
    session.responsible = known.responsible
    session.last_operator = known.last_operator


def _wrote(
    floor: Floor, session: Session, text: str, *, data: str = "", known: bool = False, **fields: Any
) -> Message:
    is_new = session.seq == 0
    message = floor.add_message(session, "in", text, **fields)
    session.last_external_in = message.external_id
    session.can_write = True
    if session.status == "spam":
        return message
    score = closing.score_in(text) if session.rating_asked else 0
    if session.status == "closing" and score:
        closing.rate(floor, session, score)
        return message
    session.unread += 1
    waits_anew = not session.waiting_since
    if waits_anew:
        session.waiting_since = floor.now
    clocks.customer_wrote(floor, session, first=is_new, waits_anew=waits_anew)
    notices.off_hours(floor, session)
    if is_new:
        _begin(floor, session, text, known=known)
    elif session.status == "closing":
        closing.come_back(floor, session)
    elif session.status == "bot":
        line_bot.hear(floor, session, text, data)
    elif session.status in HELD:
        _wrote_to_holder(floor, session)
    elif waits_anew:
        session.wait = replace(session.wait, arrival=session.waiting_since)
        floor.reorder(session)
    return message


def _begin(floor: Floor, session: Session, text: str, *, known: bool) -> None:
    """The first message: to the line's bot, or into the queue, where a call for a human goes at once."""
    if not floor.queue(session).members:
        notices.send(floor, session, "closed_line")
    if line_bot.wanted(floor, session, known=known) and not line_bot.is_called_off(floor, session, text):
        line_bot.begin(floor, session)
    else:
        moves.enqueue(floor, session)


def _wrote_to_holder(floor: Floor, session: Session) -> None:
    if session.hand.snoozed:
        fired.wake(floor, session)
    if session.hand.return_when_written:
        moves.return_from(floor, session, session.holder)
        return
    status = floor.truth(session)
    if status != session.status:  # most often it is not his first word since the answer
        floor.set_status(session, status)


def edited(floor: Floor, event: events.MessageEdited) -> None:
    text = clean(event.text)
    session = _open_in(floor, event.key)
    if session is not None and session.last_external_in == event.message_id:
        if session.last_direction == "in":
            session.last_text = one_line(text, PREVIEW)
        else:
            session.asked_text = one_line(text, PREVIEW)
        floor.touch(session)
    _change(floor, event, text=text, media=event.media, edited_at=event.edited_at or event.at)


def deleted(floor: Floor, event: events.MessageDeleted) -> None:
    for id in event.message_ids:
        _change(floor, event, external_id=id, deleted_at=event.at)


def reacted(floor: Floor, event: events.Reacted) -> None:
    """A reaction is a sign of life: it restarts the clock that closes, and changes nothing else."""
    emoji = [one_line(e, 16) for e in event.emoji[:16]]
    _change(floor, event, reactions={one_line(event.author, NAME_LIMIT): emoji})
    sessions = floor.open_in(event.key)
    if len(sessions) == 1 and "auto_close" in sessions[0].timers:
        clocks.arm_auto_close(floor, sessions[0])
        floor.touch(sessions[0])


def read(floor: Floor, event: events.MessageRead) -> None:
    _change(floor, event, delivery="read", up_to=True)


def media_stored(floor: Floor, event: events.MediaStored) -> None:
    _change(floor, event, media_index=event.index, media_file=event.media)


def _open_in(floor: Floor, chat: str) -> Session | None:
    id = floor.by_chat.get(chat)
    return floor.sessions[id] if id is not None else None


def _change(floor: Floor, event: events.FromChat, **fields: Any) -> None:
    """A change to a message of the chat or of one of its topics, which may be of an older session."""
    fields.setdefault("external_id", getattr(event, "message_id", ""))
    places = [(session.chat, session.id) for session in floor.open_in(event.key)] or [(event.key, "")]
    for chat, session in places:
        floor.tell(MessageChanged(change=MessageChange(at=event.at, chat=chat, session=session, **fields)))


# ------------------------------------------------------------------ customers and chats


def _seen(
    floor: Floor, event: events.FromChat, author: Author, customer: str, can_write: bool = True,
    moved_from: str = "",
) -> None:  # fmt: skip
    floor.tell(
        CustomerSeen(
            chat=event.key,
            moved_from=moved_from,
            at=floor.now,
            customer=Customer(
                id=customer,
                name=one_line(author.name or author.username, NAME_LIMIT),
                username=one_line(author.username, NAME_LIMIT),
                language=author.language[:2].lower(),
                phone=one_line(author.phone, NAME_LIMIT),
                identities=[Identity(channel=event.channel, value=event.chat)],
                created_at=floor.now,
                seen_at=floor.now,
                can_write=can_write,
            ),
        )
    )


def reachable(floor: Floor, event: events.ChatReachable, known: Known | None = None) -> None:
    customer = known.customer if known is not None else customer_of(person_chat(event.key))
    for session in floor.open_in(event.key):
        if session.chat == event.key:
            customer = session.customer
        if session.can_write != event.can_write:
            session.can_write = event.can_write
            floor.system(session, "unblocked" if event.can_write else "blocked")
    _seen(floor, event, event.author, customer, event.can_write)


def moved(floor: Floor, event: events.ChatMoved, known: Known | None = None) -> None:
    """Whoever wrote in the chat is the same customer in the new one, also when he writes there first after
    days. The open session follows, unless one is open there already: then that one is his."""
    old, new = event.key, f"{event.channel}:{event.new_chat}"
    session, other = _open_in(floor, old), _open_in(floor, new)
    if session is not None:
        known = acquaintance(session)
    known = known or Known(customer=customer_of(person_chat(old)))
    if other is not None:
        if session is not None:
            stray(floor, event, "a session is open in the new chat already")
        if other.customer != known.customer:
            recognise(other, known)
            floor.touch(other)
            floor.reorder(other)
            floor.stirred.add(other.line)
    elif session is not None:
        floor.unseat(session)
        session.chat = new
        floor.seat(session)
        floor.system(session, "moved")
    floor.outcome.acquainted[person_chat(new)] = known
    author = Author(language=known.language)
    can_write = session.can_write if session is not None else True
    _seen(
        floor,
        events.FromChat(channel=event.channel, chat=event.new_chat),
        author,
        known.customer,
        can_write,
        old,
    )


def changed(floor: Floor, event: events.CustomerChanged) -> None:
    """What routing must know of a customer, for his open sessions."""
    for session in [s for s in floor.sessions.values() if s.customer == event.customer]:
        if event.vip is not None and event.vip != session.vip:
            session.vip = event.vip
            if not session.priority_set:
                session.priority += VIP if event.vip else -VIP
        if event.responsible is not None:
            session.responsible = event.responsible
            if session.status == "bot" and event.responsible:
                session.asked = 0
        session.language = event.language if event.language is not None else session.language
        floor.touch(session)
        floor.reorder(session)
        floor.stirred.add(session.line)


def claimed(floor: Floor, event: events.ChatsClaimed) -> None:
    """The open sessions of these chats are this customer's; whoever is responsible for him is asked at once
    where nobody has them yet."""
    known = Known(
        customer=event.customer, name=event.name, language=event.language, responsible=event.responsible,
        vip=event.vip, last_operator=event.last_operator,
    )  # fmt: skip
    chats = set(event.chats)
    for session in [*floor.sessions.values()]:
        theirs = session.chat in chats or person_chat(session.chat) in chats
        if session.customer == event.customer or not (
            theirs or (event.was and session.customer == event.was)
        ):
            continue
        recognise(session, known)
        # What the other card said is not his: a card taken apart that has no name leaves none behind.
        session.name, session.language = known.name, known.language
        if session.status in ("waiting", "bot") and (known.responsible or known.last_operator):
            session.asked = 0
            floor.fresh += [session] if session.status == "waiting" else []
        floor.touch(session)
        floor.reorder(session)
        floor.stirred.add(session.line)
    for chat in chats:
        floor.outcome.acquainted[person_chat(chat)] = known


def stray(floor: Floor, event: events.Event, reason: str) -> None:
    """Kept and reported: it names nothing that the desk knows."""
    floor.tell(Stray(at=floor.now, event=events.encode_event(event), reason=reason))
