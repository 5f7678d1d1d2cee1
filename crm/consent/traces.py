"""By what a person is known where whole things lie encoded: in Redis, and in what was set aside."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from crm.kernel.records import person_chat

MANY = 300
"""So many names are looked for in the bytes before anything is decoded."""


class Traces(NamedTuple):
    """By what a person is known: ids of cards and sessions, and chats (``<channel>:<chat>``)."""

    customers: frozenset[str]
    sessions: frozenset[str]
    chats: frozenset[str]

    def are_in(self, value: Any, *, later: bool = False) -> bool:
        """Whether what was decoded to dicts and lists tells of him. ``later``: it came after he was erased, and
        what is said of his chat is somebody else's."""
        if isinstance(value, dict):
            named = self._is_named(value) or (not later and self._is_known(value))
            return named or any(self.are_in(one, later=later) for one in value.values())
        if isinstance(value, list):
            return any(self.are_in(one, later=later) for one in value)
        # A state or an event within another one.
        return isinstance(value, bytes) and self.are_in(decoded(value), later=later)

    def _is_named(self, value: dict[str, Any]) -> bool:
        if _text(value, "session") in self.sessions:
            return True
        return "line" in value and "chat" in value and _text(value, "id") in self.sessions

    def _is_known(self, value: dict[str, Any]) -> bool:
        if _text(value, "customer") in self.customers or _text(value, "id") in self.customers:
            return True
        channel = _text(value, "channel")
        chats = (_text(value, name) for name in ("chat", "new_chat", "moved_from"))
        return any(
            chat and bool({chat, person_chat(chat), person_chat(f"{channel}:{chat}")} & self.chats)
            for chat in chats
        )

    def needles(self) -> re.Pattern[bytes] | None:
        """What must be in the bytes of all that tells of him; None where that would be too many words."""
        words = [chat.partition(":")[2].encode() for chat in self.chats]
        words += [id.encode() for id in self.customers]
        words += [msgspec.msgpack.encode(id) for id in self.sessions]
        return re.compile(b"|".join(map(re.escape, words))) if 0 < len(words) <= MANY else None


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def decoded(data: bytes) -> Any:
    """Bytes of any version as dicts and lists; nothing where they are none."""
    try:
        found = msgspec.msgpack.decode(data)
    except Exception:  # noqa: BLE001 - a file, a raw body, or broken
        return None
    return found if isinstance(found, dict) else None
