"""A whole desk in one process on a real Redis: worker, projector and gateway, and a raw client."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

from crm.kernel.records import Role
from crm.operators import accounts
from router.desk.events import Author, LinesConfigured, MessageReceived, OperatorChanged
from router.desk.rules import LineRules
from router.desk.state import Delivery, decode_delivery
from router.gateway.answers.line_changes import LineCompiler
from router.gateway.gateway import Gateway
from router.history.projector import Projector
from router.log.log import Log
from router.wire import protocol
from router.worker import Worker
from storage.sqlite import SqliteStore
from tests.conftest import until
from tests.router.orders import order


async def deliveries(log: Log, channel: str) -> list[Delivery]:
    """What waits to be sent."""
    return [decode_delivery(data) for _, data in await log.read_outbox(channel)]


class Client:
    """The wire, nothing hidden: what was received stays in ``frames``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[Any] = []
        self._rid = itertools.count(1)

    async def send(self, frame: protocol.Frame) -> None:
        await self.socket.send_str(protocol.encode_frame(frame).decode())

    async def next(self) -> Any:
        async with asyncio.timeout(10):
            message = await self.socket.receive()
        if message.type != aiohttp.WSMsgType.TEXT:
            raise ConnectionError(message.type)
        frame = protocol.decode_server(message.data)
        self.frames.append(frame)
        return frame

    async def until(self, wanted: Any) -> Any:
        """Reads until a frame satisfies ``wanted``, which may be a frame type."""
        while True:
            frame = await self.next()
            if isinstance(frame, wanted) if isinstance(wanted, type) else wanted(frame):
                return frame

    async def ask(self, kind: type[protocol.Request], **fields: Any) -> Any:
        """A request and its answer."""
        rid = next(self._rid)
        if issubclass(kind, protocol.CommandFrame):
            fields.setdefault("id", f"{id(self)}-{rid}")
        await self.send(kind(rid=rid, **fields))
        return await self.until(lambda frame: getattr(frame, "rid", 0) == rid)

    def messages(self) -> list[Any]:
        return [m for f in self.frames if isinstance(f, protocol.Changes) for m in f.messages]

    def last_id(self) -> str:
        newest: str = next(
            f.id for f in reversed(self.frames) if getattr(f, "id", "") and not hasattr(f, "rid")
        )
        return newest


class DeskInProcess:
    """``anna`` and ``bek`` are members of sales, ``vali`` of support; ``boss`` leads, ``root``
    administers."""

    def __init__(self, log: Log, folder: Path, book: LineCompiler | None = None) -> None:
        self.log = log
        self.store = SqliteStore(folder / "desk.sqlite")
        self.worker = Worker(log, self.store)
        self.gateway = Gateway(log, self.store, server="test", book=book)
        self.url = ""
        self.tokens: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._number = itertools.count(1)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.store.open()
        self._stack.push_async_callback(self.store.close)
        lines = {"sales": LineRules(members=["anna", "bek"]), "support": LineRules(members=["vali"])}
        await self.log.append(
            LinesConfigured(
                lines=lines, channels={"bot": "sales", "help": "support"}, kinds={"bot": "loopback"}
            )
        )
        for name, role in (
            ("anna", "operator"),
            ("bek", "operator"),
            ("vali", "operator"),
            ("boss", "supervisor"),
            ("root", "admin"),
        ):
            await self.account(name, role)  # type: ignore[arg-type]
        for name, part in (
            ("worker", self.worker),
            ("projector", Projector(self.log, self.store)),
            ("gateway", self.gateway),
        ):
            self.start(name, part)
        app = web.Application()
        app.add_routes(self.gateway.routes())
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.http = aiohttp.ClientSession()
        self._stack.push_async_callback(self.http.close)
        # Who logs in before the gateway knows the lines hears of his rights there only afterwards.
        await until(lambda: self.gateway.picture.configured.lines)
        return self

    async def __aexit__(self, *args: object) -> None:
        for name in list(self._tasks):
            await self.stop(name)
        await self._stack.aclose()

    async def account(self, name: str, role: Role, lines: Sequence[str] = ()) -> None:
        """One with a token, known to the desk."""
        await accounts.add_account(self.store, name, role=role, lines=lines)
        self.tokens[name] = await accounts.new_token(self.store, name)
        await self.log.append(OperatorChanged(name=name, role=role, lines=list(lines)))

    def start(self, name: str, part: Any) -> None:
        self._tasks[name] = asyncio.create_task(part.run(), name=name)

    async def stop(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.done(), f"{name} did not stop"

    async def raw(self, **hello: Any) -> Client:
        """A connection that has said hello; the answer is still to be read."""
        client = Client(await self.http.ws_connect(f"{self.url}/ws", max_msg_size=0))
        await client.send(protocol.Hello(**hello))
        return client

    async def login(self, name: str, **hello: Any) -> Client:
        client = await self.raw(token=self.tokens[name], **hello)
        assert isinstance(await client.next(), protocol.Welcome)
        return client

    async def write(self, chat: str, text: str, *, channel: str = "bot", event_id: str = "") -> None:
        number = next(self._number)
        await self.log.append(
            MessageReceived(
                channel=channel,
                chat=chat,
                event_id=event_id or f"{channel}:{number}",
                message_id=f"m{number}",
                author=Author(id=chat, name=chat.title()),
                text=text,
            )
        )

    async def duty(self, name: str) -> None:
        await self.log.append(order("SetDuty", operator=name, duty="online", event_id=f"duty-{name}"))


@contextlib.asynccontextmanager
async def running_desk(
    log: Log, folder: Path, book: LineCompiler | None = None
) -> AsyncIterator[DeskInProcess]:
    async with DeskInProcess(log, folder, book) as desk:
        yield desk
