"""Pages of updates taken apart without understanding them, so that no update can hide the others. Pure.

A page is read as JSON if it is. If it is not (half a character as an escape, NaN, numbers and nesting
without end, bytes that are no text), its updates are cut out by their brackets alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

ID_LIMIT = 2**53
"""Larger ones are no number of an update: confirming one would confirm all that is ever to come."""


class Parameters(msgspec.Struct):
    """``retry_after`` in seconds."""

    retry_after: int = 0


class UpdatesPage(msgspec.Struct):
    """An answer to getUpdates. ``torn``: what follows the last of ``result`` cannot be told apart."""

    ok: bool
    result: list[msgspec.Raw] = []
    error_code: int = 0
    description: str = ""
    parameters: Parameters | None = None
    torn: bool = False


class NoPage(ValueError):
    """This is no answer of the Bot API at all."""


_READ_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# A string that does not end goes to the end of the body: the search stays linear.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_RESULT = re.compile(rb'"result"\s*:\s*\[')
_ID = re.compile(rb'"update_id"\s*:\s*(\d{1,16})(?=\s*[,}])')


class PageReading:
    """How far a bot's updates have been read. ``offset`` is what Telegram is asked from; None at a start,
    when it gives everything that was not confirmed. ``limit`` is how many it is asked for: one, after a
    page that could not be taken apart."""

    ALL = 100

    def __init__(self) -> None:
        self.offset: int | None = None
        self.limit = self.ALL

    def take(self, page: UpdatesPage, body: bytes) -> tuple[list[bytes], PageReading]:
        """The updates of a page, and the reading as it is when they are safe. Raises ``NoPage`` for
        one that can be neither taken apart nor passed over."""
        after = PageReading()
        updates = [bytes(update) for update in page.result]
        numbers = [number for update in updates if (number := update_id(update)) is not None]
        if numbers or not (updates or page.torn):
            after.offset = max(numbers) + 1 if numbers else self.offset
            return updates, after
        if self.limit > 1:
            after.offset, after.limit = self.offset, 1
            return [], after
        found = _ID.search(body) if page.torn else None
        if found is not None and int(found[1]) < ID_LIMIT:
            after.offset = int(found[1]) + 1
        elif self.offset is not None:
            # It is this number or a later one: what is confirmed is certainly nothing else.
            after.offset = self.offset + 1
        else:
            raise NoPage
        return updates or [body], after


def read_page(body: bytes) -> UpdatesPage:
    """The updates of a page, each as its raw bytes. Raises ``NoPage``."""
    try:
        return msgspec.json.decode(body, type=UpdatesPage)
    except _READ_ERRORS:
        pass
    for depth, token in _tokens(body):
        if depth == 1 and (result := _RESULT.match(body, token.start())):
            updates, ended = _cut(body, result.end())
            return UpdatesPage(ok=True, result=[msgspec.Raw(update) for update in updates], torn=not ended)
    raise NoPage


def _tokens(body: bytes, position: int = 0) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Strings and brackets, each with the depth in which it stands (a bracket: that around it)."""
    depth = 0
    for token in _TOKEN.finditer(body, position):
        if token[0] in (b"}", b"]"):
            depth -= 1
        yield depth, token
        if token[0] in (b"{", b"["):
            depth += 1


def _cut(body: bytes, position: int) -> tuple[list[bytes], bool]:
    """The objects of a list that begins at ``position``, and whether its end was found."""
    updates: list[bytes] = []
    start = 0
    for depth, token in _tokens(body, position):
        if depth < 0:
            return updates, True
        if depth == 0 and token[0] in (b"{", b"["):
            start = token.start()
        elif depth == 0 and token[0] in (b"}", b"]"):
            updates.append(body[start : token.end()])
    return updates, False


class _Numbered(msgspec.Struct):
    update_id: int


def update_id(body: bytes) -> int | None:
    """The number of an update, however broken the rest of it is."""
    try:
        number = msgspec.json.decode(body, type=_Numbered).update_id
    except _READ_ERRORS:
        number = -1
        for depth, token in _tokens(body):
            if depth == 1 and (found := _ID.match(body, token.start())):
                number = int(found[1])
    return number if 0 <= number < ID_LIMIT else None


_CHAT = re.compile(rb'"chat"\s*:\s*\{\s*"id"\s*:\s*(-?\d{1,16})(?=\s*[,}])')


def chat_id(body: bytes) -> int | None:
    """The chat of a message that is an update's only content."""
    for depth, token in _tokens(body):
        if depth == 2 and (found := _CHAT.match(body, token.start())):
            return int(found[1])
    return None


class _Query(msgspec.Struct):
    id: str


class _Pressed(msgspec.Struct):
    callback_query: _Query | None = None


def pressed(body: bytes) -> str:
    """The id of the button press that an update is, empty where it is none that can be read."""
    if b'"callback_query"' not in body:
        return ""
    try:
        query = msgspec.json.decode(body, type=_Pressed).callback_query
    except _READ_ERRORS:
        return ""
    return query.id if query is not None else ""
