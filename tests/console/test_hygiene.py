"""What the console loads, what it costs, and what its documentation says."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

from textual._styles_cache import StylesCache
from textual.widget import Widget

from console.actions import ACTIONS, BY_ID, GROUPS, Situation, footer, shown_key
from console.keys_page import keys_page
from console.screens.help import help_lines
from console.text.words import LANGUAGES, Words
from tests.console.conftest import seated
from tests.fakes.gateway import FakeGateway, session

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout


def test_the_console_knows_the_wire_and_nothing_behind_it() -> None:
    loaded = run("import console.app, sys; print(*sys.modules)").split()
    roots = {name.split(".")[0] for name in loaded}
    assert (
        roots & {"bots", "vision", "storage", "trackers", "redis", "motor", "pymongo", "sqlite3", "keyring"}
        == set()
    )
    ours = {n for n in loaded if n.startswith("router.")}
    assert ours
    assert {n for n in ours if not f"{n}.".startswith("router.wire.")} == set()


def test_the_wire_alone_loads_no_screen() -> None:
    loaded = run("import console.link, console.model, console.plain, sys; print(*sys.modules)").split()
    assert "console.app" not in loaded


def test_the_keys_page_is_what_the_registry_says() -> None:
    assert (ROOT / "docs/reference/keys.md").read_text() == keys_page(), "run: python -m console.keys_page"


def test_every_action_is_in_help_footer_names_and_the_guide() -> None:
    guide = (ROOT / "docs/operators.md").read_text()
    for language in LANGUAGES:
        words = Words(language)
        shown = "\n".join(map(str, help_lines(words, {})))
        for action in ACTIONS:
            assert words(f"action.{action.id}") in shown
    for action in ACTIONS:
        assert action.group in GROUPS
        for key in action.keys[:1]:
            assert f"`{shown_key(key)}`" in guide, action.id


def test_a_key_means_one_thing_at_a_time() -> None:
    mine = session("1", status="pending", holder="anna")
    for focus in ("list", "thread", "reply", "note", "whisper"):
        situation = Situation(focus=focus, session=mine, mine=True, offered=True, can_write=True, pending_undo=True,
                              failed=True, message=True, own_message=True, owed=True, file=True, leader=True,
                              may=frozenset(("take_over", "join_open", "join_silent", "whisper", "lead")))  # fmt: skip
        for key in {key for action in ACTIONS for key in action.keys}:
            meant = [a for a in ACTIONS if key in a.keys and focus in a.where and a.applies(situation)]
            assert len(meant) <= 1, (key, focus, [a.id for a in meant])


def test_no_letter_works_while_writing() -> None:
    for action in ACTIONS:
        if action.anywhere:
            assert all(len(key) > 1 for key in action.keys), action.id
        elif "reply" in action.where and action.keys:
            assert action.weight == 0 or action.id == "send", action.id


def test_the_footer_shows_six_at_most_and_the_heaviest() -> None:
    offered = Situation(session=session("1", status="offered"), offered=True)
    assert [action.id for action in footer(offered)][:2] == ["take", "skip"]
    assert len(footer(offered)) == 6
    assert BY_ID["undo"] in footer(Situation(pending_undo=True))


def test_it_starts_within_its_budget_of_imports() -> None:
    """Not a timed test: what would make the start slow is not there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = "import console.app, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    heavy = {"hypothesis", "tree_sitter", "aiogram", "pydantic", "httpx", "numpy", "pygments.lexers.python"}
    assert heavy & set(done.stdout.split()) == set()


async def test_a_dialog_that_is_closed_leaves_no_lines_in_memory(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        closed: weakref.WeakSet[StylesCache] = weakref.WeakSet()
        for _ in range(3):
            await seat.press("f1")
            closed.update(widget._styles_cache for widget in seat.app.screen.walk_children(Widget))
            await seat.press("escape")
            await seat.until(lambda: seat.app.screen is seat.desk)
        gc.collect()
        assert len(closed) == 0
