"""Random rules for a random world."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from copy import copy
from random import Random
from typing import Any, Literal

import msgspec

from crm.kernel.records import Absence, OperatorRules, Right
from crm.kernel.settings import Written
from navbat.config.declared import Declared, declared
from router.desk.bots.flow import Flow, Node, Option
from router.desk.events import OperatorChanged
from router.desk.rules import LineRules, Notices, Overflow, Ring

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SKILLS = ("iron", "uz", "gold")
LANGUAGES = ("", "ru", "uz")
ZONES = ("UTC", "Asia/Tashkent", "Asia/Kathmandu", "Europe/Berlin", "America/New_York")
RIGHTS: tuple[Right, ...] = ("join_open", "join_silent", "whisper", "take_over")

FLOW = Flow(
    name="greeter",
    start="what",
    nodes={
        "what": Node(
            kind="menu",
            say={"": "How can we help?"},
            options=[Option(label={"": "Buy"}, then="name"), Option(label={"": "Leave"}, then="bye")],
            tries=1,
        ),
        "name": Node(kind="ask", say={"": "Your name?"}, field="name", then="human"),
        "human": Node(kind="hand_over", say={"": "One moment."}, priority=3),
        "bye": Node(kind="close", say={"": "Bye."}),
    },
)


def some(random: Random, words: tuple[str, ...], share: float = 0.5) -> list[str]:
    return [word for word in words if random.random() < share]


def week(random: Random) -> dict[str, list[str]]:
    """Working hours: a few intervals a day, some over midnight."""
    hours = {}
    for day in DAYS:
        if random.random() < 0.8:
            start = random.randrange(24)
            hours[day] = [f"{start:02}:00-{(start + random.randint(1, 20)) % 24:02}:30"]
    return hours


LINES_OWN: Mapping[str, Sequence[Any]] = {
    "mode": ("even", "even", "strict", "all", "manual", "least_loaded"),
    "max_sessions": (0, 0, 1, 2, 4),
    "answer_within": (20 * SECOND, MINUTE, 5 * MINUTE),
    "transfer_wait": (30 * SECOND, 2 * MINUTE),
    "while_writing": ("hold", "hold", "take", "off"),
    "hold_at_most": (5 * SECOND, 2 * MINUTE),
    "check_duty": (*[True] * 9, False),
    "responsible_first": (*[True] * 4, False),
    "responsible_wait": (30 * SECOND, 2 * MINUTE),
    "last_operator_first": (True, False, False),
    "no_answer_after": (0, MINUTE, 5 * MINUTE),
    "return_unanswered_after": (0, 0, MINUTE, 10 * MINUTE),
    "auto_close_after": (0, 10 * MINUTE, 4 * HOUR),
    "results": ([], [], ["done", "not done"]),
    "bot": ("", "", "greeter", "robot"),
    "language": ("", "", "customer", "uz"),
    "zone": ZONES,
}
OPERATORS_OWN: Mapping[str, Sequence[Any]] = {"max_sessions": (1000, 1000, 1, 2, 5)}
"""What some settings are drawn from. All others are drawn from what their kind may be, so that one that is
declared tomorrow is played too."""
DRAWN: Mapping[Written, Sequence[int]] = {
    "wait": (MINUTE, 10 * MINUTE),
    "duration": (MINUTE, 10 * MINUTE),
    "duration_or_off": (0, MINUTE, 10 * MINUTE),
    "number_or_off": (0, 0, 2, 3),
}


def drawn(random: Random, kind: type[msgspec.Struct], own: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """A value for each setting of a struct of rules, but for those that name others (lines, people, texts)."""
    return {field.name: _drawn(random, field, own) for field in declared(kind)}


def _drawn(random: Random, field: Declared, own: Mapping[str, Sequence[Any]]) -> Any:
    written = field.setting.written
    if field.name in own:
        return random.choice(own[field.name])
    if field.type is bool:
        return random.random() < 0.4
    if typing.get_origin(field.type) is Literal:
        return random.choice(typing.get_args(field.type))
    if written in DRAWN:
        return random.choice(DRAWN[written])
    if field.type is int:
        return random.choice((field.default, field.default, field.default + 5))
    if isinstance(field.default, msgspec.Struct):
        part = type(field.default)
        return part(**drawn(random, part, {})) if random.random() < 0.3 else part()
    return copy(field.default)


def line_rules(
    random: Random, operators: list[str], others: list[str], presence_timeout: int = MINUTE
) -> LineRules:
    """Any rules that the configuration would accept. ``others``: lines that it may overflow into;
    ``presence_timeout``: ms until somebody of whom nothing is heard goes off duty."""
    rules = LineRules(**drawn(random, LineRules, LINES_OWN))
    chance = random.random
    # While nothing else happens, for weeks at times, an offer is renewed until all have gone off duty. What
    # one more round of it could show the first dozens have shown.
    sleeps = 27 * 24 * HOUR if not rules.check_duty else presence_timeout
    rules.answer_within = max(rules.answer_within, sleeps // 100)
    rules.members = random.sample(operators, random.randint(1, len(operators)))
    if chance() < 0.4:
        rules.hours = week(random)
    if chance() < 0.1:
        rules.days = {"2026-03-03": []}
    if chance() < 0.2:
        rules.shifts = {random.choice(operators): week(random)}
    if chance() < 0.3:
        rules.skills = [Ring(need=some(random, SKILLS)), Ring(need=some(random, SKILLS, 0.2), after=MINUTE)]
    names = tuple(field.name for field in declared(Notices))
    rules.notices = {name: {"": name} for name in some(random, names)}
    if others and chance() < 0.4:
        when: Any = random.choice(("always", "off_hours", "nobody_on_duty"))
        rules.overflow = [Overflow(after=random.choice((0, MINUTE, 5 * MINUTE)), line=others[0], when=when)]
    return rules


def operator(random: Random, name: str) -> OperatorChanged:
    """Any account. Once in a while it is ended, or away for some days."""
    made = OperatorChanged(
        name=name,
        role="supervisor" if random.random() < 0.15 else "operator",
        disabled=random.random() < 0.05,
        **drawn(random, OperatorRules, OPERATORS_OWN),
    )
    made.skills = some(random, SKILLS)
    made.languages = some(random, LANGUAGES[1:])
    if random.random() < 0.5:
        made.rights = {"*": [right for right in RIGHTS if random.random() < 0.5]}
    if random.random() < 0.15:
        day = random.randint(1, 20)
        made.absences = [Absence(from_=f"2026-03-{day:02}", to=f"2026-03-{day + 2:02}")]
    return made
