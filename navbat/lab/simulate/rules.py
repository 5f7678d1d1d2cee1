"""Random rules for a random world."""

from __future__ import annotations

from random import Random
from typing import Any

from crm.kernel.records import Absence, Right
from router.desk.bots.flow import Flow, Node, Option
from router.desk.events import OperatorChanged
from router.desk.rules import LineRules, Overflow, Ring, Sla

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


def line_rules(random: Random, operators: list[str], others: list[str]) -> LineRules:
    """Any rules that the configuration would accept. ``others``: lines that it may overflow into."""
    chance = random.random
    rules = LineRules(
        mode=random.choice(("even", "even", "strict", "all", "manual", "least_loaded")),
        members=random.sample(operators, random.randint(1, len(operators))),
        max_sessions=random.choice((0, 0, 1, 2, 4)),
        counts_until=random.choice(("first_answer", "answered", "closed")),
        answer_within=random.choice((20 * SECOND, MINUTE, 5 * MINUTE)),
        transfer_wait=random.choice((30 * SECOND, 2 * MINUTE)),
        while_writing=random.choice(("hold", "hold", "take", "off")),
        hold_at_most=random.choice((5 * SECOND, 2 * MINUTE)),
        on_leave=random.choice(("keep", "when_customer_writes", "at_once")),
        check_duty=chance() < 0.9,
        away_after_missed=random.choice((0, 0, 2, 3)),
        priority=random.choice((0, 0, 5)),
        show_position=chance() < 0.3,
        off_hours=random.choice(("queue", "offer", "bot")),
        responsible_first=chance() < 0.8,
        responsible_wait=random.choice((30 * SECOND, 2 * MINUTE)),
        last_operator_first=chance() < 0.3,
        no_answer_after=random.choice((0, MINUTE, 5 * MINUTE)),
        return_unanswered_after=random.choice((0, 0, MINUTE, 10 * MINUTE)),
        auto_close_after=random.choice((0, 10 * MINUTE, 4 * HOUR)),
        closing_time=random.choice((MINUTE, 10 * MINUTE)),
        rating=chance() < 0.4,
        results=random.choice(([], [], ["done", "not done"])),
        bot=random.choice(("", "", "greeter", "robot")),
        bot_first=random.choice(("always", "first_contact", "off")),
        bot_time=random.choice((MINUTE, 10 * MINUTE)),
        language=random.choice(("", "", "customer", "uz")),
        zone=random.choice(ZONES),
    )
    _add_lists(random, rules, operators, others)
    return rules


def _add_lists(random: Random, rules: LineRules, operators: list[str], others: list[str]) -> None:
    chance = random.random
    if chance() < 0.4:
        rules.hours = week(random)
    if chance() < 0.2:
        rules.shifts = {random.choice(operators): week(random)}
    if chance() < 0.3:
        rules.skills = [Ring(need=some(random, SKILLS)), Ring(need=some(random, SKILLS, 0.2), after=MINUTE)]
    if chance() < 0.3:
        rules.sla = Sla(first_response=2 * MINUTE, next_response=5 * MINUTE, resolution=HOUR)
    rules.notices = {
        name: {"": name} for name in some(random, ("waiting", "off_hours", "no_answer", "farewell"))
    }
    if others and chance() < 0.4:
        when: Any = random.choice(("always", "off_hours", "nobody_on_duty"))
        rules.overflow = [Overflow(after=random.choice((0, MINUTE, 5 * MINUTE)), line=others[0], when=when)]


def operator(random: Random, name: str) -> OperatorChanged:
    """Any account. Once in a while it is ended, or away for some days."""
    made = OperatorChanged(
        name=name,
        role="supervisor" if random.random() < 0.15 else "operator",
        max_sessions=random.choice((1000, 1000, 1, 2, 5)),
        skills=some(random, SKILLS),
        languages=some(random, LANGUAGES[1:]),
        disabled=random.random() < 0.05,
    )
    if random.random() < 0.5:
        made.rights = {"*": [right for right in RIGHTS if random.random() < 0.5]}
    if random.random() < 0.15:
        day = random.randint(1, 20)
        made.absences = [Absence(from_=f"2026-03-{day:02}", to=f"2026-03-{day + 2:02}")]
    return made
