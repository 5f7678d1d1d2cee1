"""Bodies that overtook each other."""

from __future__ import annotations

import random

import pytest

from router.intake.order import PATIENCE_MS, Reorder


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


def test_a_redelivery_of_the_last_passes_at_once() -> None:
    order = settled(10)
    order.add("again", 10, b"", 0)
    assert ids(order.take(0)) == ["again"]
    assert order.last == 10


def test_a_latecomer_changes_nothing_while_the_count_goes_on() -> None:
    order = settled(10)
    order.add("late", 4, b"", 0)
    order.add("11", 11, b"", 1)
    assert ids(order.take(1)) == ["11"]
    assert ids(order.take(PATIENCE_MS)) == ["late"]
    assert order.last == 11
    order.add("12", 12, b"", PATIENCE_MS)
    assert ids(order.take(PATIENCE_MS)) == ["12"]


@pytest.mark.parametrize("last", [None, 4, 1000])
def test_a_count_that_begins_anew_is_put_in_order_from_its_beginning(last: int | None) -> None:
    order = Reorder(last)
    for now, number in enumerate((3, 1, 2)):
        order.add(str(number), number, b"", now)
    assert ids(order.take(2)) == []
    assert ids(order.take(PATIENCE_MS)) == ["1", "2", "3"]
    assert order.last == 3
    for now, number in enumerate((6, 5), PATIENCE_MS):
        order.add(str(number), number, b"", now)
    assert ids(order.take(PATIENCE_MS + 1)) == []
    order.add("4", 4, b"", PATIENCE_MS + 2)
    assert ids(order.take(PATIENCE_MS + 2)) == ["4", "5", "6"]


def test_a_new_count_with_a_gap_waits_for_what_is_missing() -> None:
    order = settled(1000)
    order.add("1", 1, b"", 0)
    order.add("3", 3, b"", 900)
    assert ids(order.take(PATIENCE_MS)) == ["1"]
    order.add("2", 2, b"", PATIENCE_MS + 1)
    assert ids(order.take(PATIENCE_MS + 1)) == ["2", "3"]


def test_a_latecomer_taken_for_a_new_count_costs_the_next_body_its_patience_only() -> None:
    order = settled(1000)
    order.add("late", 998, b"", 0)
    assert ids(order.take(PATIENCE_MS)) == ["late"]
    order.add("1002", 1002, b"", 5000)
    order.add("1001", 1001, b"", 5001)
    assert ids(order.take(5000 + PATIENCE_MS)) == ["1001", "1002"]
    order.add("1003", 1003, b"", 7000)
    assert ids(order.take(7000)) == ["1003"]


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
