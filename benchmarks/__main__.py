"""``python -m benchmarks [NAMES]``: measures, prints tables, writes ``benchmarks/results/<name>.json``.

A budget that is missed is printed as missed; the exit status is 0 all the same.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from benchmarks.harness import Figure, save, table

NAMES = (
    "route",
    "choose",
    "latency",
    "channel",
    "takeover",
    "console",
    "idle",
    "projector",
    "remembered",
    "rehearse",
    "scenario",
    "simulate",
)


def measure(name: str) -> list[Figure]:
    """The figures of one benchmark, a module of this package with a ``measure`` of its own."""
    found: list[Figure] = importlib.import_module(f"benchmarks.{name}").measure()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} [all]")
    names = parser.parse_args().names or list(NAMES)
    for name in names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(NAMES)}")
    for name in names:
        started = time.monotonic()
        figures = measure(name)
        save(name, figures)
        print(f"\n{name} ({time.monotonic() - started:.0f} s)\n{table(figures)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
