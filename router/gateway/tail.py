"""The newest part of the journal, by session: what the gateway has read anyway, so that opening a
conversation reads and decodes none of it again.

It holds ``MOST`` bytes of what the journal says, which in memory is about eight times as much; older
entries leave. Of sessions only the closed are kept: the open ones are in the picture.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from router.desk.state import Entry, MessageAdded, MessageChanged, Session, Told
from router.gateway.follow import plain
from router.log.log import id_key

MOST = 2 << 20
EACH = 32
"""Bytes that every part counts beside its own."""

Key = tuple[int, int]

_encoder = msgspec.msgpack.Encoder()


class JournalTail:
    """``newest`` is the last entry added; ``covers`` says from where on none is missing."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.newest = "0"
        self._moved = asyncio.Event()
        self._begins: Key = (0, 0)
        """The entry before the oldest that is here."""
        self.bytes = 0
        self._entries: deque[tuple[Key, int, list[str]]] = deque()
        self._parts: dict[str, deque[tuple[Key, Told | Session]]] = {}

    def start(self, position: str) -> None:
        """Forgets everything; the next entry is the one after ``position``."""
        self.newest, self._begins, self.bytes = position, id_key(position), 0
        self._entries.clear()
        self._parts.clear()
        self._tell()

    def add(self, id: str, entry: Entry) -> None:
        """Takes up the entry after ``newest``; one that is here already changes nothing."""
        key, size, sessions = id_key(id), EACH, []
        if key <= id_key(self.newest):
            return
        closed = [session for session in entry.sessions if session.status == "closed"]
        for part in (*entry.told, *closed):
            session = part.id if isinstance(part, Session) else about(part)
            if session:
                if isinstance(part, MessageAdded):
                    plain(part.message)
                size += EACH + len(_encoder.encode(part))
                sessions.append(session)
                self._parts.setdefault(session, deque()).append((key, part))
        self.newest = id
        self.bytes += size
        self._entries.append((key, size, sessions))
        while self.bytes > self._most:
            self._forget()
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved.clear()

    async def reach(self, id: str) -> None:
        """Returns when the gateway has come to that entry. Who needs it had better wait than decode it, too."""
        while id_key(self.newest) < id_key(id):
            await self._moved.wait()

    def _forget(self) -> None:
        self._begins, size, sessions = self._entries.popleft()
        self.bytes -= size
        for session in sessions:
            parts = self._parts.get(session)
            if parts:
                parts.popleft()
                if not parts:
                    del self._parts[session]

    def erase(self, sessions: Iterable[str]) -> None:
        """Nothing was said in these."""
        for session in sessions:
            self._parts.pop(session, None)

    def covers(self, after: str) -> bool:
        """Whether all entries after that one, up to ``newest``, are here."""
        return self._begins <= id_key(after)

    def of(self, session: str, after: str) -> tuple[list[Told], Session | None]:
        """What entries after that one tell of a session, in order, and how it was closed in one."""
        told: list[Told] = []
        closed = None
        start = id_key(after)
        for key, part in self._parts.get(session, ()):
            if key <= start:
                continue
            if isinstance(part, Session):
                closed = part
            else:
                told.append(part)
        return told, closed


def about(told: Told) -> str:
    """The session that something told is about, or nothing."""
    if isinstance(told, MessageAdded):
        return told.message.session
    if isinstance(told, MessageChanged):
        return told.change.session
    session: str = getattr(told, "session", "")
    return session
