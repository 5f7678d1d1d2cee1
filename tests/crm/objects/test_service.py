"""What can be done with objects, in either store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crm.kernel.errors import Conflict, Refused, Unavailable
from crm.kernel.ports import Document, Store, Write
from crm.kernel.records import Media
from crm.objects.service import Objects
from crm.objects.views import conflicts, twin_view, view
from crm.objects.writing import sweep
from tests.crm.objects.office import ANNA, AT, BEK, NODIRA, ROOT, granted, objects


@pytest.fixture
def desk(store: Store) -> Objects:
    return objects(store)


async def audit(store: Store, id: str) -> list[Document]:
    return await store.find("audit", {"object": id}, sort=[("version", 1)])


async def refusal(awaited: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(Refused) as refused:
        await awaited
    return refused.value.code, refused.value.params


async def test_what_is_added_is_there_with_all_it_needs(desk: Objects, store: Store) -> None:
    made = (
        await desk.add(ANNA, "deal", {"title": " Chairs ", "amount": "120000.00:UZS", "color": "RED"}, at=AT)
    ).document
    assert made["_id"][0] == "d"
    there = view(await desk.get(ANNA, "deal", made["_id"]))
    assert there == {
        "id": made["_id"], "title": "Chairs", "amount": {"minor": 12_000_000, "currency": "UZS"},
        "custom": {"color": "red"}, "responsible": "anna", "line": "sales", "funnel": "sales", "stage": "new",
        "semantics": "work", "stage_since": AT, "closed_at": 0, "lost_reason": "", "stages": [{"stage": "new", "at": AT, "by": "anna", "kind": 1, "funnel": "sales", "semantics": "work"}],
        "version": 1, "created_at": AT, "changed_at": AT, "created_by": "anna",
    }  # fmt: skip


async def test_every_change_leaves_one_record_with_before_and_after(desk: Objects, store: Store) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT)).document
    await desk.set(ANNA, "deal", deal["_id"], {"title": "Tables", "amount": "5"}, at=AT + 1)
    await desk.set(ANNA, "deal", deal["_id"], {"title": "Tables"}, at=AT + 2)
    await desk.add_file(ANNA, "deal", deal["_id"], Media(kind="document", key="k1", name="a.pdf"), at=AT + 3)
    await desk.set(NODIRA, "deal", deal["_id"], {"custom": {"color": "blue"}, "amount": ""}, at=AT + 4)
    await desk.delete(ROOT, "deal", deal["_id"], at=AT + 5)
    await desk.delete(ROOT, "deal", deal["_id"], at=AT + 6)
    await desk.restore(ROOT, "deal", deal["_id"], at=AT + 7)
    records = await audit(store, deal["_id"])
    assert [(r["version"], r["action"], r["operator"], r["at"]) for r in records] == [
        (1, "deal_added", "anna", AT), (2, "deal_changed", "anna", AT + 1), (3, "deal_file_added", "anna", AT + 3),
        (4, "deal_changed", "nodira", AT + 4), (5, "deal_deleted", "root", AT + 5), (6, "deal_restored", "root", AT + 7),
    ]  # fmt: skip
    assert records[0]["after"]["title"] == "Chairs"
    assert "keys" not in records[0]["after"]
    five = {"minor": 500, "currency": "UZS"}
    assert records[1]["before"] == {"title": "Chairs", "amount": None}
    assert records[1]["after"] == {"title": "Tables", "amount": five}
    assert (records[2]["before"]["files"], records[2]["after"]["files"][0]["key"]) == (None, "k1")
    assert records[3]["before"] == {"custom_color": None, "amount": five}
    assert records[3]["after"] == {"custom_color": "blue", "amount": None}
    assert all((r["line"], r["type"], r["verb"]) == ("sales", "deal", r["action"][5:]) for r in records)
    there = await store.get("deals", deal["_id"])
    assert there is not None
    assert (there["unaudited"], "owes" in there, "amount" in there) == ([], False, False)


class _DiesBefore:
    """A store that is gone once something is copied into the audit."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, writes: list[Write], **more: Any) -> int:
        raise Unavailable("gone")


async def test_a_crash_between_the_change_and_its_record_loses_no_record(store: Store) -> None:
    dying: Any = _DiesBefore(store)
    with pytest.raises(Unavailable):
        await objects(dying).add(ANNA, "deal", {"title": "Chairs"}, at=AT)
    (deal,) = await store.find("deals", {})
    for title in ("Tables", "Beds"):
        with pytest.raises(Unavailable):
            await objects(dying).set(ANNA, "deal", deal["_id"], {"title": title}, at=AT + 1)
    assert await audit(store, deal["_id"]) == []
    assert await sweep(store) == 1
    assert await sweep(store) == 0
    assert [r["after"]["title"] for r in await audit(store, deal["_id"])] == ["Chairs", "Tables", "Beds"]


async def test_the_next_change_brings_the_record_of_the_one_that_crashed(store: Store) -> None:
    dying: Any = _DiesBefore(store)
    with pytest.raises(Unavailable):
        await objects(dying).add(ANNA, "contact", {"name": "Anvar"}, at=AT)
    (contact,) = await store.find("contacts", {})
    await objects(store).set(ANNA, "contact", contact["_id"], {"post": "boss"}, at=AT)
    assert [r["version"] for r in await audit(store, contact["_id"])] == [1, 2]
    assert await sweep(store) == 0


async def test_who_comes_second_sees_both_values_and_overwrites_nothing(desk: Objects, store: Store) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs", "about": "x"}, at=AT)).document
    await desk.set(ANNA, "deal", deal["_id"], {"title": "Tables"}, at=AT + 1, version=1)
    with pytest.raises(Conflict) as conflict:
        await desk.set(NODIRA, "deal", deal["_id"], {"title": "Beds", "about": "x"}, at=AT + 2, version=1)
    assert conflicts(conflict.value.current, {"title": "Beds", "about": "x"}) == {
        "title": {"yours": "Beds", "now": "Tables"}
    }
    there = await desk.get(ANNA, "deal", deal["_id"])
    assert (there["title"], there["version"]) == ("Tables", 2)
    assert len(await audit(store, deal["_id"])) == 2


async def test_of_two_at_the_same_moment_one_is_told(desk: Objects, store: Store) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT)).document
    ends = await asyncio.gather(
        *(desk.set(ANNA, "deal", deal["_id"], {"title": f"T{n}"}, at=AT, version=1) for n in range(8)),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in ends) == ["Conflict"] * 7 + ["dict"]
    assert [r["version"] for r in await audit(store, deal["_id"])] == [1, 2]


async def test_changes_without_a_version_all_arrive(desk: Objects, store: Store) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT)).document
    names = ("title", "about", "amount", "close_date", "tags", "area")
    texts = ("T", "A", "7", "2026-03-05", "vip", "12.5")
    await asyncio.gather(
        *(desk.set(ANNA, "deal", deal["_id"], {n: t}, at=AT) for n, t in zip(names, texts, strict=True))
    )
    there = await desk.get(ANNA, "deal", deal["_id"])
    assert (there["title"], there["about"], there["close_date"], there["tags"]) == (
        "T",
        "A",
        "2026-03-05",
        ["vip"],
    )
    assert (there["version"], there["custom"]) == (7, {"area": 12.5})
    assert [r["version"] for r in await audit(store, deal["_id"])] == [1, 2, 3, 4, 5, 6, 7]


async def test_the_same_change_again_is_done_once(desk: Objects, store: Store) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT)).document
    for _ in range(2):
        there = await desk.set(ANNA, "deal", deal["_id"], {"title": "Tables"}, at=AT, version=1)
    assert there["version"] == 2


async def test_the_same_request_makes_one_object(desk: Objects, store: Store) -> None:
    made = [(await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT, key="r1")).document for _ in range(2)]
    assert made[0]["_id"] == made[1]["_id"]
    other = (await desk.add(NODIRA, "deal", {"title": "Chairs"}, at=AT, key="r1")).document
    assert other["_id"] != made[0]["_id"]
    assert await store.count("deals", {}) == 2


async def test_what_was_deleted_is_not_found_until_it_is_restored(desk: Objects, store: Store) -> None:
    contact = (await desk.add(ANNA, "contact", {"name": "Anvar", "phones": "+998901234567"}, at=AT)).document
    assert await refusal(desk.delete(ANNA, "contact", contact["_id"], at=AT)) == (
        "no_right",
        {"right": "delete"},
    )
    gone = await desk.delete(ROOT, "contact", contact["_id"], at=AT + 5)
    assert gone["deleted"] == {"at": AT + 5, "by": "root"}
    assert (await desk.page(ROOT, "contact")).items == []
    assert await refusal(desk.get(ROOT, "contact", contact["_id"])) == (
        "no_such_object",
        {"type": "contact", "id": contact["_id"]},
    )
    assert await refusal(desk.set(ROOT, "contact", contact["_id"], {"name": "B"}, at=AT)) == (
        "no_such_object", {"type": "contact", "id": contact["_id"]}
    )  # fmt: skip
    assert (await desk.add(ANNA, "contact", {"name": "Anvar", "phones": "+998901234567"}, at=AT)).twins == []
    assert [d["_id"] for d in (await desk.page(ROOT, "contact", deleted=True)).items] == [contact["_id"]]
    await desk.restore(ROOT, "contact", contact["_id"], at=AT)
    assert (await desk.get(ANNA, "contact", contact["_id"]))["name"] == "Anvar"


async def test_lists_go_page_by_page(desk: Objects) -> None:
    for n in range(7):
        await desk.add(ANNA, "deal", {"title": f"D{n}", "amount": str(n)}, at=AT + n // 2)
    seen: list[str] = []
    after = ""
    while True:
        page = await desk.page(ANNA, "deal", ["amount>=2"], limit=2, after=after)
        seen += [deal["title"] for deal in page.items]
        if not (after := page.next):
            break
    assert sorted(seen) == ["D2", "D3", "D4", "D5", "D6"]
    assert seen[0] == "D6"
    assert await desk.count(ANNA, "deal", ["amount>=2"]) == 5


@pytest.mark.parametrize(
    ("where", "count"),
    [(["stage=new"], 2), (["stage=gone"], 0), (["title=Chairs"], 1), (["responsible=anna", "amount<10"], 1),
     (["color=red"], 1), (["custom.color=blue"], 0), (["tags=vip"], 1), (["created_at>2020-01-01"], 2)],
)  # fmt: skip
async def test_lists_are_narrowed(desk: Objects, where: list[str], count: int) -> None:
    await desk.add(ANNA, "deal", {"title": "Chairs", "amount": "5", "color": "red"}, at=AT)
    await desk.add(ANNA, "deal", {"title": "Tables", "amount": "50", "tags": ["vip"]}, at=AT)
    assert len((await desk.page(ANNA, "deal", where)).items) == count


async def test_possible_duplicates_are_told_and_nothing_is_refused(desk: Objects) -> None:
    first = (
        await desk.add(ANNA, "contact", {"name": "Karimov Anvar", "phones": "+998 90 1234567"}, at=AT)
    ).document
    lead = (await desk.add(ANNA, "lead", {"title": "Asks", "emails": "A@b.uz"}, at=AT)).document
    await desk.add(BEK, "contact", {"name": "Bobur", "phones": "+998901234567"}, at=AT)
    made = await desk.add(
        ANNA, "contact", {"name": "anvar KARIMOV", "phones": ["+998901234567"], "emails": "a@B.uz"}, at=AT
    )
    assert sorted(map(str, map(twin_view, made.twins))) == sorted(map(str, [
        {"type": "contact", "by": "phone", "id": first["_id"], "title": "Karimov Anvar", "responsible": "anna"},
        {"type": "contact", "by": "phone"},
        {"type": "lead", "by": "email", "id": lead["_id"], "title": "Asks", "responsible": "anna"},
    ]))  # fmt: skip
    live = await desk.twins(ANNA, "contact", {"name": "Bobur"})
    assert [twin_view(twin) for twin in live] == [{"type": "contact", "by": "name"}]
    alone = await desk.twins(ANNA, "contact", {"phones": "+998901234567"}, id=first["_id"])
    assert len(alone) == 2


async def test_the_audit_has_what_people_see_and_not_what_the_store_needs(
    desk: Objects, store: Store
) -> None:
    contact = (await desk.add(ANNA, "contact", {"name": "Anvar"}, at=AT)).document
    await desk.set(ANNA, "contact", contact["_id"], {"phones": "+998907654321"}, at=AT)
    record = (await audit(store, contact["_id"]))[1]
    assert record["before"] == {"phones": None}
    assert record["after"] == {"phones": [{"raw": "+998907654321", "e164": "+998907654321"}]}


async def test_a_number_without_a_country_is_like_no_other(desk: Objects) -> None:
    await desk.add(ANNA, "contact", {"name": "Anvar", "phones": "112"}, at=AT)
    assert (await desk.add(ANNA, "contact", {"name": "Bobur", "phones": "112"}, at=AT)).twins == []


async def test_a_name_that_many_have_warns_of_nobody(desk: Objects) -> None:
    for _ in range(21):
        last = await desk.add(ANNA, "contact", {"name": "Unknown"}, at=AT)
    assert len(last.twins) == 20
    assert (await desk.add(ANNA, "contact", {"name": "Unknown"}, at=AT)).twins == []


async def test_quotes_and_apostrophes_find_each_other(desk: Objects) -> None:
    await desk.add(ANNA, "company", {"name": 'Oʻzbek "Gilam\'" MChJ'}, at=AT)
    assert len((await desk.add(ANNA, "company", {"name": 'o\'zbek "gilam’" mchj'}, at=AT)).twins) == 1
    assert len((await desk.add(ANNA, "company", {"name": "Ўзбек гилам МЧЖ"}, at=AT)).twins) == 2


async def test_a_changed_phone_is_found_by_its_new_number(desk: Objects) -> None:
    contact = (await desk.add(ANNA, "contact", {"name": "Anvar", "phones": "+998901234567"}, at=AT)).document
    await desk.set(ANNA, "contact", contact["_id"], {"phones": "+998907654321"}, at=AT)
    assert [
        len((await desk.page(ANNA, "contact", [f"phones={n}"])).items)
        for n in ("+998907654321", "+998901234567")
    ] == [1, 0]


async def test_a_task_is_of_the_line_of_its_deal_and_is_done_at_a_time(desk: Objects) -> None:
    deal = (await desk.add(NODIRA, "deal", {"title": "Chairs", "line": "support"}, at=AT)).document
    given = {"kind": "task", "title": "Call", "deal": deal["_id"], "due_at": "2026-03-05T10:00:00Z",
             "remind_at": "2026-03-05T09:45:00Z", "responsible": "bek"}  # fmt: skip
    task = (await desk.add(NODIRA, "activity", given, at=AT)).document
    assert (task["line"], task["responsible"], task["due_at"]) == ("support", "bek", 1_772_704_800_000)
    mine = ["responsible=bek", "done=no", "remind_at<=2026-03-05T09:50:00Z"]
    assert len((await desk.page(BEK, "activity", mine, sort="due_at")).items) == 1
    done = await desk.set(BEK, "activity", task["_id"], {"done": "yes"}, at=AT + 9)
    assert (done["done"], done["done_at"]) == (True, AT + 9)
    assert (await desk.page(BEK, "activity", mine)).items == []
    assert "done_at" not in await desk.set(BEK, "activity", task["_id"], {"done": "no"}, at=AT)


async def test_a_note_is_called_by_how_it_begins(desk: Objects) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT)).document
    text = "He wants them on\nFriday. " + "x" * 5000
    note = (
        await desk.add(ANNA, "activity", {"kind": "note", "about": text, "deal": deal["_id"]}, at=AT)
    ).document
    assert (note["about"], note["title"][:24], len(note["title"])) == (text, "He wants them on Friday.", 80)
    assert (await refusal(desk.add(ANNA, "activity", {"kind": "task"}, at=AT)))[0] == "needs_field"


async def test_files_come_and_go_and_stay_few(desk: Objects) -> None:
    deal = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT)).document
    for n in (*range(50), 3):
        there = await desk.add_file(ANNA, "deal", deal["_id"], Media(kind="document", key=f"k{n}"), at=AT)
    assert len(there["files"]) == 50
    file = Media(kind="document", key="one too many")
    assert (await refusal(desk.add_file(ANNA, "deal", deal["_id"], file, at=AT)))[0] == "too_many"
    assert len((await desk.remove_file(ANNA, "deal", deal["_id"], "k3", at=AT))["files"]) == 49
    assert (await refusal(desk.remove_file(ANNA, "deal", deal["_id"], "k3", at=AT)))[0] == "no_such_file"


@pytest.mark.parametrize(
    ("type", "given", "code"),
    [
        ("deal", {}, "needs_field"), ("deal", {"title": " \u200b"}, "needs_field"),
        ("deal", {"title": "x", "colour": "red"}, "no_such_field"),
        ("deal", {"title": "x", "$where": "1"}, "no_such_field"), ("deal", {"title": "x", "a.b": "1"}, "no_such_field"),
        ("deal", {"title": "x", "custom": {"$set": 1}}, "no_such_field"), ("deal", {"title": "x", "custom": 5}, "bad_list"),
        ("deal", {"title": "x", "custom.title": "y"}, "no_such_field"),
        ("deal", {"title": "x", "version": 7}, "read_only_field"), ("deal", {"title": "x", "created_by": "bek"}, "read_only_field"),
        ("deal", {"title": "x", "amount": "12345678901234567890:UZS"}, "bad_amount"),
        ("deal", {"title": "x", "close_date": "0000-00-00"}, "bad_date"),
        ("deal", {"title": "x" * 1_000_000}, "field_too_long"),
        ("deal", {"title": "x", "responsible": "nobody"}, "no_such_operator"),
        ("deal", {"title": "x", "line": "nowhere"}, "no_such_line"),
        ("deal", {"title": "x", "contact": "k1"}, "no_such_object"),
        ("deal", {"title": "x", "funnel": "none"}, "no_such_funnel"),
        ("deal", {"title": "x", "stage": "none"}, "no_such_stage"), ("deal", {"title": "x", "stage": "lost"}, "reason_needed"),
        ("activity", {"kind": "dance", "title": "x"}, "bad_choice"),
        ("customer", {"name": "x"}, "no_right"),
    ],
)  # fmt: skip
async def test_a_refused_object_leaves_nothing(
    sqlite: Store, type: Any, given: dict[str, Any], code: str
) -> None:
    assert (await refusal(objects(sqlite).add(ROOT, type, given, at=AT)))[0] == code
    assert [await sqlite.count(name, {}) for name in ("deals", "activities", "customers", "audit")] == [0] * 4


async def test_a_stage_is_moved_and_not_set(sqlite: Store) -> None:
    desk = objects(sqlite)
    deal = (await desk.add(ANNA, "deal", {"title": "x", "stage": "agreed"}, at=AT)).document
    assert deal["stage"] == "agreed"
    assert await refusal(desk.set(ANNA, "deal", deal["_id"], {"stage": "won"}, at=AT)) == (
        "moved_not_set",
        {"field": "stage"},
    )


async def test_what_is_not_his_is_not_named_either(sqlite: Store) -> None:
    desk = objects(sqlite)
    company = (await desk.add(BEK, "company", {"name": "Secret"}, at=AT)).document
    for act in (
        desk.get(ANNA, "company", company["_id"]),
        desk.set(ANNA, "company", company["_id"], {"name": "x"}, at=AT),
        desk.add(ANNA, "deal", {"title": "x", "company": company["_id"]}, at=AT),
        desk.get(ANNA, "company", "b-none"),
    ):
        assert (await refusal(act))[0] == "no_such_object"


async def test_he_adds_only_as_far_as_he_may(sqlite: Store) -> None:
    desk = objects(sqlite)
    own = granted({"deal": {"add": "own"}})
    assert (await refusal(desk.add(own, "deal", {"title": "x", "responsible": "bek"}, at=AT)))[
        0
    ] == "no_right"
    assert (await desk.add(own, "deal", {"title": "x"}, at=AT)).document["responsible"] == "anna"
    given = {"title": "x", "line": "support", "responsible": "bek"}
    assert (await refusal(desk.add(ANNA, "deal", given, at=AT)))[0] == "no_right"
    assert (await refusal(desk.add(granted({"deal": {"add": "none"}}), "deal", {"title": "x"}, at=AT)))[
        0
    ] == "no_right"


async def test_a_converted_lead_stays_as_it_is(sqlite: Store) -> None:
    desk = objects(sqlite)
    lead = (await desk.add(ANNA, "lead", {"title": "x"}, at=AT)).document
    await sqlite.write(
        [Write.update("leads", {"_id": lead["_id"]}, {"$set": {"converted": {"at": AT, "deal": "d1"}}})]
    )
    assert (await refusal(desk.set(ANNA, "lead", lead["_id"], {"title": "y"}, at=AT)))[0] == "lead_converted"


async def test_what_was_made_and_has_gone_elsewhere_is_not_shown_by_asking_again(store: Store) -> None:
    desk = objects(store)
    made = (await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT, key="r1")).document
    elsewhere = {"title": "Secret", "line": "support", "responsible": "bek"}
    await desk.set(NODIRA, "deal", made["_id"], elsewhere, at=AT)
    with pytest.raises(Refused, match="no_such_object"):
        await desk.add(ANNA, "deal", {"title": "Chairs"}, at=AT, key="r1")
    assert await store.count("deals", {}) == 1
