"""The figures of a random month, written batch by batch with everything breaking, are those that come out when
each session is gone through from its beginning."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.errors import Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.statistics import load
from crm.statistics.asking import Question
from crm.statistics.behind import behind
from crm.statistics.cells import ERROR, Cell, cell_of
from crm.statistics.tables import table
from router.desk.state import encode
from router.history import projector as module
from router.history import rebuild
from router.history.line_time import LineTimes
from router.history.projector import Projector
from router.log.log import Log
from storage.sqlite import SqliteStore
from tests.router.history.month import BEGIN, LINES, Figures, Month, Where, naive
from tests.router.history.test_projector import Broken

STEPS = 900


async def projected(log: Log, store: Any, month: Month, chance: random.Random) -> None:
    """Everything breaks, and batches are of any size."""
    await log.redis.hset(log.keys.desk, "configured", encode(month.configured))
    for entry in month.entries:
        await log.redis.xadd(log.keys.journal, {"e": encode(entry)})
    flaky = Broken(store, chance)
    for _ in range(2000):
        module.READ = chance.choice([10, 40, 200])
        projector = Projector(log, flaky)  # type: ignore[arg-type]
        try:
            await projector.claim()
            while await projector.step():
                pass
        except Unavailable:
            continue
        return
    pytest.fail("never came through")


async def rollups(store: SqliteStore, span: str) -> dict[Where, Cell]:
    found = await store.find("rollups", {"span": span})
    cells = {(d["at"], d["line"], d["channel"], d["operator"]): cell_of(d) for d in found}
    return {where: cell for where, cell in cells.items() if not cell.is_empty}


def wheres(where: Where, length: int) -> set[Where]:
    """Of whom it is, and of all together."""
    at, line, channel, operator = where
    return {(at[:length], line, channel, who) for who in (operator, "")}


def check(cells: dict[Where, Cell], figures: Figures, length: int) -> None:
    counts: Counter[tuple[Where, str]] = Counter()
    durations: dict[tuple[Where, str], list[int]] = defaultdict(list)
    for (where, name), times in figures.counts.items():
        for of in wheres(where, length):
            counts[of, name] += times
    for (where, name), values in figures.durations.items():
        for of in wheres(where, length):
            durations[of, name] += values
    counted = {(where, name): times for where, cell in cells.items() for name, times in cell.counts.items()}
    assert counted == dict(counts)
    took = {(where, name): found for where, cell in cells.items() for name, found in cell.durations.items()}
    assert took.keys() == durations.keys()
    for key, values in durations.items():
        found = took[key]
        assert (found.count, found.total) == (len(values), sum(values)), key
        for share in (0.5, 0.9):
            ordered = sorted(values)
            exact = next(v for n, v in enumerate(ordered, 1) if n >= share * len(ordered))
            read = found.percentile(share)
            assert read is not None
            assert abs(read - exact) <= exact * ERROR + 1, key


async def check_clients(store: SqliteStore, figures: Figures) -> None:
    """Different people of any period, of one line and of all of them."""
    for since, to in (
        ("2026-03-01", "2026-03-31"),
        ("2026-03-09", "2026-03-15"),
        ("2026-03-20", "2026-03-20"),
    ):
        for line in (None, *LINES):
            question = Question(since, to, "day", None if line is None else (line,))
            rows, total = await table(store, "sessions", question)
            visits = [v for v in figures.visits if line in (None, v[0])]
            inside = [v for v in visits if since <= v[1] <= to]
            people = {customer for _, _, customer in inside}
            known = {customer for _, day, customer in visits if day < since}
            assert total["clients"] == len(people)
            assert total["new_clients"] == len(people - known)
            assert total["repeat"] == len(inside) - len(people - known)
            for row in rows:
                assert row["clients"] == len({v[2] for v in visits if v[1] == row["key"]})


async def check_load(store: SqliteStore, figures: Figures, times: LineTimes, now: int) -> None:
    """Every hour of the month: how much was open in it, and the most at once, counted minute by minute."""
    for line in LINES:
        spans = [(start, end or now) for of, _, start, end in figures.spans if of == line]
        question = Question("2026-03-01", "2026-03-31", "hour", (line,))
        clock = times(line)
        found = await load.days(store, question, times, now)
        shown = {one["key"]: one for one in load.series(found, question, clock.hour(now))}
        # Every seventh hour: each of the day and of the week comes.
        for key, begin, end in [*clock.hours(BEGIN, now)][1:-1:7]:
            open_ms = sum(max(0, min(end, to) - max(begin, start)) for start, to in spans)
            assert shown[key]["open_mean"] == round(open_ms / 3_600_000, 3), key
            minutes = range(begin, end + 1, 60_000)
            most = max(sum(start < at <= to for start, to in spans) for at in minutes)
            assert shown[key]["open_max"] == most, key


async def check_behind(store: SqliteStore, figures: Figures) -> None:
    question = Question("2026-03-10", "2026-03-20")
    for figure in ("missed", "closed", "taken", "in"):
        found, after = [], ""
        while True:
            part, after = await behind(store, question, figure, limit=7, after=after)
            found += part
            if not after:
                break
        inside = [
            times for ((hour, *_), name), times in figures.counts.items()
            if name == figure and question.since <= hour[:10] <= question.to
        ]  # fmt: skip
        assert sum(one.value for one in found) == sum(inside), figure


async def everything(store: Store) -> list[Document]:
    found = await store.find("rollups", {}, sort=[("_id", 1)])
    visitors = await store.find("visitors", {}, sort=[("_id", 1)])
    cells = [(d["_id"], cell_of(d)) for d in found]
    days = [
        (d["_id"], sorted((one["line"], one["day"], one["times"]) for one in d["days"])) for d in visitors
    ]
    return [
        {
            "rollups": [one for one in cells if not one[1].is_empty],
            "visitors": [one for one in days if one[1]],
        }
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_a_random_month(log: Log, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ", module.READ)
    month = Month(seed).live(STEPS)
    figures = naive(month.entries)
    names = {name for _, name in figures.counts} | {name for _, name in figures.durations}
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    await projected(log, store, month, random.Random(seed))
    for span, length in (("h", 13), ("d", 10), ("m", 7)):
        check(await rollups(store, span), figures, length)
    assert len(names) > 20
    lines = LineTimes(LINES)
    await check_clients(store, figures)
    await check_load(store, figures, lines, month.time)
    await check_behind(store, figures)
    before = await everything(store)
    await rebuild.rebuild(store, lines, "again")
    assert await everything(store) == before
    await store.close()


async def test_what_was_before_anybody_counted(log: Log, tmp_path: Path) -> None:
    """The first half of a desk's history has no facts: rebuilt, all is there but what nobody had written down,
    which is since when something was offered, and what all let pass."""
    month = Month(7).live(STEPS)
    figures = naive(month.entries)
    unknown = ("accept", "accept_working", "missed_offers")
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    await log.redis.hset(log.keys.desk, "configured", encode(month.configured))
    half = len(month.entries) // 2
    for number, entry in enumerate(month.entries):
        if number == half:
            await run(log, store)
            for collection in ("facts", "rollups", "visitors"):
                await store.write([Write.delete(collection, {})])
        await log.redis.xadd(log.keys.journal, {"e": encode(entry)})
    await run(log, store)
    lines = LineTimes(LINES)
    await store.write([Write.upsert("cursors", {"_id": "rebuild"}, {"$set": {"asked": "me"}})])
    while await rebuild.learn(store, lines, "me"):
        pass
    await rebuild.rebuild(store, lines, "me")
    cells = await rollups(store, "m")
    counts: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for cell in (cell for where, cell in cells.items() if not where[3]):
        counts.update(cell.counts)
        counts.update({name: one.count for name, one in cell.durations.items()})
    for (_, name), times in figures.counts.items():
        wanted[name] += times
    for (_, name), values in figures.durations.items():
        wanted[name] += len(values)
    for name in unknown:
        assert 0 < counts.pop(name) < wanted.pop(name)
    assert counts == wanted
    await store.close()


async def run(log: Log, store: SqliteStore) -> None:
    projector = Projector(log, store)
    await projector.claim()
    while await projector.step():
        pass
