"""What stays on the operator's computer, and who can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from console.logins import DEFAULT_URL, SavedLogin, SavedLogins
from console.settings import Drafts, Preferences, Shelf
from router.wire import protocol as wire
from tests.console.conftest import frames, seated
from tests.fakes.gateway import FakeGateway


def test_settings_come_back(tmp_path: Path) -> None:
    Shelf(tmp_path).save(Preferences(server="http://x", sound=True, discarded=["1"]))
    assert Shelf(tmp_path).load() == Preferences(server="http://x", sound=True, discarded=["1"])


def test_broken_files_count_as_absent(tmp_path: Path) -> None:
    for name in ("console.json", "tokens.json", "login.json"):
        (tmp_path / name).write_text("{not json")
    assert Shelf(tmp_path).load() == Preferences()
    assert Shelf(tmp_path).token("x") == ""


def test_a_token_is_for_its_user_only(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.save_token("http://x", "t")
    assert stat.S_IMODE((tmp_path / "login.json").stat().st_mode) == 0o600
    assert (shelf.token("http://x"), shelf.token("http://y")) == ("t", "")
    shelf.save_token("http://x", "")
    assert shelf.token("http://x") == ""


def test_each_server_has_its_token_and_the_last_one_is_known(tmp_path: Path) -> None:
    logins = SavedLogins(tmp_path)
    assert logins.last() == SavedLogin()
    logins.keep("http://x", "anna", "tx")
    logins.keep("http://y", "bek", "ty")
    assert [logins.token(url) for url in ("http://x", "http://y")] == ["tx", "ty"]
    assert (logins.last().url, logins.last().name) == ("http://y", "bek")
    logins.keep("http://x", "anna", "new")
    assert [logins.token(url) for url in ("http://x", "http://y")] == ["new", "ty"]
    logins.forget("http://y")
    assert [logins.token(url) for url in ("http://x", "http://y")] == ["new", ""]


def test_what_earlier_versions_saved_still_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    command = tmp_path / "config" / "navbat" / "login.json"
    command.parent.mkdir(parents=True)
    command.write_text('{"token": "of the command"}')  # the default address was left out
    state = Path(os.environ["NAVBAT_STATE"])
    state.mkdir()
    (state / "tokens.json").write_text('{"http://old": "of the console"}')
    logins = SavedLogins()
    assert logins.last().url == DEFAULT_URL
    assert logins.token(DEFAULT_URL) == "of the command"
    assert logins.token("http://old") == "of the console"
    logins.forget("http://old")
    logins.forget(DEFAULT_URL)
    assert logins.token(DEFAULT_URL) == logins.token("http://old") == ""


async def test_drafts_survive_a_restart(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("enter", *"half a", "alt+enter", *"word")
        await seat.press("ctrl+n", *"shy")
        await seat.open("11")
        assert seat.desk.reply.text == ""
        assert "draft: half a" in seat.text()
        await seat.press("ctrl+q")
    async with seated(gateway) as seat:
        await seat.open("10")
        assert seat.desk.reply.text == "half a\nword"
        assert seat.desk.note.text == "shy"
        await seat.press("enter")
        assert (await gateway.expect(wire.Say)).text == "half a\nword"
        await seat.press("ctrl+q")
    async with seated(gateway) as seat:
        await seat.open("10")
        assert seat.desk.reply.text == ""


async def test_what_was_never_confirmed_is_asked_about_by_the_next_console(gateway: FakeGateway) -> None:
    """The console is killed while the desk is away: what was sent, and what was being written. Some of it
    has reached the desk and some has not, and nobody has heard which."""
    gateway.silent |= {wire.Say}
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.reply.focus()
        await seat.press(*"sent", "enter")
        await gateway.expect(wire.Say)
        gateway.deaf = True
        await seat.press("ctrl+n", *"shy", "enter")
        await gateway.expect(wire.MarkRead)
        await seat.press("ctrl+n", *"draft")
        seat.desk.tick()
        kept = seat.app.shelf.drafts(seat.app.url, "anna")
        assert (kept.get("10", "reply"), kept.get("10", "note")) == ("draft", "")
        assert len(kept.unconfirmed()) == 2
        said = [m.text for m in gateway.messages["10"]]
        assert said[-1] == "sent"
    gateway.silent.clear()
    gateway.deaf = False
    async with seated(gateway) as seat:
        await seat.open("10")
        await seat.until(lambda: not seat.app.unsent and not seat.app.picture.echoes)
        assert seat.desk.reply.text == "draft"
        assert [m.text for m in gateway.messages["10"]] == [*said, "shy"]
        assert len({say.id for say in frames(gateway, wire.Say)}) == 1
        seat.desk.tick()
        kept = seat.app.shelf.drafts(seat.app.url, "anna")
        assert (kept.get("10", "reply"), kept.unconfirmed()) == ("draft", [])


async def test_what_is_sent_is_kept_before_it_leaves(gateway: FakeGateway) -> None:
    """Killed in the moment after Enter: what had been saved as a draft must not be one any more."""
    gateway.silent |= {wire.Say}
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.reply.focus()
        await seat.press(*"sent")
        seat.desk.tick()
        await seat.press("enter")
        await gateway.expect(wire.Say)
        kept = seat.app.shelf.drafts(seat.app.url, "anna")
        assert (kept.get("10", "reply"), len(kept.unconfirmed())) == ("", 1)


async def test_what_the_desk_may_have_forgotten_is_a_draft_again(gateway: FakeGateway) -> None:
    gateway.silent |= {wire.Say}
    async with seated(gateway) as seat:
        await seat.open("10")
        seat.desk.reply.focus()
        await seat.press(*"sent", "enter")
        await gateway.expect(wire.Say)
        kept = seat.app.shelf.drafts(seat.app.url, "anna")
        [old] = kept.unconfirmed()
        old.at -= int(wire.REMEMBERED * 1000) + 1
        kept.sent("10", "reply", frames(gateway, wire.Say)[0].id, old)
        kept.save()
        seat.app.drafts = kept
    async with seated(gateway) as seat:
        await seat.until(lambda: "Nobody knows whether" in seat.text())
        await seat.open("10")
        assert seat.desk.reply.text == "sent"
        assert gateway.count(wire.Say) == 1


def test_what_an_earlier_version_kept_is_in_the_composer_again(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"10/reply/abc": "sent", "10/reply": "draft"}')
    kept = Drafts(tmp_path / "d.json")
    assert (kept.get("10", "reply"), kept.unconfirmed()) == ("sent\ndraft", [])


async def test_a_disk_that_cannot_be_written_keeps_nobody_from_the_desk(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("console.settings.write_private", full)
    async with seated(gateway) as seat:
        await seat.press("enter", "a")
        seat.desk.tick()
        seat.desk.tick()
        await seat.until(lambda: seat.text().count("Drafts cannot be saved") == 1)
        await seat.press("enter")
        assert (await gateway.expect(wire.Say)).text == "a"
        await seat.press("f4", "ctrl+q")
    assert seat.app.return_value == 0


async def test_signing_in_by_password_keeps_a_token_and_never_the_password(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.desk.verbs.run("sign_out")
        await seat.until(lambda: seat.app.screen.__class__.__name__ == "LoginScreen")
        await seat.pilot.pause()
        await seat.press(*"wrong", "enter")
        await seat.until(lambda: "password or token is wrong" in seat.text())
        await seat.press("home", *["delete"] * 5, *"secret", "enter")
        await seat.until(lambda: seat.app.desk is not None and seat.app.desk.ready)
        assert seat.app.shelf.token(seat.app.url) == "token-1"
        for path in seat.app.shelf.folder.iterdir():
            assert b"secret" not in path.read_bytes()


def test_two_consoles_of_one_login_keep_each_other_s_drafts(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    one, other = shelf.drafts("s", "anna"), shelf.drafts("s", "anna")
    one.set("10", "reply", "half a sentence")
    assert one.save()
    other.set("11", "reply", "another")
    assert other.save()
    one.set("10", "note", "and a note")
    assert one.save()
    other.set("11", "reply", "")
    assert other.save()
    last = shelf.drafts("s", "anna")
    assert [last.get("10", "reply"), last.get("10", "note"), last.get("11", "reply")] == [
        "half a sentence", "and a note", "",
    ]  # fmt: skip


def test_drafts_outlive_a_damaged_file(tmp_path: Path) -> None:
    drafts = Shelf(tmp_path).drafts("s", "anna")
    drafts.set("10", "reply", "half a sentence")
    assert drafts.save()
    for path in tmp_path.glob("drafts-*.json"):
        path.write_bytes(b"{")
    drafts.set("11", "reply", "another")
    assert drafts.save()
    assert Shelf(tmp_path).drafts("s", "anna").get("10", "reply") == "half a sentence"
