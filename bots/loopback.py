"""The loopback channel: customers are whoever posts JSON here. For the demo, benchmarks and tests.

``POST /hooks/loopback/<name>`` with ``Authorization: Bearer <secret>`` and one item or a list of
them. Every item names its ``chat`` and an ``id`` that is unique in it; what else it holds says what
happened:

    text, media, reply_to, reply_text, album     the customer wrote
    edits (message id) + text                    he changed a message
    deletes (list of message ids)                he deleted messages
    reacts (message id) + emoji (list)           all his reactions to a message
    presses (message id) + data                  he pressed a button
    delivered | read (our external id)           a receipt
    reachable (true | false)                     he let us in, or blocked us

What is delivered goes to every queue of ``watch()`` and, with ``sent_to``, as a line of JSON into
a file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TextIO

import msgspec
from aiohttp import web

from bots.base import Can, Channel, ChannelSettings, Inbox, OutFile, Secret, Sent
from bots.hooks import keep, read_body, same_secret
from crm.kernel.records import Button, Media
from router.desk.events import (
    Author,
    ButtonPressed,
    ChatReachable,
    Delivered,
    Event,
    MessageDeleted,
    MessageEdited,
    MessageRead,
    MessageReceived,
    Reacted,
)
from router.desk.state import Delivery

WATCHED = 10_000
"""Deliveries that a watcher may leave unread before it loses the oldest."""


class LoopbackSettings(ChannelSettings, kw_only=True):
    """``secret`` guards the way in; ``sent_to`` is a file that gets every delivery as JSON."""

    secret: Secret
    sent_to: str = ""

    def __post_init__(self) -> None:
        if not self.secret:
            raise ValueError("secret must not be empty")


class Item(msgspec.Struct, kw_only=True):
    """One thing that a customer did."""

    chat: str
    id: str
    author: Author = msgspec.field(default_factory=Author)
    text: str = ""
    media: list[Media] = []
    reply_to: str = ""
    reply_text: str = ""
    album: str = ""
    at: int = 0
    edits: str = ""
    deletes: list[str] = []
    reacts: str = ""
    emoji: list[str] = []
    presses: str = ""
    data: str = ""
    delivered: str = ""
    read: str = ""
    reachable: bool | None = None


class SentItem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One delivery as it arrived. ``at`` in ms."""

    at: int
    id: str
    chat: str
    action: str
    message: str
    external_id: str
    text: str = ""
    reply_to: str = ""
    media: list[Media] = []
    buttons: list[Button] = []


_decoder = msgspec.json.Decoder(Item)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class Loopback(Channel):
    """The channel; see the module."""

    kind = "loopback"
    can: ClassVar[Can] = (
        Can.TEXT
        | Can.PHOTO
        | Can.FILE
        | Can.BUTTONS
        | Can.QUOTE
        | Can.EDIT
        | Can.DELETE
        | Can.TYPING
        | Can.RECEIPTS
        | Can.REACTIONS
    )
    Settings = LoopbackSettings
    per_chat_rate = (1e6, 1_000_000)
    rate = (1e6, 1_000_000)

    def __init__(self, name: str, settings: LoopbackSettings) -> None:
        super().__init__(name, settings)
        self._secret = settings.secret
        self._sent_to = settings.sent_to
        self._file: TextIO | None = None
        self._watchers: list[asyncio.Queue[SentItem]] = []
        self.typed: dict[str, int] = {}
        """Chat -> when an operator was last seen typing there (ms)."""

    async def open(self) -> None:
        """Opens the file of deliveries."""
        if self._sent_to:
            self._file = Path(self._sent_to).open("a", encoding="utf-8")  # noqa: SIM115, ASYNC230

    async def close(self) -> None:
        """Closes it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def watch(self) -> asyncio.Queue[SentItem]:
        """A queue that gets every delivery of this process from now on."""
        queue: asyncio.Queue[SentItem] = asyncio.Queue(WATCHED)
        self._watchers.append(queue)
        return queue

    def routes(self, inbox: Inbox) -> Sequence[web.RouteDef]:
        """The one web hook."""
        expected = f"Bearer {self._secret}"

        async def hook(request: web.Request) -> web.Response:
            if not same_secret(request.headers.get("Authorization"), expected):
                return web.Response(status=401)
            body = await read_body(request)
            if not body.lstrip().startswith(b"["):
                return await keep(inbox, body)
            try:
                items = _raws.decode(body)
            except msgspec.DecodeError:
                return web.Response(status=400, text="not a list of items")
            return await keep(inbox, *(bytes(item) for item in items))

        return [web.post(f"/hooks/loopback/{self.name}", hook)]

    def parse(self, body: bytes) -> list[Event]:
        """One item, one event."""
        item = _decoder.decode(body)
        event = _receipt(self.name, item) or _change(self.name, item) or _message(self.name, item)
        event.event_id = f"{self.name}:{item.chat}:{item.id}"
        return [event]

    async def send(self, delivery: Delivery, files: Sequence[tuple[Media, OutFile]]) -> Sent:
        """Hands the delivery to whoever watches. The external id is made of our message id."""
        external_id = delivery.external_id or f"lb-{delivery.message}"
        item = SentItem(
            at=time.time_ns() // 1_000_000,
            id=delivery.id,
            chat=delivery.chat,
            action=delivery.action,
            message=delivery.message,
            external_id=external_id,
            text=delivery.text,
            reply_to=delivery.reply_to,
            media=[msgspec.structs.replace(media, size=file.size) for media, file in files],
            buttons=delivery.buttons,
        )
        if self._file is not None:
            self._file.write(msgspec.json.encode(item).decode() + "\n")
            self._file.flush()
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(item)
        return Sent(external_ids=[external_id])

    async def typing(self, chat: str) -> None:
        """Remembers it in ``typed``."""
        self.typed[chat] = time.time_ns() // 1_000_000


def _receipt(channel: str, item: Item) -> Event | None:
    if item.delivered:
        message = item.delivered.removeprefix("lb-")
        return Delivered(
            chat=f"{channel}:{item.chat}",
            session=message.partition("-")[0],
            message=message,
            state="delivered",
            external_id=item.delivered,
        )
    return None


def _change(channel: str, item: Item) -> Event | None:
    chat = item.chat
    if item.read:
        return MessageRead(channel=channel, chat=chat, message_id=item.read)
    if item.edits:
        return MessageEdited(
            channel=channel, chat=chat, message_id=item.edits, text=item.text, edited_at=item.at
        )
    if item.deletes:
        return MessageDeleted(channel=channel, chat=chat, message_ids=item.deletes)
    if item.reacts:
        return Reacted(
            channel=channel,
            chat=chat,
            message_id=item.reacts,
            author=item.author.id or chat,
            emoji=item.emoji,
        )
    if item.presses:
        return ButtonPressed(
            channel=channel,
            chat=chat,
            message_id=item.presses,
            author=item.author,
            data=item.data,
            text=item.text,
        )
    if item.reachable is not None:
        return ChatReachable(channel=channel, chat=chat, can_write=item.reachable, author=item.author)
    return None


def _message(channel: str, item: Item) -> Event:
    return MessageReceived(
        channel=channel,
        chat=item.chat,
        message_id=item.id,
        author=item.author,
        kind=item.media[0].kind if item.media else "text",
        text=item.text,
        media=item.media,
        reply_to=item.reply_to,
        reply_text=item.reply_text,
        album=item.album,
        sent_at=item.at,
    )
