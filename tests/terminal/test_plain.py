"""Raw bytes at the linear console: what is pasted into a line is no command, and nothing is sent in part."""

from __future__ import annotations

from tests.conftest import until
from tests.terminal.conftest import Seat


async def test_what_is_pasted_is_no_command(seat: Seat) -> None:
    async with seat(
        "--plain",
    ) as desk:
        await desk.shows("Signed in as anna")
        desk.send(b"open 10\n")
        await desk.shows("Conversation 10 with Ali Karimov")
        desk.send(b"say \x1b[200~It is ready.\nclose the door\nto bek\x1b[201~")
        desk.send(b"\n")
        await until(desk.said)
        desk.send(b"say that is all\n")
        await until(lambda: len(desk.said()) == 2)
        assert desk.said() == [("10", "It is ready.\nclose the door\nto bek"), ("10", "that is all")]
        assert set(desk.commands()) <= {"Say", "MarkRead"}
        desk.send(b"quit\n")
        assert await desk.ended() == 0
        assert desk.sent.index(b"\x1b[?2004h") < desk.sent.rindex(b"\x1b[?2004l")


async def test_a_line_that_the_terminal_cuts_is_not_sent(seat: Seat) -> None:
    async with seat("--plain") as desk:
        await desk.shows("Signed in as anna")
        desk.send(b"open 10\n")
        await desk.shows("Conversation 10 with Ali Karimov")
        desk.send(b"say " + b"long " * 819)
        desk.send(b"words\n")
        await desk.shows("longer than the terminal passes on")
        desk.send(b"say \x1b[200~one\n" + b"long " * 819)
        desk.send(b"words\nthree\x1b[201~\n")
        desk.send(b"say short\n")
        await until(desk.said)
        assert desk.said() == [("10", "short")]
