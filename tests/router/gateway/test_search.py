"""The search over everything, over the wire: by rights, and whatever is asked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.ports import Write
from crm.kernel.tokens import tokens_of
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Done, FoundList
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def found(client: Client, text: str, *within: str, **more: Any) -> list[tuple[str, str, str]]:
    answer = await client.ask(protocol.Find, text=text, within=list(within), **more)
    assert isinstance(answer, FoundList), answer
    return [(hit.within, hit.id, hit.match) for hit in answer.hits]


async def add(client: Client, type: str, **fields: Any) -> str:
    made = await client.ask(protocol.AddObject, type=type, fields=fields)
    assert isinstance(made, protocol.ObjectShown), made
    return str(made.object["id"])


async def test_what_was_made_and_changed_is_found(desk: DeskInProcess) -> None:
    anna = await desk.login("anna")
    person = await add(anna, "contact", name="Oʻktam Karimov", phones="+998901234567")
    deal = await add(anna, "deal", title="Стулья для Каримова")
    assert await found(anna, "каримов") == [("contacts", person, "exact"), ("deals", deal, "begun")]
    assert await found(anna, "Ўктам karimof") == [("contacts", person, "forgiven")]
    assert await found(anna, "234567") == [("contacts", person, "begun")]
    await anna.ask(protocol.SetObject, type="contact", id=person, fields={"name": "Dilnoza", "phones": ""})
    assert await found(anna, "каримов", "contacts") == await found(anna, "4567") == []
    assert await found(anna, "дилноза") == [("contacts", person, "exact")]


async def test_a_hit_says_what_it_is_and_where_it_matches(desk: DeskInProcess) -> None:
    said = {
        "_id": "7-1", "id": "7-1", "session": "7", "seq": 1, "chat": "shop:1", "customer": "c1", "line": "sales", "at": 5,
        "direction": "in", "author": "customer", "kind": "text", "text": "Salom, chоy bormi?", "source": "s",
    }  # fmt: skip
    await desk.store.write([Write.insert("messages", said)])
    answer = await (await desk.login("anna")).ask(protocol.Find, text="bormi", within=["messages"])
    assert isinstance(answer, FoundList)
    (hit,) = answer.hits
    assert (hit.id, hit.session, hit.customer, hit.line, hit.at) == ("7-1", "7", "c1", "sales", 5)
    assert hit.message is not None
    assert hit.message.text == said["text"]
    (where,) = hit.matched
    assert [where.text[a:b] for a, b in where.spans] == ["bormi"]


async def test_limits_and_what_is_more(desk: DeskInProcess) -> None:
    many = [{"_id": f"k{n}", "name": "Anvar", "line": "sales", "changed_at": n} for n in range(150)]
    await desk.store.write([Write.insert("contacts", d | {"tokens": tokens_of(d)}) for d in many])
    anna = await desk.login("anna")
    answer = await anna.ask(protocol.Find, text="anvar", limit=1_000)
    assert isinstance(answer, FoundList)
    assert [hit.id for hit in answer.hits] == [f"k{149 - n}" for n in range(100)]
    assert answer.more == ["contacts"]
    refused = await anna.ask(protocol.Find, text="x", within=["accounts"])
    assert isinstance(refused, Done)
    assert refused.code == "no_such_place"


HOSTILE = ("", "\0", '"' * 10_000, "NEAR(a b) OR *", "{text} : x", "\u202e\u2066", "a" * 500_000, "'; DROP TABLE",
    "ъ" * 100_000, "é" * 100_000, "1" * 100_000, "$where", "\ud7ff" * 999, "a b " * 50_000, "(" * 9999, "^ka")  # fmt: skip


async def test_any_text_is_a_legal_and_cheap_query(desk: DeskInProcess) -> None:
    anna = await desk.login("anna")
    for text in HOSTILE:
        started = time.process_time()
        assert await found(anna, text) == []
        assert time.process_time() - started < 1
