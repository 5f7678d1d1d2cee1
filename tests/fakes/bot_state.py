"""What the fake Bot API server remembers of one bot."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

Update = dict[str, Any]


@dataclass
class Fault:
    """Something that goes wrong ``times`` times with calls of ``method`` (empty: any) in ``chat``
    (empty: any), after ``skip`` calls that went well.

    Before anything is done: ``retry_after`` (``seconds``), ``blocked``, ``bad_request``, ``migrate``
    (``to``), ``unauthorized``, ``too_large`` (413), ``page`` (an HTML page that says ``to``), ``refused``
    (400, ``to`` is the reason), ``html`` (a 502 page), ``error`` (a 500), ``refuse`` (connection
    closed). After it was done: ``hang`` (``seconds`` without an answer), ``cut`` (connection closed),
    ``strange`` (an answer with something that no library knows yet).
    """

    kind: str
    method: str = ""
    chat: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 1.0
    to: str = ""

    def meets(self, method: str, chat: str) -> bool:
        """Whether this call is hit; counts it."""
        if self.times <= 0 or self.method not in ("", method) or self.chat not in ("", chat):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class SentMessage:
    """One call that changed what a customer sees."""

    at: float
    method: str
    chat: str
    message_id: int
    text: str = ""
    reply_to: int = 0
    buttons: list[Any] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)


@dataclass
class Webhook:
    url: str
    secret: str
    max_connections: int
    allowed: list[str]


class BotState:
    """One bot: its queue of updates, what it sent, what shall go wrong."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.id = int(token.partition(":")[0])
        self.updates: deque[Update] = deque()
        self.sent: list[SentMessage] = []
        self.calls: list[tuple[float, str, dict[str, str]]] = []
        self.faults: list[Fault] = []
        self.files: dict[str, bytes] = {}
        self.raw: dict[int, bytes] = {}
        """Update id -> the bytes that stand for the update in a page, whatever they are."""
        self.connections: dict[str, bool] = {}
        """Business connection -> whether the bot may answer through it."""
        self.webhook: Webhook | None = None
        self.last_error = ""
        self.confirmed = 0
        self.shown: dict[int, str] = {}
        self.news = asyncio.Event()
        self.poller: asyncio.Future[None] | None = None
        self.update_ids = itertools.count(1001)
        self.message_ids = itertools.count(1)

    def add(self, content: Update) -> Update:
        """Queues an update; gives it an id unless it has one."""
        update = {"update_id": content.get("update_id", next(self.update_ids)), **content}
        self.updates.append(update)
        self.news.set()
        return update

    def message(self, chat: int, text: str, **more: Any) -> Update:
        """A customer writes (without ``text``: what ``more`` holds)."""
        return self.add(
            {
                "message": {
                    "message_id": next(self.message_ids),
                    "date": int(time.time()),
                    "chat": {"id": chat, "type": "private", "first_name": f"Customer {chat}"},
                    "from": {
                        "id": chat,
                        "is_bot": False,
                        "first_name": f"Customer {chat}",
                        "language_code": "uz",
                    },
                    **({"text": text} if text else {}),
                    **more,
                }
            }
        )

    def confirm(self, offset: int) -> None:
        """Forgets what is older than ``offset``."""
        while self.updates and self.updates[0]["update_id"] < offset:
            self.updates.popleft()
            self.confirmed += 1

    def fault(self, method: str, chat: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.meets(method, chat)), None)

    def duplicates(self) -> int:
        """How many messages reached a customer a second time (same chat, same text)."""
        seen = [(message.chat, message.text) for message in self.sent if message.method.startswith("send")]
        return len(seen) - len(set(seen))

    def picture(self) -> dict[str, Any]:
        return {
            "pending": len(self.updates),
            "confirmed": self.confirmed,
            "webhook": self.webhook.url if self.webhook else "",
            "duplicates": self.duplicates(),
            "sent": [asdict(message) for message in self.sent],
        }
