"""One client's connection: what it looks at, its bounded queue of frames, and how it catches up.

A client that does not read costs nobody else anything: when its queue is full, the changes in it are
dropped and the journal is read again from the last entry that left, once the client reads on.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque

import msgspec
from aiohttp import WSMsgType, web

from crm.kernel.errors import Unavailable
from crm.kernel.records import Account
from router.desk.state import Alert, Audit, Entry, MessageAdded, MessageChanged, Session
from router.gateway.access import Access
from router.gateway.follow import follow, plain
from router.gateway.picture import Picture
from router.log.clock import steady_ms
from router.log.log import Log, id_key
from router.wire.protocol import AlertView, Bye, Changes, ClientFrame, Frame, decode_client, encode_frame

logger = logging.getLogger(__name__)

QUEUE_FRAMES = 1000
QUEUE_BYTES = 2 << 20
GOODBYE_TIMEOUT = 2.0
"""Seconds a client has to read the last words."""
SEND_TIMEOUT = 300.0
"""Seconds a client may refuse to read before it is disconnected."""
RELIST_MS = 1000
"""Lists are coalesced for up to 0.1 s, so after a resume those of the last second are told again."""


class Connection:
    """Made by the gateway after a login; ``pump`` is its writer and owns the socket's sending side."""

    def __init__(
        self, socket: web.WebSocketResponse, account: Account, token_id: str, access: Access
    ) -> None:
        self.socket = socket
        self.account = account
        self.token_id = token_id
        self.access = access
        self.id = uuid.uuid4().hex[:12]
        self.ticket = uuid.uuid4().hex
        self.presence = False
        self.heard_at = steady_ms()
        self.watching: set[str] = set()
        self.sent = "0"
        """The newest journal entry whose frames have all left."""
        self.lagging = False
        self.closing: Frame | None = None
        self._queue: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._read = asyncio.Event()
        self._over = False
        self._replayed = (0, 0)
        self._held: list[tuple[str, bytes]] | None = None
        self._follower: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.account.name

    # ---------------------------------------------------------------- queueing

    def send(self, frame: Frame) -> None:
        """Queues an answer; answers are never dropped (a client that asks without reading is
        disconnected)."""
        if self.closing is not None:
            return
        if len(self._queue) >= 2 * QUEUE_FRAMES:
            self.abort()
            return
        self._push("", encode_frame(frame))

    def send_change(self, id: str, data: bytes, *, wake: bool = True) -> None:
        """Queues an encoded ``Changes`` frame of journal entry ``id``; when the queue is full all
        queued changes are dropped, to be caught up later. Without ``wake`` it leaves with whatever
        comes next, or at ``wake``."""
        if self._held is not None and not self.lagging:
            self._held.append((id, data))
            self.lagging = len(self._held) > QUEUE_FRAMES
            return
        if (
            self.closing is not None
            or self.lagging
            or (self._replayed != (0, 0) and id_key(id) <= self._replayed)
        ):
            return
        if len(self._queue) >= QUEUE_FRAMES or self._bytes + len(data) > QUEUE_BYTES:
            self.lagging = True
            self._drop_changes()
            logger.info("connection %s does not read and will catch up", self.id)
            self._wake.set()
            return
        self._push(id, data, wake=wake)

    def _drop_changes(self) -> None:
        self._queue = deque(item for item in self._queue if not item[0])
        self._bytes = sum(len(frame) for _, frame in self._queue)

    async def room(self) -> None:
        """Waits while the client has too much to read: who does not read is not listened to."""
        while self._bytes > QUEUE_BYTES and not self._over:
            self._read.clear()
            await self._read.wait()

    def wake(self) -> None:
        self._wake.set()

    def hold_back(self) -> None:
        """From here on changes wait, until the page that they may change has been sent. All of them:
        one that went ahead would claim, by its id, that those before it have been sent."""
        self._held = []

    def let_go(self) -> None:
        held, self._held = self._held or [], None
        for id, data in held:
            self.send_change(id, data)  # none of them while lagging: the journal has them all
        self._wake.set()

    def _push(self, id: str, data: bytes, *, wake: bool = True) -> None:
        self._queue.append((id, data))
        self._bytes += len(data)
        if wake:
            self._wake.set()

    def end(self, frame: Frame) -> None:
        """Says good-bye after the answers that are queued; from here on nothing new is told, and a
        client that does not read is cut off."""
        if self.closing is not None:
            return
        self.closing = frame
        self.lagging = False
        self._drop_changes()
        self.stop()
        self._wake.set()
        asyncio.get_running_loop().call_later(GOODBYE_TIMEOUT, self.abort)

    def abort(self) -> None:
        """Cuts the line."""
        if self.socket._req is not None and self.socket._req.transport is not None:
            self.socket._req.transport.abort()

    def follow(self, log: Log, picture: Picture, after: str, skip: int) -> None:
        """Starts telling this client everything it may see; a second call replaces the first."""
        self.stop()
        self._follower = asyncio.create_task(
            self._tell_all(log, picture, after, skip), name=f"follow-{self.id}"
        )

    def stop(self) -> None:
        """Ends what this connection started."""
        if self._follower is not None:
            self._follower.cancel()

    async def _tell_all(self, log: Log, picture: Picture, after: str, skip: int) -> None:
        try:
            async for event in follow(log, picture, lambda: self.access, after, skip):
                await self.write(encode_frame(event))
        except (OSError, TimeoutError):
            self.abort()

    # ---------------------------------------------------------------- sending

    async def pump(self, log: Log, picture: Picture) -> None:
        """Sends until the connection ends."""
        try:
            while self.closing is None:
                await self._send_queued()
                if self.lagging and self._held is None:
                    await self._catch_up(log, picture)
                elif self.closing is None:
                    self._wake.clear()
                    await self._wake.wait()
            await self._send_queued()
            await self.write(encode_frame(self.closing))
            await self.socket.close()
        finally:
            self._over = True
            self._read.set()

    async def _send_queued(self) -> None:
        while self._queue:
            id, data = self._queue.popleft()
            self._bytes -= len(data)
            await self.write(data)
            self._read.set()
            if id:
                self.sent = id

    async def write(self, data: bytes) -> None:
        """Sends at once, past the queue. Raises ``TimeoutError`` when the client does not read."""
        async with asyncio.timeout(SEND_TIMEOUT):
            await self.socket.send_frame(data, WSMsgType.TEXT)

    async def _catch_up(self, log: Log, picture: Picture) -> None:
        """Reads the journal on from what left last, as fast as the client reads."""
        try:
            oldest, _ = await log.journal_bounds()
            if id_key(self.sent) < id_key(oldest) and self.sent != "0":
                self.abort()
                return
            await self.replay(log, picture, self.sent)
        except Unavailable:
            await asyncio.sleep(0.5)

    async def replay(self, log: Log, picture: Picture, since: str) -> None:
        """Sends what happened after ``since``; messages exactly once, list entries once more for the
        last second before it. Leaves catching-up mode when it has come to where the gateway is."""
        after = f"{max(0, id_key(since)[0] - RELIST_MS)}-0"
        while True:
            entries = await log.read_journal(after, count=64)
            if self.closing is not None:
                return
            if not entries and id_key(picture.position) <= id_key(after):
                self._replayed = id_key(after)
                self.lagging = False
                await self.write(encode_frame(_lists(self, picture)))
                return
            for id, entry in entries:
                after = id
                frame = changes_for(self, picture, id, entry, lists_only=id_key(id) <= id_key(since))
                if frame is not None:
                    await self.write(encode_frame(frame))
                if id_key(id) > id_key(self.sent):
                    self.sent = id


async def receive(socket: web.WebSocketResponse) -> ClientFrame | None:
    """The next frame; None when the client went or sent what is no frame (then it is told)."""
    message = await socket.receive()
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        return None
    try:
        return decode_client(message.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        await goodbye(socket, Bye(code="frame", params={"error": str(error)[:200]}))
        return None


async def goodbye(socket: web.WebSocketResponse, bye: Bye) -> None:
    try:
        await socket.send_frame(encode_frame(bye), WSMsgType.TEXT)
        await socket.close()
    except OSError:
        logger.info("a client went before it was told why")


def _lists(connection: Connection, picture: Picture) -> Changes:
    """What the journal tells only as numbers of others: how the colleagues and the lines are now."""
    return Changes(
        operators=picture.colleagues(connection.access),
        lines=[
            picture.line_view(name)
            for name in sorted(connection.access.lines)
            if name in picture.configured.lines
        ],
    )


def changes_for(
    connection: Connection, picture: Picture, id: str, entry: Entry, *, lists_only: bool = False
) -> Changes | None:
    """What one client must see of one journal entry that it missed. The entry's own states decide
    who held a session then."""
    changed = Changes(id=id)
    for session in entry.sessions:
        current = picture.sessions.get(session.id)
        newest = current if current is not None and current.rev > session.rev else session
        shown = sees(connection, newest) or picture.concerns(connection.access, newest)
        if shown and picture.may_read(connection.access, newest):
            changed.sessions.append(picture.view(newest, connection.access))
        elif _may_have_listed(connection, session, entry):
            changed.gone.append(session.id)
    if not lists_only:
        _add_told(changed, connection, picture, entry)
    if changed.alerts or changed.sessions or changed.messages or changed.changes or changed.gone:
        return changed
    return None


def _may_have_listed(connection: Connection, session: Session, entry: Entry) -> bool:
    """Whether the client may have been shown a session that it is not shown any more. Of the lines of others
    it hears nothing, not even numbers."""
    name = connection.name
    return (
        connection.access.may("read", session.line)
        or session.id in connection.watching
        or name in (session.holder, session.hand.transfer_from, session.last_author, *session.round.had)
        or name in (*session.round.hidden_from, *session.guests, *session.silent)
        or any(
            isinstance(told, Audit)
            and told.session == session.id
            and name in (told.operator, *told.params.values())
            for told in entry.told
        )
    )


def _add_told(changed: Changes, connection: Connection, picture: Picture, entry: Entry) -> None:
    states = {s.id: s for s in entry.sessions}
    for told in entry.told:
        if isinstance(told, MessageAdded):
            state = states.get(told.message.session)
            if state is not None and sees(connection, state):
                changed.messages.append(plain(told.message))
        elif isinstance(told, MessageChanged):
            state = states.get(told.change.session) or picture.sessions.get(told.change.session)
            if state is not None and sees(connection, state):
                changed.changes.append(told.change)
        elif isinstance(told, Alert) and concerns(connection, told):
            changed.alerts.append(alert_view(told))


def concerns(connection: Connection, alert: Alert) -> bool:
    """Whether this client is told of an alert: it is about its operator, or a line that he leads, or the
    desk as a whole and he leads somewhere."""
    if connection.name == alert.operator or connection.access.may("lead", alert.line):
        return True
    return not (alert.line or alert.operator) and "lead" in connection.access.rights


def alert_view(alert: Alert) -> AlertView:
    return msgspec.convert(alert, AlertView, from_attributes=True)


def sees(connection: Connection, session: Session) -> bool:
    """Whether the session's messages go to this client at once: its operator holds it, sees its
    offer, has joined it, or has it open."""
    name = connection.name
    return (
        session.holder == name
        or name in session.offer.seen_by
        or name in session.guests
        or name in session.silent
        or name == session.bot_turn.name
        or (session.id in connection.watching and Picture.may_read(connection.access, session))
    )
