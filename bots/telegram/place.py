"""Where on Telegram something was written, as one name: an answer to it goes there and nowhere else.

``<chat>``, ``<chat>@<business connection>``, and behind either ``/<topic>`` of a forum or of a private
chat, or ``/d<topic>`` of a channel's direct messages. Pure.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote, unquote

GENERAL = 1
"""The topic of a forum that needs no naming: sending to it by its number is refused."""


class Place(NamedTuple):
    """``topic`` and ``direct`` are 0 where there is none."""

    chat: str
    connection: str = ""
    topic: int = 0
    direct: int = 0

    @property
    def name(self) -> str:
        """The external id of the chat."""
        connection = f"@{quote(self.connection, safe='')}" if self.connection else ""
        topic = f"/{self.topic}" if self.topic else f"/d{self.direct}" if self.direct else ""
        return f"{self.chat}{connection}{topic}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Where to send, as the Bot API names it."""
        named = {
            "business_connection_id": self.connection,
            "message_thread_id": self.topic,
            "direct_messages_topic_id": self.direct,
        }
        return {"chat_id": self.chat} | {name: value for name, value in named.items() if value}

    @property
    def message(self) -> dict[str, Any]:
        """Where a message is that is to be changed: topics share their chat's numbers."""
        connection = {"business_connection_id": self.connection} if self.connection else {}
        return {"chat_id": self.chat} | connection


def place_of(name: str) -> Place:
    """What a name says."""
    rest, _, topic = name.partition("/")
    chat, _, connection = rest.partition("@")
    direct = topic.startswith("d")
    number = int(topic.removeprefix("d")) if topic.removeprefix("d").isdecimal() else 0
    return Place(chat, unquote(connection), 0 if direct else number, number if direct else 0)


def moved(name: str, chat: str) -> str:
    """The same place after Telegram gave its chat another id."""
    return place_of(name)._replace(chat=chat).name
