"""What was set aside, at the command line of a running desk."""

from __future__ import annotations

import base64
import json
import sqlite3
from typing import Any

import redis

from router.log.keys import Keys
from tests.conftest import RedisServer
from tests.navbat.process import CONFIG, Desk, wait_for
from tests.navbat.run.test_health import MakeDesk

UNKNOWN = b"\x82\xa1t\xa8Hologram\xa4text\xa6secret"


def poison(server: RedisServer, stream: str, data: bytes) -> None:
    """Into one of the desk's streams, past everybody."""
    client = redis.Redis(unix_socket_path=f"{server.folder}/redis.sock")
    client.xadd(getattr(Keys("shop"), stream), {"e": data})
    client.close()


def test_what_was_set_aside_is_shown_tried_again_and_dropped(
    own_redis: RedisServer, make_desk: MakeDesk
) -> None:
    desk = make_desk(CONFIG + f"redis: {own_redis.url}\n")
    desk.start()
    root, anna = desk.add("root", "--role", "admin"), desk.add("anna")
    assert root.json("quarantine", "list") == []
    assert (root.json("status")["quarantine"], "SET ASIDE" in root.command("status").stdout) == (0, False)
    poison(own_redis, "log", UNKNOWN)
    poison(own_redis, "journal", b"\xc1")
    desk.write("c1", "m1", "still here")
    items = wait_for(lambda: _two(root.json("quarantine", "list")))
    event, entry = sorted(items, key=lambda item: item["origin"], reverse=True)
    assert list(event) == ["id", "origin", "place", "kind", "at", "reason", "size", "operator"]
    assert (event["origin"], event["kind"], event["size"]) == ("log", "Hologram", len(UNKNOWN))
    assert event["reason"].startswith("ValidationError at ")
    assert (entry["origin"], entry["kind"]) == ("journal", None)
    assert root.json("status")["quarantine"] == 2
    assert "SET ASIDE: 2" in root.command("status").stdout
    assert "still here" in root.command("sessions").stdout
    assert event["id"] in root.command("quarantine", "list").stdout

    shown = root.json("quarantine", "show", event["id"])
    assert base64.b64decode(shown["data"]) == UNKNOWN
    assert shown["content"] == {"t": "Hologram", "text": "secret"}
    assert "secret" in root.command("quarantine", "show", event["id"]).stdout
    assert "c1" in root.command("quarantine", "show", entry["id"]).stdout

    again = root.command("quarantine", "retry", event["id"], "--json", status=1)
    told = json.loads(again.stdout)
    assert (told["id"], told["outcome"]) == (event["id"], "again")
    assert told["again"].startswith("log-")
    assert told["again"] != event["id"]
    assert "set aside again as" in root.command("quarantine", "retry", told["again"], status=1).stdout

    assert "dropped" in root.command("quarantine", "drop", entry["id"]).stdout
    root.command("quarantine", "drop", "all")
    assert root.json("quarantine", "list") == []
    assert "Nothing is set aside" in root.command("quarantine", "show", event["id"], status=1).stderr
    root.command("quarantine", "retry", "all", status=1)
    root.command("quarantine", "drop", status=2)
    for words in (("list",), ("show", "x"), ("retry", "x"), ("drop", "x")):
        anna.command("quarantine", *words, status=1)
    actions = wait_for(lambda: _audited(desk))
    assert {"set_aside", "quarantine_retried", "quarantine_dropped", "quarantine_shown"} <= actions


def _two(items: list[Any]) -> list[Any]:
    return items if len(items) == 2 else []


def _audited(desk: Desk) -> set[str]:
    with sqlite3.connect(f"file:{next((desk.folder / 'data').glob('*.sqlite'))}?mode=ro", uri=True) as db:
        return {json.loads(doc)["action"] for (doc,) in db.execute("SELECT doc FROM audit")}
