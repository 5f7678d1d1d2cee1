"""Leads, deals, tasks and figures in lines, before a real desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.link import Credentials
from console.plain import Plain
from console.text.words import Words
from router.log.log import Log
from router.wire import protocol as wire
from tests.console.test_plain import Out, Talk
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


@pytest.fixture
async def talk(desk: DeskInProcess) -> AsyncIterator[Talk]:
    out, lines = Out(), asyncio.Queue[str | None]()
    plain = Plain(desk.url, Credentials(token=desk.tokens["boss"]), Words("en"), out)
    task = asyncio.create_task(plain.run(lines))
    yield Talk(plain, out, lines)
    lines.put_nowait(None)
    async with asyncio.timeout(5):
        await task


async def made(client: Client, of: str, **fields: Any) -> str:
    shown = await client.ask(wire.AddObject, type=of, fields=fields)
    assert isinstance(shown, wire.ObjectShown), shown
    return str(shown.object["id"])


async def test_a_deal_is_listed_shown_and_moved(desk: DeskInProcess, talk: Talk) -> None:
    other = await desk.login("root")
    id = await made(other, "deal", title="Ten\x1b[2J kettles", amount="1000.50:UZS", tags="vip")
    talk.tell("deals")
    await talk.hear("1 in all")
    assert f"{id} Ten" in talk.out.getvalue()
    assert "[New] 1 000.50 UZS" in talk.out.getvalue()
    assert "\x1b" not in talk.out.getvalue()
    talk.tell(f"card {id}")
    await talk.hear("amount: 1 000.50 UZS")
    await talk.hear("tags: vip")
    assert "stage: New" in talk.out.getvalue()
    talk.tell(f"move {id} invoiced")
    await talk.hear("[Invoice sent]")
    talk.tell(f"move {id} Lost too dear for them")
    await talk.hear("[Lost]")
    kept = await desk.store.get("deals", id)
    assert kept is not None
    assert (kept["stage"], kept["lost_reason"]) == ("lost", "too dear for them")
    talk.tell("deals stage=new")
    await talk.hear("0 in all")


async def test_a_task_is_done(desk: DeskInProcess, talk: Talk) -> None:
    other = await desk.login("root")
    id = await made(other, "activity", kind="task", title="Call Ali", due_at="2026-03-01", responsible="boss")
    await made(other, "activity", kind="note", about="pays on time")
    talk.tell("tasks")
    await talk.hear("1 in all")
    assert f"{id} Call Ali" in talk.out.getvalue()
    assert "(late)" in talk.out.getvalue()
    talk.tell(f"done {id}")
    await talk.hear("Done.")
    assert (await desk.store.get("activities", id) or {})["done"] is True
    talk.tell("tasks")
    await talk.hear("0 in all")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("card d404", "There is no deal d404"),
        ("card", "There is no object"),
        ("card ?", "There is no object ?"),
        ("deals colour=red", "colour"),
        ("figures yesterday", "No such command: yesterday"),
    ],
)
async def test_what_cannot_be_is_said(talk: Talk, line: str, answer: str) -> None:
    talk.tell(line)
    await talk.hear(answer)
    assert not talk.plain.status


async def test_figures_are_lines(desk: DeskInProcess, talk: Talk) -> None:
    talk.tell("figures today")
    await talk.hear("today: new 0, closed 0, missed 0")
    talk.tell("figures csat month")
    await talk.hear("30 days: asked 0, rated 0")
