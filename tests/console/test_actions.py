"""Each action does what it says, by its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.actions import ACTIONS
from console.screens.dialogs import AskScreen, FileScreen, PickScreen, ShowScreen
from console.screens.search import SearchScreen
from console.text.words import LANGUAGES
from crm.kernel.records import Media, MessageChange, Version, apply_change
from router.wire import protocol as wire
from tests.console import test_deskday, test_leading
from tests.console.acts import TESTED, acts
from tests.console.conftest import Clock, Seat, frames, seated
from tests.console.crm import test_pages
from tests.fakes.gateway import NOW, FakeGateway, message, session


async def to_thread(seat: Seat, id: str = "10") -> None:
    await seat.open(id)
    seat.desk.thread.focus()
    await seat.pilot.pause()


@acts("open", "send", "reply")
async def test_enter_opens_writes_and_sends(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("enter")
        assert seat.desk.session == "10"
        assert seat.desk.area() == "reply"
        await seat.press(*"salom", "enter")
        said = await gateway.expect(wire.Say)
        assert (said.session, said.text) == ("10", "salom")
        await seat.until(lambda: not seat.app.picture.echoes)
        assert seat.desk.reply.text == ""
        await seat.press("escape", "enter")
        assert seat.desk.area() == "reply"


@acts("newline", "leave", "enter_sends")
async def test_lines_and_leaving(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("enter", "a", "alt+enter", "b", "ctrl+j", "c")
        assert seat.desk.reply.text == "a\nb\nc"
        await seat.press("f6", "enter", "d")
        assert seat.desk.reply.text == "a\nb\nc\nd"
        await seat.press("alt+enter")
        assert (await gateway.expect(wire.Say)).text == "a\nb\nc\nd"
        await seat.press("escape")
        assert seat.desk.area() == "thread"
        await seat.press("escape")
        assert seat.desk.area() == "list"


@acts("take")
async def test_take(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        await seat.press("t")
        assert (await gateway.expect(wire.Take)).session == "12"
        await seat.until(lambda: seat.desk.session == "12")
        assert seat.app.picture.is_mine(seat.app.picture.sessions["12"])


async def test_what_is_typed_while_the_desk_decides_is_a_reply(gateway: FakeGateway) -> None:
    gateway.silent = {wire.Take}
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        await seat.press("t", *"scbx")
        assert (seat.desk.area(), seat.desk.reply.text) == ("reply", "scbx")
        assert seat.desk.undo.delayed is None
        assert gateway.count(wire.Skip) == gateway.count(wire.Return) == 0


async def test_a_take_that_is_refused_says_why_and_keeps_what_was_typed(gateway: FakeGateway) -> None:
    gateway.refuse[wire.Take] = wire.Done(rid=0, code="held_by", params={"holder": "bek"})
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        await seat.press("t", *"hello")
        await seat.until(lambda: "bek has it" in seat.text())
        assert seat.app.drafts.get("12", "reply") == "hello"


@acts("skip")
async def test_skip(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        await seat.press("s")
        assert (await gateway.expect(wire.Skip)).session == "12"


@acts("give_back")
async def test_give_back_with_a_reason_can_be_undone_and_then_leaves(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("b")
        assert isinstance(seat.app.screen, AskScreen)
        await seat.press(*"lunch", "enter")
        assert "Ali Karimov → queue (5)" in seat.text()
        await seat.press("u")
        clock.time += 6_000
        seat.desk.tick()
        assert gateway.count(wire.Return) == 0
        await seat.press("b", "escape", "b", *"lunch", "enter")
        clock.time += 6_000
        seat.desk.tick()
        back = await gateway.expect(wire.Return)
        assert (back.session, back.reason) == ("10", "lunch")
        assert gateway.count(wire.Return) == 1


@acts("transfer", "undo")
async def test_transfer_can_be_undone_and_then_leaves(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("x")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press(*"bek", "enter")
        assert "Ali Karimov → bek (5)" in seat.text()
        await seat.press("u")
        clock.time += 6_000
        seat.desk.tick()
        assert gateway.count(wire.Transfer) == 0
        await seat.press("x", *"sup", "enter")
        clock.time += 6_000
        seat.desk.tick()
        assert (await gateway.expect(wire.Transfer)).to == "line:support"


async def test_a_conversation_can_go_to_the_bot_of_its_line(gateway: FakeGateway) -> None:
    clock = Clock()
    gateway.lines[0].bot = "robot"
    gateway.operators.append(wire.OperatorView(name="robot", role="bot"))
    async with seated(gateway, clock=clock) as seat:
        await seat.press("x", *"robot", "enter")
        clock.time += 6_000
        seat.desk.tick()
        assert (await gateway.expect(wire.Transfer)).to == "bot"


@acts("close")
async def test_close_counts_down_first(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("c")
        clock.time += 4_000
        seat.desk.tick()
        assert gateway.count(wire.Close) == 0
        clock.time += 1_000
        seat.desk.tick()
        assert (await gateway.expect(wire.Close)).session == "10"


async def test_a_close_that_counts_down_leaves_with_the_console(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("c", "ctrl+q")
    assert (await gateway.expect(wire.Close)).session == "10"


@acts("pin")
async def test_pin(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("p")
        assert (await gateway.expect(wire.Pin)).on is True
        await seat.until(lambda: seat.app.picture.sessions["10"].pinned)
        await seat.press("p")
        assert (await gateway.expect(wire.Pin, on=False)).session == "10"


@acts("next")
async def test_next_goes_where_time_runs_out_first(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("n")
        assert seat.desk.session == "10"
        await gateway.change("12", offer_until=NOW + 5_000)
        await seat.until(lambda: seat.app.picture.sessions["12"].offer_until == NOW + 5_000)
        await seat.press("escape", "n")
        assert seat.desk.session == "12"


@acts("note", "switch_note")
async def test_a_note_is_a_note_by_every_key(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("i")
        assert seat.desk.area() == "note"
        await seat.press(*"shy", "enter")
        assert (await gateway.expect(wire.Note)).text == "shy"
        await seat.press(*"again", "alt+enter", "f6", "alt+enter", "f6")
        await seat.press("ctrl+n")
        assert seat.desk.area() == "reply"
        assert seat.desk.reply.text == ""
        await seat.press("ctrl+n")
        assert seat.desk.area() == "note"
        assert gateway.count(wire.Say) == 0


KEYS = sorted({key for action in ACTIONS if action.anywhere for key in action.keys} - {"ctrl+q"})
"""All that do something while one writes; the others are letters."""


@pytest.mark.parametrize(("kind", "opens"), [("note", "i"), ("whisper", "w")])
async def test_no_key_sends_the_customer_what_was_written_for_colleagues(
    gateway: FakeGateway, kind: str, opens: str
) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        for key in (*KEYS, "shift+enter", "ctrl+enter", "ctrl+m", "tab"):
            seat.desk.thread.focus()
            await seat.press(opens)
            assert seat.desk.area() == kind
            await seat.write("secret")
            await seat.press(key)
            while seat.app.screen is not seat.desk:
                await seat.press("escape")
            seat.desk.reading.open_session("10")
            await seat.pilot.pause()
            assert "secret" not in seat.desk.reply.text, key
        assert gateway.count(wire.Say) == gateway.count(wire.EditMessage) == 0


@acts("attach", "cancel_files")
async def test_attach_a_file_by_its_path(gateway: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / "price list.txt").write_bytes(b"iron 120000")
    async with seated(gateway) as seat:
        await seat.open("10")
        await seat.press("ctrl+o")
        assert isinstance(seat.app.screen, FileScreen)
        seat.app.screen._put(f"{tmp_path}/pri")
        await seat.press("tab", "enter")
        await seat.until(lambda: seat.desk.attaching.files)
        assert gateway.uploads == [("price list.txt", b"iron 120000")]
        assert "[file price list.txt" in seat.text()
        await seat.press("ctrl+r")
        assert not seat.desk.attaching.files
        await seat.press("ctrl+o")
        seat.app.screen._put(f"{tmp_path}/pri")
        await seat.press("tab", "enter")
        await seat.until(lambda: seat.desk.attaching.files)
        await seat.press("enter")
        assert [media.key for media in (await gateway.expect(wire.Say)).media] == ["m2"]


@acts("retry", "discard")
async def test_a_failed_message(gateway: FakeGateway) -> None:
    gateway.messages["10"].append(message("10", 5, "x", direction="out", author="anna", delivery="failed"))
    async with seated(gateway) as seat:
        await to_thread(seat)
        assert "not delivered" in seat.text()
        await seat.press("r")
        assert (await gateway.expect(wire.Resend)).message == "10-5"
        await seat.press("d")
        assert "not delivered" not in seat.text()
        assert seat.app.shelf.load().discarded == ["10-5"]


async def test_an_unknown_message_asks_twice(gateway: FakeGateway) -> None:
    gateway.messages["10"].append(message("10", 5, "x", direction="out", author="anna", delivery="unknown"))
    async with seated(gateway) as seat:
        await to_thread(seat)
        await seat.press("r")
        assert gateway.count(wire.Resend) == 0
        await seat.press("r")
        assert (await gateway.expect(wire.Resend)).message == "10-5"


@acts("versions", "edit", "quote", "copy")
async def test_a_selected_message(gateway: FakeGateway) -> None:
    gateway.messages["10"][1].versions = [Version(at=NOW - 600_000, text="Which one?")]
    async with seated(gateway) as seat:
        await to_thread(seat)
        await seat.press("up", "up", "up")
        assert seat.desk.thread.selected == "10-2"
        await seat.press("e")
        assert isinstance(seat.app.screen, ShowScreen)
        assert "Which one?" in seat.text()
        await seat.press("escape", "y")
        assert seat.app.clipboard == "Qaysi model?"
        await seat.press("m", "!", "enter")
        edit = await gateway.expect(wire.EditMessage)
        assert (edit.message, edit.text) == ("10-2", "Qaysi model?!")
        await seat.press("escape", "q", *"yes", "enter")
        assert (await gateway.expect(wire.Say)).reply_to == "10-2"


async def test_a_correction_that_the_channel_refuses_goes_back_to_what_the_customer_sees(
    gateway: FakeGateway,
) -> None:
    def change(**fields: Any) -> MessageChange:
        return MessageChange(at=NOW, chat="shop_bot:10", session="10", id="10-2", edit="e", **fields)

    async with seated(gateway) as seat:
        await to_thread(seat)
        await gateway.push(changes=[change(text="Which model?", edited_at=NOW)])
        await seat.until(lambda: "Which model? (edited)" in seat.text())
        await gateway.push(changes=[change(edit_delivery="failed", error="message is too old")])
        await seat.until(lambda: "correction not delivered" in seat.text())
        assert "Qaysi model?" in seat.text()
        assert "Which model?" in seat.text()
        seat.desk.thread.select("10-2")
        await seat.press("e")
        assert "correction not delivered: Which model?" in seat.text()


async def test_a_page_corrects_what_was_missed_of_a_correction(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await to_thread(seat)
        ours = seat.app.picture.thread("10").by_id["10-2"]
        apply_change(
            ours, MessageChange(at=NOW, chat=ours.chat, id="10-2", text="lie", edited_at=NOW, edit="e")
        )
        stored = message("10", 2, "Qaysi model?", direction="out", author="anna", delivery="read")
        stored.versions = [Version(at=NOW, text="lie", edit="e", delivery="failed")]
        seat.app.picture.thread("10").put_page([stored], more=False)
        assert (ours.text, ours.edited_at, ours.versions) == ("Qaysi model?", 0, stored.versions)
        older = message("10", 2, "Qaysi model?", direction="out", author="anna", delivery="read")
        seat.app.picture.thread("10").put_page([older], more=False)
        assert ours.versions == stored.versions, "an older copy takes nothing back"


@acts("open_file")
async def test_a_file_is_opened_outside(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    async def look(path: Path) -> bool:
        opened.append(path)
        return path.suffix == ".jpg"

    monkeypatch.setattr("console.desk.attaching.open_outside", look)
    gateway.files = {"k1": b"first", "k2": b"second"}
    pictures = [Media(kind="photo", key="k1"), Media(kind="document", key="k2", name="../list.exe")]
    gateway.messages["10"] += [
        message("10", 5, media=pictures, kind="photo"),
        message("10", 6, media=[Media(kind="photo")], kind="photo"),
        message("10", 7, media=[Media(kind="voice", error="too large")], kind="voice"),
    ]
    async with seated(gateway) as seat:
        await to_thread(seat)
        await seat.press("o")
        await seat.until(lambda: "too large" in seat.text())
        await seat.press("up", "up", "o")
        await seat.until(lambda: "being fetched" in seat.text())
        await seat.press("up", "o")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press("enter")
        await seat.until(lambda: "Opened photo.jpg" in seat.text())
        await seat.press("o", "down", "enter")
        await seat.until(lambda: "list.exe" in seat.text())
        assert [path.name for path in opened] == ["photo.jpg", "list.exe"]
        assert [path.read_bytes() for path in opened] == [b"first", b"second"]
        gateway.files.clear()
        await seat.press("o", "enter")
        await seat.until(lambda: "does not have this file" in seat.text())
        folder = opened[0].parent
        await seat.press("ctrl+q")
    assert not folder.exists()


@acts("search", "search_all")
async def test_search_jumps_to_a_message_far_back(gateway: FakeGateway) -> None:
    gateway.messages["11"] = [message("11", n, f"line {n}") for n in range(1, 400)]
    async with seated(gateway) as seat:
        await seat.open("11")
        await seat.press("escape", "slash")
        assert isinstance(seat.app.screen, SearchScreen)
        await seat.press(*"line 7", "enter")
        assert (await gateway.expect(wire.Search)).session == "11"
        await seat.until(lambda: isinstance(seat.app.screen, SearchScreen) and seat.app.screen._found)
        await seat.pilot.pause()
        await seat.press("end", "enter")
        await seat.until(lambda: seat.desk.thread.selected == "11-7")
        await seat.press("ctrl+f", *"qancha", "enter")
        assert (await gateway.expect(wire.Search, text="qancha")).session == ""


@acts("why", "card", "help")
async def test_what_can_be_shown(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("question_mark")
        await seat.until(lambda: isinstance(seat.app.screen, ShowScreen))
        assert "dilnoza: on a break" in seat.text()
        await seat.press("escape", "v")
        await seat.until(lambda: "+998901234567" in seat.text())
        await seat.press("f1")
        assert "Back to the queue" in seat.text()


@acts("duty")
async def test_duty_and_the_walk_at_the_end_of_a_shift(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("f2", "down", "enter")
        assert (await gateway.expect(wire.SetDuty)).duty == "break"
        await seat.until(lambda: "break" in seat.text().splitlines()[0])
        await seat.press("f2", "3")
        assert "Ali Karimov" in seat.text()
        await seat.press("down", "enter")
        assert (await gateway.expect(wire.Return)).session == "10"
        assert gateway.count(wire.SetDuty) == 1
        await seat.press("1")
        assert (await gateway.expect(wire.SetDuty, duty="offline")).duty == "offline"
        assert (await gateway.expect(wire.Pin)).session == "11"
        await seat.until(lambda: "F2 duty" in seat.text().splitlines()[-1])


async def test_a_close_of_the_last_minute_reaches_the_desk_before_the_end(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("f2", "3", "1", "4")
        await gateway.expect(wire.SetDuty)
        commands = [type(frame) for frame in gateway.received if isinstance(frame, wire.CommandFrame)]
        assert commands == [wire.Pin, wire.Close, wire.SetDuty]


async def test_next_does_not_lead_to_what_is_being_closed(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("c", "n")
        assert seat.desk.session == "12"


async def test_who_is_off_duty_is_told_how_to_begin(gateway: FakeGateway) -> None:
    gateway.operators[0].duty = "offline"
    async with seated(gateway) as seat:
        await seat.until(lambda: "F2 begins the shift" in seat.text())
        assert seat.text().splitlines()[-1].startswith(" F2 duty")
        await gateway.push(operators=[wire.OperatorView(name="anna", duty="online")])
        await seat.until(lambda: "F2 begins" not in seat.text())


@acts("hide_list", "hide_card", "language", "theme", "sound", "palette")
async def test_the_screen_is_the_operators(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("left_square_bracket", "right_square_bracket")
        assert not seat.desk.sessions.display
        assert not seat.desk.card.display
        await seat.press("left_square_bracket")
        await seat.press("f3")
        assert "МОИ" in seat.text()
        await seat.press("f3")
        assert "MENIKI" in seat.text()
        theme = seat.app.theme
        await seat.press("f4", "f5")
        kept = seat.app.shelf.load()
        assert (kept.theme != theme, kept.sound, kept.language) == (True, True, "uz")
        await seat.press("f3", "ctrl+p")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press(*"next", "enter")
        assert seat.desk.session == "10"
    assert list(LANGUAGES) == ["en", "ru", "uz"]


@acts("reconnect")
async def test_reconnect_now(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await gateway.cut()
        await seat.until(lambda: seat.app.latency < 0)
        await seat.press("f8")
        await seat.until(lambda: gateway.count(wire.Hello) == 2)


@acts("sign_out", "quit")
async def test_signing_out_forgets_the_token(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.app.shelf.save_token(seat.app.url, "token-1")
        seat.desk.verbs.run("sign_out")
        await seat.until(lambda: seat.app.screen.__class__.__name__ == "LoginScreen")
        assert seat.app.shelf.token(seat.app.url) == ""
        await seat.press("ctrl+q")
    assert seat.app.return_value == 0


async def test_the_card_follows_what_happens(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.desk.reading.RENEW_CARD", 0.01)
    async with seated(gateway) as seat:
        await seat.open("12")
        await seat.until(lambda: "offered · anna" in seat.text())
        await gateway.change("12", status="taken", holder="anna")
        await seat.until(lambda: "taken · anna" in seat.text())
        assert "offered · anna" not in seat.text()
        await gateway.push(sessions=[session("15", customer="c12", status="closed")])
        await seat.until(lambda: "Conversations: 2" in seat.text())


async def test_the_load_is_shown_with_its_limit(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        assert "online 1 " in seat.text()
        me = wire.OperatorView(name="anna", duty="online", load=3, max_sessions=5)
        await gateway.push(operators=[me])
        await seat.until(lambda: "online 3/5" in seat.text())


async def test_a_refusal_gives_the_text_back_and_says_why(gateway: FakeGateway) -> None:
    gateway.refuse[wire.Say] = wire.Done(rid=0, code="held_by", params={"holder": "bek"})
    async with seated(gateway) as seat:
        await seat.press("enter", *"hello", "enter")
        await seat.until(lambda: seat.desk.reply.text == "hello")
        await seat.until(lambda: "bek has it." in seat.text())
        assert not seat.app.picture.echoes


def test_every_action_is_tested() -> None:
    assert {"take_over", "state"} <= TESTED, (
        f"{test_leading.__name__}, {test_deskday.__name__}, {test_pages.__name__} note their own"
    )
    assert {action.id for action in ACTIONS} == TESTED


async def test_reading_marks_read_once(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        assert (await gateway.expect(wire.MarkRead)).seq == 4
        await seat.until(lambda: not seat.app.picture.sessions["10"].unread)
        assert len(frames(gateway, wire.MarkRead)) == 1
