"""Rows become objects once, or say why not, in either store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from crm.kernel.access import Actor
from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.search.finding import find
from crm.transfer.importing import Importing, Rule, TakenRow
from tests.crm.objects.office import ANNA, AT, BEK, ROOT, granted, objects

ROWS: list[dict[str, str]] = [
    {"name": "Anvar Karimov", "phones": "+998901234567"},
    {"name": "Bek", "emails": "bek@mail.uz", "birthday": "03.02.1990"},
]


async def take(
    store: Store, rows: Sequence[Mapping[str, str]], actor: Actor = ANNA, type: Any = "contact", *,
    rule: Rule = "skip", dry_run: bool = False,
) -> list[TakenRow]:  # fmt: skip
    return await Importing(store, objects(store), actor, type, at=AT).take(rows, rule=rule, dry_run=dry_run)


def told(rows: Sequence[TakenRow]) -> list[str]:
    return [row.refused.code if row.refused else "made" if row.made else "there" for row in rows]


async def test_rows_become_objects_with_audit_and_tokens(store: Store) -> None:
    assert told(await take(store, ROWS, dry_run=True)) == ["made", "made"]
    assert await store.count("contacts", {}) == 0
    first, _ = await take(store, ROWS)
    made = await store.get("contacts", first.id)
    assert made is not None
    assert (made["version"], made["responsible"], made["line"], made["unaudited"]) == (1, "anna", "sales", [])
    assert "owes" not in made
    (record,) = await store.find("audit", {"object": first.id})
    assert (record["action"], record["operator"], record["after"]["name"]) == (
        "contact_added", "anna", "Anvar Karimov"
    )  # fmt: skip
    (hit,) = (await find(store, ANNA, "contacts", "каримов")).hits
    assert hit.document["_id"] == first.id


async def test_the_same_file_twice_makes_nothing_twice(store: Store) -> None:
    first = await take(store, [*ROWS, ROWS[0]])
    assert told(first) == ["made", "made", "there"]
    again = await take(store, ROWS, ROOT)
    assert told(again) == ["there", "there"]
    assert [row.id for row in again] == [row.id for row in first[:2]]
    changed = objects(store)
    await changed.set(ANNA, "contact", first[0].id, {"name": "Other"}, at=AT + 1)
    assert told(await take(store, ROWS)) == ["there", "there"]
    assert await store.count("contacts", {}) == await store.count("audit", {"action": "contact_added"}) == 2


async def test_duplicates_by_rule(store: Store) -> None:
    await take(store, ROWS)
    rows = [
        {"name": "Another", "phones": "+998 90 123-45-67"},
        {"name": "Third", "phones": "+998901234599"},
        {"name": "Fourth", "phones": "+998901234599"},
        {"name": "Anvar Karimov"},
    ]
    refused = await take(store, rows)
    assert told(refused) == ["duplicate_row", "made", "duplicate_row", "made"]
    foreign = await take(store, rows, BEK)
    assert told(foreign) == ["duplicate_hidden", "there", "duplicate_hidden", "there"]
    assert foreign[0].refused is not None
    assert "id" not in foreign[0].refused.params
    assert told(await take(store, rows, rule="make")) == ["made", "there", "made", "there"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({}, "empty_row"),
        ({"name": "  "}, "empty_row"),
        ({"phones": "+998901234567"}, "needs_field"),
        ({"name": "x" * 1_000_000}, "field_too_long"),
        ({"name": "x", "$set": "1"}, "no_such_field"),
        ({"name": "x", "custom.a.b": "1"}, "no_such_field"),
        ({"name": "x", "version": "9"}, "read_only_field"),
        ({"name": "x", "birthday": "0000-01-01"}, "bad_date"),
        ({"name": "x", "birthday": "30.02.2026"}, "bad_date"),
        ({"name": "x", "emails": "nobody"}, "bad_email"),
        ({"name": "x", "phones": "none"}, "bad_phone"),
        ({"name": "x", "line": "nowhere"}, "no_such_line"),
        ({"name": "x", "responsible": "nobody"}, "no_such_operator"),
        ({"name": "x", "company": "b1"}, "no_such_object"),
    ],
)
async def test_each_wrong_row_says_why_and_the_others_are_taken(
    sqlite: Store, row: dict[str, str], code: str
) -> None:
    assert told(await take(sqlite, [ROWS[0], row, ROWS[1]])) == ["made", code, "made"]


@pytest.mark.parametrize("amount", ["1" * 20, "-1", "1e9", "12.345:UZS", "12:XXX"])
async def test_amounts_that_cannot_be(sqlite: Store, amount: str) -> None:
    (row,) = await take(sqlite, [{"title": "x", "amount": amount}], type="deal")
    assert row.refused is not None
    assert row.refused.code.startswith("bad_")
    assert await sqlite.count("deals", {}) == 0


async def test_who_may_add_nothing_imports_nothing(sqlite: Store) -> None:
    for actor, of in ((granted({"contact": {"add": "none"}}), "contact"), (ROOT, "customer")):
        with pytest.raises(Refused):
            await take(sqlite, ROWS, actor, of)
    with pytest.raises(Refused):
        await take(sqlite, ROWS * 101)
