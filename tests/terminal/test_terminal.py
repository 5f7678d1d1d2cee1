"""The terminal of the tests itself: what is typed reaches the desk, what the desk says is shown."""

from __future__ import annotations

from router.wire import protocol as wire
from tests.fakes.gateway import message, session
from tests.terminal.conftest import Seat


async def test_what_is_typed_reaches_the_desk_and_the_answer_is_shown(seat: Seat) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("salom dunyo")
        desk.send(b"\r")
        said = await desk.gateway.expect(wire.Say)
        assert (said.session, said.text) == ("10", "salom dunyo")
        await desk.gateway.push(
            messages=[message("10", 9, "katta rahmat")],
            sessions=[session("10", rev=9, status="pending", holder="anna")],
        )
        await desk.shows("katta rahmat")
        desk.send(b"\x11")  # Ctrl+Q
        assert await desk.ended() == 0
