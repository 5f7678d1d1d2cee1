"""The demo's everyday life: customers come, wait, answer and go; two colleagues serve them."""

from __future__ import annotations

import asyncio
import itertools
import random
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from bots.loopback import Item, SentItem
from crm.kernel.errors import NavbatError
from crm.kernel.records import Media
from navbat.lab.demo.conversations import (
    LEAVE,
    NAMES,
    NUDGE,
    STORIES,
    Correct,
    CustomerAct,
    Photo,
    React,
    Story,
    Text,
)
from navbat.lab.demo.house import CHANNELS, COLLEAGUES, HUMAN, House
from navbat.lab.demo.operators import Colleague, DemoOperator
from navbat.lab.demo.past import PEOPLE
from navbat.lab.demo.street import Street
from router.desk.events import Author
from storage.media import MediaStore

ARRIVES = (2.5, 5.0)
"""Seconds between two new customers."""
FIRST = 4
"""Customers who are already there when the console opens."""
MOST = 14
"""Customers at a time: more would only be a longer queue."""
PATIENCE = (45.0, 75.0)
"""Seconds until a customer who gets no answer asks again, and after as long once more leaves."""


class DemoCustomer:
    """One person with one story."""

    def __init__(
        self, street: Street, number: int, name: str, story: Story, picture: Media, chat: str = ""
    ) -> None:
        """``chat``: where he has written before; empty for somebody new."""
        self.chat = chat or f"c{number}"
        self.name = name
        self._street = street
        self._story = story
        self._picture = picture
        self._author = Author(id=self.chat, name=name, language=story.language)
        self._visit = number
        self._ids = itertools.count(1)
        self._last = ""
        self._answer = asyncio.Event()
        self._answered_by = ""

    async def live(self) -> None:
        """The whole conversation; somebody who is left waiting leaves."""
        for turn in self._story.turns:
            self._answer.clear()
            for act in turn.acts:
                await self._do(act)
            if turn.answer and not await self._served():
                return

    async def _served(self) -> bool:
        """Waits for an answer and reads it; False when he has lost patience."""
        language = self._story.language
        for word in (NUDGE[language], LEAVE[language]):
            try:
                async with asyncio.timeout(random.uniform(*PATIENCE)):
                    await self._answer.wait()
            except TimeoutError:
                await self._write(text=word)
                continue
            await asyncio.sleep(random.uniform(0.8, 2.5))
            await self._write("r", read=self._answered_by)
            return True
        return False

    async def _do(self, act: CustomerAct) -> None:
        match act:
            case Text(text):
                await asyncio.sleep(_typing(text))
                self._last = await self._write(text=text)
            case Photo(caption):
                await asyncio.sleep(_typing(caption))
                self._last = await self._write(text=caption, media=[self._picture])
            case Correct(text):
                await asyncio.sleep(1.5)
                await self._write("e", edits=self._last, text=text)
            case React(emoji):
                if self._answered_by:
                    await asyncio.sleep(0.7)
                    await self._write("x", reacts=self._answered_by, emoji=[emoji])

    async def _write(self, kind: str = "m", **what: Any) -> str:
        id = f"{kind}{self._visit}.{next(self._ids)}"
        item = Item(chat=self.chat, id=id, author=self._author, **what)
        await self._street.write(self._story.channel, item)
        return id

    async def hear(self, item: SentItem) -> None:
        """Something was delivered to him; only a new message is an answer."""
        await self._write("d", delivered=item.external_id)
        if item.action == "send":
            self._answered_by = item.external_id
            self._answer.set()


class Town:
    """All customers."""

    def __init__(self, street: Street, picture: Media) -> None:
        self._street = street
        self._picture = picture
        self._here: dict[str, DemoCustomer] = {}
        self._room = asyncio.Semaphore(MOST)
        self._letters: asyncio.Queue[SentItem] = asyncio.Queue()
        street.hear(self._letters.put_nowait)

    async def run(self) -> None:
        """New customers for ever, in every language and to every line in turn."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._post(), name="demo-post")
            stories = _shuffled()
            for number in itertools.count(1):
                await self._room.acquire()
                story = next(stories)
                customer = self._comer(number, story)
                self._here[customer.chat] = customer
                group.create_task(self._visit(customer), name=f"demo-{customer.chat}")
                await asyncio.sleep(0.3 if number < FIRST else random.uniform(*ARRIVES))

    def _comer(self, number: int, story: Story) -> DemoCustomer:
        """Every second is somebody who has written before, if one is at hand."""
        known = [
            person for person in PEOPLE
            if (person.language, person.channel) == (story.language, story.channel)
            and person.chat not in self._here
        ] if number % 2 else []  # fmt: skip
        if not known:
            return DemoCustomer(self._street, number, self._name(story), story, self._picture)
        person = random.choice(known)
        return DemoCustomer(self._street, number, person.name, story, self._picture, person.chat)

    def _name(self, story: Story) -> str:
        """One that nobody has who is here now or has been here before, if there is one."""
        taken = {customer.name for customer in self._here.values()} | {person.name for person in PEOPLE}
        names = NAMES[story.language]
        return random.choice([name for name in names if name not in taken] or names)

    async def _visit(self, customer: DemoCustomer) -> None:
        await customer.live()
        del self._here[customer.chat]
        self._room.release()

    async def _post(self) -> None:
        while True:
            item = await self._letters.get()
            customer = self._here.get(item.chat)
            if customer is not None:
                await customer.hear(item)


async def live(house: House) -> None:
    """Runs until cancelled. Raises ``NavbatError`` when the desk has ended."""
    street = Street(house.url, house.secret, [house.sent(channel) for channel in CHANNELS])
    await street.open()
    try:
        town = Town(street, await _keep_picture(house))
        people: list[DemoOperator] = [Colleague(house.url, name, house.tokens[name]) for name in COLLEAGUES]
        # The person at the console finds himself on duty, with offers waiting.
        people.append(DemoOperator(house.url, HUMAN, house.tokens[HUMAN]))
        work = [house.ended(), *(asyncio.create_task(p.run(), name=f"demo-{p.name}") for p in people)]
        work += [asyncio.create_task(part, name="demo-town") for part in (street.listen(), town.run())]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise NavbatError("the demo's desk has ended")
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
    finally:
        await street.close()


def _shuffled() -> Iterator[Story]:
    """All stories for ever, each round in another order."""
    while True:
        yield from random.sample(STORIES, len(STORIES))


def _typing(text: str) -> float:
    """Seconds somebody takes to write a text on a telephone, told a little faster."""
    return min(4.0, 0.6 + len(text) * 0.05) * random.uniform(0.7, 1.3)


async def _keep_picture(house: House) -> Media:
    """A picture in the desk's media store, as if it had been fetched from a channel."""
    width, height = 320, 240
    data = png(width, height)

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    key = await MediaStore(house.data / "media").put(chunks(), "photo.png", "image/png")
    return Media(
        kind="photo", key=key, name="photo.png", mime="image/png", size=len(data), width=width, height=height
    )


def png(width: int, height: int) -> bytes:
    """A picture: a light disc on a slope of colours."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
            rows += bytes((235, 225, 210) if inside else (60 + 120 * x // width, 90, 90 + 120 * y // height))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(rows)))
        + chunk(b"IEND", b"")
    )
