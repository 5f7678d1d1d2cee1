"""The simulator plays every setting that there is, whoever declared it."""

from __future__ import annotations

from random import Random
from typing import Annotated, Literal

import msgspec
import pytest

from crm.kernel.records import OperatorRules
from crm.kernel.settings import Setting
from navbat.config.declared import declared
from navbat.lab.simulate import rules
from router.desk.rules import LineRules

NEVER = {"holidays", "crm_funnel"}
"""Looking years of a country up would cost more than all else in so short a world; of funnels the desk knows
nothing."""


def test_every_setting_of_a_line_and_of_an_operator_changes() -> None:
    random = Random(1)
    lines = [rules.line_rules(random, ["anna", "bek"], ["night"]) for _ in range(300)]
    people = [rules.operator(random, "anna") for _ in range(300)]
    for kind, made in ((LineRules, lines), (OperatorRules, people)):
        same = {f.name for f in declared(kind) if len({repr(getattr(one, f.name)) for one in made}) < 2}
        assert same == (NEVER if kind is LineRules else {"crm"})


def test_a_setting_that_nobody_named_is_played() -> None:
    class More(msgspec.Struct):
        tea: Annotated[bool, Setting("made up")] = False
        drink: Annotated[Literal["green", "black"], Setting("made up")] = "green"
        rest: Annotated[int, Setting("made up", "duration_or_off")] = 0
        cups: Annotated[int, Setting("made up")] = 1

    drawn = [rules.drawn(Random(seed), More, {}) for seed in range(50)]
    assert {one["tea"] for one in drawn} == {True, False}
    assert {one["drink"] for one in drawn} == {"green", "black"}
    assert {one["rest"] for one in drawn} == {0, rules.MINUTE, 10 * rules.MINUTE}
    assert len({one["cups"] for one in drawn}) == 2


@pytest.mark.parametrize(
    ("kind", "own"), [(LineRules, rules.LINES_OWN), (OperatorRules, rules.OPERATORS_OWN)]
)
def test_what_is_drawn_in_a_way_of_its_own_is_a_setting(
    kind: type[msgspec.Struct], own: dict[str, object]
) -> None:
    assert own.keys() <= set(kind.__struct_fields__)
