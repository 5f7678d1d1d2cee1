"""Telegram. Receiving is our own: raw bodies into the inbox before Telegram hears "received". aiogram
sends, and is loaded when there is something to send.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib
import importlib.util
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from bots.base import (
    Can,
    Channel,
    ChannelSettings,
    Inbox,
    OutFile,
    Rejected,
    Secret,
    Sent,
    TryLater,
    Uncertain,
)
from bots.hooks import keep, read_body, same_secret
from bots.telegram.api import CONNECT_TIMEOUT, BotApi
from bots.telegram.page import NoPage, PageReading, UpdatesPage, pressed, read_page, update_id
from bots.telegram.parse import parse
from bots.telegram.place import place_of
from crm.kernel.errors import NavbatError, Unavailable
from crm.kernel.records import Media
from router.backoff import Backoff
from router.desk.events import Event
from router.desk.state import Delivery

if TYPE_CHECKING:
    from bots.telegram.client import TelegramClient

if importlib.util.find_spec("aiogram") is None:
    raise ModuleNotFoundError("No module named 'aiogram'", name="aiogram")

logger = logging.getLogger(__name__)

OFFICIAL = "https://api.telegram.org"
POLL = 30
"""Seconds that Telegram holds a getUpdates without news."""

WATCH_WEBHOOK = 60.0
"""Seconds between two looks at how Telegram sees our web hook."""

MAX_CONNECTIONS = 40
ALLOWED_UPDATES = (
    "message", "edited_message", "message_reaction", "callback_query", "my_chat_member",
    "business_message", "edited_business_message", "deleted_business_messages",
)  # fmt: skip

T = TypeVar("T")


class TelegramSettings(ChannelSettings, kw_only=True):
    """``receive`` polling needs nothing else; webhook needs ``public_url``, the https address under
    which Telegram reaches the gateway. ``secret_token`` guards the web hook (default: derived from
    the token). ``api_url`` is for a local Bot API server. ``max_file`` in bytes: larger attachments
    are not fetched (the official server gives 20 MB at most)."""

    token: Secret
    receive: Literal["polling", "webhook"] = "polling"
    public_url: str = ""
    secret_token: Secret = Secret("")
    api_url: str = OFFICIAL
    max_file: int = 20 * 1024 * 1024

    def __post_init__(self) -> None:
        number, colon, key = self.token.partition(":")
        if not (number.isdecimal() and colon and key and key.replace("_", "a").replace("-", "a").isalnum()):
            raise ValueError("token is not a bot token (123456:ABC…)")
        if self.receive == "webhook" and not self.public_url:
            raise ValueError("receive: webhook needs public_url")
        if self.public_url.startswith("http://") and self.api_url == OFFICIAL:
            raise ValueError("public_url must begin with https://")
        allowed = self.secret_token.replace("_", "a").replace("-", "a")
        if self.secret_token and not (allowed.isascii() and allowed.isalnum() and len(allowed) <= 256):
            raise ValueError("secret_token must be 1-256 of A-Z a-z 0-9 _ -")


class Telegram(Channel):
    """One bot."""

    kind = "telegram"
    can: ClassVar[Can] = (
        Can.TEXT
        | Can.PHOTO
        | Can.FILE
        | Can.BUTTONS
        | Can.QUOTE
        | Can.EDIT
        | Can.DELETE
        | Can.TYPING
        | Can.REACTIONS
        | Can.FETCH
    )
    Settings = TelegramSettings

    def __init__(self, name: str, settings: TelegramSettings) -> None:
        super().__init__(name, settings)
        self.file_limit = settings.max_file
        self._token = str(settings.token)
        self._api = settings.api_url.rstrip("/")
        self._webhook = settings.receive == "webhook"
        self._hook_path = f"/hooks/telegram/{name}"
        self._hook_url = settings.public_url.rstrip("/") + self._hook_path
        self._secret = settings.secret_token or _derived_secret(self._token, name)
        self._http: ClientSession | None = None
        self._client: TelegramClient | None = None
        self._loading = asyncio.Lock()
        self._answering: set[asyncio.Task[None]] = set()
        self._flooded: dict[str, float] = {}
        self._sending_trouble = ""

    async def open(self) -> None:
        """Makes the HTTP client; no network call."""
        self._http = ClientSession()

    async def close(self) -> None:
        """Closes them, and gives up answering button presses."""
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        if self._client is not None:
            await self._client.close()

    async def who_am_i(self) -> str:
        """The bot's name and number."""
        return await self._bot_api().who_am_i()

    # ---------------------------------------------------------------- receiving

    async def run(self, inbox: Inbox) -> None:
        """Polls, or keeps the web hook set."""
        if self._webhook:
            await self._keep_webhook()
        else:
            await self._poll(inbox)

    def routes(self, inbox: Inbox) -> Sequence[web.RouteDef]:
        """The web hook, where that is how we receive."""
        if not self._webhook:
            return ()

        async def hook(request: web.Request) -> web.Response:
            if not same_secret(request.headers.get("X-Telegram-Bot-Api-Secret-Token"), self._secret):
                return web.Response(status=401)
            body = await read_body(request)
            response = await keep(inbox, body)
            if response.status == 200:
                self._settle(body)
            return response

        return [web.post(self._hook_path, hook)]

    def number(self, body: bytes) -> int | None:
        """Web hooks of different chats overtake each other, polling keeps the order."""
        return update_id(body) if self._webhook else None

    async def _poll(self, inbox: Inbox) -> None:
        """How far we are lives in memory only: what was not confirmed comes again after a start, and
        its event id is known then."""
        backoff = Backoff(first=0.5)
        reading = PageReading()
        await self._insist(self._bot_api().delete_webhook)
        while True:
            try:
                bodies, after = await self._updates(reading)
                if bodies:
                    await inbox.put(*bodies)
            except Unavailable:
                await asyncio.sleep(backoff.next())
            except TryLater as error:
                self._report(str(error))
                await asyncio.sleep(max(error.after, backoff.next()))
            else:
                self.trouble = ""
                backoff.reset()
                reading = after
                self._settle(*bodies)

    async def _updates(self, reading: PageReading) -> tuple[list[bytes], PageReading]:
        """The raw updates that come next, and how far we are once they are kept. Raises ``TryLater``
        for whatever went wrong."""
        request: dict[str, Any] = {
            "timeout": POLL,
            "allowed_updates": ALLOWED_UPDATES,
            "limit": reading.limit,
        }
        if reading.offset is not None:
            request["offset"] = reading.offset
        timeout = ClientTimeout(total=POLL + 15, sock_connect=CONNECT_TIMEOUT)
        try:
            async with self._session().post(
                f"{self._api}/bot{self._token}/getUpdates", json=request, timeout=timeout
            ) as response:
                body = await response.read()
            page = read_page(body)
            if page.ok:
                return reading.take(page, body)
        except (ClientError, TimeoutError, OSError) as error:
            raise TryLater(0, f"Telegram does not answer: {type(error).__name__}") from None
        except NoPage:
            raise TryLater(1, "Telegram answers with something that is no update list") from None
        raise await self._refused_poll(page)

    async def _refused_poll(self, page: UpdatesPage) -> TryLater:
        if page.error_code == 409 and "webhook" in page.description:
            await self._insist(self._bot_api().delete_webhook)
            return TryLater(0, "a web hook was set for this bot by somebody else")
        if page.error_code == 409:
            return TryLater(3, "another program receives with this token")
        if page.error_code in (401, 404):
            return TryLater(60, "Telegram does not accept the token")
        wait = page.parameters.retry_after if page.parameters is not None else 1
        return TryLater(wait, f"Telegram refuses: {page.error_code}")

    async def _keep_webhook(self) -> None:
        await self._insist(self._set_webhook)
        while True:
            await asyncio.sleep(WATCH_WEBHOOK)
            seen = await self._insist(self._bot_api().webhook)
            if seen.url != self._hook_url:
                self._report("the web hook was changed by somebody else")
                await self._insist(self._set_webhook)
            elif seen.pending_update_count > MAX_CONNECTIONS and seen.last_error_message:
                self._report(f"{seen.pending_update_count} updates wait: {seen.last_error_message}")

    async def _set_webhook(self) -> None:
        await self._bot_api().set_webhook(self._hook_url, self._secret, ALLOWED_UPDATES, MAX_CONNECTIONS)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Calls until it works: for calls without which nothing can be received."""
        backoff = Backoff(first=1.0, most=60.0)
        while True:
            try:
                result = await call()
            except (TryLater, Rejected, Uncertain) as error:
                self._report(str(error))
                after = error.after if isinstance(error, TryLater) else 0.0
                await asyncio.sleep(max(after, backoff.next()))
            else:
                self.trouble = ""
                return result

    def _report(self, trouble: str) -> None:
        if trouble != self.trouble:
            logger.warning("channel %s: %s", self.name, trouble)
        self.trouble = trouble

    def _settle(self, *bodies: bytes) -> None:
        """Ends the spinners on pressed buttons, beside the way: nothing waits for it."""
        for body in bodies:
            query = pressed(body) if len(self._answering) <= 100 else ""
            if query:
                task = asyncio.get_running_loop().create_task(self._answer(query))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def _answer(self, query_id: str) -> None:
        try:
            await self._bot_api().answer(query_id)
        except NavbatError as error:
            logger.info("channel %s: a button press stays unanswered: %s", self.name, error)

    def parse(self, body: bytes) -> list[Event]:
        """One update, at most one event."""
        return parse(self.name, body)

    # ---------------------------------------------------------------- sending

    async def send(self, delivery: Delivery, files: Sequence[tuple[Media, OutFile]]) -> Sent:
        """Carries out all calls of a delivery, in order."""
        try:
            ids = await (await self._sender()).send(delivery, files)
        except TryLater as error:
            raise self._with_scope(place_of(delivery.chat).chat, error) from None
        if self.trouble == self._sending_trouble:
            self.trouble = ""
        return Sent(external_ids=ids)

    def _with_scope(self, chat: str, error: TryLater) -> TryLater:
        """Telegram does not say whether a flood limit is the chat's or the bot's: while a second
        chat meets one, the whole bot pauses."""
        now = asyncio.get_running_loop().time()
        self._flooded = {c: until for c, until in self._flooded.items() if until > now}
        others = any(c != chat for c in self._flooded)
        if error.after:
            self._flooded[chat] = now + error.after
        if error.whole_channel:
            self._sending_trouble = str(error)
            self._report(self._sending_trouble)
        return TryLater(error.after, str(error), whole_channel=error.whole_channel or others)

    async def typing(self, chat: str) -> None:
        """Shows "is typing" for some five seconds."""
        await (await self._sender()).typing(chat)

    # ---------------------------------------------------------------- attachments

    async def fetch(self, media: Media) -> AsyncIterator[bytes]:
        """Streams a file. Every failure before its end means trying again later, unless Telegram
        refuses the file itself."""
        try:
            path = await self._bot_api().file_path(media.ref)
        except Uncertain as error:
            raise TryLater(1, str(error)) from None
        if not path:
            raise Rejected("Telegram does not give this file out")
        url = f"{self._api}/file/bot{self._token}/{path}"
        timeout = ClientTimeout(total=600, sock_connect=CONNECT_TIMEOUT, sock_read=30)
        try:
            async with self._session().get(url, timeout=timeout) as response:
                if response.status in (400, 403, 404, 410):
                    raise Rejected(f"Telegram does not give this file out: {response.status}")
                if response.status != 200:
                    raise TryLater(5, f"Telegram answers {response.status}")
                async for chunk in response.content.iter_chunked(64 * 1024):
                    yield chunk
        except (ClientError, TimeoutError, OSError) as error:
            raise TryLater(1, f"the download broke off: {type(error).__name__}") from None

    def _session(self) -> ClientSession:
        if self._http is None:
            raise RuntimeError("the channel is not open")
        return self._http

    def _bot_api(self) -> BotApi:
        return BotApi(self._session(), self._token, self._api)

    async def _sender(self) -> TelegramClient:
        """aiogram's client, made when it is first needed. It builds its types while it is imported: seconds
        beside the event loop, and 125 MiB that a desk that sends nothing does not pay."""
        async with self._loading:
            if self._client is None:
                try:
                    module = await asyncio.to_thread(importlib.import_module, "bots.telegram.client")
                except Exception as error:  # noqa: BLE001
                    # An upgrade under a running desk: files are gone, half written, or of two versions
                    # (pydantic then raises SystemError). Nothing has left.
                    reason = f"aiogram cannot be loaded: {type(error).__name__}"
                    raise TryLater(10.0, reason, whole_channel=True) from None
                self._client = module.TelegramClient(self._token, self._api)
            return self._client


def _derived_secret(token: str, name: str) -> str:
    """A secret that only this bot's owner can compute, the same after every start."""
    return hmac.new(token.encode(), f"navbat web hook {name}".encode(), hashlib.sha256).hexdigest()
