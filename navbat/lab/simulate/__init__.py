"""``navbat simulate``: random worlds on the real worker and desk, over a Redis in memory, with a clock of
their own and everything that can go wrong; after every commit all invariants of the queue are checked."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import msgspec

from navbat.lab.simulate.invariants import Violation
from navbat.lab.simulate.loop import StandsStill, TimelessLoop
from navbat.lab.simulate.world import Action, World, actions

# What the worker warns of is what is played here.
logging.getLogger("router").addHandler(logging.NullHandler())

EVENTS = 1000
"""Actions in a world unless it is said otherwise."""
ROUNDS = 400
"""Replays that shrinking a failure may take."""


class Failure(msgspec.Struct, kw_only=True):
    """A world in which something does not hold, and the fewest actions that show it."""

    seed: int
    what: str
    actions: list[str]


class Report(msgspec.Struct, kw_only=True):
    """What a simulation found."""

    seeds: int
    events: int
    seconds: float
    violations: int
    first: Failure | None = None


def play(seed: int, chosen: Sequence[Action]) -> tuple[int, str]:
    """(events, what does not hold or nothing) of the world of this seed with these actions."""

    world = World(seed)

    async def run() -> None:
        await world.begin()
        for action in chosen:
            await world.play(action)
        await world.finish()

    try:
        with asyncio.Runner(loop_factory=TimelessLoop) as runner:
            runner.run(run())
    except (Violation, StandsStill) as violation:
        return world.events, str(violation)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        return world.events, f"{type(error).__name__}: {error}"
    return world.events, ""


def shrink(seed: int, chosen: list[Action], what: str) -> list[Action]:
    """Fewer actions that show the same: parts are left out as long as it stays."""
    size, left = max(1, len(chosen) // 2), ROUNDS
    while left > 0:
        start, shorter = 0, False
        while start < len(chosen) and left > 0:
            tried = chosen[:start] + chosen[start + size :]
            left -= 1
            if _kind(play(seed, tried)[1]) == _kind(what):
                chosen, shorter = tried, True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return chosen


def _kind(what: str) -> str:
    """Fewer actions give other numbers."""
    return re.sub(r"[0-9]+", "", what)


def one(job: tuple[int, int]) -> tuple[int, int, str]:
    """(seed, events, what does not hold) of one world."""
    seed, count = job
    # A world is short-lived: to look for garbage in the middle of one costs more than it frees.
    gc.disable()
    try:
        return seed, *play(seed, actions(seed, count))
    finally:
        gc.enable()


def simulate(seeds: int, count: int = EVENTS, *, first_seed: int = 0, processes: int = 0) -> Report:
    """Plays so many worlds on all cores."""
    started = time.perf_counter()
    jobs = [(seed, count) for seed in range(first_seed, first_seed + seeds)]
    workers = processes or min(os.cpu_count() or 1, seeds)
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            found = list(pool.map(one, jobs, chunksize=max(1, min(16, seeds // (4 * workers)))))
    else:
        found = [one(job) for job in jobs]
    wrong = [(seed, what) for seed, _, what in found if what]
    report = Report(
        seeds=seeds,
        events=sum(events for _, events, _ in found),
        seconds=round(time.perf_counter() - started, 2),
        violations=len(wrong),
    )
    if wrong:
        seed, what = wrong[0]
        fewest = shrink(seed, actions(seed, count), what)
        report.first = Failure(seed=seed, what=what, actions=[f"{kind} {bits}" for kind, bits in fewest])
    return report


def main(args: argparse.Namespace) -> int:
    """0 when everything holds, 1 when something does not."""
    report = simulate(args.seeds, args.events, first_seed=args.first_seed)
    if args.json:
        print(json.dumps(msgspec.to_builtins(report), indent=2))
    else:
        print(f"{report.events} events in {report.seeds} worlds, {report.seconds} s")
        print(f"{report.violations} violations")
        if report.first is not None:
            print(f"seed {report.first.seed}: {report.first.what}")
            for line in report.first.actions:
                print(f"  {line}")
    return 1 if report.violations else 0
