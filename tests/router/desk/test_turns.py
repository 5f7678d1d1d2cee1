"""Hours, shifts and absences begin and end at their instant, whether the desk ran on, was restarted
before, or was away while it happened. The world's clock begins on Thursday 1970-01-01, 00:16:40 UTC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm.kernel.records import Absence
from router.desk.events import OperatorChanged
from tests.router.desk.world import START, World, saved

ONE, TWO, MIDNIGHT = 2600, 6200, 85_400
"""Seconds after the world's beginning at which the clock shows 01:00, 02:00, and the next midnight."""
HOUR = {"thu": ["01:00-02:00"]}
NEXT_DAY = [Absence(from_="1970-01-02", to="1970-01-02")]

Way = Callable[[World, int], World]


def runs_on(world: World, moment: int) -> World:
    return world.at(moment)


def restarted_before(world: World, moment: int) -> World:
    world.desk = saved(world.desk)
    return world.at(moment)


def restarted_at_every_step(world: World, moment: int) -> World:
    for step in (-2, -1, 0):
        world.at(moment + step)
        world.desk = saved(world.desk)
    return world


def away_meanwhile(world: World, moment: int) -> World:
    """It comes back a minute later: what should have happened has happened then."""
    world.desk = saved(world.desk, resumed_at=START + (moment + 60) * 1000)
    world.desk.seen.update(dict.fromkeys(world.desk.operators, START + 10**9))
    return world.at(moment + 60)


@pytest.fixture(params=[runs_on, restarted_before, restarted_at_every_step, away_meanwhile])
def go(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


def desk(**rules: Any) -> World:
    """Anna alone is on duty."""
    world = World("anna", answer_within=10**9, **rules)
    world.online("anna")
    return world


def absent(world: World, absences: list[Absence]) -> World:
    world.happens(OperatorChanged(name="anna", absences=absences))
    return world


def test_the_line_opens(go: Way) -> None:
    world = desk(hours=HOUR)
    world.writes("a")
    assert world.state("a") == ("waiting", "")
    assert go(world, ONE).state("a") == ("offered", "anna")


def test_the_line_closes(go: Way) -> None:
    world = desk(hours=HOUR).at(ONE)
    go(world, TWO).writes("a")
    assert world.state("a") == ("waiting", "")


def test_a_shift_begins(go: Way) -> None:
    world = desk(shifts={"anna": HOUR})
    world.writes("a")
    assert world.state("a") == ("waiting", "")
    assert go(world, ONE).state("a") == ("offered", "anna")


def test_a_shift_ends_and_what_is_taken_stays(go: Way) -> None:
    world = desk(shifts={"anna": HOUR}).at(ONE)
    world.writes("taken")
    world.do("anna", "Take", session="1")
    world.writes("offered")
    go(world, TWO)
    assert world.state("taken") == ("taken", "anna")
    assert world.state("offered") == ("waiting", "")


def test_an_absence_begins_at_midnight_of_the_line(go: Way) -> None:
    world = absent(World("anna", "bek", answer_within=10**9, on_leave="at_once"), NEXT_DAY)
    world.online("anna")
    world.writes("taken")
    world.do("anna", "Take", session="1")
    world.writes("offered")
    world.at(MIDNIGHT - 10)
    assert world.state("offered") == ("offered", "anna")
    go(world, MIDNIGHT)
    assert world.state("taken") == world.state("offered") == ("waiting", "")


def test_an_absence_ends(go: Way) -> None:
    today = [Absence(from_="1970-01-01", to="1970-01-01")]
    world = absent(desk(), today)
    world.writes("a")
    world.at(MIDNIGHT - 10)
    assert world.state("a") == ("waiting", "")
    assert go(world, MIDNIGHT).state("a") == ("offered", "anna")


def test_a_night_goes_over_midnight(go: Way) -> None:
    """22:00-06:00 of Thursday is open on Friday at five, and closed at six."""
    world = desk(hours={"thu": ["22:00-06:00"]})
    world.writes("a")
    world.at(21 * 3600)
    assert world.state("a") == ("waiting", "")
    world.at(28 * 3600)
    assert world.state("a") == ("offered", "anna")
    six = 30 * 3600 - 1000
    go(world, six).writes("b")
    assert world.state("b") == ("waiting", "")


def test_a_holiday_falls_on_a_shift(go: Way) -> None:
    """The line is closed that day whatever the shift says, and open the day after."""
    daily = {day: ["01:00-02:00"] for day in ("thu", "fri")}
    world = desk(shifts={"anna": daily}, hours=daily, days={"1970-01-01": []})
    world.writes("a")
    go(world, ONE)
    assert world.state("a") == ("waiting", "")
    assert go(world, ONE + 86_400).state("a") == ("offered", "anna")
