"""Who writes into an offer holds it: of the console's hints, those that matter come into the log.

A hint may be lost and the desk must not hang on one; what moves the end of an offer is an event like any
other, so that every writer of the desk decides alike. Few are needed: none while the offer lasts anyway."""

from __future__ import annotations

import logging
from collections import OrderedDict

from crm.kernel.errors import Unavailable
from router.desk.commands.writing import LEASE
from router.desk.events import Writing
from router.desk.state import Session
from router.gateway.picture import Picture
from router.log.clock import steady_ms
from router.log.log import Log

logger = logging.getLogger(__name__)

EVERY = 2_500
"""ms between two events of one operator in one session; consoles hint every three seconds."""
MARGIN = 5_000
"""ms before the lease would matter: more than one hint comes within them."""
REMEMBERED = 10_000


class Holds:
    """Of one gateway."""

    def __init__(self, log: Log, picture: Picture) -> None:
        self._log = log
        self._picture = picture
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def wrote(self, operator: str, session: Session, *, draft: bool) -> None:
        """A key was pressed in a session that may be offered to this operator."""
        if session.status != "offered" or operator not in (session.holder, *session.offer.seen_by):
            return
        rules = self._picture.configured.lines.get(session.line)
        if rules is None or rules.while_writing == "off":
            return
        now = steady_ms()
        takes = rules.while_writing == "take" and not draft
        lasts = session.offer.until - self._picture.now() > LEASE + MARGIN
        told = self._told.get((operator, session.id))
        if (told is not None and now - told < EVERY) or (lasts and not takes):
            return
        try:
            await self._log.append(Writing(session=session.id, operator=operator, draft=draft))
        except Unavailable:
            logger.info("that somebody writes was not told: redis does not answer")
            return
        self._told[operator, session.id] = now
        self._told.move_to_end((operator, session.id))
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
