"""`navbat crm` and `navbat audit` at a running desk, as people and scripts use them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from navbat.cli import crm, crm_shapes
from navbat.cli.arguments import backwards_joined
from navbat.cli.grammar import parser
from tests.navbat.process import CONFIG, Operator, wait_for
from tests.navbat.run.test_health import MakeDesk

FIELDS = """
crm:
  fields: {deal: {color: {kind: choice, choices: [red, blue]}}}
"""
DEAL = (
    "id", "title", "funnel", "stage", "semantics", "amount", "customer", "contact", "company", "responsible",
    "lost_reason", "lead", "created_at", "stage_since", "closed_at", "version",
)  # fmt: skip
LEAD = (
    "id", "title", "stage", "source", "customer", "name", "phones", "emails", "amount", "responsible",
    "created_at", "converted", "version",
)  # fmt: skip


def test_a_list_is_put_backwards_as_its_help_says() -> None:
    for words in (["--sort", "-title"], ["--sort=-title"]):
        args = parser().parse_args(backwards_joined(["crm", "list", "deal", *words, "--json"]))
        assert (args.sort, args.json) == ("-title", True)


def test_objects_are_made_found_changed_and_deleted(make_desk: MakeDesk) -> None:
    desk = make_desk(CONFIG + FIELDS)
    desk.start()
    anna, vali, root = (
        desk.add("anna"),
        desk.add("vali", "--lines", "support"),
        desk.add("root", "--role", "admin"),
    )

    id = anna.command(
        "crm", "add", "deal", "title=Chairs", "amount=120000.00:UZS", "color=red"
    ).stdout.strip()
    (deal,) = anna.json(
        "crm", "list", "deal", "--where", "amount>=1000", "--stage", "new", "--funnel", "sales"
    )
    assert tuple(deal)[: len(DEAL)] == DEAL
    assert (deal["id"], deal["amount"], deal["lost_reason"], deal["closed_at"], deal["custom"]) == (
        id, {"minor": 12_000_000, "currency": "UZS"}, None, None, {"color": "red"}
    )  # fmt: skip
    assert deal["created_at"] == deal["stage_since"] == deal["stages"][0]["at"]
    assert datetime.fromisoformat(deal["created_at"]).tzinfo is not None
    assert anna.json("crm", "show", "deal", id) == deal
    assert "Chairs" in anna.command("crm", "list", "deal").stdout
    assert "amount: 120000.00:UZS" in anna.command("crm", "show", "deal", id).stdout

    changed = anna.json("crm", "set", "deal", id, "title=Tables", "color=", "--version", "1")
    assert (changed["outcome"], changed["version"], changed["object"]["custom"]) == ("done", 2, {})
    late = root.command("crm", "set", "deal", id, "title=Beds", "--version", "1", "--json", status=1)
    told = json.loads(late.stdout)
    assert (told["code"], told["conflicts"]) == (
        "object_changed",
        {"title": {"yours": "Beds", "now": "Tables"}},
    )
    assert "title: yours Beds, now Tables" in late.stderr

    lead = anna.command("crm", "add", "lead", "title=Asks", "phones=+998 90 123-45-67").stdout.strip()
    shown = anna.json("crm", "show", "lead", lead)
    assert tuple(shown)[: len(LEAD)] == LEAD
    assert (shown["source"], shown["converted"]) == ({"kind": "manual", "channel": None, "line": None}, None)
    again = anna.command("crm", "add", "contact", "name=Anvar", "phones=+998901234567", "--id", "r1")
    assert f"by phone: lead {lead} Asks (anna)" in again.stderr
    assert (
        again.stdout
        == anna.command("crm", "add", "contact", "name=Anvar", "phones=+998901234567", "--id", "r1").stdout
    )
    foreign = vali.command("crm", "add", "contact", "name=Other", "phones=+998901234567", "--json")
    duplicates = json.loads(foreign.stdout)["duplicates"]
    assert sorted(d["type"] for d in duplicates) == ["contact", "lead"]
    assert {(d["id"], d["title"], d["responsible"]) for d in duplicates} == {(None, None, None)}
    assert lead not in foreign.stderr
    assert vali.json("crm", "list", "deal") == []
    assert "no deal" in vali.command("crm", "show", "deal", id, status=1).stderr

    (desk.folder / "offer.txt").write_text("hello")
    anna.command("crm", "attach", "deal", id, str(desk.folder / "offer.txt"))
    (file,) = anna.json("crm", "show", "deal", id)["files"]
    assert (file["name"], file["size"]) == ("offer.txt", 5)
    anna.command("crm", "detach", "deal", id, file["key"])
    assert "delete" in anna.command("crm", "delete", "deal", id, status=1).stderr
    root.command("crm", "delete", "deal", id)
    assert anna.json("crm", "list", "deal") == []
    (gone,) = root.json("crm", "list", "deal", "--deleted")
    assert gone["deleted"]["by"] == "root"
    root.command("crm", "restore", "deal", id)

    records = root.json("audit", "--object", id)
    assert [r["action"] for r in reversed(records)] == [
        "deal_added", "deal_changed", "deal_file_added", "deal_file_removed", "deal_deleted", "deal_restored"
    ]  # fmt: skip
    assert (records[4]["operator"], records[4]["before"]["title"], records[4]["after"]["title"]) == (
        "anna",
        "Chairs",
        "Tables",
    )
    first = root.json("audit", "--who", "anna", "--what", "added", "--limit", "1")
    rest = root.json(
        "audit", "--who", "anna", "--what", "added", "--limit", "9", "--after", first[-1]["next"]
    )
    assert [r["object"][0] for r in (first[0], *rest)] == ["k", "l", "d"]
    assert root.json("audit", "--since", "2199-01-01") == []
    assert "Chairs → Tables" in root.command("audit", "--object", id).stdout
    assert "audit" in anna.command("audit", status=1).stderr

    desk.command("operator", "set", "anna", "--crm", "deal.delete=own", "--crm", "*.export=line")
    (account,) = [
        one for one in json.loads(desk.command("operator", "list", "--json").stdout) if one["name"] == "anna"
    ]
    assert account["crm"] == {"deal": {"delete": "own"}, "*": {"export": "line"}}
    wait_for(lambda: _done(anna, "crm", "delete", "deal", id))  # the gateway hears of it in a moment
    root.command("crm", "restore", "deal", id)
    for wrong in ("deals.read=all", "deal.look=all", "deal.read=some", "deal", "deal.read"):
        assert "navbat" in desk.command("operator", "set", "anna", "--crm", wrong, status=2).stderr
    desk.command("operator", "set", "anna", "--crm", "role")

    for words, status, said in (
        (("set", "deal", id, "titel=x"), 2, "title"),
        (("set", "deal", id, "amount=12345678901234567890:UZS"), 2, "120000:UZS"),
        (("set", "deal", id, "close_date=0000-01-01"), 2, "1900"), (("set", "deal", id, "stage=won"), 2, "crm move"),
        (("set", "deal", id, "color=green"), 2, "red, blue"), (("set", "deal", id, "title"), 2, "FIELD=VALUE"),
        (("add", "dael", "title=x"), 2, "did you mean deal"), (("add", "deal", "amount=5"), 2, "title"),
        (("list", "deal", "--where", "title>a"), 2, "title"), (("list", "deal", "--after", "xyz"), 2, "first page"),
        (("list", "deal", "--sort", "amount"), 2, "created_at"), (("show", "deal", "d0"), 1, "d0"),
        (("set", "deal", id, "responsible=nobody"), 1, "nobody"), (("set", "deal", id, "line=moon"), 1, "moon"),
    ):  # fmt: skip
        found = anna.command("crm", *words, status=status)
        assert said in found.stderr, words
        assert found.stdout == ""
    assert anna.json("crm", "show", "deal", id)["version"] == 8


def test_a_timeline_has_what_was_said_and_what_was_done(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.start()
    anna, root = desk.add("anna"), desk.add("root", "--role", "admin")
    vali = desk.add("vali", "--lines", "support")
    desk.write("c1", "m1", "hello")
    wait_for(lambda: anna.json("sessions"))
    customer = anna.json("sessions")[0]["customer"]
    wait_for(
        lambda: _done(
            root,
            "crm",
            "add",
            "activity",
            "kind=note",
            "about=Likes oak.",
            "line=sales",
            f"customer={customer}",
        )
    )
    told = wait_for(
        lambda: _two(anna.json("customer", "timeline", customer, "--kind", "message", "--kind", "activity"))
    )
    assert [(one["kind"], one["by"], one["text"]) for one in told] == [
        ("note", "root", "Likes oak."), ("message", "Ali", "hello")
    ]  # fmt: skip
    assert told[1]["data"]["direction"] == "in"
    first = anna.json("customer", "timeline", customer, "--kind", "activity", "--limit", "1")
    assert first == told[:1]
    assert "Likes oak." in anna.command("customer", "timeline", customer).stdout
    deal = root.command(
        "crm", "add", "deal", "title=Chairs", "line=sales", f"customer={customer}"
    ).stdout.strip()
    assert [one["kind"] for one in anna.json("crm", "timeline", "deal", deal)] == ["stage", "message"]
    assert vali.command("customer", "timeline", customer, status=1).stdout == ""
    assert "first page" in anna.command("crm", "timeline", "deal", deal, "--after", "x", status=2).stderr


def _two(found: list[Any]) -> list[Any] | None:
    return found if len(found) == 2 else None


def _done(operator: Operator, *words: str) -> bool:
    try:
        operator.command(*words)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(12_000_000, "UZS", "120000.00:UZS"), (5, "USD", "0.05:USD"), (1500, "JPY", "1500:JPY"), (1234, "KWD", "1.234:KWD")],
)  # fmt: skip
def test_money_is_shown_as_it_is_written(minor: int, currency: str, text: str) -> None:
    assert crm_shapes.money(minor, currency) == text


@pytest.mark.parametrize(
    ("where", "sent"),
    [
        ("title=x", ["title=x"]), ("due_at=", ["due_at="]), ("due_at=2026-02-30", ["due_at=2026-02-30"]),
        ("due_at=2026-03-05", ["due_at>=2026-03-05T00:00:00+05:00", "due_at<2026-03-06T00:00:00+05:00"]),
        ("due_at>2026-03-05", ["due_at>=2026-03-06T00:00:00+05:00"]),
        ("due_at<=2026-03-05", ["due_at<2026-03-06T00:00:00+05:00"]),
        ("due_at<2026-03-05", ["due_at<2026-03-05T00:00:00+05:00"]),
        ("due_at>2026-03-05 10:00", ["due_at>2026-03-05T10:00:00+05:00"]),
        ("due_at>2026-03-05T10:00Z", ["due_at>2026-03-05T10:00Z"]),
    ],
)  # fmt: skip
def test_a_day_is_the_one_here(monkeypatch: pytest.MonkeyPatch, where: str, sent: list[str]) -> None:
    monkeypatch.setenv("TZ", "Asia/Tashkent")
    _renew_zone()
    try:
        assert crm.local_conditions("activity", where) == sent
    finally:
        monkeypatch.undo()
        _renew_zone()


def _renew_zone() -> Any:
    import time

    time.tzset()


def test_files_come_in_and_go_out(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(CONFIG)
    desk.start()
    anna, boss = desk.add("anna"), desk.add("boss", "--role", "supervisor")
    file = tmp_path / "people.csv"
    rows = "ФИО;Телефон;Почта;Прочее\nЎктам Каримов;+998 90 123-45-67;;1\n=cmd;;bek@mail.uz;2\n;+998901234568;;3\n"
    file.write_bytes(rows.replace("Ў", "У").encode("cp1251"))
    dry = json.loads(
        anna.command("crm", "import", "contact", str(file), "--dry-run", "--json", status=1).stdout
    )
    assert (dry["made"], dry["refused"], dry["encoding"], dry["separator"]) == (2, 1, "cp1251", ";")
    assert (dry["columns"], dry["ignored"]) == (
        {"ФИО": "name", "Телефон": "phones", "Почта": "emails"}, ["Прочее"]
    )  # fmt: skip
    assert [(row["line"], row["code"]) for row in dry["rows"]] == [(4, "needs_field")]
    assert anna.json("crm", "list", "contact") == []
    told = anna.command("crm", "import", "contact", str(file), status=1)
    assert "made 2, there already 0, refused 1" in told.stdout
    assert "line 4: " in told.stderr
    assert "there already 2" in anna.command("crm", "import", "contact", str(file), status=1).stdout
    (hit,) = anna.json("search", "karimov", "--in", "contacts")
    assert (hit["in"], hit["match"], hit["title"]) == ("contacts", "exact", "Уктам Каримов")

    assert "no right" in anna.command("crm", "export", "contact", status=1).stderr.lower()
    exported = boss.command("crm", "export", "contact", "--csv").stdout
    assert "'=cmd" in exported
    (tmp_path / "again.csv").write_text(exported)
    again = boss.command("crm", "import", "contact", str(tmp_path / "again.csv"), status=1)
    assert "made 0, there already 0, refused 2" in again.stdout
    lines = boss.command("crm", "export", "contact", "--where", "phones=+998901234567").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["Уктам Каримов"]
    cards = tmp_path / "people.vcf"
    cards.write_text(boss.command("crm", "export", "contact", "--vcard", "4").stdout)
    assert "made 2" in boss.command("crm", "import", "lead", str(cards)).stdout
    (record,) = boss.json("audit", "--what", "exported", "--limit", "1")[:1]
    assert record["operator"] == "boss"

    for *wrong, status in (("nothing.csv", 1), (str(file), "--map", str(cards), 2)):
        assert (
            "Traceback"
            not in anna.command("crm", "import", "contact", *map(str, wrong), status=int(status)).stderr
        )
