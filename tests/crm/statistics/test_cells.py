"""Durations add up without loss, and say what they said within the stated error."""

from __future__ import annotations

import random

import msgspec

from crm.statistics.cells import ERROR, Cell, Durations, Spot, Tally, pack, unpack


def exact(values: list[int], share: float) -> int:
    """The smallest value that at least this share of them do not exceed."""
    ordered = sorted(values)
    return next(v for n, v in enumerate(ordered, 1) if n >= share * len(ordered))


def test_a_percentile_is_within_the_stated_error() -> None:
    rng = random.Random(7)
    for _ in range(50):
        values = [int(rng.lognormvariate(10, 3)) + 1 for _ in range(rng.randint(1, 400))]
        durations = Durations()
        for value in values:
            durations.add(value)
        for share in (0.5, 0.9):
            found = durations.percentile(share)
            assert found is not None
            assert abs(found / exact(values, share) - 1) <= ERROR + 1e-9
        assert durations.mean == sum(values) / len(values)


def test_what_is_taken_out_is_as_if_it_had_never_been() -> None:
    rng = random.Random(8)
    whole, other = Cell(), Cell()
    for cell in (whole, other):
        for _ in range(100):
            cell.count(rng.choice("ab"))
            cell.took(rng.choice("ab"), rng.randint(0, 10**7))
            cell.step(rng.randint(0, 59), rng.choice((-1, 1)))
    before = msgspec.json.encode(whole)
    whole.merge(other)
    whole.merge(other, -1)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Cell) == msgspec.json.decode(
        before, type=Cell
    )
    whole.merge(msgspec.json.decode(before, type=Cell), -1)
    assert whole.is_empty


def test_what_is_packed_is_unpacked() -> None:
    tally = Tally()
    tally.at(Spot("2026-03-05T14", "sales", "shop", "anna")).took("queue", 5)
    assert unpack(pack(tally)).cells == tally.cells
