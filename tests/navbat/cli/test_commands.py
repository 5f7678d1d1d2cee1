"""The commands that are clients of a desk: the way of a message, from outside to outside."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.navbat.process import CONFIG, SECRET, Desk, wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SESSION_KEYS = (
    "id chat channel kind line status holder customer priority opened_at first_answer_at closed_at unread"
)
MESSAGE_KEYS = "id session seq direction author kind text media at edited_at deleted_at delivery external_id"


@pytest.fixture
def running(desk: Desk) -> Desk:
    desk.start()
    return desk


def test_a_message_comes_in_and_the_answer_goes_out(running: Desk) -> None:
    anna = running.add("anna")
    anna.online()
    running.write("c1", "m1", "narxi qancha?")
    [session] = wait_for(lambda: [s for s in anna.json("sessions") if s["status"] == "offered"])
    assert list(session)[:13] == SESSION_KEYS.split()
    assert (session["chat"], session["channel"], session["kind"]) == ("lo:c1", "lo", "loopback")
    assert (session["line"], session["holder"], session["unread"]) == ("sales", "anna", 1)
    assert session["first_answer_at"] is None
    assert session["closed_at"] is None
    assert TIME.fullmatch(session["opened_at"])
    id = session["id"]
    anna.command("take", id)
    said = anna.command("say", id, "120 ming").stdout.strip()
    [delivered] = wait_for(running.sent)
    assert (delivered["chat"], delivered["text"]) == ("c1", "120 ming")
    anna.command("note", id, "-", stdin="knows what he wants\n")

    def history() -> list[dict[str, Any]]:
        return [m for m in anna.json("history", id) if m["direction"] != "system"]

    wait_for(lambda: history()[1]["delivery"] == "sent")
    [question, answer, note] = history()
    assert list(question)[:13] == MESSAGE_KEYS.split()
    assert (question["direction"], question["author"], question["text"]) == ("in", "Ali", "narxi qancha?")
    assert (question["delivery"], question["external_id"]) == (None, "m1")
    assert (answer["id"], answer["direction"], answer["author"]) == (said, "out", "anna")
    assert answer["external_id"] == delivered["external_id"]
    assert (note["direction"], note["text"]) == ("note", "knows what he wants")
    assert len(running.sent()) == 1
    assert "narxi qancha?" in anna.command("history", id).stdout
    ids = [m["id"] for m in anna.json("history", id)]
    # A customer's whole history is the store's alone: it follows the desk.
    wait_for(lambda: [m["id"] for m in anna.json("history", "--customer", session["customer"])] == ids)
    anna.command("close", id)
    [closed] = wait_for(lambda: [s for s in anna.json("sessions") if s["status"] == "closed"])
    assert TIME.fullmatch(closed["closed_at"])
    assert anna.json("sessions", "--status", "answered") == []


def test_handing_on(running: Desk) -> None:
    anna, bek = running.add("anna"), running.add("bek", "--lines", "sales,support")
    anna.online()
    running.write("c1", "1", "hi")
    wait_for(lambda: [s for s in anna.json("sessions") if s["holder"] == "anna"])
    bek.online()
    anna.command("skip", "1")
    wait_for(lambda: anna.json("sessions")[0]["holder"] == "bek")
    refused = anna.command("take", "1", status=1)
    assert "bek" in refused.stderr
    bek.command("take", "1")
    bek.command("transfer", "1", "--to", "anna", "--comment", "yours")
    anna.command("take", "1")
    anna.command("pin", "1")
    anna.command("pin", "1", "--off")
    anna.command("return", "1", "--reason", "lunch")
    wait_for(lambda: bek.json("sessions")[0]["holder"] == "bek")
    bek.command("transfer", "1", "--to", "line:support")
    wait_for(lambda: bek.json("sessions", "--line", "support"))
    assert bek.json("sessions", "--line", "sales") == []
    anna.command("transfer", "99", "--to", "bek", status=1)


def test_a_file_goes_to_the_customer(running: Desk) -> None:
    anna = running.add("anna")
    anna.online()
    running.write("c1", "1", "send me the price list")
    wait_for(lambda: [s for s in anna.json("sessions") if s["holder"] == "anna"])
    (running.folder / "narx jadvali.txt").write_text("1 2 3")
    anna.command("say", "1", "here", "--file", "narx jadvali.txt")
    [delivered] = wait_for(running.sent)
    [media] = delivered["media"]
    assert (media["name"], media["size"], media["mime"]) == ("narx jadvali.txt", 5, "text/plain")
    assert "none.txt" in anna.command("say", "1", "x", "--file", "none.txt", status=1).stderr


def test_duty_lasts_as_long_as_its_process(running: Desk) -> None:
    anna, boss = running.add("anna"), running.add("boss", "--role", "supervisor")

    def duty() -> str:
        operators = {o["name"]: o for o in boss.json("status")["operators"]}
        return str(operators["anna"].get("duty", "offline"))

    on_duty = anna.online()
    wait_for(lambda: duty() == "online")
    anna.command("duty", "break")
    wait_for(lambda: duty() == "break")
    on_duty.send_signal(signal.SIGTERM)
    on_duty.communicate(timeout=10)
    assert on_duty.returncode == 0
    anna.command("duty", "offline")
    wait_for(lambda: duty() == "offline")
    anna.command("duty", "asleep", status=2)


def follow(desk: Desk, env: dict[str, str], *more: str) -> subprocess.Popen[str]:
    return desk.start_command("events", "--json", *more, env=env)


def read_until(process: subprocess.Popen[str], text: str) -> list[dict[str, Any]]:
    """The events up to the one whose message has this text."""
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found.append(json.loads(line))
        if found[-1].get("message", {}).get("text") == text:
            return found
    raise AssertionError(f"the events ended before {text!r}")


def test_events_are_resumed_by_id(running: Desk) -> None:
    anna = running.add("anna")
    first = follow(running, anna.env)
    assert first.stderr is not None
    assert first.stderr.readline() == "following as anna\n"
    anna.command("sessions")
    running.write("c1", "1", "one")
    seen = read_until(first, "one")
    first.terminate()
    first.communicate(timeout=10)
    assert first.returncode == 0
    running.write("c1", "2", "two")
    second = follow(running, anna.env, "--since", seen[-1]["id"])
    later = read_until(second, "two")
    texts = [e["message"]["text"] for e in seen + later if e["type"] == "message"]
    assert texts == ["one", "two"]
    assert len({e["id"] for e in seen + later}) == len(seen + later)
    assert all(TIME.fullmatch(e["at"]) for e in seen + later)
    timers = [
        due for e in seen + later if e["type"] == "decision" for due in e["decision"]["timers"].values()
    ]
    assert timers
    assert all(TIME.fullmatch(due) for due in timers)
    refused = running.command("events", "--since", "yesterday", status=1, env=anna.env).stderr
    assert "The desk has no event yesterday." in refused
    refused = running.command("events", "--since", "1-1", status=1, env=anna.env).stderr
    assert "What came after 1-1 is no longer kept" in refused


def test_what_could_not_be_read_is_no_blank_line(running: Desk) -> None:
    boss = running.add("boss", "--role", "admin")
    body = b'{"chat": "c1", "id": 5}'
    request = urllib.request.Request(
        f"{running.url}/hooks/loopback/lo", body, {"Authorization": f"Bearer {SECRET}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200
    boss.until_sessions(1)
    wait_for(lambda: boss.command("history", "1").stdout.endswith(": [unsupported]\n"), 10)


def test_a_customer_who_does_not_exist(running: Desk) -> None:
    """Whoever sees all lines is told so; others learn nothing of the customers of others."""
    boss, bek = running.add("boss", "--role", "admin"), running.add("bek")
    assert "There is no such customer." in boss.command("customer", "show", "c0", status=1).stderr
    assert "You have no right to read." in bek.command("customer", "show", "c0", status=1).stderr


def test_events_go_on_after_the_desk_was_restarted(make_desk: Callable[..., Desk]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    desk = make_desk(CONFIG.replace("127.0.0.1:0", address))
    anna = desk.add("anna")
    desk.start()
    following = follow(desk, anna.env)
    assert following.stderr is not None
    assert following.stderr.readline() == "following as anna\n"
    anna.command("sessions")
    desk.write("c1", "1", "one")
    seen = read_until(following, "one")
    desk.stop()
    desk.start()
    desk.write("c1", "2", "two")
    seen += read_until(following, "two")
    assert [e["message"]["text"] for e in seen if e["type"] == "message"] == ["one", "two"]


def test_a_position_that_is_no_longer_known_is_refused(running: Desk) -> None:
    anna = running.add("anna")
    running.write("c1", "1", "one")
    anna.until_sessions(1)
    assert anna.command("events", "--since", "0-1", status=1).stdout == ""
    anna.command("events", "--since", "nonsense", status=1)


def test_status(running: Desk) -> None:
    boss = running.add("boss", "--role", "admin")

    def complete() -> dict[str, Any] | None:
        status: dict[str, Any] = boss.json("status")
        return status if {"desk", "router", "projector"} <= set(status["processes"]) else None

    status = wait_for(complete)
    assert (status["desk"], status["redis"], status["store"]) == ("shop", "embedded", "sqlite")
    assert status["log_lag"] == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["version"])
    assert set(status["processes"]["desk"]["parts"]) == {"gateway", "consent", "receiver", "sender"}
    assert set(status["processes"]["router"]["parts"]) == {"router"}
    assert set(status["processes"]["projector"]["parts"]) == {"projector"}
    assert set(status["channels"]) == {"lo"}
    text = boss.command("status").stdout
    for part in ("gateway", "receiver", "sender", "router", "projector"):
        assert f"  {part}: ok" in text


def test_nobody_answers(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        desk.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    for words in (
        ("status",),
        ("status", "--json"),
        ("sessions",),
        ("take", "1"),
        ("events",),
        ("duty", "online"),
    ):
        done = desk.command(*words, status=3)
        assert "does not answer" in done.stderr
        assert done.stdout == ""


def test_a_wrong_token_or_none(running: Desk) -> None:
    for env in ({}, {"NAVBAT_TOKEN": "nb_00000000_x"}, {"NAVBAT_TOKEN": "я"}):
        assert "not logged in" in running.command("sessions", status=1, env=env).stderr


def test_lines_of_others_are_closed(running: Desk) -> None:
    anna = running.add("anna")
    guest = running.add("guest", "--lines", "support")
    running.write("c1", "1", "private")
    [session] = anna.until_sessions(1)
    assert guest.json("sessions") == []
    for words in (("history", "1"), ("take", "1"), ("say", "1", "x"), ("note", "1", "x"), ("close", "1")):
        refused = guest.command(*words, status=1)
        assert "private" not in refused.stdout + refused.stderr
    assert guest.json("history", "--customer", session["customer"]) == []


def test_text_from_outside_cannot_move_the_cursor(running: Desk) -> None:
    anna = running.add("anna")
    running.write("c1", "1", "a\x1b[2J\x1b]0;title\x07b\u202ec\x9b31md", name="\x1b[31mAli")
    anna.until_sessions(1)
    for words in (("sessions",), ("history", "1")):
        shown = anna.command(*words).stdout
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
        assert "Ali" in shown
