"""The connection to the gateway: login, heartbeat, reconnect, resume, and what is still unsent.

``Link`` owns the WebSocket and nothing else; it never touches a widget. What happens is told to one
callback as small past-tense events; frames are kept in a bounded queue which the owner drains when
it hears ``Arrived``. When the queue is full the link stops reading, so a console that is busy slows
down the gateway's writes to itself and never grows without bound.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from console.condition import Condition
from crm.kernel.errors import NavbatError, Unavailable
from router.wire import protocol as wire

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

log = logging.getLogger(__name__)

MAX_UNSENT = 200
"""Commands kept until the desk has answered them; more are refused at once."""
ASK_AGAIN, ASK_AGAIN_LONGEST = 0.5, 10.0
"""Seconds until a command is asked about again whose outcome the desk did not know yet; doubled each time."""
MAX_WAITING = 2_000
"""Frames kept for an owner that does not drain."""
MAX_SERVER_FRAME = 64 << 20
FIRST_WAIT = 0.25
LONGEST_WAIT = 15.0
CONNECT_TIMEOUT = 10.0
REPLY_TIMEOUT = 15.0
FINAL = ("login", "revoked", "version")
"""Goodbyes after which trying again would only repeat the refusal."""

R = TypeVar("R", bound=wire.Frame)


@dataclass
class Credentials:
    """A name and password, or a token. The password is dropped as soon as a token came back."""

    name: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Connected:
    welcome: wire.Welcome


@dataclass(frozen=True)
class Disconnected:
    """The connection is gone or could not be made; the next try is in ``retry_in`` seconds."""

    reason: str
    retry_in: float


@dataclass(frozen=True)
class TurnedAway:
    """The gateway said goodbye for good; the link has ended."""

    bye: wire.Bye


@dataclass(frozen=True)
class Arrived:
    """Frames wait in ``Link.drain``."""


@dataclass(frozen=True)
class Beat:
    """A heartbeat was answered after ``latency`` ms."""

    latency: float
    how: Condition


@dataclass(frozen=True)
class UnsentChanged:
    count: int


class _Sent:
    """A command that is not answered yet. ``made`` in seconds since the epoch: a clock that runs while the
    computer sleeps."""

    __slots__ = ("asked", "command", "done", "later", "made")

    def __init__(self, command: wire.CommandFrame) -> None:
        self.command = command
        self.done: asyncio.Future[wire.Done] = asyncio.get_running_loop().create_future()
        self.made = time.time()
        self.asked = 0
        """How often the desk did not know yet what becomes of it."""
        self.later: asyncio.TimerHandle | None = None

    @property
    def lane(self) -> str:
        """Commands of one lane are carried out in the order in which they were given: each waits for the
        answer to the one before."""
        return getattr(self.command, "session", "") or type(self.command).__name__


LinkEvent = Connected | Disconnected | TurnedAway | Arrived | Beat | UnsentChanged
News = wire.Snapshot | wire.Changes | wire.Hint


def normal_url(text: str) -> str:
    """What a person types as a server, as ``http(s)://host[:port]``. Without a scheme, this
    computer is spoken to in the clear and everything else encrypted. Raises NavbatError."""
    text = text.strip()
    if "://" not in text:
        host = text.split("/")[0].rsplit(":", 1)[0].strip("[]")
        local = host in ("localhost", "::1") or host.startswith("127.")
        text = ("http://" if local else "https://") + text
    try:
        parts = urlsplit(text)
        port_is_a_number = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_a_number = urlsplit(""), False
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https") or not parts.hostname or not port_is_a_number:
        raise NavbatError("Not a server address.", "Write it like desk.example.com or 127.0.0.1:8700.")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def new_id() -> str:
    """A command id: unique over all consoles."""
    return uuid.uuid4().hex


class Link:
    """One operator's connection. ``on_event`` is called from the loop and must not block."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        on_event: Callable[[LinkEvent], None],
        *,
        presence: bool = True,
        client: str = "console",
    ) -> None:
        self.url = normal_url(url)
        self.credentials = credentials
        self.since = ""
        self.watch: list[str] = []
        self.welcome: wire.Welcome | None = None
        self._presence = presence
        self._client = client
        self._tell = on_event
        self._frames: deque[News] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._http: aiohttp.ClientSession | None = None
        self._rid = 0
        self._logins = 0
        self._commands: OrderedDict[str, _Sent] = OrderedDict()
        self._by_rid: dict[int, str] = {}
        self._replies: dict[int, asyncio.Future[wire.Frame]] = {}
        self._online = asyncio.Event()
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._pinged: deque[int] = deque(maxlen=8)
        self._again = asyncio.Event()

    # -------------------------------------------------------------- for the owner

    @property
    def online(self) -> bool:
        return self._online.is_set()

    @property
    def unsent(self) -> int:
        """Commands that the desk has not answered."""
        return len(self._commands)

    def drain(self) -> list[News]:
        """The frames that arrived since the last call, in order."""
        frames = list(self._frames)
        self._frames.clear()
        self._room.set()
        return frames

    def send(self, command: wire.CommandFrame) -> asyncio.Future[wire.Done]:
        """Sends a command now, or as soon as there is a connection; it is repeated with the same
        ``id`` until the desk has said what became of it: carried out, or refused. After
        ``wire.REMEMBERED`` seconds the desk may have forgotten the id, and the command could be done
        twice: then the answer is the code ``maybe_done``. Raises Unavailable when too many wait already."""
        if len(self._commands) >= MAX_UNSENT:
            raise Unavailable("Too many unsent commands.")
        sent = _Sent(command)
        first = all(other.lane != sent.lane for other in self._commands.values())
        self._commands[command.id] = sent
        self._tell(UnsentChanged(self.unsent))
        if self.online and first:
            self._ask(sent)
        return sent.done

    async def request(self, frame: wire.Request, expect: type[R], within: float = REPLY_TIMEOUT) -> R:
        """A read, answered by ``expect``. Raises Unavailable when no answer comes within
        ``within`` seconds, ``crm.kernel.errors.Refused`` when the gateway declines."""
        from crm.kernel.errors import Refused

        try:
            async with asyncio.timeout(within):
                await self._online.wait()
                self._rid += 1
                frame.rid = self._rid
                future: asyncio.Future[wire.Frame] = asyncio.get_running_loop().create_future()
                self._replies[frame.rid] = future
                try:
                    self._write(frame)
                    answer = await future
                finally:
                    self._replies.pop(frame.rid, None)
        except TimeoutError:
            raise Unavailable("The desk does not answer.") from None
        if isinstance(answer, wire.Done) and expect is not wire.Done:
            raise Refused(answer.code or "unavailable", **answer.params)
        if not isinstance(answer, expect):
            raise Unavailable("The desk gave an unexpected answer.")
        return answer

    def hint(self, frame: wire.Typing) -> None:
        """Sent if there is a connection; a hint that is late is worth nothing."""
        if self.online:
            self._write(frame)

    async def http(self, within: float = REPLY_TIMEOUT) -> tuple[aiohttp.ClientSession, dict[str, str]]:
        """The client for files, and the header that authorises it while this connection lives.
        Raises Unavailable when there is no connection within ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._online.wait()
        except TimeoutError:
            raise Unavailable("There is no connection.") from None
        assert self._http is not None
        assert self.welcome is not None
        return self._http, {"Authorization": f"Bearer {self.welcome.ticket}"}

    async def settled(self) -> None:
        """Returns when no command is unsent any more."""
        if self._commands:
            await asyncio.wait([sent.done for sent in self._commands.values()])

    def retry_now(self) -> None:
        """Cuts the wait before the next attempt short."""
        self._again.set()

    # -------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Keeps the connection up until cancelled or refused for good."""
        wait = FIRST_WAIT
        async with aiohttp.ClientSession() as self._http:
            while True:
                before = self._logins
                reason, bye = await self._attempt()
                self._offline()
                if bye is not None and bye.code in FINAL:
                    self._tell(TurnedAway(bye))
                    return
                if self._logins > before:
                    wait = FIRST_WAIT
                pause = wait * (0.5 + random.random())
                if bye is not None and bye.code == "throttled":
                    pause = max(pause, float(bye.params.get("after", "1")))
                self._tell(Disconnected(reason, pause))
                self._again.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._again.wait()
                wait = min(wait * 2, LONGEST_WAIT)

    async def _attempt(self) -> tuple[str, wire.Bye | None]:
        """One connection, from the handshake to its end; says why it ended."""
        assert self._http is not None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                socket = await self._http.ws_connect(
                    self.url.replace("http", "ws", 1) + "/ws", max_msg_size=MAX_SERVER_FRAME, autoping=True
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__, None
        try:
            return await self._converse(socket)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError) as error:
            log.info("connection ended: %s", type(error).__name__)
            return type(error).__name__, None
        finally:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await socket.close()

    async def _converse(self, socket: ClientWebSocketResponse) -> tuple[str, wire.Bye | None]:
        known = self.credentials
        hello = wire.Hello(
            name="" if known.token else known.name,
            password="" if known.token else known.password,
            token=known.token,
            client=self._client,
            presence=self._presence,
            since=self.since,
            remember=not known.token,
            watch=list(self.watch),
        )
        await socket.send_bytes(wire.encode_frame(hello))
        async with asyncio.timeout(CONNECT_TIMEOUT):
            first = await self._read(socket)
        if isinstance(first, wire.Bye):
            return first.code, first
        if not isinstance(first, wire.Welcome):
            return "closed", None
        self._welcomed(socket, first)
        helpers = [
            asyncio.create_task(self._heart(socket, first.heartbeat)),
            asyncio.create_task(self._writer(socket, self._outgoing)),
        ]
        try:
            return await self._listen(socket)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _welcomed(self, socket: ClientWebSocketResponse, welcome: wire.Welcome) -> None:
        self.welcome = welcome
        self._logins += 1
        if welcome.token:
            self.credentials = Credentials(name=welcome.operator, token=welcome.token)
        self._outgoing = asyncio.Queue(MAX_UNSENT * 4)
        self._pinged.clear()
        self._online.set()
        self._tell(Connected(welcome))
        self._ask_the_first()

    async def _listen(self, socket: ClientWebSocketResponse) -> tuple[str, wire.Bye | None]:
        while True:
            frame = await self._read(socket)
            if frame is None:
                return "closed", None
            if isinstance(frame, wire.Bye):
                return frame.code, frame
            if isinstance(frame, wire.Pong):
                self._answered(frame)
            elif isinstance(frame, wire.Snapshot | wire.Changes | wire.Hint):
                await self._keep(frame)
            else:
                self._reply(frame)

    async def _read(self, socket: ClientWebSocketResponse) -> wire.ServerFrame | None:
        """The next frame we understand; None when the connection is closed. A frame this version
        does not know is skipped: the gateway may be newer."""
        while True:
            message = await socket.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return None
            try:
                return wire.decode_server(message.data)
            except msgspec.MsgspecError:
                log.warning("skipped a frame of %d bytes that is not understood", len(message.data))

    async def _keep(self, frame: News) -> None:
        if len(self._frames) >= MAX_WAITING:
            self._room.clear()
            await self._room.wait()
        first = not self._frames
        self._frames.append(frame)
        if not isinstance(frame, wire.Hint) and frame.id:
            self.since = frame.id
        if first:
            self._tell(Arrived())

    def _reply(self, frame: wire.ServerFrame) -> None:
        rid = getattr(frame, "rid", 0)
        if isinstance(frame, wire.Done) and rid in self._by_rid:
            self._decided(self._commands[self._by_rid.pop(rid)], frame)
            return
        waiting = self._replies.get(rid)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    async def _heart(self, socket: ClientWebSocketResponse, every: float) -> None:
        """Pings at once (the first latency) and then each heartbeat; three unanswered ones are a
        dead connection, which TCP alone may not notice for a quarter of an hour."""
        while True:
            if len(self._pinged) >= 3:
                await socket.close()
                return
            now = time.monotonic_ns() // 1_000
            self._pinged.append(now)
            self._write(wire.Ping(at=now))
            await asyncio.sleep(every)

    def _answered(self, pong: wire.Pong) -> None:
        self._pinged.clear()
        latency = (time.monotonic_ns() // 1_000 - pong.at) / 1_000
        self._tell(Beat(latency, Condition.told(pong)))

    # -------------------------------------------------------------- commands

    def _ask_the_first(self) -> None:
        """Sends what stands first in each lane."""
        lanes: set[str] = set()
        for sent in list(self._commands.values()):
            if sent.lane not in lanes:
                lanes.add(sent.lane)
                self._ask(sent)

    def _ask(self, sent: _Sent) -> None:
        """Sends a command, or asks again what became of it: that is the same."""
        if sent.later is not None:
            sent.later.cancel()
            sent.later = None
        if not self.online or sent.command.id not in self._commands:
            return
        if time.time() - sent.made > wire.REMEMBERED:
            self._finish(sent, wire.Done(rid=0, code="maybe_done"))
            return
        self._rid += 1
        sent.command.rid = self._rid
        if self._write(sent.command):
            self._by_rid[self._rid] = sent.command.id
            sent.command.again = True  # from now on
        else:
            self._ask_later(sent)

    def _decided(self, sent: _Sent, answer: wire.Done) -> None:
        """``unavailable`` is no decision: the command may be in the desk's log, and done later."""
        if answer.code != "unavailable":
            self._finish(sent, answer)
            return
        self._ask_later(sent)

    def _ask_later(self, sent: _Sent) -> None:
        pause = min(ASK_AGAIN_LONGEST, ASK_AGAIN * 2.0 ** min(sent.asked, 8)) * (0.5 + random.random())
        sent.asked += 1
        sent.later = asyncio.get_running_loop().call_later(pause, self._ask, sent)

    def _finish(self, sent: _Sent, answer: wire.Done) -> None:
        del self._commands[sent.command.id]
        if not sent.done.done():
            sent.done.set_result(answer)
        self._tell(UnsentChanged(self.unsent))
        following = (other for other in self._commands.values() if other.lane == sent.lane)
        if (then := next(following, None)) is not None:
            self._ask(then)

    # -------------------------------------------------------------- writing

    def _write(self, frame: wire.Frame) -> bool:
        """Queues one frame for the socket, if there is room. What cannot leave is tried again (commands) or
        times out (reads)."""
        try:
            self._outgoing.put_nowait(wire.encode_frame(frame))
        except asyncio.QueueFull:
            return False
        return True

    async def _writer(self, socket: ClientWebSocketResponse, outgoing: asyncio.Queue[bytes]) -> None:
        """The one place that writes; a broken pipe closes the socket, and the reader notices."""
        try:
            while True:
                await socket.send_bytes(await outgoing.get())
        except (aiohttp.ClientError, OSError):
            await socket.close()

    def _offline(self) -> None:
        self._online.clear()
        self._by_rid.clear()
        for sent in self._commands.values():
            if sent.later is not None:
                sent.later.cancel()
        for future in self._replies.values():
            if not future.done():
                future.set_exception(Unavailable("The connection was lost."))
