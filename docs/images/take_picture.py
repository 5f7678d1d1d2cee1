"""Takes the picture of the console that the README shows: `python docs/images/take_picture.py`.

A real desk, a real console, five scripted customers; written to docs/images/console.svg.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from textual.events import Paste
from textual.pilot import Pilot

from bots.loopback import Item, SentItem
from console.app import Console
from console.link import Credentials
from console.settings import Preferences, Shelf
from crm.kernel.records import Media
from navbat.lab.demo.house import CHANNELS, HUMAN, House
from navbat.lab.demo.operators import DemoOperator
from navbat.lab.demo.street import Street
from router.desk.events import Author

TARGET = Path(__file__).with_name("console.svg")
SIZE = (124, 30)


class Scene:
    """The customers and the console's keys, one step after the other."""

    def __init__(self, street: Street, pilot: Pilot[int]) -> None:
        self._street = street
        self._pilot = pilot
        self._ids = itertools.count(1)
        self.delivered: list[SentItem] = []
        street.hear(self.delivered.append)

    async def write(self, channel: str, chat: str, name: str, **what: Any) -> None:
        item = Item(chat=chat, id=f"m{next(self._ids)}", author=Author(id=chat, name=name), **what)
        await self._street.write(channel, item)

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def say(self, text: str) -> None:
        """Pastes a reply (not every letter is a key), sends it, and lets the customer read it."""
        before = len(self.delivered)
        self._pilot.app.post_message(Paste(text))
        await self.until(lambda: self.sees(text[:20]))
        await self.press("enter")
        await self.until(lambda: len(self.delivered) > before)
        item = self.delivered[-1]
        await self.write("shop", item.chat, "", read=item.external_id)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self._pilot.pause(0.05)

    def sees(self, text: str) -> bool:
        """Whether the screen shows it."""
        strips = self._pilot.app.screen._compositor.render_strips()
        return any(text in "".join(segment.text for segment in strip) for strip in strips)


async def play(scene: Scene) -> None:
    """A minute of an operator's life."""
    await scene.write("shop", "c1", "Ali Karimov", text="Assalomu alaykum, narxi qancha?")
    await scene.until(lambda: scene.sees("Ali Karimov"))
    await scene.press("t")
    await scene.until(lambda: scene.sees("took the conversation"))
    await scene.say("Va alaykum assalom! Qaysi model?")
    photo = Media(kind="photo", name="photo.png", mime="image/png", size=217_088, width=1280, height=960)
    await scene.write("shop", "c1", "Ali Karimov", text="shunisi", media=[photo])
    await scene.until(lambda: scene.sees("shunisi"))
    await scene.press("ctrl+n")
    await scene.press(*"second time here, asked about irons in May", "enter", "ctrl+n")
    await scene.until(lambda: scene.sees("second time here"))
    await scene.say("Bug‘li modeli, 480 000 so‘m. Oqidan ikkita qoldi.")
    liked = scene.delivered[-1].external_id
    await scene.write("shop", "c1", "Ali Karimov", reacts=liked, emoji=["👍"])
    await scene.write("shop", "c1", "Ali Karimov", text="oqini olaman, Chilonzorga yetkazasizlarmi?")
    await scene.write("help", "c2", "Ольга Петрова", text="Третий день жду мастера, никто не едет")
    await scene.write("help", "c3", "Emma Clarke", text="Hi, my order 20418 arrived today")
    await scene.write("shop", "c4", "Malika Yusupova", text="bo‘lib to‘lashga ham beriladimi?")
    await scene.write("shop", "c5", "James Porter", text="Do you have the AX-200 in stock?")
    await scene.write("help", "c6", "Марина Ким", text="Добрый вечер, можно записаться на субботу?")
    await scene.until(lambda: scene.sees("WAITING") and scene.sees("Марина"))
    await scene.press(*"Albatta, bugun kechgacha")


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="navbat-picture-") as name:
        folder = Path(name)
        shelf = Shelf(folder)
        shelf.save(Preferences(language="en"))
        async with House(folder, limit=2) as house:
            street = Street(house.url, house.secret, [house.sent(channel) for channel in CHANNELS])
            await street.open()
            listening = asyncio.create_task(street.listen())
            me = DemoOperator(house.url, HUMAN, house.tokens[HUMAN])
            working = asyncio.create_task(me.run())
            await me.on_duty()
            app = Console(
                house.url, Credentials(token=house.tokens[HUMAN]), shelf=shelf, zone=ZoneInfo("Asia/Tashkent")
            )
            async with app.run_test(size=SIZE) as pilot:
                await play(Scene(street, pilot))
                TARGET.write_text(app.export_screenshot(title="navbat console"), encoding="utf-8")
            for task in (listening, working):
                task.cancel()
            await street.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
