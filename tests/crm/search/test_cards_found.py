"""Cards that the projector writes are found by what stands on them, whoever dies in between."""

from __future__ import annotations

from typing import Any

from crm.kernel.ports import Store
from crm.kernel.records import Customer
from crm.search.finding import find
from router.desk.state import CustomerSeen, FieldsFilled
from router.history.cards import card_writes, customer_writes, spell
from tests.crm.objects.office import ROOT


def seen(at: int, **more: Any) -> CustomerSeen:
    return CustomerSeen(at=at, chat="shop:1", customer=Customer(id="c1", **more))


async def names(store: Store, query: str) -> list[str]:
    return [hit.document["_id"] for hit in (await find(store, ROOT, "customers", query)).hits]


async def test_a_card_is_found_by_the_name_that_stands_on_it(store: Store) -> None:
    await store.write([*customer_writes(seen(1, name="Oʻktam", phone="+998901234567"))])
    assert await names(store, "ўктам") == []  # killed before it was spelled
    await spell(store)
    assert await names(store, "ўктам") == await names(store, "234567") == ["c1"]
    assert await store.count("customers", {"respell": 1}) == 0

    await store.write(
        [*card_writes(FieldsFilled(at=5, session="1", customer="c1", fields={"name": "Dilnoza"}))]
    )
    await store.write([*customer_writes(seen(9, name="Oʻktam"))])
    await spell(store)
    assert await names(store, "дилноза") == ["c1"]  # what he said himself is not replaced
    assert await names(store, "ўктам") == []


async def test_a_card_that_changes_meanwhile_is_spelled_again(store: Store, monkeypatch: Any) -> None:
    await store.write([*customer_writes(seen(1, name="Anvar"))])
    find_first = store.find

    async def find_then_change(*args: Any, **more: Any) -> Any:
        found = await find_first(*args, **more)
        monkeypatch.undo()
        await store.write([*customer_writes(seen(2, name="Botir"))])
        return found

    monkeypatch.setattr(store, "find", find_then_change)
    await spell(store)
    assert await names(store, "botir") == []
    await spell(store)
    assert await names(store, "botir") == ["c1"]
