"""``navbat flow check`` and ``navbat flow try``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[3] / "bots/flows"
FLOW = """
start: what
off_hours: closed
phone_code: "998"
human: [jonli odam]
nodes:
  what:
    say: {en: "How can we help?", ru: "Чем помочь?"}
    menu:
      - {label: {en: "Buy", ru: "Купить"}, then: phone}
      - {label: {en: "Ask", ru: "Спросить"}, then: human}
  phone: {say: "Your phone", ask: phone, check: phone, then: sales}
  sales: {say: "One moment.", line: sales}
  human: {hand_over: on}
  closed: {say: "We are closed.", close: on}
"""


def navbat(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "navbat", "flow", *words], input=said, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(FLOW)
    return str(path)


def test_check_counts_the_nodes_of_good_flows(file: str) -> None:
    done = navbat("check", file, *map(str, sorted(SHIPPED.glob("*.yaml"))))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"ok {file}: 5 nodes"


def test_check_tells_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(FLOW.replace("then: sales", "then: nowhere").replace("check: phone", "check: fone"))
    done = navbat("check", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "fone" in done.stderr
    path.write_text(FLOW.replace("then: sales", "then: nowhere").replace("then: human", "then: heaven"))
    done = navbat("check", str(path))
    assert "nowhere" in done.stderr
    assert "heaven" in done.stderr
    assert navbat("check", str(tmp_path / "none.yaml")).returncode == 2


def test_try_goes_through_a_conversation(file: str) -> None:
    done = navbat("try", file, said="1\nnot a number\n90 123 45 67\n")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "bot: How can we help?", "  1. Buy", "  2. Ask", "bot: Your phone",
        "bot: Please send a phone number, such as +998 90 123 45 67.", "bot: One moment.",
        "[phone: +998901234567]", "[handed over to line sales]",
    ]  # fmt: skip


def test_try_in_another_language_at_night_and_with_a_call_for_a_human(file: str) -> None:
    assert "bot: Чем помочь?" in navbat("try", file, "--language", "ru", said="2\n").stdout
    night = navbat("try", file, "--off-hours")
    assert night.stdout.splitlines() == ["bot: We are closed.", "[closed]"]
    called = navbat("try", file, said="jonli odam\n")
    assert called.stdout.splitlines()[-1] == "[handed over]"
    assert navbat("try", file, said="").returncode == 0


def test_what_a_flow_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text('start: a\nnodes:\n  a: {say: "\\u001b]0;owned\\u0007hi", close: on}\n')
    assert "\x1b" not in navbat("try", str(path)).stdout
