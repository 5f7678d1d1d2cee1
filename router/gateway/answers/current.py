"""What is known now: the store's answer brought up to date with the journal.

The history may lag behind; the journal entries that the projector has not taken up yet are added, so
nobody ever sees less than what has been committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re

from crm.conversations import history
from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.kernel.records import Message, MessageChange, apply_change
from router.desk.state import MessageAdded, MessageChanged, Session, Told, session_of
from router.gateway.follow import plain
from router.gateway.picture import Picture
from router.gateway.tail import JournalTail, about
from router.log.log import Log, id_key
from router.log.quarantine import PROJECTOR

PAGE_MAX = 200
REACH = 1.0
"""Seconds that the gateway may need to come to the journal's end before it is read past it."""
_SEQ = re.compile(r"[0-9]{1,15}")


class Current:
    """Sessions and their messages, open or closed, as of the newest commit."""

    def __init__(self, log: Log, store: Store, picture: Picture, tail: JournalTail) -> None:
        self._log = log
        self._store = store
        self._picture = picture
        self._journal_tail = tail

    async def session(self, id: str) -> Session:
        """Open or closed. Raises ``Refused``."""
        session = self._picture.sessions.get(id)
        if session is not None:
            return session
        document = await history.session(self._store, id)
        stored = session_of(document) if document is not None else None
        if stored is not None and stored.status == "closed":
            return stored
        # It began while the store was asked, or it has ended and the store does not know that yet.
        _, told = await self._not_stored(id)
        session = self._picture.sessions.get(id) or told or stored
        if session is None:
            raise Refused("no_such_session", session=id)
        return session

    async def page(self, session: str, before_seq: int, limit: int) -> tuple[list[Message], bool]:
        limit = max(1, min(limit, PAGE_MAX))
        tail = await self.tail(session)
        found = await history.messages(self._store, session, before_seq=before_seq, limit=limit + 1)
        # Copies: what is kept of the journal stays as it was told.
        added = [copy.copy(t.message) for t in tail if isinstance(t, MessageAdded)]
        by_seq = {m.seq: m for m in (*found, *added) if not before_seq or m.seq < before_seq}
        for told in tail:
            if isinstance(told, MessageChanged):
                _change(by_seq, told.change)
        messages = [plain(by_seq[seq]) for seq in sorted(by_seq)][-(limit + 1) :]
        return messages[-limit:], len(messages) > limit

    async def tail(self, session: str) -> list[Told]:
        """What the journal says of a session that the store has not taken up yet."""
        told, _ = await self._not_stored(session)
        return told

    async def _not_stored(self, session: str) -> tuple[list[Told], Session | None]:
        """What the journal tells of a session from where the projector is, and the newest state in it of
        one that is not in the picture."""
        position, end = await self._log.ends(PROJECTOR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REACH):
                await self._journal_tail.reach(end)
        told: list[Told] = []
        state = None
        while id_key(position) < id_key(end):
            if self._journal_tail.covers(position) and id_key(position) < id_key(self._journal_tail.newest):
                more, closed = self._journal_tail.of(session, position)
                told, state, position = told + more, closed or state, self._journal_tail.newest
                continue
            entries = await self._log.read_journal(position, count=256, reader=PROJECTOR)
            if not entries:
                break
            for id, entry in entries:
                position = id
                told += [t for t in entry.told if about(t) == session]
                state = next((s for s in entry.sessions if s.id == session), state)
        return told, state

    async def message(self, session: Session, id: str) -> Message:
        seq = id.rpartition("-")[2]
        if not id.startswith(f"{session.id}-") or not _SEQ.fullmatch(seq):
            raise Refused("no_such_message")
        messages, _ = await self.page(session.id, int(seq) + 1, 1)
        if not messages or messages[-1].id != id:
            raise Refused("no_such_message")
        return messages[-1]


def _change(by_seq: dict[int, Message], change: MessageChange) -> None:
    for message in by_seq.values():
        if change.id == message.id or (
            not change.id and change.external_id and change.external_id in message.external_id.split()
        ):
            apply_change(message, change)
