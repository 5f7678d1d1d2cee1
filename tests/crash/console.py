"""The shipped link with somebody behind it who writes down what it brings."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import Any

from aiohttp import ClientWebSocketResponse

from console.link import (
    Arrived,
    Beat,
    Connected,
    Credentials,
    Disconnected,
    Link,
    LinkEvent,
    TurnedAway,
)
from crm.kernel.errors import Refused as Declined
from crm.kernel.errors import Unavailable
from crm.kernel.records import Message, apply_change
from router.wire import protocol as wire

PAGE = 200


class WatchedLink(Link):
    """The link as it is shipped, with its socket in reach and every frame of the gateway heard."""

    def __init__(self, url: str, credentials: Credentials, owner: Console, *, presence: bool) -> None:
        super().__init__(url, credentials, owner.hear, presence=presence, client="test")
        self._owner = owner
        self.socket: ClientWebSocketResponse | None = None
        self.answers: dict[int, wire.ServerFrame] = {}
        """By ``rid``: also those that ``request`` makes an error of."""

    async def _converse(self, socket: ClientWebSocketResponse) -> tuple[str, wire.Bye | None]:
        self.socket = socket
        return await super()._converse(socket)

    async def _read(self, socket: ClientWebSocketResponse) -> wire.ServerFrame | None:
        frame = await super()._read(socket)
        if frame is not None:
            self._owner.overhear(frame)
            self.answers[getattr(frame, "rid", 0)] = frame
        return frame


class Console:
    """One operator's console. ``order`` has the ids of customers' messages as they were first seen,
    ``repeated`` counts those that one connection brought twice."""

    def __init__(
        self, url: str, token: str, *, presence: bool = True, name: str = "", password: str = ""
    ) -> None:
        self.token = token
        self.messages: dict[str, Message] = {}
        self.order: list[str] = []
        self.repeated = 0
        self.sessions: dict[str, wire.SessionView] = {}
        self.connections = 0
        self.resumed = 0
        self.bye: wire.Bye | None = None
        self.down: list[str] = []
        self.online = asyncio.Event()
        self.news = asyncio.Event()
        self._reads = True
        self._seen_now: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        credentials = Credentials(token=token) if token else Credentials(name=name, password=password)
        self.link = WatchedLink(url, credentials, self, presence=presence)

    def start(self) -> None:
        self._begin(self.link.run())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---------------------------------------------------------------- asking

    def command(self, frame: wire.CommandFrame) -> asyncio.Future[wire.Done]:
        return self.link.send(frame)

    def say(self, session: str, text: str) -> asyncio.Future[wire.Done]:
        return self.command(wire.Say(rid=0, id=uuid.uuid4().hex, session=session, text=text))

    async def duty(self, duty: Any = "online") -> None:
        done = await self.command(wire.SetDuty(rid=0, id=uuid.uuid4().hex, duty=duty))
        assert not done.code, done

    async def ask(self, frame: wire.Request) -> wire.Frame:
        """The answer to one request on the present connection."""
        if isinstance(frame, wire.CommandFrame):
            async with asyncio.timeout(15):
                return await self.command(frame)
        with suppress(Declined):
            await self.link.request(frame, wire.Frame)
        return self.link.answers.pop(frame.rid)

    def tell(self, frame: wire.Typing) -> None:
        self.link.hint(frame)

    async def reconnect(self) -> None:
        """Ends the present connection; the next one begins by itself."""
        assert self.link.socket is not None
        await self.link.socket.close()

    def ping(self) -> None:
        """Asks how the desk does; ``down`` has the answer when it comes."""
        self.link._write(wire.Ping())

    # ---------------------------------------------------------------- what the link tells

    def stop_reading(self) -> None:
        self._reads = False

    def read_on(self) -> None:
        self._reads = True
        self._drain()

    @property
    def kept(self) -> int:
        """Messages that have come and were not read yet."""
        return sum(len(f.messages) for f in self.link._frames if isinstance(f, wire.Changes))

    def overhear(self, frame: wire.ServerFrame) -> None:
        """Every frame, before anybody decides what it is good for."""

    def hear(self, event: LinkEvent) -> None:
        match event:
            case Connected(welcome=welcome):
                self.connections += 1
                self.resumed += welcome.resumed
                self._seen_now = set()
                self.online.set()
            case Disconnected():
                self.online.clear()
            case TurnedAway(bye=bye):
                self.bye = bye
                self.online.clear()
            case Beat(how=how):
                self.down = list(how.down)
            case Arrived() if self._reads:
                self._drain()
        self.news.set()

    def _drain(self) -> None:
        for frame in self.link.drain():
            if isinstance(frame, wire.Snapshot):
                self.sessions.update((s.id, s) for s in frame.sessions)
                for session in frame.sessions:
                    self._begin(self._fetch(session.id))
            elif isinstance(frame, wire.Changes):
                self._change(frame)

    async def _fetch(self, session: str) -> None:
        """What was said before, from the newest page on."""
        before, more = 0, True
        while more:
            frame = wire.GetThread(rid=0, session=session, before_seq=before, limit=PAGE)
            with suppress(Unavailable):
                page = await self.link.request(frame, wire.Page)
                for message in page.messages:
                    self._add(message, fresh=False)
                more = page.more
                before = page.messages[0].seq if more else 0

    def _change(self, frame: wire.Changes) -> None:
        for message in frame.messages:
            self._add(message, fresh=True)
        for change in frame.changes:
            if change.id in self.messages:
                apply_change(self.messages[change.id], change)
        self.sessions.update((s.id, s) for s in frame.sessions)

    def _add(self, message: Message, *, fresh: bool) -> None:
        if fresh:
            self.repeated += message.id in self._seen_now
            self._seen_now.add(message.id)
        if message.id not in self.messages and message.direction == "in":
            self.order.append(message.id)
        self.messages[message.id] = message

    # ---------------------------------------------------------------- looking

    def texts(self, chat: str = "") -> list[str]:
        """Customers' texts as they were first seen."""
        found = (self.messages[id] for id in self.order)
        return [m.text for m in found if chat in ("", m.chat)]
