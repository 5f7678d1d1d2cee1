"""A text that is more than one message is asked about, and nothing of it is cut or lost."""

from __future__ import annotations

from textual import events

from bots.registry import channel_type, kinds
from console.widgets.composer import ONE_MESSAGE, units
from router.wire import protocol as wire
from tests.console.conftest import Seat, frames, seated
from tests.fakes.gateway import FakeGateway

LONG = "абв " * 1_500
HUGE = "x" * (wire.MAX_TEXT + 5)


async def writing(seat: Seat, text: str) -> None:
    """Pastes a text into the reply of a conversation."""
    await seat.open("10")
    seat.desk.reply.focus()
    await seat.write(text)


def test_every_channel_takes_what_the_console_takes_for_one_message() -> None:
    assert {channel_type(kind).text_limit for kind in kinds()} == {ONE_MESSAGE}


def test_units_are_those_of_utf_16() -> None:
    assert [units(text) for text in ("", "a", "я", "😀", "\ud800")] == [0, 1, 1, 2, 1]


async def test_enter_asks_and_keeps_the_text(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await writing(seat, LONG)
        assert seat.desk.reply.text == LONG  # not cut
        assert f"{len(LONG)} of 4096 characters" in seat.text()
        await seat.press("enter")
        await seat.until(lambda: "one message takes 4096" in seat.text())
        assert frames(gateway, wire.Say) == []
        await seat.press("escape")
        await seat.press("enter", "enter")  # once more than it takes: it is attached and not sent
        await seat.until(lambda: gateway.uploads)
        await seat.until(lambda: not seat.desk.reply.text)
        assert gateway.uploads == [("text.txt", LONG.encode())]
        assert frames(gateway, wire.Say) == []
        await seat.press("enter")
        said = await gateway.expect(wire.Say)
        assert (said.text, [media.name for media in said.media]) == ("", ["text.txt"])


async def test_it_goes_in_parts_when_one_says_so(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await writing(seat, LONG)
        await seat.press("enter")
        await seat.until(lambda: "one message takes 4096" in seat.text())
        await seat.press("2")
        assert (await gateway.expect(wire.Say)).text == LONG
        await seat.until(lambda: not seat.desk.reply.text)


async def test_what_is_typed_is_counted_too_and_what_fits_is_sent(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await writing(seat, "😀" * (ONE_MESSAGE // 2))
        assert "0 characters left" in seat.text()
        await seat.press("a")
        await seat.press("enter")
        await seat.until(lambda: "one message takes 4096" in seat.text())
        await seat.press("escape", "backspace", "enter")
        assert units((await gateway.expect(wire.Say)).text) == ONE_MESSAGE


async def test_more_than_a_composer_takes_is_attached_or_left(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await writing(seat, "before ")
        await seat.write(HUGE)
        await seat.until(lambda: "one message takes 4096" in seat.text())
        assert seat.desk.reply.text == "before "
        await seat.press("escape")
        assert (gateway.uploads, seat.desk.reply.text) == ([], "before ")
        await seat.write(HUGE)
        await seat.until(lambda: "one message takes 4096" in seat.text())
        await seat.press("enter")
        await seat.until(lambda: gateway.uploads)
        assert gateway.uploads[0][1] == HUGE.encode()
        assert seat.desk.reply.text == "before "
        assert frames(gateway, wire.Say) == []


async def test_a_note_takes_what_fits_and_says_when_more_does_not(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        await seat.press("escape", "i")
        await seat.write(HUGE)
        await seat.until(lambda: "64000 characters at most" in seat.text())
        assert seat.desk.note.text == ""
        await seat.write(LONG)
        await seat.press("enter")
        assert (await gateway.expect(wire.Note)).text == LONG


async def test_a_file_that_does_not_arrive_leaves_the_text_where_it_is(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await writing(seat, LONG)
        gateway.tickets.clear()  # uploads are refused
        await seat.press("enter")
        await seat.until(lambda: "one message takes 4096" in seat.text())
        await seat.press("1")
        await seat.until(lambda: "could not be sent" in seat.text())
        assert seat.desk.reply.text == LONG


async def test_tabs_and_escapes_of_a_paste_are_cleaned_and_nothing_is_cut(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.reply.focus()
        seat.app.post_message(events.Paste("a\tb\x1b[31mc\r\n" * 3_000))
        await seat.until(lambda: seat.desk.reply.text.count("\n") == 3_000)
        assert seat.desk.reply.text.endswith("bc\n")
