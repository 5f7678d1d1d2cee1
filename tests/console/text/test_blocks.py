"""Laying a thread out step by step gives what laying it out at once gives."""

from __future__ import annotations

import random
from datetime import UTC

import pytest

from console.model import Echo, Mirror, Thread
from console.text.blocks import Blocks
from console.text.paint import Brush
from console.text.words import Words
from crm.kernel.records import MessageChange
from router.wire.protocol import Changes
from tests.fakes.gateway import NOW, message, session

BRUSH = Brush(Words("en"), UTC, 60, "anna", "Ali")


def check(kept: Blocks, thread: Thread, brush: Brush = BRUSH, now: int = NOW) -> None:
    """``kept`` after an update is as one that has just been made."""
    kept.update(brush, thread, [], [], now)
    fresh = Blocks()
    fresh.update(brush, thread, [], [], now)
    assert kept.blocks == fresh.blocks
    assert kept.tops == fresh.tops
    for id in thread.by_id:
        assert id in kept.blocks[kept.find(id)].ids


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_to_a_thread(seed: int) -> None:
    dice = random.Random(seed)
    picture, kept = Mirror(), Blocks()
    picture.sessions["10"] = session("10")
    thread = picture.thread("10")
    seq, first = 100, 100
    for _ in range(120):
        what = dice.randrange(7)
        if what <= 2:
            seq += 1
            album = dice.choice(["", "", "", f"a{seq // 3}"])
            new = message(
                "10", seq, f"line {seq} " * dice.randrange(1, 9), album=album, at=NOW + seq * 700_000
            )
            picture.apply(Changes(messages=[new]), NOW)
        elif what == 3 and (said := [m for m in thread.own if m.direction != "system"]):
            change = MessageChange(
                at=NOW, chat=said[0].chat, id=dice.choice(said).id, text="edited " * dice.randrange(9),
                edited_at=NOW,
            )  # fmt: skip
            picture.apply(Changes(changes=[change]), NOW)
        elif what == 6:
            seq += 1
            missed = message(
                "10",
                seq,
                f"missed|operator={dice.choice(['anna', 'bek'])}",
                direction="system",
                at=NOW + seq * 700_000,
            )
            picture.apply(Changes(messages=[missed]), NOW)
        elif what == 4:
            first -= 2
            older = [message("10", n, "older", at=NOW + n * 700_000) for n in (first, first + 1)]
            picture.put_page("10", older, more=True)
        else:
            older = [message(str(first % 9), n, "before", at=NOW - 86_400_000 * 3 + n) for n in range(first)]
            thread.put_history(older[:3], more=True)
        check(kept, thread)


def test_another_width_language_or_day_is_laid_out_again() -> None:
    words, kept, thread = Words("en"), Blocks(), Thread("10")
    for n in range(5):
        thread.add(message("10", n, "so many words in a line " * 5, edited_at=NOW))
    for width in (60, 40):
        check(kept, thread, Brush(words, UTC, width, "anna", "Ali"))
    words.use("ru")
    check(kept, thread, Brush(words, UTC, 40, "anna", "Ali"))
    assert "изменено" in str(kept.blocks)
    assert "сегодня" in str(kept.blocks)
    check(kept, thread, Brush(words, UTC, 40, "anna", "Ali"), NOW + 86_400_000)
    assert "вчера" in str(kept.blocks)


def test_what_is_on_its_way_stands_at_the_end_and_goes() -> None:
    kept, thread = Blocks(), Thread("10")
    thread.add(message("10", 1, "hello"))
    kept.update(BRUSH, thread, [Echo("e", "10", "reply", "soon", NOW)], ["", "bek"], NOW)
    assert ["soon" in str(block) for block in kept.blocks] == [False, False, True, False, False]
    assert "bek" in str(kept.blocks[-1])
    check(kept, thread)


def test_a_line_belongs_to_its_block() -> None:
    kept, thread = Blocks(), Thread("10")
    for n in range(3):
        thread.add(message("10", n, "a\nb"))
    kept.update(BRUSH, thread, [], [], NOW)
    assert [kept.at(row) for row in range(kept.height)] == [0, 1, 1, 2, 2, 3, 3]
    assert kept.find("nothing") == -1
    kept.clear()
    assert (kept.height, kept.find("10-1")) == (0, -1)


def test_offers_that_nobody_took_are_one_line() -> None:
    picture, kept = Mirror(), Blocks()
    picture.sessions["10"] = session("10")
    thread = picture.thread("10")
    for seq, who in enumerate(("anna", "bek", "anna"), 1):
        missed = message("10", seq, f"missed|operator={who}", direction="system")
        picture.apply(Changes(messages=[missed]), NOW)
        kept.update(BRUSH, thread, [], [], NOW)
    said = ["".join(text for _, text in line) for block in kept.blocks for line in block.lines]
    assert said[-1].endswith("· anna, bek did not take it in time (3×)")
    assert sum("did not take" in line for line in said) == 1
    picture.apply(
        Changes(
            messages=[message("10", 4, "salom"), message("10", 5, "missed|operator=bek", direction="system")]
        ),
        NOW,
    )
    kept.update(BRUSH, thread, [], [], NOW)
    said = ["".join(text for _, text in line) for block in kept.blocks for line in block.lines]
    assert said[-1].endswith("· bek did not take it in time")
