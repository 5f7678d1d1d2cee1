"""What clients ask: commands become events of the log, reads come from the history and the journal.

The history may lag behind; a page is the store's answer brought up to date with the journal entries
that the projector has not taken up yet, so nobody ever sees less than what has been committed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from crm.conversations import history
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.ports import Store
from crm.kernel.records import MAX_TAGS, Customer, Media, Message, MessageChange, apply_change
from crm.kernel.spelling import fold
from crm.kernel.text import file_name
from crm.operators import accounts
from router.desk import events
from router.desk.state import Decided, Entry, Known, MessageAdded, MessageChanged, Session, Told
from router.gateway.access import needed
from router.gateway.answers.admin_requests import Administration
from router.gateway.answers.commands import Answers
from router.gateway.answers.line_changes import Rulebook
from router.gateway.answers.quarantine_requests import QuarantineRequests
from router.gateway.broadcast import Broadcast
from router.gateway.connection import Connection
from router.gateway.follow import plain, start_of
from router.gateway.holds import Holds
from router.gateway.picture import Picture, people
from router.gateway.status import Status
from router.history.recent import known_of
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import DecisionView, Done, Frame, SessionView

logger = logging.getLogger(__name__)

PAGE_MAX = 200
OLD_SESSIONS_MAX = 1000
_SEQ = re.compile(r"[0-9]{1,15}")
DECISIONS_MAX = 100


class Requests:
    """Answers the frames of all connections of one gateway."""

    def __init__(
        self, log: Log, store: Store, picture: Picture, broadcast: Broadcast, status: Status,
        book: Rulebook | None = None,
    ) -> None:  # fmt: skip
        self._log = log
        self._store = store
        self._picture = picture
        self._broadcast = broadcast
        self.commands = Answers(log)
        self._holds = Holds(log, picture)
        self._status_of = status
        self._answers = self._reads() | QuarantineRequests(log, store).answers()
        if book:
            self._answers |= Administration(log, store, book).answers()

    # ---------------------------------------------------------------- commands

    async def handle(self, connection: Connection, frame: Frame) -> None:
        """Answers one request; whatever goes wrong is told in a ``Done``."""
        rid = getattr(frame, "rid", 0)
        try:
            if isinstance(frame, protocol.CommandFrame):
                await self._command(connection, frame)
            elif type(frame) in self._answers:
                await self._answers[type(frame)](connection, frame)
            else:
                raise Refused("unknown")
        except Refused as refused:
            connection.send(Done(rid=rid, code=refused.code, params=refused.params))
        except (Unavailable, TimeoutError):
            connection.send(Done(rid=rid, code="unavailable"))
        except Exception:  # one request that cannot be answered costs nobody his connection
            logger.exception("a %s cannot be answered", type(frame).__name__)
            connection.send(Done(rid=rid, code="failed"))

    async def _command(self, connection: Connection, frame: protocol.CommandFrame) -> None:
        id = f"{connection.name}/{frame.id}"
        if self.commands.knows(id):
            # What it was checked against may be different by now, perhaps by what it did itself.
            done = await self.commands.answer(id)
        else:
            done = await self.commands.carry_out(await self._event_or_refusal(connection, frame))
        if done.code == "no_such_session" and isinstance(frame, protocol.SessionCommandFrame):
            done = msgspec.structs.replace(done, code="closed")  # it was there a moment ago
        if isinstance(frame, protocol.Join) and frame.silent and frame.on and not done.code:
            await self._look_away(connection, frame.session)
        connection.send(
            Done(
                rid=frame.rid, code=done.code, params=done.params, session=done.session, message=done.message
            )
        )

    async def _event_or_refusal(self, connection: Connection, frame: protocol.CommandFrame) -> events.Command:
        """Raises ``Refused``; for what may have come before only the desk can say so. A history that does
        not answer is a refusal too: nothing of the command is in the log, and it would hold up what its
        operator says next."""
        try:
            return await self._event(connection, frame)
        except Refused as refused:
            if not frame.again:
                raise
            return events.Declined(
                operator=connection.name,
                event_id=f"{connection.name}/{frame.id}",
                code=refused.code,
                params=refused.params,
            )
        except (Unavailable, TimeoutError):
            if frame.again:
                raise
            raise Refused("history_away") from None

    async def _look_away(self, connection: Connection, id: str) -> None:
        """Who was seen looking before he joined silently is seen leaving; nothing is seen of him then."""
        session = self._picture.sessions.get(id)
        if session is not None and id in connection.watching:
            await self._hint(connection, session, "looking", on=False)

    async def _event(self, connection: Connection, frame: protocol.CommandFrame) -> events.Command:
        """The event of a command, after its right was checked. Raises ``Refused``."""
        common: dict[str, Any] = {
            "operator": connection.name,
            "event_id": f"{connection.name}/{frame.id}",
        }
        if isinstance(frame, protocol.SetDuty):
            return events.SetDuty(duty=frame.duty, **common)
        if isinstance(frame, protocol.Start):
            return await self._start(connection, frame, common)
        assert isinstance(frame, protocol.SessionCommandFrame)
        _check_lengths(frame)
        if isinstance(frame, protocol.Score):
            # A closed one too: it is the history that knows it then.
            session = await self._known_session(frame.session)
            self._check_right(connection, session, needed(frame))
        else:
            session = await self._open_session(connection, frame.session, needed(frame))
        if isinstance(frame, (protocol.Resend, protocol.EditMessage)):
            return await self._about_message(frame, session, common)
        fields = {
            name: getattr(frame, name)
            for name in frame.__struct_fields__
            if name not in ("rid", "id", "again")
        }
        if isinstance(frame, protocol.Say) and frame.reply_to:
            fields["reply_to"] = (await self._message(session, frame.reply_to)).external_id
        if isinstance(frame, protocol.Say):
            fields["media"] = [_well_named(media) for media in frame.media]
        kind: type[events.Command] = getattr(events, type(frame).__name__)
        return kind(**fields, **common)

    async def _open_session(self, connection: Connection, id: str, right: str) -> Session:
        session = await self._known_session(id)
        self._check_right(connection, session, right)
        if id not in self._picture.sessions:
            raise Refused("closed", session=id)
        return session

    def _check_right(self, connection: Connection, session: Session, right: str) -> None:
        guests = (*people(session), session.transfer_from)
        if not connection.access.may(right, session.line, holder=session.holder, guests=guests):
            raise Refused("no_right", right=right, line=session.line)

    async def _known_session(self, id: str) -> Session:
        """Open or closed. Raises ``Refused``."""
        session = self._picture.sessions.get(id)
        if session is not None:
            return session
        document = await history.session(self._store, id)
        stored = msgspec.convert(document, Session, strict=False) if document is not None else None
        if stored is not None and stored.status == "closed":
            return stored
        # It began while the store was asked, or it has ended and the store does not know that yet.
        told = await self._last_told(id)
        session = self._picture.sessions.get(id) or told or stored
        if session is None:
            raise Refused("no_such_session", session=id)
        return session

    async def _last_told(self, id: str) -> Session | None:
        """A session's newest state in the part of the journal that the store has not taken up."""
        found = None
        async for entry in self._not_stored():
            found = next((s for s in entry.sessions if s.id == id), found)
        return found

    async def _about_message(
        self, frame: protocol.Resend | protocol.EditMessage, session: Session, common: dict[str, Any]
    ) -> events.Command:
        message = await self._message(session, frame.message)
        if message.direction != "out":
            raise Refused("no_such_message")
        if isinstance(frame, protocol.EditMessage):
            if not message.external_id or "edit" not in self._picture.can.get(session.channel, ()):
                raise Refused("cannot_edit")
            return events.EditMessage(
                session=session.id,
                message=message.id,
                external_id=message.external_id,
                text=frame.text,
                **common,
            )
        if message.delivery not in ("failed", "unknown"):
            raise Refused("not_failed")
        return events.Resend(
            session=session.id,
            message=message.id,
            text=message.text,
            media=message.media,
            buttons=message.buttons,
            reply_to=message.reply_to,
            **common,
        )

    async def _start(
        self, connection: Connection, frame: protocol.Start, common: dict[str, Any]
    ) -> events.Command:
        if not connection.access.may("work", frame.line):
            raise Refused("no_right", right="work", line=frame.line)
        _check_lengths(frame)
        channel, _, chat = frame.chat.partition(":")
        found = await self._store.find("customers", {"chats": frame.chat}, limit=1)
        if not found:
            raise Refused("no_such_chat", chat=frame.chat)
        try:
            known = known_of(found[0])
        except msgspec.ValidationError:  # a card that is none; it is his chat all the same
            known = Known(customer=found[0]["_id"])
        return events.Start(
            channel=channel,
            chat=chat,
            line=frame.line,
            **msgspec.structs.asdict(known),
            text=frame.text,
            **common,
        )

    async def typing(self, connection: Connection, frame: protocol.Typing) -> None:
        """Passed on to colleagues, and to the customer unless it is a draft of a note."""
        session = self._picture.sessions.get(frame.session)
        if session is None or not connection.access.may(
            "work", session.line, holder=session.holder, guests=people(session)
        ):
            return
        if frame.on:
            await self._holds.wrote(connection.name, session, draft=frame.draft)
        if connection.name in session.silent and connection.name not in session.guests:
            return  # he leaves no trace
        await self._hint(connection, session, "draft" if frame.draft else "typing", on=frame.on)

    async def _hint(self, connection: Connection, session: Session, kind: str, *, on: bool) -> None:
        hint = {
            "kind": kind, "session": session.id, "who": connection.name, "on": "1" if on else "0",
            "channel": session.channel, "chat": session.chat,
        }  # fmt: skip
        try:
            await self._log.hint(msgspec.json.encode(hint))
        except Unavailable:
            logger.info("a hint was lost: redis does not answer")

    async def remember(self, connection: Connection) -> str:
        """A new token for this login, so that the next one needs no password."""
        token: str = await accounts.new_token(self._store, connection.name)
        return token

    # ---------------------------------------------------------------- reads

    def _reads(self) -> dict[type[Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.Open: self._open,
            protocol.Leave: self._leave,
            protocol.GetThread: self._thread,
            protocol.GetHistory: self._history,
            protocol.Search: self._search,
            protocol.GetSessions: self._sessions,
            protocol.GetCard: self._card,
            protocol.GetWhy: self._why,
            protocol.GetStatus: self._status,
            protocol.Follow: self._follow,
        }

    async def _open(self, connection: Connection, frame: protocol.Open) -> None:
        view = await self._readable(connection, frame.session)
        self._broadcast.watch(connection, frame.session)
        connection.hold_back()
        try:
            messages, more = await self._page(frame.session, 0, frame.limit)
            connection.send(protocol.Page(rid=frame.rid, messages=messages, more=more, session=view))
        finally:
            connection.let_go()
        session = self._picture.sessions.get(frame.session)
        if session is not None and connection.name not in session.silent:
            await self._hint(connection, session, "looking", on=True)

    async def _leave(self, connection: Connection, frame: protocol.Leave) -> None:
        watched = frame.session in connection.watching
        if not watched:
            await self._readable(connection, frame.session)
        self._broadcast.unwatch(connection, frame.session)
        connection.send(Done(rid=frame.rid))
        session = self._picture.sessions.get(frame.session)
        if watched and session is not None and connection.name not in session.silent:
            await self._hint(connection, session, "looking", on=False)

    async def _thread(self, connection: Connection, frame: protocol.GetThread) -> None:
        view = await self._readable(connection, frame.session)
        messages, more = await self._page(frame.session, frame.before_seq, frame.limit)
        connection.send(protocol.Page(rid=frame.rid, messages=messages, more=more, session=view))

    async def _readable(self, connection: Connection, id: str) -> SessionView:
        """The session, open or closed, if this login may read it. Raises ``Refused``."""
        session = await self._known_session(id)
        if not self._picture.may_read(connection.access, session):
            raise Refused("no_right", right="read", line=session.line)
        return self._picture.view(session, connection.access)

    async def _page(self, session: str, before_seq: int, limit: int) -> tuple[list[Message], bool]:
        limit = max(1, min(limit, PAGE_MAX))
        tail = await self._tail(session)
        found = await history.messages(self._store, session, before_seq=before_seq, limit=limit + 1)
        added = [t.message for t in tail if isinstance(t, MessageAdded)]
        by_seq = {m.seq: m for m in (*found, *added) if not before_seq or m.seq < before_seq}
        for told in tail:
            if isinstance(told, MessageChanged):
                _change(by_seq, told.change)
        messages = [plain(by_seq[seq]) for seq in sorted(by_seq)][-(limit + 1) :]
        return messages[-limit:], len(messages) > limit

    async def _tail(self, session: str) -> list[Told]:
        """What the journal says of a session that the store has not taken up yet."""
        return [t async for entry in self._not_stored() for t in entry.told if about(t) == session]

    async def _not_stored(self) -> AsyncIterator[Entry]:
        """The journal from where the projector is."""
        position = await self._log.reader("projector")
        while True:
            entries = await self._log.read_journal(position, count=256, reader="projector")
            for id, entry in entries:
                position = id
                yield entry
            if len(entries) < 256:
                return

    async def _message(self, session: Session, id: str) -> Message:
        seq = id.rpartition("-")[2]
        if not id.startswith(f"{session.id}-") or not _SEQ.fullmatch(seq):
            raise Refused("no_such_message")
        messages, _ = await self._page(session.id, int(seq) + 1, 1)
        if not messages or messages[-1].id != id:
            raise Refused("no_such_message")
        return messages[-1]

    async def _history(self, connection: Connection, frame: protocol.GetHistory) -> None:
        limit = max(1, min(frame.limit, PAGE_MAX))
        found = await history.customer_messages(
            self._store,
            frame.customer,
            lines=sorted(connection.access.lines),
            before=(frame.before_at, frame.before_id) if frame.before_at else None,
            limit=limit + 1,
        )
        messages = [plain(m) for m in found[-limit:]]
        connection.send(protocol.Page(rid=frame.rid, messages=messages, more=len(found) > limit))

    async def _search(self, connection: Connection, frame: protocol.Search) -> None:
        found = await history.search(
            self._store,
            frame.text,
            lines=sorted(connection.access.lines),
            session=frame.session,
            customer=frame.customer,
            limit=max(1, min(frame.limit, PAGE_MAX)),
        )
        connection.send(protocol.Page(rid=frame.rid, messages=[plain(m) for m in found]))

    async def _sessions(self, connection: Connection, frame: protocol.GetSessions) -> None:
        limit = max(1, min(frame.limit, OLD_SESSIONS_MAX))

        def wanted(s: Session) -> bool:
            return (
                frame.line in ("", s.line)
                and frame.status in ("", s.status)
                and frame.holder in ("", s.holder)
                and frame.customer in ("", s.customer)
                and (not frame.tag or fold(frame.tag) in map(fold, s.tags))
            )

        found = [s for s in self._picture.in_lines(connection.access) if wanted(s)]
        found.sort(key=lambda s: int(s.id), reverse=True)
        if frame.status in ("", "closed") and len(found) < limit:
            there = {s.id for s in found}
            closed = await self._closed(connection, frame, limit)
            found += [s for s in closed if s.id not in there and s.id not in self._picture.sessions]
        views = [self._picture.view(s, connection.access) for s in found[:limit]]
        connection.send(protocol.SessionList(rid=frame.rid, sessions=views))

    async def _closed(self, connection: Connection, frame: protocol.GetSessions, limit: int) -> list[Session]:
        lines = sorted(connection.access.lines & {frame.line} if frame.line else connection.access.lines)
        narrowed: dict[str, Any] = {
            "lines": lines, "holder": frame.holder, "customer": frame.customer, "limit": limit
        }  # fmt: skip
        if frame.tag:
            documents = await history.tagged_sessions(self._store, frame.tag, **narrowed)
        else:
            documents = await history.sessions(self._store, status="closed", **narrowed)
        return [msgspec.convert(d, Session, strict=False) for d in documents]

    async def _card(self, connection: Connection, frame: protocol.GetCard) -> None:
        document = await self._store.get("customers", frame.customer)
        lines = sorted(connection.access.lines)
        documents = await history.sessions(self._store, lines=lines, customer=frame.customer, limit=20)
        latest = {d["_id"]: msgspec.convert(d, Session, strict=False) for d in documents}
        for session in self._picture.in_lines(connection.access):
            if session.customer == frame.customer:
                latest[session.id] = session
        if not latest and document is None and connection.access.everywhere:
            raise Refused("no_such_customer")
        if not latest:
            raise Refused("no_right", right="read")
        connection.send(
            protocol.Card(
                rid=frame.rid,
                customer=history.customer(document) if document else Customer(id=frame.customer),
                sessions=[
                    self._picture.view(s, connection.access)
                    for s in sorted(latest.values(), key=lambda s: -int(s.id))
                ],
            )
        )

    async def _why(self, connection: Connection, frame: protocol.GetWhy) -> None:
        view = await self._readable(connection, frame.session)
        tail = [t for t in await self._tail(frame.session) if isinstance(t, Decided)]
        latest = await self._store.find(
            "decisions", {"session": frame.session}, sort=[("at", -1)], limit=DECISIONS_MAX
        )
        kept = [msgspec.convert(d, Decided, strict=False) for d in reversed(latest)]
        decisions = [*kept, *(d for d in tail if d not in kept)]
        connection.send(
            protocol.Why(
                rid=frame.rid,
                session=view,
                decisions=[msgspec.convert(d, DecisionView, from_attributes=True) for d in decisions],
            )
        )

    async def _status(self, connection: Connection, frame: protocol.GetStatus) -> None:
        connection.send(await self._status_of.report(frame.rid, connection.access))

    async def _follow(self, connection: Connection, frame: protocol.Follow) -> None:
        after, skip = await start_of(self._log, self._picture, frame.since)
        await connection.write(protocol.encode_frame(Done(rid=frame.rid)))
        connection.follow(self._log, self._picture, after, skip)


def about(told: Told) -> str:
    """The session that something told is about, or nothing."""
    if isinstance(told, MessageAdded):
        return told.message.session
    if isinstance(told, MessageChanged):
        return told.change.session
    session: str = getattr(told, "session", "")
    return session


def _change(by_seq: dict[int, Message], change: MessageChange) -> None:
    for message in by_seq.values():
        if change.id == message.id or (
            not change.id and change.external_id and change.external_id in message.external_id.split()
        ):
            apply_change(message, change)


def _well_named(media: Media) -> Media:
    """What a client calls a file is a stranger's word until it is cleaned, wherever he has it from."""
    return msgspec.structs.replace(media, name=file_name(media.name)) if media.key and media.name else media


def _check_lengths(frame: protocol.CommandFrame) -> None:
    """Longer texts are refused, never cut."""
    for name in frame.__struct_fields__:
        value = getattr(frame, name)
        limit = protocol.MAX_TEXT if name in ("text", "comment") else protocol.MAX_LINE
        if isinstance(value, str) and len(value) > limit:
            raise Refused("too_long", limit=str(limit))
    if isinstance(frame, protocol.Tag) and len(frame.tags) > MAX_TAGS:
        raise Refused("too_many_tags", limit=str(MAX_TAGS))
    for media in getattr(frame, "media", ()):
        if (
            max(map(len, (media.ref, media.key, media.name, media.mime, media.phone, media.error)))
            > protocol.MAX_LINE
        ):
            raise Refused("too_long", limit=str(protocol.MAX_LINE))
