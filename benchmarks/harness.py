"""Figures, servers and processes that the benchmarks share."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import redis

from navbat.run.embedded import find_server

RESULTS = Path(__file__).parent / "results"


class Figure(msgspec.Struct, kw_only=True):
    """One measurement. ``yardstick`` is what the same machine did in the same run at the comparable
    raw work; ``ratio`` is value by yardstick. ``budget`` says what is wanted, ``met`` whether it is."""

    name: str
    value: float
    unit: str
    yardstick: float | None = None
    ratio: float | None = None
    budget: str = ""
    met: bool | None = None


def figure(
    name: str,
    value: float,
    unit: str,
    *,
    yardstick: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    ratio_at_least: float | None = None,
    ratio_at_most: float | None = None,
) -> Figure:
    """A figure with its budget: every limit given must hold."""
    ratio = value / yardstick if yardstick else None
    wants, holds = [], []
    if at_least is not None:
        wants.append(f">= {at_least:g}")
        holds.append(value >= at_least)
    if at_most is not None:
        wants.append(f"<= {at_most:g}")
        holds.append(value <= at_most)
    if ratio_at_least is not None:
        wants.append(f"ratio >= {ratio_at_least:g}")
        holds.append(ratio is not None and ratio >= ratio_at_least)
    if ratio_at_most is not None:
        wants.append(f"ratio <= {ratio_at_most:g}")
        holds.append(ratio is not None and ratio <= ratio_at_most)
    return Figure(
        name=name,
        value=round(value, 3),
        unit=unit,
        yardstick=round(yardstick, 3) if yardstick else None,
        ratio=round(ratio, 4) if ratio else None,
        budget=", ".join(wants),
        met=all(holds) if holds else None,
    )


def save(name: str, figures: Sequence[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(msgspec.to_builtins(figures), indent=1) + "\n")


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    rows = [("figure", "value", "unit", "yardstick", "ratio", "budget", "")]
    for f in figures:
        met = {True: "met", False: "MISSED", None: ""}[f.met]
        yardstick = f"{f.yardstick:,.2f}" if f.yardstick is not None else ""
        ratio = f"{f.ratio:.3f}" if f.ratio is not None else ""
        rows.append((f.name, f"{f.value:,.2f}", f.unit, yardstick, ratio, f.budget, met))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of the same length, in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def percentile(values: Sequence[float], p: float) -> float:
    """The ``p``-th percentile (0..100) by the nearest rank; 0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] if ordered else 0.0


def redis_server() -> str:
    """The redis-server that an embedded desk would run."""
    return str(find_server()[0])


@contextmanager
def running_redis() -> Iterator[str]:
    """A durable redis-server (append-only, fsync always) on a socket; gives its URL."""
    folder = Path(tempfile.mkdtemp(prefix="nb-bench-"))
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [
            redis_server(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        for _ in range(1000):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.01)
        client.close()
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


async def until(condition: Callable[[], bool | Awaitable[bool]], within: float = 60.0) -> None:
    """Waits for what another process does, or for many frames; raises ``TimeoutError``."""
    async with asyncio.timeout(within):
        while True:
            held = condition()
            if held is True or (not isinstance(held, bool) and await held):
                return
            await asyncio.sleep(0.005)


@contextmanager
def running(*args: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of this project, ended at the end."""
    process = subprocess.Popen([sys.executable, *args], **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)
