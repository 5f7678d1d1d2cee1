"""What is told of a store that refuses, of a router that is gone, and of settings that cannot be asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from crm.kernel.errors import Unavailable
from crm.kernel.ports import Store
from navbat.run.health import HealthPages
from router.desk.events import Present
from router.gateway import health
from router.gateway.health import Health
from router.gateway.picture import Picture
from router.gateway.status import DeskStatus
from router.history.projector import Projector
from router.log.log import Log
from router.wire.protocol import Trouble
from storage.sqlite import SqliteStore
from tests.conftest import until


class Refusing:
    """A store that answers reads and takes no writes, or nothing at all."""

    all_or_nothing = True

    def __init__(self, store: Store, *, reads: bool) -> None:
        self._store = store
        self._reads = reads

    async def get(self, collection: str, id: str) -> Any:
        if not self._reads:
            raise Unavailable("the store is gone", code="store_away")
        return await self._store.get(collection, id)

    async def find(self, *args: Any, **kwargs: Any) -> Any:
        return await self._store.find(*args, **kwargs)

    async def write(self, *args: Any, **kwargs: Any) -> int:
        raise Unavailable("the store has no room left on its disk", code="store_full")


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    made = SqliteStore(tmp_path / "navbat.sqlite")
    await made.open()
    yield made
    await made.close()


async def test_a_store_that_is_gone_is_told_and_stops_nobody(log: Log, store: SqliteStore) -> None:
    asked = Health(log, cast("Store", Refusing(store, reads=False)))
    assert await asked.look() == [Trouble("store", "store_away", "the store is gone", stops=False)]
    app = web.Application()
    app.add_routes(HealthPages(asked).routes())
    async with TestClient(TestServer(app)) as client, client.get("/health/ready") as answer:
        assert answer.status == 200
        assert json.loads(await answer.read())["reasons"][0]["code"] == "store_away"


async def test_a_store_that_takes_no_writes_is_told_by_who_writes(log: Log, store: SqliteStore) -> None:
    """Its reads work, so only the projector can know."""
    projecting = asyncio.create_task(
        Projector(log, cast("Store", Refusing(store, reads=True)), block=0.05).run()
    )

    async def told() -> bool:
        asked = Health(log, store)
        return [(t.part, t.code, t.stops) for t in await asked.look()] == [("store", "store_full", False)]

    await until(told)
    projecting.cancel()
    await asyncio.wait([projecting])


async def test_a_router_has_a_while_to_come_back(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Health(log)
    assert await asked.look() == []
    monkeypatch.setattr(health, "ROUTER_GRACE", 0.3)
    monkeypatch.setattr(health, "FRESH", -1.0)

    async def away() -> bool:
        return [t.code for t in await asked.look()] == ["router_away"]

    await until(away)
    await log.report("router:1", b'{"active": true}')
    assert await asked.look() == []


async def test_a_router_that_has_not_come_yet_is_not_down(log: Log) -> None:
    """A console that opens with the desk is not greeted by an alarm; one that saw a router is told at once."""
    picture = SimpleNamespace(configured=SimpleNamespace(channels={}), ahead=0)
    status = DeskStatus(log, cast("Picture", picture), Health(log))
    await status.refresh()
    assert status.down == []
    await log.report("router:1", b'{"active": true}')
    await status.refresh()
    assert status.down == []
    await log.report("router:1", b'{"active": false}')
    await status.refresh()
    assert status.down == ["router"]


async def test_many_who_ask_at_once_cost_one_answer(log: Log) -> None:
    asked = Health(log)
    await asked.look()
    before = (await log.redis.info("stats"))["total_commands_processed"]
    answers = await asyncio.gather(*(asked.look() for _ in range(100)))
    after = (await log.redis.info("stats"))["total_commands_processed"]
    assert answers == [[]] * 100
    assert after - before < 50


async def test_settings_that_may_not_be_asked_are_known_from_elsewhere(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider may forbid CONFIG: then how the file is synced cannot be known, and that is said."""
    from redis.exceptions import NoPermissionError

    async def forbidden(name: str) -> dict[str, str]:
        raise NoPermissionError("this user has no permissions to run the 'config' command")

    monkeypatch.setattr(log.redis, "config_get", forbidden)
    await log.append(Present(gateway="g", operators=["anna"]))
    (risk,) = await health.risks(log)
    assert not risk.fatal
    assert "does not tell how it syncs" in risk.text


# ------------------------------------------------------------------ what the parts report


async def test_reports_are_read_without_looking_through_all_keys(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy desk has some hundred thousand keys of applied ids."""
    await log.report("router:a", b"{}")
    await log.report("channel:shop", b"[1]")

    def scan(*_: object, **__: object) -> None:
        raise AssertionError("looks through all keys")

    monkeypatch.setattr(log.redis, "scan_iter", scan)
    assert await log.reports() == {"router:a": b"{}", "channel:shop": b"[1]"}


async def test_what_is_not_reported_any_more_is_forgotten(log: Log) -> None:
    for part in ("router:a", "router:b"):
        await log.report(part, b"{}")
    await log.redis.delete(f"{log.keys.health}:router:a")
    assert await log.reports() == {"router:b": b"{}"}
    assert await log.redis.smembers(log.keys.parts) == {b"router:b"}
    await log.report("router:a", b"{}")
    assert sorted(await log.reports()) == ["router:a", "router:b"]


async def test_parts_of_an_earlier_version_are_found(log: Log) -> None:
    await log.redis.set(f"{log.keys.health}:router:old", b"{}")
    await log.redis.set(f"{log.keys.health}:channel:old", b"{}")
    await log.report("gateway:new", b"{}")
    assert sorted(await log.reports()) == ["channel:old", "gateway:new", "router:old"]
