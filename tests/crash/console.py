"""A client that knows nothing but the wire: it reconnects, resumes, and repeats what was not answered."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Any

import aiohttp

from crm.records import Message, apply_change
from router import protocol as wire

PAGE = 200


class Console:
    """One operator's console. ``order`` has the ids of customers' messages as they were first seen,
    ``repeated`` counts those that one connection brought twice."""

    def __init__(
        self, url: str, token: str, *, presence: bool = True, name: str = "", password: str = ""
    ) -> None:
        self.hello: dict[str, Any] = {
            "token": token, "name": name, "password": password, "presence": presence, "client": "test",
        }  # fmt: skip
        self.token = token
        self._url = url + "/ws"
        self.messages: dict[str, Message] = {}
        self.order: list[str] = []
        self.repeated = 0
        self.sessions: dict[str, wire.SessionView] = {}
        self.since = ""
        self.connections = 0
        self.resumed = 0
        self.bye: wire.Bye | None = None
        self.down: list[str] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.online = asyncio.Event()
        self._rids = itertools.count(1)
        self._commands: dict[str, tuple[wire.CommandFrame, asyncio.Future[wire.Done]]] = {}
        self._answers: dict[int, asyncio.Future[wire.ServerFrame]] = {}
        self._by_rid: dict[int, str] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._seen_now: set[str] = set()
        self.news = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="console")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # ---------------------------------------------------------------- asking

    def command(self, frame: wire.CommandFrame) -> asyncio.Future[wire.Done]:
        """Sends it, and again after every reconnect until there is an answer."""
        future: asyncio.Future[wire.Done] = asyncio.get_running_loop().create_future()
        self._commands[frame.id] = (frame, future)
        self._send_command(frame)
        return future

    def say(self, session: str, text: str) -> asyncio.Future[wire.Done]:
        return self.command(wire.Say(rid=0, id=uuid.uuid4().hex, session=session, text=text))

    async def duty(self, duty: Any = "online") -> None:
        done = await self.command(wire.SetDuty(rid=0, id=uuid.uuid4().hex, duty=duty))
        assert not done.code, done

    async def ask(self, frame: wire.Request) -> wire.ServerFrame:
        """The answer to one request on the present connection."""
        future: asyncio.Future[wire.ServerFrame] = asyncio.get_running_loop().create_future()
        frame.rid = next(self._rids)
        self._answers[frame.rid] = future
        self._send(frame)
        async with asyncio.timeout(15):
            return await future

    def tell(self, frame: wire.Frame) -> None:
        """Sends a frame that has no answer."""
        self._send(frame)

    async def reconnect(self) -> None:
        """Ends the present connection; the next one begins by itself."""
        assert self._socket is not None
        await self._socket.close()

    def ping(self) -> None:
        """Asks how the desk does; ``down`` has the answer when it comes."""
        self._send(wire.Ping())

    def _send_command(self, frame: wire.CommandFrame) -> None:
        if self.online.is_set():
            frame.rid = next(self._rids)
            self._by_rid[frame.rid] = frame.id
            self._send(frame)

    def _send(self, frame: wire.Frame) -> None:
        assert self._socket is not None
        asyncio.get_running_loop().create_task(self._write(self._socket, wire.encode_frame(frame)))

    @staticmethod
    async def _write(socket: aiohttp.ClientWebSocketResponse, data: bytes) -> None:
        try:
            await socket.send_frame(data, aiohttp.WSMsgType.TEXT)
        except (OSError, aiohttp.ClientError):
            return

    # ---------------------------------------------------------------- the connection

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while self.bye is None or self.bye.code not in ("revoked", "login"):
                try:
                    async with http.ws_connect(self._url, max_msg_size=0, heartbeat=None) as socket:
                        await self._converse(socket)
                except (aiohttp.ClientError, OSError):
                    pass
                finally:
                    self.online.clear()
                await asyncio.sleep(0.1)

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._seen_now = set()
        hello = wire.Hello(**self.hello, since=self.since)
        await socket.send_frame(wire.encode_frame(hello), aiohttp.WSMsgType.TEXT)
        beat = asyncio.create_task(self._beat(socket))
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                self._take(wire.decode_server(message.data))
                await self.reading.wait()
        finally:
            beat.cancel()

    async def _beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(wire.HEARTBEAT / 3)
            await self._write(socket, wire.encode_frame(wire.Ping()))

    def _take(self, frame: wire.ServerFrame) -> None:
        match frame:
            case wire.Welcome():
                self._welcomed(frame)
            case wire.Snapshot():
                self.since = frame.id
                self.sessions.update((s.id, s) for s in frame.sessions)
                for session in frame.sessions:
                    self._fetch(session.id, 0)
            case wire.Changes():
                self._change(frame)
            case wire.Page() if frame.rid not in self._answers:
                self._fetched(frame)
            case wire.Bye():
                self.bye = frame
            case wire.Pong():
                self.down = frame.down
            case _:
                self._answered(frame)
        self.news.set()

    def _welcomed(self, frame: wire.Welcome) -> None:
        self.connections += 1
        self.resumed += frame.resumed
        self.online.set()
        for command, _ in list(self._commands.values()):
            self._send_command(command)

    def _answered(self, frame: wire.ServerFrame) -> None:
        rid = getattr(frame, "rid", 0)
        waiting = self._answers.pop(rid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)
        id = self._by_rid.pop(rid, "")
        if isinstance(frame, wire.Done) and id in self._commands:
            if frame.code == "unavailable":
                asyncio.get_running_loop().call_later(0.2, self._send_again, id)
                return
            _, future = self._commands.pop(id)
            if not future.done():
                future.set_result(frame)

    def _send_again(self, id: str) -> None:
        if id in self._commands:
            self._send_command(self._commands[id][0])

    def _fetch(self, session: str, before: int) -> None:
        self._send(wire.GetThread(rid=next(self._rids), session=session, before_seq=before, limit=PAGE))

    def _fetched(self, page: wire.Page) -> None:
        for message in page.messages:
            self._add(message, fresh=False)
        if page.more:
            self._fetch(page.messages[0].session, page.messages[0].seq)

    def _change(self, frame: wire.Changes) -> None:
        for message in frame.messages:
            self._add(message, fresh=True)
        for change in frame.changes:
            if change.id in self.messages:
                apply_change(self.messages[change.id], change)
        self.sessions.update((s.id, s) for s in frame.sessions)
        if frame.id:
            self.since = frame.id

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
