"""The timers of a session (queue rules, part 7), one by one."""

from __future__ import annotations

from typing import Any

import pytest

from router.desk.desk import Known
from router.desk.events import Reacted
from router.desk.rules import LineRules, Overflow, Sla
from tests.router.desk.world import World

MINUTE = 60_000
HOUR = 60 * MINUTE
TEXTS = {name: {"": name} for name in ("no_answer", "auto_close", "farewell")}


def taken(world: World, chat: str = "ali") -> World:
    """Anna has taken a session."""
    world.online("anna")
    world.writes(chat)
    world.do("anna", "Take", session=world.session(chat).id)
    return world


# ------------------------------------------------------------------ no answer


def test_no_answer_after_tells_the_customer_and_the_supervisors_once() -> None:
    world = taken(World("anna", notices=TEXTS))
    world.at(299)
    assert world.sent == []
    world.at(300)
    assert (world.sent, world.alerts(), world.state("ali")) == (
        ["no_answer"],
        ["no_answer"],
        ("taken", "anna"),
    )
    world.writes("ali")
    world.at(5000)
    assert world.alerts() == ["no_answer"]


def test_no_answer_after_is_quiet_when_an_operator_has_written() -> None:
    world = taken(World("anna", notices=TEXTS))
    world.do("anna", "Say", session="1", text="hi")
    world.writes("ali")
    world.at(1000)
    assert world.alerts() == []


def test_no_answer_after_off() -> None:
    world = taken(World("anna", no_answer_after=0, notices=TEXTS))
    assert world.at(10_000).alerts() == []


# ------------------------------------------------------------------ unanswered


def test_return_unanswered_after_from_the_first_unanswered_message() -> None:
    world = taken(World("anna", "bek", return_unanswered_after=MINUTE))
    world.do("anna", "Say", session="1", text="hi")
    world.at(30).writes("ali")
    world.at(50).writes("ali")
    assert world.at(89).state("ali") == ("pending", "anna")
    world.online("bek")
    assert world.at(90).state("ali") == ("offered", "bek")
    assert "unanswered|operator=anna" in world.messages("system")


def test_return_unanswered_after_from_taking_when_the_message_came_before() -> None:
    world = World("anna", return_unanswered_after=MINUTE)
    world.writes("ali")
    world.at(40).online("anna")
    world.do("anna", "Take", session="1")
    assert world.at(99).state("ali") == ("taken", "anna")
    assert world.at(100).state("ali") == ("offered", "anna")


def test_return_unanswered_after_is_off_by_default_and_spares_the_pinned() -> None:
    world = taken(World("anna"))
    assert world.at(4000).state("ali") == ("taken", "anna")
    world = taken(World("anna", return_unanswered_after=MINUTE))
    world.do("anna", "Pin", session="1")
    assert world.at(4000).state("ali") == ("taken", "anna")
    world.do("anna", "Pin", session="1", on=False)
    assert world.at(4061).state("ali") == ("offered", "anna")


def test_an_answer_in_time_stops_it() -> None:
    world = taken(World("anna", return_unanswered_after=MINUTE))
    world.at(59).do("anna", "Say", session="1", text="hi")
    assert world.at(600).state("ali") == ("answered", "anna")


# ------------------------------------------------------------------ overflow


def overflowing(*entries: Overflow, bek: bool = True) -> World:
    world = World(
        lines={
            "sales": LineRules(members=["anna"], overflow=list(entries)),
            "night": LineRules(members=["bek"]),
            "last": LineRules(members=["vali"]),
        }
    )
    if bek:
        world.online("bek")
    return world


def test_overflow_moves_what_is_untaken_and_keeps_the_arrival() -> None:
    world = overflowing(Overflow(after=MINUTE, line="night"))
    arrival = world.writes("ali").wait.arrival
    assert world.at(59).session("ali").line == "sales"
    world.at(60)
    assert (world.session("ali").line, *world.state("ali")) == ("night", "offered", "bek")
    assert world.session("ali").wait.arrival == arrival


def test_overflow_waits_for_the_end_of_an_offer() -> None:
    world = overflowing(Overflow(after=90_000, line="night"))
    world.at(10).online("anna")
    world.at(45).writes("ali")
    world.at(135)
    assert (world.session("ali").line, world.session("ali").holder) == ("sales", "anna")
    world.at(165)
    assert (world.session("ali").line, world.session("ali").holder) == ("night", "bek")


@pytest.mark.parametrize("mode", ["even", "strict", "least_loaded", "all"])
def test_overflow_at_once_goes_past_nobody_who_can_take_it(mode: Any) -> None:
    sales = LineRules(mode=mode, members=["anna", "vali"], overflow=[Overflow(after=0, line="night")])
    world = World(lines={"sales": sales, "night": LineRules(members=["bek"])})
    world.online("anna", "vali", "bek")
    world.writes("ali")
    first = world.session("ali")
    assert (first.line, first.status) == ("sales", "offered")
    for name in first.offer.seen_by or [first.holder]:
        world.do(name, "Skip", session=first.id)
    if mode != "all":  # the other one has not had it yet
        assert world.state("ali") == ("offered", "vali")
        world.do("vali", "Skip", session=first.id)
    assert (first.line, *world.state("ali")) == ("night", "offered", "bek")


def test_overflow_at_once_when_nobody_here_can_be_offered_it() -> None:
    world = overflowing(Overflow(after=0, line="night"))
    world.writes("ali")
    assert (world.session("ali").line, *world.state("ali")) == ("night", "offered", "bek")
    world.online("anna")
    world.desk.operators["anna"].max_sessions = 1
    world.writes("olga")
    assert (world.session("olga").line, *world.state("olga")) == ("sales", "offered", "anna")
    world.writes("ivan")
    assert world.session("ivan").line == "night", "anna has no room left"


def test_overflow_at_once_when_the_offer_ends_untaken() -> None:
    world = overflowing(Overflow(after=0, line="night"))
    world.online("anna")
    world.writes("ali")
    assert world.at(59).session("ali").line == "sales"
    assert world.at(60).session("ali").line == "night"


def test_overflow_at_once_asks_the_responsible_first() -> None:
    world = overflowing(Overflow(after=0, line="night"))
    world.online("vali")
    world.writes("ali", known=Known("c1", responsible="vali"))
    assert (world.session("ali").line, *world.state("ali")) == ("sales", "offered", "vali")
    world.do("vali", "Skip", session="1")
    assert world.session("ali").line == "night"


def test_overflow_never_moves_what_was_taken() -> None:
    world = overflowing(Overflow(after=MINUTE, line="night"))
    taken(world)
    assert world.at(600).session("ali").line == "sales"


def test_overflow_the_first_entry_that_is_due_wins() -> None:
    world = overflowing(Overflow(after=2 * MINUTE, line="night"), Overflow(after=MINUTE, line="last"))
    world.writes("ali")
    assert world.at(60).session("ali").line == "last"


def test_overflow_when_nobody_on_duty() -> None:
    world = overflowing(Overflow(after=MINUTE, line="night", when="nobody_on_duty"))
    world.online("anna")
    world.do("anna", "Start", channel="bot", chat="x", line="sales")
    world.desk.operators["anna"].max_sessions = 1
    world.desk.refresh("anna")
    world.writes("ali")
    assert world.at(61).session("ali").line == "sales"
    world.do("anna", "SetDuty", duty="break")
    assert world.session("ali").line == "night"


# ------------------------------------------------------------------ closing by itself


def test_auto_close_after_the_operators_last_word() -> None:
    world = taken(World("anna"))
    world.do("anna", "Say", session="1", text="hi")
    assert world.at(4 * 3600 - 1).state("ali") == ("answered", "anna")
    world.at(4 * 3600)
    assert world.desk.sessions == {}
    assert world.closed["bot:ali"].status == "closed"


def test_auto_close_after_a_text_in_place_of_the_farewell() -> None:
    world = taken(World("anna", notices=TEXTS, auto_close_after=HOUR))
    world.do("anna", "Say", session="1", text="hi")
    world.at(3600)
    assert world.sent == ["hi", "auto_close"]
    assert world.session("ali").status == "closing"
    world.at(4200)
    assert world.desk.sessions == {}


def test_auto_close_after_never_closes_on_a_customer_who_waits() -> None:
    world = taken(World("anna", auto_close_after=HOUR))
    world.do("anna", "Say", session="1", text="hi")
    world.at(3599).writes("ali")
    assert world.at(100_000).state("ali") == ("pending", "anna")


def test_auto_close_after_starts_anew_at_a_reaction() -> None:
    world = taken(World("anna", auto_close_after=HOUR))
    world.do("anna", "Say", session="1", text="hi")
    world.at(3599).happens(Reacted(channel="bot", chat="ali", message_id="m", author="ali", emoji=["+"]))
    assert world.at(7198).state("ali") == ("answered", "anna")
    assert world.at(7199).desk.sessions == {}


def test_auto_close_after_starts_anew_when_it_changes_hands() -> None:
    world = taken(World("anna", "bek", auto_close_after=HOUR))
    world.online("bek")
    world.do("anna", "Say", session="1", text="hi")
    world.at(1000).do("anna", "Transfer", session="1", to="bek")
    world.at(1100).do("bek", "Take", session="1")
    assert world.at(4699).state("ali") == ("answered", "bek")
    assert world.at(4700).desk.sessions == {}


def test_auto_close_after_off() -> None:
    world = taken(World("anna", auto_close_after=0))
    world.do("anna", "Say", session="1", text="hi")
    assert world.at(10**6).state("ali") == ("answered", "anna")


def test_auto_close_after_spares_the_pinned_for_a_week() -> None:
    world = taken(World("anna"))
    world.do("anna", "Say", session="1", text="hi")
    world.do("anna", "Pin", session="1")
    assert world.at(7 * 86_400 - 1).state("ali") == ("answered", "anna")
    assert world.at(7 * 86_400).desk.sessions == {}


# ------------------------------------------------------------------ service levels


def alerts(world: World) -> list[tuple[str, str]]:
    from router.desk.state import Alert

    return [(t.name, t.params.get("clock", "")) for t in world.told if isinstance(t, Alert)]


def test_sla_first_response_warns_at_80_percent_and_alerts_at_100() -> None:
    world = taken(World("anna", no_answer_after=0, sla=Sla(first_response=100_000)))
    assert alerts(world.at(79)) == []
    assert alerts(world.at(80)) == [("sla_warn", "first_response")]
    assert alerts(world.at(100)) == [("sla_warn", "first_response"), ("sla_breach", "first_response")]


def test_sla_first_response_stops_at_the_answer_and_next_response_starts_at_the_next_message() -> None:
    world = taken(World("anna", no_answer_after=0, sla=Sla(first_response=100_000, next_response=200_000)))
    world.do("anna", "Say", session="1", text="hi")
    assert world.session("ali").sla == {}
    world.at(1000).writes("ali")
    world.at(1010).writes("ali")
    assert alerts(world.at(1160)) == [("sla_warn", "next_response")]
    world.do("anna", "Say", session="1", text="hi")
    assert alerts(world.at(2000)) == [("sla_warn", "next_response")]


def test_sla_resolution_runs_until_closing() -> None:
    world = taken(World("anna", no_answer_after=0, sla=Sla(resolution=100_000)))
    world.do("anna", "Say", session="1", text="hi")
    assert alerts(world.at(80)) == [("sla_warn", "resolution")]
    world.do("anna", "Close", session="1")
    assert alerts(world.at(200)) == [("sla_warn", "resolution")]


def test_sla_orders_the_waiting_before_their_arrival() -> None:
    world = World(
        lines={
            "sales": LineRules(members=["anna"]),
            "urgent": LineRules(members=["anna"], sla=Sla(first_response=HOUR)),
        }
    )
    world.online("anna")
    world.do("anna", "SetDuty", duty="break")
    world.writes("ali")
    from router.desk.events import Author, LinesConfigured, MessageReceived

    event = LinesConfigured(lines=world.desk.configured.lines, channels={"bot": "sales", "vip": "urgent"})
    world.happens(event)
    world.at(5).happens(
        MessageReceived(channel="vip", chat="olga", message_id="m", author=Author(id="olga"), text="hi")
    )
    world.desk.operators["anna"].max_sessions = 1
    world.do("anna", "SetDuty", duty="online")
    assert world.desk.sessions["2"].holder == "anna"
    assert world.backlog() == ["ali"]


@pytest.mark.parametrize("clock", ["first_response", "next_response", "resolution"])
def test_sla_is_off_by_default(clock: str) -> None:
    assert getattr(LineRules().sla, clock) == 0
    world = taken(World("anna", no_answer_after=0))
    assert alerts(world.at(10**6)) == []


def test_a_decision_tells_the_timers_that_run_after_it() -> None:
    """When an offer was made, its end is among them; who waits is told the timers of the queue."""
    sales = LineRules(members=["anna"], overflow=[Overflow(after=90_000, line="support")])
    world = World(lines={"sales": sales, "support": LineRules()})
    world.writes("a")
    assert set(world.decisions()[-1].timers) == {"overflow", "no_answer"}
    world.at(10).online("anna")
    (given,) = [d for d in world.decisions() if d.chosen]
    assert given.timers["offer"] == world.session("a").offer.until
    assert given.timers["overflow"] == world.session("a").timers["overflow"][0]
