"""Runs that are kept, and one run held against another.

What is compared is a figure's ratio to its yardstick, since machines differ and so do hours; the bare value
where it has no yardstick, and then only on the same machine. A figure is marked when it is worse by more
than ``WORSE`` and the worst of the old run was better than the best of the new: a single run of each
knows no noise, ``REPEAT=3`` measures it.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.harness import RESULTS, Figure, aligned

WORSE = 0.25
"""The part by which a figure may be worse before it is marked."""
MORE_IS_BETTER = frozenset({"1/s", "/s"})
"""Units of rates; of all others less is better."""


class Machine(msgspec.Struct, frozen=True):
    system: str
    processor: str
    cores: int
    memory: int
    """MiB."""
    python: str


class Kept(Figure, kw_only=True):
    """A figure with the best and the worst of its repetitions, as what is compared: ``ratio``, or
    ``value`` where there is none."""

    best: float
    worst: float


class Run(msgspec.Struct, kw_only=True):
    """One run of some or all benchmarks. ``commit`` ends with ``+`` when files had been changed."""

    date: str
    commit: str
    machine: Machine
    repeated: int
    benchmarks: dict[str, list[Kept]]


class Unreadable(Exception):
    """A file that is no saved run; the text says why."""


def load(path: Path) -> Run:
    """Raises ``Unreadable``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: is no saved run: {error}") from None


def began(repeated: int) -> tuple[Run, Path]:
    """An empty run of this machine and commit, and where it is kept."""
    commit, date = _commit(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run = Run(date=date, commit=commit, machine=this_machine(), repeated=repeated, benchmarks={})
    stamp = date.replace("-", "").replace(":", "")
    return run, RESULTS / f"run-{stamp}-{commit.rstrip('+') or 'unknown'}.json"


def keep(run: Run, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


def joined(repetitions: Sequence[Sequence[Figure]]) -> list[Kept]:
    """Of each figure the repetition in the middle, with the best and the worst of all."""
    found = []
    for name in [figure.name for figure in repetitions[0]]:
        same = sorted((f for figures in repetitions for f in figures if f.name == name), key=compared)
        ends = (compared(same[0]), compared(same[-1]))
        best, worst = ends[::-1] if same[0].unit in MORE_IS_BETTER else ends
        found.append(Kept(**msgspec.structs.asdict(same[(len(same) - 1) // 2]), best=best, worst=worst))
    return found


def compared(figure: Figure) -> float:
    return figure.ratio if figure.ratio is not None else figure.value


# ------------------------------------------------------------------ one run against another

Verdict = Literal["", "SLOWER", "better", "new", "not measured"]


class Pair(msgspec.Struct, frozen=True):
    """A figure then and now. ``change`` is by how much it is worse: 0.5 is half as much again for what
    takes time, and 0.5 less for a rate."""

    benchmark: str
    old: Kept | None
    new: Kept | None
    change: float = 0.0
    verdict: Verdict = ""


def compare(old: Run, benchmarks: Mapping[str, Sequence[Kept]]) -> list[Pair]:
    """Each figure of the benchmarks that were run, beside the old run's of the same name."""
    there = old.machine == this_machine()
    pairs = []
    for benchmark, figures in benchmarks.items():
        before = {figure.name: figure for figure in old.benchmarks.get(benchmark, ())}
        pairs += [_pair(benchmark, before.pop(f.name, None), f, there) for f in figures]
        pairs += [Pair(benchmark, gone, None, verdict="not measured") for gone in before.values()]
    return pairs


def _pair(benchmark: str, old: Kept | None, new: Kept, same_machine: bool) -> Pair:
    if old is None or old.unit != new.unit or (old.ratio is None) != (new.ratio is None):
        return Pair(benchmark, None, new, verdict="new")
    was, now = compared(old), compared(new)
    more = new.unit in MORE_IS_BETTER
    worse = was - now if more else now - was
    change = worse / was if was else math.copysign(math.inf, worse) if worse else 0.0
    if not new.unit or (new.ratio is None and not same_machine):
        return Pair(benchmark, old, new, change)
    beyond = new.best < old.worst if more else new.best > old.worst
    ahead = new.worst > old.best if more else new.worst < old.best
    if change > WORSE and beyond:
        return Pair(benchmark, old, new, change, "SLOWER")
    return Pair(benchmark, old, new, change, "better" if change < -WORSE and ahead else "")


def report(old: Run, pairs: Sequence[Pair]) -> str:
    """The comparison as lines of text; the last says how many are slower."""
    rows = [["figure", "old", "new", "unit", "old ratio", "new ratio", "worse by", ""]]
    for pair in pairs:
        either = pair.new or pair.old
        assert either is not None
        both = pair.old is not None and pair.new is not None
        rows.append([
            f"{pair.benchmark}: {either.name}",
            *(f"{f.value:,.2f}" if f else "" for f in (pair.old, pair.new)),
            either.unit,
            *(f"{f.ratio:.3f}" if f and f.ratio is not None else "" for f in (pair.old, pair.new)),
            f"{pair.change:+.0%}" if both else "",
            pair.verdict,
        ])  # fmt: skip
    slower = sum(pair.verdict == "SLOWER" for pair in pairs)
    lines = [f"against {old.commit} of {old.date}, measured {old.repeated} x"]
    if old.machine != this_machine():
        lines.append("on another machine: what has no yardstick is shown and not judged")
    lines += [aligned(rows), f"slower by more than {WORSE:.0%} beyond noise: {slower or 'nothing'}"]
    return "\n".join(lines)


# ------------------------------------------------------------------ where and of what


def this_machine() -> Machine:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory=pages >> 20,
        python=platform.python_version(),
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else ())
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def _commit() -> str:
    """Empty where this is no checkout."""

    def git(*args: str) -> str:
        found = subprocess.run(
            ["git", *args], cwd=Path(__file__).parent, check=False, capture_output=True, text=True
        )
        return found.stdout.strip() if found.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short=7", "HEAD")
        return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except OSError:
        return ""
