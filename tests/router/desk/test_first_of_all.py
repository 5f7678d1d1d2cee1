"""Who knows the customer is asked first; what is needed; who has least: the queue rules, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from router.desk.desk import Known
from router.desk.events import ChatsClaimed, CustomerChanged, OperatorChanged
from router.desk.rules import LineRules, Ring
from tests.router.desk.world import World

MINUTE = 60_000
KNOWS = Known("c1", responsible="bek")


def two(**rules: Any) -> World:
    world = World("anna", "bek", **rules)
    world.online("anna", "bek")
    return world


@pytest.mark.parametrize("mode", ["even", "strict", "all", "manual", "least_loaded"])
def test_responsible_first_in_every_mode(mode: str) -> None:
    world = two(mode=mode)
    world.writes("ali", known=KNOWS)
    assert world.state("ali") == ("offered", "bek")
    assert world.decisions()[-1].why == "responsible"


def test_responsible_first_off_goes_by_the_mode() -> None:
    world = two(responsible_first=False)
    world.writes("ali", known=KNOWS)
    assert world.state("ali") == ("offered", "anna")


def test_the_responsible_may_be_of_another_line_and_have_too_much() -> None:
    world = World(lines={"sales": LineRules(members=["anna"]), "support": LineRules(members=["bek"])})
    world.happens(OperatorChanged(name="bek", max_sessions=0))
    world.online("anna", "bek")
    world.writes("ali", known=KNOWS)
    assert world.state("ali") == ("offered", "bek")
    world.do("bek", "Take", session="1")
    assert world.state("ali") == ("taken", "bek")


def test_who_turns_out_to_be_known_while_he_waits_is_offered_to_his_responsible_at_once() -> None:
    world = World("anna", "bek")
    world.writes("ali")
    assert world.state("ali")[0] == "waiting"
    chat = world.session("ali").chat
    world.happens(ChatsClaimed(customer="c9", chats=[chat], responsible="bek", vip=True, name="Ali V"))
    session = world.session("ali")
    assert (session.customer, session.responsible, session.vip, session.name) == ("c9", "bek", True, "Ali V")
    world.online("anna", "bek")
    world.writes("olga")
    world.happens(ChatsClaimed(customer="c9", chats=[world.session("olga").chat], responsible="bek"))
    assert world.session("olga").customer == "c9"
    # The same told twice changes nothing.
    rev = world.session("olga").rev
    world.happens(ChatsClaimed(customer="c9", chats=[world.session("olga").chat], responsible="bek"))
    assert world.session("olga").rev == rev


def test_a_card_taken_apart_leaves_neither_its_name_nor_its_language_in_the_other_s_sessions() -> None:
    world = World("anna")
    world.writes("ali")
    chat, own = world.session("ali").chat, world.session("ali").customer
    world.happens(ChatsClaimed(customer="c9", chats=[chat], name="Vali", language="ru"))
    assert (world.session("ali").name, world.session("ali").language) == ("Vali", "ru")
    world.happens(ChatsClaimed(customer=own, chats=[chat]))
    session = world.session("ali")
    assert (session.customer, session.name, session.language) == (own, "", "")


def test_an_absent_responsible_is_not_waited_for() -> None:
    world = World("anna", "bek")
    world.online("anna")
    world.writes("ali", known=KNOWS)
    assert world.state("ali") == ("offered", "anna")


def test_responsible_wait_missed_goes_on_by_the_normal_rules_and_is_asked_once() -> None:
    world = two(responsible_wait=2 * MINUTE)
    world.writes("ali", known=KNOWS)
    assert world.at(119).state("ali") == ("offered", "bek")
    assert world.at(120).state("ali") == ("offered", "anna")
    world.do("anna", "Take", session="1")
    world.do("anna", "Return", session="1")
    assert world.decisions()[-1].why == "even"


@pytest.mark.parametrize("how", ["skip", "break"])
def test_a_responsible_who_skips_or_leaves_is_no_trap(how: str) -> None:
    world = two()
    world.writes("ali", known=KNOWS)
    if how == "skip":
        world.do("bek", "Skip", session="1")
    else:
        world.do("bek", "SetDuty", duty="break")
    assert world.state("ali") == ("offered", "anna")


def test_an_offer_to_the_responsible_counts_as_given() -> None:
    world = two()
    world.writes("ali", known=KNOWS)
    world.writes("olga")
    assert world.state("olga") == ("offered", "anna")
    world.writes("petr")
    assert world.state("petr") == ("offered", "bek")


def test_last_operator_first_after_the_responsible() -> None:
    world = two(last_operator_first=True)
    world.happens(OperatorChanged(name="vali"))
    world.online("vali")
    world.writes("ali", known=Known("c1", responsible="bek", last_operator="vali"))
    assert world.state("ali") == ("offered", "bek")
    world.do("bek", "Skip", session="1")
    assert world.state("ali") == ("offered", "vali")
    assert world.decisions()[-1].why == "last_operator"
    world.at(120)
    assert world.state("ali") == ("offered", "anna")


def test_last_operator_first_is_off_by_default() -> None:
    world = two()
    world.writes("ali", known=Known("c1", last_operator="bek"))
    assert world.state("ali") == ("offered", "anna")


# ------------------------------------------------------------------ skills and languages


def skilled(**rules: Any) -> World:
    world = two(**rules)
    world.happens(OperatorChanged(name="anna", skills=["iron"], languages=["ru"]))
    world.happens(OperatorChanged(name="bek", skills=["iron", "uz"], languages=["uz"]))
    return world


def test_skills_drop_those_who_have_them_not() -> None:
    world = skilled(skills=[Ring(need=["iron", "uz"])])
    world.writes("ali")
    assert world.state("ali") == ("offered", "bek")
    assert world.decisions()[-1].dropped == {"anna": "no_skill"}


def test_skill_rings_relax_step_by_step_counted_from_entering_the_queue() -> None:
    world = skilled(
        mode="all",
        skills=[
            Ring(need=["gold"]), Ring(need=["iron", "uz"], after=MINUTE), Ring(need=[], after=3 * MINUTE),
        ],
    )  # fmt: skip
    session = world.writes("ali")
    assert session.status == "waiting"
    assert world.at(59).backlog() == ["ali"]
    world.at(60)
    assert session.offer.seen_by == ["bek"]
    world.at(179)
    assert session.offer.seen_by == ["bek"]
    world.at(180)
    assert session.offer.seen_by == ["anna", "bek"]


def test_a_ring_that_begins_later_needs_nothing_before() -> None:
    world = skilled(skills=[Ring(need=["gold"], after=MINUTE)])
    world.writes("ali")
    assert world.state("ali") == ("offered", "anna")


@pytest.mark.parametrize(
    ("language", "customers", "holder"),
    [("", "uz", "anna"), ("uz", "ru", "bek"), ("customer", "uz", "bek"), ("customer", "", "anna")],
)
def test_language(language: str, customers: str, holder: str) -> None:
    world = skilled(language=language)
    world.writes("ali", language=customers)
    assert world.state("ali") == ("offered", holder)


def test_who_learns_a_skill_gets_what_waits_for_it_at_once() -> None:
    world = skilled(skills=[Ring(need=["gold"])])
    world.writes("ali")
    assert world.backlog() == ["ali"]
    world.happens(OperatorChanged(name="anna", skills=["gold"]))
    assert world.state("ali") == ("offered", "anna")


def test_what_nobody_can_do_holds_nobody_else_back() -> None:
    world = World(
        lines={
            "sales": LineRules(members=["anna"], skills=[Ring(need=["gold"])]),
            "support": LineRules(members=["anna"]),
        }
    )
    world.online("anna")
    world.writes("ali")
    world.do("anna", "Start", channel="bot", chat="olga", line="support")
    world.do("anna", "Return", session="2")
    assert world.at(61).state("olga") == ("offered", "anna")
    assert world.backlog() == ["ali"]


# ------------------------------------------------------------------ who has least


def test_least_loaded_over_all_lines_ties_as_even() -> None:
    world = two(mode="least_loaded")
    world.writes("a")
    assert world.state("a") == ("offered", "anna")
    world.writes("b")
    assert world.state("b") == ("offered", "bek")
    world.do("bek", "Say", session="2", text="hi")
    world.writes("c")
    assert world.state("c") == ("offered", "bek")
    world.writes("d")
    assert world.state("d") == ("offered", "anna")


# ------------------------------------------------------------------ order


def test_a_vip_comes_before_the_others() -> None:
    world = World("anna")
    world.writes("ali")
    world.writes("olga", known=Known("c2", vip=True))
    assert world.session("olga").priority == 100
    assert world.backlog() == ["olga", "ali"]


def test_who_becomes_a_vip_while_he_waits_moves_up() -> None:
    world = World("anna", priority=7)
    world.writes("ali")
    world.writes("olga", known=Known("c2"))
    world.happens(CustomerChanged(customer="c2", vip=True))
    assert world.backlog() == ["olga", "ali"]
    world.happens(CustomerChanged(customer="c2", vip=False))
    assert world.session("olga").priority == 7


def test_a_priority_set_by_hand_beats_both_and_stays_when_the_line_changes() -> None:
    world = World(
        lines={"sales": LineRules(members=["anna"]), "vip": LineRules(members=["anna"], priority=9)}
    )
    world.online("anna")
    world.do("anna", "SetDuty", duty="break")
    world.writes("ali")
    world.writes("olga")
    assert world.do("anna", "SetPriority", session="2", priority=500) == ""
    assert world.backlog() == ["olga", "ali"]
    world.do("anna", "Transfer", session="2", to="line:vip")
    assert world.session("olga").priority == 500
    world.do("anna", "Transfer", session="1", to="line:vip")
    assert world.session("ali").priority == 9


# ------------------------------------------------------------------ missed too often


def test_away_after_missed_so_many_in_a_row() -> None:
    world = two(away_after_missed=2, mode="strict")
    world.writes("ali")
    world.at(60)
    world.at(120)
    assert world.desk.operators["anna"].duty == "online"
    world.at(180)
    anna = world.desk.operators["anna"]
    assert (anna.duty, anna.duty_reason) == ("break", "missed_offers")
    assert "away_after_missed" in world.alerts()


def test_away_after_missed_counts_in_a_row_only() -> None:
    world = two(away_after_missed=2, mode="strict")
    world.writes("ali")
    world.at(60)
    world.do("anna", "TakeOver", session="1")
    world.at(61).writes("olga")
    world.do("anna", "Take", session="2")
    assert world.desk.operators["anna"].missed == 0


def test_away_after_missed_is_off_by_default() -> None:
    world = World("anna")
    world.online("anna")
    world.writes("ali")
    for minute in range(1, 20):
        world.at(60 * minute)
    assert world.desk.operators["anna"].duty == "online"
