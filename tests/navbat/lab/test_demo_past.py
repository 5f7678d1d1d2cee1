"""What is there when a demo begins: a week that a desk could have had, and what was written down of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm.kernel.ports import Store
from crm.kernel.records import customer_of
from crm.statistics.asking import Question
from crm.statistics.tables import table
from navbat.lab.demo.house import HUMAN, ZONE, House
from navbat.lab.demo.past import DAYS, PEOPLE

DAY = 86_400_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """In which nobody lives yet."""
    house = House(tmp_path_factory.mktemp("house"))
    asyncio.run(house.furnish())
    return house


@pytest.fixture
async def store(house: House) -> AsyncIterator[Store]:
    """Only read."""
    store = house.open_store()
    await store.open()
    yield store
    await store.close()


async def test_the_week_before_is_not_empty_and_adds_up(store: Store) -> None:
    now = int(time.time() * 1000)
    today = datetime.fromtimestamp(now / 1000, ZoneInfo(ZONE)).date()
    question = Question((today - timedelta(days=DAYS)).isoformat(), today.isoformat(), "day")
    rows, total = await table(store, "sessions", question)
    closed = await store.find("sessions", {})
    assert {row["key"] for row in rows if row["new"]} == {
        (today - timedelta(days=ago)).isoformat() for ago in range(1, DAYS + 1)
    }
    assert {session["status"] for session in closed} == {"closed"}
    assert total["new"] == total["closed"] == len(closed)
    assert total["in"] == await store.count("messages", {"direction": "in"})
    assert total["clients"] == len(PEOPLE) == await store.count("customers", {})
    assert total["repeat"] == len(closed) - len(PEOPLE)
    assert total["first_response"]["median"] >= 30_000
    _, ratings = await table(store, "csat", question)
    assert ratings["rated"] >= len(closed) // 4
    for collection in ("messages", "sessions", "leads", "deals"):
        for document in await store.find(collection, {}):
            at = document.get("at") or document.get("opened_at") or document["changed_at"]
            assert now - (DAYS + 2) * DAY < at <= now


async def test_everybody_is_a_lead_and_deals_are_in_many_stages(store: Store) -> None:
    leads = {lead["customer"]: lead for lead in await store.find("leads", {})}
    assert leads.keys() == {customer_of(f"{one.channel}:{one.chat}") for one in PEOPLE}
    assert {lead["stage"] for lead in leads.values()} == {"new", "in_work", "converted", "junk"}
    deals = await store.find("deals", {})
    assert Counter(deal["stage"] for deal in deals) == {
        "new": 3, "agreed": 2, "invoiced": 1, "won": 1, "lost": 1
    }  # fmt: skip
    for deal in deals:
        audited = await store.count("audit", {"object": deal["_id"]})
        assert audited == deal["version"] == len(deal["stages"])
    assert sum("amount" in deal for deal in deals) == len(deals) - 1
    assert await store.count("intents", {}) == 0


async def test_there_is_something_to_do_today(store: Store) -> None:
    tasks = await store.find("activities", {"responsible": HUMAN, "kind": {"$in": ["task", "call"]}})
    today = datetime.now(ZoneInfo(ZONE)).date()
    due = [datetime.fromtimestamp(task["due_at"] / 1000, ZoneInfo(ZONE)).date() for task in tasks]
    assert due == [today] * len(tasks)
    assert len(tasks) == 3
