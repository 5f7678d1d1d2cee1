"""A gateway that speaks the real wire over a real WebSocket, scripted by a test.

It keeps a small desk: sessions, messages, and what every command would do to them, so that a
console can be lived in. A test may push frames, cut the connection, stop answering, or refuse.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import WSMsgType, web

from crm.kernel.records import Customer, Media, Message, MessageChange, MessageKind
from router.wire import protocol as wire

NOW = 1_772_445_600_000
"""2026-03-02 10:00 UTC: the moment at which every test's desk stands."""


def session(id: str, **fields: Any) -> wire.SessionView:
    """A session with sensible fields; ``fields`` beat them."""
    known: dict[str, Any] = {
        "id": id, "chat": f"shop_bot:{id}", "channel": "shop_bot", "kind": "telegram", "line": "sales",
        "status": "waiting", "customer": f"c{id}", "name": f"Customer {id}", "opened_at": NOW - 600_000,
        "last_at": NOW - 60_000, "last_text": "hello", "last_direction": "in", "last_kind": "text", "rev": 1,
        "arrival": NOW - 60_000, "waiting_since": NOW - 60_000,
    }  # fmt: skip
    return wire.SessionView(**{**known, **fields})


def message(session: str, seq: int, text: str = "", **fields: Any) -> Message:
    """A customer's message unless ``fields`` say otherwise."""
    known: dict[str, Any] = {
        "id": f"{session}-{seq}", "session": session, "chat": f"shop_bot:{session}", "seq": seq,
        "direction": "in", "at": NOW - 600_000 + seq * 1_000, "text": text, "external_id": str(1000 + seq),
    }  # fmt: skip
    return Message(**{**known, **fields})


class FakeGateway:
    """The desk behind ``/ws``. ``received`` holds every frame of the clients, in order."""

    def __init__(self) -> None:
        self.operator = "anna"
        self.rights: dict[str, list[str]] = {
            right: ["sales", "support"] for right in ("take_over", "join_open", "join_silent", "whisper")
        }
        self.passwords = {"anna": "secret"}
        self.tokens = {"token-1": "anna"}
        self.sessions: dict[str, wire.SessionView] = {}
        self.messages: dict[str, list[Message]] = {}
        self.operators = [
            wire.OperatorView(name="anna", duty="online", load=1, lines=["sales"]),
            wire.OperatorView(name="bek", duty="online", load=2, lines=["sales"]),
            wire.OperatorView(name="dilnoza", duty="break", lines=["sales", "support"]),
        ]
        self.lines = [
            wire.LineView(name="sales", members=["anna", "bek"], answer_within=60_000),
            wire.LineView(name="support", members=["dilnoza"], answer_within=60_000),
        ]
        self.pong = wire.Pong(now=NOW)
        """How the desk says it does."""
        self.received: list[wire.ClientFrame] = []
        self.done: dict[str, wire.Done] = {}
        self.answers: dict[type, Any] = {}
        """Read type -> its answer, or what makes one of the read, for reads that this small desk does not know."""
        self.refuse: dict[type, wire.Done] = {}
        """Command type -> the refusal it gets."""
        self.silent: set[type] = set()
        """Commands of these types are carried out but not answered."""
        self.unknown_yet = 0
        """So many commands are answered "unavailable"; every second of them is in the log all the same."""
        self.journal: deque[wire.Changes] = deque(maxlen=1000)
        self.uploads: list[tuple[str, bytes]] = []
        self.files: dict[str, bytes] = {}
        self.tickets: set[str] = set()
        self.cut_after = 0
        """Bytes of a download after which its connection breaks; 0 = never."""
        self.forget = False
        """The journal is gone: a reconnect gets a snapshot."""
        self.deaf = False
        """Frames are received and nothing is answered."""
        self.url = ""
        self.heartbeat = 15.0
        self._id = 0
        self._sockets: set[web.WebSocketResponse] = set()
        self._waiters: list[tuple[Callable[[wire.ClientFrame], bool], asyncio.Future[wire.ClientFrame]]] = []
        self._closed = False

    # -------------------------------------------------------------- serving

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[FakeGateway]:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/ws", self._ws)
        app.router.add_post("/media", self._upload)
        app.router.add_get("/media/{key}", self._download)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        bound = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{bound}"
        try:
            yield self
        finally:
            await self.cut()
            await runner.cleanup()

    async def cut(self) -> None:
        """Drops every connection, as a network would."""
        for socket in list(self._sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
            self._sockets.discard(socket)

    async def bye(self, code: str, **params: str) -> None:
        """Ends every connection with a reason."""
        for socket in list(self._sockets):
            await socket.send_bytes(wire.encode_frame(wire.Bye(code=code, params=params)))
            await socket.close()

    async def expect(self, kind: type[Any], **fields: Any) -> Any:
        """The first frame of this kind with these fields, received already or to come."""

        def fits(frame: wire.ClientFrame) -> bool:
            return isinstance(frame, kind) and all(getattr(frame, k) == v for k, v in fields.items())

        for frame in self.received:
            if fits(frame):
                return frame
        future: asyncio.Future[wire.ClientFrame] = asyncio.get_running_loop().create_future()
        self._waiters.append((fits, future))
        async with asyncio.timeout(20.0):
            return await future

    def count(self, kind: type[Any]) -> int:
        return sum(isinstance(frame, kind) for frame in self.received)

    # -------------------------------------------------------------- the wire

    def _authorise(self, request: web.Request) -> None:
        if request.headers.get("Authorization", "") not in {f"Bearer {ticket}" for ticket in self.tickets}:
            raise web.HTTPUnauthorized

    async def _upload(self, request: web.Request) -> web.Response:
        self._authorise(request)
        data = await request.read()
        name = unquote(request.headers.get("X-File-Name", ""))
        self.uploads.append((name, data))
        key = f"m{len(self.uploads)}"
        self.files[key] = data
        kind: MessageKind = "photo" if request.content_type.startswith("image/") else "document"
        media = Media(kind=kind, key=key, name=name, mime=request.content_type, size=len(data))
        return web.Response(body=msgspec.json.encode(media), content_type="application/json")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self._authorise(request)
        data = self.files.get(request.match_info["key"])
        if data is None:
            raise web.HTTPNotFound
        answer = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await answer.prepare(request)
        await answer.write(data[: self.cut_after] if self.cut_after else data)
        if self.cut_after and request.transport is not None:
            request.transport.abort()
        return answer

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        first = await socket.receive()
        if first.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return socket
        hello = wire.decode_client(first.data)
        assert isinstance(hello, wire.Hello)
        self._note(hello)
        name = self.tokens.get(hello.token) if hello.token else None
        if name is None and self.passwords.get(hello.name, "\0") == hello.password:
            name = hello.name
        if name is None:
            await self._send(socket, wire.Bye(code="login"))
            await socket.close()
            return socket
        await self._greet(socket, hello, name)
        self._sockets.add(socket)
        with suppress(ConnectionError):
            async for raw in socket:
                if raw.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._frame(socket, wire.decode_client(raw.data))
        self._sockets.discard(socket)
        return socket

    async def _greet(self, socket: web.WebSocketResponse, hello: wire.Hello, name: str) -> None:
        token = "token-1" if hello.remember else ""
        missed = [change for change in self.journal if hello.since and int(change.id) > int(hello.since)]
        resumed = bool(hello.since) and not self.forget
        ticket = f"ticket-{len(self.received)}"
        self.tickets.add(ticket)
        welcome = wire.Welcome(
            operator=name, role="operator", desk="shop", server="fake", now=NOW, token=token, ticket=ticket,
            resumed=resumed, duty="online", heartbeat=self.heartbeat, rights=self.rights,
        )  # fmt: skip
        await self._send(socket, welcome)
        if resumed:
            for change in missed:
                await self._send(socket, change)
        else:
            await self._send(socket, self.snapshot())

    def snapshot(self) -> wire.Snapshot:
        return wire.Snapshot(
            id=str(self._id),
            sessions=[view for view in self.sessions.values() if view.status != "closed"],
            operators=self.operators,
            lines=self.lines,
        )

    async def _send(self, socket: web.WebSocketResponse, frame: wire.Frame) -> None:
        with suppress(ConnectionError):
            await socket.send_bytes(wire.encode_frame(frame))

    async def push(self, **parts: Any) -> None:
        """Sends a ``Changes`` frame to everybody and remembers it for who is away."""
        self._id += 1
        frame = wire.Changes(id=str(self._id), **parts)
        for view in frame.sessions:
            self.sessions[view.id] = view
        for new in frame.messages:
            self.messages.setdefault(new.session, []).append(new)
        self.journal.append(frame)
        for socket in list(self._sockets):
            await self._send(socket, frame)

    async def send_all(self, frame: wire.Frame) -> None:
        """Sends any frame to everybody."""
        for socket in list(self._sockets):
            await self._send(socket, frame)

    def _note(self, frame: wire.ClientFrame) -> None:
        self.received.append(frame)
        for fits, future in list(self._waiters):
            if not future.done() and fits(frame):
                future.set_result(frame)
                self._waiters.remove((fits, future))

    async def _frame(self, socket: web.WebSocketResponse, frame: wire.ClientFrame) -> None:
        if self.deaf:
            self._note(frame)
            return
        if isinstance(frame, wire.Ping):
            await self._send(socket, msgspec.structs.replace(self.pong, at=frame.at))
        elif isinstance(frame, wire.CommandFrame):
            await self._command(socket, frame)
        elif isinstance(frame, wire.Request):
            await self._send(socket, self.read(frame))
        self._note(frame)

    async def _command(self, socket: web.WebSocketResponse, frame: wire.CommandFrame) -> None:
        if self.unknown_yet:
            self.unknown_yet -= 1
            if self.unknown_yet % 2 and frame.id not in self.done:
                self.done[frame.id] = await self.carry_out(frame)
            await self._send(socket, wire.Done(rid=frame.rid, code="unavailable"))
            return
        answer = self.done.get(frame.id)
        if answer is None:
            refusal = self.refuse.get(type(frame))
            if refusal is not None:
                answer = wire.Done(rid=0, code=refusal.code, params=refusal.params)
            else:
                answer = await self.carry_out(frame)
            self.done[frame.id] = answer
        if type(frame) not in self.silent:
            await self._send(socket, msgspec.structs.replace(answer, rid=frame.rid))

    # -------------------------------------------------------------- a small desk

    async def carry_out(self, frame: wire.CommandFrame) -> wire.Done:
        if isinstance(frame, wire.Say | wire.Note | wire.Whisper):
            return await self._said(frame)
        if isinstance(frame, wire.SetDuty):
            me = next(o for o in self.operators if o.name == self.operator)
            me.duty = frame.duty
            await self.push(operators=[me])
        elif isinstance(frame, wire.SessionCommandFrame) and frame.session in self.sessions:
            fields = self._effect(frame)
            if fields:
                await self.change(frame.session, **fields)
        return wire.Done(rid=0)

    def _effect(self, frame: wire.SessionCommandFrame) -> dict[str, Any]:
        effects: dict[type, dict[str, Any]] = {
            wire.Take: {"status": "taken", "holder": self.operator, "offer_until": 0},
            wire.Skip: {"status": "waiting", "holder": "", "offer_until": 0},
            wire.Return: {"status": "waiting", "holder": ""},
            wire.Close: {"status": "closed", "holder": ""},
            wire.MarkRead: {"unread": 0},
        }
        if isinstance(frame, wire.Transfer):
            return {"status": "offered", "holder": frame.to, "offer_until": NOW + 60_000}
        if isinstance(frame, wire.Pin):
            return {"pinned": frame.on}
        return effects.get(type(frame), {})

    async def change(self, id: str, **fields: Any) -> None:
        """Changes a session and tells everybody."""
        view = self.sessions[id]
        await self.push(sessions=[msgspec.structs.replace(view, rev=view.rev + 1, **fields)])

    async def _said(self, frame: wire.Say | wire.Note | wire.Whisper) -> wire.Done:
        thread = self.messages.setdefault(frame.session, [])
        seq = thread[-1].seq + 1 if thread else 1
        reply = isinstance(frame, wire.Say)
        direction = "out" if reply else "whisper" if isinstance(frame, wire.Whisper) else "note"
        new = message(
            frame.session, seq, frame.text, direction=direction, author=self.operator, at=NOW,
            delivery="queued" if reply else "", media=frame.media if isinstance(frame, wire.Say) else [],
        )  # fmt: skip
        view = self.sessions[frame.session]
        told = view
        if reply:
            told = msgspec.structs.replace(
                view, rev=view.rev + 1, status="answered", holder=self.operator, waiting_since=0, last_at=NOW,
                last_text=frame.text, last_direction="out", offer_until=0,
            )  # fmt: skip
        await self.push(messages=[new], sessions=[told])
        return wire.Done(rid=0, session=frame.session, message=new.id)

    async def deliver(self, message: str, state: str) -> None:
        """A receipt for one of our messages."""
        chat = f"shop_bot:{message.split('-')[0]}"
        change = MessageChange(at=NOW, chat=chat, id=message, delivery=state)  # type: ignore[arg-type]
        await self.push(changes=[change])

    def read(self, frame: wire.Request) -> wire.Frame:
        """The answer to a read."""
        if type(frame) in self.answers:
            known = self.answers[type(frame)]
            answer: wire.Frame = known(frame) if callable(known) else known
            return msgspec.structs.replace(answer, rid=frame.rid)
        if isinstance(frame, wire.Open | wire.GetThread):
            messages = self.messages.get(frame.session, [])
            before = getattr(frame, "before_seq", 0) or 1 << 60
            older = [m for m in messages if m.seq < before]
            page = older[-frame.limit :]
            return wire.Page(
                rid=frame.rid,
                messages=page,
                more=len(older) > len(page),
                session=self.sessions.get(frame.session),
            )
        if isinstance(frame, wire.GetHistory):
            of = {id for id, view in self.sessions.items() if view.customer == frame.customer}
            every = [m for id in of for m in self.messages.get(id, []) if m.at < frame.before_at]
            every.sort(key=lambda m: (m.at, m.seq))
            return wire.Page(rid=frame.rid, messages=every[-frame.limit :], more=len(every) > frame.limit)
        if isinstance(frame, wire.Search):
            found = [
                m for id, ms in self.messages.items() for m in ms
                if frame.text.casefold() in m.text.casefold() and frame.session in ("", id)
            ]  # fmt: skip
            return wire.Page(rid=frame.rid, messages=found[-frame.limit :])
        if isinstance(frame, wire.GetCard):
            views = [view for view in self.sessions.values() if view.customer == frame.customer]
            customer = Customer(id=frame.customer, name=views[0].name if views else "", phone="+998901234567")
            return wire.Card(rid=frame.rid, customer=customer, sessions=views)
        if isinstance(frame, wire.GetWhy):
            decision = wire.DecisionView(
                at=NOW,
                line="sales",
                why="even",
                chosen="anna",
                candidates=["anna", "bek"],
                dropped={"dilnoza": "break"},
            )
            return wire.Why(rid=frame.rid, session=self.sessions.get(frame.session), decisions=[decision])
        return wire.Done(rid=frame.rid, code="unavailable" if isinstance(frame, wire.GetStatus) else "")
