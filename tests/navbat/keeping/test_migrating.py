"""A data folder of an earlier version: `navbat migrate` and the first start bring it up to this one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from storage.migrations.steps import STEPS
from tests.navbat.process import Desk, wait_for
from tests.storage.test_migrations import STORES


@pytest.fixture
def file(desk: Desk) -> Path:
    """The store of a folder of the day before yesterday."""
    file = desk.folder / "data" / "navbat.sqlite"
    file.parent.mkdir(mode=0o700)
    shutil.copy(STORES[0], file)
    return file


def at_version(file: Path, version: int) -> None:
    with sqlite3.connect(file) as db:
        db.execute("UPDATE migrations SET doc = json_set(doc, '$.version', ?) WHERE id = 'store'", (version,))
    db.close()


def test_migrate_says_what_it_did_and_does_it_once(desk: Desk, file: Path) -> None:
    told = desk.command("migrate")
    assert told.stdout.splitlines()[0] == f"1 {STEPS[0].name}: 3 documents"
    assert f"is at version {len(STEPS)}" in told.stderr
    assert json.loads(desk.command("migrate", "--json").stdout) == {"version": len(STEPS), "steps": []}
    assert "already" in desk.command("migrate").stderr


def test_the_first_start_migrates(desk: Desk, file: Path) -> None:
    anna = desk.as_operator("anna", desk.command("operator", "token", "anna").stdout.strip())
    desk.start()
    desk.write("chat-1", "1", "hello")
    anna.until_sessions(1)
    wait_for(lambda: [m["text"] for m in anna.json("history", "2")])
    desk.stop()
    assert json.loads(desk.command("migrate", "--json").stdout)["steps"] == []


def test_a_store_of_a_newer_version_is_refused_by_everything(desk: Desk, file: Path) -> None:
    desk.command("migrate")
    at_version(file, 99)
    for words in (
        ("migrate",),
        ("run",),
        ("check",),
        ("operator", "add", "bek"),
        ("backup", str(desk.folder / "kept")),
        ("move-store", "--to", "mongodb://127.0.0.1:1"),
    ):
        told = desk.command(*words, status=1)
        assert "of a newer navbat: it is at version 99" in told.stdout + told.stderr, words
    at_version(file, len(STEPS))
    desk.command("operator", "add", "bek")


def test_where_nothing_is(desk: Desk) -> None:
    assert "no store in" in desk.command("migrate", status=1).stderr
