"""A run of the benchmarks held against a saved one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import __main__ as program
from benchmarks import harness, saved
from benchmarks.harness import Figure, figure

ROOT = Path(__file__).parents[2]


def rate(value: float) -> Figure:
    return figure("routed", value, "1/s", yardstick=100.0)


def latency(value: float) -> Figure:
    return figure("to frame, p99", value, "ms", yardstick=10.0)


def memory(value: float) -> Figure:
    return figure("memory", value, "MiB")


def run_of(*repetitions: list[Figure], **changed: object) -> saved.Run:
    run, _ = saved.began(len(repetitions))
    run.benchmarks["spine"] = saved.joined(repetitions)
    return msgspec.structs.replace(run, **changed)


def verdicts(old: saved.Run, new: saved.Run) -> dict[str, str]:
    return {
        (pair.new or pair.old).name: pair.verdict  # type: ignore[union-attr]
        for pair in saved.compare(old, new.benchmarks)
    }


def test_what_is_slower_by_more_than_a_quarter_is_marked_whichever_way_it_counts() -> None:
    old = run_of([rate(100), latency(20), memory(80)])
    new = run_of([rate(70), latency(26), memory(90)])
    assert verdicts(old, new) == {"routed": "SLOWER", "to frame, p99": "SLOWER", "memory": ""}
    assert verdicts(new, old) == {"routed": "better", "to frame, p99": "", "memory": ""}


def test_the_ratio_is_compared_so_a_slow_hour_of_the_machine_is_not_marked() -> None:
    old = run_of([figure("to frame, p99", 20, "ms", yardstick=10)])
    new = run_of([figure("to frame, p99", 60, "ms", yardstick=30)])
    assert verdicts(old, new) == {"to frame, p99": ""}


def test_runs_that_overlap_are_noise() -> None:
    old = run_of([latency(20)], [latency(21)], [latency(40)])
    new = run_of([latency(35)], [latency(38)], [latency(45)])
    assert verdicts(old, new) == {"to frame, p99": ""}
    beyond = run_of([latency(41)], [latency(42)], [latency(45)])
    assert verdicts(old, beyond) == {"to frame, p99": "SLOWER"}


def test_the_middle_of_the_repetitions_is_kept_with_the_best_and_the_worst() -> None:
    (kept,) = saved.joined([[rate(100)], [rate(300)], [rate(200)]])
    assert (kept.value, kept.best, kept.worst) == (200, 3.0, 1.0)
    (kept,) = saved.joined([[latency(40)], [latency(20)], [latency(30)]])
    assert (kept.value, kept.best, kept.worst) == (30, 2.0, 4.0)


def test_loss_where_there_was_none_is_marked() -> None:
    lost = [[figure("lost", n, "messages")] for n in (0, 3)]
    assert verdicts(run_of(lost[0]), run_of(lost[1])) == {"lost": "SLOWER"}
    assert verdicts(run_of(lost[0]), run_of(lost[0])) == {"lost": ""}


def test_on_another_machine_what_has_no_yardstick_is_not_judged() -> None:
    elsewhere = msgspec.structs.replace(saved.this_machine(), cores=999)
    old = run_of([memory(80), latency(20)], machine=elsewhere)
    assert verdicts(old, run_of([memory(300), latency(90)])) == {"memory": "", "to frame, p99": "SLOWER"}


def test_figures_that_only_one_run_has_are_named() -> None:
    old, new = run_of([memory(80), latency(20)]), run_of([memory(80), rate(100)])
    assert verdicts(old, new) == {"memory": "", "routed": "new", "to frame, p99": "not measured"}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run of ``main`` writes; there is one benchmark, ``route``, and it measures nothing."""
    monkeypatch.setattr(saved, "RESULTS", tmp_path)
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(program, "measure", lambda name: [rate(100), latency(20)])
    return tmp_path


def bench(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *args])
    return program.main()


def test_a_run_is_saved_and_compared_with(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, "route") == 0
    (kept,) = results.glob("run-*.json")
    run = json.loads(kept.read_text())
    assert run["machine"]["cores"] > 0
    assert run["date"].endswith("Z")
    assert run["benchmarks"]["route"][1]["ratio"] == 2.0
    assert [f["name"] for f in json.loads((results / "route.json").read_text())] == [
        "routed",
        "to frame, p99",
    ]
    assert set(json.loads((results / "route.json").read_text())[0]) == {
        "name", "value", "unit", "yardstick", "ratio", "budget", "met"
    }  # fmt: skip

    old = results / "old.json"
    kept.rename(old)
    capsys.readouterr()
    monkeypatch.setattr(program, "measure", lambda name: [rate(100), latency(40)])
    assert bench(monkeypatch, "route", "--compare", str(old)) == 0
    lines = capsys.readouterr().out.splitlines()
    (marked,) = [line for line in lines if "SLOWER" in line]
    assert " ".join(marked.split()) == "route: to frame, p99 20.00 40.00 ms 2.000 4.000 +100% SLOWER"
    assert lines[-1] == "slower by more than 25% beyond noise: 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is no saved run"),
        ("[]", "is no saved run: Expected `object`, got `array`"),
        ('{"date": "2026-01-01T00:00:00Z"}', "is no saved run: Object missing required field `commit`"),
    ],
)
def test_a_file_that_is_no_saved_run_is_wrong_use_before_anything_is_measured(
    tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "old.json"
    if text is not None:
        file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "route", "--compare", str(file)],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}: {said}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["baseline.json", "baseline-crowd.json"])
def test_a_baseline_that_is_kept_can_be_read(name: str) -> None:
    run = saved.load(ROOT / "benchmarks/results" / name)
    assert run.benchmarks
    assert set(program.NAMES) >= set(run.benchmarks)
    assert run.commit
