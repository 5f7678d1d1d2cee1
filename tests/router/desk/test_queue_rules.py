"""The rules of the queue that this desk knows, each by its sentence. No event loop, no clock."""

from __future__ import annotations

import pytest

from router.desk import events
from router.desk.rules import LineRules
from tests.router.desk.world import CHANNEL, World


def test_even_gives_to_the_one_given_longest_ago_ties_by_line_order() -> None:
    world = World("anna", "bek", "vali")
    world.online("vali", "bek", "anna")
    holders = [world.writes(chat).holder for chat in ("a", "b", "c", "d")]
    assert holders == ["anna", "bek", "vali", "anna"]


def test_even_a_skipped_offer_moves_one_to_the_back_too() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    assert world.writes("a").holder == "anna"
    world.do("anna", "Skip", session="1")
    assert world.state("a") == ("offered", "bek")
    assert world.writes("b").holder == "anna"


def test_strict_gives_to_the_first_in_line_order_while_he_has_room() -> None:
    world = World("anna", "bek", mode="strict", max_sessions=2)
    world.online("bek", "anna")
    assert [world.writes(c).holder for c in "abcd"] == ["anna", "anna", "bek", "bek"]
    assert world.writes("e").status == "waiting"


def test_manual_offers_nobody_and_members_pull() -> None:
    world = World("anna", "bek", mode="manual")
    world.online("anna", "bek")
    assert world.writes("a").status == "waiting"
    assert world.do("bek", "Take", session="1") == ""
    assert world.state("a") == ("taken", "bek")


def test_all_is_seen_by_every_eligible_and_belongs_to_the_first_to_take_it() -> None:
    world = World("anna", "bek", "vali", mode="all")
    world.online("anna", "bek")
    session = world.writes("a")
    assert (session.status, session.holder, session.offer.seen_by) == ("offered", "", ["anna", "bek"])
    assert (world.load("anna"), world.load("bek")) == (0, 0)
    assert world.do("bek", "Take", session="1") == ""
    assert world.do("anna", "Take", session="1") == "held_by"
    assert world.state("a") == ("taken", "bek")
    assert world.session("a").offer.seen_by == []


def test_all_follows_duty_and_capacity() -> None:
    world = World("anna", "bek", mode="all", max_sessions=1)
    world.online("anna")
    world.writes("a")
    world.online("bek")
    assert world.session("a").offer.seen_by == ["anna", "bek"]
    world.writes("b")
    world.do("anna", "Take", session="1")
    assert world.session("b").offer.seen_by == ["bek"]
    world.do("bek", "SetDuty", duty="break")
    assert world.state("b") == ("waiting", "")
    world.do("anna", "Say", session="1", text="done")
    assert world.session("b").offer.seen_by == ["anna"]


def test_all_a_skip_hides_it_and_a_miss_by_everyone_offers_it_again() -> None:
    world = World("anna", "bek", mode="all")
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Skip", session="1")
    assert world.session("a").offer.seen_by == ["bek"]
    assert world.do("anna", "Take", session="1") == "", "what I hid I may still take"
    world = World("anna", "bek", mode="all")
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Skip", session="1")
    world.at(61)
    assert world.session("a").offer.seen_by == ["anna", "bek"]
    assert world.alerts() == ["offer_renewed"]
    assert (world.desk.operators["anna"].missed, world.desk.operators["bek"].missed) == (0, 1)


def test_a_missed_offer_goes_to_the_next_one() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    world.writes("a")
    assert world.at(59.999).state("a") == ("offered", "anna")
    assert world.at(60).state("a") == ("offered", "bek")
    assert world.desk.operators["anna"].missed == 1
    assert world.alerts() == []


def test_nobody_else_eligible_renews_the_offer_and_alerts_once() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    for minute in (1, 2, 3):
        assert world.at(60 * minute).state("a") == ("offered", "anna")
    assert world.alerts() == ["offer_renewed"]


def test_after_a_skip_a_new_round_waits_for_answer_within() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.at(10).do("anna", "Skip", session="1")
    assert world.at(69.9).state("a") == ("waiting", "")
    assert world.at(70).state("a") == ("offered", "anna")


def test_the_pause_after_a_skip_holds_nobody_else_back() -> None:
    world = World("anna", "bek")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Skip", session="1")
    assert world.state("a") == ("waiting", "")
    world.online("bek")
    assert world.state("a") == ("offered", "bek")


def test_who_gives_back_a_taken_session_is_the_only_one_who_had_it() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Skip", session="1")
    world.do("bek", "Take", session="1")
    assert world.session("a").round.had == []
    world.do("bek", "Return", session="1", reason="not mine")
    assert world.state("a") == ("offered", "anna")
    assert world.session("a").round.had == ["bek"]
    assert world.session("a").wait.return_reason == "not mine"


def test_the_backlog_is_served_in_order_of_arrival() -> None:
    world = World("anna", max_sessions=1)
    for second, chat in enumerate("cab"):
        world.at(second).writes(chat)
    world.online("anna")
    order = []
    for _ in range(3):
        session = next(s for s in world.desk.sessions.values() if s.status == "offered")
        order.append(session.chat[-1])
        world.do("anna", "Close", session=session.id)
    assert order == ["c", "a", "b"]


def test_a_return_keeps_the_arrival_of_the_unanswered_message() -> None:
    world = World("anna", "bek", max_sessions=1)
    world.online("anna")
    world.at(1).writes("a")
    world.do("anna", "Take", session="1")
    world.at(2).writes("b")
    world.at(3).do("anna", "SetDuty", duty="offline")
    assert world.backlog() == ["a", "b"]


def test_priority_beats_arrival() -> None:
    rules = {
        "low": LineRules(members=["anna"], max_sessions=1),
        "high": LineRules(members=["anna"], max_sessions=1, priority=5),
    }
    world = World(lines=rules)
    world.desk.operators["anna"].max_sessions = 1
    world.desk.channels["vip"] = "high"
    world.writes("early")
    world.happens(
        events.MessageReceived(channel="vip", chat="late", author=events.Author(name="L"), text="x")
    )
    world.online("anna")
    offered = [s.chat for s in world.desk.sessions.values() if s.status == "offered"]
    assert offered == ["vip:late"]


def test_max_sessions_of_the_operator_holds_over_all_lines() -> None:
    world = World(lines={"x": LineRules(members=["anna"]), "y": LineRules(members=["anna"])})
    world.happens(events.OperatorChanged(name="anna", max_sessions=2))
    world.online("anna")
    for chat in "abc":
        world.writes(chat)
    assert [world.session(c).status for c in "abc"] == ["offered", "offered", "waiting"]


@pytest.mark.parametrize(
    ("counts_until", "after_answer", "after_reply"),
    [("first_answer", 0, 0), ("answered", 0, 1), ("closed", 1, 1)],
)
def test_what_counts(counts_until: str, after_answer: int, after_reply: int) -> None:
    world = World("anna", counts_until=counts_until)
    world.online("anna")
    world.writes("a")
    assert world.load("anna") == 1
    world.do("anna", "Say", session="1", text="hi")
    assert world.load("anna") == after_answer
    world.writes("a")
    assert world.load("anna") == after_reply
    world.do("anna", "Close", session="1")
    assert world.load("anna") == 0


def test_a_freed_slot_is_filled_at_once() -> None:
    world = World("anna", max_sessions=1)
    world.online("anna")
    world.writes("a")
    world.writes("b")
    assert world.state("b") == ("waiting", "")
    world.do("anna", "Say", session="1", text="hi")
    assert world.state("b") == ("offered", "anna")


def test_answering_is_accepting() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    assert world.do("anna", "Say", session="1", text="salom") == ""
    assert world.state("a") == ("answered", "anna")
    assert world.sent == ["salom"]
    assert world.session("a").first_answer_at == world.time
    assert world.writes("a").status == "pending"


def test_exactly_one_gets_what_two_take() -> None:
    world = World("anna", "bek", mode="manual")
    world.online("anna", "bek")
    world.writes("a")
    assert world.do("anna", "Take", session="1") == ""
    assert world.do("bek", "Take", session="1") == "held_by"
    assert world.do("anna", "Take", session="1") == "", "what is mine already is no refusal"


def test_what_is_offered_to_another_is_refused_with_his_name() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    world.writes("a")
    assert world.do("bek", "Take", session="1") == "offered_to_other"
    assert world.do("bek", "Say", session="1", text="x") == "offered_to_other"
    assert world.state("a") == ("offered", "anna")
    assert world.sent == []


def test_a_transfer_is_an_offer_with_its_own_wait_and_comes_back_as_it_was() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Say", session="1", text="hi")
    assert world.do("anna", "Transfer", session="1", to="bek") == ""
    assert world.state("a") == ("offered", "bek")
    assert world.at(119.9).state("a") == ("offered", "bek")
    assert world.at(120).state("a") == ("answered", "anna")
    assert world.desk.operators["bek"].missed == 1


def test_a_skipped_transfer_goes_back_and_to_the_queue_if_the_sender_left() -> None:
    world = World("anna", "bek", "vali")
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Transfer", session="1", to="bek")
    world.do("bek", "Skip", session="1")
    assert world.state("a") == ("taken", "anna")
    world.do("anna", "Transfer", session="1", to="bek")
    world.do("anna", "SetDuty", duty="offline")
    world.online("vali")
    world.do("bek", "Skip", session="1")
    assert world.session("a").holder in ("bek", "vali")
    assert world.session("a").hand.transfer_from == ""


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("bek", "off_duty"),
        ("nobody", "no_such_operator"),
        ("line:nowhere", "no_such_line"),
        ("anna", "same_operator"),
    ],
)
def test_transfers_that_are_refused_change_nothing(to: str, code: str) -> None:
    world = World("anna", "bek")
    world.online("anna")
    world.writes("a")
    assert world.do("anna", "Transfer", session="1", to=to) == code
    assert world.state("a") == ("offered", "anna")


def test_transfer_to_a_line_follows_its_rules_and_keeps_the_thread() -> None:
    world = World(lines={"sales": LineRules(members=["anna"]), "support": LineRules(members=["bek"])})
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Take", session="1")
    assert world.do("anna", "Transfer", session="1", to="line:support") == ""
    session = world.session("a")
    assert (session.line, session.status, session.holder) == ("support", "offered", "bek")
    assert session.id == "1"


def test_break_returns_offers_and_keeps_what_is_taken() -> None:
    world = World("anna", "bek")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Take", session="1")
    world.writes("b")
    world.do("anna", "SetDuty", duty="break")
    assert world.state("a") == ("taken", "anna")
    assert world.state("b") == ("waiting", "")
    world.online("bek")
    assert world.state("b") == ("offered", "bek")
    assert world.desk.operators["anna"].missed == 0


def test_leaving_returns_those_who_wait_at_once_and_the_others_when_they_write() -> None:
    world = World("anna", "bek")
    world.online("anna")
    for chat in "ab":
        world.writes(chat)
    world.do("anna", "Take", session="1")
    world.do("anna", "Say", session="2", text="hi")
    world.do("anna", "SetDuty", duty="offline")
    assert world.state("a") == ("waiting", "")
    assert world.state("b") == ("answered", "anna")
    world.writes("b")
    assert world.state("b") == ("waiting", "")


@pytest.mark.parametrize(("policy", "kept"), [("keep", True), ("at_once", False)])
def test_on_leave(policy: str, kept: bool) -> None:
    world = World("anna", "bek", on_leave=policy)
    world.online("anna")
    world.writes("a")
    world.do("anna", "Say", session="1", text="hi")
    world.do("anna", "SetDuty", duty="offline")
    assert (world.session("a").holder == "anna") is kept


def test_the_only_member_and_pinned_sessions_stay() -> None:
    world = World("anna", on_leave="at_once")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Take", session="1")
    world.do("anna", "SetDuty", duty="offline")
    assert world.state("a") == ("taken", "anna")
    world = World("anna", "bek", on_leave="at_once")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Take", session="1")
    assert world.do("anna", "Pin", session="1") == ""
    world.do("anna", "SetDuty", duty="offline")
    assert world.state("a") == ("taken", "anna")


def test_the_dismissed_keep_nothing() -> None:
    world = World("anna", on_leave="keep")
    world.online("anna")
    world.writes("a")
    world.do("anna", "Take", session="1")
    world.do("anna", "Pin", session="1")
    world.happens(events.OperatorChanged(name="anna", disabled=True))
    assert world.state("a") == ("waiting", "")
    assert world.do("anna", "Take", session="1") == "no_such_operator"


def test_a_console_that_stops_answering_makes_the_operator_offline() -> None:
    world = World("anna")
    world.do("anna", "SetDuty", duty="online")
    world.keep_alive("anna")
    for second in (10, 20, 30):
        world.at(second).keep_alive("anna")
    assert world.at(74.9).desk.operators["anna"].duty == "online"
    operator = world.at(75).desk.operators["anna"]
    assert (operator.duty, operator.duty_reason, operator.here) == ("offline", "connection_lost", False)


def test_without_check_duty_the_button_is_irrelevant() -> None:
    world = World("anna", check_duty=False)
    assert world.writes("a").holder == "anna"


def test_one_open_session_per_chat_and_a_new_one_after_close() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    world.writes("a")
    assert list(world.desk.sessions) == ["1"]
    world.do("anna", "Close", session="1")
    assert world.desk.sessions == {}
    assert world.writes("a").id == "2"
    assert world.do("anna", "Say", session="1", text="late") == "no_such_session"


def test_edits_deletions_reactions_and_reads_touch_no_status_and_no_timer() -> None:
    world = World("anna")
    world.online("anna")
    before = (world.writes("a").timers, world.state("a"))
    for event in (
        events.MessageEdited(channel=CHANNEL, chat="a", message_id="m2", text="new"),
        events.MessageDeleted(channel=CHANNEL, chat="a", message_ids=["m2"]),
        events.Reacted(channel=CHANNEL, chat="a", message_id="m2", author="a", emoji=["👍"]),
        events.MessageRead(channel=CHANNEL, chat="a", message_id="m2"),
    ):
        world.happens(event)
    assert (world.session("a").timers, world.state("a")) == before
    assert [c.external_id for c in world.changes()] == ["m2"] * 4


def test_notes_never_leave_the_desk() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("a")
    assert world.do("anna", "Note", session="1", text="secret") == ""
    assert world.sent == []
    assert world.messages("note") == ["secret"]
    assert world.state("a") == ("offered", "anna")


def test_the_waiting_notice_goes_out_once_in_the_customers_language() -> None:
    world = World("anna", notices={"waiting": {"": "Please wait", "uz": "Kuting"}})
    world.writes("a")
    world.writes("a")
    assert world.sent == ["Please wait"]


def test_why_keeps_the_candidates_and_what_dropped_the_others() -> None:
    world = World("anna", "bek", "vali", max_sessions=1)
    world.online("anna", "bek")
    world.writes("a")
    world.writes("b")
    decision = world.decisions()[-1]
    assert (decision.chosen, decision.candidates) == ("bek", ["bek"])
    assert decision.dropped == {"anna": "full", "vali": "offline"}


def test_changed_rules_hold_from_the_next_decision_on() -> None:
    world = World("anna", "bek")
    world.online("anna", "bek")
    world.writes("a")
    rules = LineRules(members=["bek", "anna"], mode="strict", answer_within=5_000)
    world.happens(events.LinesConfigured(lines={"sales": rules}, channels={CHANNEL: "sales"}))
    assert world.at(59).state("a") == ("offered", "anna")
    assert world.writes("b").holder == "bek"
    assert world.at(60).state("a")[1] == "bek"


def test_members_taken_off_a_line_leave_it_as_if_off_duty() -> None:
    world = World("anna", "bek", on_leave="when_customer_writes")
    world.online("anna")
    for chat in "abc":
        world.writes(chat)
    world.do("anna", "Say", session="1", text="hi")
    world.do("anna", "Take", session="2")
    rules = LineRules(members=["bek"])
    world.happens(events.LinesConfigured(lines={"sales": rules}, channels={CHANNEL: "sales"}))
    assert [world.state(chat) for chat in "abc"] == [("answered", "anna"), ("waiting", ""), ("waiting", "")]
    world.writes("a")
    assert world.state("a") == ("waiting", "")


def test_all_skipped_by_everybody_is_offered_again_after_the_pause() -> None:
    world = World("anna", "bek", mode="all")
    world.online("anna", "bek")
    world.writes("a")
    world.do("anna", "Skip", session="1")
    world.at(10).do("bek", "Skip", session="1")
    assert world.at(69).state("a") == ("waiting", "")
    assert world.at(70).session("a").offer.seen_by == ["anna", "bek"]
    world.do("anna", "Skip", session="1")
    world.do("bek", "SetDuty", duty="break")
    assert world.at(129).state("a") == ("waiting", "")
    assert world.at(130).session("a").offer.seen_by == ["anna"]


def test_all_nobody_who_was_dismissed_sees_the_offer() -> None:
    world = World("anna", mode="all")
    world.online("anna")
    world.writes("a")
    world.happens(events.OperatorChanged(name="anna", disabled=True))
    assert (world.state("a"), world.session("a").offer.seen_by) == (("waiting", ""), [])


def test_an_offer_to_all_runs_on_when_the_mode_changes() -> None:
    world = World("anna", "bek", mode="all")
    world.online("anna", "bek")
    world.writes("a")
    rules = LineRules(members=["anna", "bek"], mode="even")
    world.happens(events.LinesConfigured(lines={"sales": rules}, channels={CHANNEL: "sales"}))
    assert (world.state("a"), world.session("a").offer.seen_by) == (("offered", ""), ["anna", "bek"])
    world.at(60)
    assert (world.state("a"), world.session("a").offer.seen_by) == (("offered", "anna"), [])
