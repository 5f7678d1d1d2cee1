"""What clients read of conversations and customers, as far as their login may."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from crm.conversations import history
from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.kernel.records import Customer
from crm.people.merging import resolve
from router.desk.state import Decided, Session, session_of
from router.gateway.answers.current import PAGE_MAX, Current
from router.gateway.answers.hints import Hints
from router.gateway.broadcast import Broadcast
from router.gateway.connection import Connection
from router.gateway.follow import plain, start_of
from router.gateway.picture import Picture
from router.gateway.status import DeskStatus
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import DecisionView, Done, Frame, SessionView

OLD_SESSIONS_MAX = 1000
DECISIONS_MAX = 100


class Reads:
    """``answers`` gives what answers each kind of frame."""

    def __init__(
        self, log: Log, store: Store, picture: Picture, broadcast: Broadcast, status: DeskStatus,
        current: Current, hints: Hints,
    ) -> None:  # fmt: skip
        self._log = log
        self._store = store
        self._picture = picture
        self._broadcast = broadcast
        self._status_of = status
        self._current = current
        self._hints = hints

    def answers(self) -> dict[type[Frame], Callable[[Connection, Any], Awaitable[None]]]:
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
            messages, more = await self._current.page(frame.session, 0, frame.limit)
            connection.send(protocol.Page(rid=frame.rid, messages=messages, more=more, session=view))
        finally:
            connection.let_go()
        session = self._picture.sessions.get(frame.session)
        if session is not None and connection.name not in session.silent:
            await self._hints.tell(connection, session, "looking", on=True)

    async def _leave(self, connection: Connection, frame: protocol.Leave) -> None:
        watched = frame.session in connection.watching
        if not watched:
            await self._readable(connection, frame.session)
        self._broadcast.unwatch(connection, frame.session)
        connection.send(Done(rid=frame.rid))
        session = self._picture.sessions.get(frame.session)
        if watched and session is not None and connection.name not in session.silent:
            await self._hints.tell(connection, session, "looking", on=False)

    async def _thread(self, connection: Connection, frame: protocol.GetThread) -> None:
        view = await self._readable(connection, frame.session)
        messages, more = await self._current.page(frame.session, frame.before_seq, frame.limit)
        connection.send(protocol.Page(rid=frame.rid, messages=messages, more=more, session=view))

    async def _readable(self, connection: Connection, id: str) -> SessionView:
        """The session, open or closed, if this login may read it. Raises ``Refused``."""
        session = await self._current.session(id)
        if not self._picture.may_read(connection.access, session):
            raise Refused("no_right", right="read", line=session.line)
        return self._picture.view(session, connection.access)

    async def _history(self, connection: Connection, frame: protocol.GetHistory) -> None:
        limit = max(1, min(frame.limit, PAGE_MAX))
        document = await resolve(self._store, frame.customer)
        found = await history.customer_messages(
            self._store,
            document["_id"] if document else frame.customer,
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

        matching = self._picture.found(
            connection.access, line=frame.line, status=frame.status, holder=frame.holder,
            customer=frame.customer, tag=frame.tag,
        )  # fmt: skip
        found = list(itertools.islice(matching, limit))
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
        return [session_of(d) for d in documents]

    async def _card(self, connection: Connection, frame: protocol.GetCard) -> None:
        document = await resolve(self._store, frame.customer)
        id = document["_id"] if document else frame.customer
        lines = sorted(connection.access.lines)
        documents = await history.sessions(self._store, lines=lines, customer=id, limit=20)
        latest = {d["_id"]: session_of(d) for d in documents}
        if id:
            latest |= {s.id: s for s in self._picture.found(connection.access, customer=id)}
        if not latest and document is None and connection.access.everywhere:
            raise Refused("no_such_customer")
        if not latest:
            raise Refused("no_right", right="read")
        connection.send(
            protocol.Card(
                rid=frame.rid,
                customer=history.customer(document) if document else Customer(id=id),
                sessions=[
                    self._picture.view(s, connection.access)
                    for s in sorted(latest.values(), key=lambda s: -int(s.id))
                ],
            )
        )

    async def _why(self, connection: Connection, frame: protocol.GetWhy) -> None:
        view = await self._readable(connection, frame.session)
        tail = [t for t in await self._current.tail(frame.session) if isinstance(t, Decided)]
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
