"""The door of the HTTP server: who may stand in it, and for how long.

Whoever connects is a stranger until he has logged in. Strangers get little time and little room, so that
nobody can shut the desk without a login: when their room is full, whoever has shown least and waited
longest makes place. Room is kept for members, and for the programs of this machine.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import itertools
import logging
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from navbat.config.types import Network
from router.gateway.logins import network_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

    from aiohttp.web_request import BaseRequest

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEAD_TIME = 10.0
"""Seconds for the whole head of a request, a TLS handshake included, however slowly its bytes come."""
IDLE_TIME = 75.0
"""Seconds a connection is kept for a next request: a little longer than proxies keep theirs."""
BODY_TIME = 15.0
"""Seconds a body may take whatever its size; beyond that it must have come at ``SLOWEST``."""
SLOWEST = 4096
"""Bytes a second."""
UNREAD_TIME = 30.0
"""Seconds for which somebody may leave an answer unread."""
WELCOME_TIME = 30.0
"""Seconds from the opening of a WebSocket to the end of its login."""
HELLO_LIMIT = 1 << 18
"""Bytes that a WebSocket may send before it is logged in."""
SWEEP_EVERY = 0.5

MOST_FILES = 65_536
"""File descriptors asked for, where the system would give any number."""
LOCAL = 16
"""Places beyond the strangers' room for the programs of this machine (``navbat status``)."""
MEMBERS = 5000
STRANGERS = 4096
LOOKED_AT = 64
"""Of those who came first, how many are compared when one of them must go."""
CROWDED_FOR = 1.0
"""Seconds after somebody had to make place for which connections are taken more slowly."""


class Rooms(msgspec.Struct, frozen=True):
    """How many connections are open at most: not logged in (in all, and of one address), logged in."""

    strangers: int
    of_address: int
    members: int

    @classmethod
    def of(cls, files: int) -> Rooms:
        """As many as ``files`` descriptors carry, with a fifth kept for Redis, the store and media."""
        free = max(64, files - max(128, files // 5) - LOCAL)
        strangers = min(STRANGERS, free // 4)
        return cls(
            strangers=strangers,
            of_address=max(8, strangers // 4),
            members=min(MEMBERS, free - strangers),
        )


def raise_file_limit() -> int:
    """Takes as many file descriptors as this process may have, and returns how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            logger.warning("the limit of %d open files cannot be raised", soft)
            return soft
    return max(soft, wanted) if soft != resource.RLIM_INFINITY else MOST_FILES


class Stage(enum.IntEnum):
    """How far a connection has come."""

    HEAD = 0
    IDLE = 1
    BODY = 2
    """A request whose body has not come, or a WebSocket that has not said who it is."""
    WORK = 3
    """We are busy with it, or it is a member's: it is not put out."""


class Visitor(web.RequestHandler):
    """One connection. ``address`` counts for the limits: the peer's, or the one that a trusted proxy
    named for the current request, or "" for such a proxy itself. ``since`` when its present stage began, in
    the loop's seconds."""

    __slots__ = (
        "address",
        "door",
        "handshake",
        "heard",
        "idle",
        "member",
        "own",
        "peer",
        "received",
        "request",
        "since",
        "unread",
    )

    def __init__(
        self, door: Door, peer: str, manager: web.Server, loop: AbstractEventLoop, **settings: Any
    ) -> None:
        super().__init__(manager, loop=loop, **settings)
        self.door = door
        self.peer = peer
        self.own = self.address = "" if door.trusts(peer) else network_of(peer)
        self.since = loop.time()
        self.received = 0
        self.request: web.Request | None = None
        self.handshake: Task[None] | None = None
        self.idle = False
        self.member = False
        self.heard = False
        self.unread = 0.0

    @property
    def stage(self) -> Stage:
        if self.request is None:
            return Stage.IDLE if self.idle else Stage.HEAD
        if self.member or self.heard:
            return Stage.WORK
        waits = _is_upgrade(self.request) or not self.request.content.is_eof()
        return Stage.BODY if waits else Stage.WORK

    def cut(self) -> None:
        """Ends the connection at once."""
        self.door.left(self)
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    # ---------------------------------------------------------------- the requests on it

    def begin(self, request: web.Request) -> None:
        self.request = request
        self.idle = False
        self.since = self._loop.time()
        self.received = 0

    def rest(self) -> None:
        """The request has been answered; another may come."""
        self.request = None
        self.heard = False
        self.idle = True
        self.since = self._loop.time()

    # ---------------------------------------------------------------- the transport's side

    def connection_lost(self, exc: BaseException | None) -> None:
        self.door.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.idle and data:
            self.idle = False
            self.since = self._loop.time()
        self.received += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        self.unread = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.unread = 0.0
        super().resume_writing()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The bare status: what a stranger sent is neither shown nor logged, nor which program we use."""
        if isinstance(exc, web.RequestPayloadError):
            status = 400
        elif status >= 500 and not isinstance(exc, ConnectionError):
            logger.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has been begun")
        response = web.Response(status=status, text=f"{status}\n", headers={"Server": "navbat"})
        response.force_close()
        return response


class Door:
    """Everybody who is connected. ``trusted`` are the proxies whose word about addresses counts."""

    def __init__(self, rooms: Rooms, trusted: Sequence[Network] = ()) -> None:
        self.rooms = rooms
        self.refused: Counter[str] = Counter()
        """Connections that were not let in or were cut, by reason."""
        self._trusted = tuple(trusted)
        self._of_address: dict[str, dict[Visitor, None]] = {}
        self._strangers = 0
        self._crowded_at = float("-inf")
        self._members: set[Visitor] = set()

    @property
    def strangers(self) -> int:
        return self._strangers

    @property
    def members(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Visitor]:
        for visitors in self._of_address.values():
            yield from visitors
        yield from self._members

    # ---------------------------------------------------------------- coming and going

    def arrive(self, visitor: Visitor) -> bool:
        """Whether there is room for a stranger; somebody else may have to go for it."""
        full = self._strangers >= self.rooms.strangers
        if full and not self._make_room(max(self._of_address.values(), key=len), "full"):
            spare = self._strangers < self.rooms.strangers + LOCAL
            if not (spare and is_loopback(visitor.peer)):
                self._refuse("full")
                return False
        return self._enter(visitor)

    def _enter(self, visitor: Visitor) -> bool:
        visitors = self._of_address.setdefault(visitor.address, {})
        full = bool(visitor.address) and len(visitors) >= self.rooms.of_address
        if full and not self._make_room(visitors, "address"):
            self._refuse("address")
            return False
        # The last of an address may just have gone, and its place with it.
        self._of_address.setdefault(visitor.address, visitors)[visitor] = None
        self._strangers += 1
        return True

    def _make_room(self, visitors: dict[Visitor, None], reason: str) -> bool:
        """Puts somebody out. Whoever goes on through the stages is not in the way of those who fill one."""
        self._crowded_at = asyncio.get_running_loop().time()
        victim = _longest(itertools.islice(visitors, LOOKED_AT)) or _longest(visitors)
        if victim is None:
            return False
        self._refuse(reason)
        victim.cut()
        return True

    @property
    def is_crowded(self) -> bool:
        """Whether somebody had to make place a moment ago. Who is cut comes again at once: the slower all
        are let in, the more time each has to say who he is."""
        return asyncio.get_running_loop().time() - self._crowded_at < CROWDED_FOR

    def _refuse(self, reason: str) -> None:
        self.refused[reason] += 1
        crowded = reason in ("full", "address", "members")
        logger.log(logging.WARNING if crowded else logging.INFO, "a connection is cut: %s", _REASONS[reason])

    def left(self, visitor: Visitor) -> None:
        """It is gone, or will be at once."""
        self._members.discard(visitor)
        visitors = self._of_address.get(visitor.address, {})
        if visitor in visitors:
            del visitors[visitor]
            self._strangers -= 1
            if not visitors:
                del self._of_address[visitor.address]

    def _is_here(self, visitor: Visitor) -> bool:
        return visitor in self._members or visitor in self._of_address.get(visitor.address, ())

    # ---------------------------------------------------------------- what the server and the gateway tell

    def knocked(self, request: web.Request) -> None:
        """Somebody has said who he is; that is looked up now."""
        visitor = _visitor(request)
        if visitor is not None:
            visitor.heard = True

    def let_in(self, request: web.Request) -> bool:
        """Somebody has logged in; False when there is no more room for members."""
        visitor = _visitor(request)
        if visitor is None or visitor.member:
            return True
        if len(self._members) >= self.rooms.members:
            self._refuse("members")
            return False
        if self._is_here(visitor):
            self.left(visitor)
            visitor.member = True
            self._members.add(visitor)
        return True

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request."""
        visitor = _visitor(request)
        if visitor is None:
            return await handler(request)
        visitor.begin(request)
        try:
            address = self._named(request, visitor)
            if address:
                if not self._move(visitor, network_of(address)):
                    raise web.HTTPTooManyRequests
                request = request.clone(remote=address)
            return await handler(request)
        finally:
            self._rest(visitor)

    def _named(self, request: web.Request, visitor: Visitor) -> str:
        """The address that a trusted proxy named: the last one that is no such proxy itself."""
        if not self.trusts(visitor.peer):
            return ""
        named = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        for text in reversed(named):
            try:
                address = str(ipaddress.ip_address(text.strip()))
            except ValueError:
                return ""
            if not self.trusts(address):
                return address
        return ""

    def _move(self, visitor: Visitor, address: str) -> bool:
        if not self._is_here(visitor):
            return False
        self.left(visitor)
        before, visitor.address = visitor.address, address
        found = self._enter(visitor)
        if not found:
            visitor.address = before
            self._enter(visitor)
        return found

    def _rest(self, visitor: Visitor) -> None:
        visitor.rest()
        if not self._is_here(visitor) or (not visitor.member and visitor.address == visitor.own):
            return
        self.left(visitor)
        visitor.member = False
        visitor.address = visitor.own
        if not self.arrive(visitor):
            visitor.cut()

    def is_of_this_machine(self, request: web.Request) -> bool:
        """Whether a program of this machine asks for itself. What a proxy here passes on is not: neither
        when it says so, nor when it is one of those that might not."""
        peer = request.protocol.peer if isinstance(request.protocol, Visitor) else ""
        passed_on = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via"))
        return is_loopback(peer) and not passed_on and not self.trusts(peer)

    def trusts(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)

    # ---------------------------------------------------------------- time

    async def sweep(self) -> None:
        """Cuts whoever has had his time, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            now = loop.time()
            for visitor in list(self):
                if reason := _overdue(visitor, now):
                    self._refuse(reason)
                    visitor.cut()


_REASONS = {
    "full": "all places for those who have not logged in are taken",
    "address": "one address has too many that have not logged in",
    "members": "all places for those who have logged in are taken",
    "head": "the head of a request did not come in time",
    "idle": "no further request came",
    "body": "a body came too slowly",
    "unread": "an answer was not read",
    "login": "a WebSocket did not log in in time, or sent too much before it",
}


def _longest(visitors: Iterable[Visitor]) -> Visitor | None:
    """Who has waited longest in the stage that most are in; None when all are being worked for."""
    stages: dict[Stage, list[Visitor]] = {}
    for visitor in visitors:
        stages.setdefault(visitor.stage, []).append(visitor)
    stages.pop(Stage.WORK, None)
    if not stages:
        return None
    most = max(stages, key=lambda stage: len(stages[stage]))
    return min(stages[most], key=lambda visitor: visitor.since)


def _overdue(visitor: Visitor, now: float) -> str:
    """Why the connection must end now, or ""."""
    if visitor.request is None:
        reason, limit = ("idle", IDLE_TIME) if visitor.idle else ("head", HEAD_TIME)
        return reason if now - visitor.since > limit else ""
    spent = now - visitor.since
    if _is_upgrade(visitor.request):
        late = not visitor.member and (spent > WELCOME_TIME or visitor.received > HELLO_LIMIT)
        return "login" if late else ""
    if visitor.unread and now - visitor.unread > UNREAD_TIME:
        return "unread"
    if visitor.request.content.is_eof() or spent <= BODY_TIME + visitor.received / SLOWEST:
        return ""
    # When we have stopped reading, it is we who are slow.
    return "body" if visitor.transport is not None and visitor.transport.is_reading() else ""


def _visitor(request: web.Request) -> Visitor | None:
    """None in a server that has no door, as in tests of a part alone."""
    protocol = request.protocol
    return protocol if isinstance(protocol, Visitor) else None


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
