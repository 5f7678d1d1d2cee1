"""Leads that make themselves are the same in both stores, also where a MongoDB breaks off within a batch."""

from __future__ import annotations

import random

import pytest

from router.log.log import Log
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from tests.router.history.test_leads import ToldDesk, come_through, outcome, random_day
from tests.router.history.test_projector import Broken


@pytest.mark.parametrize("seed", range(2))
async def test_a_random_day(seed: int, log: Log, sqlite: SqliteStore, mongo: MongoStore) -> None:
    chance = random.Random(seed)
    desk = ToldDesk(log)
    random_day(desk, chance)
    await desk.project(sqlite)
    await come_through(log, Broken(mongo, chance), desk)
    assert await outcome(mongo) == await outcome(sqlite)
    assert (await outcome(mongo))[0]
