"""Raw bytes of real terminals into the shipped console: what sends, what breaks the line, what acts."""

from __future__ import annotations

import pytest

from router.wire import protocol as wire
from tests.conftest import until
from tests.terminal.conftest import Desk, Seat
from tests.terminal.keyboards import KEYBOARDS, KEYPAD_ENTER, Keyboard


async def type_with(desk: Desk, keyboard: Keyboard, text: str) -> None:
    """Letter by letter as this keyboard sends them, each seen before the next."""
    for end, letter in enumerate(text, 1):
        desk.send(keyboard.bytes(letter))
        await desk.shows("> " + text[:end].rstrip())


@pytest.mark.parametrize("name", KEYBOARDS)
async def test_alt_enter_breaks_the_line_and_enter_sends(seat: Seat, name: str) -> None:
    keyboard = KEYBOARDS[name]
    async with seat(**keyboard.environment) as desk:
        desk.send(keyboard.bytes("enter"))
        await desk.shows("Qaysi model?")
        await type_with(desk, keyboard, "Bir")
        desk.send(keyboard.bytes("alt+enter"))
        desk.send(keyboard.bytes("i"))
        await until(lambda: desk.line("> Bir") and "│   i " in desk.text())
        assert desk.said() == []
        desk.send(keyboard.bytes("enter"))
        await desk.gateway.expect(wire.Say)
        assert desk.said() == [("10", "Bir\ni")]


@pytest.mark.parametrize("name", KEYBOARDS)
async def test_keys_that_act_reach_their_verbs(seat: Seat, name: str) -> None:
    keyboard = KEYBOARDS[name]
    async with seat(**keyboard.environment) as desk:
        desk.send(keyboard.bytes("f1"))
        await desk.shows("─ Help ─")
        desk.send(keyboard.bytes("escape"))
        await desk.hides("─ Help ─")
        desk.send(keyboard.bytes("p"))
        assert (await desk.gateway.expect(wire.Pin)).session == "10"
        desk.send(keyboard.bytes("question_mark"))
        await desk.shows("How it was routed")
        desk.send(keyboard.bytes("escape"))
        await desk.hides("How it was routed")
        desk.send(keyboard.bytes("ctrl+p"))
        await desk.shows("type to find")
        desk.send(keyboard.bytes("escape"))
        await desk.hides("type to find")
        desk.send(keyboard.bytes("ctrl+q"))
        assert await desk.ended() == 0


async def test_a_slow_line_that_tears_the_escape_from_its_enter_sends_nothing(seat: Seat) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("salom")
        desk.send(b"\x1b")
        await desk.hides("⏎ send")  # the escape alone was Escape: the composer has been left
        desk.send(b"\r")
        await desk.shows("⏎ send")
        assert desk.line("> salom")
        assert desk.said() == []


@pytest.mark.parametrize("name", ["kitty", "tmux, extended keys", "modifyOtherKeys"])
async def test_shift_enter_breaks_the_line_where_it_can_be_told(seat: Seat, name: str) -> None:
    keyboard = KEYBOARDS[name]
    async with seat(**keyboard.environment) as desk:
        await desk.write_to("Qaysi model?")
        await type_with(desk, keyboard, "Bir")
        desk.send(keyboard.bytes("shift+enter"))
        desk.send(keyboard.bytes("i"))
        await until(lambda: "│   i " in desk.text())
        assert desk.said() == []


@pytest.mark.parametrize("data", KEYPAD_ENTER.values())
async def test_the_keypads_enter_sends(seat: Seat, data: bytes) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("salom")
        desk.send(data)
        assert (await desk.gateway.expect(wire.Say)).text == "salom"


async def test_ctrl_j_breaks_the_line(seat: Seat) -> None:
    async with seat() as desk:
        await desk.write_to("Qaysi model?")
        await desk.type("salom")
        desk.send(b"\n")
        desk.send(b"x")
        await until(lambda: "│   x " in desk.text())
        assert desk.said() == []


PASTED = {
    "marked": (b"\x1b[200~bir\rikki\r\x1b[201~", "xterm-256color"),
    "unmarked": (b"bir\rikki\r", "xterm-256color"),
    "unmarked, one line, a console": (b"bir\r", "linux"),
    "unmarked, one line, screen": (b"bir\r", "screen"),
    "marked, with an escape in it": (b"\x1b[200~bir\x1b\r" + b"x" * 40 + b"\r\x1b[201~", "xterm-256color"),
}


@pytest.mark.parametrize("name", PASTED)
async def test_a_paste_is_written_and_not_sent(seat: Seat, name: str) -> None:
    data, term = PASTED[name]
    async with seat(TERM=term) as desk:
        await desk.write_to("Qaysi model?")
        desk.send(data)
        await desk.shows("> bir")
        desk.send(b"\x1bOP")  # whatever came before has been worked on when this is shown
        await desk.shows("─ Help ─")
        assert desk.said() == []


async def test_an_unmarked_paste_into_the_list_is_no_verbs(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(b"pinch\rtrick\r")
        desk.send(b"\x1bOP")
        await desk.shows("─ Help ─")
        assert desk.commands() == []


async def test_a_byte_that_is_no_text_is_no_end(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(b"\xff\xfe\x80\x1b[999999999u\x1b[55296;5u\xc3(")
        desk.send(b"\x1bOP")
        await desk.shows("─ Help ─")


CYRILLIC = {"ru": "з", "uz": "з"}


@pytest.mark.parametrize("name", CYRILLIC)
async def test_a_key_acts_in_a_cyrillic_layout_and_is_written_as_it_is(seat: Seat, name: str) -> None:
    async with seat() as desk:
        desk.send(CYRILLIC[name].encode())  # the key of p
        assert (await desk.gateway.expect(wire.Pin)).session == "10"
        desk.send(b",")  # Shift and the key of ?
        await desk.shows("How it was routed")
        desk.send(b"\x1b")
        await desk.hides("How it was routed")
        await desk.write_to("Qaysi model?")
        await desk.type("қани, зўр.")
        desk.send(b"\r")
        assert (await desk.gateway.expect(wire.Say)).text == "қани, зўр."


async def test_the_keys_of_brackets_hide_the_sides_in_a_cyrillic_layout(seat: Seat) -> None:
    async with seat() as desk:
        desk.send("х".encode())
        await desk.hides("MINE")
        desk.send("х".encode())
        await desk.shows("MINE")
        desk.send("ъ".encode())
        await desk.hides("CARD")


async def test_kittys_ctrl_in_a_cyrillic_layout(seat: Seat) -> None:
    async with seat(TERM="xterm-kitty") as desk:
        desk.send(b"\x1b[1079::112;5u")
        await desk.shows("type to find")
        desk.send(b"\x1b[27u")
        await desk.hides("type to find")
        desk.send(b"\x1b[1079;5u")  # a terminal that tells no place
        await desk.shows("type to find")


async def test_a_list_that_was_hidden_and_is_back_takes_keys(seat: Seat) -> None:
    async with seat() as desk:
        desk.send(b"[")
        await desk.hides("MINE")
        desk.send(b"[")
        await desk.shows("MINE")
        await desk.write_to("Qaysi model?")
