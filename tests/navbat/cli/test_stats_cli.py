"""The desk's figures at the command line."""

from __future__ import annotations

import csv
import io
from typing import Any

from tests.conftest import RedisServer
from tests.navbat.process import CONFIG, wait_for
from tests.navbat.run.test_health import MakeDesk


def test_figures_are_shown_and_open_what_they_are_made_of(
    own_redis: RedisServer, make_desk: MakeDesk
) -> None:
    desk = make_desk(CONFIG + f"redis: {own_redis.url}\n")
    desk.start()
    root, anna = desk.add("root", "--role", "admin"), desk.add("anna")
    assert "nothing" in root.command("stats", "sessions").stdout
    anna.online()
    desk.write("c1", "m1", "hello")
    (session,) = anna.until_sessions(1, "--status", "offered")
    anna.command("say", session["id"], "good day")
    anna.command("close", session["id"])
    desk.write("c2", "m1", "=cmd()")

    def counted() -> Any:
        found = root.json("stats", "sessions")
        return found if found["total"]["new"] == 2 and found["total"]["closed"] == 1 else None

    found = wait_for(counted)
    (row,) = found["rows"]
    assert (row["in"], row["out"], row["first_response"]["count"], row["clients"]) == (2, 1, 1, 2)
    assert (found["now"]["open"], found["now"]["unanswered"]) == (1, 1)
    (behind,) = root.json("stats", "sessions", "--behind", "closed")["items"]
    assert behind["session"]["id"] == session["id"]
    (of_anna,) = root.json("stats", "operators")["rows"]
    assert (of_anna["key"], of_anna["taken"], of_anna["out"]) == ("anna", 1, 1)
    assert of_anna["online"] > 0
    assert "anna" in root.command("stats", "operators").stdout
    heat = root.json("stats", "load")["heat"]
    assert (len(heat), sum(one["arrivals"] for one in heat), max(one["open_max"] for one in heat)) == (
        168,
        2,
        1,
    )
    assert "arrivals" in root.command("stats", "load").stdout
    rows = list(csv.DictReader(io.StringIO(root.command("stats", "sessions", "--csv").stdout)))
    assert [one["new"] for one in rows] == ["2", "2"]
    before = root.json("stats", "sessions", "--by", "line")
    assert root.json("stats", "rebuild")["sessions"] == 2
    assert root.json("stats", "sessions", "--by", "line") | {"now": 0} == before | {"now": 0}
    assert root.json("stats", "visits", "--by", "camera")["rows"] == []
    for words in (
        ("--from", "2026-02-30"),
        ("--from", "2026-03-05", "--to", "2026-03-01"),
        ("--by", "camera"),
        ("--behind", "nonsense"),
    ):
        wrong = root.command("stats", "sessions", *words, status=2)
        assert wrong.stderr.startswith("navbat: "), words
    # An operator sees his lines, and takes no file along.
    assert anna.json("stats", "csat")["total"]["rated"] == 0
    assert "export" in anna.command("stats", "sessions", "--csv", status=1).stderr
    assert "administer" in anna.command("stats", "rebuild", status=1).stderr
