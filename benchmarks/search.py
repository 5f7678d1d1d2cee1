"""Search over a million messages and a hundred thousand customers, put into the store directly. Mixed queries:
words that are everywhere and words that are rare, in Cyrillic and Latin, begun, several, by who reads all lines and by
who reads a small one. The yardstick is the same words asked of a bare index of SQLite, without documents and rights.

With ``NAVBAT_TEST_MONGODB_URL`` the same of fewer messages on that server.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, figure, percentile
from crm.kernel.access import Actor
from crm.kernel.ports import Document, Store, Write
from crm.kernel.tokens import tokens_of
from crm.search.finding import Place, find
from storage.mongo import MongoStore
from storage.sqlite import SqliteStore
from storage.words import query_words, words

MESSAGES, CUSTOMERS = 1_000_000, 100_000
ON_MONGO = 20
"""There it is a so many'th of both."""
BATCH = 5_000
QUERIES = 300
LINES = ("sales",) * 70 + ("service",) * 25 + ("small",) * 5

_SYLLABLES = [
    "ka",
    "ri",
    "mo",
    "va",
    "shu",
    "xon",
    "bek",
    "til",
    "dil",
    "no",
    "za",
    "ra",
    "sul",
    "tan",
    "gul",
    "ba",
    "hor",
    "yu",
    "suf",
    "ol",
    "ma",
    "che",
    "pro",
    "ski",
    "ten",
    "ov",
    "ich",
    "lar",
]
_CYRILLIC = str.maketrans({"a": "а", "b": "б", "d": "д", "i": "и", "k": "к", "l": "л", "m": "м", "n": "н", "o": "о",
    "r": "р", "s": "с", "t": "т", "u": "у", "v": "в", "z": "з", "g": "г", "e": "э"})  # fmt: skip

ALL = Actor("boss", "supervisor", frozenset(LINES), everywhere=True)
SMALL = Actor("anna", "operator", frozenset({"small"}))


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        figures = asyncio.run(_on_sqlite(Path(folder)))
    if url := os.environ.get("NAVBAT_TEST_MONGODB_URL"):
        figures += asyncio.run(_on_mongo(url))
    return figures


async def _on_sqlite(folder: Path) -> list[Figure]:
    language = _Language()
    store = SqliteStore(folder / "desk.sqlite", timeout=60)
    await store.open()
    await _fill(store, language, MESSAGES, CUSTOMERS)
    spoken, people = language.queries(), language.names()
    said = await _took(store, "messages", spoken)
    bare = _bare(folder / "bare.sqlite", language, spoken)
    found = await _took(store, "customers", people)
    await store.close()
    return [
        figure("search of 1 000 000 messages, p95", said, "ms", yardstick=bare, at_most=50),
        figure("search of 100 000 customers, p95", found, "ms"),
    ]


async def _on_mongo(url: str) -> list[Figure]:
    language = _Language()
    store = MongoStore(url, f"navbat_bench_{uuid.uuid4().hex[:8]}", timeout=60)
    await store.open()
    await _fill(store, language, MESSAGES // ON_MONGO, CUSTOMERS // ON_MONGO)
    said = await _took(store, "messages", language.queries()[: QUERIES // ON_MONGO])
    found = await _took(store, "customers", language.names()[: QUERIES // ON_MONGO])
    await store.close()
    return [
        figure(f"search of {MESSAGES // ON_MONGO:,} messages on MongoDB, p95", said, "ms", at_most=100),
        figure(f"search of {CUSTOMERS // ON_MONGO:,} customers on MongoDB, p95", found, "ms"),
    ]


class _Language:
    """Words as often as in real ones: the n-th is an n-th as often as the first."""

    def __init__(self) -> None:
        self._chance = random.Random(12)
        made = (
            "".join(self._chance.choices(_SYLLABLES, k=self._chance.randint(1, 5))) for _ in range(40_000)
        )
        self.words = list(dict.fromkeys(made))
        self._weights = list(itertools.accumulate(1 / (n + 1) for n in range(len(self.words))))

    def _some(self, count: int) -> list[str]:
        return self._chance.choices(self.words, cum_weights=self._weights, k=count)

    def messages(self, count: int) -> Iterator[Document]:
        for n in range(count):
            text = " ".join(self._some(8))
            yield {
                "_id": f"{n // 10}-{n % 10}", "id": f"{n // 10}-{n % 10}", "session": str(n // 10), "seq": n % 10,
                "chat": f"shop:{n // 30}", "customer": f"c{n // 30}", "line": self._chance.choice(LINES),
                "channel": "shop", "direction": "in", "author": "customer", "kind": "text", "at": n,
                "text": text.translate(_CYRILLIC) if n % 2 else text, "source": str(n),
            }  # fmt: skip

    def customers(self, count: int) -> Iterator[Document]:
        for n in range(count):
            name = " ".join(self._chance.choices(self.words[:5_000], k=2))
            person: Document = {
                "_id": f"c{n}", "name": name.translate(_CYRILLIC) if n % 2 else name, "lines": ["sales"],
                "phone": f"+99890{n:07}", "seen_at": n,
            }  # fmt: skip
            yield {**person, "tokens": tokens_of(person)}

    def queries(self) -> list[str]:
        made = []
        for n in range(QUERIES):
            asked = self._some(self._chance.choice((1, 1, 2, 3)))
            if n % 3 == 0:
                asked[-1] = asked[-1][: self._chance.randint(1, 6)]
            if n % 5 == 0:
                asked = [self._chance.choice(self.words)]
            made.append(" ".join(asked).translate(_CYRILLIC) if n % 2 else " ".join(asked))
        return made

    def names(self) -> list[str]:
        made = []
        for n in range(QUERIES):
            name = self._chance.choice(self.words[:5_000])
            at = self._chance.randrange(len(name))
            made.append(
                (name, name[: at + 1], name[:at] + name[at + 1 :], f"{self._chance.randrange(10**5):05}")[
                    n % 4
                ]
            )
        return made


async def _fill(store: Store, language: _Language, messages: int, customers: int) -> None:
    documents = ((c, d) for c, some in (("messages", language.messages(messages)),
        ("customers", language.customers(customers))) for d in some)  # fmt: skip
    while batch := list(itertools.islice(documents, BATCH)):
        await store.write([Write.insert(collection, document, plain=True) for collection, document in batch])


async def _took(store: Store, place: Place, queries: list[str]) -> float:
    """The 95th percentile, in ms, of each query asked by both."""
    took = []
    for query in queries:
        for actor in (ALL, SMALL):
            started = time.perf_counter()
            await find(store, actor, place, query)
            took.append((time.perf_counter() - started) * 1000)
    return percentile(took, 95)


def _bare(path: Path, language: _Language, queries: list[str]) -> float:
    db = sqlite3.connect(path)
    db.execute("CREATE VIRTUAL TABLE said USING fts5(text, content='', prefix='1 2 3 4 5')")
    rows: Any = ((n, " ".join(words(d["text"]))) for n, d in enumerate(language.messages(MESSAGES)))
    db.executemany("INSERT INTO said(rowid, text) VALUES(?, ?)", rows)
    db.commit()
    took = []
    for query in queries:
        asked = " ".join(f'"{word}"' for word in query_words(query))
        for text in (asked, asked + "*"):
            started = time.perf_counter()
            db.execute(
                "SELECT rowid FROM said WHERE said MATCH ? ORDER BY rowid DESC LIMIT 21", (text,)
            ).fetchall()
            took.append((time.perf_counter() - started) * 1000)
    db.close()
    return percentile(took, 95)
