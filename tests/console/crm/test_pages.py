"""The pages of leads, deals, tasks and figures, before a real desk: by key, and what is changed is changed there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from console.crm.board import StagesPage
from console.crm.card import ObjectPage
from console.crm.figures import BehindPage, FiguresPage
from console.crm.finding import FindPage
from console.crm.objects import ObjectsPage
from console.crm.person import PeoplePage, PersonPage
from console.crm.timeline import PastPage
from console.screens.dialogs import AskScreen, PickScreen
from console.screens.fields import FieldsScreen
from crm.kernel.ports import Document
from router.log.log import Log
from router.wire import protocol as wire
from tests.conftest import until
from tests.console.acts import acts
from tests.console.conftest import Seat, seated
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def made(client: Client, of: str, **fields: Any) -> str:
    shown = await client.ask(wire.AddObject, type=of, fields=fields)
    assert isinstance(shown, wire.ObjectShown), shown
    return str(shown.object["id"])


async def one(desk: DeskInProcess, collection: str, id: str) -> Document:
    found = await desk.store.get(collection, id)
    assert found is not None
    return found


def page(seat: Seat, kind: type[Any]) -> Any:
    assert isinstance(seat.app.screen, kind), seat.app.screen
    return seat.app.screen


async def objects(seat: Seat) -> ObjectsPage:
    await seat.press("f9")
    found: ObjectsPage = page(seat, ObjectsPage)
    await seat.until(lambda: found.declared.fields)
    await seat.pilot.pause()
    return found


@acts("crm")
async def test_a_lead_is_made_found_changed_and_moved(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        listed = await objects(seat)
        await seat.until(lambda: "Nothing here yet" in seat.text())
        await seat.press("a")
        page(seat, FieldsScreen)
        await seat.write("A kettle")
        await seat.press("down", "down", "down")
        await seat.write("120000.50:UZS")
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, ObjectPage) and seat.app.screen.item)
        card: ObjectPage = page(seat, ObjectPage)
        assert "A kettle" in seat.text()
        assert "120 000.50 UZS" in seat.text()
        id = card.object

        card.options.highlighted = card.options.get_option_index("name")
        await seat.press("enter")
        page(seat, AskScreen)
        await seat.write("Olim O‘ktamov")
        await seat.press("enter")
        await seat.until(lambda: card.item["version"] == 2)
        assert (await one(desk, "leads", id))["name"] == "Olim O‘ktamov"

        await seat.press("m", "1")  # the first stage that it is not in
        await seat.until(lambda: card.item["version"] == 3)
        assert (await one(desk, "leads", id))["stage"] == "in_work"
        await seat.press("m", "2")  # a lost one asks why
        page(seat, AskScreen)
        await seat.write("only asked")
        await seat.press("enter")
        await seat.until(lambda: card.item["version"] == 4)
        assert (await one(desk, "leads", id))["lost_reason"] == "only asked"

        await seat.press("escape")
        await seat.until(lambda: seat.app.screen is listed and "Junk" in seat.text())
        await seat.press("slash")
        await seat.write("stage=new")
        await seat.press("enter")
        await seat.until(lambda: "Nothing fits" in seat.text())
        await seat.press("escape")
        await seat.until(lambda: "A kettle" in seat.text())


async def test_who_was_slower_sees_both_values_and_nothing_is_overwritten(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        other = await desk.login("root")
        id = await made(other, "contact", name="Olga")
        await objects(seat)
        await seat.press("3")
        await seat.until(lambda: "Olga" in seat.text())
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, ObjectPage) and seat.app.screen.item)
        card: ObjectPage = page(seat, ObjectPage)
        card.options.highlighted = card.options.get_option_index("name")
        await seat.press("enter")
        await other.ask(wire.SetObject, type="contact", id=id, fields={"name": "Olga Petrova"}, version=1)
        await seat.press("end")
        await seat.write(" P.")
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, PickScreen))
        assert "Olga Petrova" in seat.text()
        assert "Olga P." in seat.text()
        assert (await one(desk, "contacts", id))["name"] == "Olga Petrova"
        await seat.press("2")
        await seat.until(lambda: card.item["name"] == "Olga P.")
        assert (await one(desk, "contacts", id))["version"] == 3


async def test_a_deal_goes_over_the_board_by_keys(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        other = await desk.login("root")
        id = await made(other, "deal", title="Ten kettles", amount="1000:UZS")
        await objects(seat)
        await seat.press("2", "b")
        board: StagesPage = page(seat, StagesPage)
        await seat.until(lambda: board.columns.get("new"))
        await seat.until(lambda: "Ten kettles" in seat.text())
        await seat.press("greater_than_sign")
        await seat.until(lambda: board.columns["agreed"])
        assert (await one(desk, "deals", id))["stage"] == "agreed"
        await seat.press("less_than_sign")
        await seat.until(lambda: board.columns["new"])
        # somebody else moves it; the key goes nowhere, and the card is shown where it is
        await other.ask(wire.MoveObject, type="deal", id=id, stage="invoiced")
        await seat.press("greater_than_sign")
        await seat.until(lambda: board.columns["invoiced"])
        assert (await one(desk, "deals", id))["stage"] == "invoiced"
        await seat.until(lambda: "meanwhile" in seat.text())
        await seat.press("greater_than_sign")
        await seat.until(lambda: board.columns["won"])
        assert (await one(desk, "deals", id))["semantics"] == "won"


async def test_a_lead_becomes_what_one_says(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        other = await desk.login("root")
        there = await made(other, "contact", name="Olim", phones="+998901234567")
        lead = await made(other, "lead", title="A kettle", name="Olim", phones="+998901234567")
        await objects(seat)
        await seat.until(lambda: "A kettle" in seat.text())
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, ObjectPage) and seat.app.screen.item)
        await seat.press("x")
        await seat.until(lambda: isinstance(seat.app.screen, PickScreen))
        assert "same number" in seat.text()
        await seat.press("1")  # the contact that is there
        await seat.press("2")  # no company
        await seat.press("1")  # a new deal
        await seat.until(lambda: isinstance(seat.app.screen, ObjectPage) and seat.app.screen.of == "deal")
        kept = await one(desk, "leads", lead)
        assert kept["converted"]["contact"] == there
        assert kept["converted"].get("company", "") == ""
        assert await desk.store.count("deals", {}) == 1


@acts("tasks")
async def test_a_task_is_done_by_a_key(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["anna"]) as seat:
        other = await desk.login("anna")
        id = await made(
            other, "activity", kind="task", title="Call Ali", due_at="2026-03-01", responsible="anna"
        )
        seat.desk.verbs.run("tasks")
        await seat.until(lambda: isinstance(seat.app.screen, ObjectsPage) and "Call Ali" in seat.text())
        await seat.press("space")
        await seat.until(lambda: "☑" in seat.text())
        assert (await one(desk, "activities", id))["done"] is True


@acts("figures")
async def test_figures_open_the_conversations_behind_them(desk: DeskInProcess) -> None:
    await desk.write("bot:ali", "narxi qancha?")
    await until(lambda: desk.gateway.picture.sessions)
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        await seat.press("f10")
        shown: FiguresPage = page(seat, FiguresPage)
        await seat.until(lambda: shown.found is not None)
        async with asyncio.timeout(10):  # until the projector has it
            while not shown.options.option_count:
                await seat.press("r")
        await seat.press("enter", "1")
        await seat.until(lambda: isinstance(seat.app.screen, BehindPage) and "narxi qancha?" in seat.text())
        await seat.press("enter")
        await seat.until(lambda: seat.desk.session != "")
        await seat.press("f10", "4")
        await seat.until(lambda: "Busiest" in seat.text() or "Nothing came" in seat.text())


async def test_anything_is_found_and_its_past_is_there(desk: DeskInProcess) -> None:
    await desk.write("bot:ali", "choynak narxi qancha?")
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        other = await desk.login("root")
        id = await made(other, "deal", title="O‘nta choynak")
        await other.ask(wire.MoveObject, type="deal", id=id, stage="agreed")
        await objects(seat)
        await seat.press("f")
        found: FindPage = page(seat, FindPage)
        async with asyncio.timeout(10):  # until the projector has it
            while len(found.hits) < 2:
                await seat.write("чойнак")
                await seat.until(lambda: "found" in seat.text() or found.hits)
                seat.app.screen.query_one("#what", Input).value = ""
        assert {hit.within for hit in found.hits.values()} >= {"messages", "deals"}
        found.options.focus()
        found.options.highlighted = found.options.get_option_index(f"deals:{id}")
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, ObjectPage) and seat.app.screen.item)
        await seat.press("h")
        past: PastPage = page(seat, PastPage)
        await seat.until(lambda: len(past.entries) == 2)
        assert "agreed" in seat.text() or "Terms agreed" in seat.text()


@acts("person")
async def test_who_writes_has_one_card_and_two_become_one_and_two_again(desk: DeskInProcess) -> None:
    await desk.write("bot:ali", "my number is +998901234567")
    await desk.write("bot:olga", "hello")
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        other = await desk.login("root")
        await until(lambda: len(desk.gateway.picture.sessions) == 2)
        ali, olga = (
            next(s.customer for s in desk.gateway.picture.sessions.values() if s.chat.endswith(name))
            for name in ("ali", "olga")
        )
        async with asyncio.timeout(10):  # until the projector has it
            while True:
                found = await other.ask(wire.GetCustomer, customer=ali)
                if isinstance(found, wire.CustomerShown) and found.suggestions:
                    break
        await seat.until(lambda: len(seat.app.picture.sessions) == 2)
        session = next(s.id for s in seat.app.picture.sessions.values() if s.customer == ali)
        await seat.open(session)
        await seat.press("escape", "V")
        await seat.until(lambda: isinstance(seat.app.screen, PersonPage) and seat.app.screen.item)
        card: PersonPage = page(seat, PersonPage)
        assert "his number?" in seat.text()
        card.options.highlighted = 0
        await seat.press("enter", "1")
        await seat.until(lambda: card.item.get("phones"))
        assert (await one(desk, "customers", ali))["phones"][0]["e164"] == "+998901234567"

        await seat.press("w")
        people: PeoplePage = page(seat, PeoplePage)
        await seat.until(lambda: people.options.option_count == 2)
        people.options.focus()
        people.options.highlighted = people.options.get_option_index(olga)
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, PickScreen))
        assert "which holds" in seat.text()  # their names differ
        await seat.press("1")
        await seat.until(lambda: card.object == olga and card.shown and card.shown.merged)
        assert (await one(desk, "customers", ali))["merged_into"] == olga
        card.options.highlighted = card.options.get_option_index(f"merged:{ali}")
        await seat.press("enter", "1")
        await seat.until(lambda: card.shown is not None and not card.shown.merged)
        assert not (await one(desk, "customers", ali)).get("merged_into")


async def test_a_task_is_told_once_when_its_time_has_come(desk: DeskInProcess) -> None:
    other = await desk.login("anna")
    await made(other, "activity", kind="call", title="Call Ali back", due_at="2026-01-01", responsible="anna")
    await made(other, "activity", kind="task", title="Not mine", due_at="2026-01-01", responsible="bek")
    await made(other, "activity", kind="task", title="Remind later", due_at="2026-01-01",
               remind_at="2199-01-01", responsible="anna")  # fmt: skip
    async with seated(desk, token=desk.tokens["anna"]) as seat:
        told: list[str] = []
        seat.desk.notify = lambda text, **_: told.append(text)  # type: ignore[method-assign]
        seat.desk.reminders.look()
        await seat.until(lambda: told)
        assert told == ["⏰ Call Ali back"]
        for _ in range(2):
            await seat.desk.reminders.check()
        assert told == ["⏰ Call Ali back"]


async def test_a_view_is_saved_and_used_again(desk: DeskInProcess) -> None:
    other = await desk.login("root")
    await made(other, "lead", title="A kettle", amount="500:UZS")
    await made(other, "lead", title="A pot", amount="5000:UZS")
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        listed = await objects(seat)
        await seat.until(lambda: listed.options.option_count == 2)
        await seat.press("slash")
        await seat.write("amount>=1000")
        await seat.press("enter")
        await seat.until(lambda: listed.options.option_count == 1)
        await seat.press("v", "1")
        await seat.write("large")
        await seat.press("enter", "escape")
        await seat.until(lambda: listed.options.option_count == 2)
        await seat.press("v", "1")
        await seat.until(lambda: listed.options.option_count == 1)
        assert "A pot" in seat.text()
        assert seat.app.shelf.load().views == {"lead/large": ["amount>=1000"]}


async def test_figures_go_into_a_file_that_was_not_there(desk: DeskInProcess, tmp_path: Path) -> None:
    await desk.write("bot:ali", "narxi qancha?")
    await until(lambda: desk.gateway.picture.sessions)
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        await seat.press("f10")
        shown: FiguresPage = page(seat, FiguresPage)
        async with asyncio.timeout(10):  # until the projector has it
            while not shown.options.option_count:
                await seat.press("r")
        path = tmp_path / "figures.csv"
        shown.export(path)
        await seat.until(lambda: path.exists() and path.stat().st_size)
        written = path.read_text(encoding="utf-8-sig").splitlines()
        assert written[0].startswith("key,new,closed")
        assert written[1].split(",")[1] == "1"
        path.write_text("mine")
        told: list[str] = []
        shown.notify = lambda text, **_: told.append(text)  # type: ignore[method-assign]  # a long path wraps
        shown.export(path)
        await seat.until(lambda: any("File exists" in text for text in told))
        assert path.read_text() == "mine"


async def test_the_funnel_stage_by_stage_and_the_deals_that_stand_there(desk: DeskInProcess) -> None:
    other = await desk.login("root")
    id = await made(other, "deal", title="Ten kettles", amount="1000:UZS")
    await other.ask(wire.MoveObject, type="deal", id=id, stage="agreed")
    async with seated(desk, token=desk.tokens["boss"], clock=desk.log.now) as seat:  # type: ignore[arg-type]
        await seat.press("f10", "5")
        shown: FiguresPage = page(seat, FiguresPage)
        await seat.until(
            lambda: shown.found is not None and shown.found.kind == "funnel" and shown.options.option_count
        )
        assert "Deal: Terms agreed" in seat.text()
        shown.options.highlighted = shown.options.get_option_index("deal sales agreed")
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, ObjectsPage) and "Ten kettles" in seat.text())
        await seat.press("escape", "b", "b")
        await seat.until(
            lambda: shown.by == "operator" and shown.found is not None and shown.found.by == "operator"
        )
