"""Stories about the queue: those of the documentation, and how a wrong one is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import yaml
from msgspec import structs

from crm.kernel.errors import ConfigError
from navbat.config.lines import Line, Notices, Sla
from navbat.lab.scenario import play

ROOT = Path(__file__).parents[3]
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


def _values(name: str, hint: Any) -> list[tuple[str, Any]]:
    """The allowed values of a setting, as a story may write them."""
    if get_origin(hint) is Literal:
        return [(name, word) for word in get_args(hint)]
    return [(name, True), (name, False)] if hint is bool else [(name, None)]


ALLOWED = [
    pair
    for name, hint in get_type_hints(Line).items()
    if name != "zone" and not name.startswith("crm_")  # of leads the rules of the queue know nothing
    for pair in _values(name, hint)
]  # fmt: skip
ALLOWED += [("notices", name) for name in Notices.__struct_fields__]
ALLOWED += [("overflow", word) for word in ("always", "off_hours", "nobody_on_duty")]
ALLOWED += [("sla", name) for name in Sla.__struct_fields__]


@pytest.mark.parametrize(("name", "value"), ALLOWED, ids=[f"{n}-{v}" for n, v in ALLOWED])
def test_every_setting_and_allowed_value_has_a_story(name: str, value: Any) -> None:
    assert any(_said(line, name, value) for story in STORIES for line in _lines_of(story))


def _lines_of(story: str) -> list[dict[str, Any]]:
    """The lines of a story and what its steps set."""
    tree = yaml.safe_load(story)
    changed = [step["set"] for step in tree["steps"] if "set" in step]
    return [*tree["lines"].values(), *changed, {"zone": tree.get("zone")}]


def _said(line: dict[str, Any], name: str, value: Any) -> bool:
    """Whether a story's line says the setting, or leaves it at the default that is asked for."""
    default = {field.name: field.default for field in structs.fields(Line)}[name]
    given = line.get(name, default)
    if isinstance(given, bool) and value in ("on", "off"):
        given = "on" if given else "off"
    if name == "overflow" and value:
        return any(entry.get("when", "always") == value for entry in line.get(name, ()))
    if isinstance(line.get(name), dict) and value:
        return value in line[name]
    return name in line if value is None else bool(given == value)


def test_every_step_of_a_day_is_told_in_a_second(tmp_path: Path) -> None:
    """Three hundred steps are played as one story."""
    steps = ["  - {at: 0s, operator: anna, does: online}"]
    for n in range(100):
        steps += [
            f"  - {{at: {n}m, customer: c{n}, writes: hi}}",
            f"  - {{at: {n}m, operator: anna, does: say, session: c{n}, text: hello}}",
            f"  - {{at: {n}m, expect: {{session: c{n}, status: answered, sent: [hello]}}}}",
        ]
    file = tmp_path / "long.yaml"
    file.write_text("name: long\nlines: {sales: {members: [anna]}}\nsteps:\n" + "\n".join(steps))
    assert play(file).ok
    done = [scenario("--json", str(file)).stdout for _ in range(2)]
    assert done[0] == done[1]


ODD = """
name: odd but legal
zone: America/New_York
start: 2026-11-01 00:30
lines:
  sales: {members: [anna], answer_within: 2h, hours: {sun: ["01:30-03:00"]}}
operators:
  anna: {rights: {sales: [whisper]}}
steps:
  - {at: 0s, operator: anna, does: online}
  - {at: 0s, customer: ali, writes: hi}
  - {at: 0s, expect: {session: ali, holder: null, candidates: []}}
  - {at: 0s, operator: anna, does: whisper, session: ali, text: psst}
  - {at: 0s, operator: anna, does: take_over, session: ali, refused: true}
  - {at: 59m59s, expect: {session: ali/1, holder: ""}}
  - {at: 1h, expect: {session: ali/1, holder: anna}}
  - {at: 2026-11-01 02:59, expect: {session: ali, missed: [anna]}}
"""


def test_the_clocks_of_a_zone_go_back_within_a_story(tmp_path: Path) -> None:
    """At 01:30, which comes twice, the line opens once; 02:59 is three and a half hours after 00:30."""
    file = tmp_path / "odd.yaml"
    file.write_text(ODD)
    outcome = play(file)
    assert outcome.ok, outcome.message


WRONG = [
    ("mode: even", "mode: evn", "did you mean even?"),
    ("answer_within: 1m}", "answer_within: 1m, overflow: [{after: 1m, line: x}]}", "unknown line x"),
    ("zone: Asia/Tashkent", "zone: Asia/Nowhere", "there is no time zone"),
    ('writes: "narxi qancha?"', "rates: 9", "a digit from 1 to 5"),
    ("does: online", "does: sleep", "unknown value sleep"),
    ("does: online", "does: snooze", "session is missing"),
    ("operators:", "operatorz:", "unknown key"),
]


@pytest.mark.parametrize(("old", "new", "problem"), WRONG, ids=[w[2] for w in WRONG])
def test_a_wrong_story_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(GOOD.replace(old, new) if old in GOOD else GOOD + f"{new} {{}}\n")
    with pytest.raises(ConfigError, match=re.escape(problem)):
        play(file)


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
