"""Hints: who types, who looks. They are never in the log, and one that is lost is not missed."""

from __future__ import annotations

import logging

import msgspec

from crm.kernel.errors import Unavailable
from router.desk.state import Session
from router.gateway.connection import Connection
from router.gateway.holds import Holds
from router.gateway.index import people
from router.gateway.picture import Picture
from router.log.log import Log
from router.wire import protocol

logger = logging.getLogger(__name__)


class Hints:
    """Tells all gateways, and through them whoever looks, what one client is about."""

    def __init__(self, log: Log, picture: Picture) -> None:
        self._log = log
        self._picture = picture
        self._holds = Holds(log, picture)

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
        await self.tell(connection, session, "draft" if frame.draft else "typing", on=frame.on)

    async def tell(self, connection: Connection, session: Session, kind: str, *, on: bool) -> None:
        hint = {
            "kind": kind, "session": session.id, "who": connection.name, "on": "1" if on else "0",
            "channel": session.channel, "chat": session.chat,
        }  # fmt: skip
        try:
            await self._log.hint(msgspec.json.encode(hint))
        except Unavailable:
            logger.info("a hint was lost: redis does not answer")

    async def look_away(self, connection: Connection, id: str) -> None:
        """Who was seen looking before he joined silently is seen leaving; nothing is seen of him then."""
        session = self._picture.sessions.get(id)
        if session is not None and id in connection.watching:
            await self.tell(connection, session, "looking", on=False)
