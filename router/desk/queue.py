"""One line's queue: the waiting sessions in order, and the members ready for an offer in the order
in which the line's mode would choose them. Both orders are kept, never computed, so a decision costs
the logarithm of their number.

What a session needs (skills, a language) divides both: the waiting into one ordered bucket for each
need, the ready into one ordered pool for each need that somebody has."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict, SortedKeyList

from router.desk.events import LineRules
from router.desk.hours import Calendar
from router.desk.state import OperatorState, Session

Place = tuple[int, int, int, int]
Need = tuple[frozenset[str], str]
Rank = tuple[int, ...]
ANYBODY: Need = (frozenset(), "")
NEVER = 1 << 62
POOLS_KEPT = 64
"""Pools of needs that nobody has now are forgotten beyond this number."""


def place(session: Session) -> Place:
    """Where a session stands in the backlog: priority (larger first), the earliest breach of a running
    clock (without one: last), arrival, id."""
    breach = min(session.sla.values()) if session.sla else NEVER
    return -session.priority, breach, session.arrival, int(session.id)


def need_of(session: Session, rules: LineRules) -> Need:
    """What an operator must have for it now."""
    if not rules.skills and not rules.language:
        return ANYBODY
    rings = rules.skills
    ring = min(session.ring, len(rings))
    skills = frozenset(rings[ring - 1].need) if ring else frozenset[str]()
    return skills, session.language if rules.language == "customer" else rules.language


def lacks(operator: OperatorState, need: Need) -> str:
    """What the operator has not and the session needs: ``no_skill``, ``no_language`` or nothing."""
    skills, language = need
    if skills and not skills.issubset(operator.skills):
        return "no_skill"
    if language and language not in operator.languages:
        return "no_language"
    return ""


def _first(item: tuple[Place, Session]) -> Place:
    return item[0]


class Queue:
    """The state of one line beside its sessions. Pure."""

    def __init__(self, name: str, rules: LineRules) -> None:
        self.name = name
        self.rules = rules
        self.members: dict[str, int] = {}
        self.load: dict[str, int] = {}
        self.calendar = Calendar(rules.zone, rules.hours, rules.days, rules.holidays)
        self.shifts = {name: Calendar(rules.zone, week) for name, week in rules.shifts.items()}
        self.is_open = True
        self.off_shift: set[str] = set()
        self.absent: set[str] = set()
        self._buckets: dict[Need, SortedDict[Place, Session]] = {}
        self._places: dict[str, tuple[Place, Need]] = {}
        self._ready: dict[str, tuple[Rank, OperatorState]] = {}
        self._pools: dict[Need, SortedKeyList[tuple[Rank, str], Rank]] = {}

    @property
    def routes(self) -> bool:
        """Whether waiting sessions are offered now."""
        return self.is_open or self.rules.off_hours == "offer"

    # ---------------------------------------------------------------- the waiting

    def put(self, session: Session) -> None:
        """Puts the session where it belongs, or moves it there."""
        self.remove(session.id)
        at, need = place(session), need_of(session, self.rules)
        self._places[session.id] = at, need
        bucket = self._buckets.get(need)
        if bucket is None:
            bucket = self._buckets[need] = SortedDict()
        bucket[at] = session

    def remove(self, session_id: str) -> None:
        found = self._places.pop(session_id, None)
        if found is None:
            return
        at, need = found
        bucket = self._buckets[need]
        del bucket[at]
        if not bucket and need != ANYBODY:
            del self._buckets[need]
            if len(self._pools) > POOLS_KEPT:
                self._pools.pop(need, None)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._places

    @property
    def needs(self) -> list[Need]:
        """What somebody waits for, in no order."""
        return list(self._buckets)

    def at(self, need: Need, index: int) -> tuple[Place, Session] | None:
        """The waiting session number ``index`` of those that need this."""
        bucket = self._buckets.get(need)
        if bucket is None or index >= len(bucket):
            return None
        found: tuple[Place, Session] = bucket.peekitem(index)
        return found

    def need(self, session_id: str) -> Need:
        """What the waiting session needs."""
        return self._places[session_id][1]

    def position(self, session_id: str) -> int:
        """Its place among all the waiting of the line, counted from 1."""
        at, _ = self._places[session_id]
        before: int = sum(bucket.bisect_left(at) for bucket in self._buckets.values())
        return before + 1

    def waiting(self) -> Iterator[Session]:
        """All waiting sessions in order."""
        merged = heapq.merge(*(bucket.items() for bucket in self._buckets.values()), key=_first)
        return (session for _, session in merged)

    # ---------------------------------------------------------------- the ready

    def rank(self, operator: OperatorState) -> Rank:
        """What the mode orders the eligible by; ties go by line order."""
        order = self.members[operator.name]
        if self.rules.mode == "even":
            return operator.given_at, order
        if self.rules.mode == "least_loaded":
            return operator.load, operator.given_at, order
        return (order,)

    def set_ready(self, operator: OperatorState, ready: bool) -> int:
        """Notes whether a member may get an offer now: 1 when he has just become ready, -1 when he
        has just ceased to be, else 0."""
        name = operator.name
        old = self._ready.get(name)
        new = self.rank(operator) if ready and name in self.members else None
        if new == (old[0] if old else None):
            return 0
        if old is not None:
            for need, pool in self._pools.items():
                if need == ANYBODY or (old[0], name) in pool:
                    pool.remove((old[0], name))
            del self._ready[name]
        if new is not None:
            for need, pool in self._pools.items():
                if not lacks(operator, need):
                    pool.add((new, name))
            self._ready[name] = new, operator
        return (old is None) - (new is None)

    def pool(self, need: Need) -> SortedKeyList[tuple[Rank, str], Rank]:
        """The ready members who have what is needed, in the order of the mode."""
        pool = self._pools.get(need)
        if pool is None:
            pool = self._pools[need] = SortedKeyList(
                ((rank, name) for name, (rank, operator) in self._ready.items() if not lacks(operator, need)),
                key=lambda item: item[0],
            )
        return pool

    def ready(self, need: Need = ANYBODY) -> Iterator[str]:
        """Names of the ready members in the order of the mode."""
        return (name for _, name in self.pool(need))

    def choose(self, session: Session, now: int) -> tuple[str, bool] | None:
        """(whom the session goes to, whether that begins a new round), or nobody."""
        had = session.had
        first = ""
        for name in self.ready(need_of(session, self.rules)):
            if name not in had:
                return name, False
            first = first or name
        if first and session.pause_until <= now:
            return first, True
        return None

    def set_members(self, names: Iterable[str]) -> None:
        """The members in line order. Who is ready is to be told anew after this."""
        self.members = {name: i for i, name in enumerate(dict.fromkeys(names))}
        self.forget_ready()

    def forget_ready(self) -> None:
        """Nobody is ready until told anew: skills or languages may have changed too."""
        self._ready.clear()
        self._pools.clear()
