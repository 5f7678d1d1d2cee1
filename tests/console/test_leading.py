"""Each action of those who lead, step in, or set aside does what it says, by its key."""

from __future__ import annotations

from console.screens.board import Board
from console.screens.dialogs import PickScreen
from router.wire import protocol as wire
from tests.console.acts import acts
from tests.console.conftest import Clock, seated
from tests.fakes.gateway import NOW, FakeGateway, message, session


@acts("take_over")
async def test_taking_over_asks_first(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("13")
        await seat.press("T")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press("2")
        assert gateway.count(wire.TakeOver) == 0
        seat.desk.sessions.put_cursor("13")
        await seat.press("T", "1")
        assert (await gateway.expect(wire.TakeOver)).session == "13"


@acts("join", "listen")
async def test_joining_openly_and_silently(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("13")
        await seat.press("J")
        joined = await gateway.expect(wire.Join)
        assert (joined.session, joined.silent, joined.on) == ("13", False, True)
        seat.desk.sessions.put_cursor("14")
        await seat.press("escape", "L")
        assert (await gateway.expect(wire.Join, silent=True)).on is True


async def test_stepping_in_is_for_who_may(gateway: FakeGateway) -> None:
    gateway.rights = {"take_over": ["support"], "join_open": ["sales"]}
    async with seated(gateway) as seat:
        seat.desk.sessions.put_cursor("13")
        await seat.pilot.pause()
        assert "J join" in seat.text()
        await seat.press("T", "L", "w")
        assert seat.app.screen is seat.desk
        assert seat.desk.area() == "list"
        await seat.press("J")
        assert (await gateway.expect(wire.Join)).silent is False
        assert gateway.count(wire.Join) == 1


@acts("whisper")
async def test_a_whisper_is_never_a_reply(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("w")
        assert seat.desk.area() == "whisper"
        assert "WHISPER" in seat.text()
        await seat.press(*"psst", "enter")
        whispered = await gateway.expect(wire.Whisper)
        assert (whispered.session, whispered.text) == ("10", "psst")
        await seat.until(lambda: not seat.app.picture.echoes)
        assert "psst" in seat.text()
        await seat.press(*"no", "escape")
        assert seat.desk.area() == "thread"
        assert seat.desk.reply.text == ""
        await seat.press("enter")
        assert seat.desk.area() == "reply"
        await seat.press("ctrl+n", "escape", "w")
        assert seat.desk.whisper.text == "no"
        assert (gateway.count(wire.Whisper), gateway.count(wire.Say)) == (1, 0)


async def test_a_refused_whisper_returns_to_its_own_composer(gateway: FakeGateway) -> None:
    gateway.refuse[wire.Whisper] = wire.Done(rid=0, code="no_right", params={"right": "whisper"})
    async with seated(gateway) as seat:
        await seat.press("w", *"psst", "enter")
        await seat.until(lambda: seat.desk.whisper.text == "psst")
        assert seat.desk.reply.text == seat.desk.note.text == ""


@acts("snooze")
async def test_snooze_for_a_while_or_until_he_writes(gateway: FakeGateway) -> None:
    async with seated(gateway, clock=Clock()) as seat:
        await seat.press("z", "2")
        snoozed = await gateway.expect(wire.Snooze)
        assert (snoozed.session, snoozed.until) == ("10", seat.app.now() + 3_600_000)
        await seat.press("z", "5")
        assert (await gateway.expect(wire.Snooze, until=0)).session == "10"
        await seat.press("z", "6", *"2h", "enter")
        await gateway.expect(wire.Snooze, until=seat.app.now() + 7_200_000)
        await seat.press("z", "6", *"10:30", "enter")
        await gateway.expect(wire.Snooze, until=seat.app.now() + 1_800_000)
        await seat.press("z", "6", *"soon", "enter")
        assert "Write a time to come" in seat.text()
        assert gateway.count(wire.Snooze) == 4


@acts("priority")
async def test_priority_is_a_whole_number(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("P", "backspace", *"x", "enter")
        assert "whole number" in seat.text()
        await seat.press("P", "backspace", *"-3", "enter")
        given = await gateway.expect(wire.SetPriority)
        assert (given.session, given.priority) == ("10", -3)
        assert gateway.count(wire.SetPriority) == 1


@acts("score")
async def test_a_score_is_for_who_leads_the_line(gateway: FakeGateway) -> None:
    gateway.rights = {"lead": ["sales"]}
    gateway.sessions["13"].line = "support"
    async with seated(gateway) as seat:
        await seat.press("R", "4", *"calm", "enter")
        score = await gateway.expect(wire.Score)
        assert (score.session, score.score, score.comment) == ("10", 4, "calm")
        seat.desk.sessions.put_cursor("13")
        await seat.press("R")
        assert not isinstance(seat.app.screen, PickScreen)


async def test_the_board_leads_to_conversations_of_others(gateway: FakeGateway) -> None:
    gateway.rights["lead"] = ["sales"]
    far = session("77", name="Vali", status="taken", holder="bek", last_text="salom")
    gateway.answers[wire.GetSessions] = wire.SessionList(rid=0, sessions=[far])
    async with seated(gateway) as seat:
        gateway.sessions["77"] = far
        gateway.messages["77"] = [message("77", 1, "salom")]
        await seat.press("f7", "end", "s")
        asked = await gateway.expect(wire.GetSessions)
        assert (asked.line, asked.holder) == ("", "dilnoza")
        await seat.until(lambda: "salom" in seat.text())
        assert "Vali" in seat.text()
        await seat.press("enter")
        await seat.until(lambda: seat.desk.session == "77")
        assert seat.app.screen is seat.desk
        await seat.press("T", "1")
        assert (await gateway.expect(wire.TakeOver)).session == "77"


@acts("lines")
async def test_the_board_is_for_who_leads_some_line(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("f7")
        assert not isinstance(seat.app.screen, Board)
    gateway.rights = {"lead": ["sales"]}
    async with seated(gateway) as seat:
        await seat.press("f7")
        assert isinstance(seat.app.screen, Board)
        row = next(line for line in seat.text().splitlines() if "≡ sales" in line)
        assert "even" in row
        assert "1:32" in row
        await gateway.push(lines=[wire.LineView(name="sales", waiting=7, oldest=NOW - 600_000)])
        await seat.until(lambda: seat.app.picture.lines["sales"].waiting == 7)
        seat.app.screen.fill()
        await seat.pilot.pause()
        assert "10:00" in next(line for line in seat.text().splitlines() if "≡ sales" in line)


@acts("spam")
async def test_spam_can_be_undone_and_unmuted(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.press("S", "u")
        clock.time += 6_000
        seat.desk.tick()
        assert gateway.count(wire.Spam) == 0
        await seat.press("S")
        clock.time += 6_000
        seat.desk.tick()
        assert (await gateway.expect(wire.Spam)).on is True


async def test_closing_asks_for_the_result_where_the_line_has_some(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        line = seat.app.picture.lines[seat.app.picture.sessions["10"].line]
        line.results = ["sold", "not sold"]
        await seat.press("c")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press("2")
        clock.time += 6_000
        seat.desk.tick()
        assert (await gateway.expect(wire.Close)).result == "not sold"


@acts("tag")
async def test_tags_are_changed_as_one_line(gateway: FakeGateway) -> None:
    gateway.sessions["10"].tags = ["vip", "oʻyin"]
    async with seated(gateway) as seat:
        await seat.press("g", "end", *", late", "enter")
        put = await gateway.expect(wire.Tag)
        assert (put.session, put.tags, put.on) == ("10", ["late"], True)
        await seat.press("g", *"vip", "enter")
        gone = await gateway.expect(wire.Tag, on=False)
        assert gone.tags == ["oʻyin"]
        await seat.press("g", "enter", "g", "escape")
        assert gateway.count(wire.Tag) == 2
        await seat.open("10")
        await seat.until(lambda: "#vip #oʻyin" in seat.text())


async def test_a_shift_that_ends_asks_for_the_result_too(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        for line in seat.app.picture.lines.values():
            line.results = ["sold", "not sold"]
        await seat.press("f2", "3")
        assert "1" in seat.text()
        await seat.press("4")  # close the first
        await seat.press("1")  # sold
        await seat.press("1")  # keep the second
        await gateway.expect(wire.SetDuty, duty="offline")
        closed = await gateway.expect(wire.Close)
        assert (closed.session, closed.result) == ("10", "sold")
