"""What was deleted from SQLite's file cannot be read in it any more once it has been scrubbed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crm.kernel.ports import Write
from storage import scrubbing
from storage.sqlite import SqliteStore
from storage.words import words


def message(number: int, who: str, rest: str) -> Write:
    document = {"_id": str(number), "session": who, "seq": number, "source": str(number), "at": number}
    return Write.replace("messages", {**document, "text": f"{who}uniq{number} {rest}"})


async def lived(store: SqliteStore) -> None:
    """Pages that were split, rows that moved, words that were merged and words that were not."""
    random.seed(3)
    for number in range(600):
        who = "zqxwho" if number % 5 == 0 else "other"
        await store.write([message(number, who, "x y " * random.choice([2, 12, 80, 700]))])
        if number > 20 and random.random() < 0.5:
            other = random.randrange(number)
            who = "zqxwho" if other % 5 == 0 else "other"
            await store.write([message(other, who, "z w " * random.choice([1, 20, 300]))])


async def test_nothing_of_what_was_deleted_can_be_read(sqlite: SqliteStore) -> None:
    await lived(sqlite)
    await sqlite.write([Write.delete("messages", {"session": "zqxwho"})])
    spelled = words("zqxwho")[0].encode()
    assert all(word in b"".join(read(sqlite.path)) for word in (b"zqx", spelled[:3])), "the control"
    assert await sqlite.scrub()
    assert not any(word in data for data in read(sqlite.path) for word in (b"zqx", spelled[:3]))
    assert await sqlite.count("messages", {}) == 480
    assert len(await sqlite.search("otheruniq1", filter={}, limit=1000)) > 10


def read(path: Path) -> list[bytes]:
    return [one.read_bytes() for one in sorted(path.parent.iterdir()) if one.name.startswith(path.name)]


async def test_a_file_that_is_too_large_for_that_says_so(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sqlite.write([message(1, "zqxwho", "")])
    monkeypatch.setattr(scrubbing.scrub, "__defaults__", (10,))
    assert not await sqlite.scrub()
    assert sqlite.path.with_name(sqlite.path.name + "-wal").stat().st_size == 0
