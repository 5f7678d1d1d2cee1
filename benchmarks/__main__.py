"""``python -m benchmarks [NAMES]``: measures, prints tables, writes ``benchmarks/results/<name>.json`` and
the run as a whole; ``--compare FILE`` holds it against a saved one.

A budget that is missed is printed as missed, what has become slower as slower; the exit status is 0 all
the same.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import msgspec

from benchmarks import saved
from benchmarks.harness import Figure, save, table

NAMES = (
    "route",
    "choose",
    "latency",
    "crowd",
    "channel",
    "takeover",
    "console",
    "idle",
    "projector",
    "card",
    "erase",
    "stats",
    "store",
    "remembered",
    "rehearse",
    "scenario",
    "simulate",
    "search",
)


def measure(name: str) -> list[Figure]:
    """The figures of one benchmark, a module of this package with a ``measure`` of its own."""
    found: list[Figure] = importlib.import_module(f"benchmarks.{name}").measure()
    return found


def main() -> int:
    options = _options()
    old = options.compare
    run, path = saved.began(options.repeat)
    for name in options.names:
        started = time.monotonic()
        figures = saved.joined([measure(name) for _ in range(options.repeat)])
        plain = [msgspec.convert(figure, Figure, from_attributes=True) for figure in figures]
        save(name, plain)
        run.benchmarks[name] = figures
        saved.keep(run, path)  # what comes may fail, and this took minutes
        print(f"\n{name} ({time.monotonic() - started:.0f} s)\n{table(plain)}", flush=True)
    print(f"saved as {path}", file=sys.stderr)
    if old is not None:
        print("\n" + saved.report(old, saved.compare(old, run.benchmarks)), flush=True)
    return 0


def _options() -> argparse.Namespace:
    """``names``, ``repeat`` and the saved run ``compare``; wrong use ends the program with status 2
    before anything is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} [all]")
    parser.add_argument("--compare", metavar="FILE", help="a saved run to hold this one against")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="measure each N times [1]")
    options = parser.parse_args()
    options.names = list(dict.fromkeys(options.names)) or list(NAMES)
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(NAMES)}")
    if options.repeat < 1:
        parser.error("each is measured at least once")
    if options.compare is not None:
        try:
            options.compare = saved.load(_found(Path(options.compare)))
        except saved.Unreadable as error:
            parser.error(str(error))
    return options


def _found(given: Path) -> Path:
    """As given, or in the folder of benchmarks: ``results/baseline.json`` is there."""
    beside = Path(__file__).parent / given
    return beside if beside.is_file() and not given.is_file() else given


if __name__ == "__main__":
    sys.exit(main())
