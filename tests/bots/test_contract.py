"""What every channel must hold, run on each built-in kind: it does what it declares."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bots import registry
from bots.base import Can, Channel, Rejected, Secret, Sent
from bots.loopback import LoopbackSettings
from bots.telegram.channel import TelegramSettings
from crm.kernel.records import Button, Media
from router.desk.events import MessageReceived
from router.intake.understanding import understand
from tests.bots.conftest import TOKEN, Bytes, delivery
from tests.fakes.telegram import FakeTelegram

CORPUS = Path(__file__).parent.parent / "data"

KINDS = ["loopback", "telegram"]

TEXTS: dict[str, bytes] = {
    "loopback": json.dumps({"chat": "7", "id": "1", "text": "hi"}).encode(),
    "telegram": (CORPUS / "telegram" / "text.json").read_bytes(),
}


def test_every_built_in_kind_is_held_to_this() -> None:
    assert sorted(entry.name for entry in registry.BUILT_IN) == KINDS


@pytest.fixture(params=KINDS)
async def channel(request: pytest.FixtureRequest, fake: FakeTelegram) -> AsyncIterator[Channel]:
    settings: dict[str, Any] = {
        "loopback": LoopbackSettings(kind="loopback", line="sales", secret=Secret("s")),
        "telegram": TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN), api_url=fake.url),
    }
    channel = registry.channel_type(request.param)(request.param, settings[request.param])
    await channel.open()
    yield channel
    await channel.close()


async def sent(channel: Channel, **more: Any) -> Sent:
    files = more.pop("files", ())
    return await channel.send(delivery("d1", "7", channel.name, **more), files)


async def test_it_names_its_kind_and_settings(channel: Channel) -> None:
    assert channel.kind == channel.name
    assert isinstance(channel.settings, channel.Settings)
    assert Can.TEXT in channel.can


async def test_parsing_is_repeatable_and_keyed(channel: Channel) -> None:
    first, again = (understand(channel, TEXTS[channel.kind]) for _ in range(2))
    assert first == again
    [event] = first
    assert isinstance(event, MessageReceived)
    assert event.channel == channel.name
    assert event.event_id.startswith(f"{channel.name}:")
    assert event.message_id


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b"\xff", b'{"update_id": "x"}'])
async def test_no_body_is_refused(channel: Channel, body: bytes) -> None:
    [event] = understand(channel, body)
    assert isinstance(event, MessageReceived)
    assert (event.kind, event.raw) == ("unsupported", body)


async def test_text_of_any_length_and_script(channel: Channel) -> None:
    for text in ("hi", "Нархи қанча?", "👨‍👩‍👧" * 100, "line\n" * 3000, "<b>_*[](`"):
        assert (await sent(channel, text=text)).external_ids


async def test_what_it_declares(channel: Channel) -> None:
    can = channel.can
    photo = (Media(kind="photo", mime="image/png", key="k", name="a.png"), Bytes(b"x" * 100))
    if Can.PHOTO in can:
        assert (await sent(channel, text="", files=[photo])).external_ids
    if Can.FILE in can:
        file = (Media(kind="document", mime="text/plain", key="k", name="a.txt"), Bytes(b"x"))
        assert (await sent(channel, text="see", files=[file])).external_ids
    if Can.BUTTONS in can:
        assert (await sent(channel, buttons=[Button(text="Ha", data="y")])).external_ids
    if Can.QUOTE in can:
        assert (await sent(channel, reply_to="1")).external_ids
    if Can.EDIT in can:
        id = " ".join((await sent(channel)).external_ids)
        assert (await sent(channel, action="edit", external_id=id, text="new")).external_ids == [id]
    if Can.DELETE in can:
        id = " ".join((await sent(channel)).external_ids)
        await sent(channel, action="delete", external_id=id, text="")
    if Can.TYPING in can:
        await channel.typing("7")


async def test_fetching_what_is_not_there_is_rejected(channel: Channel) -> None:
    with pytest.raises(Rejected):
        async for _ in channel.fetch(Media(kind="document", ref="nothing")):
            pass


async def test_many_sends_at_once(channel: Channel) -> None:
    all_sent = await asyncio.gather(
        *(channel.send(delivery(f"d{n}", str(n), channel.name), ()) for n in range(50))
    )
    assert len({id for one in all_sent for id in one.external_ids}) == 50


async def test_its_secrets_do_not_print(channel: Channel) -> None:
    assert TOKEN not in repr(channel.settings)
    assert "secret='s'" not in repr(channel.settings)
