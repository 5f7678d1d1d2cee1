"""The gateway: follows the journal and tells every console what it must see, at once where somebody
looks, coalesced where it is a list. Knows no channel and no rule of the queue."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web

from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Unavailable
from crm.kernel.ports import Store
from crm.kernel.records import Account, Message, MessageChange
from router.beat import until_beat
from router.desk.events import Present
from router.desk.state import (  # fmt: skip
    Alert,
    CommandDone,
    Entry,
    Erased,
    LoginsRevoked,
    MessageAdded,
    MessageChanged,
    OperatorState,
    Told,
)
from router.gateway.access import Access
from router.gateway.answers.line_changes import LineCompiler, understood
from router.gateway.answers.requests import Requests
from router.gateway.broadcast import Broadcast
from router.gateway.connection import Connection, alert_view, concerns, goodbye, receive
from router.gateway.follow import plain
from router.gateway.health import Health
from router.gateway.listening import listen
from router.gateway.logins import Arrival, Arrivals, Logins, Throttled, ends
from router.gateway.picture import Picture
from router.gateway.status import DeskStatus
from router.gateway.sweeping import keep_swept
from router.gateway.tail import JournalTail
from router.history.claims import teller
from router.log.ahead import Ahead
from router.log.clock import steady_ms
from router.log.log import Log, entries_of, id_key, now_ms, read_hint
from router.log.quarantine import PROJECTOR
from router.taking_up import readable
from router.wire.protocol import (  # fmt: skip
    HEARTBEAT,
    MAX_FRAME,
    VERSION,
    Bye,
    Changes,
    Hello,
    Hint,
    Snapshot,
    Welcome,
    encode_frame,
)

logger = logging.getLogger(__name__)

HELLO_TIMEOUT = 15.0
PRESENCE = 3 * HEARTBEAT
PRESENT_EVERY = 5.0
FLUSH_EVERY = 0.1
"""Lists and counters go out ten times a second at most."""
FOLLOW_MS = 5000
WOKEN_TOGETHER = 8
"""Consoles whose lists are written before the gateway looks for messages again."""
PER_ACCOUNT = 500
"""Connections of one account: none takes the place of all."""


class Doorkeeper(Protocol):
    """Keeps strangers few and their time short; told how far each connection has come."""

    def knocked(self, request: web.Request) -> None:
        """The client has said who it is."""

    def let_in(self, request: web.Request) -> bool:
        """The client is logged in; False when there is no room for one more."""


class Gateway:
    """``routes`` go into an aiohttp application, ``run`` keeps the picture current. ``server`` names
    this process in presence and status; with ``book`` clients may change lines and operators.
    ``origins`` are the pages whose scripts may connect, ``crm`` the rules of leads and deals."""

    def __init__(
        self, log: Log, store: Store, *, server: str, can: dict[str, list[str]] | None = None,
        book: LineCompiler | None = None, door: Doorkeeper | None = None, origins: Sequence[str] = (),
        health: Health | None = None, crm: CrmSettings | None = None,
    ) -> None:  # fmt: skip
        self._log = log
        self._store = store
        self._server = server
        self._door = door
        self._origins = frozenset(origins)
        self.picture = Picture()
        self.picture.can = can or {}
        self.broadcast = Broadcast(self.picture)
        self.status = DeskStatus(log, self.picture, health or Health(log, store))
        self._journal_tail = JournalTail()
        self._requests = Requests(
            log,
            store,
            self.picture,
            self._journal_tail,
            self.broadcast,
            self.status,
            book,
            crm or CrmSettings(),
        )
        self._logins = Logins(store)
        self._arrivals = Arrivals()
        self._sockets: dict[Connection, asyncio.Task[None]] = {}
        self._ready = asyncio.Event()

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.get("/ws", self._serve)]

    @property
    def connections(self) -> Iterable[Connection]:
        return self._sockets

    def by_ticket(self, ticket: str) -> Connection | None:
        """The live connection that a ticket of ``Welcome`` belongs to (for uploads)."""
        for connection in self._sockets:
            if hmac.compare_digest(connection.ticket, ticket):
                return connection if connection.closing is None else None
        return None

    # ---------------------------------------------------------------- following the desk

    async def run(self) -> None:
        """Ends by cancellation; says good-bye to every client then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="gateway-journal")
                tasks.create_task(self._follow_hints(), name="gateway-hints")
                tasks.create_task(self._flush(), name="gateway-lists")
                tasks.create_task(self._beat(), name="gateway-presence")
                tasks.create_task(keep_swept(self._store, teller(self._log)), name="gateway-audit")
        finally:
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        pumps = list(self._sockets.values())
        for connection in self._sockets:
            connection.end(Bye(code="stopping"))
        if pumps:
            await asyncio.wait(pumps, timeout=1.0)
        for connection in list(self._sockets):
            connection.abort()

    async def _follow(self) -> None:
        journal = self._log.journal_ahead()
        try:
            await self._follow_in(journal)
        finally:
            await journal.stop()

    async def _follow_in(self, journal: Ahead) -> None:
        while True:
            try:
                await self._load()
                self.status.found()
                while True:
                    rows = await journal.read(self.picture.position, 64, FOLLOW_MS)
                    for id, entry in entries_of(rows, PROJECTOR):
                        await self._take_up(id, entry)
                        await asyncio.sleep(0)  # its frames leave before the next entry is looked at
            except Unavailable as error:
                self.status.lost(error)
                logger.warning("gateway waits: %s", error)
                await asyncio.sleep(0.3)
            except Exception:  # one entry must not hold up the next: all get the picture as it is now
                logger.exception("a journal entry cannot be taken up; the picture is loaded anew")
                self._ready.clear()
                await asyncio.sleep(0.3)

    async def _load(self) -> None:
        """The picture as it is now. After an outage the journal is usually still there: then it is
        read on, and nobody needs a new snapshot."""
        oldest, newest = await self._log.journal_bounds()
        position = id_key(self.picture.position)
        if self._ready.is_set() and id_key(oldest) <= position <= id_key(newest):
            self._requests.commands.missed()
            return
        _, fields, sessions, operators = await self._log.load()
        self.picture.load(understood(fields), *readable(sessions, operators))
        self.picture.position, self.picture.ahead = newest, await self._log.ahead()
        self._journal_tail.start(newest)
        self._requests.commands.missed()
        self._arrivals.missed()
        self._ready.set()
        for connection in self._sockets:
            # Who was revoked meanwhile was told in what nobody has read: each logs in again.
            connection.end(Bye(code="unavailable"))

    async def _take_up(self, id: str, entry: Entry) -> None:
        self._journal_tail.add(id, entry)
        if entry.only_for:
            entry = Entry(at=entry.at)
        if entry.lines_changed:
            self.picture.configured = understood(await self._log.load_fields())
        news = self.picture.apply(entry)
        self.picture.position = id
        messages: dict[str, list[Message]] = {}
        changes: dict[str, list[MessageChange]] = {}
        for told in entry.told:
            if isinstance(told, MessageAdded):
                messages.setdefault(told.message.session, []).append(plain(told.message))
            elif isinstance(told, MessageChanged):
                changes.setdefault(told.change.session, []).append(told.change)
            else:
                self._told(told)
        self.broadcast.tell(id, news, messages, changes)
        for operator in entry.operators:
            self.broadcast.operator_changed(operator.name)
            self._reaccess(operator)
        if entry.lines_changed:
            for connection in self._sockets:
                connection.access = Access(connection.account, self.picture.configured.lines)
                self._snapshot(connection)

    def _told(self, told: Told) -> None:
        if isinstance(told, CommandDone):
            self._requests.commands.done(told)
        elif isinstance(told, Alert):
            self._alert(told)
        elif isinstance(told, LoginsRevoked):
            self._revoke(told)
        elif isinstance(told, Erased):
            self._journal_tail.erase(told.sessions)

    def _alert(self, alert: Alert) -> None:
        frame = encode_frame(Changes(alerts=[alert_view(alert)]))
        for connection in self._sockets:
            if concerns(connection, alert):
                connection.send_change(self.picture.position, frame)

    def _revoke(self, told: LoginsRevoked) -> None:
        self._arrivals.revoked(told)
        for connection in self._sockets:
            if ends(told, connection.name, connection.token_id):
                connection.end(Bye(code="revoked"))

    def _reaccess(self, operator: OperatorState) -> None:
        """An account was changed: its live logins have the new rights at once."""
        self._arrivals.changed(operator)
        for connection in self.broadcast.of_operator.get(operator.name, ()):
            account = connection.account
            if operator.disabled:
                connection.end(Bye(code="revoked"))
            elif _granted(account) != _granted(operator):
                connection.account = _as_granted(account, operator)
                connection.access = Access(connection.account, self.picture.configured.lines)
                self._snapshot(connection)

    async def _follow_hints(self) -> None:
        while True:
            try:
                async for payload in self._log.hints():
                    self._hint(payload)
            except Unavailable:
                await asyncio.sleep(1.0)

    def _hint(self, payload: bytes) -> None:
        hint = read_hint(payload)
        session = hint.get("session", "") or self.picture.session_of_chat(hint.get("chat", ""))
        if not session:
            return
        frame = Hint(session=session, who=hint.get("who", ""), kind=hint["kind"], on=hint.get("on") != "0")
        for connection in self.broadcast.looking_at(session):
            if connection.name != frame.who:
                connection.send(frame)

    async def _flush(self) -> None:
        while True:
            await self.broadcast.stirred.wait()
            for number, connection in enumerate(self.broadcast.flush()):
                connection.wake()
                if number % WOKEN_TOGETHER == WOKEN_TOGETHER - 1:
                    # A message must not wait behind hundreds of lists.
                    await asyncio.sleep(0)
            await asyncio.sleep(FLUSH_EVERY)

    async def _beat(self) -> None:
        """Tells the desk whose consoles answer and how this gateway does; hears how the others do."""
        while True:
            try:
                await self._present(self._alive())
                fields = {
                    "connections": len(self._sockets),
                    "position": self.picture.position,
                    "at": now_ms(),
                }
                await self._log.report(f"gateway:{self._server}", msgspec.json.encode(fields), ttl=30)
                for line in self.picture.turned():
                    self.broadcast.line_changed(line)
            except Unavailable as error:
                logger.warning("presence was not told: %s", error)
            await self.status.refresh()
            await asyncio.sleep(until_beat(PRESENT_EVERY))

    def _alive(self) -> list[str]:
        heard = steady_ms() - PRESENCE * 1000
        return sorted({c.name for c in self._sockets if c.presence and c.heard_at > heard})

    async def _present(self, names: list[str]) -> None:
        if names:
            await self._log.append(Present(gateway=self._server, operators=names))

    # ---------------------------------------------------------------- one client

    def _admits(self, request: web.Request) -> bool:
        """Whether a browser may connect from the page it shows. Other programs name no page. Without
        a list it is the pages of the gateway's own address: no login comes along by itself, as a cookie
        would, so that a page which only seems to be ours gains nothing."""
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        if self._origins:
            return origin in self._origins
        return origin.partition("://")[2] == request.host

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not self._admits(request):
            return web.Response(status=403)
        socket = web.WebSocketResponse(max_msg_size=MAX_FRAME, compress=False, timeout=2.0)
        try:
            await socket.prepare(request)
        except ConnectionError:
            return web.Response()  # nobody is there to read it
        try:
            async with asyncio.timeout(HELLO_TIMEOUT):
                await self._ready.wait()
                hello = await receive(socket)
        except TimeoutError:
            await goodbye(socket, Bye(code="login"))
            return socket
        if not isinstance(hello, Hello):
            await goodbye(socket, Bye(code="frame"))
            return socket
        with self._arrivals.one() as arrival:
            connection = await self._login(request, socket, hello)
            pump = await self._admit(connection, hello, arrival) if connection is not None else None
        if connection is not None and pump is not None:
            await self._converse(connection, pump)
        return socket

    async def _login(
        self, request: web.Request, socket: web.WebSocketResponse, hello: Hello
    ) -> Connection | None:
        if self._door is not None:
            self._door.knocked(request)
        bye = None
        found: tuple[Account, str] | None = None
        if hello.version != VERSION:
            bye = Bye(code="version", params={"version": str(VERSION)})
        else:
            try:
                found = await self._logins.check(hello, request.remote or "", time.monotonic())
            except Throttled as throttled:
                bye = Bye(code="throttled", params={"after": f"{throttled.after:.0f}"})
            except Unavailable:
                bye = Bye(code="unavailable")
        if found is not None and not found[0].disabled and not self._has_room(request, found[0].name):
            bye, found = Bye(code="busy"), None
        if found is None or found[0].disabled:
            await goodbye(socket, bye or Bye(code="login"))
            return None
        account, token_id = found
        state = self.picture.operators.get(account.name)
        if state is not None:
            # The configuration may give rights that the account does not name.
            account = msgspec.structs.replace(account, rights=state.rights, crm=state.crm)
        connection = Connection(socket, account, token_id, Access(account, self.picture.configured.lines))
        connection.presence = hello.presence
        return connection

    def _has_room(self, request: web.Request, name: str) -> bool:
        if len(self.broadcast.of_operator.get(name, ())) >= PER_ACCOUNT:
            return False
        return self._door is None or self._door.let_in(request)

    async def _admit(
        self, connection: Connection, hello: Hello, arrival: Arrival
    ) -> asyncio.Task[None] | None:
        """Greets, unless the login was ended while it was checked; gives what writes to the client."""
        try:
            token = await self._requests.remember(connection) if hello.remember else ""
        except Unavailable:
            arrival.missed = True
        if arrival.missed or arrival.is_ended(connection.name, connection.token_id):
            await goodbye(connection.socket, Bye(code="unavailable" if arrival.missed else "revoked"))
            return None
        if (changed := arrival.changed.get(connection.name)) is not None:
            connection.account = _as_granted(connection.account, changed)
        connection.access = Access(connection.account, self.picture.configured.lines)
        self._greet(connection, hello, token)
        pump = asyncio.create_task(self._pump(connection), name=f"pump-{connection.id}")
        self._sockets[connection] = pump
        self.broadcast.join(connection)
        return pump

    async def _converse(self, connection: Connection, pump: asyncio.Task[None]) -> None:
        """Answers the client's frames until it goes."""
        try:
            if connection.presence:
                await self._present([connection.name])
            await listen(connection, self._requests, self.status)
        except Unavailable:
            connection.end(Bye(code="unavailable"))
            await asyncio.wait([pump], timeout=1.0)
        finally:
            self.broadcast.leave(connection)
            del self._sockets[connection]
            connection.stop()
            pump.cancel()
            await asyncio.wait([pump])

    async def _pump(self, connection: Connection) -> None:
        try:
            await connection.pump(self._log, self.picture)
        except (OSError, TimeoutError):
            logger.info("connection %s is gone", connection.id)
            connection.abort()

    def _greet(self, connection: Connection, hello: Hello, token: str) -> None:
        resumed = bool(hello.since) and self._can_resume(hello.since)
        state = self.picture.operators.get(connection.name)
        connection.send(
            Welcome(
                operator=connection.name,
                role=connection.account.role,
                desk=self._log.desk,
                server=self._server,
                now=self.picture.now(),
                rights=connection.access.by_line(),
                duty=state.duty if state else "offline",
                token=token,
                ticket=connection.ticket,
                resumed=resumed,
            )
        )
        for id in hello.watch[:50]:
            session = self.picture.sessions.get(id)
            if session is not None and self.picture.may_read(connection.access, session):
                connection.watching.add(id)
        if resumed:
            connection.sent = hello.since
            connection.lagging = True
        else:
            connection.sent = self.picture.position
            self._snapshot(connection)

    def _can_resume(self, since: str) -> bool:
        try:
            return self.oldest_known <= id_key(since) <= id_key(self.picture.position)
        except ValueError:
            return False

    @property
    def oldest_known(self) -> tuple[int, int]:
        """Journal entries younger than five hours are still there (they are kept for six)."""
        return (now_ms() - 5 * 3_600_000, 0)

    def _snapshot(self, connection: Connection) -> None:
        """The lists anew. They do not hold what was said: a client that still has to catch up does so
        from where it was."""
        access = connection.access
        connection.send(
            Snapshot(
                id=connection.sent if connection.lagging else self.picture.position,
                sessions=[self.picture.view(s, access) for s in self.picture.listed(access)],
                operators=self.picture.colleagues(access),
                lines=[self.picture.line_view(name) for name in sorted(access.lines)],
            )
        )


def _as_granted(account: Account, operator: OperatorState) -> Account:
    role, lines, rights, crm = _granted(operator)
    return msgspec.structs.replace(account, role=role, lines=lines, rights=rights, crm=crm)


def _granted(state: OperatorState | Account) -> tuple[Any, ...]:
    return state.role, state.lines, state.rights, state.crm
