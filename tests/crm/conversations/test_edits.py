"""Corrections of our own messages: a message says what its customer sees, whatever became of them."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest

from crm.kernel.records import Message, MessageChange, apply_change, edits_told


def message() -> Message:
    return Message(
        id="1-2", session="1", chat="bot:1", seq=2, direction="out", at=10, text="first", delivery="sent"
    )


def correct(name: str, text: str, at: int) -> MessageChange:
    return MessageChange(at=at, chat="bot:1", id="1-2", text=text, edited_at=at, edit=name)


def fared(name: str, state: Any, error: str = "") -> MessageChange:
    return MessageChange(at=0, chat="bot:1", id="1-2", edit=name, edit_delivery=state, error=error)


def after(*changes: MessageChange) -> Message:
    one = message()
    for change in changes:
        apply_change(one, change)
    return one


def told(one: Message) -> list[tuple[str, str]]:
    return [(version.text, version.delivery) for version in one.versions]


def test_a_correction_that_failed_leaves_what_the_customer_sees() -> None:
    one = after(correct("a", "second", 20), fared("a", "failed", "too old"))
    assert (one.text, one.edited_at, one.edit, one.edit_delivery) == ("first", 0, "", "")
    assert told(one) == [("second", "failed")]
    assert one.versions[0].error == "too old"
    assert (one.delivery, one.error) == ("sent", ""), "the message itself was delivered"


def test_a_correction_whose_outcome_is_unknown_is_shown_as_that() -> None:
    one = after(correct("a", "second", 20), fared("a", "unknown", "interrupted"))
    assert (one.text, one.edit_delivery, one.edit_error) == ("second", "unknown", "interrupted")
    assert told(one) == [("first", "")]


@pytest.mark.parametrize(
    ("first", "second", "text", "edited_at"),
    [
        ("sent", "sent", "third", 30),
        ("failed", "sent", "third", 30),
        ("sent", "failed", "second", 20),
        ("failed", "failed", "first", 0),
        ("unknown", "failed", "second", 20),
    ],
)
def test_two_corrections_on_their_way(first: str, second: str, text: str, edited_at: int) -> None:
    one = after(correct("a", "second", 20), correct("b", "third", 30), fared("a", first), fared("b", second))
    assert (one.text, one.edited_at) == (text, edited_at)
    assert one.edit_delivery == ("" if text == "first" else first if text == "second" else second)
    assert {v.text for v in one.versions} | {one.text} == {"first", "second", "third"}


def test_a_new_correction_after_one_that_failed() -> None:
    one = after(
        correct("a", "second", 20),
        fared("a", "failed"),
        correct("b", "third", 30),
        fared("b", "sent"),
    )
    assert (one.text, one.edited_at, one.edit_delivery) == ("third", 30, "sent")
    assert told(one) == [("second", "failed"), ("first", "")]


def test_a_customers_edit_is_as_it_was() -> None:
    one = message()
    apply_change(one, MessageChange(at=20, chat="bot:1", id="1-2", text="second", edited_at=20))
    assert (one.text, one.edited_at, one.edit, one.edit_delivery) == ("second", 20, "", "")
    assert told(one) == [("first", "")]


def test_changes_that_come_again_change_nothing_and_a_fuller_copy_tells_more() -> None:
    """A page is the store's copy with the newest changes on it once more."""
    chance = random.Random(4)
    for _ in range(500):
        changes: list[MessageChange] = []
        names = [f"e{n}" for n in range(chance.randint(1, 4))]
        for at, name in enumerate(names, 20):
            changes.append(correct(name, chance.choice(("x", "y", f"text {name}")), at))
        outcomes = [fared(name, chance.choice(("sent", "failed", "unknown"))) for name in names]
        place = 0
        for name, outcome in zip(names, outcomes, strict=True):
            begun = next(n for n, c in enumerate(changes) if c.edit == name and not c.edit_delivery)
            place = chance.randint(max(place, begun) + 1, len(changes))
            changes.insert(place, outcome)
        one, score = message(), 0
        for number, change in enumerate(changes):
            apply_change(one, change)
            assert edits_told(one) >= score
            score = edits_told(one)
            again = copy.deepcopy(one)
            for repeated in changes[chance.randint(0, number) : number + 1]:
                apply_change(again, repeated)
            assert again == one, msgspec.json.encode(changes)
