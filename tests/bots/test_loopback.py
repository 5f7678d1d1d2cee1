"""The loopback channel: JSON in, deliveries out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bots.base import Secret
from bots.loopback import Loopback, LoopbackSettings, SentItem
from crm.kernel.errors import Unavailable
from crm.kernel.records import Media
from router.desk.events import (
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
from router.intake.understanding import understand
from tests.bots.conftest import Bytes, delivery


class Kept:
    """An inbox in memory."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.away = False

    async def put(self, *bodies: bytes) -> None:
        if self.away:
            raise Unavailable("no Redis")
        self.bodies += bodies


@pytest.fixture
def channel(tmp_path: Path) -> Loopback:
    settings = LoopbackSettings(
        kind="loopback", line="sales", secret=Secret("s3cret"), sent_to=str(tmp_path / "sent.jsonl")
    )
    return Loopback("demo", settings)


@pytest.fixture
def inbox() -> Kept:
    return Kept()


@pytest.fixture
async def client(channel: Loopback, inbox: Kept) -> AsyncIterator[TestClient[Any, Any]]:
    app = web.Application()
    app.add_routes(channel.routes(inbox))
    async with TestClient(TestServer(app)) as client:
        yield client


HOOK = "/hooks/loopback/demo"
SECRET = {"Authorization": "Bearer s3cret"}


async def test_one_item_or_many_are_kept_before_the_answer(client: TestClient[Any, Any], inbox: Kept) -> None:
    items = [{"chat": "c1", "id": str(n), "text": f"text {n}"} for n in range(3)]
    for body in (items[0], items[1:]):
        async with client.post(HOOK, json=body, headers=SECRET) as response:
            assert response.status == 200
    assert [msgspec.json.decode(body) for body in inbox.bodies] == items


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "s3cret"}])
async def test_without_the_secret_nothing_is_kept(
    client: TestClient[Any, Any], inbox: Kept, headers: dict[str, str]
) -> None:
    async with client.post(HOOK, json={"chat": "c1", "id": "1"}, headers=headers) as response:
        assert response.status == 401
    assert inbox.bodies == []


async def test_without_redis_the_sender_must_come_again(client: TestClient[Any, Any], inbox: Kept) -> None:
    inbox.away = True
    async with client.post(HOOK, json={"chat": "c1", "id": "1"}, headers=SECRET) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="secret"):
        LoopbackSettings(kind="loopback", line="sales", secret=Secret(""))


@pytest.mark.parametrize(
    ("item", "event"),
    [
        ({"text": "hi", "author": {"name": "Ali", "language": "uz"}}, MessageReceived),
        ({"media": [{"kind": "location", "latitude": 1.5}]}, MessageReceived),
        ({"edits": "4", "text": "ho"}, MessageEdited),
        ({"deletes": ["4"]}, MessageDeleted),
        ({"reacts": "4", "emoji": ["👍"]}, Reacted),
        ({"presses": "4", "data": "yes"}, ButtonPressed),
        ({"read": "lb-7-3"}, MessageRead),
        ({"delivered": "lb-7-3"}, Delivered),
        ({"reachable": False}, ChatReachable),
    ],
)
def test_each_item_is_its_event(channel: Loopback, item: dict[str, Any], event: type[Event]) -> None:
    [found] = understand(channel, msgspec.json.encode({"chat": "c1", "id": "9", **item}))
    assert type(found) is event
    assert found.event_id == "demo:c1:9"
    if isinstance(found, Delivered):
        assert (found.chat, found.session, found.message, found.state) == ("demo:c1", "7", "7-3", "delivered")
    if isinstance(found, MessageReceived) and found.media:
        assert found.kind == "location"


async def test_deliveries_reach_those_who_watch_and_the_file(channel: Loopback, tmp_path: Path) -> None:
    await channel.open()
    queue = channel.watch()
    photo = Media(kind="photo", key="k", mime="image/jpeg")
    sent = await channel.send(delivery("d1", "c1", message="7-3"), [(photo, Bytes(b"xyz"))])
    await channel.send(delivery("d2", "c1", action="edit", external_id="lb-7-3"), ())
    await channel.close()
    assert sent.external_ids == ["lb-7-3"]
    first, second = queue.get_nowait(), queue.get_nowait()
    assert (first.text, first.external_id, first.media[0].size) == ("text d1", "lb-7-3", 3)
    assert (second.action, second.external_id) == ("edit", "lb-7-3")
    lines = (tmp_path / "sent.jsonl").read_text().splitlines()
    assert [msgspec.json.decode(line, type=SentItem) for line in lines] == [first, second]
