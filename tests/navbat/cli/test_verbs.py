"""Everything that the console does can be done at the command line, with JSON for scripts."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from console.actions import ACTIONS
from navbat.cli import grammar, program
from navbat.cli.arguments import LANGUAGES, STATUSES
from navbat.cli.reference import _subparsers
from navbat.cli.verbs import VERBS
from router.desk.state import Status
from router.wire import protocol
from tests.navbat.process import Desk, Operator, wait_for

BY_ACTION = {
    "open": "history", "reply": "say", "send": "say", "take": "take", "skip": "skip", "retry": "resend",
    "note": "note", "next": "next", "transfer": "transfer", "close": "close", "give_back": "return",
    "pin": "pin", "take_over": "take-over", "join": "join", "listen": "listen", "whisper": "whisper",
    "snooze": "snooze", "priority": "priority", "tag": "tag", "score": "score", "spam": "spam", "why": "why",
    "attach": "say --file", "open_file": "file", "versions": "history --json", "edit": "edit",
    "quote": "say --reply-to", "search": "search --session", "search_all": "search", "card": "customer show",
    "duty": "duty", "lines": "line list", "sign_out": "logout", "person": "customer show", "crm": "crm list",
    "tasks": "crm list", "figures": "stats",
}  # fmt: skip
"""Action of the console -> the command that does it."""
SCREEN_ONLY = {
    "to_waiting", "state", "hint", "undo", "newline", "leave", "discard", "switch_note", "cancel_files", "copy", "hide_list", "hide_card",
    "language", "theme", "sound", "enter_sends", "reconnect", "palette", "help", "quit",
}  # fmt: skip
"""What is about the screen and its operator's own settings, and leaves nothing at the desk."""


def leaf(words: str) -> Any:
    parser = grammar.parser()
    for word in words.split():
        if not word.startswith("--"):
            parser = dict(_subparsers(parser))[word]
    return parser


def test_every_action_of_the_console_is_a_command() -> None:
    known = {action.id for action in ACTIONS}
    assert set(BY_ACTION) | SCREEN_ONLY >= known
    assert not set(BY_ACTION) & SCREEN_ONLY
    for words in BY_ACTION.values():
        parser = leaf(words)
        flags = [flag for action in parser._actions for flag in action.option_strings]
        assert all(word in flags for word in words.split() if word.startswith("--")), words


def test_the_verbs_of_a_session_are_those_that_are_promised() -> None:
    promised = (
        "take skip return say note transfer close pin unpin take-over join listen leave whisper snooze "
        "priority tag score spam unspam"
    )
    assert set(promised.split()) <= set(VERBS)
    frames = {verb.frame for verb in VERBS.values()} | {"Start", "SetDuty"}
    sessions = {kind.__name__ for kind in protocol.SessionCommandFrame.__subclasses__()}
    assert sessions <= frames


def test_every_command_that_speaks_with_the_desk_or_changes_something_has_json() -> None:
    without = {"run", "check", "console", "demo", "completion", "flow check", "flow try"}
    for name, parser in _subparsers(grammar.parser()):
        for action, inner in list(_subparsers(parser)) or [("", parser)]:
            full = f"{name} {action}".strip()
            flags = [flag for a in inner._actions for flag in a.option_strings]
            if full not in without and not full.startswith(("quarantine", "repair", "doctor", "init")):
                assert "--json" in flags, full


def test_what_is_known_without_the_desk_is_what_the_desk_knows() -> None:
    assert set(STATUSES) == set(get_args(Status))
    assert {"uz", "ru", "en", "no", "kk", "tg"} <= LANGUAGES


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("take-over", "unspam", "completion", "--reply-to", "waiting", "supervisor"):
        assert word in script


# ------------------------------------------------------------------ with a desk


@pytest.fixture
def running(desk: Desk) -> Desk:
    desk.start()
    return desk


def offered(desk: Desk, who: Operator, chat: str = "c1") -> str:
    desk.write(chat, "1", "narxi qancha?")
    found = wait_for(
        lambda: [s for s in who.json("sessions") if s["chat"] == f"lo:{chat}" and s["holder"] == who.name]
    )
    return str(found[0]["id"])


def session(who: Operator, id: str) -> dict[str, Any]:
    return next(s for s in who.json("sessions") if s["id"] == id)


def test_a_supervisors_day(running: Desk) -> None:
    anna, boss = running.add("anna"), running.add("boss", "--role", "supervisor")
    anna.online()
    id = offered(running, anna)
    done = anna.json("take", id)
    assert done == {"outcome": "done", "session": id, "message": None}
    said = anna.json("say", id, "120 ming")["message"]
    wait_for(running.sent)
    assert anna.json("read", id)["outcome"] == "done"
    assert boss.json("listen", id)["session"] == id
    assert boss.json("whisper", id, "be kind")["message"].startswith(f"{id}-")
    boss.json("leave", id)
    boss.json("join", id)
    boss.json("leave", id)
    anna.json("tag", id, "Toʻlov", "late delivery")
    anna.json("tag", id, "late delivery", "--off")
    anna.json("priority", id, "-5")
    anna.json("snooze", id, "--until", "2h")
    anna.json("snooze", id)
    anna.json("pin", id)
    anna.json("unpin", id)
    now = session(anna, id)
    assert (now["tags"], now["priority"]) == (["Toʻlov"], -5)
    assert [s["id"] for s in anna.json("sessions", "--tag", "TO'LOV")] == [id]
    assert anna.json("sessions", "--tag", "late delivery") == []
    quoted = anna.json("say", id, "see above", "--reply-to", f"{id}-1")["message"]
    shown = {m["id"]: m for m in anna.json("history", id)}
    assert shown[quoted]["reply_to"]
    found = wait_for(lambda: boss.json("search", "ming"))
    assert [m["id"] for m in found] == [said]
    assert boss.json("search", "ming", "--session", "999") == []
    assert said in boss.command("search", "120 ming").stdout
    boss.json("take-over", id)
    assert session(boss, id)["holder"] == "boss"
    customer = boss.json("customer", "show", session(boss, id)["customer"])
    assert (customer["name"], [s["id"] for s in customer["sessions"]]) == ("Ali", [id])
    boss.json("spam", id)
    wait_for(lambda: [s for s in boss.json("sessions", "--status", "spam") if s["id"] == id])
    boss.json("unspam", id)
    wait_for(lambda: [s for s in boss.json("sessions", "--status", "closed") if s["id"] == id])
    assert [s["id"] for s in boss.json("sessions", "--tag", "to‘lov", "--status", "closed")] == [id]
    assert boss.json("score", id, "4", "--comment", "calm")["outcome"] == "done"
    opened = boss.json("start", "lo:c1", "--line", "support", "--text", "how was it?")
    assert opened["session"] != id
    assert wait_for(lambda: [m for m in running.sent() if m["text"] == "how was it?"])


def test_what_is_owed_first_and_files(running: Desk) -> None:
    anna = running.add("anna")
    assert "promise" in anna.command("next", status=1).stderr
    anna.online()
    id = offered(running, anna)
    owed = anna.json("next")
    assert (owed["session"]["id"], owed["session"]["status"]) == (id, "offered")
    (running.folder / "narx.txt").write_text("1 2 3")
    said = anna.json("say", id, "here", "--file", "narx.txt")["message"]
    (running.folder / "in").mkdir()
    got = anna.json("file", said, "--output", "in")
    assert (running.folder / got["path"]).read_text() == "1 2 3"
    again = anna.command("file", said, "--output", "in", status=1)
    assert "exists" in again.stderr
    assert "has 1 files" in anna.command("file", said, "--number", "2", status=1).stderr


def test_a_refusal_is_json_too_and_says_what_is_wrong(running: Desk) -> None:
    anna, guest = running.add("anna"), running.add("guest", "--lines", "support")
    anna.online()
    id = offered(running, anna)
    refused = guest.command("take", id, "--json", status=1)
    shown = json.loads(refused.stdout)
    assert (shown["outcome"], shown["code"]) == ("refused", "no_right")
    assert "You have no right to work in the line sales" in refused.stderr
    anna.json("close", id)
    closed = wait_for(
        lambda: "closed" in (found := anna.command("say", id, "x", "--json", status=1)).stderr and found
    )
    assert json.loads(closed.stdout)["code"] == "closed"
    assert "no such conversation" in anna.command("take", "4711", status=1).stderr
    nobody = running.command("sessions", status=1)
    assert "not logged in" in nobody.stderr
    assert "navbat login" in nobody.stderr


def test_unknown_words_are_wrong_use_and_the_known_ones_are_listed(running: Desk) -> None:
    anna = running.add("anna", "--lines", "support")
    for words, said in (
        (("sessions", "--line", "saels"), "unknown line saels; did you mean sales? Allowed: sales, support"),
        (("sessions", "--status", "cloed"), "did you mean closed?"),
        (("sessions", "--limit", "0"), "whole number from 1"),
        (("sessions", "--limit", "-3"), "whole number from 1"),
        (("search", "x", "--limit", "0"), "whole number from 1"),
        (("start", "lo:c1", "--line", "x"), "Allowed: sales, support"),
        (("score", "1", "6"), "from 1 to 5"),
        (("priority", "1", "9999999"), "from -1000000 to 1000000"),
        (("snooze", "1", "--until", "yesterday"), "no time to come"),
        (("snooze", "1", "--until", "9999-12-31 23:59"), ""),
        (("edit", "1", "x"), "no message's id"),
        (("resend", "x-y"), "no message's id"),
        (("read", "1", "--seq", "0"), "whole number from 1"),
    ):
        status = 2 if said else 1
        wrong = anna.command(*words, status=status)
        assert said in wrong.stderr, wrong.stderr
        assert wrong.stdout == ""
    for words, said in (
        (("add", "bek", "--lines", "saels"), "unknown line saels; did you mean sales?"),
        (("set", "anna", "--lines", "x"), "Allowed: sales, support"),
        (("set", "anna", "--languages", "uzb"), "unknown language uzb; did you mean uz?"),
        (("set", "anna", "--max-sessions", "-3"), "whole number from 0"),
        (("set", "anna", "--rights", "sales:fly"), "unknown right fly"),
    ):
        assert said in running.command("operator", *words, status=2).stderr


def test_accounts_and_lines_answer_scripts(desk: Desk) -> None:
    made = json.loads(desk.command("operator", "add", "anna", "--token", "--json").stdout)
    assert (made["outcome"], made["name"], made["token"][:3]) == ("done", "anna", "nb_")
    token = json.loads(desk.command("operator", "token", "anna", "--json").stdout)
    assert len(token["tokens"]) == 2
    changed = desk.command(
        "operator", "set", "anna", "--languages", "uz,ru", "--max-sessions", "3", "--json"
    ).stdout
    assert (json.loads(changed)["languages"], json.loads(changed)["max_sessions"]) == (["uz", "ru"], 3)
    taken = desk.command("operator", "add", "anna", "--json", status=1)
    assert json.loads(taken.stdout)["outcome"] == "failed"
    version = json.loads(desk.command("line", "set", "sales", "answer_within=2m", "--json").stdout)
    assert (version["outcome"], version["version"], version["settings"]["answer_within"]) == ("done", 2, "2m")
    diff = json.loads(desk.command("line", "diff", "sales", "1", "--json").stdout)
    assert diff == {"answer_within": {"before": "1m", "after": "2m"}}
