"""Every way to an object asks the same question: type × verb × reach × way, as a table."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from crm.kernel.access import REACHES, Actor, ObjectType, Reach, Verb
from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.objects.service import Objects
from crm.objects.twins import SEARCHED
from crm.objects.writing import born
from tests.crm.objects.office import AT, objects

TYPES: tuple[ObjectType, ...] = ("lead", "contact", "company", "deal", "activity")
COLLECTIONS = {
    "lead": "leads",
    "contact": "contacts",
    "company": "companies",
    "deal": "deals",
    "activity": "activities",
}
THERE = {
    "mine": {"responsible": "anna", "line": "support"},
    "line": {"responsible": "bek", "line": "sales"},
    "far": {"responsible": "bek", "line": "support"},
}
REACHED: dict[Reach, set[str]] = {"none": set(), "own": {"mine"}, "line": {"mine", "line"}, "all": set(THERE)}


def anna(type: ObjectType, verb: Verb, reach: Reach) -> Actor:
    """She may do this verb so far, and read all that she needs for it."""
    verbs: dict[Verb, Reach] = {
        "read": "all",
        "add": "all",
        "edit": "none",
        "delete": "none",
        "export": "none",
    }
    everything: dict[Any, Any] = {"*": verbs, type: {**verbs, verb: reach}}
    return Actor("anna", "operator", frozenset({"sales"}), everything, everywhere=True)


@pytest.fixture
async def desk(sqlite: Store) -> Objects:
    for of, (name, more) in itertools.product(TYPES, THERE.items()):
        about = {"title": name, "name": name, "kind": "task", "keys": ["phone:+998901234567"], **more}
        await sqlite.insert(COLLECTIONS[of], born(of, {"_id": f"{of}-{name}", **about}, by="root", at=AT))
    return objects(sqlite)


async def reached(act: Any) -> bool:
    try:
        await act
    except Refused as refused:
        if refused.code not in ("no_such_object", "no_right"):
            raise
        return False
    return True


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("type", TYPES)
async def test_reading(desk: Objects, type: ObjectType, reach: Reach) -> None:
    actor, wanted = anna(type, "read", reach), REACHED[reach]
    ids = {name: f"{type}-{name}" for name in THERE}
    if reach == "none":
        with pytest.raises(Refused):
            await desk.page(actor, type)
        with pytest.raises(Refused):
            await desk.count(actor, type)
    else:
        assert {found["title"] for found in (await desk.page(actor, type)).items} == wanted
        assert await desk.count(actor, type) == len(wanted)
    assert {name for name, id in ids.items() if await reached(desk.get(actor, type, id))} == wanted
    for verb in ("edit", "delete"):
        both = Actor(
            "anna", "operator", frozenset({"sales"}), {type: {"read": reach, verb: "all"}}, everywhere=True
        )
        act = desk.editable if verb == "edit" else desk.get
        assert {name for name, id in ids.items() if await reached(act(both, type, id))} == wanted
    linked = {"title": "x", "kind": "note", type: ids["far"]}
    assert type == "activity" or await reached(desk.add(actor, "activity", linked, at=AT)) is (
        "far" in wanted
    )


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("type", [of for of in TYPES if of in SEARCHED])
async def test_hints_of_duplicates(desk: Objects, type: ObjectType, reach: Reach) -> None:
    actor = anna(type, "read", reach)
    maker: ObjectType = "lead" if type != "lead" else "contact"
    made = await desk.add(actor, maker, {"title": "x", "name": "y", "phones": "+998901234567"}
                          if maker == "lead" else {"name": "y", "phones": "+998901234567"}, at=AT)  # fmt: skip
    hits = [twin for twin in made.twins if twin.type == type]
    assert len(hits) == len(THERE), "that there is one is said to everybody"
    assert {twin.document["title"] for twin in hits if twin.document is not None} == REACHED[reach]


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("type", TYPES)
async def test_editing_and_deleting(desk: Objects, type: ObjectType, reach: Reach) -> None:
    editor, eraser = anna(type, "edit", reach), anna(type, "delete", reach)
    field = {"about": "x"}
    assert {
        n for n in THERE if await reached(desk.set(editor, type, f"{type}-{n}", field, at=AT))
    } == REACHED[reach]
    assert {n for n in THERE if await reached(desk.delete(eraser, type, f"{type}-{n}", at=AT))} == REACHED[
        reach
    ]
    assert {n for n in THERE if await reached(desk.restore(eraser, type, f"{type}-{n}", at=AT))} == REACHED[
        reach
    ]


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("type", TYPES)
async def test_exporting(desk: Objects, type: ObjectType, reach: Reach) -> None:
    actor = anna(type, "export", reach)
    if reach == "none":
        with pytest.raises(Refused):
            desk.filter(actor, type, [], verb="export")
    else:
        found = await desk.page(actor, type, verb="export")
        assert {one["title"] for one in found.items} == REACHED[reach]
    own = Actor(
        "anna", "operator", frozenset({"sales"}), {type: {"read": "own", "export": reach}}, everywhere=True
    )
    if reach != "none":
        found = await desk.page(own, type, verb="export")
        assert {one["title"] for one in found.items} == {"mine"}, "nobody exports what he may not read"
