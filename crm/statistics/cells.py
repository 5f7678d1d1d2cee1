"""Counts and durations of one line, channel and operator in one hour, and how they add up. Pure.

Durations are kept as histograms whose buckets grow by an eighth of an octave: they add up without loss, and
a median or a percentile read from them is within ``ERROR`` of the exact one. Counts and sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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


class Cell(msgspec.Struct, omit_defaults=True):
    """``counts``: by name. ``durations``: by name. ``minutes``: minute of the hour -> by how many more (or
    fewer) sessions are open at its end than at its beginning."""

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
        if not found.count:
            del self.durations[name]

    def step(self, minute: int, by: int) -> None:
        _step(self.minutes, str(minute), by)

    def merge(self, other: Cell, sign: int = 1, *, minutes: bool = True) -> None:
        for name, by in other.counts.items():
            _step(self.counts, name, by * sign)
        for name, durations in other.durations.items():
            found = self.durations.get(name)
            if found is None:
                found = self.durations[name] = Durations()
            found.merge(durations, sign)
            if not found.count:
                del self.durations[name]
        if minutes:
            for name, by in other.minutes.items():
                _step(self.minutes, name, by * sign)

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
            mine = self.at(key)
            mine.merge(cell, sign)
            if mine.is_empty:
                del self.cells[key]


# ------------------------------------------------------------------ as documents

HOUR, DAY, MONTH, CLIENTS = "h", "d", "m", "c"
"""Spans of a rollup; the last one counts the clients of a day by how long ago they came before."""

_LABEL = {HOUR: 13, DAY: 10, MONTH: 7}
"""Characters of an hour's name that name the span around it."""


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

    @property
    def keeps_minutes(self) -> bool:
        return self.span == HOUR


def rollups_of(key: Spot) -> Iterator[RollupKey]:
    """The rollups into which a cell goes."""
    for span, length in _LABEL.items():
        yield RollupKey(span, key.hour[:length], key.line, key.channel, key.operator)


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
