"""Somebody who types at the shipped console without looking, and somebody who takes away what he types into."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from crm.kernel.errors import Unavailable
from router.wire import protocol as wire
from tests.crash.console import Console
from tests.terminal.terminal import Terminal

TITLE = re.compile(r"[ ▸](\w+) · Loopback · ")
WORDS = "tashakkur|narxi|next|take|skip|close|xato|nnn|ttt|pul|instant|12 /?".split("|")  # noqa: SIM905
KEYS = (
    *(b"\r", b"t", b"n", b"\x1b[B") * 6, *(b"\x1b[A", b"\x1b") * 2, b"j", b"k", b"s", b"c", b"u", b"i", b"w", b"p",
    b"z", b"b", b"x", b"?", b"m", b"q", b"r", b"T", b"J", b"\t", b"[", b"]", b"v",
)  # fmt: skip
"""What is pressed where nothing is written; not what ends the shift or changes the language."""
REPLY = re.compile(r"├[ ▸]reply ")
STRAY = re.compile(r"\d*[a-zA-Z?\]]{0,4}")
TAG = re.compile(r"\[to:(\w+)#(\d+)\]")


def numbers_for(name: str, text: str) -> list[int] | None:
    """The numbers of the texts that a message is made of, if all of it was written for ``name``; of a text
    at which the lock fell early there may be only the beginning. None when anything else is in it; but for
    single keys, pressed when a busy machine had not yet shown what the key before them had opened."""
    numbers, own = [], f"to:{name}#"
    first, *parts = text.split("[")
    for part in parts:
        tag = TAG.match("[" + part)
        begun = next(own[:n] for n in range(len(own), -1, -1) if part.startswith(own[:n]))
        if tag is not None and tag[1] == name:
            numbers.append(int(tag[2]))
        elif not STRAY.fullmatch(part[len(begun) :]):
            return None
    return numbers if STRAY.fullmatch(first) else None


@dataclass
class Typist:
    """Types at one console. Before each text he reads for whom it will be; then he types it to the end,
    whatever happens on the screen meanwhile."""

    terminal: Terminal
    chance: random.Random
    numbers: list[int]
    """The last number given to a text, shared by all."""
    writes_to: str = ""
    typed: dict[int, str] = field(default_factory=dict)
    """Number -> for whom, of the texts to the customer that were ended by Enter."""
    locked: int = 0
    """How often a composer was found locked."""

    async def work(self) -> None:
        while True:
            screen = await self.look()
            if "▸✗ " in screen:
                self.locked += 1
                await self.leave()
            elif "Esc: back" in screen:
                await self.answer()
            elif "⏎ send" in screen and REPLY.search(screen) and (title := TITLE.search(screen)):
                await self.write(title[1])
            elif "⏎ send" in screen:  # a note, a whisper, a correction
                await self.press(self.chance.choice([b"shy", b"\x1b", b"\x1b", b"\x0e"]))
            else:
                await self.press(self.chance.choice(KEYS))

    async def look(self) -> str:
        """The screen, once it has stood still for a moment."""
        before = ""
        while (now := self.terminal.text()) != before:
            before = now
            await asyncio.sleep(0.08)
        return now

    async def press(self, key: bytes) -> None:
        before = len(self.terminal.sent)
        self.terminal.send(key)
        await self.sees(lambda: len(self.terminal.sent) > before)  # the console lives: it paints every second
        await asyncio.sleep(0.05)

    async def leave(self) -> None:
        """Escape, until it is seen: a terminal waits whether more follows it."""
        self.terminal.send(b"\x1b")
        await self.sees(lambda: "⏎ send" not in self.terminal.text())

    async def sees(self, true: Callable[[], bool]) -> bool:
        """Whether it comes to be so within two seconds."""
        for _ in range(100):
            if true():
                return True
            await asyncio.sleep(0.02)
        return False

    async def answer(self) -> None:
        """Something into whatever small window is open; more often than not he leaves it."""
        if self.chance.random() < 0.4:
            await self.press(self.chance.choice([b"1", b"2", b"bek", b"anna", b"why not"]))
            await self.press(b"\r")
        await self.press(b"\x1b")

    async def write(self, name: str) -> None:
        """A text for who is in the title now."""
        before = self.terminal.text().count("[")
        self.terminal.send(b"[")
        if not await self.sees(lambda: self.terminal.text().count("[") > before):
            return  # he looks whether his first letter is there, and no more
        self.numbers[0] += 1
        number, chance = self.numbers[0], self.chance
        words = " ".join(chance.choice(WORDS) for _ in range(chance.randint(2, 6)))
        text = f"to:{name}#{number}] {words}"
        self.writes_to = name
        ends = chance.random() < 0.85
        if ends:
            self.typed[number] = name
        if chance.random() < 0.3:
            self.terminal.send(text.encode() + (b"\r" if ends else b""))  # all in one read
        else:
            for letter in text:
                self.terminal.send(letter.encode())
                pause = chance.random()
                await asyncio.sleep(0.003 if pause < 0.97 else chance.uniform(0.3, 2.5))
            if ends:
                await self.press(b"\r")
        await asyncio.sleep(0.1)
        self.writes_to = ""
        if not ends or chance.random() < 0.3:
            await self.leave()


async def meddle(boss: Console, typists: list[Typist], chance: random.Random) -> None:
    """A supervisor who does something to what is being written into, again and again."""
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        await boss.online.wait()
        try:
            answer = await boss.ask(wire.GetSessions(rid=0))
        except (TimeoutError, Unavailable):
            continue  # what was asked of a gateway that died is not answered
        if not isinstance(answer, wire.SessionList):
            continue
        live = [view for view in answer.sessions if view.status not in ("closed", "spam")]
        wanted = {typist.writes_to for typist in typists}
        aimed = [view for view in live if view.name in wanted]
        mine = [view for view in live if view.holder == "boss"]
        deeds: tuple[type[wire.TakeOver | wire.Return | wire.Close], ...]
        if mine and (len(mine) > 1 or not aimed):
            session, deeds = chance.choice(mine).id, (wire.Return, wire.Close)
        elif aimed and chance.random() < 0.5:
            session, deeds = chance.choice(aimed).id, (wire.TakeOver, wire.Return, wire.Close)
        else:
            continue
        id = f"boss-{chance.getrandbits(64)}"
        if chance.random() < 0.4:
            to = chance.choice(["anna", "bek"])
            boss.command(wire.Transfer(rid=0, id=id, session=session, to=to))
        else:
            boss.command(chance.choice(deeds)(rid=0, id=id, session=session))
