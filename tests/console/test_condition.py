"""The bar says what does not work, and how much waits because of it."""

from __future__ import annotations

import pytest

from console.condition import Condition
from console.text.words import Words
from router.wire import protocol as wire
from tests.console.conftest import seated
from tests.fakes.gateway import NOW, FakeGateway

FULL = wire.Pong(
    now=NOW, down=["redis"], troubles={"redis": "redis_memory"}, waits={"in": 12, "out": 3, "newer": 1}
)


async def test_the_bar_names_the_trouble_and_what_waits(gateway: FakeGateway) -> None:
    gateway.heartbeat = 0.02
    gateway.pong = FULL
    async with seated(gateway, size=(180, 36)) as seat:
        await seat.until(lambda: "Redis takes no writes: its memory is full" in seat.text())
        bar = seat.text().splitlines()[0]
        assert "12 wait to be read · 3 wait to be sent" in bar
        gateway.pong = wire.Pong(now=NOW)
        await seat.until(lambda: "Redis" not in seat.text())


async def test_a_narrow_bar_keeps_the_trouble(gateway: FakeGateway) -> None:
    gateway.heartbeat = 0.02
    gateway.pong = FULL
    async with seated(gateway, size=(80, 24)) as seat:
        await seat.until(lambda: "Redis takes no writes" in seat.text().splitlines()[0])


@pytest.mark.parametrize("language", ["en", "ru", "uz"])
def test_what_a_newer_desk_names_is_named(language: str) -> None:
    words = Words(language)
    told = Condition.told(
        wire.Pong(
            down=["redis", "shop\x1b[2J", "router"],
            troubles={"redis": "redis_away", "router": "newer_than_we"},
        )
    )
    assert told.trouble(words) == f"{words('trouble.redis_away')}, shop, router"
    assert Condition().trouble(words) == ""
