"""What the Bot API's answers mean, whichever client asked. Pure. The reasons hold Telegram's own words and
never an address: an address holds the token."""

from __future__ import annotations

import re

from aiohttp import ClientConnectorError, ConnectionTimeoutError

from bots.base import Rejected, SendOutcome, TryLater, Uncertain


def no_token() -> SendOutcome:
    """Telegram does not know this bot."""
    return TryLater(60.0, "Telegram does not accept the token", whole_channel=True)


_RETRY = re.compile(r"retry after (\d{1,5})")


def flood(seconds: float) -> SendOutcome:
    """Too many calls."""
    return TryLater(float(seconds), f"flood limit, {seconds:g} s")


def refusal(code: int, words: str | None) -> SendOutcome:
    """An answer that says no, without a class of its own."""
    words = words or "refused without a reason"
    if code == 429 or words.startswith("Too Many Requests"):
        found = _RETRY.search(words)
        return TryLater(float(found[1]) if found else 5.0, "flood limit")
    return Uncertain(f"server error: {words}") if code >= 500 else Rejected(words)


def unread(data: object) -> SendOutcome:
    """An answer that is not as the types have it: a refusal in other words, a page of some proxy."""
    if isinstance(data, dict) and data.get("ok") is False and isinstance(data.get("error_code"), int):
        return refusal(data["error_code"], str(data.get("description") or ""))
    if isinstance(data, str) and "<title>413 " in data[:1000]:
        return Rejected("it is too large for Telegram")
    return Uncertain("no readable answer")


def network(cause: BaseException | None) -> SendOutcome:
    """No answer at all."""
    if isinstance(cause, ClientConnectorError | ConnectionTimeoutError):
        return TryLater(1.0, "Telegram cannot be reached")
    if isinstance(cause, TimeoutError):
        return Uncertain("no answer in time")
    return Uncertain("the connection was cut")
