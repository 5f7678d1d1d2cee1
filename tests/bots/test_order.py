"""Bodies that overtook each other."""

from __future__ import annotations

import random

from bots.order import PATIENCE_MS, Reorder


def ids(taken: list[tuple[str, bytes]]) -> list[str]:
    return [entry for entry, _ in taken]


def settled(last: int = 0) -> Reorder:
    """A sequence that has passed ``last``."""
    return Reorder(last)


def test_without_numbers_everything_passes_as_it_comes() -> None:
    order = Reorder()
    for entry in "cab":
        order.add(entry, None, b"", 0)
    assert ids(order.take(0)) == ["c", "a", "b"]
    assert order.wait(0) is None


def test_in_order_nothing_waits() -> None:
    order = settled()
    for number in (1, 2, 3):
        order.add(str(number), number, b"", 0)
    assert ids(order.take(0)) == ["1", "2", "3"]


def test_overtaking_is_undone() -> None:
    order = settled()
    order.add("3", 3, b"", 0)
    order.add("2", 2, b"", 0)
    assert ids(order.take(0)) == []
    order.add("1", 1, b"", 0)
    assert ids(order.take(0)) == ["1", "2", "3"]


def test_a_gap_costs_patience_once() -> None:
    order = settled()
    order.add("5", 5, b"", 100)
    order.add("6", 6, b"", 600)
    assert order.wait(200) == PATIENCE_MS - 100
    assert ids(order.take(99 + PATIENCE_MS)) == []
    assert ids(order.take(100 + PATIENCE_MS)) == ["5", "6"]
    order.add("7", 7, b"", 2000)
    assert ids(order.take(2000)) == ["7"]


def test_redeliveries_and_latecomers_pass_at_once() -> None:
    order = settled(10)
    order.add("again", 10, b"", 0)
    order.add("late", 4, b"", 0)
    assert ids(order.take(0)) == ["again", "late"]


def test_the_very_first_body_passes_at_once_and_begins_the_count() -> None:
    order = Reorder()
    order.add("8", 8, b"", 0)
    assert ids(order.take(0)) == ["8"]
    order.add("10", 10, b"", 0)
    assert ids(order.take(0)) == []
    assert order.last == 8


def test_after_a_start_the_count_goes_on() -> None:
    order = Reorder(last=6)
    for number in (8, 7, 9):
        order.add(str(number), number, b"", 0)
    assert ids(order.take(0)) == ["7", "8", "9"]


def test_any_shuffle_within_patience_comes_out_in_order() -> None:
    seed = random.Random(7)
    for _ in range(50):
        order = settled()
        numbers = list(range(1, 60))
        seed.shuffle(numbers)
        out: list[str] = []
        for now, number in enumerate(numbers):
            order.add(str(number), number, b"", now)
            if seed.random() < 0.3:
                out += ids(order.take(now))
        out += ids(order.take(60))
        assert out == [str(number) for number in range(1, 60)]
