"""What the main states look like, at the three sizes, with a frozen clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.app import Console
from console.screens.rules import LineForm
from console.settings import Shelf
from crm.kernel.records import Media
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from router.wire import protocol as wire
from tests.console.conftest import Clock, Seat, furnish
from tests.console.looks import NAMES, SIZES, Look, afar, look
from tests.fakes.gateway import NOW, FakeGateway, message

BOOK = Rulebook(Config(), Path("flows"), {})


@pytest.fixture
def far() -> Iterator[FakeGateway]:
    """With messages of every kind."""
    gateway = furnish(FakeGateway())
    gateway.messages["10"] += [
        message("10", 5, media=[Media(kind="photo", width=1280, height=960, size=212_000)], kind="photo"),
        message(
            "10", 6, "120 000 so‘m", direction="out", author="anna", delivery="delivered", reply_text="narxi?"
        ),
        message("10", 7, "taken|operator=anna", direction="system", kind="system"),
        message("10", 8, "yana savol", direction="out", author="anna", delivery="failed", error="blocked"),
    ]
    with afar(gateway):
        yield gateway


async def opened(seat: Seat) -> None:
    await seat.open("10")
    await seat.until(lambda: seat.desk.card.card is not None)
    await seat.until(lambda: not seat.app.picture.sessions["10"].unread)


async def nothing(seat: Seat) -> None:
    await seat.pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_the_lists(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    look(snap_compare, far, size, nothing)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_a_conversation(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    look(snap_compare, far, size, opened)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_writing_a_note(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    async def note(seat: Seat) -> None:
        await opened(seat)
        await seat.press("ctrl+n")
        await seat.write("ask about\nthe iron")

    look(snap_compare, far, size, note)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_an_offer(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    async def offer(seat: Seat) -> None:
        await seat.open("12")
        await seat.until(lambda: seat.desk.card.card is not None)
        await seat.press("escape")

    look(snap_compare, far, size, offer)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_a_failed_message_selected(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    async def failed(seat: Seat) -> None:
        await opened(seat)
        await seat.press("escape", "up")

    look(snap_compare, far, size, failed)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_transfer(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    async def transfer(seat: Seat) -> None:
        await opened(seat)
        await seat.press("escape", "x")
        for box in seat.app.screen.query("Input"):
            box.cursor_blink = False  # type: ignore[attr-defined]

    look(snap_compare, far, size, transfer)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_whispering_where_everything_is_marked(
    snap_compare: Look, far: FakeGateway, size: tuple[int, int]
) -> None:
    far.messages["10"].append(message("10", 9, "offer him the 10 %", direction="whisper", author="boss"))
    vip = far.sessions["10"]
    vip.vip, vip.priority, vip.pinned, vip.silent = True, 5, True, ["boss"]
    far.sessions["11"].snoozed = NOW + 3_600_000

    async def whisper(seat: Seat) -> None:
        await opened(seat)
        await seat.press("escape", "w")
        await seat.write("thank you")

    look(snap_compare, far, size, whisper)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_the_board_of_lines(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    far.rights = {"lead": ["sales", "support"]}

    async def board(seat: Seat) -> None:
        await seat.press("f7")

    look(snap_compare, far, size, board)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_the_rules_of_a_line(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    far.rights = {"lead": ["sales", "support"]}
    settings = BOOK.views(
        {"members": ["anna", "bek"], "hours": {"mon": ["09:00-18:00"], "tue": ["09:00-18:00"]}}
    )
    for view in settings:
        view.yours = view.name != "mode"
    far.answers[wire.GetLine] = wire.LineSettings(
        rid=0, line="sales", version=4, at=NOW, by="dilnoza", comment="spring hours", settings=settings
    )

    async def rules(seat: Seat) -> None:
        await seat.press("f7", "enter")
        screen = seat.app.screen
        assert isinstance(screen, LineForm)
        await seat.until(lambda: screen.options.option_count)
        screen.put("answer_within", "2m")
        await seat.press("down")

    look(snap_compare, far, size, rules)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_help(snap_compare: Look, far: FakeGateway, size: tuple[int, int]) -> None:
    async def ask(seat: Seat) -> None:
        await seat.press("f1")

    look(snap_compare, far, size, ask)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_reconnecting_with_unsent_messages(
    snap_compare: Look, far: FakeGateway, size: tuple[int, int]
) -> None:
    async def lost(seat: Seat) -> None:
        await opened(seat)
        assert seat.app.link is not None
        far.silent.add(wire.Say)
        seat.app.workers.cancel_group(seat.app, "link")
        seat.app.link._online.clear()
        seat.app.latency = -1.0
        await seat.write("bormi?")
        await seat.press("enter")
        await seat.until(lambda: seat.app.unsent == 1)

    look(snap_compare, far, size, lost)


@pytest.mark.parametrize("language", ["ru", "uz"])
def test_other_languages(snap_compare: Look, far: FakeGateway, language: str) -> None:
    look(snap_compare, far, (120, 36), opened, language=language)


@pytest.mark.parametrize("theme", ["navbat-light", "navbat-contrast", "navbat-safe"])
def test_other_colours(snap_compare: Look, far: FakeGateway, theme: str) -> None:
    look(snap_compare, far, (120, 36), opened, theme=theme)


def test_scripts_and_widths(snap_compare: Look, far: FakeGateway) -> None:
    far.messages["10"] = [
        message("10", 1, "見積もりをお願いします 🙂"),
        message("10", 2, "كم السعر؟"),
        message("10", 3, "e\u0301 Ўзбекча ґ", at=NOW - 86_400_000 * 3),
    ]
    look(snap_compare, far, (120, 36), opened)


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_signing_in(snap_compare: Look, size: tuple[int, int]) -> None:
    app = Console(shelf=Shelf(), zone=UTC, clock=Clock())

    async def still(pilot: Pilot[int]) -> None:
        await pilot.pause()
        for box in app.screen.query("Input"):
            box.cursor_blink = False  # type: ignore[attr-defined]
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=still)
