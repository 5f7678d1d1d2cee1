"""Words on a session by which it is found again."""

from __future__ import annotations

import pytest

from router.desk.state import Audit
from tests.router.desk.world import World


def tags(world: World) -> list[str]:
    return world.session("ali").tags


def audits(world: World) -> list[Audit]:
    return [told for told in world.told if isinstance(told, Audit)]


def test_a_tag_is_there_once_however_it_is_spelled_and_comes_off_again() -> None:
    world = World("anna")
    world.writes("ali")
    assert world.do("anna", "Tag", session="1", tags=["Toʻlov", "vip", "to'lov"]) == ""
    assert world.do("anna", "Tag", session="1", tags=["VIP", "  late \n delivery "]) == ""
    assert tags(world) == ["Toʻlov", "vip", "late delivery"]
    assert world.do("anna", "Tag", session="1", tags=["TO`LOV", "never there"], on=False) == ""
    assert tags(world) == ["vip", "late delivery"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([], "bad_tag"),
        ([" "], "bad_tag"),
        (["x" * 41], "bad_tag"),
        ([str(n) for n in range(21)], "too_many_tags"),
    ],
)
def test_what_is_no_tag_is_refused_and_changes_nothing(given: list[str], code: str) -> None:
    world = World("anna")
    world.writes("ali")
    world.do("anna", "Tag", session="1", tags=["old"])
    assert world.do("anna", "Tag", session="1", tags=given) == code
    assert tags(world) == ["old"]


def test_who_does_not_have_it_puts_no_tags_on_it_but_who_leads_does() -> None:
    world = World("anna", "bek")
    world.writes("ali")
    world.do("anna", "Take", session="1")
    assert world.do("bek", "Tag", session="1", tags=["x"]) == "held_by"
    world.desk.operators["bek"].role = "supervisor"
    assert world.do("bek", "Tag", session="1", tags=["x"]) == ""
    assert world.do("anna", "Tag", session="404", tags=["x"]) == "no_such_session"


def test_what_was_put_on_is_in_the_audit_and_nothing_twice() -> None:
    world = World("anna")
    world.writes("ali")
    before = world.session("ali").rev
    world.do("anna", "Tag", session="1", tags=["x"])
    told = audits(world)[-1]
    assert (told.action, told.params) == ("tag", {"tags": "x"})
    rev = world.session("ali").rev
    assert rev > before
    count = len(audits(world))
    world.do("anna", "Tag", session="1", tags=["X"])
    assert (world.session("ali").rev, len(audits(world))) == (rev, count)
