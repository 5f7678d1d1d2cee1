"""An administrator of some lines administers those, and never more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.lines import versions
from crm.operators import accounts
from router.desk import events
from router.gateway.follow import follow, start_of
from router.log.log import Log
from router.wire import protocol
from tests.conftest import until
from tests.router.desk_in_process import DeskInProcess, running_desk
from tests.router.gateway.test_lines import BOOK, WRITTEN


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    """``sara`` administers sales only; ``sven`` is one of hers, ``sam`` leads it."""
    async with running_desk(log, tmp_path, book=BOOK) as desk:
        await versions.take_up_file(desk.store, WRITTEN)
        await desk.account("sara", "admin", ["sales"])
        await desk.account("sam", "supervisor", ["sales"])
        await desk.account("sven", "operator", ["sales"])
        await desk.account("both", "operator", ["sales", "support"])
        await until(lambda: "both" in desk.gateway.picture.operators)
        yield desk


@pytest.mark.parametrize(
    ("operator", "given"),
    [
        ("sara", {"lines": []}),
        ("sara", {"lines": ["sales", "support"]}),
        ("sara", {"lines": ["sales"]}),
        ("sara", {"rights": {"*": ["take_over"]}}),
        ("sara", {"by_role": True}),
        ("sam", {"lines": []}),
        ("sam", {"lines": ["support"]}),
        ("sam", {"rights": {"support": ["join_silent"]}}),
        ("sven", {"lines": ["support"]}),
        ("both", {"lines": ["sales"]}),
        ("both", {"max_sessions": 1}),
        ("vali", {"lines": ["sales"]}),
        ("vali", {"skills": ["iron"]}),
        ("boss", {"lines": ["sales"]}),
        ("root", {"lines": ["sales"]}),
        ("root", {"rights": {"*": ["read_only"]}}),
    ],
)
async def test_she_widens_neither_herself_nor_others(
    desk: DeskInProcess, operator: str, given: dict[str, Any]
) -> None:
    sara = await desk.login("sara")
    before = await accounts.get_account(desk.store, operator)
    done = await sara.ask(protocol.SetOperator, operator=operator, **given)
    assert done.code == "no_right"
    assert await accounts.get_account(desk.store, operator) == before


@pytest.mark.parametrize(
    ("operator", "given"),
    [
        ("sara", {"max_sessions": 7}),
        ("sven", {"lines": [], "skills": ["iron"]}),
        ("sven", {"rights": {"sales": ["join_open"]}}),
        ("anna", {"max_sessions": 3}),
        ("sam", {"rights": {"*": ["whisper"]}}),
        ("both", {"absences": []}),
    ],
)
async def test_she_administers_who_is_of_her_lines_only(
    desk: DeskInProcess, operator: str, given: dict[str, Any]
) -> None:
    sara = await desk.login("sara")
    assert (await sara.ask(protocol.SetOperator, operator=operator, **given)).code == ""


async def test_she_makes_no_line_and_touches_none_of_others(desk: DeskInProcess) -> None:
    sara = await desk.login("sara")
    for frame in (
        protocol.SetLine(rid=0, line="mine", expected=0, changes={"members": "[sara]"}),
        protocol.SetLine(rid=0, line="support", expected=1, changes={"members": "[sara]"}),
        protocol.RollbackLine(rid=0, line="support", expected=1, to=1),
    ):
        fields = {n: getattr(frame, n) for n in frame.__struct_fields__ if n != "rid"}
        assert (await sara.ask(type(frame), **fields)).code == "no_right"


async def test_an_administrator_whose_rights_were_narrowed_does_not_give_them_back_to_himself(
    desk: DeskInProcess,
) -> None:
    root = await desk.login("root")
    assert (await root.ask(protocol.SetOperator, operator="root", rights={"*": ["join_open"]})).code == ""
    await until(lambda: desk.gateway.picture.operators["root"].rights)
    for given in ({"by_role": True}, {"rights": {"*": ["take_over"]}}):
        assert (await root.ask(protocol.SetOperator, operator="root", **given)).code == "no_right"


async def test_she_follows_nothing_of_other_lines(desk: DeskInProcess) -> None:
    """Neither whose logins are revoked elsewhere, nor what happens to customers of another line after
    their sessions."""
    sara = await desk.login("sara")
    access = next(c.access for c in desk.gateway.connections if c.name == "sara")
    since, _ = await start_of(desk.log, desk.gateway.picture, "")
    author = events.Author(name="Secret Name")
    await desk.log.append(events.ChatReachable(channel="help", chat="x", can_write=False, author=author))
    await desk.log.append(events.MessageDeleted(channel="help", chat="x", message_ids=["m1"]))
    await desk.log.append(events.OperatorChanged(name="vali", revoked=["*"]))
    await desk.write("ali", "hi")
    found = []
    async for event in follow(desk.log, desk.gateway.picture, lambda: access, since, 0):
        found.append(event)
        if event.type == "message":
            break
    assert [e.type for e in found if e.type in ("customer", "message_changed", "logins_revoked")] in (
        [],
        ["customer"],
    )
    assert "Secret" not in str(found)
    await sara.socket.close()
