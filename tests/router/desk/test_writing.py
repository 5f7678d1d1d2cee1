"""Writing into an offer: it is held while keys come, or taken, as the line says."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from router.desk import events
from router.desk.desk import Known
from router.desk.rules import LineRules
from router.desk.state import decode_session, encode
from tests.router.desk import naive
from tests.router.desk.world import START, World, saved

SECOND = 1000


def writing(world: World, name: str = "anna", session: str = "1", *, draft: bool = False) -> None:
    world.happens(events.Writing(operator=name, session=session, draft=draft))


def offered(*members: str, **rules: Any) -> World:
    """Ali's session is offered to the first member for eight seconds."""
    world = World(*members, mode="strict", **{"answer_within": 8 * SECOND, **rules})
    world.online(*members)
    world.writes("ali")
    return world


@pytest.mark.parametrize("draft", [False, True])
def test_an_offer_does_not_lapse_while_keys_come(draft: bool) -> None:
    world = offered("anna", "bek")
    for second in range(3, 60, 3):
        world.at(second)
        writing(world, draft=draft)
        assert world.state("ali") == ("offered", "anna")
    assert world.session("ali").offer.until == START + 67 * SECOND
    assert world.at(66.9).state("ali") == ("offered", "anna")
    assert world.at(67).state("ali") == ("offered", "bek"), "nobody writes any more"
    assert world.desk.operators["anna"].missed == 1


def test_an_offer_that_lasts_longer_anyway_is_left_alone() -> None:
    world = offered("anna", answer_within=60 * SECOND)
    before = (world.session("ali").offer.until, world.session("ali").rev)
    world.at(5)
    writing(world)
    assert (world.session("ali").offer.until, world.session("ali").rev) == before


def test_it_is_held_so_long_at_most() -> None:
    world = offered("anna", "bek", hold_at_most=20 * SECOND)
    for second in range(2, 28, 2):
        world.at(second)
        writing(world)
    assert world.session("ali").offer.until == START + 28 * SECOND
    assert world.at(28).state("ali") == ("offered", "bek")
    writing(world)
    assert world.at(36).state("ali") == ("offered", "anna"), "another's keys hold nothing"


def test_the_next_offer_of_the_same_session_has_its_own_lease() -> None:
    world = offered("anna", hold_at_most=10 * SECOND)
    for second in (5, 10, 15):
        world.at(second)
        writing(world)
    assert world.at(17.9).session("ali").offer.began == START
    world.at(18)
    again = world.session("ali")
    assert (again.offer.began, again.offer.until) == (START + 18 * SECOND, START + 26 * SECOND)
    world.at(25)
    writing(world)
    assert world.session("ali").offer.until == START + 35 * SECOND


def test_only_who_is_offered_it_holds_it() -> None:
    world = offered("anna", "bek")
    world.at(7)
    writing(world, "bek")
    writing(world, "nobody")
    writing(world, session="404")
    world.happens(events.OperatorChanged(name="vali"))
    writing(world, "vali")
    assert world.at(8).state("ali") == ("offered", "bek")


def test_off_changes_nothing() -> None:
    world = offered("anna", "bek", while_writing="off")
    world.at(7)
    writing(world)
    assert world.at(8).state("ali") == ("offered", "bek")


def test_take_takes_it_but_a_note_only_holds() -> None:
    world = offered("anna", "bek", while_writing="take")
    world.at(7)
    writing(world, draft=True)
    assert world.at(8).state("ali") == ("offered", "anna")
    writing(world, "bek")
    assert world.state("ali") == ("offered", "anna")
    writing(world)
    assert world.state("ali") == ("taken", "anna")
    seq = world.session("ali").seq
    writing(world)
    assert world.session("ali").seq == seq
    assert "taken|operator=anna" in world.messages("system")


def test_take_refuses_nobody_loudly() -> None:
    """Who may not write in the line (it was transferred to him) does not get it by typing."""
    world = offered("anna", "bek", while_writing="take")
    world.do("anna", "Take", session="1")
    world.do("anna", "Transfer", session="1", to="bek")
    world.happens(events.OperatorChanged(name="bek", rights={"*": ["read_only"]}))
    assert world.state("ali") == ("offered", "bek")
    writing(world, "bek")
    assert world.state("ali") == ("offered", "bek")


def test_a_transfer_is_held_and_goes_back_when_the_keys_stop() -> None:
    world = offered("anna", "bek", transfer_wait=8 * SECOND)
    world.do("anna", "Take", session="1")
    world.do("anna", "Transfer", session="1", to="bek")
    world.at(6)
    writing(world, "bek")
    assert world.at(15.9).state("ali") == ("offered", "bek")
    assert world.at(16).state("ali") == ("taken", "anna")
    assert world.session("ali").offer.most == 0


def test_an_offer_to_the_responsible_is_held() -> None:
    world = World("anna", responsible_wait=8 * SECOND)
    world.online("anna", "bek")
    world.happens(events.OperatorChanged(name="bek"))
    world.online("bek")
    world.writes("ali", known=Known("c1", responsible="bek"))
    assert world.state("ali") == ("offered", "bek")
    world.at(6)
    writing(world, "bek")
    assert world.at(15.9).state("ali") == ("offered", "bek")
    assert world.at(16).state("ali") == ("offered", "anna")


def test_in_mode_all_the_round_is_held_for_all_and_others_may_take_it() -> None:
    world = World("anna", "bek", mode="all", answer_within=8 * SECOND)
    world.online("anna", "bek")
    world.writes("ali")
    world.at(7)
    writing(world)
    assert (world.session("ali").offer.until, world.session("ali").offer.seen_by) == (
        START + 17 * SECOND,
        ["anna", "bek"],
    )
    assert world.do("bek", "Take", session="1") == ""
    assert world.state("ali") == ("taken", "bek")
    writing(world)
    assert world.state("ali") == ("taken", "bek")


def test_in_mode_all_take_is_whose_key_comes_first() -> None:
    world = World("anna", "bek", mode="all", while_writing="take")
    world.online("anna", "bek")
    world.writes("ali")
    writing(world, "bek")
    writing(world, "anna")
    assert world.state("ali") == ("taken", "bek")


def test_what_is_held_survives_another_writer_and_an_older_state() -> None:
    world = offered("anna", "bek", hold_at_most=10 * SECOND)
    world.at(5)
    writing(world)
    world.desk = saved(world.desk)
    world.at(14)
    writing(world)
    assert world.session("ali").offer.until == START + 18 * SECOND
    session = world.session("ali")
    session.offer = replace(session.offer, began=0)
    old = decode_session(encode(session))
    assert old.offer.until == START + 18 * SECOND
    assert world.at(18).state("ali") == ("offered", "bek")


def test_its_end_is_what_the_naive_one_says() -> None:
    random = Random(1)
    for _ in range(300):
        within, most = random.randint(1, 60), random.randint(1, 90)
        rule: Any = random.choice(("hold", "hold", "off"))
        rules = LineRules(
            members=["anna"], mode="strict", answer_within=within * SECOND, hold_at_most=most * SECOND,
            while_writing=rule,
        )  # fmt: skip
        world = World(lines={"sales": rules})
        world.online("anna")
        world.writes("ali")
        keys = sorted(random.randint(0, 150) for _ in range(random.randint(0, 40)))
        end = naive.offer_ends(within, most if rule == "hold" else 0, keys)
        for second in keys:
            if second < end:
                world.at(second)
                writing(world)
        assert world.at(end - 0.001).session("ali").offer.began == START, (within, most, keys)
        assert world.at(end).session("ali").offer.began == START + end * SECOND, (within, most, keys)
