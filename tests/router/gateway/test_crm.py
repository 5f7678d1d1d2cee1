"""Objects of the CRM and the audit over the wire: the rights of a login, errors that say what is possible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.records import Media
from crm.objects.writing import born
from navbat.config.rulebook import Rulebook
from navbat.config.types import Config
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import AuditPage, CrmDeclared, Done, ObjectList, ObjectShown, Twins
from storage.sqlite import SqliteStore
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def add(client: Client, type: str, key: str = "", **fields: Any) -> ObjectShown:
    found = await client.ask(protocol.AddObject, type=type, fields=fields, key=key)
    assert isinstance(found, ObjectShown), found
    return found


async def listed(client: Client, type: str, **more: Any) -> list[str]:
    found = await client.ask(protocol.GetObjects, type=type, **more)
    assert isinstance(found, ObjectList), found
    return [one.get("title") or one["name"] for one in found.items]


async def refused(client: Client, kind: type[protocol.Request], **fields: Any) -> tuple[str, dict[str, str]]:
    found = await client.ask(kind, **fields)
    assert isinstance(found, Done), found
    return found.code, found.params


async def test_a_screen_has_all_it_needs(desk: DeskInProcess) -> None:
    anna = await desk.login("anna")
    declared = await anna.ask(protocol.GetCrm)
    assert isinstance(declared, CrmDeclared)
    fields = {field.name: field for field in declared.fields["deal"]}
    assert (fields["amount"].kind, fields["title"].required, fields["version"].read_only) == (
        "money",
        True,
        True,
    )
    assert declared.may["deal"] == {
        "read": "line",
        "add": "line",
        "edit": "line",
        "delete": "none",
        "export": "none",
    }
    assert [stage.key for stage in declared.funnels["deal"]["sales"].stages] == [
        "new",
        "agreed",
        "invoiced",
        "won",
        "lost",
    ]

    made = await add(anna, "deal", title="Chairs", amount="120000.00:UZS", key="k")
    assert (made.may, made.object["version"], made.object["amount"]) == (
        ["read", "edit"], 1, {"minor": 12_000_000, "currency": "UZS"}
    )  # fmt: skip
    assert (await add(anna, "deal", title="Chairs", key="k")).object["id"] == made.object["id"]
    for n in range(3):
        await add(anna, "deal", title=f"D{n}", amount=f"{n}")
    first = await anna.ask(protocol.GetObjects, type="deal", limit=2, total=True, where=["amount<5:UZS"])
    rest = await anna.ask(protocol.GetObjects, type="deal", limit=2, where=["amount<5:UZS"], after=first.next)
    assert (first.total, [d["title"] for d in first.items], [d["title"] for d in rest.items], rest.next) == (
        3, ["D2", "D1"], ["D0"], ""
    )  # fmt: skip


async def test_who_comes_second_is_shown_both_values(desk: DeskInProcess) -> None:
    anna, boss = await desk.login("anna"), await desk.login("boss")
    id = (await add(anna, "deal", title="Chairs")).object["id"]
    set_ = {"type": "deal", "id": id, "version": 1}
    assert (await anna.ask(protocol.SetObject, fields={"title": "Tables"}, **set_)).conflicts == {}
    late = await boss.ask(protocol.SetObject, fields={"title": "Beds"}, **set_)
    assert isinstance(late, ObjectShown)
    assert (late.conflicts, late.object["title"], late.object["version"]) == (
        {"title": {"yours": "Beds", "now": "Tables"}}, "Tables", 2
    )  # fmt: skip
    again = await anna.ask(protocol.SetObject, fields={"title": "Tables"}, **set_)
    assert (again.conflicts, again.object["version"]) == ({}, 2)


async def test_what_is_wrong_is_said_with_what_is_possible(desk: DeskInProcess) -> None:
    anna, root = await desk.login("anna"), await desk.login("root")
    id = (await add(anna, "deal", title="Chairs")).object["id"]
    code, params = await refused(anna, protocol.GetObjects, type="deals")
    assert (code, params["allowed"]) == ("no_such_type", "lead, contact, company, deal, activity")
    assert (await refused(root, protocol.DeleteObject, type="customer", id="c1"))[0] == "no_such_type"
    code, params = await refused(anna, protocol.SetObject, type="deal", id=id, fields={"titel": "x"})
    assert (code, "title" in params["allowed"]) == ("no_such_field", True)
    for fields, wanted in (
        ({"amount": "12345678901234567890:UZS"}, "bad_amount"), ({"close_date": "0000-01-01"}, "bad_date"),
        ({"title": "x" * 600_000}, "field_too_long"), ({"$set": {"a": 1}}, "no_such_field"), ({"stage": "won"}, "moved_not_set"),
    ):  # fmt: skip
        assert (await refused(anna, protocol.SetObject, type="deal", id=id, fields=fields))[0] == wanted
    for request in ({"after": "garbage"}, {"after": "\x00"}):
        assert (await refused(anna, protocol.GetObjects, type="deal", **request))[0] == "bad_cursor"
    assert (await refused(anna, protocol.GetObjects, type="deal", sort="$natural"))[0] == "bad_sort"
    assert (await refused(anna, protocol.GetObjects, type="deal", where=["title=x"] * 21))[0] == "too_many"
    for id in ("", "\x00", "../x", "x" * 5000):
        assert (await refused(anna, protocol.GetObject, type="deal", id=id))[0] == "no_such_object"
    assert (
        await anna.ask(
            protocol.GetObject,
            type="deal",
            id=(await anna.ask(protocol.GetObjects, type="deal")).items[0]["id"],
        )
    ).object["version"] == 1


async def test_rights_hold_on_every_way(desk: DeskInProcess) -> None:
    """Vali works in support: of what is in sales he learns nowhere what it says."""
    anna, vali, boss, root = [await desk.login(name) for name in ("anna", "vali", "boss", "root")]
    for of, fields in (
        ("lead", {"title": "Secret"}), ("contact", {"name": "Secret"}), ("company", {"name": "Secret"}),
        ("deal", {"title": "Secret"}), ("activity", {"title": "Secret", "kind": "task"}),
    ):  # fmt: skip
        more = {"phones": "+998901234567"} if of in ("lead", "contact", "company") else {}
        id = (await add(anna, of, **fields, **more)).object["id"]
        about = {"type": of, "id": id}
        assert await listed(vali, of) == []
        assert (await vali.ask(protocol.GetObjects, type=of, total=True)).total == 0
        assert (await refused(vali, protocol.GetObject, **about))[0] == "no_such_object"
        for act, request in (
            (protocol.SetObject, {"fields": {"about": "x"}}), (protocol.DeleteObject, {}), (protocol.RestoreObject, {}),
            (protocol.AttachFile, {"file": Media(kind="document", key="k")}),
            (protocol.DetachFile, {"key": "k"}),
        ):  # fmt: skip
            assert (await refused(vali, act, **about, **request))[0] == "no_such_object", act
        if more:
            for twins in (
                (await vali.ask(protocol.FindTwins, type=of, fields=more)).twins,
                (await add(vali, of, **dict.fromkeys(fields, "Other"), **more)).twins,
            ):
                assert twins
                assert {(twin.title, twin.responsible) for twin in twins} - {("Other", "vali")} == {("", "")}
                assert all((twin.id == "") is (twin.title == "") for twin in twins)
        assert "Secret" in await listed(anna, of)
        assert "Secret" in await listed(boss, of)
        assert (await refused(anna, protocol.DeleteObject, **about)) == ("no_right", {"right": "delete"})
        assert (await refused(boss, protocol.DeleteObject, **about)) == ("no_right", {"right": "delete"})
        assert (await root.ask(protocol.DeleteObject, **about)).object["deleted"]["by"] == "root"
        assert "Secret" not in await listed(root, of)
        assert await listed(root, of, deleted=True) == ["Secret"]
        assert (await root.ask(protocol.RestoreObject, **about)).may == ["read", "edit", "delete", "export"]


async def test_a_bot_has_no_rights_here(desk: DeskInProcess) -> None:
    await desk.account("robot", "bot", ["sales"])
    robot = await desk.login("robot")
    assert (await refused(robot, protocol.GetObjects, type="deal"))[0] == "no_right"
    assert (await refused(robot, protocol.AddObject, type="deal", fields={"title": "x"}))[0] == "no_right"


async def test_the_audit_tells_who_did_what(desk: DeskInProcess) -> None:
    anna, boss = await desk.login("anna"), await desk.login("boss")
    id = (await add(anna, "deal", title="Chairs")).object["id"]
    await anna.ask(protocol.SetObject, type="deal", id=id, fields={"title": "Tables"})
    assert await refused(anna, protocol.GetAudit) == ("no_right", {"right": "audit"})
    page = await boss.ask(protocol.GetAudit, object=id)
    assert isinstance(page, AuditPage)
    assert [(r["action"], r["operator"], r["version"]) for r in page.items] == [
        ("deal_changed", "anna", 2), ("deal_added", "anna", 1)
    ]  # fmt: skip
    assert (page.items[0]["before"], page.items[0]["after"]) == ({"title": "Chairs"}, {"title": "Tables"})
    for request, count in (
        ({"what": "changed"}, 1), ({"what": "deal_added"}, 1), ({"who": "anna", "object": id}, 2), ({"who": "bek"}, 0),
        ({"since": page.items[0]["at"] + 1, "object": id}, 0),
        ({"until": page.items[1]["at"], "object": id}, 0),
    ):  # fmt: skip
        assert len((await boss.ask(protocol.GetAudit, **request)).items) == count, request
    first = await boss.ask(protocol.GetAudit, object=id, limit=1)
    rest = await boss.ask(protocol.GetAudit, object=id, limit=1, after=first.next)
    assert (first.items[0]["version"], rest.items[0]["version"]) == (2, 1)


async def test_who_leads_one_line_reads_the_audit_of_that_line(desk: DeskInProcess) -> None:
    await desk.account("chief", "supervisor", ["support"])
    anna, vali, chief = [await desk.login(name) for name in ("anna", "vali", "chief")]
    await add(anna, "deal", title="Chairs")
    await add(vali, "deal", title="Repair")
    assert [r["after"]["title"] for r in (await chief.ask(protocol.GetAudit)).items] == ["Repair"]
    assert await listed(chief, "deal") == ["Repair"]


async def test_live_duplicates_leave_out_the_object_itself(desk: DeskInProcess) -> None:
    anna = await desk.login("anna")
    id = (await add(anna, "contact", name="Anvar", emails="a@b.uz")).object["id"]
    found = await anna.ask(protocol.FindTwins, type="contact", fields={"emails": "A@B.UZ"})
    assert isinstance(found, Twins)
    assert [(twin.by, twin.id, twin.title) for twin in found.twins] == [("email", id, "Anvar")]
    assert (
        await anna.ask(protocol.FindTwins, type="contact", fields={"emails": "a@b.uz"}, id=id)
    ).twins == []


async def test_what_a_crash_left_uncopied_is_in_the_audit_when_a_gateway_has_started(
    log: Log, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "desk.sqlite")
    await store.open()
    await store.insert(
        "deals", born("deal", {"_id": "d1", "title": "Chairs"}, by="anna", at=1_772_000_000_000)
    )
    await store.close()
    async with running_desk(log, tmp_path) as desk:
        await until(lambda: desk.store.get("audit", "d1-1"))
        deal = await desk.store.get("deals", "d1")
        assert deal is not None


async def test_rights_that_an_account_has_of_its_own_hold_at_once(log: Log, tmp_path: Path) -> None:
    async with running_desk(log, tmp_path, book=Rulebook(Config(), Path("flows"), {})) as desk:
        anna, root = await desk.login("anna"), await desk.login("root")
        id = (await add(anna, "deal", title="Chairs")).object["id"]
        assert (await refused(anna, protocol.DeleteObject, type="deal", id=id))[0] == "no_right"
        grants = {"deal": {"delete": "line"}, "lead": {"*": "none"}}
        assert (await root.ask(protocol.SetOperator, operator="anna", crm=grants)).code == ""
        await until(lambda: desk.gateway.picture.operators["anna"].crm == grants)
        assert (await anna.ask(protocol.GetCrm)).may["lead"]["read"] == "none"
        assert (await refused(anna, protocol.GetObjects, type="lead"))[0] == "no_right"
        assert isinstance(await anna.ask(protocol.DeleteObject, type="deal", id=id), ObjectShown)
        again = await desk.login("anna")
        assert (await again.ask(protocol.GetCrm)).may["deal"]["delete"] == "line"
        told = await root.ask(protocol.GetOperator, operator="anna")
        assert (told.crm, "crm" in told.may) == (grants, True)
        wrong = await root.ask(protocol.SetOperator, operator="anna", crm={"deals": {"read": "all"}})
        assert (wrong.code, "deals" in wrong.params["problems"]) == ("bad_settings", True)


async def test_what_a_record_says_of_an_object_is_not_for_who_may_not_read_it(
    log: Log, tmp_path: Path
) -> None:
    async with running_desk(log, tmp_path, book=Rulebook(Config(), Path("flows"), {})) as desk:
        boss, root = await desk.login("boss"), await desk.login("root")
        grants = {"customer": {"read": "none"}}
        assert (await root.ask(protocol.SetOperator, operator="boss", crm=grants)).code == ""
        await until(lambda: desk.gateway.picture.operators["boss"].crm == grants)
        record = {
            "_id": "cx-2", "at": 5, "operator": "anna", "action": "customer_suggestion_refused", "type": "customer",
            "object": "cx", "params": {"key": "phone:+998901234567"}, "before": {}, "after": {},
        }  # fmt: skip
        await desk.store.insert("audit", record)
        (told,) = (await boss.ask(protocol.GetAudit, object="cx")).items
        assert (told["operator"], told["action"]) == ("anna", "customer_suggestion_refused")
        assert not {"params", "before", "after"} & told.keys()
        (told,) = (await root.ask(protocol.GetAudit, object="cx")).items
        assert told["params"] == {"key": "phone:+998901234567"}
