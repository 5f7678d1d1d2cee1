"""What is saved is what the desk goes on from, and what is repeated or late is done once."""

from __future__ import annotations

from router.desk import events
from router.desk.desk import Desk
from tests.router.desk.world import START, World, saved
from tests.router.orders import order


def test_that_a_holder_is_back_is_saved() -> None:
    world = World("anna", "bek")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Say", session="1", text="hi")
    world.do("anna", "SetDuty", duty="offline")
    before = world.session("a").rev
    world.do("anna", "SetDuty", duty="online")
    assert not world.session("a").hand.return_when_written
    assert world.session("a").rev > before


def test_nobody_has_read_more_than_there_is() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Take", session="1")
    world.do("anna", "MarkRead", session="1", seq=2**63)
    assert world.session("a").read_seq == world.session("a").seq
    world.writes("a")
    assert world.session("a").unread == 1


def test_a_command_that_was_refused_first_and_done_then_counts_as_done() -> None:
    world = World("anna", "bek")
    world.online("anna")
    world.writes("a")
    for command in (
        order("Take", operator="bek", session="1", event_id="bek/1", at=world.time),
        order("Skip", operator="anna", session="1", event_id="anna/1", at=world.time),
        order("Take", operator="bek", session="1", event_id="bek/1", at=world.time),
    ):
        world.desk.apply(command)
    assert world.desk.drain().refused == set()


def test_a_desk_whose_last_line_was_taken_away_can_be_restored() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.happens(events.LinesConfigured(lines={}, channels={}))
    desk = world.desk
    fields = {name: desk.field(name) for name in ("next_session", "stamp", "seen", "configured")}
    restored = Desk()
    restored.restore(fields, list(desk.sessions.values()), list(desk.operators.values()))
    assert restored.sessions["1"].holder == "anna"


def test_after_a_long_interruption_what_is_late_fires_once() -> None:
    world = World("anna", check_duty=False)
    world.writes("a")
    late = 3 * 24 * 3600
    stopped = world.desk
    world.desk = saved(stopped, resumed_at=START + late * 1000)
    world.told.clear()
    world.at(late + 1)
    assert world.messages("system") == ["missed|operator=anna"]
    assert world.session("a").offer.until == START + (late + 60) * 1000


def test_who_was_there_before_an_interruption_has_his_whole_presence_after_it() -> None:
    world = World("anna")
    world.do("anna", "SetDuty", duty="online")
    world.keep_alive("anna")
    world.desk = saved(world.desk, resumed_at=START + 600_000)
    assert world.at(644).desk.operators["anna"].duty == "online"
    assert world.at(645).desk.operators["anna"].duty == "offline"


def test_of_two_who_send_a_failed_message_again_one_does() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Say", session="1", text="hi")
    failed = events.Delivered(chat="bot:a", session="1", message="1-3", state="failed")
    world.happens(failed)
    assert world.do("anna", "Resend", session="1", message="1-3", text="hi") == ""
    assert world.do("anna", "Resend", session="1", message="1-3", text="hi") == "not_failed"
    world.happens(failed)
    assert world.do("anna", "Resend", session="1", message="1-3", text="hi") == ""
    assert world.sent == ["hi", "hi", "hi"]
