"""``navbat line`` and ``navbat operator set``, with and without a running desk."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.navbat.process import CONFIG, Desk, wait_for


def shown(desk: Desk, line: str = "sales") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk.command("line", "show", line, "--json").stdout)
    return found


def test_showing_setting_and_going_back(desk: Desk) -> None:
    assert shown(desk)["version"] == 1
    set_ = ("line", "set", "sales", "answer_within=2m", "members=[anna, bek]", "hours.mon=09:00-18:00")
    assert "version 2" in desk.command(*set_, "--comment", "spring").stderr
    now = shown(desk)
    assert (now["version"], now["source"], now["comment"]) == (2, "cli", "spring")
    assert now["by"].startswith("cli:")
    assert now["settings"] == {
        "mode": "even",
        "members": ["anna", "bek"],
        "answer_within": "2m",
        "hours": {"mon": "09:00-18:00"},
    }
    assert "answer_within: 2m\n" in desk.command("line", "show", "sales").stdout
    desk.command("line", "set", "sales", "answer_within=", "hours.mon=")
    assert set(shown(desk)["settings"]) == {"mode", "members"}
    desk.command("line", "rollback", "sales", "2")
    back = shown(desk)
    assert (back["version"], back["source"], back["settings"]) == (4, "rollback", now["settings"])
    versions = json.loads(desk.command("line", "versions", "sales", "--json").stdout)
    assert [v["version"] for v in versions] == [4, 3, 2, 1]
    diff = desk.command("line", "diff", "sales", "1", "4").stdout
    assert "-answer_within: 1m\n+answer_within: 2m\n" in diff
    assert "+hours: {mon: '09:00-18:00'}" in diff or "+hours: {mon: 09:00-18:00}" in diff
    assert "sales" in desk.command("line", "list").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "sales", "answer_withn=2m"), "did you mean answer_within"),
        (("set", "sales", "answer_within=2"), "a duration needs a unit"),
        (("set", "sales", "mode=best"), "sales.mode: unknown value best"),
        (("set", "sales", "members=[anna"), "not YAML"),
        (("set", "sales", "members=[&a anna, *a]"), "anchors"),
        (("set", "sales", "hours.mon=9-18"), "hours.mon"),
        (("set", "sales", "overflow=[{after: 1m, line: nowhere}]"), "unknown line nowhere"),
        (("set", "sales", "mode"), "key=value"),
        (("set", "nowhere", "mode=all"), "there is no line nowhere"),
        (("show", "nowhere"), "there is no line nowhere"),
        (("rollback", "sales", "9"), "line sales has no version 9"),
        (("set", "sales", "mode=all", "--expected", "7"), "version 1"),
        (("add", "sales"), "there is a line sales already"),
        (("add", "a b", "mode=all"), "a name is 1 to 32"),
        (("remove", "sales"), "stands in the configuration"),
    ],
)
def test_refusals_change_nothing(desk: Desk, words: tuple[str, ...], said: str) -> None:
    refused = desk.command("line", *words, status=1)
    assert said in refused.stderr
    assert refused.stdout == ""
    assert shown(desk)["version"] == 1


def test_what_a_console_writes_reads_no_environment(desk: Desk) -> None:
    desk.command("line", "set", "sales", "notices.farewell='${HOME} ${file:/etc/passwd}'")
    assert shown(desk)["settings"]["notices"] == {"farewell": "${HOME} ${file:/etc/passwd}"}


def test_a_change_is_in_force_at_once_and_after_a_restart(desk: Desk) -> None:
    anna, bek = desk.add("anna"), desk.add("bek")
    desk.start()
    bek.online()
    desk.write("c1", "1", "hello")
    [session] = anna.until_sessions(1)
    assert session["status"] == "waiting"
    said = desk.command("line", "set", "sales", "members=[bek]").stderr
    assert "not running" not in said
    wait_for(lambda: bek.json("sessions")[0]["holder"] == "bek")
    desk.stop()
    desk.start()
    assert shown(desk)["settings"]["members"] == ["bek"]
    assert desk.process is not None
    wait_for(lambda: [s["line"] for s in bek.json("sessions")] == ["sales"])
    desk.stop()
    desk.file.write_text(CONFIG.replace("members: [anna]", "members: [anna, bek]"), encoding="utf-8")
    desk.start()
    now = shown(desk)
    assert (now["version"], now["source"], now["settings"]["members"]) == (3, "file", ["anna", "bek"])


def test_a_new_member_whom_nobody_can_be_is_named(desk: Desk) -> None:
    desk.add("bek")
    desk.add("vali")
    desk.command("operator", "disable", "vali")
    said = desk.command("line", "set", "sales", "members=[anna, bek, zed, vali]").stderr
    assert "sales.members: zed has no account; `navbat operator add zed` makes one\n" in said
    assert "sales.members: the account vali is disabled\n" in said
    assert "anna has" not in said  # as before
    assert "bek" not in said
    assert shown(desk)["settings"]["members"] == ["anna", "bek", "zed", "vali"]
    assert "zed" not in desk.command("line", "set", "sales", "members=[anna, bek, zed]").stderr
    assert "dora has no account" in desk.command("line", "add", "night", "members=[dora]").stderr


def test_a_line_added_while_running_lives_on_and_can_be_removed(desk: Desk) -> None:
    desk.start()
    desk.command("line", "add", "night", "mode=all", "members=[anna]")
    boss = desk.add("boss", "--role", "admin")
    names = wait_for(lambda: {line["name"] for line in boss.json("status")["lines"]} >= {"night"})
    assert names
    desk.stop()
    desk.start()
    assert shown(desk, "night")["settings"] == {"mode": "all", "members": ["anna"]}
    desk.command("line", "remove", "night")
    desk.command("line", "show", "night", status=1)
    wait_for(lambda: "night" not in {line["name"] for line in boss.json("status")["lines"]})


def test_settings_from_a_file(desk: Desk) -> None:
    file = desk.folder / "sales.yaml"
    file.write_text("mode: strict\nmembers: [bek]\nhours: {mon: ['09:00-18:00']}\n", encoding="utf-8")
    desk.command("line", "edit-from", "sales", str(file))
    assert shown(desk)["settings"] == {
        "mode": "strict",
        "members": ["bek"],
        "hours": {"mon": ["09:00-18:00"]},
    }
    file.write_text("just words", encoding="utf-8")
    assert "expected a mapping" in desk.command("line", "edit-from", "sales", str(file), status=1).stderr


def test_shifts_and_absences(desk: Desk) -> None:
    desk.add("anna")
    desk.command("line", "shift", "sales", "an.na", "mon=09:00-13:00", "tue=off")
    assert shown(desk)["settings"]["shifts"] == {"an.na": {"mon": "09:00-13:00", "tue": False}}
    desk.command("line", "shift", "sales", "an.na", "--none")
    assert shown(desk)["settings"]["shifts"] == {}
    desk.command("line", "absence", "anna", "add", "2026-03-05", "2026-03-07", "--reason", "holiday")
    assert operator(desk)["absences"] == [{"from": "2026-03-05", "to": "2026-03-07", "reason": "holiday"}]
    wrong = desk.command("line", "absence", "anna", "add", "2026-03-09", "2026-03-07", status=1)
    assert "lies before from" in wrong.stderr
    desk.command("line", "absence", "anna", "remove", "2026-03-05", "2026-03-07")
    assert operator(desk)["absences"] == []


def operator(desk: Desk) -> dict[str, Any]:
    [found] = json.loads(desk.command("operator", "list", "--json").stdout)
    result: dict[str, Any] = found
    return result


def test_what_an_operator_can_and_may(desk: Desk) -> None:
    desk.add("anna")
    more = ("--skills", "iron, uz", "--languages", "uz,ru", "--max-sessions", "3", "--lines", "support")
    rights = ("--rights", "sales:join_open,whisper", "--rights", "join_silent")
    desk.command("operator", "set", "anna", *more, *rights, "--absence", "2026-03-05..2026-03-07:rest: home")
    anna = operator(desk)
    assert (anna["skills"], anna["languages"], anna["max_sessions"]) == (["iron", "uz"], ["uz", "ru"], 3)
    assert anna["lines"] == ["sales", "support"]
    assert anna["absences"] == [{"from": "2026-03-05", "to": "2026-03-07", "reason": "rest: home"}]
    assert anna["rights"] == {"sales": ["join_open", "whisper"], "*": ["join_silent"]}
    desk.command("operator", "set", "anna", "--skills", "", "--rights", "role", "--no-absence")
    anna = operator(desk)
    assert (anna["skills"], anna["rights"], anna["absences"]) == ([], None, [])
    assert anna["languages"] == ["uz", "ru"]
    for words, status, said in (
        ((), 1, "nothing to set"),
        (("--absence", "soon"), 1, "expected a date"),
        (("--rights", "sales:fly"), 2, "unknown right fly"),
        (("--rights", "saels:whisper"), 2, "unknown line saels; did you mean sales?"),
        (("--max-sessions", "-1"), 2, "--max-sessions: expected a whole number from 0"),
    ):
        assert said in desk.command("operator", "set", "anna", *words, status=status).stderr


def test_members_in_the_file_that_names_the_environment(make_desk: Callable[..., Desk]) -> None:
    config = CONFIG.replace("members: [anna]", 'members: ["${WHO}"]')
    desk = make_desk(config)
    found = desk.command("line", "show", "sales", "--json", env={"WHO": "olga"}).stdout
    assert json.loads(found)["settings"]["members"] == ["olga"]
