"""Sending through aiogram's client, its failures as outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from aiogram import Bot, exceptions, methods
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import BusinessConnection, Message
from aiohttp import ClientTimeout

from bots.base import Rejected, TryLater, Uncertain
from bots.telegram.api import CALL_TIMEOUT, CONNECT_TIMEOUT
from bots.telegram.place import moved, place_of
from bots.telegram.send import BadRequest, FileOut, Method, already_done, calls, outcome, plainer
from router.backoff import Backoff
from router.desk.state import Delivery

FLOOD_PATIENCE = 20.0
"""Seconds waited inside a delivery whose first parts have left already."""

RIGHTS_KEPT = 60.0
"""Seconds for which the rights of a business connection are believed."""

_ACTION = frozenset({"chat_id", "business_connection_id", "message_thread_id"})
"""What "is typing" takes of a place."""

T = TypeVar("T")


class TelegramClient:
    """One bot. Every method raises ``TryLater``, ``Rejected`` or ``Uncertain`` and nothing else."""

    def __init__(self, token: str, api_url: str) -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(api_url))
        # aiogram hands this to aiohttp as it is, and only so can a refused connection (nothing
        # left) be told from a silent server (it may have).
        session.timeout = ClientTimeout(total=CALL_TIMEOUT, sock_connect=CONNECT_TIMEOUT)  # type: ignore[assignment]
        self._bot = Bot(token, session=session)
        self._connections: dict[str, tuple[float, bool]] = {}
        """Business connection -> (until when that is believed, whether we may answer)."""

    async def close(self) -> None:
        """Closes the connections."""
        await self._bot.session.close()

    async def typing(self, chat: str) -> None:
        """Shows "is typing" for some five seconds."""
        where = {name: value for name, value in place_of(chat).parameters.items() if name in _ACTION}
        await self._call(methods.SendChatAction(action="typing", **where))

    # ---------------------------------------------------------------- sending

    async def send(self, delivery: Delivery, files: Sequence[FileOut]) -> list[str]:
        """Carries out a delivery; returns the message ids of its parts."""
        planned = calls(delivery, files)
        place = place_of(delivery.chat)
        if delivery.action == "send" and place.connection:
            await self._may_answer(place.connection)
        old = delivery.external_id.split()
        ids: list[str] = []
        for number, method in enumerate(planned):
            try:
                ids += _message_ids(await self._part(method, patient=number > 0))
            except Uncertain as error:
                raise Uncertain(str(error), external_ids=old or ids) from None
            except (TryLater, Rejected) as error:
                if number:
                    reason = f"only {number} of {len(planned)} parts went out: {error}"
                    raise Uncertain(reason, external_ids=old or ids) from None
                if isinstance(error, Rejected) and error.moved_to:
                    error.moved_to = moved(delivery.chat, error.moved_to)
                raise
        return old or ids

    async def _may_answer(self, connection: str) -> None:
        """Raises where the owner of a business account does not let us answer in his name."""
        now = asyncio.get_running_loop().time()
        until, allowed = self._connections.get(connection, (0.0, False))
        if until <= now:
            try:
                found = await self._call(methods.GetBusinessConnection(business_connection_id=connection))
            except Uncertain as error:
                raise TryLater(1.0, str(error)) from None  # nothing of the delivery has left
            allowed = _may_reply(found)
            self._connections[connection] = now + RIGHTS_KEPT, allowed
        if not allowed:
            raise Rejected("the owner of the business account does not let us answer", blocked=True)

    async def _part(self, method: Method, *, patient: bool) -> object:
        """One call of a delivery, in a plainer form where Telegram refuses it as it is. Once parts have left, the rest waits out short limits here: the
        whole must not be sent again."""
        waited = 0.0
        backoff = Backoff(first=1.0)
        while True:
            try:
                return await self._call(method)
            except BadRequest as error:
                other = plainer(method, str(error))
                if other is None:
                    raise
                method = other
            except TryLater as error:
                wait = max(error.after, backoff.next())
                waited += wait
                if not patient or waited > FLOOD_PATIENCE:
                    raise
                await asyncio.sleep(wait)

    async def _call(self, method: methods.TelegramMethod[T]) -> T:
        """No exception of aiogram's gets out, because those hold addresses with the token."""
        try:
            result: T = await self._bot(method)
        except exceptions.ClientDecodeError as error:
            if not isinstance(error.data, dict) or not error.data.get("ok") or "result" not in error.data:
                raise outcome(error) from None
            # It was done; only the answer holds something that these types do not know yet.
            return error.data["result"]  # type: ignore[no-any-return]
        except exceptions.AiogramError as error:
            if already_done(method, error):
                return True  # type: ignore[return-value]
            raise outcome(error) from None
        except Exception as error:  # noqa: BLE001
            # What aiogram makes of an answer that it did not expect: something has answered.
            raise Uncertain(f"no readable answer: {type(error).__name__}") from None
        return result


def _may_reply(connection: object) -> bool:
    if not isinstance(connection, BusinessConnection):
        return True  # told in words that these types do not know; Telegram refuses if not
    rights = connection.rights
    return connection.is_enabled and bool(rights.can_reply if rights is not None else connection.can_reply)


def _message_ids(result: object) -> list[str]:
    """The message ids in an answer, also in one that stayed raw."""
    if isinstance(result, list):
        return [one for part in result for one in _message_ids(part)]
    if isinstance(result, Message):
        return [str(result.message_id)]
    if isinstance(result, dict) and "message_id" in result:
        return [str(result["message_id"])]
    return []
