"""One line's queue: the waiting sessions in order, and the members ready for an offer in the order
in which the line's mode would choose them. Both orders are kept, never computed, so a decision costs
the logarithm of their number.

What a session needs (skills, a language) divides both: the waiting into one ordered bucket for each
need, the ready into one ordered pool for each need that somebody has."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from sortedcontainers import SortedList

from router.desk.hours import calendar_of
from router.desk.rules import LineRules
from router.desk.state import HELD, OperatorState, Session

QueuePlace = tuple[int, int, int, int]
Need = tuple[frozenset[str], str]
Waiting = tuple[int, int, int, int, Session]
"""A place and who stands there: the id in it is nobody else's, so two of them never compare sessions."""
Ready = tuple[Any, ...]
"""A rank, which is nobody else's in the line, and the operator's name."""
ANYBODY: Need = (frozenset(), "")
NEVER = 1 << 62
POOLS_KEPT = 64
"""Pools of needs that nobody has now are forgotten beyond this number."""


def place(session: Session) -> QueuePlace:
    """Where a session stands in the backlog: priority (larger first), the earliest breach of a running
    clock (without one: last), arrival, id."""
    breach = min(session.sla.values()) if session.sla else NEVER
    return -session.priority, breach, session.wait.arrival, int(session.id)


def need_of(session: Session, rules: LineRules) -> Need:
    """What an operator must have for it now."""
    if not rules.skills and not rules.language:
        return ANYBODY
    rings = rules.skills
    ring = min(session.wait.ring, len(rings))
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


def counts(session: Session, counts_until: str) -> bool:
    """Whether the session counts for its holder now. An offer counts from the moment it is made;
    in mode ``all`` an offer has no holder and so counts for nobody until it is taken. What sleeps or
    is closing counts for nobody."""
    if not session.holder:
        return False
    if session.status == "offered":
        return True
    if session.status not in HELD or session.hand.snoozed:
        return False
    if counts_until == "first_answer":
        return not session.hand.answered_by_holder
    if counts_until == "answered":
        return session.status != "answered"
    return True


def has_room(load: int, limit: int, line_load: int, line_limit: int) -> bool:
    """Whether one more session may be offered by the queue. ``line_limit`` 0 = no limit."""
    return load < limit and (not line_limit or line_load < line_limit)


class Queue:
    """The state of one line beside its sessions. Pure."""

    def __init__(self, name: str, rules: LineRules) -> None:
        self.name = name
        self.rules = rules
        self.members: dict[str, int] = {}
        self.load: dict[str, int] = {}
        self.calendar = calendar_of(rules.zone, rules.hours, rules.days, rules.holidays)
        self.shifts = {name: calendar_of(rules.zone, week) for name, week in rules.shifts.items()}
        self.is_open = True
        self.off_shift: set[str] = set()
        self.absent: set[str] = set()
        self.dropped: dict[str, str] = {}
        """Member with an account -> why he may not be offered any session of this line now, empty when he may."""
        self._buckets: dict[Need, SortedList[Waiting]] = {}
        self._places: dict[str, tuple[Waiting, Need]] = {}
        self._ready: dict[str, tuple[Ready, OperatorState, list[list[Ready]]]] = {}
        """Name -> his place among the ready, himself, and the pools that he stands in."""
        self._pools: dict[Need, list[Ready]] = {}
        self._fitting: dict[str, list[list[Ready]]] = {}
        """Name -> the pools of all needs that he meets, as long as there is no other pool."""

    @property
    def routes(self) -> bool:
        """Whether waiting sessions are offered now."""
        return self.is_open or self.rules.off_hours == "offer"

    # ---------------------------------------------------------------- the waiting

    def put(self, session: Session) -> None:
        """Puts the session where it belongs, or moves it there."""
        self.remove(session.id)
        waiting, need = (*place(session), session), need_of(session, self.rules)
        self._places[session.id] = waiting, need
        bucket = self._buckets.get(need)
        if bucket is None:
            bucket = self._buckets[need] = SortedList()
        bucket.add(waiting)

    def put_all(self, sessions: Iterable[Session]) -> None:
        """Puts sessions that are not in it: many together in less time than one by one."""
        waiting: dict[Need, list[Waiting]] = {}
        for session in sessions:
            at, need = (*place(session), session), need_of(session, self.rules)
            self._places[session.id] = at, need
            waiting.setdefault(need, []).append(at)
        for need, some in waiting.items():
            self._buckets.setdefault(need, SortedList()).update(some)

    def remove(self, session_id: str) -> None:
        found = self._places.pop(session_id, None)
        if found is None:
            return
        waiting, need = found
        bucket = self._buckets[need]
        bucket.remove(waiting)
        if not bucket and need != ANYBODY:
            del self._buckets[need]
            if len(self._pools) > POOLS_KEPT:
                self._drop_pool(need)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._places

    def first(self, passed: dict[Need, int]) -> tuple[Waiting, Need] | None:
        """The first of the waiting whom somebody who is ready could have, and what he needs. So many of
        each need are passed over."""
        if not self._ready:
            return None
        found: tuple[Waiting, Need] | None = None
        for need, bucket in self._buckets.items():
            index = passed.get(need, 0)
            if index < len(bucket) and self.pool(need):
                head: Waiting = bucket[index]
                if found is None or head < found[0]:
                    found = head, need
        return found

    def need(self, session_id: str) -> Need:
        """What the waiting session needs."""
        return self._places[session_id][1]

    def position(self, session_id: str) -> int:
        """Its place among all the waiting of the line, counted from 1."""
        at = self._places[session_id][0]
        before: int = sum(bucket.bisect_left(at) for bucket in self._buckets.values())
        return before + 1

    def waiting(self) -> Iterator[Session]:
        """All waiting sessions in order."""
        buckets = list(self._buckets.values())
        return (waiting[-1] for waiting in (heapq.merge(*buckets) if len(buckets) > 1 else chain(*buckets)))

    # ---------------------------------------------------------------- the ready

    def rank(self, operator: OperatorState) -> Ready:
        """What the mode orders the eligible by; ties go by line order."""
        name = operator.name
        order = self.members[name]
        if self.rules.mode == "even":
            return operator.given_at, order, name
        if self.rules.mode == "least_loaded":
            return operator.load, operator.given_at, order, name
        return order, name

    def set_ready(self, operator: OperatorState, ready: bool) -> int:
        """Notes whether a member may get an offer now: 1 when he has just become ready, -1 when he
        has just ceased to be, else 0."""
        name = operator.name
        old = self._ready.get(name)
        new = self.rank(operator) if ready and name in self.members else None
        if old is not None:
            if old[0] == new:
                return 0
            for pool in old[2]:
                del pool[bisect_left(pool, old[0])]
            if new is None:
                del self._ready[name]
                return -1
        elif new is None:
            return 0
        pools = self._fitting.get(name)
        if pools is None:
            pools = [pool for need, pool in self._pools.items() if not lacks(operator, need)]
            self._fitting[name] = pools
        for pool in pools:
            insort(pool, new)
        self._ready[name] = new, operator, pools
        return int(old is None)

    def pool(self, need: Need) -> list[Ready]:
        """The ready members who have what is needed, in the order of the mode. A plain list: to make room in
        one of 10 000 takes a microsecond, less than a structure that is made for more."""
        pool = self._pools.get(need)
        if pool is None:
            fit = [(name, at) for name, at in self._ready.items() if not lacks(at[1], need)]
            pool = self._pools[need] = sorted(at[0] for _, at in fit)
            for name, (rank, operator, pools) in fit:
                self._ready[name] = rank, operator, [*pools, pool]
            self._fitting.clear()
        return pool

    def _drop_pool(self, need: Need) -> None:
        pool = self._pools.pop(need, [])
        for rank in pool:
            name = rank[-1]
            _, operator, pools = self._ready[name]
            self._ready[name] = rank, operator, [other for other in pools if other is not pool]
        self._fitting.clear()

    def ready(self, need: Need = ANYBODY) -> Iterator[str]:
        """Names of the ready members in the order of the mode."""
        return (rank[-1] for rank in self.pool(need))

    def choose(self, session: Session, need: Need, now: int) -> tuple[str, bool] | None:
        """(whom the waiting session goes to, whether that begins a new round), or nobody."""
        had = session.round.had
        first = ""
        for rank in self.pool(need):
            name: str = rank[-1]
            if name not in had:
                return name, False
            first = first or name
        if first and session.round.pause_until <= now:
            return first, True
        return None

    def set_members(self, names: Iterable[str]) -> None:
        """The members in line order. Who is ready is to be told anew after this."""
        self.members = {name: i for i, name in enumerate(dict.fromkeys(names))}
        self.forget_ready()

    def forget_ready(self) -> None:
        """Nobody is ready until told anew: skills or languages may have changed too."""
        self.dropped.clear()
        self._ready.clear()
        self._pools.clear()
        self._fitting.clear()
