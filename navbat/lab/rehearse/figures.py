"""What the desk told, as figures of one line. The same for what was recorded and for what was played.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from navbat.lab.rehearse.recording import parse_system
from router.desk.state import Alert, AnyTold, Decided, MessageAdded

LET_GO = frozenset({"returned", "unanswered", "left", "closed", "auto_closed", "spam", "bot"})
"""Lines in a thread after which the holder has the session no more."""
RETURNED = frozenset({"returned", "unanswered", "left"})


class Waits(msgspec.Struct, kw_only=True):
    """Nearest ranks, in ms; None for no values."""

    count: int
    p50: int | None = None
    p90: int | None = None
    p99: int | None = None
    max: int | None = None


class Load(msgspec.Struct, kw_only=True):
    """``busiest``: the most sessions held at one moment, ``busiest_at`` the first such moment (ms)."""

    given: int = 0
    taken: int = 0
    missed: int = 0
    busiest: int = 0
    busiest_at: int = 0


class Figures(msgspec.Struct, kw_only=True):
    """``first_answer`` is from the first message to the first word of an operator, ``backlog`` from
    entering the queue to the first offer, or to being taken where nothing was offered."""

    sessions: int
    answered: int
    never_offered: int
    first_answer: Waits
    backlog: Waits
    missed: int
    returned: int
    overflowed: int
    auto_closed: int
    sla_breaches: int
    operators: dict[str, Load]


class _Story:
    """One session."""

    def __init__(self) -> None:
        self.line = ""
        self.wrote = 0
        self.answered = 0
        self.entered = 0
        self.offered = 0
        self.holder = ""
        self.counts: dict[str, int] = defaultdict(int)
        self.given: list[str] = []
        self.missed: list[str] = []
        self.taken: list[str] = []
        self.held: list[tuple[str, int, int]] = []
        self.since = 0

    def hold(self, at: int, operator: str) -> None:
        if self.holder:
            self.held.append((self.holder, self.since, at))
        self.holder, self.since = operator, at


def waits(values: Iterable[int]) -> Waits:
    ordered = sorted(values)
    if not ordered:
        return Waits(count=0)
    p50, p90, p99 = (ordered[-(-len(ordered) * p // 100) - 1] for p in (50, 90, 99))
    return Waits(count=len(ordered), p50=p50, p90=p90, p99=p99, max=ordered[-1])


def measure(told: Sequence[AnyTold], line: str, end: int) -> Figures:
    """The figures of the sessions that came to ``line`` first; ``end`` of the time, in ms."""
    stories: dict[str, _Story] = defaultdict(_Story)
    for one in told:
        if isinstance(one, MessageAdded):
            _message(stories[one.message.session], one)
        elif isinstance(one, Decided):
            _decided(stories[one.session], one)
        elif isinstance(one, Alert) and one.session:
            stories[one.session].counts[one.name] += 1
    mine = [story for story in stories.values() if story.line == line]
    for story in mine:
        story.hold(end, "")
    return Figures(
        sessions=len(mine),
        answered=sum(bool(s.answered) for s in mine),
        never_offered=sum(not s.offered for s in mine),
        first_answer=waits(s.answered - s.wrote for s in mine if s.answered and s.wrote),
        backlog=waits(s.offered - s.entered for s in mine if s.offered),
        missed=sum(len(s.missed) for s in mine),
        returned=sum(s.counts[what] for s in mine for what in RETURNED),
        overflowed=sum(s.counts["overflow"] for s in mine),
        auto_closed=sum(s.counts["auto_closed"] for s in mine),
        sla_breaches=sum(s.counts["sla_breach"] for s in mine),
        operators=_loads(mine),
    )


def _message(story: _Story, one: MessageAdded) -> None:
    message = one.message
    if message.direction == "in":
        story.wrote = story.wrote or message.at
    elif message.direction == "out":
        if message.author and not message.notice and not message.author.startswith("bot:") and story.holder:
            story.answered = story.answered or message.at
    elif message.direction == "system":
        _system(story, message.at, *parse_system(message.text))


def _system(story: _Story, at: int, what: str, params: dict[str, str]) -> None:
    operator = params.get("operator", "")
    story.counts[what] += 1
    if what in ("taken", "taken_over", "transfer_back", "started"):
        story.hold(at, operator)
        story.offered = story.offered or at
        if what != "transfer_back":
            story.taken.append(operator)
    elif what in LET_GO or what == "transferred":
        story.hold(at, "")
    elif what == "missed":
        story.missed.append(operator)


def _decided(story: _Story, one: Decided) -> None:
    story.line = story.line or one.line
    story.entered = story.entered or one.at
    if one.chosen or one.why == "all":
        story.offered = story.offered or one.at
    if one.chosen:
        story.given.append(one.chosen)


def _loads(stories: Sequence[_Story]) -> dict[str, Load]:
    loads: dict[str, Load] = defaultdict(Load)
    steps: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for story in stories:
        for name in story.given:
            loads[name].given += 1
        for name in story.taken:
            loads[name].taken += 1
        for name in story.missed:
            loads[name].missed += 1
        for name, start, end in story.held:
            steps[name] += [(start, 1), (end, -1)]
    for name, moves in steps.items():
        held, load = 0, loads[name]
        for at, step in sorted(moves):
            held += step
            if held > load.busiest:
                load.busiest, load.busiest_at = held, at
    return dict(sorted(loads.items()))
