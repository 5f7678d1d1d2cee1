"""Access, erasure and retention at the command line of a whole desk, killed in the middle of it."""

from __future__ import annotations

import json
import signal
import subprocess

from tests.navbat.process import CONFIG, Desk, wait_for
from tests.router.consent.bytes_of import found_in

WORDS = ["zqxchat", "zqxsaid мир", "zqxreply", "zqxnote"]


def test_a_person_is_shown_and_erased_also_when_the_desk_is_killed(desk: Desk) -> None:
    desk.start()
    anna, root = desk.add("anna"), desk.add("root", "--role", "admin")
    anna.online()
    desk.write("zqxchat", "m1", WORDS[1])
    desk.write("other", "m2", "yyother")
    wait_for(lambda: len(anna.json("sessions")) == 2)
    [session] = [one for one in anna.json("sessions") if one["chat"] == "lo:zqxchat"]
    customer = session["customer"]
    wait_for(lambda: [one for one in anna.json("sessions") if one["holder"] == "anna"])
    anna.command("take", session["id"])
    anna.command("say", session["id"], WORDS[2])
    anna.command("note", session["id"], WORDS[3])
    wait_for(lambda: len(anna.json("history", "--customer", customer)) >= 3)
    data = desk.folder / "data"
    assert set.union(*found_in(data, [*WORDS, "zqh"]).values()) == {*WORDS, "zqh"}, (
        "and as the search spells it"
    )

    assert "no right" in anna.command("customer", "export", customer, status=1).stderr
    shown = json.loads(root.command("customer", "export", customer).stdout)
    assert {one["text"] for one in shown["messages"]} >= {*WORDS[1:]}
    assert shown["cards"][0]["chats"] == ["lo:zqxchat"]
    assert "--yes" in root.command("customer", "erase", customer, status=2).stderr

    erasing = desk.start_command("customer", "erase", customer, "--yes", env=root.env)
    wait_for(lambda: root.json("customer", "receipts")["receipts"])
    kill(desk, erasing)
    desk.start()
    [receipt] = wait_for(
        lambda: [one for one in root.json("customer", "receipts")["receipts"] if one["done_at"]], within=30
    )
    assert receipt["counts"]["messages"] >= 3
    assert found_in(data, [*WORDS, "zqx", "zqh"]) == {}
    assert "yyother" in set.union(*found_in(data, ["yyother"]).values())
    assert "backups" in root.command("customer", "receipts", receipt["id"]).stdout
    again = root.json("customer", "erase", customer, "--yes")
    assert again == root.json("customer", "receipts", receipt["id"])
    assert [one["chat"] for one in anna.json("sessions")] == ["lo:other"]


def kill(desk: Desk, client: subprocess.Popen[str]) -> None:
    """kill -9 of all there is."""
    assert desk.process is not None
    desk.process.send_signal(signal.SIGKILL)
    desk.process.wait()
    client.communicate(timeout=30)


def test_what_is_too_old_is_told_and_goes(desk: Desk) -> None:
    desk.file.write_text(CONFIG + "crm: {retention: {messages: 1s, decisions: 1s}}\n", encoding="utf-8")
    desk.start()
    anna, root = desk.add("anna"), desk.add("root", "--role", "admin")
    anna.online()
    desk.write("c1", "m1", "hello")
    wait_for(lambda: [one for one in anna.json("sessions") if one["holder"] == "anna"])
    anna.command("take", "1")
    anna.command("close", "1")
    wait_for(lambda: root.json("retention", "--dry-run")["counts"].get("messages"))
    assert "administer" in anna.command("retention", status=1).stderr
    receipt = root.json("retention")
    assert receipt["counts"]["sessions"] == 1
    assert receipt["done_at"]
    assert not root.json("retention", "--dry-run")["counts"].get("messages")
