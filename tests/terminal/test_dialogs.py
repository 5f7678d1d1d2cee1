"""Raw bytes of somebody in a hurry: what is typed right behind the key that opens a dialog or a composer, and
keys pressed twice."""

from __future__ import annotations

import pytest

from tests.conftest import until
from tests.fakes.gateway import NOW, FakeGateway, session
from tests.terminal.conftest import Desk, Seat

ESCAPE = b"\x1b[27u"
ENTER = b"\x1b[13u"


async def still_works(desk: Desk) -> None:
    """The desk is on the screen, and the list takes keys."""
    desk.send(b"\x1bOP")  # F1
    await desk.shows(" Help ")
    desk.send(ESCAPE)
    await desk.hides(" Help ")
    await desk.shows("▸MINE")
    await desk.shows("Ali Karimov")


@pytest.mark.parametrize("twice", [b"222", ENTER * 3, ESCAPE * 3])
async def test_an_answer_given_twice_is_given_once(seat: Seat, twice: bytes) -> None:
    async with seat() as desk:
        desk.send(b"\x1bOQ")  # F2
        await desk.shows("2 ◐ break")
        desk.send(twice)
        await desk.hides("2 ◐ break")
        await still_works(desk)
        assert desk.commands().count("SetDuty") == (0 if twice == ESCAPE * 3 else 1)


@pytest.mark.parametrize("twice", [ENTER * 3, ESCAPE * 3])
async def test_a_line_of_text_given_twice_is_given_once(seat: Seat, twice: bytes) -> None:
    async with seat() as desk:
        desk.send(b"P")
        await desk.shows("Priority")
        desk.send(twice)
        await desk.hides("Priority")
        await still_works(desk)


async def test_what_is_typed_ahead_of_a_dialog_is_in_it(seat: Seat) -> None:
    """All in one read, as over a slow line: who types a name means no one else on the list."""
    async with seat() as desk:
        desk.send(b"xsales")
        await desk.shows("Transfer")
        await desk.shows(" sales ")
        desk.send(ESCAPE)
        await desk.hides("Transfer")
        desk.send(b"gwholesale,\xd0\xbe\xd0\xbf\xd1\x82")
        await desk.shows("wholesale,опт")
        desk.send(ENTER)
        await until(lambda: "Tag" in desk.commands())
        assert [name for name in desk.commands() if name != "MarkRead"] == ["Tag"]


async def test_what_is_typed_ahead_of_a_search_is_searched(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(b"/narxi" + ENTER)
        await desk.shows("^T")
        await until(lambda: any(getattr(f, "text", "") == "narxi" for f in desk.gateway.received))
        desk.send(ESCAPE)
        await desk.hides("^T")
        desk.send(b"/\x1b[200~pasted\x1b[201~ text" + ENTER)
        await until(lambda: any(getattr(f, "text", "") == "pasted text" for f in desk.gateway.received))


async def test_what_is_pasted_ahead_of_a_composer_is_in_it(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(ENTER + b"\x1b[200~pasted text\x1b[201~ and more")
        await desk.shows("> pasted text and more")
        desk.send(ENTER)
        await until(lambda: desk.said() == [("10", "pasted text and more")])


async def test_a_double_click_in_a_dialog_opens_nothing_behind_it(gateway: FakeGateway, seat: Seat) -> None:
    for n in range(20, 40):
        more = session(str(n), status="answered", holder="anna", waiting_since=0, last_at=NOW - n * 1_000)
        gateway.sessions[more.id] = more
    async with seat() as desk:
        desk.resize(80, 24)
        await desk.shows("└────────────────────────┴")
        for _ in range(2):  # a second passes: the list has been seen
            age = desk.line("oldest")
            await until(lambda age=age: desk.line("oldest") != age)
        desk.send(b"\x1bOQ")  # F2
        await desk.shows("2 ◐ break")
        row = 1 + next(y for y, line in enumerate(desk.text().splitlines()) if "2 ◐ break" in line)
        click = f"\x1b[<0;12;{row}M\x1b[<0;12;{row}m".encode()
        desk.send(click)
        await desk.hides("2 ◐ break")
        desk.send(click)
        await still_works(desk)
        assert desk.commands().count("SetDuty") == 1
