"""A desk's documents go over to a MongoDB and come back, and the desk works on with them."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from tests.navbat.process import CONFIG, Desk, Operator, wait_for
from tests.servers import mongodb

MakeDesk = Callable[..., Desk]


@pytest.fixture
def address(mongodb_url: str | None) -> Iterator[str]:
    url = mongodb.there(mongodb_url)
    client: MongoClient[dict[str, Any]]
    with MongoClient(url) as client:
        client.drop_database("navbat_shop")
        yield url
        client.drop_database("navbat_shop")


@pytest.fixture
def lived(desk: Desk) -> Operator:
    anna = desk.add("anna", "--role", "admin")
    desk.start()
    for number in range(3):
        desk.write(f"chat-{number}", "1", f"hello {number}")
    anna.until_sessions(3)
    wait_for(lambda: len(anna.json("search", "hello")) == 3)
    desk.stop()
    return anna


def on(desk: Desk, mongodb: str) -> None:
    desk.file.write_text(CONFIG + (f"mongodb: {mongodb}\n" if mongodb else ""), encoding="utf-8")


def test_there_and_back(lived: Operator, desk: Desk, address: str) -> None:
    told = desk.command("move-store", "--to", address)
    assert "may say" in told.stderr
    on(desk, address)
    desk.start()
    assert "store=mongodb" in desk.ready
    desk.write("chat-0", "2", "from the other store")
    wait_for(lambda: len(lived.json("search", "hello")) == 3 and lived.json("search", "other"))
    desk.stop()
    assert "has " in desk.command("move-store", "--to", "sqlite", status=1).stderr, (
        "the old file is still there"
    )
    (desk.folder / "data" / "navbat.sqlite").unlink()
    sums = json.loads(desk.command("move-store", "--to", "sqlite", "--json").stdout)
    assert sums["messages"]["count"] == 4
    on(desk, "")
    desk.start()
    wait_for(lambda: len(lived.json("search", "hello")) == 3 and lived.json("search", "other"))
    assert [m["text"] for m in lived.json("history", "1") if m["direction"] == "in"] == [
        "hello 0",
        "from the other store",
    ]


def test_cut_off_it_is_said_and_goes_on(lived: Operator, desk: Desk, address: str) -> None:
    with sqlite3.connect(desk.folder / "data" / "navbat.sqlite") as db:
        rows = [(f"x{n}", f'{{"_id":"x{n}","at":{n},"text":"word {n}"}}') for n in range(3000)]
        db.executemany("INSERT INTO audit(id, doc) VALUES(?, ?)", rows)
    process = desk.start_command("move-store", "--to", address)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    on(desk, address)
    assert "run it again" in desk.command("run", status=1).stderr
    on(desk, "")
    desk.command("move-store", "--to", address)
    on(desk, address)
    desk.start()
    assert len(lived.json("sessions")) == 3


def test_a_desk_that_runs_is_not_moved(lived: Operator, desk: Desk) -> None:
    desk.url = ""
    desk.start()
    assert "in use" in desk.command("move-store", "--to", "mongodb://127.0.0.1:1", status=1).stderr


@pytest.mark.parametrize("url", ["sqlite", "nowhere", "redis://x", "mongodb", ""])
def test_nowhere_to_go(lived: Operator, desk: Desk, url: str) -> None:
    assert "--to" in desk.command("move-store", "--to", url, status=2).stderr


def test_a_store_that_is_away(lived: Operator, desk: Desk) -> None:
    began = time.monotonic()
    told = desk.command("move-store", "--to", "mongodb://127.0.0.1:1", status=3)
    assert "does not answer" in told.stderr
    assert time.monotonic() - began < 15
