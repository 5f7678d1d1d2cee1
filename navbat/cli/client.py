"""A client of the gateway for scripts: log in, ask, command, follow. Also keeps the saved login."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from console.logins import DEFAULT_URL, SavedLogins
from crm.kernel.errors import NavbatError, Refused, Unavailable, WrongUse
from crm.kernel.records import Media
from router.wire import protocol

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 15.0
CHUNK = 1 << 16
"""Bytes of a file at once."""
ASK_AGAIN = 0.5
"""Seconds until a command is asked about again whose outcome the desk did not know yet."""

Answer = TypeVar("Answer", bound=protocol.Frame)


class NotLoggedIn(NavbatError):
    """The gateway does not know us, or does not want us now."""


class Unanswered(Unavailable):
    """A command may be in the desk's log: nobody knows yet whether it is carried out. ``id`` is its id, by
    which it can be asked about."""

    def __init__(self, id: str) -> None:
        super().__init__(
            "the desk has not said whether this was carried out, and may still do it",
            f"the same command with `--id {id}` asks what became of it, and does it at most once",
        )


class Login(msgspec.Struct, omit_defaults=True):
    """Where a gateway is and who we are there: a token, or a name with its password."""

    url: str = DEFAULT_URL
    token: str = ""
    name: str = ""
    password: str = ""


def saved_login() -> Login:
    """NAVBAT_URL and NAVBAT_TOKEN, else what ``navbat login`` or the console saved. A saved token is
    only for the server that it was given by."""
    logins = SavedLogins()
    url = os.environ.get("NAVBAT_URL") or logins.last().url or DEFAULT_URL
    return Login(url=url, token=os.environ.get("NAVBAT_TOKEN") or saved_token(url))


def saved_token(url: str) -> str:
    """The token that is kept for this server; empty when there is none."""
    with contextlib.suppress(NavbatError):
        return SavedLogins().token(http_url(url))
    return ""


def http_url(url: str) -> str:
    """The address of a gateway, however it was written. Raises ``WrongUse``."""
    wrong = WrongUse(f"{url[:200]!r} is not the address of a gateway", f"write one such as {DEFAULT_URL}")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
        if ":" not in parts.hostname:
            parts.hostname.encode("idna")
    except ValueError:
        raise wrong from None
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"


async def reasons(url: str) -> list[str]:
    """Why a desk does not serve, as it says to whoever asks; nothing when it does not answer at all."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=CONNECT_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(trust_env=True, timeout=timeout) as session,
            session.get(f"{http_url(url)}/health/ready") as response,
        ):
            told = msgspec.json.decode(await response.content.read(1 << 16))
            return [str(reason["text"]) for reason in told["reasons"]]
    except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, KeyError, TypeError):
        return []


class DeskClient:
    """One connection. ``presence`` makes it count as the operator's console. All methods raise
    ``Unavailable`` when the gateway does not answer, and ``NotLoggedIn`` when it sends us away."""

    def __init__(self, login: Login, *, presence: bool = False, remember: bool = False) -> None:
        self._login = login
        self._presence = presence
        self._remember = remember
        self._rids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[protocol.ServerFrame]] = {}
        self._events: asyncio.Queue[protocol.DeskEvent] = asyncio.Queue(maxsize=1000)
        self._reader: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self._snapshot: asyncio.Queue[protocol.Snapshot] = asyncio.Queue(maxsize=1)
        self._why: NavbatError = Unavailable("the gateway closed the connection")
        self.welcome = protocol.Welcome(operator="", role="operator", desk="", server="", now=0)

    async def __aenter__(self) -> Self:
        import aiohttp

        self.url = http_url(self._login.url)
        self._session = aiohttp.ClientSession(trust_env=True)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT + ANSWER_TIMEOUT):
                self._socket = await self._session.ws_connect(
                    self.url + "/ws", max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=2.0)
                )
                await self._greet()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await self._session.close()
            raise Unavailable(
                f"the desk at {self.url} does not answer", "is `navbat run` running? is NAVBAT_URL right?"
            ) from error
        except BaseException:
            await self._session.close()
            raise
        self._reader = asyncio.create_task(self._read(), name="client-read")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        with contextlib.suppress(OSError, TimeoutError):
            await self._socket.close()
        await self._session.close()

    async def _greet(self) -> None:
        hello = protocol.Hello(
            name=self._login.name,
            password=self._login.password,
            token=self._login.token,
            client="navbat-cli",
            presence=self._presence,
            remember=self._remember,
        )
        await self._socket.send_bytes(protocol.encode_frame(hello))
        while True:
            frame = await self._receive()
            if isinstance(frame, protocol.Welcome):
                self.welcome = frame
                return

    async def _receive(self) -> protocol.ServerFrame | None:
        """The next frame, None for one that this version does not know. Raises what ends it."""
        from aiohttp import WSMsgType

        message = await self._socket.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise Unavailable("the gateway closed the connection")
        try:
            frame = protocol.decode_server(message.data)
        except msgspec.MsgspecError:
            return None
        if isinstance(frame, protocol.Bye):
            raise _farewell(frame, self._login)
        return frame

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._receive()
                if isinstance(frame, protocol.DeskEvent):
                    await self._events.put(frame)
                elif isinstance(frame, protocol.Snapshot):
                    if self._snapshot.empty():
                        self._snapshot.put_nowait(frame)
                elif frame is not None and (rid := getattr(frame, "rid", 0)) in self._answers:
                    future = self._answers.pop(rid)
                    if not future.done():
                        future.set_result(frame)
        except (NavbatError, OSError) as error:
            self._why = error if isinstance(error, NavbatError) else Unavailable("the connection broke")
        finally:
            self._closed.set()
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(self._why)
                    future.exception()  # whoever waits gets it; nobody waiting is no error

    # ---------------------------------------------------------------- asking

    def next_rid(self) -> int:
        """For the ``rid`` of a request."""
        return next(self._rids)

    async def ask(self, request: protocol.Request, answer: type[Answer]) -> Answer:
        """Sends a request and returns its answer. Raises ``Refused`` when there is none to give."""
        if self._closed.is_set():
            raise self._why
        future: asyncio.Future[protocol.ServerFrame] = asyncio.get_running_loop().create_future()
        self._answers[request.rid] = future
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._socket.send_bytes(protocol.encode_frame(request))
                frame = await future
        except (OSError, TimeoutError) as error:
            raise Unavailable("the gateway does not answer") from error
        finally:
            self._answers.pop(request.rid, None)
        if isinstance(frame, protocol.Done) and frame.code:
            raise Refused(frame.code, **frame.params)
        if not isinstance(frame, answer):
            raise NavbatError(f"the gateway answered with {type(frame).__name__}", "are both of one version?")
        return frame

    async def command(
        self, kind: type[protocol.CommandFrame], id: str = "", *, again: bool = False, **fields: object
    ) -> protocol.Done:
        """Carries out a command, once however often it comes with this ``id``; ``again``: it may have come
        before. Raises ``Refused``, and
        ``Unanswered`` when it has left us and the desk does not say what became of it."""
        id = id or uuid.uuid4().hex
        if self._closed.is_set():
            raise self._why
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                while True:
                    try:
                        frame = kind(rid=self.next_rid(), id=id, again=again, **fields)
                        return await self.ask(frame, protocol.Done)
                    except Refused as refused:
                        if refused.code != "unavailable":
                            raise
                    again = True
                    await asyncio.sleep(ASK_AGAIN)
        except (TimeoutError, Unavailable) as error:
            raise Unanswered(id) from error

    async def snapshot(self) -> protocol.Snapshot:
        """The picture that the gateway gives after the login."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await self._snapshot.get()
        except TimeoutError as error:
            raise (
                self._why if self._closed.is_set() else Unavailable("the gateway does not answer")
            ) from error

    async def ping(self) -> None:
        """Tells the gateway that we are still here."""
        try:
            await self._socket.send_bytes(protocol.encode_frame(protocol.Ping(at=int(time.time() * 1000))))
        except OSError as error:
            raise Unavailable("the connection broke") from error

    async def until_closed(self) -> NavbatError:
        """Returns why the connection ended, when it does."""
        await self._closed.wait()
        return self._why

    async def follow(self, since: str) -> AsyncIterator[protocol.DeskEvent]:
        """Everything that happens after the id, until the connection ends (which raises why).
        Raises ``Refused`` when the id is unknown or too old."""
        await self.ask(protocol.Follow(rid=self.next_rid(), since=since), protocol.Done)
        while True:
            getting = asyncio.create_task(self._events.get(), name="client-event")
            closing = asyncio.create_task(self._closed.wait(), name="client-closed")
            try:
                await asyncio.wait({getting, closing}, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                    continue
            finally:
                getting.cancel()
                closing.cancel()
            raise self._why

    async def upload(self, path: Path) -> Media:
        """Puts a file into the desk's media store. Raises ``NavbatError``."""
        import mimetypes
        from urllib.parse import quote

        import aiohttp

        mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {
            "Authorization": f"Bearer {self.welcome.ticket}",
            "Content-Type": mime,
            "X-File-Name": quote(path.name),
        }
        try:
            with path.open("rb") as file:
                async with self._session.post(self.url + "/media", data=file, headers=headers) as response:
                    if response.status != 200:
                        raise NavbatError(f"{path.name} was not taken: {response.status} {response.reason}")
                    return msgspec.json.decode(await response.read(), type=Media)
        except OSError as error:
            raise NavbatError(f"{path}: {error.strerror or error}") from error
        except aiohttp.ClientError as error:
            raise Unavailable("the gateway did not take the file") from error

    async def download(self, media: Media, place: Path) -> Path:
        """Fetches an attachment into a new file: ``place``, or one in that folder. Raises ``NavbatError``."""
        from urllib.parse import quote

        import aiohttp

        from console.files import safe_name

        path = place / safe_name(media) if await asyncio.to_thread(place.is_dir) else place
        headers = {"Authorization": f"Bearer {self.welcome.ticket}"}
        url = f"{self.url}/media/{quote(media.key, safe='')}"
        times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=ANSWER_TIMEOUT)
        whole = made = False
        try:
            async with self._session.get(url, headers=headers, timeout=times) as response:
                if response.status != 200:
                    raise NavbatError("the desk does not have this file", media.error)
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    made = True
                    async for chunk in response.content.iter_chunked(CHUNK):
                        file.write(chunk)
            whole = True
        except OSError as error:
            raise NavbatError(f"{path}: {error.strerror or error}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the gateway did not give the file") from error
        finally:
            if made and not whole:
                path.unlink(missing_ok=True)
        return path


_FAREWELLS = {
    "revoked": "this login was revoked",
    "version": "the desk speaks another version of the protocol",
    "frame": "the gateway did not understand us: are both of one version?",
}
_AGAIN = "`navbat login` logs in"


def _farewell(bye: protocol.Bye, login: Login) -> NavbatError:
    if bye.code == "login":
        return _refused(login)
    if bye.code == "throttled":
        after = bye.params.get("after", "some")
        return NotLoggedIn(f"too many wrong logins: try again in {after} seconds")
    if bye.code in _FAREWELLS:
        return NotLoggedIn(_FAREWELLS[bye.code], _AGAIN)
    return Unavailable(f"the gateway ended the connection ({bye.code})")


def _refused(login: Login) -> NotLoggedIn:
    if login.name:
        return NotLoggedIn(f"the desk at {login.url} does not know this name and password")
    if not login.token:
        return NotLoggedIn(f"not logged in at {login.url}", f"{_AGAIN}; scripts set NAVBAT_TOKEN")
    if os.environ.get("NAVBAT_TOKEN") == login.token:
        return NotLoggedIn(
            f"not logged in: NAVBAT_TOKEN is no token of the desk at {login.url}, or was revoked",
            "`navbat operator token NAME` prints a new one",
        )
    return NotLoggedIn(f"not logged in at {login.url} any more: the saved login was revoked", _AGAIN)
