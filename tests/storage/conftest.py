"""The stores, each empty."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from crm.kernel.ports import Store
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.servers import mongodb


@pytest.fixture(scope="session")
def mongodb_url() -> Iterator[str | None]:
    with mongodb.mongodb() as url:
        yield url


@pytest.fixture
async def mongo(mongodb_url: str | None) -> AsyncIterator[MongoStore]:
    url = mongodb.there(mongodb_url)
    name = f"navbat_test_{uuid.uuid4().hex[:8]}"
    store = MongoStore(url, name, timeout=20)
    await store.open()
    yield store
    await store.close()
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(url)
    await client.drop_database(name)
    client.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


@pytest.fixture(params=["sqlite", "mongo"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found
