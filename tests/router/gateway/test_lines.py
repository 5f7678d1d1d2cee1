"""Lines, operators and the separate rights over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.kernel.errors import Refused
from crm.kernel.records import Absence, Account, Role
from crm.lines import versions
from crm.operators import accounts
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from router.desk.events import LinesConfigured
from router.desk.rules import LineRules
from router.desk.state import Entry, Session
from router.desk.values import BotTurn
from router.gateway import picture as picture_module
from router.gateway.access import Access
from router.gateway.answers import line_changes
from router.gateway.picture import Picture
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Changes, Done, Hint, LineSettings, LineVersions, OperatorSettings, Snapshot
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, running_desk

WRITTEN = {"sales": {"members": ["anna", "bek"]}, "support": {"members": ["vali"]}}
BOOK = Rulebook(Config(), Path("flows"), WRITTEN)


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path, book=BOOK) as desk:
        await versions.take_up_file(desk.store, WRITTEN)
        yield desk


async def settings(client: Client, line: str = "sales") -> LineSettings:
    found = await client.ask(protocol.GetLine, line=line)
    assert isinstance(found, LineSettings), found
    return found


def texts(found: LineSettings) -> dict[str, str]:
    return {view.name: view.text for view in found.settings if view.text}


async def test_a_form_shows_every_setting_and_changes_it_at_once(desk: DeskInProcess) -> None:
    root = await desk.login("root")
    found = await settings(root)
    assert (found.version, found.source, texts(found)) == (1, "file", {"members": "[anna, bek]"})
    by_name = {view.name: view for view in found.settings}
    assert {name.split(".")[0] for name in by_name} == set(LineRules.__struct_fields__)
    assert {"notices.waiting", "sla.resolution"} <= set(by_name)
    assert (by_name["answer_within"].default, by_name["check_duty"].default) == ("1m", "on")
    assert by_name["mode"].allowed == ["even", "strict", "all", "manual", "least_loaded"]
    assert all(view.yours and view.about for view in found.settings)
    changes = {"answer_within": "2m", "mode": "all", "hours.mon": '["09:00-18:00"]'}
    done = await root.ask(protocol.SetLine, line="sales", expected=1, changes=changes, comment="spring")
    assert (done.code, done.params) == ("", {"version": "2"})
    await until(lambda: desk.gateway.picture.configured.lines["sales"].answer_within == 120_000)
    rules = desk.gateway.picture.configured.lines
    assert (rules["sales"].mode, rules["sales"].hours) == ("all", {"mon": ["09:00-18:00"]})
    assert rules["support"].members == ["vali"]
    assert desk.gateway.picture.configured.channels == {"bot": "sales", "help": "support"}
    found = await settings(root)
    assert (found.version, found.by, found.source, found.comment) == (2, "root", "console", "spring")
    audit = await desk.store.find("audit", {"action": "line_changed", "operator": "root"})
    assert [a["params"]["version"] for a in audit] == ["2"]


async def test_of_two_changes_that_are_impossible_together_one_is_taken_back(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either was kept: sales overflows into support, and support into sales."""
    put = versions.put

    async def change(line: str, other: str) -> versions.LineVersion:
        settings = {**WRITTEN[line], "overflow": [{"after": "1m", "line": other}]}
        return await line_changes.change(
            desk.store, BOOK, line, settings, expected=1, by="root", source="console"
        )

    async def put_after_the_other(store: Any, line: str, *args: Any, **fields: Any) -> versions.LineVersion:
        monkeypatch.setattr(versions, "put", put)
        await change("support", "sales")
        return await put(store, line, *args, **fields)

    monkeypatch.setattr(versions, "put", put_after_the_other)
    with pytest.raises(Refused, match="bad_settings"):
        await change("sales", "support")
    there = await versions.in_force(desk.store)
    assert there["sales"].settings == WRITTEN["sales"]
    assert (there["sales"].version, there["sales"].source) == (3, "rollback")
    assert there["support"].settings["overflow"] == [{"after": "1m", "line": "sales"}]
    assert await line_changes.publish(desk.store, desk.log, BOOK)


async def test_the_same_change_twice_is_done_once_and_an_old_one_is_refused(desk: DeskInProcess) -> None:
    root = await desk.login("root")
    for _ in range(2):
        done = await root.ask(protocol.SetLine, line="sales", expected=1, changes={"mode": "all"})
        assert (done.code, done.params) == ("", {"version": "2"})
    late = await root.ask(protocol.SetLine, line="sales", expected=1, changes={"mode": "strict"})
    assert (late.code, late.params["version"], late.params["by"]) == ("line_changed", "2", "root")


async def test_versions_tell_what_changed_and_can_be_put_back(desk: DeskInProcess) -> None:
    root = await desk.login("root")
    await root.ask(protocol.SetLine, line="sales", expected=1, changes={"mode": "all"})
    done = await root.ask(protocol.RollbackLine, line="sales", expected=2, to=1)
    assert done.params == {"version": "3"}
    found = await root.ask(protocol.GetLineVersions, line="sales")
    assert isinstance(found, LineVersions)
    assert [(v.version, v.source, v.changed) for v in found.versions] == [
        (3, "rollback", {"mode": ("all", "")}),
        (2, "console", {"mode": ("", "all")}),
        (1, "file", {"members": ("", "[anna, bek]")}),
    ]
    assert found.versions[0].comment == "back to version 1"
    none = await root.ask(protocol.RollbackLine, line="sales", expected=3, to=9)
    assert none.code == "no_such_version"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answer_within": "2"}, "sales.answer_within: a duration needs a unit"),
        ({"answer_withn": "2m"}, "did you mean answer_within"),
        ({"members": "[a, [b]"}, "members: not YAML"),
        ({"members": "&a [*a]"}, "anchors"),
        ({"overflow": "[{after: 1m, line: sales}]"}, "circle"),
        ({"notices": "!!python/object:os.system {}"}, "not YAML"),
        ({"mode": "x" * 30_000}, "longer than"),
        ({"hours": "{monday: ['09:00-18:00']}"}, "unknown weekday monday"),
        ({"days": "{2026-02-30: []}"}, "expected a date"),
    ],
)
async def test_settings_that_cannot_be(desk: DeskInProcess, changes: dict[str, str], problem: str) -> None:
    root = await desk.login("root")
    done = await root.ask(protocol.SetLine, line="sales", expected=1, changes=changes)
    assert done.code == "bad_settings"
    assert problem in done.params["problems"]
    assert (await settings(root)).version == 1


async def test_a_new_line_and_one_in_which_nothing_is_known(desk: DeskInProcess) -> None:
    root = await desk.login("root")
    made = await root.ask(protocol.SetLine, line="night", expected=0, changes={"members": "[anna]"})
    assert made.params == {"version": "1"}
    await root.until(lambda f: isinstance(f, Snapshot) and any(line.name == "night" for line in f.lines))
    none = await root.ask(protocol.SetLine, line="nowhere", expected=3, changes={})
    assert none.code == "no_such_line"
    odd = await root.ask(protocol.SetLine, line="a/b", expected=0, changes={})
    assert (odd.code, "32 letters" in odd.params["problems"]) == ("bad_settings", True)


async def test_supervisors_change_members_shifts_and_absences_and_nothing_else(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    found = await settings(boss)
    assert [view.name for view in found.settings if view.yours] == ["members", "shifts"]
    changes = {"members": "[bek]", "shifts.bek.mon": '["09:00-13:00"]'}
    assert (await boss.ask(protocol.SetLine, line="sales", expected=1, changes=changes)).code == ""
    for refused, line in (
        (
            await boss.ask(protocol.SetLine, line="sales", expected=2, changes={"mode": "all"}),
            {"line": "sales"},
        ),
        (await boss.ask(protocol.SetLine, line="new", expected=0, changes={}), {}),
        (await boss.ask(protocol.SetOperator, operator="bek", skills=["iron"]), {}),
    ):
        assert (refused.code, refused.params) == ("no_right", {"right": "administer", **line})
    away = [Absence(from_="2026-03-05", to="2026-03-07", reason="rest")]
    assert (await boss.ask(protocol.SetOperator, operator="bek", absences=away)).code == ""
    shown = await boss.ask(protocol.GetOperator, operator="bek")
    assert isinstance(shown, OperatorSettings)
    assert (shown.absences, shown.may) == (away, ["absences"])
    assert (await boss.ask(protocol.GetOperator, operator="root")).code == "no_right"


async def test_a_supervisor_of_one_line_does_not_change_another(desk: DeskInProcess) -> None:
    await desk.account("lead", "supervisor", lines=["support"])
    lead = await desk.login("lead")
    for refused in (
        await lead.ask(protocol.GetLine, line="sales"),
        await lead.ask(protocol.SetLine, line="sales", expected=1, changes={"members": "[]"}),
        await lead.ask(protocol.RollbackLine, line="sales", expected=1, to=1),
        await lead.ask(protocol.SetOperator, operator="anna", absences=[]),
    ):
        assert refused.code == "no_right"
    # Who puts somebody into his own line leads him from then on.
    assert (await lead.ask(protocol.SetOperator, operator="vali", absences=[])).code == ""


async def test_what_an_operator_can_and_may_is_known_to_the_desk_at_once(desk: DeskInProcess) -> None:
    root, anna = await desk.login("root"), await desk.login("anna")
    assert (await anna.ask(protocol.Whisper, session="1", text="x")).code == "no_such_session"
    await desk.duty("bek")
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions.get("1"))
    assert (await anna.ask(protocol.Whisper, session="1", text="x")).params == {
        "right": "whisper",
        "line": "sales",
    }
    more = {"skills": ["iron"], "languages": ["uz"], "max_sessions": 3, "rights": {"sales": ["whisper"]}}
    assert (await root.ask(protocol.SetOperator, operator="anna", **more)).code == ""
    await until(lambda: desk.gateway.picture.operators["anna"].max_sessions == 3)
    state = desk.gateway.picture.operators["anna"]
    assert (state.skills, state.languages) == (["iron"], ["uz"])
    assert (await anna.ask(protocol.Whisper, session="1", text="x")).code == ""
    assert (await anna.ask(protocol.TakeOver, session="1")).params == {"right": "take_over", "line": "sales"}
    wrong = await root.ask(
        protocol.SetOperator, operator="anna", absences=[Absence(from_="soon", to="later")]
    )
    assert wrong.code == "bad_settings"
    assert (await root.ask(protocol.SetOperator, operator="anna", lines=["nowhere"])).code == "no_such_line"
    assert (await root.ask(protocol.SetOperator, operator="anna", by_role=True)).code == ""
    await until(lambda: desk.gateway.picture.operators["anna"].rights is None)


async def test_a_version_that_was_kept_and_not_told_is_told_by_the_next(desk: DeskInProcess) -> None:
    await versions.put(
        desk.store, "sales", {"members": ["bek"]}, expected=1, by="boss", source="cli"
    )  # and here the process ended
    root = await desk.login("root")
    done = await root.ask(protocol.SetLine, line="support", expected=1, changes={"mode": "all"})
    assert done.code == ""
    await until(lambda: desk.gateway.picture.configured.lines["sales"].members == ["bek"])


async def test_a_desk_that_has_never_been_told_is_not_told_half(log: Log, tmp_path: Path) -> None:
    from storage.sqlite import SqliteStore

    store = SqliteStore(tmp_path / "s.sqlite")
    await store.open()
    await versions.take_up_file(store, WRITTEN)
    assert not await line_changes.publish(store, log, BOOK)
    assert await log.behind() == 0
    await store.close()


# ------------------------------------------------------------------ silent readers


async def test_a_silent_reader_is_seen_by_those_who_may_be_one_only(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna, boss, root = await desk.login("anna"), await desk.login("boss"), await desk.login("root")
    await desk.write("ali", "hi")
    await anna.until(lambda f: isinstance(f, Changes) and f.messages)
    await anna.ask(protocol.Open, session="1")
    await root.ask(protocol.Open, session="1")
    assert (await boss.ask(protocol.Join, session="1", silent=True)).code == ""
    shown = await root.until(lambda f: isinstance(f, Changes) and any(s.silent for s in f.sessions))
    assert [s.silent for s in shown.sessions] == [["boss"]]
    await desk.write("ali", "still there?")
    await boss.until(lambda f: isinstance(f, Changes) and any(m.text == "still there?" for m in f.messages))
    await boss.ask(protocol.Open, session="1")
    await boss.ask(protocol.Join, session="1", silent=True, on=False)
    await root.until(
        lambda f: isinstance(f, Changes) and any(s.id == "1" and not s.silent for s in f.sessions)
    )
    again = await desk.login("anna")
    assert isinstance(await again.until(Snapshot), Snapshot)
    await desk.write("ali", "end")
    await anna.until(lambda f: isinstance(f, Changes) and any(m.text == "end" for m in f.messages))
    heard = b"".join(protocol.encode_frame(f) for f in (*anna.frames, *again.frames))
    assert b"boss" not in heard.replace(b'"name":"boss"', b"")
    assert b"silent" not in heard
    assert not [f for f in anna.frames if isinstance(f, Hint) and f.who == "boss"]
    only_secret = [
        f for f in anna.frames
        if isinstance(f, Changes) and f.sessions and not f.messages and f.sessions[0].seq == 1
    ]  # fmt: skip
    assert only_secret == [], "the coming of a silent reader is no news to her"


# ------------------------------------------------------------------ who may what

LINES = {"sales": LineRules(members=["anna"], bot="robot"), "support": LineRules(members=["bek"])}


def access(role: Role = "operator", name: str = "anna", **more: object) -> Access:
    return Access(msgspec.convert({"name": name, "role": role, **more}, Account), LINES)


@pytest.mark.parametrize("right", ["join_open", "join_silent", "whisper", "take_over"])
def test_separate_rights_are_those_of_the_role_unless_the_account_says(right: str) -> None:
    assert not access().may(right, "sales")
    assert not access().may(right, "sales", holder="anna")
    assert access("supervisor").may(right, "sales")
    assert access("admin").may(right, "support")
    assert not access("supervisor", lines=["support"]).may(right, "sales")
    assert access(rights={"sales": [right]}).may(right, "sales")
    assert not access(rights={"sales": [right]}).may(right, "support")
    assert access(rights={"*": [right]}).may(right, "sales")
    assert not access("supervisor", rights={}).may(right, "sales")
    assert not access("admin", disabled=True).may(right, "sales")


def test_who_may_only_read_does_not_write() -> None:
    reader = access(rights={"sales": ["read_only"]})
    assert reader.may("read", "sales")
    assert not reader.may("work", "sales", holder="anna")


def test_a_bot_works_in_the_lines_that_name_it() -> None:
    robot = access("bot", "robot")
    assert robot.lines == {"sales"}
    assert robot.may("work", "sales")
    assert not robot.may("lead", "sales")
    assert access("operator", "robot").lines == frozenset()


def test_welcome_names_the_rights_by_line() -> None:
    assert access(rights={"sales": ["whisper"]}).by_line() == {
        "read": ["sales"],
        "work": ["sales"],
        "whisper": ["sales"],
    }


async def test_a_score_may_come_after_the_close(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna, boss = await desk.login("anna"), await desk.login("boss")
    await desk.write("ali", "hi")
    await anna.until(lambda f: isinstance(f, Changes) and f.messages)
    assert (await anna.ask(protocol.Score, session="1", score=5)).params == {"right": "lead", "line": "sales"}
    assert (await anna.ask(protocol.Close, session="1")).code == ""
    await until(lambda: "1" not in desk.gateway.picture.sessions)
    done: Done = await boss.ask(protocol.Score, session="1", score=4, comment="good")
    while done.code == "no_such_session":  # the history is on its way
        done = await boss.ask(protocol.Score, session="1", score=4, comment="good")
    assert done.code == ""
    assert (await boss.ask(protocol.Score, session="1", score=9)).code == "bad_score"


async def test_spam_is_listed_and_can_be_let_in_again(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "buy now")
    await anna.until(lambda f: isinstance(f, Changes) and f.messages)
    assert (await anna.ask(protocol.Spam, session="1")).code == ""
    await desk.write("ali", "buy more")
    listed = await anna.ask(protocol.GetSessions, status="spam")
    assert [s.id for s in listed.sessions] == ["1"]
    assert (await anna.ask(protocol.Spam, session="1", on=False)).code == ""
    await until(lambda: "1" not in desk.gateway.picture.sessions)


async def test_accounts_keep_what_they_can_and_may(desk: DeskInProcess) -> None:
    account = await accounts.get_account(desk.store, "anna")
    account.rights = {"sa.les": ["whisper"], "*": []}
    account.skills = ["iron"]
    await accounts.set_settings(desk.store, account, ["rights", "skills"], by="root")
    assert await accounts.get_account(desk.store, "anna") == account
    account.rights, account.skills = None, []
    await accounts.set_settings(desk.store, account, ["rights", "skills"], by="root")
    assert await accounts.get_account(desk.store, "anna") == account


def test_a_line_says_whether_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monday = 1_772_442_000_000  # 2026-03-02 09:00 UTC
    now = monday
    monkeypatch.setattr(picture_module, "now_ms", lambda: now)
    picture = Picture()
    rules = LineRules(hours={"mon": ["09:00-18:00"]}, results=["sold"], bot="robot")
    picture.configured = LinesConfigured(lines={"sales": rules, "support": LineRules()}, channels={})
    view = picture.line_view("sales")
    assert (view.open, view.results, view.bot) == (True, ["sold"], "robot")
    assert picture.turned() == []
    now = monday - 1
    assert picture.turned() == ["sales"]
    assert not picture.line_view("sales").open
    assert picture.line_view("support").open
    picture.configured = LinesConfigured(lines={"sales": LineRules()}, channels={})
    assert picture.line_view("sales").open


def test_an_external_bot_sees_what_it_has() -> None:
    session = Session(
        id="1", chat="tg:1", channel="tg", kind="telegram", line="sales", customer="c", status="bot",
        bot_turn=BotTurn(name="robot"), rev=1,
    )  # fmt: skip
    picture = Picture()
    picture.configured = LinesConfigured(lines=LINES, channels={})
    picture.apply(Entry(at=1, sessions=[session]))
    assert [s.id for s in picture.listed(access("bot", "robot"))] == ["1"]
    assert picture.listed(access()) == [], "nobody waits while the bot has it"
