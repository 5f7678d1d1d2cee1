"""Stories about the queue: those of the documentation, and how a wrong one is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from navbat.scenario import play

ROOT = Path(__file__).parents[2]
STORIES = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "docs" / "queues.md").read_text(), re.DOTALL)

GOOD = """
name: a missed offer goes to the next one
zone: Asia/Tashkent
start: 2026-03-02 09:00
lines:
  sales: {mode: even, members: [anna, bek], answer_within: 1m}
steps:
  - {at: 0s, operator: anna, does: online}
  - {at: 0s, operator: bek, does: online}
  - {at: 5s, customer: ali, writes: "narxi qancha?"}
  - {at: 2026-03-02 09:01:05, expect: {session: ali, status: offered, holder: bek}}
"""


def scenario(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "navbat", "scenario", *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("story", STORIES, ids=[s.splitlines()[0].removeprefix("name: ") for s in STORIES])
def test_the_stories_of_the_documentation(story: str, tmp_path: Path) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(story)
    outcome = play(file)
    assert outcome.ok, f"step {outcome.step}: {outcome.message}"


def test_the_documentation_has_stories() -> None:
    assert len(STORIES) >= 13


def test_good_and_bad_ones_by_exit_status_and_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("holder: bek", "holder: anna"))
    done = scenario(str(good))
    assert (done.returncode, done.stdout) == (0, "ok a missed offer goes to the next one\n")
    done = scenario(str(good), str(bad))
    assert done.returncode == 1
    assert "FAILED a missed offer goes to the next one, step 4: holder is bek, expected anna" in done.stdout
    assert "not anna: had" in done.stdout
    assert scenario(str(bad)).stdout == scenario(str(bad)).stdout
    (_, told) = json.loads(scenario("--json", str(good), str(bad)).stdout)
    assert (told["ok"], told["step"], told["decision"]["chosen"]) == (False, 4, "bek")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mode: even", "mod: even", "unknown key mod"),
        ("at: 5s", "at: 5", "expected"),
        ("at: 5s", "at: soon", "expected a duration"),
        ("09:01:05", "08:00:00", "must not go back"),
        ("does: online}", "does: dance}", "steps[0].does"),
        ("customer: ali", "customer: ali, operator: bek, does: take, session: ali", "a step is one of"),
        ("Asia/Tashkent", "Asia/Nowhere", "no time zone"),
        ("holder: bek", "owner: bek", "unknown key owner"),
        ("writes:", "line: support, writes:", "there is no line 'support'"),
    ],
)
def test_what_is_no_scenario_is_told_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    done = scenario(str(file))
    assert done.returncode == 2
    assert says in done.stderr
    assert str(file) in done.stderr


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{at: 2m, operator: anna, does: take, session: ali}", "refused: offered_to_other holder=bek"),
        ("{at: 2m, operator: bek, does: take, session: ali, refused: true}", "was not refused"),
        ("{at: 2m, expect: {session: olga, status: waiting}}", "there is no session olga"),
        ("{at: 2m, expect: {sessions: 2}}", "sessions is 1, expected 2"),
    ],
)
def test_a_story_that_does_not_go_as_told(tmp_path: Path, step: str, says: str) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(GOOD + f"  - {step}\n")
    outcome = play(file)
    assert (outcome.ok, outcome.step, outcome.message) == (False, 5, says)
