"""Stages and conversions over the wire, on leads that made themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.ports import Write
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import ConversionPlanned, Done, FunnelList, LeadConverted, ObjectList, ObjectShown
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def add(client: Client, type: str, **fields: Any) -> str:
    found = await client.ask(protocol.AddObject, type=type, fields=fields)
    assert isinstance(found, ObjectShown), found
    return str(found.object["id"])


async def refused(client: Client, kind: type[protocol.Request], **fields: Any) -> tuple[str, dict[str, str]]:
    found = await client.ask(kind, **fields)
    assert isinstance(found, Done), found
    return found.code, found.params


def stands(found: FunnelList, type: str) -> dict[str, int]:
    return {
        f"{funnel.key}/{stage.key}": stage.objects
        for funnel in found.funnels
        if funnel.type == type
        for stage in funnel.stages
        if stage.objects
    }


async def test_a_deal_goes_through_its_funnel(desk: DeskInProcess) -> None:
    anna, vali = await desk.login("anna"), await desk.login("vali")
    id = await add(anna, "deal", title="Chairs")
    about = {"type": "deal", "id": id}
    moved = await anna.ask(protocol.MoveObject, stage="agreed", **about)
    assert isinstance(moved, ObjectShown), moved
    assert (moved.object["stage"], moved.object["version"], moved.may) == ("agreed", 2, ["read", "edit"])
    assert (await refused(anna, protocol.MoveObject, stage="lost", **about))[0] == "reason_needed"
    assert (await refused(anna, protocol.MoveObject, stage="agreed", **about))[0] == "same_stage"
    assert (await refused(anna, protocol.MoveObject, stage="$x", **about)) == (
        "no_such_stage", {"stage": "$x", "stages": "new, agreed, invoiced, won, lost"}
    )  # fmt: skip
    assert (await refused(vali, protocol.MoveObject, stage="won", **about))[0] == "no_such_object"
    late = {"stage": "won", "version": 1, **about}
    assert (await refused(anna, protocol.MoveObject, **late)) == (
        "object_changed",
        {"id": id, "version": "2"},
    )
    for of in ("contact", "deals"):
        assert (await refused(anna, protocol.MoveObject, type=of, id=id, stage="won"))[0] == "no_such_type"
    lost = await anna.ask(protocol.MoveObject, stage="lost", reason="too dear", **about)
    assert (lost.object["semantics"], lost.object["lost_reason"]) == ("lost", "too dear")
    found = await anna.ask(protocol.GetFunnels)
    assert isinstance(found, FunnelList)
    assert stands(found, "deal") == {"sales/lost": 1}
    assert stands(await vali.ask(protocol.GetFunnels), "deal") == {}


async def test_what_stands_in_a_stage_that_is_gone_is_shown_and_moved_out(desk: DeskInProcess) -> None:
    anna = await desk.login("anna")
    one, two = await add(anna, "deal", title="One"), await add(anna, "deal", title="Two")
    await desk.store.write(
        [
            Write.update("deals", {"_id": one}, {"$set": {"stage": "haggling"}}),
            Write.update("deals", {"_id": two}, {"$set": {"funnel": "rent", "stage": "in"}}),
        ]
    )
    found = await anna.ask(protocol.GetFunnels)
    assert isinstance(found, FunnelList)
    assert stands(found, "deal") == {"sales/": 1, "/": 1}
    assert [stage.gone for funnel in found.funnels for stage in funnel.stages if stage.objects] == [
        True,
        True,
    ]
    assert (await anna.ask(protocol.GetObject, type="deal", id=one)).object["stage"] == "haggling"
    moved = await anna.ask(protocol.MoveObject, type="deal", id=one, stage="won")
    assert moved.object["semantics"] == "won"
    assert await refused(anna, protocol.MoveObject, type="deal", id=two, stage="won") == (
        "funnel_gone", {"funnel": "rent", "funnels": "sales"}
    )  # fmt: skip
    moved = await anna.ask(protocol.MoveObject, type="deal", id=two, stage="new", funnel="sales")
    assert (moved.object["funnel"], moved.object["stages"][-1]["kind"]) == ("sales", 5)


async def leads(client: Client) -> list[dict[str, Any]]:
    found = await client.ask(protocol.GetObjects, type="lead")
    assert isinstance(found, ObjectList)
    return found.items


async def lead_when(client: Client, **wanted: Any) -> dict[str, Any]:
    """The one lead, once it says so."""

    async def there() -> bool:
        found = await leads(client)
        return len(found) == 1 and all(found[0].get(name) == value for name, value in wanted.items())

    await until(there)
    return (await leads(client))[0]


async def test_from_a_first_message_to_a_deal(desk: DeskInProcess) -> None:
    """One person writes, anna answers, bek takes it over by transfer, and makes a deal of it."""
    anna, bek, vali = await desk.login("anna"), await desk.login("bek"), await desk.login("vali")
    await desk.duty("anna")
    await desk.write("ali", "narxi qancha?")
    lead = await lead_when(anna, responsible="")
    assert lead["source"] == {"kind": "channel", "channel": "bot", "line": "sales"}
    assert (lead["title"], await leads(vali)) == ("Ali", [])
    session = lead["session"]
    await anna.ask(protocol.Take, session=session)
    await anna.ask(protocol.Say, session=session, text="120 ming")
    await lead_when(anna, responsible="anna")
    await desk.duty("bek")
    done = await anna.ask(protocol.Transfer, session=session, to="bek")
    assert done.code == "", done
    await bek.ask(protocol.Take, session=session)
    lead = await lead_when(bek, responsible="bek")
    card = await desk.store.get("customers", lead["customer"])
    assert card is not None
    assert (card["responsible"], card["lead"]) == ("bek", lead["id"])

    done = await bek.ask(protocol.ConvertLead, lead=lead["id"], fields={"deal": {"amount": "120000"}})
    assert isinstance(done, LeadConverted), done
    deal = (await bek.ask(protocol.GetObject, type="deal", id=done.deal)).object
    assert (deal["customer"], deal["amount"]["minor"]) == (lead["customer"], 12_000_000)
    # What he writes in the deal's time makes no other lead.
    await bek.ask(protocol.Close, session=session)
    await desk.write("ali", "thanks")
    await until(lambda: _count(desk, "sessions", 2))
    assert [one["stage"] for one in await leads(bek)] == ["converted"]


async def _count(desk: DeskInProcess, collection: str, wanted: int) -> bool:
    return await desk.store.count(collection, {}) == wanted


async def test_spam_leaves_no_lead(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await desk.write("ali", "buy now")
    lead = await lead_when(boss)
    assert (await boss.ask(protocol.Spam, session=lead["session"])).code == ""
    await until(lambda: _none(boss))
    assert [one["id"] for one in (await boss.ask(protocol.GetObjects, type="lead", deleted=True)).items] == [
        lead["id"]
    ]


async def _none(client: Client) -> bool:
    return not await leads(client)


async def test_a_conversion_is_planned_refused_and_carried_out(desk: DeskInProcess) -> None:
    anna = await desk.login("anna")
    lead = await add(anna, "lead", title="Chairs", name="Anvar Karimov", phones="+998901234567")
    twin = await add(anna, "contact", name="Anvar", phones="+998901234567")
    planned = await anna.ask(protocol.PlanConversion, lead=lead)
    assert isinstance(planned, ConversionPlanned), planned
    assert (planned.open, [t.id for t in planned.twins["contact"]]) == (["contact"], [twin])
    assert planned.drafts["deal"]["title"] == "Chairs"
    assert (await refused(anna, protocol.ConvertLead, lead=lead))[0] == "twins_found"
    assert (await refused(anna, protocol.ConvertLead, lead=lead, fields={"thing": {}}))[0] == "no_such_type"
    done = await anna.ask(protocol.ConvertLead, lead=lead, contact=twin)
    assert isinstance(done, LeadConverted), done
    assert (done.contact, done.company, done.deal[0], done.lead["stage"]) == (twin, "", "d", "converted")
    deal = await anna.ask(protocol.GetObject, type="deal", id=done.deal)
    assert (deal.object["lead"], deal.object["contact"]) == (lead, twin)
    assert await refused(anna, protocol.ConvertLead, lead=lead) == ("lead_converted", {"id": lead})
    changed = {"type": "lead", "id": lead, "fields": {"title": "x"}}
    assert (await refused(anna, protocol.SetObject, **changed))[0] == "lead_converted"
