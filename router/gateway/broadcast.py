"""Who is told what: immediate frames to those who look at a session, lists to the rest, coalesced."""

from __future__ import annotations

import asyncio

import msgspec

from crm.kernel.records import Message, MessageChange
from router.desk.state import Session
from router.gateway.connection import Connection
from router.gateway.index import is_listed, is_waiting, people
from router.gateway.picture import Picture
from router.wire.protocol import Changes, encode_frame


class Broadcast:
    """The interests of all connections of one gateway. The cost of a message grows with those who
    look at its session, not with all who are connected."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.of_operator: dict[str, set[Connection]] = {}
        self._watchers: dict[str, set[Connection]] = {}
        self._everybody: set[Connection] = set()
        self._dirty: set[str] = set()
        self._lines: set[str] = set()
        self._listed: dict[str, str] = {}
        """Sessions last told as waiting -> their line."""
        self._operators: set[str] = set()
        self.stirred = asyncio.Event()
        """Set when there is something to flush."""

    def join(self, connection: Connection) -> None:
        self._everybody.add(connection)
        self.of_operator.setdefault(connection.name, set()).add(connection)
        for id in connection.watching:
            self._watchers.setdefault(id, set()).add(connection)

    def leave(self, connection: Connection) -> None:
        self._everybody.discard(connection)
        self.of_operator.get(connection.name, set()).discard(connection)
        for id in list(connection.watching):
            self.unwatch(connection, id)

    def watch(self, connection: Connection, session: str) -> None:
        connection.watching.add(session)
        self._watchers.setdefault(session, set()).add(connection)

    def unwatch(self, connection: Connection, session: str) -> None:
        connection.watching.discard(session)
        watchers = self._watchers.get(session)
        if watchers is not None:
            watchers.discard(connection)
            if not watchers:
                del self._watchers[session]

    def looking_at(self, session: str) -> set[Connection]:
        """Connections that see this session's messages at once."""
        return self._targets(session, self._picture.sessions.get(session))

    # ---------------------------------------------------------------- at once

    def tell(
        self,
        id: str,
        news: list[tuple[Session, Session | None]],
        messages: dict[str, list[Message]],
        changes: dict[str, list[MessageChange]],
    ) -> None:
        """One journal entry: to everybody who looks at a session that it changed, as one frame for
        each, because its id says that all of the entry has been sent."""
        states = {session.id: (session, old) for session, old in news}
        told: dict[Connection, list[Changes]] = {}
        for session_id in dict.fromkeys((*states, *messages, *changes)):
            state, old = states.get(session_id, (self._picture.sessions.get(session_id), None))
            if session_id in states and state is not None:
                self._note(state, old)
                self._turn_away(told, state)
            targets = self._targets(session_id, state)
            frames: dict[bool, Changes] = {}
            for connection in targets:
                silent = state is not None and state.line in connection.access.sees_silent
                if silent not in frames:
                    frames[silent] = Changes(
                        messages=messages.get(session_id, []),
                        changes=changes.get(session_id, []),
                        sessions=[self._picture.view_for(state, silent=silent)]
                        if state is not None
                        and session_id in states
                        and (silent or not _in_secret(state, old))
                        else [],
                    )
                frame = frames[silent]
                if frame.messages or frame.changes or frame.sessions:
                    told.setdefault(connection, []).append(frame)
            if old is not None and (state is None or people(old) != people(state)):
                self._tell_former(told, old, targets)
        _send(id, told)

    def _targets(self, session_id: str, state: Session | None) -> set[Connection]:
        found = {
            connection
            for connection in self._watchers.get(session_id, ())
            if state is None or self._picture.may_read(connection.access, state)
        }
        if state is not None:
            for name in people(state):
                found |= self.of_operator.get(name, set())
        return found

    def _turn_away(self, told: dict[Connection, list[Changes]], state: Session) -> None:
        """Who looks at a session that he may not read any more (it changed line, or his rights did) does so
        no longer."""
        for connection in list(self._watchers.get(state.id, ())):
            if not self._picture.may_read(connection.access, state):
                self.unwatch(connection, state.id)
                told.setdefault(connection, []).append(Changes(gone=[state.id]))

    def _tell_former(
        self, told: dict[Connection, list[Changes]], old: Session, still: set[Connection]
    ) -> None:
        """Those to whom it belonged before, and who do not look at it any more."""
        former = {c for name in people(old) for c in self.of_operator.get(name, ())} - still
        if not former:
            return
        now = self._picture.sessions.get(old.id)
        gone = Changes(gone=[old.id])
        listed: dict[bool, Changes] = {}
        for connection in former:
            part = gone
            if now is not None and self._picture.concerns(connection.access, now):
                silent = now.line in connection.access.sees_silent
                if silent not in listed:
                    listed[silent] = Changes(sessions=[self._picture.view_for(now, silent=silent)])
                part = listed[silent]
            told.setdefault(connection, []).append(part)

    # ---------------------------------------------------------------- lists

    def _note(self, session: Session, old: Session | None) -> None:
        before = (old.status, old.line) if old is not None else None
        if before != (session.status, session.line):
            self._lines.add(session.line)
            if old is not None:
                self._lines.add(old.line)
        if old is not None and is_listed(old) and old.id not in self._dirty:
            self._listed.setdefault(old.id, old.line)  # it was in the picture from the start
        if session.id in self._listed or (is_waiting(session) and session.status != "closed"):
            self._dirty.add(session.id)
            self._lines.add(session.line)
        if self._dirty or self._lines:
            self.stirred.set()

    def line_changed(self, name: str) -> None:
        self._lines.add(name)
        self.stirred.set()

    def operator_changed(self, name: str) -> None:
        self._operators.add(name)
        self.stirred.set()

    def flush(self) -> list[Connection]:
        """Queues for the lists what has changed since the last time, and returns whom the caller has
        to wake for it. Consoles with the same lines share one encoded frame."""
        position = self._picture.position
        dirty, self._dirty = self._dirty, set()
        lines, self._lines = self._lines, set()
        operators, self._operators = self._operators, set()
        self.stirred.clear()
        if not (dirty or lines or operators):
            return []
        waiting, gone = self._sort(dirty)
        own: dict[str, set[str]] = {}
        for session, _ in gone:
            for name in people(session):
                own.setdefault(name, set()).add(session.id)
        frames: dict[tuple[frozenset[str], frozenset[str]], bytes | None] = {}
        told = []
        for connection in self._everybody:
            name, key = connection.name, (connection.access.lines, connection.access.sees_silent)
            if name in own or name in operators:
                data = self._frame(connection, waiting, gone, lines, operators, own.get(name, set()))
            else:
                if key not in frames:
                    frames[key] = self._frame(connection, waiting, gone, lines, operators, set())
                data = frames[key]
            if data is not None:
                connection.send_change(position, data, wake=False)
                told.append(connection)
        return told

    def _sort(self, dirty: set[str]) -> tuple[list[Session], list[tuple[Session, str]]]:
        """What waits now, and what has left the list of a line, with that line."""
        waiting, gone = [], []
        for id in dirty:
            session = self._picture.sessions.get(id)
            line = self._listed.pop(id, "")
            if session is not None and is_listed(session):
                waiting.append(session)
                self._listed[id] = session.line
                if line and line != session.line:
                    gone.append((session, line))
            elif line:
                ended = Session(id=id, chat="", channel="", kind="", line=line, customer="", status="closed")
                gone.append((session or ended, line))
        return waiting, gone

    def _frame(
        self,
        connection: Connection,
        waiting: list[Session],
        gone: list[tuple[Session, str]],
        lines: set[str],
        operators: set[str],
        own: set[str],
    ) -> bytes | None:
        access, picture = connection.access, self._picture
        colleagues = [picture.operators[name] for name in sorted(operators) if name in picture.operators]
        frame = Changes(
            id=picture.position,
            sessions=[picture.view(s, access) for s in waiting if access.may("read", s.line)],
            gone=[
                s.id
                for s, line in gone
                if s.id not in own
                and access.may("read", line)
                and not (is_listed(s) and access.may("read", s.line))
            ],
            lines=[
                picture.line_view(n) for n in sorted(lines & access.lines) if n in picture.configured.lines
            ],
            operators=[picture.operator_view(o) for o in colleagues if picture.is_colleague(access, o)],
        )
        if frame.sessions or frame.gone or frame.lines or frame.operators:
            return encode_frame(frame)
        return None


def _in_secret(session: Session, old: Session | None) -> bool:
    """Whether nothing has changed but who reads along silently."""
    if old is None or session.silent == old.silent:
        return False
    return msgspec.structs.replace(session, silent=old.silent, rev=old.rev) == old


def _send(entry: str, told: dict[Connection, list[Changes]]) -> None:
    """Clients that are told the same share one encoded frame."""
    frames: dict[tuple[int, ...], bytes] = {}
    for connection, parts in told.items():
        key = tuple(id(part) for part in parts)
        if key not in frames:
            frames[key] = _encode(entry, parts)
        connection.send_change(entry, frames[key])


def _encode(entry: str, parts: list[Changes]) -> bytes:
    frame = Changes(id=entry)
    for part in parts:
        frame.messages += part.messages
        frame.changes += part.changes
        frame.sessions += part.sessions
        frame.gone += part.gone
    return encode_frame(frame)
