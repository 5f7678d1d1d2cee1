"""Calls of the Bot API without which nothing can be received. They are few and small, and a desk that only
receives does without aiogram: see ``updates.py`` for what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from bots.base import SendOutcome, Uncertain
from bots.telegram.outcomes import flood, network, no_token, refusal
from bots.telegram.page import Parameters

CONNECT_TIMEOUT = 10.0
CALL_TIMEOUT = 60.0

T = TypeVar("T")


class ApiAnswer(msgspec.Struct):
    """``result`` where ``ok``, else the rest."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error_code: int = 0
    description: str = ""
    parameters: Parameters | None = None


class Me(msgspec.Struct):
    id: int
    username: str = ""


class WebhookState(msgspec.Struct):
    """How Telegram sees a web hook."""

    url: str = ""
    pending_update_count: int = 0
    last_error_message: str = ""


class FileState(msgspec.Struct):
    file_path: str = ""


class BotApi:
    """One bot. Every method raises ``TryLater``, ``Rejected`` or ``Uncertain`` and nothing else."""

    def __init__(self, http: ClientSession, token: str, api_url: str) -> None:
        self._http = http
        self._address = f"{api_url}/bot{token}"

    async def who_am_i(self) -> str:
        """The bot's name and number."""
        me = await self._call("getMe", Me)
        return f"@{me.username} ({me.id})"

    async def delete_webhook(self) -> None:
        """From now on updates are polled; those that wait stay."""
        await self._call("deleteWebhook", bool, drop_pending_updates=False)

    async def set_webhook(self, url: str, secret: str, allowed: Sequence[str], connections: int) -> None:
        """From now on updates are posted; those that wait stay."""
        await self._call(
            "setWebhook",
            bool,
            url=url,
            secret_token=secret,
            allowed_updates=allowed,
            max_connections=connections,
            drop_pending_updates=False,
        )

    async def webhook(self) -> WebhookState:
        """How the web hook does."""
        return await self._call("getWebhookInfo", WebhookState)

    async def answer(self, query_id: str) -> None:
        """Ends the spinner on a pressed button."""
        await self._call("answerCallbackQuery", bool, callback_query_id=query_id)

    async def file_path(self, file_id: str) -> str:
        """Where a file can be downloaded, empty when nowhere."""
        return (await self._call("getFile", FileState, file_id=file_id)).file_path

    async def _call(self, method: str, kind: type[T], **parameters: Any) -> T:
        """No exception of aiohttp's gets out, because those hold addresses with the token."""
        timeout = ClientTimeout(total=CALL_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
        try:
            async with self._http.post(
                f"{self._address}/{method}", json=parameters, timeout=timeout
            ) as response:
                status, body = response.status, await response.read()
        except (ClientError, TimeoutError, OSError) as error:
            raise network(error) from None
        try:
            answer = msgspec.json.decode(body, type=ApiAnswer)
            if answer.ok and 200 <= status < 300:
                return msgspec.json.decode(answer.result, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Uncertain("no readable answer") from None
        raise refused(answer, status)


def refused(answer: ApiAnswer, status: int) -> SendOutcome:
    """What it means that a call was not carried out."""
    code = answer.error_code or status
    if answer.parameters is not None and answer.parameters.retry_after:
        return flood(answer.parameters.retry_after)
    if code in (401, 404):
        return no_token()
    return refusal(code, answer.description)
