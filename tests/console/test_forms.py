"""Forms for lines' rules and operators' settings, before a real desk: what is written there is in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.screens.dialogs import ShowScreen
from console.screens.fields import FieldsScreen, MembersScreen
from console.screens.rules import LineForm
from console.screens.staff import OperatorForm
from console.screens.versions import VersionsScreen
from crm.lines import versions
from crm.lines.versions import WrittenSettings
from crm.operators import accounts
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from router.desk.events import OperatorChanged
from router.log.log import Log
from router.wire import protocol
from tests.conftest import until
from tests.console.conftest import Seat, seated
from tests.router.desk_in_process import DeskInProcess, running_desk

WRITTEN: dict[str, WrittenSettings] = {
    "sales": {"members": ["anna", "bek"]},
    "support": {"members": ["vali"]},
}
BOOK = Rulebook(Config(), Path("flows"), WRITTEN)


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path, book=BOOK) as desk:
        await versions.take_up_file(desk.store, WRITTEN)
        yield desk


async def in_force(desk: DeskInProcess, line: str = "sales") -> WrittenSettings:
    return (await versions.in_force(desk.store))[line].settings


async def form(seat: Seat, line: str = "sales") -> LineForm:
    """Opens a line's rules by the keys."""
    await seat.press("f7", "enter") if line == "sales" else await seat.press("f7", "down", "enter")
    screen = seat.app.screen
    assert isinstance(screen, LineForm)
    await seat.until(lambda: screen.options.option_count)
    return screen


async def mark(seat: Seat, name: str) -> None:
    screen = seat.app.screen
    assert isinstance(screen, LineForm | OperatorForm)
    screen.options.highlighted = screen.options.get_option_index(name)
    await seat.pilot.pause()


async def save(seat: Seat, screen: LineForm, comment: str = "") -> None:
    await seat.press("s", *comment, "enter")
    await seat.until(lambda: not screen.changes)


async def test_every_kind_of_setting_is_changed_in_its_own_way_and_in_force_at_once(
    desk: DeskInProcess,
) -> None:
    async with seated(desk, token=desk.tokens["root"]) as seat:
        screen = await form(seat)
        await seat.press("enter", "3")  # mode: the third word
        await mark(seat, "members")
        await seat.press("enter")
        assert isinstance(seat.app.screen, MembersScreen)
        await seat.press("down", "less_than_sign", "end", "space", "enter")
        await mark(seat, "answer_within")
        await seat.press("enter", *"2m", "enter")
        await mark(seat, "hours")
        await seat.press("enter")
        assert isinstance(seat.app.screen, FieldsScreen)
        await seat.press(*"09:00-13:00, 14:00-18:00", "down", *"off", "ctrl+s")
        await mark(seat, "notices.farewell")
        await seat.press("enter", *"Bye: see you", "down", "down", *"Poka", "ctrl+s")
        assert "Bye: see you · ru: Poka" in seat.text()
        assert "not saved" in seat.text()
        assert await in_force(desk) == WRITTEN["sales"]
        await save(seat, screen, "spring")
        assert await in_force(desk) == {
            "mode": "all", "members": ["bek", "anna", "vali"], "answer_within": "2m",
            "hours": {"mon": ["09:00-13:00", "14:00-18:00"], "tue": []},
            "notices": {"farewell": {"": "Bye: see you", "ru": "Poka"}},
        }  # fmt: skip
        rules = desk.gateway.picture.configured.lines
        await seat.until(lambda: rules["sales"].mode == "all")
        await seat.until(lambda: "version 2" in seat.text())
        assert "Mon 09:00-13:00, 14:00-18:00 · Tue off" in seat.text()
        await mark(seat, "hours")
        await seat.press("d")
        await save(seat, screen)
        assert "hours" not in await in_force(desk)


async def test_a_supervisor_changes_members_and_shifts_and_nothing_else(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        screen = await form(seat)
        await seat.press("enter")
        assert seat.app.screen is screen
        assert "for administrators" in seat.text()
        await mark(seat, "shifts")
        await seat.press("enter", *"bek", "enter")
        assert isinstance(seat.app.screen, FieldsScreen)
        await seat.press(*"22:00-06:00", "ctrl+s")
        await save(seat, screen)
        assert (await in_force(desk))["shifts"] == {"bek": {"mon": ["22:00-06:00"]}}


async def test_members_whom_nobody_can_log_in_as_are_named(desk: DeskInProcess) -> None:
    await accounts.disable(desk.store, "bek")
    await desk.log.append(OperatorChanged(name="bek", disabled=True))
    await until(lambda: desk.gateway.picture.operators["bek"].disabled)
    root = await desk.login("root")
    changes = {"members": "[anna, bek, ghost]"}
    assert (await root.ask(protocol.SetLine, line="sales", expected=1, changes=changes)).code == ""
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        await form(seat)
        await mark(seat, "members")
        assert "Nobody can log in as: bek, ghost" in seat.text()
        await seat.press("enter")
        assert isinstance(seat.app.screen, MembersScreen)
        rows = [row for row in seat.text().splitlines() if "nobody can log in" in row]
        assert ["bek" in row or "ghost" in row for row in rows] == [True, True]
        await seat.press("end", "escape")
        await mark(seat, "shifts")
        assert "Nobody can log in" not in seat.text()


async def test_somebody_elses_change_meanwhile_loses_neither(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["root"]) as seat:
        screen = await form(seat)
        await seat.press("enter", "2")
        other = await desk.login("root")
        done = await other.ask(protocol.SetLine, line="sales", expected=1, changes={"priority": "5"})
        assert done.params == {"version": "2"}
        await seat.press("s", "enter")
        await seat.until(lambda: "has changed sales meanwhile" in seat.text())
        await seat.until(lambda: "version 2" in seat.text())
        assert screen.changes == {"mode": "strict"}
        await save(seat, screen)
        assert (await in_force(desk)) == {**WRITTEN["sales"], "mode": "strict", "priority": 5}


async def test_what_cannot_be_is_explained_and_stays_in_the_form(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["root"]) as seat:
        screen = await form(seat)
        await mark(seat, "zone")
        await seat.press("enter", *"Mars", "enter", "s", "enter")
        await seat.until(lambda: isinstance(seat.app.screen, ShowScreen))
        assert "there is no time zone 'Mars'" in seat.text()
        await seat.press("escape")
        assert screen.changes == {"zone": "Mars"}
        assert await in_force(desk) == WRITTEN["sales"]
        await seat.press("escape", "1")
        assert seat.app.screen is screen
        await seat.press("escape", "2")
        assert seat.app.screen is not screen


async def test_versions_tell_who_and_what_and_one_comes_back(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["root"]) as seat:
        screen = await form(seat)
        await seat.press("enter", "2")
        await save(seat, screen, "try")
        await seat.press("v")
        shown = seat.app.screen
        assert isinstance(shown, VersionsScreen)
        await seat.until(lambda: shown.options.option_count == 2)
        await seat.until(lambda: "+ strict" in seat.text())
        assert "root (console)  mode  “try”" in seat.text()
        await seat.press("down", "b", "escape")
        assert (await in_force(desk))["mode"] == "strict"
        await seat.press("b", *"no", "enter")
        await seat.until(lambda: seat.app.screen is screen)
        await seat.until(lambda: "version 3" in seat.text())
        assert await in_force(desk) == WRITTEN["sales"]
        newest = await versions.newest(desk.store, "sales")
        assert newest is not None
        assert (newest.source, newest.by, newest.comment) == ("rollback", "root", "no")


async def staff(seat: Seat, row: str) -> OperatorForm:
    await seat.press("f7")
    board = seat.app.screen
    options = board.query_one("OptionList")
    options.highlighted = options.get_option_index(f"operator:{row}")  # type: ignore[attr-defined]
    await seat.press("enter")
    screen = seat.app.screen
    assert isinstance(screen, OperatorForm)
    await seat.until(lambda: screen.settings is not None)
    await seat.pilot.pause()
    return screen


async def test_an_absence_comes_and_goes(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        screen = await staff(seat, "bek")
        await seat.press("a", *"2026-13-02", "ctrl+s")
        await seat.until(lambda: isinstance(seat.app.screen, ShowScreen))
        assert "expected a date" in seat.text()
        await seat.press("escape")
        await seat.press("a", *"2026-03-02", "down", *"2026-03-06", "down", *"leave", "enter")
        await seat.until(lambda: screen.settings is not None and screen.settings.absences)
        await seat.until(lambda: "2026-03-02 … 2026-03-06" in seat.text())
        told = (await accounts.get_account(desk.store, "bek")).absences
        assert [(a.from_, a.to, a.reason) for a in told] == [("2026-03-02", "2026-03-06", "leave")]
        await mark(seat, "absence:0")
        await seat.press("d")
        await seat.until(lambda: screen.settings is not None and not screen.settings.absences)
        await mark(seat, "skills")
        await seat.press("enter")
        assert seat.app.screen is screen


async def test_an_administrator_sets_lines_load_and_skills(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["root"]) as seat:
        screen = await staff(seat, "bek")
        await mark(seat, "skills")
        await seat.press("enter", *"iron, uz", "enter")
        await seat.until(lambda: screen.settings is not None and screen.settings.skills == ["iron", "uz"])
        await mark(seat, "max_sessions")
        await seat.press("enter", "end", *["backspace"] * 4, *"many", "enter")
        assert "whole number" in seat.text()
        await seat.press("enter", "end", *["backspace"] * 4, "3", "enter")
        await seat.until(lambda: screen.settings is not None and screen.settings.max_sessions == 3)
        await mark(seat, "lines")
        await seat.press("enter", "end", "space", "enter")
        await seat.until(lambda: screen.settings is not None and screen.settings.lines == ["support"])


async def test_a_new_line_is_made_by_administrators_only(desk: DeskInProcess) -> None:
    async with seated(desk, token=desk.tokens["boss"]) as seat:
        await seat.press("f7", "a")
        assert "for administrators" in seat.text()
    async with seated(desk, token=desk.tokens["root"]) as seat:
        await seat.press("f7", "a", *"night shift", "enter")
        await seat.until(lambda: isinstance(seat.app.screen, ShowScreen))
        assert "a name is 1 to 32 letters" in seat.text()
        await seat.press("escape", "a", *"night", "enter")
        await seat.until(lambda: isinstance(seat.app.screen, LineForm))
        await seat.until(lambda: "version 1" in seat.text())
        assert await in_force(desk, "night") == {}
        await seat.press("escape")
        await seat.until(lambda: "≡ night" in seat.text())
