"""The figures of a random month, written batch by batch with everything breaking, are those that come out when
each session is gone through from its beginning."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from crm.kernel.errors import Unavailable
from crm.statistics.cells import ERROR, Cell, cell_of
from router.desk.state import encode
from router.history import projector as module
from router.history.projector import Projector
from router.log.log import Log
from storage.sqlite import SqliteStore
from tests.router.history.month import Figures, Month, naive
from tests.router.history.test_projector import Broken

STEPS = 900


async def projected(log: Log, store: SqliteStore, month: Month, chance: random.Random) -> None:
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


async def rollups(store: SqliteStore, span: str) -> dict[tuple[str, str, str, str], Cell]:
    found = await store.find("rollups", {"span": span})
    cells = {(d["at"], d["line"], d["channel"], d["operator"]): cell_of(d) for d in found}
    return {where: cell for where, cell in cells.items() if not cell.is_empty}


def check(cells: dict[tuple[str, str, str, str], Cell], figures: Figures, length: int) -> None:
    counts: Counter[tuple[tuple[str, str, str, str], str]] = Counter()
    durations: dict[tuple[tuple[str, str, str, str], str], list[int]] = defaultdict(list)
    for ((at, *rest), name), times in figures.counts.items():
        counts[(at[:length], *rest), name] += times  # type: ignore[index]
    for ((at, *rest), name), values in figures.durations.items():
        durations[(at[:length], *rest), name] += values  # type: ignore[index]
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
    await store.close()
