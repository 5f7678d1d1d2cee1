"""What the pages of the CRM look like, at the three sizes and in the three languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.widgets import OptionList

from console.crm.board import StagesPage
from console.crm.card import ObjectPage
from console.crm.figures import FiguresPage
from console.crm.objects import ObjectsPage
from crm.kernel import stages
from crm.kernel.access import OBJECT_TYPES, VERBS
from crm.kernel.crm_settings import CrmSettings
from crm.objects.types import Types
from router.wire import protocol as wire
from tests.console.conftest import Seat, furnish
from tests.console.looks import NAMES, SIZES, Look, afar, look
from tests.fakes.gateway import NOW, FakeGateway

DAY = 86_400_000
SETTINGS = CrmSettings()
LANGUAGES = ["ru", "uz"]


def made(of: str, number: int, name: str, stage: str = "", **fields: Any) -> dict[str, Any]:
    """An object as it travels."""
    at = NOW - number * DAY
    known: dict[str, Any] = {
        "id": f"{of[0]}{number}", "title": name, "version": 1, "responsible": "anna", "line": "sales",
        "created_at": at, "changed_at": at, "created_by": "anna",
    }  # fmt: skip
    if stage:
        funnel = "sales" if of == "deal" else "leads"
        known |= {"funnel": funnel, "stage": stage, "stage_since": at, "semantics": "work"}
    return known | fields


def sum_of(minor: int, currency: str = "UZS") -> dict[str, Any]:
    return {"minor": minor, "currency": currency}


OBJECTS = {
    "lead": [
        made("lead", 0, "Ali Karimov", "new", responsible="", source={"kind": "channel", "channel": "shop_bot"}),
        made("lead", 1, "Ольга Петрова", "in_work", amount=sum_of(48_000_000)),
        made("lead", 3, "王小明 [bold]wide[/]", "junk", semantics="lost", lost_reason="spare parts"),
    ],
    "deal": [
        made("deal", 0, "Ten kettles", "new", amount=sum_of(120_000_050), tags=["vip", "bulk"]),
        made("deal", 2, "Кухня для кафе, под ключ", "agreed", amount=sum_of(415_000, "USD"), responsible="bek"),
        made("deal", 4, "Dazmollar, ulgurji", "agreed", amount=sum_of(620_000_000)),
        made("deal", 9, "Twenty irons", "won", amount=sum_of(960_000_000), semantics="won"),
        made("deal", 12, "Of a stage that is gone", "measured"),
    ],
}  # fmt: skip


def listed(frame: wire.GetObjects) -> wire.ObjectList:
    """Narrowed by what the board asks."""
    items = OBJECTS.get(frame.type, [])
    for text in frame.where:
        name, _, value = text.partition("=")
        if name == "stage":
            items = [item for item in items if item["stage"] == value]
        elif name == "stage!":
            items = [item for item in items if item["stage"] != value]
    return wire.ObjectList(rid=0, type=frame.type, items=items, total=len(items))


def shown(frame: wire.GetObject) -> wire.ObjectShown:
    found = next(item for item in OBJECTS[frame.type] if item["id"] == frame.id)
    return wire.ObjectShown(rid=0, type=frame.type, object=found, may=["edit", "delete"])


def figures(frame: wire.GetStatistics) -> wire.Statistics:
    rows = [
        {
            "key": f"2026-02-{day}", "new": day % 5 + 3, "closed": day % 4 + 2, "missed": day % 2, "line_out": 1,
            "first_response": {"count": 5, "median": 40_000 + day * 1000},
        }
        for day in range(24, 29)
    ]  # fmt: skip
    took = {"count": 25, "median": 64_000}
    total = {"new": 25, "closed": 17, "missed": 2, "line_out": 5, "first_response": took, "response": took}
    heat = [
        {"weekday": day, "hour": hour, "arrivals": (hour - 8) % 7 if 8 < hour < 20 else 0}
        for day in range(7) for hour in range(24)
    ]  # fmt: skip
    is_load = frame.kind == "load"
    return wire.Statistics(
        rid=0, kind=frame.kind, since=frame.since, to=frame.to, by=frame.by, rows=[] if is_load else rows,
        total=total, heat=heat if is_load else [], now={"open": 3, "unanswered": 1},
    )  # fmt: skip


@pytest.fixture
def far() -> Iterator[FakeGateway]:
    gateway = furnish(FakeGateway())
    gateway.answers |= {
        wire.GetCrm: wire.CrmDeclared(
            rid=0,
            fields={of: [*Types().fields(of).values()] for of in OBJECT_TYPES},
            may={of: dict.fromkeys(VERBS, "all") for of in OBJECT_TYPES},
            funnels={
                "lead": dict(stages.funnels(SETTINGS, "lead")), "deal": dict(stages.funnels(SETTINGS, "deal")),
            },
            currency="UZS",
        ),
        wire.GetObjects: listed,
        wire.GetObject: shown,
        wire.GetStatistics: figures,
    }  # fmt: skip
    with afar(gateway):
        yield gateway


async def a_list(seat: Seat) -> None:
    await seat.press("f9")
    await seat.until(lambda: isinstance(seat.app.screen, ObjectsPage) and "Karimov" in seat.text())


async def deals(seat: Seat) -> None:
    await a_list(seat)
    await seat.press("2")
    await seat.until(lambda: "Ten kettles" in seat.text())


async def board(seat: Seat) -> None:
    await deals(seat)
    await seat.press("b")
    await seat.until(lambda: isinstance(seat.app.screen, StagesPage) and "gone" in seat.app.screen.columns)
    await seat.until(lambda: sum(one.option_count for one in seat.app.screen.query(OptionList)) == 5)


async def card(seat: Seat) -> None:
    await deals(seat)
    await seat.press("enter")
    await seat.until(lambda: isinstance(seat.app.screen, ObjectPage) and seat.app.screen.item)


async def statistics(seat: Seat) -> None:
    await seat.press("f10")
    await seat.until(lambda: isinstance(seat.app.screen, FiguresPage) and seat.app.screen.found)


async def load(seat: Seat) -> None:
    await statistics(seat)
    await seat.press("4")
    await seat.until(lambda: seat.app.screen.query_one("#heat").display)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
@pytest.mark.parametrize("does", [a_list, board, card, statistics, load])
def test_pages(snap_compare: Look, far: FakeGateway, size: tuple[int, int], does: Any) -> None:
    look(snap_compare, far, size, does)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("does", [a_list, card, statistics])
def test_pages_in_other_languages(snap_compare: Look, far: FakeGateway, language: str, does: Any) -> None:
    look(snap_compare, far, (80, 24), does, language=language)
