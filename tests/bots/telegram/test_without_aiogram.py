"""Nobody pays for sending who only receives: aiogram costs 125 MiB and seconds."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bots.base import Secret, TryLater
from bots.telegram.channel import Telegram, TelegramSettings
from tests.bots.conftest import TOKEN, delivery
from tests.fakes.telegram import FakeTelegram

RECEIVING = """
import asyncio, sys
from bots.base import Secret
from bots.telegram.channel import Telegram, TelegramSettings
from crm.kernel.records import Media
from tests.bots.conftest import delivery
from tests.conftest import until
from tests.fakes.telegram import FakeTelegram

def heavy():
    return sorted({"aiogram", "pydantic", "bots.telegram.client"} & sys.modules.keys())

class Inbox:
    bodies = []
    async def put(self, *bodies):
        self.bodies += bodies

async def main():
    fake = FakeTelegram()
    await fake.start()
    bot = fake.bot("42:abc")
    bot.files["f1"] = b"voice"
    bot.message(7, "hello", voice={"file_id": "f1", "file_unique_id": "u", "duration": 1})
    settings = TelegramSettings(kind="telegram", line="sales", token=Secret("42:abc"), api_url=fake.url)
    channel = Telegram("shop", settings)
    await channel.open()
    running = asyncio.create_task(channel.run(Inbox()))
    await until(lambda: not bot.updates)
    running.cancel()
    [event] = channel.parse(Inbox.bodies[0])
    fetched = b"".join([chunk async for chunk in channel.fetch(event.media[0])])
    print(await channel.who_am_i(), event.text, fetched, heavy())
    await channel.send(delivery("d1", "7"), ())
    print(len(bot.sent), heavy())
    await channel.close()
    await fake.stop()

asyncio.run(main())
"""


def test_receiving_loads_nothing_of_aiogram_and_sending_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RECEIVING],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    received, sent = done.stdout.splitlines()
    assert received == "@fake_bot (42) hello b'voice' []"
    assert sent == "1 ['aiogram', 'bots.telegram.client', 'pydantic']"


@pytest.mark.parametrize("broken", [ImportError, AttributeError, SystemError, SyntaxError, OSError])
async def test_what_cannot_be_sent_for_want_of_aiogram_is_sent_later(
    fake: FakeTelegram, monkeypatch: pytest.MonkeyPatch, broken: type[Exception]
) -> None:
    def gone(name: str) -> Any:
        raise broken(name)

    settings = TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN), api_url=fake.url)
    channel = Telegram("shop", settings)
    await channel.open()
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", gone)
        with pytest.raises(TryLater) as caught:
            await channel.send(delivery("d1", "7"), ())
    assert caught.value.whole_channel
    assert channel.trouble == f"aiogram cannot be loaded: {broken.__name__}"
    await channel.send(delivery("d1", "7"), ())
    assert not channel.trouble
    await channel.close()
