"""Raw bytes while a conversation leaves: what is typed on reaches nobody, what is typed ahead its composer."""

from __future__ import annotations

import contextlib

import pytest

from router.wire import protocol as wire
from tests.conftest import until
from tests.fakes.gateway import NOW
from tests.terminal.conftest import Desk, Seat

DOWN = b"\x1b[B"


def changing(desk: Desk) -> list[str]:
    """The commands that reached the desk and change something there; a read mark is none."""
    return [name for name in desk.commands() if name != "MarkRead"]


async def settled(desk: Desk) -> None:
    """All that was sent has been worked on: a key that always acts has ended the console. Right after a paste
    without brackets it would be more of the paste, so it is pressed again."""
    for _ in range(20):
        desk.send(b"\x11")  # Ctrl+Q
        with contextlib.suppress(AssertionError):
            await desk.ended(1.0)
            return
    await desk.ended(1.0)


@pytest.mark.parametrize(
    "rest", [b"tnx cb\r", b"t\rn\rc\r", b"\x1b[200~tnx\r\x1b[201~", b"\x1b\rt\x1b[13u\r"]
)
async def test_the_offer_lapses_in_the_middle_of_a_sentence(seat: Seat, rest: bytes) -> None:
    async with seat() as desk:
        desk.send(DOWN + DOWN + b"\r")
        await desk.shows("offer ends in")
        await desk.type("The kettle")
        await desk.gateway.change("12", status="offered", holder="bek", offer_until=NOW + 9_000)
        await desk.shows("it is offered to bek now")
        desk.send(rest)
        desk.send(b"\x1b[27u")
        await desk.shows("a draft is kept")
        await settled(desk)
        assert changing(desk) == []


async def test_what_is_typed_ahead_of_a_take_is_a_reply(seat: Seat) -> None:
    """All in one read, as over a slow line: the letters after ``t`` are no verbs."""
    async with seat() as desk:
        desk.send(DOWN + DOWN)
        await desk.shows("▌!Web visitor")
        desk.send(b"tscbxnkj")
        await desk.shows("> scbxnkj")
        await until(lambda: "Take" in desk.commands())
        desk.send(b"\r")
        await desk.gateway.expect(wire.Say)
        assert desk.said() == [("12", "scbxnkj")]
        assert changing(desk) == ["Take", "Say"]


async def test_a_tab_in_a_text_leads_nowhere_else(seat: Seat) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        for part in (b"100\t", b"next ", b"\x1b[Z", b"c n t\t"):
            desk.send(part)
        await desk.shows("next c n t")
        assert changing(desk) == []
        desk.send(b"\r")
        await desk.gateway.expect(wire.Say)
        assert [session for session, _ in desk.said()] == ["10"]


async def test_a_text_in_another_alphabet_typed_ahead_stays_what_it_is(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(DOWN + DOWN)
        await desk.shows("▌!Web visitor")
        desk.send("епривет".encode())
        await desk.shows("> привет")
        assert changing(desk) == ["Take"]


async def test_a_paste_into_the_list_is_nothing(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(b"\x1b[200~take\rclose\rbye\x1b[201~")
        desk.send(b"take\rclose\r")
        desk.send(b"\x1bOP")
        await desk.shows("─ Help ─")
        await settled(desk)
        assert changing(desk) == []


async def test_a_login_that_ends_while_one_writes(seat: Seat) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("my secr")
        await desk.gateway.bye("revoked")
        await desk.shows("This login has been ended.")
        desk.send(b"et to you\r")
        desk.send(b"\x1b[27u")
        await desk.shows("Password")
        assert "secr" not in desk.text()
        assert "et to you" not in desk.text()
        assert changing(desk) == []
