"""A story of 300 steps, as ``navbat scenario`` plays it, and all stories of the documentation. The yardstick
is reading the same YAML."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmarks.harness import Figure, figure
from navbat.lab.scenario import play

GUIDE = Path(__file__).parent.parent / "docs/queues.md"
ROUNDS = 3


def _long() -> str:
    """Three hundred steps: a hundred customers write, are answered, and are looked at."""
    steps = ["  - {at: 0s, operator: anna, does: online}"]
    for n in range(100):
        steps += [
            f"  - {{at: {n}m, customer: c{n}, writes: hi}}",
            f"  - {{at: {n}m, operator: anna, does: say, session: c{n}, text: hello}}",
            f"  - {{at: {n}m, expect: {{session: c{n}, status: answered, sent: [hello]}}}}",
        ]
    return "name: long\nlines: {sales: {members: [anna]}}\nsteps:\n" + "\n".join(steps[:300])


def _stories() -> list[str]:
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return [block for block in blocks if re.search(r"^steps:", block, re.MULTILINE)]


def _seconds(texts: Sequence[str], folder: Path) -> tuple[float, float]:
    """(playing, reading the YAML), the best of some rounds."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(text)
    played, read = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for file in files:
            outcome = play(file)
            if not outcome.ok:
                raise AssertionError(outcome.message)
        played.append(time.perf_counter() - started)
        started = time.perf_counter()
        for text in texts:
            yaml.safe_load(text)
        read.append(time.perf_counter() - started)
    return min(played), min(read)


def measure() -> list[Figure]:
    stories = _stories()
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        long, long_read = _seconds([_long()], Path(folder))
        every, every_read = _seconds(stories, Path(folder))
    return [
        figure("300 steps", long, "s", yardstick=long_read, at_most=1),
        figure(f"all {len(stories)} stories of the guide", every, "s", yardstick=every_read),
    ]
