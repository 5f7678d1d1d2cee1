"""A hurried operator: verbs where another conversation is open, and what is asked while the list moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.screens.dialogs import FileScreen, PickScreen, StopScreen
from router.wire import protocol as wire
from tests.console.conftest import Clock, frames, seated
from tests.fakes.gateway import NOW, FakeGateway, message, session


async def test_a_file_chosen_in_the_list_is_for_who_is_under_the_cursor(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    (tmp_path / "offer.txt").write_bytes(b"for Olga")
    async with seated(gateway) as seat:
        await seat.open("10")
        await seat.press("escape", "escape", "down")
        assert (seat.desk.session, seat.desk.sessions.cursor) == ("10", "11")
        await seat.press("ctrl+o")
        assert isinstance(seat.app.screen, FileScreen)
        seat.app.screen._put(f"{tmp_path}/offer.txt")
        await seat.press("enter")
        await seat.until(lambda: "[file offer.txt" in seat.text())
        assert (seat.desk.session, list(seat.desk.attaching.attached)) == ("11", ["11"])
        await seat.press("enter", "enter")
        assert (await gateway.expect(wire.Say)).session == "11"


async def test_the_palette_acts_on_what_it_was_opened_for(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.widgets.sessions.SETTLED", 0.0)
    for id in ("10", "11", "13", "14"):
        del gateway.sessions[id]
    async with seated(gateway) as seat:
        await seat.press("ctrl+p", *"take")
        assert isinstance(seat.app.screen, PickScreen)
        await gateway.push(gone=["12"])
        await seat.until(lambda: not seat.desk.sessions.cursor)
        offer = session("15", status="offered", holder="anna", offer_until=NOW + 60_000)
        await gateway.push(sessions=[offer])
        await seat.until(lambda: seat.desk.sessions.cursor == "15")
        await seat.press("enter")
        assert isinstance(seat.app.screen, StopScreen)
        await seat.press(*"hello", "enter", "escape")
        assert frames(gateway, wire.Take) == frames(gateway, wire.Say) == []


async def test_the_palette_does_what_is_about_no_conversation(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("ctrl+p", *"duty")
        await gateway.push(gone=["10"])
        await seat.until(lambda: seat.desk.sessions.lost)
        await seat.press("enter")
        assert "break" in seat.text()


@pytest.mark.parametrize("what", ["3", "4"])
async def test_escape_at_the_end_of_a_shift_stays_on_duty(gateway: FakeGateway, what: str) -> None:
    del gateway.sessions["11"]
    gateway.lines[0].results = ["sold", "not sold"]
    async with seated(gateway) as seat:
        await seat.press("f2", "3", what)
        assert len(seat.app.screen_stack) == 3
        await seat.press("escape")
        assert len(seat.app.screen_stack) == 2
        assert frames(gateway, wire.SetDuty) == []
        await seat.press("f2", "3", what, "enter")
        assert (await gateway.expect(wire.SetDuty)).duty == "offline"


@pytest.mark.parametrize("key", ["m", "q"])
async def test_what_is_said_in_an_earlier_conversation_stays_there(gateway: FakeGateway, key: str) -> None:
    old = message("9", 1, "My own old words", direction="out", author="anna", at=NOW - 900_000)
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.app.picture.thread("10").put_history([old], more=False)
        seat.desk.thread.sync()
        seat.desk.set_focus(seat.desk.thread)
        assert seat.desk.thread.select("9-1")
        await seat.press(key)
        assert "It belongs to an earlier conversation." in seat.text()
        assert seat.desk.area() == "thread"


async def test_a_close_that_counts_down_leaves_before_the_next_one_signs_in(gateway: FakeGateway) -> None:
    async with seated(gateway, clock=Clock()) as seat:
        await seat.press("enter", *"half a sentence", "escape", "escape", "down", "c")
        assert seat.desk.undo.delayed is not None
        seat.desk.verbs.run("sign_out")
        assert (await gateway.expect(wire.Close)).session == "11"
        await seat.until(lambda: seat.app.screen.__class__.__name__ == "LoginScreen")
        drafts = seat.app.shelf.drafts(seat.app.url, "anna")
        assert drafts.get("10", "reply") == "half a sentence"


async def test_who_writes_while_his_conversation_is_closed_is_not_left(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("c")
        await gateway.push(messages=[message("11", 9, "elsewhere")])
        await seat.until(lambda: seat.app.picture.sessions["11"])
        assert seat.desk.undo.delayed is not None
        await gateway.push(messages=[message("10", 9, "wait, one more thing")])
        await seat.until(lambda: "Not done (Closing Ali Karimov)" in seat.text())
        clock.time += 6_000
        seat.desk.tick()
        assert frames(gateway, wire.Close) == []


async def test_a_paste_that_goes_nowhere_says_so(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.write("narx 100\nt")
        assert "Pasted text goes nowhere here" in seat.text()


async def test_a_double_click_in_the_footer_is_no_second_command(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where "take" stood, "send" stands as soon as it is done; the first half of a sentence is there."""
    async with seated(gateway) as seat:
        await seat.open("12")
        await seat.write("half a sen")
        await seat.press("escape", "escape")
        keys = "#keys"
        assert seat.text().splitlines()[-1].startswith(" t take")
        monkeypatch.setattr("console.widgets.chrome.SETTLED", 60.0)
        seat.desk.keys._moved = -1_000.0
        await seat.pilot.click(keys, offset=(3, 0))
        await seat.until(lambda: seat.text().splitlines()[-1].startswith(" ⏎ send"))
        await seat.pilot.click(keys, offset=(3, 0))
        assert (await gateway.expect(wire.Take)).session == "12"
        assert seat.desk.reply.text == "half a sen"
        monkeypatch.setattr("console.widgets.chrome.SETTLED", 0.0)
        await seat.pilot.click(keys, offset=(3, 0))
        assert (await gateway.expect(wire.Say)).text == "half a sen"
        assert len(frames(gateway, wire.Say)) == 1


async def test_a_hidden_list_says_how_it_comes_back(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("left_square_bracket")
        assert "The list is hidden: [ shows it." in seat.text()
        assert "Choose a conversation" not in seat.text()
        await seat.press("left_square_bracket")
        assert "Choose a conversation" in seat.text()
