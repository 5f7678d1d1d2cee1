"""Import and export over the wire: rights, and what is written down of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Done, ObjectsExported, RowsImported
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def take(client: Client, *rows: dict[str, str], **more: Any) -> list[tuple[bool, str]]:
    answer = await client.ask(protocol.ImportRows, type="contact", rows=[*rows], **more)
    assert isinstance(answer, RowsImported), answer
    return [(row.made, row.code) for row in answer.rows]


async def test_rows_come_in_and_leave_by_rights(desk: DeskInProcess) -> None:
    anna, vali, boss = await desk.login("anna"), await desk.login("vali"), await desk.login("boss")
    row = {"name": "Anvar", "phones": "+998901234567"}
    assert await take(anna, row, dry_run=True) == [(True, "")]
    assert await take(anna, row, {"name": "x", "birthday": "0000-00-00"}) == [(True, ""), (False, "bad_date")]
    assert await take(anna, row) == [(False, "")]
    assert await take(vali, {"name": "Other", "phones": "90 123 45 67"}) == [(False, "duplicate_hidden")]

    refused = await anna.ask(protocol.ExportObjects, type="contact")
    assert isinstance(refused, Done)
    assert (refused.code, refused.params) == ("no_right", {"right": "export"})
    where = ["phones=+998901234567"]
    page = await boss.ask(protocol.ExportObjects, type="contact", where=where)
    assert isinstance(page, ObjectsExported)
    assert [item["name"] for item in page.items] == ["Anvar"]
    assert not {"tokens", "keys", "unaudited", "_id"} & set(page.items[0])
    (record,) = await desk.store.find("audit", {"verb": "exported"})
    assert (record["operator"], record["type"], record["params"]) == ("boss", "contact", {"where": "phones"})


async def test_an_export_goes_on_where_it_ended(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await take(boss, *({"name": f"n{n}"} for n in range(7)))
    names: list[str] = []
    after = ""
    while True:
        page = await boss.ask(protocol.ExportObjects, type="contact", limit=3, after=after)
        assert isinstance(page, ObjectsExported)
        names += [item["name"] for item in page.items]
        if not (after := page.next):
            break
    assert sorted(names) == [f"n{n}" for n in range(7)]
    assert await desk.store.count("audit", {"verb": "exported"}) == 1


async def test_too_many_rows_and_wrong_types(desk: DeskInProcess) -> None:
    root = await desk.login("root")
    for fields, code in (
        ({"type": "contact", "rows": [{"name": "x"}] * 201}, "too_many"),
        ({"type": "customer", "rows": []}, "no_such_type"),
        ({"type": "accounts", "rows": []}, "no_such_type"),
    ):
        answer = await root.ask(protocol.ImportRows, **fields)
        assert isinstance(answer, Done)
        assert answer.code == code
