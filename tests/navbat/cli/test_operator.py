"""``navbat operator``: accounts, with and without a running desk."""

from __future__ import annotations

import json
import time

from tests.navbat.process import Desk, wait_for


def test_adding_and_listing(desk: Desk) -> None:
    token = desk.command("operator", "add", "anna", "--token").stdout
    assert token.startswith("nb_")
    assert token.count("\n") == 1
    added = ("operator", "add", "boss", "--role", "supervisor", "--lines", "support", "--password-stdin")
    assert desk.command(*added, stdin="secret word\n").stdout == ""
    [anna, boss] = json.loads(desk.command("operator", "list", "--json").stdout)
    assert (anna["name"], anna["role"], anna["lines"]) == ("anna", "operator", ["sales"])
    assert (anna["password"], len(anna["tokens"]), anna["disabled"]) == (False, 1, False)
    assert (boss["role"], boss["lines"], boss["password"], boss["tokens"]) == (
        "supervisor",
        ["support"],
        True,
        [],
    )
    plain = desk.command("operator", "list").stdout
    assert "anna" in plain
    assert "boss" in plain
    for secret in (token.strip().split("_", 2)[2], "argon2", "secret word"):
        assert secret not in plain + json.dumps([anna, boss])


def test_refusals(desk: Desk) -> None:
    desk.add("anna")
    for words, said in (
        (("add", "anna"), "there is an account anna already"),
        (("add", "a:b"), "a name is 1 to 32 letters"),
        (("passwd", "bek", "--password-stdin"), "there is no account bek"),
        (("disable", "bek"), "there is no account bek"),
        (("revoke", "anna", "--id", "00000000"), "anna has no such token"),
    ):
        refused = desk.command("operator", *words, status=1, stdin="x\n")
        assert said in refused.stderr
        assert refused.stdout == ""
    assert "a password has 8 to" in desk.command("operator", "passwd", "anna", status=1, stdin="\n").stderr
    desk.command("operator", "add", "bek", "--role", "king", status=2)


def test_a_password_logs_in_and_is_remembered_as_a_token(desk: Desk) -> None:
    desk.add("anna")
    desk.command("operator", "passwd", "anna", "--password-stdin", stdin="right horse\n")
    desk.start()
    login = ("login", "--url", desk.url, "--name", "anna", "--password-stdin")
    assert "does not know this name and password" in desk.command(*login, status=1, stdin="wrong\n").stderr
    desk.command(*login, stdin="right horse\n")
    [file] = (desk.folder / "home").rglob("login.json")
    assert file.stat().st_mode & 0o077 == 0
    assert "right horse" not in file.read_text()
    assert json.loads(desk.command("sessions", "--json").stdout) == []
    assert "Signed in as anna" in desk.command("console", "--plain", stdin="list\nquit\n").stdout


def test_a_new_account_is_known_to_a_running_desk_at_once(desk: Desk) -> None:
    desk.start()
    anna = desk.add("anna")
    anna.online()
    desk.write("c1", "1", "hello")
    [session] = anna.until_sessions(1)
    wait_for(lambda: anna.json("sessions")[0]["holder"] == "anna")
    assert session["line"] == "sales"


def test_a_revoked_token_stops_working_within_five_seconds(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    on_duty = anna.online()
    since = time.monotonic()
    desk.command("operator", "revoke", "anna")
    out, err = on_duty.communicate(timeout=5)
    assert time.monotonic() - since < 5
    assert on_duty.returncode == 1, (out, err)
    assert "revoked" in err
    assert "NAVBAT_TOKEN is no token of the desk" in anna.command("sessions", status=1).stderr
    fresh = desk.as_operator("anna", desk.command("operator", "token", "anna").stdout.strip())
    assert fresh.json("sessions") == []


def test_a_disabled_account_is_out_at_once_and_can_come_back(desk: Desk) -> None:
    anna = desk.add("anna")
    desk.start()
    on_duty = anna.online()
    desk.command("operator", "disable", "anna")
    on_duty.communicate(timeout=5)
    assert on_duty.returncode == 1
    anna.command("sessions", status=1)
    desk.command("operator", "enable", "anna")
    fresh = desk.as_operator("anna", desk.command("operator", "token", "anna").stdout.strip())
    assert fresh.json("sessions") == []
