"""Versions of lines' rules: what is in force, what the file said, and two who change at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.errors import Refused
from crm.lines import versions
from storage.sqlite import SqliteStore

FILE: dict[str, dict[str, Any]] = {
    "sales": {"mode": "even", "members": ["anna"]},
    "support": {"mode": "manual"},
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    yield store
    await store.close()


async def modes(store: SqliteStore) -> dict[str, tuple[int, str]]:
    return {
        name: (found.version, found.settings.get("mode", ""))
        for name, found in (await versions.in_force(store)).items()
    }


async def test_the_file_is_version_one_and_says_the_same_again_without_a_new_one(store: SqliteStore) -> None:
    for _ in range(2):
        await versions.take_up_file(store, FILE)
        assert await modes(store) == {"sales": (1, "even"), "support": (1, "manual")}


async def test_a_change_survives_starts_until_the_file_is_edited(store: SqliteStore) -> None:
    await versions.take_up_file(store, FILE)
    await versions.put(store, "sales", {"mode": "all"}, expected=1, by="boss", source="console")
    await versions.take_up_file(store, FILE)
    assert (await modes(store))["sales"] == (2, "all")
    edited = {**FILE, "sales": {"mode": "strict"}}
    await versions.take_up_file(store, edited)
    assert (await modes(store))["sales"] == (3, "strict")
    assert [v.source for v in await versions.versions(store, "sales")] == ["file", "console", "file"]


async def test_a_line_taken_out_of_the_file_is_gone_and_one_added_while_running_stays(
    store: SqliteStore,
) -> None:
    await versions.take_up_file(store, FILE)
    await versions.put(store, "night", {"mode": "all"}, expected=0, by="boss", source="cli")
    await versions.take_up_file(store, {"sales": FILE["sales"]})
    assert await modes(store) == {"night": (1, "all"), "sales": (1, "even")}
    gone = await versions.newest(store, "support")
    assert gone is not None
    assert (gone.version, gone.removed) == (2, True)
    await versions.take_up_file(store, FILE)
    assert (await modes(store))["support"] == (3, "manual")


async def test_what_was_brought_back_after_it_left_the_file_stays(store: SqliteStore) -> None:
    await versions.take_up_file(store, FILE)
    await versions.take_up_file(store, {"sales": FILE["sales"]})
    await versions.put(store, "support", FILE["support"], expected=2, by="boss", source="rollback")
    await versions.take_up_file(store, {"sales": FILE["sales"]})
    assert (await modes(store))["support"] == (3, "manual")


async def test_of_two_who_change_at_once_one_is_told_to_look_again(store: SqliteStore) -> None:
    await versions.take_up_file(store, FILE)
    done = await asyncio.gather(
        *(
            versions.put(store, "sales", {"mode": "all", "priority": n}, expected=1, by=f"b{n}", source="cli")
            for n in range(5)
        ),
        return_exceptions=True,
    )
    made = [d for d in done if isinstance(d, versions.LineVersion)]
    refused = [d for d in done if isinstance(d, Refused)]
    assert (len(made), len(refused)) == (1, 4)
    assert {(r.code, r.params["version"], r.params["by"]) for r in refused} == {
        ("line_changed", "2", made[0].by)
    }
    assert (await versions.in_force(store))["sales"] == made[0]
    audit = await store.find("audit", {"line": "sales"}, sort=[("at", 1)])
    assert [(a["operator"], a["action"], a["params"]["version"]) for a in audit] == [
        ("", "line_changed", "1"),
        (made[0].by, "line_changed", "2"),
    ]


async def test_two_parts_that_start_together_say_the_same_once(store: SqliteStore) -> None:
    await asyncio.gather(*(versions.take_up_file(store, FILE) for _ in range(4)))
    assert await modes(store) == {"sales": (1, "even"), "support": (1, "manual")}


async def test_keys_with_dots_and_dates_are_kept(store: SqliteStore) -> None:
    settings = {
        "shifts": {"an.na": {"mon": ["09:00-13:00"]}},
        "days": {"2026-03-21": []},
        "$x": {"a.b": None},
    }
    await versions.put(store, "sales", settings, expected=0, by="", source="cli")
    assert (await versions.in_force(store))["sales"].settings == settings


async def test_a_version_that_is_not_there(store: SqliteStore) -> None:
    with pytest.raises(Refused) as refused:
        await versions.version(store, "sales", 7)
    assert refused.value.code == "no_such_version"
