"""Counts and durations of one line, channel and operator in one hour, and how they add up. Pure.

Durations are kept as histograms whose buckets grow by an eighth of an octave: they add up without loss, and
a median or a percentile read from them is within ``ERROR`` of the exact one. Counts and sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

STEPS = 8
"""Buckets of one octave."""
ERROR = 2 ** (1 / (2 * STEPS)) - 1
"""By how much (as a part) a percentile may differ from the exact one: 4.5 %. Durations under a
millisecond count as none."""


class Spot(NamedTuple):
    """``hour``: of the line's own clock, ``2026-03-05T14``. ``operator``: empty for what is nobody's."""

    hour: str
    line: str
    channel: str
    operator: str = ""


class Durations(msgspec.Struct, rename={"count": "c", "total": "s", "buckets": "b"}):
    """``total`` in ms. ``buckets``: number of the bucket, as text -> how many."""

    count: int = 0
    total: int = 0
    buckets: dict[str, int] = {}

    def add(self, ms: int, times: int = 1) -> None:
        self.count += times
        self.total += ms * times
        _step(self.buckets, bucket(ms), times)

    def merge(self, other: Durations, sign: int = 1) -> None:
        self.count += other.count * sign
        self.total += other.total * sign
        for name, times in other.buckets.items():
            _step(self.buckets, name, times * sign)

    @property
    def is_nothing(self) -> bool:
        """A difference may be of no durations more and yet say that one is another."""
        return not (self.count or self.total or self.buckets)

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def percentile(self, share: float) -> float | None:
        """The smallest duration (ms) that at least this share of them do not exceed, within ``ERROR``;
        None where there are none."""
        if not self.count:
            return None
        wanted = max(1, math.ceil(self.count * share))
        passed = 0
        for number in sorted(map(int, self.buckets)):
            passed += self.buckets[str(number)]
            if passed >= wanted:
                return middle(number)
        return middle(max(map(int, self.buckets)))


def bucket(ms: int) -> str:
    return str(math.floor(math.log2(ms) * STEPS)) if ms >= 1 else "-1"


def middle(number: int) -> float:
    """The duration (ms) that stands for all of a bucket."""
    return 2.0 ** ((number + 0.5) / STEPS) if number >= 0 else 0.0


def _step(counts: dict[str, int], name: str, by: int) -> None:
    """What has come to nothing is as if it had never been."""
    now = counts.get(name, 0) + by
    if now:
        counts[name] = now
    else:
        counts.pop(name, None)


def _gather(counts: dict[str, int], more: Mapping[str, int]) -> None:
    known = counts.get
    for name, by in more.items():
        counts[name] = known(name, 0) + by


class Cell(msgspec.Struct, omit_defaults=True):
    """``counts``: by name. ``durations``: by name. ``minutes``: minute of the hour (in the
    rollup of a day's load: of the day) -> by how many more sessions are open at its end than at its beginning."""

    counts: dict[str, int] = {}
    durations: dict[str, Durations] = {}
    minutes: dict[str, int] = {}

    def count(self, name: str, by: int = 1) -> None:
        _step(self.counts, name, by)

    def took(self, name: str, ms: int, times: int = 1) -> None:
        found = self.durations.get(name)
        if found is None:
            found = self.durations[name] = Durations()
        found.add(ms, times)
        if found.is_nothing:
            del self.durations[name]

    def step(self, minute: int, by: int) -> None:
        _step(self.minutes, str(minute), by)

    def merge(self, other: Cell, sign: int = 1) -> None:
        for name, by in other.counts.items():
            _step(self.counts, name, by * sign)
        for name, durations in other.durations.items():
            found = self.durations.get(name)
            if found is None:
                found = self.durations[name] = Durations()
            found.merge(durations, sign)
            if found.is_nothing:
                del self.durations[name]
        for name, by in other.minutes.items():
            _step(self.minutes, name, by * sign)

    def gather(self, other: Cell, durations: Iterable[str]) -> None:
        """Adds what has been counted, of the durations those that are named. Much faster than ``merge``, which
        can take out again too."""
        _gather(self.counts, other.counts)
        _gather(self.minutes, other.minutes)
        for name in durations:
            found = other.durations.get(name)
            if found is not None:
                self._gather_durations(name, found.count, found.total, found.buckets)

    def gather_document(self, document: Mapping[str, Any], durations: Iterable[str]) -> None:
        """The same of a rollup as the store keeps it, of which nothing else is looked into."""
        _gather(self.counts, document.get("counts", {}))
        _gather(self.minutes, document.get("minutes", {}))
        there = document.get("durations", {})
        for name in durations:
            if name in there:
                found = there[name]
                self._gather_durations(name, found["c"], found["s"], found["b"])

    def _gather_durations(self, name: str, count: int, total: int, buckets: Mapping[str, int]) -> None:
        mine = self.durations.get(name)
        if mine is None:
            mine = self.durations[name] = Durations()
        mine.count += count
        mine.total += total
        _gather(mine.buckets, buckets)

    @property
    def is_empty(self) -> bool:
        return not (self.counts or self.durations or self.minutes)


class Tally:
    """Cells by key: what something contributes, or by how much that has changed."""

    __slots__ = ("cells",)

    def __init__(self) -> None:
        self.cells: dict[Spot, Cell] = {}

    def at(self, key: Spot) -> Cell:
        found = self.cells.get(key)
        if found is None:
            found = self.cells[key] = Cell()
        return found

    def merge(self, other: Tally, sign: int = 1) -> None:
        for key, cell in other.cells.items():
            mine = self.cells.get(key)
            if mine is None:
                mine = self.cells[key] = Cell()
            mine.merge(cell, sign)
            if mine.is_empty:
                del self.cells[key]


# ------------------------------------------------------------------ as documents

HOUR, DAY, MONTH = "h", "d", "m"
LOAD, CLIENTS = "l", "c"
"""Spans of a rollup. Of a day ``LOAD`` has what is open from hour to hour and how many come, by line alone;
``CLIENTS`` how many different people come, see ``crm.statistics.clients``."""

_LABEL = {HOUR: 13, DAY: 10, MONTH: 7}
"""Characters of an hour's name that name the span around it."""
EVERYBODY = ""
"""In place of an operator's name: all together, and what is nobody's."""
ARRIVED, OPEN_MS, OPEN_AT_START = "new", "open_ms", "open_at_start"
"""ms that sessions were open, added up; how many were open when an hour began."""
_OF_LOAD = (OPEN_MS, OPEN_AT_START)


class RollupKey(NamedTuple):
    """What a rollup is of. ``at``: hour, day (``2026-03-05``) or month (``2026-03``)."""

    span: str
    at: str
    line: str
    channel: str
    operator: str

    @property
    def id(self) -> str:
        return msgspec.json.encode(self).decode()


def add_to_rollups(changes: dict[RollupKey, Cell], spot: Spot, cell: Cell) -> None:
    """Adds what has changed at a spot to the rollups that it belongs to."""
    counts = {name: by for name, by in cell.counts.items() if name not in _OF_LOAD}
    if counts or cell.durations:
        lasting = Cell(counts, cell.durations)
        for operator in {spot.operator, EVERYBODY}:
            for span, length in _LABEL.items():
                key = RollupKey(span, spot.hour[:length], spot.line, spot.channel, operator)
                changes.setdefault(key, Cell()).merge(lasting)
    _add_to_load(changes, spot, cell)


def _add_to_load(changes: dict[RollupKey, Cell], spot: Spot, cell: Cell) -> None:
    day, hour = spot.hour[:10], spot.hour[11:]
    told = [(name, cell.counts[name]) for name in (ARRIVED, *_OF_LOAD) if name in cell.counts]
    if not told and not cell.minutes:
        return
    load = changes.setdefault(RollupKey(LOAD, day, spot.line, "", ""), Cell())
    for name, by in told:
        load.count(f"{name}_{hour}", by)
    for minute, by in cell.minutes.items():
        load.step(int(hour) * 60 + int(minute), by)


def document_of(of: RollupKey, cell: Cell) -> dict[str, Any]:
    return {"_id": of.id, **of._asdict(), **msgspec.to_builtins(cell)}


def cell_of(document: Mapping[str, Any]) -> Cell:
    return msgspec.convert(document, Cell)


Packed = list[tuple[str, str, str, str, Cell]]
"""The parts of the spot, and the cell."""


def pack(tally: Tally) -> Packed:
    return [(*spot, cell) for spot, cell in tally.cells.items()]


def unpack(packed: Packed) -> Tally:
    tally = Tally()
    for *spot, cell in packed:
        tally.cells[Spot(*spot)] = cell
    return tally
