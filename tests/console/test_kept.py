"""What is begun for a conversation stays with it: words, dialogs, commands, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events

from console.actions import footer
from console.screens.dialogs import FileScreen, PickScreen, StopScreen
from router.wire import protocol as wire
from tests.console.conftest import Clock, Seat, seated
from tests.fakes.gateway import NOW, FakeGateway, message, session

Leave = Callable[[FakeGateway, str], Awaitable[Any]]


async def lapse_to_colleague(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="offered", holder="bek", offer_until=NOW + 9_000)


async def lapse_to_queue(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="waiting", holder="", offer_until=0)


async def returned_and_offered_again(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="offered", holder="anna", offer_until=NOW + 60_000)


async def taken_over(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="taken", holder="bek")


async def to_bot(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="bot", holder="", bot="robot")


async def closed(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="closed", holder="")


async def closing(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="closing")


async def spam(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, status="spam", holder="")


async def vanished(gateway: FakeGateway, id: str) -> None:
    """The line is lost, or the desk says no more than that it is gone."""
    await gateway.push(gone=[id])


async def gone_in_a_snapshot(gateway: FakeGateway, id: str) -> None:
    """The connection breaks; the desk that comes back knows nothing of it."""
    del gateway.sessions[id]
    gateway.forget = True
    await gateway.cut()


async def blocked(gateway: FakeGateway, id: str) -> None:
    await gateway.change(id, can_write=False)


async def disabled(gateway: FakeGateway, id: str) -> None:
    await gateway.bye("revoked")


LEAVINGS: list[Leave] = [
    lapse_to_colleague, lapse_to_queue, returned_and_offered_again, taken_over, to_bot, closed, closing, spam, vanished,
    gone_in_a_snapshot, disabled,
]  # fmt: skip
EVERY_KEY = ["t", "s", "c", "n", "x", "b", "i", "w", "z", "S", "P", "a", "space", "tab", "shift+tab", "up",
             "ctrl+n", "ctrl+o", "ctrl+p", "ctrl+f", "ctrl+r", "f1", "f2", "f7", "alt+enter", "ctrl+j",
             "backspace", "delete", "ctrl+u", "enter"]  # fmt: skip
OPENS = {"reply": "enter", "note": "i", "whisper": "w"}


async def compose(seat: Seat, id: str, kind: str, text: str) -> None:
    """Writes half a sentence into a composer of a session."""
    await seat.open(id)
    seat.desk.set_focus(seat.desk.thread)
    await seat.press(OPENS[kind])
    assert seat.desk.area() == kind
    await seat.write(text)


def changing(gateway: FakeGateway) -> list[wire.CommandFrame]:
    """The commands that change something; a read mark is none."""
    return [
        f for f in gateway.received if isinstance(f, wire.CommandFrame) and not isinstance(f, wire.MarkRead)
    ]


@pytest.mark.parametrize("kind", ["reply", "note", "whisper"])
@pytest.mark.parametrize("leave", LEAVINGS, ids=lambda leave: leave.__name__)
async def test_a_composer_stays_locked_until_escape(gateway: FakeGateway, leave: Leave, kind: str) -> None:
    id = "12" if leave in (lapse_to_colleague, lapse_to_queue) else "10"
    async with seated(gateway) as seat:
        await compose(seat, id, kind, "half a sen")
        await leave(gateway, id)
        await seat.until(lambda: seat.desk.area() == "locked")
        composer, line = seat.desk.composer, seat.desk.query_one("#reply-rule")
        assert composer.has_focus
        assert composer.region.height > 0
        assert composer.locked in seat.text().splitlines()[line.region.y]
        await seat.press(*EVERY_KEY)
        await seat.write("pasted")
        assert (seat.desk.area(), seat.desk.session, composer.text) == ("locked", id, "half a sen")
        assert seat.app.screen is seat.desk
        assert changing(gateway) == []
        drafts = seat.app.drafts
        await seat.press("escape")
        assert drafts.get(id, kind) == "half a sen"
        if leave is disabled:
            assert seat.app.desk is None
        else:
            assert seat.desk.area() == "thread"


async def test_a_customer_who_blocks_us_locks_the_reply_and_not_the_note(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await compose(seat, "10", "note", "he has")
        await blocked(gateway, "10")
        await seat.until(lambda: not seat.app.picture.sessions["10"].can_write)
        assert seat.desk.area() == "note"
        await seat.press("escape", "enter")
        assert seat.desk.area() == "locked"
        assert "has blocked us" in seat.text()


async def test_the_rest_of_a_sentence_reaches_nobody(gateway: FakeGateway) -> None:
    """The offer lapses in the middle; the letters that follow include t and n."""
    async with seated(gateway) as seat:
        await compose(seat, "12", "reply", "The kettle ")
        await lapse_to_colleague(gateway, "12")
        await seat.until(lambda: seat.desk.area() == "locked")
        assert "the offer has ended: it is offered to bek now" in seat.text()
        await seat.press(*"is not in stock", "enter")
        assert changing(gateway) == []
        await seat.press("escape")
        assert "a draft is kept" in seat.text()


async def test_a_whisper_is_for_the_one_who_had_it(gateway: FakeGateway) -> None:
    gateway.sessions["10"].holder = "bek"
    async with seated(gateway) as seat:
        await compose(seat, "10", "whisper", "you are too")
        await gateway.change("10", unread=3)
        await seat.until(lambda: seat.app.picture.sessions["10"].unread == 3)
        assert seat.desk.area() == "whisper"
        await gateway.change("10", holder="dilnoza")
        await seat.until(lambda: seat.desk.area() == "locked")


async def test_a_stranger_s_note_outlives_a_change_of_hands_and_a_reconnect(gateway: FakeGateway) -> None:
    gateway.sessions["10"].holder = "bek"
    async with seated(gateway) as seat:
        await compose(seat, "10", "note", "ask about")
        await gateway.change("10", holder="dilnoza")
        await gone_in_a_snapshot(gateway, "10")
        await seat.until(
            lambda: gateway.count(wire.Hello) == 2 and not seat.app.picture.sessions["10"].status
        )
        assert seat.desk.area() == "note"


async def test_an_offer_that_is_renewed_goes_on(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await compose(seat, "12", "reply", "half")
        await gateway.change("12", offered_at=NOW + 1, offer_until=NOW + 60_000)
        await seat.until(lambda: seat.app.picture.sessions["12"].offered_at)
        assert seat.desk.area() == "reply"


async def test_what_comes_back_stays_locked_until_it_is_read(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await compose(seat, "10", "reply", "half")
        await taken_over(gateway, "10")
        await gateway.change("10", holder="anna")
        await seat.until(lambda: seat.app.picture.is_mine(seat.app.picture.sessions["10"]))
        if seat.desk.area() == "locked":  # both changes may also have come as one
            await seat.press("escape", "enter")
        assert (seat.desk.area(), seat.desk.reply.text) == ("reply", "half")


async def test_a_window_in_the_back_locks_too(gateway: FakeGateway) -> None:
    """The terminal has lost the focus; what is typed when it comes back is not for the list."""
    async with seated(gateway) as seat:
        await compose(seat, "10", "reply", "half")
        seat.app.post_message(events.AppBlur())
        await seat.until(lambda: not seat.app.app_focus)
        await taken_over(gateway, "10")
        await seat.until(lambda: seat.desk.reply.locked)
        await seat.press(*"tn")
        assert seat.desk.area() == "locked"
        assert changing(gateway) == []


async def test_a_window_that_becomes_narrow_keeps_the_composer(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("enter", "escape", "escape")
        seat.desk.set_focus(seat.desk.reply)
        await seat.write("half")
        await seat.pilot.resize_terminal(60, 30)
        await seat.press(*"tn")
        assert (seat.desk.area(), seat.desk.reply.text) == ("reply", "halftn")
        assert seat.desk.reply.region.height > 0


async def test_enter_where_nothing_can_be_written_takes_the_keys(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("12")
        seat.desk.set_focus(seat.desk.thread)
        await taken_over(gateway, "12")
        await seat.until(lambda: not seat.desk.can_write(gateway.sessions["12"]))
        await seat.press("enter", *"tnc", "enter")
        assert seat.desk.area() == "locked"
        assert changing(gateway) == []


# ------------------------------------------------------------------ the list


async def test_a_verb_is_for_the_session_that_was_under_the_cursor(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        await lapse_to_colleague(gateway, "12")
        await seat.until(lambda: seat.desk.sessions.lost)
        await seat.press("t")
        assert isinstance(seat.app.screen, StopScreen)
        await seat.press(*"the rest nn", "enter")
        assert isinstance(seat.app.screen, StopScreen)
        await seat.press("escape", "s", "c")
        assert changing(gateway) == []
        await seat.press("down")
        assert seat.desk.sessions.cursor == "13"
        await seat.press("t")
        assert (await gateway.expect(wire.Take)).session == "13"


async def test_who_comes_to_the_list_finds_a_cursor_that_acts_when_it_was_seen(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.widgets.sessions.SETTLED", 60.0)
    async with seated(gateway) as seat:
        await compose(seat, "12", "reply", "half")
        await lapse_to_colleague(gateway, "12")
        await seat.until(lambda: seat.desk.area() == "locked")
        await seat.press("escape", "escape", "t")
        assert seat.desk.sessions.cursor == "13"
        assert changing(gateway) == []
        while seat.app.screen is not seat.desk:
            await seat.press("escape")
        monkeypatch.setattr("console.widgets.sessions.SETTLED", 0.0)
        await seat.press("t")
        assert (await gateway.expect(wire.Take)).session == "13"


async def test_the_cursor_goes_with_its_session(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        await gateway.push(
            sessions=[session("9", status="pending", holder="anna", waiting_since=NOW - 500_000)]
        )
        await seat.until(lambda: "9" in seat.desk.sessions._place)
        await seat.press("t")
        assert (await gateway.expect(wire.Take)).session == "12"


async def test_what_appears_under_the_cursor_must_be_seen_first(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.widgets.sessions.SETTLED", 60.0)
    for id in ("10", "11", "13", "14"):
        del gateway.sessions[id]
    held = gateway.sessions.pop("12")
    async with seated(gateway) as seat:
        seat.desk.sessions.started = True
        await gateway.push(sessions=[held])
        await seat.until(lambda: seat.desk.sessions.cursor == "12")
        await seat.press("t", "t")
        assert gateway.count(wire.Take) == 0
        monkeypatch.setattr("console.widgets.sessions.SETTLED", 0.0)
        await seat.press("t")
        assert (await gateway.expect(wire.Take)).session == "12"


async def test_no_verb_for_what_is_scrolled_out_of_sight(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.widgets.sessions.SETTLED", 60.0)
    for n in range(100, 160):
        gateway.sessions[str(n)] = session(str(n), arrival=NOW - n * 1_000)
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("12")
        seat.desk.sessions.scroll_to(y=60, animate=False, immediate=True, force=True)
        await seat.press("t", "t")
        assert gateway.count(wire.Take) == 0
        monkeypatch.setattr("console.widgets.sessions.SETTLED", 0.0)
        await seat.press("t")
        assert (await gateway.expect(wire.Take)).session == "12"


async def test_a_click_at_what_has_just_moved_away_opens_nothing(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await gateway.push(
            sessions=[session("9", status="pending", holder="anna", waiting_since=NOW - 500_000)]
        )
        await seat.until(lambda: "9" in seat.desk.sessions._place)
        await seat.pilot.click("#sessions", offset=(4, 0))
        assert seat.desk.session == ""


async def test_a_hidden_list_has_no_cursor(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("left_square_bracket")
        assert seat.desk.area() != "list"
        await seat.press("t", "s", "c", "b", "x", "i", "w")
        assert seat.app.screen is seat.desk
        assert changing(gateway) == []


async def test_without_a_focus_no_key_changes_anything(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.set_focus(None)
        await seat.press("t", "s", "c", "b", "x", "p", "z", "S")
        assert changing(gateway) == []
        assert seat.app.screen is seat.desk
        assert "▸" not in seat.text()


async def test_the_pane_with_the_focus_is_marked_and_no_other(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        assert "▸MINE" in seat.text()
        await seat.open("10")
        assert "▸reply" in seat.text()
        await seat.press("escape")
        assert "▸Ali Karimov" in seat.text()
        await seat.press("v")
        assert seat.text().count("▸") == 1


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 34)])
async def test_the_card_in_front_has_the_focus_and_its_keys_in_the_footer(
    gateway: FakeGateway, size: tuple[int, int]
) -> None:
    async with seated(gateway, size=size) as seat:
        await seat.open("10")
        await seat.press("escape", "v")
        assert seat.desk.area() == "card"
        assert "▸CARD" in seat.text()
        assert {"reply", "transfer", "close"} <= {action.id for action in footer(seat.desk.keys.situation)}
        await seat.press("v")
        assert seat.desk.area() == "thread"


async def test_a_paste_into_the_list_is_no_verb(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.write("take this\nclose that\n")
        assert changing(gateway) == []
        assert seat.app.screen is seat.desk


# ------------------------------------------------------------------ dialogs and delayed commands


DIALOGS = ("b", "x", "z", "P", "g")


@pytest.mark.parametrize("key", DIALOGS)
@pytest.mark.parametrize("leave", [taken_over, closed, vanished], ids=lambda leave: leave.__name__)
async def test_a_dialog_gives_way_when_its_conversation_leaves(
    gateway: FakeGateway, leave: Leave, key: str
) -> None:
    async with seated(gateway, clock=Clock()) as seat:
        await seat.press(key)
        assert len(seat.app.screen_stack) == 3
        await leave(gateway, "10")
        await seat.until(lambda: isinstance(seat.app.screen, StopScreen))
        await seat.press(*"bek", "enter", "1", "t", "n")
        assert len(seat.app.screen_stack) == 3
        await seat.press("escape")
        assert seat.app.screen is seat.desk
        assert seat.desk.undo.delayed is None
        assert changing(gateway) == []


async def test_a_file_is_for_the_conversation_it_was_chosen_in(gateway: FakeGateway, tmp_path: Path) -> None:
    async with seated(gateway) as seat:
        await compose(seat, "10", "reply", "look:")
        await seat.press("ctrl+o")
        assert isinstance(seat.app.screen, FileScreen)
        await taken_over(gateway, "10")
        await seat.until(lambda: isinstance(seat.app.screen, StopScreen))
        await seat.press("escape")
        assert (seat.desk.area(), seat.desk.reply.text) == ("locked", "look:")


@pytest.mark.parametrize("leave", [taken_over, lapse_to_queue, closed], ids=lambda leave: leave.__name__)
async def test_a_command_that_counts_down_is_dropped_when_its_conversation_leaves(
    gateway: FakeGateway, leave: Leave
) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("c")
        await leave(gateway, "10")
        await seat.until(lambda: "Not done (Closing Ali Karimov)" in seat.text())
        clock.time += 6_000
        seat.desk.tick()
        assert changing(gateway) == []


async def test_an_answer_that_comes_late_does_not_move_who_writes(gateway: FakeGateway) -> None:
    """Taken over, joined, searched, asked why: whatever the desk answers, the composer keeps the focus."""
    gateway.silent = {wire.TakeOver}
    gateway.sessions["20"] = session("20", status="taken", holder="bek", guests=["anna"])
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("20")
        await seat.press("T", "1")
        assert seat.desk.session == "20"
        await compose(seat, "10", "reply", "half")
        await seat.desk.reading._why("10", seat.desk.keeper.moves - 1)
        assert not await seat.desk.reading.show("99")
        await gateway.change("20", holder="anna")
        await seat.until(lambda: seat.app.picture.is_mine(seat.app.picture.sessions["20"]))
        assert (seat.desk.session, seat.desk.area()) == ("10", "reply")
        assert seat.app.screen is seat.desk


async def test_what_is_typed_while_a_take_over_is_decided_is_a_reply(gateway: FakeGateway) -> None:
    gateway.silent = {wire.TakeOver}
    gateway.sessions["20"] = session("20", status="taken", holder="bek", guests=["anna"])
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("20")
        await seat.press("T", "1", *"tnc")
        assert (seat.desk.area(), seat.desk.reply.text) == ("reply", "tnc")


async def test_a_refused_correction_does_not_move_to_another_conversation(gateway: FakeGateway) -> None:
    gateway.silent = {wire.EditMessage}
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.set_focus(seat.desk.thread)
        await seat.press("up", "up", "up", "m", "!", "enter")
        edit = await gateway.expect(wire.EditMessage)
        await seat.open("11")
        refusal = wire.Done(rid=edit.rid, code="cannot_edit")
        await gateway.send_all(refusal)
        await seat.until(lambda: seat.app.drafts.get("10", f"edit:{edit.message}"))
        assert seat.desk.reply.text == ""


async def test_a_correction_that_is_left_is_no_reply(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await compose(seat, "10", "reply", "my draft")
        await seat.press("escape", "up", "up", "up", "m", "!", "escape")
        assert seat.desk.reply.text == "my draft"
        await seat.press("m")
        assert seat.desk.reply.text == "Qaysi model?!"
        await seat.press("escape", "enter", "enter")
        assert (await gateway.expect(wire.Say)).text == "my draft"
        assert gateway.count(wire.EditMessage) == 0


# ------------------------------------------------------------------ more of the same


async def test_writing_into_an_offer_holds_it_and_shows_it(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.open("12")
        assert gateway.count(wire.Typing) == 0
        await seat.press("a")
        assert (await gateway.expect(wire.Typing)).session == "12"
        await seat.until(lambda: "offer ends in 0:48" in seat.text())
        clock.time += 3_000
        await seat.press("b")
        await seat.until(lambda: gateway.count(wire.Typing) == 2)
        await gateway.change("12", offer_until=NOW + 60_000)
        await seat.until(lambda: "kept while you write · 0:57" in seat.text())
        clock.time += 10_000
        seat.desk.tick()
        await seat.until(lambda: "offer ends in 0:47" in seat.text())


async def test_a_draft_alone_holds_no_offer(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.app.drafts.set("12", "reply", "from yesterday")
        await seat.open("12")
        await seat.pilot.pause()
        assert seat.desk.reply.text == "from yesterday"
        assert gateway.count(wire.Typing) == 0


async def test_what_another_console_has_sent_is_no_draft_any_more(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await compose(seat, "10", "reply", "120 000")
        mine = {"direction": "out", "author": "anna", "delivery": "queued", "at": NOW}
        await gateway.push(messages=[message("10", 5, "something else", **mine)])
        await gateway.push(messages=[message("10", 6, "120 000", **mine)])
        await seat.until(lambda: seat.desk.reply.text == "")
        assert seat.app.drafts.get("10", "reply") == ""
        assert "Your other console has sent this." in seat.text()


async def test_the_same_again_is_a_draft_while_the_first_is_on_its_way(gateway: FakeGateway) -> None:
    gateway.silent = {wire.Say}
    async with seated(gateway) as seat:
        await compose(seat, "10", "reply", "ok")
        await seat.press("enter")
        await seat.write("ok")
        await seat.until(lambda: "10-5" in seat.app.picture.thread("10").by_id)
        assert seat.desk.reply.text == "ok"


async def test_a_key_that_does_not_apply_says_why(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        for keys, why in (
            (["s"], "It is not offered to you."),
            (["u"], "There is nothing to take back."),
            (["r"], "First go to the messages"),
            (["enter", "escape", "m"], "First choose a message"),
            (["up", "m"], "Only your own messages"),
        ):
            await seat.press(*keys)
            await seat.until(lambda why=why: why in seat.text())  # type: ignore[misc]


async def test_of_a_closed_conversation_only_what_can_be_done_is_offered(gateway: FakeGateway) -> None:
    gateway.rights |= {"lead": ["sales"]}
    async with seated(gateway) as seat:
        await seat.open("10")
        await seat.press("escape")
        await closed(gateway, "10")
        await seat.until(lambda: "this conversation is closed" in seat.text())
        footer = seat.text().splitlines()[-1]
        assert not [word for word in ("note", "reply", "join", "take", "close") if word in footer]
        await seat.press("i")
        await seat.until(lambda: "The conversation is closed." in seat.text())
        await seat.press("escape", "R")
        assert isinstance(seat.app.screen, PickScreen)
